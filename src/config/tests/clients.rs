//! `[[clients]]`.

use std::time::Duration;

use super::*;
use crate::call::Scope;
use crate::config::ClientCredential;
use crate::decimal::Decimal;
use crate::policy::{CancelAll, Mode, OrderType, Rate, Side, TimeInForce};

const KEY: &str = "[[keys]]\napi_key = \"account-1\"\napi_secret = { env = \"SECRET\" }\n";
const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The client's table begins on line 4.
fn text(settings: &str) -> String {
    format!("{KEY}[[clients]]\n{settings}\n")
}

#[track_caller]
fn client(settings: &str, expected: &[&str]) {
    check(&text(&format!("credential = {{ none = true }}\n{settings}")), expected);
}

#[track_caller]
fn credential(table: &str, expected: &[&str]) {
    check(&text(&format!("credential = {table}")), expected);
}

#[test]
fn a_client_is_read() {
    let config = accept(&text(&format!(
        "name = \"mm\"\nkey = \"default\"\nscopes = [\"trade\", \"fees:read\"]\n\
         operations = [\"withdraw_crypto_v1\", \"POST /v1/x\"]\nexpires = 2027-01-01T00:00:00Z\n\
         from = [\"10.0.0.0/8\", \"::1\"]\nrate = \"off\"\nmode = \"enforce\"\naccounts = [\"primary\"]\n\
         cancel_all = \"shared\"\ncredential = [{{ token_sha256 = \"{HASH}\" }}, \
         {{ key = {{ env = \"STANDIN\" }}, secret = {{ env = \"SECRET\" }} }}]\n\
         [[clients.withdrawals]]\ncurrency = \"BTC\"\nnetwork = \"Bitcoin\"\naddress = \"bc1qA\"\nmemo = \"\"\n\
         [[operations]]\nmethod = \"POST\"\npath = \"/v1/x\"\nscope = \"orders:read\""
    )));
    let client = &config.clients[0];
    assert_eq!((client.id.as_str(), client.key), ("mm", 0));
    assert!(client.grant.scopes.contains(&Scope::OrdersCreate));
    assert!(client.grant.scopes.contains(&Scope::FeesRead));
    assert_eq!(client.grant.operations.len(), 2);
    assert_eq!(client.grant.accounts, ["primary"]);
    assert_eq!(client.grant.cancel_all, CancelAll::Shared);
    let place = &client.grant.withdrawals[0];
    assert_eq!((place.currency.as_str(), place.network.as_deref()), ("btc", Some("bitcoin")));
    assert_eq!((place.address.as_str(), place.memo.as_deref()), ("bc1qA", None));
    assert_eq!(client.expires, Some(UnixMicros::from_secs(1_798_761_600)));
    assert_eq!(client.from.len(), 2);
    let kinds = client.credentials.as_slice();
    assert!(matches!(kinds, [ClientCredential::Token(_), ClientCredential::StandIn(_)]));
}

#[test]
fn scopes_and_operations() {
    client(
        "scopes = [\"trader\", \"ordrs:read\"]",
        &["6: clients[0].scopes[1]: `ordrs:read` is unknown\n  hint: did you mean `orders:read`?"],
    );
    client(
        "scopes = [\"tradr\"]",
        &["6: clients[0].scopes[0]: `tradr` is unknown\n  hint: did you mean `trade"],
    );
    client(
        "operations = [\"create_ordr\"]",
        &[
            "6: clients[0].operations[0]: `create_ordr` is no operation of exchange\n  hint: did you mean `create_order`?",
        ],
    );
    client(
        "operations = [\"POST /v1/x\"]",
        &["6: clients[0].operations[0]: `POST /v1/x` is no operation"],
    );
    let none = "credential = { none = true }\n";
    let grant =
        accept(&text(&format!("{none}scopes = [\"orders:create\"]"))).clients.remove(0).grant;
    assert!(grant.scopes.contains(&Scope::OrdersCancel), "placing includes cancelling");
    assert_eq!(grant.cancel_all, CancelAll::Own);
    warns(&text(none), "clients[0]: may do nothing");
    silent(&text(&format!("{none}operations = [\"create_order\"]")));
    warns(&text(&format!("{none}scopes = [\"crypto:send\"]")), "refused to who presents nothing");
}

#[test]
fn conditions() {
    client(
        "expires = \"tomorrow\"",
        &["6: clients[0].expires: `tomorrow` is no date and time with an offset"],
    );
    client(
        "expires = 2027-01-01T00:00:00",
        &["6: clients[0].expires: `2027-01-01T00:00:00` is no date"],
    );
    client("expires = 5", &["6: clients[0].expires: is no date and time"]);
    let usable = "credential = { none = true }\nscopes = [\"trader\"]\n";
    warns(
        &text(&format!("{usable}expires = \"2026-11-20T23:59:59Z\"")),
        "proxy.toml:7: clients[0].expires: has passed",
    );
    silent(&text(&format!("{usable}expires = \"2026-11-21T00:00:01Z\"")));
    client(
        "from = [\"10.0.0.1/8\"]",
        &[
            "6: clients[0].from[0]: `10.0.0.1/8` has digits beyond its prefix\n  hint: \"10.0.0.0/8\"",
        ],
    );
    client("from = []", &["6: clients[0].from: is empty"]);
    client("accounts = [\"\"]", &["6: clients[0].accounts[0]: is empty"]);
    client(
        "cancel_all = \"all\"",
        &["6: clients[0].cancel_all: `all` is unknown\n  hint: one of own, shared"],
    );
    let mode = |setting: &str| accept(&text(&format!("{usable}{setting}"))).clients[0].grant.mode;
    assert_eq!((mode(""), mode("mode = \"observe\"")), (Mode::Enforce, Mode::Observe));
    client(
        "mode = \"obsreve\"",
        &["6: clients[0].mode: `obsreve` is unknown\n  hint: did you mean `observe`?"],
    );
    let rate = |setting: &str| accept(&text(&format!("{usable}{setting}"))).clients[0].grant.rate;
    let expected = Rate { count: 60, per: Duration::from_secs(60), burst: Some(5) };
    assert_eq!(rate("rate = \"60/min burst 5\""), Some(expected));
    assert_eq!((rate(""), rate("rate = \"off\"")), (None, None));
    client("rate = \"60 per min\"", &["6: clients[0].rate: `60 per min` is no rate"]);
}

#[test]
fn references() {
    client(
        "key = \"defualt\"",
        &["6: clients[0].key: `defualt` is unknown\n  hint: did you mean `default`?"],
    );
    check(
        "[[clients]]\ncredential = { none = true }\n",
        &["1: clients[0].key: there is no [[keys]]"],
    );
    let second =
        KEY.replace("account-1", "account-2").replace("[[keys]]", "[[keys]]\nname = \"b\"");
    let first = KEY.replace("[[keys]]", "[[keys]]\nname = \"a\"");
    let two = format!("{first}{second}[[clients]]\ncredential = {{ none = true }}\n");
    check(&two, &["9: clients[0].key: must say which: there are 2 keys\n  hint: one of a, b"]);
    accept(&format!("{two}key = \"b\"\n"));
    let twins =
        "[[clients]]\nname = \"c\"\ncredential = { none = true }\n[[clients]]\nname = \"c\"\n";
    check(
        &format!("{KEY}{twins}credential = {{ token_sha256 = \"{HASH}\" }}\n"),
        &["8: clients[1].name: `c` is the name of another"],
    );
}

#[test]
fn limits_on_orders_are_read() {
    let orders = |table: &str| {
        let config =
            accept(&text(&format!("credential = {{ none = true }}\n[clients.orders]\n{table}")));
        config.clients[0].grant.orders.clone().unwrap()
    };
    let of = |text: &str| Decimal::parse(text).unwrap();
    let read = orders(
        "symbols = [\"BTCUSD\", \"ethusd\"]\nsides = [\"buy\"]\ntypes = [\"exchange limit\"]\n\
         time_in_force = [\"maker-or-cancel\"]\nmax_amount = { BTC = \"1\" }\n\
         max_notional = { usd = \"500\" }\nmax_notional_per_day = { usd = \"5000.5\" }\n\
         max_orders_per_day = 1000\nmax_open_orders = 20",
    );
    assert_eq!(read.symbols, Some(["btcusd".to_owned(), "ethusd".to_owned()].into()));
    assert_eq!(read.sides, Some([Side::Buy].into()));
    assert_eq!(read.types, Some([OrderType::Limit].into()));
    assert_eq!(read.time_in_force, Some([TimeInForce::MakerOrCancel].into()));
    assert_eq!(read.max_amount, [("btc".to_owned(), of("1"))].into());
    assert_eq!(read.max_notional, [("usd".to_owned(), of("500"))].into());
    assert_eq!(read.day.max_notional_per_day, [("usd".to_owned(), of("5000.5"))].into());
    assert_eq!((read.day.max_orders_per_day, read.day.max_open_orders), (Some(1000), Some(20)));
    assert_eq!(orders("max_open_orders = 1").symbols, None);
    let usable = "credential = { none = true }\nscopes = [\"trader\"]\n[clients.orders]\n";
    warns(&text(usable), "clients[0].orders: limits nothing but what is no order");
    warns(
        &text(&format!("{usable}max_amount = {{ btc = \"1\" }}")),
        "8: clients[0].orders.max_amount: limits the currencies that it names and no other",
    );
    silent(&text(&format!("{usable}symbols = [\"btcusd\"]\nmax_amount = {{ btc = \"1\" }}")));
}

#[test]
fn limits_on_orders_that_say_nothing_are_told() {
    client(
        "[clients.orders]\nsides = [\"bye\"]\ntypes = [\"limit\"]\ntime_in_force = [\"maker-or-cancle\"]\n\
         max_amount = { btc = \"1,5\" }\nmax_notional = { usd = 5 }\nmax_orders_per_day = 0",
        &[
            "7: clients[0].orders.sides[0]: `bye` is unknown\n  hint: one of buy, sell",
            "8: clients[0].orders.types[0]: `limit` is unknown",
            "9: clients[0].orders.time_in_force[0]: `maker-or-cancle` is unknown",
            "10: clients[0].orders.max_amount.btc: `1,5` is no amount",
            "11: clients[0].orders.max_notional.usd: this is an integer, expected a string",
            "12: clients[0].orders.max_orders_per_day: must be more than 0",
        ],
    );
    client(
        "[clients.orders]\nsymbols = []\nsides = []\nmax_amount = {}\n\
         max_notional = { USD = \"1\", usd = \"2\" }",
        &[
            "7: clients[0].orders.symbols: is empty: nothing, or anything?",
            "8: clients[0].orders.sides: is empty",
            "9: clients[0].orders.max_amount: is empty",
            "10: clients[0].orders.max_notional.usd: is there twice",
        ],
    );
    client(
        "[clients.orders]\nsymbols = [\"btc/usd\", \"\"]\nmax_notional_per_day = { \"u s\" = \"1\" }",
        &[
            "7: clients[0].orders.symbols[0]: `btc/usd` is no symbol",
            "7: clients[0].orders.symbols[1]: `` is no symbol",
            "8: clients[0].orders.max_notional_per_day.u s: `u s` is no currency",
        ],
    );
}

#[test]
fn transfers_name_where_they_go() {
    let table = "credential = { none = true }\n[clients.transfers]\n";
    let config = accept(&text(&format!("{table}to = [\"cold\"]\nbanks = [\"b-1\"]")));
    let read = config.clients[0].grant.transfers.clone().unwrap();
    assert_eq!((read.to, read.banks), (["cold".to_owned()].into(), ["b-1".to_owned()].into()));
    client(
        "[clients.transfers]\nto = [\"\"]\nbanks = [\" \"]",
        &["7: clients[0].transfers.to[0]: is empty", "8: clients[0].transfers.banks[0]: is empty"],
    );
}

#[test]
fn withdrawals_name_where_money_goes() {
    let entry = "[[clients.withdrawals]]\ncurrency = \"btc\"\naddress = \"bc1q\"\n";
    client(&format!("{entry}{entry}"), &["9: clients[0].withdrawals[1]: is there twice"]);
    accept(&text(&format!("credential = {{ none = true }}\n{entry}{entry}memo = \"7\"")));
    client(
        &format!("{entry}{entry}memo = \"\""),
        &["9: clients[0].withdrawals[1]: is there twice"],
    );
    client(
        "[[clients.withdrawals]]",
        &[
            "6: clients[0].withdrawals[0].currency: is missing",
            "6: clients[0].withdrawals[0].address: is missing",
        ],
    );
    client(
        &entry.replace("bc1q", "bc 1q"),
        &["8: clients[0].withdrawals[0].address: is no address"],
    );
    client(
        &entry.replace("btc", "b tc"),
        &["7: clients[0].withdrawals[0].currency: `b tc` is no currency"],
    );
    let limited = text(&format!("credential = {{ none = true }}\n{entry}max_per_day = \"0.5\""));
    let destination = accept(&limited).clients[0].grant.withdrawals[0].clone();
    assert_eq!(destination.max_per_day, Decimal::parse("0.5"));
    client(
        &format!("{entry}max_per_day = \"much\""),
        &["9: clients[0].withdrawals[0].max_per_day: `much` is no amount"],
    );
    // One destination with two limits would have two budgets.
    client(
        &format!("{entry}max_per_day = \"1\"\n{entry}max_per_day = \"2\""),
        &["10: clients[0].withdrawals[1]: is there twice"],
    );
}

#[test]
fn credentials() {
    check(&text(""), &["4: clients[0].credential: is missing"]);
    credential("[]", &["5: clients[0].credential: is empty"]);
    credential("{}", &["5: clients[0].credential: needs exactly one"]);
    credential("{ none = false }", &["5: clients[0].credential.none: says nothing"]);
    credential(
        &format!("{{ none = true, token_sha256 = \"{HASH}\" }}"),
        &["5: clients[0].credential: needs exactly one"],
    );
    credential(
        "{ token_sha256 = \"hunter2-planted\" }",
        &["5: clients[0].credential.token_sha256: is not 64 hex digits"],
    );
    credential(
        "[{ none = true }, { uid = 7 }]",
        &["5: clients[0].credential[1].uid: `uid` is not enforced"],
    );
    credential(
        "{ gid = -7 }",
        &[
            "5: clients[0].credential.gid: this is an integer, expected a whole number from 0\n  hint: such as gid = 1000",
        ],
    );
    credential("{ cert = \"bot\" }", &["5: clients[0].credential.cert: `cert` is not enforced"]);
    credential(
        "{ cert = \"\" }",
        &[
            "5: clients[0].credential.cert: is empty",
            "5: clients[0].credential.cert: `cert` is not enforced",
        ],
    );
    let secret = "secret = { env = \"SECRET\" }";
    credential(&format!("{{ {secret} }}"), &["5: clients[0].credential.key: is missing"]);
    credential("{ key = \"account-s\" }", &["5: clients[0].credential.secret: is missing"]);
    credential(
        "{ key = \"account-s\", secret = \"hunter2-planted\" }",
        &["5: clients[0].credential.secret: a secret does not belong"],
    );
    credential(
        &format!("{{ key = \"standin\", {secret} }}"),
        &["5: clients[0].credential.key: a stand-in key must contain `account`"],
    );
    credential(
        &format!("{{ key = \"account-1\", {secret} }}"),
        &["4: clients[0].credential: the stand-in key is a real key"],
    );
    accept(&text(&format!("credential = {{ key = \"account-s\", {secret} }}")));
}

#[test]
fn beyond_loopback_everybody_shows_who_they_are() {
    let open = "[[upstreams]]\nlisten = [\"0.0.0.0:1\"]\n";
    let none = text("credential = { none = true }");
    check(
        &format!("{open}{none}"),
        &["7: clients[0].credential.none: the listener of `exchange` is not loopback"],
    );
    // Another mistake in the key does not hide it.
    let broken = none.replace("account-1", "account 1");
    check(
        &format!("{open}{broken}"),
        &["4: keys[0].api_key: holds", "7: clients[0].credential.none: "],
    );
    accept(&format!("{open}{}", text(&format!("credential = {{ token_sha256 = \"{HASH}\" }}"))));
}

#[test]
fn no_two_clients_share_a_credential() {
    let two = |first: &str, second: &str| {
        format!(
            "{KEY}[[clients]]\nname = \"a\"\ncredential = {first}\n[[clients]]\nname = \"b\"\ncredential = {second}\n"
        )
    };
    let token = format!("{{ token_sha256 = \"{HASH}\" }}");
    let other = token.replace("ba78", "ba79");
    let pair =
        |key: &str| format!("{{ key = \"account-{key}\", secret = {{ env = \"SECRET\" }} }}");
    check(&two(&token, &token), &["7: clients[1].credential: the token is also that of `a`"]);
    check(
        &two(&token, &token.to_uppercase().replace("TOKEN_SHA", "token_sha")),
        &["7: clients[1].credential: the token"],
    );
    accept(&two(&token, &other));
    check(
        &two(&pair("x"), &pair("x")),
        &["7: clients[1].credential: the stand-in key is also that of `a`"],
    );
    accept(&two(&pair("x"), &pair("y")));
    check(
        &two("{ none = true }", "{ none = true }"),
        &["7: clients[1].credential: `a` on upstream `exchange` is for who presents nothing"],
    );
    accept(&two("{ none = true }", &token));
    let upstreams =
        "[[upstreams]]\nname = \"u\"\n[[upstreams]]\nname = \"v\"\nlisten = [\"127.0.0.1:1\"]\n";
    let keys = "[[keys]]\nname = \"k\"\nupstream = \"u\"\napi_key = \"a\"\napi_secret = { env = \"SECRET\" }\n\
                [[keys]]\nname = \"l\"\nupstream = \"v\"\napi_key = \"b\"\napi_secret = { env = \"SECRET\" }\n";
    let clients = "[[clients]]\nname = \"a\"\nkey = \"k\"\ncredential = { none = true }\n\
                   [[clients]]\nname = \"b\"\nkey = \"l\"\ncredential = { none = true }\n";
    accept(&format!("{upstreams}{keys}{clients}"));
}

/// The flag moves a listener after the file was written: the rule must hold for where it ends up.
#[test]
fn a_flag_cannot_open_what_needs_no_credential() {
    let open =
        Overrides { listen: Some(vec!["0.0.0.0:3840".parse().unwrap()]), ..Overrides::default() };
    let none = text("credential = { none = true }");
    let problems = parse(&none, Path::new("p"), &usual(), &open, NOW).unwrap_err().to_string();
    assert!(problems.contains("is not loopback"), "{problems}");
    let token = text(&format!("credential = {{ token_sha256 = \"{HASH}\" }}"));
    let config = parse(&token, Path::new("p"), &usual(), &open, NOW).unwrap();
    assert!(!config.upstreams[0].public);
}
