//! What a setting looks like when it is right: taken from the example, which shows every setting.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::EXAMPLE;

/// How to write the setting at `path`, which should have been `expected`.
pub(super) fn like(path: &str, expected: &str) -> String {
    let setting = path.rsplit('.').next().unwrap_or(path);
    let name = setting.split('[').next().unwrap_or(setting);
    let is_item = setting.ends_with(']');
    match shown(path).unwrap_or_else(|| blank(expected)) {
        Shown::Header { many: false } => format!("write [{}]", bare(path)),
        Shown::Header { many: true } => format!("write [[{}]]", bare(path)),
        Shown::Value(value) if is_item => format!("such as {value}"),
        Shown::Value(value) => format!("such as {name} = {value}"),
    }
}

enum Shown {
    Value(String),
    Header { many: bool },
}

/// Where the example says nothing, or nothing of use.
fn blank(expected: &str) -> Shown {
    let value = match expected {
        it if it.contains("boolean") => "true",
        it if it.contains("number") => "1",
        it if it.contains("array") => "[\"…\"]",
        it if it.contains("string") => "\"…\"",
        it if it.contains("table") => "{ name = \"…\" }",
        _ => "\"…\"",
    };
    Shown::Value(value.to_owned())
}

/// `clients[0].orders` → `clients.orders`.
fn bare(path: &str) -> String {
    let names = path.split('.').map(|it| it.split('[').next().unwrap_or(it));
    names.collect::<Vec<_>>().join(".")
}

fn shown(path: &str) -> Option<Shown> {
    let text = EXAMPLE.replace("#: ", "");
    let document = DeTable::parse(&text).ok()?;
    let names = bare(path);
    let mut names = names.split('.');
    let mut value = document.get_ref().get(names.next()?)?;
    for name in names {
        value = within(value, name)?;
    }
    let written = |it: &Spanned<DeValue<'_>>| text.get(it.span()).map(str::to_owned);
    let header = |it: &Spanned<DeValue<'_>>| {
        it.get_ref().is_table() && written(it).is_none_or(|it| !it.starts_with('{'))
    };
    if let Some(items) = value.get_ref().as_array() {
        let first = items.first()?;
        return match path.ends_with(']') {
            _ if header(first) => Some(Shown::Header { many: true }),
            true => written(first).map(Shown::Value),
            false => Some(Shown::Value(format!("[{}]", written(first)?))),
        };
    }
    if header(value) {
        return Some(Shown::Header { many: false });
    }
    let empty = value.get_ref().as_str().is_some_and(str::is_empty);
    written(value).filter(|_| !empty).map(Shown::Value)
}

/// The setting `name` of a table, or of any of several.
fn within<'a, 'i>(value: &'a Spanned<DeValue<'i>>, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    match value.get_ref() {
        DeValue::Table(table) => table.get(name),
        DeValue::Array(items) => items.iter().find_map(|it| within(it, name)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_an_example() {
        for (path, expected, hint) in [
            ("log.level", "a string", "such as level = \"info\""),
            ("log", "a table", "write [log]"),
            ("keys", "an array", "write [[keys]]"),
            ("clients[1].withdrawals", "an array", "write [[clients.withdrawals]]"),
            ("clients[0].orders", "a table", "write [clients.orders]"),
            ("clients[0].scopes", "an array", "such as scopes = [\"auditor\"]"),
            ("clients[0].scopes[2]", "a string", "such as \"auditor\""),
            ("clients[0].credential[1].uid", "a whole number from 0", "such as uid = 1000"),
            ("clients[0].orders.max_notional.usd", "a string", "such as usd = \"500\""),
            // The example has no euros, no host names and no memo.
            ("clients[0].orders.max_notional.eur", "a string", "such as eur = \"…\""),
            ("upstreams[0].hosts", "an array", "such as hosts = [\"…\"]"),
            ("clients[0].withdrawals[0].memo", "a string", "such as memo = \"…\""),
            ("upstreams[0].egress.enforce", "a boolean", "such as enforce = true"),
        ] {
            assert_eq!(like(path, expected), hint, "{path}");
        }
    }
}
