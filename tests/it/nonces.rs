//! Nonces end to end: order of arrival, learning, collisions, restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use geminid::simulator::{Ledger, NonceRule};
use serde_json::json;

use crate::support::{Answer, Bot, Exchange, Settings};

/// For load whose subject is not the audit trail: no order waits for the machine's disk.
fn loaded() -> Settings {
    Settings { state: ", audit = { durability = \"interval\" }", ..Settings::default() }
}

/// `n` calls by 20 workers, a fifth of them orders. No client sees a nonce refused.
async fn load(bot: &Bot, n: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..20)
        .map(|_| {
            let (bot, next) = (bot.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= n {
                        return;
                    }
                    let answer = call(&bot, number).await;
                    let shown = String::from_utf8_lossy(&answer.body);
                    assert_eq!(answer.status, 200, "call {number}: {shown}");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

async fn call(bot: &Bot, number: usize) -> Answer {
    if !number.is_multiple_of(5) {
        return bot.post("/v1/heartbeat", "").await;
    }
    let body = format!(
        r#"{{"symbol":"btcusd","amount":"0.0001","price":"1.00","side":"buy","type":"exchange limit","client_order_id":"n-{number}"}}"#
    );
    bot.post("/v1/order/new", &body).await
}

fn executed_orders(ledger: &Ledger) -> usize {
    ledger.at_path("/v1/order/new").iter().filter(|it| it.executed).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_workers_on_one_increasing_key() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&loaded()).await;
    load(&proxy.bot(), 10_000).await;
    let ledger = exchange.simulator.ledger();
    assert!(ledger.is_strictly_increasing(Exchange::KEY), "in order of arrival");
    assert_eq!(ledger.arrivals(Exchange::KEY).len(), 10_001, "one question, and no call twice");
    assert_eq!(executed_orders(&ledger), 2_000);
    assert!(ledger.executed_twice().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_workers_on_a_time_based_key() {
    let exchange = Exchange::start(NonceRule::Time).await;
    let proxy = exchange.proxy(&loaded()).await;
    load(&proxy.bot(), 10_000).await;
    let ledger = exchange.simulator.ledger();
    let mut nonces = ledger.arrivals(Exchange::KEY);
    assert_eq!(nonces.len(), 10_001);
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 10_001, "none repeats");
    assert!(ledger.executed_twice().is_empty());
    proxy.line("learned how this key counts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_based_key_that_wants_order_gets_it() {
    let exchange = Exchange::start(NonceRule::TimeOrdered).await;
    let proxy = exchange.proxy(&loaded()).await;
    load(&proxy.bot(), 2_000).await;
    let ledger = exchange.simulator.ledger();
    assert_eq!(executed_orders(&ledger), 400);
    assert!(ledger.executed_twice().is_empty());
}

#[tokio::test]
async fn a_time_based_key_without_decimals_gets_whole_seconds() {
    let exchange = Exchange::start(NonceRule::TimeWhole).await;
    let proxy = exchange.proxy(&loaded()).await;
    // More than one in a second run ahead of the clock, and within the window.
    load(&proxy.bot(), 10).await;
    assert!(exchange.simulator.ledger().executed_twice().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_past_used_microseconds() {
    let exchange = Exchange::start_with(NonceRule::Increasing, |options| {
        options.keys[0].last_nonce = Some(format!("{}000000", now() - 60).parse().unwrap());
    })
    .await;
    let proxy = exchange.proxy(&loaded()).await;
    load(&proxy.bot(), 10_000).await;
    let ledger = exchange.simulator.ledger();
    assert!(ledger.is_strictly_increasing(Exchange::KEY), "in order of arrival");
    assert_eq!(executed_orders(&ledger), 2_000);
    assert!(ledger.executed_twice().is_empty());
}

#[tokio::test]
async fn a_key_whose_past_used_nanoseconds_is_not_followed_there() {
    let exchange = Exchange::start_with(NonceRule::Increasing, |options| {
        options.keys[0].last_nonce = Some(format!("{}000000000", now() - 60).parse().unwrap());
    })
    .await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let answer = proxy.bot().post("/v1/balances", "").await;
    assert_eq!(answer.told(), (400, "rejected".to_owned(), "nonce-unit".to_owned()));
    assert_eq!(answer.json()["reason"], "InvalidNonce");
    // Until the next trial, the key is left alone.
    let before = exchange.simulator.ledger().arrivals(Exchange::KEY).len();
    let answer = proxy.bot().post("/v1/balances", "").await;
    assert_eq!(answer.told(), (503, "not_sent".to_owned(), "nonce-unit".to_owned()));
    assert_eq!(exchange.simulator.ledger().arrivals(Exchange::KEY).len(), before);
    // The operator may say so, and only the operator.
    let key = "nonce = \"increasing\"\nnonce_unit = \"ns\"";
    let told = exchange.proxy_in("told", &Settings { key, ..Settings::default() }).await;
    assert_eq!(told.bot().post("/v1/balances", "").await.status, 200);
}

#[tokio::test]
async fn somebody_else_with_larger_nonces_stops_the_key_and_nothing_climbs() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let mark = format!("{}000000", now());
    let rule = json!({"path": "/v1/balances", "do": {"nonce_mark": mark}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let answer = proxy.bot().post("/v1/balances", "").await;
    assert_eq!(answer.told(), (400, "rejected".to_owned(), "nonce-key-shared".to_owned()));
    let json = answer.json();
    assert_eq!((&json["result"], &json["reason"]), (&json!("error"), &json!("InvalidNonce")));
    let ledger = exchange.simulator.ledger();
    let arrivals = ledger.arrivals(Exchange::KEY);
    assert!(arrivals.iter().all(|it| it.to_string().len() <= 13), "{arrivals:?}");
    assert_eq!(proxy.bot().post("/v1/balances", "").await.told().2, "nonce-key-shared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_key_never_makes_the_first_climb() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let first = exchange.proxy_in("first", &loaded()).await;
    let second = exchange.proxy_in("second", &loaded()).await;
    let calls = |bot: Bot| async move {
        let mut told = Vec::new();
        for _ in 0..100 {
            told.push(bot.post("/v1/heartbeat", "").await.told());
        }
        told
    };
    let (first, second) = tokio::join!(calls(first.bot()), calls(second.bot()));
    for (status, outcome, cause) in first.iter().chain(&second) {
        let shared = cause == "nonce-key-shared";
        assert!(*status == 200 || shared, "{status} {outcome} {cause}");
    }
    let ledger = exchange.simulator.ledger();
    let arrivals = ledger.arrivals(Exchange::KEY);
    assert!(arrivals.iter().all(|it| it.to_string().len() <= 13), "milliseconds throughout");
}

#[tokio::test]
async fn what_was_learned_and_used_survives_both_kinds_of_end() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    for round in 0..4 {
        let proxy = exchange.proxy(&Settings::default()).await;
        for _ in 0..3 {
            assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
        }
        if round % 2 == 0 {
            proxy.kill();
        } else {
            assert!(proxy.terminate().await.success());
        }
    }
    let ledger = exchange.simulator.ledger();
    assert!(ledger.is_strictly_increasing(Exchange::KEY));
    assert_eq!(ledger.at_path("/v1/roles").len(), 1, "the question is asked once");
}

#[tokio::test]
async fn an_exchange_whose_clock_differs_is_followed() {
    for rule in [NonceRule::Time, NonceRule::Increasing] {
        let exchange =
            Exchange::start_with(rule, |options| options.clock_offset_seconds = -3_600).await;
        let proxy = exchange.proxy(&Settings::default()).await;
        assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200, "{rule:?}");
        // It moves while the proxy runs.
        exchange.simulator.set_clock_offset_seconds(-1_800);
        assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200, "{rule:?}");
    }
}

/// One edge with a wrong clock must neither stop signed calls nor raise a mark for good.
#[tokio::test]
async fn one_answer_with_a_wrong_date_changes_nothing() {
    for offset in [-3_600, 3_600, 31_536_000] {
        let exchange = Exchange::start(NonceRule::Increasing).await;
        let proxy = exchange.proxy(&Settings::default()).await;
        assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
        let rule =
            json!({"path": "/v1/pubticker/*", "times": 0, "do": {"date_offset_seconds": offset}});
        exchange.simulator.script(&rule.to_string()).unwrap();
        for _ in 0..3 {
            // Two at once are no second opinion of each other.
            let bot = proxy.bot();
            let (one, two) =
                tokio::join!(bot.get("/v1/pubticker/btcusd"), bot.get("/v1/pubticker/btcusd"));
            assert_eq!((one.status, two.status), (http::StatusCode::OK, http::StatusCode::OK));
            assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200, "{offset}");
        }
        let last = exchange.simulator.ledger();
        let last = last.arrivals(Exchange::KEY).last().unwrap().to_string();
        let (last, now) = (last.parse::<u64>().unwrap() / 1_000, now());
        assert!(last.abs_diff(now) < 60, "{offset}: {last} at {now}");
    }
}

/// A key that was time-based, with calls in flight, is switched to increasing nonces that somebody else
/// has raised: nobody climbs, and the question is asked before anything is signed anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_under_load_climbs_nowhere() {
    let exchange = Exchange::start(NonceRule::Time).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let mut key = geminid::simulator::KeySpec::new(Exchange::KEY, Exchange::SECRET);
    key.last_nonce = Some(format!("{}000", now() + 20).parse().unwrap());
    exchange.simulator.add_key(key);
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let bot = proxy.bot();
            tokio::spawn(async move { bot.post("/v1/balances", "").await.told() })
        })
        .collect();
    for call in calls {
        let (status, _, cause) = call.await.unwrap();
        assert!(matches!(status, 200 | 400 | 503), "{status} {cause}");
    }
    let ledger = exchange.simulator.ledger();
    let whole = |it: &str| it.split('.').next().unwrap().len();
    let arrivals = ledger.arrivals(Exchange::KEY);
    assert!(arrivals.iter().all(|it| whole(it) <= 13), "{arrivals:?}");
}

#[tokio::test]
async fn a_success_is_remembered_through_a_kill() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    // The flag in both slots of the file (`docs/nonces.md`).
    let file = exchange.nonce_file("state", Exchange::KEY);
    let flags = || [14, 4_110].map(|place| std::fs::read(&file).unwrap()[place]);
    while !flags().iter().all(|it| it & 2 != 0) {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    proxy.kill();
    let mark = format!("{}000", now() + 30);
    let rule = json!({"path": "/v1/balances", "do": {"nonce_mark": mark}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let proxy = exchange.proxy(&Settings::default()).await;
    let answer = proxy.bot().post("/v1/balances", "").await;
    let ledger = exchange.simulator.ledger();
    let arrivals = ledger.arrivals(Exchange::KEY);
    assert_eq!(answer.told().2, "nonce-key-shared", "and not a climb: {arrivals:?}");
}

#[tokio::test]
async fn without_a_date_nothing_is_signed() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let rule = json!({"path": "*", "times": 0, "do": {"no_date": true}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let upstream = "timeout = { read = \"300ms\" }";
    let settings = Settings { upstream, ..Settings::default() };
    let proxy = exchange.proxy_unready("state", &settings).await;
    let answer = proxy.bot().post("/v1/balances", "").await;
    assert_eq!(answer.told(), (503, "not_sent".to_owned(), "clock-untrusted".to_owned()));
    assert_eq!(Bot::new(proxy.admin).get("/readyz").await.status, 503);
    assert!(exchange.simulator.ledger().arrivals(Exchange::KEY).is_empty());
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
