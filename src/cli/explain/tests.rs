//! What is printed of which text.

use super::*;

fn explained(text: &str, known: &Known) -> Explained {
    explain(text.as_bytes(), known).unwrap_or_else(|why| panic!("{text}: {why}"))
}

#[track_caller]
fn check(text: &str, known: &Known, cause: &str) -> Explained {
    let explained = explained(text, known);
    assert_eq!(explained.shown.diagnosis["cause"], cause, "{text}");
    assert_eq!(explained.found, cause != "unexplained", "{text}");
    explained
}

fn nothing() -> Known {
    Known::default()
}

const ROLE: &str = r#"{"result":"error","reason":"MissingRole","message":"To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [Trader] to API key account-realTrader00001 which currently has roles [Auditor]"}"#;

#[test]
fn an_answer_of_the_exchange() {
    let found =
        check(&format!("HTTP/1.1 403 Forbidden\r\n\r\n{ROLE}"), &nothing(), "key-role-missing");
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    let (text, json) = (found.shown.text(), found.shown.json());
    for told in [&text, &json] {
        assert!(told.contains("key-role-missing") && told.contains("Trader"), "{told}");
        assert!(!told.contains("realTrader"), "{told}");
    }
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["outcome"], &json["request_id"]), (&json!("rejected"), &Value::Null));
    let found = check(ROLE, &nothing(), "key-role-missing");
    assert!(found.notes[0].contains("taken for a 403"), "{:?}", found.notes);
}

#[test]
fn what_is_known_besides_is_used() {
    let known =
        Known { operation: at(None, "/v1/order/new"), status: Some(403), master: Some(true) };
    let found = check(ROLE, &known, "key-role-missing");
    assert!(found.notes.is_empty());
    let diagnosis = &found.shown.diagnosis;
    assert_eq!(
        (&diagnosis["operation"], &diagnosis["scope"]),
        (&json!("create_order"), &json!("orders:create"))
    );
    // The request line of curl tells as much.
    let text = format!("> POST /v1/order/new HTTP/1.1\n> \n< HTTP/1.1 403 No\n< \n{ROLE}");
    assert_eq!(explained(&text, &nothing()).shown.diagnosis["operation"], "create_order");
}

/// A pasted answer rarely names its key; the fix read "the key that ends in …".
#[test]
fn a_key_that_is_not_known_is_not_named() {
    let master = Known { master: Some(true), ..Known::default() };
    for known in [&nothing(), &master] {
        for body in ["", r#"{"result":"error","reason":"InvalidApiKey","message":"x"}"#] {
            let text = explained(body, known).shown.text();
            assert!(text.contains("Settings → API → the key → see"), "{text}");
            assert!(!text.contains("ends in") && !text.contains("`…`"), "{text}");
        }
    }
}

#[test]
fn a_failure_of_an_order_says_look_first() {
    let text =
        "HTTP/1.1 502 Bad Gateway\r\nServer: cloudflare\r\n\r\n<html><title>502</title></html>";
    let order = Known { operation: at(None, "/v1/order/new"), ..Known::default() };
    let diagnosis = explained(text, &order).shown.diagnosis;
    assert_eq!(
        (&diagnosis["outcome"], &diagnosis["retry"]),
        (&json!("unknown"), &json!("look_first"))
    );
    let read = Known { operation: at(None, "/v1/balances"), ..Known::default() };
    assert_eq!(explained(text, &read).shown.diagnosis["outcome"], "rejected");
}

#[test]
fn what_nothing_explains_and_what_refuses_nothing() {
    check(r#"{"result":"error","reason":"Whatever","message":"x"}"#, &nothing(), "unexplained");
    for text in ["HTTP/1.1 200 OK\r\n\r\n[]", "HTTP/1.1 302 Found\r\n\r\n"] {
        assert!(explain(text.as_bytes(), &nothing()).is_err(), "{text}");
    }
    let line = r#"{"message":"request","request_id":"01J","status":200}"#;
    assert!(explain(line.as_bytes(), &nothing()).is_err());
}

#[test]
fn what_explains_itself_is_shown_as_it_is() {
    let ours = r#"{"message":"no — frozen","diagnosis":{"cause":"client-frozen","title":"The client is frozen","decided_by":"proxy","confidence":"certain","evidence":["a","b"],"fix":["c","d"],"fix_by":["operator"],"resolution":"minutes","retry":"after_7s","alternatives":[{"cause":"lane-busy","confidence":"possible","title":"t","evidence":["e"],"fix":["f","g"]}]}}"#;
    let found = check(ours, &nothing(), "client-frozen");
    let expected = "client-frozen: The client is frozen
  decided by   geminid itself
  confidence   certain
  means        no — frozen
  evidence     a
               b
  do           1. c (whoever runs geminid)
               2. d
  takes        minutes
  retry        after 7 s

less surely
  lane-busy (possible): t
    for it: e
    to tell or to fix it: f
";
    assert_eq!(found.shown.text(), expected);
}

#[test]
fn a_log_line_knows_the_cause() {
    let line = r#"{"message":"request","request_id":"01J","cause":"lane-busy","status":503}"#;
    let found = check(line, &nothing(), "lane-busy");
    assert!(found.notes.iter().any(|it| it.contains("--request 01J")), "{:?}", found.notes);
    assert!(found.shown.text().contains("docs/diagnosis.md#lane-busy"));
}

#[test]
fn paths_lead_to_operations() {
    for (method, target, expected) in [
        (None, "/v1/order/new", Some("create_order")),
        (Some("POST"), "/v1/order/new?x=1", Some("create_order")),
        (Some("GET"), "/v1/order/new", None),
        (None, "/v1/pubticker/btcusd", Some("get_ticker_v1")),
        (None, "/v1/nothing", None),
    ] {
        let found = at(method, target);
        assert_eq!(found.as_ref().map(|it| it.name.as_str()), expected, "{target}");
    }
}

/// Nothing that a text says moves a cursor or hides.
#[test]
fn foreign_words_are_shown_as_words() {
    let text = "HTTP/1.1 403 No\r\nServer: a\x1b[31mb\r\n\r\n{\"reason\":\"X\\u001b[2J\\u202e\",\"message\":\"\u{2066}y\"}";
    let found = explained(text, &nothing());
    for told in [found.shown.text(), found.shown.json()] {
        let odd =
            |it: char| (it.is_control() && it != '\n') || it == '\u{202e}' || it == '\u{2066}';
        assert!(!told.contains(odd), "{told:?}");
    }
}
