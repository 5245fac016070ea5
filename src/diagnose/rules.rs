//! Rules that are true of any upstream.

use super::evidence::{Body, Evidence};
use super::{By, Cause, Confidence, DecidedBy, Finding, Fix, Retry, Rule};

pub(super) const ANY_UPSTREAM: &[Rule] = &[edge_page];

/// A page for people where a program's answer is expected: something in between has spoken.
fn edge_page(evidence: &Evidence) -> Option<Finding> {
    let Body::Page { title, code, words: _ } = &evidence.body else { return None };
    let server = evidence.headers.server.as_deref().unwrap_or_default().to_ascii_lowercase();
    let edges = ["cloudflare", "awselb", "cloudfront", "akamai", "fastly"];
    let named = edges.iter().any(|it| server.contains(it)) || evidence.headers.edge_id.is_some();

    let (cause, retry) = match evidence.status {
        429 => (Cause::EdgeRateLimited, Retry::After(evidence.headers.retry_after.unwrap_or(60))),
        500.. => (Cause::EdgeError, Retry::After(10)),
        _ => (Cause::EdgeBlocked, Retry::AfterFix),
    };
    let mut facts = vec![format!("status {}, and a page where JSON is expected", evidence.status)];
    facts.extend(title.as_ref().map(|it| format!("the page's title: {it:?}")));
    facts.extend(code.as_ref().map(|it| format!("the page's error code: {it}")));
    facts.extend(evidence.headers.server.as_ref().map(|it| format!("the header `Server`: {it:?}")));
    facts.extend(
        evidence.headers.edge_id.as_ref().map(|it| format!("the edge's id of this request: {it}")),
    );
    let from = evidence.leaves_from();
    let from = from.map_or_else(|| "this machine's address".to_owned(), |it| it.to_string());
    Some(Finding {
        cause,
        decided_by: DecidedBy::Edge,
        confidence: if named { Confidence::Certain } else { Confidence::Likely },
        line: "a firewall or gateway in front of the exchange answered, not its API".to_owned(),
        evidence: facts,
        fix: vec![
            Fix::new(
                By::Operator,
                format!(
                    "open https://api.gemini.com/v1/symbols from {from}: the same page means the address is blocked"
                ),
            ),
            Fix::new(
                By::Operator,
                "leave from another address (`[upstreams.egress] bind`), or take the edge's id above to the exchange's support",
            ),
        ],
        resolution: "minutes to hours",
        retry,
    })
}

/// What no rule knows.
pub(super) fn unexplained(evidence: &Evidence) -> Finding {
    let mut facts = vec![format!("status {}", evidence.status)];
    facts.extend(evidence.reason().map(|it| format!("the reason given: {it:?}")));
    facts.extend(evidence.message().map(|it| format!("the message given: {it:?}")));
    match &evidence.body {
        Body::Empty => facts.push("the body is empty".to_owned()),
        Body::Text(text) => facts.push(format!("the body: {text:?}")),
        Body::Json(_) | Body::Page { .. } => {}
    }
    Finding {
        cause: Cause::Unexplained,
        decided_by: DecidedBy::Upstream,
        confidence: Confidence::Possible,
        line: format!("no rule explains a {} like this", evidence.status),
        evidence: facts,
        fix: vec![
            Fix::new(
                By::Operator,
                "see whether the same call works from the exchange's own command line with this key",
            ),
            Fix::new(By::Operator, "look at https://status.gemini.com"),
        ],
        resolution: "unknown",
        retry: Retry::AfterFix,
    }
}
