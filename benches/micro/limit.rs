//! What it costs to count what clients spend.

use std::path::Path;

use criterion::{BatchSize, Criterion};
use geminid::bench::{Budgets, Permit};
use tokio::runtime::Builder;

use crate::bot;

pub(crate) fn all(c: &mut Criterion) {
    lives(c);
    disk(c);
}

/// From the admission of an order to its end; and where nothing is counted.
fn lives(c: &mut Criterion) {
    let (_, caller, read) = bot::order();
    for (what, limited, n_clients) in
        [("no limits", false, 10), ("limits", true, 10), ("limits", true, 10_000)]
    {
        let budgets = Budgets::new(n_clients, limited);
        let permit = || budgets.permit(&caller, &read).unwrap();
        assert!((0..n_clients).all(|n| budgets.place(n, permit())), "each has an open order");
        let full = (0..10).filter(|_| budgets.place(0, permit())).count();
        assert_eq!(full, if limited { 9 } else { 10 }, "ten may be open");
        // Clients in turn, as they come: what is fetched for one is cold for the next.
        let mut next = (1..n_clients).cycle();
        let mut life = |permit: Permit| budgets.life(next.next().unwrap(), permit);
        c.bench_function(&format!("limit/an order, {what}, {n_clients} clients"), |b| {
            b.iter_batched(permit, &mut life, BatchSize::SmallInput);
        });
    }
}

fn disk(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-budgets");
    let (_, caller, read) = bot::order();
    let budgets = Budgets::open(&path);
    let runtime = Builder::new_current_thread().build().unwrap();
    let reserve = |permit: Permit| runtime.block_on(budgets.reserve(permit)).unwrap();
    c.bench_function("limit/a reservation, safe on this machine's disk", |b| {
        b.iter_batched(|| budgets.permit(&caller, &read).unwrap(), reserve, BatchSize::SmallInput);
    });
}
