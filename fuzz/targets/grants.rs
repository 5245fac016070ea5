//! A grant and a call: what is allowed is within the limits, by another reading of both.
//!
//! Input: a byte that chooses the grant, a byte that chooses the endpoint, the body.
//!
//! Held: no panic; an order that may go out is, as it is signed, of a symbol, a side, a type and a time
//! in force that are listed, and its amount and its value are at most what the limits say, by an
//! arithmetic that shares no code with geminid's; what trades otherwise is named; money goes where
//! the grant says, and never more of it than it says.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use geminid::fuzzing::{Desk, Sent};
use geminid_fuzz::amount::Amount;
use geminid_fuzz::desk::{STAND_IN, TOKEN, check_refused};
use geminid_fuzz::json::{Tree, tree};
use http::Request;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::Deserialize;

const BID: &str = "64999.99";
const ASK: &str = "65000.01";

const BASE: &str = r#"
[state]
dir = "/nowhere/state"
[[upstreams]]
environment = "simulator"
url = "https://localhost:9443"
[[keys]]
api_key = "account-7Qf2realkey"
api_secret = { value = "real-secret" }
[[clients]]
name = "token"
credential = { token_sha256 = "461caa80a52104436e34006189430d13aba103b2c4344d446ea3d9324b0de1c0" }
scopes = ["fund-manager", "trader", "clearing:create", "predictions:orders:write", "staking:create"]
"#;

/// What is limited. Every one of them is the rest of the client's table.
const GRANTS: &[&str] = &[
    "[clients.orders]\nmax_notional = { usd = \"500\" }",
    "[clients.orders]\nmax_notional = { usd = \"500\", btc = \"0.1\" }\nmax_amount = { eth = \"2\" }",
    "[clients.orders]\nsymbols = [\"btcusd\"]\nsides = [\"buy\"]\nmax_amount = { btc = \"1\" }",
    "[clients.orders]\ntypes = [\"exchange limit\"]\ntime_in_force = [\"maker-or-cancel\"]",
    "[clients.orders]\ntime_in_force = [\"good-til-cancel\", \"fill-or-kill\"]\n\
     max_notional_per_day = { usd = \"5000\", gusd = \"1\" }",
    "operations = [\"wrap_order\", \"create_prediction_order\"]\n[clients.orders]\n\
     symbols = [\"btcusd\", \"ethusd\"]\nmax_amount = { btc = \"0.5\", eth = \"5\" }",
    "[clients.orders]\nsides = [\"sell\"]\ntypes = [\"exchange market\", \"exchange stop limit\"]\n\
     max_notional = { usd = \"1000\" }",
    "[[clients.withdrawals]]\ncurrency = \"btc\"\nnetwork = \"bitcoin\"\naddress = \"bc1qgood\"\n\
     max_per_day = \"0.5\"\n[clients.transfers]\nto = [\"cold\"]\nbanks = [\"b-1\"]",
];

const ENDPOINTS: &[&str] = &[
    "/v1/order/new",
    "/v1/order/new",
    "/v1/order/new",
    "/v1/wrap/btcusd",
    "/v1/wrap/gusdusd",
    "/v1/instant/execute",
    "/v1/clearing/new",
    "/v1/prediction-markets/order",
    "/v1/withdraw/btc",
    "/v2/withdraw/bitcoin/btc",
    "/v1/withdraw/usd",
    "/v1/account/transfer/btc",
    "/v1/account/transfer",
    "/v1/order/cancel",
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Limits {
    operations: Vec<String>,
    clients: Parts,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    orders: Option<Orders>,
    withdrawals: Vec<Withdrawal>,
    transfers: Option<Transfers>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Orders {
    symbols: Option<Vec<String>>,
    sides: Option<Vec<String>>,
    types: Option<Vec<String>>,
    time_in_force: Option<Vec<String>>,
    max_amount: BTreeMap<String, String>,
    max_notional: BTreeMap<String, String>,
    max_notional_per_day: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Withdrawal {
    address: String,
    max_per_day: String,
}

#[derive(Deserialize)]
struct Transfers {
    to: Vec<String>,
    banks: Vec<String>,
}

static DESKS: LazyLock<Vec<(Desk, Limits)>> = LazyLock::new(|| {
    let each = GRANTS.iter().map(|grant| {
        let desk = Desk::new(&format!("{BASE}{grant}")).with_quote(BID, ASK);
        (desk, toml::from_str(grant).expect("a grant is TOML"))
    });
    each.collect()
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let [grant, endpoint, body @ ..] = data else { return Corpus::Reject };
    // The fuzzer learns our secrets by looking at comparisons: a refusal may repeat the client's words.
    let known = |secret: &str| body.windows(secret.len()).any(|it| it == secret.as_bytes());
    if ["7Qf2realkey", "real-secret", STAND_IN.1].into_iter().any(known) {
        return Corpus::Reject;
    }
    let (desk, limits) = &DESKS[usize::from(*grant) % GRANTS.len()];
    let path = ENDPOINTS[usize::from(*endpoint) % ENDPOINTS.len()];
    let request = Request::builder().method("POST").uri(path).header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    let (head, ()) = request.body(()).expect("its parts are known").into_parts();
    match desk.ask(&head, body) {
        Err(refused) => check_refused(&refused),
        Ok(sent) => check(limits, &sent),
    }
    Corpus::Keep
});

fn check(limits: &Limits, sent: &Sent) {
    let parameters = tree(sent.parameters.as_bytes()).expect("what is signed is JSON");
    let Limits { operations, clients: Parts { orders, withdrawals, transfers } } = limits;
    let text = |name: &str| parameters.get(name).and_then(written);
    let path = sent.path.as_str();
    if path == "/v1/order/new" {
        if let Some(orders) = orders {
            check_order(orders, &parameters);
        }
    } else if path.contains("/withdraw/") {
        let at = |it: &&Withdrawal| text("address").as_deref() == Some(it.address.as_str());
        if let Some(entry) = withdrawals.iter().find(at) {
            let amount = Amount::read(&text("amount").expect("an amount")).expect("a plain one");
            let most = Amount::read(&entry.max_per_day).expect("a limit is plain");
            assert!(amount.is_at_most(&most), "{parameters:?}");
        } else {
            let bank = text("bankId").or_else(|| text("accountId")).expect("money goes somewhere");
            assert!(transfers.as_ref().is_some_and(|it| it.banks.contains(&bank)), "{bank}");
            assert!(path.ends_with("/usd") && text("address").is_none(), "{parameters:?}");
        }
    } else if path.contains("/transfer") {
        if let Some(transfers) = transfers {
            let target = text("targetAccount").expect("a transfer goes somewhere");
            assert!(transfers.to.contains(&target), "{target}");
        }
    } else if path != "/v1/order/cancel" && orders.is_some() {
        assert!(operations.contains(&sent.operation), "{} is not named", sent.operation);
        let symbols = orders.as_ref().and_then(|it| it.symbols.as_ref());
        let wrapped = path.strip_prefix("/v1/wrap/").unwrap_or("btcusd").to_owned();
        assert!(symbols.is_none_or(|it| it.contains(&wrapped)), "{wrapped}");
    }
}

fn check_order(limits: &Orders, order: &Tree) {
    let text = |name: &str| order.get(name).and_then(written).unwrap_or_default();
    let (symbol, side, kind) = (text("symbol").to_ascii_lowercase(), text("side"), text("type"));
    let listed = |list: &Option<Vec<String>>, word: &str| {
        assert!(list.as_ref().is_none_or(|it| it.iter().any(|it| it == word)), "{word}: {order:?}");
    };
    listed(&limits.symbols, &symbol);
    listed(&limits.sides, &side);
    listed(&limits.types, &kind);
    let options = match order.get("options") {
        Some(Tree::List(options)) if !options.is_empty() => {
            options.iter().map(|it| it.as_str().unwrap_or("?").to_owned()).collect()
        }
        None | Some(Tree::List(_)) => vec!["good-til-cancel".to_owned()],
        Some(Tree::Bare(null)) if null == "null" => vec!["good-til-cancel".to_owned()],
        Some(_) => vec!["?".to_owned()],
    };
    options.iter().for_each(|it| listed(&limits.time_in_force, it));

    let number = |name: &str| Amount::read(&text(name)).expect("what a limit reads is plain");
    for (base, most) in &limits.max_amount {
        if symbol.starts_with(base.as_str()) {
            let most = Amount::read(most).expect("a limit is plain");
            assert!(number("amount").is_at_most(&most), "{order:?}");
        }
    }
    for table in [&limits.max_notional, &limits.max_notional_per_day] {
        if table.is_empty() {
            continue;
        }
        let at = |text: &str| Amount::read(text).expect("a price is plain");
        let price = match (side.as_str(), kind.as_str()) {
            ("buy", "exchange limit" | "exchange stop limit") => number("price"),
            ("buy", "exchange market") => at(ASK),
            ("sell", "exchange limit" | "exchange stop limit" | "exchange market") => {
                let named = Amount::read(&text("price"));
                let bid = at(BID);
                named.filter(|it| bid.is_at_most(it)).unwrap_or(bid)
            }
            other => panic!("{other:?} cannot be valued"),
        };
        let quote = table.iter().filter(|(quote, _)| symbol.contains(quote.as_str()));
        let value = price.times(&number("amount"));
        let within = |most: &String| value.is_at_most(&at(most));
        // `btcgusd` ends in two names: one of them must allow it.
        assert!(quote.map(|(_, most)| most).any(within), "{order:?}");
        let known = ["account", "amount", "client_order_id", "options", "price", "side"];
        let known = known.iter().chain(&["stop_price", "symbol", "type"]);
        let members = order.members().expect("parameters are an object");
        let odd = members.iter().find(|(name, _)| !known.clone().any(|it| it == name));
        assert!(odd.is_none(), "{odd:?}");
    }
}

/// The text of a string, or of a number as it was written.
fn written(value: &Tree) -> Option<String> {
    match value {
        Tree::Text { text, .. } => Some(text.clone()),
        Tree::Bare(bare) if bare != "null" => Some(bare.clone()),
        Tree::Bare(_) | Tree::List(_) | Tree::Table(_) => None,
    }
}
