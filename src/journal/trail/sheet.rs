//! Where lines get their number and their hash, and are written: the newest file of the trail.
//!
//! 1. A batch is one write, at the end of what is good. After a failure the file is cut back there.
//! 2. A file that has reached its size is followed by another, whose first line repeats the hash before
//!    it: old files can be taken away, and the rest still proves itself.
//! 3. `head` is written after the lines, and synced once a second and at the end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::head::{Anchor, Head};
use super::{files, line, words};
use crate::clock::Clock;
use crate::journal::log::Sheet;

/// How long `head` may be behind, should the power fail.
const HEAD_LAG: Duration = Duration::from_secs(1);
/// A buffer that a burst made larger than this is given back.
const USUAL: usize = 256 << 10;

/// The end of the trail.
#[derive(Debug)]
pub(super) struct Paper {
    pub(super) dir: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    /// From here on a file is followed by another.
    pub(super) most: u64,
    pub(super) file: File,
    /// What of the file is good.
    pub(super) length: u64,
    /// Whether there may be more in the file than what is good.
    pub(super) ragged: bool,
    pub(super) last: Anchor,
    pub(super) head: Head,
    pub(super) head_synced: Duration,
    pub(super) text: String,
}

impl Paper {
    /// The batch as text, and its last line.
    fn compose(&mut self, lines: &[String], turns: bool) -> Anchor {
        let Anchor { mut seq, mut hash } = self.last.clone();
        self.text.clear();
        if turns {
            let fields = [("previous", hash.as_str())];
            let told = words::note(self.clock.wall(), "continued", &fields);
            seq += 1;
            hash = line::write(&mut self.text, seq, &told, &hash);
        }
        for told in lines {
            seq += 1;
            hash = line::write(&mut self.text, seq, told, &hash);
        }
        Anchor { seq, hash }
    }

    /// Writes the batch and its head; where that fails, somebody cuts the file back.
    fn put(&mut self, text: &str, last: &Anchor) -> io::Result<()> {
        if mem::replace(&mut self.ragged, true) {
            self.file.set_len(self.length)?;
        }
        self.file.write_all_at(text.as_bytes(), self.length)?;
        self.head.write(last)?;
        self.ragged = false;
        Ok(())
    }

    /// Begins the next file with the batch.
    fn turn(&mut self, text: &str, last: &Anchor) -> io::Result<()> {
        // What is in the old one is not synced again.
        self.file.sync_data()?;
        let (path, file) = begin(&self.dir, self.last.seq + 1)?;
        let old = (mem::replace(&mut self.file, file), mem::take(&mut self.length));
        let was_ragged = mem::replace(&mut self.ragged, false);
        let outcome = self.put(text, last);
        if outcome.is_err() {
            (self.file, self.length) = old;
            self.ragged = was_ragged;
            // An empty one is found by the next start, and used.
            drop(fs::remove_file(path));
        }
        outcome
    }
}

/// Makes the file of which `first` will be the first line.
pub(super) fn begin(dir: &Path, first: u64) -> io::Result<(PathBuf, File)> {
    let path = dir.join(files::name(first));
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).read(true).write(true).mode(0o600);
    let file = options.open(&path)?;
    File::open(dir)?.sync_all()?;
    Ok((path, file))
}

impl Sheet for Paper {
    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        let turns = self.length >= self.most;
        let last = self.compose(lines, turns);
        let text = mem::take(&mut self.text);
        let outcome = if turns { self.turn(&text, &last) } else { self.put(&text, &last) };
        match outcome {
            Ok(()) => {
                self.length += u64::try_from(text.len()).map_err(io::Error::other)?;
                self.last = last;
            }
            Err(_) if self.ragged => {
                // What cannot be cut off now is cut off before the next write, or by the next start.
                self.ragged = self.file.set_len(self.length).is_err();
            }
            Err(_) => {}
        }
        if text.capacity() <= USUAL {
            self.text = text;
        }
        outcome
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let now = self.clock.monotonic();
        if now.saturating_sub(self.head_synced) >= HEAD_LAG {
            self.head.sync()?;
            self.head_synced = now;
        }
        Ok(())
    }
}

impl Drop for Paper {
    fn drop(&mut self) {
        if let Err(fault) = self.file.sync_data().and_then(|()| self.head.sync()) {
            tracing::warn!(%fault, "the end of the audit trail may not survive the loss of power");
        }
    }
}
