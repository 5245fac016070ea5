//! One connection, to its end.
//!
//! 1. The HTTP library comes with the first byte of a request, and goes when its answer has gone: in
//!    between, a connection is its socket and its seat. One that is busy keeps the library, which goes
//!    when nothing came for a while.
//! 2. The library goes by its own orderly end, in which it writes out whatever it holds; only the
//!    socket stays. If it does not end at once, it is not idle, and the connection ends with it.
//! 3. A panic in a handler becomes an answer, and the process goes on.

use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{HttpService, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use super::crowd::{Place, Seat};
use super::gate::{self, Gate};
use super::peer::Peer;
use super::traffic::Open;
use crate::message::{self, Body, BoxError};
use crate::task;

/// hyper's buffer: more than a head that the gate lets through, and a whole body.
const MAX_BUFFER: usize = 64 * 1_024;

/// Serves `stream` until its client leaves, is asked to, or `stop` turns true. Not an `async fn`: in one
/// the compiler cannot see that it is `Send`.
pub(crate) fn connect<S, H, F>(
    stream: S,
    (place, peer): (Place, Peer),
    handle: H,
    mut stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let seat = Arc::clone(&place.seat);
    let asked = Arc::clone(&seat);
    let mut end = Box::pin(async move {
        tokio::select! {
            () = asked.asked_to_leave() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    let gate = Gate::new(stream, Arc::clone(&seat));
    let stage = Stage::Waiting(gate, service(place, peer.clone(), handle));
    let mut connection = Connection { stage, seat, peer, ending: false };
    poll_fn(move |context| {
        if !connection.ending && end.as_mut().poll(context).is_ready() {
            connection.end();
        }
        connection.poll(context)
    })
}

struct Connection<S, V: HttpService<Incoming>> {
    stage: Stage<S, V>,
    seat: Arc<Seat>,
    peer: Peer,
    ending: bool,
}

enum Stage<S, V: HttpService<Incoming>> {
    /// For the first byte of a request.
    Waiting(Gate<S>, V),
    Serving(Box<UpgradeableConnection<TokioIo<Gate<S>>, V>>),
    Over,
}

impl<S, V> Connection<S, V>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    V: HttpService<Incoming, ResBody = Whole, Error = BoxError>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.stage {
                Stage::Waiting(gate, _) => {
                    if self.ending || !ready!(gate.poll_heard(context)) {
                        return Pin::new(gate).poll_shutdown(context).map(drop);
                    }
                    self.serve();
                }
                Stage::Serving(library) => match Pin::new(&mut **library).poll(context) {
                    Poll::Ready(ended) => {
                        self.tell(ended);
                        return Poll::Ready(());
                    }
                    Poll::Pending if self.ending || !self.seat.traffic.is_over() => {
                        return Poll::Pending;
                    }
                    Poll::Pending => ready!(self.poll_leave(context)),
                },
                Stage::Over => return Poll::Ready(()),
            }
        }
    }

    /// Calls for the library.
    fn serve(&mut self) {
        if let Stage::Waiting(gate, service) = mem::replace(&mut self.stage, Stage::Over) {
            let mut builder = http1::Builder::new();
            // Deliberately no `half_close`: a client that goes away while its call waits must be
            // noticed, and to the server the two look alike.
            builder.max_buf_size(MAX_BUFFER);
            let library = builder.serve_connection(TokioIo::new(gate), service);
            self.stage = Stage::Serving(Box::new(library.with_upgrades()));
        }
    }

    /// Parts with the library.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.seat.traffic.let_stay(true);
        self.end();
        let ended = match &mut self.stage {
            Stage::Serving(library) => Pin::new(&mut **library).poll(context),
            Stage::Waiting(..) | Stage::Over => Poll::Pending,
        };
        self.seat.traffic.let_stay(false);
        let ended = ready!(ended);
        if let Stage::Serving(library) = mem::replace(&mut self.stage, Stage::Over)
            && ended.is_ok()
            && let Some(http1::Parts { io, read_buf, service, .. }) = library.into_parts()
            && read_buf.is_empty()
        {
            self.ending = false;
            self.stage = Stage::Waiting(io.into_inner(), service);
        }
        self.tell(ended);
        Poll::Ready(())
    }

    /// What is being answered is answered; then it ends.
    fn end(&mut self) {
        self.ending = true;
        if let Stage::Serving(library) = &mut self.stage {
            Pin::new(&mut **library).graceful_shutdown();
        }
    }

    fn tell(&self, ended: hyper::Result<()>) {
        if let Err(fault) = ended {
            tracing::debug!(peer = %self.peer, %fault, "connection ended");
        }
    }
}

/// What answers the requests of one connection.
fn service<H, F>(
    place: Place,
    peer: Peer,
    handle: H,
) -> impl HttpService<
    Incoming,
    ResBody = Whole,
    Error = BoxError,
    Future = impl Future<Output = Result<Response<Whole>, BoxError>> + Send,
> + Send
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let place = Arc::new(place);
    service_fn(move |mut request: Request<Incoming>| {
        let open = Open::new(&place.seat);
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
            // Never over: hyper would give the socket to that other protocol.
            place.seat.traffic.open();
            drop(task::spawn("refused upgrade", end_well(hyper::upgrade::on(&mut request))));
        }
        // In a box, which goes with the answer: hyper keeps room for what is not in one.
        let answer =
            catch_unwind(AssertUnwindSafe(|| Box::pin(handle(request, peer.clone())))).ok();
        async move {
            let mut answer = Guarded(answer).await;
            if last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(attended);
            Ok::<_, BoxError>(answer.map(|body| Whole { body, _open: open }))
        }
    })
}

/// An answer that comes even if its maker panics.
struct Guarded<F>(Option<Pin<Box<F>>>);

impl<F: Future<Output = Response<Body>>> Future for Guarded<F> {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        let Some(answer) = &mut self.0 else { return Poll::Ready(after_panic()) };
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(after_panic()))
    }
}

/// The body of an answer, which is whole when this is dropped.
struct Whole {
    body: Body,
    _open: Open,
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Closes a connection that hyper gives up because its client asked for another protocol, which nobody
/// speaks here: it leaves the closing to whoever does.
async fn end_well(upgrade: OnUpgrade) {
    if let Ok(given_up) = upgrade.await {
        drop(TokioIo::new(given_up).shutdown().await);
    }
}

/// Nothing was sent: what goes upstream is carried, and its panics are not seen here.
fn after_panic() -> Response<Body> {
    let text = r#"{"message":"a fault in the proxy; nothing was sent","diagnosis":{"decided_by":"proxy","outcome":"not_sent","retry":"now","cause":"internal"}}"#;
    let mut response = Response::new(message::full(text));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::inbound::Crowd;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const TICKS: Duration = Duration::from_secs(11);

    /// Whether the library is there after each of these pauses, at whose end a request comes.
    async fn check(pauses: &[Duration], kept: &[bool]) {
        let (mut client, socket) = duplex(10_000);
        let peer = Peer::at(Ipv4Addr::LOCALHOST.into());
        let place = Crowd::new(0).admit(peer.source()).unwrap();
        let seat = Arc::clone(&place.seat);
        let gate = Gate::new(socket, Arc::clone(&seat));
        let service =
            service(place, peer.clone(), |_, _| async { Response::new(message::full("it")) });
        let stage = Stage::Waiting(gate, service);
        let mut connection = Connection { stage, seat, peer, ending: false };
        for (n, pause) in pauses.iter().enumerate() {
            let run = poll_fn(|context| connection.poll(context));
            assert!(timeout(*pause, run).await.is_err(), "it lasts");
            client.write_all(REQUEST).await.unwrap();
            let run = poll_fn(|context| connection.poll(context));
            assert!(timeout(Duration::from_millis(1), run).await.is_err(), "it lasts");
            assert!(client.read(&mut [0; 1_000]).await.unwrap() > 50);
            assert_eq!(matches!(connection.stage, Stage::Serving(_)), kept[n], "{n}");
        }
        let run = poll_fn(|context| connection.poll(context));
        assert!(timeout(TICKS, run).await.is_err(), "it lasts");
        assert!(matches!(connection.stage, Stage::Waiting(..)), "whoever is idle is a socket");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_busy_connection_keeps_the_library() {
        let soon = Duration::from_millis(10);
        check(&[soon; 4], &[false, true, true, true]).await;
        check(&[TICKS; 4], &[false; 4]).await;
        check(&[TICKS, soon, TICKS, soon], &[false, true, false, true]).await;
    }
}
