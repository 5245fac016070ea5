//! A client's request, read as a call.
//!
//! 1. Parameters come from a JSON body or from `X-GEMINI-PAYLOAD`. An empty body and `{}` count as
//!    absent. If both carry parameters they must be equal once `request` and `nonce` are removed.
//! 2. `request` and `nonce` are the proxy's: the client's are dropped. Where the client signed its
//!    payload, its `request` must name the path that is called.
//! 3. Names that a judgement reads must be written as it reads them: `Account` beside our `account`
//!    is refused, because another reader might fold case.
//! 4. Everything else passes verbatim, known or not.

mod money;

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;

use crate::call::{
    AccountRule, CREATE_ORDER, Call, Effect, Method, Operation, OperationName, Priority, QueryRule,
    RateClass, RetryClass, Scope, Visibility, shown,
};
use crate::json::Object;
use crate::provider::exchange::{PAYLOAD, is_unsigned, signing_names};
use crate::provider::routes::parameter;
use crate::provider::{Asked, Route, Routes, Unreadable};

/// Names that judgement reads or the proxy sets.
const WATCHED: &[&str] = &[
    "account",
    "accountId",
    "address",
    "amount",
    "bankId",
    "client_order_id",
    "currency",
    "memo",
    "nonce",
    "options",
    "price",
    "request",
    "side",
    "sourceAccount",
    "stop_price",
    "symbol",
    "targetAccount",
    "type",
];

/// Parameters that name a sub-account: to act in, or to move money between.
const ACCOUNTS: &[&str] = &["account", "sourceAccount", "targetAccount"];

/// Longer parameters would make a header, in base64, that servers refuse: 16 KiB is what common ones
/// take (seen).
const MAX_PARAMETERS: usize = 10 * 1_024;

/// What an uncatalogued public GET is called.
static UNCATALOGUED: LazyLock<Arc<Operation>> = LazyLock::new(|| {
    Arc::new(Operation {
        name: OperationName::new("uncatalogued_public_get"),
        method: Method::Get,
        path: "/*".to_owned(),
        group: "uncatalogued".to_owned(),
        visibility: Visibility::Public,
        roles: Vec::new(),
        oauth_scopes: Vec::new(),
        scope: Some(Scope::MarketRead),
        account: AccountRule::NotApplicable,
        effect: Effect::Read,
        rate: RateClass::Public,
        retry: RetryClass::Always,
        query: QueryRule::Open,
        priority: Priority::Read,
        source: String::new(),
    })
});

pub(super) fn read(routes: &Routes, asked: &Asked<'_>) -> Result<Call, Unreadable> {
    let repeated = |it: &&HeaderName| asked.headers.get_all(*it).iter().nth(1).is_some();
    if let Some(name) = signing_names().into_iter().find(repeated) {
        return Err(Unreadable::Malformed(format!("`{name}` stands twice")));
    }
    let operation = operation(routes, asked)?;
    let query = query(&operation, asked.query)?;
    let parameters = parameters(&operation, asked)?;

    let text = |name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(value) => {
            let text = value.as_text().map(|it| Some(it.into_owned()));
            text.ok_or_else(|| Unreadable::Malformed(format!("`{name}` is not a text")))
        }
    };
    let account = text("account")?;
    let mut accounts = Vec::new();
    for name in ACCOUNTS {
        accounts.extend(text(name)?);
    }
    let order = (operation.name == CREATE_ORDER).then(|| Box::new(money::order(&parameters)));
    let path_symbol = parameter(&operation.path, "symbol", asked.path).map(str::to_owned);
    let withdrawal = match operation.effect {
        Effect::CryptoWithdrawal | Effect::FiatWithdrawal => {
            for name in ["address", "memo"] {
                text(name)?;
            }
            Some(money::withdrawal(&operation, asked.path, &parameters))
        }
        Effect::Read
        | Effect::Trade
        | Effect::DepositAddress
        | Effect::Transfer
        | Effect::Stake
        | Effect::Admin => None,
    };
    let transfer = (operation.effect == Effect::Transfer)
        .then(|| Box::new(money::transfer(&operation, asked.path, &parameters)));
    let crypto = operation.effect == Effect::CryptoWithdrawal;
    let fiat = withdrawal.as_ref().is_some_and(|it| money::is_fiat(&it.currency));
    let (scope, effect) = if crypto && fiat {
        (Some(Scope::FiatWithdraw), Effect::FiatWithdrawal)
    } else {
        (operation.scope, operation.effect)
    };
    let whole_key = ["cancel_all_orders", "cancel_session_orders"];
    Ok(Call {
        reaches_whole_key: whole_key.contains(&operation.name.as_str()),
        operation,
        scope,
        effect,
        path: asked.path.to_owned(),
        query: query.map(str::to_owned),
        parameters,
        account,
        accounts,
        order,
        path_symbol,
        withdrawal,
        transfer,
    })
}

fn operation(routes: &Routes, asked: &Asked<'_>) -> Result<Arc<Operation>, Unreadable> {
    let unsigned = is_unsigned(asked.headers);
    match routes.find(asked.method, asked.path) {
        Route::Found(operation) => Ok(operation),
        Route::Unknown if asked.public && asked.method == "GET" && unsigned => {
            Ok(Arc::clone(&UNCATALOGUED))
        }
        Route::Unknown => Err(Unreadable::Unknown {
            method: asked.method.to_owned(),
            path: asked.path.to_owned(),
        }),
        Route::Method(methods) => Err(Unreadable::Method {
            path: asked.path.to_owned(),
            allowed: methods.into_iter().map(Method::as_str).collect(),
        }),
    }
}

fn query<'a>(operation: &Operation, query: Option<&'a str>) -> Result<Option<&'a str>, Unreadable> {
    let Some(query) = query else { return Ok(None) };
    match operation.query {
        QueryRule::Open => Ok(Some(query)),
        QueryRule::Bare | QueryRule::Signed => {
            let name = |it: &'a str| it.split('=').next().unwrap_or(it);
            let mut names: Vec<&str> = query.split('&').map(name).collect();
            names.sort_unstable();
            if names.windows(2).any(|pair| pair.first() == pair.last()) {
                let what = "a name stands twice in the query".to_owned();
                return Err(Unreadable::Malformed(what));
            }
            Ok(Some(query))
        }
        QueryRule::Refused => Err(Unreadable::Malformed(format!(
            "{} takes its parameters in the body, not in a query",
            operation.name
        ))),
    }
}

fn parameters(operation: &Operation, asked: &Asked<'_>) -> Result<Object, Unreadable> {
    let body = match asked.body {
        [] => Object::default(),
        text => object("the body", text)?,
    };
    if operation.method == Method::Get && !body.is_empty() {
        return Err(Unreadable::Malformed("a GET with parameters in its body".to_owned()));
    }
    if operation.is_public() {
        // Nothing of a payload goes along: there is no signature to carry it.
        return Ok(Object::default());
    }
    let header = match asked.headers.get(&PAYLOAD) {
        None => Object::default(),
        Some(value) => {
            let text = BASE64_STANDARD.decode(value.as_bytes());
            let fault =
                |it| Unreadable::Malformed(format!("`X-GEMINI-PAYLOAD` is no base64: {it}"));
            object("`X-GEMINI-PAYLOAD`", &text.map_err(fault)?)?
        }
    };
    if asked.payload_is_signed {
        path_agrees(&header, asked)?;
    }
    let (body, header) = (without_ours(body), without_ours(header));
    let parameters = if body.is_empty() {
        header
    } else if body.same(&header) || header.is_empty() && !asked.payload_is_signed {
        body
    } else {
        // A body beside a signed payload says nothing that was not signed.
        return Err(Unreadable::Ambiguous);
    };
    // All of it goes into one header. What is written is never longer than what was read (`json`).
    let text =
        asked.headers.get(&PAYLOAD).map_or(0, |it| it.as_bytes().len()).max(asked.body.len());
    if text > MAX_PARAMETERS && parameters.members_json().len() > MAX_PARAMETERS {
        return Err(Unreadable::TooLong);
    }
    Ok(parameters)
}

fn object(place: &str, text: &[u8]) -> Result<Object, Unreadable> {
    let fault = |it| Unreadable::Malformed(format!("{place} is not acceptable as JSON: {it}"));
    let object = Object::parse(text).map_err(fault)?;
    let odd = object
        .names()
        .find(|name| WATCHED.iter().any(|it| it.eq_ignore_ascii_case(name) && it != name));
    match odd {
        Some(name) => {
            let name = shown(name);
            Err(Unreadable::Malformed(format!(
                "`{name}` in {place} is not the exchange's spelling"
            )))
        }
        None => Ok(object),
    }
}

/// A client that signs means the path that it signed.
fn path_agrees(payload: &Object, asked: &Asked<'_>) -> Result<(), Unreadable> {
    let named = payload.get("request").and_then(|it| it.as_str()).unwrap_or_default();
    let (path, query) = named.split_once('?').map_or((&*named, None), |(a, b)| (a, Some(b)));
    if path == asked.path && (query.is_none() || query == asked.query) {
        return Ok(());
    }
    let named = shown(&named);
    Err(Unreadable::PathMismatch { named, path: asked.path.to_owned() })
}

fn without_ours(mut object: Object) -> Object {
    object.remove("request");
    object.remove("nonce");
    object
}

#[cfg(test)]
mod tests;
