//! Reading JSON: our strict reader, and `serde_json::Value`, which takes more and keeps less.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use geminid::bench::Catalogue;
use geminid::fuzzing;
use serde_json::Value;

use crate::bot;

pub(crate) fn all(c: &mut Criterion) {
    let batch = bot::batch();
    for (what, text) in [("an order", bot::ORDER), ("8 KiB", &batch)] {
        let read = fuzzing::json(text.as_bytes()).unwrap();
        assert_eq!(read.written(), text);
        assert_eq!(serde_json::from_str::<Value>(text).unwrap().to_string().len(), text.len());
        c.bench_function(&format!("json/{what}, strict"), |b| {
            b.iter(|| fuzzing::json(black_box(text.as_bytes())));
        });
        c.bench_function(&format!("json/{what}, serde_json::Value"), |b| {
            b.iter(|| serde_json::from_slice::<Value>(black_box(text.as_bytes())));
        });
        c.bench_function(&format!("json/{what}, written"), |b| b.iter(|| read.written()));
    }
    whole(c, &batch);
}

/// From the body, or the payload's header, to a call.
fn whole(c: &mut Criterion, batch: &str) {
    let catalogue = Catalogue::new();
    let (token, pair) = (bot::with_token(0), bot::with_stand_in(0));
    let (new, many) = ("/v1/order/new", "/v1/prediction-markets/order/batch");
    let cases = [
        ("an order in its body", new, &token, bot::ORDER),
        ("an order in its payload", new, &pair, ""),
        ("8 KiB in its body", many, &token, batch),
    ];
    for (what, path, headers, body) in cases {
        let read = catalogue.read(path, headers, body.as_bytes()).unwrap();
        let parameters = read.parameters();
        assert!(parameters.contains(r#""side":"buy""#), "{parameters}");
        assert!(!parameters.contains(r#""nonce""#), "{parameters}");
        c.bench_function(&format!("read/{what}"), |b| {
            b.iter(|| catalogue.read(path, headers, black_box(body.as_bytes())));
        });
    }
    // What a round of `read` spends on giving its call back.
    let read = catalogue.read(new, &token, bot::ORDER.as_bytes()).unwrap();
    c.bench_function("read/an order dropped", |b| {
        b.iter_batched(|| read.clone(), drop, BatchSize::SmallInput);
    });
}
