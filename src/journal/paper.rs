//! A key's file that is only memory: where `fuzzing` sees what `slot` reads and `marks` writes.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::marks::{Slots, Store};
use crate::journal::slot;
use crate::nonce::Kept;

#[derive(Debug)]
pub(crate) struct Paper {
    slots: Slots<Sheet>,
    sheet: Sheet,
}

impl Paper {
    /// What a start finds in `bytes`, and what it makes of them, as `recover` does.
    pub(crate) fn read(bytes: &[u8], fingerprint: &str) -> Result<(Kept, Self), String> {
        let read = slot::read(bytes, fingerprint).map_err(|it| it.to_string())?;
        let sheet = Sheet(Arc::new(Mutex::new(Ink { bytes: bytes.to_vec(), left: usize::MAX })));
        let mut slots = Slots::new(sheet.clone(), read, fingerprint);
        if read.other.is_some() {
            slots.repair().map_err(|it| it.to_string())?;
        }
        Ok((read.kept, Self { slots, sheet }))
    }

    pub(crate) fn keep(&mut self, kept: Kept) -> io::Result<()> {
        self.slots.keep(kept)
    }

    /// Lets only so many bytes more be written.
    pub(crate) fn runs_out_after(&self, left: usize) {
        self.sheet.ink().left = left;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.sheet.ink().bytes.clone()
    }
}

#[derive(Clone, Debug)]
struct Sheet(Arc<Mutex<Ink>>);

#[derive(Debug)]
struct Ink {
    bytes: Vec<u8>,
    left: usize,
}

impl Sheet {
    fn ink(&self) -> MutexGuard<'_, Ink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Sheet {
    fn write_at(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        let mut ink = self.ink();
        let (now, never) = bytes.split_at(bytes.len().min(ink.left));
        ink.left -= now.len();
        let into = ink.bytes.get_mut(at..at + now.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(now);
        if never.is_empty() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
