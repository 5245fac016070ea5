//! How the numbers of one key are written.

use std::time::Duration;

use crate::call::words;
use crate::clock::UnixMicros;

words! {
    /// What the operator says of a key's nonces.
    Setting {
        /// Ask the exchange: one call that cannot harm the key.
        Auto = "auto",
        Time = "time",
        Increasing = "increasing",
    }
}

words! {
    /// What one step of a nonce means.
    Unit {
        Seconds = "s",
        Millis = "ms",
        Micros = "us",
        Nanos = "ns",
    }
}

impl Unit {
    const fn per_second(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }

    /// The moment in this unit, rounded down.
    pub(crate) fn of(self, now: UnixMicros) -> u64 {
        let exact = u128::from(now.0) * u128::from(self.per_second()) / 1_000_000;
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// So many steps as a span of time, rounded up to the microsecond.
    pub(crate) fn span(self, steps: u64) -> Duration {
        let micros = (u128::from(steps) * 1_000_000).div_ceil(u128::from(self.per_second()));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// So many seconds in this unit.
    pub(crate) const fn seconds(self, count: u64) -> u64 {
        self.per_second().saturating_mul(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_in_every_unit() {
        let now = UnixMicros(1_790_000_000_123_456);
        assert_eq!(Unit::Seconds.of(now), 1_790_000_000);
        assert_eq!(Unit::Millis.of(now), 1_790_000_000_123);
        assert_eq!(Unit::Micros.of(now), 1_790_000_000_123_456);
        assert_eq!(Unit::Nanos.of(now), 1_790_000_000_123_456_000);
        assert_eq!(Unit::Nanos.of(UnixMicros(u64::MAX)), u64::MAX);
        assert_eq!(Unit::Millis.seconds(60), 60_000);
        assert_eq!(Unit::Nanos.span(1_001), Duration::from_micros(2));
        assert_eq!(Unit::Seconds.span(u64::MAX), Duration::from_micros(u64::MAX));
    }
}
