//! Explains a rejection: gathers the evidence, asks at most one question more, and has the rules judge.
//!
//! 1. It happens when the call's turn is over, so that nobody waits in the lane for it.
//! 2. A question is asked only where the cause is open: at most one for each key and minute, in its turn,
//!    and only where `probe` is on. The rejection waits for the answer for 250 ms and no longer.
//! 3. What is learned stays, whether anybody waited for it: of the key, the address, and incidents.

mod ask;

use std::sync::Arc;

use crate::answer::{self, Received};
use crate::call::{Call, Identity};
use crate::diagnose::{self, Diagnosis, Evidence, KeyEvidence, NonceEvidence, Report, SecretFile};
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
    /// The same as `explained`, of a call that was signed. Its turn ends.
    pub(crate) async fn explained_signed(
        self: &Arc<Self>,
        received: Received,
        turn: Turn,
        ring: &Arc<KeyRing>,
        record: &mut Record,
    ) -> Received {
        let signed = Signed { ring, lane: turn.lane(), n_resigns: turn.n_resigns() };
        let admission = turn.end();
        self.explained(received, admission.call(), Some(signed), record).await
    }

    /// The answer, with its diagnosis if it refuses access. Takes in what it shows of the key and of the
    /// address.
    pub(crate) async fn explained(
        self: &Arc<Self>,
        received: Received,
        call: &Call,
        signed: Option<Signed<'_>>,
        record: &mut Record,
    ) -> Received {
        let key = signed.map(|it| it.ring.name());
        let operation = &call.operation.name;
        let at = self.reading();
        if let Some(from) = received.left_from() {
            self.health.left_from(from, at.monotonic);
        }
        if !self.provider.is_about_access(&received.answer) {
            if received.answer.status.as_u16() < 500 {
                self.tell_turns(&self.health.worked(key, operation, at));
                self.take_in_roles(&received, call, signed);
            }
            return received;
        }
        let (evidence, diagnosis) = self.diagnosed(&received, call, signed, record).await;
        let received = answer::annotate(received, diagnosis, signed.map(|it| &it.ring.key), record);
        if let Some((Diagnosis { finding, .. }, report)) = received.diagnosis() {
            let rejected = Rejected {
                key,
                operation,
                finding,
                request_id: record.facts.request_id,
                status: evidence.status,
                reason: evidence.reason(),
                report,
            };
            self.tell_turns(&self.health.rejected(&rejected, at));
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
        // The proxy's own errands ask nothing more: they may be such a question themselves.
        let own = record.facts.identity == Some(Identity::Proxy);
        let questions = diagnose::open_questions(&evidence, &diagnosis);
        if own || questions.is_empty() {
            return (evidence, diagnosis);
        }
        let ring = signed.map(|it| it.ring);
        if !self.inquire(questions, ring, &mut evidence).await {
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

    fn take_in_roles(&self, received: &Received, call: &Call, signed: Option<Signed<'_>>) {
        let Some((Signed { ring, .. }, body)) = signed.zip(received.whole()) else { return };
        if let Some(roles) = self.provider.roles(call, body) {
            self.health.learned_roles(ring.name(), roles, self.clock.monotonic());
        }
    }
}
