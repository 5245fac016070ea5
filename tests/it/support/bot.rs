//! A bot: plain HTTP to the proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use sha2::Sha384;

use super::canary;

/// Calls one proxy, with the same headers each time.
#[derive(Clone, Debug)]
pub(crate) struct Bot {
    client: Client<HttpConnector, Full<Bytes>>,
    here: SocketAddr,
    headers: HeaderMap,
}

/// A client of the exchange itself.
pub(crate) type Direct = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// One that trusts this authority alone.
pub(crate) fn trusting(ca_pem: &str) -> Direct {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
    Client::builder(TokioExecutor::new()).build(builder.enable_all_versions().build())
}

/// Sends bytes as they are, and reads until the other side closes: ask it to.
pub(crate) async fn raw(here: SocketAddr, bytes: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(here).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    canary::none(&canary::search("an answer", answer.as_bytes()));
    answer
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Bot {
    pub(crate) fn new(here: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, here, headers: HeaderMap::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn with_token(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Signs a payload as a bot's own library does.
    pub(crate) fn signing(self, key: &str, secret: &str, payload: &str) -> Self {
        let payload = BASE64_STANDARD.encode(payload);
        let mut mac = Hmac::<Sha384>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        let tag = mac.finalize().into_bytes();
        let signature: String = tag.iter().map(|it| format!("{it:02x}")).collect();
        self.with("x-gemini-apikey", key)
            .with("x-gemini-payload", &payload)
            .with("x-gemini-signature", &signature)
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "").await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> Answer {
        self.try_ask(method, path, body).await.unwrap()
    }

    /// The same, of a proxy that may go away meanwhile.
    pub(crate) async fn try_ask(&self, method: Method, path: &str, body: &str) -> Option<Answer> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.method_mut() = method;
        *request.uri_mut() = format!("http://{}{path}", self.here).parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let mut hits = canary::search("the head of an answer", format!("{head:?}").as_bytes());
        hits.extend(canary::search("the body of an answer", &body));
        canary::none(&hits);
        Some(Answer { status: head.status, headers: head.headers, body })
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let shown = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {shown}"))
    }

    /// A header's text; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// Status, outcome and cause, as the headers tell them.
    pub(crate) fn told(&self) -> (u16, String, String) {
        (self.status.as_u16(), self.header("geminid-outcome"), self.header("geminid-cause"))
    }
}
