//! What was typed → what is meant.
//!
//! A part that is wrong is told and left out; the rest is checked all the same. Only a file with
//! no problem at all yields a [`Config`], so what was left out is never served.

mod certificate;
mod client;
mod key;
mod limit;
mod listen;
mod operation;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;

use super::file::{self, File};
use super::problem::{Report, Spot, WITHOUT_IT, closest};
use super::source::{Vault, filled};
use super::words::{self, Misread};
use super::{Audit, Client, Config, Key, LevelName, Log, LogFormat, Overrides};
use crate::clock::UnixMicros;

use self::listen::Site;
use self::upstream::Draft;

pub(super) use self::key::{check_account, check_key_text};

pub(super) const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 3841);
pub(super) const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 3840);

/// What a configuration depends on beside its text.
pub(super) struct Around<'a> {
    pub(super) vault: Vault<'a>,
    pub(super) overrides: &'a Overrides,
    pub(super) now: UnixMicros,
}

/// `None` only when a problem was told.
pub(super) fn check(file: &File, around: &Around<'_>, report: &mut Report<'_>) -> Option<Config> {
    let File { log, listen, state, upstreams, keys, clients, operations } = file;
    let log = check_log(log.as_ref(), around, report);
    let admin = check_admin(listen.as_ref(), around, report);
    let (state_dir, audit) = check_state(state.as_ref(), around, report);

    let upstreams =
        Kind::new("upstreams", "exchange", upstreams.as_ref(), report, |it| it.name.as_ref());
    let keys = Kind::new("keys", "default", keys.as_ref(), report, |it| it.name.as_ref());
    let clients = Kind::new("clients", "default", clients.as_ref(), report, |it| it.name.as_ref());

    let mut checked = check_upstreams(&upstreams, around, report);
    let loose = operation::check(operations.as_ref(), &upstreams, &mut checked, report);
    let routes = key::routes(&keys, &upstreams, report);
    let held: Vec<Option<Key>> = routes
        .iter()
        .enumerate()
        .map(|(index, route)| key::check(&keys, index, *route, &checked, around, report))
        .collect();
    key::check_distinct(&keys, &held, report);
    let served: Vec<Option<Client>> = (0..clients.len())
        .map(|index| {
            client::check(
                &clients,
                index,
                &client::Known { keys: &keys, routes: &routes, upstreams: &checked, loose: &loose },
                around,
                report,
            )
        })
        .collect();
    client::check_distinct(&clients, &served, &held, &checked, report);
    check_sockets(&upstreams, &checked, admin, report);
    if clients.len() == 0 {
        report.warn(&Spot::root(), "there is no client: only public data is served");
    }

    Some(Config {
        path: None,
        log,
        admin: admin?,
        state_dir: state_dir?,
        audit,
        upstreams: checked.into_iter().map(Draft::finish).collect::<Option<_>>()?,
        keys: held.into_iter().collect::<Option<_>>()?,
        clients: served.into_iter().collect::<Option<_>>()?,
        warnings: Vec::new(),
    })
}

/// Where a running proxy is found, whatever else is wrong with the file.
pub(super) fn place(
    file: &File,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<(SocketAddr, PathBuf)> {
    let admin = check_admin(file.listen.as_ref(), around, report);
    let (state_dir, _audit) = check_state(file.state.as_ref(), around, report);
    Some((admin?, state_dir?))
}

/// Without an entry there is one all the same, of defaults.
fn check_upstreams(
    kind: &Kind<'_, file::Upstream>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Vec<Draft> {
    let nothing = file::Upstream::default();
    let only = kind.entries.is_empty().then_some(&nothing);
    kind.entries
        .iter()
        .map(|entry| entry.table)
        .chain(only)
        .enumerate()
        .map(|(index, table)| {
            let (spot, name) = kind.entry(index);
            upstream::check(
                &upstream::Place { spot: &spot, name, only: kind.len() < 2 },
                table,
                around,
                report,
            )
        })
        .collect()
}

fn check_log(
    log: Option<&Spanned<file::Log>>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Log {
    let spot = Spot::root().part("log");
    let (format, level) = log.map_or((None, None), |it| {
        let file::Log { format, level } = it.get_ref();
        (format.as_ref(), level.as_ref())
    });
    let format = word(format, &spot, "format", LogFormat::ALL, LogFormat::as_str, report);
    let level = word(level, &spot, "level", LevelName::ALL, LevelName::as_str, report);
    let Overrides { log_format, log_level, .. } = around.overrides;
    Log {
        format: log_format.or(format).unwrap_or(LogFormat::Text),
        level: log_level.or(level).unwrap_or(LevelName::Info),
    }
}

fn check_admin(
    listen: Option<&Spanned<file::Listen>>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<SocketAddr> {
    let spot = Spot::root().part("listen");
    let typed = listen.and_then(|it| it.get_ref().admin.as_ref());
    let (spot, address) = match (around.overrides.admin, typed) {
        (Some(address), _) => (Spot::outside("--admin"), address),
        (None, None) => return Some(SocketAddr::from(ADMIN)),
        (None, Some(text)) => {
            let spot = spot.field("admin", text);
            let address = read(words::socket_address(text.get_ref()), &spot, report)?;
            (spot, address)
        }
    };
    if !address.ip().is_loopback() {
        admin_is_far(&spot, report);
        return None;
    }
    Some(address)
}

pub(super) fn admin_is_far(spot: &Spot, report: &mut Report<'_>) {
    let message = "an admin listener beyond loopback is not enforced by this build yet";
    report.problem(spot, message, format!("{WITHOUT_IT}, or listen on 127.0.0.1"));
}

fn check_state(
    state: Option<&Spanned<file::State>>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> (Option<PathBuf>, Audit) {
    let root = match state {
        Some(state) => Spot::root().field("state", state),
        None => Spot::root().part("state"),
    };
    let (mut typed, mut durability) = (None, None);
    if let Some(state) = state {
        let file::State { dir, audit } = state.get_ref();
        typed = dir.as_ref().map(|dir| (root.field("dir", dir), dir.get_ref()));
        if let Some(audit) = audit {
            durability = check_audit(&root.field("audit", audit), audit.get_ref(), report);
        }
    }
    let audit = durability.unwrap_or(Audit::Group);
    if let Some(dir) = &around.overrides.state_dir {
        return (Some(dir.clone()), audit);
    }
    let dir = match typed {
        Some((spot, dir)) if dir.is_empty() => {
            report.problem(&spot, "is empty", "a folder, such as \"/var/lib/geminid\"");
            None
        }
        Some((_, dir)) => Some(around.vault.base.join(dir)),
        None => default_state_dir(around, &root.part("dir"), report),
    };
    (dir, audit)
}

/// Where state goes when nobody says.
pub(super) fn default_state_dir(
    around: &Around<'_>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    // A relative path in either is to be ignored: XDG Base Directory Specification, "Basics".
    let folder =
        |name| filled(around.vault.env, name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = folder("XDG_STATE_HOME").map(|it| it.join("geminid"));
    let state = state.or_else(|| folder("HOME").map(|it| it.join(".local/state/geminid")));
    let root = || around.vault.env.is_root().then(|| PathBuf::from("/var/lib/geminid"));
    let state = state.or_else(root);
    if state.is_none() {
        report.problem(
            spot,
            "no place for state: neither XDG_STATE_HOME nor HOME is set",
            "set state.dir, or GEMINID_STATE_DIR",
        );
    }
    state
}

fn check_audit(spot: &Spot, audit: &file::Audit, report: &mut Report<'_>) -> Option<Audit> {
    let file::Audit { durability } = audit;
    if durability.is_none() {
        report.lacks(spot, &["durability"], "says nothing", "durability = \"group\"");
    }
    word(durability.as_ref(), spot, "durability", Audit::ALL, Audit::as_str, report)
}

/// Two sockets cannot have one address, or one path.
fn check_sockets(
    kind: &Kind<'_, file::Upstream>,
    upstreams: &[Draft],
    admin: Option<SocketAddr>,
    report: &mut Report<'_>,
) {
    let mut taken: Vec<(Site, String)> =
        admin.map(|it| (Site::Address(it), "listen.admin".to_owned())).into_iter().collect();
    for (index, upstream) in upstreams.iter().enumerate() {
        let (spot, _) = kind.entry(index);
        for site in &upstream.sites.known {
            if let Some((_, owner)) = taken.iter().find(|(other, _)| site.clashes(other)) {
                report.problem(
                    &spot.part("listen"),
                    format!("{} is taken by {owner}", site.shown()),
                    "give each its own `listen`",
                );
            }
            taken.push((site.clone(), spot.path().to_owned()));
        }
    }
}

/// The entries of one array of tables, with their names.
pub(super) struct Kind<'a, T> {
    word: &'static str,
    entries: Vec<Entry<'a, T>>,
    default: &'static str,
}

struct Entry<'a, T> {
    spot: Spot,
    name: Option<&'a str>,
    table: &'a T,
}

impl<'a, T> Kind<'a, T> {
    fn new(
        word: &'static str,
        default: &'static str,
        tables: Option<&'a Spanned<Vec<Spanned<T>>>>,
        report: &mut Report<'_>,
        name_of: fn(&T) -> Option<&Spanned<String>>,
    ) -> Self {
        let root = Spot::root().part(word);
        let tables: &[Spanned<T>] = tables.map_or(&[], |it| it.get_ref());
        let mut entries: Vec<Entry<'a, T>> = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            let spot = root.item(index, table);
            let typed = name_of(table.get_ref());
            let name = match typed {
                Some(name) => {
                    let at = spot.field("name", name);
                    read(words::name(name.get_ref()), &at, report);
                    if entries.iter().any(|it| it.name == Some(name.get_ref())) {
                        let message = format!("`{}` is the name of another", name.get_ref());
                        report.problem(
                            &at,
                            message,
                            format!("name each of the {word} differently"),
                        );
                    }
                    Some(name.get_ref().as_str())
                }
                None if tables.len() == 1 => Some(default),
                None => {
                    let message = format!("needs a name: there are {} {word}", tables.len());
                    report.problem(&spot.part("name"), message, "such as name = \"trading\"");
                    None
                }
            };
            entries.push(Entry { spot, name, table: table.get_ref() });
        }
        Self { word, entries, default }
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    /// The place and the name of an entry, or of the one that stands in for none.
    fn entry(&self, index: usize) -> (Spot, &str) {
        match self.entries.get(index) {
            Some(Entry { spot, name, table: _ }) => (spot.clone(), name.unwrap_or("?")),
            None => (Spot::root().part(self.word).absent_item(index), self.default),
        }
    }

    fn table(&self, index: usize) -> Option<&'a T> {
        self.entries.get(index).map(|it| it.table)
    }

    /// The entry that a setting refers to. With one entry only, it need not.
    fn find(
        &self,
        reference: Option<&Spanned<String>>,
        owner: &Spot,
        field: &str,
        report: &mut Report<'_>,
    ) -> Option<usize> {
        // An upstream that is not written stands there with its default name.
        let implied = self.word == "upstreams" && self.entries.is_empty();
        let names: Vec<&str> = match implied {
            true => vec![self.default],
            false => self.entries.iter().map(|it| it.name.unwrap_or("")).collect(),
        };
        let Some(reference) = reference else {
            match names.as_slice() {
                [_] => return Some(0),
                _ if report.is_broken(self.word) => {}
                [] => report.problem(
                    &owner.part(field),
                    format!("there is no [[{}]]", self.word),
                    "add one: `geminid init` writes a file that shows how",
                ),
                [_, ..] => report.problem(
                    &owner.part(field),
                    format!("must say which: there are {} {}", names.len(), self.word),
                    format!("one of {}", names.join(", ")),
                ),
            }
            return None;
        };
        let found = names.iter().position(|it| it == reference.get_ref());
        if found.is_none() && !report.lost_names(self.word) {
            unknown(reference.get_ref(), &owner.field(field, reference), &names, report);
        }
        found
    }
}

/// Tells a value that could not be read.
pub(super) fn read<T>(
    value: Result<T, Misread>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<T> {
    match value {
        Ok(value) => Some(value),
        Err(Misread { message, hint }) => {
            report.problem(spot, message, hint);
            None
        }
    }
}

/// One of a closed set of words, each of which is a variant.
fn word<T: Copy>(
    text: Option<&Spanned<String>>,
    owner: &Spot,
    field: &str,
    all: &[T],
    name: fn(T) -> &'static str,
    report: &mut Report<'_>,
) -> Option<T> {
    let known: Vec<&'static str> = all.iter().copied().map(name).collect();
    let found = one_of(text, owner, field, &known, report)?;
    all.iter().copied().find(|it| name(*it) == found)
}

/// One of a closed set of words. Absent is `None` without a problem.
fn one_of(
    text: Option<&Spanned<String>>,
    owner: &Spot,
    field: &str,
    known: &[&'static str],
    report: &mut Report<'_>,
) -> Option<&'static str> {
    let text = text?;
    let found = known.iter().copied().find(|it| it == text.get_ref());
    if found.is_none() {
        unknown(text.get_ref(), &owner.field(field, text), known, report);
    }
    found
}

fn unknown(text: &str, spot: &Spot, known: &[&str], report: &mut Report<'_>) {
    let message = format!("`{text}` is unknown");
    match closest(text, known.iter().copied()) {
        Some(meant) => report.problem(spot, message, format!("did you mean `{meant}`?")),
        None if known.iter().all(|it| it.is_empty()) => {
            report.problem(
                spot,
                message,
                "there is nothing that it could name: add it, or remove this",
            );
        }
        None => report.problem(spot, message, format!("one of {}", known.join(", "))),
    }
}
