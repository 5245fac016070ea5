//! `[[clients]]`.

mod credential;

use std::collections::BTreeSet;

use toml::Spanned;

use super::operation::Loose;
use super::upstream::{Draft, only_provider};
use super::{Around, Kind, limit, one_of, read, unknown, word};
use crate::call::{ClientId, Scope};
use crate::clock::UnixMicros;
use crate::config::file;
use crate::config::problem::{Report, Spot};
use crate::config::{Client, ClientCredential, words};
use crate::policy::{Bundle, CancelAll, Destination, Grant, Mode};

pub(super) use self::credential::check_distinct;

/// What clients refer to.
pub(super) struct Known<'a> {
    pub(super) keys: &'a Kind<'a, file::Key>,
    /// The upstream of each key.
    pub(super) routes: &'a [Option<usize>],
    pub(super) upstreams: &'a [Draft],
    pub(super) loose: &'a Loose,
}

impl<'a> Known<'a> {
    /// The names of operations at `upstream`, or, if it cannot be read which one is meant, at any.
    fn operations(&self, upstream: Option<&'a Draft>) -> Vec<&'a str> {
        let any = if upstream.is_some() { &[] } else { self.upstreams };
        let operations = upstream.into_iter().chain(any).flat_map(Draft::known_operations);
        operations.map(|it| it.name.as_str()).collect()
    }
}

pub(super) fn check(
    clients: &Kind<'_, file::Client>,
    index: usize,
    known: &Known<'_>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Client> {
    let (spot, name) = clients.entry(index);
    let table = clients.table(index)?;
    let key = known.keys.find(table.key.as_ref(), &spot, "key", report);
    let route = key.and_then(|index| known.routes.get(index).copied().flatten());
    let upstream = route.and_then(|index| known.upstreams.get(index));
    let credentials = credential::check(table.credential.as_ref(), upstream, &spot, around, report);
    let expires = check_expires(table.expires.as_ref(), around.now, &spot, report);
    let from = check_from(table.from.as_ref(), &spot, report);
    let grant = check_grant(table, known, upstream, &spot, report);
    let moves_money = [Scope::CryptoSend, Scope::FiatWithdraw, Scope::TransfersCreate];
    let nobody = credentials.iter().any(|it| matches!(it, ClientCredential::None));
    if nobody && moves_money.iter().any(|it| grant.scopes.contains(it)) {
        let warning = "withdrawals and transfers are refused to who presents nothing (none = true)";
        report.warn(&spot.part("scopes"), warning);
    }
    Some(Client { id: ClientId::new(name), key: key?, grant, credentials, expires, from })
}

fn check_grant<'a>(
    table: &file::Client,
    known: &Known<'a>,
    upstream: Option<&'a Draft>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Grant {
    let scopes = check_scopes(table.scopes.as_ref(), spot, report);
    let operations = check_operations(table.operations.as_ref(), known, upstream, spot, report);
    let withdrawals = check_withdrawals(table.withdrawals.as_ref(), spot, report);
    let such = "the name of a sub-account, such as \"primary\"";
    limit::texts(table.accounts.as_ref(), spot, "accounts", such, report);
    let accounts: &[Spanned<String>] = table.accounts.as_ref().map_or(&[], |it| it.get_ref());
    let shared = one_of(table.cancel_all.as_ref(), spot, "cancel_all", &["own", "shared"], report);
    let mode = word(table.mode.as_ref(), spot, "mode", Mode::ALL, Mode::as_str, report);
    let rate = limit::client_rate(table.rate.as_ref(), spot, report);
    let orders = table
        .orders
        .as_ref()
        .map(|orders| limit::check_orders(orders.get_ref(), &spot.field("orders", orders), report));
    let transfers = table.transfers.as_ref().map(|transfers| {
        let spot = spot.field("transfers", transfers);
        limit::check_transfers(transfers.get_ref(), &spot, report)
    });
    if scopes.is_empty() && operations.is_empty() {
        report.warn(spot, "may do nothing: it has no scopes and no operations");
    }
    Grant {
        operations,
        withdrawals,
        accounts: accounts.iter().map(|it| it.get_ref().clone()).collect(),
        cancel_all: if shared == Some("shared") { CancelAll::Shared } else { CancelAll::Own },
        orders,
        transfers,
        mode: mode.unwrap_or_default(),
        rate,
        ..Grant::of(scopes)
    }
}

fn check_scopes(
    typed: Option<&Spanned<Vec<Spanned<String>>>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> BTreeSet<Scope> {
    let Some(typed) = typed else { return BTreeSet::new() };
    let spot = spot.field("scopes", typed);
    let mut scopes = BTreeSet::new();
    for (index, text) in typed.get_ref().iter().enumerate() {
        if let Ok(bundle) = text.get_ref().parse::<Bundle>() {
            scopes.extend(bundle.scopes());
        } else if let Ok(scope) = text.get_ref().parse::<Scope>() {
            scopes.insert(scope);
        } else {
            let bundles = Bundle::ALL.iter().map(|it| it.as_str());
            let known: Vec<&str> = bundles.chain(Scope::ALL.iter().map(|it| it.as_str())).collect();
            unknown(text.get_ref(), &spot.item(index, text), &known, report);
        }
    }
    scopes
}

fn check_operations<'a>(
    typed: Option<&Spanned<Vec<Spanned<String>>>>,
    known: &Known<'a>,
    upstream: Option<&'a Draft>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> BTreeSet<String> {
    let Some(typed) = typed else { return BTreeSet::new() };
    let spot = spot.field("operations", typed);
    let names = known.operations(upstream);
    let provider = upstream.and_then(|it| it.provider).or_else(only_provider);
    let provider = provider.map_or("any upstream", |it| it.name());
    for (index, text) in typed.get_ref().iter().enumerate() {
        if names.contains(&text.get_ref().as_str()) || known.loose.may_be(text.get_ref()) {
            continue;
        }
        let at = spot.item(index, text);
        let message = format!("`{}` is no operation of {provider}", text.get_ref());
        let meant = super::closest(text.get_ref(), names.iter().copied());
        let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
        report.problem(
            &at,
            message,
            hint.unwrap_or_else(|| "`geminid catalog` lists all".to_owned()),
        );
    }
    typed.get_ref().iter().map(|it| it.get_ref().clone()).collect()
}

fn check_withdrawals(
    typed: Option<&Spanned<Vec<Spanned<file::Withdrawal>>>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Vec<Destination> {
    let Some(typed) = typed else { return Vec::new() };
    let root = spot.part("withdrawals");
    let mut all: Vec<Destination> = Vec::new();
    for (index, table) in typed.get_ref().iter().enumerate() {
        let spot = root.item(index, table);
        let Some(destination) = check_withdrawal(table.get_ref(), &spot, report) else { continue };
        let same = |it: &Destination| {
            let max_per_day = destination.max_per_day.clone();
            destination == Destination { max_per_day, ..it.clone() }
        };
        if all.iter().any(same) {
            report.problem(&spot, "is there twice", "remove one");
        }
        all.push(destination);
    }
    all
}

fn check_withdrawal(
    table: &file::Withdrawal,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Destination> {
    let file::Withdrawal { currency, network, address, memo, max_per_day } = table;
    let max_per_day = max_per_day.as_ref().and_then(|amount| {
        read(words::decimal(amount.get_ref()), &spot.field("max_per_day", amount), report)
    });
    let mut code = |field: &str, such: &str, text: &Spanned<String>| {
        let fits = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        let good = !text.get_ref().is_empty() && text.get_ref().bytes().all(fits);
        if !good {
            let message = format!("`{}` is no {field}", text.get_ref());
            report.problem(&spot.field(field, text), message, such);
        }
        good.then(|| text.get_ref().to_ascii_lowercase())
    };
    let currency_code = currency.as_ref().map(|it| code("currency", "such as \"btc\"", it));
    let network_code = network.as_ref().map(|it| code("network", "such as \"bitcoin\"", it));
    if currency.is_none() {
        report.problem(&spot.part("currency"), "is missing", "such as currency = \"btc\"");
    }
    let text = address.as_ref().map_or("", |it| it.get_ref());
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
        let at =
            address.as_ref().map_or_else(|| spot.part("address"), |it| spot.field("address", it));
        let message = if address.is_none() { "is missing" } else { "is no address" };
        let hint = "the address that may be withdrawn to, without spaces: address = \"bc1q…\"";
        report.problem(&at, message, hint);
        return None;
    }
    Some(Destination {
        currency: currency_code??,
        network: network_code.flatten(),
        address: text.to_owned(),
        memo: memo.as_ref().map(|it| it.get_ref().clone()).filter(|it| !it.is_empty()),
        max_per_day,
    })
}

fn check_expires(
    typed: Option<&Spanned<toml::Value>>,
    now: UnixMicros,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<UnixMicros> {
    let typed = typed?;
    let spot = spot.field("expires", typed);
    let text = match typed.get_ref() {
        toml::Value::String(text) => text.clone(),
        toml::Value::Datetime(moment) => moment.to_string(),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => {
            report.problem(&spot, "is no date and time", "such as \"2027-01-01T00:00:00Z\"");
            return None;
        }
    };
    let expires = read(words::moment(&text), &spot, report)?;
    if expires <= now {
        report.warn(&spot, "has passed: the client is refused");
    }
    Some(expires)
}

fn check_from(
    typed: Option<&Spanned<Vec<Spanned<String>>>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Vec<ipnet::IpNet> {
    let Some(typed) = typed else { return Vec::new() };
    let spot = spot.field("from", typed);
    if typed.get_ref().is_empty() {
        report.problem(
            &spot,
            "is empty: from nowhere, or from anywhere?",
            "for anywhere, remove it",
        );
    }
    let each = typed.get_ref().iter().enumerate();
    each.filter_map(|(index, it)| read(words::range(it.get_ref()), &spot.item(index, it), report))
        .collect()
}
