//! `policy show`: what each client may do, bundles spelled out. No secret is part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::court::supposed;
use super::usage;
use crate::call::Operation;
use crate::cli::Where;
use crate::cli::say::data;
use crate::clock::UnixMicros;
use crate::config::{Client, ClientCredential, Config};
use crate::decimal::Decimal;
use crate::policy::{self, CancelAll, Orders, Rate};

#[derive(Args, Debug)]
pub(in crate::cli) struct ShowArgs {
    /// One client only.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// One JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) place: Where,
}

/// A grant, as people read it.
#[derive(Serialize)]
struct Shown<'a> {
    client: &'a str,
    upstream: &'a str,
    key: &'a str,
    /// Other clients of the same key.
    shares_key_with: Vec<&'a str>,
    credentials: Vec<&'static str>,
    mode: &'static str,
    expires: Option<String>,
    from: Vec<String>,
    rate: Option<String>,
    scopes: Vec<&'static str>,
    /// Named beyond the scopes.
    named_operations: Vec<&'a str>,
    /// Every operation of which some call would be allowed, and changes nothing.
    reads: Vec<&'a str>,
    /// The same, of those that change something.
    changes: Vec<&'a str>,
    accounts: &'a [String],
    cancel_all: &'static str,
    orders: Option<ShownOrders>,
    withdrawals: Vec<ShownDestination<'a>>,
    transfers: Option<ShownTransfers<'a>>,
}

#[derive(Serialize)]
struct ShownOrders {
    symbols: Option<Vec<String>>,
    sides: Option<Vec<String>>,
    types: Option<Vec<String>>,
    time_in_force: Option<Vec<String>>,
    max_amount: BTreeMap<String, String>,
    max_notional: BTreeMap<String, String>,
    max_notional_per_day: BTreeMap<String, String>,
    max_orders_per_day: Option<u64>,
    max_open_orders: Option<u64>,
}

#[derive(Serialize)]
struct ShownDestination<'a> {
    currency: &'a str,
    network: Option<&'a str>,
    address: &'a str,
    memo: Option<&'a str>,
    max_per_day: Option<String>,
}

#[derive(Serialize)]
struct ShownTransfers<'a> {
    to: &'a BTreeSet<String>,
    banks: &'a BTreeSet<String>,
}

pub(super) fn show(config: &Config, args: &ShowArgs) -> ExitCode {
    let wanted = |it: &&Client| args.client.as_ref().is_none_or(|name| it.id == name.as_str());
    let shown: Vec<Shown<'_>> =
        config.clients.iter().filter(wanted).map(|it| shown(config, it)).collect();
    if let (Some(name), true) = (&args.client, shown.is_empty()) {
        let known: Vec<&str> = config.clients.iter().map(|it| it.id.as_str()).collect();
        return usage(&format!("there is no client `{name}`: one of {}", known.join(", ")));
    }
    if args.json {
        data(&(serde_json::to_string_pretty(&shown).expect("plain text serialises") + "\n"));
    } else {
        let texts: Vec<String> = shown.iter().map(text).collect();
        data(&texts.join("\n"));
    }
    ExitCode::SUCCESS
}

fn shown<'a>(config: &'a Config, client: &'a Client) -> Shown<'a> {
    let grant = &client.grant;
    let key = config.keys.get(client.key);
    let upstream = key.and_then(|it| config.upstreams.get(it.upstream));
    let others = config.clients.iter().filter(|it| it.key == client.key && it.id != client.id);
    let who = supposed(client);
    let known = upstream.into_iter().flat_map(|it| {
        let all = it.provider.operations().iter().chain(&it.operations);
        all.filter(|operation| operation.path.starts_with('/'))
    });
    let may = known.map(AsRef::as_ref).filter(|it| policy::reaches(grant, &who, it));
    let (changes, reads): (Vec<&Operation>, Vec<&Operation>) =
        may.partition(|it: &&Operation| it.effect.mutates());
    let names = |all: &[&'a Operation]| all.iter().map(|it| it.name.as_str()).collect();
    Shown {
        client: client.id.as_str(),
        upstream: upstream.map_or("?", |it| it.name.as_str()),
        key: key.map_or("?", |it| it.name.as_str()),
        shares_key_with: others.map(|it| it.id.as_str()).collect(),
        credentials: client.credentials.iter().map(kind).collect(),
        mode: grant.mode.as_str(),
        expires: client.expires.map(moment),
        from: client.from.iter().map(ToString::to_string).collect(),
        rate: grant.rate.map(rate),
        scopes: grant.scopes.iter().map(|it| it.as_str()).collect(),
        named_operations: grant.operations.iter().map(String::as_str).collect(),
        reads: names(&reads),
        changes: names(&changes),
        accounts: &grant.accounts,
        cancel_all: match grant.cancel_all {
            CancelAll::Own => "own",
            CancelAll::Shared => "shared",
        },
        orders: grant.orders.as_ref().map(orders),
        withdrawals: grant.withdrawals.iter().map(destination).collect(),
        transfers: grant
            .transfers
            .as_ref()
            .map(|it| ShownTransfers { to: &it.to, banks: &it.banks }),
    }
}

fn destination(it: &policy::Destination) -> ShownDestination<'_> {
    ShownDestination {
        currency: &it.currency,
        network: it.network.as_deref(),
        address: &it.address,
        memo: it.memo.as_deref(),
        max_per_day: it.max_per_day.as_ref().map(ToString::to_string),
    }
}

fn orders(limits: &Orders) -> ShownOrders {
    fn list<T: Display>(words: Option<&BTreeSet<T>>) -> Option<Vec<String>> {
        words.map(|it| it.iter().map(ToString::to_string).collect())
    }
    let table = |it: &BTreeMap<String, Decimal>| -> BTreeMap<String, String> {
        it.iter().map(|(currency, most)| (currency.clone(), most.to_string())).collect()
    };
    ShownOrders {
        symbols: list(limits.symbols.as_ref()),
        sides: list(limits.sides.as_ref()),
        types: list(limits.types.as_ref()),
        time_in_force: list(limits.time_in_force.as_ref()),
        max_amount: table(&limits.max_amount),
        max_notional: table(&limits.max_notional),
        max_notional_per_day: table(&limits.day.max_notional_per_day),
        max_orders_per_day: limits.day.max_orders_per_day,
        max_open_orders: limits.day.max_open_orders,
    }
}

fn kind(credential: &ClientCredential) -> &'static str {
    match credential {
        ClientCredential::Token(_) => "token",
        ClientCredential::StandIn(_) => "stand-in pair",
        ClientCredential::None => "none",
    }
}

fn moment(at: UnixMicros) -> String {
    let seconds = i64::try_from(at.secs()).ok();
    let moment = seconds.and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
    moment.and_then(|it| it.format(&Rfc3339).ok()).unwrap_or_else(|| "?".to_owned())
}

fn rate(rate: Rate) -> String {
    let Rate { count, per, burst } = rate;
    let per = match per.as_secs() {
        1 => "s".to_owned(),
        60 => "min".to_owned(),
        3_600 => "h".to_owned(),
        seconds => format!("{seconds} s"),
    };
    burst.map_or_else(|| format!("{count}/{per}"), |it| format!("{count}/{per} burst {it}"))
}

fn text(it: &Shown<'_>) -> String {
    let mut text = format!("{}\n", it.client);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            writeln!(text, "  {name:28} {value}").expect("a string takes all");
        }
    };
    line("key", &format!("{} ({})", it.key, it.upstream));
    line("shares its key with", &it.shares_key_with.join(", "));
    line("credentials", &it.credentials.join(", "));
    line("mode", it.mode);
    line("expires", it.expires.as_deref().unwrap_or("never"));
    line("from", &it.from.join(", "));
    line("rate", it.rate.as_deref().unwrap_or("off"));
    line("scopes", &it.scopes.join(" "));
    line("operations beyond them", &it.named_operations.join(" "));
    line("may read by", &format!("{} operations", it.reads.len()));
    line("may change by", &it.changes.join(" "));
    line("accounts", &it.accounts.join(", "));
    line("cancel_all", it.cancel_all);
    for (name, value) in it.orders.iter().flat_map(limits) {
        line(name, &value);
    }
    for destination in &it.withdrawals {
        let ShownDestination { currency, network, address, memo, max_per_day } = destination;
        let network = network.map(|it| format!(" on {it}")).unwrap_or_default();
        let memo = memo.map(|it| format!(" memo {it}")).unwrap_or_default();
        let most = max_per_day.as_ref().map(|it| format!(", at most {it} a day"));
        let most = most.unwrap_or_default();
        line("withdrawals", &format!("{currency}{network} to {address}{memo}{most}"));
    }
    if let Some(ShownTransfers { to, banks }) = &it.transfers {
        let words = |it: &BTreeSet<String>| it.iter().cloned().collect::<Vec<_>>().join(", ");
        line("transfers.to", &if to.is_empty() { "nowhere".to_owned() } else { words(to) });
        line("transfers.banks", &words(banks));
    }
    text
}

fn limits(it: &ShownOrders) -> Vec<(&'static str, String)> {
    let list = |it: &Option<Vec<String>>| it.as_ref().map(|it| it.join(", "));
    let table = |it: &BTreeMap<String, String>| {
        let each: Vec<String> =
            it.iter().map(|(currency, most)| format!("{most} {currency}")).collect();
        (!each.is_empty()).then(|| each.join(", "))
    };
    let count = |it: Option<u64>| it.map(|it| it.to_string());
    let all = [
        ("orders.symbols", list(&it.symbols)),
        ("orders.sides", list(&it.sides)),
        ("orders.types", list(&it.types)),
        ("orders.time_in_force", list(&it.time_in_force)),
        ("orders.max_amount", table(&it.max_amount)),
        ("orders.max_notional", table(&it.max_notional)),
        ("orders.max_notional_per_day", table(&it.max_notional_per_day)),
        ("orders.max_orders_per_day", count(it.max_orders_per_day)),
        ("orders.max_open_orders", count(it.max_open_orders)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
