//! `[[keys]]`.

use std::sync::Arc;

use toml::Spanned;

use super::upstream::Draft;
use super::{Around, Kind, one_of, word};
use crate::call::KeyName;
use crate::config::file::{self, Hidden, TextOr};
use crate::config::key_source::Origin;
use crate::config::problem::{Report, Spot};
use crate::config::{Key, KeySource};
use crate::nonce;
use crate::provider::Environment;
use crate::secret::Credential;

/// The upstream of each key, known even when something else of the key is wrong.
pub(super) fn routes(
    keys: &Kind<'_, file::Key>,
    upstreams: &Kind<'_, file::Upstream>,
    report: &mut Report<'_>,
) -> Vec<Option<usize>> {
    let mut route = |index: usize| {
        let (spot, _) = keys.entry(index);
        upstreams.find(keys.table(index)?.upstream.as_ref(), &spot, "upstream", report)
    };
    (0..keys.len()).map(&mut route).collect()
}

pub(super) fn check(
    keys: &Kind<'_, file::Key>,
    index: usize,
    upstream: Option<usize>,
    upstreams: &[Draft],
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Key> {
    let (spot, name) = keys.entry(index);
    let table = keys.table(index)?;
    let environment = upstream.and_then(|index| upstreams.get(index)?.environment);
    // When the environment could not be read, that is what is told.
    let inline = environment.is_none_or(|it| it == Environment::Simulator);
    let id = check_id(table.api_key.as_ref(), inline, &spot, around, report);
    let secret =
        check_secret(table.api_secret.as_ref(), "api_secret", inline, &spot, around, report);
    let nonce = word(
        table.nonce.as_ref(),
        &spot,
        "nonce",
        nonce::Setting::ALL,
        nonce::Setting::as_str,
        report,
    );
    let unit = word(
        table.nonce_unit.as_ref(),
        &spot,
        "nonce_unit",
        nonce::Unit::ALL,
        nonce::Unit::as_str,
        report,
    );
    if let Some(heartbeat) = &table.heartbeat
        && one_of(Some(heartbeat), &spot, "heartbeat", &["off", "follow"], report) == Some("follow")
    {
        report.not_enforced(&spot.field("heartbeat", heartbeat));
    }
    let account = table.account.as_ref().map(|it| it.get_ref().as_str());
    let at = match &table.account {
        Some(account) => spot.field("account", account),
        None => spot.part("account"),
    };
    let id = id?;
    check_account(&id, account, &at, report);
    let credential = Arc::new(Credential::upstream(id.0.clone(), &secret?.secret()));
    let origin = |typed: &Option<Spanned<TextOr<file::Source>>>| {
        let typed = typed.as_ref();
        typed.map_or(Origin::Fixed, |it| Origin::of(it.get_ref(), around.vault.base))
    };
    let source =
        KeySource::new(origin(&table.api_key), origin(&table.api_secret), Arc::clone(&credential));
    Some(Key {
        name: KeyName::new(name),
        upstream: upstream?,
        credential,
        source,
        nonce: nonce.unwrap_or(nonce::Setting::Auto),
        unit,
        account: account.map(str::to_owned),
    })
}

fn check_id(
    typed: Option<&Spanned<TextOr<file::Source>>>,
    inline: bool,
    owner: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Hidden> {
    let Some(typed) = typed else {
        let hint = "as the exchange shows it, or { env = \"GEMINI_API_KEY\" }";
        report.problem(&owner.part("api_key"), "is missing", hint);
        return None;
    };
    let spot = owner.field("api_key", typed);
    let text = read_text(typed.get_ref(), inline, &spot, around, report)?;
    check_key_text(text, &spot, report)
}

/// The public half of a pair: a plain string, or from a source.
pub(super) fn read_text(
    typed: &TextOr<file::Source>,
    inline: bool,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Hidden> {
    match typed {
        TextOr::Text(text) => Some(Hidden(text.0.clone())),
        TextOr::Table(source) => around.vault.read(source, inline, spot, report),
    }
}

/// A secret, which never stands in the file as a plain string.
pub(super) fn check_secret(
    typed: Option<&Spanned<TextOr<file::Source>>>,
    field: &str,
    inline: bool,
    owner: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Hidden> {
    let hint = "{ file = \"path\" }, { env = \"NAME\" } or { systemd = \"NAME\" }";
    let Some(typed) = typed else {
        report.problem(&owner.part(field), "is missing", hint);
        return None;
    };
    let spot = owner.field(field, typed);
    match typed.get_ref() {
        TextOr::Table(source) => around.vault.read(source, inline, &spot, report),
        TextOr::Text(_) => {
            report.problem(&spot, "a secret does not belong in this file as a plain string", hint);
            None
        }
    }
}

/// The text of an exchange key, if it can be one. It is never part of what is told.
pub(in super::super) fn check_key_text(
    text: Hidden,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Hidden> {
    if text.0.is_empty() {
        let hint = "an API key of the exchange begins with `account-` or `master-`";
        report.problem(spot, "is empty", hint);
        return None;
    }
    // Kinds of Google's keys: https://ai.google.dev/gemini-api/docs/api-key (seen 2026-11).
    if let Some(prefix) = ["AIza", "AQ."].into_iter().find(|it| text.0.starts_with(it)) {
        report.problem(
            spot,
            format!(
                "begins with `{prefix}`, as keys of Google's Gemini API do; \
                 this is a proxy for the Gemini crypto exchange, which is another company"
            ),
            "an API key of the exchange begins with `account-` or `master-`: \
             exchange.gemini.com, Settings, API",
        );
        return None;
    }
    if !text.0.bytes().all(|it| it.is_ascii_graphic()) {
        let hint = "copy it again: a line break, a space or a quotation mark came along";
        report.problem(spot, "holds a character that no key has", hint);
        return None;
    }
    Some(text)
}

/// Master keys act for one of several accounts, account keys for their own.
pub(in super::super) fn check_account(
    id: &Hidden,
    account: Option<&str>,
    spot: &Spot,
    report: &mut Report<'_>,
) {
    let master = id.0.starts_with("master-") || id.0.starts_with("group-");
    match account {
        Some(account) if account.trim().is_empty() => {
            report.problem(spot, "is empty", "the name of a sub-account, such as \"primary\"");
        }
        Some(_) if id.0.starts_with("account-") => report.problem(
            spot,
            "is only for master- keys: an account- key belongs to one account already",
            "remove it",
        ),
        None if master => report.warn(
            spot,
            "is missing: a master key needs an account in every call that has one, \
             and clients must name it themselves",
        ),
        _ => {}
    }
}

/// Two entries for one key would be two lanes of nonces, which get in each other's way.
pub(super) fn check_distinct(
    keys: &Kind<'_, file::Key>,
    held: &[Option<Key>],
    report: &mut Report<'_>,
) {
    let mut seen: Vec<&Key> = Vec::new();
    for (index, key) in held.iter().enumerate() {
        let Some(key) = key else { continue };
        let header = key.credential.key_header();
        if let Some(other) = seen.iter().find(|it| it.credential.is_key(header.as_bytes())) {
            let (spot, _) = keys.entry(index);
            report.problem(
                &spot.part("api_key"),
                format!("is the same key as `{}`: their nonces would collide", other.name),
                "one entry for each key; several clients may use it",
            );
        }
        seen.push(key);
    }
}
