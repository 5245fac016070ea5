//! Second opinions: what the targets hold geminid's own readers against. None of it shares code with
//! what it checks.

#![forbid(unsafe_code)]

pub mod amount;
pub mod desk;
pub mod http;
pub mod json;
pub mod slot;
