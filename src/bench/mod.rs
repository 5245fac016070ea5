//! What `benches/` measures of the inside, and nothing else.
//!
//! A door takes what a bot or the exchange sends, and hands out what the next step takes, with as much
//! of it in the open as a bench checks before it measures. Nothing is done here beside what is measured.

mod budgets;
mod health;
mod signer;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use tracing_subscriber::layer::SubscriberExt as _;

pub use self::budgets::Budgets;
pub use self::health::Health;
pub use self::signer::Signer;
use crate::call::{Call, ClientId, Freeze, KeyName, Outcome, Scope};
use crate::clock::{SystemClock, UnixMicros};
use crate::config::{Client, LogFormat, Proof};
use crate::decimal::Decimal;
use crate::inbound::{self, Directory, Framing, Peer};
use crate::journal::trail::Trail;
use crate::journal::{self, StateDir};
use crate::limit;
use crate::nonce::{
    Keep, Keeping, Kept, Lane, Mode, Next, Nonce, Reading, ServerClock, Setting, Unit, Verdict,
};
use crate::observe::{Lines, Log, Metrics, Observer, Recent};
use crate::policy::{
    self, Case, DayLimits, Destination, Grant, KeyFacts, OrderType, Orders, Quote, Side,
    TimeInForce,
};
use crate::provider::{self, Asked, Provider, Route, Routes};
use crate::secret::{Credential, TokenHash};
use crate::task;

const NOW: UnixMicros = UnixMicros::from_secs(1_795_219_200);
const HERE: Peer =
    Peer { address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), user: None, certificate: None };

/// The length of the body that a head announces, if the gate lets the head through.
#[must_use]
pub fn judge(head: &[u8]) -> Option<u64> {
    match inbound::judge(head) {
        Ok(Framing::Length(length)) => Some(length),
        Ok(Framing::Rest) | Err(_) => None,
    }
}

/// The names that a listener answers to.
#[derive(Debug)]
pub struct Doors(inbound::Doors);

impl Doors {
    #[must_use]
    pub fn new() -> Self {
        Self(inbound::Doors::new(["api.gemini.com".to_owned(), "geminid".to_owned()]))
    }

    /// The path and the query that a request asks for, if it meant to come here.
    #[must_use]
    pub fn target(&self, head: &Parts) -> Option<(String, Option<String>)> {
        inbound::target(head, &self.0).ok().map(|it| (it.path, it.query))
    }
}

impl Default for Doors {
    fn default() -> Self {
        Self::new()
    }
}

/// The catalogue, as requests find their way in it.
#[derive(Debug)]
pub struct Catalogue(Routes);

/// Where a method and a path lead.
#[derive(Debug)]
pub struct Found(Route);

/// A request that was read.
#[derive(Clone, Debug)]
pub struct Read(Call);

impl Catalogue {
    #[must_use]
    pub fn new() -> Self {
        Self(Routes::new(exchange().operations()))
    }

    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Found {
        Found(self.0.find(method, path))
    }

    /// Reads a POST as a call.
    #[must_use]
    pub fn read(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Read> {
        let asked = Asked {
            method: "POST",
            path,
            query: None,
            headers,
            body,
            payload_is_signed: headers.contains_key("x-gemini-signature"),
            public: true,
        };
        exchange().read(&self.0, &asked).ok().map(Read)
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Found {
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Route::Found(operation) => Some(operation.name.as_str()),
            Route::Method(_) | Route::Unknown => None,
        }
    }
}

impl Read {
    /// Its parameters, as they would be signed.
    #[must_use]
    pub fn parameters(&self) -> String {
        self.0.parameters.members_json()
    }
}

/// So many clients, each with a token and a stand-in pair of its own.
#[derive(Debug)]
pub struct Clients {
    directory: Directory,
    grant: Grant,
}

/// Who asks.
#[derive(Debug)]
pub struct Caller(inbound::Caller);

/// A call that may be sent.
#[derive(Debug)]
pub struct Permit(policy::Permit);

impl Clients {
    #[must_use]
    pub fn new(n_clients: usize) -> Self {
        let grant = Grant::of([Scope::OrdersCreate, Scope::OrdersRead, Scope::BalancesRead]);
        let client = |n: usize| {
            let pair = Credential::new(Self::key(n), &SecretString::from(Self::secret(n)));
            let token = Proof::Token(TokenHash::of(Self::token(n).as_bytes()));
            Client {
                id: ClientId::new(&format!("bot-{n}")),
                key: 0,
                grant: grant.clone(),
                credentials: vec![token.into(), Proof::StandIn(Arc::new(pair)).into()],
                expires: None,
                from: Vec::new(),
            }
        };
        let all: Vec<Client> = (0..n_clients).map(client).collect();
        Self { directory: Directory::of(&all.iter().collect::<Vec<_>>()), grant }
    }

    /// The same, where each may withdraw: to one of so many addresses, the last of which is `address`.
    #[must_use]
    pub fn withdrawing(n_addresses: usize, address: &str) -> Self {
        let Self { directory, mut grant } = Self::new(1);
        let destination = |n: usize| Destination {
            currency: "btc".to_owned(),
            network: None,
            address: if n + 1 == n_addresses { address.to_owned() } else { format!("bc1q{n}") },
            memo: None,
            max_per_day: None,
        };
        grant.scopes.insert(Scope::CryptoSend);
        grant.withdrawals = (0..n_addresses).map(destination).collect();
        Self { directory, grant }
    }

    /// The same, where each holds a hundred grants of every kind: symbols, operations, destinations,
    /// and limits of as many currencies. The last of the symbols is `symbol`.
    #[must_use]
    pub fn limited(symbol: &str, address: &str) -> Self {
        const N: usize = 100;
        let Self { directory, mut grant } = Self::withdrawing(N, address);
        let symbols = (1..N).map(|n| format!("c{n}usd")).chain([symbol.to_owned()]);
        let most = || Decimal::parse("1000000.5").expect("a plain decimal");
        let table = |known: &str| {
            let all = (1..N).map(|n| format!("c{n}")).chain([known.to_owned()]);
            all.map(|it| (it, most())).collect()
        };
        grant.operations = (0..N).map(|n| format!("operation_{n}")).collect();
        grant.scopes.extend(Scope::ALL);
        for entry in &mut grant.withdrawals {
            entry.max_per_day = Some(most());
        }
        grant.orders = Some(Orders {
            symbols: Some(symbols.collect()),
            sides: Some(Side::ALL.iter().copied().collect()),
            types: Some(OrderType::ALL.iter().copied().collect()),
            time_in_force: Some(TimeInForce::ALL.iter().copied().collect()),
            max_amount: table("btc"),
            max_notional: table("usd"),
            day: DayLimits { max_notional_per_day: table("usd"), ..DayLimits::default() },
        });
        Self { directory, grant }
    }

    #[must_use]
    pub fn token(n: usize) -> String {
        format!("gd_{n:043}")
    }

    #[must_use]
    pub fn key(n: usize) -> String {
        format!("account-{n:020}")
    }

    #[must_use]
    pub fn secret(n: usize) -> String {
        format!("stand-in-secret-{n:012}")
    }

    #[must_use]
    pub fn identify(&self, headers: &HeaderMap) -> Option<Caller> {
        self.directory.identify(exchange(), headers, &HERE, NOW).ok().map(Caller)
    }

    #[must_use]
    pub fn decide(&self, caller: &Caller, read: Read) -> Option<Permit> {
        let (grant, key, who) = (&self.grant, KeyFacts::default(), &caller.0.who);
        let price = || Decimal::parse("65000.01").expect("a plain decimal");
        // Made anew as the pipeline would: a ticker is read for the orders that it decides on.
        let quote =
            policy::wants_quote(grant, &read.0).map(|_| Quote { bid: price(), ask: price() });
        let case = Case { grant, key, who, freeze: Freeze::No, quote: quote.as_ref() };
        policy::decide(&case, read.0).ok().map(Permit)
    }
}

impl Caller {
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.who.client().as_str()
    }
}

impl Permit {
    #[must_use]
    pub fn operation(&self) -> &str {
        self.0.call().operation.name.as_str()
    }
}

/// Signatures that clients have used.
#[derive(Debug, Default)]
pub struct Replays(Arc<inbound::Replays>);

impl Replays {
    /// Whether this signature is used for the first time.
    #[must_use]
    pub fn spend(&self, signature: &[u8], now: Duration) -> bool {
        let claim = self.0.claim(signature, now);
        claim.map(|mut it| it.spend()).is_some()
    }
}

/// The nonces of a key. From one call to the next a millisecond passes.
#[derive(Clone, Debug)]
pub struct Turns {
    lane: Arc<Lane>,
    now: Arc<AtomicU64>,
}

impl Turns {
    /// Of a key whose nonces are times, or only rise; on a disk that is always ready.
    #[must_use]
    pub fn new(timed: bool) -> Self {
        let clock = Arc::new(ServerClock::default());
        clock.observe_exact(NOW, Reading { wall: NOW, monotonic: Duration::ZERO });
        let setting = if timed { Setting::Time } else { Setting::Increasing };
        let key = KeyName::new("trading");
        Self {
            lane: Lane::new(key, (setting, None), None, clock, Box::new(NoDisk)),
            now: Arc::default(),
        }
    }

    /// Keeps the marks ahead, in a task of its own, as the process does.
    pub fn tend(&self) {
        let this = self.clone();
        drop(task::spawn("nonce marks", async move {
            let tick = || tokio::time::sleep(Duration::from_secs(1));
            this.lane.tend(|| this.now(), tick).await;
        }));
    }

    /// Raises the mark, if it should be: what the task does otherwise.
    pub fn raise(&self) {
        at_once(self.lane.raise(self.now()));
    }

    /// From the request for a turn to its end, with a nonce in between that the exchange takes.
    ///
    /// # Panics
    /// If there is no nonce, or the exchange's word is taken for something else.
    pub async fn call(&self, Permit(permit): Permit) -> Option<String> {
        self.now.fetch_add(1, Ordering::Relaxed);
        let turn = self.lane.turn(limit::free(permit), self.now()).await.ok()?;
        let numbered = turn.number(|| self.now(), |_| std::future::pending::<()>()).await.ok()?;
        let nonce = numbered.nonce().to_string();
        let mut turn = numbered.into_turn();
        let monotonic = self.now();
        let next = turn.settle(Verdict::Accepted, Reading { wall: NOW, monotonic });
        (next == Next::Done).then_some(nonce)
    }

    /// The same, where nothing is waited for.
    #[must_use]
    pub fn call_at_once(&self, permit: Permit) -> Option<String> {
        at_once(self.call(permit))
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct NoDisk;

impl Keep for NoDisk {
    fn keep(&self, _: Kept) -> Keeping {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The outcome of what has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("nothing here waits for anything"),
    }
}

/// The marks of a key, in a directory.
#[derive(Debug)]
pub struct Marks {
    marks: journal::Marks,
    mark: u64,
    _held: StateDir,
}

impl Marks {
    /// # Panics
    /// If the directory cannot be used.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let held = StateDir::open(path).expect("the bench has a directory of its own");
        let fingerprint = Signer::new("account-bench", "secret").credential.fingerprint();
        let found = held.marks(&fingerprint).expect("a file can be made there");
        let (kept, marks) = found.expect("nobody else writes there");
        Self { marks, mark: kept.map_or(0, |it| it.mark), _held: held }
    }

    /// Raises the mark by a second's worth. Returns when it would survive the loss of power.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self) -> io::Result<u64> {
        self.mark += 1_000;
        let kept = Kept {
            mode: Mode::Increasing,
            unit: Unit::Millis,
            serial: true,
            succeeded: true,
            mark: self.mark,
            exact: false,
        };
        self.marks.write(kept).map(|()| self.mark)
    }
}

/// What is told of requests.
#[derive(Debug)]
pub struct Records {
    observer: Arc<Observer>,
    key: KeyName,
}

impl Records {
    #[must_use]
    pub fn new() -> Self {
        let clock = Arc::new(SystemClock::new());
        let trail = Trail::off();
        let (metrics, recent) = (Metrics::new(&trail), Recent::default());
        let observer = Arc::new(Observer { clock, metrics, trail, recent });
        Self { observer, key: KeyName::new("trading") }
    }

    /// One request, from its beginning to its line.
    pub fn tell(&self, caller: &Caller, read: &Read) {
        let mut record = self.observer.begin("POST", &HERE);
        record.client(caller.0.who.client());
        record.call(&read.0);
        record.facts.key = Some(self.key.clone());
        record.facts.waited = Some(Duration::ZERO);
        record.facts.nonce = Some(Nonce::whole(1_795_219_200_000));
        record.detach();
        record.finish(StatusCode::OK, Outcome::Executed);
    }

    #[must_use]
    pub fn metrics(&self) -> String {
        self.observer.metrics.render()
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

fn exchange() -> &'static dyn Provider {
    provider::by_name("exchange").expect("it is in the table of providers")
}

/// Log lines in JSON, as the process writes them, and where they go.
pub fn log<W>(to: W) -> impl tracing::Subscriber + Send + Sync
where
    W: io::Write + Send + 'static,
{
    let lines: &'static Lines = Box::leak(Box::new(Lines::new()));
    lines.start(to, |_| {});
    tracing_subscriber::registry().with(Log::new(LogFormat::Json, false, lines))
}
