//! Puts a diagnosis into the rejection it explains, without changing the exception a library raises.
//!
//! 1. Of the upstream's text only `message` is touched: ` — ` and one line added. Whatever echoes the key
//!    or its secret is masked, wherever it stands.
//! 2. `diagnosis` is appended. `result` and `reason` are never added: libraries class by them.
//! 3. What is no JSON object becomes one, of `message` and `diagnosis`, with the same status.

use super::evidence::{Body, Said};
use crate::json::{Object, quote};

/// How much of a foreign text is quoted.
const MAX_QUOTE: usize = 200;

/// Reads what a rejection's body says. `mask` hides the key's own text.
pub(crate) fn read_body(bytes: &[u8], mask: impl Fn(&str) -> String) -> Body {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Body::Empty;
    }
    if let Ok(object) = Object::parse(bytes) {
        let text = |name: &str| object.get(name).and_then(|it| it.as_str());
        let bounded = |it: &str| quoted(&mask(it), 2_000);
        return Body::Json(Said {
            reason: text("reason").map(|it| bounded(&it)),
            message: text("message").map(|it| bounded(&it)),
            ..Said::default()
        });
    }
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_ascii_lowercase();
    let title = between(&text, &lower, "<title>", "</title>");
    let title = title.map(|it| quoted(&mask(it.trim()), MAX_QUOTE));
    let code = edge_code(&lower);
    if lower.contains("<html") || lower.contains("<!doctype html") || code.is_some() {
        return Body::Page { title, code, words: String::new() };
    }
    Body::Text(quoted(&mask(text.trim()), MAX_QUOTE))
}

/// The rejection with its diagnosis; `None` where it cannot be put in without a risk. `report` is the JSON text of the member `diagnosis`.
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
    if original.trim_ascii_start().starts_with(b"{") {
        // Another reader may make an object of it, and class by a reason that we do not see.
        return None;
    }
    let said = match read_body(original, &mask) {
        Body::Empty => None,
        Body::Page { title, code, .. } => code.map(|it| format!("error code {it}")).or(title),
        Body::Text(text) => Some(text),
        Body::Json(Said { message, .. }) => message,
    };
    let message = said.map_or_else(|| line.to_owned(), |said| format!("{said} — {line}"));
    Some(format!(r#"{{"message":{},"diagnosis":{report}}}"#, quote(&message)).into_bytes())
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

/// A foreign text, bounded and without what could write to a terminal.
pub(crate) fn quoted(text: &str, limit: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = text.chars().take(limit).map(plain).collect();
    if text.chars().nth(limit).is_some() {
        out.push('…');
    }
    out
}

fn between<'a>(text: &'a str, lower: &str, open: &str, close: &str) -> Option<&'a str> {
    let start = lower.find(open)? + open.len();
    let length = lower.get(start..)?.find(close)?;
    // Lower-casing ASCII keeps every position.
    text.get(start..start + length)
}

/// `error code: 1020` and `Error 1020`, as an edge's pages write them.
fn edge_code(lower: &str) -> Option<String> {
    let places = ["error code: ", "error code:", "<span>error code ", "error 1"];
    places.iter().find_map(|it| {
        let keep = usize::from(it.ends_with('1'));
        let start = lower.find(it)? + it.len() - keep;
        let digits: String = lower.get(start..)?.chars().take_while(char::is_ascii_digit).collect();
        (digits.len() == 4).then_some(digits)
    })
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
        check("error code: 1020", r#"{"message":"error code 1020 — why","diagnosis":{"x":1}}"#);
    }

    #[test]
    fn what_others_may_read_otherwise_is_left_alone() {
        for original in [
            r#"{"result":"error","reason":"X","message":"\ud83d"}"#,
            r#"{"message":"a","Message":"b"}"#,
            r#"{"message":"a","diagnosis":{}}"#,
            r#"{"message":"a""#,
        ] {
            assert!(annotate(original.as_bytes(), "why", "{}", mask).is_none(), "{original}");
        }
    }

    #[test]
    fn foreign_text_is_bounded() {
        let long = "x".repeat(10_000);
        let Body::Text(text) = read_body(long.as_bytes(), str::to_owned) else { panic!("text") };
        assert_eq!(text.chars().count(), MAX_QUOTE + 1);
    }

    #[test]
    fn any_bytes_are_survived() {
        for bytes in [&b"\xff\xfe"[..], b"<title>", b"<TITLE>\xc3\x28</TITLE><html", b"\"message"] {
            let out = annotate(bytes, "why", "{}", str::to_owned).unwrap();
            assert!(Object::parse(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
        }
    }
}
