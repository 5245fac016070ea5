//! The exchange's clock, as its answers tell it.
//!
//! The exchange has no time endpoint; the `Date` header is to the second, and the refusal of a
//! time-based nonce names the server's time (both seen, `docs/nonces.md`). Between two answers the
//! monotonic clock carries on, so a machine whose clock is stepped or wrong signs on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::UnixMicros;

/// How far the machine's clock may lie from the middle of a `Date` second and still be believed: half
/// a second of rounding, and a slow answer.
const TOLERANCE: Duration = Duration::from_millis(2_000);

/// A reading of both of the machine's clocks, taken when an answer arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) wall: UnixMicros,
    pub(crate) monotonic: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    // The server's time at a moment of the monotonic clock; `None` until the first answer.
    anchor: Mutex<Option<(UnixMicros, Duration)>>,
}

impl ServerClock {
    /// Takes in a `Date`, in whole seconds.
    pub(crate) fn observe_date(&self, date: UnixMicros, at: Reading) {
        let middle = date.plus(Duration::from_millis(500));
        let near = |it: UnixMicros| it.since(middle).max(middle.since(it)) <= TOLERANCE;
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let predicted = anchor.map(|anchor| carry(anchor, at.monotonic));
        // The machine's own clock is finer than a whole second, as long as it agrees.
        if near(at.wall) {
            *anchor = Some((at.wall, at.monotonic));
        } else if !predicted.is_some_and(near) {
            *anchor = Some((middle, at.monotonic));
        }
    }

    /// Takes in the server's own words about its time.
    pub(crate) fn observe_exact(&self, server: UnixMicros, at: Reading) {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        *anchor = Some((server, at.monotonic));
    }

    /// The server's time now, or `None` as long as no answer told it.
    pub(crate) fn now(&self, monotonic: Duration) -> Option<UnixMicros> {
        let anchor = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        anchor.map(|anchor| carry(anchor, monotonic))
    }

    /// The machine's clock less the server's, in milliseconds.
    pub(crate) fn skew_millis(&self, at: Reading) -> Option<i64> {
        let millis = |it: UnixMicros| i64::try_from(it.millis()).unwrap_or(i64::MAX);
        self.now(at.monotonic).map(|server| millis(at.wall).saturating_sub(millis(server)))
    }
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

    #[test]
    fn knows_nothing_before_the_first_answer() {
        assert_eq!(ServerClock::default().now(Duration::ZERO), None);
    }

    #[test]
    fn believes_a_machine_that_agrees_and_no_other() {
        let clock = ServerClock::default();
        let wall = DATE.plus(Duration::from_millis(1_700));
        clock.observe_date(DATE, reading(wall, 1));
        assert_eq!(clock.now(Duration::from_secs(1)), Some(wall));

        let clock = ServerClock::default();
        clock.observe_date(DATE, reading(UnixMicros::from_secs(5), 1));
        assert_eq!(clock.now(Duration::from_secs(1)).unwrap().secs(), DATE.secs());
        assert_eq!(
            clock.skew_millis(reading(UnixMicros::from_secs(5), 1)),
            Some(5_000 - 1_790_000_000_500)
        );
    }

    #[test]
    fn a_step_of_the_machines_clock_changes_nothing() {
        let clock = ServerClock::default();
        clock.observe_date(DATE, reading(DATE, 0));
        let later = UnixMicros::from_secs(DATE.secs() + 60);
        clock.observe_date(later, reading(UnixMicros::from_secs(1), 60));
        assert_eq!(clock.now(Duration::from_secs(60)), Some(later));
    }

    #[test]
    fn follows_the_server_when_both_others_are_wrong() {
        let clock = ServerClock::default();
        clock.observe_date(DATE, reading(DATE, 0));
        let leap = UnixMicros::from_secs(DATE.secs() + 3_600);
        clock.observe_date(leap, reading(DATE, 1));
        assert_eq!(clock.now(Duration::from_secs(1)).unwrap().secs(), leap.secs());
        clock.observe_exact(DATE, reading(DATE, 1));
        assert_eq!(clock.now(Duration::from_secs(3)).unwrap().secs(), DATE.secs() + 2);
    }
}
