//! What answers tell of orders: whether they live, and how much of them was executed.
//!
//! 1. An order's own answer, and every later one that has its id, tells what became of it.
//! 2. A complete list of live orders ends those that it lacks: the ones that had been answered when it was
//!    asked for, and the doubtful ones when a minute has passed.
//! 3. An order in doubt is recognised by the id that its client gave it, if that names one alone, here
//!    and in the answer, and of that amount: a client may give an id again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{Book, Held, State};
use crate::call::{OrderState, Orders};
use crate::limit::entry::{Entry, Place};
use crate::policy::OrderShare;

/// After so long an order of which nothing was heard is on the list of live orders, or will never be.
const SETTLED: Duration = Duration::from_secs(60);

impl Book {
    /// It was answered.
    pub(in crate::limit) fn answer(
        &mut self,
        number: u64,
        orders: &Orders,
        now: Duration,
    ) -> Option<Entry> {
        let held = self.held.get(&number)?;
        let share = held.reservation.order.as_ref();
        let told = share.and_then(|share| match orders {
            Orders::Each(all) => match all.as_slice() {
                [one] => Some(one).filter(|it| !is_another(share, it)),
                many => many.iter().find(|it| is(share, it)),
            },
            Orders::Nothing | Orders::Active(_) => None,
        });
        let entry = told.and_then(|it| self.resolved(number, it));
        match entry {
            Some(entry) => Some(self.made(entry, now)),
            None => {
                self.doubt(number, Some(now));
                None
            }
        }
    }

    /// What an answer that was asked for at `asked` tells of orders that are followed.
    pub(in crate::limit) fn learn(
        &mut self,
        place: &Place,
        orders: &Orders,
        asked: Duration,
    ) -> Vec<Entry> {
        let (all, complete) = match orders {
            Orders::Nothing => return Vec::new(),
            Orders::Each(all) => (all, false),
            Orders::Active(all) => (all, true),
        };
        if !self.places.contains_key(place) {
            return Vec::new();
        }
        let mut named: HashMap<&str, usize> = HashMap::new();
        for name in all.iter().filter_map(|it| it.client_order_id.as_deref()) {
            *named.entry(name).or_default() += 1;
        }
        let mut entries = Vec::new();
        for state in all {
            let name = state.client_order_id.as_deref();
            let alone = name.is_some_and(|it| named.get(it) == Some(&1));
            if let Some(entry) = self.learned(place, state, alone, asked) {
                entries.push(self.made(entry, asked));
            }
        }
        if complete {
            for number in self.missing(place, all, asked) {
                entries.push(self.made(Entry::Gone { number }, asked));
            }
        }
        entries
    }

    /// `alone`: whether the answer has one order of its name.
    fn learned(
        &self,
        place: &Place,
        told: &OrderState,
        alone: bool,
        asked: Duration,
    ) -> Option<Entry> {
        let lodgers = self.places.get(place)?;
        if let Some(&number) = lodgers.by_order.get(&told.order_id) {
            let gone = matches!(self.held.get(&number)?.state, State::Gone { .. });
            return match (told.live, gone) {
                (false, _) => Some(Entry::Ended { number, executed: told.executed.clone() }),
                // The list had not caught up with it.
                (true, true) => Some(Entry::Placed { number, order_id: told.order_id.clone() }),
                (true, false) => None,
            };
        }
        if !alone {
            return None;
        }
        // An answer that was asked for earlier speaks of another order of the same name.
        let sent =
            |it: &Held| matches!(it.state, State::Doubted { since: Some(since) } if since < asked);
        let mut named = lodgers.doubted.iter().copied().filter(|number| {
            self.held.get(number).is_some_and(|it| {
                sent(it)
                    && it
                        .reservation
                        .order
                        .as_ref()
                        .is_some_and(|it| is(it, told) && amounts(it, told))
            })
        });
        let number = named.next()?;
        // Two of one name: which of them it is, nobody knows.
        if named.next().is_some() { None } else { self.resolved(number, told) }
    }

    /// What `told` makes of a reservation, unless it speaks of another's order.
    fn resolved(&self, number: u64, told: &OrderState) -> Option<Entry> {
        let place = &self.held.get(&number)?.reservation.place;
        let lodgers = self.places.get(place);
        if lodgers.is_some_and(|it| it.by_order.contains_key(&told.order_id)) {
            return None;
        }
        let order_id = told.order_id.clone();
        Some(if told.live {
            Entry::Placed { number, order_id }
        } else {
            Entry::Ended { number, executed: told.executed.clone() }
        })
    }

    /// Which orders have ended, since the complete list that was asked for at `asked` lacks them.
    fn missing(&mut self, place: &Place, all: &[OrderState], asked: Duration) -> Vec<u64> {
        let Some(lodgers) = self.places.get(place) else { return Vec::new() };
        let live: BTreeSet<&str> = all.iter().map(|it| it.order_id.as_str()).collect();
        let followed = lodgers.by_order.iter().filter(|(id, _)| !live.contains(id.as_str()));
        let followed = followed.map(|(_, number)| *number);
        let mut missing: Vec<u64> = followed.chain(lodgers.doubted.iter().copied()).collect();
        missing.retain(|number| match self.held.get_mut(number).map(|it| &mut it.state) {
            Some(State::Placed { answered, .. }) => *answered < asked,
            Some(State::Doubted { since: Some(since) }) => since.saturating_add(SETTLED) <= asked,
            Some(State::Doubted { since }) => {
                // From here on there is something to count from.
                *since = Some(asked);
                false
            }
            Some(State::Pending | State::Gone { .. }) | None => false,
        });
        missing
    }
}

/// Whether `told` speaks of this order, by the name that its client gave it.
fn is(share: &OrderShare, told: &OrderState) -> bool {
    share.client_order_id.is_some() && share.client_order_id == told.client_order_id
}

/// Whether `told` has a name, and another.
fn is_another(share: &OrderShare, told: &OrderState) -> bool {
    let names = share.client_order_id.as_ref().zip(told.client_order_id.as_ref());
    names.is_some_and(|(own, told)| own != told)
}

/// Whether `told` is of this order's amount, if it tells one.
fn amounts(share: &OrderShare, told: &OrderState) -> bool {
    let whole = told.remaining.as_ref().map(|it| it.plus(&told.executed));
    whole.is_none_or(|it| it == share.amount)
}
