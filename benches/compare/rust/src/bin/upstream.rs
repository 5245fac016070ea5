//! The exchange of the comparison: it verifies every signed call, answers an order, and counts.
//!
//!     upstream SECRET_FILE CA_OUT
//!
//! 1. TLS over a certificate made on the spot; the authority is written to `CA_OUT`. The two ports are told
//!    on standard output: the calls' own, and a plain one for the counts.
//! 2. A call with a payload header counts as `verified` if its key, its HMAC, `request`, `nonce` and the
//!    order's parameters are right; one without, as `unsigned`, if its body is the order. Anything else is
//!    `bad`, and answered with 400. `GET /v1/symbols` is `public`.
//! 3. `fallen` counts nonces that are not larger than every nonce since the delay was set: a fault on an
//!    increasing key only.
//! 4. It must cost less than any proxy before it. Hence no HTTP library, one thread, one write for an answer.
//! 5. A delay holds up the whole thread: it is exact to some 50 µs, and right for one call at a time only.

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use geminid_compare::API_KEY;
use geminid_compare::Key;
use geminid_compare::PAYLOAD;
use geminid_compare::SIGNATURE;
use geminid_compare::hex;
use geminid_compare::key;
use hmac::Mac as _;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

const ORDER_PATH: &str = "/v1/order/new";
/// Every key of the comparison begins so, and all have the same secret.
const KEYS: &[u8] = b"account-compare";
const MAX_FIELDS: usize = 64;
const READ: usize = 16 * 1_024;
/// A proxy that begins with thousands of calls opens as many connections at once.
const BACKLOG: u32 = 4_096;

/// What the exchange says of an order that it took.
const ACCEPTED: &str = concat!(
    r#"{"order_id":"106817811","id":"106817811","symbol":"btcusd","exchange":"gemini","#,
    r#""avg_execution_price":"0.00","side":"buy","type":"exchange limit","timestamp":"1790000000","#,
    r#""timestampms":1790000000123,"is_live":true,"is_cancelled":false,"is_hidden":false,"#,
    r#""was_forced":false,"executed_amount":"0","price":"10.00"}"#
);
const SYMBOLS: &str = r#"["btcusd","ethusd"]"#;
const REJECTED: &str =
    r#"{"result":"error","reason":"InvalidSignature","message":"InvalidSignature"}"#;

/// What a call asks for; the first two only where it is signed.
#[derive(Deserialize)]
struct Order<'a> {
    request: Option<&'a str>,
    #[serde(borrow)]
    nonce: Option<&'a RawValue>,
    symbol: &'a str,
    amount: &'a str,
    price: &'a str,
    side: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Default)]
struct Counts {
    requests: Cell<u64>,
    verified: Cell<u64>,
    unsigned: Cell<u64>,
    public: Cell<u64>,
    bad: Cell<u64>,
    fallen: Cell<u64>,
    handshakes: Cell<u64>,
}

struct Exchange {
    key: Key,
    counts: Counts,
    greatest: Cell<f64>,
    delay: Cell<Duration>,
    /// The second that the answers were made for, and the answers: accepted, symbols, rejected.
    answers: RefCell<(u64, [Vec<u8>; 3])>,
}

#[derive(Clone, Copy)]
enum Verdict {
    Accepted,
    Symbols,
    Rejected,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [secret, authority] = words.as_slice() else {
        panic!("usage: upstream SECRET_FILE CA_OUT");
    };
    let exchange = Rc::new(Exchange {
        key: key(Path::new(secret)),
        counts: Counts::default(),
        greatest: Cell::new(0.0),
        delay: Cell::default(),
        answers: RefCell::default(),
    });
    let calls = TcpSocket::new_v4()?;
    calls.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let calls = calls.listen(BACKLOG)?;
    let control = TcpListener::bind("127.0.0.1:0").await?;
    let tls = TlsAcceptor::from(identity(authority).map_err(io::Error::other)?);
    println!("{} {}", calls.local_addr()?.port(), control.local_addr()?.port());
    let tasks = tokio::task::LocalSet::new();
    tasks.spawn_local(steer(control, Rc::clone(&exchange)));
    tasks.run_until(accept(calls, tls, exchange)).await
}

/// An authority, and one certificate for this machine.
fn identity(out: &str) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "comparison authority");
    let authority_key = KeyPair::generate()?;
    fs::write(out, authority.self_signed(&authority_key)?.pem())?;
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, "comparison upstream");
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, exchange: Rc<Exchange>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, exchange) = (tls.clone(), Rc::clone(&exchange));
        tokio::task::spawn_local(async move {
            add(&exchange.counts.handshakes);
            let Ok(stream) = tls.accept(stream).await else { return };
            // Whoever leaves is no fault.
            drop(talk(stream, |head, body| exchange.answer(head, body)).await);
        });
    }
}

/// Reads requests and writes what `answer` has for each, until the other side leaves.
async fn talk<S, A>(mut stream: S, answer: A) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(&httparse::Request<'_, '_>, &[u8]) -> Vec<u8>,
{
    let mut held = Vec::with_capacity(READ);
    loop {
        let used = {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut head = httparse::Request::new(&mut fields);
            match head.parse(&held).map_err(io::Error::other)? {
                httparse::Status::Partial => None,
                httparse::Status::Complete(head_length) => {
                    let end = head_length + length_of_body(&head)?;
                    match held.get(head_length..end) {
                        None => None,
                        Some(body) => {
                            let bytes = answer(&head, body);
                            stream.write_all(&bytes).await?;
                            stream.flush().await?;
                            Some(end)
                        }
                    }
                }
            }
        };
        match used {
            Some(used) => drop(held.drain(..used)),
            None => {
                held.reserve(READ);
                if stream.read_buf(&mut held).await? == 0 {
                    return Ok(());
                }
            }
        }
    }
}

fn length_of_body(head: &httparse::Request<'_, '_>) -> io::Result<usize> {
    if field(head, "transfer-encoding").is_some() {
        return Err(io::Error::other("no proxy of the comparison needs chunks"));
    }
    let Some(length) = field(head, "content-length") else { return Ok(0) };
    let length = str::from_utf8(length).map_err(io::Error::other)?;
    length.parse().map_err(io::Error::other)
}

fn field<'a>(head: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    head.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| it.value)
}

impl Exchange {
    fn answer(&self, head: &httparse::Request<'_, '_>, body: &[u8]) -> Vec<u8> {
        add(&self.counts.requests);
        let verdict = match (head.method, head.path) {
            (Some("POST"), Some(ORDER_PATH)) => self.order(head, body),
            (Some("GET"), Some("/v1/symbols")) => {
                add(&self.counts.public);
                Verdict::Symbols
            }
            _ => Verdict::Rejected,
        };
        if matches!(verdict, Verdict::Rejected) {
            add(&self.counts.bad);
        }
        if !self.delay.get().is_zero() {
            std::thread::sleep(self.delay.get());
        }
        self.bytes(verdict)
    }

    fn order(&self, head: &httparse::Request<'_, '_>, body: &[u8]) -> Verdict {
        let good = match field(head, PAYLOAD) {
            Some(payload) => self.is_signed(head, payload),
            None => is_unsigned(head, body),
        };
        let count = if field(head, PAYLOAD).is_some() {
            &self.counts.verified
        } else {
            &self.counts.unsigned
        };
        if !good {
            return Verdict::Rejected;
        }
        add(count);
        Verdict::Accepted
    }

    fn is_signed(&self, head: &httparse::Request<'_, '_>, payload: &[u8]) -> bool {
        let Some(signature) = field(head, SIGNATURE) else { return false };
        let mut mac = self.key.clone();
        mac.update(payload);
        let fits = hex(&mac.finalize().into_bytes()) == signature;
        let known = field(head, API_KEY).is_some_and(|it| it.starts_with(KEYS));
        let Ok(json) = BASE64_STANDARD.decode(payload) else { return false };
        let Ok(order) = serde_json::from_slice::<Order<'_>>(&json) else { return false };
        let Some(nonce) = order.nonce.and_then(|it| it.get().trim_matches('"').parse().ok()) else {
            return false;
        };
        if nonce <= self.greatest.get() {
            add(&self.counts.fallen);
        } else {
            self.greatest.set(nonce);
        }
        fits && known && order.request == Some(ORDER_PATH) && order.is_the_order()
    }

    /// The answer as it goes out. Its `Date` is made once a second.
    fn bytes(&self, verdict: Verdict) -> Vec<u8> {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_secs());
        let mut answers = self.answers.borrow_mut();
        if answers.0 != second {
            let date = httpdate::fmt_http_date(now);
            let whole = |status: &str, body: &str| {
                let length = body.len();
                format!(
                    "HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\n\r\n{body}"
                )
                .into_bytes()
            };
            let rejected = whole("400 Bad Request", REJECTED);
            *answers = (second, [whole("200 OK", ACCEPTED), whole("200 OK", SYMBOLS), rejected]);
        }
        let [accepted, symbols, rejected] = &answers.1;
        match verdict {
            Verdict::Accepted => accepted.clone(),
            Verdict::Symbols => symbols.clone(),
            Verdict::Rejected => rejected.clone(),
        }
    }
}

impl Order<'_> {
    fn is_the_order(&self) -> bool {
        let Self { symbol, amount, price, side, kind, .. } = *self;
        (symbol, amount, price, side, kind)
            == ("btcusd", "0.00001", "10.00", "buy", "exchange limit")
    }
}

fn is_unsigned(head: &httparse::Request<'_, '_>, body: &[u8]) -> bool {
    let bare = field(head, SIGNATURE).is_none() && field(head, API_KEY).is_none();
    let order = serde_json::from_slice::<Order<'_>>(body);
    bare && order.is_ok_and(|it| it.request.is_none() && it.nonce.is_none() && it.is_the_order())
}

/// `GET /counts`, `POST /delay/MICROSECONDS`.
async fn steer(listener: TcpListener, exchange: Rc<Exchange>) {
    while let Ok((stream, _)) = listener.accept().await {
        let exchange = Rc::clone(&exchange);
        tokio::task::spawn_local(async move {
            let answer = |head: &httparse::Request<'_, '_>, _: &[u8]| exchange.steered(head.path);
            drop(talk(stream, answer).await);
        });
    }
}

impl Exchange {
    fn steered(&self, path: Option<&str>) -> Vec<u8> {
        if let Some(micros) = path.and_then(|it| it.strip_prefix("/delay/")) {
            self.delay
                .set(Duration::from_micros(micros.parse().expect("a number of microseconds")));
            self.greatest.set(0.0);
        }
        let Counts { requests, verified, unsigned, public, bad, fallen, handshakes } = &self.counts;
        let json = serde_json::json!({
            "requests": requests.get(), "verified": verified.get(), "unsigned": unsigned.get(),
            "public": public.get(), "bad": bad.get(), "fallen": fallen.get(), "handshakes": handshakes.get(),
        })
        .to_string();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{json}", json.len()).into_bytes()
    }
}

fn add(count: &Cell<u64>) {
    count.set(count.get() + 1);
}
