//! From the parameters that a client gives, in a body or in `X-GEMINI-PAYLOAD`, to what is signed.
//!
//! Input: a byte of flags, a byte that chooses the endpoint, the payload's JSON, a zero byte, the body.
//!
//! Held: what is signed reads back as exactly the client's parameters (names, order, numbers and
//! strings to the letter) after our `request` and `nonce`, the client's own gone; a body and a payload
//! that differ are refused, and so is any signed payload that names another path; no parameter
//! is taken from JSON that could be read in two ways; and all that `desk` says of what goes out.

#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use geminid::fuzzing::{Desk, Sent};
use geminid_fuzz::desk::{ACCOUNT, MASTER, STAND_IN, TOKEN, check_refused, check_sent, mac};
use geminid_fuzz::json::{Tree, tree};
use http::{HeaderValue, Request};
use libfuzzer_sys::{Corpus, fuzz_target};

const ENDPOINTS: &[&str] = &[
    "POST /v1/order/new",
    "POST /v1/order/cancel",
    "POST /v1/order/cancel/all",
    "POST /v1/orders/history",
    "POST /v1/balances",
    "POST /v1/balances?a=1",
    "POST /v1/withdraw/btc",
    "POST /v1/withdraw/usd",
    "POST /v2/withdraw/bitcoin/btc",
    "POST /v1/account/transfer/btc",
    "POST /v1/account/create",
    "POST /v1/roles",
    "POST /v1/heartbeat",
    "GET /v1/symbols",
    "GET /v1/unknown",
    "POST /v1/unknown",
    "POST /v1/deposit/bitcoin/newAddress",
    "POST /v1/staking/stake",
    "GET /v1/prediction-markets/liquidity-rewards/summary/daily?limit=1",
    "GET /v1/prediction-markets/maker-rebate/summary/total?a=1&b=2",
    "POST /v1/prediction-markets/order",
    "POST /v1/clearing/new",
];

const HEADER: u8 = 1;
const SIGNED: u8 = 2;
const IS_MASTER: u8 = 4;
/// The payload is base64 already, or not.
const RAW: u8 = 8;
const WITH_TOKEN: u8 = 16;

fuzz_target!(|data: &[u8]| -> Corpus {
    let [flags, endpoint, rest @ ..] = data else { return Corpus::Reject };
    let has = |flag: u8| flags & flag != 0;
    let endpoint = ENDPOINTS[usize::from(endpoint & 31) % ENDPOINTS.len()];
    let at = rest.iter().position(|it| *it == 0).unwrap_or(rest.len());
    let (payload, body) = rest.split_at(at);
    let body = body.get(1..).unwrap_or_default();
    let (method, target) = endpoint.split_once(' ').expect("each has a method");

    let mut request = Request::builder().method(method).uri(target).header("host", "localhost");
    let header = if has(RAW) { payload.to_vec() } else { BASE64_STANDARD.encode(payload).into() };
    let claimed = BASE64_STANDARD.decode(&header).ok();
    if has(HEADER) || has(SIGNED) {
        let Ok(value) = HeaderValue::from_bytes(&header) else { return Corpus::Reject };
        request = request.header("x-gemini-payload", value);
    }
    if has(SIGNED) {
        let signature = mac(STAND_IN.1, &header);
        request = request.header("x-gemini-apikey", STAND_IN.0);
        request = request.header("x-gemini-signature", signature);
    } else if has(WITH_TOKEN) {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    let (head, ()) = request.body(()).expect("its parts were checked").into_parts();

    let desk: &Desk = if has(IS_MASTER) { &MASTER } else { &ACCOUNT };
    let sent = match desk.ask(&head, body) {
        Err(refused) => {
            check_refused(&refused);
            return Corpus::Keep;
        }
        Ok(sent) => sent,
    };
    let (path, query) = target.split_once('?').map_or((target, None), |(a, b)| (a, Some(b)));
    let Some(signed) = check_sent(desk, &sent, path, query) else { return Corpus::Keep };
    let who = if has(SIGNED) {
        "pair"
    } else if has(WITH_TOKEN) {
        "token"
    } else {
        "nobody"
    };
    assert_eq!(sent.client.as_deref(), Some(who));
    let claimed = claimed.filter(|_| has(HEADER) || has(SIGNED));
    check_merged(&sent, &signed, claimed.as_deref(), body, has(SIGNED));
    Corpus::Keep
});

fn check_merged(sent: &Sent, signed: &Tree, payload: Option<&[u8]>, body: &[u8], is_signed: bool) {
    let payload = payload.map_or_else(|| Tree::Table(Vec::new()), understood);
    let body = if body.is_empty() { Tree::Table(Vec::new()) } else { understood(body) };
    if is_signed {
        let named = payload.get("request").and_then(Tree::as_str).unwrap_or_default();
        assert!(named == sent.path || named == sent.path_and_query, "{named}");
    }
    let (payload, body) = (without_ours(payload), without_ours(body));
    let empty = |it: &Tree| it.members().is_some_and(<[_]>::is_empty);
    let meant = if empty(&body) { &payload } else { &body };
    assert!(
        empty(&body) || empty(&payload) && !is_signed || body.means(&payload),
        "both, and different"
    );
    let parameters = tree(sent.parameters.as_bytes()).expect("parameters are JSON");
    assert_eq!(&parameters, meant);
    assert!(signed.members().is_some_and(|it| it.len() >= 2));
}

/// What two readers cannot read differently.
fn understood(text: &[u8]) -> Tree {
    let it = tree(text).expect("parameters were taken of what is no JSON");
    assert!(it.members().is_some() && !it.repeats(), "parameters were taken of {it:?}");
    it
}

fn without_ours(it: Tree) -> Tree {
    let Tree::Table(mut members) = it else { return it };
    members.retain(|(name, _)| name != "request" && name != "nonce");
    Tree::Table(members)
}
