//! The way of a request, from the bytes of a connection to what would be sent.

use std::future::{Future, ready};
use std::io;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::{NOW, configured, exchange};
use crate::answer;
use crate::call::{Call, Freeze, Identity};
use crate::config::Config;
use crate::decimal::Decimal;
use crate::diagnose;
use crate::inbound::{self, Crowd, Directory, Doors, Peer, Unidentified};
use crate::limit::{self, Admission};
use crate::message;
use crate::nonce::{Keep, Keeping, Kept, Lane, Reading, ServerClock, Setting};
use crate::policy::{self, Case, Grant, KeyFacts, Quote};
use crate::provider::{Asked, Key, Routes, Wire};
use crate::refusal::Refusal;

/// A proxy that reads, decides and signs, and sends nothing.
#[derive(Debug)]
pub struct Desk {
    config: Config,
    routes: Routes,
    doors: Doors,
    directory: Directory,
    /// What every ticker says.
    quote: Option<Quote>,
}

/// A request that may go out.
#[derive(Debug)]
pub struct Sent {
    pub method: String,
    pub path_and_query: String,
    pub headers: HeaderMap,
    /// What was decided on.
    pub path: String,
    pub query: Option<String>,
    pub parameters: String,
    pub operation: String,
    pub scope: Option<&'static str>,
    /// Who it was allowed to; `None`: anyone.
    pub client: Option<String>,
    pub signed: bool,
}

/// A request that ended here.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Desk {
    /// A desk for the first upstream and the first key of a configuration.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let config = configured(text).expect("the target brings a configuration that is right");
        let routes = Routes::new(exchange().operations());
        let doors = Doors::new(["api.gemini.com".to_owned()]);
        let directory = Directory::of(&config.clients.iter().collect::<Vec<_>>());
        Self { config, routes, doors, directory, quote: None }
    }

    /// The same, where every ticker has this bid and this ask.
    #[must_use]
    pub fn with_quote(self, bid: &str, ask: &str) -> Self {
        let price = |text: &str| Decimal::parse(text).expect("the target brings plain decimals");
        Self { quote: Some(Quote { bid: price(bid), ask: price(ask) }), ..self }
    }

    /// The catalogue: method, path with `{parameters}`, whether it is public.
    #[must_use]
    pub fn catalogue() -> Vec<(&'static str, String, bool)> {
        let all = exchange().operations().iter();
        all.map(|it| (it.method.as_str(), it.path.clone(), it.is_public())).collect()
    }

    /// What becomes of a request that is read whole.
    ///
    /// # Errors
    /// If it is refused: the answer.
    pub fn ask(&self, head: &Parts, body: &[u8]) -> Result<Sent, Box<Refused>> {
        self.clear(head, body).map_err(|refusal| {
            let as_proxy = head.uri.authority().is_some();
            let context = diagnose::Context::default();
            let (head, body) = answer::compose(&refusal, &context, as_proxy).into_parts();
            let body = at_once(body.collect()).expect("an answer of ours is at hand").to_bytes();
            Box::new(Refused { status: head.status.as_u16(), headers: head.headers, body })
        })
    }

    /// As `Proxy::clear` does it.
    fn clear(&self, head: &Parts, body: &[u8]) -> Result<Sent, Refusal> {
        let target = inbound::target(head, &self.doors)?;
        let (method, path) = (head.method.as_str(), target.path.as_str());
        let public = exchange().is_public(&self.routes, method, path, &head.headers);
        let peer = Peer::at(Ipv4Addr::LOCALHOST.into());
        let caller = match self.directory.identify(exchange(), &head.headers, &peer, NOW) {
            Ok(caller) => Some(caller),
            Err(_) if public => None,
            Err(unidentified) => return Err(unidentified.into()),
        };
        let asked = Asked {
            method,
            path,
            query: target.query.as_deref(),
            headers: &head.headers,
            body,
            payload_is_signed: caller.as_ref().is_some_and(|it| it.who.how() == Identity::StandIn),
            public: true,
        };
        let call = exchange().read(&self.routes, &asked)?;
        if call.operation.is_public() {
            let admission = limit::free(policy::public(call)?);
            let call = admission.call().clone();
            return Ok(sent(&call, exchange().plain(&admission), None));
        }
        let caller = caller.ok_or(Unidentified::Missing)?;
        let client = self.config.clients.get(caller.index).ok_or(Unidentified::Missing)?;
        let (grant, key, who) = (&client.grant, self.facts(), &caller.who);
        let quote = self.quote.as_ref();
        let case = Case { grant, key, who, freeze: Freeze::No, quote };
        let permit = policy::decide(&case, call)?;
        let call = permit.call().clone();
        let wire = self.sign(limit::free(permit))?;
        Ok(sent(&call, wire, Some(caller.who.client().to_string())))
    }

    /// What a client of the configuration holds.
    #[must_use]
    pub fn holds(&self, client: &str, scope: &str) -> bool {
        let found = self.config.clients.iter().find(|it| it.id.as_str() == client);
        let grant: Option<&Grant> = found.map(|it| &it.grant);
        grant.is_some_and(|it| it.scopes.iter().any(|held| held.as_str() == scope))
    }

    fn facts(&self) -> KeyFacts<'_> {
        let key = self.config.keys.first().expect("the target brings a key");
        KeyFacts {
            shared: false,
            master: key.credential.is_master(),
            account: key.account.as_deref(),
        }
    }

    fn sign(&self, admission: Admission) -> Result<Wire, Refusal> {
        let config = self.config.keys.first().expect("the target brings a key");
        let clock = Arc::new(ServerClock::default());
        clock.observe_exact(NOW, Reading { wall: NOW, monotonic: Duration::ZERO });
        let how = (Setting::Increasing, None);
        let lane = Lane::new(config.name.clone(), how, None, clock, Box::new(NoDisk));
        at_once(lane.raise(Duration::ZERO));
        let turn = at_once(lane.turn(admission, Duration::ZERO))?;
        let numbered = at_once(turn.number(|| Duration::ZERO, |_| ready(())))?;
        let credential = Arc::clone(&config.credential);
        let key = Key::new(config.name.clone(), config.account.clone(), credential);
        Ok(exchange().sign(numbered, &key).wire)
    }
}

fn sent(call: &Call, wire: Wire, client: Option<String>) -> Sent {
    let Wire { method, path_and_query, headers, .. } = wire;
    Sent {
        method: method.as_str().to_owned(),
        path_and_query,
        headers,
        path: call.path.clone(),
        query: call.query.clone(),
        parameters: format!("{{{}}}", call.parameters.members_json()),
        operation: call.operation.name.to_string(),
        scope: call.scope.map(|it| it.as_str()),
        signed: client.is_some(),
        client,
    }
}

/// A disk on which everything is safe at once.
#[derive(Debug)]
struct NoDisk;

impl Keep for NoDisk {
    fn keep(&self, _: Kept) -> Keeping {
        Box::pin(ready(Ok(())))
    }
}

/// The outcome of what has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("nothing here waits for anything"),
    }
}

/// The requests that the server reads of a connection, whose bytes arrive in pieces of `piece`. The
/// body is `None` if it is broken, too long, or has trailers.
#[must_use]
pub fn requests(stream: &[u8], piece: usize) -> Vec<(Parts, Option<Bytes>)> {
    // Timers are made here and there, and none is ever waited for.
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let runtime = Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime without threads and sockets needs nothing")
    });
    let _entered = RUNTIME.enter();
    let read: Arc<Mutex<Vec<_>>> = Arc::default();
    let handler = Arc::clone(&read);
    let handle = move |request: Request<Incoming>, _| {
        let read = Arc::clone(&handler);
        async move {
            let (head, mut body) = request.into_parts();
            let body = message::read(&mut body, inbound::MAX_BODY).await.ok();
            read.lock().unwrap_or_else(PoisonError::into_inner).push((head, body));
            Response::new(message::full(""))
        }
    };
    let peer = Peer::at(Ipv4Addr::LOCALHOST.into());
    let place = Crowd::new(0).admit(peer.source()).expect("the first one finds a seat");
    let (_running, stop) = watch::channel(false);
    let wires = Wires { left: Bytes::copy_from_slice(stream), piece };
    let mut connection = pin!(inbound::connect(wires, (place, peer), handle, stop));
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    while woken.0.swap(false, Ordering::Relaxed) {
        if connection.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            break;
        }
    }
    let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *read)
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A peer that has said all it will say, and takes every answer.
struct Wires {
    left: Bytes,
    piece: usize,
}

impl AsyncRead for Wires {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.left.len().min(into.remaining()).min(self.piece.max(1));
        into.put_slice(&self.left.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wires {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
