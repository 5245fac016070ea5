//! What the parts of one connection tell each other of its requests.
//!
//! The gate sees requests come, the connection sees answers end, and only both know that the HTTP
//! library has nothing in it. All of them run in the connection's own task: no order is asked of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::crowd::Seat;

#[derive(Debug, Default)]
pub(super) struct Traffic {
    // Heads that were let through, and whose answers have not ended.
    n_open: AtomicU32,
    // Whether, when it was last looked, nothing came, nor was expected soon.
    rests: AtomicBool,
    // Whether something was written, and its end not asked for.
    unflushed: AtomicBool,
    // Whether the socket outlives the library.
    stays: AtomicBool,
}

/// A request, until its answer is whole.
#[derive(Debug)]
pub(super) struct Open(Arc<Seat>);

impl Traffic {
    /// A head goes through.
    pub(super) fn open(&self) {
        self.n_open.fetch_add(1, Ordering::Relaxed);
        self.rests.store(false, Ordering::Relaxed);
    }

    pub(super) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Relaxed);
    }

    pub(super) fn write(&self, flushed: bool) {
        self.unflushed.store(!flushed, Ordering::Relaxed);
    }

    /// Whether the library has nothing to do, and nothing in it.
    pub(super) fn is_over(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
            && self.n_open.load(Ordering::Relaxed) == 0
            && !self.unflushed.load(Ordering::Relaxed)
    }

    /// Whether the end of the library is not the socket's.
    pub(super) fn stays(&self) -> bool {
        self.stays.load(Ordering::Relaxed)
    }

    pub(super) fn let_stay(&self, stays: bool) {
        self.stays.store(stays, Ordering::Relaxed);
    }
}

impl Open {
    /// The oldest request that has none of these yet.
    pub(super) fn new(seat: &Arc<Seat>) -> Self {
        Self(Arc::clone(seat))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.traffic.n_open.fetch_sub(1, Ordering::Relaxed);
    }
}
