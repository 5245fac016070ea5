//! Freeze and observe.

use super::*;

const ORDER: &str =
    r#"{"symbol":"btcusd","amount":"1","price":"501","side":"buy","type":"exchange limit"}"#;

fn decided(grant: &Grant, freeze: Freeze, path: &str, body: &str) -> Result<Permit, Denial> {
    let who = who(Identity::Token);
    let case = Case { grant, key: ALONE, who: &who, freeze, quote: None };
    decide(&case, read(path, body).unwrap())
}

#[test]
fn a_freeze_stops_new_risk_and_nothing_takes_it_back() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let grant = Grant { mode, ..Grant::of(Scope::ALL.iter().copied()) };
        let frozen = |freeze, path| match decided(&grant, freeze, path, "") {
            Ok(_) => false,
            Err(Denial::Frozen { .. }) => true,
            Err(other) => panic!("{path}: {other}"),
        };
        for path in ["/v1/order/cancel", "/v1/order/cancel/all", "/v1/heartbeat", "/v1/balances"] {
            assert!(!frozen(Freeze::No, path) && !frozen(Freeze::Risk, path), "{path}");
            assert!(frozen(Freeze::Everything, path), "{path}");
        }
        for path in [
            "/v1/order/new",
            "/v1/wrap/btcusd",
            "/v1/staking/stake",
            "/v1/withdraw/btc",
            "/v1/withdraw/usd",
            "/v1/account/transfer/btc",
            "/v1/deposit/bitcoin/newAddress",
            "/v1/payments/addbank",
            "/v1/account/create",
        ] {
            assert!(frozen(Freeze::Risk, path) && frozen(Freeze::Everything, path), "{path}");
        }
    }
    let grant = Grant::of(Scope::ALL.iter().copied());
    let denial = decided(&grant, Freeze::Risk, "/v1/order/new", "").unwrap_err();
    assert_eq!(
        denial.to_string(),
        "client `bot` is frozen: only reads, cancels and heartbeats go on"
    );
    assert_eq!(denial.rule().to_string(), "freeze");
}

fn observed(grant: &Grant, path: &str, body: &str) -> Option<String> {
    let permit = decided(grant, Freeze::No, path, body).unwrap();
    permit.would_refuse().map(|it| it.rule().to_string())
}

#[test]
fn who_is_observed_goes_on_and_is_told_of() {
    let limits = Orders { max_notional: amounts(&[("usd", "500")]), ..Orders::default() };
    let trader =
        Grant { mode: Mode::Observe, orders: Some(limits), ..Grant::of(Bundle::Trader.scopes()) };
    let order = "/v1/order/new";
    assert_eq!(observed(&trader, order, ORDER), Some("orders.max_notional.usd".to_owned()));
    assert_eq!(observed(&trader, order, &ORDER.replace("501", "500")), None);
    let auditor = Grant { scopes: Bundle::Auditor.scopes(), ..trader.clone() };
    // The first that would have said no.
    assert_eq!(observed(&auditor, order, ORDER), Some("scopes".to_owned()));
    assert_eq!(observed(&trader, "/v1/instant/execute", ""), Some("orders".to_owned()));
    // What is placed counts all the same.
    let permit = decided(&trader, Freeze::No, order, ORDER).unwrap();
    let share = permit.share().order.clone().unwrap();
    assert_eq!((share.quote.as_str(), share.unit_price.to_string()), ("usd", "501".to_owned()));
    let enforced = Grant { mode: Mode::Enforce, ..trader };
    assert!(decided(&enforced, Freeze::No, order, ORDER).is_err());
}

#[test]
fn observing_covers_no_money_no_accounts_and_no_doubt() {
    let limits = Orders { max_notional: amounts(&[("usd", "500")]), ..Orders::default() };
    let grant =
        Grant { mode: Mode::Observe, orders: Some(limits), ..Grant::of([Scope::MarketRead]) };
    for path in [
        "/v1/withdraw/btc",
        "/v2/withdraw/bitcoin/btc",
        "/v1/withdraw/usd",
        "/v1/account/transfer/btc",
        "/v1/deposit/bitcoin/newAddress",
        "/v1/payments/addbank",
        "/v1/account/create",
        "/v1/approvedAddresses/bitcoin/request",
        "/v1/oauth/revokeByToken",
    ] {
        assert!(decided(&grant, Freeze::No, path, "").is_err(), "{path}");
        let every = Grant { transfers: Some(Transfers::default()), ..grant.clone() };
        let every = Grant { scopes: Scope::ALL.iter().copied().collect(), ..every };
        let money = path.contains("withdraw") || path.contains("transfer");
        let offered = !path.contains("oauth");
        assert_eq!(decided(&every, Freeze::No, path, "").is_ok(), offered && !money, "{path}");
    }
    for read in ["/v1/balances", "/v1/order/cancel", "/v1/staking/stake"] {
        assert_eq!(observed(&grant, read, ""), Some("scopes".to_owned()), "{read}");
    }
    let odd = ORDER.replace("501", "5e2");
    let denial = decided(&grant, Freeze::No, "/v1/order/new", &odd).unwrap_err();
    assert!(matches!(denial, Denial::Malformed { .. }), "{denial}");
}

#[test]
fn the_setting_that_allowed_is_told() {
    let grant = Grant { operations: ["stake".to_owned()].into(), ..Grant::of([Scope::OrdersRead]) };
    let rule = |path| decided(&grant, Freeze::No, path, "").unwrap().rule().to_string();
    assert_eq!(rule("/v1/orders"), "scopes: orders:read");
    assert_eq!(rule("/v1/staking/stake"), "operations: stake");
    assert!(own(read("/v1/order/new", "").unwrap()).is_err());
    assert_eq!(own(read("/v1/orders", "").unwrap()).unwrap().rule().to_string(), "proxy");
}
