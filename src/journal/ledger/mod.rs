//! What the budgets were, in `budgets.jsonl`: one line for each entry.
//!
//! 1. Each line has a number and a checksum of its own. A last line that was cut short is dropped and
//!    told of: nobody relied on it. Any other damage, and any missing line, stops the start: without it
//!    a cap would be higher than it is.
//! 2. What is over is forgotten: at the start, and when the file has grown, it is written anew with what
//!    the latest day took and with the orders that are open. Beside and renamed: a crash leaves the one
//!    or the other. A disk that is too full for it has the old one go on.
//! 3. What cannot be written is kept and tried again. A reservation that cannot be written lets nothing
//!    be sent.

mod line;
mod pages;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::pages::Pages;
use crate::journal::log::{Durability, Log};
use crate::journal::{StateDir, StateError};
use crate::limit::{Entry, Ledger, Written};

const NAME: &str = "budgets.jsonl";

/// Where entries go. All clones are one.
#[derive(Clone, Debug)]
pub(crate) struct JournalLedger {
    log: Log,
    // What the log had no more room for. Empty, unless the disk has failed for long.
    later: Arc<Mutex<VecDeque<Entry>>>,
}

impl StateDir {
    /// The ledger of the budgets, and what it holds.
    ///
    /// # Errors
    /// If it cannot be read to the end, or not be opened for writing: caps would not hold.
    pub(crate) fn budgets(&self) -> Result<(JournalLedger, Vec<Entry>), StateError> {
        let path = self.path.join(NAME);
        let fault = |fault| StateError::Budgets { path: path.clone(), fault };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(it) if it.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(it) => return Err(fault(it)),
        };
        let entries = pages::digest(read(&path, &bytes)?);
        let (pages, entries) = match Pages::create(&self.path, NAME, &entries) {
            Ok(pages) => (pages, entries),
            Err(full) => self.go_on(&bytes, &full).ok_or_else(|| fault(full))?,
        };
        let log = Log::start("budgets", Box::new(pages), Durability::Group).map_err(fault)?;
        Ok((JournalLedger { log, later: Arc::default() }, entries))
    }

    /// Writes on in the file that is there, because it cannot be written anew.
    fn go_on(&self, bytes: &[u8], full: &io::Error) -> Option<(Pages, Vec<Entry>)> {
        let good = bytes.get(..line::read_all(bytes).ok()?.good)?;
        let entries = line::read_all(good).ok()?.entries;
        let pages = Pages::go_on(&self.path, NAME, good.len(), entries.len()).ok()?;
        let path = self.path.join(NAME);
        tracing::error!(
            path = %path.display(), fault = %full,
            hint = "make room in the state directory: what needs a reservation may be refused until then",
            "the budgets cannot be written anew: their file goes on as it is"
        );
        Some((pages, pages::digest(entries)))
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, StateError> {
    let read = line::read_all(bytes);
    let read = read.map_err(|line::Bad { line, why }| {
        let path: PathBuf = path.to_owned();
        StateError::BudgetsDamaged { path, line, why }
    })?;
    if let Some(why) = read.torn {
        let (path, line) = (path.display(), read.entries.len() + 1);
        tracing::warn!(%path, line, why, "the last line of the budgets was cut short: it is dropped");
    }
    Ok(read.entries)
}

impl JournalLedger {
    /// Writes what is left. Nothing is kept after it.
    pub(crate) async fn close(self) {
        self.catch_up(&mut self.later());
        self.log.close().await;
    }

    /// Hands in what had no room. Whether all of it has.
    fn catch_up(&self, later: &mut VecDeque<Entry>) -> bool {
        while let Some(entry) = later.front() {
            if !self.log.append(line::body(entry)) {
                return false;
            }
            later.pop_front();
        }
        true
    }

    fn later(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        // Every change is a single push or pop: valid after any panic.
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for JournalLedger {
    fn append(&self, entry: &Entry) {
        let mut later = self.later();
        if self.catch_up(&mut later) && self.log.append(line::body(entry)) {
            return;
        }
        // A call that was refused because its reservation could not be written leaves nothing behind.
        if let Entry::Released { number } = entry {
            let reserved = |it: &Entry| matches!(it, Entry::Reserved(it) if it.number == *number);
            if let Some(at) = later.iter().rposition(reserved) {
                later.remove(at);
                return;
            }
        }
        later.push_back(entry.clone());
    }

    fn written(&self) -> Written {
        if self.catch_up(&mut self.later()) {
            return Box::pin(self.log.written());
        }
        let kind = io::ErrorKind::StorageFull;
        Box::pin(std::future::ready(Err(io::Error::new(kind, "budgets wait for the disk"))))
    }
}

#[cfg(test)]
mod tests;
