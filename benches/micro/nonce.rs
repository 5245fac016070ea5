//! Turn, nonce and end of a call in a lane; and the mark on a real disk.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use geminid::bench::{Marks, Permit, Turns};
use tokio::runtime::Builder;

use crate::bot;

pub(crate) fn all(c: &mut Criterion) {
    for (what, timed) in [("time", true), ("increasing", false)] {
        alone(c, what, timed);
    }
    tended(c);
    marks(c);
}

/// Nobody else is awake: what the locks and the sequence cost. The mark is looked after after each call.
fn alone(c: &mut Criterion, what: &str, timed: bool) {
    let (balances, turns) = (bot::balances(), Turns::new(timed));
    let call = |permit: Permit| {
        let nonce = turns.call_at_once(permit);
        turns.raise();
        nonce
    };
    turns.raise();
    let [first, second] = [(); 2].map(|()| call(bot::permit(&balances)).unwrap());
    assert!(first < second && first.contains('.') == timed, "{first} {second}");
    c.bench_function(&format!("nonce/{what}"), |b| {
        b.iter_batched(|| bot::permit(&balances), call, BatchSize::SmallInput);
    });
}

/// As the process has it: the task that tends the marks is beside, on a runtime of two threads.
fn tended(c: &mut Criterion) {
    const CHUNK: usize = 64;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (balances, turns) = (bot::balances(), Turns::new(true));
    turns.raise();
    runtime.block_on(async { turns.tend() });
    let round = |n_calls: usize| {
        let permits: Vec<Permit> = (0..n_calls).map(|_| bot::permit(&balances)).collect();
        let turns = turns.clone();
        let calls = async move {
            let began = Instant::now();
            for permit in permits {
                assert!(turns.call(permit).await.is_some());
                // A request waits for its answer here: others go on.
                tokio::task::yield_now().await;
            }
            began.elapsed()
        };
        runtime.block_on(async { tokio::spawn(calls).await.unwrap() })
    };
    c.bench_function("nonce/time, marks tended by a task", |b| {
        b.iter_custom(|n_calls| {
            let mut left = usize::try_from(n_calls).unwrap();
            let mut taken = Duration::ZERO;
            while left > 0 {
                let now = left.min(CHUNK);
                taken += round(now);
                left -= now;
            }
            taken
        });
    });
}

fn marks(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-marks");
    let mut marks = Marks::open(&path);
    let (first, second) = (marks.write().unwrap(), marks.write().unwrap());
    assert!(first < second);
    c.bench_function("journal/a mark, safe on this machine's disk", |b| {
        b.iter(|| marks.write().unwrap());
    });
}
