//! A rejection as a person pastes it: a body, what `curl -i` or `curl -v` printed, an exception's text, a
//! log line of ours, or an answer of ours that explains itself already.
//!
//! 1. Of several heads the last counts: those of a proxy, of `100 Continue` and of redirects come first.
//! 2. Nothing is trusted: any bytes are read without a fault, in a time that grows with their length.
//! 3. What looks like a key is masked before anything else sees it.

mod curl;
mod keys;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::diagnose::{Body, Cause, Evidence, KeyEvidence, Said, quoted, read_body};
use crate::json::Object;
use crate::message;

/// Longer input is no answer of anybody's.
pub(crate) const MOST: usize = 1 << 20;
/// How much of one text of an answer of ours is kept.
const MAX_TEXT: usize = 4_000;

#[derive(Debug)]
pub(crate) enum Pasted {
    /// What somebody answered.
    Answer(Box<Answer>),
    /// An answer of ours: its `diagnosis`, and its `message`.
    Explained { diagnosis: Value, message: Option<String> },
    /// A line of the log or of the audit trail.
    Line(Map<String, Value>),
}

/// An answer, as far as the text tells of it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Method and path of the request, if the text has them.
    pub(crate) request: Option<(String, String)>,
    pub(crate) upgrade: bool,
}

/// Reads what was pasted.
pub(crate) fn read(bytes: &[u8]) -> Pasted {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    let mut answer = curl::read(bytes);
    if answer.status.is_none() {
        if let Some(line) = line_of_text(&answer.body) {
            return Pasted::Line(line);
        }
        within_words(&mut answer);
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(object)) => ours(object).unwrap_or(Pasted::Answer(Box::new(answer))),
        Ok(_) | Err(_) => Pasted::Answer(Box::new(answer)),
    }
}

impl Answer {
    /// What it shows, with the status that it has, or that it is taken for.
    pub(crate) fn evidence(&self, status: u16) -> Evidence {
        let key = keys::first(&String::from_utf8_lossy(&self.body));
        Evidence {
            status,
            body: self.said(),
            headers: message::told(&self.headers),
            upgrade: self.upgrade,
            key: key.map(|keys::Found { master, hint }| KeyEvidence {
                name: hint.clone(),
                hint,
                master,
                ..KeyEvidence::default()
            }),
            ..Evidence::default()
        }
    }

    /// The status that usually comes with such a body.
    pub(crate) fn likely_status(&self) -> u16 {
        let named = |code: &str| code.parse().ok().filter(|it| (400..600).contains(it));
        match self.said() {
            Body::Json(Said { reason, code, .. }) => match reason.as_deref() {
                Some("RateLimit" | "UsageLimit" | "Too Many Requests") => 429,
                Some("Maintenance") => 503,
                Some("MissingSecurityHeaders") => 401,
                Some("InvalidNonce" | "InvalidSignature" | "InvalidApiKey" | "MissingAccounts") => {
                    400
                }
                Some("System" | "Internal Server Error") => 500,
                _ => code.as_deref().and_then(named).unwrap_or(403),
            },
            Body::Page { code, .. } => match code.as_deref() {
                Some("1015") => 429,
                Some(code) => named(code).unwrap_or(403),
                None => 403,
            },
            Body::Empty | Body::Text(_) => 403,
        }
    }

    fn said(&self) -> Body {
        read_body(&self.body, keys::mask)
    }
}

/// What stands in an object of ours, if it is one.
fn ours(mut object: Map<String, Value>) -> Option<Pasted> {
    if let Some(diagnosis) = object.remove("diagnosis").filter(is_diagnosis) {
        let message = object.get("message").and_then(Value::as_str).map(plain);
        return Some(Pasted::Explained { diagnosis: clean(diagnosis), message });
    }
    let says = |name: &str, word: &str| object.get(name).and_then(Value::as_str) == Some(word);
    if object.contains_key("request_id") && (says("message", "request") || says("event", "request"))
    {
        let fields = object.into_iter().map(|(name, value)| (plain(&name), clean(value)));
        return Some(Pasted::Line(fields.collect()));
    }
    let whole = Value::Object(object);
    let bare = is_diagnosis(&whole) && whole.get("confidence").is_some();
    bare.then(|| Pasted::Explained { diagnosis: clean(whole), message: None })
}

fn is_diagnosis(value: &Value) -> bool {
    value.get("cause").and_then(Value::as_str).is_some_and(|it| cause(it).is_some())
}

/// The cause of this word.
pub(crate) fn cause(code: &str) -> Option<Cause> {
    Cause::ALL.iter().copied().find(|it| it.code() == code)
}

/// `text` as it may be shown: no key, nothing unseen, and not long.
pub(crate) fn plain(text: &str) -> String {
    quoted(&keys::mask(text), MAX_TEXT)
}

/// The same of every text in a value.
pub(crate) fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(clean).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, it)| (plain(&name), clean(it))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// A log line in text: `… INFO request request_id="…" status=403 …`.
fn line_of_text(body: &[u8]) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, fields) = text.split_once(" request request_id=")?;
    if text.lines().nth(1).is_some() {
        return None;
    }
    let mut found = Map::new();
    let whole = format!("request_id={fields}");
    for word in whole.split_ascii_whitespace() {
        // What holds a space is no field that is looked at here.
        let Some((name, value)) = word.split_once('=') else { continue };
        let quoted = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let value = match (quoted, value.parse::<u64>()) {
            (Some(text), _) => Value::String(plain(text)),
            (None, Ok(number)) => number.into(),
            (None, Err(_)) => Value::String(plain(value)),
        };
        found.insert(plain(name), value);
    }
    Some(found)
}

/// An exception's text has the body in the middle of words: `gemini POST https://… 403 Forbidden {…}`.
fn within_words(answer: &mut Answer) {
    let Ok(text) = std::str::from_utf8(&answer.body) else { return };
    if text.starts_with(['{', '[', '<']) {
        return;
    }
    let Some((before, rest)) = text.split_once('{') else { return };
    let Some((inner, _)) = rest.rsplit_once('}') else { return };
    let body = format!("{{{inner}}}");
    // A text within a text: each quote has a backslash.
    let body = if body.starts_with(r#"{\""#) { body.replace(r#"\""#, "\"") } else { body };
    let telling = ["reason", "message", "error", "diagnosis", "errorMessage"];
    let Ok(object) = Object::parse(body.as_bytes()) else { return };
    if !telling.iter().any(|it| object.get(it).is_some()) {
        return;
    }
    let status = |it: &str| it.parse().ok().filter(|it| (400..600).contains(it));
    let mut method = "";
    for word in before.split_ascii_whitespace() {
        let word = word.trim_matches(|it: char| !it.is_ascii_alphanumeric());
        if matches!(word, "GET" | "POST") {
            method = word;
        } else if let Some((_, path)) =
            word.split_once("://").and_then(|(_, it)| it.split_once('/'))
        {
            answer.request = Some((method.to_owned(), format!("/{path}")));
        } else if let Some(status) = status(word) {
            answer.status = Some(status);
        }
    }
    answer.body = body.into_bytes();
}

#[cfg(test)]
mod tests;
