//! `clients.credential`.

use std::sync::Arc;

use toml::Spanned;

use super::super::key::{check_key_text, check_secret, read_text};
use super::super::upstream::Draft;
use super::super::{Around, Kind};
use crate::config::file::{self, OneOrMany};
use crate::config::problem::{Report, Spot};
use crate::config::{Client, ClientCredential, Key};
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
    let file::Credential { token_sha256, key, secret, none, uid, gid, cert } = table;
    let pair = key.is_some() || secret.is_some();
    let peer = uid.is_some() || gid.is_some();
    let kinds = [token_sha256.is_some(), pair, none.is_some(), peer, cert.is_some()];
    let only_one = "needs exactly one of `token_sha256`, `key` with `secret`, `none`";
    match kinds.iter().filter(|it| **it).count() {
        0 => {
            let parts = ["token_sha256", "key", "secret", "none", "uid", "gid", "cert"];
            report.lacks(spot, &parts, only_one, "such as { token_sha256 = \"…\" }");
        }
        1 => {}
        _ => report.problem(spot, only_one, "several credentials are an array of tables"),
    }
    check_unenforced(table, spot, report);
    if let Some(hash) = token_sha256 {
        let read = TokenHash::parse(&hash.get_ref().0);
        if read.is_none() {
            report.problem(
                &spot.field("token_sha256", hash),
                "is not 64 hex digits",
                "the SHA-256 of the token, not the token: `printf %s TOKEN | sha256sum`",
            );
        }
        return read.map(ClientCredential::Token);
    }
    if pair {
        return check_pair(table, upstream, spot, around, report);
    }
    check_none(none.as_ref()?, upstream, spot, report)
}

fn check_unenforced(table: &file::Credential, spot: &Spot, report: &mut Report<'_>) {
    let file::Credential { token_sha256: _, key: _, secret: _, none: _, uid, gid, cert } = table;
    let instead = "`token_sha256`, or `key` with `secret`, says who calls";
    for (field, id) in [("uid", uid), ("gid", gid)] {
        if let Some(id) = id {
            report.not_enforced_but(&spot.field(field, id), instead);
        }
    }
    if let Some(cert) = cert {
        let at = spot.field("cert", cert);
        if cert.get_ref().trim().is_empty() {
            report.problem(&at, "is empty", "the name in the certificate");
        }
        report.not_enforced_but(&at, instead);
    }
}

fn check_pair(
    table: &file::Credential,
    upstream: Option<&Draft>,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<ClientCredential> {
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
    Some(ClientCredential::StandIn(Arc::new(pair)))
}

fn check_none(
    none: &Spanned<bool>,
    upstream: Option<&Draft>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<ClientCredential> {
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
            "give it a token or a stand-in pair, or listen on 127.0.0.1",
        );
        return None;
    }
    Some(ClientCredential::None)
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
    let mut seen: Vec<(&Client, &ClientCredential)> = Vec::new();
    for (index, client) in served.iter().enumerate() {
        let Some(client) = client else { continue };
        let (spot, _) = clients.entry(index);
        let spot = spot.part("credential");
        for credential in &client.credentials {
            let header = match credential {
                ClientCredential::StandIn(pair) => Some(pair.key_header()),
                ClientCredential::Token(_) | ClientCredential::None => None,
            };
            let real = header.is_some_and(|header| {
                held.iter().flatten().any(|key| key.credential.is_key(header.as_bytes()))
            });
            if real {
                let message = "the stand-in key is a real key: a stand-in is made up";
                report.problem(&spot, message, "make one up, such as key = \"account-bot\" with 32 random hex digits as its secret");
            }
            let upstream = upstream_of(client);
            let same_place = |other: &Client| upstream.is_some() && upstream == upstream_of(other);
            let twin = seen.iter().find(|(other, it)| collide(credential, it, same_place(other)));
            if let Some((other, _)) = twin {
                let upstream = upstream.and_then(|it| upstreams.get(it));
                let shown = upstream.map_or("", |it| it.name.as_str());
                let message = match credential {
                    ClientCredential::Token(_) => {
                        format!("the token is also that of `{}`", other.id)
                    }
                    ClientCredential::StandIn(_) => {
                        format!("the stand-in key is also that of `{}`", other.id)
                    }
                    ClientCredential::None => {
                        format!(
                            "`{}` on upstream `{shown}` is for who presents nothing already",
                            other.id
                        )
                    }
                };
                report.problem(&spot, message, "every client needs a credential of its own");
            }
            seen.push((client, credential));
        }
    }
}

fn collide(left: &ClientCredential, right: &ClientCredential, same_upstream: bool) -> bool {
    match (left, right) {
        (ClientCredential::Token(left), ClientCredential::Token(right)) => left.is(right),
        (ClientCredential::StandIn(left), ClientCredential::StandIn(right)) => {
            left.is_key(right.key_header().as_bytes())
        }
        (ClientCredential::None, ClientCredential::None) => same_upstream,
        _ => false,
    }
}
