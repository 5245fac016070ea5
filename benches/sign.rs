//! What signing one call costs: a payload of 150 bytes, from the nonce to the three headers.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use geminid::bench::Signer;

const PARAMETERS: &str = r#""symbol":"btcusd","amount":"5","price":"3633.00","side":"buy","type":"exchange limit","options":["x"]"#;

fn sign(c: &mut Criterion) {
    let signer = Signer::new("account-0123456789abcdef", "0123456789abcdef0123456789abcdef");
    let mut nonce = 1_790_000_000_000_u64;
    c.bench_function("sign a payload of 150 bytes", |b| {
        b.iter(|| {
            nonce += 1;
            black_box(signer.sign(black_box(nonce), black_box(PARAMETERS)))
        });
    });
}

criterion_group!(benches, sign);
criterion_main!(benches);
