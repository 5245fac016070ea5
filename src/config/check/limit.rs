//! Settings that this build knows and does not enforce: read in full, so that a typo is told as
//! a typo, and then refused.

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
    let mut sound = texts(symbols.as_ref(), spot, "symbols", report);
    sound &= words_of(sides.as_ref(), spot, "sides", SIDES, report);
    sound &= words_of(types.as_ref(), spot, "types", TYPES, report);
    sound &= words_of(time_in_force.as_ref(), spot, "time_in_force", TIMES, report);
    sound &= amounts(max_amount.as_ref(), spot, "max_amount", report);
    sound &= amounts(max_notional.as_ref(), spot, "max_notional", report);
    sound &= amounts(max_notional_per_day.as_ref(), spot, "max_notional_per_day", report);
    let counts = [("max_orders_per_day", max_orders_per_day), ("max_open_orders", max_open_orders)];
    for (field, count) in counts {
        if let Some(count) = count.as_ref().filter(|it| *it.get_ref() == 0) {
            report.problem(&spot.field(field, count), "must be more than 0");
            sound = false;
        }
    }
    if sound {
        report.not_enforced(spot);
    }
}

/// `[clients.transfers]`.
pub(super) fn check_transfers(transfers: &file::Transfers, spot: &Spot, report: &mut Report<'_>) {
    let file::Transfers { to, banks } = transfers;
    let mut sound = texts(to.as_ref(), spot, "to", report);
    sound &= texts(banks.as_ref(), spot, "banks", report);
    if sound {
        report.not_enforced(spot);
    }
}

/// Texts of which none is empty.
pub(super) fn texts(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) -> bool {
    let Some(list) = list else { return true };
    let spot = owner.field(field, list);
    let empty = list.get_ref().iter().enumerate().filter(|(_, it)| it.get_ref().trim().is_empty());
    empty.map(|(index, it)| report.problem(&spot.item(index, it), "is empty")).count() == 0
}

fn words_of(
    list: Option<&Spanned<Vec<Spanned<String>>>>,
    owner: &Spot,
    field: &str,
    known: &[&str],
    report: &mut Report<'_>,
) -> bool {
    let Some(list) = list else { return true };
    let spot = owner.field(field, list);
    let each = list.get_ref().iter().enumerate();
    let wrong = each.filter(|(_, it)| !known.contains(&it.get_ref().as_str()));
    wrong.map(|(index, it)| unknown(it.get_ref(), &spot.item(index, it), known, report)).count()
        == 0
}

fn amounts(
    table: Option<&Spanned<BTreeMap<String, Spanned<String>>>>,
    owner: &Spot,
    field: &str,
    report: &mut Report<'_>,
) -> bool {
    let Some(table) = table else { return true };
    let spot = owner.field(field, table);
    let each = table.get_ref().iter();
    let wrong = each.filter(|(currency, amount)| {
        let at = spot.field(currency, amount);
        read(words::decimal(amount.get_ref()), &at, report).is_none()
    });
    wrong.count() == 0
}
