//! Checks what the compiler does not: the floor plan, and the size of files.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first. A module may name modules of lower floors only.
const FLOORS: &[&[&str]] = &[
    &["clock", "decimal", "json", "process", "secret", "task"],
    &["call"],
    &["diagnose", "policy"],
    &["limit"],
    &["nonce"],
    &["health", "provider"],
    &["message"],
    &["config", "pasted"],
    &["egress", "freeze", "inbound", "journal", "simulator"],
    &["refusal", "roster"],
    &["observe", "outside", "quotes", "ready", "rotation"],
    &["answer"],
    &["proxy"],
    &["errand", "inquiry"],
    &["checkup", "clearance", "emergency", "reload"],
    &["admin"],
    &["app"],
    &["bench", "cli", "fuzzing"],
];
/// Floors whose code does no I/O and reads no clock.
const PURE: &[&str] = &[
    "call", "decimal", "diagnose", "health", "json", "limit", "nonce", "policy", "provider",
    "secret",
];
const IMPURE: &[&str] = &[
    "hyper::",
    "hyper_util::",
    "rustls::",
    "std::fs",
    "std::net",
    "tokio::net",
    "tokio::task",
    "tokio::time",
    "tracing::",
];
/// Modules that do not know that HTTP exists.
const NO_HTTP: &[&str] = &["call", "decimal", "diagnose", "json", "limit", "nonce", "policy"];
/// Words that only one module may use, and why.
const OWNED: &[(&str, &str, &str)] = &[
    ("expose_secret", "secret", "a secret is used, not read"),
    ("Identified::proven(", "inbound", "who checks a credential says whose it is"),
    ("std::env::", "config", "the environment is read in one place"),
];
/// Departures, each with its reason in the code.
const EXEMPT: &[(&str, &str)] = &[("cli", "std::env::"), ("cli", "Identified::proven(")];
const MAX_LINES: usize = 500;

#[test]
fn modules_import_only_lower_floors() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let Some(floor) = floor_of(&module) else { continue };
        // Tests may touch the world, and make what they judge.
        if path.iter().any(|it| it == "tests.rs" || it == "tests") {
            continue;
        }
        for (n, line) in code_lines(&text) {
            for target in line.split("crate::").skip(1).map(first_ident) {
                let upward = floor_of(target).is_some_and(|it| floor <= it) && target != module;
                if upward {
                    faults.push(format!("{}:{n}: `{module}` names `{target}`", path.display()));
                }
            }
            for (word, owner, why) in OWNED {
                let exempt = module == *owner || EXEMPT.contains(&(&*module, word));
                if line.contains(word) && !exempt {
                    faults.push(format!("{}:{n}: only `{owner}`: {why}", path.display()));
                }
            }
            if line.contains("crate::{") {
                faults.push(format!("{}:{n}: write one `use` for each module", path.display()));
            }
            if PURE.contains(&&*module) && IMPURE.iter().any(|it| line.contains(it)) {
                faults.push(format!("{}:{n}: pure `{module}` touches the world", path.display()));
            }
            if NO_HTTP.contains(&&*module) && line.contains("http::") {
                faults.push(format!("{}:{n}: `{module}` speaks HTTP", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "the floor plan is broken:\n{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_floor_a_doc_comment_and_a_bounded_length() {
    for (path, text) in sources() {
        let shown = path.display();
        assert!(text.starts_with("//!"), "{shown}: begin with a `//!` line");
        assert!(text.lines().count() <= MAX_LINES, "{shown}: longer than {MAX_LINES} lines");
        let module = module_of(&path);
        let entry = matches!(&*module, "lib" | "main");
        assert!(entry || floor_of(&module).is_some(), "{shown}: `{module}` has no floor");
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The first path segment below `src`: the unit the floor plan speaks of.
fn module_of(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn first_ident(rest: &str) -> &str {
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}
