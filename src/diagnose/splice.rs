//! Puts a diagnosis into the rejection it explains, without changing the exception a library raises.
//!
//! 1. Of the upstream's text only `message` is touched: ` — ` and one line added. Whatever echoes the key
//!    or its secret is masked, wherever it stands.
//! 2. `diagnosis` is appended. `result` and `reason` are never added: libraries class by them.
//! 3. What is no JSON object becomes one, of `message` and `diagnosis`, with the same status.

use super::evidence::{Body, Said};
use super::read::{quoted, read_body};
use crate::json::{Object, quote};

/// How much of a foreign text is quoted in `message`.
const MAX_QUOTE: usize = 200;

/// The rejection with its diagnosis; `None` where it cannot be put in without a risk. `report` is the JSON
/// text of the member `diagnosis`.
pub(crate) fn annotate(
    original: &[u8],
    line: &str,
    report: &str,
    mask: impl Fn(&str) -> String,
) -> Option<Vec<u8>> {
    if let Ok(object) = Object::parse(original) {
        let free = object.get("diagnosis").is_none();
        let whole = || spliced(original, &object, line, report, &mask);
        // An echo may stand in any member. Where there is none, nothing changes.
        return free.then(whole).map(|it| match String::from_utf8(it) {
            Ok(text) => mask(&text).into_bytes(),
            Err(foreign) => foreign.into_bytes(),
        });
    }
    if bare(original).starts_with(b"{") {
        // Another reader may make an object of it, and class by a reason that we do not see.
        return None;
    }
    let said = match read_body(original, &mask) {
        Body::Empty => None,
        Body::Page { title, code, words } => {
            let words = Some(words).filter(|it| !it.is_empty());
            code.map(|it| format!("error code {it}")).or(title).or(words)
        }
        Body::Text(text) => Some(text),
        Body::Json(Said { message, error, .. }) => message.or(error),
    };
    let said = said.map(|it| quoted(&it, MAX_QUOTE));
    let message = said.map_or_else(|| line.to_owned(), |said| format!("{said} — {line}"));
    Some(format!(r#"{{"message":{},"diagnosis":{report}}}"#, quote(&message)).into_bytes())
}

/// What follows white space and a mark of byte order: some readers skip both.
fn bare(original: &[u8]) -> &[u8] {
    let trimmed = original.trim_ascii_start();
    trimmed.strip_prefix(b"\xef\xbb\xbf").map_or(trimmed, <[u8]>::trim_ascii_start)
}

fn spliced(
    original: &[u8],
    object: &Object,
    line: &str,
    report: &str,
    mask: impl Fn(&str) -> String,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(original.len() + report.len() + line.len() + 32);
    let message = object.get("message").and_then(|it| it.as_str());
    let rest = match (message, object.span("message")) {
        (Some(message), Some(span)) => {
            out.extend_from_slice(original.get(..span.start).unwrap_or_default());
            let text = format!("{} — {line}", mask(&message));
            out.extend_from_slice(quote(&text).as_bytes());
            original.get(span.end..).unwrap_or_default()
        }
        _ => original,
    };
    let rest = rest.trim_ascii_end();
    out.extend_from_slice(rest.strip_suffix(b"}").unwrap_or(rest));
    let comma = if object.is_empty() { "" } else { "," };
    out.extend_from_slice(format!(r#"{comma}"diagnosis":{report}}}"#).as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        text.replace("account-secretkey", "…tkey")
    }

    #[track_caller]
    fn check(original: &str, expected: &str) {
        let out = annotate(original.as_bytes(), "why", r#"{"x":1}"#, mask);
        assert_eq!(String::from_utf8(out.unwrap()).unwrap(), expected);
    }

    #[test]
    fn only_the_message_is_touched() {
        check(
            r#"{"result":"error", "reason":"MissingRole","message":"to API key account-secretkey \u00e9"}"#,
            r#"{"result":"error", "reason":"MissingRole","message":"to API key …tkey é — why","diagnosis":{"x":1}}"#,
        );
        check(
            r#"{"reason":"X","message":"m","key":["account-secretkey"]}"#,
            r#"{"reason":"X","message":"m — why","key":["…tkey"],"diagnosis":{"x":1}}"#,
        );
        check("{\"error\":\"a\",\"code\":7}\n", r#"{"error":"a","code":7,"diagnosis":{"x":1}}"#);
        check(r#"{"message":5}"#, r#"{"message":5,"diagnosis":{"x":1}}"#);
        check("{}", r#"{"diagnosis":{"x":1}}"#);
    }

    #[test]
    fn what_is_no_object_becomes_one() {
        check("", r#"{"message":"why","diagnosis":{"x":1}}"#);
        check("[1]", r#"{"message":"[1] — why","diagnosis":{"x":1}}"#);
        check("no\u{1b}[31m", r#"{"message":"no [31m — why","diagnosis":{"x":1}}"#);
        check(
            "<html><head><TITLE>Attention Required!</TITLE></head></html>",
            r#"{"message":"Attention Required! — why","diagnosis":{"x":1}}"#,
        );
        check(
            r#"[{"error":{"code":403,"message":"no","status":"X"}}]"#,
            r#"{"message":"no — why","diagnosis":{"x":1}}"#,
        );
        check("<html><b>go away", r#"{"message":"go away — why","diagnosis":{"x":1}}"#);
        let long =
            format!(r#"{{"message":"{}… — why","diagnosis":{{"x":1}}}}"#, "x".repeat(MAX_QUOTE));
        check(&"x".repeat(10_000), &long);
        check("error code: 1020", r#"{"message":"error code 1020 — why","diagnosis":{"x":1}}"#);
    }

    #[test]
    fn what_others_may_read_otherwise_is_left_alone() {
        for original in [
            r#"{"result":"error","reason":"X","message":"\ud83d"}"#,
            r#"{"message":"a","Message":"b"}"#,
            r#"{"message":"a","diagnosis":{}}"#,
            r#"{"message":"a""#,
            "\u{feff}{\"message\":\"a\"}",
        ] {
            assert!(annotate(original.as_bytes(), "why", "{}", mask).is_none(), "{original}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for bytes in [&b"\xff\xfe"[..], b"<title>", b"<TITLE>\xc3\x28</TITLE><html", b"\"message"] {
            let out = annotate(bytes, "why", "{}", str::to_owned).unwrap();
            assert!(Object::parse(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
        }
    }
}
