//! The process's only sources of time and of randomness.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use time::OffsetDateTime;

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

/// RFC 3339, to the microsecond.
pub(crate) fn write_time(line: &mut String, now: UnixMicros) {
    thread_local! {
        // The last second, and how it is written: lines of one second share it.
        static SECOND: Cell<(u64, String)> = const { Cell::new((u64::MAX, String::new())) };
    }
    let (mut second, mut text) = SECOND.take();
    if second != now.secs() {
        second = now.secs();
        text.clear();
        let seconds = i64::try_from(second).unwrap_or(i64::MAX);
        // A clock beyond the year 9999 is told as the epoch.
        let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (date, (hour, minute, second)) = (at.date(), at.to_hms());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
            .expect("a string takes all");
    }
    line.push_str(&text);
    write!(line, ".{:06}Z", now.0 % 1_000_000).expect("a string takes all");
    SECOND.set((second, text));
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
    fn times_are_rfc_3339() {
        let at = |micros: u64| {
            let mut line = String::new();
            write_time(&mut line, UnixMicros(micros));
            line
        };
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_790_000_000_000_001, "2026-09-21T14:13:20.000001Z"),
            (1_790_000_000_999_999, "2026-09-21T14:13:20.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        ] {
            assert_eq!(at(micros), expected);
        }
        assert!(at(u64::MAX).ends_with('Z'));
    }

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
