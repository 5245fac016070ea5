//! The simulated exchange, over real TLS and through its public interface only.
//!
//! 1. The requests are signed here, by hand, as Gemini's documentation says.
//! 2. Every test has a simulator of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use geminid::clock::ManualClock;
use geminid::clock::UnixMicros;
use geminid::simulator::KeySpec;
use geminid::simulator::NonceRule;
use geminid::simulator::Options;
use geminid::simulator::Role;
use geminid::simulator::Simulator;
use geminid::simulator::Verdict;
use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use http::HeaderMap;
use http::Method;
use http::Request;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use serde_json::Value;
use serde_json::json;
use sha2::Sha384;

use crate::support::{Direct, trusting};

/// A key and its secret.
type Pair = (&'static str, &'static str);

/// A status and a reason.
type Refusal = (u16, &'static str);

const TRADER: Pair = ("account-simTrader000000001", "simulator-secret-trader");
const AUDITOR: Pair = ("account-simAuditor00000001", "simulator-secret-auditor");
const FUNDS: Pair = ("account-simFunds0000000001", "simulator-secret-funds");
const TIMED: Pair = ("account-simTimed0000000001", "simulator-secret-timed");
const MASTER: Pair = ("master-simGroup0000000001", "simulator-secret-master");

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn reason(&self) -> (u16, String) {
        (self.status, self.text("reason"))
    }

    fn message(&self) -> String {
        self.text("message")
    }

    fn text(&self, name: &str) -> String {
        let json = self.json();
        json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

struct Bench {
    simulator: Simulator,
    client: Direct,
}

impl Bench {
    async fn new(options: Options) -> Self {
        let simulator = Simulator::start(options).await.expect("started");
        let client = trusting(simulator.ca_pem());
        Self { simulator, client }
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> Option<Answer> {
        let request = request.body(Full::from(body.to_owned())).expect("a request");
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("{}{path}", self.simulator.url()))
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), "").await.expect("answered")
    }

    async fn try_call(&self, key: Pair, path: &str, payload: &Value) -> Option<Answer> {
        let mut payload = payload.clone();
        let members = payload.as_object_mut().expect("an object");
        members.entry("request").or_insert_with(|| path.into());
        let text = STANDARD.encode(payload.to_string());
        let request = self
            .request(Method::POST, path)
            .header("x-gemini-apikey", key.0)
            .header("x-gemini-signature", sign(key.1, &text))
            .header("x-gemini-payload", text)
            .header("content-length", "0")
            .header("content-type", "text/plain")
            .header("cache-control", "no-cache");
        self.send(request, "").await
    }

    async fn call(&self, key: Pair, path: &str, payload: Value) -> Answer {
        self.try_call(key, path, &payload).await.expect("answered")
    }

    #[track_caller]
    fn script(&self, rule: &Value) {
        self.simulator.script(&rule.to_string()).expect("a script");
    }
}

fn sign(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha384>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn order(nonce: u64, price: &str) -> Value {
    json!({
        "nonce": nonce, "client_order_id": format!("order-{nonce}"), "symbol": "btcusd",
        "amount": "0.5", "price": price, "side": "buy", "type": "exchange limit",
    })
}

#[tokio::test]
async fn both_protocols_and_a_date_of_its_own() {
    let clock = Arc::new(ManualClock::new(UnixMicros(1_790_000_000_000_000)));
    for http1_only in [false, true] {
        let clock = Arc::<ManualClock>::clone(&clock);
        let bench = Bench::new(Options { clock, http1_only, ..Options::default() }).await;
        let answer = bench.get("/v1/symbols").await;
        assert_eq!(answer.headers["date"], "Mon, 21 Sep 2026 14:13:20 GMT");
        assert_eq!(answer.json()[0], "btcusd");
        let http = bench.simulator.ledger().requests()[0].http;
        assert_eq!(http, if http1_only { "1.1" } else { "2" });
        bench.simulator.set_clock_offset_seconds(-20);
        let answer = bench.get("/v1/symbols").await;
        assert_eq!(answer.headers["date"], "Mon, 21 Sep 2026 14:13:00 GMT");
        assert_eq!((bench.simulator.connections(), bench.simulator.handshakes()), (1, 1));
    }
}

#[tokio::test]
async fn an_order_lives_is_found_and_dies() {
    let bench = Bench::new(Options::default()).await;
    let placed = bench.call(TRADER, "/v1/order/new", order(1, "60000.00")).await.json();
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 18);
    assert_eq!(placed["is_live"], true);
    let status = json!({ "nonce": 2, "order_id": id.parse::<u64>().expect("a number") });
    let found = bench.call(TRADER, "/v1/order/status", status).await.json();
    assert_eq!(found["client_order_id"], "order-1");
    // The auditor shares the account.
    let status = json!({ "nonce": 1, "client_order_id": "order-1" });
    let found = bench.call(AUDITOR, "/v1/order/status", status).await.json();
    assert_eq!(found[0]["order_id"], id);
    let nobody = json!({ "nonce": 2, "client_order_id": "order-9" });
    let nobody = bench.call(AUDITOR, "/v1/order/status", nobody).await;
    assert_eq!(nobody.reason(), (404, "OrderNotFound".to_owned()));
    for nonce in [3, 4] {
        let cancel = json!({ "nonce": nonce, "order_id": id });
        let cancelled = bench.call(TRADER, "/v1/order/cancel", cancel).await.json();
        assert_eq!(cancelled["reason"], "Requested");
    }
    let filled = bench.call(TRADER, "/v1/order/new", order(5, "66000")).await.json();
    assert_eq!(filled["avg_execution_price"], "65000.01");
    let trades = json!({ "nonce": 6, "symbol": "btcusd" });
    let trades = bench.call(TRADER, "/v1/mytrades", trades).await.json();
    assert_eq!(trades[0]["order_id"], filled["order_id"]);
    let rich = json!({ "nonce": 7, "symbol": "btcusd", "amount": "1000", "price": "60000",
        "side": "buy", "type": "exchange limit" });
    let poor = bench.call(TRADER, "/v1/order/new", rich).await;
    assert_eq!(poor.reason(), (406, "InsufficientFunds".to_owned()));
}

#[tokio::test]
async fn order_faults_have_their_own_reasons() {
    let bench = Bench::new(Options::default()).await;
    let cases: [(&str, Value, &str); 10] = [
        ("symbol", json!("abc"), "InvalidSymbol"),
        ("amount", json!("-2"), "InvalidQuantity"),
        ("amount", json!("0.000000001"), "InvalidQuantity"),
        ("price", json!("1.001"), "InvalidPrice"),
        ("side", json!("x"), "InvalidSide"),
        ("type", json!(""), "InvalidOrderType"),
        ("client_order_id", json!("x".repeat(101)), "ClientOrderIdTooLong"),
        ("options", json!(["test"]), "UnsupportedOption"),
        ("options", json!(["fill-or-kill", "maker-or-cancel"]), "ConflictingOptions"),
        ("price", Value::Null, "MissingOrderField"),
    ];
    for (nonce, (field, value, reason)) in (1..).zip(cases) {
        let mut order = order(nonce, "60000");
        order[field] = value;
        let answer = bench.call(TRADER, "/v1/order/new", order).await;
        assert_eq!(answer.reason(), (400, reason.to_owned()), "{field}");
    }
    assert!(bench.simulator.ledger().executed().is_empty());
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let mut keys = KeySpec::defaults(NonceRule::Increasing);
    keys.push(KeySpec { disabled: true, ..KeySpec::new("account-off", "s") });
    let elsewhere: IpAddr = [203, 0, 113, 7].into();
    keys.push(KeySpec { trusted_ips: Some(vec![elsewhere]), ..KeySpec::new("account-far", "s") });
    let bench = Bench::new(Options { keys, ..Options::default() }).await;
    let path = "/v1/order/new";
    let missing = bench.call(AUDITOR, path, order(1, "60000")).await;
    assert_eq!(missing.reason(), (403, "MissingRole".to_owned()));
    let text = "one of these roles [Trader] to API key account-simAuditor00000001 which currently \
         has roles [Auditor]";
    assert!(missing.message().ends_with(text), "{}", missing.message());
    let cases: [(Pair, &str, Value, Refusal); 10] = [
        (("account-nobody", "s"), path, json!({ "nonce": 1 }), (400, "InvalidApiKey")),
        (("account-off", "s"), path, json!({ "nonce": 1 }), (400, "InvalidApiKey")),
        (("account-far", "s"), path, json!({ "nonce": 1 }), (403, "ApiKeyIpFilteringFailure")),
        ((TRADER.0, "wrong"), path, json!({ "nonce": 99 }), (400, "InvalidSignature")),
        (TRADER, path, json!({ "nonce": 99, "request": "/v1/orders" }), (400, "EndpointMismatch")),
        (TRADER, path, json!({}), (400, "MissingNonce")),
        (
            TRADER,
            "/v1/orders",
            json!({ "nonce": 1, "account": "primary" }),
            (400, "AccountsOnGroupOnlyApi"),
        ),
        (MASTER, "/v1/orders", json!({ "nonce": 1 }), (400, "MissingAccounts")),
        (TRADER, "/v1/deposit/bitcoin/newAddress", json!({ "nonce": 2 }), (403, "MissingRole")),
        (TRADER, "/v1/nowhere", json!({ "nonce": 3 }), (404, "EndpointNotFound")),
    ];
    for (key, path, payload, (status, reason)) in cases {
        let answer = bench.call(key, path, payload).await;
        assert_eq!(answer.reason(), (status, reason.to_owned()), "{} {path}", key.0);
    }
    let unsigned = bench.send(bench.request(Method::POST, path), "{}").await.expect("answered");
    assert_eq!(unsigned.reason(), (401, "MissingSecurityHeaders".to_owned()));
    let half = bench.request(Method::POST, path).header("x-gemini-apikey", TRADER.0);
    let half = bench.send(half, "").await.expect("answered");
    assert_eq!(half.reason(), (400, "MissingPayloadHeader".to_owned()));
    assert_eq!(bench.get(path).await.status, 405);
    let candles = bench.get("/v2/candles/xyz/1m").await;
    assert_eq!(candles.body, "Supplied value 'xyz' is not a valid symbol");
    let master = json!({ "nonce": 2, "account": "cold" });
    assert_eq!(bench.call(MASTER, "/v1/orders", master).await.status, 200);
    // What failed before the nonce was checked has not raised the mark.
    assert_eq!(bench.call(TRADER, "/v1/heartbeat", json!({ "nonce": 4 })).await.status, 200);
}

#[tokio::test]
async fn nonces_are_judged_by_the_rule_of_the_key() {
    let clock = Arc::new(ManualClock::new(UnixMicros(1_790_000_000_500_000)));
    let bench = Bench::new(Options { clock, ..Options::default() }).await;
    let path = "/v1/heartbeat";
    let increasing = bench.call(TRADER, path, json!({ "nonce": "1790000000.123" })).await;
    assert_eq!(increasing.json(), json!({ "result": "ok" }));
    let again = bench.call(TRADER, path, json!({ "nonce": 1_790_000_000_u64 })).await;
    assert_eq!(
        again.message(),
        "Nonce '1790000000' has not increased since your last call to the Gemini API."
    );
    let wild = bench.call(TRADER, path, json!({ "nonce": "x" })).await;
    assert_eq!(wild.message(), "Nonce '\"x\"' was not parseable as a number.");
    let early = bench.call(TIMED, path, json!({ "nonce": 1_789_999_000 })).await;
    let text = "Nonce '1789999000' is not within 30 seconds of server time '1790000000'";
    assert_eq!(early.message(), text);
    for nonce in ["1790000020", "1790000010.5", "1790000010.5"] {
        assert_eq!(bench.call(TIMED, path, json!({ "nonce": nonce })).await.status, 200);
    }
    bench.script(&json!({ "do": { "nonce_mark": "1790000005000" } }));
    let behind = bench.call(TRADER, path, json!({ "nonce": 1_790_000_001_000_u64 })).await;
    assert_eq!(behind.reason(), (400, "InvalidNonce".to_owned()));
    let ledger = bench.simulator.ledger();
    assert_eq!(ledger.accepted(TRADER.0), ["1790000000.123"]);
    assert_eq!(ledger.arrivals(TRADER.0).len(), 4);
    assert!(!ledger.is_strictly_increasing(TRADER.0));
    let Verdict::Rejected { reason } = &ledger.requests()[1].verdict else { panic!("accepted") };
    assert_eq!(reason, "InvalidNonce");
}

#[tokio::test]
async fn faults_happen_before_or_after_the_execution() {
    let bench = Bench::new(Options { http1_only: true, ..Options::default() }).await;
    let path = "/v1/order/new";
    // Too early for the client to have sent it on a connection that it could use twice.
    for (nonce, (action, executed)) in (1..).zip([
        (json!({ "close": "before" }), false),
        (json!({ "close": "after_execute" }), true),
        (json!({ "truncate": 10 }), true),
    ]) {
        bench.script(&json!({ "path": path, "times": 0, "do": action }));
        assert!(bench.try_call(TRADER, path, &order(nonce, "60000")).await.is_none(), "{action}");
        bench.simulator.clear_script();
        let ledger = bench.simulator.ledger();
        let last = ledger.requests().last().expect("an entry");
        assert_eq!(last.executed, executed, "{action}");
        assert!(matches!(last.verdict, Verdict::Fault { .. }), "{action}");
    }
    let answers = [
        (
            json!({ "answer": { "status": 503, "body": "x", "headers": { "content-type": "a/b" } } }),
            503,
        ),
        (json!({ "redirect": "https://elsewhere.example/" }), 302),
        (json!({ "maintenance": true }), 503),
        (json!({ "rate_limited": true }), 429),
        (json!({ "html": "awselb" }), 403),
        (json!({ "html": "cloudflare", "no_date": true }), 403),
    ];
    for (action, status) in answers {
        bench.script(&json!({ "path": path, "do": action }));
        let answer = bench.call(TRADER, path, order(9, "60000")).await;
        assert_eq!(answer.status, status, "{action}");
        assert_eq!(answer.headers.contains_key("date"), action.get("no_date").is_none());
        if action.get("answer").is_some() {
            let kinds: Vec<_> = answer.headers.get_all("content-type").iter().collect();
            assert_eq!(kinds, ["a/b"], "the script's own, and no other");
        }
        if action["html"] == "cloudflare" {
            assert_eq!(answer.headers["server"], "cloudflare");
            assert!(answer.headers.contains_key("cf-ray"));
        }
    }
    let done = bench.call(TRADER, path, order(9, "60000")).await;
    assert_eq!(done.status, 200, "the script is spent");
}

#[tokio::test]
async fn on_http2_a_scripted_close_ends_the_connection_too() {
    let bench = Bench::new(Options::default()).await;
    bench.script(
        &json!({ "path": "/v1/order/new", "times": 0, "do": { "close": "after_execute" } }),
    );
    assert!(bench.try_call(TRADER, "/v1/order/new", &order(1, "60000")).await.is_none());
    let ledger = bench.simulator.ledger();
    assert_eq!(ledger.at_path("/v1/order/new")[0].http, "2");
    assert_eq!(ledger.executed().len(), 1);
    assert_eq!(bench.get("/v1/symbols").await.status, 200);
    assert_eq!(bench.simulator.connections(), 2);
}

#[tokio::test]
async fn on_http2_what_is_about_bytes_ends_the_connection() {
    let bench = Bench::new(Options::default()).await;
    for (number, fault, executed) in [
        (1, json!({"cut": {"at": 5, "then": "stall"}}), true),
        (2, json!({"raw": "HTTP/1.1 200 OK\r\n\r\n"}), false),
        (3, json!({"raw": "HTTP/1.1 200 OK\r\n\r\n", "execute": true}), true),
        (4, json!({"request": {"at": 5, "then": "stall"}}), false),
    ] {
        bench.script(&json!({ "path": "/v1/order/new", "do": fault }));
        assert!(bench.try_call(TRADER, "/v1/order/new", &order(number, "60000")).await.is_none());
        let last = bench.simulator.ledger();
        let last = last.requests().last().expect("it is told");
        assert_eq!((last.http, last.executed), ("2", executed), "{fault}");
    }
    assert_eq!(bench.get("/v1/symbols").await.status, 200);
}

#[tokio::test]
async fn an_order_outlives_a_caller_who_hangs_up() {
    let bench = Bench::new(Options { http1_only: true, ..Options::default() }).await;
    bench.script(&json!({ "path": "/v1/order/new", "do": { "delay_ms": 300 } }));
    let order = order(1, "60000");
    let call = bench.try_call(TRADER, "/v1/order/new", &order);
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    assert_eq!(bench.simulator.ledger().requests()[0].verdict, Verdict::Pending);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(bench.simulator.ledger().requests()[0].verdict, Verdict::Executed);
}

#[tokio::test]
async fn the_ledger_has_what_was_sent() {
    let bench = Bench::new(Options { http1_only: true, ..Options::default() }).await;
    for nonce in [1, 2] {
        let order = json!({ "nonce": nonce, "client_order_id": "same", "symbol": "ethusd",
            "amount": "1", "price": "3000", "side": "buy", "type": "exchange limit" });
        assert_eq!(bench.call(TRADER, "/v1/order/new", order).await.status, 200);
    }
    let ledger = bench.simulator.ledger();
    assert_eq!(ledger.executed_twice(), ["same"]);
    let first = &ledger.requests()[0];
    assert_eq!(first.body_bytes, 0);
    assert_eq!(first.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(first.headers.cache_control.as_deref(), Some("no-cache"));
    assert_eq!(first.headers.content_length.as_deref(), Some("0"));
    assert!(first.headers.names.iter().any(|it| it == "x-gemini-signature"));
    let entries = bench.get("/_simulator/ledger?since=1").await.json();
    assert_eq!(entries["entries"].as_array().map(Vec::len), Some(1));
    assert_eq!(entries["entries"][0]["executed"], true);
    let summary = bench.get("/_simulator/summary").await.json();
    assert_eq!(summary["paths"]["/v1/order/new"]["executed"], 2);
    assert_eq!(summary["keys"][TRADER.0]["strictly_increasing"], true);
    assert_eq!(summary["client_order_ids_executed_twice"], json!(["same"]));
}

#[tokio::test]
async fn it_is_steered_over_http() {
    let bench = Bench::new(Options::default()).await;
    let post = |path: &'static str, body: &'static str| {
        let request = bench.request(Method::POST, path);
        async { bench.send(request, body).await.expect("answered").status }
    };
    let key = r#"{"key":"account-new","secret":"s","roles":["Auditor"],"last_nonce":"5"}"#;
    assert_eq!(post("/_simulator/keys", key).await, 200);
    assert_eq!(post("/_simulator/keys", r#"{"key":"account-new"}"#).await, 400);
    let new = ("account-new", "s");
    let low = bench.call(new, "/v1/roles", json!({ "nonce": 5 })).await;
    assert_eq!(low.reason(), (400, "InvalidNonce".to_owned()));
    let roles = bench.call(new, "/v1/roles", json!({ "nonce": 6 })).await.json();
    assert_eq!(roles, json!({ "isAuditor": true, "isFundManager": false, "isTrader": false }));
    assert_eq!(post("/_simulator/settings", r#"{"unknown_key_status":403}"#).await, 200);
    let unknown = bench.call(("account-z", "s"), "/v1/roles", json!({ "nonce": 1 })).await;
    assert_eq!(unknown.reason(), (403, "InvalidApiKey".to_owned()));
    assert_eq!(post("/_simulator/script", r#"[{"do":{"maintenance":true}}]"#).await, 200);
    let delete = bench.request(Method::DELETE, "/_simulator/script");
    assert_eq!(bench.send(delete, "").await.map(|it| it.status), Some(200));
    assert_eq!(bench.get("/v1/symbols").await.status, 200);
    assert_eq!(post("/_simulator/reset", "").await, 200);
    assert!(bench.simulator.ledger().requests().is_empty());
    assert_eq!(bench.get("/_simulator/nothing").await.status, 404);
}

#[tokio::test]
async fn funds_move_once_for_one_transfer_id() {
    let bench = Bench::new(Options::default()).await;
    let withdraw = |nonce: u64| json!({ "nonce": nonce, "address": "bc1qx", "amount": "50", "clientTransferId": "t-1" });
    let path = "/v2/withdraw/bitcoin/btc";
    let first = bench.call(FUNDS, path, withdraw(1)).await.json();
    assert_eq!(bench.call(FUNDS, path, withdraw(2)).await.json(), first);
    let balances = bench.call(FUNDS, "/v1/balances", json!({ "nonce": 3 })).await.json();
    assert_eq!(
        (balances[0]["currency"].as_str(), balances[0]["amount"].as_str()),
        (Some("BTC"), Some("200"))
    );
    let v1 = json!({ "nonce": 4, "address": "bc1qx", "amount": 0.25 });
    assert_eq!(bench.call(FUNDS, "/v1/withdraw/BTC", v1).await.json()["amount"], "0.25");
    let much = json!({ "nonce": 5, "address": "bc1qx", "amount": "1000" });
    let much = bench.call(FUNDS, "/v1/withdraw/btc", much).await;
    assert_eq!(much.reason(), (406, "InsufficientFunds".to_owned()));
    let listed = json!({ "nonce": 6 });
    let listed = bench.call(FUNDS, "/v1/transfers", listed).await.json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn another_takes_its_place() {
    let bench = Bench::new(Options::default()).await;
    assert_eq!(bench.get("/v1/symbols").await.status, 200);
    let Bench { simulator, client } = bench;
    let (listen, identity) = (simulator.address(), Some(simulator.identity().clone()));
    simulator.stop().await;
    let key = KeySpec { roles: vec![Role::Auditor], ..KeySpec::new("account-a", "s") };
    let options = Options { listen, identity, keys: vec![key], ..Options::default() };
    let simulator = Simulator::start(options).await.expect("the port is free again");
    let bench = Bench { simulator, client };
    let answer = bench.call(("account-a", "s"), "/v1/balances", json!({ "nonce": 1 })).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn every_refusal_has_its_status_and_executes_nothing() {
    let bench = Bench::new(Options::default()).await;
    let listed = bench.get("/_simulator/refusals").await.json();
    let listed = listed["refusals"].as_array().expect("a list").clone();
    assert!(listed.len() >= 80, "{}", listed.len());
    for (nonce, refusal) in (1..).zip(&listed) {
        let word = &refusal["word"];
        bench.script(&json!({ "path": "/v1/order/*", "do": { "refuse": word } }));
        let answer = bench.call(TRADER, "/v1/order/new", order(nonce, "60000")).await;
        assert_eq!(answer.status, refusal["status"], "{word}");
        if !answer.body.is_empty() {
            assert_eq!(answer.headers["content-type"], refusal["content_type"].as_str().unwrap());
        }
        let json = refusal["content_type"].as_str().unwrap().starts_with("application/json");
        assert_eq!(answer.json().is_object(), json, "{word}");
        assert!(answer.headers.contains_key("date"), "{word}");
    }
    let ledger = bench.simulator.ledger();
    assert!(ledger.executed().is_empty());
    assert_eq!(ledger.requests().len(), listed.len());
    let Verdict::Fault { kind } = &ledger.requests()[0].verdict else { panic!("no fault") };
    assert_eq!(*kind, listed[0]["word"].as_str().unwrap());
    let rule = r#"{"do":{"refuse":"key-unknwon"}}"#;
    let fault = bench.simulator.script(rule).expect_err("misspelt").to_string();
    assert!(fault.contains("key-unknwon"), "{fault}");
    bench.script(&json!({ "do": { "refuse": "cloudflare-challenge" } }));
    let page = bench.get("/v1/symbols").await;
    assert_eq!((page.status, &page.headers["cf-mitigated"]), (403, &"challenge".parse().unwrap()));
    bench.script(&json!({ "do": { "refuse": "key-role-missing" } }));
    let role = bench.call(TRADER, "/v1/balances", json!({ "nonce": 900 })).await;
    assert!(role.message().contains("to API key account-simTrader000000001 which"));
}

#[tokio::test]
async fn an_accounts_state_is_changed_while_it_is_used() {
    let bench = Bench::new(Options::default()).await;
    let post = |body: &'static str| {
        let request = bench.request(Method::POST, "/_simulator/accounts");
        async { bench.send(request, body).await.expect("answered").status }
    };
    assert_eq!(post(r#"{"account":"primary","state":"asleep"}"#).await, 400);
    let placed = bench.call(TRADER, "/v1/order/new", order(1, "60000")).await;
    assert_eq!(placed.status, 200);
    assert_eq!(post(r#"{"account":"primary","state":"restricted"}"#).await, 200);
    let refused = bench.call(TRADER, "/v1/order/new", order(2, "60000")).await;
    assert_eq!(refused.reason(), (403, "AccountRestricted".to_owned()));
    assert_eq!(bench.call(TRADER, "/v1/orders", json!({ "nonce": 3 })).await.status, 200);
    assert_eq!(bench.call(TRADER, "/v1/order/cancel/all", json!({ "nonce": 4 })).await.status, 200);
    assert_eq!(post(r#"{"account":"primary","state":"no-custody-terms"}"#).await, 200);
    assert_eq!(bench.call(TRADER, "/v1/order/new", order(5, "60000")).await.status, 200);
    let out = json!({ "nonce": 1, "address": "bc1qx", "amount": "1" });
    let out = bench.call(FUNDS, "/v1/withdraw/btc", out).await;
    assert_eq!(out.reason(), (403, "HasNotAgreedToCustodyTerms".to_owned()));
    assert_eq!(post(r#"{"account":"primary","state":"closed"}"#).await, 200);
    let closed = bench.call(TRADER, "/v1/orders", json!({ "nonce": 6 })).await;
    assert_eq!(closed.reason(), (403, "AccountClosed".to_owned()));
    // The key is as good as before, and other accounts are as they were.
    assert_eq!(bench.call(TRADER, "/v1/roles", json!({ "nonce": 7 })).await.status, 200);
    let cold = json!({ "nonce": 1, "account": "cold" });
    assert_eq!(bench.call(MASTER, "/v1/orders", cold).await.status, 200);
    assert_eq!(post(r#"{"account":"primary","state":"open"}"#).await, 200);
    assert_eq!(bench.call(TRADER, "/v1/order/new", order(8, "60000")).await.status, 200);
}

#[tokio::test]
async fn a_key_is_changed_while_it_is_used_and_keeps_its_mark() {
    let bench = Bench::new(Options::default()).await;
    let bench = &bench;
    let change = async |more: Value| {
        let mut key = json!({ "key": TRADER.0, "secret": TRADER.1 });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = bench.request(Method::POST, "/_simulator/keys");
        let done = bench.send(request, &key.to_string()).await.expect("answered");
        assert_eq!(done.status, 200, "{key}");
    };
    let path = "/v1/order/new";
    assert_eq!(bench.call(TRADER, path, order(10, "60000")).await.status, 200);
    let cases = [
        (json!({ "roles": ["Auditor"] }), (403, "MissingRole")),
        (json!({ "trusted_ips": ["203.0.113.7"] }), (403, "ApiKeyIpFilteringFailure")),
        (json!({ "disabled": true }), (400, "InvalidApiKey")),
        (json!({ "secret": "another" }), (400, "InvalidSignature")),
        (json!({ "nonce": "time" }), (400, "InvalidNonce")),
    ];
    for (nonce, (more, (status, reason))) in (11..).zip(cases) {
        change(more.clone()).await;
        let refused = bench.call(TRADER, path, order(nonce, "60000")).await;
        assert_eq!(refused.reason(), (status, reason.to_owned()), "{more}");
    }
    change(json!({})).await;
    let low = bench.call(TRADER, path, order(10, "60000")).await;
    assert_eq!(low.reason(), (400, "InvalidNonce".to_owned()), "the mark has stayed");
    assert_eq!(bench.call(TRADER, path, order(20, "60000")).await.status, 200);
    change(json!({ "last_nonce": "5" })).await;
    assert_eq!(bench.call(TRADER, path, order(6, "60000")).await.status, 200, "a mark of its own");
}

#[tokio::test]
async fn what_lies_beside_the_exchange_is_on_its_port_and_not_in_the_ledger() {
    let bench = Bench::new(Options::default()).await;
    // A fault for everything does not reach them.
    bench.script(&json!({ "times": 0, "do": { "close": "before" } }));
    assert_eq!(bench.get("/_simulator/address").await.body, "127.0.0.1\n");
    let page = bench.get("/api/v2/status.json").await.json();
    let status = json!({ "indicator": "none", "description": "All Systems Operational" });
    assert_eq!(page["status"], status);
    let settings = r#"{"status_page":{"indicator":"major","description":"Partial outage"}}"#;
    let request = bench.request(Method::POST, "/_simulator/settings");
    assert_eq!(bench.send(request, settings).await.map(|it| it.status), Some(200));
    let page = bench.get("/api/v2/status.json").await.json();
    assert_eq!(page["status"]["indicator"], "major");
    assert!(bench.simulator.ledger().requests().is_empty());
}
