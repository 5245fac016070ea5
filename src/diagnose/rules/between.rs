//! The network between here and the edge: web filters, proxies that want a log-in, captive portals.
//!
//! Over TLS that is verified they are seen only where a `ca_file` or a `url` lets them in.

use super::edge::{reach, shown};
use super::page::{self, Kind};
use crate::diagnose::{By, Cause, Confidence, Evidence, Finding};

/// A company's web filter answered.
pub(super) fn filter(evidence: &Evidence) -> Option<Finding> {
    let Kind::Filter(name) = page::kind(evidence)? else { return None };
    let line = format!("a web filter ({name}) on the way answered, not the exchange");
    Some(
        Finding::of_edge(Cause::EdgeBlocked, line)
            .fact(format!("status {}, and a page of {name}", evidence.status))
            .facts(shown(evidence))
            .facts(reach(evidence))
            .fix(By::Network, "let this machine reach the exchange's host past the filter, without interception of TLS")
            .fix(By::Operator, "see where `url` leads, and whose authority `ca_file` trusts, if they are set")
            .takes("minutes to days, if it is a company's network"),
    )
}

/// Something on the way wants to know who asks. The exchange never asks so.
pub(super) fn login(evidence: &Evidence) -> Option<Finding> {
    let proxy = evidence.status == 407;
    let challenge = evidence.headers.challenge.as_deref();
    (proxy || page::kind(evidence)? == Kind::Login).then(|| {
        let line = if proxy {
            "a proxy on the way wants a log-in of its own"
        } else {
            "a gateway on the way wants a log-in of its own, in a way that the exchange never asks"
        };
        let told = challenge.map(|it| format!("it asks for: {it:?}"));
        Finding::of_edge(Cause::CaptivePortal, line)
            .with(if proxy { Confidence::Certain } else { Confidence::Likely })
            .fact(format!("status {}, which the exchange's API does not send so", evidence.status))
            .facts(told)
            .facts(shown(evidence))
            .facts(reach(evidence))
            .fix(By::Network, "let this machine reach the exchange without a log-in")
            .fix(By::Operator, "see where `url` leads, if it is set: geminid logs in to no proxy")
            .takes("minutes to days, if it is a company's network")
    })
}

/// A network that answers for everybody until somebody logs in.
pub(super) fn portal(evidence: &Evidence) -> Option<Finding> {
    (page::kind(evidence)? == Kind::Portal).then(|| {
        Finding::of_edge(
            Cause::CaptivePortal,
            "the network wants a log-in first, and answers for the exchange",
        )
        .with(Confidence::Likely)
        .fact(format!(
            "status {}, and a page that speaks of logging in to a network",
            evidence.status
        ))
        .facts(shown(evidence))
        .facts(reach(evidence))
        .fix(By::Network, "log in to the network with a browser on this machine")
        .fix(By::Operator, "or leave by another network: `[upstreams.egress] bind`")
        .takes("minutes")
    })
}
