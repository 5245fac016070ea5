//! Limits: rates, `[clients.orders]`, `[clients.transfers]`.
//!
//! A list or a table that is empty could mean nothing or anything: it is a problem.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::{read, unknown};
use crate::config::file;
use crate::config::problem::{Report, Spot};
use crate::config::words;
use crate::decimal::Decimal;
use crate::policy::{DayLimits, OrderType, Orders, Rate, Side, TimeInForce, Transfers};

type Texts = Spanned<Vec<Spanned<String>>>;
type Amounts = Spanned<BTreeMap<String, Spanned<String>>>;

/// A rate that this build does not keep.
pub(super) fn check_rate(
    rate: Option<&Spanned<String>>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) {
    let Some(rate) = rate else { return };
    let spot = owner.field(field, rate);
    if let Some(Some(_)) = read(words::rate(rate.get_ref()), &spot, report) {
        report.not_enforced(&spot);
    }
}

/// The rate of a client.
pub(super) fn client_rate(
    rate: Option<&Spanned<String>>,
    owner: &Spot,
    report: &mut Report<'_>,
) -> Option<Rate> {
    let rate = rate?;
    read(words::rate(rate.get_ref()), &owner.field("rate", rate), report).flatten()
}

/// `[clients.orders]`.
pub(super) fn check_orders(orders: &file::Orders, spot: &Spot, report: &mut Report<'_>) -> Orders {
    let file::Orders {
        symbols,
        sides,
        types,
        time_in_force,
        max_amount,
        max_notional,
        max_notional_per_day,
        max_orders_per_day,
        max_open_orders,
    } = orders;
    let limits = Orders {
        symbols: check_symbols(symbols.as_ref(), spot, report),
        sides: words_of(sides.as_ref(), spot, "sides", Side::ALL, Side::as_str, report),
        types: words_of(types.as_ref(), spot, "types", OrderType::ALL, OrderType::as_str, report),
        time_in_force: words_of(
            time_in_force.as_ref(),
            spot,
            "time_in_force",
            TimeInForce::ALL,
            TimeInForce::as_str,
            report,
        ),
        max_amount: amounts(max_amount.as_ref(), spot, "max_amount", report),
        max_notional: amounts(max_notional.as_ref(), spot, "max_notional", report),
        day: DayLimits {
            max_notional_per_day: amounts(
                max_notional_per_day.as_ref(),
                spot,
                "max_notional_per_day",
                report,
            ),
            max_orders_per_day: count(
                max_orders_per_day.as_ref(),
                spot,
                "max_orders_per_day",
                report,
            ),
            max_open_orders: count(max_open_orders.as_ref(), spot, "max_open_orders", report),
        },
    };
    if let (Some(table), None) = (max_amount, symbols) {
        let warning = "limits the currencies that it names and no other: say which may be traded \
                       with `symbols`";
        report.warn(&spot.field("max_amount", table), warning);
    }
    if limits == Orders::default() {
        report.warn(spot, "limits nothing but what is no order: it is empty");
    }
    limits
}

/// `[clients.transfers]`.
pub(super) fn check_transfers(
    transfers: &file::Transfers,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Transfers {
    let file::Transfers { to, banks } = transfers;
    let mut set = |list: Option<&Texts>, field: &str, hint: &str| -> BTreeSet<String> {
        texts(list, spot, field, hint, report);
        let list = list.into_iter().flat_map(Spanned::get_ref);
        list.map(|it| it.get_ref().clone()).collect()
    };
    Transfers {
        to: set(to.as_ref(), "to", "the name of a sub-account"),
        banks: set(banks.as_ref(), "banks", "the id of a bank"),
    }
}

/// Texts of which none is empty.
pub(super) fn texts(
    list: Option<&Texts>,
    owner: &Spot,
    field: &str,
    hint: &str,
    report: &mut Report<'_>,
) {
    let Some(list) = list else { return };
    let spot = owner.field(field, list);
    for (index, text) in list.get_ref().iter().enumerate() {
        if text.get_ref().trim().is_empty() {
            report.problem(&spot.item(index, text), "is empty", hint);
        }
    }
}

fn check_symbols(
    list: Option<&Texts>,
    owner: &Spot,
    report: &mut Report<'_>,
) -> Option<BTreeSet<String>> {
    let list = list?;
    let spot = owner.field("symbols", list);
    not_empty(list.get_ref().is_empty(), &spot, report);
    for (index, text) in list.get_ref().iter().enumerate() {
        let word = text.get_ref();
        if word.is_empty() || !word.bytes().all(|it| it.is_ascii_alphanumeric()) {
            let message = format!("`{word}` is no symbol");
            report.problem(
                &spot.item(index, text),
                message,
                "letters and digits, such as \"btcusd\"",
            );
        }
    }
    Some(list.get_ref().iter().map(|it| it.get_ref().to_ascii_lowercase()).collect())
}

fn words_of<T: Copy + Ord>(
    list: Option<&Texts>,
    owner: &Spot,
    field: &str,
    all: &[T],
    name: fn(T) -> &'static str,
    report: &mut Report<'_>,
) -> Option<BTreeSet<T>> {
    let list = list?;
    let spot = owner.field(field, list);
    not_empty(list.get_ref().is_empty(), &spot, report);
    let mut found = BTreeSet::new();
    for (index, text) in list.get_ref().iter().enumerate() {
        match all.iter().find(|it| name(**it) == text.get_ref()) {
            Some(word) => drop(found.insert(*word)),
            None => {
                let known: Vec<&str> = all.iter().copied().map(name).collect();
                unknown(text.get_ref(), &spot.item(index, text), &known, report);
            }
        }
    }
    Some(found)
}

fn amounts(
    table: Option<&Amounts>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) -> BTreeMap<String, Decimal> {
    let Some(table) = table else { return BTreeMap::new() };
    let spot = owner.field(field, table);
    not_empty(table.get_ref().is_empty(), &spot, report);
    let mut read_of = BTreeMap::new();
    for (currency, amount) in table.get_ref() {
        let at = spot.field(currency, amount);
        if currency.is_empty() || !currency.bytes().all(|it| it.is_ascii_alphanumeric()) {
            let message = format!("`{currency}` is no currency");
            report.problem(&at, message, "letters and digits, such as usd");
        }
        let Some(amount) = read(words::decimal(amount.get_ref()), &at, report) else { continue };
        if read_of.insert(currency.to_ascii_lowercase(), amount).is_some() {
            report.problem(&at, "is there twice, in capitals and in small letters", "remove one");
        }
    }
    read_of
}

fn count(
    count: Option<&Spanned<u64>>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) -> Option<u64> {
    let count = count?;
    if *count.get_ref() == 0 {
        report.problem(&owner.field(field, count), "must be more than 0", "such as 20");
    }
    Some(*count.get_ref())
}

fn not_empty(empty: bool, spot: &Spot, report: &mut Report<'_>) {
    if empty && !report.lost_parts(spot) {
        report.problem(spot, "is empty: nothing, or anything?", "for anything, remove it");
    }
}
