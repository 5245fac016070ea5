//! `upstreams.listen`.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::upstream::Place;
use super::{Around, LISTEN, certificate, read};
use crate::config::file::{self, TextOr};
use crate::config::problem::{Report, Spot};
use crate::config::source::read_plain;
use crate::config::{Listen, UnixSocket, words};

/// The longest path of a unix socket that every system takes.
const LONGEST_PATH: usize = 103;
const GROUPS: &str = "/etc/group";

/// What could be read of an upstream's listeners.
pub(super) struct Sites {
    /// Those whose place could be read.
    pub(super) known: Vec<Site>,
    /// Whether one of them asks for client certificates.
    pub(super) asks_clients: bool,
    /// `None` only when a problem was told.
    pub(super) whole: Option<Vec<Listen>>,
}

/// Where a listener is, whatever it speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Site {
    Address(SocketAddr),
    Path(PathBuf),
}

impl Sites {
    fn of(addresses: &[SocketAddr]) -> Self {
        Self {
            known: addresses.iter().copied().map(Site::Address).collect(),
            asks_clients: false,
            whole: Some(addresses.iter().copied().map(Listen::Tcp).collect()),
        }
    }

    fn none() -> Self {
        Self { known: Vec::new(), asks_clients: false, whole: None }
    }

    /// Whether only this machine can reach it, as far as its places could be read.
    pub(super) fn is_local(&self) -> bool {
        self.known.iter().all(|it| match it {
            Site::Address(address) => address.ip().is_loopback(),
            Site::Path(_) => true,
        })
    }

    pub(super) fn has_socket_file(&self) -> bool {
        self.known.iter().any(|it| matches!(it, Site::Path(_)))
    }
}

impl Site {
    /// Whether the two cannot both be listened at.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(left), Self::Address(right)) => {
                let everywhere = left.ip().is_unspecified() || right.ip().is_unspecified();
                let same = left.ip() == right.ip() || everywhere;
                left.port() != 0 && left.port() == right.port() && same
            }
            (Self::Path(left), Self::Path(right)) => left == right,
            (Self::Address(_), Self::Path(_)) | (Self::Path(_), Self::Address(_)) => false,
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

pub(super) fn check(
    table: &file::Upstream,
    place: &Place<'_>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Sites {
    let typed = table.listen.as_ref().map(|typed| check_all(typed, place, around, report));
    if let Some(flag) = &around.overrides.listen {
        if !place.only {
            let hint = "write `listen` into the file instead";
            let spot = Spot::outside("--listen");
            report.problem(&spot, "there is more than one upstream to listen for", hint);
            return Sites::none();
        }
        let sites = Sites::of(flag);
        return if flag.is_empty() { Sites::none() } else { sites };
    }
    typed.unwrap_or_else(|| Sites::of(&[SocketAddr::from(LISTEN)]))
}

fn check_all(
    typed: &Spanned<Vec<Spanned<TextOr<file::Socket>>>>,
    place: &Place<'_>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Sites {
    let spot = place.spot.field("listen", typed);
    if typed.get_ref().is_empty() {
        report.problem(&spot, "is empty: nobody could call", "listen = [\"127.0.0.1:3840\"]");
        return Sites::none();
    }
    let mut sites = Sites { whole: Some(Vec::new()), ..Sites::none() };
    for (index, it) in typed.get_ref().iter().enumerate() {
        let (site, listen) = check_one(it.get_ref(), &spot.item(index, it), around, report);
        sites.asks_clients |=
            matches!(it.get_ref(), TextOr::Table(table) if table.client_ca.is_some());
        sites.known.extend(site);
        match (&mut sites.whole, listen) {
            (Some(whole), Some(listen)) => whole.push(listen),
            (whole, _) => *whole = None,
        }
    }
    sites
}

fn check_one(
    typed: &TextOr<file::Socket>,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> (Option<Site>, Option<Listen>) {
    let table = match typed {
        TextOr::Text(text) => {
            let address = read(words::socket_address(&text.0), spot, report);
            return (address.map(Site::Address), address.map(Listen::Tcp));
        }
        TextOr::Table(table) => table,
    };
    let sound = check_shape(table, spot, report);
    let address = table.address.as_ref().and_then(|it| {
        read(words::socket_address(it.get_ref()), &spot.field("address", it), report)
    });
    let path = table.unix.as_ref().and_then(|it| check_path(it, spot, around, report));
    let site = address.map(Site::Address).or_else(|| path.clone().map(Site::Path));
    if !sound {
        return (site, None);
    }
    let listen = match table.address {
        Some(_) => {
            let tls = certificate::check(table, spot, around, report);
            address.zip(tls).map(|(address, tls)| Listen::Tls(address, tls))
        }
        None => check_unix(path, table, spot, report).map(Listen::Unix),
    };
    (site, listen)
}

/// Whether a table says one thing, and all of it.
fn check_shape(table: &file::Socket, spot: &Spot, report: &mut Report<'_>) -> bool {
    let file::Socket { unix, mode, group, address, cert, key, client_ca } = table;
    let tls = [("cert", cert), ("key", key), ("client_ca", client_ca)];
    let (either, one_each) = ("needs either `unix` or `address`", "one table for each listener");
    let remove = "remove what does not belong";
    let mut sound = false;
    match (unix, address) {
        (None, None) => report.lacks(spot, &["unix", "address"], either, one_each),
        (Some(_), Some(_)) => report.problem(spot, either, one_each),
        (Some(_), None) if tls.iter().any(|(_, it)| it.is_some()) => {
            report.problem(spot, "TLS is for `address`, not for `unix`", remove);
        }
        (None, Some(_)) if mode.is_some() || group.is_some() => {
            report.problem(spot, "`mode` and `group` are for `unix`, not for `address`", remove);
        }
        (None, Some(_)) if cert.is_none() || key.is_none() => {
            let hint = "without TLS, write the address as a string";
            report.lacks(spot, &["cert", "key"], "needs `cert` and `key`", hint);
        }
        (Some(_), None) | (None, Some(_)) => sound = true,
    }
    for (field, path) in tls.into_iter().chain([("unix", unix), ("group", group)]) {
        if let Some(path) = path.as_ref().filter(|it| it.get_ref().is_empty()) {
            let at = spot.field(field, path);
            report.problem(&at, "is empty", "put its name there, or remove it");
            sound = false;
        }
    }
    sound
}

fn check_path(
    typed: &Spanned<String>,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let spot = spot.field("unix", typed);
    if typed.get_ref().is_empty() {
        return None;
    }
    let path = around.vault.base.join(typed.get_ref());
    if path.as_os_str().len() > LONGEST_PATH || has_nul(path.as_os_str()) {
        let message = "is no path that a unix socket can have";
        let hint = format!("at most {LONGEST_PATH} bytes, such as \"/run/geminid/proxy.sock\"");
        report.problem(&spot, message, hint);
        return None;
    }
    Some(path)
}

fn has_nul(path: &OsStr) -> bool {
    path.as_bytes().contains(&0)
}

fn check_unix(
    path: Option<PathBuf>,
    table: &file::Socket,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<UnixSocket> {
    let group = table.group.as_ref().map(|it| check_group(it, spot, report));
    let typed = table.mode.as_ref().map(|it| {
        let at = spot.field("mode", it);
        (read(words::mode(it.get_ref()), &at, report), at)
    });
    if let Some((Some(mode), at)) = &typed {
        if mode & 0o200 == 0 {
            report.warn(at, "lets not even geminid's own user connect: who may write may connect");
        }
        if table.group.is_some() && mode & 0o020 == 0 {
            report.warn(at, "does not let the group connect: who may write may connect");
        }
    }
    // Nobody but this user, unless a group is named: then it is meant to connect.
    let usual = if group.is_some() { 0o660 } else { 0o600 };
    let mode = typed.map_or(Some(usual), |(mode, _)| mode)?;
    Some(UnixSocket { path: path?, mode, group: group.map_or(Some(None), |it| it.map(Some))? })
}

/// A group by number, or by its name in `/etc/group`.
fn check_group(typed: &Spanned<String>, spot: &Spot, report: &mut Report<'_>) -> Option<u32> {
    let text = typed.get_ref();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let groups = read_plain(Path::new(GROUPS)).unwrap_or_default();
    read(words::group(text, &groups), &spot.field("group", typed), report)
}
