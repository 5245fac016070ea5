//! Starting, losing clients, losing the exchange, ending.

use std::time::Duration;

use geminid::simulator::NonceRule;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Bot, Exchange, Settings, geminid};

const ORDER: &str = r#"{"symbol":"btcusd","amount":"0.01","price":"1000.00","side":"buy","type":"exchange limit","client_order_id":"left"}"#;

#[test]
fn the_demonstration_goes_as_it_should() {
    let said = geminid(&["demo", "--once"]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    for word in ["200: ", "403, decided by proxy", "exchange: 0.", "403, decided by upstream"] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
}

#[tokio::test]
async fn an_order_completes_and_is_told_when_its_client_goes_away() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let rule = json!({"path": "/v1/order/new", "do": {"delay_ms": 400}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let text = format!(
        "POST /v1/order/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{ORDER}",
        ORDER.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    while exchange.simulator.ledger().at_path("/v1/order/new").is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(stream);
    let line: Value = serde_json::from_str(&proxy.line("\"create_order\"").await).unwrap();
    assert_eq!((&line["status"], &line["outcome"]), (&json!(200), &json!("executed")));
    let ledger = exchange.simulator.ledger();
    assert_eq!(ledger.at_path("/v1/order/new").len(), 1);
    assert!(ledger.at_path("/v1/order/new")[0].executed);
}

#[tokio::test]
async fn an_order_whose_client_went_away_while_it_waited_is_never_sent() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let rule = json!({"path": "/v1/balances", "do": {"delay_answer_ms": 1_000}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let bot = proxy.bot();
    let slow = tokio::spawn(async move { bot.post("/v1/balances", "").await });
    while exchange.simulator.ledger().at_path("/v1/balances").len() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The key is serial and busy: the order waits, and its client loses patience.
    let bot = proxy.bot();
    let order = bot.post("/v1/order/new", ORDER);
    assert!(tokio::time::timeout(Duration::from_millis(100), order).await.is_err());
    drop(bot);
    let line: Value = serde_json::from_str(&proxy.line("\"aborted\"").await).unwrap();
    assert_eq!(
        (&line["operation"], &line["outcome"]),
        (&json!("create_order"), &json!("not_sent"))
    );
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200, "the lane goes on");
    assert!(exchange.simulator.ledger().at_path("/v1/order/new").is_empty());
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable_or_says_that_it_does_not() {
    use tokio::io::AsyncReadExt as _;
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    // A wrong token, with a body that comes after the head.
    let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let head = "POST /v1/balances HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer no\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"{}").await.unwrap();
    let mut answer = vec![0; 4_096];
    let n = stream.read(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer[..n]).into_owned();
    assert!(text.starts_with("HTTP/1.1 401 ") && !text.contains("connection: close"), "{text}");
    let next = "GET /v1/symbols HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // A body that never comes.
    let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn sigterm_waits_for_what_is_in_flight() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let rule = json!({"path": "/v1/order/new", "do": {"delay_ms": 400}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let bot = proxy.bot();
    let order = tokio::spawn(async move { bot.post("/v1/order/new", ORDER).await });
    while exchange.simulator.ledger().at_path("/v1/order/new").is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let status = proxy.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(order.await.unwrap().told(), (200, "executed".to_owned(), String::new()));
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_told_as_it_is() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let upstream = "timeout = { order = \"700ms\", read = \"700ms\" }";
    let proxy = exchange.proxy(&Settings { upstream, ..Settings::default() }).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let cases = [
        (json!({"close": "before"}), 502, "unknown", "upstream-closed"),
        (json!({"close": "after_execute"}), 502, "unknown", "upstream-closed"),
        (json!({"delay_answer_ms": 3_000}), 504, "unknown", "upstream-timeout"),
        (json!({"truncate": 20}), 502, "executed", "upstream-truncated"),
        (json!({"redirect": "https://elsewhere.test/"}), 502, "unknown", "upstream-redirect"),
        (json!({"answer": {"status": 503, "body": "<html></html>"}}), 502, "unknown", "edge-error"),
        (json!({"answer": {"status": 503, "body": ""}}), 502, "unknown", "unexplained"),
        (json!({"maintenance": true}), 503, "rejected", "maintenance"),
    ];
    for (action, status, outcome, cause) in cases {
        exchange.simulator.clear_script();
        let rule = json!({"path": "/v1/order/new", "times": 0, "do": action});
        exchange.simulator.script(&rule.to_string()).unwrap();
        let before = exchange.simulator.ledger().at_path("/v1/order/new").len();
        let answer = proxy.bot().post("/v1/order/new", ORDER).await;
        let expected = (status, outcome.to_owned(), cause.to_owned());
        assert_eq!(answer.told(), expected, "{action}");
        let json = answer.json();
        assert_eq!(json["diagnosis"]["outcome"], outcome, "{action}");
        if outcome == "unknown" {
            assert_eq!(json["diagnosis"]["retry"], "look_first", "{action}");
        }
        assert_eq!(exchange.simulator.ledger().at_path("/v1/order/new").len(), before + 1);
        if status != 503 {
            assert!(json.get("result").is_none(), "only a definite no says so: {json}");
        }
    }
}

#[tokio::test]
async fn nothing_listening_there_is_a_promise_that_nothing_was_sent() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    exchange.simulator.script(r#"{"path":"*","times":0,"do":{"close":"before"}}"#).unwrap();
    // The pool's connection dies, and with the listener gone no new one can be had.
    let address = exchange.simulator.address();
    drop(proxy.bot().post("/v1/balances", "").await);
    let pair = (Exchange::STAND_IN, Exchange::STAND_IN_SECRET);
    let payload =
        format!("{{\"request\":\"/v1/order/new\",\"nonce\":7,{}", ORDER.trim_start_matches('{'));
    let signing = proxy.bot().signing(pair.0, pair.1, &payload);
    let blocked = exchange.stop_exchange().await;
    // What was not sent may come again in the same bytes: it is no replay.
    for _ in 0..2 {
        let answer = signing.post("/v1/order/new", "").await;
        assert_eq!(answer.told().2, "upstream-unreachable");
    }
    let answer = proxy.bot().post("/v1/order/new", ORDER).await;
    assert_eq!(answer.told(), (503, "not_sent".to_owned(), "upstream-unreachable".to_owned()));
    assert!(answer.json().get("result").is_none(), "{address}");
    drop(blocked);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_not_accepted() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let other = Exchange::start(NonceRule::Increasing).await;
    std::fs::write(exchange.dir().join("ca.pem"), other.simulator.ca_pem()).unwrap();
    let upstream = "timeout = { read = \"300ms\" }";
    let settings = Settings { upstream, ..Settings::default() };
    let proxy = exchange.proxy_unready("state", &settings).await;
    let signed = proxy.bot().post("/v1/balances", "").await;
    assert_eq!(signed.told(), (503, "not_sent".to_owned(), "upstream-tls".to_owned()));
    let answer = proxy.bot().get("/v1/symbols").await;
    assert_eq!(answer.told(), (503, "not_sent".to_owned(), "upstream-tls".to_owned()));
    assert!(exchange.simulator.ledger().requests().is_empty());
}

#[tokio::test]
async fn probes_and_metrics() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let admin = Bot::new(proxy.admin);
    for probe in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(admin.get(probe).await.status, 200, "{probe}");
    }
    assert_eq!(admin.get("/nothing").await.status, 404);
    assert_eq!(admin.clone().with("host", "evil.test").get("/metrics").await.status, 403);
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    assert_eq!(proxy.bot().post("/v1/withdraw/btc", "{}").await.status, 403);
    let text = String::from_utf8(admin.get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "geminid_requests_total{client=\"bot\",operation=\"list_balances\",status=\"200\",outcome=\"executed\"} 1",
        "geminid_causes_total{cause=\"scope-missing\",decided_by=\"proxy\"} 1",
        "geminid_lane_wait_seconds_count{key=\"trading\"} 1",
        "geminid_requests_in_flight 0",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    let address = proxy.admin.to_string();
    assert!(geminid(&["healthcheck", "--admin", &address]).status.success());
    // The state directory is one process's at a time.
    let config = exchange.dir().join("state.toml");
    let second = geminid(&["serve", "--config", config.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another geminid") && said.contains("hint: "), "{said}");
    drop(proxy);
    assert_eq!(geminid(&["healthcheck", "--admin", &address]).status.code(), Some(1));
}
