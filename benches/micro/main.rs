//! What the parts of a request cost, each by itself: `cargo bench --bench micro`, in about a minute.
//! One part: `cargo bench --bench micro -- identify`.
//!
//! 1. Inputs are what bots and the exchange send. None is made up to be fast.
//! 2. Before anything is measured it is checked once: a refusal is quick, and no figure of what is
//!    meant.
//! 3. What is needed again for each round, such as a permit to use up, is made outside the measurement.

#![expect(clippy::unwrap_used, reason = "a bench whose inputs are wrong has failed")]
#![expect(clippy::disallowed_types, reason = "real time is what is measured")]
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

mod answer;
mod bot;
mod health;
mod json;
mod limit;
mod nonce;
mod request;
mod sign;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(40)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
        .without_plots()
}

criterion_group! {
    name = benches;
    config = quick();
    targets = sign::all, json::all, request::all, limit::all, nonce::all, health::all, answer::all
}
criterion_main!(benches);
