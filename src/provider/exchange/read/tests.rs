//! Request forms of real clients, and what is refused.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::provider;

struct Sent<'a> {
    method: &'a str,
    target: &'a str,
    body: &'a str,
    payload: Option<&'a str>,
    signed: bool,
}

fn post<'a>(target: &'a str, body: &'a str, payload: Option<&'a str>) -> Sent<'a> {
    Sent { method: "POST", target, body, payload, signed: false }
}

fn read_it(sent: &Sent<'_>) -> Result<Call, Unreadable> {
    let mut headers = HeaderMap::new();
    if let Some(payload) = sent.payload {
        let text = BASE64_STANDARD.encode(payload);
        headers.insert(&PAYLOAD, HeaderValue::try_from(text).unwrap());
    }
    let (path, query) =
        sent.target.split_once('?').map_or((sent.target, None), |(a, b)| (a, Some(b)));
    let routes = Routes::new(provider::ALL.iter().flat_map(|it| it.operations()));
    let asked = Asked {
        method: sent.method,
        path,
        query,
        headers: &headers,
        body: sent.body.as_bytes(),
        payload_is_signed: sent.signed,
        public: true,
    };
    read(&routes, &asked)
}

#[track_caller]
fn taken(sent: &Sent<'_>, operation: &str, parameters: &str) {
    let call = read_it(sent).unwrap();
    assert_eq!(call.operation.name, operation);
    assert_eq!(call.parameters.members_json(), parameters);
}

#[track_caller]
fn refused(sent: &Sent<'_>, expected: &str) {
    let said = read_it(sent).unwrap_err().to_string();
    assert!(said.contains(expected), "{said:?} does not say {expected:?}");
}

const ORDER: &str = "/v1/order/new";

#[test]
fn forms_of_real_clients() {
    // Unsigned JSON, as a person writes it.
    taken(&post(ORDER, r#"{"symbol": "btcusd"}"#, None), "create_order", r#""symbol":"btcusd""#);
    // The official MCP server: header only, empty body.
    let payload = r#"{"request":"/v1/order/new","nonce":1790000000,"symbol":"btcusd"}"#;
    taken(&post(ORDER, "", Some(payload)), "create_order", r#""symbol":"btcusd""#);
    // npm clients: nonce first, and `{}` as the body.
    let payload = r#"{"nonce":1,"request":"/v1/balances"}"#;
    taken(&post("/v1/balances", "{}", Some(payload)), "list_balances", "");
    // ccxt: the parameters again, without `request` and `nonce`.
    let payload = r#"{"request":"/v1/order/new","nonce":"1","a":"x","b":1}"#;
    taken(&post(ORDER, r#"{"b":1,"a":"x"}"#, Some(payload)), "create_order", r#""b":1,"a":"x""#);
    // Gemini's Python samples: the whole payload again as the body.
    taken(&post(ORDER, payload, Some(payload)), "create_order", r#""a":"x","b":1"#);
}

#[test]
fn all_digits_survive() {
    let body = r#"{"order_id":73797746498585286,"amount":0.1234567890123456789}"#;
    let expected = r#""order_id":73797746498585286,"amount":0.1234567890123456789"#;
    taken(&post("/v1/order/cancel", body, None), "cancel_order", expected);
    taken(&post("/v1/order/cancel", "", Some(body)), "cancel_order", expected);
}

#[test]
fn two_different_texts_are_refused() {
    refused(&post(ORDER, r#"{"a":1}"#, Some(r#"{"a":2}"#)), "different parameters");
    refused(&post(ORDER, r#"{"a":1}"#, Some(r#"{"a":1.0}"#)), "different parameters");
    refused(&post(ORDER, r#"{"a":1}"#, Some(r#"{"a":1,"b":2}"#)), "different parameters");
}

#[test]
fn what_is_not_strict_json_is_refused() {
    refused(&post(ORDER, "symbol=btcusd", None), "the body is not acceptable as JSON");
    refused(&post(ORDER, r#"{"a":1,"\u0061":2}"#, None), "stands twice");
    refused(&post(ORDER, "", Some("[]")), "`X-GEMINI-PAYLOAD` is not acceptable");
    refused(
        &post(ORDER, r#"{"Account":"x"}"#, None),
        "`Account` in the body is not the exchange's spelling",
    );
    refused(&post(ORDER, r#"{"NONCE":1}"#, None), "is not the exchange's spelling");
    refused(&post(ORDER, r#"{"account":["x"]}"#, None), "`account` is not a text");
}

#[test]
fn a_signed_payload_must_name_the_path() {
    let signed = |payload| Sent { signed: true, ..post(ORDER, "", Some(payload)) };
    taken(&signed(r#"{"request":"/v1/order/new","nonce":1}"#), "create_order", "");
    refused(&signed(r#"{"request":"/v1/order/cancel","nonce":1}"#), "names /v1/order/cancel");
    refused(&signed(r#"{"nonce":1}"#), "the signed payload names");
    refused(&signed(r#"{"request":"/v1/\u007f"}"#), r"the signed payload names /v1/\u{7f}, the");
    // Unsigned, `request` is re-derived: a base URL with a prefix does no harm.
    taken(&post(ORDER, "", Some(r#"{"request":"/proxy/v1/order/new"}"#)), "create_order", "");
}

#[test]
fn queries_go_by_the_catalogue() {
    let get = |target| Sent { method: "GET", target, body: "", payload: None, signed: false };
    assert_eq!(
        read_it(&get("/v1/trades/btcusd?limit_trades=5")).unwrap().query.unwrap(),
        "limit_trades=5"
    );
    refused(&post("/v1/balances?x=1", "", None), "not in a query");
    let bare = "/v1/prediction-markets/positions?a=1";
    assert_eq!(read_it(&post(bare, "", None)).unwrap().query.unwrap(), "a=1");
    refused(&post("/v1/prediction-markets/positions?a=1&a=2", "", None), "twice in the query");
}

#[test]
fn unknown_paths_are_refused_and_public_ones_pass() {
    let get = |target| Sent { method: "GET", target, body: "", payload: None, signed: false };
    assert_eq!(read_it(&get("/v9/new/data")).unwrap().operation.name, "uncatalogued_public_get");
    let signed = Sent { payload: Some("{}"), ..get("/v9/new/data") };
    refused(&signed, "the catalogue has no GET /v9/new/data");
    refused(&post("/v9/new/thing", "", None), "the catalogue has no POST");
    refused(&get("/v1/balances"), "takes POST");
    refused(&Sent { body: r#"{"a":1}"#, ..get("/v1/symbols") }, "parameters in its body");
    // A payload on public data goes no further.
    taken(&Sent { payload: Some(r#"{"a":1}"#), ..get("/v1/symbols") }, "list_symbols", "");
}

#[test]
fn money_is_told_from_crypto_by_its_code() {
    let body = r#"{"address":"x","amount":1}"#;
    let crypto = read_it(&post("/v1/withdraw/BTC", body, None)).unwrap();
    assert_eq!((crypto.scope, crypto.effect), (Some(Scope::CryptoSend), Effect::CryptoWithdrawal));
    assert_eq!(crypto.withdrawal.unwrap().currency, "BTC");
    for path in ["/v1/withdraw/EUR", "/v1/withdraw/gbp", "/v1/withdraw/usd"] {
        let fiat = read_it(&post(path, body, None)).unwrap();
        assert_eq!(fiat.effect, Effect::FiatWithdrawal, "{path}");
        assert_eq!(fiat.scope, Some(Scope::FiatWithdraw), "{path}");
    }
    let v2 = read_it(&post("/v2/withdraw/ethereum/usdc", r#"{"address":"x","tag":"y"}"#, None));
    let v2 = v2.unwrap().withdrawal.unwrap();
    assert_eq!((v2.network.as_deref(), v2.unchecked.as_deref()), (Some("ethereum"), Some("tag")));
}

/// What goes out is measured, not what came in: spaces do not count.
#[test]
fn parameters_fit_one_header() {
    let longest = "x".repeat(MAX_PARAMETERS - r#""a":"""#.len());
    let body = |text: &str, spaces: usize| format!(r#"{{"a":"{text}"{}}}"#, " ".repeat(spaces));
    let more = format!("{longest}x");
    for spaces in [0, 1, MAX_PARAMETERS] {
        let fits = body(&longest, spaces);
        read_it(&post("/v1/order/new", &fits, None)).unwrap();
        read_it(&post("/v1/order/new", "", Some(&fits))).unwrap();
        let over = body(&more, spaces);
        refused(&post("/v1/order/new", &over, None), "longer than the header");
        refused(&post("/v1/order/new", "", Some(&over)), "longer than the header");
    }
}

proptest! {
    /// What is inspected is what is signed: the members that go out read back as those that came in.
    #[test]
    fn parameters_are_neither_added_nor_lost(
        members in prop::collection::btree_map("[a-z]{1,8}", "[ -~é]{0,12}", 0..8),
    ) {
        let text = serde_json::to_string(&members).unwrap();
        let call = read_it(&post("/v1/orders/history", &text, None)).unwrap();
        let mut expected = Object::parse(text.as_bytes()).unwrap();
        expected.remove("nonce");
        expected.remove("request");
        prop_assert!(call.parameters.same(&expected));
    }

    #[test]
    fn any_request_is_survived(
        path in "/[ -~]{0,30}", query in prop::option::of("[ -~]{0,20}"),
        body in prop::collection::vec(any::<u8>(), 0..60), payload in "[ -~]{0,40}",
    ) {
        let routes = Routes::new(provider::ALL.iter().flat_map(|it| it.operations()));
        let mut headers = HeaderMap::new();
        headers.insert(&PAYLOAD, HeaderValue::try_from(payload).unwrap());
        let asked = Asked {
            method: "POST", path: &path, query: query.as_deref(), headers: &headers,
            body: &body, payload_is_signed: true, public: true,
        };
        drop(read(&routes, &asked).map(|call| Arc::clone(&call.operation)));
    }
}
