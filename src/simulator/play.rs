//! Answers written by hand, so that a fault can happen at any byte of them.
//!
//! 1. What is written is status line, head and body as HTTP/1.1 has them, inside TLS.
//! 2. Large answers are made while they are written: none is held in memory.
//! 3. Afterwards the connection serves on, unless the fault has ended it: whether to use it again
//!    is for the other side to decide.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::simulator::gzip;
use crate::simulator::reply::Reply;
use crate::simulator::script::Action;
use crate::simulator::script::Cut;
use crate::simulator::script::Encoding;
use crate::simulator::script::Fill;
use crate::simulator::script::Hangup;
use crate::simulator::script::Then;

type Stream = TlsStream<TcpStream>;

/// How much is written at a time.
const STEP: u64 = 16 * 1_024;
/// How much noise there is instead of what has no end.
const MAX_NOISE: u64 = 1 << 20;
const CHUNKED: &str = "transfer-encoding: chunked\r\n";

/// Why HTTP loses its connection.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It closes without an answer.
    Drop,
    /// It is cut in the middle of a request.
    Hangup(Hangup),
    /// The answer is written by hand.
    Play(Box<Play>),
}

/// An answer to be written by hand.
#[derive(Debug)]
pub(crate) struct Play {
    source: Source,
    cut: Option<Cut>,
}

impl Play {
    /// The answer, if anything in the action is about its bytes, and the fault's name.
    pub(crate) fn new(reply: &Reply, action: &Action) -> Option<(&'static str, Self)> {
        let cut = action.cut.clone();
        let source = match &action.raw {
            Some(raw) => Source::new([Piece::Bytes(raw.0.clone().into())]),
            None => written(reply, action),
        };
        let kind = match (&cut, &action.raw, action.fill, action.informational, action.encoded) {
            (Some(cut), ..) => cut.then.label(),
            (None, Some(_), ..) => "raw",
            (None, None, Some(_), ..) => "fill",
            (None, None, None, Some(_), _) => "informational",
            (None, None, None, None, Some(Encoding::Gzip)) => "gzip",
            (None, None, None, None, None) => return None,
        };
        Some((kind, Self { source, cut }))
    }

    /// How long the whole answer is; none if it has no end.
    pub(crate) fn length(&self) -> Option<u64> {
        self.source.length()
    }

    /// Writes it. What is returned is the connection, if it is to serve on.
    pub(crate) async fn perform(self, mut stream: Stream) -> Option<Stream> {
        let Self { mut source, cut } = self;
        let (at, then) = cut.map_or((u64::MAX, None), |it| (it.at, Some(it.then)));
        send(&mut stream, &mut source, at).await.ok()?;
        match then {
            None => Some(stream),
            Some(Then::Drop) => None,
            Some(Then::Reset) => hang_up(stream, Hangup::Reset).await,
            Some(Then::Stall) => hang_up(stream, Hangup::Stall).await,
            Some(Then::Truncate) => {
                stream.shutdown().await.ok();
                None
            }
            Some(Then::TlsGarbage(bytes)) => {
                stream.get_mut().0.write_all(&bytes.0).await.ok()?;
                hang_up(stream, Hangup::Stall).await
            }
            Some(Then::StallMs(pause)) => {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                finish(stream, source).await
            }
            Some(Then::TrickleMs(pause)) => trickle(stream, source, pause).await,
            Some(Then::Garbage(bytes)) => {
                finish(stream, Source::new([Piece::Bytes(bytes.0.into())])).await
            }
            Some(Then::Noise(seed)) => {
                let length = source.length().unwrap_or(MAX_NOISE);
                finish(stream, Source::new([Piece::Noise(seed, length)])).await
            }
        }
    }
}

impl Then {
    const fn label(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Truncate => "cut",
            Self::Stall | Self::StallMs(_) => "stall",
            Self::TrickleMs(_) => "trickle",
            Self::Garbage(_) => "garbage",
            Self::Noise(_) => "noise",
            Self::TlsGarbage(_) => "tls_garbage",
        }
    }
}

/// Ends a connection. There is never one to serve on.
pub(crate) async fn hang_up(mut stream: Stream, how: Hangup) -> Option<Stream> {
    match how {
        Hangup::Drop => {}
        Hangup::Reset => {
            stream.get_ref().0.set_zero_linger().ok();
        }
        Hangup::Stall => {
            // Until the other side has had enough.
            let mut ignored = [0; 1_024];
            while stream.read(&mut ignored).await.is_ok_and(|n| n > 0) {}
        }
    }
    None
}

/// Writes all that is left.
async fn finish(mut stream: Stream, mut source: Source) -> Option<Stream> {
    send(&mut stream, &mut source, u64::MAX).await.ok().map(|_| stream)
}

async fn trickle(mut stream: Stream, mut source: Source, pause: u64) -> Option<Stream> {
    while send(&mut stream, &mut source, 1).await.ok()? > 0 {
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Some(stream)
}

/// Writes the next `limit` bytes of an answer, or what is left, and tells how many.
async fn send(stream: &mut Stream, source: &mut Source, limit: u64) -> io::Result<u64> {
    let mut sent = 0;
    while let Some(bytes) = source.next(STEP.min(limit - sent)) {
        stream.write_all(&bytes).await?;
        sent += bytes.len() as u64;
    }
    stream.flush().await?;
    Ok(sent)
}

/// An answer, in the order of its writing.
#[derive(Debug)]
struct Source {
    pieces: VecDeque<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Bytes),
    /// A unit, again and again, for so many bytes from this place in the first; `None` is for ever.
    Fill {
        unit: Bytes,
        place: usize,
        left: Option<u64>,
    },
    /// A seed, and how many bytes are made of it.
    Noise(u64, u64),
}

impl Source {
    fn new(pieces: impl Into<VecDeque<Piece>>) -> Self {
        Self { pieces: pieces.into() }
    }

    fn length(&self) -> Option<u64> {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => Some(bytes.len() as u64),
            Piece::Fill { left, .. } => *left,
            Piece::Noise(_, left) => Some(*left),
        };
        self.pieces.iter().map(length).sum()
    }

    /// The next bytes, at most `limit`; none at the end, or if `limit` is 0.
    fn next(&mut self, limit: u64) -> Option<Bytes> {
        let most = usize::try_from(limit.min(STEP)).unwrap_or(0);
        while let Some(piece) = self.pieces.front_mut().filter(|_| most > 0) {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes.split_to(most.min(bytes.len())),
                Piece::Fill { unit, place, left } => {
                    let n = most.min(unit.len() - *place);
                    let n = left.map_or(n, |it| n.min(usize::try_from(it).unwrap_or(n)));
                    let bytes = unit.slice(*place..*place + n);
                    *place = (*place + n) % unit.len().max(1);
                    *left = left.map(|it| it - n as u64);
                    bytes
                }
                Piece::Noise(state, left) => {
                    let n = left.min(&mut (most as u64)).to_owned();
                    *left -= n;
                    (0..n).map(|_| noise(state)).collect()
                }
            };
            if !bytes.is_empty() {
                return Some(bytes);
            }
            self.pieces.pop_front();
        }
        None
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014), one byte of each number.
fn noise(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()[0]
}

/// The bytes that make up an answer.
fn written(reply: &Reply, action: &Action) -> Source {
    let mut pieces = VecDeque::new();
    if let Some(first) = action.informational {
        let unit =
            Bytes::from(format!("HTTP/1.1 {} Not yet\r\nx-not-yet: 1\r\n\r\n", first.status));
        let left = Some(first.count.saturating_mul(unit.len() as u64));
        pieces.push_back(Piece::Fill { unit, place: 0, left });
    }
    let Reply { status, mut headers, mut body } = reply.clone();
    if action.encoded == Some(Encoding::Gzip) {
        body = gzip::wrap(&body);
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let mut head =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("-"));
    for (name, value) in &headers {
        // A script's own headers are text.
        write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())).ok();
    }
    let content = body_of(action.fill, body, &mut head);
    pieces.push_back(Piece::Bytes(head.into()));
    match action.fill {
        Some(Fill::Head(bytes)) => {
            pieces.push_back(Piece::Bytes(Bytes::from_static(b"x-fill: ")));
            pieces.push_back(filler(Some(bytes)));
            pieces.push_back(Piece::Bytes(Bytes::from_static(b"\r\n")));
        }
        Some(Fill::Fields(count)) => {
            let unit = Bytes::from_static(b"x-fill: 1\r\n");
            let left = Some(count.saturating_mul(unit.len() as u64));
            pieces.push_back(Piece::Fill { unit, place: 0, left });
        }
        Some(Fill::Body(_) | Fill::Chunked(_) | Fill::Endless) | None => {}
    }
    pieces.push_back(Piece::Bytes(Bytes::from_static(b"\r\n")));
    pieces.extend(content);
    Source { pieces }
}

/// The body, and what the head says of its length.
fn body_of(fill: Option<Fill>, body: Bytes, head: &mut String) -> Vec<Piece> {
    let (framing, pieces) = match fill {
        Some(Fill::Body(length)) => {
            (format!("content-length: {length}\r\n"), vec![filler(Some(length))])
        }
        Some(Fill::Chunked(length)) => (CHUNKED.to_owned(), chunked(Some(length))),
        Some(Fill::Endless) => (CHUNKED.to_owned(), chunked(None)),
        Some(Fill::Head(_) | Fill::Fields(_)) | None => {
            (format!("content-length: {}\r\n", body.len()), vec![Piece::Bytes(body)])
        }
    };
    head.push_str(&framing);
    pieces
}

/// Chunks of [`STEP`] bytes, and the rest; or chunks for ever.
fn chunked(length: Option<u64>) -> Vec<Piece> {
    let chunk = |n: u64| {
        let filling = "x".repeat(usize::try_from(n).unwrap_or(0));
        Bytes::from(format!("{n:x}\r\n{filling}\r\n"))
    };
    let unit = chunk(STEP);
    let left = length.map(|it| (it / STEP).saturating_mul(unit.len() as u64));
    let mut pieces = vec![Piece::Fill { unit, place: 0, left }];
    if let Some(rest) = length.map(|it| it % STEP) {
        pieces.extend((rest > 0).then(|| Piece::Bytes(chunk(rest))));
        pieces.push(Piece::Bytes(chunk(0)));
    }
    pieces
}

fn filler(left: Option<u64>) -> Piece {
    Piece::Fill { unit: Bytes::from_static(&[b'x'; 16_384]), place: 0, left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &mut Source, step: u64) -> Vec<u8> {
        std::iter::from_fn(|| source.next(step)).flatten().collect()
    }

    fn play(action: &str) -> Play {
        let action = serde_json::from_str(action).expect("an action");
        let reply = Reply::text(http::StatusCode::OK, "hello");
        Play::new(&reply, &action).expect("by hand").1
    }

    #[test]
    fn an_answer_is_the_same_in_any_steps_and_as_long_as_it_says() {
        for action in [
            r#"{"cut":{"at":3,"then":"drop"}}"#,
            r#"{"fill":{"body":40000}}"#,
            r#"{"fill":{"chunked":40000}}"#,
            r#"{"fill":{"head":40000}}"#,
            r#"{"fill":{"fields":5000},"informational":{"count":1000}}"#,
            r#"{"raw":"HTTP/1.1 \u00ff","encoded":"gzip"}"#,
        ] {
            let whole = all(&mut play(action).source, u64::MAX);
            assert_eq!(play(action).length(), Some(whole.len() as u64), "{action}");
            assert!(whole == all(&mut play(action).source, 7), "{action}");
        }
        assert_eq!(play(r#"{"fill":"endless"}"#).length(), None);
    }

    #[test]
    fn what_is_written_is_http() {
        let text = String::from_utf8(all(&mut play(r#"{"encoded":"gzip"}"#).source, 9));
        assert!(text.is_err(), "gzip is no text");
        let text =
            all(&mut play(r#"{"fill":{"chunked":3},"informational":{"count":2}}"#).source, 9);
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "HTTP/1.1 103 Not yet\r\nx-not-yet: 1\r\n\r\nHTTP/1.1 103 Not yet\r\n\
             x-not-yet: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=UTF-8\r\n\
             transfer-encoding: chunked\r\n\r\n3\r\nxxx\r\n0\r\n\r\n"
        );
        let raw = all(&mut play(r#"{"raw":"a\u00ff"}"#).source, 9);
        assert_eq!(raw, b"a\xff");
    }

    #[test]
    fn noise_is_the_same_for_the_same_seed() {
        let made = |seed| all(&mut Source::new([Piece::Noise(seed, 100)]), 9);
        assert_eq!(made(7), all(&mut Source::new([Piece::Noise(7, 100)]), 100));
        assert_ne!(made(7), made(8));
    }
}
