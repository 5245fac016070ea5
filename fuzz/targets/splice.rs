//! What becomes of a rejection's body.
//!
//! Input: a byte that chooses the status, and the body.
//!
//! Held: what the client gets is valid JSON; of an object every member but `message` is the same to the
//! byte, but for our key, and in the same order, `diagnosis` comes last and nothing else is added; what is no object
//! becomes `message` and `diagnosis`; our key's own text is neither in `message` nor in `diagnosis`;
//! foreign text is bounded and without control characters; and only what another reader may
//! understand otherwise is left alone.

#![no_main]

use geminid::fuzzing;
use geminid_fuzz::json::{Tree, tree};
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "account-Key1";
const HINT: &str = "…Key1";
const STATUSES: [u16; 10] = [400, 401, 403, 404, 406, 407, 429, 500, 502, 503];

fuzz_target!(|data: &[u8]| {
    let [status, body @ ..] = data else { return };
    let status = STATUSES[usize::from(status & 15) % STATUSES.len()];
    let status = StatusCode::from_u16(status).expect("each is a status");
    let explained = fuzzing::explain(status, body, KEY);
    let fuzzing::Explained { said, line, report, spliced, .. } = &explained;

    assert!(!said.contains(KEY), "{said}");
    assert!(said.chars().count() < 40_000 && !said.contains(char::is_control), "{said:?}");
    assert!(
        !line.contains(KEY) && !line.contains(char::is_control) && line.chars().count() < 3_000
    );
    let report = tree(report.as_bytes()).expect("a diagnosis is JSON");
    let mut texts = Vec::new();
    report.texts(&mut texts);
    assert!(!texts.iter().any(|it| it.contains(KEY) || it.contains(char::is_control)), "{texts:?}");

    let original = tree(body).filter(|it| it.members().is_some());
    let acceptable =
        original.as_ref().is_some_and(|it| !it.repeats() && it.depth() <= 16 && it.width() <= 256);
    let Some(spliced) = spliced else {
        let clash = original.as_ref().is_some_and(|it| it.get("diagnosis").is_some());
        let doubtful = bare(body).starts_with(b"{") && !acceptable;
        return assert!(clash || doubtful, "left alone without a reason");
    };
    let answer = tree(spliced).expect("what the client gets is JSON");
    let members = answer.members().expect("what the client gets is an object");
    let (last, others) = members.split_last().expect("there is a diagnosis");
    assert_eq!(last, &("diagnosis".to_owned(), report));
    let Some(original) = original.filter(|_| acceptable) else {
        return check_wrapped(body, spliced, others, line);
    };
    let original = original.members().expect("it is an object");
    assert_eq!(others.len(), original.len(), "a member was added or lost");
    // Our key is masked as it stands in the text, in names and values alike.
    let masked = String::from_utf8_lossy(body).replace(KEY, HINT);
    let masked = tree(masked.as_bytes()).expect("it was JSON before");
    let masked = masked.members().expect("it was an object");
    for (((name, value), (named, was)), (_, before)) in others.iter().zip(masked).zip(original) {
        assert_eq!(name, named);
        match (name.as_str(), before) {
            ("message", Tree::Text { text, .. }) => {
                let expected = format!("{} — {line}", text.replace(KEY, HINT));
                assert_eq!(value.as_str(), Some(&*expected));
            }
            _ => assert_eq!(value, was, "{name} was touched"),
        }
    }
    let growth = spliced.len().saturating_sub(body.len() * 6);
    assert!(growth < 64 * 1_024, "{} of {}", spliced.len(), body.len());
});

fn check_wrapped(body: &[u8], spliced: &[u8], others: &[(String, Tree)], line: &str) {
    let [(name, message)] = others else { panic!("more than a message: {others:?}") };
    let message = message.as_str().expect("a message is a text");
    assert!(name == "message" && message.ends_with(line), "{message}");
    assert!(!message.contains(KEY) && !message.contains(char::is_control), "{message:?}");
    assert!(!spliced.iter().any(u8::is_ascii_control) && spliced.len() < 16 * 1_024);
    assert!(!bare(body).starts_with(b"{"), "an object for another reader");
}

/// What follows white space and a mark of byte order, which some readers skip.
fn bare(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii_start();
    body.strip_prefix(b"\xef\xbb\xbf").map_or(body, <[u8]>::trim_ascii_start)
}
