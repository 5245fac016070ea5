//! Puts the credential on: payload, base64, HMAC-SHA384, three headers.
//!
//! The payload is a JSON object: `request`, `nonce`, the parameters as they were inspected, and under
//! a master key the account. The HMAC is over the base64 text, not the JSON; the body stays empty
//! (documented: developer.gemini.com/authentication/api-key).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};

use super::{API_KEY, PAYLOAD, SIGNATURE};
use crate::call::{self, AccountRule, Call, QueryRule};
use crate::json;
use crate::limit::Admission;
use crate::nonce::{Nonce, Numbered};
use crate::provider::{Key, Signed, Wire};
use crate::secret::Credential;

const ROLES: &str = "/v1/roles";

pub(super) fn call(numbered: Numbered, key: &Key) -> Signed {
    let call = numbered.call();
    let nonce = numbered.nonce();
    let path_and_query = path_and_query(call);
    let request = match call.operation.query {
        QueryRule::Signed => path_and_query.as_str(),
        QueryRule::Open | QueryRule::Bare | QueryRule::Refused => call.path.as_str(),
    };
    let account = account(call, key);
    let parameters = call.parameters.members_json();
    let headers = headers(&key.credential(), &payload(request, nonce, &parameters, account));
    let wire = wire(call.operation.method, path_and_query, headers);
    Signed { wire, nonce, turn: numbered.into_turn() }
}

pub(super) fn probe(numbered: Numbered, key: &Key) -> Signed {
    let nonce = numbered.nonce();
    let headers = headers(&key.credential(), &payload(ROLES, nonce, "", None));
    let wire = wire(call::Method::Post, ROLES.to_owned(), headers);
    Signed { wire, nonce, turn: numbered.into_turn() }
}

pub(super) fn plain(admission: &Admission) -> Wire {
    let call = admission.call();
    wire(call.operation.method, path_and_query(call), HeaderMap::new())
}

/// The sub-account to add, which the client did not name.
fn account<'key>(call: &Call, key: &'key Key) -> Option<&'key str> {
    let wanted = key.credential().is_master()
        && call.operation.account == AccountRule::Inject
        && call.account.is_none();
    key.account.as_deref().filter(|_| wanted)
}

/// `request` holds only bytes that need no escape: the path was checked when it came in.
fn payload(request: &str, nonce: Nonce, parameters: &str, account: Option<&str>) -> String {
    let mut json = String::with_capacity(64 + request.len() + parameters.len());
    write!(json, r#"{{"request":"{request}","nonce":{nonce}"#).expect("a string takes all");
    if !parameters.is_empty() {
        json.push(',');
        json.push_str(parameters);
    }
    if let Some(account) = account {
        json.push_str(r#","account":"#);
        json.push_str(&json::quote(account));
    }
    json.push('}');
    json
}

fn headers(credential: &Credential, payload: &str) -> HeaderMap {
    let payload = BASE64_STANDARD.encode(payload);
    let signature = credential.signature_header(payload.as_bytes());
    let mut payload = HeaderValue::try_from(payload).expect("base64 is ASCII");
    payload.set_sensitive(true);

    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(API_KEY.clone(), credential.key_header());
    headers.insert(PAYLOAD.clone(), payload);
    headers.insert(SIGNATURE.clone(), signature);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers
}

fn wire(method: call::Method, path_and_query: String, headers: HeaderMap) -> Wire {
    let method = match method {
        call::Method::Get => Method::GET,
        call::Method::Post => Method::POST,
    };
    Wire::new(method, path_and_query, headers)
}

fn path_and_query(call: &Call) -> String {
    match &call.query {
        Some(query) => format!("{}?{query}", call.path),
        None => call.path.clone(),
    }
}

/// The work of signing one call, for `benches/`: splice, base64, HMAC, headers.
#[must_use]
pub(crate) fn bench_sign(credential: &Credential, nonce: Nonce, parameters: &str) -> HeaderMap {
    headers(credential, &payload("/v1/order/new", nonce, parameters, None))
}
