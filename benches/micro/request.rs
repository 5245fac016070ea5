//! From the bytes of a head to a permit: head, target, route, identification, policy, replays.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use geminid::bench::{self, Catalogue, Clients, Doors, Replays};
use http::HeaderMap;

use crate::bot;

pub(crate) fn all(c: &mut Criterion) {
    heads(c);
    routes(c);
    identities(c);
    decisions(c);
    limits(c);
    replays(c);
}

fn heads(c: &mut Criterion) {
    for (what, headers) in [("token", bot::with_token(0)), ("stand-in", bot::with_stand_in(0))] {
        let head = bot::wire(&headers);
        assert!(bench::judge(&head).is_some());
        assert!(parsed(&head));
        c.bench_function(&format!("head/{what}, judged"), |b| {
            b.iter(|| bench::judge(black_box(&head)));
        });
        c.bench_function(&format!("head/{what}, httparse"), |b| b.iter(|| parsed(&head)));
        let (doors, parts) = (Doors::new(), bot::parts(headers));
        assert_eq!(doors.target(&parts), Some(("/v1/order/new".to_owned(), None)));
        c.bench_function(&format!("head/{what}, target"), |b| {
            b.iter(|| doors.target(black_box(&parts)));
        });
    }
}

/// What hyper does with the same bytes, before it makes headers of them.
fn parsed(head: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(black_box(head)).is_ok_and(|it| it.is_complete())
}

fn routes(c: &mut Criterion) {
    let catalogue = Catalogue::new();
    for (what, method, path, name) in [
        ("literal", "POST", "/v1/order/new", Some("create_order")),
        ("parameters", "GET", "/v2/candles/btcusd/1m", Some("list_candles")),
        ("parameters, one", "GET", "/v1/pubticker/btcusd", Some("get_ticker_v1")),
        ("unknown", "POST", "/v1/order/amend", None),
    ] {
        assert_eq!(catalogue.find(method, path).name(), name);
        c.bench_function(&format!("route/{what}"), |b| {
            b.iter(|| catalogue.find(black_box(method), black_box(path)));
        });
    }
}

type Headers = fn(usize) -> HeaderMap;

fn identities(c: &mut Criterion) {
    for n_clients in [1, 100, 10_000] {
        let clients = Clients::new(n_clients);
        for (what, headers) in [
            ("token", bot::with_token as Headers),
            ("basic", bot::with_basic),
            ("stand-in", bot::with_stand_in),
        ] {
            // Requests of many clients in turn, as they come: what is fetched for one is cold for the next.
            let n_asking = n_clients.min(256);
            let place = |n: usize| n * n_clients / n_asking;
            let asking: Vec<_> = (0..n_asking).map(|n| headers(place(n))).collect();
            for (n, headers) in asking.iter().enumerate() {
                let caller = clients.identify(headers).unwrap();
                assert_eq!(caller.name(), format!("bot-{}", place(n)));
            }
            let mut next = asking.iter().cycle();
            c.bench_function(&format!("identify/{what}, {n_clients} clients"), |b| {
                b.iter(|| clients.identify(next.next().unwrap()));
            });
        }
    }
}

fn decisions(c: &mut Criterion) {
    let (clients, caller, read) = bot::order();
    let permit = clients.decide(&caller, read.clone()).unwrap();
    assert_eq!(permit.operation(), "create_order");
    c.bench_function("policy/an order", |b| {
        let one = || read.clone();
        b.iter_batched(one, |read| clients.decide(&caller, read), BatchSize::SmallInput);
    });
    let address = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let body = format!(r#"{{"address":"{address}","amount":"1.5"}}"#);
    let read = Catalogue::new().read("/v1/withdraw/btc", &bot::with_token(0), body.as_bytes());
    let read = read.unwrap();
    for n_addresses in [1, 100] {
        let clients = Clients::withdrawing(n_addresses, address);
        let caller = clients.identify(&bot::with_token(0)).unwrap();
        let permit = clients.decide(&caller, read.clone()).unwrap();
        assert_eq!(permit.operation(), "withdraw_crypto_v1");
        c.bench_function(&format!("policy/a withdrawal, {n_addresses} addresses"), |b| {
            let one = || read.clone();
            b.iter_batched(one, |read| clients.decide(&caller, read), BatchSize::SmallInput);
        });
    }
}

/// A client with a hundred grants of every kind.
fn limits(c: &mut Criterion) {
    let address = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let clients = Clients::limited("btcusd", address);
    let caller = clients.identify(&bot::with_token(0)).unwrap();
    let order = |side: &str| {
        format!(
            r#"{{"symbol":"btcusd","amount":"0.12345678","price":"64999.99","side":"{side}","type":"exchange limit","options":["maker-or-cancel"]}}"#
        )
    };
    let withdrawal = format!(r#"{{"address":"{address}","amount":"1.5"}}"#);
    for (what, path, body) in [
        ("a buy", "/v1/order/new", order("buy")),
        ("a sell", "/v1/order/new", order("sell")),
        ("a withdrawal", "/v1/withdraw/btc", withdrawal),
        ("a read", "/v1/balances", String::new()),
    ] {
        let read = Catalogue::new().read(path, &bot::with_token(0), body.as_bytes()).unwrap();
        assert!(clients.decide(&caller, read.clone()).is_some(), "{what}");
        c.bench_function(&format!("policy/100 grants, {what}"), |b| {
            let one = || read.clone();
            b.iter_batched(one, |read| clients.decide(&caller, read), BatchSize::SmallInput);
        });
    }
}

/// With as many signatures in memory as come in five minutes at 1 and 1,000 a second.
fn replays(c: &mut Criterion) {
    for per_second in [1_u64, 1_000] {
        let replays = Replays::default();
        let signature = |n: u64| format!("{n:096x}");
        let at = |n: u64| Duration::from_micros(n * 1_000_000 / per_second);
        let mut n = 0;
        let mut next = || {
            n += 1;
            (signature(n), at(n))
        };
        let spend = |(signature, at): (String, Duration)| replays.spend(signature.as_bytes(), at);
        assert!((0..400 * per_second).all(|_| spend(next())));
        c.bench_function(&format!("replay/a new signature, {per_second} a second"), |b| {
            b.iter_batched(&mut next, spend, BatchSize::SmallInput);
        });
        assert!(!spend((signature(n), at(n))), "it was seen");
    }
}
