//! What no rule knows, with what it is not.

use super::edge::{reach, status_page};
use crate::diagnose::history::ago;
use crate::diagnose::{
    Asked, Body, By, Cause, Confidence, Evidence, Finding, KeyEvidence, Lately, Retry, Said,
};

pub(in crate::diagnose) fn unexplained(evidence: &Evidence) -> Finding {
    let broken = evidence.status >= 500;
    let retry = if broken {
        Retry::After(evidence.headers.retry_after.unwrap_or(10))
    } else {
        Retry::AfterFix
    };
    let finding = Finding::of(
        Cause::Unexplained,
        format!("no rule explains a {} like this", evidence.status),
    )
    .with(Confidence::Possible)
    .fact(format!("status {}", evidence.status))
    .facts(said(evidence))
    .facts(reach(evidence))
    .facts(status_page(evidence))
    .facts(ruled_out(evidence))
    .retry(retry);
    if broken {
        return finding
            .fix(By::Nobody, "wait and repeat; https://status.gemini.com says whether it is known")
            .fix(
                By::Exchange,
                "if it stays: give the exchange's support the time and this answer",
            );
    }
    // Deliberately not "try it with another program": its nonces may close the key to ours for good.
    finding
        .fix(
            By::Operator,
            "see whether other calls work with this key, and this call with another key",
        )
        .fix(By::Operator, "look at https://status.gemini.com")
        .fix(By::Exchange, "if it stays: give the exchange's support the time and this answer")
}

fn said(evidence: &Evidence) -> Vec<String> {
    let mut facts = Vec::new();
    match &evidence.body {
        Body::Empty => facts.push("the body is empty".to_owned()),
        Body::Text(text) => facts.push(format!("the body: {text:?}")),
        Body::Json(Said { reason, message, error, code, google_status: _ }) => {
            let members =
                [("reason", reason), ("message", message), ("error", error), ("code", code)];
            let given = |(name, it): (&str, &Option<String>)| {
                it.as_ref().map(|it| format!("the {name} given: {it:?}"))
            };
            facts.extend(members.into_iter().filter_map(given));
        }
        Body::Page { .. } => {}
    }
    facts
}

/// Causes that answers to questions and the past exclude.
fn ruled_out(evidence: &Evidence) -> Vec<String> {
    let mut facts = Vec::new();
    let key = evidence.key_words();
    match &evidence.probe.roles {
        Some(Asked::Answered { roles }) => {
            facts.push(format!(
                "ruled out: that {key}, its secret or its addresses are refused: it was answered just now"
            ));
            if evidence.lacks_role(roles) == Some(false) {
                let held = roles.join(", ");
                facts.push(format!("ruled out: a missing role: {key} has [{held}]"));
            }
        }
        Some(Asked::Rejected { status, reason }) => {
            let reason = reason.as_deref().unwrap_or("no reason");
            facts.push(format!(
                "asked for its roles just now, {key} was refused too: {status}, {reason}"
            ));
        }
        Some(Asked::Silent { why }) => {
            facts
                .push(format!("asked for the roles of {key} just now, there was no answer: {why}"));
        }
        None => {}
    }
    if let Some(Asked::Answered { .. }) = &evidence.probe.public {
        facts.push("ruled out: that the address is blocked altogether".to_owned());
    }
    let KeyEvidence { roles, .. } = evidence.key.clone().unwrap_or_default();
    if let Some((roles, when)) = roles.filter(|_| evidence.probe.roles.is_none())
        && evidence.lacks_role(&roles) == Some(false)
    {
        let (held, when) = (roles.join(", "), ago(when));
        facts.push(format!("a missing role is not likely: {key} had [{held}] {when}"));
    }
    facts.extend(others(evidence));
    facts
}

/// What other keys of the same upstream may do.
fn others(evidence: &Evidence) -> Option<String> {
    let works = |(name, lately): &(String, Lately)| {
        let worked = lately.worked.filter(|_| lately.n_refused == 0)?;
        Some(format!("the key `{name}` works: it was last answered {}", ago(worked)))
    };
    evidence.past.others.iter().find_map(works)
}
