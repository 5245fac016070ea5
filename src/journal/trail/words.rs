//! What the trail tells of itself, and of the proxy as a whole: notes.

use std::fmt::Write as _;

use crate::clock::{self, UnixMicros};

/// A note, as it goes between number and hash. `fields` are names of ours, and text of whatever origin.
pub(crate) fn note(now: UnixMicros, note: &str, fields: &[(&str, &str)]) -> String {
    let mut told = String::with_capacity(128);
    begin(&mut told, now, "note");
    for (name, text) in [("note", note)].iter().chain(fields) {
        told.push(',');
        string(&mut told, name);
        told.push(':');
        string(&mut told, text);
    }
    told
}

/// As many characters of a text are told: a client's words are not long.
pub(crate) const MOST_CHARS: usize = 256;

/// A JSON string of printable ASCII: whatever the text is, it does nothing to a terminal.
pub(crate) fn string(told: &mut String, text: &str) {
    told.push('"');
    for (n, c) in text.chars().enumerate() {
        match c {
            _ if n == MOST_CHARS => {
                told.push_str("...");
                break;
            }
            '"' => told.push_str("\\\""),
            '\\' => told.push_str("\\\\"),
            ' '..='~' => told.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(told, "\\u{unit:04x}").expect("a string takes all");
                }
            }
        }
    }
    told.push('"');
}

/// What every line begins with.
pub(crate) fn begin(told: &mut String, now: UnixMicros, event: &str) {
    told.push_str(r#""at":""#);
    clock::write_time(told, now);
    told.push_str(r#"","event":""#);
    told.push_str(event);
    told.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut told = String::new();
        string(&mut told, text);
        told
    }

    #[test]
    fn a_note_by_hand() {
        let told = note(UnixMicros(1_500_000), "lost", &[("lines", "7"), ("why", "a\n\u{9b}\"")]);
        assert_eq!(
            told,
            "\"at\":\"1970-01-01T00:00:01.500000Z\",\"event\":\"note\",\"note\":\"lost\",\"lines\":\"7\",\
             \"why\":\"a\\u000a\\u009b\\\"\""
        );
        assert_eq!(written(&"x".repeat(256)), format!("\"{}\"", "x".repeat(256)));
        assert_eq!(written(&"x".repeat(257)), format!("\"{}...\"", "x".repeat(256)));
    }

    proptest! {
        #[test]
        fn whatever_is_told_comes_back_and_is_printable(text in any::<String>()) {
            let told = written(&text);
            prop_assert!(told.bytes().all(|it| matches!(it, b' '..=b'~')), "{told:?}");
            let back: String = serde_json::from_str(&told).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
