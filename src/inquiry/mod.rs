//! Explains a rejection: gathers the evidence, asks at most one question more, and has the rules judge.
//!
//! 1. It happens when the call's turn is over, so that nobody waits in the lane for it.
//! 2. A question is asked only where the cause is open: at most one for each key and minute, in its turn,
//!    and only where `probe` is on. The rejection waits for the answer for 250 ms and no longer.
//! 3. What is learned stays, whether anybody waited for it: of the key, the address, and incidents.

mod ask;

use std::pin::Pin;
use std::sync::Arc;

use crate::answer::{self, Received};
use crate::call::{Call, Identity};
use crate::diagnose::{
    self, Diagnosis, Evidence, KeyEvidence, NonceEvidence, Question, Report, SecretFile,
};
use crate::health::{Rejected, Turned};
use crate::nonce::{LaneView, Turn};
use crate::observe::Record;
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::roster::KeyRing;

/// What a call was signed with.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) ring: &'a Arc<KeyRing>,
    pub(crate) lane: LaneView,
    pub(crate) n_resigns: u32,
}

impl Proxy {
    /// Whether an answer needs no explanation. It shows then that key and address work.
    pub(crate) fn is_let_in(
        &self,
        received: &Received,
        call: &Call,
        ring: Option<&Arc<KeyRing>>,
    ) -> bool {
        let at = self.reading();
        if let Some(from) = received.left_from() {
            self.health.left_from(from, at.monotonic);
        }
        if self.provider.is_about_access(&received.answer) {
            return false;
        }
        if received.answer.status.as_u16() < 500 {
            let key = ring.map(|it| it.name());
            self.tell_turns(&self.health.worked(key, &call.operation.name, at));
            self.take_in_roles(received, call, ring);
        }
        true
    }

    /// The same as `explained`, of a call that was signed. Its turn ends before.
    pub(crate) fn explained_signed<'a>(
        self: &'a Arc<Self>,
        received: Received,
        mut turn: Turn,
        ring: &'a Arc<KeyRing>,
        record: &'a mut Record,
    ) -> Pin<Box<dyn Future<Output = Received> + Send + 'a>> {
        // Boxed: it is rare, and would make every call's future larger.
        Box::pin(async move {
            let signed = Signed { ring, lane: turn.lane(), n_resigns: turn.n_resigns() };
            turn.end();
            self.explain(received, turn.call(), Some(signed), record).await
        })
    }

    /// A rejection of public data, with its diagnosis.
    pub(crate) fn explained<'a>(
        self: &'a Arc<Self>,
        received: Received,
        call: &'a Call,
        record: &'a mut Record,
    ) -> Pin<Box<dyn Future<Output = Received> + Send + 'a>> {
        Box::pin(self.explain(received, call, None, record))
    }

    /// The answer, with its diagnosis. Takes in what it shows of the key and of the address.
    async fn explain(
        self: &Arc<Self>,
        received: Received,
        call: &Call,
        signed: Option<Signed<'_>>,
        record: &mut Record,
    ) -> Received {
        let (evidence, diagnosis) = self.diagnosed(&received, call, signed, record).await;
        let received = answer::annotate(received, diagnosis, signed.map(|it| &it.ring.key), record);
        if let Some((Diagnosis { finding, .. }, report)) = received.diagnosis() {
            let rejected = Rejected {
                key: signed.map(|it| it.ring.name()),
                operation: &call.operation.name,
                finding,
                request_id: record.facts.request_id,
                sent: record.facts.sent,
                status: evidence.status,
                reason: evidence.reason(),
                report,
            };
            self.tell_turns(&self.health.rejected(&rejected, self.reading()));
        }
        received
    }

    /// The diagnosis, and what it was made of: after one question more, where that may settle it.
    async fn diagnosed(
        self: &Arc<Self>,
        received: &Received,
        call: &Call,
        signed: Option<Signed<'_>>,
        record: &Record,
    ) -> (Evidence, Diagnosis) {
        let rules = self.provider.rules();
        let mut evidence = self.evidence(received, call, signed, record);
        let diagnosis = diagnose::diagnose(&evidence, rules);
        // The proxy's own errands ask the exchange nothing more: they may be such a question themselves.
        // A secret that was replaced is theirs to find too: an emergency must not fail for it.
        let own = record.facts.identity == Some(Identity::Proxy);
        let mut questions = diagnose::open_questions(&evidence, &diagnosis);
        questions.retain(|it| !own || *it == Question::Secret);
        let of = (signed.map(|it| it.ring), record.facts.sent);
        if !self.inquire(questions, of, &mut evidence).await {
            return (evidence, diagnosis);
        }
        let diagnosis = diagnose::diagnose(&evidence, rules);
        (evidence, diagnosis)
    }

    /// Takes in that a call had no answer, or none that can be used.
    pub(crate) fn missed(&self, refusal: &Refusal, record: &Record) {
        let unanswered = matches!(
            refusal,
            Refusal::Send { .. } | Refusal::Truncated { .. } | Refusal::Redirect { .. }
        );
        let Some(operation) = record.facts.operation.as_ref().filter(|_| unanswered) else {
            return;
        };
        let diagnosis = Diagnosis::from(refusal.finding());
        let context = record.context();
        let report = Report::new(&diagnosis, refusal.outcome(), &context).to_json();
        let rejected = Rejected {
            key: None,
            operation,
            finding: &diagnosis.finding,
            request_id: record.facts.request_id,
            sent: record.facts.sent,
            status: refusal.status().as_u16(),
            reason: None,
            report: &report,
        };
        self.tell_turns(&self.health.rejected(&rejected, self.reading()));
    }

    pub(crate) fn tell_turns(&self, turns: &[Turned]) {
        for turned in turns {
            self.observer.turned(turned);
        }
    }

    fn evidence(
        &self,
        received: &Received,
        call: &Call,
        signed: Option<Signed<'_>>,
        record: &Record,
    ) -> Evidence {
        let now = self.clock.monotonic();
        let operation = &call.operation;
        let key = |Signed { ring, .. }: Signed<'_>| {
            let credential = ring.key.credential();
            KeyEvidence {
                name: ring.name().to_string(),
                hint: credential.hint(),
                odd: !self.provider.is_key_text(credential.key_text()),
                master: credential.is_master(),
                account: ring.key.account.clone(),
                roles: self.health.roles(ring.name(), now),
                secret: SecretFile::NotAsked,
            }
        };
        let nonce = |Signed { lane, n_resigns, .. }: Signed<'_>| NonceEvidence {
            mode: lane.mode.as_str(),
            unit: lane.unit.as_str(),
            n_resigns,
            stopped: lane.stopped,
        };
        let mut evidence = received.evidence();
        evidence.environment = Some(self.environment.as_str());
        evidence.operation = Some(operation.name.to_string());
        evidence.roles_needed.clone_from(&operation.roles);
        evidence.client = record.facts.client.as_ref().map(ToString::to_string);
        evidence.key = signed.map(key);
        evidence.nonce = signed.map(nonce);
        evidence.skew_millis = self.server_clock.skew_millis(self.reading());
        evidence.past = self.health.past(signed.map(|it| it.ring.name()), &operation.name, now);
        evidence.changes = self.health.changes(now);
        evidence.egress.expected.clone_from(&self.expected);
        evidence
    }

    fn take_in_roles(&self, received: &Received, call: &Call, ring: Option<&Arc<KeyRing>>) {
        let Some((ring, body)) = ring.zip(received.whole()) else { return };
        if let Some(roles) = self.provider.roles(call, body) {
            self.health.learned_roles(ring.name(), roles, self.clock.monotonic());
        }
    }
}
