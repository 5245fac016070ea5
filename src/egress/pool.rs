//! Connections to the one destination, kept warm.
//!
//! 1. A connection carries one call at a time. Who needs one takes the one that came back last, so that
//!    those beyond what is needed grow old, and are closed.
//! 2. It comes back when its answer has been read to the end. After anything else (an answer that was
//!    cut, that could be read in two ways, that did not come in time) it ends: what comes late on it
//!    must not be taken for the answer to the next call.
//! 3. A connection that was given says of itself whether a request was written to it.

use std::collections::VecDeque;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connected, Connection as _, HttpConnector, HttpInfo};
use tower::ServiceExt as _;

use super::Leaving;
use super::names::Names;
use crate::clock::Clock;
use crate::message::BoxError;
use crate::task;

/// Below the idle time of the exchange's edge, so that few connections are taken that are already
/// closed at the other end. (The edge's own is not documented; 20 s is a guess.)
const LONGEST_IDLE: Duration = Duration::from_secs(20);
/// As many as there can be calls in flight on a machine of usual limits: with fewer, a crowd of callers
/// would pay for handshakes again and again (seen at 4,096 connections).
const MOST_IDLE: usize = 4_096;
/// The largest head of an answer. The exchange's are below 4 KiB; hyper would take 400 KiB. Of its
/// fields hyper takes 100, five times what the exchange sends.
const MAX_HEAD: usize = 64 * 1_024;

type Sender = SendRequest<Full<Bytes>>;

#[derive(Debug)]
pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector<Names>>,
    /// Scheme and authority.
    origin: Uri,
    clock: Arc<dyn Clock>,
    /// The one that came back last is the last.
    idle: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    from: Option<Arc<Leaving>>,
    since: Duration,
}

/// A connection for one call.
#[derive(Debug)]
pub(super) struct Lease {
    sender: Sender,
    /// Where it leaves this machine from.
    pub(super) from: Option<Arc<Leaving>>,
    pool: Arc<Pool>,
}

/// Why a call on a connection has no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// Whether any byte of it can have been written.
    pub(super) written: bool,
    pub(super) fault: hyper::Error,
}

impl Pool {
    pub(super) fn new(
        connector: HttpsConnector<HttpConnector<Names>>,
        origin: Uri,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self { connector, origin, clock, idle: Mutex::default() })
    }

    /// An idle connection, or a new one.
    ///
    /// # Errors
    /// Why there is none: of TCP, TLS or the look-up of the name.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease, BoxError> {
        while let Some(Idle { mut sender, from, .. }) = self.last() {
            // It is, but for the moment in which its task has yet to look up from the last answer.
            if sender.is_ready() || sender.ready().await.is_ok() {
                return Ok(Lease { sender, from, pool: Arc::clone(self) });
            }
        }
        // Boxed: it is rare, and would make every call's future larger.
        Box::pin(self.connect()).await
    }

    async fn connect(self: &Arc<Self>) -> Result<Lease, BoxError> {
        let stream = self.connector.clone().oneshot(self.origin.clone()).await?;
        let from = leaving(&stream.connected()).map(Arc::new);
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await?;
        let talk = async move {
            if let Err(fault) = connection.await {
                tracing::debug!(%fault, "an upstream connection ended");
            }
        };
        drop(task::spawn("upstream connection", talk));
        sender.ready().await?;
        Ok(Lease { sender, from, pool: Arc::clone(self) })
    }

    fn last(&self) -> Option<Idle> {
        let now = self.clock.monotonic();
        let mut idle = self.idle();
        while idle.front().is_some_and(|it| it.since + LONGEST_IDLE <= now) {
            idle.pop_front();
        }
        idle.pop_back()
    }

    fn keep(&self, sender: Sender, from: Option<Arc<Leaving>>) {
        let since = self.clock.monotonic();
        let mut idle = self.idle();
        if idle.len() == MOST_IDLE {
            idle.pop_front();
        }
        idle.push_back(Idle { sender, from, since });
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        // Every change is one call of the queue: valid after any panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Sends a request and returns the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.sender.try_send_request(request).await.map_err(|mut fault| {
            // hyper gives a request back only if it was never taken to be written.
            let written = fault.take_message().is_none();
            Unanswered { written, fault: fault.into_error() }
        })
    }

    /// The body of its answer, after which it comes back if it is `reusable`.
    pub(super) fn body(self, body: Incoming, reusable: bool) -> Leased {
        let mut leased = Leased { body, lease: Some(self).filter(|_| reusable) };
        if leased.body.is_end_stream() {
            // Nothing of it may ever be asked for.
            leased.give_back();
        }
        leased
    }
}

/// The body of an answer, with the connection that it comes on.
#[derive(Debug)]
pub(crate) struct Leased {
    body: Incoming,
    /// `None` once it has come back, or if it never will.
    lease: Option<Lease>,
}

impl Leased {
    fn give_back(&mut self) {
        if let Some(Lease { sender, from, pool }) = self.lease.take() {
            pool.keep(sender, from);
        }
    }
}

impl Body for Leased {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if ended {
            self.give_back();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn leaving(connected: &Connected) -> Option<Leaving> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(|it| Leaving::from(it.local_addr().ip()))
}

/// The causes of a fault in one line. None of them holds a header or a body.
pub(super) fn chain(fault: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut cause = Some(fault);
    while let Some(it) = cause {
        words.push(it.to_string());
        cause = it.source();
    }
    words.dedup();
    let words = words.join(": ");
    // rustls adds where its manual explains an early end.
    words.split(": https://").next().unwrap_or_default().to_owned()
}
