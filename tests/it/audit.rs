//! The audit trail of a running proxy, by the commands that read it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use geminid::simulator::NonceRule;
use serde_json::Value;

use crate::support::{Exchange, Settings, canary, command, geminid};

fn on(state: &Path, arguments: &[&str]) -> Output {
    let state = ["--state-dir", state.to_str().unwrap()];
    geminid(&[arguments, &state].concat())
}

fn out(said: &Output) -> String {
    String::from_utf8_lossy(&said.stdout).into_owned()
}

#[tokio::test]
async fn what_a_proxy_did_is_told_proven_and_taken_elsewhere() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy_in("audited", &Settings::default()).await;
    let state = exchange.dir().join("audited");
    let bot = proxy.bot();
    assert_eq!(bot.post("/v1/balances", "").await.status, 200);
    assert_eq!(bot.post("/v1/nothing", "").await.status, 403);
    // Beside the proxy that writes.
    assert_eq!(on(&state, &["audit", "verify"]).status.code(), Some(0));
    let mut follow = command();
    let state_dir = ["--state-dir", state.to_str().unwrap()];
    let follow = follow.args(["audit", "show", "--follow", "--json"]).args(state_dir);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("\"note\":\"start\""));
    assert_eq!(bot.get("/v1/symbols").await.status, 200);
    assert!(lines.any(
        |it| it.contains("\"operation\":\"list_symbols\"") || it.contains("\"method\":\"GET\"")
    ));
    let interrupt = Command::new("kill").args(["-INT", &follow.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert_eq!(follow.wait().unwrap().code(), Some(130));

    assert!(proxy.terminate().await.success());
    let said = on(&state, &["audit", "verify"]);
    assert_eq!(out(&said), "ok: lines 4 (seq 1 to 4), files 1\n", "{said:?}");
    // Where no file begins nothing would be proven.
    for (from, code, told) in
        [("1", 0, ""), ("2", 1, "begin with 1"), ("999", 1, "begin with 1"), ("0", 2, "0")]
    {
        let said = on(&state, &["audit", "verify", "--from", from]);
        let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(code), "{from}: {stderr}");
        assert!(stderr.contains(told), "{from}: {stderr}");
    }
    let shown = out(&on(&state, &["audit", "show", "--limit", "3"]));
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(
        shown.contains(" 200 executed ") && shown.contains("cause=operation-unknown"),
        "{shown}"
    );
    let array = out(&on(&state, &["audit", "export", "--format", "json"]));
    let array: Vec<Value> = serde_json::from_str(&array).unwrap();
    assert_eq!(array.len(), 4);
    let table = out(&on(&state, &["audit", "export", "--format", "csv", "--event", "request"]));
    assert_eq!(table.split("\r\n").count(), 5, "{table}");
    let file = state.join("audit/000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    for secret in [Exchange::KEY, Exchange::SECRET, Exchange::TOKEN] {
        assert!(canary::forms(secret).iter().all(|(_, form)| !text.contains(form)), "{text}");
    }
    std::fs::write(&file, text.replace("\"status\":403", "\"status\":200")).unwrap();
    let said = on(&state, &["audit", "verify"]);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1));
    assert!(told.contains("000000000001.jsonl, line 3 (seq 3): was changed"), "{told}");
}

#[tokio::test]
async fn a_trail_that_is_off_is_not_there() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let said = on(&exchange.dir().join("none"), &["audit", "verify"]);
    assert_eq!(said.status.code(), Some(1));
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(told.contains("there is no audit trail") && told.contains("hint: "), "{told}");
    let said = on(&exchange.dir().join("none"), &["audit", "show", "--since", "yesterday"]);
    assert_eq!(said.status.code(), Some(2));
}
