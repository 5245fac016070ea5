//! The way out: where from, over what, and what plays no part.

use geminid::simulator::NonceRule;
use serde_json::json;

use crate::support::{Exchange, Settings};

#[tokio::test]
async fn requests_leave_from_the_address_that_is_set() {
    let exchange = Exchange::start_with(NonceRule::Increasing, |options| {
        options.keys[0].trusted_ips = Some(vec!["127.0.0.2".parse().unwrap()]);
    })
    .await;
    let proxy = exchange.proxy_in("anywhere", &Settings::default()).await;
    let answer = proxy.bot().post("/v1/balances", "").await;
    assert_eq!(answer.told(), (403, "rejected".to_owned(), "key-ip-not-trusted".to_owned()));
    let upstream = "egress = { bind = \"127.0.0.2\" }";
    let proxy = exchange.proxy_in("bound", &Settings { upstream, ..Settings::default() }).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let refused = proxy.bot().post("/v1/order/status", "{}").await;
    assert_eq!(refused.header("geminid-outcome"), "rejected");
    let rule = json!({"path": "/v1/balances", "do": {"html": "awselb"}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let json = proxy.bot().post("/v1/balances", "").await.json();
    assert_eq!(json["diagnosis"]["egress_ip"], "127.0.0.2");
}

#[tokio::test]
async fn connections_stay_warm() {
    // An exchange that offers HTTP/2 too is spoken to in HTTP/1.1.
    for http1_only in [true, false] {
        let exchange =
            Exchange::start_with(NonceRule::Increasing, |it| it.http1_only = http1_only).await;
        let proxy = exchange.proxy(&Settings::default()).await;
        for _ in 0..200 {
            assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
        }
        let ledger = exchange.simulator.ledger();
        assert!(ledger.at_path("/v1/balances").iter().all(|it| it.http == "1.1"));
        // The first answer's connection serves them all.
        assert_eq!(exchange.simulator.handshakes(), 1);
    }
}

#[tokio::test]
async fn the_environments_proxies_roots_and_key_logs_play_no_part() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let environment = &[
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("https_proxy", "http://127.0.0.1:1"),
        ("ALL_PROXY", "http://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSLKEYLOGFILE", "/tmp/geminid-must-not-write-this"),
    ];
    let proxy = exchange.proxy(&Settings { environment, ..Settings::default() }).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    assert!(!std::path::Path::new("/tmp/geminid-must-not-write-this").exists());
}

#[tokio::test]
async fn an_idle_connection_that_the_exchange_has_closed_costs_nobody_a_request() {
    let mut exchange = Exchange::start_with(NonceRule::Increasing, |it| it.http1_only = true).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    for _ in 0..5 {
        assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
        // The exchange ends and another takes its place: every connection of the pool is dead.
        exchange = exchange.replaced().await;
    }
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
}
