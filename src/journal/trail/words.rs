//! What the trail tells of itself, and of the proxy as a whole: notes.

use crate::clock::{self, UnixMicros};
use crate::json::quote;

/// A note, as it goes between number and hash. `fields` are names of ours, and text of whatever origin.
pub(crate) fn note(now: UnixMicros, note: &str, fields: &[(&str, &str)]) -> String {
    let mut told = String::with_capacity(128);
    begin(&mut told, now, "note");
    told.push_str(r#","note":"#);
    told.push_str(&quote(note));
    for (name, text) in fields {
        told.push(',');
        told.push_str(&quote(name));
        told.push(':');
        told.push_str(&quote(text));
    }
    told
}

/// What every line begins with.
pub(crate) fn begin(told: &mut String, now: UnixMicros, event: &str) {
    told.push_str(r#""at":""#);
    clock::write_time(told, now);
    told.push_str(r#"","event":""#);
    told.push_str(event);
    told.push('"');
}
