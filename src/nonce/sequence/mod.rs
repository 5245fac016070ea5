//! The state machine of one key's nonces: no lock, no clock, no I/O.
//!
//! 1. Values strictly increase as long as the mode stays; whatever the clock does.
//! 2. No value leads the checked clock by more than 60 s.
//! 3. No value is handed out that is not covered by a mark on disk.
//! 4. As long as the block on disk holds a value above the last, nobody waits for the disk: where the
//!    clock has passed the block, a value below the clock is handed out.
//! 5. A collision never makes the sequence climb: a larger unit is tried once, on a key that never
//!    had a success, after two values two seconds apart were refused. Nanoseconds only by setting.
//!
//! Facts of the exchange (modes, texts, the window of 30 s) are in `docs/nonces.md`.

use std::fmt;
use std::time::Duration;

use crate::call::{StopCause, words};
use crate::clock::UnixMicros;
use crate::nonce::unit::{Setting, Unit};

/// The furthest a nonce may lead the checked clock.
const MAX_LEAD_SECONDS: u64 = 60;
/// How far time-based nonces may lead, such as whole seconds when more than one request is sent in a
/// second; the window is 30 s.
const MAX_TIMED_LEAD_SECONDS: u64 = 20;
/// How far they may lag, when the clock has passed the block on disk.
const MAX_TIMED_LAG_SECONDS: u64 = 10;
/// How much is reserved on disk beyond the value in use. A crash loses it.
const RESERVE_SECONDS: u64 = 1;
/// The same where a second is too few values: a reserve must have a half.
const MIN_RESERVE: u64 = 2;
/// The lead that a start may go on with. One crash costs nothing, and a crash loop builds no lead:
/// beyond this it waits for the clock.
const MAX_RESUMED_LEAD_SECONDS: u64 = 10;
/// Two refused values must lie this far apart before a finer unit is tried.
const UNIT_PATIENCE: Duration = Duration::from_secs(2);
const COLLISION_PAUSE: Duration = Duration::from_secs(1);
const MAX_RESIGNS: u32 = 3;
/// A stopped key is tried again this often.
pub(in crate::nonce) const TRIAL_EVERY: Duration = Duration::from_secs(30);

words! {
    /// What the exchange checks.
    Mode {
        /// Not known yet: ask before the first request.
        Unknown = "unknown",
        /// Each nonce above the last.
        Increasing = "increasing",
        /// Seconds, within 30 of the server's time.
        Time = "time",
    }
}

/// A value that was handed out once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Nonce {
    value: u64,
    form: Form,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Whole,
    /// Microseconds, written as seconds with six decimals.
    Decimal,
}

impl Nonce {
    /// The one that learning asks with: below every mark, so it can raise none.
    pub(crate) const PROBE: Self = Self::whole(1);

    pub(crate) const fn whole(value: u64) -> Self {
        Self { value, form: Form::Whole }
    }
}

/// As a JSON number.
impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Whole => write!(f, "{}", self.value),
            Form::Decimal => write!(f, "{}.{:06}", self.value / 1_000_000, self.value % 1_000_000),
        }
    }
}

/// What an answer says about the nonce it was sent with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It was taken: the request was authenticated.
    Accepted,
    NotIncreased,
    OutsideWindow {
        server: Option<UnixMicros>,
    },
    NotANumber,
    /// The answer says nothing about nonces.
    Silent,
}

/// What to do with a request after its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Pass the answer on.
    Done,
    /// Sign afresh after a pause: the request was not executed.
    Again(Duration),
    /// Pass the answer on, and stop the key.
    Stop(StopCause),
}

/// Why there is no nonce now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotNow {
    /// The block on disk is used up: its mark must first be raised.
    Reserve,
    /// The marks have run ahead of the clock: wait so long.
    Wait(Duration),
    /// The clock lies more than 60 s behind the mark.
    ClockUntrusted,
}

/// What is kept on disk: no nonce above `mark` was ever handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) mode: Mode,
    pub(crate) unit: Unit,
    pub(crate) serial: bool,
    pub(crate) succeeded: bool,
    pub(crate) mark: u64,
    /// Whether `mark` is the last value used, and nothing is reserved beyond it.
    pub(crate) exact: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    mode: Mode,
    // Whether the mode was learned, and so may be learned again.
    setting: Setting,
    unit: Unit,
    // The unit that the operator named, which is not ours to change.
    set_unit: Option<Unit>,
    serial: bool,
    // Whether the exchange ever took a nonce of this lane.
    succeeded: bool,
    // Invariant: no nonce of a later moment than this was ever handed out, in whatever unit.
    mark: u64,
    // Invariant: once a nonce was handed out, this covers `mark`, in the same mode and unit.
    on_disk: Option<Kept>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The mark is still the one that was found on disk.
    Resumed,
    Going,
    /// The last value was refused: the next must be the clock's own, for which the disk is waited for.
    /// (Whoever else uses the key is near the clock, and a value that lags would be refused again.)
    Refused,
    /// The last value is being kept to the letter, and so nothing may follow it.
    Closed,
}

impl Sequence {
    pub(crate) fn new(setting: Setting, unit: Option<Unit>, kept: Option<Kept>) -> Self {
        let mode = match setting {
            Setting::Auto => Mode::Unknown,
            Setting::Time => Mode::Time,
            Setting::Increasing => Mode::Increasing,
        };
        let natural = unit.unwrap_or_else(|| natural_unit(mode));
        let mut sequence = Self {
            mode,
            setting,
            unit: natural,
            set_unit: unit,
            serial: mode != Mode::Time,
            succeeded: false,
            mark: 0,
            on_disk: None,
            stage: Stage::Going,
        };
        let Some(kept) = kept else { return sequence };
        sequence.succeeded = kept.succeeded;
        sequence.stage = Stage::Resumed;
        // What was learned holds unless the operator says otherwise; no mark is ever forgotten.
        if kept.mode == mode || mode == Mode::Unknown {
            sequence.mode = kept.mode;
            sequence.serial = kept.serial;
            sequence.unit = unit.unwrap_or(kept.unit);
        }
        sequence.mark = convert(kept.mark, kept.unit, sequence.unit);
        sequence.on_disk = Some(kept).filter(|it| sequence.is_like(it));
        sequence
    }

    /// Goes on in another mode or unit, above all that was handed out before.
    fn switch(&mut self, mode: Mode, unit: Unit) {
        self.mark = convert(self.mark, self.unit, unit);
        self.serial = mode != Mode::Time || unit == Unit::Seconds;
        (self.mode, self.unit, self.on_disk) = (mode, unit, None);
    }

    /// Goes on in another mode, in the unit that was set or is usual there.
    fn switch_mode(&mut self, mode: Mode) {
        self.switch(mode, self.set_unit.unwrap_or_else(|| natural_unit(mode)));
    }

    fn is_like(&self, kept: &Kept) -> bool {
        (kept.mode, kept.unit) == (self.mode, self.unit)
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn unit(&self) -> Unit {
        self.unit
    }

    /// Whether only one request may be between its nonce and its answer.
    pub(crate) fn is_serial(&self) -> bool {
        self.serial
    }

    /// Hands out a nonce above every earlier one, as near to `now` as that and the block on disk allow.
    pub(crate) fn advance(&mut self, now: UnixMicros) -> Result<Nonce, NotNow> {
        let next = self.next(now)?;
        let covered = self.on_disk.ok_or(NotNow::Reserve)?.mark;
        let value = if next <= covered { next } else { self.left_of_block(covered, next)? };
        self.mark = value;
        self.stage = Stage::Going;
        let decimal = self.mode == Mode::Time && self.unit == Unit::Micros;
        Ok(Nonce { value, form: if decimal { Form::Decimal } else { Form::Whole } })
    }

    /// The value that the clock asks for, whatever is on disk.
    fn next(&self, now: UnixMicros) -> Result<u64, NotNow> {
        let time = self.unit.of(now);
        let above = self.mark.checked_add(1).ok_or(NotNow::ClockUntrusted)?;
        let value = time.max(above);
        let lead = value - time;
        if lead > self.unit.seconds(MAX_LEAD_SECONDS) {
            return Err(NotNow::ClockUntrusted);
        }
        let resumed = self.stage == Stage::Resumed;
        let most = match self.mode {
            Mode::Time if resumed && self.unit != Unit::Seconds => MAX_RESUMED_LEAD_SECONDS,
            Mode::Time => MAX_TIMED_LEAD_SECONDS,
            Mode::Increasing | Mode::Unknown if resumed => MAX_RESUMED_LEAD_SECONDS,
            Mode::Increasing | Mode::Unknown => MAX_LEAD_SECONDS,
        };
        match lead.saturating_sub(self.unit.seconds(most)) {
            0 => Ok(value),
            excess => Err(NotNow::Wait(self.unit.span(excess))),
        }
    }

    /// A value of a block on disk that the clock has passed: its last second, or what is left of it.
    fn left_of_block(&self, covered: u64, next: u64) -> Result<u64, NotNow> {
        let value = covered.saturating_sub(self.reserve()).max(self.mark.saturating_add(1));
        let lag = next.saturating_sub(value);
        let late = self.mode == Mode::Time && lag > self.unit.seconds(MAX_TIMED_LAG_SECONDS);
        if value > covered || late || self.stage == Stage::Refused {
            Err(NotNow::Reserve)
        } else {
            Ok(value)
        }
    }

    /// To be called when `kept` is on disk.
    pub(crate) fn reserved(&mut self, kept: Kept) {
        // A change of mode or unit in the meantime has begun its marks anew.
        let newer = self.on_disk.is_none_or(|it| kept.mark >= it.mark);
        if self.is_like(&kept) && newer && self.stage != Stage::Closed {
            self.on_disk = Some(kept);
        }
    }

    /// The last value that was handed out, for a start that follows an orderly end. None follows it.
    pub(crate) fn close(&mut self) -> Option<Kept> {
        let used = self.mark > 0 && matches!(self.stage, Stage::Going | Stage::Refused);
        (self.stage, self.on_disk) = (Stage::Closed, None);
        used.then(|| Kept { mark: self.mark, exact: true, ..self.kept(self.mark) })
    }

    /// What should go to disk: before the reserve runs out, if more than half of it is used or the
    /// clock has passed it, and when something was learned of the key that is not there yet.
    pub(crate) fn top_up(&self, now: UnixMicros) -> Option<Kept> {
        if self.mode == Mode::Unknown || self.stage == Stage::Closed {
            return None;
        }
        // What could not be handed out is not reserved: or starts that fail would raise the mark.
        let next = self.next(now).ok()?;
        let covered = |it: Kept| {
            next.saturating_add(self.reserve() / 2) <= it.mark
                && (it.serial, it.succeeded) == (self.serial, self.succeeded)
        };
        // Where the clock has stepped back the block stays as long as it was: nonces may have come from
        // its end, and a shorter one would not be written beside what was just learned.
        let floor = self.on_disk.map_or(0, |it| it.mark);
        let raised = |it: Kept| Kept { mark: it.mark.max(floor), ..it };
        (!self.on_disk.is_some_and(covered)).then(|| raised(self.kept(next)))
    }

    /// Takes in the answer to the learning probe. `false`: it taught nothing.
    pub(crate) fn learn(&mut self, verdict: Verdict) -> bool {
        let mode = match verdict {
            Verdict::OutsideWindow { .. } => Mode::Time,
            Verdict::Accepted | Verdict::NotIncreased => Mode::Increasing,
            Verdict::NotANumber | Verdict::Silent => return false,
        };
        self.switch_mode(mode);
        true
    }

    /// Takes in the answer to a request that was signed afresh `resigns` times.
    pub(crate) fn settle(&mut self, verdict: Verdict, resigns: u32) -> Next {
        let refused = !matches!(verdict, Verdict::Accepted | Verdict::Silent);
        if refused && self.stage == Stage::Going {
            self.stage = Stage::Refused;
        }
        match (verdict, self.mode) {
            (Verdict::Silent, _) => Next::Done,
            (Verdict::Accepted, _) => {
                self.succeeded = true;
                Next::Done
            }
            // Another answer has stopped the lane meanwhile: ask the exchange before anything else.
            (_, Mode::Unknown) => retry(resigns, Duration::ZERO, Next::Done),
            (Verdict::OutsideWindow { .. }, Mode::Increasing) => {
                // The key was switched to time-based nonces.
                self.switch_mode(Mode::Time);
                retry(resigns, Duration::ZERO, Next::Done)
            }
            // The clock has been set by the answer.
            (Verdict::OutsideWindow { .. }, Mode::Time) => {
                retry(resigns, Duration::ZERO, Next::Done)
            }
            (Verdict::NotANumber, _) => self.write_whole_seconds(resigns),
            (Verdict::NotIncreased, Mode::Time) => self.put_in_order(resigns),
            (Verdict::NotIncreased, Mode::Increasing) => self.collided(resigns),
        }
    }

    fn collided(&mut self, resigns: u32) -> Next {
        let pause = if self.succeeded { COLLISION_PAUSE } else { UNIT_PATIENCE };
        match resigns {
            0 => Next::Again(Duration::ZERO),
            1 => Next::Again(pause),
            2 if !self.succeeded && self.set_unit.is_none() && self.unit == Unit::Millis => {
                self.switch(Mode::Increasing, Unit::Micros);
                Next::Again(Duration::ZERO)
            }
            _ => self.stop(),
        }
    }

    fn stop(&mut self) -> Next {
        let cause = if self.succeeded { StopCause::KeyShared } else { StopCause::Unit };
        if self.mode == Mode::Time && self.setting == Setting::Auto {
            // The key may have been switched to increasing nonces: the next trial asks anew.
            self.switch_mode(Mode::Unknown);
        }
        let never = cause == StopCause::Unit && self.set_unit.is_none();
        if never && self.unit == Unit::Micros && self.mode == Mode::Increasing {
            // The finer unit was no help either: stay where every other program can follow.
            self.switch(Mode::Increasing, Unit::Millis);
        }
        Next::Stop(cause)
    }

    fn put_in_order(&mut self, resigns: u32) -> Next {
        if !self.serial {
            self.serial = true;
            return retry(resigns, Duration::ZERO, Next::Done);
        }
        match resigns {
            0 | 1 => Next::Again(Duration::ZERO),
            2 => Next::Again(COLLISION_PAUSE),
            _ => self.stop(),
        }
    }

    fn write_whole_seconds(&mut self, resigns: u32) -> Next {
        match (self.mode, self.unit) {
            (Mode::Time, Unit::Micros) => self.switch(Mode::Time, Unit::Seconds),
            // It went out with decimals before another answer taught that there must be none.
            (Mode::Time, Unit::Seconds) => {}
            _ => return Next::Done,
        }
        retry(resigns, Duration::ZERO, Next::Done)
    }

    /// How many values are reserved beyond the one in use.
    fn reserve(&self) -> u64 {
        self.unit.seconds(RESERVE_SECONDS).max(MIN_RESERVE)
    }

    fn kept(&self, value: u64) -> Kept {
        let Self { mode, unit, serial, succeeded, .. } = *self;
        let mark = value.saturating_add(self.reserve());
        Kept { mode, unit, serial, succeeded, mark, exact: false }
    }
}

fn natural_unit(mode: Mode) -> Unit {
    if mode == Mode::Time { Unit::Micros } else { Unit::Millis }
}

fn retry(resigns: u32, pause: Duration, otherwise: Next) -> Next {
    if resigns < MAX_RESIGNS { Next::Again(pause) } else { otherwise }
}

/// A mark in another unit, rounded up: it must not fall.
fn convert(mark: u64, from: Unit, to: Unit) -> u64 {
    let (from, to) = (u128::from(from.seconds(1)), u128::from(to.seconds(1)));
    u64::try_from((u128::from(mark) * to).div_ceil(from)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
