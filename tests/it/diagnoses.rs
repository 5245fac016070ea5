//! Rejections and their diagnoses: every rule has a case that fires, and a near miss.

use geminid::simulator::NonceRule;
use serde_json::{Value, json};

use crate::support::{Exchange, Settings};

/// Cases whose answer alone tells. The rules' own tests judge them too, and those with a context.
const CASES: [&str; 2] = [
    include_str!("fixtures/diagnoses/exchange.json"),
    include_str!("fixtures/diagnoses/edges.json"),
];

#[tokio::test]
async fn every_case_is_diagnosed_as_written_down() {
    let read = |it: &str| -> Vec<Value> { serde_json::from_str(it).unwrap() };
    let cases: Vec<Value> = CASES.into_iter().flat_map(read).collect();
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    for case in cases.iter().filter(|it| it["offline"] != true) {
        let name = &case["name"];
        exchange.simulator.clear_script();
        // Between two cases the key works, so that it is never set aside.
        assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200, "before {name}");
        let path = case["path"].as_str().unwrap_or("/v1/balances");
        let rule = json!({"path": path, "times": 0, "do": {"answer": case["answer"]}});
        exchange.simulator.script(&rule.to_string()).unwrap();
        let answer = proxy.bot().post(path, "").await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        let status = case["answer"]["status"].as_u64().unwrap();
        assert_eq!(u64::from(answer.status.as_u16()), status, "{name}: {said}");

        let original = case["answer"]["body"].as_str().unwrap();
        let Some(expected) = case["diagnosis"].as_object() else {
            assert_eq!(said, original, "{name}: it is no business of ours");
            continue;
        };
        let json = answer.json();
        assert_eq!(answer.header("geminid-cause"), expected["cause"], "{name}: {said}");
        for (member, value) in expected {
            assert_eq!(&json["diagnosis"][member], value, "{name}: {said}");
        }
        // Libraries class by these: none is ever added or changed.
        let before: Value = serde_json::from_str(original).unwrap_or_default();
        for member in ["result", "reason", "error", "code"] {
            assert_eq!(json.get(member), before.get(member), "{name}: {said}");
        }
        // A message that is none stays what it was, and one that is not there is not made up.
        match (before.is_object(), before.get("message")) {
            (true, Some(Value::String(was))) => {
                let now = json["message"].as_str().unwrap();
                let masked = was.contains(Exchange::KEY);
                assert!(masked || now.starts_with(&format!("{was} — ")), "{name}: {said}");
            }
            (true, was) => assert_eq!(json.get("message"), was, "{name}: {said}"),
            (false, _) => assert!(json["message"].is_string(), "{name}: {said}"),
        }
        if let Some(message) = case.get("message") {
            assert_eq!(&json["message"], message, "{name}");
        }
    }
}

#[tokio::test]
async fn a_missing_role_is_explained_from_the_exchanges_own_words() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let more = "[[clients]]\nname = \"reader\"\nkey = \"reporting\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]";
    let client = "credential = { none = true }\nscopes = [\"auditor\"]";
    let proxy = exchange.proxy(&Settings { client, more, ..Settings::default() }).await;
    let order =
        r#"{"symbol":"btcusd","amount":"1","price":"1","side":"buy","type":"exchange limit"}"#;
    let answer = proxy.bot().with_token(Exchange::TOKEN).post("/v1/order/new", order).await;
    assert_eq!(answer.told(), (403, "rejected".to_owned(), "key-role-missing".to_owned()));
    let json = answer.json();
    assert_eq!((&json["result"], &json["reason"]), (&json!("error"), &json!("MissingRole")));
    let message = json["message"].as_str().unwrap();
    assert!(message.contains("to API key …0002 which"), "{message}");
    let line = " — the key `reporting` has roles [Auditor], create_order needs Trader";
    assert!(message.ends_with(line), "{message}");
    let diagnosis = &json["diagnosis"];
    assert_eq!(diagnosis["request_id"], answer.header("geminid-request-id"));
    let expected = json!({
        "request_id": diagnosis["request_id"], "decided_by": "upstream", "outcome": "rejected",
        "retry": "after_fix", "cause": "key-role-missing",
        "title": "The API key lacks a role that this endpoint needs", "confidence": "certain",
        "evidence": ["Gemini names the roles it wants: [Trader]", "the key `reporting` has: [Auditor]"],
        "fix": ["Settings → API → the key that ends in …0002 → add Trader",
            "or point client `reader` at a key that has it"],
        "fix_by": ["account-owner", "operator"],
        "resolution": "under an hour", "watch": "geminid_incidents_open{cause=\"key-role-missing\"}", "docs": "docs/diagnosis.md#key-role-missing",
        "operation": "create_order", "scope": "orders:create", "client": "reader",
        "key": "reporting", "egress_ip": "127.0.0.1", "alternatives": [],
    });
    assert_eq!(diagnosis, &expected);
}

#[tokio::test]
async fn a_question_that_nobody_answers_teaches_nothing_and_sends_nothing() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let body = r#"{"result":"error","reason":"EndpointNotFound","message":"x"}"#;
    let rule = json!({"path": "/v1/roles", "do": {"answer": {"status": 404, "body": body}}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let answer = proxy.bot().post("/v1/order/new", "{}").await;
    assert_eq!(answer.told(), (503, "not_sent".to_owned(), "unexplained".to_owned()));
    assert!(exchange.simulator.ledger().at_path("/v1/order/new").is_empty());
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200, "it is asked again");
}

#[tokio::test]
async fn what_was_refused_before_it_was_sent_may_come_again() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    exchange.simulator.script(r#"{"path":"/v1/roles","do":{"rate_limited":true}}"#).unwrap();
    let payload = r#"{"request":"/v1/order/new","nonce":1,"symbol":"btcusd","amount":"0.01","price":"1000.00","side":"buy","type":"exchange limit"}"#;
    let bot = proxy.bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, payload);
    assert_eq!(bot.post("/v1/order/new", "").await.told().2, "rate-limited");
    assert_eq!(bot.post("/v1/order/new", "").await.status, 200);
    assert_eq!(bot.post("/v1/order/new", "").await.told().2, "client-replay");
}

#[tokio::test]
async fn a_key_the_exchange_does_not_know_is_told_before_the_call_is_sent() {
    let exchange = Exchange::start_with(NonceRule::Increasing, |options| {
        options.keys[0].disabled = true;
    })
    .await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let answer = proxy.bot().post("/v1/order/new", "{}").await;
    assert_eq!(answer.told(), (400, "rejected".to_owned(), "key-unknown".to_owned()));
    assert!(exchange.simulator.ledger().at_path("/v1/order/new").is_empty());
}
