//! The path of a request, top to bottom. Read this file first.
//!
//! Each step takes what the one before it made, so that none can be left out: a call that was
//! *identified* and *permitted* is *admitted*, waits for its *turn*, gets a *nonce*, is *signed*, and is
//! *sent*. What it takes of a budget, and that it is about to be sent, is on the disk before its first
//! byte leaves. Up to its turn it belongs to its client: who goes away while waiting sends nothing. From
//! the turn on it is *carried*: who goes away in the middle of an order does not take the order's outcome
//! with it.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::answer::{self, Received};
use crate::call::{Call, Identified, Identity, Orders, Outcome, Priority};
use crate::clock::Clock;
use crate::egress::{Arriving, Egress, SendError};
use crate::freeze::Freezer;
use crate::health::Health;
use crate::inbound::{self, Caller, Claim, Doors, Peer, Replays, Throttle, Unidentified};
use crate::limit::{self, Admission, Budgets, Moment};
use crate::message::Body;
use crate::nonce::{Lane, Next, Reading, ServerClock, Turn};
use crate::observe::{Intent, Observer, Record};
use crate::outside::Outside;
use crate::policy;
use crate::provider::{Asked, Environment, Key, Provider, Routes, Signed, Wire};
use crate::quotes::Quotes;
use crate::ready::Ready;
use crate::refusal::Refusal;
use crate::roster::{Client, KeyRing, Roster};
use crate::task::{Panicked, Tasks};

/// How often a request that found a dead connection, and so was not sent, is tried again: with a fresh
/// nonce each time.
const MAX_RECONNECTS: u32 = 2;
/// How long a request waits for its key's turn: shorter than bots wait for their answer (ccxt: 10 s),
/// so that they hear that nothing was sent.
const LANE_PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits for the disk to keep what it takes of a budget: as long as for its line in the trail.
const BUDGET_PATIENCE: Duration = Duration::from_secs(1);

/// One upstream, with everyone who may call it. Immutable, but for the roster, what is frozen, budgets,
/// quotes, lanes, replays, the throttle and metrics.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) provider: &'static dyn Provider,
    pub(crate) environment: Environment,
    pub(crate) routes: Routes,
    pub(crate) doors: Doors,
    /// Whether public data needs no client.
    pub(crate) public: bool,
    /// Held only to clone or to replace what is in it.
    pub(crate) roster: RwLock<Arc<Roster>>,
    pub(crate) freezer: Arc<Freezer>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) quotes: Quotes,
    pub(crate) egress: Egress,
    pub(crate) egress_ip: Option<Arc<str>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) health: Health,
    /// Whether questions of our own are asked after a rejection.
    pub(crate) probe: bool,
    pub(crate) outside: Outside,
    /// The addresses in the keys' lists, as configured.
    pub(crate) expected: Vec<IpAddr>,
    pub(crate) server_clock: Arc<ServerClock>,
    pub(crate) ready: Arc<Ready>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) replays: Arc<Replays>,
    pub(crate) throttle: Throttle,
    pub(crate) observer: Arc<Observer>,
    pub(crate) tasks: Tasks,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    pub(crate) order: Duration,
    pub(crate) read: Duration,
}

/// A call that may be sent, and with which of the client's headers.
struct Cleared {
    admission: Admission,
    /// `None` for public data.
    signer: Option<Signer>,
    /// The client's own signature, if it counts only once.
    claim: Option<Claim>,
    forwarded: HeaderMap,
}

/// Who a call is signed for, and what it leaves behind before it is.
struct Signer {
    ring: Arc<KeyRing>,
    /// Asked once more whether it is frozen, when its turn has come.
    who: Identified,
    intent: Intent,
}

/// A call whose turn it is.
struct Started {
    go: Go,
    claim: Option<Claim>,
    forwarded: HeaderMap,
}

/// What it goes out with.
enum Go {
    /// Public data waits for no turn.
    Unsigned(Box<Admission>),
    Signed(Box<Turn>, Arc<KeyRing>, Identified),
}

impl Proxy {
    /// Answers one request, and tells of it exactly once.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Body> {
        let mut record = self.observer.begin(request.method().as_str(), &peer);
        let as_proxy = request.uri().authority().is_some();
        let (head, mut body) = request.into_parts();
        let Started { go, mut claim, forwarded } =
            match self.start(&head, &mut body, &peer, &mut record).await {
                Ok(started) => started,
                Err(refusal) => {
                    self.missed(&refusal, &record);
                    let reusable = inbound::drain(&mut body).await;
                    let answer = answer::refuse(&refusal, record, as_proxy);
                    return if reusable { answer } else { answer::closing(answer) };
                }
            };
        record.detach();
        claim.iter_mut().for_each(Claim::spend);
        let context = record.context();
        let this = Arc::clone(&self);
        let carried = self.tasks.carry("call", async move {
            let result = this.carry_out(go, &forwarded, &mut record).await;
            let unsent = match &result {
                Ok(received) => received.answers_question,
                Err(refusal) => refusal.outcome() == Outcome::NotSent,
            };
            if let Some(claim) = claim.filter(|_| unsent) {
                claim.give_back();
            }
            match result {
                Ok(received) => answer::pass(received, record),
                Err(refusal) => {
                    this.missed(&refusal, &record);
                    answer::refuse(&refusal, record, as_proxy)
                }
            }
        });
        carried.await.unwrap_or_else(|Panicked| {
            // The record has told of itself. Whether the call was sent is not known.
            let refusal = Refusal::Internal { outcome: Outcome::Unknown };
            answer::compose(&refusal, &context, as_proxy)
        })
    }

    /// Clears a request, and waits for its turn.
    async fn start(
        self: &Arc<Self>,
        head: &Parts,
        body: &mut Incoming,
        peer: &Peer,
        record: &mut Record,
    ) -> Result<Started, Refusal> {
        let Cleared { admission, signer, claim, forwarded } =
            self.clear(head, body, peer, record).await?;
        record.facts.egress_ip.clone_from(&self.egress_ip);
        let go = match signer {
            None => Go::Unsigned(Box::new(admission)),
            Some(Signer { ring, who, intent }) => {
                let lane = ring.lane()?;
                let pass = self.health.gate(ring.name(), self.clock.monotonic())?;
                self.ready.wait().await?;
                // Before its turn: a disk that is slow for an order holds up nobody's cancel.
                recorded(&intent, &admission).await?;
                let turn = self.turn(lane, admission, record).await?;
                // Who was frozen while it waited goes no further.
                self.still_thawed(&who, turn.call(), record)?;
                pass.used(self.clock.monotonic())?;
                Go::Signed(Box::new(turn), ring, who)
            }
        };
        Ok(Started { go, claim, forwarded })
    }

    /// Everything that is asked before anything is sent.
    async fn clear(
        self: &Arc<Self>,
        head: &Parts,
        body: &mut Incoming,
        peer: &Peer,
        record: &mut Record,
    ) -> Result<Cleared, Refusal> {
        // One policy for the whole request, whatever is reloaded meanwhile.
        let roster = self.roster();

        // Did a program send this, and to us?
        let target = inbound::target(head, &self.doors)?;
        if head.headers.contains_key(http::header::UPGRADE) {
            return Err(Refusal::Upgrade);
        }
        inbound::no_credential_in(target.query.as_deref())?;

        // Who asks? Public data needs nobody, and a token that comes along goes no further.
        let (method, path) = (head.method.as_str(), target.path.as_str());
        let public =
            self.public && self.provider.is_public(&self.routes, method, path, &head.headers);
        let caller = self.identify(&roster, &head.headers, peer, public, record)?;

        // What for?
        let body = inbound::body(&head.headers, body).await?;
        let asked = Asked {
            method,
            path,
            query: target.query.as_deref(),
            headers: &head.headers,
            body: &body,
            payload_is_signed: caller.as_ref().is_some_and(|it| it.who.how() == Identity::StandIn),
            public: self.public,
        };
        let call = self.provider.read(&self.routes, &asked)?;
        record.call(&call);

        // May they, and may they now?
        let forwarded = answer::forwarded(&head.headers);
        let unsigned = call.operation.is_public();
        if self.public && unsigned {
            let admission = limit::free(policy::public(call)?);
            return Ok(Cleared { admission, signer: None, claim: None, forwarded });
        }
        let caller = caller.ok_or(Unidentified::Missing)?;
        let client = known(&roster, &caller)?;
        record.facts.policy = Arc::clone(&roster.version);
        record.facts.key = (!unsigned).then(|| client.key.name().clone());
        let permit = self.judge(client, &caller, call, record).await?;
        let claim = self.claim(permit.call(), &caller, &head.headers)?;
        let admission = self.admit(client, permit, record)?;
        let signer = (!unsigned).then(|| Signer {
            ring: Arc::clone(&client.key),
            who: caller.who,
            intent: record.intend(admission.call()),
        });
        Ok(Cleared { admission, signer, claim, forwarded })
    }

    /// Sends a call whose turn it is, and reads its answer.
    async fn carry_out(
        self: &Arc<Self>,
        go: Go,
        forwarded: &HeaderMap,
        record: &mut Record,
    ) -> Result<Received, Refusal> {
        match go {
            Go::Unsigned(admission) => {
                let call = admission.call();
                let wire = || self.provider.plain(&admission);
                let response = match self.send(wire(), forwarded, call, record).await {
                    // A connection of the pool had died: nothing left, and another is had.
                    Err(fault) if fault.was_pooled() => {
                        self.send(wire(), forwarded, call, record).await
                    }
                    first => first,
                };
                let response = response.map_err(|fault| refused(fault, call))?;
                let received = self.read(response, call, None).await?;
                if self.is_let_in(&received, call, None) {
                    return Ok(received);
                }
                Ok(self.explained(received, call, record).await)
            }
            Go::Signed(turn, ring, who) => {
                self.carry_out_signed(*turn, &ring, Some(&who), forwarded, record).await
            }
        }
    }

    /// Signs, sends, and signs afresh as long as the nonce is refused. The turn is held from the nonce
    /// to the answer, so that nonces arrive in order, and is over before a rejection is explained. `who` is
    /// asked before each attempt whether it was frozen meanwhile; the proxy's own errands are nobody's.
    pub(crate) async fn carry_out_signed(
        self: &Arc<Self>,
        mut turn: Turn,
        ring: &Arc<KeyRing>,
        who: Option<&Identified>,
        forwarded: &HeaderMap,
        record: &mut Record,
    ) -> Result<Received, Refusal> {
        let mut n_reconnects = 0;
        loop {
            if turn.must_learn() {
                // Boxed: it is rare, and would make every call's future larger.
                match Box::pin(self.learn(turn, ring, record)).await? {
                    Learned::Taught(next) => turn = *next,
                    Learned::Rejected(rejected) => {
                        let (received, turn) = *rejected;
                        return Ok(self.explained_signed(received, turn, ring, record).await);
                    }
                }
            }
            let monotonic = || self.clock.monotonic();
            let numbered = turn.number(monotonic, tokio::time::sleep).await;
            let numbered = numbered.inspect_err(|_| self.ready.ask_again())?;
            if let Some(who) = who {
                self.still_thawed(who, numbered.call(), record)?;
            }
            let Signed { wire, turn: held, nonce } = self.provider.sign(numbered, &ring.key);
            turn = held;
            record.facts.nonce = Some(nonce);
            record.facts.payload = self.provider.payload(&wire);
            let asked = self.moment();
            turn.admission_mut().sent();
            let received = match self.send(wire, forwarded, turn.call(), record).await {
                Ok(response) => self.read(response, turn.call(), Some(&ring.key)).await,
                Err(fault) if fault.was_pooled() && n_reconnects < MAX_RECONNECTS => {
                    n_reconnects += 1;
                    turn.admission_mut().unsent();
                    continue;
                }
                Err(fault) => Err(refused(fault, turn.call())),
            };
            let received = received.inspect_err(|refusal| {
                turn.admission_mut().settle(refusal.outcome(), &Orders::Nothing, self.moment());
            })?;
            let verdict = self.provider.verdict(&received.answer);
            let next = turn.settle(verdict, self.reading());
            record.facts.n_resigns = turn.n_resigns();
            match next {
                Next::Again(pause) => {
                    turn.admission_mut().unsent();
                    tokio::time::sleep(pause).await;
                    turn = turn.again(self.clock.monotonic()).await?;
                }
                Next::Done | Next::Stop(_) => {
                    self.take_in(&received, &mut turn, ring, asked, record);
                    if self.is_let_in(&received, turn.call(), Some(ring)) {
                        return Ok(received);
                    }
                    return Ok(self.explained_signed(received, turn, ring, record).await);
                }
            }
        }
    }

    /// What a call's answer says of orders: its own budget, that of earlier ones, and the record learn
    /// of it. The answer to a new order speaks of that order alone, whoever else has used its name.
    fn take_in(
        &self,
        received: &Received,
        turn: &mut Turn,
        ring: &KeyRing,
        asked: Moment,
        record: &mut Record,
    ) {
        let orders = match received.whole() {
            Some(body) if received.answer.status.is_success() => {
                self.provider.orders(turn.call(), body)
            }
            Some(_) | None => Orders::Nothing,
        };
        record.orders(turn.call(), &orders);
        // An edge that gave up waiting is no proof that the exchange did.
        let gave_up = received.answer.status == StatusCode::REQUEST_TIMEOUT;
        let outcome = if gave_up { Outcome::Unknown } else { received.outcome() };
        turn.admission_mut().settle(outcome, &orders, self.moment());
        if turn.call().order.is_some() {
            return;
        }
        let account = turn.call().account.as_deref().or(ring.key.account.as_deref());
        self.budgets.learn(Some(ring.name()), account, &orders, asked);
    }

    pub(crate) async fn turn(
        &self,
        lane: &Arc<Lane>,
        admission: Admission,
        record: &mut Record,
    ) -> Result<Turn, Refusal> {
        let began = self.clock.monotonic();
        let patience = match admission.call().operation.priority {
            // Nobody is before it but the call that is under way, which ends by then.
            Priority::Emergency => self.deadlines.longest().saturating_add(LANE_PATIENCE),
            Priority::Cancel | Priority::Heartbeat | Priority::Order | Priority::Read => {
                LANE_PATIENCE
            }
        };
        let turn = tokio::time::timeout(patience, lane.turn(admission, began)).await;
        record.facts.waited = Some(self.clock.monotonic().saturating_sub(began));
        Ok(turn.map_err(|_| Refusal::LaneBusy(patience))??)
    }

    pub(crate) async fn send(
        &self,
        wire: Wire,
        forwarded: &HeaderMap,
        call: &Call,
        record: &mut Record,
    ) -> Result<Response<Arriving>, SendError> {
        let began = self.clock.monotonic();
        record.facts.sent = began;
        let response = self.egress.send(wire, forwarded, self.deadlines.of(call)).await;
        record.facts.upstream = self.clock.monotonic().saturating_sub(began);
        if let Ok(response) = &response {
            let from = response.body().from.as_ref().and_then(|it| it.text.as_ref());
            record.facts.egress_ip = from.or(self.egress_ip.as_ref()).map(Arc::clone);
            self.ready.observe(response.headers(), &self.server_clock, began, self.reading());
        }
        response
    }

    async fn read(
        &self,
        response: Response<Arriving>,
        call: &Call,
        key: Option<&Key>,
    ) -> Result<Received, Refusal> {
        answer::read(self.provider, response, Some(call), key).await
    }

    /// Everyone who may call, and what they hold, at this moment.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these. Requests in flight keep those that they began with.
    pub(crate) fn enlist(&self, roster: Arc<Roster>) {
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = roster;
    }

    pub(crate) fn reading(&self) -> Reading {
        Reading { wall: self.clock.wall(), monotonic: self.clock.monotonic() }
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment::new(self.clock.wall(), self.clock.monotonic())
    }
}

/// What the question about a key's nonces led to.
pub(crate) enum Learned {
    Taught(Box<Turn>),
    /// The exchange refuses the key itself.
    Rejected(Box<(Received, Turn)>),
}

impl Deadlines {
    fn of(self, call: &Call) -> Duration {
        if call.effect.mutates() { self.order } else { self.read }
    }

    fn longest(self) -> Duration {
        self.order.max(self.read)
    }
}

/// The client that the roster's own directory has named.
fn known<'a>(roster: &'a Roster, caller: &Caller) -> Result<&'a Client, Refusal> {
    roster.clients.get(caller.index).ok_or(Refusal::Internal { outcome: Outcome::NotSent })
}

/// Waits until the intent and the reservation are on the disk. Only new risk is held up by a disk that is
/// full: a cancel lowers it.
async fn recorded(intent: &Intent, admission: &Admission) -> Result<(), Refusal> {
    let call = admission.call();
    if call.effect.mutates() && !call.operation.lowers_risk() {
        intent.written().await?;
        let reserved = tokio::time::timeout(BUDGET_PATIENCE, admission.written()).await;
        reserved
            .map_err(|_| Refusal::Budget("the disk does not answer".to_owned()))?
            .map_err(|fault| Refusal::Budget(fault.to_string()))?;
    }
    Ok(())
}

fn refused(fault: SendError, call: &Call) -> Refusal {
    Refusal::Send { fault, mutates: call.effect.mutates() }
}
