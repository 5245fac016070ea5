//! geminid: a local signing proxy for Gemini.
//!
//! A bot sends an unsigned request here instead of to the exchange. `proxy` knows who it is, decides
//! by scope whether it may, signs with a key that the bot never sees, and explains every refusal.
//! Start reading there; `ARCHITECTURE.md` has the floor plan, and `tests/tidy.rs` holds it.
//!
//! From the ground up: words (`call`, `clock`, `decimal`, `json`, `secret`), judgement (`policy`, `diagnose`),
//! allocation (`limit`, `nonce`), upstreams (`provider`), wires (`message`, `task`, `config`, `egress`,
//! `inbound`, `journal`, `freeze`), outcome (`roster`, `refusal`, `ready`, `observe`, `answer`), assembly (`proxy`,
//! `emergency`, `reload`, `admin`, `app`), front (`simulator`, `cli`).

#![forbid(unsafe_code)]

mod admin;
mod answer;
mod app;
#[doc(hidden)]
pub mod bench;
mod call;
mod checkup;
mod clearance;
pub mod cli;
pub mod clock;
mod config;
mod decimal;
mod diagnose;
mod egress;
mod emergency;
mod errand;
mod freeze;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod inbound;
mod inquiry;
mod journal;
mod json;
mod limit;
mod message;
mod nonce;
mod observe;
mod outside;
mod pasted;
mod policy;
mod process;
mod provider;
mod proxy;
mod quotes;
mod ready;
mod refusal;
mod reload;
mod roster;
mod rotation;
mod secret;
pub mod simulator;
mod task;
