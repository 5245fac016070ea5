//! What goes through, whatever pieces it arrives in; and what happens when nothing does.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::inbound::crowd::{Crowd, Place};
use crate::inbound::peer::Source;

const GET: &str = "GET /v1/symbols HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST: &str = "POST /v1/balances HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\r\n}";
const CHUNKED: &str = "POST /v1/balances HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\n\n";
const PLACE: Source = Source::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

struct Talk {
    client: DuplexStream,
    gate: Gate<DuplexStream>,
    // Keeps the seat.
    place: Place,
}

fn talk(capacity: usize) -> Talk {
    let (client, socket) = duplex(capacity);
    let place = Crowd::new(0).admit(PLACE).unwrap();
    let gate = Gate::new(socket, Arc::clone(&place.seat));
    Talk { client, gate, place }
}

/// What comes out of the gate when `pieces` go in and then nothing more, and what was refused.
fn through(pieces: &[&[u8]]) -> (String, Option<Unheard>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let Talk { mut client, mut gate, place } = talk(1 << 20);
        let mut out = Vec::new();
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            // All that can come out now.
            let mut room = [0; 37];
            while let Poll::Ready(n) = futures_poll(gate.read(&mut room)) {
                out.extend(&room[..n.unwrap()]);
            }
        }
        (String::from_utf8_lossy(&out).into_owned(), place.seat.unheard())
    })
}

fn futures_poll<F: Future>(future: F) -> Poll<F::Output> {
    std::pin::pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
}

#[track_caller]
fn check(sent: &str, passes: &str, refused: Option<&str>) {
    let halves = sent.as_bytes().split_at(sent.len() / 2);
    let bytes: Vec<&[u8]> = sent.as_bytes().chunks(1).collect();
    for pieces in [&[sent.as_bytes()][..], &[halves.0, halves.1], &bytes] {
        let (out, unheard) = through(pieces);
        let placeholder =
            if refused.is_some() { "- / HTTP/1.1\r\nhost: localhost\r\n\r\n" } else { "" };
        assert_eq!(out, format!("{passes}{placeholder}"), "in {} pieces", pieces.len());
        let said = unheard.map(|it| it.to_string()).unwrap_or_default();
        assert!(said.contains(refused.unwrap_or_default()), "{said}");
        assert_eq!(unheard.is_some(), refused.is_some());
    }
}

#[test]
fn one_request_after_another() {
    check(GET, GET, None);
    check(&format!("\r\n{GET}"), GET, None);
    check(&GET.repeat(3), &GET.repeat(3), None);
    check(&[POST, GET, POST].concat(), &[POST, GET, POST].concat(), None);
    check(&format!("{GET}\r\n{POST}"), &[GET, POST].concat(), None);
    check(&format!("{POST}\n{GET}"), POST, Some("does not begin with a method"));
    check(&format!("{GET}{}", GET.replace("Host", "Host ")), GET, Some("odd characters"));
    check(&GET.replace('\r', ""), "", Some("line feed"));
    check(&format!("\r\n\r\n{GET}"), "", Some("does not begin with a method"));
    // Where chunks end only their reader knows: nothing behind them is taken for a head.
    check(&[CHUNKED, "bad"].concat(), &[CHUNKED, "bad"].concat(), None);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_refused_in_time() {
    let Talk { mut client, mut gate, place } = talk(1 << 10);
    let mut out = [0; 100];
    client.write_all(b"GET /v1").await.unwrap();
    let began = sleep(Duration::ZERO).deadline();
    let n = gate.read(&mut out).await.unwrap();
    assert!(out[..n].starts_with(b"- /"));
    assert_eq!(place.seat.unheard(), Some(Unheard::Slow));
    let waited = sleep(Duration::ZERO).deadline() - began;
    assert!(waited >= Duration::from_secs(10) && waited <= Duration::from_secs(15), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_idle_is_asked_to_leave_and_a_body_is_not_idleness() {
    let cut = POST.strip_suffix('}').unwrap();
    for (sent, leaves) in [("", true), (GET, true), (cut, false)] {
        let Talk { mut client, mut gate, place } = talk(1 << 10);
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut out = [0; 1_000];
        let read = async {
            loop {
                assert!(gate.read(&mut out).await.unwrap() > 0, "no end of file");
            }
        };
        let leave = async {
            tokio::select! {
                () = place.seat.asked_to_leave() => true,
                () = sleep(Duration::from_secs(300)) => false,
            }
        };
        let asked = tokio::select! { asked = leave => asked, () = read => unreachable!() };
        assert_eq!(asked, leaves, "{sent}");
        assert_eq!(place.seat.unheard(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_no_answer_is_cut() {
    let Talk { client: _client, mut gate, place: _place } = talk(16);
    let fault = gate.write_all(&[b'x'; 100]).await.unwrap_err();
    assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
    // Who takes some of it now and then is not.
    let Talk { mut client, mut gate, place: _place } = talk(16);
    let taking = async {
        let mut room = [0; 16];
        loop {
            sleep(Duration::from_secs(10)).await;
            client.read_exact(&mut room).await.unwrap();
        }
    };
    tokio::select! {
        written = gate.write_all(&[b'x'; 96]) => written.unwrap(),
        () = taking => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_still_sent_at_the_end_is_read_for_a_moment() {
    let Talk { mut client, mut gate, place: _place } = talk(8);
    let mut out = [0; 100];
    let sending = async {
        drop(client.write_all(format!("get{}", "x".repeat(100)).as_bytes()).await);
        client
    };
    let ending = async {
        assert!(gate.read(&mut out).await.unwrap() > 0);
        gate.shutdown().await.unwrap();
    };
    let (mut client, ()) = tokio::join!(sending, ending);
    // All of it was taken, so that no reset overtakes the answer.
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
    // A quiet connection ends at once.
    let Talk { client: _client, mut gate, place: _place } = talk(8);
    let began = sleep(Duration::ZERO).deadline();
    gate.shutdown().await.unwrap();
    assert_eq!(sleep(Duration::ZERO).deadline(), began);
}

proptest! {
    /// However a stream is cut, the same goes through, and the same is refused.
    #[test]
    fn pieces_do_not_matter(
        parts in proptest::collection::vec(0..6_usize, 1..6),
        cuts in proptest::collection::vec(1..60_usize, 1..20),
    ) {
        let all = [GET, POST, "\r\n", CHUNKED, "GET / HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"];
        let stream: String = parts.iter().map(|it| all[*it]).collect();
        let mut rest = stream.as_bytes();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        prop_assert_eq!(through(&pieces), through(&[stream.as_bytes()]));
    }
}

/// The library looks for the end of the stream and writes the answer in one go: both wait at once.
#[tokio::test(start_paused = true)]
async fn who_takes_no_answer_is_cut_while_the_end_is_looked_for() {
    let Talk { client: _client, gate, place: _place } = talk(16);
    let (mut reading, mut writing) = tokio::io::split(gate);
    let (mut room, answer) = ([0; 10], [b'x'; 100]);
    let writing = async { writing.write_all(&answer).await.map_err(|it| it.kind()) };
    tokio::select! {
        biased;
        _ = reading.read(&mut room) => unreachable!(),
        written = writing => assert_eq!(written, Err(io::ErrorKind::TimedOut)),
        () = sleep(Duration::from_secs(300)) => panic!("nobody counted"),
    }
}

/// Takes all that is written, and lets nothing of it go: as TLS does when its client takes nothing.
struct Kept;

impl AsyncRead for Kept {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Kept {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_back_is_not_waited_for_for_ever() {
    for shuts in [false, true] {
        let place = Crowd::new(0).admit(PLACE).unwrap();
        let mut gate = Gate::new(Kept, Arc::clone(&place.seat));
        gate.write_all(b"HTTP/1.1 200 OK").await.unwrap();
        let mut ends =
            Box::pin(async { if shuts { gate.shutdown().await } else { gate.flush().await } });
        let soon = tokio::time::timeout(Duration::from_secs(14), &mut ends).await;
        assert!(soon.is_err(), "a client may be slow");
        let ended = tokio::time::timeout(Duration::from_secs(7), ends).await.expect("it ends");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
