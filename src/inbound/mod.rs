//! Connections in: accept, read, answer, drain.
//!
//! HTTP/1.1 only, so that a whole class of framing faults does not exist here. Between the socket and
//! hyper stands the `gate`, which lets only heads through that can be read in one way.

mod connection;
mod crowd;
mod gate;
mod head;
mod identify;
mod listener;
mod peer;
mod replay;
mod target;
mod throttle;
mod tls;
mod traffic;
mod unix;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::watch;

pub(crate) use self::connection::connect;
pub(crate) use self::crowd::Crowd;
pub(crate) use self::gate::Unheard;
pub(crate) use self::head::{BadHead, Framing, judge};
pub(crate) use self::identify::{Caller, Directory, Unidentified, no_credential_in};
pub(crate) use self::listener::{Bound, Listener, bind};
pub(crate) use self::peer::Peer;
pub(crate) use self::replay::{Claim, Replays};
pub(crate) use self::target::{Doors, Misdirected, target};
pub(crate) use self::throttle::Throttle;
pub(crate) use self::unix::Unbound;
use crate::message::{self, Body, Incomplete};
use crate::task::Tasks;

/// The longest JSON body that any documented call could need, with room to spare.
pub(crate) const MAX_BODY: usize = 64 * 1_024;
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
    listener: impl Into<Listener>,
    crowd: Arc<Crowd>,
    handle: H,
    mut stop: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = listener.into();
    let (connections, drained) = Tasks::new();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok(accepted) => {
                failing = false;
                // Without a place it is closed here, without a word.
                if let Some(place) = crowd.admit(accepted.peer.source()) {
                    accepted.begin(place, handle.clone(), stop.clone(), &connections);
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

#[cfg(test)]
mod tests;
