//! What is told, to the letter.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tracing::field::{Field, Visit};
use tracing::{Event as Happening, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::*;
use crate::call::{
    self, Effect, Freeze, Identified, Order, OrderState, Scope, Transfer, Withdrawal,
};
use crate::clock::{ManualClock, Ulid};
use crate::decimal::Decimal;
use crate::journal::log::Durability;
use crate::journal::trail::{FOLDER, Lines, Trail, parts, verify};
use crate::json::Object;
use crate::limit;
use crate::observe::{Metrics, Observer, Recent};
use crate::policy::{Case, Denial, Grant, KeyFacts, Mode, Orders, Permit, decide};
use crate::refusal::Refusal;

const NOW: UnixMicros = UnixMicros(1_795_219_200_000_000);

fn facts() -> Facts {
    Facts {
        request_id: Ulid::default(),
        peer: Some(Peer::at("127.0.0.1".parse().unwrap())),
        method: "POST".into(),
        ..Facts::default()
    }
}

fn known() -> Facts {
    Facts {
        client: Some(ClientId::new("bot")),
        identity: Some(Identity::Token),
        operation: Some(OperationName::new("create_order")),
        scope: Some("orders:create"),
        key: Some(KeyName::new("trading")),
        decision: "allowed",
        rule: Some("scopes: orders:create".to_owned()),
        policy: "p1".into(),
        payload_sha256: Some("ab".repeat(32)),
        client_order_id: Some("mine-1".to_owned()),
        details: Some(Box::new(Details {
            symbol: Some("btcusd".to_owned()),
            side: Some("buy".to_owned()),
            kind: Some("exchange limit".to_owned()),
            amount: Some("1.5".to_owned()),
            price: Some("100".to_owned()),
            time_in_force: Some("maker-or-cancel".to_owned()),
            notional: Some("150".to_owned()),
            ..Details::default()
        })),
        ..facts()
    }
}

#[track_caller]
fn check(facts: &Facts, event: Event, expected: &str) {
    let begin = r#""at":"2026-11-21T00:00:00.000000Z","event":"#;
    assert_eq!(line(facts, event, NOW), format!("{begin}{expected}"));
}

#[test]
fn lines_to_the_letter() {
    check(
        &facts(),
        Event::Request,
        r#""request","request_id":"00000000000000000000000000","peer":"127.0.0.1","method":"POST","status":0,"n_resigns":0,"upstream_ms":0,"total_ms":0"#,
    );
    check(
        &known(),
        Event::Intent,
        &format!(
            r#""intent","request_id":"00000000000000000000000000","client":"bot","identity":"token","peer":"127.0.0.1","method":"POST","operation":"create_order","scope":"orders:create","key":"trading","decision":"allowed","rule":"scopes: orders:create","policy":"p1","payload_sha256":"{}","client_order_id":"mine-1","symbol":"btcusd","side":"buy","type":"exchange limit","amount":"1.5","price":"100","time_in_force":"maker-or-cancel","notional":"150""#,
            "ab".repeat(32)
        ),
    );
    let over = Facts {
        status: 200,
        outcome: Some(Outcome::Executed),
        n_resigns: 1,
        waited: Some(Duration::from_millis(3)),
        upstream: Duration::from_micros(12_999),
        total: Duration::from_millis(17),
        order_id: Some("12345678901234567890".to_owned()),
        would_refuse: Some("order-too-large"),
        details: None,
        payload_sha256: None,
        decision: "observed",
        ..known()
    };
    check(
        &over,
        Event::Request,
        r#""request","request_id":"00000000000000000000000000","client":"bot","identity":"token","peer":"127.0.0.1","method":"POST","operation":"create_order","scope":"orders:create","key":"trading","status":200,"outcome":"executed","n_resigns":1,"wait_ms":3,"upstream_ms":12,"total_ms":17,"decision":"observed","rule":"scopes: orders:create","policy":"p1","would_refuse":"order-too-large","order_id":"12345678901234567890","client_order_id":"mine-1""#,
    );
    // Who is refused before anything is decided is refused all the same.
    let refused = Facts {
        status: 401,
        outcome: Some(Outcome::NotSent),
        decided_by: Some("proxy"),
        cause: Some("client-unidentified"),
        ..facts()
    };
    check(
        &refused,
        Event::Request,
        r#""request","request_id":"00000000000000000000000000","peer":"127.0.0.1","method":"POST","status":401,"outcome":"not_sent","decided_by":"proxy","cause":"client-unidentified","n_resigns":0,"upstream_ms":0,"total_ms":0,"decision":"refused""#,
    );
    let withdrawal = Facts {
        details: Some(Box::new(Details {
            account: Some("cold".to_owned()),
            currency: Some("btc".to_owned()),
            network: Some("bitcoin".to_owned()),
            address: Some("a\"\n\u{9b}31m\u{202e}".to_owned()),
            memo: Some(String::new()),
            ..Details::default()
        })),
        ..facts()
    };
    check(
        &withdrawal,
        Event::Intent,
        r#""intent","request_id":"00000000000000000000000000","peer":"127.0.0.1","method":"POST","account":"cold","currency":"btc","network":"bitcoin","address":"a\"\u000a\u009b31m\u202e","memo":"""#,
    );
}

#[test]
fn details_of_orders_transfers_and_withdrawals() {
    let of = |call: &Call| Details::of(call).map(|it| *it);
    let mut call = call::example("create_order", Some(Scope::OrdersCreate), Effect::Trade);
    assert_eq!(of(&call), None);
    let text = |it: &str| Some(it.to_owned());
    call.order = Some(Box::new(Order {
        symbol: text("BTCUSD"),
        side: text("sell"),
        kind: text("exchange limit"),
        amount: text("1"),
        price: text("2"),
        options: vec!["maker-or-cancel".to_owned(), "x".to_owned()],
        ..Order::default()
    }));
    let expected = Details {
        symbol: text("BTCUSD"),
        side: text("sell"),
        kind: text("exchange limit"),
        amount: text("1"),
        price: text("2"),
        time_in_force: text("maker-or-cancel,x"),
        ..Details::default()
    };
    assert_eq!(of(&call), Some(expected));
    let mut call = call::example("transfer", None, Effect::Transfer);
    let (currency, target, amount) = (text("btc"), text("cold"), text("1"));
    let transfer = Transfer { currency, target, amount, ..Transfer::default() };
    call.transfer = Some(Box::new(transfer));
    let expected = Details {
        currency: text("btc"),
        address: text("cold"),
        amount: text("1"),
        ..Details::default()
    };
    assert_eq!(of(&call), Some(expected));
    let mut call = call::example("withdraw", None, Effect::FiatWithdrawal);
    let bank = text("bank-7");
    call.withdrawal =
        Some(Withdrawal { currency: "usd".to_owned(), bank, ..Withdrawal::default() });
    let expected = Details { currency: text("usd"), address: text("bank-7"), ..Details::default() };
    assert_eq!(of(&call), Some(expected));
}

proptest! {
    #[test]
    fn whatever_a_client_writes_is_one_line_of_json(words in prop::collection::vec(any::<String>(), 4)) {
        let mut facts = known();
        facts.client_order_id = Some(words[0].clone());
        facts.method = words[1].clone().into();
        let (symbol, address) = (Some(words[2].clone()), Some(words[3].clone()));
        facts.details = Some(Box::new(Details { symbol, address, ..Details::default() }));
        let told = format!("{{{}}}", line(&facts, Event::Request, NOW));
        prop_assert!(told.bytes().all(|it| matches!(it, b' '..=b'~')), "{told}");
        let read: serde_json::Value = serde_json::from_str(&told).unwrap();
        prop_assert_eq!(&read["client_order_id"], &*words[0]);
        prop_assert_eq!(&read["symbol"], &*words[2]);
        prop_assert_eq!(&read["address"], &*words[3]);
    }
}

/// The names of an event's fields.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Names {
    fn on_event(&self, event: &Happening<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Names {
    fn record_debug(&mut self, field: &Field, _: &dyn Debug) {
        self.0.lock().unwrap().push(field.name());
    }
}

#[test]
fn log_and_trail_have_one_word_for_one_thing() {
    let mut full = known();
    full.order_id = Some("1".to_owned());
    full.would_refuse = Some("symbol-refused");
    full.outcome = Some(Outcome::Executed);
    full.decided_by = Some("upstream");
    full.cause = Some("key-role-missing");
    full.waited = Some(Duration::ZERO);
    let names = Names::default();
    let registry = tracing_subscriber::registry().with(names.clone());
    tracing::subscriber::with_default(registry, || log(&full));
    let logged: BTreeSet<&str> = names.0.lock().unwrap().drain(..).collect();
    let told = format!("{{{}}}", line(&full, Event::Request, NOW));
    let told: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&told).unwrap();
    let told: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    let only_logged: Vec<_> = logged.difference(&told).collect();
    assert_eq!(only_logged, [&"message"]);
    let only_told = [
        "amount",
        "at",
        "event",
        "notional",
        "payload_sha256",
        "policy",
        "price",
        "side",
        "symbol",
        "time_in_force",
        "type",
    ];
    assert_eq!(told.difference(&logged).copied().collect::<Vec<_>>(), only_told);
    // The documentation has them all.
    let docs = include_str!("../../../docs/audit.md");
    for name in told.iter().chain(&["account", "currency", "network", "address", "memo", "nonce"]) {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// What the trail has of some requests, without numbers, times and hashes.
async fn told(tell: impl FnOnce(&Arc<Observer>)) -> (Vec<serde_json::Value>, String) {
    let id = Ulid::new(NOW);
    let dir = std::env::temp_dir().join(format!("geminid-observe-{}", id.as_str()));
    std::fs::create_dir_all(&dir).unwrap();
    let clock: Arc<ManualClock> = Arc::new(ManualClock::new(NOW));
    let trail = Trail::start(&dir, Durability::Group, clock.clone()).unwrap();
    trail.note("start", &[]);
    let metrics = Metrics::new(&trail);
    let observer =
        Arc::new(Observer { clock, metrics, trail: trail.clone(), recent: Recent::default() });
    tell(&observer);
    let metrics = observer.metrics.render();
    trail.close().await;
    let audit = dir.join(FOLDER);
    verify(&audit, 1).unwrap().unwrap();
    let mut found = Vec::new();
    for part in parts(&audit).unwrap() {
        let mut lines = Lines::open(&part.path).unwrap();
        while let Some(raw) = lines.next().unwrap() {
            found.push(serde_json::from_slice(raw.text).unwrap());
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
    (found, metrics)
}

fn order() -> Call {
    let mut call = call::example("create_order", Some(Scope::OrdersCreate), Effect::Trade);
    call.parameters = Object::parse(br#"{"symbol":"btcusd","amount":"1"}"#).unwrap();
    call
}

#[tokio::test]
async fn a_change_is_told_before_and_after_whatever_becomes_of_it() {
    let peer = &Peer::at("127.0.0.1".parse().unwrap());
    let (lines, metrics) = told(|observer| {
        let mut finished = observer.begin("POST", peer);
        finished.call(&order());
        drop(finished.intend(&order()));
        finished.detach();
        finished.facts.would_refuse = Some("order-too-large");
        finished.finish(http::StatusCode::OK, Outcome::Executed);
        // Its client left, or it panicked.
        let mut dropped = observer.begin("POST", peer);
        dropped.call(&order());
        drop(dropped.intend(&order()));
        dropped.detach();
        drop(dropped);
        let mut read = observer.begin("GET", peer);
        let balances = call::example("balances", Some(Scope::BalancesRead), Effect::Read);
        read.call(&balances);
        drop(read.intend(&balances));
        read.finding(&Refusal::Replay.finding());
        read.finish(http::StatusCode::FORBIDDEN, Outcome::NotSent);
    })
    .await;
    let said: Vec<String> = lines
        .iter()
        .map(|it| {
            let words = ["event", "outcome", "decided_by", "decision"];
            words.map(|name| it[name].as_str().unwrap_or("-")).join(" ")
        })
        .collect();
    let expected = [
        "note - - -",
        "intent - - -",
        "request executed - -",
        "intent - - -",
        "request unknown aborted -",
        "request not_sent proxy refused",
    ];
    assert_eq!(said, expected);
    // printf '{"symbol":"btcusd","amount":"1"}' | sha256sum
    let digest = "c6840d67dddd72bd2a065ec412b2022cc2526920abf20a00151b43a969c43ec3";
    assert_eq!(lines[1]["payload_sha256"], digest);
    assert_eq!(lines[2]["payload_sha256"], digest);
    assert_eq!(lines[5].get("payload_sha256"), None);
    assert_eq!(lines[1]["request_id"], lines[2]["request_id"]);
    for expected in [
        "geminid_audit_lines_total 6",
        "geminid_audit_lost_total 0",
        "geminid_audit_fault 0",
        r#"geminid_audit_mutating_requests_total{recorded="intent_and_outcome"} 2"#,
        r#"geminid_would_refuse_total{client="",cause="order-too-large"} 1"#,
    ] {
        assert!(metrics.contains(expected), "{expected}\n{metrics}");
    }
}

/// A client that may trade for 100 dollars.
/// Ids are foreign words, and an answer may lack the one that the client gave.
#[tokio::test]
async fn ids_of_orders_are_kept_and_not_long() {
    let peer = &Peer::at("127.0.0.1".parse().unwrap());
    let state = |id: &str, name: Option<&str>| {
        let client_order_id = name.map(str::to_owned);
        let (order_id, executed) = (id.to_owned(), Decimal::default());
        let state = OrderState {
            order_id,
            client_order_id,
            symbol: None,
            live: true,
            executed,
            remaining: None,
        };
        call::Orders::Each(vec![state])
    };
    let long = "x".repeat(10_000);
    let (lines, _) = told(|observer| {
        for (own, said) in [("mine", state("7", None)), (&*long, state(&long, Some(&long)))] {
            let mut call = order();
            let client_order_id = Some(own.to_owned());
            call.order = Some(Box::new(Order { client_order_id, ..Order::default() }));
            let mut record = observer.begin("POST", peer);
            record.call(&call);
            record.orders(&call, &said);
            let ids = [&record.facts.order_id, &record.facts.client_order_id];
            assert!(ids.iter().all(|it| it.as_ref().is_some_and(|it| it.len() <= 257)), "{ids:?}");
            record.finish(http::StatusCode::OK, Outcome::Executed);
        }
    })
    .await;
    assert_eq!(
        (&lines[1]["client_order_id"], &lines[1]["order_id"]),
        (&"mine".into(), &"7".into())
    );
    assert_eq!(lines[2]["order_id"], "x".repeat(256) + "...");
}

fn decided(observes: bool, amount: &str) -> (Call, Result<Permit, Denial>) {
    let mut grant = Grant::of([Scope::OrdersCreate]);
    let most = Decimal::parse("100").unwrap();
    let max_notional = [("usd".to_owned(), most)].into();
    grant.orders = Some(Orders { max_notional, ..Orders::default() });
    grant.mode = if observes { Mode::Observe } else { Mode::Enforce };
    let text = |it: &str| Some(it.to_owned());
    let mut call = order();
    call.order = Some(Box::new(Order {
        symbol: text("btcusd"),
        side: text("buy"),
        kind: text("exchange limit"),
        amount: text(amount),
        price: text("0.5"),
        client_order_id: text("mine"),
        ..Order::default()
    }));
    let who = Identified::proven(ClientId::new("bot"), Identity::Token);
    let key = KeyFacts::default();
    let case = Case { grant: &grant, key, who: &who, freeze: Freeze::No, quote: None };
    (call.clone(), decide(&case, call))
}

#[tokio::test]
async fn what_the_policy_said() {
    let (lines, _) = told(|observer| {
        for (observes, amount) in [(false, "200"), (false, "200.1"), (true, "200.1")] {
            let (call, said) = decided(observes, amount);
            let mut record = observer.begin("POST", &Peer::at("127.0.0.1".parse().unwrap()));
            record.call(&call);
            match said {
                Ok(permit) => {
                    record.judged(permit.rule());
                    let would = permit.would_refuse().map(|it| (it.rule(), "order-too-large"));
                    record.allowed(&limit::free(permit), would);
                }
                Err(denial) => record.judged(&denial.rule()),
            }
            record.finish(http::StatusCode::OK, Outcome::Executed);
        }
    })
    .await;
    let words = ["decision", "rule", "would_refuse", "currency", "notional", "client_order_id"];
    let said = |n: usize| words.map(|name| lines[n][name].as_str().unwrap_or("-")).join(" | ");
    assert_eq!(said(1), "allowed | scopes: orders:create | - | usd | 100 | mine");
    assert_eq!(said(2), "refused | orders.max_notional.usd | - | - | - | mine");
    assert_eq!(
        said(3),
        "observed | orders.max_notional.usd | order-too-large | usd | 100.05 | mine"
    );
}

#[tokio::test]
async fn nothing_is_sent_before_its_intent_is_written() {
    let dir = std::env::temp_dir().join(format!("geminid-intent-{}", Ulid::new(NOW).as_str()));
    std::fs::create_dir_all(&dir).unwrap();
    let clock: Arc<ManualClock> = Arc::new(ManualClock::new(NOW));
    let ended = Trail::start(&dir, Durability::Interval, clock.clone()).unwrap();
    ended.clone().close().await;
    for (trail, is_written) in [(Trail::off(), true), (ended, false)] {
        let metrics = Metrics::new(&trail);
        let observer =
            Arc::new(Observer { clock: clock.clone(), metrics, trail, recent: Recent::default() });
        let mut record = observer.begin("POST", &Peer::at("127.0.0.1".parse().unwrap()));
        record.call(&order());
        let written = record.intend(&order()).written().await;
        assert_eq!(written.is_ok(), is_written, "{written:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn what_was_sent_without_an_intent_is_counted() {
    let (lines, metrics) = told(|observer| {
        let mut record = observer.begin("POST", &Peer::at("127.0.0.1".parse().unwrap()));
        record.call(&order());
        record.finish(http::StatusCode::OK, Outcome::Executed);
    })
    .await;
    assert_eq!(lines.len(), 2);
    let expected = r#"geminid_audit_mutating_requests_total{recorded="nothing_before"} 1"#;
    assert!(metrics.contains(expected), "{metrics}");
}
