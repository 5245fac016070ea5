//! Each rule: a case that fires, and a near miss.

mod modes;
mod order_of_grants;
mod orders;
mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::call::{ClientId, Scope, Visibility, Withdrawal, example as call};
use crate::provider::{self, Asked, Routes};

fn who(how: Identity) -> Identified {
    Identified::proven(ClientId::new("bot"), how)
}

const ALONE: KeyFacts<'_> = KeyFacts { shared: false, master: false, account: None };

/// What is decided of a call that a client sends in these words, by a token, with this quote.
fn asked(
    grant: &Grant,
    path: &str,
    body: &str,
    quote: Option<(&str, &str)>,
) -> Result<Permit, String> {
    let call = read(path, body)?;
    let of = |text: &str| Decimal::parse(text).unwrap();
    let quote = quote.map(|(bid, ask)| Quote { bid: of(bid), ask: of(ask) });
    let who = who(Identity::Token);
    let case = Case { grant, key: ALONE, who: &who, freeze: Freeze::No, quote: quote.as_ref() };
    decide(&case, call).map_err(|it| it.to_string())
}

fn read(path: &str, body: &str) -> Result<Call, String> {
    let exchange = provider::by_name("exchange").unwrap();
    let headers = http::HeaderMap::new();
    let asked = Asked {
        method: "POST",
        path,
        query: None,
        headers: &headers,
        body: body.as_bytes(),
        payload_is_signed: false,
        public: true,
    };
    exchange.read(&Routes::new(exchange.operations()), &asked).map_err(|it| it.to_string())
}

fn set<T: Ord + Clone>(words: &[T]) -> Option<BTreeSet<T>> {
    Some(words.iter().cloned().collect())
}

fn amounts(pairs: &[(&str, &str)]) -> BTreeMap<String, Decimal> {
    let of = |text: &str| Decimal::parse(text).unwrap();
    pairs.iter().map(|(currency, most)| ((*currency).to_owned(), of(most))).collect()
}

#[track_caller]
fn check(grant: &Grant, key: KeyFacts<'_>, how: Identity, call: Call, expected: &str) {
    let who = who(how);
    let case = Case { grant, key, who: &who, freeze: Freeze::No, quote: None };
    let said = match decide(&case, call) {
        Ok(_) => "allowed".to_owned(),
        Err(denial) => denial.to_string(),
    };
    assert!(said.contains(expected), "{said:?} does not say {expected:?}");
}

#[test]
fn scopes_and_named_operations() {
    let order = || call("create_order", Some(Scope::OrdersCreate), Effect::Trade);
    let trader = Grant::of(Bundle::Trader.scopes());
    let auditor = Grant::of(Bundle::Auditor.scopes());
    check(&trader, ALONE, Identity::Token, order(), "allowed");
    check(&auditor, ALONE, Identity::Token, order(), "does not hold `orders:create`");
    let named = Grant { operations: ["create_order".to_owned()].into(), ..auditor };
    check(&named, ALONE, Identity::Token, order(), "allowed");
    check(&trader, ALONE, Identity::Token, call("x", None, Effect::Read), "not offered");
}

#[test]
fn placing_includes_cancelling_but_not_the_reverse() {
    let cancel = || call("cancel_order", Some(Scope::OrdersCancel), Effect::Trade);
    let order = || call("create_order", Some(Scope::OrdersCreate), Effect::Trade);
    check(&Grant::of([Scope::OrdersCreate]), ALONE, Identity::Token, cancel(), "allowed");
    check(&Grant::of([Scope::OrdersCancel]), ALONE, Identity::Token, order(), "does not hold");
}

fn withdrawal(address: &str, network: Option<&str>, memo: Option<&str>) -> Call {
    let mut call = call("withdraw_crypto", Some(Scope::CryptoSend), Effect::CryptoWithdrawal);
    call.withdrawal = Some(Withdrawal {
        currency: "BTC".to_owned(),
        network: network.map(str::to_owned),
        address: Some(address.to_owned()),
        memo: memo.map(str::to_owned),
        ..Withdrawal::default()
    });
    call
}

#[test]
fn money_leaves_only_to_a_listed_destination() {
    let none = Grant::of([Scope::CryptoSend]);
    let entry = Destination {
        currency: "btc".to_owned(),
        network: Some("bitcoin".to_owned()),
        address: "bc1qgood".to_owned(),
        memo: None,
        max_per_day: None,
    };
    let listed = Grant { withdrawals: vec![entry.clone()], ..none.clone() };
    let good = || withdrawal("bc1qgood", Some("bitcoin"), None);
    let token = Identity::Token;
    check(&none, ALONE, token, good(), "no `[[clients.withdrawals]]` entry");
    check(&listed, ALONE, token, good(), "allowed");
    check(&listed, ALONE, token, withdrawal("bc1qgood", None, None), "allowed");
    check(&listed, ALONE, token, withdrawal("bc1qgood", Some("Bitcoin"), Some("")), "allowed");
    check(&listed, ALONE, token, withdrawal("BC1QGOOD", Some("bitcoin"), None), "no `[[");
    check(&listed, ALONE, token, withdrawal("bc1qgood", Some("ethereum"), None), "no `[[");
    check(&listed, ALONE, token, withdrawal("bc1qgood", Some("bitcoin"), Some("7")), "no `[[");
    check(&listed, ALONE, Identity::Nothing, good(), "presents no credential");
    let unread = call("withdraw_crypto", Some(Scope::CryptoSend), Effect::CryptoWithdrawal);
    check(&listed, ALONE, token, unread, "names no destination");
    let mut odd = good();
    odd.withdrawal.as_mut().unwrap().unchecked = Some("tag".to_owned());
    check(&listed, ALONE, token, odd, "can check the field `tag`");
    let other = Destination { currency: "bch".to_owned(), ..entry.clone() };
    let other = Grant { withdrawals: vec![other], ..none.clone() };
    check(&other, ALONE, token, good(), "no `[[");
    let anywhere = Destination { network: None, ..entry.clone() };
    let anywhere = Grant { withdrawals: vec![anywhere], ..none.clone() };
    check(&anywhere, ALONE, token, good(), "no `[[");
    check(&anywhere, ALONE, token, withdrawal("bc1qgood", None, None), "allowed");
    let memo = Destination { memo: Some("7".to_owned()), ..entry };
    let memo = Grant { withdrawals: vec![memo], ..none };
    check(&memo, ALONE, token, good(), "no `[[");
    check(&memo, ALONE, token, withdrawal("bc1qgood", Some("bitcoin"), Some("7")), "allowed");
}

#[test]
fn who_presents_nothing_transfers_nothing() {
    let grant = Grant::of([Scope::TransfersCreate]);
    let transfer = || call("transfer", Some(Scope::TransfersCreate), Effect::Transfer);
    check(&grant, ALONE, Identity::Nothing, transfer(), "transfers nothing");
    check(&grant, ALONE, Identity::StandIn, transfer(), "allowed");
}

#[test]
fn accounts_are_the_keys_own_or_named() {
    let master = KeyFacts { shared: false, master: true, account: Some("primary") };
    let grant = Grant::of([Scope::BalancesRead]);
    let of = |account: &str| {
        let mut call = call("list_balances", Some(Scope::BalancesRead), Effect::Read);
        call.accounts = vec![account.to_owned()];
        call
    };
    check(&grant, master, Identity::Token, of("primary"), "allowed");
    check(&grant, master, Identity::Token, of("cold"), "may not name the account `cold`");
    check(&grant, master, Identity::Token, of("c\u{7f}"), "may not name the account `c\\u{7f}`");
    let more = Grant { accounts: vec!["cold".to_owned()], ..grant.clone() };
    check(&more, master, Identity::Token, of("cold"), "allowed");
    // An account key has no sub-accounts: the exchange answers for itself.
    check(&grant, ALONE, Identity::Token, of("cold"), "allowed");
}

#[test]
fn cancelling_everything_needs_the_key_alone() {
    let shared = KeyFacts { shared: true, master: false, account: None };
    let grant = Grant::of([Scope::OrdersCancel]);
    let mut all = call("cancel_all_orders", Some(Scope::OrdersCancel), Effect::Trade);
    all.reaches_whole_key = true;
    check(&grant, shared, Identity::Token, all.clone(), "orders of other clients");
    check(&grant, ALONE, Identity::Token, all.clone(), "allowed");
    let may = Grant { cancel_all: CancelAll::Shared, ..grant };
    check(&may, shared, Identity::Token, all, "allowed");
}

#[test]
fn public_is_only_what_is_public() {
    assert!(public(call("create_order", Some(Scope::OrdersCreate), Effect::Trade)).is_err());
    let mut ticker = call("ticker", Some(Scope::MarketRead), Effect::Read);
    let mut operation = (*ticker.operation).clone();
    operation.visibility = Visibility::Public;
    ticker.operation = Arc::new(operation);
    assert!(public(ticker).is_ok());
}

fn scopes() -> impl Strategy<Value = BTreeSet<Scope>> {
    prop::collection::btree_set(prop::sample::select(Scope::ALL), 0..6)
}

proptest! {
    /// More grants never deny what fewer allowed.
    #[test]
    fn adding_a_scope_never_denies(
        held in scopes(), more in scopes(), needed in prop::sample::select(Scope::ALL),
    ) {
        let allowed = |held: BTreeSet<Scope>| {
            let asked = call("x", Some(needed), Effect::Trade);
            let (grant, who) = (Grant::of(held), who(Identity::Token));
            let case =
                Case { grant: &grant, key: ALONE, who: &who, freeze: Freeze::No, quote: None };
            decide(&case, asked).is_ok()
        };
        let both = &held | &more;
        prop_assert!(!allowed(held) || allowed(both));
    }
}
