//! A disk that loses power, tears writes and refuses them, as a test wants it.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::super::marks::{Slots, Store};
use super::super::slot;
use super::{FINGERPRINT, kept};

/// What becomes of the next operations.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// So many operations succeed before it fails; `None`: it never does.
    pub(super) fails_after: Option<u32>,
    /// Which bytes of the write in question reach the disk all the same.
    pub(super) reaches: Range<usize>,
    /// Whether it goes on failing: power is lost, or room.
    pub(super) for_good: bool,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What would be found after a loss of power.
    pub(super) durable: Vec<u8>,
    /// What was written and not synced: where, and what.
    pending: Vec<(usize, Vec<u8>)>,
    pub(super) plan: Plan,
}

/// A handle on a disk that outlives the process that writes to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(pub(super) Rc<RefCell<Disk>>);

impl Shared {
    pub(super) fn new(durable: Vec<u8>) -> Self {
        Self(Rc::new(RefCell::new(Disk { durable, ..Disk::default() })))
    }

    /// With `mark` in both slots.
    pub(super) fn settled(mark: u64) -> Self {
        Self::new(slot::file(kept(mark, false), 7, FINGERPRINT))
    }

    pub(super) fn plan(&self, plan: Plan) {
        self.0.borrow_mut().plan = plan;
    }

    pub(super) fn durable(&self) -> Vec<u8> {
        self.0.borrow().durable.clone()
    }

    /// What a process that starts now makes of it: what it read, and the slots, repaired.
    pub(super) fn open(&self) -> Result<(slot::Read, Slots<Self>), slot::Unreadable> {
        self.0.borrow_mut().pending.clear();
        let read = slot::read(&self.durable(), FINGERPRINT)?;
        Ok((read, Slots::new(self.clone(), read, FINGERPRINT)))
    }
}

impl Disk {
    fn reach(&mut self, at: usize, bytes: &[u8], which: Range<usize>) {
        for place in which.start.min(bytes.len())..which.end.min(bytes.len()) {
            self.durable[at + place] = bytes[place];
        }
    }

    /// Whether this operation fails; then some of what is pending reaches the disk.
    fn fails(&mut self) -> io::Result<()> {
        match &mut self.plan.fails_after {
            None => return Ok(()),
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                return Ok(());
            }
        }
        let which = self.plan.reaches.clone();
        for (at, bytes) in std::mem::take(&mut self.pending) {
            self.reach(at, &bytes, which.clone());
        }
        if !self.plan.for_good {
            self.plan.fails_after = None;
        } else {
            self.plan.reaches = 0..0;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl Store for Shared {
    fn write_at(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        disk.pending.push((at, bytes.to_vec()));
        disk.fails()
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        disk.fails()?;
        for (at, bytes) in std::mem::take(&mut disk.pending) {
            disk.reach(at, &bytes, 0..bytes.len());
        }
        Ok(())
    }
}
