//! The audit trail: lines that each cover all before them, in files that follow each other.
//!
//! 1. `<state>/audit/<number of the first line>.jsonl`, mode 0600, in a directory of mode 0700. Lines are
//!    only ever added.
//! 2. Whoever hands in a line waits for nothing. Who must know that it is on the disk asks, and waits for
//!    a second at most.
//! 3. Lines that found no room while the disk failed are counted, and told of in the trail itself.
//! 4. Who can write the directory can rewrite all of it. What this finds is damage, and hands that do not
//!    know the whole.

mod files;
mod head;
mod later;
mod line;
mod recover;
mod sheet;
#[cfg(test)]
mod tests;
mod verify;
mod words;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) use self::files::{Lines, Part, parts};
use self::later::Later;
pub(crate) use self::line::LONGEST;
pub(crate) use self::verify::{Broken, Sound, What, verify};
pub(crate) use self::words::{MOST_CHARS, begin, string};
use crate::clock::Clock;
use crate::journal::is_full;
use crate::journal::log::{Durability, Log};

/// The directory, below the state's.
pub(crate) const FOLDER: &str = "audit";
/// From here on a file is followed by another.
const MOST: u64 = 64 << 20;
/// How long a call waits for its line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where what happens is told for good.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    /// `None`: there is no trail.
    open: Option<Arc<Open>>,
}

#[derive(Debug)]
struct Open {
    log: Log,
    clock: Arc<dyn Clock>,
    n_lines: AtomicU64,
    // Of the lines that are lost, those that a note was handed in for.
    n_told: AtomicU64,
}

/// The trail cannot be written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the audit trail cannot be written: {why}")]
pub(crate) struct TrailFault {
    why: String,
}

#[cfg(test)]
impl TrailFault {
    pub(crate) fn of(why: &str) -> Self {
        Self { why: why.to_owned() }
    }
}

impl Trail {
    pub(crate) const fn off() -> Self {
        Self { open: None }
    }

    /// Takes the trail up where it ends, as soon as there is room for it. `state` is the state directory,
    /// which is ours alone.
    ///
    /// # Errors
    /// If the directory or its files cannot be used.
    pub(crate) fn start(
        state: &Path,
        durability: Durability,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        Self::turning(state, durability, clock, MOST)
    }

    /// Has a file followed by another when it has `most` bytes.
    pub(crate) fn turning(
        state: &Path,
        durability: Durability,
        clock: Arc<dyn Clock>,
        most: u64,
    ) -> io::Result<Self> {
        let dir = state.join(FOLDER);
        let mut sheet = Later::new(dir.clone(), Arc::clone(&clock), most);
        match sheet.open() {
            Ok(_) => {}
            Err(fault) if is_full(&fault) => {
                tracing::error!(
                    dir = %dir.display(), %fault,
                    hint = "make room in the state directory: orders are refused until then, and go again by themselves",
                    "the audit trail finds no room to begin"
                );
            }
            Err(fault) => return Err(fault),
        }
        let log = Log::start("audit", Box::new(sheet), durability)?;
        let (n_lines, n_told) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { open: Some(Arc::new(Open { log, clock, n_lines, n_told })) })
    }

    pub(crate) fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Hands in a line: what stands between its number and its hash.
    pub(crate) fn append(&self, told: String) {
        let Some(open) = &self.open else { return };
        open.tell_lost();
        if open.log.append(told) {
            open.n_lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells of something that is no request: a freeze, a reload. `fields` are names of ours, and text of
    /// whatever origin but secrets.
    pub(crate) fn note(&self, note: &str, fields: &[(&str, &str)]) {
        let Some(open) = &self.open else { return };
        self.append(words::note(open.clock.wall(), note, fields));
    }

    /// Resolves when everything handed in so far is written as durably as the operator wants it: in a
    /// second at most.
    pub(crate) fn written(&self) -> impl Future<Output = Result<(), TrailFault>> + Send + use<> {
        let written = self.open.as_ref().map(|it| it.log.written());
        async {
            let Some(written) = written else { return Ok(()) };
            let late = |_| TrailFault {
                why: format!("the disk takes longer than {} s", PATIENCE.as_secs()),
            };
            let written = tokio::time::timeout(PATIENCE, written).await.map_err(late)?;
            written.map_err(|fault| TrailFault { why: fault.to_string() })
        }
    }

    /// Why nothing can be written at the moment.
    pub(crate) fn fault(&self) -> Option<String> {
        self.open.as_ref()?.log.fault()
    }

    pub(crate) fn n_lines(&self) -> u64 {
        self.open.as_ref().map_or(0, |it| it.n_lines.load(Ordering::Relaxed))
    }

    pub(crate) fn n_lost(&self) -> u64 {
        self.open.as_ref().map_or(0, |it| it.log.lost())
    }

    /// Writes what is left, as far as the disk takes it.
    pub(crate) async fn close(self) {
        let Some(open) = &self.open else { return };
        open.tell_lost();
        open.log.clone().close().await;
    }
}

impl Open {
    /// Tells of lines that were lost, as soon as there is room again.
    fn tell_lost(&self) {
        let (n_lost, n_told) = (self.log.lost(), self.n_told.load(Ordering::Relaxed));
        if n_lost == n_told || self.log.fault().is_some() {
            return;
        }
        let swapped =
            self.n_told.compare_exchange(n_told, n_lost, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_ok() {
            let n = (n_lost - n_told).to_string();
            let note = words::note(self.clock.wall(), "lost", &[("lines", &n)]);
            if self.log.append(note) {
                self.n_lines.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
