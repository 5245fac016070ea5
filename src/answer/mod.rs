//! Answers: read from the upstream, explained where they refuse, and given to the client.
//!
//! 1. An answer passes byte for byte, and streams where it is long.
//! 2. The complete answer of a call that changes something is held back until it is complete, and so is
//!    what tells of orders, which budgets learn from.
//! 3. A streamed answer that stops, or has no end, is cut: its client sees that it is not whole.
//! 4. No rejection tells the key, in headers or body. They are asked for uncompressed; one that is
//!    compressed all the same is searched as far as it can be unpacked.
//! 5. A rejection about access gets its diagnosis spliced in; its status stays, with one exception: a
//!    503 on a changing call that is not the exchange's own word is 502, since our 503 is a promise.
//! 6. A compressed rejection that is explained is given on uncompressed. One that cannot be read, or is
//!    too long, keeps every byte: the diagnosis stands in the headers, and says why.

mod unpack;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, PROXY_AUTHENTICATE, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;

use crate::call::{Call, Outcome};
use crate::clock::Ulid;
use crate::diagnose::{
    self, Body as Said, By, Context, Diagnosis, EgressEvidence, Evidence, Finding, Fix, Report,
    Retry, proxy_status, read_body,
};
use crate::egress::{Arriving, Leaving};
use crate::json::quote;
use crate::message::{self, Body};
use crate::observe::Record;
use crate::provider::{self, Answer, Key, Provider};
use crate::refusal::{LOOK_FIRST, Refusal};

use self::unpack::{Unpacked, unpack};

/// Why a rejection keeps its bytes.
const LEFT: &str = "the body could be read in more than one way: it is given on as it came";
const TOO_LONG: &str = "the body is longer than 64 KiB: it is given on as it came";

/// What of a client's headers goes along. The upstream needs none of them.
const FORWARDED: [HeaderName; 3] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT];
/// Up to this length an answer is held until it is complete, so that a truncated one can be told.
const HELD: u64 = 256 * 1_024;
const MAX_WHOLE: usize = 8 * 1_024 * 1_024;
/// No answer of the exchange is near this length.
const MAX_STREAMED: u64 = 64 * 1_024 * 1_024;
/// Beyond this a rejection is explained in its headers alone.
const MAX_SPLICED: usize = unpack::MOST;

static REQUEST_ID: HeaderName = HeaderName::from_static("geminid-request-id");
static OUTCOME: HeaderName = HeaderName::from_static("geminid-outcome");
static WOULD_REFUSE: HeaderName = HeaderName::from_static("geminid-would-refuse");

/// An answer of the upstream, with what we know of it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) answer: Answer,
    /// Whether it answers the question about nonces, and the call itself was not sent.
    pub(crate) answers_question: bool,
    /// Whether it refuses the upgrade to a WebSocket.
    pub(crate) upgrade: bool,
    head: Parts,
    body: Held,
    /// What a compressed rejection says.
    plain: Option<Bytes>,
    /// Why a compressed rejection was not read.
    sealed: Option<String>,
    outcome: Outcome,
    /// Where the call left this machine from.
    from: Option<Arc<Leaving>>,
    /// Whether a 503 of it must not be mistaken for ours.
    ambiguous: bool,
    diagnosis: Option<Box<Explained>>,
}

#[derive(Debug)]
enum Held {
    Whole(Bytes),
    Stream(Arriving),
}

#[derive(Debug)]
struct Explained {
    diagnosis: Diagnosis,
    /// The member `diagnosis`, as JSON.
    report: Arc<str>,
    spliced: Option<Vec<u8>>,
}

/// The headers of a client that go along: an allow-list.
pub(crate) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(FORWARDED.len());
    for name in FORWARDED {
        if let Some(value) = headers.get(&name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

impl Received {
    /// All of its body, if it was held.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        match &self.body {
            Held::Whole(bytes) => Some(bytes),
            Held::Stream(_) => None,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The diagnosis, and how it is told; `None` of what needs none.
    pub(crate) fn diagnosis(&self) -> Option<(&Diagnosis, &str)> {
        self.diagnosis.as_ref().map(|it| (&it.diagnosis, &*it.report))
    }

    /// The address of this machine that the call left from.
    pub(crate) fn left_from(&self) -> Option<IpAddr> {
        self.from.as_ref().map(|it| it.ip)
    }

    /// What the answer itself shows.
    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            status: self.answer.status.as_u16(),
            body: self.answer.body.clone(),
            upgrade: self.upgrade,
            headers: message::told(&self.head.headers),
            egress: EgressEvidence {
                local: self.from.as_ref().map(|it| it.ip),
                ..EgressEvidence::default()
            },
            ..Evidence::default()
        }
    }
}

/// Reads an answer as far as it must be known before the client sees any of it. Without a `call` it is
/// the answer to the proxy's own question about nonces.
pub(crate) async fn read(
    provider: &dyn Provider,
    response: Response<Arriving>,
    call: Option<&Call>,
    key: Option<&Key>,
) -> Result<Received, Refusal> {
    let mutates = call.is_some_and(|it| it.effect.mutates());
    let telling = call.is_some_and(|it| provider.tells_of_orders(it));
    let (mut head, arriving) = response.into_parts();
    let from = arriving.from.clone();
    let status = head.status;
    if status.is_redirection() {
        return Err(Refusal::Redirect { mutates });
    }
    let refused = status.as_u16() >= 400;
    let length = arriving.body.size_hint();
    let short = length.upper().is_some_and(|it| it <= HELD);
    let held = refused || mutates || telling || short;
    let mut body = if held || length.lower() > MAX_STREAMED {
        Held::Whole(whole(arriving, status, mutates).await?)
    } else {
        Held::Stream(arriving)
    };
    let mut said = Said::Empty;
    let (mut plain, mut sealed) = (None, None);
    if refused {
        mask_headers(key, &mut head.headers);
        if let Held::Whole(bytes) = &mut body {
            (said, plain, sealed) = open(key, &mut head.headers, bytes);
        }
    }
    let answer = Answer { status, body: said };
    let maintenance = provider.is_maintenance(&answer);
    let outcome = provider::outcome(status, mutates, maintenance);
    let ambiguous = mutates && status == StatusCode::SERVICE_UNAVAILABLE && !maintenance;
    Ok(Received {
        answer,
        answers_question: false,
        upgrade: false,
        head,
        body,
        plain,
        sealed,
        outcome,
        from,
        ambiguous,
        diagnosis: None,
    })
}

/// Reads a rejection and masks it. What it says; what it says unpacked, if it is compressed; or why it
/// cannot be read.
fn open(
    key: Option<&Key>,
    headers: &mut HeaderMap,
    bytes: &mut Bytes,
) -> (Said, Option<Bytes>, Option<String>) {
    let read = |bytes: &[u8]| read_body(bytes, |it| mask(key, it));
    match unpack(headers, bytes) {
        Unpacked::Plain => {
            if let Some(masked) = masked(key, bytes) {
                unpack::changed(headers);
                *bytes = masked;
            }
            (read(bytes), None, None)
        }
        Unpacked::Read(plain) => match masked(key, &plain) {
            Some(masked) => {
                unpack::changed(headers);
                *bytes = masked;
                (read(bytes), None, None)
            }
            // What tells no secret keeps its form, unless a diagnosis is put into it.
            None => (read(&plain), Some(plain), None),
        },
        Unpacked::Sealed(why) => (Said::Text("a compressed body".to_owned()), None, Some(why)),
    }
}

async fn whole(arriving: Arriving, status: StatusCode, mutates: bool) -> Result<Bytes, Refusal> {
    let Arriving { body, due, patience, .. } = arriving;
    let outcome = provider::outcome(status, mutates, false);
    let truncated = |why: String| Refusal::Truncated { why, outcome, mutates };
    match tokio::time::timeout_at(due, message::read(body, MAX_WHOLE)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(fault)) => Err(truncated(fault.to_string())),
        Err(_) => Err(truncated(format!("its end did not come in {} s", patience.as_secs_f32()))),
    }
}

/// Puts the diagnosis of a rejection into it.
pub(crate) fn annotate(
    received: Received,
    mut diagnosis: Diagnosis,
    key: Option<&Key>,
    record: &mut Record,
) -> Received {
    if received.outcome == Outcome::Unknown {
        // Whatever the cause, it may have been executed before the answer was made.
        diagnosis.finding.retry = Retry::LookFirst;
        diagnosis.finding.fix.insert(0, Fix::new(By::Bot, LOOK_FIRST));
    }
    record.finding(&diagnosis.finding);
    let context = record.context();
    let outcome = received.outcome;
    let report = |it: &Diagnosis| Report::new(it, outcome, &context).to_json();
    let mut told = report(&diagnosis);
    let put_in = |bytes: &[u8]| {
        let line = &diagnosis.finding.line;
        diagnose::annotate(bytes, line, &told, |it| mask(key, it)).ok_or_else(|| LEFT.to_owned())
    };
    let spliced = match (&received.body, &received.plain, &received.sealed) {
        (_, _, Some(why)) => Err(why.clone()),
        (_, Some(plain), None) => put_in(plain),
        (Held::Whole(bytes), None, None) if bytes.len() <= MAX_SPLICED => put_in(bytes),
        (Held::Whole(_) | Held::Stream(_), None, None) => Err(TOO_LONG.to_owned()),
    };
    let spliced = spliced.map_err(|why| {
        diagnosis.finding.evidence.push(why);
        told = report(&diagnosis);
    });
    let report: Arc<str> = told.into();
    record.explained(Arc::clone(&report));
    let explained = Explained { diagnosis, report, spliced: spliced.ok() };
    Received { diagnosis: Some(Box::new(explained)), ..received }
}

/// Gives an answer to the client, and tells of it.
pub(crate) fn pass(received: Received, record: Record) -> Response<Body> {
    let Received { head, body, outcome, ambiguous, diagnosis, .. } = received;
    let status = if ambiguous { StatusCode::BAD_GATEWAY } else { head.status };
    let mut headers = head.headers;
    message::clean_answer(&mut headers);
    if let Some(cause) = record.facts.would_refuse {
        headers.insert(&WOULD_REFUSE, HeaderValue::from_static(cause));
    }
    // What was told may be told twice, or not hold any more: hyper tells it anew.
    headers.remove(CONTENT_LENGTH);
    let body = match (body, diagnosis) {
        (body, Some(explained)) => {
            let Explained { diagnosis, spliced, report: _ } = *explained;
            tell(&mut headers, &diagnosis.finding);
            if let Retry::After(seconds) = diagnosis.finding.retry {
                headers.entry(RETRY_AFTER).or_insert_with(|| seconds.into());
            }
            match (spliced, body) {
                (Some(spliced), _) => {
                    unpack::changed(&mut headers);
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    message::full(spliced)
                }
                (None, Held::Whole(bytes)) => message::full(bytes),
                (None, Held::Stream(arriving)) => stream(arriving),
            }
        }
        (Held::Whole(bytes), None) => message::full(bytes),
        (Held::Stream(arriving), None) => stream(arriving),
    };
    let response = respond(status, headers, body, outcome, record.facts.request_id);
    record.finish(status, outcome);
    response
}

fn stream(arriving: Arriving) -> Body {
    let Arriving { body, patience, .. } = arriving;
    message::stream(body, MAX_STREAMED, patience)
}

/// Answers with a refusal of our own, and tells of it.
pub(crate) fn refuse(refusal: &Refusal, mut record: Record, as_proxy: bool) -> Response<Body> {
    record.finding(&refusal.finding());
    let (response, report) = composed(refusal, &record.context(), as_proxy);
    record.explained(report.into());
    record.finish(response.status(), refusal.outcome());
    response
}

/// Says that the connection ends with this answer.
pub(crate) fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer of a refusal.
pub(crate) fn compose(refusal: &Refusal, context: &Context, as_proxy: bool) -> Response<Body> {
    composed(refusal, context, as_proxy).0
}

/// The same, with its member `diagnosis`.
fn composed(refusal: &Refusal, context: &Context, as_proxy: bool) -> (Response<Body>, String) {
    let diagnosis = Diagnosis::from(refusal.finding());
    let Finding { line, retry, .. } = &diagnosis.finding;
    let report = Report::new(&diagnosis, refusal.outcome(), context).to_json();
    let message = quote(line);
    let text = match refusal.reason() {
        Some(reason) => format!(
            r#"{{"result":"error","reason":"{reason}","message":{message},"diagnosis":{report}}}"#
        ),
        None => format!(r#"{{"message":{message},"diagnosis":{report}}}"#),
    };
    let mut status = refusal.status();
    let mut headers = HeaderMap::new();
    if status == StatusCode::UNAUTHORIZED && as_proxy {
        status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic"));
    } else if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allowed) = refusal.allowed().and_then(|it| HeaderValue::try_from(it).ok()) {
        headers.insert(ALLOW, allowed);
    }
    if let Retry::After(seconds) = retry {
        headers.insert(RETRY_AFTER, (*seconds).into());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, text.len().into());
    tell(&mut headers, &diagnosis.finding);
    let body = message::full(text);
    (respond(status, headers, body, refusal.outcome(), context.request_id), report)
}

fn respond(
    status: StatusCode,
    mut headers: HeaderMap,
    body: Body,
    outcome: Outcome,
    request_id: Ulid,
) -> Response<Body> {
    let id = HeaderValue::try_from(request_id.as_str()).expect("a ULID is ASCII");
    headers.insert(&REQUEST_ID, id);
    let word = HeaderValue::from_static(outcome.as_str());
    headers.insert(&OUTCOME, word);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn tell(headers: &mut HeaderMap, finding: &Finding) {
    let cause = HeaderValue::from_static(finding.cause.code());
    headers.insert(HeaderName::from_static("geminid-cause"), cause);
    let status = HeaderValue::try_from(proxy_status(finding)).expect("words of ours are ASCII");
    headers.insert(HeaderName::from_static("proxy-status"), status);
}

fn mask(key: Option<&Key>, text: &str) -> String {
    key.map_or_else(|| text.to_owned(), |it| it.mask(text))
}

/// A rejection's body without the key, if the key is in it.
fn masked(key: Option<&Key>, bytes: &[u8]) -> Option<Bytes> {
    let text = String::from_utf8_lossy(bytes);
    let masked = mask(key, &text);
    (masked != text).then(|| masked.into())
}

fn mask_headers(key: Option<&Key>, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let text = String::from_utf8_lossy(value.as_bytes());
        let masked = mask(key, &text);
        if masked != text {
            *value = HeaderValue::try_from(masked).unwrap_or(HeaderValue::from_static("masked"));
        }
    }
}
