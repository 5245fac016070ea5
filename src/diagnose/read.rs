//! Reads what a rejection's body says, whoever wrote it.
//!
//! 1. A JSON object is read by the strict reader. What that does not take is text: another reader may see
//!    something else in it.
//! 2. Of a page for people the words are kept: no marks, no scripts, no styles.
//! 3. Foreign text is bounded, and holds nothing that moves a cursor, turns the direction of writing, or
//!    cannot be seen.
//! 4. The key's own text is masked before anything is cut, so that no half of it is left.

use super::evidence::{Body, Said};
use crate::json::{Object, Value};

/// How much of a member of a JSON object is kept.
const MAX_MEMBER: usize = 2_000;
/// How much of a page's words, or of a text.
const MAX_WORDS: usize = 600;
const MAX_TITLE: usize = 200;
const MAX_CODE: usize = 100;
/// Beyond this nothing is looked for.
const MAX_LOOK: usize = 64 * 1_024;

/// Reads what a rejection's body says. `mask` hides the key's own text.
pub(crate) fn read_body(bytes: &[u8], mask: impl Fn(&str) -> String) -> Body {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let trimmed = bytes.trim_ascii();
    match trimmed.first() {
        None => return Body::Empty,
        Some(b'{') => {
            if let Ok(object) = Object::parse(bytes) {
                return Body::Json(said(&object, mask));
            }
        }
        Some(b'[') => {
            // Google answers a streamed call with an array of one.
            if let Ok(Value::Array(values)) = Value::parse(bytes)
                && let [Value::Object(object)] = values.as_slice()
            {
                return Body::Json(said(object, mask));
            }
        }
        Some(_) => {
            if let Some(page) = page(trimmed, &mask) {
                return page;
            }
        }
    }
    Body::Text(quoted(&mask(&String::from_utf8_lossy(trimmed)), MAX_WORDS))
}

fn said(object: &Object, mask: impl Fn(&str) -> String) -> Said {
    let bounded = |it: &str, limit| quoted(&mask(it), limit);
    let text = |name: &str| {
        let text = object.get(name)?.as_str()?;
        Some(bounded(&text, MAX_MEMBER))
    };
    let code = |object: &Object| {
        let code = object.get("code")?.as_text()?;
        Some(bounded(&code, MAX_CODE))
    };
    let error = match object.get("error") {
        Some(Value::Object(error)) => Some(error),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        )
        | None => None,
    };
    let within = |name: &str, limit| {
        let text = error?.get(name)?.as_str()?;
        Some(bounded(&text, limit))
    };
    Said {
        reason: text("reason"),
        // AWS gateways write it with a capital.
        message: text("message").or_else(|| text("Message")),
        error: text("error")
            .or_else(|| within("message", MAX_MEMBER))
            // Some of the exchange's older endpoints (OpenAPI description, seen 2026-10).
            .or_else(|| text("errorMessage")),
        code: code(object).or_else(|| error.and_then(code)),
        google_status: within("status", MAX_CODE),
    }
}

/// The page that these bytes are, if they are one.
fn page(bytes: &[u8], mask: &impl Fn(&str) -> String) -> Option<Body> {
    let looked = bytes.get(..MAX_LOOK).unwrap_or(bytes);
    let text = String::from_utf8_lossy(looked);
    let lower = text.to_ascii_lowercase();
    let marked = lower.starts_with('<') && lower.contains("</");
    let html = ["<html", "<!doctype html", "<?xml"].iter().any(|it| lower.contains(it));
    let code = edge_code(&lower).or_else(|| inside(&text, &lower, "code").filter(|_| marked));
    if !marked && !html && code.is_none() {
        return None;
    }
    let bounded = |it: &str, limit| Some(quoted(&mask(&folded(it)), limit));
    let filled = |it: &String| !it.is_empty();
    let title = inside(&text, &lower, "title").and_then(|it| bounded(&it, MAX_TITLE));
    Some(Body::Page {
        title: title.filter(filled),
        code: code.and_then(|it| bounded(&it, MAX_CODE)).filter(filled),
        words: bounded(&words(&text, &lower), MAX_WORDS).unwrap_or_default(),
    })
}

/// What stands between the first mark of this name and its end.
fn inside(text: &str, lower: &str, name: &str) -> Option<String> {
    let after = lower.match_indices(&format!("<{name}")).find_map(|(at, found)| {
        let rest = lower.get(at + found.len()..)?;
        // `<code>` is meant, and not `<codec>`.
        let whole = rest.starts_with(|it: char| it == '>' || it.is_ascii_whitespace());
        whole.then_some(at + found.len())
    })?;
    let open = after + lower.get(after..)?.find('>')? + 1;
    let length = lower.get(open..)?.find(&format!("</{name}"))?;
    // Lower-casing ASCII keeps every position.
    text.get(open..open.checked_add(length)?).map(plain_text)
}

/// `error code: 1020`, `Error 1009`, `<span class="cf-error-code">1015`, as edges write them.
fn edge_code(lower: &str) -> Option<String> {
    // Before the digits: what must stand there, and how many digits are a code.
    const PLACES: &[(&str, &[usize])] = &[
        ("error code: ", &[3, 4]),
        ("error code:", &[3, 4]),
        ("error code ", &[3, 4]),
        ("cf-error-code\">", &[3, 4]),
        ("error ", &[4]),
    ];
    PLACES.iter().find_map(|(place, lengths)| {
        lower.match_indices(place).find_map(|(at, found)| {
            let rest = lower.get(at + found.len()..)?;
            let n_digits = rest.bytes().take(5).take_while(u8::is_ascii_digit).count();
            let known = rest.starts_with(['1', '5']) && lengths.contains(&n_digits);
            rest.get(..n_digits).filter(|_| known).map(str::to_owned)
        })
    })
}

/// What a reader of the page sees: marks are spaces, so that they join no words.
fn words(text: &str, lower: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|it| !it.is_empty()) {
        let next = rest.find('<').unwrap_or(rest.len());
        out.push_str(rest.get(..next).unwrap_or_default());
        let Some(mark) = lower.get(at + next..).filter(|it| !it.is_empty()) else { break };
        let Some(length) = mark_length(mark) else {
            // A mark without an end: what follows is seen by nobody.
            break;
        };
        out.push(if length == 1 { '<' } else { ' ' });
        at += next + length;
    }
    decoded(&out)
}

/// How long the mark is that `lower` begins with, with what belongs to it and is not seen; 1 if it is no
/// mark.
fn mark_length(lower: &str) -> Option<usize> {
    if lower.starts_with("<!--") {
        return lower.find("-->").map(|it| it + 3);
    }
    let is_mark = |it: u8| it.is_ascii_alphabetic() || b"/!?".contains(&it);
    if !lower.as_bytes().get(1).copied().is_some_and(is_mark) {
        return Some(1);
    }
    let close = ["script", "style", "title"].iter().find_map(|it| {
        let rest = lower.strip_prefix('<')?.strip_prefix(it)?;
        let whole = rest.starts_with(|it: char| it == '>' || it.is_ascii_whitespace());
        whole.then(|| format!("</{it}"))
    });
    let hidden = match close {
        Some(close) => lower.find(&close)?,
        None => 0,
    };
    let end = lower.get(hidden..)?.find('>')?;
    Some(hidden + end + 1)
}

/// Text between marks, without those that stand in it.
fn plain_text(text: &str) -> String {
    words(text, &text.to_ascii_lowercase())
}

/// Resolves the entities that such pages use.
fn decoded(text: &str) -> String {
    const NAMED: &[(&str, char)] =
        &[("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.bytes().take(9).position(|it| it == b';');
        let split = end.and_then(|it| part.split_at_checked(it));
        let found = split.and_then(|(name, _)| {
            let number = name.strip_prefix('#').map(|it| match it.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => it.parse(),
            });
            let named = || NAMED.iter().find(|(it, _)| *it == name).map(|(_, c)| *c);
            number.map_or_else(named, |it| char::from_u32(it.ok()?))
        });
        match (found, split) {
            (Some(c), Some((_, rest))) => {
                out.push(c);
                out.push_str(rest.strip_prefix(';').unwrap_or(rest));
            }
            _ => {
                out.push('&');
                out.push_str(part);
            }
        }
    }
    out
}

/// White space in one piece, and none at the ends.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// A foreign text, bounded and without what could write to a terminal or hide from a reader.
pub(crate) fn quoted(text: &str, limit: usize) -> String {
    let mut chars = text.chars();
    // Never left out: what stood on both sides would become one word, which nobody has masked.
    let plain = |c: char| if c.is_control() || is_unseen(c) { ' ' } else { c };
    let mut out: String = chars.by_ref().take(limit).map(plain).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// Characters that format and are not seen: directions of writing, joiners, separators of lines, marks
/// of byte order, variants, tags (Unicode 17, general categories Cf, Zl, Zp, and blank letters).
pub(crate) const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(text: &str) -> String {
        text.replace("account-secretkey", "…tkey")
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[track_caller]
    fn check_said(body: &str, expected: Said) {
        assert_eq!(read_body(body.as_bytes(), mask), Body::Json(expected), "{body}");
    }

    #[track_caller]
    fn check_page(body: &str, title: Option<&str>, code: Option<&str>, words: &str) {
        let expected = Body::Page {
            title: title.map(str::to_owned),
            code: code.map(str::to_owned),
            words: words.to_owned(),
        };
        assert_eq!(read_body(body.as_bytes(), mask), expected, "{body}");
    }

    #[track_caller]
    fn check_text(body: &[u8], expected: &str) {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(read_body(body, mask), Body::Text(expected.to_owned()), "{shown}");
    }

    #[test]
    fn every_member_that_tells_something() {
        check_said(
            r#"{"result":"error","reason":"X","message":"of account-secretkey"}"#,
            Said { reason: text("X"), message: text("of …tkey"), ..Said::default() },
        );
        check_said(
            r#"{"error":"not permitted","code":"ACCOUNT_GROUP_BLOCKED"}"#,
            Said {
                error: text("not permitted"),
                code: text("ACCOUNT_GROUP_BLOCKED"),
                ..Said::default()
            },
        );
        check_said(
            r#"{"error":"TERMS_NOT_ACCEPTED","message":"m","code":17}"#,
            Said {
                error: text("TERMS_NOT_ACCEPTED"),
                message: text("m"),
                code: text("17"),
                ..Said::default()
            },
        );
        check_said(r#"{"errorMessage":"m"}"#, Said { error: text("m"), ..Said::default() });
        check_said(r#"{"error":null,"code":null,"reason":5}"#, Said::default());
        check_said("\u{feff}{\"reason\":\"X\"}", Said { reason: text("X"), ..Said::default() });
    }

    #[test]
    fn google_alone_and_in_an_array_of_one() {
        let google = r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#;
        let expected = Said {
            error: text("The caller does not have permission"),
            code: text("403"),
            google_status: text("PERMISSION_DENIED"),
            ..Said::default()
        };
        check_said(google, expected.clone());
        check_said(&format!(" [{google}]\n"), expected);
        check_text(format!("[{google},1]").as_bytes(), &format!("[{google},1]"));
    }

    #[test]
    fn pages_as_edges_write_them() {
        check_page("error code: 1020", None, Some("1020"), "error code: 1020");
        check_page(
            "<!DOCTYPE html><html><head><TITLE>Access denied | api.gemini.com</TITLE><style>b{}</style>\
             <script>var a='<b>';</script></head><body><h1>Error 1009</h1>\n<p>Your&#32;country &amp; you</p></body></html>",
            Some("Access denied | api.gemini.com"),
            Some("1009"),
            "Error 1009 Your country & you",
        );
        check_page(
            "<html><title lang=\"en\">Wait</title><span class=\"cf-error-code\">1015</span></html>",
            Some("Wait"),
            Some("1015"),
            "1015",
        );
        check_page(
            "<html>Error code 521<!-- x > y --> down",
            None,
            Some("521"),
            "Error code 521 down",
        );
        check_page(
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No</Message></Error>",
            None,
            Some("AccessDenied"),
            "AccessDenied No",
        );
        check_page("<html><body>1 < 2 &lt;b&gt; &bogus; &", None, None, "1 < 2 <b> &bogus; &");
        check_page("<html><script>never ends <b>x", None, None, "");
        check_page("<html>of account-secretkey<b", None, None, "of …tkey");
    }

    #[test]
    fn what_is_no_page_is_text() {
        check_text(
            b"Supplied value 'X' is not a valid symbol",
            "Supplied value 'X' is not a valid symbol",
        );
        check_text(b"error 12 in line 1020", "error 12 in line 1020");
        check_text(b"error 12345", "error 12345");
        check_text(b"<3 account-secretkey", "<3 …tkey");
        // The strict reader does not take these: a name twice, half a pair, no end.
        check_text(br#"{"reason":"A","reason":"B"}"#, r#"{"reason":"A","reason":"B"}"#);
        check_text(br#"{"reason":"\ud800"}"#, r#"{"reason":"\ud800"}"#);
        check_text(b"{\"message\":\"<html>", "{\"message\":\"<html>");
        check_text(b"\xff\xfe", "\u{fffd}\u{fffd}");
        assert_eq!(read_body(b" \r\n\t", mask), Body::Empty);
        assert_eq!(read_body(b"\xef\xbb\xbf", mask), Body::Empty);
    }

    #[test]
    fn foreign_text_is_bounded_and_seen() {
        let long = "x".repeat(10_000);
        check_text(long.as_bytes(), &format!("{}…", "x".repeat(MAX_WORDS)));
        let Body::Page { words, title, .. } =
            read_body(format!("<html><title>{long}</title>{long}").as_bytes(), mask)
        else {
            panic!("a page")
        };
        assert_eq!(words.chars().count(), MAX_WORDS + 1);
        assert_eq!(title.unwrap().chars().count(), MAX_TITLE + 1);
        for unseen in [
            "\u{202e}", "\u{200b}", "\u{2028}", "\u{feff}", "\u{2066}", "\u{1b}", "\u{9b}",
            "\u{ad}",
        ] {
            assert_eq!(quoted(&format!("a{unseen}b"), 10), "a b", "{unseen:?}");
        }
        assert_eq!(quoted("é…日本", 10), "é…日本");
        // What is not seen hides no key: it is not joined again.
        check_text("account-\u{200b}secretkey".as_bytes(), "account- secretkey");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let said = format!("{:?}", read_body(&bytes, mask));
            prop_assert!(said.chars().count() < 40_000);
        }

        /// Marks, entities and pieces of the key in any order.
        #[test]
        fn no_page_tells_the_key(pieces in prop::collection::vec(prop::sample::select(vec![
            "<html>", "<b>", "</b>", "<", ">", "&amp;", "&#", "&#45;", ";", "account-secretkey", "account",
            "secretkey", "<script>", "</script>", "<!--", "-->", "\u{200b}", " ", "<title>", "</title", "é",
        ]), 0..40)) {
            let body = format!("<html>{}", pieces.concat());
            let read = read_body(body.as_bytes(), mask);
            prop_assert!(!format!("{read:?}").contains("account-secretkey"), "{:?}", read);
        }
    }
}
