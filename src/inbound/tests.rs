//! Whole connections: what is answered, in which order, and what ends them.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
    let handle = |request: Request<Incoming>, _: SocketAddr| async move {
        let path = request.uri().path().to_owned();
        assert_ne!(path, "/panic");
        let text = match request.extensions().get::<Unheard>() {
            Some(unheard) => unheard.to_string(),
            None => path,
        };
        // What comes behind a request has come in before it is answered.
        tokio::time::sleep(Duration::from_millis(50)).await;
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
