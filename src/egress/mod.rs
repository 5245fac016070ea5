//! Requests out: over verified TLS, to the provider's host or the operator's override, and nowhere
//! else.
//!
//! 1. The destination is fixed when the configuration is read; no byte of a client names it.
//! 2. Certificates are checked against the roots compiled in, and against the file that an override
//!    names beside them. `SSL_CERT_FILE`, `HTTPS_PROXY` and `SSLKEYLOGFILE` play no part.
//! 3. What was signed is sent at most once: the pool's own re-sending is off, and so are redirects.
//! 4. A failure says whether anything can have left. Only "no connection was had" and hyper's
//!    "cancelled before it was written" count as not sent.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::provider::Wire;

/// Below the idle time of the exchange's edge, so that the pool holds few connections that are
/// already closed at the other end. (The edge's own is not documented; 20 s is a guess.)
const POOL_IDLE: Duration = Duration::from_secs(20);
const POOL_SIZE: usize = 512;

/// Where to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// `host`, or `host:port` where the port is not 443.
    pub(crate) authority: String,
    /// Trusted beside the roots compiled in; for overrides only.
    pub(crate) anchors: Vec<CertificateDer<'static>>,
    pub(crate) bind: Option<IpAddr>,
    pub(crate) connect_timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Egress {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    authority: String,
}

/// Why there is no answer, and whether the exchange can have seen the request.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub(crate) struct SendError {
    pub(crate) sent: Sent,
    pub(crate) kind: SendFault,
}

impl SendError {
    /// Whether a connection of the pool turned out to be dead before anything was written to it.
    pub(crate) fn was_pooled(&self) -> bool {
        self.sent == Sent::No && matches!(self.kind, SendFault::Closed(_))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sent {
    /// No byte of it left.
    No,
    /// Some of it may have.
    Maybe,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SendFault {
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("the certificate is not accepted: {0}")]
    Tls(String),
    #[error("the connection closed before the answer: {0}")]
    Closed(String),
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

#[derive(Debug, thiserror::Error)]
#[error("the trust anchor cannot be used: {0}")]
pub(crate) struct BadAnchor(rustls::Error);

impl Egress {
    pub(crate) fn new(destination: Destination) -> Result<Self, BadAnchor> {
        let Destination { authority, anchors, bind, connect_timeout } = destination;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(connect_timeout));
        tcp.set_local_address(bind);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(anchors)?)
            .https_only()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            // Without a timer the idle time is not kept, and stale connections pile up.
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            // It would send the same signed bytes, with a nonce that may be old by then.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { client, authority })
    }

    /// Sends a request and returns the head of its answer.
    pub(crate) async fn send(
        &self,
        wire: Wire,
        forwarded: &HeaderMap,
        deadline: Duration,
    ) -> Result<Response<Incoming>, SendError> {
        let mut request = self.request(wire, forwarded);
        let connection = capture_connection(&mut request);
        match tokio::time::timeout(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(fault)) => Err(explain(&fault)),
            Err(_) => {
                let connected = connection.connection_metadata().is_some();
                let sent = if connected { Sent::Maybe } else { Sent::No };
                Err(SendError { sent, kind: SendFault::Timeout(deadline) })
            }
        }
    }

    fn request(&self, wire: Wire, forwarded: &HeaderMap) -> Request<Full<Bytes>> {
        let Wire { method, path_and_query, headers, .. } = wire;
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.authority.as_str())
            .path_and_query(path_and_query)
            .build()
            .expect("the path was checked when it came in, the authority when it was configured");
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let ours = request.headers_mut();
        // What we sign with stands; a client's header never replaces one of ours.
        for (name, value) in forwarded {
            ours.entry(name).or_insert_with(|| value.clone());
        }
        // A rejection is read and explained: it must come as it is.
        ours.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request
    }
}

fn tls(anchors: Vec<CertificateDer<'static>>) -> Result<ClientConfig, BadAnchor> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for anchor in anchors {
        roots.add(anchor).map_err(BadAnchor)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        // TLS 1.2 was what the exchange's API host negotiated when probed (seen, 2026-09).
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(BadAnchor)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn explain(fault: &ClientError) -> SendError {
    let words = chain(fault);
    if fault.is_connect() {
        let kind =
            if is_tls(fault) { SendFault::Tls(words) } else { SendFault::Unreachable(words) };
        return SendError { sent: Sent::No, kind };
    }
    let mut source = fault.source();
    while let Some(it) = source {
        if it.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return SendError { sent: Sent::No, kind: SendFault::Closed(words) };
        }
        source = it.source();
    }
    SendError { sent: Sent::Maybe, kind: SendFault::Closed(words) }
}

/// Whether TLS is at the bottom of it. An `io::Error` hides what it wraps from `source`.
fn is_tls(fault: &(dyn Error + 'static)) -> bool {
    if fault.is::<rustls::Error>() {
        return true;
    }
    let wrapped = fault.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.is_some_and(|it| is_tls(it)) || fault.source().is_some_and(is_tls)
}

/// The causes in one line. None of them holds a header or a body.
fn chain(fault: &ClientError) -> String {
    let mut words = Vec::new();
    let mut source = fault.source();
    while let Some(it) = source {
        words.push(it.to_string());
        source = it.source();
    }
    words.dedup();
    let words = words.join(": ");
    // rustls adds where its manual explains an early end.
    words.split(": https://").next().unwrap_or_default().to_owned()
}
