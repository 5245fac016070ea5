//! Every byte of an order's request and answer is the last one, once.
//!
//! Whatever happens there: the exchange gets each order at most once, a 200 has the whole answer, and
//! 503 is never said of what the exchange may have seen.

use std::time::Duration;

use geminid::simulator::{Entry, NonceRule, Verdict};
use serde_json::{Value, json};

use crate::support::{Answer, Bot, Exchange, Proxy, Settings};

const ORDER: &str = "/v1/order/new";
/// Far beyond the end of any answer or request here.
const BEYOND: u64 = 1_000_000;

/// A proxy before an exchange that fails as it is told, over HTTP/1.1.
pub(crate) struct Bench {
    pub(crate) exchange: Exchange,
    pub(crate) proxy: Proxy,
    pub(crate) bot: Bot,
}

impl Bench {
    pub(crate) async fn new(upstream: &'static str) -> Self {
        let exchange = Exchange::start_with(NonceRule::Increasing, |it| it.http1_only = true).await;
        Self::before(exchange, upstream).await
    }

    pub(crate) async fn before(exchange: Exchange, upstream: &'static str) -> Self {
        let proxy = exchange.proxy(&Settings { upstream, ..Settings::default() }).await;
        let bot = proxy.bot();
        assert_eq!(bot.post("/v1/balances", "").await.status, 200);
        Self { exchange, proxy, bot }
    }

    /// Places an order that meets a fault, and tells what became of it on both sides.
    pub(crate) async fn order(&self, id: &str, fault: Value) -> (Answer, Vec<Entry>) {
        self.exchange.simulator.clear_script();
        self.exchange.simulator.reset_ledger();
        let rule = json!({"path": ORDER, "times": 0, "do": fault});
        self.exchange.simulator.script(&rule.to_string()).unwrap();
        let answer = self.bot.post(ORDER, &order(id)).await;
        let ledger = self.exchange.simulator.ledger();
        let entries: Vec<_> = ledger.at_path(ORDER).into_iter().cloned().collect();
        assert!(entries.len() <= 1, "{fault}: sent {} times", entries.len());
        assert!(ledger.executed_twice().is_empty(), "{fault}");
        if answer.status == 503 {
            assert!(entries.is_empty(), "{fault}: the exchange has seen it");
            assert_eq!(answer.header("geminid-outcome"), "not_sent", "{fault}");
        }
        (answer, entries)
    }

    /// An answer as it is without a fault: where its head ends, and its length.
    async fn lengths(&self) -> (u64, u64) {
        let (answer, entries) =
            self.order("whole", json!({"cut": {"at": BEYOND, "then": "drop"}})).await;
        assert_eq!(answer.told(), (200, "executed".to_owned(), String::new()));
        let whole = entries[0].answer_bytes.unwrap();
        (whole - answer.body.len() as u64, whole)
    }
}

pub(crate) fn order(id: &str) -> String {
    format!(
        r#"{{"symbol":"btcusd","amount":"0.01","price":"1000.00","side":"buy","type":"exchange limit","client_order_id":"{id}"}}"#
    )
}

/// What may be said when an order's answer ends at byte `at`.
#[track_caller]
fn check(answer: &Answer, entry: &Entry, at: u64, head: u64, may_lose: bool) {
    let whole = entry.answer_bytes.unwrap();
    assert!(entry.executed, "at {at}");
    let (status, outcome, cause) = answer.told();
    let told = (status, outcome.as_str(), cause.as_str());
    let expected = if at >= whole {
        (200, "executed", "")
    } else if at >= head {
        (502, "executed", "upstream-truncated")
    } else {
        (502, "unknown", "upstream-closed")
    };
    // A reset may overtake what was sent before it.
    let lost = [(502, "unknown", "upstream-closed"), (502, "executed", "upstream-truncated")];
    let fits = told == expected || may_lose && lost.contains(&told);
    assert!(fits, "at {at} of {whole}, head {head}: {told:?}");
    if status == 200 {
        let id = entry.order_id.unwrap().to_string();
        assert_eq!(answer.json()["order_id"], id, "at {at}");
        assert_eq!(answer.body.len() as u64, whole - head, "at {at}");
    } else {
        assert!(answer.json().get("result").is_none(), "only a definite no says so: at {at}");
        assert_eq!(answer.json()["diagnosis"]["retry"], "look_first", "at {at}");
    }
}

async fn answer_ends(then: &str) {
    let bench = Bench::new("").await;
    let (head, whole) = bench.lengths().await;
    for at in 0..=whole {
        let fault = json!({"cut": {"at": at, "then": then}});
        let (answer, entries) = bench.order(&format!("{then}-{at}"), fault).await;
        check(&answer, &entries[0], at, head, then == "reset");
    }
    assert_eq!(bench.proxy.bot().post("/v1/balances", "").await.status, 200, "it lives");
}

#[tokio::test]
async fn an_answer_that_is_dropped_at_any_byte() {
    answer_ends("drop").await;
}

#[tokio::test]
async fn an_answer_that_is_reset_at_any_byte() {
    answer_ends("reset").await;
}

#[tokio::test]
async fn an_answer_that_is_truncated_in_good_order_at_any_byte() {
    answer_ends("truncate").await;
}

#[tokio::test]
async fn an_answer_that_stalls_or_trickles_from_any_byte() {
    let bench = Bench::new("timeout = { order = \"300ms\" }").await;
    let (head, whole) = bench.lengths().await;
    for then in [json!("stall"), json!({"trickle_ms": 400})] {
        for at in (0..whole + 16).step_by(16) {
            let fault = json!({"cut": {"at": at, "then": then}});
            let (answer, entries) = bench.order(&format!("slow-{at}"), fault).await;
            let told = answer.told();
            let whole = entries[0].answer_bytes.unwrap();
            // What trickles has sent one byte more.
            let at = at + u64::from(then.is_object());
            let expected = if at >= whole {
                (200, "executed", "")
            } else if at >= head {
                (502, "executed", "upstream-truncated")
            } else {
                (504, "unknown", "upstream-timeout")
            };
            let told = (told.0, told.1.as_str(), told.2.as_str());
            // A busy machine may be late with the whole answer, too.
            let late = (504, "unknown", "upstream-timeout");
            assert!(told == expected || told == late, "{then} at {at} of {whole}: {told:?}");
            assert!(entries[0].executed);
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_is_not_the_answer_to_the_next_order() {
    let bench = Bench::new("timeout = { order = \"300ms\" }").await;
    for at in [0, 9, 60, 200] {
        let fault = json!({"cut": {"at": at, "then": {"stall_ms": 350}}});
        let (late, entries) = bench.order(&format!("late-{at}"), fault).await;
        assert_ne!(late.status, 200);
        let connection = entries[0].connection;
        for n in 0..5 {
            let (answer, entries) = bench.order(&format!("next-{at}-{n}"), json!({})).await;
            assert_ne!(entries[0].connection, connection, "given up with its answer");
            if answer.status == 200 {
                assert_eq!(answer.json()["order_id"], entries[0].order_id.unwrap().to_string());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_turns_to_noise_at_any_byte() {
    // In the head it may be an answer that never ends; the body has its length.
    let (mut bench, long) =
        (Bench::new("timeout = { order = \"300ms\" }").await, Bench::new("").await);
    let (head, whole) = long.lengths().await;
    let mut long = Some(long);
    for at in 0..whole {
        if at == head {
            bench = long.take().unwrap();
        }
        let fault = json!({"cut": {"at": at, "then": {"noise": at}}});
        let (answer, entries) = bench.order(&format!("noise-{at}"), fault).await;
        let (status, outcome, cause) = answer.told();
        if at >= head {
            let length = entries[0].answer_bytes.unwrap();
            // It is framed as it should be: nobody here judges what a success says.
            assert_eq!((status, answer.body.len() as u64), (200, length - head), "at {at}");
        } else {
            let lost = [(502, "upstream-closed"), (504, "upstream-timeout")];
            assert!(lost.contains(&(status, cause.as_str())), "at {at}: {status} {cause}");
            assert_eq!(outcome, "unknown", "at {at}");
        }
        assert!(entries[0].executed);
    }
}

#[tokio::test]
async fn a_request_that_is_cut_at_any_byte_is_not_said_to_be_unsent() {
    for (then, step) in [("drop", 1), ("reset", 1), ("stall", 64)] {
        let short = "timeout = { order = \"500ms\" }";
        let bench = Bench::new(if then == "stall" { short } else { "" }).await;
        let mut at = 0;
        loop {
            let fault = json!({"request": {"at": at, "then": then}});
            let (answer, entries) = bench.order(&format!("request-{at}"), fault).await;
            assert_eq!(entries.len(), 1, "{then} at {at}");
            if entries[0].verdict == Verdict::Executed {
                // Longer than the request: nothing happened.
                assert!(answer.status == 200 || then == "stall", "{:?}", answer.told());
                break;
            }
            assert!(!entries[0].executed && entries[0].order_id.is_none());
            let expected = if then == "stall" {
                (504, "unknown".to_owned(), "upstream-timeout".to_owned())
            } else {
                (502, "unknown".to_owned(), "upstream-closed".to_owned())
            };
            assert_eq!(answer.told(), expected, "{then} at {at}");
            at += step;
        }
        assert!(at > 500, "a signed order is longer than {at} bytes");
    }
}
