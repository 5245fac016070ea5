//! What a call would trade or move, as the client wrote it.
//!
//! 1. Texts and numbers are taken to the letter; `null` counts as absent.
//! 2. A field that is not known, or whose value is neither, is named, so that a judgement can refuse
//!    what it does not understand. Nothing is refused here: unlimited fields pass verbatim.

use crate::call::{Effect, Operation, Order, Transfer, Withdrawal};
use crate::json::{Object, Value};
use crate::provider::routes::parameter;

/// Every field of an order that is understood.
const ORDER_FIELDS: &[&str] = &[
    "account",
    "amount",
    "client_order_id",
    "options",
    "price",
    "side",
    "stop_price",
    "symbol",
    "type",
];

/// Every field of a withdrawal that is known to leave its destination alone, or is compared with the
/// client's list. Anything else might name another destination.
const WITHDRAWAL_FIELDS: &[&str] =
    &["account", "address", "amount", "client_transfer_id", "clientTransferId", "memo"];

/// What names a bank: as `/v1/payments/methods` does, and as the exchange's own MCP server (seen).
const BANKS: &[&str] = &["bankId", "accountId"];

/// The same for a transfer between sub-accounts.
const TRANSFER_FIELDS: &[&str] = &[
    "account",
    "amount",
    "client_transfer_id",
    "clientTransferId",
    "sourceAccount",
    "targetAccount",
    "withdrawalId",
];

/// Codes that `/v1/withdraw/{currency}` would send to a bank (inferred: the exchange's own MCP server
/// calls `/v1/withdraw/usd`).
const FIAT: &[&str] =
    &["usd", "eur", "gbp", "cad", "aud", "sgd", "hkd", "chf", "jpy", "nzd", "cop", "try"];

pub(super) fn order(parameters: &Object) -> Order {
    let text = |name: &str| text(parameters, name);
    let odd = |name: &&str| {
        let value = parameters.get(name);
        !ORDER_FIELDS.contains(name)
            || value.is_some_and(|it| match *name {
                "options" => !is_list_of_texts(it),
                _ => is_odd(it),
            })
    };
    Order {
        symbol: text("symbol"),
        side: text("side"),
        kind: text("type"),
        amount: text("amount"),
        price: text("price"),
        stop_price: text("stop_price"),
        options: options(parameters.get("options")),
        client_order_id: text("client_order_id"),
        unchecked: parameters.names().find(odd).map(str::to_owned),
    }
}

pub(super) fn withdrawal(operation: &Operation, path: &str, parameters: &Object) -> Withdrawal {
    let text = |name: &str| text(parameters, name);
    let named = BANKS.iter().filter(|it| parameters.get(it).is_some());
    let money = operation.effect == Effect::FiatWithdrawal;
    let in_path = currency(operation, path);
    let code = match in_path {
        Some(code) => code.to_owned(),
        None => text("currency").or_else(|| last(path)).unwrap_or_default(),
    };
    let fiat = money || is_fiat(&code);
    let known = |name: &str| {
        let bank = fiat && BANKS.contains(&name) && named.clone().count() == 1;
        WITHDRAWAL_FIELDS.contains(&name) || bank || (in_path.is_none() && name == "currency")
    };
    let odd = |name: &&str| !known(name) || parameters.get(name).is_some_and(is_odd);
    Withdrawal {
        currency: code,
        network: parameter(&operation.path, "network", path).map(str::to_owned),
        address: text("address"),
        memo: text("memo"),
        bank: named.clone().find_map(|it| text(it)),
        amount: text("amount"),
        unchecked: parameters.names().find(odd).map(str::to_owned),
    }
}

pub(super) fn transfer(operation: &Operation, path: &str, parameters: &Object) -> Transfer {
    let text = |name: &str| text(parameters, name);
    let in_path = currency(operation, path);
    let known =
        |name: &str| TRANSFER_FIELDS.contains(&name) || (in_path.is_none() && name == "currency");
    let odd = |name: &&str| !known(name) || parameters.get(name).is_some_and(is_odd);
    Transfer {
        currency: in_path.map(str::to_owned).or_else(|| text("currency")),
        source: text("sourceAccount"),
        target: text("targetAccount"),
        amount: text("amount"),
        unchecked: parameters.names().find(odd).map(str::to_owned),
    }
}

pub(super) fn is_fiat(code: &str) -> bool {
    FIAT.contains(&&*code.to_ascii_lowercase())
}

fn text(parameters: &Object, name: &str) -> Option<String> {
    parameters.get(name)?.as_text().map(std::borrow::Cow::into_owned)
}

/// Whether a value is neither a text, nor a number, nor absent.
fn is_odd(value: &Value) -> bool {
    match value {
        Value::Null | Value::Number(_) | Value::String(_) => false,
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(|it| matches!(it, Value::String(_))),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
}

fn options(value: Option<&Value>) -> Vec<String> {
    let word = |it: &Value| match it.as_str() {
        Some(text) => text.into_owned(),
        None => "(no text)".to_owned(),
    };
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values.iter().map(word).collect(),
        Some(odd @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))) => {
            vec![format!("(no list) {}", word(odd))]
        }
    }
}

fn currency<'path>(operation: &Operation, path: &'path str) -> Option<&'path str> {
    ["currency", "ticker"].iter().find_map(|it| parameter(&operation.path, it, path))
}

/// The code that a path without parameters ends in, such as `/v1/withdraw/usd`.
fn last(path: &str) -> Option<String> {
    path.rsplit('/').next().filter(|it| is_fiat(it)).map(str::to_owned)
}
