//! What is accepted, and how everything else is told.

mod clients;
mod example;
mod files;
mod keys;
mod listeners;
mod places;
mod settings;
mod together;
mod upstreams;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Config, Listen, Lookup, Overrides, Problems, Upstream, parse};
use crate::clock::UnixMicros;

/// Recognisable in anything that must not show it.
pub(super) const PLANTED: &str = "hunter2-planted";

/// 2026-11-21.
pub(super) const NOW: UnixMicros = UnixMicros(1_795_219_200_000_000);

#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, OsString>);

impl Lookup for Variables {
    fn var(&self, name: &str) -> Option<OsString> {
        self.0.get(name).cloned()
    }
}

pub(super) fn variables<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Variables {
    Variables(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// What most cases take for granted.
fn usual() -> Variables {
    variables([
        ("HOME", "/home/bot"),
        ("KEY", "account-1"),
        ("MASTER", "master-1"),
        ("SECRET", PLANTED),
        ("OTHER", "account-2"),
        ("STANDIN", "account-standin"),
        ("EMPTY", ""),
        ("GOOGLE", "AIzaSyhunter2-planted"),
        ("SPACED", "account-1 hunter2-planted"),
    ])
}

#[track_caller]
fn read(text: &str) -> Result<Config, Problems> {
    let read = parse(text, Path::new("proxy.toml"), &usual(), &Overrides::default(), NOW);
    let shown = match &read {
        Ok(config) => format!("{config:?}"),
        Err(problems) => {
            all_hinted(problems);
            format!("{problems}\n{problems:?}")
        }
    };
    assert!(!shown.contains(PLANTED), "a secret is shown: {shown}");
    read
}

/// Every problem of every case passes here: each is said in words, and with what to do.
#[track_caller]
fn all_hinted(problems: &Problems) {
    for problem in &problems.0 {
        assert!(!problem.message.trim().is_empty(), "{problem:?}");
        assert!(!problem.hint.trim().is_empty() && problem.hint != problem.message, "{problem:?}");
        assert!(problem.to_string().contains("\n  hint: "), "{problem}");
    }
}

#[track_caller]
fn accept(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Each expectation is the beginning of one problem, without `proxy.toml:`; none may be left over.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let told: Vec<String> = match read(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    };
    let told: Vec<&str> = told
        .iter()
        .map(|it| {
            it.strip_prefix("proxy.toml")
                .unwrap_or(it)
                .trim_start_matches(": ")
                .trim_start_matches(':')
        })
        .collect();
    let same = told.len() == expected.len()
        && told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected));
    assert!(same, "told {told:#?}\nexpected {expected:#?}");
}

#[track_caller]
fn warns(text: &str, expected: &str) {
    let config = accept(text);
    assert!(config.warnings.iter().any(|it| it.contains(expected)), "{:?}", config.warnings);
}

#[track_caller]
fn silent(text: &str) {
    let config = accept(text);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

/// The listeners of an upstream as they were written.
fn listeners(upstream: &Upstream) -> Vec<String> {
    let one = |it: &Listen| match it {
        Listen::Tcp(address) => address.to_string(),
        Listen::Tls(address, tls) => format!("{address} {tls:?}"),
        Listen::Unix(socket) => format!("{socket:?}"),
    };
    upstream.listen.iter().map(one).collect()
}

/// A folder that goes away with the test.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target"))
            .join(format!("config-{}", crate::clock::Ulid::new(NOW).as_str()));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path.canonicalize().unwrap());
        folder.mode("", 0o700);
        folder
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join(name);
        let parent = path.parent().unwrap();
        std::fs::create_dir_all(parent).unwrap();
        // Whatever this user's files are for.
        std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(&path, text).unwrap();
        self.mode(name, mode);
        path
    }

    pub(super) fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.0.join(name), permissions).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
