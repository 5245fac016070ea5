//! Everything that runs through the real binary, the simulated exchange, or both. One binary, so that
//! the suite links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod catalog;
mod simulator;
mod support;
