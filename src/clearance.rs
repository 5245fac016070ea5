//! Who asks, may they, and may they now: the questions that are asked before anything is sent, one
//! function each, in the order in which `proxy` asks them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderMap;

use crate::call::{Call, Identified, Identity};
use crate::clock::micros;
use crate::inbound::{Caller, Claim, Peer, Unidentified};
use crate::limit::{Admission, Holder, Spent};
use crate::observe::Record;
use crate::policy::{self, Case, KeyFacts, Permit};
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::roster::{Client, KeyRing, Roster};

/// How often a key is asked which orders are open, because a client has too many.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Proxy {
    pub(crate) fn identify(
        &self,
        roster: &Roster,
        headers: &HeaderMap,
        peer: &Peer,
        public: bool,
        record: &mut Record,
    ) -> Result<Option<Caller>, Refusal> {
        let found = roster.directory.identify(self.provider, headers, peer, self.clock.wall());
        match &found {
            Ok(caller) => record.identified(&caller.who),
            Err(
                Unidentified::Expired { client }
                | Unidentified::Outdated { client, .. }
                | Unidentified::Address { client, .. },
            ) => record.client(client),
            Err(_) => {}
        }
        match found {
            Ok(caller) => Ok(Some(caller)),
            Err(_) if public => Ok(None),
            Err(unidentified) => {
                let now = self.clock.monotonic();
                Err(self.throttle.weigh(unidentified, peer, now).into())
            }
        }
    }

    /// May they? A limit on an order's worth asks what the market pays.
    pub(crate) async fn judge(
        &self,
        client: &Client,
        caller: &Caller,
        call: Call,
        record: &mut Record,
    ) -> Result<Permit, Refusal> {
        let quote = match policy::wants_quote(&client.grant, &call) {
            None => None,
            Some(symbol) => {
                // Boxed: most calls want none, and all would be larger for it.
                Box::pin(self.quotes.of(&symbol, self.provider, &self.egress, &*self.clock)).await
            }
        };
        let unsigned = call.operation.is_public();
        let case = Case {
            grant: &client.grant,
            key: if unsigned { KeyFacts::default() } else { client.key_facts() },
            who: &caller.who,
            freeze: self.freezer.of(&client.id),
            quote: quote.as_deref(),
        };
        let decided = policy::decide(&case, call);
        match &decided {
            Ok(permit) => record.judged(permit.rule()),
            Err(denial) => record.judged(&denial.rule()),
        }
        Ok(decided?)
    }

    /// May they now? What the call takes of its client's budgets is reserved in the same step.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: &Client,
        permit: Permit,
        record: &mut Record,
    ) -> Result<Admission, Refusal> {
        let account = permit.call().account.clone().or_else(|| client.key.key.account.clone());
        let holder = Holder {
            client: &client.id,
            key: Some(client.key.name()),
            account: account.as_deref(),
            grant: &client.grant,
            request_id: record.facts.request_id,
        };
        let admitted = self.budgets.admit(permit, &holder, self.moment());
        let admission = admitted.inspect_err(|spent| {
            record.judged(&spent.rule());
            self.look_again(spent, &client.key, account.clone());
        })?;
        let cause = |refusal: Refusal| refusal.finding().cause.code();
        let denial = admission.permit().would_refuse();
        let denial = denial.map(|it| (it.rule(), cause(it.clone().into())));
        let spent = || admission.would_refuse().map(|it| (it.rule(), cause(it.clone().into())));
        record.allowed(&admission, denial.or_else(spent));
        Ok(admission)
    }

    /// Asked again where time has passed: who is frozen goes no further.
    pub(crate) fn still_thawed(
        &self,
        who: &Identified,
        call: &Call,
        record: &mut Record,
    ) -> Result<(), Refusal> {
        let thawed = policy::thawed(self.freezer.of(who.client()), who, call);
        thawed.inspect_err(|denial| record.judged(&denial.rule()))?;
        Ok(())
    }

    /// A signed request that changes something counts once. A read may repeat.
    pub(crate) fn claim(
        &self,
        call: &Call,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Option<Claim>, Refusal> {
        let counts = caller.who.how() == Identity::StandIn && call.effect.mutates();
        let Some(presented) = self.provider.presented(headers).filter(|_| counts) else {
            return Ok(None);
        };
        let claim = self.replays.claim(presented.signature, self.clock.monotonic());
        claim.map(Some).ok_or(Refusal::Replay)
    }

    /// Has the exchange asked which orders are open, where somebody is held up by those that may have
    /// ended since: an order that is filled tells nobody. Whoever comes next finds them counted anew.
    pub(crate) fn look_again(
        self: &Arc<Self>,
        spent: &Spent,
        ring: &Arc<KeyRing>,
        account: Option<String>,
    ) {
        if !matches!(spent, Spent::OpenOrders { .. }) {
            return;
        }
        let (now, every) = (micros(self.clock.monotonic()), micros(LOOK_EVERY));
        let free =
            |last: u64| (last == 0 || now.saturating_sub(last) >= every).then_some(now.max(1));
        let (order, none) = (Ordering::AcqRel, Ordering::Acquire);
        if ring.looked.fetch_update(order, none, free).is_ok() {
            let (this, ring) = (Arc::clone(self), Arc::clone(ring));
            let look = async move {
                let call = this.provider.active_orders(account.as_deref());
                // It has a record of its own, and what it learned is counted.
                drop(this.run_errand(&ring, call).await);
            };
            drop(self.tasks.spawn("open orders", look));
        }
    }
}
