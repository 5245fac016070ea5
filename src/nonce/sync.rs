//! What a lane locks with: std's locks, or loom's where all interleavings are tried out
//! (`just model`). An own name, because `--cfg loom` takes tokio's sockets away.

#[cfg(all(test, model))]
pub(in crate::nonce) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, model)))]
pub(in crate::nonce) use std::sync::{Mutex, MutexGuard};
