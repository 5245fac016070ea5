//! What goes wrong while a bot trades, from the first failed request to the last line of the log; and
//! every rejection that the simulated exchange knows by name, through the proxy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use geminid::simulator::{KeySpec, NonceRule, Refused, Role, refusals};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::support::{Answer, Bot, Exchange, Proxy, Relay, Settings, trusting};

const ORDER: &str = "/v1/order/new";

/// A bot that trades through a proxy.
struct Trade {
    exchange: Exchange,
    proxy: Proxy,
    n_orders: u32,
}

/// An incident, as a story expects it.
struct Expected {
    cause: &'static str,
    key: Option<&'static str>,
}

impl Trade {
    async fn begin(exchange: Exchange) -> Self {
        let proxy = exchange.proxy(&Settings::default()).await;
        let mut trade = Self { exchange, proxy, n_orders: 0 };
        for _ in 0..3 {
            trade.goes_well().await;
        }
        trade
    }

    async fn order(&mut self) -> Answer {
        self.n_orders += 1;
        let order = json!({
            "symbol": "btcusd", "amount": "0.01", "price": "1000.00", "side": "buy",
            "type": "exchange limit", "client_order_id": format!("story-{}", self.n_orders),
        });
        self.proxy.bot().post(ORDER, &order.to_string()).await
    }

    async fn goes_well(&mut self) {
        let answer = self.order().await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert!(answer.header("geminid-cause").is_empty());
    }

    /// An order is rejected for the expected cause: first, and with this certainty.
    async fn is_rejected(&mut self, status: u16, cause: &str, confidence: &str) -> Value {
        let answer = self.order().await;
        assert_eq!(answer.told(), (status, "rejected".to_owned(), cause.to_owned()));
        let json = answer.json();
        let diagnosis = &json["diagnosis"];
        assert_eq!(diagnosis["cause"], cause, "{json:#}");
        assert_eq!(diagnosis["confidence"], confidence, "{json:#}");
        assert!(diagnosis["fix"].as_array().is_some_and(|it| !it.is_empty()), "{json:#}");
        json
    }

    async fn admin(&self, path: &str) -> Answer {
        let answer = Bot::new(self.proxy.admin).get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        answer
    }

    async fn incidents(&self) -> Value {
        self.admin("/incidents").await.json()
    }

    /// So many incidents of the cause are open, by the gauge.
    async fn gauge(&self, expected: &Expected) -> u64 {
        let metrics = self.admin("/metrics").await;
        let text = String::from_utf8(metrics.body.to_vec()).unwrap();
        let cause = format!("cause=\"{}\"", expected.cause);
        let key = expected.key.map(|it| format!("key=\"{it}\""));
        let mine = |line: &&str| {
            line.starts_with("geminid_incidents_open{")
                && line.contains(&cause)
                && key.as_ref().is_none_or(|it| line.contains(it))
        };
        let line = text.lines().find(mine);
        line.map_or(0, |it| it.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// One incident is open, this one, and the log has told it once.
    async fn has_opened(&self, expected: &Expected) {
        let incidents = self.incidents().await;
        let open = incidents["open"].as_array().unwrap();
        assert_eq!(open.len(), 1, "{incidents:#}");
        assert_eq!(open[0]["cause"], expected.cause);
        assert_eq!(open[0]["key"], json!(expected.key));
        assert_eq!(self.gauge(expected).await, 1);
        self.proxy.line("incident: ").await;
        let told = self.lines("incident: ");
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!(
            (&told[0]["level"], &told[0]["cause"]),
            (&json!("WARN"), &json!(expected.cause))
        );
    }

    /// None is open, and this one was.
    async fn has_closed(&self, expected: &Expected) {
        let incidents = self.incidents().await;
        assert_eq!(incidents["open"], json!([]), "{incidents:#}");
        let closed = incidents["closed"].as_array().unwrap();
        assert_eq!(closed.len(), 1, "{incidents:#}");
        assert_eq!(closed[0]["cause"], expected.cause);
        assert_eq!(closed[0]["key"], json!(expected.key));
        assert_eq!(self.gauge(expected).await, 0);
        self.proxy.line("incident over").await;
        assert_eq!(self.lines("incident over").len(), 1);
    }

    /// The log's lines with that message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let log = self.proxy.log();
        let lines = log.iter().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let with = |it: &Value| it["message"].as_str().is_some_and(|it| it.contains(message));
        lines.filter(with).collect()
    }

    fn change_key(&self, change: impl FnOnce(&mut KeySpec)) {
        let mut key = KeySpec::new(Exchange::KEY, Exchange::SECRET);
        change(&mut key);
        self.exchange.simulator.add_key(key);
    }
}

/// Everything that a diagnosis says in words.
fn words(json: &Value) -> String {
    let evidence = json["diagnosis"]["evidence"].to_string();
    format!("{} {evidence}", json["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_role_is_removed_while_the_bot_trades() {
    let mut trade = Trade::begin(Exchange::start(NonceRule::Increasing).await).await;
    trade.change_key(|it| it.roles = vec![Role::Auditor]);

    let json = trade.is_rejected(403, "key-role-missing", "certain").await;
    assert_eq!((&json["result"], &json["reason"]), (&json!("error"), &json!("MissingRole")));
    let said = words(&json);
    assert!(said.contains("[Trader]") && said.contains("[Auditor]"), "{said}");
    assert!(said.contains("worked"), "when it last worked: {said}");

    trade.is_rejected(403, "key-role-missing", "certain").await;
    let expected = Expected { cause: "key-role-missing", key: Some("trading") };
    trade.has_opened(&expected).await;
    // Reading goes on, and shows nothing of the role.
    assert_eq!(trade.proxy.bot().post("/v1/balances", "").await.status, 200);
    trade.is_rejected(403, "key-role-missing", "certain").await;
    trade.has_opened(&expected).await;

    trade.change_key(|it| it.roles = vec![Role::Trader]);
    trade.goes_well().await;
    trade.has_closed(&expected).await;
}

#[tokio::test]
async fn the_address_changes_while_the_bot_trades() {
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    let mut exchange =
        Exchange::start_with(NonceRule::Increasing, |it| it.keys[0].trusted_ips = Some(vec![here]))
            .await;
    let relay = Relay::start(exchange.simulator.address()).await;
    exchange.front = Some(format!("localhost:{}", relay.address.port()));
    let mut trade = Trade::begin(exchange).await;
    relay.leave_from("127.0.0.2");

    let json = trade.is_rejected(403, "key-ip-not-trusted", "certain").await;
    assert_eq!(json["reason"], "ApiKeyIpFilteringFailure");
    let said = words(&json);
    assert!(said.contains("worked until"), "{said}");

    trade.is_rejected(403, "key-ip-not-trusted", "certain").await;
    let expected = Expected { cause: "key-ip-not-trusted", key: Some("trading") };
    trade.has_opened(&expected).await;

    relay.leave_from("127.0.0.1");
    trade.goes_well().await;
    trade.has_closed(&expected).await;
}

#[tokio::test]
async fn an_edge_blocks_a_healthy_exchange() {
    for (word, cause) in [
        ("cloudflare-1020", "edge-blocked"),
        ("cloudfront-geo", "edge-region"),
        ("cloudflare-challenge", "edge-challenge"),
    ] {
        let mut trade = Trade::begin(Exchange::start(NonceRule::Increasing).await).await;
        let simulator = &trade.exchange.simulator;
        let executed = simulator.ledger().executed().len();
        let rule = json!({"path": "/v1/*", "times": 0, "do": {"refuse": word}});
        simulator.script(&rule.to_string()).unwrap();

        let json = trade.is_rejected(403, cause, "certain").await;
        assert_eq!(json["diagnosis"]["decided_by"], "edge", "{word}");
        assert_eq!((json.get("result"), json.get("reason")), (None, None), "{word}");

        trade.is_rejected(403, cause, "certain").await;
        let expected = Expected { cause, key: None };
        trade.has_opened(&expected).await;
        assert_eq!(trade.exchange.simulator.ledger().executed().len(), executed, "{word}");

        trade.exchange.simulator.clear_script();
        trade.goes_well().await;
        trade.has_closed(&expected).await;
    }
}

/// What the exchange answers without a proxy before it.
async fn straight(exchange: &Exchange, path: &str) -> (u16, Bytes) {
    let client = trusting(exchange.simulator.ca_pem());
    let uri = format!("{}{path}", exchange.simulator.url());
    let request = Request::builder().method(Method::POST).uri(uri);
    let answer = client.request(request.body(Full::default()).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    (head.status.as_u16(), body.collect().await.unwrap().to_bytes())
}

/// One word, through the proxy and without it: `None`, or what is wrong.
async fn explained(exchange: &Exchange, proxy: &Proxy, refused: &Refused) -> Option<String> {
    let path = "/v1/balances";
    // What stands between refuses everything; the exchange refuses a call.
    let own =
        ["edge-", "captive-"].iter().all(|it| !refused.cause.unwrap_or("edge-").starts_with(it));
    let rule = json!({"path": if own { path } else { "/v1/*" }, "times": 0, "do": {"refuse": refused.word}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let answer = proxy.bot().post(path, "").await;
    let (status, original) = straight(exchange, path).await;
    exchange.simulator.clear_script();

    let got = answer.header("geminid-cause");
    if answer.status != status || status != refused.status {
        return Some(format!("{status} became {} ({got})", answer.status));
    }
    let about_access = matches!(status, 401 | 403 | 407 | 429 | 503);
    if refused.cause.is_none() && !about_access && got.is_empty() {
        return (answer.body != original).then(|| "it was changed without a diagnosis".to_owned());
    }
    if refused.cause.map_or(got.is_empty(), |it| it != got) {
        return Some(format!("the cause is `{got}`, not {:?}", refused.cause));
    }
    let (before, after) = (serde_json::from_slice::<Value>(&original), answer.json());
    let before = before.unwrap_or_default();
    for member in ["result", "reason", "error", "code"] {
        if before.get(member) != after.get(member) {
            return Some(format!("`{member}` became {:?}", after.get(member)));
        }
    }
    let diagnosis = &after["diagnosis"];
    let complete = diagnosis["cause"] == got.as_str()
        && ["title", "confidence", "decided_by", "resolution", "retry", "docs"]
            .iter()
            .all(|it| diagnosis[it].as_str().is_some_and(|it| !it.is_empty()));
    (!complete).then(|| format!("the diagnosis lacks something: {after:#}"))
}

/// Each has the cause that it stands for, the same status, and the words that libraries class by
/// untouched.
#[tokio::test]
async fn every_named_rejection_is_explained() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let mut wrong = BTreeMap::new();
    for refused in refusals().filter(|it| !it.word.contains("nonce")) {
        // In between it works: no key is set aside, and each starts from the same past.
        let between = proxy.bot().post("/v1/balances", "").await;
        assert_eq!(between.status, 200, "before {}: {:?}", refused.word, between.told());
        if let Some(fault) = explained(&exchange, &proxy, refused).await {
            wrong.insert(refused.word, fault);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same of nonces. A lane remembers them, so each has a proxy of its own.
#[tokio::test]
async fn every_named_rejection_of_a_nonce_is_explained() {
    let mut wrong = BTreeMap::new();
    for refused in refusals().filter(|it| it.word.contains("nonce")) {
        let timed = refused.word == "nonce-clock";
        let rule = if timed { NonceRule::Time } else { NonceRule::Increasing };
        let exchange = Exchange::start(rule).await;
        let key = if timed { "nonce = \"time\"" } else { "" };
        let proxy = exchange.proxy(&Settings { key, ..Settings::default() }).await;
        // Whether nonces of ours have ever been taken is what tells a shared key from a wrong unit.
        if refused.word != "nonce-unit" {
            assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
        }
        if let Some(fault) = explained(&exchange, &proxy, refused).await {
            wrong.insert(refused.word, fault);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
