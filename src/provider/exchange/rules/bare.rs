//! Rejections without a word: the exchange's own (its TypeScript SDK takes a bare 403 for a missing role),
//! or an edge's.

use std::time::Duration;

use super::{address, key, role};
use crate::diagnose::{Asked, Body, By, Cause, Confidence, Evidence, Finding, Probe, Said};

/// A question with the same key, asked right after, was refused with a reason: it is this call's too.
pub(super) fn told_by_the_question(evidence: &Evidence) -> Option<Finding> {
    let wordless = matches!(evidence.body, Body::Empty | Body::Page { .. } | Body::Text(_));
    let Some(Asked::Rejected { status, reason: Some(reason) }) = &evidence.probe.roles else {
        return None;
    };
    if !wordless || !matches!(evidence.status, 401 | 403) {
        return None;
    }
    let said = Said { reason: Some(reason.clone()), ..Said::default() };
    let asked = Evidence {
        status: *status,
        body: Body::Json(said),
        probe: Probe::default(),
        ..evidence.clone()
    };
    let rules = [address::not_trusted, key::unknown, key::signature_wrong];
    let finding = rules.iter().find_map(|rule| rule(&asked))?;
    Some(finding.fact(format!(
        "the call itself was refused without a reason; asked for its roles just now, the key was refused with {status} {reason}"
    )))
}

pub(super) fn by_address(evidence: &Evidence) -> Option<Finding> {
    if !is_bare(evidence) {
        return None;
    }
    let public = evidence.probe.public.as_ref();
    let refused = public.is_some_and(|it| matches!(it, Asked::Rejected { .. }));
    let answered = public.is_some_and(|it| matches!(it, Asked::Answered { .. }));
    let from = evidence.address_words();
    let line = if refused {
        format!("{from} is refused by something in front of the exchange, whatever is asked")
    } else {
        "an empty 403 is more like a firewall's than the exchange's".to_owned()
    };
    let asked = match public {
        Some(Asked::Answered { .. }) => {
            Some("public data is answered from the same address".to_owned())
        }
        Some(Asked::Rejected { status, .. }) => {
            Some(format!("public data is refused from the same address too, with {status}"))
        }
        Some(Asked::Silent { why }) => Some(format!("public data had no answer: {why}")),
        None => None,
    };
    let finding = Finding::of_edge(Cause::EdgeBlocked, line)
        .with(if refused { Confidence::Certain } else { Confidence::Possible })
        .fact("status 403 and no body; the exchange's own refusals carry JSON")
        .facts(evidence.headers.server.as_ref().map(|it| format!("the header `Server`: {it:?}")))
        .facts(asked.map(|it| format!("asked just now: {it}")))
        .facts(has_role(evidence))
        .takes("minutes to hours");
    if refused {
        return Some(
            finding.fix(By::Operator, "leave from another address: `[upstreams.egress] bind`"),
        );
    }
    let finding = if answered {
        finding.fix(
            By::Exchange,
            "give the exchange's support the time and the address: it is this call that is refused",
        )
    } else {
        finding.fix(
            By::Operator,
            "ask for public data from the same address: if that is refused too, it is the address",
        )
    };
    Some(finding.fix(
        By::AccountOwner,
        format!("{} → see that it has the role the call needs", evidence.key_settings()),
    ))
}

/// Silent where the key is known to have the role.
pub(super) fn by_role(evidence: &Evidence) -> Option<Finding> {
    let takes_some = evidence.roles_needed.iter().any(|it| it != "any");
    if !is_bare(evidence) || evidence.key.is_none() || !takes_some {
        return None;
    }
    let asked = match &evidence.probe.roles {
        Some(Asked::Answered { roles }) => evidence.lacks_role(roles),
        Some(Asked::Rejected { .. } | Asked::Silent { .. }) | None => None,
    };
    let known = evidence.key.as_ref().and_then(|it| it.roles.as_ref());
    let known = known.and_then(|(roles, _)| evidence.lacks_role(roles));
    let others_work = works_otherwise(evidence);
    let confidence = match (asked, known) {
        (Some(true), _) => Confidence::Certain,
        (Some(false), _) | (None, Some(false)) => return None,
        (None, Some(true)) => Confidence::Likely,
        (None, None) if others_work => Confidence::Likely,
        (None, None) => Confidence::Possible,
    };
    let needed = role::needed(evidence);
    let (held, fact) = role::known_roles(evidence).unzip();
    let key = evidence.key_words();
    let has = held.map_or_else(String::new, |it| format!("{key} has roles [{it}], "));
    let operation = evidence.operation_words();
    let mut finding =
        Finding::of(Cause::KeyRoleMissing, format!("{has}{operation} needs {needed}"))
            .with(confidence)
            .fact(
                "status 403 and no body; the exchange's own library takes that for a missing role",
            )
            .facts(fact)
            .facts(
                others_work.then(|| format!("other calls with {key} work from the same address")),
            )
            .takes("under an hour");
    for (by, text) in role::remedies(evidence, &needed) {
        finding = finding.fix(by, text);
    }
    Some(finding)
}

fn is_bare(evidence: &Evidence) -> bool {
    let mitigated = evidence.headers.mitigated.is_some() || evidence.headers.challenge.is_some();
    evidence.status == 403 && evidence.body == Body::Empty && !mitigated
}

/// Other calls with the key were answered in the last minutes, and this one never.
fn works_otherwise(evidence: &Evidence) -> bool {
    let lately = |it: Duration| it <= Duration::from_secs(600);
    evidence.past.key.worked.is_some_and(lately) && evidence.past.operation.worked.is_none()
}

fn has_role(evidence: &Evidence) -> Option<String> {
    let Some(Asked::Answered { roles }) = &evidence.probe.roles else { return None };
    let has = evidence.lacks_role(roles) == Some(false);
    has.then(|| {
        format!("ruled out: a missing role: asked just now, the key has [{}]", roles.join(", "))
    })
}
