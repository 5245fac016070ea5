//! Answers that are long, or have no end: memory stays bounded, and nobody takes a part for the whole.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use geminid::simulator::NonceRule;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Exchange, Proxy};
use crate::upstream_bytes::Bench;

const MIB: u64 = 1 << 20;

/// How much memory the process has had at most, in bytes.
fn peak(proxy: &Proxy) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
    let line = text.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

/// A read that is streamed, as a plain socket sees it.
struct Seen {
    head: String,
    body_bytes: u64,
    /// Whether the end of the body came: its length, or the last chunk.
    whole: bool,
}

async fn read(address: SocketAddr, pause: Duration) -> Seen {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = "POST /v1/mytrades HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19\r\nConnection: close\r\n\r\n{\"symbol\":\"btcusd\"}";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut start = Vec::new();
    while !start.windows(4).any(|it| it == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut start).await.unwrap() > 0);
    }
    let end = start.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(start[..end].to_vec()).unwrap().to_lowercase();
    let mut tail = start.split_off(end);
    let mut body_bytes = tail.len() as u64;
    tokio::time::sleep(pause).await;
    loop {
        let mut bytes = Vec::with_capacity(65_536);
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(n) => body_bytes += n as u64,
        }
        tail.extend(bytes);
        tail.drain(..tail.len().saturating_sub(5));
    }
    let length = head.split("content-length: ").nth(1).and_then(|it| it.split('\r').next());
    let whole = match length {
        Some(length) => length.parse::<u64>().unwrap() == body_bytes,
        None => tail.ends_with(b"0\r\n\r\n"),
    };
    Seen { head, body_bytes, whole }
}

impl Bench {
    async fn long(&self, fault: Value, pause: Duration) -> Seen {
        self.exchange.simulator.clear_script();
        let rule = json!({"path": "/v1/mytrades", "do": fault});
        self.exchange.simulator.script(&rule.to_string()).unwrap();
        let reading = read(self.proxy.address, pause);
        // One without end is one that nobody cuts.
        tokio::time::timeout(Duration::from_secs(60), reading).await.expect("its end")
    }
}

#[tokio::test]
async fn a_long_read_is_streamed_to_its_end_and_one_without_end_is_cut() {
    let bench = Bench::new("").await;
    let before = peak(&bench.proxy);
    let none = Duration::ZERO;
    for fill in ["body", "chunked"] {
        let seen = bench.long(json!({"fill": {fill: 60 * MIB}}), none).await;
        assert!(seen.head.starts_with("http/1.1 200"), "{}", seen.head);
        assert!(seen.whole && seen.body_bytes >= 60 * MIB, "{fill}: {}", seen.body_bytes);
    }
    for fill in [json!({"chunked": 70 * MIB}), json!("endless")] {
        let seen = bench.long(json!({"fill": fill}), none).await;
        assert!(seen.head.starts_with("http/1.1 200"), "{}", seen.head);
        assert!(!seen.whole, "{fill}: {} bytes passed for the whole", seen.body_bytes);
        assert!(seen.body_bytes > 63 * MIB && seen.body_bytes < 66 * MIB, "{}", seen.body_bytes);
    }
    let seen = bench.long(json!({"fill": {"body": 70 * MIB}}), none).await;
    assert!(seen.head.starts_with("http/1.1 502"), "{}", seen.head);
    assert!(seen.head.contains("geminid-cause: upstream-truncated"), "{}", seen.head);
    let grown = peak(&bench.proxy) - before;
    assert!(grown < 24 * MIB, "{} MiB for what is streamed", grown / MIB);
    assert_eq!(bench.bot.post("/v1/balances", "").await.status, 200);
}

#[tokio::test]
async fn a_long_read_that_stops_is_cut_and_a_slow_client_is_not() {
    let bench = Bench::new("timeout = { read = \"1s\" }").await;
    for then in ["stall", "drop", "truncate", "reset"] {
        let fault = json!({"fill": {"body": MIB}, "cut": {"at": MIB / 2, "then": then}});
        let seen = bench.long(fault, Duration::ZERO).await;
        assert!(seen.head.starts_with("http/1.1 200") && !seen.whole, "{then}: {}", seen.head);
        let fault = json!({"fill": {"chunked": MIB}, "cut": {"at": MIB / 2, "then": then}});
        let seen = bench.long(fault, Duration::ZERO).await;
        assert!(seen.head.starts_with("http/1.1 200") && !seen.whole, "{then}: {}", seen.head);
    }
    // Its own delay is not the exchange's.
    let seen = bench.long(json!({"fill": {"chunked": 40 * MIB}}), Duration::from_secs(3)).await;
    assert!(seen.whole, "{} bytes", seen.body_bytes);
}

#[tokio::test]
async fn an_orders_answer_of_any_length_is_held_within_bounds() {
    let bench = Bench::new("").await;
    let before = peak(&bench.proxy);
    let with = |status: u16, fill: &Value| json!({"answer": {"status": status}, "execute": true, "fill": fill});
    let (answer, _) = bench.order("fits", with(200, &json!({"body": 8 * MIB}))).await;
    assert_eq!((answer.status.as_u16(), answer.body.len() as u64), (200, 8 * MIB));
    let sizes = [json!({"body": 9_000_000}), json!({"chunked": 9_000_000}), json!("endless")];
    for fill in &sizes {
        for (status, outcome) in
            [(200, "executed"), (400, "rejected"), (403, "rejected"), (500, "unknown")]
        {
            let (answer, entries) = bench.order("long", with(status, fill)).await;
            let told = (502, outcome.to_owned(), "upstream-truncated".to_owned());
            assert_eq!(answer.told(), told, "{fill} {status}");
            assert!(entries[0].executed);
        }
    }
    let grown = peak(&bench.proxy) - before;
    assert!(grown < 48 * MIB, "{} MiB for one answer at a time", grown / MIB);
}

#[tokio::test]
async fn an_orders_answer_has_one_deadline_for_head_and_body() {
    let bench = Bench::new("timeout = { order = \"2s\" }").await;
    for then in [json!("stall"), json!({"trickle_ms": 50})] {
        let cut = json!({"at": 400, "then": then});
        let fault = json!({"delay_answer_ms": 1_500, "fill": {"body": 5_000}, "cut": cut});
        let began = Instant::now();
        let (answer, _) = bench.order("late", fault).await;
        let told = (502, "executed".to_owned(), "upstream-truncated".to_owned());
        assert_eq!(answer.told(), told, "{then}");
        // Two deadlines would be 3.5 s.
        assert!(began.elapsed() < Duration::from_millis(3_200), "{then}: {:?}", began.elapsed());
    }
}

/// On a connection that all calls share, answers that nobody reads would take everybody's window.
#[tokio::test]
async fn who_leaves_a_long_answer_unread_keeps_nobody_waiting() {
    let bench = Bench::before(Exchange::start(NonceRule::Increasing).await, "").await;
    // More than the sockets on the way hold.
    let body = "x".repeat(12 << 20);
    let answer = json!({"answer": {"status": 200, "body": body}});
    let rule = json!({"path": "/v1/trades/btcusd", "times": 0, "do": answer});
    bench.exchange.simulator.script(&rule.to_string()).unwrap();
    let mut idlers = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(bench.proxy.address).await.unwrap();
        let ask = b"GET /v1/trades/btcusd HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        idlers.push(stream);
    }
    let bot = bench.proxy.bot();
    for number in 0..20 {
        let answer = tokio::time::timeout(Duration::from_secs(5), bot.post("/v1/balances", ""));
        assert_eq!(answer.await.expect("in time").status, 200, "{number}");
    }
    assert_eq!(bench.exchange.simulator.ledger().at_path("/v1/trades/btcusd").len(), 12);
}
