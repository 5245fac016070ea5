//! Planted secrets, searched for in everything that comes out.

use geminid::simulator::NonceRule;
use serde_json::json;

use crate::support::{Bot, Exchange, Settings};

/// What must be nowhere: the secrets, and the public halves that would help to use them.
const PLANTED: &[&str] = &[
    Exchange::KEY,
    Exchange::SECRET,
    Exchange::TOKEN,
    Exchange::AUDITOR,
    Exchange::AUDITOR_SECRET,
    Exchange::MASTER_SECRET,
    Exchange::STAND_IN_SECRET,
];

#[tokio::test]
async fn no_output_holds_a_secret() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let more = "[[clients]]\nname = \"reader\"\nkey = \"reporting\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]";
    let client = "credential = [{ none = true }, { key = \"account-standin\", secret = { value = \"STAND_IN_SECRET\" } }]\nscopes = [\"trader\"]";
    let arguments = &["--log-level", "trace"];
    let settings = Settings { client, more, arguments, ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    let mut said = Vec::new();
    let mut keep = |answer: crate::support::Answer| {
        said.push(format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
    };
    keep(proxy.bot().post("/v1/balances", "").await);
    // The exchange's own words hold the whole key.
    let reader = proxy.bot().with_token(Exchange::TOKEN);
    keep(reader.post("/v1/order/new", r#"{"symbol":"btcusd"}"#).await);
    let echo = format!("<html><title>{}</title></html>", Exchange::KEY);
    let rule = json!({"path": "/v1/mytrades", "do": {"answer": {"status": 403, "body": echo}}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    keep(proxy.bot().post("/v1/mytrades", "").await);
    let text = format!("no such key: {}", Exchange::KEY);
    let rule = json!({"path": "/v1/mytrades", "do": {"answer": {"status": 403, "body": text}}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    keep(proxy.bot().post("/v1/mytrades", "").await);
    keep(proxy.bot().with_token("wrong-token").post("/v1/balances", "").await);
    let payload = r#"{"request":"/v1/balances","nonce":1}"#;
    let bot = proxy.bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, payload);
    keep(bot.post("/v1/balances", "").await);
    keep(Bot::new(proxy.admin).get("/metrics").await);
    assert!(said.iter().any(|it| it.contains("key-role-missing")), "the echo was provoked");
    assert!(said.iter().any(|it| it.contains("edge-blocked")), "and the page");

    said.extend(proxy.log());
    assert!(said.iter().any(|it| it.contains("\"level\":\"TRACE\"")), "the log is at its wordiest");
    for text in &said {
        for planted in PLANTED {
            assert!(!text.contains(planted), "{planted} in {text}");
        }
        assert!(!text.contains("wrong-token"), "{text}");
    }
}
