//! The calls about accounts, roles and the session.
//!
//! 1. A created account's shortname is its name in lower case, with dashes for what is neither a
//!    letter nor a digit; only the shortname is accepted as `account`.
//! 2. `roles` tells more to a master key.

use serde_json::Value;
use serde_json::json;

use crate::simulator::account::Account;
use crate::simulator::account::AccountState;
use crate::simulator::catalog::Asking;
use crate::simulator::key::Role;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Content;
use crate::simulator::reply::Rejection;

pub(crate) fn account(asking: &mut Asking<'_>) -> Answer {
    let name = asking.account().to_owned();
    let account = asking.funds();
    Ok(Content::Json(json!({
        "account": {
            "accountName": account.name, "shortName": name, "type": account.kind,
            "created": account.created.millis().to_string(),
        },
        "users": [{
            "name": "Simulated Trader", "lastSignIn": "2026-09-01T00:00:00.000Z",
            "status": "Active", "countryCode": "US", "isVerified": true,
        }],
        "memo_reference_code": "GEMSIMULATOR1",
    })))
}

pub(crate) fn create(asking: &mut Asking<'_>) -> Answer {
    let (now, kind) = (asking.now, asking.payload.text("type").unwrap_or("exchange"));
    let name = asking.payload.text("name").filter(|it| !it.is_empty());
    let name = name.ok_or_else(|| Rejection::bad("MissingAccountName", "Missing 'name'"))?;
    if !matches!(kind, "exchange" | "custody") {
        let text = "The account type must be exchange or custody";
        return Err(Rejection::bad("BadAccountType", text));
    }
    let short = shortname(name);
    if asking.world.accounts.contains_key(&short) {
        let text = format!("An account named '{name}' exists already");
        return Err(Rejection::bad("ConflictingAccountName", text));
    }
    let mut account = Account::new(name, kind, now);
    account.balances.clear();
    asking.world.accounts.insert(short.clone(), account);
    Ok(Content::Json(json!({ "account": short, "type": kind })))
}

pub(crate) fn rename(asking: &mut Asking<'_>) -> Answer {
    let payload = asking.payload;
    let target = payload.text("account").unwrap_or_else(|| asking.account()).to_owned();
    let text = format!("No account named '{target}'");
    let account = asking.world.accounts.get_mut(&target);
    let account = account.ok_or_else(|| Rejection::bad("InvalidAccountName", text))?;
    let mut answer = json!({});
    if let Some(name) = payload.text("newName") {
        name.clone_into(&mut account.name);
        answer = json!({ "name": name });
    }
    if let Some(short) = payload.text("newAccount") {
        if let Some(account) = asking.world.accounts.remove(&target) {
            asking.world.accounts.insert(short.to_owned(), account);
        }
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("account".to_owned(), short.into());
        }
    }
    Ok(Content::Json(answer))
}

pub(crate) fn list(asking: &mut Asking<'_>) -> Answer {
    let own = asking.account().to_owned();
    let all = asking.is_master();
    let accounts = asking.world.accounts.iter().filter(|(short, _)| all || **short == own);
    let accounts = accounts.map(|(short, account)| {
        json!({
            "name": account.name, "account": short, "type": account.kind,
            "counterparty_id": "SIMCPTY1", "created": account.created.millis(),
            "status": if account.state == AccountState::Closed { "closed" } else { "open" },
        })
    });
    Ok(Content::Json(accounts.collect()))
}

pub(crate) fn roles(asking: &mut Asking<'_>) -> Answer {
    let has = |role: Role| asking.has(role);
    let mut roles = json!({
        "isAuditor": has(Role::Auditor),
        "isFundManager": has(Role::FundManager),
        "isTrader": has(Role::Trader),
    });
    if let (true, Some(roles)) = (asking.is_master(), roles.as_object_mut()) {
        roles.insert("counterparty_id".to_owned(), "SIMCPTY1".into());
        roles.insert("isAccountAdmin".to_owned(), has(Role::Administrator).into());
    }
    Ok(Content::Json(roles))
}

pub(crate) fn ok(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "result": "ok" })))
}

/// For what is a list and has nothing in it.
pub(crate) fn nothing(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!([])))
}

/// For what is an object and has nothing in it.
pub(crate) fn nothing_known(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({})))
}

pub(crate) fn sheet(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Sheet)
}

pub(crate) fn metadata(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({
        "issuer": "https://exchange.gemini.com",
        "authorization_endpoint": "https://exchange.gemini.com/auth",
        "token_endpoint": "https://exchange.gemini.com/auth/token",
    })))
}

/// OAuth is absent from the simulator, so no token can be known.
pub(crate) fn revoke(_: &mut Asking<'_>) -> Answer {
    Err(Rejection::new(401, "InvalidAccessToken", "The access token is unknown"))
}

pub(crate) fn quote(asking: &mut Asking<'_>) -> Answer {
    let number = asking.world.number();
    let text = |name: &str| asking.payload.digits(name);
    Ok(Content::Json(json!({
        "quoteId": number, "maxAgeMs": 60_000, "pair": text("symbol"), "price": "65000.01",
        "priceCurrency": "USD", "side": text("side"), "quantity": "0.001",
        "quantityCurrency": "BTC", "fee": "1.49", "feeCurrency": "USD",
        "totalSpend": text("totalSpend"), "totalSpendCurrency": "USD",
    })))
}

pub(crate) fn execute(asking: &mut Asking<'_>) -> Answer {
    let id = asking.world.number();
    let text = |name: &str| asking.payload.digits(name);
    Ok(Content::Json(json!({
        "orderId": id, "pair": text("symbol"), "price": text("price"), "priceCurrency": "USD",
        "side": text("side"), "quantity": text("quantity"), "quantityCurrency": "BTC",
        "totalSpend": "65.01", "totalSpendCurrency": "USD", "fee": text("fee"),
        "feeCurrency": "USD",
    })))
}

fn shortname(name: &str) -> String {
    let dashed = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '-' };
    name.chars().map(dashed).collect()
}

pub(crate) fn clearing_new(asking: &mut Asking<'_>) -> Answer {
    let id = format!("SIM{:05}", asking.world.number());
    Ok(Content::Json(json!({ "result": "AwaitConfirm", "clearing_id": id })))
}

pub(crate) fn clearing_unknown(asking: &mut Asking<'_>) -> Answer {
    let id = asking.payload.value("clearing_id").cloned().unwrap_or(Value::Null);
    let details = "Unable to find order with the clearing_id provided.";
    Ok(Content::Json(json!({ "result": "failed", "clearing_id": id, "details": details })))
}

pub(crate) fn clearing_list(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "result": "success", "orders": [] })))
}

pub(crate) fn clearing_trades(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "results": [] })))
}
