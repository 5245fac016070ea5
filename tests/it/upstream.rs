//! Answers that no exchange should give: what each is told as, and whether its connection is used
//! again.

use geminid::simulator::NonceRule;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Exchange, Settings};
use crate::upstream_bytes::{Bench, order};

type Told = (u16, &'static str, &'static str);

const EXECUTED: Told = (200, "executed", "");
const CLOSED: Told = (502, "unknown", "upstream-closed");
const TRUNCATED: Told = (502, "executed", "upstream-truncated");

fn raw(text: &str) -> Value {
    json!({"raw": text, "execute": true})
}

/// What an order is answered with, what its client is told, and whether the connection is kept.
type Case = (Value, Told, bool);

fn strange() -> Vec<Case> {
    [as_it_should_be(), lengths(), statuses(), no_http(), heads_and_clocks()].concat()
}

fn as_it_should_be() -> Vec<Case> {
    vec![
        (raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), EXECUTED, true),
        (raw("HTTP/1.1 204 No Content\r\n\r\n"), (204, "executed", ""), true),
        (raw("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), (204, "executed", ""), true),
        (json!({"informational": {"count": 3}}), EXECUTED, true),
        (json!({"informational": {"count": 3, "status": 100}}), EXECUTED, true),
        (
            raw("HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            EXECUTED,
            true,
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: ";
    vec![
        (raw(&format!("{two}2\r\n\r\n{{}}")), EXECUTED, true),
        (raw(&format!("{two}3\r\n\r\n{{}}")), CLOSED, false),
        (raw("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"), CLOSED, false),
        (raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}"), CLOSED, false),
        (
            raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{  }\r\n0\r\n\r\n",
            ),
            CLOSED,
            false,
        ),
        (
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            CLOSED,
            false,
        ),
        (raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{}"), CLOSED, false),
        (
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}"),
            TRUNCATED,
            false,
        ),
        (raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"), TRUNCATED, false),
        (
            raw("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
            (204, "executed", ""),
            false,
        ),
    ]
}

fn statuses() -> Vec<Case> {
    vec![
        (raw("HTTP/1.1 101 Switching Protocols\r\n\r\n"), CLOSED, false),
        (
            raw(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            ),
            CLOSED,
            false,
        ),
        (raw("HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n"), CLOSED, false),
        (raw("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), CLOSED, false),
        (raw("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"), CLOSED, false),
        (raw("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), CLOSED, false),
        (raw("HTTP/1.1 304 Not Modified\r\n\r\n"), (502, "unknown", "upstream-redirect"), true),
        (json!({"informational": {"count": 10_000}}), CLOSED, false),
        (json!({"informational": {"count": 10_000, "status": 102}}), CLOSED, false),
    ]
}

fn no_http() -> Vec<Case> {
    vec![
        (raw("HTTP/1.1 200 OK\r\nx: a\u{1}b\r\nContent-Length: 2\r\n\r\n{}"), CLOSED, false),
        (raw("HTTP/1.1 200 OK\r\nx: a\0b\r\nContent-Length: 2\r\n\r\n{}"), CLOSED, false),
        (raw("HTTP/1.1 200 OK\r\nx y: 1\r\nContent-Length: 2\r\n\r\n{}"), CLOSED, false),
        (raw("HTTP/1.1 200 OK\r\nx: 1\r\n folded\r\nContent-Length: 2\r\n\r\n{}"), CLOSED, false),
        (raw("HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}"), CLOSED, false),
        (raw("{\"order_id\":\"1\"}\n"), CLOSED, false),
        (raw("SSH-2.0-OpenSSH_9.2\r\n"), CLOSED, false),
        (
            json!({"cut": {"at": 10, "then": {"tls_garbage": "\u{15}\u{3}\u{3}\0\u{2}\u{2}("}}}),
            CLOSED,
            false,
        ),
        (json!({"cut": {"at": 10, "then": {"tls_garbage": "HTTP/1.1 200 OK\r\n"}}}), CLOSED, false),
    ]
}

fn heads_and_clocks() -> Vec<Case> {
    vec![
        (json!({"fill": {"head": 1 << 20}}), CLOSED, false),
        (json!({"fill": {"fields": 10_000}}), CLOSED, false),
        (json!({"fill": {"fields": 60}}), EXECUTED, true),
        (json!({"fill": {"head": 9_000}}), EXECUTED, true),
        (json!({"no_date": true}), EXECUTED, true),
        (json!({"date_offset_seconds": -86_400}), EXECUTED, true),
        (json!({"date_offset_seconds": 86_400}), EXECUTED, true),
        (
            raw(
                "HTTP/1.1 200 OK\r\nDate: yesterday\r\nDate: Mon, 21 Sep 2026 13:33:20 GMT\r\nContent-Length: 2\r\n\r\n{}",
            ),
            EXECUTED,
            true,
        ),
    ]
}

#[tokio::test]
async fn strange_answers_are_told_as_they_are() {
    let bench = Bench::new("").await;
    for (n, (fault, told, kept)) in strange().into_iter().enumerate() {
        let (answer, entries) = bench.order(&format!("strange-{n}"), fault.clone()).await;
        let (status, outcome, cause) = answer.told();
        assert_eq!((status, outcome.as_str(), cause.as_str()), told, "{fault}");
        assert!(entries[0].executed, "{fault}");
        let (after, next) = bench.order(&format!("after-{n}"), json!({"delay_ms": 0})).await;
        assert_eq!(after.status, 200, "after {fault}");
        let id = next[0].order_id.unwrap().to_string();
        assert_eq!(after.json()["order_id"], id, "after {fault}: another order's answer");
        let reused = entries[0].connection == next[0].connection;
        assert_eq!(reused, kept, "the connection of {fault}");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_not_the_answer_to_the_next_order() {
    let bench = Bench::new("").await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"order_id\":\"forged\"}";
    for n in 0..100 {
        let (first, _) = bench.order("first", raw(&format!("{answer}{forged}"))).await;
        assert_eq!((first.status.as_u16(), &*first.body), (200, &b"{}"[..]));
        let (second, entries) = bench.order(&format!("n-{n}"), json!({"delay_ms": 0})).await;
        // A promise that it was not sent is as good.
        if second.status != 503 {
            assert_eq!(second.json()["order_id"], entries[0].order_id.unwrap().to_string());
        }
    }
}

#[tokio::test]
async fn a_compressed_answer_passes_and_its_rejection_is_explained_uncompressed() {
    let bench = Bench::new("").await;
    let (answer, _) = bench.order("packed", json!({"encoded": "gzip"})).await;
    assert_eq!(answer.told(), (200, "executed".to_owned(), String::new()));
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.body.get(..3), Some(&[0x1f, 0x8b, 8][..]), "byte for byte");
    assert!(String::from_utf8_lossy(&answer.body).contains("order_id"), "stored, not deflated");
    let canned =
        json!({"status": 403, "body": "{\"result\":\"error\",\"reason\":\"MissingRole\"}"});
    let (answer, _) = bench.order("no", json!({"answer": canned, "encoded": "gzip"})).await;
    assert_eq!(answer.told(), (403, "rejected".to_owned(), "key-role-missing".to_owned()));
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.json()["reason"], "MissingRole");
}

#[tokio::test]
async fn no_rejection_tells_the_key_in_headers_or_in_a_body_of_any_size() {
    let bench = Bench::new("").await;
    let key = Exchange::KEY;
    let long = format!("{}{key}", "x".repeat(100_000));
    let bodies = [
        format!("key {key} may not"),
        long.clone(),
        format!("{{\"reason\":\"MissingRole\",\"message\":\"{long}\"}}"),
        // About no access: not explained, and still no place for a key.
        format!("{{\"result\":\"error\",\"reason\":\"InvalidPrice\",\"key\":\"{key}\"}}"),
        // What another reader may read otherwise is not spliced.
        format!("{{\"message\":\"a\",\"Message\":\"{key}\"}}"),
    ];
    for status in [400, 403, 500] {
        for body in &bodies {
            let headers =
                json!({"x-key": format!("the key {key} of {key}"), "x-other": "as it is"});
            let canned = json!({"status": status, "body": body, "headers": headers});
            let (answer, _) = bench.order("echo", json!({"answer": canned})).await;
            assert_eq!(answer.status, status);
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!text.contains(key), "{status}: {text}");
            assert!(!format!("{:?}", answer.headers).contains(key), "{:?}", answer.headers);
            assert!(answer.headers["x-key"].as_bytes().starts_with(b"the key \xe2\x80\xa6"));
            assert_eq!(answer.header("x-other"), "as it is");
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        }
    }
    // A success passes as it is.
    let canned = json!({"status": 200, "body": "{}", "headers": {"x-other": "as it is"}});
    let (answer, _) = bench.order("fine", json!({"answer": canned})).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"{}"[..]));
}

#[tokio::test]
async fn reads_meet_the_same_faults_and_may_be_repeated() {
    let bench = Bench::new("timeout = { read = \"2s\" }").await;
    for (fault, status, cause) in [
        (json!({"cut": {"at": 40, "then": "drop"}}), 502, "upstream-closed"),
        (json!({"cut": {"at": 300, "then": "drop"}}), 502, "upstream-truncated"),
        (json!({"cut": {"at": 40, "then": "stall"}}), 504, "upstream-timeout"),
        (raw("HTTP/1.1 600 What\r\n\r\n"), 502, "upstream-closed"),
        (json!({"informational": {"count": 10_000}}), 502, "upstream-closed"),
    ] {
        let rule = json!({"path": "/v1/balances", "do": fault});
        bench.exchange.simulator.script(&rule.to_string()).unwrap();
        let answer = bench.bot.post("/v1/balances", "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("geminid-cause").as_str()),
            (status, cause),
            "{fault}"
        );
        assert_eq!(answer.json()["diagnosis"]["retry"], "now", "{fault}");
        assert_eq!(bench.bot.post("/v1/balances", "").await.status, 200, "after {fault}");
    }
}

#[tokio::test]
async fn an_exchange_that_cannot_be_reached_was_sent_nothing() {
    let mut exchange = Exchange::start(NonceRule::Increasing).await;
    let upstream =
        "dev_upstream = true\ntimeout = { connect = \"200ms\", order = \"1s\", read = \"1s\" }";
    let settings = Settings { upstream, ..Settings::default() };
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // 192.0.2.0/24 and `.invalid` are for documents (RFC 5737, RFC 6761): nobody is there.
    for (n, front) in [nobody.to_string(), "192.0.2.1:9".to_owned(), "nobody.invalid".to_owned()]
        .iter()
        .enumerate()
    {
        exchange.front = Some(front.clone());
        let proxy = exchange.proxy_unready(&format!("nobody-{n}"), &settings).await;
        let told = proxy.bot().post("/v1/order/new", &order("x")).await.told();
        assert_eq!(
            told,
            (503, "not_sent".to_owned(), "upstream-unreachable".to_owned()),
            "{front}"
        );
        let told = proxy.bot().get("/v1/symbols").await.told();
        assert_eq!(
            told,
            (503, "not_sent".to_owned(), "upstream-unreachable".to_owned()),
            "{front}"
        );
    }
}
