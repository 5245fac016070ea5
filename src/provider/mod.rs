//! What the proxy must know of an upstream. One folder each; this file lists them.
//!
//! Every method is pure: no I/O, no clock, no randomness. What varies between upstreams is data or a
//! method here; policy, lanes, egress and pipeline do not change for a new one.

mod exchange;
mod routes;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::call::{Call, KeyName, Operation, Orders, Outcome, words};
use crate::diagnose::{Body, Rule};
use crate::limit::Admission;
use crate::nonce::{Nonce, Numbered, Turn, Verdict};
use crate::policy::Quote;
use crate::secret::Credential;

pub(crate) use self::exchange::bench_sign;
pub(crate) use self::routes::{Route, Routes};

words! {
    /// Which of a provider's installations.
    Environment {
        Production = "production",
        Sandbox = "sandbox",
        Simulator = "simulator",
    }
}

/// A request as it goes out. Only a provider makes one: from a numbered call, which was permitted
/// and admitted, or from an admitted call that needs no signature. It is no `Clone`, and sending
/// consumes it: the same signed bytes never leave twice.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    // Private, so that no other module can make a `Wire`.
    _made_here: (),
}

impl Wire {
    fn new(method: Method, path_and_query: String, headers: HeaderMap) -> Self {
        Self { method, path_and_query, headers, _made_here: () }
    }
}

/// A key of an upstream account, with what signing needs.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: KeyName,
    /// The sub-account that a master key means when the client names none.
    pub(crate) account: Option<String>,
    // Held only to clone or to replace what is in it.
    credential: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    now: Arc<Credential>,
    /// The one before, which calls in flight may have been signed with.
    before: Option<Arc<Credential>>,
}

impl Key {
    pub(crate) fn new(name: KeyName, account: Option<String>, credential: Arc<Credential>) -> Self {
        let held = Held { now: credential, before: None };
        Self { name, account, credential: RwLock::new(held) }
    }

    /// What it signs with now. A call in flight keeps what it began with.
    pub(crate) fn credential(&self) -> Arc<Credential> {
        Arc::clone(&self.held().now)
    }

    /// From now on it signs with this: another secret of the same key, whose nonces go on.
    pub(crate) fn replace(&self, credential: Arc<Credential>) {
        let mut held = self.credential.write().unwrap_or_else(PoisonError::into_inner);
        held.before = Some(std::mem::replace(&mut held.now, credential));
    }

    /// `text` without the key and its secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        let held = self.held();
        let text = held.now.mask(text);
        held.before.as_ref().map_or_else(|| text.clone(), |it| it.mask(&text))
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        // Every change is one assignment: valid after any panic.
        self.credential.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A signed request, beside the turn that it was signed in.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) wire: Wire,
    pub(crate) turn: Turn,
    pub(crate) nonce: Nonce,
}

/// What a client presents in this upstream's own way of signing.
#[derive(Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// A request before anyone has read it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// Whether the client signed its payload, so that every word of it was meant.
    pub(crate) payload_is_signed: bool,
    /// Whether what is public goes to everyone: then so does what the catalogue does not know.
    pub(crate) public: bool,
}

/// Why a request cannot be read as a call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the catalogue has no {method} {path}")]
    Unknown { method: String, path: String },
    #[error("{path} takes {}", allowed.join(" or "))]
    Method { path: String, allowed: Vec<&'static str> },
    #[error("{0}")]
    Malformed(String),
    #[error("the parameters are longer than the header that would carry them can be")]
    TooLong,
    #[error("the body and `X-GEMINI-PAYLOAD` carry different parameters")]
    Ambiguous,
    #[error("the signed payload names {named}, the request line {path}")]
    PathMismatch { named: String, path: String },
}

/// What an answer says, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Body,
}

pub(crate) trait Provider: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;

    /// Where this provider's credentials may travel to, unless the operator overrides it.
    fn host(&self, environment: Environment) -> Option<&'static str>;

    /// Where its sockets are.
    fn stream_host(&self, environment: Environment) -> Option<&'static str>;

    /// The catalogue.
    fn operations(&self) -> &'static [Arc<Operation>];

    /// A public request whose answer carries a `Date`: the first thing asked.
    fn date_request(&self) -> Wire;

    /// The signature that a request carries, if any part of one is there.
    fn presented<'a>(&self, headers: &'a HeaderMap) -> Option<Presented<'a>>;

    /// Whether a header of this name, in lower case, is a part of the signature or what it signs.
    fn is_credential(&self, name: &str) -> bool;

    /// Whether a call could be public data, which needs no client. Decided before the body is read.
    fn is_public(&self, routes: &Routes, method: &str, path: &str, headers: &HeaderMap) -> bool;

    /// Reads a request as a call.
    fn read(&self, routes: &Routes, asked: &Asked<'_>) -> Result<Call, Unreadable>;

    /// Puts the credential on.
    fn sign(&self, numbered: Numbered, key: &Key) -> Signed;

    /// What a request was signed over, as it goes out: base64 of JSON. `None`: it is not signed so.
    fn payload(&self, wire: &Wire) -> Option<HeaderValue>;

    /// The question whose answer tells how a key's nonces count. It changes nothing.
    fn probe(&self, numbered: Numbered, key: &Key) -> Signed;

    /// A call that needs no credential.
    fn plain(&self, admission: &Admission) -> Wire;

    /// What an answer says about the nonce of its request.
    fn verdict(&self, answer: &Answer) -> Verdict;

    /// Whether an answer is about access, and so is explained.
    fn is_about_access(&self, answer: &Answer) -> bool;

    /// Whether a 503 is the upstream's own word that it executes nothing now.
    fn is_maintenance(&self, answer: &Answer) -> bool;

    /// Whether an answer to `call` could tell of orders.
    fn tells_of_orders(&self, call: &Call) -> bool;

    /// What an answer to `call` says of orders, if the upstream did not reject the call.
    fn orders(&self, call: &Call, body: &[u8]) -> Orders;

    /// The public question for the best prices of `symbol`, which is in lower case.
    fn ticker(&self, symbol: &str) -> Wire;

    /// What the answer to that says.
    fn quote(&self, body: &[u8]) -> Option<Quote>;

    /// Takes back every order of a key, ahead of whoever waits for it.
    fn cancel_all(&self, account: Option<&str>) -> Call;

    /// How many orders the answer to that says were cancelled.
    fn n_cancelled(&self, body: &[u8]) -> Option<usize>;

    /// Asks for every live order of a key.
    fn active_orders(&self, account: Option<&str>) -> Call;

    /// Whether a key's text begins as this upstream's keys do.
    fn is_key_text(&self, text: &str) -> bool;

    /// Asks which roles a key has.
    fn roles_question(&self, account: Option<&str>) -> Call;

    /// The roles that an answer to `call` names, if it is one to that question.
    fn roles(&self, call: &Call, body: &[u8]) -> Option<Vec<String>>;

    /// What this upstream's rejections mean, surest rule first.
    fn rules(&self) -> &'static [Rule];
}

/// A public question to some other page than the upstream's API: of its incidents, or of the address
/// that requests leave from. It carries nothing.
pub(crate) fn outside(path_and_query: &str) -> Wire {
    Wire::new(Method::GET, path_and_query.to_owned(), HeaderMap::new())
}

/// What became of a call that was answered completely.
pub(crate) fn outcome(status: StatusCode, mutates: bool, promised_nothing: bool) -> Outcome {
    if status.is_server_error() && mutates && !promised_nothing {
        // An edge may fail after the exchange has executed.
        return Outcome::Unknown;
    }
    if status.as_u16() < 400 { Outcome::Executed } else { Outcome::Rejected }
}

/// Every upstream.
pub(crate) static ALL: &[&dyn Provider] = &[&exchange::Exchange];

pub(crate) fn by_name(name: &str) -> Option<&'static dyn Provider> {
    ALL.iter().copied().find(|it| it.name() == name)
}
