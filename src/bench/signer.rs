//! Signing, and what comes back when the exchange says no.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use secrecy::SecretString;

use super::exchange;
use crate::call::Outcome;
use crate::diagnose::{
    self, Cause, Change, ChangeKind, Evidence, KeyEvidence, Lately, Past, Report, annotate,
    read_body,
};
use crate::nonce::Nonce;
use crate::provider::{Answer, bench_sign};
use crate::secret::Credential;

/// A key, prepared as the proxy keeps it; or a stand-in pair, prepared as a bot does.
#[derive(Debug)]
pub struct Signer {
    pub(super) credential: Credential,
}

impl Signer {
    #[must_use]
    pub fn new(key: &str, secret: &str) -> Self {
        Self { credential: Credential::upstream(key.to_owned(), &SecretString::from(secret)) }
    }

    /// Nonce, splice, base64, HMAC-SHA384, hex: everything between a permitted call and its headers.
    #[must_use]
    pub fn sign(&self, millis: u64, parameters: &str) -> HeaderMap {
        bench_sign(&self.credential, Nonce::whole(millis), parameters)
    }

    /// Explains a rejection, and puts the diagnosis into it.
    #[must_use]
    pub fn explain(&self, status: StatusCode, body: &[u8]) -> Option<Vec<u8>> {
        let mask = |text: &str| self.credential.mask(text);
        let answer = Answer { status, body: read_body(body, mask) };
        let evidence = Evidence {
            status: status.as_u16(),
            body: answer.body,
            operation: Some("create_order".to_owned()),
            client: Some("bot".to_owned()),
            key: Some(KeyEvidence {
                name: "trading".to_owned(),
                hint: self.credential.hint(),
                roles: Some((vec!["Trader".to_owned()], Duration::from_mins(9))),
                ..KeyEvidence::default()
            }),
            past: lately(),
            changes: vec![Change {
                what: ChangeKind::Reload,
                ago: Duration::from_secs(40),
                detail: "policy 0123456789ab → ba9876543210".to_owned(),
            }],
            ..Evidence::default()
        };
        let diagnosis = diagnose::diagnose(&evidence, exchange().rules());
        let context = diagnose::Context::default();
        let report = Report::new(&diagnosis, Outcome::Rejected, &context).to_json();
        annotate(body, &diagnosis.finding.line, &report, mask)
    }

    /// What of that is the splice: the body once more, with `line` and `report` in it.
    #[must_use]
    pub fn splice(&self, body: &[u8], line: &str, report: &str) -> Option<Vec<u8>> {
        annotate(body, line, report, |it| self.credential.mask(it))
    }
}

/// It worked a minute ago, and has been refused twice since.
fn lately() -> Past {
    let worked = Some(Duration::from_mins(1));
    let refused = Some((Cause::KeyRoleMissing, Duration::from_secs(50)));
    let operation = Lately { worked, n_refused: 2, refused };
    let other = Lately { worked, ..Lately::default() };
    Past {
        key: operation,
        operation,
        address: other,
        others: vec![("reporting".to_owned(), other)],
    }
}
