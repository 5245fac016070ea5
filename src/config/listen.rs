//! Where an upstream is served: at addresses, at addresses with TLS, at unix sockets.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;

/// One listener.
#[derive(Clone, Debug)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Tls(SocketAddr, Tls),
    Unix(UnixSocket),
}

/// A socket file, and who may connect to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UnixSocket {
    pub(crate) path: PathBuf,
    /// Permission bits: who may write to the file may connect.
    pub(crate) mode: u32,
    /// By number. `None`: the process's own.
    pub(crate) group: Option<u32>,
}

/// How a listener speaks TLS: its certificate and key, and whose client certificates it takes.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    /// Whether clients may show certificates.
    pub(crate) asks_clients: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is inside holds a private key.
        f.debug_struct("Tls").field("asks_clients", &self.asks_clients).finish_non_exhaustive()
    }
}
