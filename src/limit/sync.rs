//! What the budgets lock with: std's lock, or its double where all interleavings are tried out
//! (`just model`).

#[cfg(all(test, model))]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, model)))]
pub(super) use std::sync::{Mutex, MutexGuard};
