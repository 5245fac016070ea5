//! `GET /incidents`: what is wrong with which key or with the address, and what was.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::text;
use crate::call::OperationName;
use crate::clock::{self, UnixMicros};
use crate::diagnose::Change;
use crate::health::{Incident, KeyHealth, Overview};
use crate::message::Body;
use crate::proxy::Proxy;

pub(super) fn answer(proxies: &[Arc<Proxy>]) -> Response<Body> {
    let mut all = Overview::default();
    for proxy in proxies {
        let at = proxy.reading();
        proxy.tell_turns(&proxy.health.settle(at));
        let Overview { open, closed, keys } = proxy.health.overview(at);
        all.open.extend(open);
        all.closed.extend(closed);
        all.keys.extend(keys);
    }
    let Overview { open, closed, keys } = all;
    let incidents = |them: &[Incident]| them.iter().map(incident).collect::<Value>();
    let keys: Value = keys.iter().map(key).collect();
    let told = json!({"open": incidents(&open), "closed": incidents(&closed), "keys": keys});
    let mut response = text(StatusCode::OK, told.to_string());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn incident(it: &Incident) -> Value {
    let Incident { id, cause, key, operations, n_rejected, began, last, ended, .. } = it;
    let Incident { lasted, line, fix, report, change, .. } = it;
    let diagnosis: Value = serde_json::from_str(report).unwrap_or_default();
    json!({
        "id": id.as_str(),
        "cause": cause.code(),
        "title": cause.title(),
        "key": key.as_ref().map(|it| it.as_str()),
        "operations": operations.iter().map(OperationName::as_str).collect::<Vec<_>>(),
        "rejected": n_rejected,
        "began": time(*began),
        "last": time(*last),
        "ended": ended.map(|(at, _)| time(at)),
        "closed_by": ended.map(|(_, by)| by.as_str()),
        "seconds": lasted.as_secs(),
        "line": &**line,
        "fix": fix.as_ref().map(|it| it.text.as_str()),
        "change": change.as_ref().map(|it| change_before(it, *began)),
        "diagnosis": diagnosis,
    })
}

/// A change here, which was so long before the first rejection.
fn change_before(change: &Change, began: UnixMicros) -> Value {
    let at = UnixMicros(began.0.saturating_sub(clock::micros(change.ago)));
    json!({"what": change.what.as_str(), "at": time(at), "detail": change.detail})
}

fn key(it: &KeyHealth) -> Value {
    let KeyHealth { key, condition, roles, worked, rejected, cause } = it;
    json!({
        "key": key.as_str(),
        "state": condition.as_str(),
        "roles": roles,
        "last_worked": worked.map(time),
        "last_rejected": rejected.map(time),
        "cause": cause.map(|it| it.code()),
    })
}

fn time(at: UnixMicros) -> String {
    let mut text = String::new();
    clock::write_time(&mut text, at);
    text
}
