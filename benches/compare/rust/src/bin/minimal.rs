//! The least that a signing proxy on hyper can be: the practical limit that geminid is compared with.
//!
//!     minimal PORT UPSTREAM_PORT CA_PEM API_KEY SECRET_FILE
//!
//! 1. hyper's server, hyper-util's pooled client, rustls with ring, one current-thread runtime.
//! 2. It signs correctly, with a prepared key, and splices the parameters as they were written.
//! 3. Deliberately absent: limits, time-outs, clients, rules, logs, metrics, anything kept on disk.

use std::cell::Cell;
use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use geminid_compare::API_KEY;
use geminid_compare::Key;
use geminid_compare::PAYLOAD;
use geminid_compare::SIGNATURE;
use geminid_compare::hex;
use geminid_compare::key;
use hmac::Mac as _;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::header;
use http_body_util::BodyExt as _;
use http_body_util::Either;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpListener;

type Answer = Response<Either<Incoming, Full<Bytes>>>;

struct Signer {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    authority: String,
    api_key: HeaderValue,
    key: Key,
    last: Cell<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [port, upstream, authority, api_key, secret] = words.as_slice() else {
        panic!("usage: minimal PORT UPSTREAM_PORT CA_PEM API_KEY SECRET_FILE");
    };
    let signer = Rc::new(Signer {
        client: client(authority),
        authority: format!("localhost:{upstream}"),
        api_key: HeaderValue::from_str(api_key).expect("a key is ASCII"),
        key: key(Path::new(secret)),
        last: Cell::new(0),
    });
    let port = port.parse().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    let tasks = tokio::task::LocalSet::new();
    tasks.run_until(accept(listener, signer)).await;
}

async fn accept(listener: TcpListener, signer: Rc<Signer>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).expect("a TCP socket");
        let signer = Rc::clone(&signer);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| Rc::clone(&signer).answer(request));
            // A client that leaves is no fault.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

fn client(authority: &str) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority).expect("a PEM file"))
        .expect("a certificate");
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    // What was signed is sent once.
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector)
}

impl Signer {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let Some(signed) = self.sign(&head.uri, &body) else {
            return Ok(refusal(StatusCode::BAD_REQUEST, "the body is no JSON object"));
        };
        match self.client.request(signed).await {
            Ok(answer) => Ok(answer.map(Either::Left)),
            Err(_) => Ok(refusal(StatusCode::BAD_GATEWAY, "no answer")),
        }
    }

    fn sign(&self, uri: &Uri, body: &[u8]) -> Option<Request<Full<Bytes>>> {
        let parameters = str::from_utf8(body).ok()?.strip_prefix('{')?;
        let (path, nonce) = (uri.path(), self.nonce());
        let mut json = String::with_capacity(64 + path.len() + parameters.len());
        let (seconds, micros) = (nonce / 1_000_000, nonce % 1_000_000);
        write!(json, r#"{{"request":"{path}","nonce":{seconds}.{micros:06},{parameters}"#).ok()?;
        let payload = BASE64_STANDARD.encode(json);
        let mut mac = self.key.clone();
        mac.update(payload.as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        Request::post(format!("https://{}{path}", self.authority))
            .header(API_KEY, self.api_key.clone())
            .header(PAYLOAD, payload)
            .header(SIGNATURE, signature)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))
            .header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))
            .header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
            .body(Full::default())
            .ok()
    }

    /// Microseconds, each larger than the last.
    fn nonce(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
        let now = u64::try_from(now).expect("before the year 586524");
        self.last.set(now.max(self.last.get() + 1));
        self.last.get()
    }
}

fn refusal(status: StatusCode, why: &'static str) -> Answer {
    let mut answer = Response::new(Either::Right(Full::new(Bytes::from_static(why.as_bytes()))));
    *answer.status_mut() = status;
    answer
}
