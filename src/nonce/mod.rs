//! The nonces of every key: strictly increasing, in the order of sending.
//!
//! Promised: no nonce of a key repeats or falls, through restarts and whatever the clock does, and
//! none leads the checked clock by more than 60 s. Not promised: that a key which another program
//! uses too keeps working; then it is stopped and says so.

mod lane;
mod sequence;
mod server_clock;
mod sync;
mod unit;

pub(crate) use self::lane::{Busy, Keep, Keeping, Lane, LaneView, Numbered, Turn};
pub(crate) use self::sequence::{Kept, Mode, Next, Nonce, NotNow, Sequence, Verdict};
pub(crate) use self::server_clock::{Observed, Reading, ServerClock};
pub(crate) use self::unit::{Setting, Unit};
