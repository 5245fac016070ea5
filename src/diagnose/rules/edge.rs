//! Edges: what stands in front of the upstream, and speaks in its place.
//!
//! No public source shows a page of one in front of the exchange: how such pages look elsewhere is what
//! these rules know.

use super::page::{self, Kind};
use crate::diagnose::{
    Asked, Body, By, Cause, Confidence, Evidence, Finding, Retry, Said, StatusPage,
};

const SUPPORT: &str = "only the exchange can lift it: give its support the edge's id of this request, the time and the address";

pub(super) fn challenge(evidence: &Evidence) -> Option<Finding> {
    let told = evidence.headers.mitigated.is_some();
    let line = "the edge wants proof of a browser, which no program can give";
    (page::kind(evidence)? == Kind::Challenge).then(|| {
        Finding::of_edge(Cause::EdgeChallenge, line)
            .with(if told { Confidence::Certain } else { Confidence::Likely })
            .fact(seen(evidence))
            .facts(told.then(|| "the header `cf-mitigated` says: challenge".to_owned()))
            .facts(shown(evidence))
            .facts(reach(evidence))
            .fix(By::Operator, "call less often, and leave from an address of your own: shared ones of hosts and VPNs are challenged first")
            .fix(By::Exchange, SUPPORT)
            .takes("minutes to hours")
    })
}

pub(super) fn region(evidence: &Evidence) -> Option<Finding> {
    let from = evidence.address_words();
    let code = page::code(evidence) == Some("1009");
    let text = evidence.text();
    let words = text.contains("from your country") || text.contains("banned the country");
    let told = code || words && page::is_signed(evidence, &text);
    (page::kind(evidence)? == Kind::Region).then(|| {
        Finding::of_edge(Cause::EdgeRegion, format!("the edge refuses the region of {from}"))
            .with(if told { Confidence::Certain } else { Confidence::Likely })
            .fact(seen(evidence))
            .facts(shown(evidence))
            .facts(reach(evidence))
            .fix(By::Operator, "leave from where the account may be used: `[upstreams.egress] bind`, or a host there")
            .fix(By::AccountOwner, "see whether the exchange serves the place that requests leave from")
            .takes("as long as requests leave from there")
    })
}

pub(super) fn rate_limited(evidence: &Evidence) -> Option<Finding> {
    let wait = evidence.headers.retry_after.unwrap_or(60);
    let line = "the edge, not the exchange's API, limits the rate, usually of the whole address";
    (page::kind(evidence)? == Kind::RateLimit).then(|| {
        Finding::of_edge(Cause::EdgeRateLimited, line)
            .with(confidence(evidence))
            .fact(seen(evidence))
            .facts(shown(evidence))
            .fix(By::Bot, "ask less often")
            .fix(By::Operator, "look for other programs that leave from the same address")
            .takes("minutes")
            .retry(Retry::After(wait))
    })
}

pub(super) fn failed(evidence: &Evidence) -> Option<Finding> {
    let line = "the edge has no answer of the exchange: neither the key nor the call is at fault";
    (page::kind(evidence)? == Kind::Failure).then(|| {
        Finding::of_edge(Cause::EdgeError, line)
            .with(confidence(evidence))
            .fact(seen(evidence))
            .facts(shown(evidence))
            .facts(status_page(evidence))
            .facts(reach(evidence))
            .fix(By::Nobody, "wait; https://status.gemini.com says whether it is known")
            .takes("minutes to hours")
            .retry(Retry::After(evidence.headers.retry_after.unwrap_or(10)))
    })
}

/// A page for people where a program's answer is expected.
pub(super) fn blocked(evidence: &Evidence) -> Option<Finding> {
    if page::kind(evidence)? != Kind::Block {
        return None;
    }
    let public = evidence.probe.public.as_ref();
    let everything = public.is_some_and(|it| matches!(it, Asked::Rejected { .. }));
    let this_call = public.is_some_and(|it| matches!(it, Asked::Answered { .. }));
    let from = evidence.address_words();
    let line = if everything {
        format!("a firewall in front of the exchange refuses {from}, whatever is asked")
    } else {
        "a firewall or gateway in front of the exchange answered, not its API".to_owned()
    };
    let sure = if everything { Confidence::Certain } else { confidence(evidence) };
    let mut finding = Finding::of_edge(Cause::EdgeBlocked, line)
        .with(sure)
        .fact(seen(evidence))
        .facts(shown(evidence))
        .facts(code_words(evidence))
        .facts(reach(evidence));
    if public.is_none() {
        finding = finding.fix(
            By::Operator,
            format!(
                "open {} from {from}: the same page means that the address is blocked",
                evidence.public_page()
            ),
        );
    }
    if !this_call {
        finding =
            finding.fix(By::Operator, "leave from another address: `[upstreams.egress] bind`");
    }
    Some(finding.fix(By::Exchange, SUPPORT).takes("minutes to hours"))
}

/// A gateway that speaks JSON, in words that the exchange does not use.
pub(super) fn gateway(evidence: &Evidence) -> Option<Finding> {
    let Said { reason, message, error, code, google_status } = evidence.said()?;
    let plain = [reason, error, code, google_status].iter().all(|it| it.is_none());
    let message = message.as_deref().filter(|_| plain)?;
    // What AWS API Gateway and its firewall answer (docs.aws.amazon.com, gateway responses).
    let known =
        matches!(message, "Forbidden" | "Missing Authentication Token" | "Request blocked.")
            || message.starts_with("User is not authorized to access this resource");
    (known && matches!(evidence.status, 401 | 403)).then(|| {
        Finding::of_edge(
            Cause::EdgeBlocked,
            "a gateway in front of the exchange answered, not its API",
        )
        .with(Confidence::Likely)
        .fact(format!(
            "the message is {message:?}, as AWS gateways write it, and there is no reason"
        ))
        .facts(shown(evidence))
        .facts(reach(evidence))
        .fix(
            By::Operator,
            "see that `url` names the API and that the path is one of its own: `geminid catalog`",
        )
        .fix(By::Exchange, SUPPORT)
        .takes("minutes to hours")
    })
}

/// Named by its own mark, it is certainly the edge that spoke.
fn confidence(evidence: &Evidence) -> Confidence {
    if page::is_signed(evidence, &evidence.text()) {
        Confidence::Certain
    } else {
        Confidence::Likely
    }
}

fn seen(evidence: &Evidence) -> String {
    let what = match evidence.body {
        Body::Empty => "no body",
        Body::Page { .. } => "a page",
        Body::Json(_) | Body::Text(_) => "a text",
    };
    let edge = page::edge(evidence, &evidence.text());
    let by = edge.map_or_else(String::new, |it| format!(" of {it}"));
    format!("status {}, and {what}{by} where JSON is expected", evidence.status)
}

/// What of the answer tells whose it is.
pub(super) fn shown(evidence: &Evidence) -> Vec<String> {
    let headers = &evidence.headers;
    let mut facts = Vec::new();
    match &evidence.body {
        Body::Page { title, code, .. } => {
            facts.extend(title.as_ref().map(|it| format!("the page's title: {it:?}")));
            facts.extend(code.as_ref().map(|it| format!("the page's error code: {it}")));
        }
        Body::Text(text) => facts.push(format!("the text: {text:?}")),
        Body::Empty | Body::Json(_) => {}
    }
    facts.extend(headers.server.as_ref().map(|it| format!("the header `Server`: {it:?}")));
    facts.extend(headers.via.as_ref().map(|it| format!("the header `Via`: {it:?}")));
    facts.extend(headers.edge_id.as_ref().map(|it| format!("the edge's id of this request: {it}")));
    facts
}

/// What Cloudflare means by its number (developers.cloudflare.com, 1xxx errors).
fn code_words(evidence: &Evidence) -> Option<String> {
    let words = match page::code(evidence)? {
        "1005" => "the network that the address belongs to is banned",
        "1006" | "1007" | "1008" => "the address is banned",
        "1010" => "the way the client speaks is banned",
        "1012" => "the address showed what the edge takes for malware",
        "1020" => "a rule of the firewall refuses the request",
        _ => return None,
    };
    Some(format!("what that code says: {words}"))
}

/// What the same address may do otherwise.
pub(super) fn reach(evidence: &Evidence) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(evidence.probe.public.as_ref().map(|it| match it {
        Asked::Answered { .. } => {
            "asked just now: public data is answered from the same address".to_owned()
        }
        Asked::Rejected { status, .. } => {
            format!(
                "asked just now: public data is refused from the same address too, with {status}"
            )
        }
        Asked::Silent { why } => format!("asked just now: public data had no answer: {why}"),
    }));
    if let Some(Asked::Answered { .. }) = &evidence.probe.roles {
        facts
            .push("asked just now: a signed question is answered from the same address".to_owned());
    }
    facts
}

pub(super) fn status_page(evidence: &Evidence) -> Option<String> {
    let StatusPage { indicator, description } = evidence.status_page.as_ref()?;
    Some(format!("the exchange's status page says {indicator}: {description:?}"))
}
