//! `policy suggest`: the smallest grant that lets a client do what it did, from the audit trail.
//!
//! 1. What was let through counts, and what would have been refused of a client that is observed. What
//!    was refused does not, nor what the exchange rejected because the key lacks a role.
//! 2. What comes out can be read back: a word that no limit knows is left out, and counted.
//! 3. Nothing is guessed: what the trail does not tell is not in it, and a comment says so.

mod toml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::Logging;
use super::audit::{Ended, Filter, Place, Told, each, tell_unread, within};
use super::say::{data, note};
use crate::call::Scope;
use crate::decimal::Decimal;
use crate::diagnose::Cause;
use crate::policy::{OrderType, Side, TimeInForce, split};

#[derive(Args, Debug)]
pub(super) struct SuggestArgs {
    /// Whose calls.
    #[arg(long, value_name = "NAME")]
    client: String,
    /// From then on: 24h, 7d, or a time.
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn suggest(args: SuggestArgs, logging: &Logging) -> ExitCode {
    let SuggestArgs { client, since, place } = args;
    within(&place, logging, |dir| {
        let seen = look(&dir, &client, &since)?;
        if seen.n_calls == 0 {
            note(&format!(
                "error: the trail has no call of `{client}` that was let through since {since}"
            ));
            note(
                "\nhint: let it run for a while with `mode = \"observe\"`, or look further back with `--since`",
            );
            return Ok(ExitCode::FAILURE);
        }
        data(&toml::written(&client, &seen));
        Ok(ExitCode::SUCCESS)
    })
}

fn look(dir: &Path, client: &str, since: &str) -> Result<Seen, Ended> {
    let filter = Filter::of_client(client, since);
    let mut seen = Seen::default();
    let n_unread = each(dir, &filter, &filter.window()?, |told| {
        seen.take(told);
        Ok(())
    })?;
    tell_unread(n_unread);
    Ok(seen)
}

/// What a client did.
#[derive(Debug, Default)]
struct Seen {
    n_calls: u64,
    first: String,
    last: String,
    scopes: BTreeSet<Scope>,
    /// Trading that no limit can read.
    unread: BTreeSet<String>,
    accounts: BTreeSet<String>,
    orders: Orders,
    withdrawals: BTreeSet<Destination>,
    banks: BTreeSet<String>,
    transfers: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Orders {
    n: u64,
    symbols: BTreeSet<String>,
    sides: BTreeSet<Side>,
    types: BTreeSet<OrderType>,
    times: BTreeSet<TimeInForce>,
    /// By base currency, by quote currency, and by day.
    max_amount: BTreeMap<String, Decimal>,
    max_notional: BTreeMap<String, Decimal>,
    days: BTreeMap<String, Day>,
    /// Orders whose value the trail does not tell, and orders with a word that no limit knows.
    n_unpriced: u64,
    n_unknown: u64,
}

#[derive(Debug, Default)]
struct Day {
    n: u64,
    notional: BTreeMap<String, Decimal>,
}

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Destination {
    currency: String,
    network: Option<String>,
    address: String,
    memo: Option<String>,
}

impl Seen {
    fn take(&mut self, told: &Told<'_>) {
        let is = |name: &str, word: &str| told.get(name).is_some_and(|it| it == word);
        let let_through = is("decision", "allowed") || is("decision", "observed");
        if !is("event", "request") || !let_through || is("cause", Cause::KeyRoleMissing.code()) {
            return;
        }
        self.n_calls += 1;
        let at = told.get("at").unwrap_or_default();
        if self.n_calls == 1 {
            self.first = at.clone().into_owned();
        }
        self.last = at.clone().into_owned();
        let text = |name: &str| told.get(name).map(std::borrow::Cow::into_owned);
        let scope = told.get("scope").and_then(|it| it.parse::<Scope>().ok());
        self.scopes.extend(scope);
        self.accounts.extend(text("account"));
        match scope {
            Some(Scope::OrdersCreate | Scope::ClearingCreate | Scope::PredictionsOrdersWrite) => {
                let day = at.get(..10).unwrap_or_default();
                if told.get("type").is_none() || !self.orders.take(told, day) {
                    self.unread.extend(text("operation"));
                    // Symbols in paths are held against the list, too.
                    let symbol = text("symbol").map(|it| it.to_ascii_lowercase());
                    self.orders.symbols.extend(symbol.filter(|it| split(it).is_some()));
                }
            }
            Some(Scope::CryptoSend | Scope::FiatWithdraw) => self.withdrawal(told, scope),
            Some(Scope::TransfersCreate) => self.transfers.extend(text("address")),
            _ => {}
        }
    }

    fn withdrawal(&mut self, told: &Told<'_>, scope: Option<Scope>) {
        let text = |name: &str| told.get(name).map(std::borrow::Cow::into_owned);
        let Some(address) = text("address").filter(|it| !it.is_empty()) else { return };
        let network = text("network").map(|it| it.to_ascii_lowercase());
        if scope == Some(Scope::FiatWithdraw) && network.is_none() {
            self.banks.insert(address);
            return;
        }
        let Some(currency) = text("currency").map(|it| it.to_ascii_lowercase()) else { return };
        let memo = text("memo").filter(|it| !it.is_empty());
        self.withdrawals.insert(Destination { currency, network, address, memo });
    }
}

impl Orders {
    /// `false`: no limit can read it.
    fn take(&mut self, told: &Told<'_>, day: &str) -> bool {
        let symbol = told.get("symbol").map(|it| it.to_ascii_lowercase());
        let Some(symbol) = symbol.filter(|it| split(it).is_some()) else { return false };
        let amount = told.get("amount").and_then(|it| Decimal::parse(&it));
        let side = told.get("side").and_then(|it| it.parse().ok());
        let kind = told.get("type").and_then(|it| it.parse().ok());
        let named = told.get("time_in_force");
        let named = named.as_deref().unwrap_or(TimeInForce::GoodTilCancel.as_str());
        let times: Option<Vec<TimeInForce>> = named.split(',').map(|it| it.parse().ok()).collect();
        let (Some(amount), Some(side), Some(kind), Some(times)) = (amount, side, kind, times)
        else {
            // The exchange would not know it either.
            self.n_unknown += 1;
            return true;
        };
        let Some(pair) = split(&symbol) else { return false };
        raise(&mut self.max_amount, pair.base, &amount);
        self.n += 1;
        let day = self.days.entry(day.to_owned()).or_default();
        day.n += 1;
        match notional(told, &amount) {
            Some(notional) => {
                raise(&mut self.max_notional, pair.quote, &notional);
                let sum = day.notional.entry(pair.quote.to_owned()).or_default();
                *sum = sum.plus(&notional);
            }
            None => self.n_unpriced += 1,
        }
        self.symbols.insert(symbol);
        self.sides.insert(side);
        self.types.insert(kind);
        self.times.extend(times);
        true
    }

    /// The most of any day.
    fn per_day(&self) -> (u64, BTreeMap<String, Decimal>) {
        let mut most = BTreeMap::new();
        for day in self.days.values() {
            for (currency, sum) in &day.notional {
                raise(&mut most, currency, sum);
            }
        }
        (self.days.values().map(|it| it.n).max().unwrap_or_default(), most)
    }
}

/// What the order was worth: as it was judged, or at its price.
fn notional(told: &Told<'_>, amount: &Decimal) -> Option<Decimal> {
    let judged = told.get("notional").and_then(|it| Decimal::kept(&it));
    let price = || told.get("price").and_then(|it| Decimal::parse(&it));
    judged.or_else(|| Some(price()?.times(amount)))
}

fn raise(most: &mut BTreeMap<String, Decimal>, of: &str, to: &Decimal) {
    let known = most.entry(of.to_owned()).or_default();
    if *known < *to {
        known.clone_from(to);
    }
}

#[cfg(test)]
mod tests;
