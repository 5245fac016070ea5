//! Sockets: TLS, HTTP/1.1 and HTTP/2, and the faults that only a socket can have.
//!
//! 1. The protocol is what ALPN agreed on; without ALPN it is HTTP/1.1.
//! 2. `Date` comes from the exchange's clock alone: hyper's own is switched off.
//! 3. A scripted close drops the whole connection, streams and all, without a TLS farewell.
//! 4. An answer with a fault at one of its bytes is written by hand: the connection is taken from
//!    hyper for it, and given back where it survives.
//! 5. When the simulator stops, every connection is dropped where it stands.

use std::convert::Infallible;
use std::fmt;
use std::future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::Version;
use http::header;
use http::header::HOST;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt as _;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::simulator::control;
use crate::simulator::play;
use crate::simulator::play::Ending;
use crate::simulator::reply::Reply;
use crate::simulator::venue::Asked;
use crate::simulator::venue::Venue;
use crate::simulator::venue::Wire;
use crate::simulator::watched::Line;
use crate::simulator::watched::Visitor;
use crate::simulator::watched::Watched;
use crate::task;

const MAX_BODY: usize = 4 * 1_024 * 1_024;

/// How long a truncated body pauses before it fails, so that its beginning is on its way.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts until `stop` ends.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    venue: Arc<Venue>,
    mut stop: watch::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        let Ok((socket, peer)) = accepted else {
            // Out of descriptors, most likely: closing connections bring them back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = venue.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let venue = Arc::clone(&venue);
        let (acceptor, mut stop) = (acceptor.clone(), stop.clone());
        task::spawn("simulated connection", async move {
            tokio::select! {
                ended = connection(socket, peer, number, acceptor, venue) => {
                    if let Err(fault) = ended {
                        tracing::debug!(%peer, %fault, "simulated connection ended");
                    }
                }
                _ = stop.changed() => {}
            }
        });
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    number: u64,
    acceptor: TlsAcceptor,
    venue: Arc<Venue>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let stream = acceptor.accept(socket).await?;
    venue.handshakes.fetch_add(1, Ordering::Relaxed);
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (end, ended) = mpsc::channel(1);
    let visitor = Visitor { venue, peer: peer.ip().to_canonical(), number, end };
    if h2 { http2(stream, visitor, ended).await } else { http1(stream, visitor, ended).await }
}

async fn http2(
    stream: TlsStream<TcpStream>,
    visitor: Visitor,
    mut ended: mpsc::Receiver<Ending>,
) -> io::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let visitor = visitor.clone();
        async move {
            let venue = &visitor.venue;
            let path = request.uri().path();
            if !control::is_control(path) && venue.due_request(path).is_some() {
                let method = request.method().as_str().to_owned();
                let line = Line { method, path: path.to_owned() };
                venue.cut_short(line, visitor.peer, visitor.number, "2");
                return Ok::<_, Infallible>(hand_over(&visitor, Ending::Drop).await);
            }
            Ok(respond(request, visitor).await)
        }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let serving = builder.auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        done = serving => done.map_err(io::Error::other),
        // However it was to end: only the whole connection can be dropped here.
        _ = ended.recv() => Ok(()),
    }
}

async fn http1(
    stream: TlsStream<TcpStream>,
    visitor: Visitor,
    mut ended: mpsc::Receiver<Ending>,
) -> io::Result<()> {
    let mut watched = Watched::new(stream, visitor.clone(), &[]);
    loop {
        let visitor = visitor.clone();
        let again = visitor.clone();
        let service = service_fn(move |request| {
            let visitor = visitor.clone();
            async move { Ok::<_, Infallible>(respond(request, visitor).await) }
        });
        let mut builder = http1::Builder::new();
        let mut serving =
            builder.auto_date_header(false).serve_connection(TokioIo::new(watched), service);
        let ending = tokio::select! {
            done = &mut serving => return done.map_err(io::Error::other),
            Some(ending) = ended.recv() => ending,
        };
        let parts = serving.into_parts();
        let stream = parts.io.into_inner().into_inner();
        let stream = match ending {
            Ending::Drop => None,
            Ending::Hangup(how) => play::hang_up(stream, how).await,
            Ending::Play(play) => play.perform(stream).await,
        };
        let Some(stream) = stream else { return Ok(()) };
        watched = Watched::new(stream, again, &parts.read_buf);
    }
}

async fn respond(request: Request<Incoming>, visitor: Visitor) -> Response<Outgoing> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return hand_over(&visitor, Ending::Drop).await;
    };
    let mut headers = head.headers;
    // HTTP/2 says the host in the request's own authority.
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        headers.entry(HOST).or_insert(host);
    }
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        http: if head.version == Version::HTTP_2 { "2" } else { "1.1" },
        headers,
        body: body.to_bytes(),
        peer: visitor.peer,
        connection: visitor.number,
    };
    match Arc::clone(&visitor.venue).answer(asked).await {
        Wire::Whole(reply) => response(reply, None),
        Wire::Truncated(reply, bytes) => response(reply, Some(bytes)),
        Wire::ByHand(_, play) => hand_over(&visitor, Ending::Play(play)).await,
        Wire::Closed => hand_over(&visitor, Ending::Drop).await,
    }
}

/// Never returns: the connection is taken from HTTP.
async fn hand_over(visitor: &Visitor, ending: Ending) -> Response<Outgoing> {
    // There is room for one, and whoever was first has the connection.
    visitor.end.try_send(ending).ok();
    future::pending().await
}

fn response(reply: Reply, cut: Option<usize>) -> Response<Outgoing> {
    let Reply { status, mut headers, body } = reply;
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    let body = match cut {
        None => Outgoing::Whole(Some(body)),
        Some(bytes) => Outgoing::Cut(Some(body.slice(..bytes.min(body.len())))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A response's body.
enum Outgoing {
    Whole(Option<Bytes>),
    /// Still to be sent; then a pause, then a failure.
    Cut(Option<Bytes>),
    Pausing(Pin<Box<tokio::time::Sleep>>),
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = match &mut *self {
            Self::Whole(data) => {
                let data = data.take().filter(|it| !it.is_empty());
                return Poll::Ready(data.map(|it| Ok(Frame::data(it))));
            }
            Self::Cut(data) => data.take().filter(|it| !it.is_empty()),
            Self::Pausing(pause) => {
                return pause.as_mut().poll(context).map(|()| Some(Err(cut_off())));
            }
        };
        *self = Self::Pausing(Box::pin(tokio::time::sleep(PAUSE)));
        match data {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => self.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        let length = |data: &Option<Bytes>| data.as_ref().map_or(0, Bytes::len);
        match self {
            Self::Whole(data) => SizeHint::with_exact(u64::try_from(length(data)).unwrap_or(0)),
            Self::Cut(_) | Self::Pausing(_) => SizeHint::default(),
        }
    }
}

fn cut_off() -> io::Error {
    io::Error::other("the script cuts the body here")
}
