//! Everything that runs through the real binary, the simulated exchange, or both. One binary, so that
//! the suite links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "that is how a test says no")]
#![expect(clippy::indexing_slicing, reason = "a missing part fails the test, as it should")]
#![expect(clippy::disallowed_types, reason = "tests wait in real time, for real processes")]
#![expect(clippy::disallowed_methods, reason = "tests start what they test")]

mod annotation;
mod audit;
mod catalog;
mod command_line;
mod corpus;
mod credentials;
mod diagnoses;
mod doctor;
mod doors;
mod egress;
mod explain;
mod grants;
mod incidents;
mod journal;
mod lifecycle;
mod limits;
mod nonces;
mod operator;
mod rotation;
mod secrets;
mod simulator;
mod stories;
mod support;
mod through;
mod upstream;
mod upstream_bytes;
mod upstream_long;
mod upstream_relay;
