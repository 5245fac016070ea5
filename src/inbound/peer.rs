//! Who is at the other end of a connection, as the socket itself tells it.
//!
//! 1. An address over TCP, a user and a group over a unix socket; never what a header says.
//! 2. Names of a certificate only if the certificate was verified.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The other end of a connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Peer {
    /// `None` on a unix socket.
    pub(crate) address: Option<IpAddr>,
    /// Its user and its group, by number: on a unix socket, when it connected.
    pub(crate) user: Option<(u32, u32)>,
    /// The names in its certificate, none among them if it has none. `None`: it showed no certificate.
    pub(crate) certificate: Option<Arc<[String]>>,
}

/// What connections and wrong credentials are counted by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Source {
    Address(IpAddr),
    User(u32),
    /// A unix socket whose other end the system does not tell.
    Unknown,
}

impl Peer {
    /// Somebody at the other end of a TCP connection.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self { address: Some(address.to_canonical()), ..Self::default() }
    }

    pub(crate) fn source(&self) -> Source {
        match (self.address, self.user) {
            (Some(address), _) => Source::Address(address),
            (None, Some((uid, _))) => Source::User(uid),
            (None, None) => Source::Unknown,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source() {
            Source::Address(IpAddr::V4(v4)) => {
                // As its own `Display` writes it, which takes as long as reading the request.
                for (n, octet) in v4.octets().into_iter().enumerate() {
                    f.write_str(if n > 0 { "." } else { "" })?;
                    f.write_str(itoa::Buffer::new().format(octet))?;
                }
                Ok(())
            }
            Source::Address(v6 @ IpAddr::V6(_)) => v6.fmt(f),
            Source::User(uid) => write!(f, "uid:{uid}"),
            Source::Unknown => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_as_it_is_known() {
        for text in ["127.0.0.1", "0.0.0.0", "255.255.255.255", "10.20.0.255", "::1", "fe80::1"] {
            assert_eq!(Peer::at(text.parse().unwrap()).to_string(), text);
        }
        assert_eq!(Peer::at("::ffff:10.0.0.1".parse().unwrap()).to_string(), "10.0.0.1");
        let user = Peer { user: Some((1_000, 7)), ..Peer::default() };
        assert_eq!((user.to_string().as_str(), user.source()), ("uid:1000", Source::User(1_000)));
        assert_eq!(Peer::default().to_string(), "unix");
    }
}
