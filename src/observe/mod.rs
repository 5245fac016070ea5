//! Everything worth telling, told once: one record for each request, one line in the log, one in the
//! audit trail and some counters of it. Lines and counters are functions of the record.
//!
//! A call that changes something has a second line in the trail: its intent, before its first byte.
//! The records of the last hour are kept, for an operator who asks after one.

mod audit;
mod lines;
mod log;
mod metrics;
mod recent;
mod turned;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::call::{Call, ClientId, Identified, Identity, KeyName, OperationName, Orders, Outcome};
use crate::clock::{Clock, Ulid};
use crate::diagnose::{Context, Finding};
use crate::inbound::Peer;
use crate::journal::trail::{self, Trail, TrailFault};
use crate::limit::Admission;
use crate::nonce::Nonce;
use crate::policy::Rule;
use crate::secret::sha256_text;

use self::audit::Event;

pub(crate) use self::audit::Details;
pub(crate) use self::lines::Lines;
pub(crate) use self::log::Log;
pub(crate) use self::metrics::Metrics;
pub(crate) use self::recent::{KEPT, Recent};

/// Takes in what happens.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) trail: Trail,
    pub(crate) recent: Recent,
}

/// The line of a call that is about to change something.
#[derive(Debug)]
#[must_use = "nothing is sent before it is written"]
pub(crate) struct Intent {
    trail: Trail,
}

/// What is known of one request so far. Told when it is finished, or as `aborted` when it is dropped
/// before: by a client that left before anything was sent, or by a panic.
#[derive(Debug)]
pub(crate) struct Record {
    observer: Arc<Observer>,
    told: bool,
    pub(crate) facts: Facts,
}

/// The record itself. What its fields are called in the log and in the trail, `audit` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) request_id: Ulid,
    pub(crate) began: Duration,
    pub(crate) peer: Option<Peer>,
    pub(crate) client: Option<ClientId>,
    /// How the client showed who it is.
    pub(crate) identity: Option<Identity>,
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
    /// When the last attempt was sent. Monotonic.
    pub(crate) sent: Duration,
    /// From the first byte out to the head of the answer, of the last attempt.
    pub(crate) upstream: Duration,
    pub(crate) total: Duration,
    pub(crate) status: u16,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) decided_by: Option<&'static str>,
    pub(crate) cause: Option<&'static str>,
    /// Of the policy: `allowed`, `refused`, `observed`; empty before it has decided.
    pub(crate) decision: &'static str,
    /// The setting that decided; of what is observed, the one that would have refused it.
    pub(crate) rule: Option<String>,
    /// The version of the policy; empty where nobody says.
    pub(crate) policy: Arc<str>,
    /// Of the parameters of a call that changes something, as they are signed: without `request`,
    /// `nonce`, and the account that a master key adds.
    pub(crate) payload_sha256: Option<String>,
    /// The cause with which it would have been refused, were the client not only observed.
    pub(crate) would_refuse: Option<&'static str>,
    pub(crate) order_id: Option<String>,
    pub(crate) client_order_id: Option<String>,
    pub(crate) details: Option<Box<Details>>,
    /// The member `diagnosis` of the answer, as JSON.
    pub(crate) report: Option<Arc<str>>,
    /// What was signed last, as it went out.
    pub(crate) payload: Option<HeaderValue>,
    // Whether it changes something, and whether the trail was told before.
    mutates: bool,
    intended: bool,
}

impl Facts {
    fn decision(&self) -> Option<&'static str> {
        match self.decision {
            "" if self.decided_by == Some("proxy") => Some("refused"),
            "" => None,
            said => Some(said),
        }
    }

    /// What the trail has of a call that changed something, or may have.
    fn recorded(&self) -> Option<&'static str> {
        let sent = self.mutates && self.outcome.is_some_and(|it| it != Outcome::NotSent);
        sent.then_some(if self.intended { "intent_and_outcome" } else { "nothing_before" })
    }
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
        self.facts.mutates = call.effect.mutates();
        if self.observer.trail.is_on() {
            self.facts.details = Details::of(call);
            let named = call.order.as_ref().and_then(|it| it.client_order_id.as_deref());
            self.facts.client_order_id = named.map(brief);
            self.facts.payload_sha256 = self.facts.mutates.then(|| digest(call));
        }
    }

    pub(crate) fn identified(&mut self, who: &Identified) {
        self.facts.client = Some(who.client().clone());
        self.facts.identity = Some(who.how());
    }

    /// Takes in which setting decided, for yes or for no.
    pub(crate) fn judged(&mut self, rule: &Rule) {
        self.facts.rule = Some(rule.to_string());
        self.facts.decision = "refused";
    }

    /// Takes in that it may be sent, and by which setting and with which cause it would be refused, were
    /// its client not only observed.
    pub(crate) fn allowed(
        &mut self,
        admission: &Admission,
        would_refuse: Option<(Rule, &'static str)>,
    ) {
        self.facts.decision = "allowed";
        if let Some((rule, cause)) = would_refuse {
            self.facts.decision = "observed";
            self.facts.rule = Some(rule.to_string());
            self.facts.would_refuse = Some(cause);
        }
        let order = admission.permit().share().order.as_ref();
        if let (Some(share), Some(details)) = (order, &mut self.facts.details) {
            details.worth(share);
        }
    }

    /// Takes in what the answer says of the order that the call placed.
    pub(crate) fn orders(&mut self, call: &Call, orders: &Orders) {
        if call.order.is_none() {
            return;
        }
        if let Orders::Each(states) = orders
            && let [state] = states.as_slice()
        {
            self.facts.order_id = Some(brief(&state.order_id));
            if let Some(named) = &state.client_order_id {
                self.facts.client_order_id = Some(brief(named));
            }
        }
    }

    /// Tells the trail that the call is about to be sent. Whoever sends it waits for
    /// [`Intent::written`] first.
    pub(crate) fn intend(&mut self, call: &Call) -> Intent {
        let trail = self.observer.trail.clone();
        if trail.is_on() && call.effect.mutates() {
            self.facts.intended = true;
            let now = self.observer.clock.wall();
            trail.append(audit::line(&self.facts, Event::Intent, now));
        }
        Intent { trail }
    }

    pub(crate) fn finding(&mut self, finding: &Finding) {
        self.facts.decided_by = Some(finding.decided_by.as_str());
        self.facts.cause = Some(finding.cause.code());
    }

    /// Takes in the member `diagnosis` of its answer, as JSON.
    pub(crate) fn explained(&mut self, report: Arc<str>) {
        self.facts.report = Some(report);
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
        audit::log(&self.facts);
        if self.observer.trail.is_on() {
            let now = self.observer.clock.wall();
            self.observer.trail.append(audit::line(&self.facts, Event::Request, now));
        }
        // Last: the facts move.
        self.observer.recent.keep(std::mem::take(&mut self.facts));
    }
}

impl Intent {
    /// Resolves when the line is on the disk, or in a second at most.
    ///
    /// # Errors
    /// If it is not: the call must not be sent.
    pub(crate) fn written(&self) -> impl Future<Output = Result<(), TrailFault>> + Send + use<> {
        self.trail.written()
    }
}

fn digest(call: &Call) -> String {
    sha256_text(&[b"{", call.parameters.members_json().as_bytes(), b"}"])
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.told {
            self.facts.decided_by = Some("aborted");
            self.tell();
        }
    }
}

/// A foreign word, as long as the trail has it and one more, so that it shows where it was cut.
fn brief(word: &str) -> String {
    word.chars().take(trail::MOST_CHARS + 1).collect()
}

/// The method, if it is one of those that are used; of any other its beginning.
fn word(method: &str) -> Cow<'static, str> {
    match method {
        "GET" => "GET".into(),
        "POST" => "POST".into(),
        _ => method.chars().take(16).filter(char::is_ascii_graphic).collect(),
    }
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
