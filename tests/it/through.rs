//! Requests that go through: what the exchange receives, and what the bot gets.

use geminid::simulator::NonceRule;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Exchange, Proxy, Settings};

const ORDER: &str = r#"{"symbol":"btcusd","amount":"0.01","price":"1000.00","side":"buy","type":"exchange limit","client_order_id":"x-1"}"#;

async fn stage() -> (Exchange, Proxy) {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    (exchange, proxy)
}

/// The signed requests to `path` that the exchange has seen.
fn seen(exchange: &Exchange, path: &str) -> usize {
    exchange.simulator.ledger().at_path(path).len()
}

#[tokio::test]
async fn unsigned_json_leaves_signed_as_documented() {
    let (exchange, proxy) = stage().await;
    let answer = proxy.bot().post("/v1/order/new", ORDER).await;
    assert_eq!(answer.told(), (200, "executed".to_owned(), String::new()));
    assert_eq!(answer.header("geminid-request-id").len(), 26);
    assert_eq!(answer.json()["client_order_id"], "x-1");

    let ledger = exchange.simulator.ledger();
    let sent = ledger.at_path("/v1/order/new");
    let sent = sent.last().unwrap();
    assert_eq!(sent.body_bytes, 0);
    assert_eq!(sent.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(sent.headers.cache_control.as_deref(), Some("no-cache"));
    assert_eq!(sent.headers.content_length.as_deref(), Some("0"));
    let url = exchange.simulator.url();
    assert_eq!(sent.headers.host.as_deref(), url.strip_prefix("https://"));
    let forbidden = ["authorization", "proxy-authorization", "cookie", "connection", "x-extra"];
    assert!(!sent.headers.names.iter().any(|it| forbidden.contains(&it.as_str())));
    let payload: Value = serde_json::from_str(sent.payload.as_deref().unwrap()).unwrap();
    assert_eq!(payload["request"], "/v1/order/new");
    assert_eq!(payload["amount"], "0.01");
    assert!(payload.get("account").is_none());
}

#[tokio::test]
async fn three_ways_to_say_who_one_is() {
    let (exchange, proxy) = stage().await;
    let bot = || proxy.bot().with("x-extra", "1").with("cookie", "a=b");
    let basic = &Exchange::basic();
    let payload = r#"{"request":"/v1/balances","nonce":"5"}"#;
    for bot in [
        bot(),
        bot().with_token(Exchange::TOKEN),
        bot().with("proxy-authorization", basic),
        bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, payload),
    ] {
        assert_eq!(bot.post("/v1/balances", "").await.told().0, 200, "{bot:?}");
    }
    assert_eq!(seen(&exchange, "/v1/balances"), 4);
}

/// A request that is refused: its headers, method, path and body; status, cause and reason.
type Refused = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    (&[("authorization", "Bearer wrong")], "POST", "/v1/balances", "", 401, "client-credential-wrong", "InvalidApiKey"),
    (&[("authorization", "Bearer wrong"), ("proxy-authorization", "Bearer x")], "POST", "/v1/balances", "", 400, "client-ambiguous", "InvalidApiKey"),
    (&[("x-gemini-apikey", "account-dummy")], "POST", "/v1/balances", "", 401, "client-credential-wrong", "InvalidApiKey"),
    (&[("origin", "http://evil.test")], "POST", "/v1/balances", "", 403, "browser-request", "RemoteAddressForbidden"),
    (&[("origin", "http://evil.test")], "OPTIONS", "/v1/balances", "", 403, "browser-request", "RemoteAddressForbidden"),
    (&[("sec-fetch-site", "cross-site")], "GET", "/v1/symbols", "", 403, "browser-request", "RemoteAddressForbidden"),
    (&[("host", "evil.test")], "GET", "/v1/symbols", "", 421, "host-refused", "RemoteAddressForbidden"),
    (&[], "POST", "/v1/order/new", r#"{"a":1,"a":2}"#, 400, "request-malformed", "InvalidJson"),
    (&[], "POST", "/v1/order/new", "symbol=btcusd", 400, "request-malformed", "InvalidJson"),
    (&[("content-encoding", "gzip")], "POST", "/v1/balances", "x", 415, "request-malformed", "InvalidJson"),
    (&[("x-gemini-payload", "eyJhIjoxfQ==")], "POST", "/v1/order/new", r#"{"a":2}"#, 400, "payload-ambiguous", "InvalidJson"),
    (&[("x-gemini-payload", "not base64")], "POST", "/v1/order/new", "", 400, "request-malformed", "InvalidJson"),
    (&[], "POST", "/v3/unknown", "", 403, "operation-unknown", "MissingRole"),
    (&[], "GET", "/v1/balances", "", 405, "method-wrong", "EndpointNotFound"),
    (&[], "PUT", "/v1/symbols", "", 405, "method-wrong", "EndpointNotFound"),
    (&[], "POST", "/v1/withdraw/btc", r#"{"address":"x","amount":"1"}"#, 403, "scope-missing", "MissingRole"),
    (&[], "POST", "/v1/oauth/revokeByToken", "", 403, "operation-unknown", "MissingRole"),
    (&[], "GET", "/v1/../v1/symbols", "", 400, "request-malformed", "InvalidJson"),
    (&[], "GET", "/v1//symbols", "", 400, "request-malformed", "InvalidJson"),
    (&[("upgrade", "websocket")], "GET", "/v2/marketdata", "", 403, "operation-unknown", "MissingRole"),
];

#[tokio::test]
async fn parameters_that_fit_no_header_are_refused_before_they_harm_a_connection() {
    let (exchange, proxy) = stage().await;
    let body = |n: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(n));
    let answer = proxy.bot().post("/v1/orders/history", &body(11_000)).await;
    refused(&answer, 413, "request-too-large", "InvalidJson");
    assert_eq!(seen(&exchange, "/v1/orders/history"), 0);
    assert_eq!(proxy.bot().post("/v1/orders/history", &body(10_000)).await.status, 200);
    let answer = proxy.bot().with("x-long", &"x".repeat(40_000)).get("/v1/symbols").await;
    refused(&answer, 431, "request-too-large", "InvalidJson");
    // What a client signed is all that it says.
    let payload = r#"{"request":"/v1/order/new","nonce":1}"#;
    let bot = proxy.bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, payload);
    refused(&bot.post("/v1/order/new", ORDER).await, 400, "payload-ambiguous", "InvalidJson");
}

#[tokio::test]
async fn refusals_send_nothing() {
    let (exchange, proxy) = stage().await;
    let before = exchange.simulator.ledger().requests().len();
    for (headers, method, path, body, status, cause, reason) in REFUSED {
        let with =
            |bot: crate::support::Bot, (name, value): &(&'static str, &str)| bot.with(name, value);
        let bot = headers.iter().fold(proxy.bot(), with);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        refused(&bot.ask(method, path, body).await, *status, cause, reason);
    }
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
    let answer = proxy.bot().post("/v1/order/new", &long).await;
    refused(&answer, 413, "request-too-large", "InvalidJson");
    let other = r#"{"request":"/v1/order/cancel","nonce":1}"#;
    let bot = proxy.bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, other);
    let answer = bot.post("/v1/order/new", "").await;
    refused(&answer, 400, "payload-path-mismatch", "EndpointMismatch");
    assert_eq!(exchange.simulator.ledger().requests().len(), before);
}

#[track_caller]
fn refused(answer: &Answer, status: u16, cause: &str, reason: &str) {
    let expected = (status, "not_sent".to_owned(), cause.to_owned());
    assert_eq!(answer.told(), expected, "{}", String::from_utf8_lossy(&answer.body));
    let json = answer.json();
    assert_eq!((&json["result"], &json["reason"]), (&json!("error"), &json!(reason)));
    assert!(json["message"].is_string());
    assert_eq!(json["diagnosis"]["cause"], cause);
    assert_eq!(json["diagnosis"]["decided_by"], "proxy");
    assert_eq!(json["diagnosis"]["outcome"], "not_sent");
    assert_eq!(json["diagnosis"]["docs"], format!("docs/diagnosis.md#{cause}"));
    assert!(answer.header("proxy-status").contains("geminid; error="));
    assert!(answer.headers.keys().all(|it| !it.as_str().starts_with("access-control")));
}

#[tokio::test]
async fn public_data_needs_no_client_and_carries_no_token() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let client = "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]";
    let proxy = exchange.proxy(&Settings { client, ..Settings::default() }).await;
    for bot in
        [proxy.bot(), proxy.bot().with_token("wrong"), proxy.bot().with_token(Exchange::TOKEN)]
    {
        let answer = bot.get("/v1/pubticker/btcusd").await;
        assert_eq!(answer.told().0, 200);
    }
    let ledger = exchange.simulator.ledger();
    for sent in ledger.at_path("/v1/pubticker/btcusd") {
        assert!(sent.key.is_none());
        assert!(!sent.headers.names.iter().any(|it| it == "authorization"));
    }
    assert_eq!(proxy.bot().post("/v1/balances", "").await.told().2, "client-unidentified");
    // Uncatalogued and unsigned: it goes through, and the exchange says what it is.
    assert_eq!(proxy.bot().get("/v9/nothing").await.status, 404);
}

#[tokio::test]
async fn without_public_data_every_call_needs_a_client() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let client = "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"view-balances\"]";
    let settings = Settings { client, upstream: "public = false", ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    assert_eq!(proxy.bot().get("/v1/symbols").await.told().2, "client-unidentified");
    let bot = proxy.bot().with_token(Exchange::TOKEN);
    assert_eq!(bot.get("/v1/symbols").await.told().0, 200);
    assert_eq!(bot.get("/v9/nothing").await.told().0, 403);
}

#[tokio::test]
async fn a_forward_proxy_is_asked_in_its_own_words() {
    let (exchange, proxy) = stage().await;
    let ask = |extra: &str, path: &str| {
        let text = format!(
            "POST http://api.gemini.com{path} HTTP/1.1\r\nHost: api.gemini.com\r\n{extra}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        raw(proxy.address, text)
    };
    let good = &format!("Proxy-Authorization: {}\r\n", Exchange::basic());
    assert!(ask(good, "/v1/balances").await.starts_with("HTTP/1.1 200 "));
    let wrong = ask("Proxy-Authorization: Basic dTp3cm9uZw==\r\n", "/v1/balances").await;
    assert!(wrong.starts_with("HTTP/1.1 407 "), "{wrong}");
    assert!(wrong.contains("proxy-authenticate"), "{wrong}");
    assert_eq!(seen(&exchange, "/v1/balances"), 1);
}

/// Sends bytes as they are and returns all that comes back.
async fn raw(address: std::net::SocketAddr, text: String) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn odd_codings_are_refused_on_the_wire() {
    let (exchange, proxy) = stage().await;
    for coding in ["gzip, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let text = format!(
            "POST /v1/balances HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\nConnection: close\r\n\r\n0\r\n\r\n"
        );
        let answer = raw(proxy.address, text).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{coding}: {answer}");
    }
    assert_eq!(seen(&exchange, "/v1/balances"), 0);
}

#[tokio::test]
async fn a_signed_order_counts_once_and_a_signed_read_may_repeat() {
    let (exchange, proxy) = stage().await;
    let pair = (Exchange::STAND_IN, Exchange::STAND_IN_SECRET);
    let order =
        format!("{{\"request\":\"/v1/order/new\",\"nonce\":7,{}", ORDER.trim_start_matches('{'));
    let bot = proxy.bot().signing(pair.0, pair.1, &order);
    assert_eq!(bot.post("/v1/order/new", "").await.told().0, 200);
    assert_eq!(
        bot.post("/v1/order/new", "").await.told(),
        (400, "not_sent".to_owned(), "client-replay".to_owned())
    );
    // The same nonce on another text is another request.
    let other = order.replace("x-1", "x-2");
    let bot = proxy.bot().signing(pair.0, pair.1, &other);
    assert_eq!(bot.post("/v1/order/new", "").await.told().0, 200);
    let read = r#"{"request":"/v1/balances","nonce":7}"#;
    let bot = proxy.bot().signing(pair.0, pair.1, read);
    for _ in 0..2 {
        assert_eq!(bot.post("/v1/balances", "").await.told().0, 200);
    }
    assert_eq!(seen(&exchange, "/v1/order/new"), 2);
}

#[tokio::test]
async fn a_master_key_names_its_account() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let more = "[[clients]]\nname = \"group-bot\"\nkey = \"group\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\", \"transfers:create\"]\naccounts = [\"cold\"]";
    let client = "credential = { none = true }\nscopes = [\"auditor\"]";
    let proxy = exchange.proxy(&Settings { client, more, ..Settings::default() }).await;
    let bot = proxy.bot().with_token(Exchange::TOKEN);
    assert_eq!(bot.post("/v1/balances", "").await.told().0, 200);
    assert_eq!(bot.post("/v1/balances", r#"{"account":"cold"}"#).await.told().0, 200);
    assert_eq!(
        bot.post("/v1/balances", r#"{"account":"other"}"#).await.told().2,
        "account-refused"
    );
    assert_eq!(bot.post("/v1/roles", "").await.told().0, 200);
    // Both ends of a transfer are accounts that the client names.
    let transfer = r#"{"sourceAccount":"other","targetAccount":"primary","amount":"1"}"#;
    let answer = bot.post("/v1/account/transfer/btc", transfer).await;
    assert_eq!(answer.told().2, "account-refused");
    assert_eq!(answer.json()["diagnosis"]["key"], "group");
    let accounts = |path: &str| -> Vec<Value> {
        let ledger = exchange.simulator.ledger();
        let payload = |it: &str| serde_json::from_str::<Value>(it).unwrap()["account"].clone();
        ledger.at_path(path).iter().map(|it| payload(it.payload.as_deref().unwrap())).collect()
    };
    assert_eq!(accounts("/v1/balances"), [json!("primary"), json!("cold")]);
    assert!(accounts("/v1/roles").iter().all(Value::is_null));
}

#[tokio::test]
async fn withdrawals_go_to_listed_destinations_only() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let client = "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"send-crypto\"]\n[[clients.withdrawals]]\ncurrency = \"btc\"\nnetwork = \"bitcoin\"\naddress = \"bc1qmine\"";
    let proxy = exchange.proxy(&Settings { client, ..Settings::default() }).await;
    let bot = proxy.bot().with_token(Exchange::TOKEN);
    let to = |address: &str| format!(r#"{{"address":"{address}","amount":"0.1"}}"#);
    assert_eq!(bot.post("/v1/withdraw/BTC", &to("bc1qmine")).await.told().0, 200);
    let thief = bot.post("/v1/withdraw/BTC", &to("bc1qthief")).await;
    assert_eq!(thief.told(), (403, "not_sent".to_owned(), "withdrawal-refused".to_owned()));
    assert_eq!(bot.post("/v1/withdraw/usd", &to("bc1qmine")).await.told().2, "scope-missing");
    assert_eq!(seen(&exchange, "/v1/withdraw/BTC"), 1);
}

#[tokio::test]
async fn an_endpoint_newer_than_the_release_can_be_named() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let more = "[[operations]]\nmethod = \"POST\"\npath = \"/v1/new/thing/{symbol}\"\nscope = \"orders:read\"\n[[operations]]\nmethod = \"POST\"\npath = \"/v1/new/money\"\nscope = \"crypto:send\"";
    let client = "credential = { none = true }\nscopes = [\"trader\", \"crypto:send\"]";
    let proxy = exchange.proxy(&Settings { client, more, ..Settings::default() }).await;
    // It is signed and sent; what it is, the exchange says.
    let answer = proxy.bot().post("/v1/new/thing/btcusd", "").await;
    assert_eq!(answer.json()["reason"], "EndpointNotFound");
    assert_eq!(seen(&exchange, "/v1/new/thing/btcusd"), 1);
    assert_eq!(proxy.bot().post("/v1/new/thing", "").await.told().2, "operation-unknown");
    // Its scope says that money leaves: then the destination must be checked, and cannot be.
    assert_eq!(proxy.bot().post("/v1/new/money", "{}").await.told().2, "withdrawal-refused");
}

#[tokio::test]
async fn an_answer_passes_byte_for_byte() {
    let (exchange, proxy) = stage().await;
    let body = "{\"a\" : 12345678901234567890.123456789012345678 ,\n \"é\":\"\\u00e9\"}";
    let rule = json!({"path":"/v1/pubticker/*","times":0,"do":{"answer":{"status":200,"body":body,"headers":{"content-type":"application/json","x-upstream":"1","set-cookie":"a=b","access-control-allow-origin":"*"}}}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let answer = proxy.bot().get("/v1/pubticker/btcusd").await;
    assert_eq!(answer.body, body.as_bytes());
    assert_eq!(answer.header("x-upstream"), "1");
    assert_eq!(answer.header("set-cookie") + &answer.header("access-control-allow-origin"), "");
    // A rejection that is not about access stays as it is.
    let answer = proxy.bot().post("/v1/order/status", r#"{"order_id":1}"#).await;
    assert_eq!(answer.status, 404);
    assert!(answer.json().get("diagnosis").is_none());
    assert_eq!(answer.header("geminid-outcome"), "rejected");
}
