//! The file itself: how lines are added, and how it is written anew without what is over.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::line;
use crate::journal::log::Sheet;
use crate::limit::{Entry, Reservation};

/// From here on the file is written anew, if that makes it half as long.
const LONG: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Pages {
    directory: PathBuf,
    name: &'static str,
    file: File,
    // Of what was written whole, and of what was synced. Invariant: `unsynced` lies between them.
    length: u64,
    synced: u64,
    unsynced: Vec<u8>,
    n_lines: u64,
    // What lies beyond `length` is to be cut off first.
    torn: bool,
    // What was written since the last sync may not be there, whatever the next sync says.
    doubtful: bool,
    // When it is written anew.
    limit: u64,
}

impl Pages {
    /// Makes the file anew, with these entries.
    pub(super) fn create(
        directory: &std::path::Path,
        name: &'static str,
        entries: &[Entry],
    ) -> io::Result<Self> {
        let directory = directory.to_owned();
        let mut text = String::new();
        let mut n_lines = 0;
        for entry in entries {
            n_lines += 1;
            line::write(n_lines, &line::body(entry), &mut text);
        }
        let file = replace(&directory, name, text.as_bytes())?;
        let length = bytes(text.len());
        Ok(Self {
            directory,
            name,
            file,
            length,
            synced: length,
            unsynced: Vec::new(),
            n_lines,
            torn: false,
            doubtful: false,
            limit: LONG.max(length.saturating_mul(2)),
        })
    }

    /// Takes up the file that is there: so many bytes of it are good, in so many lines.
    pub(super) fn go_on(
        directory: &std::path::Path,
        name: &'static str,
        good: usize,
        n_lines: usize,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(directory.join(name))?;
        // The process before may have ended before it did so.
        file.sync_data()?;
        let length = bytes(good);
        Ok(Self {
            directory: directory.to_owned(),
            name,
            file,
            length,
            synced: length,
            unsynced: Vec::new(),
            n_lines: bytes(n_lines),
            torn: true,
            doubtful: false,
            // Tried again when there is much more of it.
            limit: length.saturating_add(LONG),
        })
    }

    /// Puts another handle in the place of the file's.
    #[cfg(test)]
    pub(super) fn swap(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    /// Forgets what is over. A failure harms nothing: the file stays as it is.
    fn compact(&mut self) {
        let compacted = fs::read(self.directory.join(self.name)).and_then(|bytes| {
            let read = line::read_all(&bytes);
            let read =
                read.map_err(|it| io::Error::other(format!("line {}: {}", it.line, it.why)))?;
            Self::create(&self.directory, self.name, &digest(read.entries))
        });
        match compacted {
            Ok(pages) => *self = pages,
            Err(fault) => {
                self.limit = self.length.saturating_add(LONG);
                tracing::warn!(%fault, "the budgets cannot be written anew: their file grows on");
            }
        }
    }
}

impl Sheet for Pages {
    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        let mut text = String::new();
        let mut n_lines = self.n_lines;
        for body in lines {
            n_lines += 1;
            line::write(n_lines, body, &mut text);
        }
        if let Err(fault) = self.file.write_all_at(text.as_bytes(), self.length) {
            // If it cannot be cut off now, then before anything else is written.
            self.torn = self.file.set_len(self.length).is_err();
            return Err(fault);
        }
        self.length = self.length.saturating_add(bytes(text.len()));
        self.n_lines = n_lines;
        self.unsynced.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.doubtful {
            // After a failure the system may call pages clean that never reached the disk.
            self.file.write_all_at(&self.unsynced, self.synced)?;
        }
        let synced = self.file.sync_data();
        self.doubtful = synced.is_err();
        synced?;
        self.synced = self.length;
        self.unsynced.clear();
        if self.length >= self.limit {
            self.compact();
        }
        Ok(())
    }
}

/// What the latest day took, and the orders that are open: all that counts from here on.
pub(super) fn digest(entries: Vec<Entry>) -> Vec<Entry> {
    let mut latest = None;
    let mut kept: BTreeMap<u64, (Reservation, Vec<Entry>)> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Day { day } => latest = latest.max(Some(day)),
            Entry::Reserved(it) => {
                latest = latest.max(Some(it.day));
                kept.insert(it.number, (*it, Vec::new()));
            }
            Entry::Released { number } => {
                kept.remove(&number);
            }
            Entry::Placed { number, .. } | Entry::Ended { number, .. } => {
                if let Some((_, later)) = kept.get_mut(&number) {
                    *later = vec![entry];
                }
            }
            Entry::Gone { number } => {
                if let Some((_, later)) = kept.get_mut(&number) {
                    later.push(entry);
                }
            }
        }
    }
    let Some(day) = latest else { return Vec::new() };
    let open = |it: &Reservation, later: &[Entry]| {
        it.order.is_some() && matches!(later.last(), None | Some(Entry::Placed { .. }))
    };
    kept.retain(|_, (it, later)| it.day == day || open(it, later));
    let kept = kept
        .into_values()
        .flat_map(|(it, later)| std::iter::once(Entry::Reserved(Box::new(it))).chain(later));
    std::iter::once(Entry::Day { day }).chain(kept).collect()
}

/// Puts a file in the place of another, whole or not at all.
fn replace(directory: &std::path::Path, name: &str, bytes: &[u8]) -> io::Result<File> {
    let (path, beside) = (directory.join(name), directory.join(format!("{name}.new")));
    // What a crash may have left; if it cannot go, neither can a new one come.
    drop(fs::remove_file(&beside));
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(0o600).open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // On a full disk it would take the room that others need.
        drop(fs::remove_file(&beside));
    }
    written?;
    fs::rename(&beside, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(file)
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
