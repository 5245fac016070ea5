//! How many connections there are, and who leaves when there are too many.
//!
//! 1. There are so many seats in all, and one address, or one user of a unix socket, takes at most three
//!    quarters of them.
//! 2. When no seat is free, whoever has waited longest for a request to come in gives way: an idle
//!    connection, or one that sends its head slowly. So a crowd that only sits there keeps nobody out.
//! 3. Until the head of its answer is made, a connection that is being answered does not give way, and
//!    no answer is ever cut for a newcomer. When everybody is being answered, who comes is told so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::gate::Unheard;
use super::peer::Source;
use super::traffic::Traffic;

/// More than any number of bots on a machine. (What an idle one costs is in `docs/hardening.md`.)
const MOST: u64 = 8_192;
const FEWEST: u64 = 8;
/// Kept for listeners, files, and what the runtime needs.
const KEPT_DESCRIPTORS: u64 = 32;
/// As many as this, or one for each four seats, are told at one time that there is no seat. The next
/// are closed without a word.
const FEWEST_STANDING: usize = 8;
/// Who was asked to leave may be so many in a seat's stead: one for each so many seats.
const LEAVING: usize = 8;
/// The value of `waits_since` while a request is being answered.
const ATTENDED: u64 = 0;

#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    most_of_one: usize,
    // Counts arrivals and ends of answers, to tell who has waited longest.
    order: AtomicU64,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    seats: HashMap<u64, Arc<Seat>>,
    by_source: HashMap<Source, usize>,
    n_standing: usize,
    // Who was asked to leave and is still there: an answer is still taken, or a request came meanwhile.
    n_leaving: usize,
}

/// One connection, as its parts and the crowd see it.
#[derive(Debug)]
pub(super) struct Seat {
    source: Source,
    waits_since: AtomicU64,
    leave: Notify,
    unheard: OnceLock<Unheard>,
    pub(super) traffic: Traffic,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    pub(super) seat: Arc<Seat>,
    /// `None`: it stands.
    number: Option<u64>,
}

/// A request is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Attended {
    place: Arc<Place>,
}

impl Crowd {
    /// For a process that may hold `descriptors` open files: each connection may need another one to
    /// the exchange.
    pub(crate) fn new(descriptors: u64) -> Arc<Self> {
        let most = (descriptors.saturating_sub(KEPT_DESCRIPTORS) / 2).clamp(FEWEST, MOST);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (order, places) = (AtomicU64::new(ATTENDED + 1), Mutex::default());
        Arc::new(Self { most, most_of_one: most - most / 4, order, places })
    }

    /// A place for a connection from `source`. `None`: not even to be told that there is none.
    pub(crate) fn admit(self: &Arc<Self>, source: Source) -> Option<Place> {
        let number = self.next();
        let mut places = self.places();
        let seated = places.make_room(source, self);
        if !seated {
            if places.n_standing >= FEWEST_STANDING.max(self.most / 4) {
                return None;
            }
            places.n_standing += 1;
        }
        let seat = Arc::new(Seat {
            source,
            waits_since: AtomicU64::new(number),
            leave: Notify::new(),
            unheard: if seated { OnceLock::new() } else { Unheard::Crowded.into() },
            traffic: Traffic::default(),
        });
        if seated {
            places.seats.insert(number, Arc::clone(&seat));
            *places.by_source.entry(source).or_default() += 1;
        }
        Some(Place { crowd: Arc::clone(self), seat, number: seated.then_some(number) })
    }

    fn next(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Maps and counters, each changed by one call: valid after any panic.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Whether there is a seat for `source`, or one was made free.
    fn make_room(&mut self, source: Source, crowd: &Crowd) -> bool {
        if self.by_source.get(&source).is_some_and(|it| *it >= crowd.most_of_one) {
            return self.dismiss(crowd, |seat| seat.source == source);
        }
        self.seats.len() < crowd.most || self.dismiss(crowd, |_| true)
    }

    /// Asks whoever of those has waited longest to leave.
    fn dismiss(&mut self, crowd: &Crowd, of: impl Fn(&Seat) -> bool) -> bool {
        if self.n_leaving > crowd.most / LEAVING {
            return false;
        }
        let waiting =
            self.seats.iter().filter(|(_, seat)| of(seat)).filter_map(|(number, seat)| {
                let since = seat.waits_since.load(Ordering::Relaxed);
                (since != ATTENDED).then_some((since, *number))
            });
        let Some((_, longest)) = waiting.min() else { return false };
        if let Some(seat) = self.leave(longest) {
            self.n_leaving += 1;
            seat.ask_to_leave();
        }
        true
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Seat>> {
        let seat = self.seats.remove(&number)?;
        if let Some(n) = self.by_source.get_mut(&seat.source) {
            *n -= 1;
            if *n == 0 {
                self.by_source.remove(&seat.source);
            }
        }
        Some(seat)
    }
}

impl Place {
    /// To be held while a request is answered.
    pub(super) fn attend(self: &Arc<Self>) -> Attended {
        self.seat.waits_since.store(ATTENDED, Ordering::Relaxed);
        Attended { place: Arc::clone(self) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.crowd.places();
        match self.number {
            // Who was asked to leave has no seat any more.
            Some(number) if places.leave(number).is_none() => places.n_leaving -= 1,
            Some(_) => {}
            None => places.n_standing -= 1,
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Place { crowd, seat, .. } = &*self.place;
        seat.waits_since.store(crowd.next(), Ordering::Relaxed);
    }
}

impl Seat {
    /// Ends the connection as soon as no request is being answered.
    pub(super) fn ask_to_leave(&self) {
        self.leave.notify_one();
    }

    pub(super) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Says why nothing more of this connection is read. The first word counts.
    pub(super) fn refuse(&self, why: Unheard) {
        self.unheard.get_or_init(|| why);
    }

    pub(super) fn unheard(&self) -> Option<Unheard> {
        self.unheard.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const ONE: Source = Source::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const OTHER: Source = Source::User(1_000);

    /// Eight seats, of which one address takes six.
    fn crowd() -> Arc<Crowd> {
        Crowd::new(KEPT_DESCRIPTORS)
    }

    fn sit(crowd: &Arc<Crowd>, source: Source) -> Arc<Place> {
        Arc::new(crowd.admit(source).unwrap())
    }

    fn was_asked(place: &Place) -> bool {
        use std::future::Future as _;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(place.seat.asked_to_leave()).poll(&mut context).is_ready()
    }

    #[test]
    fn the_number_follows_from_the_open_files() {
        let most = |descriptors| Crowd::new(descriptors).most;
        assert_eq!((most(0), most(60), most(1_024), most(1 << 20)), (8, 14, 496, 8_192));
        assert_eq!(crowd().most_of_one, 6);
    }

    #[test]
    fn who_waited_longest_gives_way() {
        let crowd = crowd();
        let all: Vec<_> = [ONE, OTHER].repeat(4).into_iter().map(|it| sit(&crowd, it)).collect();
        // The first is being answered, the second was.
        let busy = all[0].attend();
        drop(all[1].attend());
        let late = sit(&crowd, OTHER);
        assert_eq!(late.seat.unheard(), None);
        let asked: Vec<_> = all.iter().map(|it| was_asked(it)).collect();
        assert_eq!(asked, [false, false, true, false, false, false, false, false]);
        assert_eq!(crowd.places().seats.len(), 8);
        drop((all, late, busy));
        assert!(crowd.places().seats.is_empty() && crowd.places().by_source.is_empty());
    }

    #[test]
    fn one_address_leaves_seats_for_others() {
        let crowd = crowd();
        let all: Vec<_> = (0..6).map(|_| sit(&crowd, ONE)).collect();
        let seventh = sit(&crowd, ONE);
        assert!(was_asked(&all[0]) && !was_asked(&all[1]));
        assert_eq!(crowd.places().seats.len(), 6, "two seats stay free");
        let _others = (sit(&crowd, OTHER), sit(&crowd, OTHER));
        assert!(!was_asked(&all[1]) && !was_asked(&seventh));
    }

    #[test]
    fn who_is_answered_stays_and_who_comes_is_told() {
        let crowd = crowd();
        let all: Vec<_> = [ONE, OTHER].repeat(4).into_iter().map(|it| sit(&crowd, it)).collect();
        let busy: Vec<_> = all.iter().map(Place::attend).collect();
        let standing: Vec<_> = (0..FEWEST_STANDING).map(|_| sit(&crowd, ONE)).collect();
        assert!(standing.iter().all(|it| it.seat.unheard() == Some(Unheard::Crowded)));
        assert!(crowd.admit(ONE).is_none(), "and no more than a few are told");
        drop(standing);
        drop(busy);
        assert_eq!(sit(&crowd, ONE).seat.unheard(), None);
    }

    #[test]
    fn who_leaves_slowly_is_not_replaced_for_ever() {
        let crowd = crowd();
        let all: Vec<_> = [ONE, OTHER].repeat(4).into_iter().map(|it| sit(&crowd, it)).collect();
        let more: Vec<_> = (0..4).map(|_| sit(&crowd, OTHER)).collect();
        let seated = more.iter().filter(|it| it.seat.unheard().is_none()).count();
        assert_eq!(seated, 2, "as long as nobody whose seat was given away has gone");
        drop(all);
        assert_eq!(sit(&crowd, ONE).seat.unheard(), None);
        assert_eq!(crowd.places().n_leaving, 0);
    }
}
