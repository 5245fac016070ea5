//! The simulator's own endpoints, under `/_simulator/`.
//!
//! 1. They are on the same port as the exchange, unauthenticated, and not in the ledger.
//! 2. `GET ledger?since=N`, `GET summary`, `GET refusals`, `GET address`, `POST reset`, `POST keys`,
//!    `POST accounts`, `POST script`, `DELETE script`, `POST settings`.
//! 3. `address` is what an address service is: the caller's address as text. The status page is at the
//!    path of the real one, on this port.
//! 4. A fault of the request is a 400 with one sentence.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::simulator::account::AccountState;
use crate::simulator::key::KeySpec;
use crate::simulator::refusals;
use crate::simulator::reply::Reply;
use crate::simulator::script;
use crate::simulator::status_page;
use crate::simulator::status_page::StatusPage;
use crate::simulator::venue::Asked;
use crate::simulator::venue::Venue;

const PREFIX: &str = "/_simulator/";

pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with(PREFIX) || path == status_page::PATH
}

pub(crate) fn answer(venue: &Venue, asked: &Asked) -> Reply {
    if asked.path == status_page::PATH {
        return Reply::json(StatusCode::OK, &venue.state().settings.status_page.json());
    }
    let name = asked.path.strip_prefix(PREFIX).unwrap_or_default();
    if (&asked.method, name) == (&Method::GET, "address") {
        return Reply::text(StatusCode::OK, format!("{}\n", asked.peer));
    }
    let done = match (&asked.method, name) {
        (&Method::GET, "ledger") => Ok(venue.state().ledger.json(since(asked.query.as_deref()))),
        (&Method::GET, "summary") => Ok(summary(venue)),
        (&Method::GET, "refusals") => Ok(refusals::list()),
        (&Method::POST, "accounts") => accounts(venue, &asked.body),
        (&Method::POST, "reset") => Ok(reset(venue)),
        (&Method::POST, "keys") => keys(venue, &asked.body),
        (&Method::POST, "script") => add_rules(venue, &asked.body),
        (&Method::DELETE, "script") => {
            venue.state().script.clear();
            Ok(json!({ "result": "ok", "rules": 0 }))
        }
        (&Method::POST, "settings") => settings(venue, &asked.body),
        _ => {
            let text = "there is: GET ledger?since=N, GET summary, GET refusals, GET address, \
                 POST reset, POST keys, POST accounts, POST script, DELETE script, POST settings";
            return Reply::json(StatusCode::NOT_FOUND, &json!({ "error": text }));
        }
    };
    match done {
        Ok(value) => Reply::json(StatusCode::OK, &value),
        Err(fault) => Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": fault.to_string() })),
    }
}

fn since(query: Option<&str>) -> u64 {
    let parameters = query.unwrap_or_default().split('&');
    let since = parameters.filter_map(|it| it.strip_prefix("since=")).next();
    since.and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn summary(venue: &Venue) -> Value {
    let state = venue.state();
    let mut summary = state.ledger.summary();
    if let Some(summary) = summary.as_object_mut() {
        let count = |counter: u64| Value::from(counter);
        let connections = venue.connections.load(Ordering::Relaxed);
        let handshakes = venue.handshakes.load(Ordering::Relaxed);
        summary.insert("connections".to_owned(), count(connections));
        summary.insert("tls_handshakes".to_owned(), count(handshakes));
        summary.insert("script_rules".to_owned(), state.script.len().into());
    }
    summary
}

/// Forgets requests and rules. Orders, balances, keys and nonce marks stay, as they would at the
/// real exchange.
fn reset(venue: &Venue) -> Value {
    let mut state = venue.state();
    state.ledger.reset();
    state.script.clear();
    venue.connections.store(0, Ordering::Relaxed);
    venue.handshakes.store(0, Ordering::Relaxed);
    json!({ "result": "ok" })
}

fn keys(venue: &Venue, body: &[u8]) -> serde_json::Result<Value> {
    let spec: KeySpec = serde_json::from_slice(body)?;
    let name = spec.key.clone();
    venue.add_key(spec);
    Ok(json!({ "result": "ok", "key": name }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    account: String,
    state: AccountState,
}

fn accounts(venue: &Venue, body: &[u8]) -> serde_json::Result<Value> {
    let Account { account, state } = serde_json::from_slice(body)?;
    venue.set_account(&account, state);
    Ok(json!({ "result": "ok", "account": account }))
}

fn add_rules(venue: &Venue, body: &[u8]) -> serde_json::Result<Value> {
    let rules = script::parse(body)?;
    let mut state = venue.state();
    state.script.add(rules);
    Ok(json!({ "result": "ok", "rules": state.script.len() }))
}

/// What is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    delay_ms: Option<u64>,
    clock_offset_seconds: Option<i64>,
    unknown_key_status: Option<u16>,
    status_as_object: Option<bool>,
    status_page: Option<StatusPage>,
}

fn settings(venue: &Venue, body: &[u8]) -> serde_json::Result<Value> {
    let changes: Changes = serde_json::from_slice(body)?;
    let Changes { delay_ms, clock_offset_seconds, unknown_key_status, .. } = changes;
    let Changes { status_as_object, status_page, .. } = changes;
    let mut state = venue.state();
    let settings = &mut state.settings;
    settings.delay = delay_ms.map_or(settings.delay, Duration::from_millis);
    settings.clock_offset_seconds = clock_offset_seconds.unwrap_or(settings.clock_offset_seconds);
    settings.unknown_key_status = unknown_key_status.unwrap_or(settings.unknown_key_status);
    if let Some(page) = status_page {
        settings.status_page = page;
    }
    let world = &mut state.world;
    world.status_as_object = status_as_object.unwrap_or(world.status_as_object);
    Ok(json!({ "result": "ok" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_found_among_parameters() {
        assert_eq!(since(Some("a=1&since=42")), 42);
        assert_eq!(since(Some("since=x")), 0);
        assert_eq!(since(None), 0);
    }
}
