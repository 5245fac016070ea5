//! The bytes of requests, counted before HTTP sees them.
//!
//! 1. A request begins with the first byte after the last answer. Its first line is held back until
//!    it is whole; then the script is asked whether to cut this request.
//! 2. What cuts a request at byte `n` acts when `n` bytes have come, and HTTP sees none of what came
//!    with the last of them: nothing of a cut request can be judged.
//! 3. A cut request is in the ledger, as a fault that was not executed.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;

use crate::simulator::control;
use crate::simulator::play::Ending;
use crate::simulator::script::RequestCut;
use crate::simulator::venue::Venue;

/// A first line is held back up to this length.
const MAX_LINE: usize = 8 * 1_024;
const READ: usize = 16 * 1_024;

/// Whose requests are counted.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) venue: Arc<Venue>,
    pub(crate) peer: IpAddr,
    pub(crate) number: u64,
    /// Takes the connection away from HTTP.
    pub(crate) end: mpsc::Sender<Ending>,
}

/// A stream whose requests are counted.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TlsStream<TcpStream>,
    visitor: Visitor,
    /// Read, and not yet handed on.
    held: BytesMut,
    at: Place,
    /// How much of this request has come.
    received: u64,
    /// What is to become of this request, and what its first line says.
    cut: Option<(RequestCut, Line)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// The next byte begins a request.
    Between,
    /// Its first line is not yet whole.
    Line,
    Rest,
    /// Nothing is read any more.
    Cut,
}

/// Method and path of a request's first line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) method: String,
    pub(crate) path: String,
}

impl Line {
    fn read(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (method, target) = line.split_once(' ')?;
        let target = target.split([' ', '?']).next()?;
        Some(Self { method: method.to_owned(), path: target.to_owned() })
    }
}

impl Watched {
    /// `left` was read from the stream before.
    pub(crate) fn new(stream: TlsStream<TcpStream>, visitor: Visitor, left: &[u8]) -> Self {
        let (held, at) = (BytesMut::new(), Place::Between);
        let mut watched = Self { stream, visitor, held, at, received: 0, cut: None };
        if !left.is_empty() {
            watched.take(left);
        }
        watched
    }

    pub(crate) fn into_inner(self) -> TlsStream<TcpStream> {
        self.stream
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.at == Place::Between {
            (self.at, self.received, self.cut) = (Place::Line, 0, None);
        }
        self.received = self.received.saturating_add(bytes.len() as u64);
        self.held.extend_from_slice(bytes);
        if self.at == Place::Line {
            let end = self.held.iter().position(|it| *it == b'\n');
            if end.is_none() && self.held.len() < MAX_LINE {
                return;
            }
            self.at = Place::Rest;
            let line = self.held.get(..end.unwrap_or(0)).and_then(Line::read);
            let line = line.filter(|it| !control::is_control(&it.path));
            self.cut = line.and_then(|it| Some((self.visitor.venue.due_request(&it.path)?, it)));
        }
        if let Some((cut, line)) = self.cut.take_if(|(cut, _)| self.received >= cut.at) {
            self.at = Place::Cut;
            let Visitor { venue, peer, number, end } = &self.visitor;
            venue.cut_short(line, *peer, *number, "1.1");
            // There is room for one, and whoever was first has the connection.
            end.try_send(Ending::Hangup(cut.then)).ok();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.at == Place::Cut {
                // Whoever has the connection now wakes nobody here.
                return Poll::Pending;
            }
            if this.at == Place::Rest && !this.held.is_empty() {
                let n = this.held.len().min(out.remaining());
                out.put_slice(&this.held.split_to(n));
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; READ];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            if !read.filled().is_empty() {
                this.take(read.filled());
            } else if this.held.is_empty() {
                return Poll::Ready(Ok(()));
            } else {
                // The end came before the first line was whole: HTTP may say what it thinks of it.
                this.at = Place::Rest;
            }
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.at == Place::Rest && self.held.is_empty() {
            self.at = Place::Between;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_read() {
        let line = Line::read(b"POST /v1/order/new?x=1 HTTP/1.1\r").expect("a line");
        assert_eq!((line.method.as_str(), line.path.as_str()), ("POST", "/v1/order/new"));
        for bad in [&b""[..], b"GET", b"\xff /"] {
            assert!(Line::read(bad).is_none(), "{bad:?}");
        }
    }
}
