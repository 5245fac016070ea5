//! Planted secrets, looked for in everything that comes out of the proxies under test.
//!
//! They are long and random, so that not even the first twelve characters of one can stand anywhere by
//! chance. Whoever runs a proxy or gets an answer through this support has it searched, and no test can
//! forget to.

use std::path::Path;
use std::slice::SliceIndex;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use super::Exchange;

/// How much of a secret gives it away.
const TELLING: usize = 12;

/// A text that must be nowhere, in every way in which it could be written.
struct Planted {
    name: &'static str,
    forms: Vec<(&'static str, String)>,
}

static PLANTED: LazyLock<Vec<Planted>> = LazyLock::new(|| {
    let secrets = [
        ("the trader's secret", Exchange::SECRET),
        ("the auditor's secret", Exchange::AUDITOR_SECRET),
        ("the group's secret", Exchange::MASTER_SECRET),
        ("the client's token", Exchange::TOKEN),
        ("the stand-in's secret", Exchange::STAND_IN_SECRET),
    ];
    let keys = [
        ("the trader's key", Exchange::KEY),
        ("the auditor's key", Exchange::AUDITOR),
        ("the group's key", Exchange::MASTER),
    ];
    let secret = |(name, text): (_, &str)| {
        let start = part(text, ..TELLING);
        let forms = forms(text).into_iter().chain([("its beginning", start)]).collect();
        Planted { name, forms }
    };
    // The end of a key may be shown, so that it can be found among others.
    let key = |(name, text): (_, &str)| Planted { name, forms: forms(text) };
    secrets.into_iter().map(secret).chain(keys.into_iter().map(key)).collect()
});

/// The ways in which a text may stand in another.
pub(crate) fn forms(text: &str) -> Vec<(&'static str, String)> {
    let hex: String = text.bytes().map(|it| format!("{it:02x}")).collect();
    let mut forms = vec![
        ("as it is", text.to_owned()),
        ("URL-encoded", url_encoded(text)),
        ("in hex", hex.to_ascii_uppercase()),
        ("in hex", hex),
    ];
    for lead in 0..3 {
        // What comes before decides which bits share a character; only whole ones are searched for.
        let bytes = [&b"\0\0"[..lead], text.as_bytes()].concat();
        let whole = (lead * 8).div_ceil(6)..bytes.len() * 8 / 6;
        for encoded in
            [BASE64_STANDARD_NO_PAD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes)]
        {
            forms.push(("in base64", part(&encoded, whole.clone())));
        }
    }
    forms
}

/// A part of an ASCII text.
fn part(text: &str, range: impl SliceIndex<str, Output = str>) -> String {
    text.get(range).expect("planted texts are ASCII, and long").to_owned()
}

fn url_encoded(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    let one = |it: u8| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") };
    text.bytes().map(one).collect()
}

/// Every planted text that stands in `text`, by name.
pub(crate) fn found(text: &str) -> Vec<String> {
    let hits = PLANTED.iter().flat_map(|planted| {
        let forms = planted.forms.iter().filter(|(_, form)| text.contains(form.as_str()));
        forms.map(|(how, _)| format!("{} {how}", planted.name))
    });
    hits.collect()
}

/// What is found in `bytes`, with its line and its place. The secret itself is not repeated.
pub(crate) fn search(place: &str, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    if found(&text).is_empty() {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let what = found(line);
        if !what.is_empty() {
            hits.push(format!("{}: {place}, line {}: {}", what.join(", "), n + 1, blackened(line)));
        }
    }
    if hits.is_empty() {
        hits.push(format!("{}: {place}, across lines", found(&text).join(", ")));
    }
    hits
}

/// The same of every file in a directory, and of the files' names.
pub(crate) fn search_directory(directory: &Path) -> Vec<String> {
    let mut hits = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return hits };
    for entry in entries {
        let path = entry.unwrap().path();
        let shown = path.display().to_string();
        hits.extend(search("the name of a file", shown.as_bytes()));
        if path.is_dir() {
            hits.extend(search_directory(&path));
        } else {
            hits.extend(search(&shown, &std::fs::read(&path).unwrap()));
        }
    }
    hits
}

/// Fails the test if anything was found; says so if it has failed already.
#[track_caller]
#[expect(clippy::print_stderr, reason = "who panics while panicking ends the whole suite")]
pub(crate) fn none(hits: &[String]) {
    if hits.is_empty() {
        return;
    }
    let told = format!("a planted secret came out:\n{}", hits.join("\n"));
    if std::thread::panicking() {
        eprintln!("{told}");
    } else {
        panic!("{told}");
    }
}

fn blackened(line: &str) -> String {
    let forms = PLANTED.iter().flat_map(|it| &it.forms);
    let mut line = forms.fold(line.to_owned(), |line, (_, form)| line.replace(form, "█"));
    line.truncate(line.floor_char_boundary(500));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_writing_is_found_and_near_misses_are_not() {
        let secret = Exchange::SECRET;
        let hex: String = secret.bytes().map(|it| format!("{it:02x}")).collect();
        let mut ways = vec![
            secret.to_owned(),
            part(secret, ..TELLING),
            url_encoded(secret),
            hex.clone(),
            hex.to_ascii_uppercase(),
        ];
        for lead in ["", "a", "ab", "abc", "{\"secret\":\""] {
            for tail in ["", "z", "\"}"] {
                let text = format!("{lead}{secret}{tail}");
                ways.push(BASE64_STANDARD_NO_PAD.encode(&text));
                ways.push(BASE64_URL_SAFE_NO_PAD.encode(&text));
                ways.push(base64::prelude::BASE64_STANDARD.encode(&text));
            }
        }
        for way in &ways {
            let text = format!("before {way} after\nnext line");
            let what = found(&text);
            assert!(!what.is_empty(), "{way}");
            assert!(what.iter().all(|it| it.starts_with("the trader's secret ")), "{what:?}");
            let hits = search("a log", text.as_bytes());
            assert_eq!(hits.len(), 1, "{hits:?}");
            assert!(hits[0].contains("a log, line 1: before ") && !hits[0].contains(way.as_str()));
        }
        let mut misses: Vec<String> = vec![
            String::new(),
            part(secret, ..TELLING - 1),
            part(secret, 1..),
            secret.chars().rev().collect(),
            secret.to_ascii_lowercase(),
            part(&hex, ..hex.len() - 1),
            BASE64_STANDARD_NO_PAD.encode(part(secret, ..secret.len() - 2)),
            "…".to_owned() + &part(Exchange::KEY, Exchange::KEY.len() - 4..),
        ];
        misses.push(part(Exchange::KEY, ..Exchange::KEY.len() - 1));
        for miss in misses {
            assert!(found(&miss).is_empty(), "{miss}: {:?}", found(&miss));
        }
    }

    #[test]
    fn every_planted_text_is_found_and_told_apart() {
        for planted in PLANTED.iter() {
            for (how, form) in &planted.forms {
                let what = found(form);
                assert!(what.contains(&format!("{} {how}", planted.name)), "{what:?}");
                assert!(what.iter().all(|it| it.starts_with(planted.name)), "{what:?}");
            }
        }
    }

    #[test]
    #[should_panic(
        expected = "the client's token as it is, the client's token its beginning: here"
    )]
    fn a_hit_fails_the_test() {
        none(&search("here", format!("x {} y", Exchange::TOKEN).as_bytes()));
    }
}
