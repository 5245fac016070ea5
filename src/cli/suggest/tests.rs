//! What is suggested, to the letter, and that it loads.

use std::ffi::OsString;

use super::super::audit::tests::{NOW, State};
use super::*;
use crate::config::{self, Config, Lookup, Overrides};

struct Nothing;

impl Lookup for Nothing {
    fn var(&self, _: &str) -> Option<OsString> {
        None
    }
}

const AROUND: &str = r#"
[state]
dir = "/tmp/state"
[[upstreams]]
environment = "simulator"
url = "https://localhost:9443"
[[keys]]
api_key = "master-1"
api_secret = { value = "secret" }
account = "primary"
[[clients]]
name = "bot"
credential = { token_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" }
"#;

/// The whole configuration with a grant in it.
#[track_caller]
fn loaded(grant: &str) -> Config {
    let text = format!("{AROUND}{grant}");
    let read = config::parse(&text, Path::new("p"), &Nothing, &Overrides::default(), NOW);
    read.unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

async fn suggested(lines: &[(u64, String)]) -> String {
    let state = State::new();
    let lines: Vec<(u64, &str)> = lines.iter().map(|(at, it)| (*at, it.as_str())).collect();
    state.put(1_000, &lines).await;
    let seen = look(&state.trail(), "bot", "2026-11-01").unwrap();
    toml::written("bot", &seen)
}

fn call(operation: &str, scope: &str, rest: &str) -> String {
    let comma = if rest.is_empty() { "" } else { "," };
    format!(
        r#""event":"request","client":"bot","operation":"{operation}","scope":"{scope}","decision":"allowed","outcome":"executed"{comma}{rest}"#
    )
}

fn order(symbol: &str, side: &str, amount: &str, rest: &str) -> String {
    let fields = format!(
        r#""symbol":"{symbol}","side":"{side}","type":"exchange limit","amount":"{amount}"{rest}"#
    );
    call("create_order", "orders:create", &fields)
}

const DAY: u64 = 86_400;

/// Of a trader who withdraws.
fn calls() -> Vec<(u64, String)> {
    let observed = |line: String| line.replace("\"allowed\"", "\"observed\"");
    let refused = |line: String| line.replace("\"allowed\"", "\"refused\"");
    let withdrawal = r#""currency":"BTC","network":"Bitcoin","address":"bc1q\"","memo":"7""#;
    vec![
        (0, call("balances", "balances:read", r#""account":"primary""#)),
        (
            1,
            order("BTCUSD", "buy", "0.5", r#","price":"100.10","time_in_force":"maker-or-cancel""#),
        ),
        (2, order("btcusd", "buy", "0.25", r#","price":"100""#)),
        (3, observed(order("ethbtc", "sell", "3", r#","price":"0.1","notional":"0.33""#))),
        (4, call("cancel_order", "orders:cancel", "")),
        (DAY, order("btcusd", "buy", "1", r#","price":"10""#)),
        (DAY + 1, call("instant_execute", "orders:create", r#""symbol":"solusd""#)),
        (DAY + 2, call("withdraw_crypto_v2", "crypto:send", withdrawal)),
        (DAY + 3, call("withdraw_fiat", "fiat:withdraw", r#""currency":"usd","address":"bank-7""#)),
        (DAY + 4, call("transfer_between_accounts", "transfers:create", r#""address":"cold""#)),
        // None of these counts.
        (DAY + 5, refused(order("dogeusd", "sell", "99999", ""))),
        (
            DAY + 6,
            call("history", "history:read", "").replace("executed", "rejected")
                + r#","cause":"key-role-missing""#,
        ),
        (DAY + 7, call("history", "history:read", "").replace("\"bot\"", "\"other\"")),
        (DAY + 8, call("history", "history:read", "").replace("request", "intent")),
    ]
}

#[tokio::test]
async fn a_trader_who_withdraws() {
    let text = suggested(&calls()).await;
    let operation = r#"operations = ["instant_execute"]"#;
    let expected = r#"# What the client "bot" did in 10 calls,
# the first at 2026-11-21T00:00:00.000000Z, the last at 2026-11-22T00:00:04.000000Z.
# Put it below the `name`, `credential` and `key` of its [[clients]] entry, in place of
# what is there.
scopes = ["balances:read", "crypto:send", "fiat:withdraw", "orders:create", "transfers:create"]
# Trading that `orders` below cannot limit.
operations = ["instant_execute"]
accounts = ["primary"]

[clients.orders]
symbols = ["btcusd", "ethbtc", "solusd"]
sides = ["buy", "sell"]
types = ["exchange limit"]
time_in_force = ["good-til-cancel", "maker-or-cancel"]
max_amount = { btc = "1", eth = "3" }
max_notional = { btc = "0.33", usd = "50.05" }
max_notional_per_day = { btc = "0.33", usd = "75.05" }
max_orders_per_day = 3

[[clients.withdrawals]]
currency = "btc"
network = "bitcoin"
address = "bc1q\""
memo = "7"

[clients.transfers]
to = ["cold"]
banks = ["bank-7"]
"#;
    assert_eq!(text, expected);
    let config = loaded(&text.replace(operation, ""));
    let grant = &config.clients[0].grant;
    assert!(grant.scopes.contains(&Scope::OrdersCancel));
    let orders = grant.orders.as_ref().unwrap();
    assert_eq!(orders.max_notional["usd"], Decimal::parse("50.05").unwrap());
    assert_eq!(orders.day.max_orders_per_day, Some(3));
    assert_eq!(grant.withdrawals[0].address, "bc1q\"");
    assert!(grant.transfers.as_ref().unwrap().banks.contains("bank-7"));
}

#[tokio::test]
async fn what_the_trail_does_not_tell_is_said() {
    let lines = [
        (0, order("btcusd", "buy", "1", "").replace("exchange limit", "exchange market")),
        (1, order("btcusd", "buy", "1", r#","price":"5""#)),
        (2, order("btcusd", "short", "1", r#","price":"5""#)),
        (3, order("btcusd", "buy", "1e9", r#","price":"5""#)),
        (4, order("b\\\"c\\n", "buy", "1", "")),
    ];
    let text = suggested(&lines).await;
    for expected in [
        "# Of 2 orders 1 have no value in the trail: see that the notional limits have room.\n",
        "# 2 orders are left out: with a side, a type, an option or an amount that nobody knows.\n",
        "types = [\"exchange limit\", \"exchange market\"]\n",
        "max_notional = { usd = \"5\" }\n",
        "max_orders_per_day = 2\n",
        "symbols = [\"btcusd\"]\n",
        "operations = [\"create_order\"]\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    loaded(&text.replace("operations = [\"create_order\"]\n", ""));
}

#[tokio::test]
async fn a_reader_needs_little() {
    let text = suggested(&[(0, call("balances", "balances:read", ""))]).await;
    assert!(text.ends_with("scopes = [\"balances:read\"]\n"), "{text}");
    let config = loaded(&text);
    assert_eq!(config.clients[0].grant.orders, None);
    let nothing = look(&State::new().trail(), "bot", "24h");
    assert!(matches!(nothing, Err(Ended::Unreadable(_))));
}
