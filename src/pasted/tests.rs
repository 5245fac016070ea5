//! Texts as people paste them.

use proptest::prelude::*;

use super::*;

const ROLE: &str = r#"{"result":"error","reason":"MissingRole","message":"m"}"#;

#[track_caller]
fn answer(text: &str) -> Answer {
    match read(text.as_bytes()) {
        Pasted::Answer(answer) => *answer,
        other @ (Pasted::Explained { .. } | Pasted::Line(_)) => panic!("{text}: {other:?}"),
    }
}

/// Status, body, and the call.
#[track_caller]
fn check(text: &str, status: Option<u16>, body: &str, request: Option<(&str, &str)>) {
    let answer = answer(text);
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(String::from_utf8_lossy(&answer.body), body, "{text}");
    let found = answer.request.as_ref().map(|(method, path)| (method.as_str(), path.as_str()));
    assert_eq!(found, request, "{text}");
}

#[test]
fn a_body_alone() {
    for body in
        [ROLE, "", "error code: 1020", "<html><title>x</title></html>", "[1]", "{\"a\":", "no"]
    {
        check(body, None, body, None);
    }
    check(&format!("\u{feff}\r\n {ROLE}\n"), None, ROLE, None);
}

#[test]
fn heads_as_curl_prints_them() {
    let role = Some(403);
    check(&format!("HTTP/2 403 \r\nserver: x\r\n\r\n{ROLE}"), role, ROLE, None);
    check(&format!("HTTP/1.1 403 Forbidden\nServer: x\n\n{ROLE}\n"), role, ROLE, None);
    check(&format!("HTTP/1.1 403\nServer: x\n{ROLE}"), role, ROLE, None);
    check("HTTP/1.1 502 Bad Gateway", Some(502), "", None);
    let before = "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 Moved\r\nServer: proxy\r\nLocation: /\r\n\r\n";
    let text = format!("{before}HTTP/1.1 403 Forbidden\r\nVia: b\r\n\r\n{ROLE}");
    check(&text, role, ROLE, None);
    let headers = answer(&text).headers;
    assert!(headers.contains_key("via") && !headers.contains_key("server"), "{headers:?}");
    let shell =
        format!("$ curl -i \\\n  https://api.gemini.com/v1/roles\nHTTP/1.1 403 No\n\n{ROLE}");
    check(&shell, role, ROLE, None);
    // No status line, whatever it begins with.
    check("HTTP/1.1 Service Unavailable", None, "HTTP/1.1 Service Unavailable", None);
    check("HTTP/x 403 y", None, "HTTP/x 403 y", None);
    check("HTTP/1.1 999 y", None, "HTTP/1.1 999 y", None);
}

#[test]
fn what_curl_remarks_is_left_out() {
    let text = format!(
        "*   Trying 1.2.3.4:443...\n  % Total    % Received\n  0     0    0     0    0     0      0      0 --:--:-- --:--:--     0\n\
         > POST /v1/order/new HTTP/1.1\n> Host: api.gemini.com\n> X-GEMINI-APIKEY: account-realTrader00001\n> \n\
         < HTTP/1.1 403 Forbidden\n< Server: cloudflare\n< CF-RAY: 8a\n< \n{{ [55 bytes data]\n\
         {ROLE}* Connection #0 to host api.gemini.com left intact\n"
    );
    check(&text, Some(403), ROLE, Some(("POST", "/v1/order/new")));
    let evidence = answer(&text).evidence(403);
    assert_eq!(evidence.headers.edge_id.as_deref(), Some("cf-ray: 8a"));
    assert!(!format!("{evidence:?}").contains("account-realTrader00001"));
    // With -i too, each head stands there twice.
    let text = "< HTTP/1.1 403 No\n< Server: a\n< \nHTTP/1.1 403 No\nServer: a\n\n<html>\n<b>x</b>\n</html>";
    check(text, Some(403), "<html>\n<b>x</b>\n</html>", None);
    let text = "> GET /v1/order/events HTTP/1.1\n> Upgrade: websocket\n> \n< HTTP/1.1 401 No\n< \n";
    assert!(answer(text).upgrade);
    assert!(!answer("> GET /v1/order/events HTTP/1.1\n> \n< HTTP/1.1 401 No\n< \n").upgrade);
}

#[test]
fn a_body_in_the_words_of_an_exception() {
    let ccxt = format!(
        "ccxt.base.errors.PermissionDenied: gemini POST https://api.gemini.com/v1/order/new 403 Forbidden {ROLE}"
    );
    check(&ccxt, Some(403), ROLE, Some(("POST", "/v1/order/new")));
    check(&format!("InvalidNonce: gemini {ROLE}"), None, ROLE, None);
    let escaped = ROLE.replace('"', "\\\"");
    check(&format!("body=\"{escaped}\""), None, ROLE, None);
    // Braces alone are no body.
    for text in ["call f() {return} 403", "x {\"a\":1}", "x } y {"] {
        check(text, None, text, None);
    }
}

#[test]
fn what_is_ours() {
    let ours = r#"{"result":"error","message":"no — why","diagnosis":{"cause":"key-role-missing","evidence":["of account-realTrader00001\u202e"]}}"#;
    for text in [
        ours.to_owned(),
        format!("HTTP/1.1 403 No\r\ngeminid-cause: key-role-missing\r\n\r\n{ours}"),
    ] {
        let Pasted::Explained { diagnosis, message } = read(text.as_bytes()) else {
            panic!("{text}")
        };
        assert_eq!(diagnosis["cause"], "key-role-missing");
        assert_eq!(diagnosis["evidence"][0], "of …0001 ");
        assert_eq!(message.as_deref(), Some("no — why"));
    }
    let bare = r#"{"cause":"lane-busy","confidence":"certain"}"#;
    assert!(matches!(read(bare.as_bytes()), Pasted::Explained { message: None, .. }));
    // Not of our list, or no diagnosis at all.
    for other in [
        r#"{"diagnosis":{"cause":"none-of-ours"}}"#,
        r#"{"diagnosis":"x"}"#,
        r#"{"cause":"lane-busy"}"#,
    ] {
        check(other, None, other, None);
    }
}

#[test]
fn lines_of_the_log() {
    let json = r#"{"timestamp":"x","level":"INFO","message":"request","request_id":"01J","cause":"lane-busy","status":503}"#;
    let trail = r#"{"seq":1,"at":"x","event":"request","request_id":"01J","cause":"lane-busy","status":503,"hash":"y"}"#;
    let text = r#"2026-11-21T00:00:00.000000Z  INFO request request_id="01J" client="bot" status=503 cause="lane-busy" rule="a b""#;
    for line in [json, trail, text] {
        let Pasted::Line(fields) = read(line.as_bytes()) else { panic!("{line}") };
        assert_eq!((&fields["cause"], &fields["request_id"]), (&"lane-busy".into(), &"01J".into()));
        assert_eq!(fields["status"], 503, "{line}");
    }
    check(r#"{"message":"request"}"#, None, r#"{"message":"request"}"#, None);
}

#[test]
fn a_status_that_is_likely() {
    for (body, expected) in [
        (ROLE, 403),
        (r#"{"reason":"RateLimit"}"#, 429),
        (r#"{"reason":"Maintenance"}"#, 503),
        (r#"{"reason":"InvalidNonce"}"#, 400),
        (r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, 400),
        (r#"{"error":"x","code":"ACCOUNT_GROUP_BLOCKED"}"#, 403),
        ("error code: 1020", 403),
        ("error code: 1015", 429),
        ("<html>Error code 521", 521),
        ("", 403),
    ] {
        assert_eq!(answer(body).likely_status(), expected, "{body}");
    }
}

#[test]
fn a_key_in_the_body_tells_its_kind_and_no_more() {
    let text = ROLE.replace("\"m\"", "\"to API key master-realGroup00003 which\"");
    let key = answer(&text).evidence(403).key.unwrap();
    assert!(key.master);
    assert_eq!(key.hint, "…0003");
    assert!(!format!("{:?}", answer(&text).evidence(403)).contains("realGroup"));
    assert!(answer(ROLE).evidence(403).key.is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _: Pasted = read(&bytes);
    }

    #[test]
    fn any_pieces_are_read(pieces in prop::collection::vec(prop::sample::select(vec![
        "HTTP/1.1 403 No", "HTTP/", "\n", "\r\n", "\r\n\r\n", "< HTTP/1.1 401 x\n", "< ", "> ", "* ", "{", "}", "\"",
        "\"diagnosis\":", "\"cause\":\"lane-busy\"", ":", " request request_id=", "account-realTrader00001", "<html>",
        "$ curl \\\n", "Server: account-realTrader00001\n", "{ [", "* Connection #0", "é", "\u{202e}",
    ]), 0..30)) {
        match read(pieces.concat().as_bytes()) {
            Pasted::Answer(answer) => {
                let said = format!("{:?}", answer.evidence(403));
                prop_assert!(!said.contains("account-realTrader00001"), "{}", said);
            }
            other @ (Pasted::Explained { .. } | Pasted::Line(_)) => {
                let said = format!("{other:?}");
                prop_assert!(!said.contains("account-realTrader00001"), "{}", said);
            }
        }
    }
}
