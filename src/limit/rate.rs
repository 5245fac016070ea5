//! How often a client may call: the generic cell rate algorithm (ITU-T I.371, annex A), in whole
//! numbers.
//!
//! 1. So many at once, then one each `per / count`. Nothing is rounded: time is counted in nanoseconds
//!    times `count`, so that a third of a second is a whole number.
//! 2. Who is refused hears the first moment at which the same call would pass, and spends nothing.
//! 3. A rate that changes takes along what was spent: a reload refills nothing.
//!
//! Ours, because `governor` (0.10) brings an older `hashbrown` than hyper's `indexmap` does, and reads
//! `now` from a clock that it keeps instead of being told.

use std::time::Duration;

use crate::policy::Rate;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rate: Rate,
    // When everything that was let through would be paid for, in nanoseconds times `count`.
    paid: u128,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, paid: 0 }
    }

    /// Lets one call through.
    ///
    /// # Errors
    /// How long it would have to wait.
    pub(super) fn take(&mut self, rate: &Rate, now: Duration) -> Result<(), Duration> {
        self.follow(rate, now);
        let count = count(rate);
        let now = now.as_nanos().saturating_mul(count);
        let cell = rate.per.as_nanos();
        let ahead = cell.saturating_mul(u128::from(burst(rate)) - 1);
        let owed = self.paid.max(now);
        let early = owed.saturating_sub(now).saturating_sub(ahead);
        if early > 0 {
            // Rounded up: who comes then must not be early.
            let nanos = u64::try_from(early.div_ceil(count)).unwrap_or(u64::MAX);
            return Err(Duration::from_nanos(nanos));
        }
        self.paid = owed.saturating_add(cell);
        Ok(())
    }

    /// Goes over to another rate. The number of calls that are owed stays.
    fn follow(&mut self, rate: &Rate, now: Duration) {
        if self.rate == *rate {
            return;
        }
        let then = now.as_nanos().saturating_mul(count(&self.rate));
        let cells = self.paid.saturating_sub(then).div_ceil(self.rate.per.as_nanos().max(1));
        let owed = cells.saturating_mul(rate.per.as_nanos());
        self.paid = now.as_nanos().saturating_mul(count(rate)).saturating_add(owed);
        self.rate = *rate;
    }
}

/// The configuration has none of nought; one would let one call through, and no other.
fn count(rate: &Rate) -> u128 {
    u128::from(rate.count.max(1))
}

fn burst(rate: &Rate) -> u32 {
    rate.burst.unwrap_or(rate.count / 10).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NOW: Duration = Duration::from_secs(1_000);

    fn rate(count: u32, burst: Option<u32>) -> Rate {
        Rate { count, per: MINUTE, burst }
    }

    /// How many pass at once.
    fn at_once(pace: &mut Pace, rate: &Rate, now: Duration) -> usize {
        std::iter::repeat_with(|| pace.take(rate, now)).take_while(Result::is_ok).count()
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        for (rate, expected) in [
            (rate(60, None), 6),
            (rate(60, Some(1)), 1),
            (rate(60, Some(60)), 60),
            (rate(5, None), 1),
        ] {
            let mut pace = Pace::new(rate);
            assert_eq!(at_once(&mut pace, &rate, NOW), expected, "{rate:?}");
            let wait = pace.take(&rate, NOW).unwrap_err();
            assert_eq!(wait, MINUTE / rate.count);
            assert_eq!(at_once(&mut pace, &rate, NOW + wait), 1);
            assert_eq!(at_once(&mut pace, &rate, NOW + 10 * MINUTE), expected, "it is full again");
        }
    }

    #[test]
    fn another_rate_refills_nothing() {
        let (slow, fast) = (rate(60, Some(10)), rate(600, Some(20)));
        let mut pace = Pace::new(slow);
        assert_eq!(at_once(&mut pace, &slow, NOW), 10);
        assert_eq!(at_once(&mut pace, &fast, NOW), 10, "of twenty, ten are spent");
        assert_eq!(at_once(&mut pace, &slow, NOW), 0);
        assert!(pace.take(&slow, NOW).unwrap_err() > 10 * MINUTE / 60);
    }

    proptest! {
        /// Allowed at the moment that was told, and not a nanosecond before.
        #[test]
        fn the_wait_is_exact(
            count in 1..10_000_u32,
            per in prop::sample::select(vec![1_u64, 60, 3_600]),
            burst in prop::option::of(1..500_u32),
            steps in prop::collection::vec(0..2_000_000_000_u64, 1..200),
        ) {
            let rate = Rate { count, per: Duration::from_secs(per), burst };
            let (mut pace, mut now) = (Pace::new(rate), NOW);
            for step in steps {
                now += Duration::from_nanos(step);
                while pace.take(&rate, now).is_ok() {}
                let wait = pace.take(&rate, now).unwrap_err();
                let before = wait.checked_sub(Duration::from_nanos(1)).unwrap();
                prop_assert!(pace.take(&rate, now + before).is_err());
                prop_assert!(pace.clone().take(&rate, now + wait).is_ok());
            }
        }

        /// Never more in any span than the burst and what the span pays for.
        #[test]
        fn never_more_than_the_rate(
            count in 1..1_000_u32,
            burst in 1..50_u32,
            steps in prop::collection::vec(0..500_000_000_u64, 1..200),
        ) {
            let rate = Rate { count, per: MINUTE, burst: Some(burst) };
            let (mut pace, mut now, mut passed) = (Pace::new(rate), NOW, 0_u128);
            for step in steps {
                now += Duration::from_nanos(step);
                passed += u128::from(pace.take(&rate, now).is_ok());
                let paid = (now - NOW).as_nanos() * u128::from(count) / MINUTE.as_nanos();
                prop_assert!(passed <= u128::from(burst) + paid);
            }
        }
    }
}
