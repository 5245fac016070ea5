//! What `fuzz/` calls of the inside, and nothing else.
//!
//! 1. A door hands out plain data. What is promised of it is written in the target, not here.
//! 2. A request takes the way of `proxy` here, in the same order, without sockets, clock and tasks.

mod desk;
mod life;

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use http::StatusCode;
use secrecy::SecretString;

pub use self::desk::{Desk, Refused, Sent, requests};
pub use self::life::{Life, Step};
use crate::call::Outcome;
use crate::clock::UnixMicros;
use crate::config::{self, Config, Lookup, Overrides};
use crate::diagnose::{self, Context, Evidence, KeyEvidence, Report, annotate, read_body};
use crate::json::{self, Object};
use crate::pasted::{self, Pasted};
use crate::provider::{self, Answer};
use crate::secret::Credential;

/// 2026-11-21: every clock of a target stands here.
pub const NOW: UnixMicros = UnixMicros::from_secs(1_795_219_200);

/// A JSON object, as the strict reader took it.
#[derive(Debug)]
pub struct Json(Object);

/// # Errors
/// If the reader does not take it: why.
pub fn json(text: &[u8]) -> Result<Json, &'static str> {
    Object::parse(text).map(Json).map_err(|it| it.what)
}

impl Json {
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.names().map(str::to_owned).collect()
    }

    /// The text of a string or a number.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_text().map(std::borrow::Cow::into_owned)
    }

    #[must_use]
    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        self.0.span(name)
    }

    /// The whole, as it would be signed.
    #[must_use]
    pub fn written(&self) -> String {
        format!("{{{}}}", self.0.members_json())
    }

    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }

    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

/// `text` as a JSON string.
#[must_use]
pub fn quote(text: &str) -> String {
    json::quote(text)
}

/// What becomes of a rejection.
#[derive(Debug)]
pub struct Explained {
    /// Whether it is explained at all.
    pub about_access: bool,
    /// What was read of its body, as `Debug` shows it.
    pub said: String,
    /// What is added to its message.
    pub line: String,
    pub report: String,
    /// The body that the client gets; `None`: the original.
    pub spliced: Option<Vec<u8>>,
}

/// Explains a rejection of a call that was made with the key `key`.
#[must_use]
pub fn explain(status: StatusCode, body: &[u8], key: &str) -> Explained {
    let credential = Credential::new(key.to_owned(), &SecretString::from("secret"));
    let mask = |text: &str| credential.mask(text);
    let exchange = exchange();
    let answer = Answer { status, body: read_body(body, mask) };
    // Every verdict must come without a panic.
    let _: (_, _) = (exchange.verdict(&answer), exchange.is_maintenance(&answer));
    let evidence = Evidence {
        status: status.as_u16(),
        body: answer.body.clone(),
        key: Some(KeyEvidence {
            name: "trading".to_owned(),
            hint: credential.hint(),
            ..KeyEvidence::default()
        }),
        roles_needed: vec!["Trader".to_owned()],
        ..Evidence::default()
    };
    let diagnosis = diagnose::diagnose(&evidence, exchange.rules());
    let report = Report::new(&diagnosis, Outcome::Rejected, &Context::default()).to_json();
    let line = diagnosis.finding.line;
    let spliced = annotate(body, &line, &report, mask);
    let about_access = exchange.is_about_access(&answer);
    Explained { about_access, said: format!("{:?}", answer.body), line, report, spliced }
}

/// Reads what somebody pasted, and explains it as an answer. What would be told, as `Debug` shows it.
#[must_use]
pub fn pasted(text: &[u8]) -> String {
    match pasted::read(text) {
        Pasted::Answer(answer) => {
            let status = answer.status.unwrap_or_else(|| answer.likely_status());
            let evidence = answer.evidence(status);
            let diagnosis = diagnose::diagnose(&evidence, exchange().rules());
            let report = Report::new(&diagnosis, Outcome::Rejected, &Context::default()).to_json();
            let line = pasted::plain(&diagnosis.finding.line);
            format!("{line} {:?}", serde_json::from_str(&report).map(pasted::clean))
        }
        Pasted::Explained { diagnosis, message } => format!("{diagnosis:?} {message:?}"),
        Pasted::Line(fields) => format!("{fields:?}"),
    }
}

/// One problem of a configuration.
#[derive(Debug)]
pub struct Problem {
    pub line: Option<usize>,
    /// The setting; empty when the text as a whole is meant.
    pub path: String,
    pub message: String,
    pub hint: String,
    /// As the operator sees it.
    pub shown: String,
}

/// Reads the text of a configuration file, in an empty environment. What it yields, as `Debug` shows
/// it, with its warnings.
///
/// # Errors
/// If it cannot be served: every problem.
pub fn configuration(text: &str) -> Result<String, Vec<Problem>> {
    let problem = |it: config::Problem| {
        let shown = it.to_string();
        let config::Problem { place, message, hint } = it;
        Problem { line: place.line, path: place.path, message, hint, shown }
    };
    let read = configured(text);
    read.map(|it| format!("{it:?}")).map_err(|it| it.0.into_iter().map(problem).collect())
}

/// Files are looked for where there are none.
fn configured(text: &str) -> Result<Config, config::Problems> {
    config::parse(text, Path::new("/nowhere/proxy.toml"), &Nowhere, &Overrides::default(), NOW)
}

/// An environment without variables.
struct Nowhere;

impl Lookup for Nowhere {
    fn var(&self, _: &str) -> Option<OsString> {
        None
    }
}

fn exchange() -> &'static dyn provider::Provider {
    provider::by_name("exchange").expect("it is in the table of providers")
}
