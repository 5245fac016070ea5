//! How the mark of one key is written: in place, into a file that is as long as it will ever be.
//!
//! 1. Nothing is allocated: a disk that is full after the start does not matter.
//! 2. A mark is kept when both slots hold it and have been synced, one after the other. Until then
//!    one slot is always whole, and covers all that was handed out.
//! 3. Writes come one at a time, and a slow one does not replace a newer mark.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::journal::slot::{self, PLACES};
use crate::nonce::{Keep, Keeping, Kept};

/// What the slots are written to: a file, or a disk that fails as a test wants it to.
pub(super) trait Store {
    fn write_at(&mut self, bytes: &[u8], at: usize) -> io::Result<()>;
    /// Returns when what was written survives the loss of power.
    fn sync(&mut self) -> io::Result<()>;
}

impl Store for File {
    fn write_at(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        let at = u64::try_from(at).map_err(io::Error::other)?;
        self.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The two slots of a key, and what they hold.
#[derive(Debug)]
pub(super) struct Slots<S> {
    store: S,
    fingerprint: String,
    kept: Kept,
    generation: u64,
    // The slot that is written first. Invariant: the other is whole on the disk, and covers all that
    // was handed out.
    first: usize,
    // Whether both hold `kept`.
    settled: bool,
}

impl<S: Store> Slots<S> {
    /// `place` is a slot that is whole on the disk.
    pub(super) fn new(store: S, read: slot::Read, fingerprint: &str) -> Self {
        let slot::Read { kept, generation, place, other } = read;
        let (fingerprint, settled) = (fingerprint.to_owned(), other.is_none());
        Self { store, fingerprint, kept, generation, first: 1 - place, settled }
    }

    /// Returns once both slots hold `kept`, or something newer.
    pub(super) fn keep(&mut self, kept: Kept) -> io::Result<()> {
        let same = (self.kept.mode, self.kept.unit) == (kept.mode, kept.unit);
        let newer = self.settled && same && self.kept.mark > kept.mark;
        // An orderly end lowers the mark to what was used: only then may it fall.
        if newer && !kept.exact { Ok(()) } else { self.write(kept) }
    }

    /// Writes what was read into both slots once more.
    pub(super) fn repair(&mut self) -> io::Result<()> {
        self.write(self.kept)
    }

    fn write(&mut self, kept: Kept) -> io::Result<()> {
        // No file of ours ever comes there; a forged one might begin there.
        let next = self.generation.checked_add(1);
        let generation = next.ok_or_else(|| io::Error::other("no generation follows"))?;
        let slot = slot::write(kept, generation, &self.fingerprint);
        self.settled = false;
        self.put(&slot, self.first)?;
        // The one that was just written is whole; what is in the other one is the older mark.
        self.first = 1 - self.first;
        (self.kept, self.generation) = (kept, generation);
        self.put(&slot, self.first)?;
        self.settled = true;
        Ok(())
    }

    fn put(&mut self, slot: &[u8], place: usize) -> io::Result<()> {
        let at = PLACES.get(place).copied().ok_or(io::ErrorKind::InvalidInput)?;
        self.store.write_at(slot, at)?;
        self.store.sync()
    }
}

/// Where the marks of one key go.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: Box<Path>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    // Locked until it is dropped.
    slots: Slots<File>,
    // Whether the last write failed: one line for each spell of failures.
    failing: bool,
}

impl Marks {
    pub(super) fn new(path: &Path, slots: Slots<File>) -> Self {
        let state = Mutex::new(State { slots, failing: false });
        Self { shared: Arc::new(Shared { path: path.into(), state }) }
    }

    pub(crate) fn write(&self, kept: Kept) -> io::Result<()> {
        let Shared { path, state } = &*self.shared;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = state.slots.keep(kept);
        let failed = outcome.is_err();
        match &outcome {
            Err(fault) if !state.failing => {
                tracing::error!(
                    path = %path.display(), %fault,
                    "a nonce mark cannot be written: calls with this key stop when the reserve is spent"
                );
            }
            Ok(()) if state.failing => {
                tracing::info!(path = %path.display(), "nonce marks are written again");
            }
            Ok(()) | Err(_) => {}
        }
        state.failing = failed;
        outcome
    }
}

impl Keep for Marks {
    fn keep(&self, kept: Kept) -> Keeping {
        let marks = self.clone();
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || marks.write(kept));
            written.await.map_err(io::Error::other)?
        })
    }
}
