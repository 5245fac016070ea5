//! Whole connections: what is answered, in which order, and what ends them.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use proptest::collection;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::*;
use crate::task;

const GET: &str = "GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n";
const CHUNKED: &str = "POST /two HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
const PANICS: &str =
    "POST /panic HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

/// What comes back for `sent`, until the connection ends.
async fn answers(sent: &str) -> String {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let handle = |request: Request<Incoming>, _: Peer| async move {
        let path = request.uri().path().to_owned();
        assert_ne!(path, "/panic");
        let text = match request.extensions().get::<Unheard>() {
            Some(unheard) => unheard.to_string(),
            None => path,
        };
        // What comes behind a request has come in before it is answered.
        sleep(Duration::from_millis(50)).await;
        drop(message::read(request.into_body(), MAX_BODY).await);
        Response::new(message::full(text))
    };
    let serving = task::spawn("test", serve(listener, Crowd::new(1_024), handle, stopped));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    stop.send_replace(true);
    serving.await.unwrap();
    all
}

#[track_caller]
fn check(all: &str, bodies: &[&str]) {
    assert_eq!(all.matches("HTTP/1.1 ").count(), bodies.len(), "{all}");
    assert!(bodies.iter().all(|it| all.contains(it)), "{all}");
    assert_eq!(all.matches("connection: close").count(), 1, "{all}");
}

#[tokio::test]
async fn only_the_last_request_ends_the_connection() {
    check(&answers(&[GET, CHUNKED].concat()).await, &["/one", "/two"]);
    check(&answers(&[GET, "get"].concat()).await, &["/one", "does not begin with a method"]);
    check(&answers(&[CHUNKED, GET].concat()).await, &["/two"]);
}

#[tokio::test]
async fn nothing_unjudged_is_read_after_a_panic() {
    check(
        &answers(&[PANICS, "get / HTTP/1.1\r\nHost : x\r\n\r\n"].concat()).await,
        &["a fault in the proxy"],
    );
    check(
        &answers(&[PANICS, "get / HTTP/1.1\nHost: x\n\n"].concat()).await,
        &["a fault in the proxy"],
    );
}

/// A body that comes a byte at a time.
struct Drip {
    left: usize,
    pause: Pin<Box<Sleep>>,
}

const DRIP: Duration = Duration::from_secs(12);

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = message::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, message::BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.pause.as_mut().poll(context));
        self.left -= 1;
        self.pause.set(sleep(DRIP));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"d")))))
    }
}

/// Answers `/SECONDS/LENGTH` so late and so long, and drips what it answers to `/drip`.
async fn late(request: Request<Incoming>, _: Peer) -> Response<Body> {
    if request.method() == Method::CONNECT {
        let mut refused = Response::new(message::full("no tunnel"));
        *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return refused;
    }
    assert_eq!(request.method(), Method::POST);
    let path = request.uri().path().to_owned();
    let asked = message::read(request.into_body(), MAX_BODY).await.unwrap();
    let mut parts = path.split('/').skip(1).map(|it| it.parse::<u64>().unwrap_or(0));
    if path == "/drip" {
        return Response::new(Drip { left: 3, pause: Box::pin(sleep(DRIP)) }.boxed_unsync());
    }
    sleep(Duration::from_secs(parts.next().unwrap())).await;
    let text = format!("{path} {}", "x".repeat(usize::try_from(parts.next().unwrap()).unwrap()));
    Response::new(message::full([text.as_bytes(), &asked].concat()))
}

fn request(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A client's end, and the connection that serves it.
fn talk(capacity: usize) -> (DuplexStream, watch::Sender<bool>, JoinHandle<()>) {
    let (client, socket) = duplex(capacity);
    let peer = Peer::at(Ipv4Addr::LOCALHOST.into());
    let place = Crowd::new(1_024).admit(peer.source()).unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = task::spawn("test", connect(socket, (place, peer), late, stopped));
    (client, stop, serving)
}

/// The body of the next answer.
async fn answer(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(["http/1.1 200", "http/1.1 405"].iter().any(|it| head.starts_with(it)), "{head}");
    let mut body = Vec::new();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        body.resize(rest.lines().next().unwrap().parse().unwrap(), 0);
        client.read_exact(&mut body).await.ok()?;
    } else {
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(client.read_u8().await.ok()?);
        }
    }
    Some(String::from_utf8(body).unwrap())
}

/// Sends `requests` with `pauses` between pieces of them, and takes each byte of the answers `slow`ly.
async fn converse(requests: &[(String, String)], cuts: &[usize], pauses: &[u64], slow: bool) {
    let (client, _stop, serving) = talk(if slow { 100 } else { 1 << 20 });
    let (mut reading, mut writing) = tokio::io::split(client);
    let sent: String = requests.iter().map(|(path, body)| request(path, body)).collect();
    let send = async {
        let (mut rest, mut n) = (sent.as_bytes(), 0);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(cuts[n % cuts.len()].min(rest.len()));
            writing.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(pauses[n % pauses.len()])).await;
            (rest, n) = (more, n + 1);
        }
    };
    let take = async {
        for (path, body) in requests {
            if slow {
                sleep(Duration::from_secs(7)).await;
            }
            let said = answer(&mut reading).await.expect("an answer to every request");
            assert!(said.starts_with(path.as_str()) && said.ends_with(body.as_str()), "{said}");
        }
    };
    tokio::join!(send, take);
    drop((reading, writing));
    serving.await.unwrap();
}

fn paused() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

proptest! {
    /// However a client pauses between requests and within them, each has its answer, in order.
    #[test]
    fn every_request_is_answered_whatever_the_pauses(
        requests in collection::vec((0..9_u64, 0..4_000_u64, 0..50_usize), 1..6),
        cuts in collection::vec(1..200_usize, 1..5),
        pauses in collection::vec(prop_oneof![Just(0), Just(1), 1_000..6_000_u64], 1..5),
        slow: bool,
    ) {
        // A head in many pieces with long pauses would be refused, and rightly so.
        let small = cuts.iter().any(|it| *it < 60);
        let pauses: Vec<_> = pauses.iter().map(|it| if small { it / 50 } else { *it }).collect();
        let requests: Vec<_> = requests
            .into_iter()
            .map(|(late, long, body)| (format!("/{late}/{long}"), "b".repeat(body)))
            .collect();
        paused().block_on(converse(&requests, &cuts, &pauses, slow));
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_answer_slowly_keeps_the_connection() {
    for path in ["/0/5000", "/drip"] {
        let (mut client, _stop, _serving) = talk(100);
        for _ in 0..3 {
            client.write_all(request(path, "").as_bytes()).await.unwrap();
            sleep(Duration::from_secs(12)).await;
            assert!(answer(&mut client).await.is_some(), "{path}");
        }
    }
}

/// In the middle of a head, a connection that rested waits for its rest, and for nothing else.
#[tokio::test(start_paused = true)]
async fn who_rested_may_begin_slowly() {
    let (mut client, _stop, _serving) = talk(1 << 20);
    for pause in [1, 0, 2] {
        for piece in ["\r", "\nP", "OST /0/1 HTTP/1.1\r\n", "Content-Length: 2\r\n\r\n", "{", "}"] {
            sleep(Duration::from_secs(pause)).await;
            client.write_all(piece.as_bytes()).await.unwrap();
        }
        assert_eq!(answer(&mut client).await.unwrap(), "/0/1 x{}");
    }
}

/// hyper would hand the socket to another protocol, instead of giving it back.
#[tokio::test(start_paused = true)]
async fn a_refused_tunnel_leaves_the_connection_as_it_is() {
    let (mut client, _stop, _serving) = talk(1 << 20);
    for path in ["localhost:1", "/0/1", "/0/1", "localhost:1"] {
        let method = if path.starts_with('/') { "POST" } else { "CONNECT" };
        let head = format!("{method} {path} HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        assert!(answer(&mut client).await.is_some(), "{path}");
        sleep(Duration::from_secs(12)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_let_go_in_order() {
    // Before a request, after one, and after two.
    for n in 0..3 {
        let (mut client, stop, serving) = talk(1 << 20);
        for _ in 0..n {
            client.write_all(request("/0/10", "").as_bytes()).await.unwrap();
            assert!(answer(&mut client).await.is_some());
        }
        stop.send_replace(true);
        assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
        serving.await.unwrap();
        // And one whose client leaves, ends.
        let (client, _stop, serving) = talk(1 << 20);
        drop(client);
        serving.await.unwrap();
    }
    // What is being answered is answered.
    let (mut client, stop, _serving) = talk(1 << 20);
    client.write_all(request("/3/10", "").as_bytes()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    stop.send_replace(true);
    assert!(answer(&mut client).await.is_some());
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
}
