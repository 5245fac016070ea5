//! Sockets: TLS, HTTP/1.1 and HTTP/2, and the faults that only a socket can have.
//!
//! 1. The protocol is what ALPN agreed on; without ALPN it is HTTP/1.1.
//! 2. `Date` comes from the exchange's clock alone: hyper's own is switched off.
//! 3. A scripted close drops the whole connection, streams and all, without a TLS farewell.
//! 4. When the simulator stops, every connection is dropped where it stands.

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
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::simulator::reply::Reply;
use crate::simulator::venue::Asked;
use crate::simulator::venue::Venue;
use crate::simulator::venue::Wire;
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
        let visitor = Visitor { venue: Arc::clone(&venue), peer, number, close: Arc::default() };
        let (acceptor, mut stop) = (acceptor.clone(), stop.clone());
        task::spawn("simulated connection", async move {
            tokio::select! {
                ended = connection(socket, acceptor, visitor) => {
                    if let Err(fault) = ended {
                        tracing::debug!(%peer, %fault, "simulated connection ended");
                    }
                }
                _ = stop.changed() => {}
            }
        });
    }
}

/// One connection's own knowledge.
#[derive(Clone, Debug)]
struct Visitor {
    venue: Arc<Venue>,
    peer: SocketAddr,
    number: u64,
    /// Ends the connection without an answer.
    close: Arc<Notify>,
}

async fn connection(socket: TcpStream, acceptor: TlsAcceptor, visitor: Visitor) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let stream = acceptor.accept(socket).await?;
    visitor.venue.handshakes.fetch_add(1, Ordering::Relaxed);
    let close = Arc::clone(&visitor.close);
    tokio::select! {
        ended = http(stream, visitor) => ended.map_err(io::Error::other),
        () = close.notified() => Ok(()),
    }
}

async fn http(stream: TlsStream<TcpStream>, visitor: Visitor) -> hyper::Result<()> {
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let visitor = visitor.clone();
        async move { Ok::<_, Infallible>(respond(request, visitor).await) }
    });
    let io = TokioIo::new(stream);
    if h2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.auto_date_header(false).serve_connection(io, service).await
    } else {
        http1::Builder::new().auto_date_header(false).serve_connection(io, service).await
    }
}

async fn respond(request: Request<Incoming>, visitor: Visitor) -> Response<Outgoing> {
    let Visitor { venue, peer, number, close } = visitor;
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return hang_up(&close).await;
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
        peer: peer.ip().to_canonical(),
        connection: number,
    };
    match venue.answer(asked).await {
        Wire::Whole(reply) => response(reply, None),
        Wire::Truncated(reply, bytes) => response(reply, Some(bytes)),
        Wire::Closed => hang_up(&close).await,
    }
}

/// Never returns: the connection that waits for it is dropped.
async fn hang_up(close: &Notify) -> Response<Outgoing> {
    close.notify_one();
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
