//! The exchange's clock, as its answers tell it.
//!
//! The exchange has no time endpoint; the `Date` header is to the second, and the refusal of a
//! time-based nonce names the server's time (both seen, `docs/nonces.md`). Between two answers the
//! monotonic clock carries on, so a machine whose clock is stepped or wrong signs on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::UnixMicros;

/// How far a clock may lie from a `Date` and still agree with it: rounding to the second, and some
/// slack. The duration of the request comes on top.
const TOLERANCE: Duration = Duration::from_millis(2_000);

/// How long after a doubted answer another is asked for before both are believed: a copy that stands
/// still contradicts itself by then, and what was in flight with the first does not count.
const SECOND_OPINION: Duration = Duration::from_secs(10);

/// A reading of both of the machine's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) wall: UnixMicros,
    pub(crate) monotonic: Duration,
}

/// What a `Date` did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Observed {
    Agreed,
    /// It contradicts both of our clocks, which agree with each other: ask again before believing it.
    Doubted,
}

#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    // The server's time at a moment of the monotonic clock; `None` until the first answer.
    anchor: Option<Anchor>,
    // What a doubted answer said, until another speaks for or against it.
    doubt: Option<Anchor>,
}

type Anchor = (UnixMicros, Duration);

impl ServerClock {
    /// Takes in a `Date`, in whole seconds, of a request that was sent at `sent` and answered at `at`.
    pub(crate) fn observe_date(&self, date: UnixMicros, sent: Duration, at: Reading) -> Observed {
        let middle = date.plus(Duration::from_millis(500));
        let taken = at.monotonic.saturating_sub(sent);
        // The server stamped it at some moment between the two.
        let fits = |now: UnixMicros| {
            now.plus(TOLERANCE) >= middle && middle.plus(TOLERANCE).plus(taken) >= now
        };
        let mut state = self.state();
        let predicted = state.anchor.map(|it| carry(it, at.monotonic));
        let foretold = state.doubt.map(|it| carry(it, at.monotonic));
        if fits(at.wall) {
            // The machine's own clock is finer than a whole second, as long as it agrees.
            *state = State { anchor: Some((at.wall, at.monotonic)), doubt: None };
        } else if predicted.is_some_and(fits) {
            state.doubt = None;
        } else if predicted.is_some_and(|it| near(it, at.wall)) {
            // One answer against two clocks: a cache or an edge may have stamped it. It is believed when
            // a later question gets an answer that goes on from it.
            let confirmed = |doubt: &Anchor| sent >= doubt.1 + SECOND_OPINION;
            match state.doubt.filter(|_| foretold.is_some_and(fits)) {
                Some(doubt) if confirmed(&doubt) => {
                    *state = State { anchor: Some((middle, at.monotonic)), doubt: None };
                }
                Some(_) => return Observed::Doubted,
                None => {
                    state.doubt = Some((middle, at.monotonic));
                    return Observed::Doubted;
                }
            }
        } else {
            *state = State { anchor: Some((middle, at.monotonic)), doubt: None };
        }
        Observed::Agreed
    }

    /// Takes in the server's own words about its time.
    pub(crate) fn observe_exact(&self, server: UnixMicros, at: Reading) {
        *self.state() = State { anchor: Some((server, at.monotonic)), doubt: None };
    }

    /// The server's time now, or `None` as long as no answer told it.
    pub(crate) fn now(&self, monotonic: Duration) -> Option<UnixMicros> {
        let anchor = self.state().anchor;
        anchor.map(|anchor| carry(anchor, monotonic))
    }

    /// The machine's clock less the server's, in milliseconds.
    pub(crate) fn skew_millis(&self, at: Reading) -> Option<i64> {
        let millis = |it: UnixMicros| i64::try_from(it.millis()).unwrap_or(i64::MAX);
        self.now(at.monotonic).map(|server| millis(at.wall).saturating_sub(millis(server)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn near(a: UnixMicros, b: UnixMicros) -> bool {
    a.since(b).max(b.since(a)) <= TOLERANCE
}

fn carry((server, then): (UnixMicros, Duration), now: Duration) -> UnixMicros {
    server.plus(now.saturating_sub(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: UnixMicros = UnixMicros::from_secs(1_790_000_000);

    fn reading(wall: UnixMicros, monotonic: u64) -> Reading {
        Reading { wall, monotonic: Duration::from_secs(monotonic) }
    }

    /// An answer that came at once.
    fn observe(clock: &ServerClock, date: UnixMicros, at: Reading) -> Observed {
        clock.observe_date(date, at.monotonic, at)
    }

    fn after(seconds: u64) -> UnixMicros {
        UnixMicros::from_secs(DATE.secs() + seconds)
    }

    #[test]
    fn knows_nothing_before_the_first_answer() {
        assert_eq!(ServerClock::default().now(Duration::ZERO), None);
    }

    #[test]
    fn believes_a_machine_that_agrees_and_no_other() {
        let clock = ServerClock::default();
        let wall = DATE.plus(Duration::from_millis(1_700));
        observe(&clock, DATE, reading(wall, 1));
        assert_eq!(clock.now(Duration::from_secs(1)), Some(wall));

        let clock = ServerClock::default();
        let wrong = reading(UnixMicros::from_secs(5), 1);
        observe(&clock, DATE, wrong);
        assert_eq!(clock.now(Duration::from_secs(1)).unwrap().secs(), DATE.secs());
        assert_eq!(clock.skew_millis(wrong), Some(5_000 - 1_790_000_000_500));
    }

    #[test]
    fn a_step_of_the_machines_clock_changes_nothing() {
        let clock = ServerClock::default();
        observe(&clock, DATE, reading(DATE, 0));
        observe(&clock, after(60), reading(UnixMicros::from_secs(1), 60));
        assert_eq!(clock.now(Duration::from_secs(60)), Some(after(60)));
    }

    #[test]
    fn the_time_that_an_answer_took_is_no_error_of_a_clock() {
        let clock = ServerClock::default();
        observe(&clock, DATE, reading(DATE, 0));
        // Stamped when it was asked, 9 s before it arrived.
        let said = clock.observe_date(after(10), Duration::from_secs(10), reading(after(19), 19));
        assert_eq!(said, Observed::Agreed);
        assert_eq!(clock.now(Duration::from_secs(19)), Some(after(19)));
        // And the same where the machine's clock is wrong.
        let clock = ServerClock::default();
        observe(&clock, DATE, reading(UnixMicros(0), 0));
        clock.observe_date(after(10), Duration::from_secs(10), reading(UnixMicros(0), 19));
        assert_eq!(clock.now(Duration::from_secs(19)).unwrap().secs(), after(19).secs());
    }

    #[test]
    fn one_answer_against_two_clocks_is_doubted_and_two_are_believed() {
        for wrong in [DATE.secs() - 3_600, DATE.secs() + 3_600, DATE.secs() + 31_536_000] {
            let clock = ServerClock::default();
            observe(&clock, DATE, reading(DATE, 0));
            let wrong = |seconds| UnixMicros::from_secs(wrong + seconds);
            assert_eq!(observe(&clock, wrong(1), reading(after(1), 1)), Observed::Doubted);
            assert_eq!(clock.now(Duration::from_secs(1)), Some(after(1)));
            // A right one clears it; a cached one does not move on, and is doubted again.
            assert_eq!(observe(&clock, after(5), reading(after(5), 5)), Observed::Agreed);
            assert_eq!(observe(&clock, wrong(1), reading(after(6), 6)), Observed::Doubted);
            assert_eq!(observe(&clock, wrong(1), reading(after(16), 16)), Observed::Doubted);
            assert_eq!(clock.now(Duration::from_secs(16)), Some(after(16)));
            // One in flight with it, or soon after, is no second opinion.
            assert_eq!(observe(&clock, wrong(1), reading(after(16), 16)), Observed::Doubted);
            assert_eq!(observe(&clock, wrong(10), reading(after(25), 25)), Observed::Doubted);
            assert_eq!(clock.now(Duration::from_secs(25)), Some(after(25)));
            // A clock that goes on is believed.
            assert_eq!(observe(&clock, wrong(12), reading(after(27), 27)), Observed::Agreed);
            assert_eq!(clock.now(Duration::from_secs(27)).unwrap().secs(), wrong(12).secs());
        }
    }

    #[test]
    fn follows_the_server_when_both_others_are_wrong() {
        let clock = ServerClock::default();
        observe(&clock, DATE, reading(UnixMicros(0), 0));
        assert_eq!(observe(&clock, after(3_600), reading(UnixMicros(0), 1)), Observed::Agreed);
        assert_eq!(clock.now(Duration::from_secs(1)).unwrap().secs(), after(3_600).secs());
        clock.observe_exact(DATE, reading(DATE, 1));
        assert_eq!(clock.now(Duration::from_secs(3)).unwrap().secs(), DATE.secs() + 2);
    }
}
