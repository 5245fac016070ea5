//! Requests out: over verified TLS, to the provider's host or the operator's override, and nowhere
//! else.
//!
//! 1. The destination is fixed when the configuration is read; no byte of a client names it.
//! 2. Certificates are checked against the roots compiled in, and against the file that an override
//!    names beside them. `SSL_CERT_FILE`, `HTTPS_PROXY` and `SSLKEYLOGFILE` play no part.
//! 3. Every call has a connection to itself: HTTP/1.1, kept warm. What was signed is sent at most once:
//!    nothing is sent again here, and no redirect is followed.
//! 4. A failure says whether anything can have left. Only "no connection was had" and "hyper gave the
//!    request back" count as not sent.
//! 5. An answer has one deadline, from the first byte sent to the last received.
//! 6. An answer that two readers could read in two ways is none, and its connection is not used
//!    again: what comes late on it must not be taken for the answer to the next request.

mod certificate;
mod look;
mod names;
mod pool;

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::certificate::Certificate;
pub(crate) use self::look::{Look, Reached, look};
use self::names::Names;
use self::pool::{Leased, Pool, Unanswered, chain};
use crate::clock::Clock;
use crate::config::Upstream;
use crate::diagnose::is_inside;
use crate::provider::Wire;

/// The most informational answers before the answer. The exchange sends none; hyper would read them
/// for ever.
const MAX_INFORMATIONAL: u32 = 10;

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

impl From<&Upstream> for Destination {
    fn from(upstream: &Upstream) -> Self {
        Self {
            authority: upstream.rest.authority.clone(),
            anchors: upstream.ca.clone(),
            bind: upstream.bind,
            connect_timeout: upstream.timeout.connect,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Egress {
    pool: Arc<Pool>,
    /// The authority, as `Host` tells it.
    host: HeaderValue,
}

/// The body of an answer that may still be on its way.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) body: Leased,
    /// Where the request left this machine from.
    pub(crate) from: Option<Arc<Leaving>>,
    /// When all of it must have come, if it is held until then.
    pub(crate) due: Instant,
    /// How long the whole answer may take.
    pub(crate) patience: Duration,
}

/// The address that a connection leaves this machine from.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) ip: IpAddr,
    /// As a diagnosis tells it; `None` where a router is sure to put another in its place.
    pub(crate) text: Option<Arc<str>>,
}

impl From<IpAddr> for Leaving {
    fn from(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Self { ip, text: (!is_inside(ip)).then(|| ip.to_string().into()) }
    }
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
    #[error("the connection ended without an answer: {0}")]
    Closed(String),
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

#[derive(Debug, thiserror::Error)]
#[error("the trust anchor cannot be used: {0}")]
pub(crate) struct BadAnchor(rustls::Error);

impl Egress {
    pub(crate) fn new(destination: Destination, clock: Arc<dyn Clock>) -> Result<Self, BadAnchor> {
        let Destination { authority, anchors, bind, connect_timeout } = destination;
        let origin = Uri::try_from(format!("https://{authority}/"));
        let origin = origin.expect("the authority was checked when it was configured");
        let host = HeaderValue::try_from(authority);
        let host = host.expect("an authority is ASCII");
        let mut tcp = HttpConnector::new_with_resolver(Names::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_connect_timeout(Some(connect_timeout));
        tcp.set_local_address(bind);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(anchors)?)
            .https_only()
            // Deliberately not HTTP/2. All calls would share one connection: whoever leaves a long answer
            // unread takes the window that everybody's calls need (seen: a hundred such readers of public
            // data stopped every order), and when it ends, every call in flight is in doubt at once.
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self { pool: Pool::new(connector, origin, clock), host })
    }

    /// Sends a request and returns the head of its answer.
    pub(crate) async fn send(
        &self,
        wire: Wire,
        forwarded: &HeaderMap,
        patience: Duration,
    ) -> Result<Response<Arriving>, SendError> {
        let mut request = self.request(wire, forwarded);
        let flood = Flood::watch(&mut request);
        let mut late = pin!(tokio::time::sleep(patience));
        let due = late.deadline();
        let timeout = |sent| SendError { sent, kind: SendFault::Timeout(patience) };
        let mut lease = tokio::select! {
            biased;
            taken = self.pool.take() => taken.map_err(|it| no_connection(&*it))?,
            () = &mut late => return Err(timeout(Sent::No)),
        };
        let response = tokio::select! {
            biased;
            answered = lease.send(request) => answered.map_err(|it| no_answer(&it))?,
            () = flood.over.notified() => return Err(unusable("too many informational answers")),
            () = late => return Err(timeout(Sent::Maybe)),
        };
        let reusable = match Framing::of(&response) {
            Framing::Plain => true,
            Framing::Leftover => false,
            Framing::Unusable(why) => return Err(unusable(why)),
        };
        let from = lease.from.clone();
        Ok(response.map(|body| Arriving { body: lease.body(body, reusable), from, due, patience }))
    }

    fn request(&self, wire: Wire, forwarded: &HeaderMap) -> Request<Full<Bytes>> {
        let Wire { method, path_and_query, headers, .. } = wire;
        let path = PathAndQuery::try_from(path_and_query);
        let path = path.expect("the path was checked when it came in");
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = path.into();
        *request.headers_mut() = headers;
        let ours = request.headers_mut();
        // What we sign with stands; a client's header never replaces one of ours.
        for (name, value) in forwarded {
            ours.entry(name).or_insert_with(|| value.clone());
        }
        ours.insert(HOST, self.host.clone());
        // A rejection is read and explained: it must come as it is.
        ours.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request
    }
}

/// TLS 1.2 was what the exchange's API host negotiated when probed (seen, 2026-09).
const PROTOCOLS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Those compiled in, and those of an override.
fn roots(anchors: Vec<CertificateDer<'static>>) -> Result<RootCertStore, BadAnchor> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for anchor in anchors {
        roots.add(anchor).map_err(BadAnchor)?;
    }
    Ok(roots)
}

fn tls(anchors: Vec<CertificateDer<'static>>) -> Result<ClientConfig, BadAnchor> {
    let roots = roots(anchors)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(PROTOCOLS)
        .map_err(BadAnchor)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Counts informational answers.
#[derive(Debug, Default)]
struct Flood {
    seen: AtomicU32,
    over: Notify,
}

impl Flood {
    fn watch(request: &mut Request<Full<Bytes>>) -> Arc<Self> {
        let flood = Arc::new(Self::default());
        let counter = Arc::clone(&flood);
        hyper::ext::on_informational(request, move |_| {
            if counter.seen.fetch_add(1, Ordering::Relaxed) == MAX_INFORMATIONAL {
                counter.over.notify_one();
            }
        });
        flood
    }
}

/// Whether an answer can be read in one way only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    Plain,
    /// It can; but what may follow it is not known to be another answer.
    Leftover,
    Unusable(&'static str),
}

impl Framing {
    /// hyper refuses different lengths, and prefers chunks to a length where both are told.
    fn of<B>(response: &Response<B>) -> Self {
        let (status, headers) = (response.status(), response.headers());
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next();
        let chunked = coding.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"chunked"));
        let has_length = headers.contains_key(CONTENT_LENGTH);
        let empty = headers.get_all(CONTENT_LENGTH).iter().all(|it| it == "0");
        if status.is_informational() {
            return Self::Unusable("its status is an informational one, and nothing follows");
        }
        if status.as_u16() >= 600 {
            return Self::Unusable("its status is none of HTTP");
        }
        if coding.is_some() && (!chunked || codings.next().is_some()) {
            return Self::Unusable("it has a transfer coding that nobody asked for");
        }
        if chunked && has_length {
            return Self::Unusable("it tells its length twice, and not in the same way");
        }
        let without_body = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if without_body && (chunked || !empty) { Self::Leftover } else { Self::Plain }
    }
}

fn unusable(why: &str) -> SendError {
    SendError { sent: Sent::Maybe, kind: SendFault::Closed(why.to_owned()) }
}

fn no_connection(fault: &(dyn Error + 'static)) -> SendError {
    let words = chain(fault);
    let kind = if is_tls(fault) { SendFault::Tls(words) } else { SendFault::Unreachable(words) };
    SendError { sent: Sent::No, kind }
}

fn no_answer(Unanswered { written, fault }: &Unanswered) -> SendError {
    let sent = if *written { Sent::Maybe } else { Sent::No };
    SendError { sent, kind: SendFault::Closed(chain(fault)) }
}

/// Whether TLS is at the bottom of it. An `io::Error` hides what it wraps from `source`.
fn is_tls(fault: &(dyn Error + 'static)) -> bool {
    if fault.is::<rustls::Error>() {
        return true;
    }
    let wrapped = fault.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.is_some_and(|it| is_tls(it)) || fault.source().is_some_and(is_tls)
}
