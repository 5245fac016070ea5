//! `clients.credential`.

use std::sync::Arc;

use toml::Spanned;

use super::super::key::{check_key_text, check_secret, read_text};
use super::super::upstream::Draft;
use super::super::{Around, Kind};
use crate::call::ClientId;
use crate::config::file::{self, OneOrMany};
use crate::config::problem::{Report, Spot};
use crate::config::{Client, ClientCredential, Key, Proof};
use crate::provider::Environment;
use crate::secret::{Credential, TokenHash};

pub(super) fn check(
    typed: Option<&Spanned<OneOrMany<file::Credential>>>,
    upstream: Option<&Draft>,
    owner: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Vec<ClientCredential> {
    let hint = "such as { token_sha256 = \"…\" }; { none = true } is for who presents nothing";
    let Some(typed) = typed else {
        report.problem(&owner.part("credential"), "is missing", hint);
        return Vec::new();
    };
    let spot = owner.field("credential", typed);
    let tables: Vec<(Spot, &file::Credential)> = match typed.get_ref() {
        OneOrMany::One(table) => vec![(spot.clone(), table)],
        OneOrMany::Many(tables) => tables
            .iter()
            .enumerate()
            .map(|(index, it)| (spot.item(index, it), it.get_ref()))
            .collect(),
    };
    if tables.is_empty() {
        report.problem(&spot, "is empty", hint);
    }
    let each = tables.into_iter();
    each.filter_map(|(spot, table)| check_one(table, upstream, &spot, around, report)).collect()
}

fn check_one(
    table: &file::Credential,
    upstream: Option<&Draft>,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<ClientCredential> {
    let file::Credential { token_sha256, key, secret, none, uid, gid, cert, expires } = table;
    let pair = key.is_some() || secret.is_some();
    let peer = uid.is_some() || gid.is_some();
    let kinds = [token_sha256.is_some(), pair, none.is_some(), peer, cert.is_some()];
    let only_one = "needs exactly one of `token_sha256`, `key` with `secret`, `uid` or `gid` or \
                    both, `cert`, `none`";
    match kinds.iter().filter(|it| **it).count() {
        0 => {
            let parts = ["token_sha256", "key", "secret", "none", "uid", "gid", "cert"];
            report.lacks(spot, &parts, only_one, "such as { token_sha256 = \"…\" }");
        }
        1 => {}
        _ => report.problem(spot, only_one, "several credentials are an array of tables"),
    }
    let expires =
        super::check_expires(expires.as_ref(), "the credential", around.now, spot, report);
    let proof = if let Some(hash) = token_sha256 {
        check_token(hash, spot, report)
    } else if pair {
        check_pair(table, upstream, spot, around, report)
    } else if peer {
        Some(check_user(table, upstream, spot, report))
    } else if let Some(cert) = cert {
        check_certificate(cert, upstream, spot, report)
    } else {
        check_none(none.as_ref()?, upstream, spot, report)
    };
    Some(ClientCredential { proof: proof?, expires })
}

fn check_token(
    hash: &Spanned<file::Hidden>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Proof> {
    let read = TokenHash::parse(&hash.get_ref().0);
    if read.is_none() {
        report.problem(
            &spot.field("token_sha256", hash),
            "is not 64 hex digits",
            "the SHA-256 of the token, not the token: `printf %s TOKEN | sha256sum`",
        );
    }
    read.map(Proof::Token)
}

fn check_user(
    table: &file::Credential,
    upstream: Option<&Draft>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Proof {
    let number = |it: &Option<Spanned<u32>>| it.as_ref().map(|it| *it.get_ref());
    if let Some(upstream) = upstream.filter(|it| !it.sites.has_socket_file()) {
        let name = &upstream.name;
        report.warn(spot, &format!("`{name}` listens on no unix socket: nobody is known by it"));
    }
    Proof::User { uid: number(&table.uid), gid: number(&table.gid) }
}

fn check_certificate(
    cert: &Spanned<String>,
    upstream: Option<&Draft>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Proof> {
    let (at, name) = (spot.field("cert", cert), cert.get_ref());
    if name.is_empty() || !name.bytes().all(|it| it.is_ascii_graphic()) {
        let hint = "a DNS name or a URI among its alternative names, such as \"bot.example.com\"";
        report.problem(&at, "is no name in a certificate", hint);
        return None;
    }
    if let Some(upstream) = upstream.filter(|it| !it.sites.asks_clients) {
        let name = &upstream.name;
        report.warn(
            &at,
            &format!("no listener of `{name}` has a `client_ca`: nobody is known by it"),
        );
    }
    Some(Proof::Certificate(name.clone()))
}

fn check_pair(
    table: &file::Credential,
    upstream: Option<&Draft>,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Proof> {
    let environment = upstream.and_then(|it| it.environment);
    let inline = environment.is_none_or(|it| it == Environment::Simulator);
    let secret = check_secret(table.secret.as_ref(), "secret", inline, spot, around, report);
    let Some(key) = &table.key else {
        let hint = "made up, such as key = \"account-standin-1\"";
        report.problem(&spot.part("key"), "is missing", hint);
        return None;
    };
    let at = spot.field("key", key);
    let text = read_text(key.get_ref(), inline, &at, around, report)?;
    let text = check_key_text(text, &at, report)?;
    if !text.0.contains("account") {
        let message = "a stand-in key must contain `account`: ccxt looks for it";
        report.problem(&at, message, "such as \"account-standin-1\"");
        return None;
    }
    let pair = Credential::new(text.0.clone(), &secret?.secret());
    Some(Proof::StandIn(Arc::new(pair)))
}

fn check_none(
    none: &Spanned<bool>,
    upstream: Option<&Draft>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Proof> {
    let at = spot.field("none", none);
    if !none.get_ref() {
        report.problem(&at, "says nothing", "true, or another kind of credential");
        return None;
    }
    if let Some(upstream) = upstream.filter(|it| !it.is_local()) {
        report.problem(
            &at,
            format!(
                "the listener of `{}` is not loopback: clients must show who they are",
                upstream.name
            ),
            "give it a token or a stand-in pair, or listen on 127.0.0.1 or a unix socket",
        );
        return None;
    }
    Some(Proof::None)
}

/// What a request presents must name one client, and no stand-in may be the real thing.
pub(in super::super) fn check_distinct(
    clients: &Kind<'_, file::Client>,
    served: &[Option<Client>],
    held: &[Option<Key>],
    upstreams: &[Draft],
    report: &mut Report<'_>,
) {
    let upstream_of = |client: &Client| Some(held.get(client.key)?.as_ref()?.upstream);
    let mut seen: Vec<(&Client, &Proof)> = Vec::new();
    for (index, client) in served.iter().enumerate() {
        let Some(client) = client else { continue };
        let (spot, _) = clients.entry(index);
        let spot = spot.part("credential");
        for ClientCredential { proof, expires: _ } in &client.credentials {
            if is_real(proof, held) {
                let message = "the stand-in key is a real key: a stand-in is made up";
                report.problem(&spot, message, "make one up, such as key = \"account-bot\" with 32 random hex digits as its secret");
            }
            let upstream = upstream_of(client);
            let same_place = |other: &Client| upstream.is_some() && upstream == upstream_of(other);
            let twin = seen.iter().find(|(other, it)| collide(proof, it, same_place(other)));
            if let Some((other, _)) = twin {
                let upstream = upstream.and_then(|it| upstreams.get(it));
                let shown = upstream.map_or("", |it| it.name.as_str());
                let message = taken(proof, &other.id, shown);
                report.problem(&spot, message, "every client needs a credential of its own");
            }
            seen.push((client, proof));
        }
    }
}

fn is_real(proof: &Proof, held: &[Option<Key>]) -> bool {
    let Proof::StandIn(pair) = proof else { return false };
    let header = pair.key_header();
    held.iter().flatten().any(|key| key.credential.is_key(header.as_bytes()))
}

/// Whose a credential is already.
fn taken(proof: &Proof, other: &ClientId, upstream: &str) -> String {
    match proof {
        Proof::Token(_) => format!("the token is also that of `{other}`"),
        Proof::StandIn(_) => format!("the stand-in key is also that of `{other}`"),
        Proof::User { .. } => {
            format!("`{other}` on upstream `{upstream}` has the same `uid` and `gid`")
        }
        Proof::Certificate(name) => {
            format!("`{other}` on upstream `{upstream}` has the certificate name `{name}` too")
        }
        Proof::None => {
            format!("`{other}` on upstream `{upstream}` is for who presents nothing already")
        }
    }
}

fn collide(left: &Proof, right: &Proof, same_upstream: bool) -> bool {
    match (left, right) {
        (Proof::Token(left), Proof::Token(right)) => left.is(right),
        (Proof::StandIn(left), Proof::StandIn(right)) => left.is_key(right.key_header().as_bytes()),
        (Proof::User { uid, gid }, Proof::User { uid: other_uid, gid: other_gid }) => {
            same_upstream && uid == other_uid && gid == other_gid
        }
        (Proof::Certificate(left), Proof::Certificate(right)) => same_upstream && left == right,
        (Proof::None, Proof::None) => same_upstream,
        _ => false,
    }
}
