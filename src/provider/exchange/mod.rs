//! The Gemini exchange: `api.gemini.com`.
//!
//! Facts of the wire and their sources are in `docs/exchange.md`.

mod catalog;
mod orders;
mod own;
mod read;
mod rejection;
mod rules;
mod sign;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use self::sign::bench_sign;

use crate::call::{Call, Operation, Orders};
use crate::diagnose::Rule;
use crate::limit::Admission;
use crate::nonce::{Numbered, Verdict};
use crate::policy::Quote;
use crate::provider::{
    Answer, Asked, Environment, Key, Presented, Provider, Route, Routes, Signed, Unreadable, Wire,
};

// As texts they would be read anew as header names at every look.
static API_KEY: HeaderName = HeaderName::from_static("x-gemini-apikey");
static PAYLOAD: HeaderName = HeaderName::from_static("x-gemini-payload");
static SIGNATURE: HeaderName = HeaderName::from_static("x-gemini-signature");

/// Of a signature, and of what it signs.
fn signing_names() -> [&'static HeaderName; 3] {
    [&API_KEY, &PAYLOAD, &SIGNATURE]
}

/// Whether no header of a request speaks of signing.
fn is_unsigned(headers: &HeaderMap) -> bool {
    !headers.keys().any(|it| it.as_str().starts_with("x-gemini-"))
}

#[derive(Debug)]
pub(crate) struct Exchange;

impl Provider for Exchange {
    fn name(&self) -> &'static str {
        "exchange"
    }

    fn host(&self, environment: Environment) -> Option<&'static str> {
        match environment {
            Environment::Production => Some("api.gemini.com"),
            Environment::Sandbox => Some("api.sandbox.gemini.com"),
            Environment::Simulator => None,
        }
    }

    fn stream_host(&self, environment: Environment) -> Option<&'static str> {
        match environment {
            Environment::Production => Some("ws.gemini.com"),
            Environment::Sandbox => Some("ws.sandbox.gemini.com"),
            Environment::Simulator => None,
        }
    }

    fn operations(&self) -> &'static [Arc<Operation>] {
        &catalog::OPERATIONS
    }

    fn date_request(&self) -> Wire {
        // There is no time endpoint; other programs take the `Date` of this one too (seen).
        Wire::new(http::Method::GET, "/v1/symbols".to_owned(), HeaderMap::new())
    }

    fn presented<'a>(&self, headers: &'a HeaderMap) -> Option<Presented<'a>> {
        let [key, signature] = [&API_KEY, &SIGNATURE].map(|it| headers.get(it));
        if key.is_none() && signature.is_none() {
            // A payload alone carries parameters and claims nothing.
            return None;
        }
        let bytes = |it: Option<&'a HeaderValue>| it.map_or(&[][..], |it| it.as_bytes());
        let payload = bytes(headers.get(&PAYLOAD));
        Some(Presented { key: bytes(key), payload, signature: bytes(signature) })
    }

    fn is_credential(&self, name: &str) -> bool {
        signing_names().iter().any(|it| it.as_str() == name)
    }

    fn is_public(&self, routes: &Routes, method: &str, path: &str, headers: &HeaderMap) -> bool {
        match routes.find(method, path) {
            Route::Found(operation) => operation.is_public() && method == "GET",
            Route::Method(_) => false,
            Route::Unknown => method == "GET" && is_unsigned(headers),
        }
    }

    fn read(&self, routes: &Routes, asked: &Asked<'_>) -> Result<Call, Unreadable> {
        read::read(routes, asked)
    }

    fn sign(&self, numbered: Numbered, key: &Key) -> Signed {
        sign::call(numbered, key)
    }

    fn payload(&self, wire: &Wire) -> Option<HeaderValue> {
        wire.headers.get(&PAYLOAD).cloned()
    }

    fn probe(&self, numbered: Numbered, key: &Key) -> Signed {
        sign::probe(numbered, key)
    }

    fn plain(&self, admission: &Admission) -> Wire {
        sign::plain(admission)
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        rejection::verdict(answer)
    }

    fn is_about_access(&self, answer: &Answer) -> bool {
        rejection::is_about_access(answer)
    }

    fn is_maintenance(&self, answer: &Answer) -> bool {
        rejection::is_maintenance(answer)
    }

    fn tells_of_orders(&self, call: &Call) -> bool {
        orders::TELLING.contains(&call.operation.name.as_str())
    }

    fn orders(&self, call: &Call, body: &[u8]) -> Orders {
        let said = orders::orders(call.operation.name.as_str(), body);
        match said {
            // With a condition it may be a part of the list: nothing follows for what it lacks.
            Orders::Active(some) if call.parameters.names().any(|it| it != "account") => {
                Orders::Each(some)
            }
            Orders::Active(_) | Orders::Each(_) | Orders::Nothing => said,
        }
    }

    fn ticker(&self, symbol: &str) -> Wire {
        own::ticker(symbol)
    }

    fn quote(&self, body: &[u8]) -> Option<Quote> {
        own::quote(body)
    }

    fn cancel_all(&self, account: Option<&str>) -> Call {
        own::cancel_all(account)
    }

    fn n_cancelled(&self, body: &[u8]) -> Option<usize> {
        orders::n_cancelled(body)
    }

    fn active_orders(&self, account: Option<&str>) -> Call {
        own::active_orders(account)
    }

    fn is_key_text(&self, text: &str) -> bool {
        // As documented; `group-` is tested for by the exchange's own command line.
        ["account-", "master-", "group-"].iter().any(|it| text.starts_with(it))
    }

    fn roles_question(&self, account: Option<&str>) -> Call {
        own::roles_question(account)
    }

    fn roles(&self, call: &Call, body: &[u8]) -> Option<Vec<String>> {
        own::roles(call, body)
    }

    fn rules(&self) -> &'static [Rule] {
        rules::RULES
    }
}
