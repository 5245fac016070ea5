//! What stands between a socket and the HTTP library: only heads that `head` has judged get through.
//!
//! 1. A head goes through whole, once it has been judged; then exactly the body that it announces.
//! 2. In the place of one that is refused, the library gets a request that nobody can send, and the
//!    seat says what was wrong. So every answer is made in one way, with its record and diagnosis.
//! 3. Deadlines are counted in ticks, so that a busy connection sets no timer: a head has
//!    10 to 15 s from its first byte, a connection may idle for about a minute, and one whose client
//!    takes nothing of an answer for 15 to 20 s is cut.
//! 4. A connection that is closed while its client still sends is read on for a moment: closed at once
//!    it would be reset, and the answer lost on its way (RFC 9112, section 9.6).
//!
//! In the usual case, a request that arrives in one piece on a busy connection, nothing is copied and
//! nothing allocated. On one that rested, the first bytes are read without the library, and copied.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::crowd::Seat;
use super::head::{self, BadHead, Framing, Progress};

const TICK: Duration = Duration::from_secs(5);
const HEAD_TICKS: u32 = 3;
const IDLE_TICKS: u32 = 13;
/// Well within what a drain waits.
const STALL_TICKS: u32 = 4;
/// How long, and how much, is read from a client that still sends when its connection closes.
const LINGER: Duration = Duration::from_millis(500);
/// A request as a bot writes it.
const FIRST_READ: usize = 2_048;
const MAX_LINGERING: usize = 256 * 1_024;
/// No client can send this: the method is not a word.
const PLACEHOLDER: &[u8] = b"- / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Why a request was not heard out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unheard {
    #[error(transparent)]
    Bad(#[from] BadHead),
    #[error("the head did not arrive in time")]
    Slow,
    #[error("as many connections are open as are served at once")]
    Crowded,
}

/// Whether a request stands in the place of one that was refused.
pub(super) fn is_placeholder<B>(request: &Request<B>) -> bool {
    request.method().as_str() == "-"
}

#[derive(Debug)]
pub(super) struct Gate<S> {
    socket: S,
    seat: Arc<Seat>,
    expects: Expects,
    // What may go through, before anything else.
    cleared: Bytes,
    // What came in and was not judged yet.
    held: BytesMut,
    // How much of it was searched for the end of the head.
    seen: usize,
    // Whether an empty line before this head was passed over.
    forgave: bool,
    ticks: Ticks,
    idle_since: u32,
    stalled_since: Option<u32>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
    // Whether a request was let through before.
    had_one: bool,
    // Whether the last request came soon after the one before it.
    busy: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expects {
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// Whatever comes belongs to the last request.
    Rest,
    /// Nothing: the head was refused.
    Nothing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gate<S> {
    pub(super) fn new(socket: S, seat: Arc<Seat>) -> Self {
        let mut gate = Self {
            socket,
            seat,
            expects: Expects::Head,
            cleared: Bytes::new(),
            held: BytesMut::new(),
            seen: 0,
            forgave: false,
            ticks: Ticks::new(),
            idle_since: 0,
            stalled_since: None,
            lingering: None,
            had_one: false,
            busy: false,
        };
        if gate.seat.unheard().is_some() {
            gate.refuse();
        }
        gate
    }

    /// Puts the placeholder in the place of what came.
    fn refuse(&mut self) {
        self.seat.traffic.open();
        self.expects = Expects::Nothing;
        self.cleared = Bytes::from_static(PLACEHOLDER);
        self.held = BytesMut::new();
    }

    fn refuse_for(&mut self, why: impl Into<Unheard>) {
        self.seat.refuse(why.into());
        self.refuse();
    }

    /// Moves as much as may go through from what is held.
    fn clear_held(&mut self) {
        match self.expects {
            Expects::Nothing => {}
            Expects::Rest => self.cleared = self.held.split().freeze(),
            Expects::Body(left) => {
                let n = self.held.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.cleared = self.held.split_to(n).freeze();
                self.took(n);
            }
            Expects::Head => self.clear_head(),
        }
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }

    fn clear_head(&mut self) {
        // One empty line before a request is forgiven (RFC 9112, section 2.2), and not passed on.
        if !self.forgave {
            if *self.held == *b"\r" {
                return;
            }
            if self.held.starts_with(b"\r\n") {
                self.forgave = true;
                self.held.advance(2);
            }
        }
        if self.held.is_empty() {
            return;
        }
        match head::progress(&self.held, self.seen) {
            Progress::Incomplete => self.seen = self.held.len(),
            Progress::Bad(bad) => self.refuse_for(bad),
            Progress::Complete(length) => {
                match head::judge(self.held.get(..length).unwrap_or_default()) {
                    Ok(framing) => {
                        self.cleared = self.held.split_to(length).freeze();
                        self.expect(framing);
                    }
                    Err(bad) => self.refuse_for(bad),
                }
            }
        }
    }

    /// Whether `fresh` is a whole head and nothing but its body: then it can go through as it is.
    fn is_plain(&mut self, fresh: &[u8]) -> bool {
        let Progress::Complete(length) = head::progress(fresh, 0) else { return false };
        let Ok(framing) = head::judge(fresh.get(..length).unwrap_or_default()) else {
            return false;
        };
        let body = fresh.len() - length;
        let announced = match framing {
            Framing::Length(it) => usize::try_from(it).unwrap_or(usize::MAX),
            Framing::Rest => usize::MAX,
        };
        if body > announced {
            return false;
        }
        self.expect(framing);
        self.took(body);
        true
    }

    fn expect(&mut self, framing: Framing) {
        self.seat.traffic.open();
        (self.seen, self.forgave, self.idle_since) = (0, false, self.ticks.n);
        self.had_one = true;
        self.expects = match framing {
            Framing::Length(0) => Expects::Head,
            Framing::Length(length) => Expects::Body(length),
            Framing::Rest => Expects::Rest,
        };
    }

    /// Counts `n` bytes of a body.
    fn took(&mut self, n: usize) {
        if let Expects::Body(left) = self.expects {
            let left = left.saturating_sub(n as u64);
            self.expects = if left == 0 { Expects::Head } else { Expects::Body(left) };
        }
    }

    /// Reads from the socket, using the library's buffer as scratch. `true`: what is there may go
    /// through as it is.
    fn poll_socket(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        if let Expects::Body(left) = self.expects {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.remaining());
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut part))?;
            let n = part.filled().len();
            buffer.advance(n);
            self.took(n);
            return Poll::Ready(Ok(true));
        }
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        if self.expects == Expects::Rest {
            return Poll::Ready(Ok(true));
        }
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        self.begin();
        if fresh.is_empty() || (self.held.is_empty() && self.is_plain(fresh)) {
            return Poll::Ready(Ok(true));
        }
        self.held.extend_from_slice(fresh);
        buffer.set_filled(before);
        Poll::Ready(Ok(false))
    }

    /// Waits for the first bytes of a request, without the library. `false`: none will come.
    pub(super) fn poll_heard(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.cleared.is_empty() && self.held.is_empty() {
            let mut scratch = [0; FIRST_READ];
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    self.poll_patience(context);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.begin();
                    self.held.extend_from_slice(buffer.filled());
                }
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }

    /// Takes note of the time if a head begins.
    fn begin(&mut self) {
        if self.held.is_empty() {
            self.busy = self.had_one && self.idle_since == self.ticks.n;
            self.idle_since = self.ticks.n;
        }
    }

    /// Looks at the time while nothing comes.
    fn poll_patience(&mut self, context: &mut Context<'_>) {
        let n_idle = self.ticks.poll(context) - self.idle_since;
        let nothing = self.expects == Expects::Head && self.held.is_empty();
        self.seat.traffic.rest(nothing && (n_idle > 0 || !self.busy));
        if self.expects != Expects::Head {
            return;
        }
        if !self.held.is_empty() && n_idle >= HEAD_TICKS {
            self.refuse_for(Unheard::Slow);
        } else if n_idle >= IDLE_TICKS {
            // Deliberately no end of file: a request that is being answered would be dropped by it.
            self.seat.ask_to_leave();
        }
    }

    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Of a head that is still coming in, nothing was answered.
        let quiet = self.expects == Expects::Head;
        let (rest, n_read) = match &mut self.lingering {
            None if quiet => return Poll::Ready(()),
            None => self.lingering.insert((Box::pin(sleep(LINGER)), 0)),
            Some(lingering) => lingering,
        };
        while *n_read < MAX_LINGERING && rest.as_mut().poll(context).is_pending() {
            let mut scratch = [0; 2_048];
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *n_read += buffer.filled().len(),
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }

    fn poll_progress<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled_since = None;
            // Who takes an answer is not idle.
            self.idle_since = self.ticks.n;
            return written;
        }
        let now = self.ticks.poll(context);
        if now - *self.stalled_since.get_or_insert(now) < STALL_TICKS {
            return Poll::Pending;
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.cleared.is_empty() {
                let n = this.cleared.len().min(buffer.remaining());
                buffer.put_slice(&this.cleared.split_to(n));
                return Poll::Ready(Ok(()));
            }
            if !this.held.is_empty() {
                this.clear_held();
                if !this.cleared.is_empty() {
                    continue;
                }
            }
            if this.expects == Expects::Nothing {
                // Its answer is on the way; nothing more is heard.
                return Poll::Pending;
            }
            match this.poll_socket(context, buffer) {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => {
                    this.poll_patience(context);
                    if this.cleared.is_empty() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.seat.traffic.write(false);
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        this.poll_progress(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.seat.traffic.write(false);
        let written = Pin::new(&mut this.socket).poll_write_vectored(context, parts);
        this.poll_progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // TLS takes a short answer in at once, and keeps it until its client takes it.
        let flushed = Pin::new(&mut this.socket).poll_flush(context);
        ready!(this.poll_progress(context, flushed))?;
        this.seat.traffic.write(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.seat.traffic.stays() {
            return Poll::Ready(Ok(()));
        }
        if this.lingering.is_none() {
            let shut = Pin::new(&mut this.socket).poll_shutdown(context);
            ready!(this.poll_progress(context, shut))?;
        }
        this.poll_linger(context).map(Ok)
    }
}

/// Counts spans of [`TICK`] while somebody waits.
#[derive(Debug)]
struct Ticks {
    // Made when it is first waited for.
    next: Option<Pin<Box<Sleep>>>,
    // So many were seen to pass.
    n: u32,
}

impl Ticks {
    const fn new() -> Self {
        Self { next: None, n: 0 }
    }

    /// How many have passed in all: two wait on the same ticks, and neither takes the other's.
    fn poll(&mut self, context: &mut Context<'_>) -> u32 {
        let next = self.next.get_or_insert_with(|| Box::pin(sleep(TICK)));
        // A process that was stopped for long has lost one tick, not many: its clients were not slow.
        while next.as_mut().poll(context).is_ready() {
            next.set(sleep(TICK));
            self.n += 1;
        }
        self.n
    }
}

#[cfg(test)]
mod tests;
