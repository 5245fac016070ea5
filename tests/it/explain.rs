//! `geminid explain`, through the built binary: texts as people paste them, and requests of a running
//! proxy.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use geminid::simulator::NonceRule;
use serde_json::{Value, json};

use crate::support::{Bot, Exchange, Settings, command, geminid, run};

const PASTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/pasted");

fn out(said: &Output) -> String {
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn err(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}

fn piped(arguments: &[&str], text: &[u8]) -> Output {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).ok();
    child.wait_with_output().unwrap()
}

#[test]
fn pasted_texts_are_explained() {
    for (file, code, cause) in [
        ("curl-i.txt", 0, "key-role-missing"),
        ("curl-iv.txt", 0, "key-role-missing"),
        ("exception.txt", 0, "key-role-missing"),
        ("edge.txt", 0, "edge-blocked"),
        ("ours.txt", 0, "client-frozen"),
        ("log.txt", 0, "lane-busy"),
        ("unknown.txt", 1, "unexplained"),
    ] {
        let path = Path::new(PASTED).join(file);
        let said = geminid(&["explain", path.to_str().unwrap()]);
        assert_eq!(said.status.code(), Some(code), "{file}: {}{}", out(&said), err(&said));
        assert!(out(&said).starts_with(&format!("{cause}: ")), "{file}: {}", out(&said));
        assert!(!out(&said).contains("account-"), "{file}: {}", out(&said));
        let said = piped(&["explain", "-", "--json"], &std::fs::read(path).unwrap());
        assert_eq!(said.status.code(), Some(code), "{file}: {}", err(&said));
        let told: Value = serde_json::from_slice(&said.stdout).unwrap();
        let diagnosis = told.get("diagnosis").unwrap_or(&told);
        assert_eq!(diagnosis["cause"], cause, "{file}");
    }
}

#[test]
fn what_cannot_be_explained_says_why() {
    let long = vec![b'x'; (1 << 20) + 1];
    for (arguments, text, code, why) in [
        (&["explain"][..], &long[..], 2, "1 MiB"),
        (&["explain", "/nowhere/at-all"], b"", 2, "cannot be read"),
        (&["explain", "--operation", "fly"], b"", 2, "geminid catalog"),
        (&["explain", "--path", "/v9/x"], b"", 2, "geminid catalog"),
        (&["explain", "--status", "99"], b"", 2, "99"),
        (&["explain", "--request", "short"], b"", 2, "26 characters"),
        (&["explain"], b"HTTP/1.1 200 OK\r\n\r\n[]", 1, "refuses nothing"),
        (&["explain", "--status", "403"], b"\xff\xfe\x00", 1, ""),
    ] {
        let said = piped(arguments, text);
        assert_eq!(said.status.code(), Some(code), "{arguments:?}: {}{}", out(&said), err(&said));
        assert!(err(&said).contains(why), "{arguments:?}: {}", err(&said));
    }
}

#[tokio::test]
async fn a_request_of_the_running_proxy() {
    let exchange = Exchange::start_with(NonceRule::Increasing, |it| it.http1_only = true).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let order = r#"{"symbol":"btcusd","amount":"0.01","price":"1000","side":"buy","type":"exchange limit","client_order_id":"one"}"#;
    let answer = proxy.bot().post("/v1/order/new", order).await;
    assert_eq!(answer.status, 200);
    let served = answer.header("geminid-request-id");
    let body = r#"{"result":"error","reason":"MissingRole","message":"no"}"#;
    let canned = json!({"answer": {"status": 403, "body": body}});
    let rule = json!({"path": "/v1/order/new", "times": 0, "do": canned});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let answer = proxy.bot().post("/v1/order/new", order).await;
    let rejected = answer.header("geminid-request-id");
    let refused = proxy.bot().post("/v1/withdraw/btc", "{}").await.header("geminid-request-id");

    let file = exchange.dir().join("state.toml");
    let admin = proxy.admin.to_string();
    let explain = |id: &str, more: &[&str]| {
        let place = ["--config", file.to_str().unwrap(), "--admin", &admin];
        run(command().args(["explain", "--request", id]).args(place).args(more))
    };
    let said = explain(&rejected, &["--json"]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(told["diagnosis"], answer.json()["diagnosis"], "the same that the bot got");
    assert_eq!(told["request"]["request_id"], rejected);
    assert_eq!(
        (&told["request"]["operation"], &told["request"]["status"]),
        (&json!("create_order"), &json!(403))
    );
    let signed: Value = serde_json::from_str(told["payload"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&signed["request"], &signed["symbol"]),
        (&json!("/v1/order/new"), &json!("btcusd"))
    );
    assert_eq!(told["request"]["nonce"], signed["nonce"].to_string());
    let shown = out(&explain(&rejected, &[]));
    for part in
        ["key-role-missing: ", "the request\n", "what was signed\n", r#""client_order_id":"one""#]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // What was refused before it was signed has no payload; what was not refused has no diagnosis.
    let told: Value = serde_json::from_slice(&explain(&refused, &["--json"]).stdout).unwrap();
    assert_eq!(
        (&told["diagnosis"]["decided_by"], &told["payload"]),
        (&json!("proxy"), &Value::Null)
    );
    let said = explain(&served, &["--json"]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(told["diagnosis"].is_null() && told["payload"].is_string());
    let said = explain("01ARZ3NDEKTSV4RRFFQ69G5FAV", &[]);
    assert_eq!(said.status.code(), Some(1));
    assert!(err(&said).contains("the last hour is kept"), "{}", err(&said));
}

#[tokio::test]
async fn recent_requests_want_the_operator_token() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let ids: Vec<String> =
        [proxy.bot().post("/v1/balances", "").await, proxy.bot().post("/v1/nothing", "").await]
            .iter()
            .map(|it| it.header("geminid-request-id"))
            .collect();
    let bare = Bot::new(proxy.admin);
    let token = std::fs::read_to_string(exchange.dir().join("state/operator-token")).unwrap();
    let operator = Bot::new(proxy.admin).with_token(token.trim_end());
    for path in ["/requests", "/requests?last=2", &format!("/requests/{}", ids[0])] {
        assert_eq!(bare.get(path).await.status, 401, "{path}");
        assert_eq!(operator.get(path).await.status, 200, "{path}");
        assert_eq!(operator.post(path, "").await.status, 405, "{path}");
    }
    let told = operator.get("/requests?last=2").await.json();
    let found: Vec<_> =
        told["requests"].as_array().unwrap().iter().map(|it| &it["request_id"]).collect();
    assert_eq!(found, [&json!(ids[1]), &json!(ids[0])], "the latest first");
    assert_eq!(told["requests"][0]["cause"], "operation-unknown");
    assert_eq!(
        operator.get("/requests?last=1").await.json()["requests"].as_array().unwrap().len(),
        1
    );
    for (path, status) in [("/requests?last=101", 400), ("/requests/01J", 404), ("/requests/", 400)]
    {
        assert_eq!(operator.get(path).await.status, status, "{path}");
    }
}
