//! What the proxy asks with a key of its own accord: how its nonces count, which orders are open, and
//! that all of them be cancelled.
//!
//! An errand goes the way of every signed call: a turn on the key's lane, a nonce, a record, a line in the
//! audit trail. It has no client, and no budget counts it.

use std::sync::Arc;

use http::HeaderMap;

use crate::answer::{self, Received};
use crate::call::{Call, Identity, Priority};
use crate::egress::{SendError, SendFault};
use crate::limit;
use crate::nonce::{LaneView, Turn, Verdict};
use crate::observe::Record;
use crate::policy;
use crate::proxy::{Learned, Proxy};
use crate::refusal::Refusal;
use crate::roster::KeyRing;

impl Proxy {
    /// Asks the exchange how this key's nonces count, in a turn that nothing shares.
    pub(crate) async fn learn(
        &self,
        turn: Turn,
        ring: &KeyRing,
        record: &mut Record,
    ) -> Result<Learned, Refusal> {
        let mut signed = self.provider.probe(turn.probe(), &ring.key);
        record.facts.nonce = Some(signed.nonce);
        let nothing = HeaderMap::new();
        let mut response = self.send(signed.wire, &nothing, signed.turn.call(), record).await;
        if response.as_ref().is_err_and(SendError::was_pooled) {
            signed = self.provider.probe(signed.turn.probe(), &ring.key);
            response = self.send(signed.wire, &nothing, signed.turn.call(), record).await;
        }
        let turn = signed.turn;
        // Whatever became of the question, the call itself was not sent.
        let response = response.map_err(|fault| Refusal::unsent(fault.kind))?;
        let received = answer::read(self.provider, response, None, Some(&ring.key));
        let broken = |refusal: Refusal| Refusal::unsent(SendFault::Closed(refusal.to_string()));
        let mut received = received.await.map_err(broken)?;
        let said = self.provider.verdict(&received.answer);
        // Only a success shows that the question itself was answered.
        let silent = said == Verdict::Accepted && !received.answer.status.is_success();
        let verdict = if silent { Verdict::Silent } else { said };
        if turn.learn(verdict, self.reading()) {
            let LaneView { mode, unit, .. } = turn.lane();
            tracing::info!(key = %ring.key.name, %mode, %unit, "learned how this key counts");
            return Ok(Learned::Taught(Box::new(turn)));
        }
        if !self.provider.is_about_access(&received.answer) {
            return Err(Refusal::Unlearned { status: received.answer.status.as_u16() });
        }
        // What refuses the question would refuse the call: the client gets to see it.
        received.answers_question = true;
        Ok(Learned::Rejected(Box::new((received, turn))))
    }

    /// Makes a call of the proxy's own, and tells of it as of any other.
    pub(crate) async fn run_errand(
        self: &Arc<Self>,
        ring: &Arc<KeyRing>,
        call: Call,
    ) -> Result<Received, Refusal> {
        let mut record = self.observer.begin(call.operation.method.as_str(), &Default::default());
        record.facts.identity = Some(Identity::Proxy);
        record.facts.key = Some(ring.name().clone());
        record.call(&call);
        let done = self.errand(ring, call, &mut record).await;
        match &done {
            Ok(received) => record.finish(received.answer.status, received.outcome()),
            Err(refusal) => {
                record.finding(&refusal.finding());
                record.finish(refusal.status(), refusal.outcome());
            }
        }
        done
    }

    async fn errand(
        self: &Arc<Self>,
        ring: &Arc<KeyRing>,
        call: Call,
        record: &mut Record,
    ) -> Result<Received, Refusal> {
        let admission = limit::free(policy::own(call)?);
        let lane = ring.lane()?;
        // An emergency is tried whatever was refused before: a key may be taken again that is set aside.
        let emergency = admission.call().operation.priority == Priority::Emergency;
        let gate = || self.health.gate(ring.name(), self.clock.monotonic());
        let pass = if emergency { None } else { Some(gate()?) };
        self.ready.wait().await?;
        // To take risk back is not held up by a disk: the line comes when it can.
        drop(record.intend(admission.call()));
        let turn = self.turn(lane, admission, record).await?;
        pass.map_or(Ok(()), |it| it.used(self.clock.monotonic()))?;
        record.detach();
        self.carry_out_signed(turn, ring, None, &HeaderMap::new(), record).await
    }
}
