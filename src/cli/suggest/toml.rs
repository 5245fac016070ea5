//! A grant as lines of a configuration.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::{Destination, Orders, Seen};
use crate::call::Scope;
use crate::decimal::Decimal;

pub(super) fn written(client: &str, seen: &Seen) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let Seen { n_calls, first, last, scopes, unread, accounts, orders, .. } = seen;
    say(&format!("# What the client {} did in {n_calls} calls,", string(client)));
    say(&format!("# the first at {}, the last at {}.", tame(first), tame(last)));
    say("# Put it below the `name`, `credential` and `key` of its [[clients]] entry, in place of");
    say("# what is there.");
    // Who may place orders may take them back.
    let implied =
        |it: &&Scope| **it == Scope::OrdersCancel && scopes.contains(&Scope::OrdersCreate);
    say(&format!("scopes = {}", list(scopes.iter().filter(|it| !implied(it)))));
    if orders.n > 0 && !unread.is_empty() {
        say("# Trading that `orders` below cannot limit.");
        say(&format!("operations = {}", list(unread)));
    }
    if !accounts.is_empty() {
        say(&format!("accounts = {}", list(accounts)));
    }
    if orders.n > 0 {
        text.push_str(&limits(orders));
    }
    for destination in &seen.withdrawals {
        text.push_str(&entry(destination));
    }
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    if !seen.transfers.is_empty() || !seen.banks.is_empty() {
        say("\n[clients.transfers]");
    }
    if !seen.transfers.is_empty() {
        say(&format!("to = {}", list(&seen.transfers)));
    }
    if !seen.banks.is_empty() {
        say(&format!("banks = {}", list(&seen.banks)));
    }
    text
}

fn limits(orders: &Orders) -> String {
    let mut text = String::from("\n[clients.orders]\n");
    let mut say = |line: String| writeln!(text, "{line}").expect("a string takes all");
    if orders.n_unpriced > 0 {
        let (n, of) = (orders.n_unpriced, orders.n);
        say(format!(
            "# Of {of} orders {n} have no value in the trail: see that the notional limits have room."
        ));
    }
    if orders.n_unknown > 0 {
        let n = orders.n_unknown;
        say(format!(
            "# {n} orders are left out: with a side, a type, an option or an amount that nobody knows."
        ));
    }
    say(format!("symbols = {}", list(&orders.symbols)));
    say(format!("sides = {}", list(&orders.sides)));
    say(format!("types = {}", list(&orders.types)));
    say(format!("time_in_force = {}", list(&orders.times)));
    let (n_per_day, per_day) = orders.per_day();
    for (name, amounts) in [
        ("max_amount", &orders.max_amount),
        ("max_notional", &orders.max_notional),
        ("max_notional_per_day", &per_day),
    ] {
        if let Some(table) = table(amounts) {
            say(format!("{name} = {table}"));
        }
    }
    say(format!("max_orders_per_day = {n_per_day}"));
    text
}

fn entry(destination: &Destination) -> String {
    let Destination { currency, network, address, memo } = destination;
    let mut text = format!("\n[[clients.withdrawals]]\ncurrency = {}\n", string(currency));
    if let Some(network) = network {
        writeln!(text, "network = {}", string(network)).expect("a string takes all");
    }
    writeln!(text, "address = {}", string(address)).expect("a string takes all");
    if let Some(memo) = memo {
        writeln!(text, "memo = {}", string(memo)).expect("a string takes all");
    }
    text
}

/// `None`: there is nothing in it. Currencies are letters and digits: symbols were split.
fn table(amounts: &BTreeMap<String, Decimal>) -> Option<String> {
    let of_it: Vec<String> = amounts
        .iter()
        .filter_map(|(currency, most)| Some(format!("{currency} = {}", string(&rounded(most)?))))
        .collect();
    (!of_it.is_empty()).then(|| format!("{{ {} }}", of_it.join(", ")))
}

/// A number that a configuration takes: with 18 places at most, and never less than it was.
fn rounded(exact: &Decimal) -> Option<String> {
    const PLACES: usize = 18;
    let text = exact.to_string();
    let (whole, places) = text.split_once('.').unwrap_or((&text, ""));
    let Some(short) = places.get(..PLACES).filter(|it| it.len() < places.len()) else {
        return Decimal::parse(&text).map(|it| it.to_string());
    };
    let least = Decimal::parse("0.000000000000000001")?;
    let above = Decimal::parse(&format!("{whole}.{short}"))?.plus(&least).to_string();
    Decimal::parse(&above).map(|it| it.to_string())
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|it| string(&it.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A basic string of TOML, in printable ASCII: <https://toml.io/en/v1.0.0#string>.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => write!(out, "\\U{:08X}", u32::from(c)).expect("a string takes all"),
        }
    }
    out.push('"');
    out
}

/// Within a comment.
fn tame(text: &str) -> String {
    text.chars().filter(|it| it.is_ascii_graphic()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn numbers_are_rounded_up() {
        let of = |text: &str| rounded(&Decimal::kept(text).unwrap());
        let long = format!("1.{}1", "0".repeat(18));
        assert_eq!(of(&long).unwrap(), "1.000000000000000001");
        assert_eq!(of(&format!("0.{}", "9".repeat(36))).unwrap(), "1");
        assert_eq!(of("0.10").unwrap(), "0.1");
        assert_eq!(of(&format!("0.{}", "1".repeat(18))).unwrap().len(), 20);
        assert_eq!(of(&"9".repeat(20)), None);
    }

    #[test]
    fn strings_are_read_back() {
        for text in ["", "plain", "a\"b\\c", "\u{0}\n\u{7f}\u{9b}ü😀"] {
            let line = format!("x = {}", string(text));
            let read: BTreeMap<String, String> = ::toml::from_str(&line).unwrap();
            assert_eq!(read["x"], text);
        }
    }
}
