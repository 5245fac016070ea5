//! Connections in: accept, read, answer, drain.
//!
//! HTTP/1.1 only, so that a whole class of framing faults does not exist here. Between the socket and
//! hyper stands the `gate`, which lets only heads through that can be read in one way. tower stands at
//! the rim and nowhere else: a panic in a handler becomes an answer, and the process goes on.

mod crowd;
mod gate;
mod head;
mod identify;
mod replay;
mod target;
mod throttle;

use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::{Service as _, ServiceBuilder, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::crowd::Crowd;
pub(crate) use self::crowd::Place;
use self::gate::Gate;
pub(crate) use self::gate::Unheard;
pub(crate) use self::head::{BadHead, Framing, judge};
pub(crate) use self::identify::{Caller, Directory, Unidentified, no_credential_in};
pub(crate) use self::replay::{Claim, Replays};
pub(crate) use self::target::{Doors, Misdirected, target};
pub(crate) use self::throttle::Throttle;
use crate::message::{self, Body, BoxError, Incomplete};
use crate::task::{self, Tasks};

/// The longest JSON body that any documented call could need, with room to spare.
pub(crate) const MAX_BODY: usize = 64 * 1_024;
/// hyper's buffer: more than a head that the gate lets through, and a whole body.
const MAX_BUFFER: usize = 64 * 1_024;
/// More than the gate lets through.
const MAX_FIELDS: usize = 100;
const BODY_DEADLINE: Duration = Duration::from_secs(10);
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// How long the accept loop rests when the system has no descriptors left: somebody honest may be next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("the body is compressed, and what is signed must be read as it is")]
    Compressed,
    #[error("the body is not acceptable: {0}")]
    Incomplete(#[from] Incomplete),
    #[error("the body did not arrive within {} s", BODY_DEADLINE.as_secs())]
    Slow,
}

/// Reads a request's body, whole and bounded.
pub(crate) async fn body(headers: &HeaderMap, body: &mut Incoming) -> Result<Bytes, Unread> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|it| it != "identity") {
        return Err(Unread::Compressed);
    }
    let whole = tokio::time::timeout(BODY_DEADLINE, message::read(body, MAX_BODY)).await;
    Ok(whole.map_err(|_| Unread::Slow)??)
}

/// Reads what is left of a body that nobody wants, so that the connection can be used again. `false`:
/// there is too much of it, or it comes too slowly.
pub(crate) async fn drain(body: &mut Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let rest = tokio::time::timeout(DRAIN_DEADLINE, message::read(body, MAX_BODY)).await;
    matches!(rest, Ok(Ok(_)))
}

/// Serves `listener` until `stop` turns true; returns when the last connection has been answered.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    crowd: Arc<Crowd>,
    handle: H,
    mut stop: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (connections, drained) = Tasks::new();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                if let Err(fault) = stream.set_nodelay(true) {
                    tracing::debug!(%fault, "no TCP_NODELAY");
                }
                // Without a place it is closed here, without a word.
                if let Some(place) = crowd.admit(peer.ip().to_canonical()) {
                    let talk = connect(stream, (place, peer), handle.clone(), stop.clone());
                    drop(connections.spawn("connection", talk));
                }
            }
            Err(fault) => {
                // Once for each spell.
                if !failing {
                    tracing::warn!(%fault, "connections cannot be accepted");
                }
                failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, connections));
    drained.wait().await;
}

/// One connection, to its end. Not an `async fn`: in one the compiler cannot see that it is `Send`.
pub(crate) fn connect<S, H, F>(
    stream: S,
    (place, peer): (Place, SocketAddr),
    handle: H,
    mut stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let place = Arc::new(place);
    let seat = Arc::clone(&place.seat);
    let handle = service_fn(move |request| {
        let answer = handle(request, peer);
        async move { Ok::<_, BoxError>(answer.await) }
    });
    let guarded = ServiceBuilder::new().layer(CatchPanicLayer::custom(after_panic)).service(handle);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let attended = place.attend();
        let unheard = place.seat.unheard().filter(|_| gate::is_placeholder(&request));
        // The gate judges nothing after these, so nothing after them may be read: not after a panic either.
        let has = |name| request.headers().contains_key(name);
        let upgrade = has(UPGRADE) || request.method() == Method::CONNECT;
        let last = unheard.is_some() || has(TRANSFER_ENCODING) || has(UPGRADE);
        if let Some(unheard) = unheard {
            request.extensions_mut().insert(unheard);
        }
        if upgrade {
            drop(task::spawn("refused upgrade", end_well(hyper::upgrade::on(&mut request))));
        }
        let answer = guarded.clone().call(request);
        async move {
            let mut answer = answer.await?;
            if last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(attended);
            Ok::<_, BoxError>(answer)
        }
    });
    let socket = TokioIo::new(Gate::new(stream, Arc::clone(&seat)));
    let mut connection = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_FIELDS)
        // Deliberately no `half_close`: a client that goes away while its call waits must be noticed,
        // and to the server the two look alike.
        .serve_connection(socket, TowerToHyperService::new(service))
        .with_upgrades();
    let mut end = Box::pin(async move {
        tokio::select! {
            () = seat.asked_to_leave() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    let mut ending = false;
    poll_fn(move |context| {
        if !ending && end.as_mut().poll(context).is_ready() {
            // What is being answered is answered; then it ends.
            ending = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        Pin::new(&mut connection).poll(context).map(|ended| {
            if let Err(fault) = ended {
                tracing::debug!(%peer, %fault, "connection ended");
            }
        })
    })
}

/// Closes a connection that hyper gives up because its client asked for another protocol, which nobody
/// speaks here: it leaves the closing to whoever does.
async fn end_well(upgrade: OnUpgrade) {
    if let Ok(given_up) = upgrade.await {
        drop(TokioIo::new(given_up).shutdown().await);
    }
}

/// Nothing was sent: what goes upstream runs in a task of its own, which this does not see.
fn after_panic(_: Box<dyn Any + Send>) -> Response<Body> {
    let text = r#"{"message":"a fault in the proxy; nothing was sent","diagnosis":{"decided_by":"proxy","outcome":"not_sent","retry":"now","cause":"internal"}}"#;
    let mut response = Response::new(message::full(text));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Binds `address`, or says which address it was.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |fault: io::Error| io::Error::new(fault.kind(), format!("{address}: {fault}"));
    TcpListener::bind(address).await.map_err(named)
}

#[cfg(test)]
mod tests;
