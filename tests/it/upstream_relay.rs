//! A network between proxy and exchange that ends at any byte, in the middle of a handshake or of a
//! record.

use geminid::simulator::NonceRule;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::{Exchange, Relay, Settings};
use crate::upstream_bytes::Bench;

#[tokio::test]
async fn a_connection_that_ends_at_any_byte_on_the_wire() {
    let mut exchange = Exchange::start_with(NonceRule::Increasing, |it| it.http1_only = true).await;
    let relay = Relay::start(exchange.simulator.address()).await;
    exchange.front = Some(format!("localhost:{}", relay.address.port()));
    let bench = Bench::before(exchange, "timeout = { order = \"3s\" }").await;
    let mut seen = [0; 3];
    for upward in [true, false] {
        let mut whole = 0;
        for at in (0..).step_by(11) {
            let (up, down) = if upward { (at, u64::MAX) } else { (u64::MAX, at) };
            relay.limit(up, down);
            let (answer, entries) = bench.order(&format!("{upward}-{at}"), json!({})).await;
            let (status, outcome, cause) = answer.told();
            match status {
                200 => {
                    assert_eq!(answer.json()["order_id"], entries[0].order_id.unwrap().to_string());
                    whole += 1;
                    seen[0] += 1;
                }
                503 => {
                    assert_eq!(outcome, "not_sent", "{at}: {cause}");
                    seen[1] += 1;
                }
                502 => {
                    assert!(["unknown", "executed"].contains(&outcome.as_str()), "{at}");
                    seen[2] += 1;
                }
                _ => panic!("{at}: {status} {outcome} {cause}"),
            }
            // Well past the end.
            if whole == 3 {
                assert!(at > 700, "a handshake and an order are longer than {at} bytes");
                break;
            }
        }
    }
    let [_, unsent, lost] = seen;
    assert!(unsent > 50 && lost > 50, "both in the handshake and after it: {seen:?}");
}

#[tokio::test]
async fn what_is_no_tls_was_sent_nothing() {
    let mut exchange = Exchange::start(NonceRule::Increasing).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    exchange.front = Some(format!("localhost:{}", listener.local_addr().unwrap().port()));
    let upstream = "timeout = { order = \"1s\", read = \"1s\" }";
    let settings = Settings { upstream, ..Settings::default() };
    let texts: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        // A fatal alert: handshake failure.
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x03\xff\xff\xff\xff\xff\xff",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ];
    let (say, said) = watch::channel(texts[0]);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = *said.borrow();
            tokio::spawn(async move {
                stream.write_all(text).await.ok();
                // It stays until the proxy has had enough.
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.ok();
            });
        }
    });
    let proxy = exchange.proxy_unready("no-tls", &settings).await;
    for text in texts {
        say.send_replace(text);
        let answer = proxy.bot().get("/v1/symbols").await;
        let (status, outcome, cause) = answer.told();
        assert_eq!((status, outcome.as_str()), (503, "not_sent"), "{text:?}: {cause}");
        let expected = if text.is_empty() { "upstream-unreachable" } else { "upstream-tls" };
        assert_eq!(cause, expected, "{text:?}");
    }
}
