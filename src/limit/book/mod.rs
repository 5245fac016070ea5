//! What clients have spent and hold: a plain value, which a lock guards and entries change.
//!
//! 1. Every lasting change is an [`Entry`], and [`Book::apply`] is the only thing that makes it. What is
//!    read again after a restart is therefore what was there before.
//! 2. The day never goes back: a clock that does stays on the later day.
//! 3. In doubt a reservation stands. Given back is only what certainly was not, or will not be, used.
//! 4. An order is open from its admission until its end is known.
//! 5. Memory is bounded: so many orders of a client are followed, and the oldest is let go as if
//!    nothing more could be learned of it.

mod learn;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::call::ClientId;
use crate::decimal::Decimal;
use crate::limit::entry::{Entry, Place, Reservation, Withdrawing, notional, unspent};
use crate::limit::rate::Pace;
use crate::limit::{Moment, Spent};
use crate::policy::{DayLimits, OrderShare, Rate, WithdrawalShare};

/// How many open orders of a client are followed, and how many that are gone.
pub(super) const MOST: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Book {
    day: u64,
    // The number of the last reservation.
    last: u64,
    tallies: HashMap<ClientId, Tally>,
    // Every reservation whose share may still change.
    held: BTreeMap<u64, Held>,
    places: BTreeMap<Place, Lodgers>,
    n_let_go: u64,
}

/// What one client has spent on a day, and which of its orders are followed.
#[derive(Debug, Default)]
struct Tally {
    day: u64,
    n_orders: u64,
    notional: BTreeMap<String, Decimal>,
    withdrawn: BTreeMap<String, Decimal>,
    // Invariant: the numbers of those held reservations of orders that are not gone.
    open: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    pace: Option<Pace>,
}

/// The reservations of one place. Invariant: each is held.
#[derive(Debug, Default)]
struct Lodgers {
    by_order: BTreeMap<String, u64>,
    doubted: BTreeSet<u64>,
}

#[derive(Debug)]
struct Held {
    reservation: Reservation,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between its admission and its answer.
    Pending,
    /// It may have been sent. `since`: when it certainly had been, if at all; unknown until then.
    Doubted {
        since: Option<Duration>,
    },
    Placed {
        order_id: String,
        answered: Duration,
    },
    Gone {
        order_id: String,
    },
}

/// What one call asks of the book.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) client: &'a ClientId,
    pub(super) request_id: &'a str,
    pub(super) place: Place,
    pub(super) rate: Option<&'a Rate>,
    pub(super) order: Option<(&'a DayLimits, &'a OrderShare)>,
    pub(super) withdrawal: Option<&'a WithdrawalShare>,
    /// Whether what orders and the rate would exceed is only told.
    pub(super) observed: bool,
}

/// What the book says to it.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) would: Option<Spent>,
    /// The number of its reservation, if it takes anything.
    pub(super) number: Option<u64>,
    pub(super) entries: Vec<Entry>,
}

impl Book {
    pub(super) fn replayed(kept: &[Entry]) -> Self {
        let mut book = Self::default();
        for entry in kept {
            book.apply(entry, Duration::ZERO);
        }
        // Whatever was under way when the process ended was sent before this one began.
        let pending = |it: &Held| matches!(it.state, State::Pending);
        let numbers: Vec<u64> =
            book.held.iter().filter(|(_, it)| pending(it)).map(|(number, _)| *number).collect();
        for number in numbers {
            book.doubt(number, Some(Duration::ZERO));
        }
        book
    }

    /// Grants a call its share and takes it, or refuses it and takes nothing: one step.
    pub(super) fn grant(&mut self, asked: &Asked<'_>, now: Moment) -> Result<Granted, Spent> {
        let paced = asked.rate.map_or(Ok(()), |rate| self.paced(asked.client, rate, now.monotonic));
        let fits = paced.and_then(|()| self.order_fits(asked));
        let would = match fits {
            Err(spent) if !asked.observed => return Err(spent),
            Err(spent) => Some(spent),
            Ok(()) => None,
        };
        // What moves money is never only observed.
        self.withdrawal_fits(asked)?;
        if asked.order.is_none() && asked.withdrawal.is_none() {
            return Ok(Granted { would, number: None, entries: Vec::new() });
        }
        let number = self.last + 1;
        let reserved = Entry::Reserved(Box::new(Reservation {
            number,
            day: self.day,
            request_id: asked.request_id.to_owned(),
            client: asked.client.clone(),
            place: asked.place.clone(),
            order: asked.order.map(|(_, it)| it.clone()),
            withdrawal: asked.withdrawal.map(|it| Withdrawing {
                destination: it.destination.clone(),
                amount: it.amount.clone(),
            }),
        }));
        let mut entries = vec![self.made(reserved, now.monotonic)];
        if let Some(number) = self.crowded_out(asked.client) {
            self.n_let_go += 1;
            entries.push(self.made(Entry::Gone { number }, now.monotonic));
        }
        Ok(Granted { would, number: Some(number), entries })
    }

    fn paced(&mut self, client: &ClientId, rate: &Rate, now: Duration) -> Result<(), Spent> {
        let pace = self.tally(client).pace.get_or_insert_with(|| Pace::new(*rate));
        pace.take(rate, now).map_err(|wait| Spent::Rate { client: client.clone(), wait })
    }

    fn order_fits(&mut self, asked: &Asked<'_>) -> Result<(), Spent> {
        let Some((limits, share)) = asked.order else { return Ok(()) };
        let (client, tally) = (|| asked.client.clone(), self.tally(asked.client));
        if let Some(max) = limits.max_open_orders {
            // What is not followed could not be counted.
            let most = usize::try_from(max).unwrap_or(MOST).min(MOST);
            if tally.open.len() >= most {
                return Err(Spent::OpenOrders { client: client(), max });
            }
        }
        if let Some(max) = limits.max_orders_per_day.filter(|max| tally.n_orders >= *max) {
            return Err(Spent::OrdersPerDay { client: client(), max });
        }
        if !limits.max_notional_per_day.is_empty() {
            let currency = share.quote.as_str();
            // A currency without a limit has none to spend.
            let max = limits.max_notional_per_day.get(currency).cloned().unwrap_or_default();
            let spent = tally.notional.get(currency).cloned().unwrap_or_default();
            if spent.plus(&notional(share)) > max {
                let currency = currency.to_owned();
                return Err(Spent::NotionalPerDay { client: client(), currency, max });
            }
        }
        Ok(())
    }

    fn withdrawal_fits(&mut self, asked: &Asked<'_>) -> Result<(), Spent> {
        let Some(share) = asked.withdrawal else { return Ok(()) };
        let withdrawn = self.tally(asked.client).withdrawn.get(&share.destination);
        let spent = withdrawn.cloned().unwrap_or_default();
        if spent.plus(&share.amount) > share.max_per_day {
            return Err(Spent::WithdrawalPerDay {
                client: asked.client.clone(),
                destination: share.destination.clone(),
                max: share.max_per_day.clone(),
            });
        }
        Ok(())
    }

    /// Goes over to a day, unless it has been. `Some`: that is to be kept.
    pub(super) fn begin(&mut self, day: u64) -> Option<Entry> {
        if day <= self.day {
            return None;
        }
        let entry = Entry::Day { day };
        self.apply(&entry, Duration::ZERO);
        Some(entry)
    }

    /// Nothing of it was used.
    pub(super) fn release(&mut self, number: u64) -> Option<Entry> {
        self.held.get(&number)?;
        Some(self.made(Entry::Released { number }, Duration::ZERO))
    }

    /// It was sent, and nothing certain is known of it. `since` as in [`State::Doubted`].
    pub(super) fn doubt(&mut self, number: u64, since: Option<Duration>) {
        let Some(held) = self.held.get_mut(&number) else { return };
        if held.reservation.order.is_none() {
            // Nothing more is ever learned of a withdrawal: it is spent.
            self.held.remove(&number);
            return;
        }
        held.state = State::Doubted { since };
        let place = held.reservation.place.clone();
        self.places.entry(place).or_default().doubted.insert(number);
    }

    fn made(&mut self, entry: Entry, at: Duration) -> Entry {
        self.apply(&entry, at);
        entry
    }

    /// Whether any answer could still teach anything.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn n_let_go(&self) -> u64 {
        self.n_let_go
    }

    /// Makes a change, now or again. `at`: when what it tells was known.
    fn apply(&mut self, entry: &Entry, at: Duration) {
        match entry {
            Entry::Day { day } => self.day = self.day.max(*day),
            Entry::Reserved(it) => self.reserve(it),
            Entry::Released { number } => {
                if let Some(it) = self.remove(*number) {
                    let back = it.order.as_ref().map(notional).unwrap_or_default();
                    self.give_back(&it, &back, true);
                }
            }
            Entry::Ended { number, executed } => {
                if let Some(it) = self.remove(*number) {
                    let back = it.order.as_ref().map(|it| unspent(it, executed));
                    self.give_back(&it, &back.unwrap_or_default(), false);
                }
            }
            Entry::Placed { number, order_id } => self.place(*number, order_id, at),
            Entry::Gone { number } => self.lose(*number),
        }
    }

    fn reserve(&mut self, it: &Reservation) {
        self.day = self.day.max(it.day);
        self.last = self.last.max(it.number);
        let today = self.day == it.day;
        let tally = self.tally(&it.client);
        if let Some(share) = &it.order {
            tally.open.insert(it.number);
            if today {
                tally.n_orders = tally.n_orders.saturating_add(1);
                let spent = tally.notional.entry(share.quote.clone()).or_default();
                *spent = spent.plus(&notional(share));
            }
        }
        if let Some(withdrawing) = it.withdrawal.as_ref().filter(|_| today) {
            let spent = tally.withdrawn.entry(withdrawing.destination.clone()).or_default();
            *spent = spent.plus(&withdrawing.amount);
        }
        self.held.insert(it.number, Held { reservation: it.clone(), state: State::Pending });
    }

    /// Takes `back` off what was spent on the reservation's day, and with `all` the rest too.
    fn give_back(&mut self, it: &Reservation, back: &Decimal, all: bool) {
        let tally = self.tally(&it.client);
        if tally.day != it.day {
            return;
        }
        if let Some(share) = &it.order {
            if let Some(spent) = tally.notional.get_mut(&share.quote) {
                *spent = spent.less(back);
            }
            if all {
                tally.n_orders = tally.n_orders.saturating_sub(1);
            }
        }
        let withdrawing = it.withdrawal.as_ref().filter(|_| all);
        if let Some(Withdrawing { destination, amount }) = withdrawing
            && let Some(spent) = tally.withdrawn.get_mut(destination)
        {
            *spent = spent.less(amount);
        }
    }

    fn place(&mut self, number: u64, order_id: &str, answered: Duration) {
        let Some(held) = self.held.get_mut(&number) else { return };
        let (client, place) = (held.reservation.client.clone(), held.reservation.place.clone());
        held.state = State::Placed { order_id: order_id.to_owned(), answered };
        let lodgers = self.places.entry(place).or_default();
        lodgers.doubted.remove(&number);
        lodgers.by_order.insert(order_id.to_owned(), number);
        let tally = self.tally(&client);
        tally.gone.remove(&number);
        tally.open.insert(number);
    }

    /// Its slot is free. If the day is still its own, an answer may yet give back what was not executed.
    fn lose(&mut self, number: u64) {
        let day = self.day;
        let Some(held) = self.held.get_mut(&number) else { return };
        let State::Placed { order_id, .. } = &mut held.state else {
            self.remove(number);
            return;
        };
        if held.reservation.day < day {
            self.remove(number);
            return;
        }
        held.state = State::Gone { order_id: std::mem::take(order_id) };
        let client = held.reservation.client.clone();
        let tally = self.tally(&client);
        tally.open.remove(&number);
        tally.gone.insert(number);
        let oldest = (tally.gone.len() > MOST).then(|| tally.gone.first().copied()).flatten();
        if let Some(oldest) = oldest {
            self.n_let_go += 1;
            self.remove(oldest);
        }
    }

    /// The order to let go, if a client that may have any number of them has too many.
    fn crowded_out(&mut self, client: &ClientId) -> Option<u64> {
        let tally = self.tally(client);
        if tally.open.len() <= MOST {
            return None;
        }
        let oldest: Vec<u64> = tally.open.iter().copied().take(MOST / 16).collect();
        let answered = |number: &u64| {
            self.held.get(number).is_some_and(|it| !matches!(it.state, State::Pending))
        };
        oldest.into_iter().find(answered)
    }

    /// Follows a reservation no longer.
    fn remove(&mut self, number: u64) -> Option<Reservation> {
        let Held { reservation, state } = self.held.remove(&number)?;
        if let Some(lodgers) = self.places.get_mut(&reservation.place) {
            match &state {
                State::Placed { order_id, .. } | State::Gone { order_id } => {
                    lodgers.by_order.remove(order_id);
                }
                State::Doubted { .. } => {
                    lodgers.doubted.remove(&number);
                }
                State::Pending => {}
            }
            if lodgers.by_order.is_empty() && lodgers.doubted.is_empty() {
                self.places.remove(&reservation.place);
            }
        }
        let tally = self.tally(&reservation.client);
        tally.open.remove(&number);
        tally.gone.remove(&number);
        Some(reservation)
    }

    /// What a client has spent today: nothing, if the day is new to it.
    fn tally(&mut self, client: &ClientId) -> &mut Tally {
        let day = self.day;
        if !self.tallies.contains_key(client) {
            self.tallies.insert(client.clone(), Tally { day, ..Tally::default() });
        }
        let stale = self.tallies.get_mut(client).filter(|it| it.day < day);
        if let Some(tally) = stale {
            tally.day = day;
            tally.n_orders = 0;
            tally.notional.clear();
            tally.withdrawn.clear();
            // Their day is over: there is nothing left to give back.
            for number in std::mem::take(&mut tally.gone) {
                self.remove(number);
            }
        }
        self.tallies.get_mut(client).expect("it was put there just now")
    }
}
