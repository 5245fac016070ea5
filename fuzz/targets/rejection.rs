//! What is told of a text that somebody pasted.
//!
//! Input: the text; `KEY` in it stands for a key of the exchange's.
//!
//! Held: no bytes end it, the key is not told, nothing moves a cursor or is unseen, and what is told is
//! bounded.

#![no_main]

use geminid::fuzzing;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "account-Fuzzed0123456789";

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).replace("KEY", KEY);
    for text in [text.as_bytes(), data] {
        let told = fuzzing::pasted(text);
        assert!(!told.contains(KEY), "{told}");
        assert!(!told.contains(char::is_control) && !told.contains('\u{202e}'), "{told:?}");
    }
});
