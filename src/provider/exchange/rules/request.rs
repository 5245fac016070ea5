//! A signed request that did not arrive as it was sent, and one parameter that sounds like it.

use crate::diagnose::{By, Cause, Evidence, Finding};

const NETWORK: &str = "look for a proxy or gateway between this machine and the exchange that rewrites requests, and have it let them pass";

pub(super) fn headers_missing(evidence: &Evidence) -> Option<Finding> {
    let reason = evidence.word(&[
        "MissingSecurityHeaders",
        "MissingApikeyHeader",
        "MissingPayloadHeader",
        "MissingSignatureHeader",
    ])?;
    if evidence.key.is_none() {
        // It went unsigned, as public data does.
        return Some(
            Finding::of(
                Cause::HeadersMissing,
                "this endpoint wants a signed call, and the call went unsigned",
            )
            .fact(format!("Gemini's reason: {reason}"))
            .fix(By::Bot, "send the client's credential, and the call is signed")
            .fix(By::Operator, "name an endpoint that the catalogue lacks under `[[operations]]`")
            .takes("a change in the bot"),
        );
    }
    Some(
        altered("something between here and the exchange removed headers")
            .fact(format!("Gemini's reason: {reason}"))
            .fact("the proxy sends all three with every signed call")
            .fix(By::Network, NETWORK),
    )
}

pub(super) fn payload_cut(evidence: &Evidence) -> Option<Finding> {
    let reason = evidence.word(&["MissingNonce", "MissingPayloadKey"])?;
    Some(
        altered("something between here and the exchange changed the signed payload")
            .fact(format!("Gemini's reason: {reason}"))
            .fact("the proxy puts `request` and `nonce` into every payload")
            .fix(By::Network, NETWORK),
    )
}

pub(super) fn two_credentials(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["AmbiguousAuthentication"])?;
    Some(
        altered("something between here and the exchange added a second credential")
            .fact("Gemini's reason: AmbiguousAuthentication, which it gives for a key and a token at once")
            .fact("the proxy sends no `Authorization`")
            .fix(By::Network, "look for a proxy that adds `Authorization` to what passes it"),
    )
}

pub(super) fn no_tls(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["NoSSL"])?;
    Some(
        altered("something between here and the exchange took the encryption off")
            .fact("Gemini's reason: NoSSL, which it gives for plain HTTP")
            .fix(By::Operator, "see that `url` leads to the exchange, and not to a gateway that speaks plain HTTP to it")
            .fix(By::Network, NETWORK),
    )
}

pub(super) fn path_changed(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["EndpointMismatch"])?;
    let line = "the path that arrived is not the path that was signed";
    Some(
        Finding::of(Cause::PayloadPathMismatch, line)
            .fact("Gemini's reason: EndpointMismatch")
            .fact("the proxy signs the path that it calls: it was changed on the way")
            .fix(By::Operator, "see that `url` names the API itself, and no gateway that puts a prefix before paths")
            .fix(By::Network, NETWORK)
            .takes("minutes"),
    )
}

/// Not the nonce: a parameter of the client's own.
pub(super) fn timestamp(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["InvalidTimestampInPayload"])?;
    Some(
        Finding::of(Cause::RequestMalformed, "the exchange does not take the call's `timestamp`")
            .fact("Gemini's reason: InvalidTimestampInPayload, which is about a parameter and not the nonce")
            .fix(By::Bot, "send `timestamp` as the exchange documents it for this endpoint")
            .takes("a change in the bot"),
    )
}

fn altered(line: &str) -> Finding {
    Finding::of(Cause::HeadersMissing, line).takes("minutes to days, if it is a company's network")
}
