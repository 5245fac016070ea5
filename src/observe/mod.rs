//! Everything worth telling, told once: one record for each request, one line and some counters of
//! it. The line and the counters are functions of the record.

mod lines;
mod log;
mod metrics;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::call::{Call, ClientId, KeyName, OperationName, Outcome};
use crate::clock::{Clock, Ulid};
use crate::diagnose::{Context, Finding};
use crate::inbound::Peer;
use crate::nonce::Nonce;

pub(crate) use self::lines::Lines;
pub(crate) use self::log::Log;
pub(crate) use self::metrics::Metrics;

/// Takes in what happens.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

/// What is known of one request so far. Told when it is finished, or as `aborted` when it is dropped
/// before: by a client that left before anything was sent, or by a panic.
#[derive(Debug)]
pub(crate) struct Record {
    observer: Arc<Observer>,
    told: bool,
    pub(crate) facts: Facts,
}

/// The record itself. Its fields' names are those of the log line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) request_id: Ulid,
    pub(crate) began: Duration,
    pub(crate) peer: Option<Peer>,
    pub(crate) client: Option<ClientId>,
    pub(crate) method: Cow<'static, str>,
    /// The catalogue's name, so that it is bounded.
    pub(crate) operation: Option<OperationName>,
    pub(crate) scope: Option<&'static str>,
    pub(crate) key: Option<KeyName>,
    pub(crate) egress_ip: Option<Arc<str>>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) n_resigns: u32,
    /// In the lane, if it came that far.
    pub(crate) waited: Option<Duration>,
    /// From the first byte out to the head of the answer, of the last attempt.
    pub(crate) upstream: Duration,
    pub(crate) total: Duration,
    pub(crate) status: u16,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) decided_by: Option<&'static str>,
    pub(crate) cause: Option<&'static str>,
}

impl Observer {
    pub(crate) fn begin(self: &Arc<Self>, method: &str, peer: &Peer) -> Record {
        let facts = Facts {
            request_id: Ulid::new(self.clock.wall()),
            began: self.clock.monotonic(),
            peer: Some(peer.clone()),
            outcome: Some(Outcome::NotSent),
            method: word(method),
            ..Facts::default()
        };
        self.metrics.begun();
        Record { observer: Arc::clone(self), told: false, facts }
    }
}

impl Record {
    pub(crate) fn client(&mut self, client: &ClientId) {
        self.facts.client = Some(client.clone());
    }

    pub(crate) fn call(&mut self, call: &Call) {
        self.facts.operation = Some(call.operation.name.clone());
        self.facts.scope = call.scope.map(|it| it.as_str());
    }

    pub(crate) fn finding(&mut self, finding: &Finding) {
        self.facts.decided_by = Some(finding.decided_by.as_str());
        self.facts.cause = Some(finding.cause.code());
    }

    /// From here on it may be sent: whoever drops the record does not know.
    pub(crate) fn detach(&mut self) {
        self.facts.outcome = Some(Outcome::Unknown);
    }

    /// What of the record goes into a diagnosis.
    pub(crate) fn context(&self) -> Context {
        let facts = &self.facts;
        Context {
            request_id: facts.request_id,
            operation: facts.operation.clone(),
            scope: facts.scope,
            client: facts.client.clone(),
            key: facts.key.clone(),
            egress_ip: facts.egress_ip.clone(),
        }
    }

    /// Tells of the request. It is over, for the log; its body may still be streaming.
    pub(crate) fn finish(mut self, status: StatusCode, outcome: Outcome) {
        self.facts.status = status.as_u16();
        self.facts.outcome = Some(outcome);
        self.tell();
    }

    fn tell(&mut self) {
        self.told = true;
        self.facts.total = self.observer.clock.monotonic().saturating_sub(self.facts.began);
        self.observer.metrics.finished(&self.facts);
        line(&self.facts);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.told {
            self.facts.decided_by = Some("aborted");
            self.tell();
        }
    }
}

/// The method, if it is one of those that are used; of any other its beginning.
fn word(method: &str) -> Cow<'static, str> {
    match method {
        "GET" => "GET".into(),
        "POST" => "POST".into(),
        _ => method.chars().take(16).filter(char::is_ascii_graphic).collect(),
    }
}

/// The one line. No header, no body, no query, no payload.
fn line(facts: &Facts) {
    let peer = facts.peer.as_ref().map(Peer::to_string);
    let nonce = facts.nonce.map(|it| it.to_string());
    let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        request_id = facts.request_id.as_str(),
        client = facts.client.as_ref().map(ClientId::as_str),
        peer,
        method = &*facts.method,
        operation = facts.operation.as_ref().map(OperationName::as_str),
        scope = facts.scope,
        key = facts.key.as_ref().map(KeyName::as_str),
        status = facts.status,
        outcome = facts.outcome.map(Outcome::as_str),
        decided_by = facts.decided_by,
        cause = facts.cause,
        nonce,
        n_resigns = facts.n_resigns,
        wait_ms = facts.waited.map(millis),
        upstream_ms = millis(facts.upstream),
        total_ms = millis(facts.total),
        "request"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_as_they_are_known() {
        for (method, told) in [("GET", "GET"), ("POST", "POST"), ("get", "get")] {
            assert_eq!(word(method), told);
        }
        assert_eq!(word("ABCDEFGHIJKLMNOPQ"), "ABCDEFGHIJKLMNOP");
    }
}
