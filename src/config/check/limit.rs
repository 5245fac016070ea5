//! Settings that this build knows and does not enforce: read in full, so that a typo is told as
//! a typo, and refused, whatever else is wrong with them.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{read, unknown};
use crate::config::file;
use crate::config::problem::{Report, Spot};
use crate::config::words::{self, Rate};

const SIDES: &[&str] = &["buy", "sell"];
const TYPES: &[&str] = &["exchange limit", "exchange stop limit", "exchange market"];
const TIMES: &[&str] =
    &["good-til-cancel", "maker-or-cancel", "immediate-or-cancel", "fill-or-kill"];

pub(super) fn check_rate(
    rate: Option<&Spanned<String>>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) {
    let Some(rate) = rate else { return };
    let spot = owner.field(field, rate);
    match read(words::rate(rate.get_ref()), &spot, report) {
        Some(Rate::Limited) => report.not_enforced(&spot),
        Some(Rate::Off) | None => {}
    }
}

/// `[clients.orders]`.
pub(super) fn check_orders(orders: &file::Orders, spot: &Spot, report: &mut Report<'_>) {
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
    report.not_enforced(spot);
    texts(symbols.as_ref(), spot, "symbols", "such as \"btcusd\"", report);
    words_of(sides.as_ref(), spot, "sides", SIDES, report);
    words_of(types.as_ref(), spot, "types", TYPES, report);
    words_of(time_in_force.as_ref(), spot, "time_in_force", TIMES, report);
    amounts(max_amount.as_ref(), spot, "max_amount", report);
    amounts(max_notional.as_ref(), spot, "max_notional", report);
    amounts(max_notional_per_day.as_ref(), spot, "max_notional_per_day", report);
    let counts = [("max_orders_per_day", max_orders_per_day), ("max_open_orders", max_open_orders)];
    for (field, count) in counts {
        if let Some(count) = count.as_ref().filter(|it| *it.get_ref() == 0) {
            report.problem(&spot.field(field, count), "must be more than 0", "such as 20");
        }
    }
}

/// `[clients.transfers]`.
pub(super) fn check_transfers(transfers: &file::Transfers, spot: &Spot, report: &mut Report<'_>) {
    let file::Transfers { to, banks } = transfers;
    report.not_enforced(spot);
    texts(to.as_ref(), spot, "to", "the name of a sub-account", report);
    texts(banks.as_ref(), spot, "banks", "the id of a bank", report);
}

/// Texts of which none is empty.
pub(super) fn texts(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
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

fn words_of(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
    owner: &Spot,
    field: &str,
    known: &[&str],
    report: &mut Report<'_>,
) {
    let Some(list) = list else { return };
    let spot = owner.field(field, list);
    for (index, text) in list.get_ref().iter().enumerate() {
        if !known.contains(&text.get_ref().as_str()) {
            unknown(text.get_ref(), &spot.item(index, text), known, report);
        }
    }
}

fn amounts(
    table: Option<&Spanned<BTreeMap<String, Spanned<String>>>>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) {
    let Some(table) = table else { return };
    let spot = owner.field(field, table);
    for (currency, amount) in table.get_ref() {
        read(words::decimal(amount.get_ref()), &spot.field(currency, amount), report);
    }
}
