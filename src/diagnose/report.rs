//! The member `diagnosis` of a response, in the shape that the documentation fixes.

use std::sync::Arc;

use serde::Serialize;

use super::{DecidedBy, Diagnosis, Finding};
use crate::call::{ClientId, KeyName, OperationName, Outcome};
use crate::clock::Ulid;

/// What is known of the request itself, whoever refused it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) request_id: Ulid,
    pub(crate) operation: Option<OperationName>,
    pub(crate) scope: Option<&'static str>,
    pub(crate) client: Option<ClientId>,
    pub(crate) key: Option<KeyName>,
    pub(crate) egress_ip: Option<Arc<str>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    request_id: &'a str,
    decided_by: &'static str,
    outcome: &'static str,
    retry: String,
    cause: &'static str,
    title: &'static str,
    confidence: &'static str,
    evidence: &'a [String],
    fix: Vec<&'a str>,
    /// Who can apply each of them.
    fix_by: Vec<&'static str>,
    resolution: &'static str,
    /// The metric to watch.
    watch: &'static str,
    docs: String,
    operation: Option<&'a str>,
    scope: Option<&'static str>,
    client: Option<&'a str>,
    key: Option<&'a str>,
    egress_ip: Option<&'a str>,
    alternatives: Vec<Alternative<'a>>,
}

#[derive(Debug, Serialize)]
struct Alternative<'a> {
    cause: &'static str,
    title: &'static str,
    confidence: &'static str,
    evidence: &'a [String],
    fix: Vec<&'a str>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(diagnosis: &'a Diagnosis, outcome: Outcome, context: &'a Context) -> Self {
        let Diagnosis { finding, alternatives } = diagnosis;
        let Context { request_id, operation, scope, client, key, egress_ip } = context;
        Self {
            request_id: request_id.as_str(),
            decided_by: finding.decided_by.as_str(),
            outcome: outcome.as_str(),
            retry: finding.retry.to_string(),
            cause: finding.cause.code(),
            title: finding.cause.title(),
            confidence: finding.confidence.as_str(),
            evidence: &finding.evidence,
            fix: texts(finding),
            fix_by: finding.fix.iter().map(|it| it.by.as_str()).collect(),
            resolution: finding.resolution,
            watch: finding.cause.watch(),
            docs: format!("docs/diagnosis.md#{}", finding.cause.code()),
            operation: operation.as_ref().map(OperationName::as_str),
            scope: *scope,
            client: client.as_ref().map(ClientId::as_str),
            key: key.as_ref().map(KeyName::as_str),
            egress_ip: egress_ip.as_deref(),
            alternatives: alternatives.iter().map(alternative).collect(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain text serialises")
    }
}

fn alternative(finding: &Finding) -> Alternative<'_> {
    Alternative {
        cause: finding.cause.code(),
        title: finding.cause.title(),
        confidence: finding.confidence.as_str(),
        evidence: &finding.evidence,
        fix: texts(finding),
    }
}

fn texts(finding: &Finding) -> Vec<&str> {
    finding.fix.iter().map(|it| it.text.as_str()).collect()
}

/// The field value of `Proxy-Status` (RFC 9209): who said no, and our word for it.
pub(crate) fn proxy_status(finding: &Finding) -> String {
    let code = finding.cause.code();
    match finding.decided_by {
        DecidedBy::Proxy => format!("geminid; error={}; details=\"{code}\"", error_type(code)),
        DecidedBy::Upstream | DecidedBy::Edge => format!("geminid; details=\"{code}\""),
    }
}

/// The registered error type that comes nearest (RFC 9209, section 2.3).
fn error_type(code: &str) -> &'static str {
    match code {
        "upstream-unreachable" => "destination_unavailable",
        "upstream-tls" => "tls_certificate_error",
        "upstream-closed" => "connection_terminated",
        "upstream-timeout" => "http_response_timeout",
        "upstream-truncated" => "http_response_incomplete",
        "upstream-redirect" => "http_protocol_error",
        "internal" => "proxy_internal_error",
        "request-malformed" | "request-too-large" | "request-timeout" | "method-wrong" => {
            "http_request_error"
        }
        _ => "http_request_denied",
    }
}
