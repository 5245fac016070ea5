//! What a caller put into `X-GEMINI-PAYLOAD`.
//!
//! 1. Base64 is the standard alphabet with its padding, and nothing else.
//! 2. The JSON is an object. A name that comes twice counts with its last value.
//! 3. Number text is never lost: what is not a 64-bit integer is read from the text itself, since
//!    a nonce such as `1790000000.123456` must not pass through a float.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;

use crate::simulator::decimal::Amount;

/// The decoded payload; empty when there was none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    text: String,
    object: Map<String, Value>,
}

impl Payload {
    pub(crate) fn decode(header: &[u8]) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(header).ok()?).ok()?;
        let object = serde_json::from_str(&text).ok()?;
        Some(Self { text, object })
    }

    /// The JSON as it was sent.
    pub(crate) fn json(&self) -> &str {
        &self.text
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|it| !it.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A number's text, or a string's content, exactly as sent.
    pub(crate) fn digits(&self, name: &str) -> Option<String> {
        let value = self.value(name)?;
        if value.is_u64() {
            return Some(value.to_string());
        }
        value.as_str().or_else(|| self.raw(name)).map(str::to_owned)
    }

    pub(crate) fn amount(&self, name: &str) -> Option<Amount> {
        Amount::parse(&self.digits(name)?)
    }

    pub(crate) fn integer(&self, name: &str) -> Option<u64> {
        self.digits(name)?.parse().ok()
    }

    /// The text of a member's value, quotes and all.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        members(&self.text).into_iter().rev().find(|(it, _)| it == name).map(|(_, value)| value)
    }
}

/// The members of an object that is known to be valid JSON, with their values' text.
fn members(text: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let (mut start, mut colon) = (0, None);
    for (place, byte) in text.bytes().enumerate() {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => {
                depth += 1;
                start = if depth == 1 { place + 1 } else { start };
            }
            b':' if depth == 1 => colon = Some(place),
            b',' | b'}' if depth == 1 => {
                found.extend(colon.take().and_then(|it| member(text, start, it, place)));
                start = place + 1;
                depth -= usize::from(byte == b'}');
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

fn member(text: &str, start: usize, colon: usize, end: usize) -> Option<(String, &str)> {
    let name = serde_json::from_str(text.get(start..colon)?.trim()).ok()?;
    Some((name, text.get(colon + 1..end)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(json: &str) -> Option<Payload> {
        Payload::decode(STANDARD.encode(json).as_bytes())
    }

    #[test]
    fn every_digit_survives() {
        let json = r#"{"a":[1,{"nonce":7}],"nonce" : 1790000000.123456789012,"\u0069d":144115188075855873,
            "amount":0.1234567890123456789,"s":"say \"}\", {\\","z":18446744073709551616}"#;
        let payload = payload(json).expect("valid");
        assert_eq!(payload.digits("nonce").as_deref(), Some("1790000000.123456789012"));
        assert_eq!(payload.integer("id"), Some(144_115_188_075_855_873));
        assert_eq!(payload.digits("amount").as_deref(), Some("0.1234567890123456789"));
        assert_eq!(payload.raw("s"), Some(r#""say \"}\", {\\""#));
        assert_eq!(payload.digits("z").as_deref(), Some("18446744073709551616"));
        assert_eq!(payload.digits("absent"), None);
    }

    #[test]
    fn only_padded_standard_base64_of_an_object_counts() {
        assert!(payload("{}").is_some());
        assert!(payload("[]").is_none());
        assert!(Payload::decode(b"e30").is_none(), "no padding");
        assert!(Payload::decode(b"e30=\n").is_none(), "white space");
        assert!(Payload::decode(b"eyJhIjoi_-8ifQ==").is_none(), "the URL alphabet");
    }
}
