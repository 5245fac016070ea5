//! The process's only sources of time and of randomness.

use std::cell::RefCell;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    pub(crate) const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    pub(crate) const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    pub(crate) const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// The time from `earlier` to here; nought if `earlier` is later.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

pub(crate) const fn micros(span: Duration) -> u64 {
    let micros = span.as_micros();
    if micros > u64::MAX as u128 {
        return u64::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "compared on the line above")]
    let micros = micros as u64;
    micros
}

/// Tells the time. Pure code takes `now` as an argument instead of holding one of these.
pub trait Clock: fmt::Debug + Send + Sync {
    /// What the machine believes the time of day to be. It may jump.
    fn wall(&self) -> UnixMicros;

    /// The time since some fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;
}

#[derive(Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    #[expect(clippy::new_without_default, reason = "reading a clock is no default")]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn wall(&self) -> UnixMicros {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMicros(since.map_or(0, micros))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(UnixMicros, Duration)>,
}

impl ManualClock {
    pub fn new(wall: UnixMicros) -> Self {
        Self { now: Mutex::new((wall, Duration::ZERO)) }
    }

    /// Lets time pass, for the wall and the monotonic clock alike.
    pub fn advance(&self, span: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0.plus(span), now.1 + span);
    }

    /// Sets the wall clock alone, as an operator or a bad battery would.
    pub fn set_wall(&self, wall: UnixMicros) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0 = wall;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixMicros {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Bytes from the system's generator.
///
/// # Panics
/// If the system has no randomness to give: nothing that is made of it would be a secret.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's generator works on every supported platform");
    bytes
}

/// Randomness for many ids: a system call for each would cost more than the id itself. An id names,
/// and keeps no secret.
fn drawn() -> [u8; 10] {
    const AT_ONCE: usize = 640;
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 10]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.extend_from_slice(random::<AT_ONCE>().as_chunks().0);
        }
        drawn.pop().expect("it was filled just now")
    })
}

/// A ULID (<https://github.com/ulid/spec>): 48 bits of milliseconds, 80 of randomness, in 26
/// characters that sort by time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ulid([u8; 26]);

impl Ulid {
    pub(crate) fn new(now: UnixMicros) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let low = drawn().iter().fold(0_u128, |sum, &byte| sum << 8 | u128::from(byte));
        let mut bits = u128::from(now.millis() & 0xFFFF_FFFF_FFFF) << 80 | low;
        let mut text = [0; 26];
        for digit in text.iter_mut().rev() {
            let index = usize::try_from(bits & 31).expect("five bits");
            *digit = *ALPHABET.get(index).expect("five bits name one of 32");
            bits >>= 5;
        }
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

impl Default for Ulid {
    fn default() -> Self {
        Self([b'0'; 26])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulids_sort_by_time_and_differ() {
        let early = Ulid::new(UnixMicros::from_secs(1_700_000_000));
        let late = Ulid::new(UnixMicros::from_secs(1_700_000_001));
        assert!(early < late, "{early:?} {late:?}");
        // 1,700,000,000,000 ms in base 32, as the specification writes it.
        assert!(early.as_str().starts_with("01HF7YAT00"), "{}", early.as_str());
        let many = (0..1_000).map(|_| Ulid::new(UnixMicros::from_secs(1_700_000_000)));
        assert_eq!(many.chain([early]).collect::<std::collections::BTreeSet<_>>().len(), 1_001);
    }

    #[test]
    fn the_manual_clock_keeps_its_two_times_apart() {
        let clock = ManualClock::new(UnixMicros::from_secs(100));
        clock.advance(Duration::from_secs(1));
        clock.set_wall(UnixMicros::from_secs(5));
        assert_eq!((clock.wall().secs(), clock.monotonic()), (5, Duration::from_secs(1)));
    }
}
