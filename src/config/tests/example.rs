//! The example is complete, loads as it is shipped, and says truly what is not enforced.

use super::*;
use crate::config::problem::{WITHOUT_IT, not_enforced};
use crate::config::{EXAMPLE, init};

fn environment() -> Variables {
    variables([
        ("GEMINI_API_KEY", "master-1"),
        ("GEMINI_API_SECRET", PLANTED),
        ("STANDIN_SECRET", "s"),
        ("HOME", "/home/bot"),
    ])
}

#[test]
fn loads_as_shipped() {
    let config =
        parse(EXAMPLE, Path::new("proxy.toml"), &environment(), &Overrides::default(), NOW);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.admin.to_string(), "127.0.0.1:3841");
    assert_eq!(config.state_dir, Path::new("/home/bot/.local/state/geminid"));
    assert_eq!(config.upstreams[0].rest.authority, "api.gemini.com");
}

/// Without a single setting, the defaults must be what the example shows.
#[test]
fn shows_the_defaults() {
    let shown = parse(EXAMPLE, Path::new("p"), &environment(), &Overrides::default(), NOW).unwrap();
    let bare = "[[keys]]\napi_key = { env = \"GEMINI_API_KEY\" }\n\
                api_secret = { env = \"GEMINI_API_SECRET\" }\n\
                [[clients]]\ncredential = { none = true }\nscopes = [\"auditor\"]\n";
    let bare = parse(bare, Path::new("p"), &environment(), &Overrides::default(), NOW).unwrap();
    let without_lines = |config: Config| format!("{:?}", Config { warnings: Vec::new(), ..config });
    assert_eq!(without_lines(shown), without_lines(bare));
}

#[test]
fn every_commented_setting_reads() {
    let folder = Folder::new();
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    for name in ["ca.pem", "tls.pem", "clients.pem"] {
        folder.write(name, &made.cert.pem(), 0o644);
    }
    folder.write("tls.key", &made.signing_key.serialize_pem(), 0o600);
    let lines = EXAMPLE.lines().map(|line| line.replacen("#: ", "", 1));
    let text: Vec<String> = lines.collect();
    let origin = folder.0.join("proxy.toml");
    let problems = parse(&text.join("\n"), &origin, &environment(), &Overrides::default(), NOW)
        .expect_err("some settings are not enforced yet");
    for problem in &problems.0 {
        let name = problem.place.path.rsplit('.').next().unwrap();
        assert_eq!(problem.message, not_enforced(name), "{problem}");
        assert!(problem.hint.starts_with(WITHOUT_IT), "{problem}");
        // What is refused is announced where it stands: on its line, or in the comment above it.
        let line = problem.place.line.unwrap();
        let from = line.saturating_sub(3);
        let near =
            text.iter().skip(from).take(line - from).any(|it| it.contains("not enforced yet"));
        assert!(near, "{problem}");
    }
    let announced = EXAMPLE.matches("(not enforced yet").count();
    assert!(problems.0.len() >= announced - 2, "{} of {announced}", problems.0.len());
}

/// What the mirror reads and the example does not show would be a secret setting.
#[test]
fn names_every_setting() {
    let source = include_str!("../file.rs");
    let tables = source.split("tables! {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let fields: Vec<&str> = tables
        .split(['{', ',', '}', '\n'])
        .filter_map(|part| part.split_once(": "))
        .map(|(name, _)| name.trim())
        .filter(|name| {
            name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_' || it.is_ascii_digit())
        })
        .collect();
    assert!(fields.len() > 70, "{fields:?}");
    let manual = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md"));
    for field in fields {
        assert!(EXAMPLE.contains(field), "the example does not show {field}");
        assert!(manual.contains(&format!("{field}`")), "docs/configuration.md lacks `{field}`");
    }
}

#[test]
fn is_written_for_its_owner_and_over_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let path = folder.0.join("proxy.toml");
    init(&path, false).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), EXAMPLE);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    folder.write("proxy.toml", "mine", 0o644);
    let problems = init(&path, false).unwrap_err().to_string();
    assert!(problems.contains("is there already") && problems.contains("--force"), "{problems}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    init(&path, true).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
