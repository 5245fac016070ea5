//! What the proxy asks of the exchange of its own accord.

use std::sync::{Arc, LazyLock};

use http::{HeaderMap, Method};

use super::catalog::OPERATIONS;
use crate::call::{Call, Operation, Priority};
use crate::decimal::Decimal;
use crate::json::{self, Object};
use crate::policy::Quote;
use crate::provider::Wire;

/// `cancel_all_orders`, ahead of whoever waits.
static CANCEL_ALL: LazyLock<Arc<Operation>> = LazyLock::new(|| {
    let operation = (*named("cancel_all_orders")).clone();
    Arc::new(Operation { priority: Priority::Emergency, ..operation })
});

static ROLES: LazyLock<Arc<Operation>> = LazyLock::new(|| named("get_roles"));

static ACTIVE_ORDERS: LazyLock<Arc<Operation>> = LazyLock::new(|| named("list_active_orders"));

pub(super) fn cancel_all(account: Option<&str>) -> Call {
    let call = call(&CANCEL_ALL, account);
    Call { reaches_whole_key: true, ..call }
}

pub(super) fn active_orders(account: Option<&str>) -> Call {
    call(&ACTIVE_ORDERS, account)
}

pub(super) fn roles_question(account: Option<&str>) -> Call {
    call(&ROLES, account)
}

/// Members as documented (developer.gemini.com/roles); `isAccountAdmin` is of master keys alone.
pub(super) fn roles(of: &Call, body: &[u8]) -> Option<Vec<String>> {
    const ROLES_OF: [(&str, &str); 4] = [
        ("isTrader", "Trader"),
        ("isFundManager", "FundManager"),
        ("isAuditor", "Auditor"),
        ("isAccountAdmin", "Administrator"),
    ];
    if of.operation.name != ROLES.name {
        return None;
    }
    let answer = Object::parse(body).ok()?;
    let told = |member: &str| answer.get(member).and_then(|it| it.as_bool());
    ROLES_OF.iter().find_map(|(member, _)| told(member))?;
    let held = ROLES_OF.iter().filter(|(member, _)| told(member) == Some(true));
    Some(held.map(|(_, role)| (*role).to_owned()).collect())
}

/// What the books of `symbol` say, for anyone. Letters and digits alone become a part of the path.
pub(super) fn ticker(symbol: &str) -> Wire {
    let symbol: String = symbol.chars().filter(char::is_ascii_alphanumeric).collect();
    Wire::new(Method::GET, format!("/v1/pubticker/{symbol}"), HeaderMap::new())
}

/// `None` if the answer has not both prices, or if one is nought: nothing could be valued by it.
pub(super) fn quote(body: &[u8]) -> Option<Quote> {
    let ticker = Object::parse(body).ok()?;
    let price = |name: &str| {
        let price = Decimal::parse(&ticker.get(name)?.as_text()?)?;
        (!price.is_zero()).then_some(price)
    };
    Some(Quote { bid: price("bid")?, ask: price("ask")? })
}

fn named(name: &str) -> Arc<Operation> {
    let found = OPERATIONS.iter().find(|it| it.name == name);
    Arc::clone(found.expect("the catalogue has it: a test asks for both"))
}

fn call(operation: &Arc<Operation>, account: Option<&str>) -> Call {
    let named = account.map(|it| format!(r#"{{"account":{}}}"#, json::quote(it)));
    let parameters = named.and_then(|it| Object::parse(it.as_bytes()).ok());
    Call {
        operation: Arc::clone(operation),
        scope: operation.scope,
        effect: operation.effect,
        path: operation.path.clone(),
        query: None,
        parameters: parameters.unwrap_or_default(),
        account: account.map(str::to_owned),
        accounts: account.into_iter().map(str::to_owned).collect(),
        order: None,
        path_symbol: None,
        withdrawal: None,
        transfer: None,
        reaches_whole_key: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy;

    #[test]
    fn an_emergency_is_a_cancel_of_everything() {
        let all = cancel_all(Some("pri\"mary"));
        assert_eq!(all.operation.name, "cancel_all_orders");
        assert_eq!(all.operation.priority, Priority::Emergency);
        assert_eq!(all.parameters.members_json(), r#""account":"pri\"mary""#);
        assert_eq!(all.account.as_deref(), Some("pri\"mary"));
        assert!(all.reaches_whole_key && policy::own(all).is_ok());
        let active = active_orders(None);
        assert_eq!((active.path.as_str(), active.parameters.is_empty()), ("/v1/orders", true));
        assert_eq!(active.operation.priority, Priority::Read);
        assert!(policy::own(active).is_ok());
    }

    #[test]
    fn a_ticker_is_asked_for_by_letters_and_digits() {
        assert_eq!(ticker("btcusd").path_and_query, "/v1/pubticker/btcusd");
        assert_eq!(ticker("btc/../x?y").path_and_query, "/v1/pubticker/btcxy");
    }

    #[test]
    fn quotes_are_two_prices() {
        let read = quote(br#"{"bid":"64999.99","ask":65000.01,"volume":{"BTC":"1"},"last":"1"}"#);
        let of = |text: &str| Decimal::parse(text).unwrap();
        assert_eq!(read, Some(Quote { bid: of("64999.99"), ask: of("65000.01") }));
        for odd in [
            "",
            "[]",
            r#"{"bid":"1"}"#,
            r#"{"bid":"1","ask":null}"#,
            r#"{"bid":"0","ask":"1"}"#,
            r#"{"bid":"1","ask":"0.00"}"#,
            r#"{"bid":"1","ask":"1e5"}"#,
            r#"{"bid":"1","ask":"-1"}"#,
            r#"{"bid":"1","bid":"2","ask":"3"}"#,
            r#"{"result":"error","reason":"InvalidSymbol"}"#,
        ] {
            assert_eq!(quote(odd.as_bytes()), None, "{odd}");
        }
    }
}
