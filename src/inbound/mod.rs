//! Connections in: accept, read, answer, drain.
//!
//! HTTP/1.1 only, so that a whole class of framing faults does not exist here. tower stands at the
//! rim and nowhere else: a panic in a handler becomes an answer, and the process goes on.

mod identify;
mod replay;
mod target;

use std::any::Any;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::{ServiceBuilder, service_fn};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::identify::{Caller, Directory, Entry, Unidentified};
pub(crate) use self::replay::{Claim, Replays};
pub(crate) use self::target::{Doors, Misdirected, target};
use crate::message::{self, Body, BoxError, Incomplete};
use crate::task;

/// The longest JSON body that any documented call could need, with room to spare.
pub(crate) const MAX_BODY: usize = 64 * 1_024;
/// What hyper takes at most: more than `target` does, so that the answer is ours.
pub(crate) const MAX_HEAD: usize = 128 * 1_024;
pub(crate) const MAX_HEADERS: usize = 256;
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
const BODY_DEADLINE: Duration = Duration::from_secs(10);
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// How long the accept loop rests when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    if headers.get(CONTENT_ENCODING).is_some_and(|it| it != "identity") {
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
pub(crate) async fn serve<H, F>(listener: TcpListener, handle: H, mut stop: watch::Receiver<bool>)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => connect(stream, peer, handle.clone(), &connections),
            Err(fault) => {
                tracing::warn!(%fault, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

fn connect<H, F>(stream: TcpStream, peer: SocketAddr, handle: H, connections: &GracefulShutdown)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%fault, "no TCP_NODELAY");
    }
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = handle(request, peer);
        async move { Ok::<_, BoxError>(answer.await) }
    });
    let service = ServiceBuilder::new().layer(CatchPanicLayer::custom(after_panic)).service(answer);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // Deliberately no `half_close`: a client that goes away while its call waits must be noticed,
        // and to the server the two look alike.
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    // Boxed here, where its type is plain: inside a task the compiler cannot see that it is `Send`.
    let connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> =
        Box::pin(connections.watch(connection));
    task::spawn("connection", async move {
        if let Err(fault) = connection.await {
            tracing::debug!(%peer, %fault, "connection ended");
        }
    });
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
