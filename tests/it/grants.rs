//! `policy test` and `policy show`: the whole catalogue against every bundle, and the command itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{command, run};

const TABLE: &str = include_str!("fixtures/exchange-endpoints.tsv");

/// What the contract says that a bundle holds, beside `market:read`, which every one of them does.
const BUNDLES: &[(&str, &str)] = &[
    ("view-balances", "balances:read"),
    ("trade", "orders:create orders:cancel orders:read session:heartbeat"),
    ("create-deposits", "addresses:create addresses:read"),
    ("send-crypto", "crypto:send fees:read addresses:read"),
    ("withdraw-funds", "crypto:send fees:read addresses:read fiat:withdraw banks:read"),
    ("auditor", "*:read"),
    ("trader", "*:read orders:create orders:cancel session:heartbeat"),
    (
        "fund-manager",
        "*:read addresses:create crypto:send fiat:withdraw banks:create transfers:create",
    ),
];

/// Words that a client may need and no bundle has.
const IN_NO_BUNDLE: &[&str] = &[
    "clearing:create",
    "predictions:orders:write",
    "staking:create",
    "accounts:create",
    "addresses:approve",
];

/// A directory of this test's own, with a configuration.
struct Place(PathBuf);

impl Place {
    fn new(name: &str, clients: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("geminid-grants-{}-{name}", std::process::id()));
        std::fs::remove_dir_all(&dir).ok();
        std::fs::create_dir(&dir).unwrap();
        let text = format!(
            "[[upstreams]]\nenvironment = \"simulator\"\nurl = \"https://127.0.0.1:9443\"\n\
             [[keys]]\napi_key = \"account-1\"\napi_secret = {{ value = \"secret\" }}\n{clients}"
        );
        std::fs::write(dir.join("proxy.toml"), text).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.0.join(name).display().to_string()
    }

    fn policy(&self, arguments: &[&str]) -> Output {
        let file = self.0.join("proxy.toml");
        run(command().arg("policy").args(arguments).arg("--config").arg(Path::new(&file)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn client(name: &str, number: usize, settings: &str) -> String {
    format!(
        "[[clients]]\nname = \"{name}\"\ncredential = {{ token_sha256 = \"{number:064x}\" }}\n{settings}\n"
    )
}

fn out(said: &Output) -> String {
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn err(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}

fn holds(bundle: &str, scope: &str) -> bool {
    let words = BUNDLES.iter().find(|(name, _)| *name == bundle).unwrap().1;
    scope == "market:read"
        || words.split(' ').any(|it| it == scope || it == "*:read" && scope.ends_with(":read"))
}

/// What the published row says of a client that holds this bundle and nothing else.
fn expected(bundle: &str, cells: &[&str]) -> &'static str {
    let (visibility, scope, effect) = (cells[4], cells[7], cells[9]);
    if visibility == "public" {
        "allow"
    } else if scope == "-" {
        "operation-unknown"
    } else if !holds(bundle, scope) {
        "scope-missing"
    } else if effect.ends_with("_withdrawal") {
        // No bundle says where money may go.
        "withdrawal-refused"
    } else {
        "allow"
    }
}

fn filled(path: &str) -> String {
    let part = |it: &str| match it {
        "{currency}" | "{ticker}" => "btc".to_owned(),
        "{symbol}" => "btcusd".to_owned(),
        "{network}" => "bitcoin".to_owned(),
        _ if it.starts_with('{') => "x1".to_owned(),
        _ => it.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn the_catalogue_and_the_bundles() {
    let clients = BUNDLES.iter().enumerate();
    let clients: Vec<String> = clients
        .map(|(number, (name, _))| {
            // They share a key.
            client(name, number, &format!("cancel_all = \"shared\"\nscopes = [\"{name}\"]"))
        })
        .collect();
    let place = Place::new("bundles", &clients.concat());
    let rows: Vec<Vec<&str>> = TABLE.lines().skip(1).map(|it| it.split('\t').collect()).collect();
    let mut cases = String::new();
    let mut n_expected: BTreeMap<&str, usize> = BTreeMap::new();
    for cells in rows.iter().filter(|it| it[1].starts_with('/')) {
        for (bundle, _) in BUNDLES {
            let expect = expected(bundle, cells);
            *n_expected.entry(expect).or_default() += 1;
            let (method, path) = (cells[0], filled(cells[1]));
            cases.push_str(&format!(
                "[[cases]]\nname = \"{}\"\nclient = \"{bundle}\"\nmethod = \"{method}\"\npath = \"{path}\"\nexpect = \"{expect}\"\n",
                cells[2]
            ));
        }
    }
    let said = place.policy(&["test", "--json", "--file", &place.write("cases.toml", &cases)]);
    let judged: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    let wrong: Vec<&Value> = judged.iter().filter(|it| it["passed"] != true).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    assert_eq!(judged.len(), n_expected.values().sum::<usize>());
    assert!(judged.len() > 900 && n_expected.len() == 4, "{n_expected:?}");
    // Each operation was judged as itself, but where two templates are one and the same.
    let other = judged.iter().filter(|it| it["name"] != it["operation"]);
    let names: Vec<&Value> = other.map(|it| &it["name"]).collect();
    assert!(names.is_empty(), "{names:?}");
    for word in IN_NO_BUNDLE {
        assert!(rows.iter().any(|it| it[7] == *word), "{word}");
        assert!(BUNDLES.iter().all(|(bundle, _)| !holds(bundle, word)), "{word}");
    }
}

const TRADER: &str = "scopes = [\"trader\"]\n[clients.orders]\nsymbols = [\"btcusd\"]\nmax_notional = { usd = \"500\" }";

fn order(price: &str, side: &str) -> String {
    format!(
        r#"{{"symbol":"btcusd","amount":"1","price":"{price}","side":"{side}","type":"exchange limit"}}"#
    )
}

#[test]
fn one_call_is_decided_and_the_rule_named() {
    let place = Place::new("one", &client("mm", 1, TRADER));
    let asked = |body: &str, more: &[&str]| {
        let arguments = ["test", "--client", "mm", "POST", "/v1/order/new", "--body", body];
        place.policy(&[&arguments, more].concat())
    };
    let good = asked(&order("500", "buy"), &[]);
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    assert_eq!(out(&good), "allowed: create_order, by scopes: orders:create, worth 500 usd\n");
    let large = asked(&order("501", "buy"), &[]);
    assert_eq!(large.status.code(), Some(1));
    assert!(out(&large).starts_with("refused: order-too-large, by orders.max_notional.usd\n"));
    assert!(err(&large).contains("hint: place a smaller order"), "{}", err(&large));
    let sell = asked(&order("1", "sell"), &[]);
    assert!(out(&sell).starts_with("refused: order-unpriceable"), "{}", out(&sell));
    assert!(err(&sell).contains("--quote BID/ASK"), "{}", err(&sell));
    assert_eq!(asked(&order("1", "sell"), &["--quote", "499/501"]).status.code(), Some(0));
    assert_eq!(asked(&order("1", "sell"), &["--quote", "500.01/501"]).status.code(), Some(1));
    let json = asked(&order("5e2", "buy"), &["--json"]);
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&told["cause"], &told["status"]), (&"request-malformed".into(), &400.into()));
    assert_eq!(told["rule"], "orders.max_notional");
    for (arguments, expected) in [
        (&["test", "--client", "nobody", "GET", "/v1/symbols"][..], "there is no client `nobody`"),
        (&["test", "--client", "mm", "POST", "no path"], "this is no call"),
        (&["test", "--client", "mm"], "required"),
        (&["test", "--client", "mm", "POST", "/x", "--quote", "1"], "two plain decimals"),
        (&["show", "--client", "nobody"], "there is no client `nobody`"),
    ] {
        let said = place.policy(arguments);
        assert_eq!(said.status.code(), Some(2), "{arguments:?}");
        assert!(err(&said).contains(expected), "{arguments:?}: {}", err(&said));
    }
}

#[test]
fn a_table_of_cases_fails_where_one_does() {
    let place = Place::new("cases", &client("mm", 1, TRADER));
    let case = |name: &str, price: &str, expect: &str| {
        let body = order(price, "buy");
        format!(
            "[[cases]]\nname = \"{name}\"\nclient = \"mm\"\nmethod = \"POST\"\npath = \"/v1/order/new\"\n\
             body = '{body}'\nexpect = \"{expect}\"\n"
        )
    };
    let tested = |text: &str| place.policy(&["test", "--file", &place.write("cases.toml", text)]);
    let good = case("small", "500", "allow") + &case("large", "501", "order-too-large");
    let said = tested(&good);
    assert_eq!((said.status.code(), out(&said)), (Some(0), String::new()), "{}", err(&said));
    assert!(err(&said).contains("2 cases, 0 not as expected"), "{}", err(&said));
    let said = tested(&(good + &case("hoped", "502", "allow")));
    assert_eq!(said.status.code(), Some(1));
    assert!(
        out(&said).starts_with("hoped: expected allow, refused: order-too-large"),
        "{}",
        out(&said)
    );
    for (text, expected) in [
        (case("typo", "1", "order-to-large"), "neither \"allow\" nor a cause"),
        (case("x", "1", "allow").replace("mm", "xx"), "cases[0]: there is no client `xx`"),
        (case("x", "1", "allow").replace("expect", "expects"), "expects"),
        ("cases = []".to_owned(), "there is no [[cases]] in it"),
    ] {
        let said = tested(&text);
        assert_eq!(said.status.code(), Some(2), "{text}");
        assert!(err(&said).contains(expected), "{}", err(&said));
    }
}

#[test]
fn grants_are_shown_spelled_out() {
    let settings = "scopes = [\"send-crypto\", \"orders:create\"]\noperations = [\"stake\"]\nrate = \"60/min\"\n\
                    expires = \"2127-01-01T00:00:00Z\"\nmode = \"observe\"\naccounts = [\"cold\"]\n\
                    [clients.orders]\nsides = [\"buy\"]\nmax_notional = { usd = \"500\" }\n\
                    [[clients.withdrawals]]\ncurrency = \"btc\"\naddress = \"bc1q\"\nmax_per_day = \"0.5\"\n\
                    [clients.transfers]\nto = [\"cold\"]";
    let place = Place::new("show", &(client("a", 1, settings) + &client("b", 2, "")));
    let said = place.policy(&["show", "--client", "a"]);
    let text = out(&said);
    for expected in [
        "a\n",
        "key                          default (exchange)",
        "shares its key with          b",
        "credentials                  token",
        "mode                         observe",
        "expires                      2127-01-01T00:00:00Z",
        "rate                         60/min",
        "addresses:read crypto:send fees:read market:read orders:cancel orders:create",
        "operations beyond them       stake",
        "orders.sides                 buy",
        "orders.max_notional          500 usd",
        "btc to bc1q, at most 0.5 a day",
        "transfers.to                 cold",
        "withdraw_crypto_v1",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    // What the limits let nobody call is not listed.
    assert!(!text.contains("execute_instant_order") && !text.contains("create_account"), "{text}");
    let all: Value = serde_json::from_slice(&place.policy(&["show", "--json"]).stdout).unwrap();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert_eq!(all[0]["orders"]["max_notional"]["usd"], "500");
    assert_eq!(all[1]["changes"].as_array().map(Vec::len), Some(0));
}
