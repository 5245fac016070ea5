//! What every call that works pays for knowing which do not.

use std::hint::black_box;

use criterion::Criterion;
use geminid::bench::Health;

pub(crate) fn all(c: &mut Criterion) {
    for (what, n_keys, n_open) in [("1 key", 1, 0), ("100 keys", 100, 0), ("an incident", 100, 1)] {
        let health = Health::new(n_keys);
        // On the last key; the calls that are measured are of all.
        let opened: usize = (0..n_open).map(|_| health.trouble(n_keys - 1)).sum();
        assert_eq!(opened, n_open, "incidents are open as said");
        let mut nth = 0_usize;
        c.bench_function(&format!("health/worked, {what}"), |b| {
            b.iter(|| {
                nth = nth.wrapping_add(7);
                health.worked(black_box(nth), black_box(nth))
            });
        });
    }
    let health = Health::new(1);
    assert!(health.gate(0), "nothing is wrong");
    c.bench_function("health/gate", |b| b.iter(|| health.gate(black_box(0))));
}
