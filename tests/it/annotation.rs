//! Rejections as they come over the wire: compressed, in chunks, too long, odd. What the client gets is
//! the same status, and either every byte as it was or one object more.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use geminid::simulator::NonceRule;
use serde_json::{Value, json};

use crate::support::{Answer, Exchange, Proxy, Settings};

const ROLE: &str = r#"{"result":"error", "reason":"MissingRole","message":"no \u00e9","n":1.50}"#;

struct Bench {
    exchange: Exchange,
    proxy: Proxy,
}

impl Bench {
    async fn new() -> Self {
        let exchange = Exchange::start_with(NonceRule::Increasing, |it| it.http1_only = true).await;
        let proxy = exchange.proxy(&Settings::default()).await;
        assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
        Self { exchange, proxy }
    }

    /// What a bot gets when the exchange answers with these bytes.
    async fn raw(&self, status: u16, head: &str, body: &[u8]) -> Answer {
        let length = body.len();
        self.wire(format!("HTTP/1.1 {status} No\r\nContent-Length: {length}\r\n{head}\r\n"), body)
            .await
    }

    async fn wire(&self, head: String, body: &[u8]) -> Answer {
        let bytes = head.bytes().chain(body.iter().copied());
        let raw: String = bytes.map(char::from).collect();
        self.does(json!({"raw": raw})).await
    }

    async fn does(&self, action: Value) -> Answer {
        self.exchange.simulator.clear_script();
        let rule = json!({"path": "/v1/balances", "do": action});
        self.exchange.simulator.script(&rule.to_string()).unwrap();
        self.proxy.bot().post("/v1/balances", "").await
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// All of `ROLE` but the end of its message, and one member more.
#[track_caller]
fn check_role(answer: &Answer, name: &str) {
    assert_eq!(answer.status, 403, "{name}");
    assert_eq!(answer.header("geminid-cause"), "key-role-missing", "{name}");
    let said = std::str::from_utf8(&answer.body).unwrap();
    let before = r#"{"result":"error", "reason":"MissingRole","message":"no é — "#;
    assert!(said.starts_with(before), "{name}: {said}");
    let (_, after) =
        said.split_once(r#"","n":1.50,"diagnosis":{"#).expect("nothing else is touched");
    assert!(after.ends_with("}}"), "{name}: {said}");
    assert_eq!(answer.json()["diagnosis"]["cause"], "key-role-missing", "{name}");
    assert_eq!(answer.header("content-type"), "application/json", "{name}");
    for gone in
        ["content-encoding", "etag", "content-md5", "digest", "repr-digest", "transfer-encoding"]
    {
        assert_eq!(answer.header(gone), "", "{name}");
    }
    assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{name}");
    assert_eq!(answer.header("x-kept"), "yes", "{name}");
}

/// The bytes as they came, with the diagnosis in the headers.
#[track_caller]
fn check_left(answer: &Answer, body: &[u8], coding: &str, name: &str) {
    assert_eq!(answer.status, 403, "{name}");
    assert!(answer.body == body, "{name}: {} of {} bytes", answer.body.len(), body.len());
    assert_eq!(answer.header("content-encoding"), coding, "{name}");
    assert_ne!(answer.header("geminid-cause"), "", "{name}");
    assert!(answer.header("proxy-status").starts_with("geminid; "), "{name}");
    assert_eq!(answer.header("etag"), "\"1\"", "{name}: it still fits");
}

#[tokio::test]
async fn a_rejection_is_explained_however_it_is_packed() {
    let bench = Bench::new().await;
    let role = ROLE.as_bytes();
    let bytes = "X-Kept: yes\r\nETag: \"1\"\r\nContent-MD5: x\r\nDigest: x\r\nRepr-Digest: x\r\n";
    for (name, head, body) in [
        ("plain", "", role.to_vec()),
        ("gzip", "Content-Encoding: gzip\r\n", gzip(role)),
        ("x-gzip", "Content-Encoding: X-GZip\r\n", gzip(role)),
        ("deflate", "Content-Encoding: deflate\r\n", zlib(role)),
        ("identity", "Content-Encoding: identity, gzip\r\n", gzip(role)),
    ] {
        let answer = bench.raw(403, &format!("{bytes}{head}"), &body).await;
        check_role(&answer, name);
        let head = format!("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n{bytes}{head}\r\n");
        let (first, second) = body.split_at(7);
        let mut chunks = Vec::new();
        for chunk in [first, second] {
            chunks.extend(format!("{:x}\r\n", chunk.len()).bytes());
            chunks.extend(chunk);
            chunks.extend(b"\r\n");
        }
        chunks.extend(b"0\r\n\r\n");
        check_role(&bench.wire(head, &chunks).await, &format!("{name} in chunks"));
    }
    let canned = json!({"status": 403, "body": ROLE, "headers": {"x-kept": "yes"}});
    check_role(&bench.does(json!({"answer": canned, "encoded": "gzip"})).await, "stored blocks");
}

#[tokio::test]
async fn what_cannot_be_read_keeps_every_byte() {
    let bench = Bench::new().await;
    let packed = gzip(ROLE.as_bytes());
    let (cut, _) = packed.split_at(packed.len() - 3);
    let most = 64 * 1_024;
    let filled = |n: usize| {
        let text = format!(r#"{{"reason":"MissingRole","message":"{}"}}"#, "x".repeat(n));
        text.into_bytes()
    };
    let frame = filled(0).len();
    for (name, coding, body) in [
        ("brotli", "br", b"\x0b\x02\x80{}\x03".to_vec()),
        ("zstd", "zstd", b"\x28\xb5\x2f\xfd".to_vec()),
        ("two codings", "gzip, gzip", gzip(&packed)),
        ("cut", "gzip", cut.to_vec()),
        ("no gzip at all", "gzip", ROLE.into()),
        ("more behind it", "gzip", [&packed[..], b"x"].concat()),
        ("a bomb", "gzip", gzip(&vec![b' '; 32 * 1_024 * 1_024])),
        ("one byte too long", "gzip", gzip(&filled(most - frame + 1))),
        ("too long, and plain", "", filled(most - frame + 1)),
        ("another reader's object", "", br#"{"reason":"A","reason":"B"}"#.to_vec()),
        ("a diagnosis of its own", "", br#"{"diagnosis":1}"#.to_vec()),
    ] {
        let field = if coding.is_empty() {
            String::new()
        } else {
            format!("Content-Encoding: {coding}\r\n")
        };
        let answer = bench.raw(403, &format!("ETag: \"1\"\r\n{field}"), &body).await;
        check_left(&answer, &body, coding, name);
    }
    for body in [filled(most - frame), gzip(&filled(most - frame))] {
        let coding = if body.starts_with(b"{") { "identity" } else { "gzip" };
        let answer = bench.raw(403, &format!("Content-Encoding: {coding}\r\n"), &body).await;
        assert_eq!(answer.json()["diagnosis"]["cause"], "key-role-missing", "just short enough");
    }
}

#[tokio::test]
async fn an_empty_rejection_gets_a_body() {
    let bench = Bench::new().await;
    for head in ["", "Content-Encoding: gzip\r\n", "Content-Type: text/html\r\n"] {
        let answer = bench.raw(403, head, b"").await;
        let json = answer.json();
        let mut names: Vec<_> = json.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["diagnosis", "message"], "{head}");
        assert_eq!(answer.header("content-encoding"), "", "{head}");
        assert_eq!(answer.header("content-type"), "application/json", "{head}");
    }
}

#[tokio::test]
async fn a_compressed_rejection_tells_no_secret_and_a_compressed_success_is_left_alone() {
    let bench = Bench::new().await;
    let echo = format!(
        r#"{{"result":"error","reason":"InvalidPrice","message":"{} {}"}}"#,
        Exchange::KEY,
        Exchange::SECRET
    );
    // The bot looks for both in all that it gets.
    let answer =
        bench.raw(400, "Content-Encoding: gzip\r\nETag: \"1\"\r\n", &gzip(echo.as_bytes())).await;
    assert_eq!(
        (answer.header("content-encoding"), answer.header("etag")),
        (String::new(), String::new())
    );
    assert_eq!(answer.json()["reason"], "InvalidPrice");
    assert!(answer.json()["message"].as_str().unwrap().starts_with('…'), "{}", answer.json());
    let answer = bench.raw(403, "Content-Encoding: deflate\r\n", &zlib(echo.as_bytes())).await;
    assert!(answer.json()["diagnosis"].is_object());
    // What is not explained, and tells nothing, keeps its form.
    let packed = gzip(br#"{"result":"error","reason":"InvalidPrice","message":"x"}"#);
    for (status, body) in [(400, &packed), (200, &gzip(b"[]"))] {
        let answer = bench.raw(status, "Content-Encoding: gzip\r\nETag: \"1\"\r\n", body).await;
        assert!(answer.body == *body, "{status}");
        assert_eq!(answer.header("content-encoding"), "gzip");
        assert_eq!(answer.header("etag"), "\"1\"");
    }
}

#[tokio::test]
async fn a_nonce_that_is_refused_in_a_compressed_body_is_taken_afresh() {
    let bench = Bench::new().await;
    let body = br#"{"result":"error","reason":"InvalidNonce","message":"Nonce '1' has not increased since your last call to the Gemini API."}"#;
    let answer = bench.raw(400, "Content-Encoding: gzip\r\n", &gzip(body)).await;
    assert_eq!(answer.status, 200, "the client never sees it");
}
