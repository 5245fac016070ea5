//! The text of a configuration file.
//!
//! Held: no text makes the reader panic or go on for ever; every problem says what is wrong, what to
//! do, and, if the text is not to be taken as a whole, on which line; and no secret that the text
//! holds is part of a problem, a warning or `Debug`. For the last, a marker is added to the text
//! of each setting that may hold one.

#![no_main]

use geminid::fuzzing;
use libfuzzer_sys::fuzz_target;
use toml::{Table, Value};

/// Plain ASCII without a space, so that it would do as a key, a secret or a name.
const MARKER: &str = "hunter2-planted-marker";
/// Settings that hold a secret as text, or name one.
const SECRET: &[&str] = &["api_key", "api_secret", "credential", "key", "secret", "token_sha256"];
/// Within a source these name a place, which is told; so does all that is in a listener.
const PLACES: &[&str] = &["command", "file", "systemd", "cert", "name", "listen"];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    let Ok(_) = text.parse::<Table>() else {
        // No line of what is no TOML is ever shown.
        return assert!(!text.contains(MARKER) || !shown(text).contains(MARKER), "{}", shown(text));
    };
    // A name of a setting is told, and may be what an earlier input had as a secret.
    let Ok(mut table) = text.replace(MARKER, "x").parse::<Table>() else { return };
    plant(&mut table, false);
    let Ok(planted) = toml::to_string(&table) else { return };
    let shown = shown(&planted);
    assert!(!shown.contains(MARKER), "{shown}\n\n{planted}");
});

fn check(text: &str) {
    let Err(problems) = fuzzing::configuration(text) else { return };
    assert!(!problems.is_empty());
    let n_lines = text.split('\n').count();
    for it in &problems {
        assert!(!it.message.trim().is_empty() && !it.hint.trim().is_empty(), "{it:?}");
        assert!(it.message != it.hint && it.shown.contains("\n  hint: "), "{it:?}");
        assert!(it.shown.starts_with("/nowhere/proxy.toml"), "{it:?}");
        assert!(it.line.is_none_or(|line| (1..=n_lines).contains(&line)), "{it:?}");
        let whole = it.path.is_empty();
        assert!(whole || it.line.is_some() || is_absent(text, &it.path), "{it:?}");
    }
}

/// Whether a problem is about what the text does not hold, which has no line.
fn is_absent(text: &str, path: &str) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or(path);
    text.parse::<Table>().is_ok_and(|it| !it.contains_key(first))
}

fn shown(text: &str) -> String {
    match fuzzing::configuration(text) {
        Ok(config) => config,
        Err(problems) => problems.iter().map(|it| format!("{}\n{it:?}\n", it.shown)).collect(),
    }
}

fn plant(table: &mut Table, within: bool) {
    for (name, value) in table.iter_mut() {
        let secret = within || SECRET.contains(&name.as_str());
        if !PLACES.contains(&name.as_str()) {
            plant_in(value, secret);
        }
    }
}

fn plant_in(value: &mut Value, secret: bool) {
    match value {
        // What else stands there is kept: it may be what makes the value wrong.
        Value::String(text) if secret && text.len() % 2 == 0 => text.insert_str(0, MARKER),
        Value::String(text) if secret => text.push_str(MARKER),
        Value::Array(values) => values.iter_mut().for_each(|it| plant_in(it, secret)),
        Value::Table(table) => plant(table, secret),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {}
    }
}
