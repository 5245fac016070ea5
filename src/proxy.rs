//! The path of a request, top to bottom. Read this file first.
//!
//! Each step takes what the one before it made, so that none can be left out: a call that was
//! *identified* and *permitted* is *admitted*, waits for its *turn*, gets a *nonce*, is *signed*, and is
//! *sent*. Up to its turn it belongs to its client: who goes away while waiting sends nothing. From the
//! turn on it is *carried*: who goes away in the middle of an order does not take the order's outcome
//! with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use crate::answer::{self, Circumstances, Received};
use crate::call::{Call, Freeze, Identity, Outcome};
use crate::clock::Clock;
use crate::egress::{Arriving, Egress, SendError, SendFault};
use crate::inbound::{self, Caller, Claim, Directory, Doors, Replays, Throttle, Unidentified};
use crate::journal::Damage;
use crate::limit::{self, Admission};
use crate::message::Body;
use crate::nonce::{Busy, Lane, LaneView, Next, Reading, ServerClock, Turn, Verdict};
use crate::observe::{Observer, Record};
use crate::policy::{self, Case, Grant, KeyFacts};
use crate::provider::{Asked, Key, Provider, Routes, Signed, Wire};
use crate::ready::Ready;
use crate::refusal::Refusal;
use crate::task::{Panicked, Tasks};

/// How often a request that found a dead connection, and so was not sent, is tried again: with a fresh
/// nonce each time.
const MAX_RECONNECTS: u32 = 2;
/// How long a request waits for its key's turn: shorter than bots wait for their answer (ccxt: 10 s),
/// so that they hear that nothing was sent.
const LANE_PATIENCE: Duration = Duration::from_secs(5);

/// One upstream, with everyone who may call it. Immutable, but for lanes, replays, the throttle
/// and metrics.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) provider: &'static dyn Provider,
    pub(crate) routes: Routes,
    pub(crate) doors: Doors,
    /// Whether public data needs no client.
    pub(crate) public: bool,
    pub(crate) directory: Directory,
    /// In the order of the directory's entries.
    pub(crate) clients: Vec<Client>,
    pub(crate) egress: Egress,
    pub(crate) egress_ip: Option<Arc<str>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) server_clock: Arc<ServerClock>,
    pub(crate) ready: Arc<Ready>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) replays: Arc<Replays>,
    pub(crate) throttle: Throttle,
    pub(crate) observer: Arc<Observer>,
    pub(crate) tasks: Tasks,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) grant: Grant,
    pub(crate) key: Arc<KeyRing>,
}

/// A key, its lane, and whether more than one client uses it.
#[derive(Debug)]
pub(crate) struct KeyRing {
    pub(crate) key: Key,
    /// Without a lane there is no turn, and without a turn no signature.
    pub(crate) lane: Result<Arc<Lane>, Damage>,
    pub(crate) shared: bool,
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
    key: Option<Arc<KeyRing>>,
    /// The client's own signature, if it counts only once.
    claim: Option<Claim>,
    forwarded: HeaderMap,
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
    Signed(Box<Turn>, Arc<KeyRing>),
}

impl Proxy {
    /// Answers one request, and tells of it exactly once.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        let mut record = self.observer.begin(request.method().as_str(), peer.ip());
        let as_proxy = request.uri().authority().is_some();
        let (head, mut body) = request.into_parts();
        let Started { go, mut claim, forwarded } =
            match self.start(&head, &mut body, peer, &mut record).await {
                Ok(started) => started,
                Err(refusal) => {
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
                Err(refusal) => answer::refuse(&refusal, record, as_proxy),
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
        &self,
        head: &Parts,
        body: &mut Incoming,
        peer: SocketAddr,
        record: &mut Record,
    ) -> Result<Started, Refusal> {
        let Cleared { admission, key, claim, forwarded } =
            self.clear(head, body, peer, record).await?;
        record.facts.egress_ip.clone_from(&self.egress_ip);
        let go = match key {
            None => Go::Unsigned(Box::new(admission)),
            Some(ring) => {
                let lane = ring.lane()?;
                self.ready.wait().await?;
                Go::Signed(Box::new(self.turn(lane, admission, record).await?), ring)
            }
        };
        Ok(Started { go, claim, forwarded })
    }

    /// Everything that is asked before anything is sent.
    async fn clear(
        &self,
        head: &Parts,
        body: &mut Incoming,
        peer: SocketAddr,
        record: &mut Record,
    ) -> Result<Cleared, Refusal> {
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
        let caller = self.identify(&head.headers, peer, public, record)?;

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
            let admission = limit::admit(policy::public(call)?);
            return Ok(Cleared { admission, key: None, claim: None, forwarded });
        }
        let caller = caller.ok_or(Unidentified::Missing)?;
        let Client { grant, key } = self.client(&caller)?;
        let key = (!unsigned).then(|| Arc::clone(key));
        record.facts.key = key.as_ref().map(|it| it.key.name.clone());
        let facts = key.as_deref().map_or_else(KeyFacts::default, KeyRing::facts);
        let case = Case { grant, key: facts, who: &caller.who, freeze: Freeze::No, quote: None };
        let permit = policy::decide(&case, call)?;
        let claim = self.claim(permit.call(), &caller, &head.headers)?;
        Ok(Cleared { admission: limit::admit(permit), key, claim, forwarded })
    }

    fn identify(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
        public: bool,
        record: &mut Record,
    ) -> Result<Option<Caller>, Refusal> {
        let found = self.directory.identify(self.provider, headers, peer.ip(), self.clock.wall());
        match &found {
            Ok(caller) => record.client(caller.who.client()),
            Err(Unidentified::Expired { client } | Unidentified::Address { client, .. }) => {
                record.client(client);
            }
            Err(_) => {}
        }
        match found {
            Ok(caller) => Ok(Some(caller)),
            Err(_) if public => Ok(None),
            Err(unidentified) => {
                let now = self.clock.monotonic();
                Err(self.throttle.weigh(unidentified, peer.ip(), now).into())
            }
        }
    }

    fn client(&self, caller: &Caller) -> Result<&Client, Refusal> {
        let missing = Refusal::Internal { outcome: Outcome::NotSent };
        self.clients.get(caller.index).ok_or(missing)
    }

    /// A signed request that changes something counts once. A read may repeat.
    fn claim(
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

    /// Sends a call whose turn it is, and reads its answer.
    async fn carry_out(
        &self,
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
                Ok(self.explained(received, call, None, record))
            }
            Go::Signed(turn, ring) => self.carry_out_signed(*turn, &ring, forwarded, record).await,
        }
    }

    /// Signs, sends, and signs afresh as long as the nonce is refused. The turn is held from the nonce
    /// to the answer, so that nonces arrive in order.
    async fn carry_out_signed(
        &self,
        mut turn: Turn,
        ring: &Arc<KeyRing>,
        forwarded: &HeaderMap,
        record: &mut Record,
    ) -> Result<Received, Refusal> {
        let mut n_reconnects = 0;
        loop {
            if turn.must_learn() {
                // Boxed: it is rare, and would make every call's future larger.
                match Box::pin(self.learn(turn, ring, record)).await? {
                    Learned::Taught(next) => turn = *next,
                    Learned::Rejected(received) => return Ok(*received),
                }
            }
            let monotonic = || self.clock.monotonic();
            let numbered = turn.number(monotonic, tokio::time::sleep).await;
            let numbered = numbered.inspect_err(|_| self.ready.ask_again())?;
            let Signed { wire, turn: held, nonce } = self.provider.sign(numbered, &ring.key);
            turn = held;
            record.facts.nonce = Some(nonce);
            let response = match self.send(wire, forwarded, turn.call(), record).await {
                Ok(response) => response,
                Err(fault) if fault.was_pooled() && n_reconnects < MAX_RECONNECTS => {
                    n_reconnects += 1;
                    continue;
                }
                Err(fault) => return Err(refused(fault, turn.call())),
            };
            let received = self.read(response, turn.call(), Some(&ring.key)).await?;
            let verdict = self.provider.verdict(&received.answer);
            let next = turn.settle(verdict, self.reading());
            record.facts.n_resigns = turn.n_resigns();
            match next {
                Next::Again(pause) => {
                    tokio::time::sleep(pause).await;
                    turn = turn.again(self.clock.monotonic()).await?;
                }
                Next::Done | Next::Stop(_) => {
                    return Ok(self.explained(received, turn.call(), Some((ring, &turn)), record));
                }
            }
        }
    }

    async fn turn(
        &self,
        lane: &Arc<Lane>,
        admission: Admission,
        record: &mut Record,
    ) -> Result<Turn, Refusal> {
        let began = self.clock.monotonic();
        let turn = tokio::time::timeout(LANE_PATIENCE, lane.turn(admission, began)).await;
        record.facts.waited = Some(self.clock.monotonic().saturating_sub(began));
        Ok(turn.map_err(|_| Refusal::LaneBusy(LANE_PATIENCE))??)
    }

    /// Asks the exchange how this key's nonces count, in a turn that nothing shares.
    async fn learn(
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
        let received = answer::read(self.provider, response, false, Some(&ring.key));
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
        let received = self.explained(received, turn.call(), Some((ring, &turn)), record);
        Ok(Learned::Rejected(Box::new(received)))
    }

    async fn send(
        &self,
        wire: Wire,
        forwarded: &HeaderMap,
        call: &Call,
        record: &mut Record,
    ) -> Result<Response<Arriving>, SendError> {
        let began = self.clock.monotonic();
        let response = self.egress.send(wire, forwarded, self.deadlines.of(call)).await;
        record.facts.upstream = self.clock.monotonic().saturating_sub(began);
        if let Ok(response) = &response {
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
        answer::read(self.provider, response, call.effect.mutates(), key).await
    }

    /// The answer, with its diagnosis if it refuses access.
    fn explained(
        &self,
        received: Received,
        call: &Call,
        signed: Option<(&KeyRing, &Turn)>,
        record: &mut Record,
    ) -> Received {
        if !self.provider.is_about_access(&received.answer) {
            return received;
        }
        let about = Circumstances {
            call,
            key: signed.map(|(ring, _)| &ring.key),
            lane: signed.map(|(_, turn)| (turn.lane(), turn.n_resigns())),
            skew_millis: self.server_clock.skew_millis(self.reading()),
        };
        answer::explain(self.provider, received, about, record)
    }

    pub(crate) fn reading(&self) -> Reading {
        Reading { wall: self.clock.wall(), monotonic: self.clock.monotonic() }
    }
}

/// What the question about a key's nonces led to.
enum Learned {
    Taught(Box<Turn>),
    /// The exchange refuses the key itself.
    Rejected(Box<Received>),
}

impl KeyRing {
    fn lane(&self) -> Result<&Arc<Lane>, Busy> {
        self.lane.as_ref().map_err(|_| Busy::Damaged { key: self.key.name.clone() })
    }

    fn facts(&self) -> KeyFacts<'_> {
        KeyFacts {
            shared: self.shared,
            master: self.key.credential.is_master(),
            account: self.key.account.as_deref(),
        }
    }
}

impl Deadlines {
    fn of(self, call: &Call) -> Duration {
        if call.effect.mutates() { self.order } else { self.read }
    }
}

fn refused(fault: SendError, call: &Call) -> Refusal {
    Refusal::Send { fault, mutates: call.effect.mutates() }
}
