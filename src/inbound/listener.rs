//! Listeners of every kind: TCP, TLS over TCP, unix sockets.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::connection::connect;
use super::crowd::Place;
use super::peer::Peer;
use super::tls;
use super::unix::{self, SocketFile, Unbound};
use crate::config::Listen;
use crate::message::Body;
use crate::task::Tasks;

/// A bound listener.
pub(crate) struct Listener(Kind);

enum Kind {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    /// The file goes with it.
    Unix(UnixListener, SocketFile),
}

/// Where a listener can be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Bound {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

/// A connection that came in, and who is at its other end.
pub(super) struct Accepted {
    stream: Stream,
    pub(super) peer: Peer,
}

enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream),
}

impl Listener {
    pub(crate) async fn open(listen: &Listen) -> Result<Self, Unbound> {
        Ok(Self(match listen {
            Listen::Tcp(address) => Kind::Tcp(bind(*address).await?),
            Listen::Tls(address, tls) => {
                Kind::Tls(bind(*address).await?, TlsAcceptor::from(tls.server.clone()))
            }
            Listen::Unix(socket) => {
                let (listener, file) = unix::bind(socket).await?;
                Kind::Unix(listener, file)
            }
        }))
    }

    pub(crate) fn bound(&self) -> Result<Bound, Unbound> {
        let Self(kind) = self;
        Ok(match kind {
            Kind::Tcp(listener) => Bound::Tcp(listener.local_addr()?),
            Kind::Tls(listener, _) => Bound::Tls(listener.local_addr()?),
            Kind::Unix(_, file) => Bound::Unix(file.path.clone()),
        })
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        let Self(kind) = self;
        let (stream, peer) = match kind {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Stream::Tcp(at_once(stream)), Peer::at(peer.ip()))
            }
            Kind::Tls(listener, acceptor) => {
                let (stream, peer) = listener.accept().await?;
                (Stream::Tls(at_once(stream), acceptor.clone()), Peer::at(peer.ip()))
            }
            Kind::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let peer = unix::peer(&stream);
                (Stream::Unix(stream), peer)
            }
        };
        Ok(Accepted { stream, peer })
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

impl Accepted {
    /// Serves it in a task. One for each kind of stream, so that plain TCP pays nothing for the others.
    pub(super) fn begin<H, F>(
        self,
        place: Place,
        handle: H,
        stop: watch::Receiver<bool>,
        connections: &Tasks,
    ) where
        H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let seated = (place, self.peer);
        drop(match self.stream {
            Stream::Tcp(stream) => {
                connections.spawn("connection", connect(stream, seated, handle, stop))
            }
            Stream::Tls(stream, acceptor) => {
                let talk = tls::connect((stream, acceptor), seated, handle, stop);
                connections.spawn("connection with TLS", talk)
            }
            Stream::Unix(stream) => {
                connections.spawn("unix connection", connect(stream, seated, handle, stop))
            }
        });
    }
}

/// As the base URL of whoever calls there begins.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(address) => write!(f, "https://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Binds `address`, or says which address it was.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |fault: io::Error| io::Error::new(fault.kind(), format!("{address}: {fault}"));
    TcpListener::bind(address).await.map_err(named)
}

/// The stream, which keeps nothing back to make packets larger.
fn at_once(stream: TcpStream) -> TcpStream {
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%fault, "no TCP_NODELAY");
    }
    stream
}
