//! Credentials that are wrong, misplaced or ambiguous, on the wire.

use geminid::simulator::NonceRule;
use serde_json::Value;

use crate::support::{Answer, Exchange, Proxy, Settings, raw};

const PAYLOAD: &str = r#"{"request":"/v1/balances","nonce":1}"#;

async fn stage(settings: &Settings) -> (Exchange, Proxy) {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(settings).await;
    (exchange, proxy)
}

fn balances(exchange: &Exchange) -> usize {
    exchange.simulator.ledger().at_path("/v1/balances").len()
}

fn post(path: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// What an answer says, but for what differs from request to request.
fn told(answer: &Answer) -> (u16, Vec<String>, Value) {
    let mut body = answer.json();
    body["diagnosis"]["request_id"] = Value::Null;
    let each = answer.headers.iter();
    let kept = each.filter(|(name, _)| !matches!(name.as_str(), "geminid-request-id" | "date"));
    let headers = kept.map(|(name, value)| format!("{name}: {value:?}")).collect();
    (answer.status.as_u16(), headers, body)
}

#[tokio::test]
async fn unknown_and_wrong_are_told_alike() {
    let (exchange, proxy) = stage(&Settings::default()).await;
    let signed = |key: &str, secret: &str| proxy.bot().signing(key, secret, PAYLOAD);
    let (stand_in, secret) = (Exchange::STAND_IN, Exchange::STAND_IN_SECRET);
    let wrong = signed(stand_in, "another").post("/v1/balances", "").await;
    let unknown = signed("account-nobody", secret).post("/v1/balances", "").await;
    assert_eq!(told(&wrong), told(&unknown));
    assert_eq!(wrong.told(), (401, "not_sent".to_owned(), "client-credential-wrong".to_owned()));
    // A token that shares all but its last character with a known one, and one that shares nothing.
    let near = format!("{}x", Exchange::TOKEN.get(..Exchange::TOKEN.len() - 1).unwrap());
    let near = proxy.bot().with_token(&near).post("/v1/balances", "").await;
    let far = proxy.bot().with_token("x").post("/v1/balances", "").await;
    assert_eq!(told(&near), told(&far));
    assert_eq!(balances(&exchange), 0);
}

#[tokio::test]
async fn too_many_wrong_ones_are_told_when_to_come_again_and_hold_up_nobody() {
    let (exchange, proxy) = stage(&Settings::default()).await;
    let wrong = |n: u32| {
        // No header says where somebody calls from.
        let from = format!("10.0.{}.{}", n / 256, n % 256);
        proxy.bot().with_token(&format!("wrong-{n}")).with("x-forwarded-for", &from)
    };
    for n in 0..50 {
        assert_eq!(wrong(n).post("/v1/balances", "").await.told().2, "client-credential-wrong");
    }
    let late = wrong(50).post("/v1/balances", "").await;
    assert_eq!(late.told(), (429, "not_sent".to_owned(), "client-throttled".to_owned()));
    assert_eq!(late.json()["reason"], "RateLimit");
    let wait: u64 = late.header("retry-after").parse().unwrap();
    assert!((200..=300).contains(&wait), "{wait}");
    assert_eq!(late.json()["diagnosis"]["retry"], format!("after_{wait}s"));
    // Whatever else is wrong is told the same, known or not.
    let (stand_in, secret) = (Exchange::STAND_IN, Exchange::STAND_IN_SECRET);
    for (key, secret) in [(stand_in, "another"), ("account-nobody", secret)] {
        let answer = proxy.bot().signing(key, secret, PAYLOAD).post("/v1/balances", "").await;
        assert_eq!(answer.told().2, "client-throttled");
    }
    // Who is valid, from the same address, is answered.
    for bot in [
        proxy.bot(),
        proxy.bot().with_token(Exchange::TOKEN),
        proxy.bot().signing(stand_in, secret, PAYLOAD),
    ] {
        assert_eq!(bot.post("/v1/balances", "").await.status, 200);
    }
    // And public data is for everyone, whatever comes along.
    assert_eq!(wrong(51).get("/v1/symbols").await.status, 200);
    assert_eq!(balances(&exchange), 3);
}

#[tokio::test]
async fn a_credential_in_an_address_is_refused_and_told_nobody() {
    let (exchange, proxy) = stage(&Settings::default()).await;
    let asked = exchange.simulator.ledger().requests().len();
    for (path, name) in [
        (format!("/v1/symbols?token={}", Exchange::TOKEN), "token"),
        (format!("/v9/unknown?a=1&API_KEY={}", Exchange::KEY), "api_key"),
        (format!("/v1/pubticker/btcusd?%73ecret={}", Exchange::STAND_IN_SECRET), "secret"),
    ] {
        let answer = proxy.bot().get(&path).await;
        assert_eq!(answer.told(), (400, "not_sent".to_owned(), "request-malformed".to_owned()));
        let said = answer.json();
        assert!(said["message"].as_str().unwrap().contains(&format!("`{name}`")), "{said}");
        assert!(said["diagnosis"]["fix"][0].as_str().unwrap().contains("header"), "{said}");
    }
    let answer = proxy.bot().post(&format!("/v1/balances?key={}", Exchange::SECRET), "").await;
    assert_eq!(answer.told().2, "request-malformed");
    let named = format!("GET http://u:{}@localhost/v1/symbols HTTP/1.1", Exchange::TOKEN);
    let named = format!("{named}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(raw(proxy.address, &named).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(exchange.simulator.ledger().requests().len(), asked);
    // A near miss goes through.
    assert_eq!(proxy.bot().get("/v1/symbols?tokens=1").await.status, 200);
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_nobodys() {
    let (exchange, proxy) = stage(&Settings::default()).await;
    let token = Exchange::TOKEN;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let other = "Authorization: Bearer other\r\n";
    for (headers, cause) in [
        (bearer.repeat(2), "client-ambiguous"),
        (format!("{bearer}{other}"), "client-ambiguous"),
        (format!("{other}{bearer}"), "client-ambiguous"),
        (format!("{bearer}Proxy-Authorization: Bearer other\r\n"), "client-ambiguous"),
        (format!("{bearer}X_GEMINI_APIKEY: account-x\r\n"), "client-ambiguous"),
        ("X_Gemini_Payload: e30=\r\n".to_owned(), "client-ambiguous"),
        ("x-gemini_signature: 00\r\n".to_owned(), "client-ambiguous"),
        (format!("Proxy_Authorization: Bearer {token}\r\n"), "client-ambiguous"),
        (
            format!("{bearer}X-GEMINI-PAYLOAD: e30=\r\nX-GEMINI-PAYLOAD: e30=\r\n"),
            "request-malformed",
        ),
    ] {
        let answer = raw(proxy.address, &post("/v1/balances", &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{headers}{answer}");
        assert!(answer.contains(&format!("geminid-cause: {cause}\r\n")), "{headers}{answer}");
    }
    // A key that stands twice, or twice with its signature.
    let twice = "X-GEMINI-APIKEY: account-standin\r\n".repeat(2);
    for headers in [twice.clone(), format!("{twice}X-GEMINI-SIGNATURE: 00\r\n")] {
        let answer = raw(proxy.address, &post("/v1/balances", &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{headers}{answer}");
    }
    assert_eq!(balances(&exchange), 0);
    let fine = raw(proxy.address, &post("/v1/balances", &bearer)).await;
    assert!(fine.starts_with("HTTP/1.1 200 "), "{fine}");
}

#[tokio::test]
async fn no_header_says_where_somebody_calls_from() {
    let near = "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]\nfrom = [\"127.0.0.0/8\"]";
    let far =
        "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]\nfrom = [\"10.0.0.0/8\"]";
    for (client, status) in [(near, 200), (far, 403)] {
        let (_exchange, proxy) = stage(&Settings { client, ..Settings::default() }).await;
        for from in ["10.0.0.1", "127.0.0.1", "203.0.113.7"] {
            let bot = proxy.bot().with_token(Exchange::TOKEN);
            let forwarded = format!("for={from}");
            let bot = bot.with("x-forwarded-for", from).with("x-real-ip", from);
            let bot = bot.with("forwarded", &forwarded).with("x-client-ip", from);
            let answer = bot.with("cf-connecting-ip", from).post("/v1/balances", "").await;
            assert_eq!(answer.status, status, "{from}");
            if status == 403 {
                assert_eq!(answer.told().2, "client-address-refused");
                assert!(answer.json()["message"].as_str().unwrap().contains("127.0.0.1"));
            }
        }
    }
}
