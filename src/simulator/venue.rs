//! The path of a request through the simulated exchange: read this first.
//!
//! 1. File it in the ledger and ask the script, in one locked step, so that nonces are judged in
//!    the order in which the ledger has them.
//! 2. Judge it: find the call, check who asks, answer.
//! 3. Complete the ledger's entry, and say what goes on the wire.
//! 4. A request that a script delays is judged in a task of its own: as at the real exchange, a
//!    caller who hangs up does not take an order back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header;

use crate::clock::Clock;
use crate::clock::UnixMicros;
use crate::simulator::account::AccountState;
use crate::simulator::catalog;
use crate::simulator::catalog::Asking;
use crate::simulator::catalog::World;
use crate::simulator::control;
use crate::simulator::decimal::Number;
use crate::simulator::gate;
use crate::simulator::gate::Knock;
use crate::simulator::gate::Presented;
use crate::simulator::key::Key;
use crate::simulator::key::KeySpec;
use crate::simulator::ledger::Ending;
use crate::simulator::ledger::Entry;
use crate::simulator::ledger::Recorder;
use crate::simulator::ledger::SentHeaders;
use crate::simulator::ledger::Verdict;
use crate::simulator::payload::Payload;
use crate::simulator::play::Play;
use crate::simulator::refusals;
use crate::simulator::refusals::Scene;
use crate::simulator::reply;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Reply;
use crate::simulator::script::Action;
use crate::simulator::script::Close;
use crate::simulator::script::RequestCut;
use crate::simulator::script::Script;
use crate::simulator::status_page::StatusPage;
use crate::simulator::watched::Line;
use crate::task;

/// A request as the server read it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) http: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peer: IpAddr,
    pub(crate) connection: u64,
}

/// What goes on the wire.
#[derive(Debug)]
pub(crate) enum Wire {
    Whole(Reply),
    /// The head promises the whole body, and so many bytes of it are sent.
    Truncated(Reply, usize),
    /// Written byte by byte, with the status that it tells.
    ByHand(StatusCode, Box<Play>),
    /// The connection ends without an answer.
    Closed,
}

/// What can be changed while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) delay: Duration,
    pub(crate) clock_offset_seconds: i64,
    pub(crate) unknown_key_status: u16,
    pub(crate) status_page: StatusPage,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) script: Script,
    pub(crate) ledger: Recorder,
    pub(crate) world: World,
    // The highest nonce accepted of each key.
    pub(crate) marks: HashMap<String, Number>,
}

/// The simulated exchange, but for its sockets.
#[derive(Debug)]
pub(crate) struct Venue {
    clock: Arc<dyn Clock>,
    keys: RwLock<HashMap<String, Arc<Key>>>,
    state: Mutex<State>,
    pub(crate) connections: AtomicU64,
    pub(crate) handshakes: AtomicU64,
}

/// A request between its arrival and its end.
#[derive(Debug)]
struct Visit {
    asked: Asked,
    presented: Presented,
    sequence: u64,
    action: Action,
}

/// What comes with the wire is how long the answer is on its way.
#[derive(Debug)]
enum Arrival {
    Concluded((Wire, Duration)),
    /// A script holds it for so long.
    Waiting(Duration, Box<Visit>),
}

/// What judging found out besides the answer.
#[derive(Debug, Default)]
struct Trace {
    nonce_accepted: bool,
    order_id: Option<u64>,
}

impl Venue {
    pub(crate) fn new(clock: Arc<dyn Clock>, settings: Settings, ledger_entries: usize) -> Self {
        let state = State {
            settings,
            script: Script::default(),
            ledger: Recorder::new(ledger_entries),
            world: World::new(),
            marks: HashMap::new(),
        };
        Self {
            clock,
            keys: RwLock::default(),
            state: Mutex::new(state),
            connections: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
        }
    }

    /// Adds a key, or replaces the one of that name. Its nonce mark stays, unless the key brings one.
    pub(crate) fn add_key(&self, spec: KeySpec) {
        let mut state = self.state();
        let now = self.now(&state);
        for account in &spec.accounts {
            state.world.account(account, now);
        }
        if let Some(mark) = spec.last_nonce.as_deref().and_then(Number::parse) {
            state.marks.insert(spec.key.clone(), mark);
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(spec.key.clone(), Arc::new(Key::new(spec)));
    }

    pub(crate) fn set_account(&self, name: &str, account: AccountState) {
        let mut state = self.state();
        let now = self.now(&state);
        state.world.account(name, now).state = account;
    }

    pub(crate) async fn answer(self: Arc<Self>, asked: Asked) -> Wire {
        if control::is_control(&asked.path) {
            let mut reply = control::answer(&self, &asked);
            let now = self.now(&self.state());
            date(&mut reply, now, 0);
            return Wire::Whole(reply);
        }
        let presented = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            Presented::read(&asked.headers, &keys)
        };
        let (wire, delay) = match self.arrive(asked, presented) {
            Arrival::Concluded(done) => done,
            Arrival::Waiting(wait, visit) => {
                let venue = Arc::clone(&self);
                let judged = task::spawn("simulated delay", async move {
                    tokio::time::sleep(wait).await;
                    let mut state = venue.state();
                    venue.conclude(&mut state, *visit)
                });
                match judged.await {
                    Ok(done) => done,
                    Err(_) => return Wire::Closed,
                }
            }
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        wire
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange's clock, which may be set wrong on purpose.
    pub(crate) fn now(&self, state: &State) -> UnixMicros {
        let UnixMicros(wall) = self.clock.wall();
        let offset = state.settings.clock_offset_seconds.saturating_mul(1_000_000);
        UnixMicros(wall.saturating_add_signed(offset))
    }

    /// Where a request that begins is to be cut, if at all.
    pub(crate) fn due_request(&self, path: &str) -> Option<RequestCut> {
        self.state().script.due_request(path)
    }

    /// Files a request that was cut short: not judged, not executed.
    pub(crate) fn cut_short(&self, line: Line, peer: IpAddr, connection: u64, http: &'static str) {
        let asked = Asked {
            method: Method::from_bytes(line.method.as_bytes()).unwrap_or_default(),
            path: line.path,
            query: None,
            http,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            peer,
            connection,
        };
        let presented = Presented::read(&asked.headers, &HashMap::new());
        let mut state = self.state();
        let now = self.now(&state);
        let sequence = state.ledger.arrived(entry(&asked, &presented, now));
        state.ledger.ended(sequence, Ending::unanswered("request cut"));
    }

    /// Files the request; judges it at once, unless a script makes it wait.
    fn arrive(&self, asked: Asked, presented: Presented) -> Arrival {
        let mut state = self.state();
        let now = self.now(&state);
        let sequence = state.ledger.arrived(entry(&asked, &presented, now));
        let action = state.script.due(&asked.path, presented.api_key.as_deref());
        let action = action.unwrap_or_default();
        let wait = action.delay_ms.map(Duration::from_millis);
        let visit = Visit { asked, presented, sequence, action };
        match wait {
            None => Arrival::Concluded(self.conclude(&mut state, visit)),
            Some(wait) => Arrival::Waiting(wait, Box::new(visit)),
        }
    }

    /// Judges a request and completes its entry. What comes with the wire is how long the answer
    /// is on its way.
    fn conclude(&self, state: &mut State, visit: Visit) -> (Wire, Duration) {
        let Visit { asked, presented, sequence, action } = visit;
        let now = self.now(state);
        let mark = action.nonce_mark.as_deref().and_then(Number::parse);
        if let (Some(mark), Some(key)) = (mark, presented.api_key.as_deref()) {
            raise(&mut state.marks, key, mark);
        }
        let mut trace = Trace::default();
        let mut judge = || judge(state, &asked, &presented, now, &mut trace);
        let nonce = presented.payload.as_ref().and_then(|it| it.digits("nonce"));
        let (key, nonce) = (presented.api_key.as_deref(), nonce.as_deref());
        let scene = Scene { key, nonce, peer: asked.peer, now };
        let (reply, verdict, executed) = match instead(&action, &scene) {
            Some((kind, reply)) => {
                (reply, Verdict::Fault { kind }, action.execute && judge().is_ok())
            }
            None => {
                let answer = judge();
                let verdict = match &answer {
                    Ok(_) => Verdict::Executed,
                    Err(it) => Verdict::Rejected { reason: it.reason.clone() },
                };
                let executed = answer.is_ok();
                (Some(Reply::from(answer)), verdict, executed)
            }
        };
        let (wire, fault) = wire(reply, &action, now);
        let (status, answer_bytes) = match &wire {
            Wire::Whole(reply) | Wire::Truncated(reply, _) => (Some(reply.status.as_u16()), None),
            Wire::ByHand(status, play) => (Some(status.as_u16()), play.length()),
            Wire::Closed => (None, None),
        };
        let ending = Ending {
            verdict: fault.map_or(verdict, |kind| Verdict::Fault { kind }),
            executed,
            nonce_accepted: trace.nonce_accepted,
            status,
            answer_bytes,
            order_id: trace.order_id,
        };
        state.ledger.ended(sequence, ending);
        let late = Duration::from_millis(action.delay_answer_ms.unwrap_or(0));
        (wire, state.settings.delay.saturating_add(late))
    }
}

/// Finds the call, checks the caller, answers.
fn judge(
    state: &mut State,
    asked: &Asked,
    presented: &Presented,
    now: UnixMicros,
    trace: &mut Trace,
) -> Answer {
    let (call, captures) = catalog::find(&asked.method, &asked.path)?;
    let none = Payload::default();
    let payload = presented.payload.as_ref().unwrap_or(&none);
    let caller = match call.access {
        None => None,
        Some((roles, account)) => {
            let knock = Knock {
                path: &asked.path,
                query: asked.query.as_deref(),
                peer: asked.peer,
                roles,
                account,
                now,
                unknown_key_status: state.settings.unknown_key_status,
            };
            let mark = presented.api_key.as_deref().and_then(|it| state.marks.get(it));
            let (key, nonce) = gate::identify(presented, &knock, mark)?;
            trace.nonce_accepted = true;
            raise(&mut state.marks, &key.spec.key, nonce);
            Some(gate::admit(key, payload, &knock, &state.world.accounts)?)
        }
    };
    let world = &mut state.world;
    let mut asking = Asking { world, now, payload, caller, captures, order_id: None };
    let answer = (call.answer)(&mut asking);
    trace.order_id = asking.order_id;
    answer
}

/// A mark never falls, though a time-based key may take nonces out of order.
fn raise(marks: &mut HashMap<String, Number>, key: &str, nonce: Number) {
    match marks.get_mut(key) {
        Some(mark) if *mark >= nonce => {}
        Some(mark) => *mark = nonce,
        None => {
            marks.insert(key.to_owned(), nonce);
        }
    }
}

/// What a script says instead of executing; no reply means that the connection is closed.
fn instead(action: &Action, scene: &Scene<'_>) -> Option<(&'static str, Option<Reply>)> {
    if action.close == Some(Close::Before) {
        return Some(("close before", None));
    }
    if let Some(canned) = &action.answer {
        let status = StatusCode::from_u16(canned.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut reply = Reply::of(status, "application/json", canned.body.clone());
        for (name, value) in &canned.headers {
            let header = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = header {
                reply.headers.insert(name, value);
            }
        }
        return Some(("answer", Some(reply)));
    }
    if action.raw.is_some() {
        return Some(("raw", Some(Reply::text(StatusCode::OK, ""))));
    }
    if let Some(target) = &action.redirect {
        let mut reply = Reply::text(StatusCode::FOUND, "");
        let target = HeaderValue::try_from(target).ok();
        reply.headers.extend(target.map(|it| (header::LOCATION, it)));
        return Some(("redirect", Some(reply)));
    }
    let named = action.refuse.or_else(|| refusals::find(action.html?.word()));
    if let Some(refused) = named {
        return Some((refused.word, Some(refused.reply(scene))));
    }
    if action.maintenance {
        return Some(("maintenance", Some(reply::maintenance())));
    }
    action.rate_limited.then(|| ("rate_limited", Some(reply::rate_limited())))
}

/// What goes on the wire, and the fault if it is one.
fn wire(reply: Option<Reply>, action: &Action, now: UnixMicros) -> (Wire, Option<&'static str>) {
    let Some(mut reply) = reply else { return (Wire::Closed, None) };
    if action.close == Some(Close::AfterExecute) {
        return (Wire::Closed, Some("close after_execute"));
    }
    // A scripted answer may bring its own.
    if !action.no_date && !reply.headers.contains_key(header::DATE) {
        date(&mut reply, now, action.date_offset_seconds.unwrap_or(0));
    }
    if let Some((kind, play)) = Play::new(&reply, action) {
        return (Wire::ByHand(reply.status, Box::new(play)), Some(kind));
    }
    match action.truncate {
        Some(bytes) if bytes < reply.body.len() => {
            (Wire::Truncated(reply, bytes), Some("truncate"))
        }
        _ => (Wire::Whole(reply), None),
    }
}

fn date(reply: &mut Reply, now: UnixMicros, offset_seconds: i64) {
    let seconds = now.secs().saturating_add_signed(offset_seconds);
    let moment = std::time::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    // An RFC 1123 date ends with the year 9999, and httpdate panics beyond it.
    let moment = moment.filter(|_| seconds < 253_402_300_800);
    let text = moment.map(httpdate::fmt_http_date);
    let value = text.and_then(|it| HeaderValue::try_from(it).ok());
    reply.headers.extend(value.map(|it| (header::DATE, it)));
}

fn entry(asked: &Asked, presented: &Presented, now: UnixMicros) -> Entry {
    let payload = presented.payload.as_ref();
    Entry {
        sequence: 0,
        at: now,
        connection: asked.connection,
        http: asked.http,
        method: asked.method.as_str().to_owned(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        key: presented.api_key.clone(),
        nonce: payload.and_then(|it| it.digits("nonce")),
        nonce_accepted: false,
        payload: payload.map(|it| it.json().to_owned()),
        body_bytes: asked.body.len(),
        headers: Arc::new(sent(&asked.headers)),
        verdict: Verdict::Pending,
        executed: false,
        status: None,
        answer_bytes: None,
        order_id: None,
        client_order_id: payload.and_then(|it| it.text("client_order_id")).map(str::to_owned),
    }
}

fn sent(headers: &HeaderMap) -> SentHeaders {
    let text = |name: HeaderName| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    SentHeaders {
        names: headers.keys().map(|it| it.as_str().to_owned()).collect(),
        host: text(header::HOST),
        content_type: text(header::CONTENT_TYPE),
        content_length: text(header::CONTENT_LENGTH),
        cache_control: text(header::CACHE_CONTROL),
        user_agent: text(header::USER_AGENT),
    }
}
