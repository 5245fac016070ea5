//! The end of a request: a rejection explained, and what is told of it.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;

use criterion::Criterion;
use geminid::bench::{Clients, Records, Signer, log};
use http::StatusCode;

use crate::bot;

const MISSING_ROLE: &str = r#"{"result":"error","reason":"MissingRole","message":"To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [Trader] to API key account-0123456789abcdef which currently has roles [Auditor]"}"#;

pub(crate) fn all(c: &mut Criterion) {
    rejections(c);
    records(c);
}

fn rejections(c: &mut Criterion) {
    let signer = Signer::new("account-0123456789abcdef", "0123456789abcdef0123456789abcdef");
    // One KiB, as what some edges send.
    let padded = format!("{}{}", MISSING_ROLE, " ".repeat(1_024 - MISSING_ROLE.len()));
    let body = padded.as_bytes();
    let explained = signer.explain(StatusCode::FORBIDDEN, body).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&explained).unwrap();
    assert_eq!(read.pointer("/diagnosis/cause").unwrap(), "key-role-missing");
    assert!(!explained.windows(16).any(|it| it == b"0123456789abcdef"));
    let report = read.get("diagnosis").unwrap().to_string();
    assert!(signer.splice(body, "why", &report).is_some());
    c.bench_function("rejection/explained", |b| {
        b.iter(|| signer.explain(StatusCode::FORBIDDEN, black_box(body)));
    });
    c.bench_function("rejection/of that, the splice", |b| {
        b.iter(|| signer.splice(black_box(body), "the key lacks a role", &report));
    });
}

fn records(c: &mut Criterion) {
    let read = bot::order().2;
    for n_clients in [1, 10_000] {
        let (clients, records) = (Clients::new(n_clients), Records::new());
        let caller = |n: usize| clients.identify(&bot::with_token(n)).unwrap();
        // Everyone has called before.
        let callers: Vec<_> = (0..n_clients).map(caller).collect();
        callers.iter().for_each(|it| records.tell(it, &read));
        let last = format!(r#"client="bot-{}",operation="create_order""#, n_clients - 1);
        assert!(records.metrics().contains(&last), "{}", records.metrics());
        let mut next = callers.iter().cycle();
        c.bench_function(&format!("record/metrics, {n_clients} clients"), |b| {
            b.iter(|| records.tell(next.next().unwrap(), &read));
        });
    }
    lines(c);
}

fn lines(c: &mut Criterion) {
    let ((_, caller, read), records) = (bot::order(), Records::new());
    let lines = Lines::default();
    tracing::subscriber::with_default(log(lines.clone()), || records.tell(&caller, &read));
    // Another thread writes it.
    while lines.0.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(line.contains(r#""operation":"create_order""#) && line.ends_with("}\n"), "{line}");
    tracing::subscriber::with_default(log(io::sink()), || {
        c.bench_function("record/metrics and a line of JSON to nowhere", |b| {
            b.iter(|| records.tell(&caller, &read));
        });
    });
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
