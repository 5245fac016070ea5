//! Rejections that go on: told once when they begin and once when they end; and keys that are set aside.

use geminid::simulator::{KeySpec, NonceRule};
use serde_json::{Value, json};

use crate::support::{Answer, Bot, Exchange, Proxy, Settings};

const ROLE: &str = r#"{"result":"error","reason":"MissingRole","message":"To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [FundManager] to API key x which currently has roles [Auditor]"}"#;

impl Proxy {
    async fn incidents(&self) -> Value {
        let answer = Bot::new(self.admin).get("/incidents").await;
        assert_eq!(answer.header("content-type"), "application/json");
        answer.json()
    }

    async fn metric(&self, line: &str) -> bool {
        let answer = Bot::new(self.admin).get("/metrics").await;
        String::from_utf8_lossy(&answer.body).lines().any(|it| it == line)
    }

    /// How many lines of the log have this message.
    fn n_lines(&self, level: &str, has: &str) -> usize {
        let log = self.log();
        log.iter()
            .filter(|it| it.contains(&format!("\"level\":\"{level}\"")) && it.contains(has))
            .count()
    }
}

fn operator(exchange: &Exchange, proxy: &Proxy) -> Bot {
    let token = std::fs::read_to_string(exchange.dir().join("state/operator-token")).unwrap();
    Bot::new(proxy.admin).with_token(token.trim_end())
}

/// The trail, when all that was handed in is written: a command waits for that.
async fn trail(exchange: &Exchange, proxy: &Proxy) -> String {
    assert_eq!(operator(exchange, proxy).post("/reload", "").await.status, 200);
    std::fs::read_to_string(exchange.dir().join("state/audit/000000000001.jsonl")).unwrap()
}

fn reject(exchange: &Exchange, path: &str, status: u16, body: &str) {
    let answer = json!({"status": status, "body": body});
    let rule = json!({"path": path, "times": 0, "do": {"answer": answer}});
    exchange.simulator.script(&rule.to_string()).unwrap();
}

#[track_caller]
fn is(answer: &Answer, status: u16, outcome: &str, cause: &str) {
    assert_eq!(answer.told(), (status, outcome.to_owned(), cause.to_owned()));
}

#[tokio::test]
async fn a_key_refused_three_times_is_set_aside() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let more = "[[clients]]\nname = \"reader\"\nkey = \"reporting\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"auditor\"]";
    let client = "credential = { none = true }\nscopes = [\"trader\"]";
    let proxy = exchange.proxy(&Settings { client, more, ..Settings::default() }).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let mut disabled = KeySpec::new(Exchange::KEY, Exchange::SECRET);
    disabled.disabled = true;
    exchange.simulator.add_key(disabled);

    let mut last = None;
    for _ in 0..3 {
        let answer = proxy.bot().post("/v1/balances", "").await;
        is(&answer, 400, "rejected", "key-unknown");
        last = Some(answer.json());
    }
    let (last, n_sent) = (last.unwrap(), exchange.simulator.ledger().requests().len());
    for path in ["/v1/balances", "/v1/order/cancel/all"] {
        let answer = proxy.bot().post(path, "").await;
        is(&answer, 400, "not_sent", "key-quarantined");
        let json = answer.json();
        assert_eq!((&json["result"], &json["reason"]), (&last["result"], &last["reason"]));
        let diagnosis = &json["diagnosis"];
        assert_eq!(diagnosis["decided_by"], "proxy");
        assert_eq!(diagnosis["fix"], last["diagnosis"]["fix"], "of what put it there");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        assert_eq!(diagnosis["retry"], format!("after_{wait}s"));
        assert!(json["message"].as_str().unwrap().contains("sent nothing"), "{json}");
    }
    assert_eq!(exchange.simulator.ledger().requests().len(), n_sent, "nothing was sent");
    // Public data and other keys go on.
    assert_eq!(proxy.bot().get("/v1/symbols").await.status, 200);
    let reader = proxy.bot().with_token(Exchange::TOKEN);
    assert_eq!(reader.post("/v1/balances", "").await.status, 200);

    let keys = proxy.incidents().await["keys"].clone();
    let of = |name: &str| keys.as_array().unwrap().iter().find(|it| it["key"] == name).unwrap();
    let trading = of("trading");
    assert_eq!(
        (&trading["state"], &trading["cause"]),
        (&json!("quarantined"), &json!("key-unknown"))
    );
    assert!(trading["last_worked"].as_str() < trading["last_rejected"].as_str(), "{trading}");
    assert_eq!(
        (&of("reporting")["state"], &of("group")["state"]),
        (&json!("ok"), &json!("unused"))
    );
    assert!(proxy.metric(r#"geminid_key_state{key="trading",state="quarantined"} 1"#).await);
    assert!(proxy.metric(r#"geminid_key_state{key="trading",state="ok"} 0"#).await);
    proxy.line("key set aside").await;
    assert_eq!(proxy.n_lines("WARN", "key set aside"), 1);
    let trail = trail(&exchange, &proxy).await;
    assert!(
        trail.contains(r#""note":"quarantined","key":"trading","cause":"key-unknown""#),
        "{trail}"
    );
}

#[tokio::test]
async fn an_incident_is_told_when_it_begins_and_when_it_is_over() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    assert_eq!(operator(&exchange, &proxy).post("/reload", "").await.status, 200);

    reject(&exchange, "/v1/balances", 403, ROLE);
    is(&proxy.bot().post("/v1/balances", "").await, 403, "rejected", "key-role-missing");
    assert_eq!(proxy.incidents().await["open"], json!([]), "one is none");
    let mut last = Value::Null;
    for _ in 0..3 {
        last = proxy.bot().post("/v1/balances", "").await.json();
    }
    let told = proxy.incidents().await;
    let incident = &told["open"][0];
    let expected = json!({
        "cause": "key-role-missing", "key": "trading", "rejected": 4, "ended": null, "closed_by": null,
        "diagnosis": last["diagnosis"], "fix": last["diagnosis"]["fix"][0],
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&incident[member], value, "{member}: {incident}");
    }
    assert_eq!(incident["change"]["what"], "reload", "it worked before: {incident}");
    assert!(last["message"].as_str().unwrap().ends_with(incident["line"].as_str().unwrap()));
    assert_eq!((told["open"].as_array().unwrap().len(), &told["closed"]), (1, &json!([])));
    let open = r#"geminid_incidents_open{cause="key-role-missing",key="trading"}"#;
    assert!(proxy.metric(&format!("{open} 1")).await);
    let line = proxy.line("incident: ").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["key"]), (&json!("WARN"), &json!("trading")));
    assert_eq!((&line["cause"], &line["fix"]), (&json!("key-role-missing"), &incident["fix"]));
    assert_eq!(line["incident"], incident["id"]);

    exchange.simulator.clear_script();
    assert_eq!(proxy.bot().post("/v1/mytrades", r#"{"symbol":"btcusd"}"#).await.status, 200);
    assert_eq!(proxy.incidents().await["closed"], json!([]), "another operation proves nothing");
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let told = proxy.incidents().await;
    assert_eq!((&told["open"], &told["closed"][0]["closed_by"]), (&json!([]), &json!("operation")));
    assert_eq!(told["closed"][0]["id"], incident["id"]);
    assert!(proxy.metric(&format!("{open} 0")).await);
    assert!(proxy.metric(r#"geminid_incidents_total{cause="key-role-missing"} 1"#).await);
    let over: Value = serde_json::from_str(&proxy.line("incident over").await).unwrap();
    assert_eq!((&over["level"], &over["n_rejected"]), (&json!("INFO"), &json!(4)));
    assert_eq!(
        (proxy.n_lines("WARN", "incident: "), proxy.n_lines("INFO", "incident over")),
        (1, 1)
    );
    let trail = trail(&exchange, &proxy).await;
    for note in ["incident-opened", "incident-closed"] {
        let has =
            format!(r#""note":"{note}","incident":{},"cause":"key-role-missing""#, incident["id"]);
        assert_eq!(trail.matches(&has).count(), 1, "{note}: {trail}");
    }
}

#[tokio::test]
async fn an_edge_is_the_addresss_trouble_until_what_it_blocked_is_answered() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    exchange
        .simulator
        .script(r#"{"path":"/v1/balances","times":0,"do":{"html":"awselb"}}"#)
        .unwrap();
    for _ in 0..5 {
        is(&proxy.bot().post("/v1/balances", "").await, 403, "rejected", "edge-blocked");
    }
    let told = proxy.incidents().await;
    assert_eq!(
        (&told["open"][0]["cause"], &told["open"][0]["key"]),
        (&json!("edge-blocked"), &Value::Null)
    );
    let keys = told["keys"].as_array().unwrap();
    let trading = keys.iter().find(|it| it["key"] == "trading").unwrap();
    assert_eq!(trading["state"], "ok", "no edge speaks for a key: {trading}");
    assert!(proxy.metric(r#"geminid_incidents_open{cause="edge-blocked",key=""} 1"#).await);
    // It blocks one path: what else is answered shows nothing of that, and the next one opens no other.
    for _ in 0..3 {
        assert_eq!(proxy.bot().get("/v1/symbols").await.status, 200);
        assert_eq!(proxy.bot().post("/v1/mytrades", r#"{"symbol":"btcusd"}"#).await.status, 200);
        is(&proxy.bot().post("/v1/balances", "").await, 403, "rejected", "edge-blocked");
    }
    assert_eq!(proxy.incidents().await["closed"], json!([]));
    exchange.simulator.clear_script();
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let told = proxy.incidents().await;
    assert_eq!((&told["open"], &told["closed"][0]["closed_by"]), (&json!([]), &json!("answered")));
    assert!(proxy.metric(r#"geminid_incidents_open{cause="edge-blocked",key=""} 0"#).await);
    proxy.line("incident over").await;
    assert_eq!(
        (proxy.n_lines("WARN", "incident: "), proxy.n_lines("INFO", "incident over")),
        (1, 1)
    );
}

#[tokio::test]
async fn the_list_is_for_programs_on_this_machine() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let page = Bot::new(proxy.admin).with("origin", "http://evil.test");
    assert_eq!(page.get("/incidents").await.status, 403);
    let rebound = Bot::new(proxy.admin).with("host", "evil.test");
    assert_eq!(rebound.get("/incidents").await.status, 403);
    assert_eq!(Bot::new(proxy.admin).post("/incidents", "").await.status, 405);
    assert_eq!(proxy.incidents().await["open"], json!([]));
}
