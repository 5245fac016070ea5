//! The nonces of one key, from the bytes of its file on, through crashes and orderly ends.

use crate::clock::UnixMicros;
use crate::journal::Paper;
use crate::nonce::{Kept, Mode, NotNow, Sequence, Setting, Verdict};

/// Whose files these are.
const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef";

/// A key between a start and an end.
#[derive(Debug)]
pub struct Life {
    kept: Kept,
    paper: Paper,
    sequence: Sequence,
}

/// What became of a request's wish for a nonce.
#[derive(Debug)]
pub enum Step {
    /// As it is written, and in which unit it counts.
    Nonce { text: String, unit: &'static str },
    /// The marks have run ahead of the clock.
    Wait,
    /// The clock lies too far behind.
    Untrusted,
    /// The mark could not be raised.
    Disk,
}

impl Life {
    /// Starts with what a file holds. `timed`: how the key counts, if the file does not know.
    ///
    /// # Errors
    /// If the file cannot be read: why.
    pub fn resume(bytes: &[u8], timed: bool) -> Result<Self, String> {
        let (kept, paper) = Paper::read(bytes, FINGERPRINT)?;
        let used = (kept.mark > 0).then_some(kept);
        let mut sequence = Sequence::new(Setting::Auto, None, used);
        if sequence.mode() == Mode::Unknown {
            let said = Verdict::OutsideWindow { server: None };
            sequence.learn(if timed { said } else { Verdict::NotIncreased });
        }
        Ok(Self { kept, paper, sequence })
    }

    /// What the file held: mode, unit, mark, and the three flags.
    #[must_use]
    pub fn kept(&self) -> (&'static str, &'static str, u64, [bool; 3]) {
        let Kept { mode, unit, serial, succeeded, mark, exact } = self.kept;
        (mode.as_str(), unit.as_str(), mark, [serial, succeeded, exact])
    }

    /// Takes a nonce, and raises the mark if one must be raised for it.
    pub fn take(&mut self, now: UnixMicros) -> Step {
        let mut outcome = self.sequence.advance(now);
        if outcome == Err(NotNow::Reserve) {
            let kept = self.sequence.top_up(now).expect("what is asked for can be had");
            if self.paper.keep(kept).is_err() {
                return Step::Disk;
            }
            self.sequence.reserved(kept);
            outcome = self.sequence.advance(now);
        }
        let unit = self.sequence.unit().as_str();
        match outcome {
            Ok(nonce) => Step::Nonce { text: nonce.to_string(), unit },
            Err(NotNow::Wait(_)) => Step::Wait,
            Err(NotNow::ClockUntrusted) => Step::Untrusted,
            Err(NotNow::Reserve) => unreachable!("the mark was raised a moment ago"),
        }
    }

    /// Lets only so many bytes more be written to the file.
    pub fn runs_out_after(&self, n_bytes: usize) {
        self.paper.runs_out_after(n_bytes);
    }

    /// What a crash leaves.
    #[must_use]
    pub fn crash(&self) -> Vec<u8> {
        self.paper.bytes()
    }

    /// What an orderly end leaves.
    #[must_use]
    pub fn close(mut self) -> Vec<u8> {
        if let Some(kept) = self.sequence.close() {
            // What cannot be written is as after a crash.
            drop(self.paper.keep(kept));
        }
        self.paper.bytes()
    }
}
