//! The address that a call left from, and who does not trust it.

use core::net::IpAddr;

use crate::diagnose::{Asked, By, Cause, ChangeKind, Evidence, Finding, Lately, ago, is_inside};

pub(super) fn not_trusted(evidence: &Evidence) -> Option<Finding> {
    let reason = evidence.word(&["ApiKeyIpFilteringFailure", "RemoteAddressForbidden"])?;
    let (which, place) = if reason == "RemoteAddressForbidden" {
        let place = "the settings of the account's group → addresses".to_owned();
        ("the list of addresses of the account's group", place)
    } else {
        let place = format!("{} → ⋯ → Edit → Trusted IPs", evidence.key_settings());
        ("the key's own list of trusted IPs", place)
    };
    let from = evidence.address_words();
    let key = evidence.key_words();
    let mut line = format!("{key} does not trust {from}: it is not on {which}");
    if let Some(worked) = evidence.past.key.worked.filter(|_| unchanged_here(evidence)) {
        let what = "the address or the list changed";
        line.push_str(&format!("; it worked until {}, so {what}", ago(worked)));
    }
    Some(
        Finding::of(Cause::KeyIpNotTrusted, line)
            .fact(format!("Gemini's reason: {reason}, which is about {which}"))
            .facts(addresses(evidence))
            .facts(reach(evidence))
            .fix(By::AccountOwner, format!("{place} → add {from}"))
            .fix(By::Operator, elsewhere(evidence))
            .takes("minutes to hours"),
    )
}

fn elsewhere(evidence: &Evidence) -> String {
    let expected = &evidence.egress.expected;
    if expected.is_empty() {
        return "or leave from an address that is listed: `[upstreams.egress] bind`".to_owned();
    }
    let list = words(expected);
    format!("or leave from an address that is expected ({list}): `[upstreams.egress] bind`")
}

/// What is known of where requests leave from.
fn addresses(evidence: &Evidence) -> Vec<String> {
    let egress = &evidence.egress;
    let mut facts = Vec::new();
    match (egress.seen, egress.local) {
        (Some(seen), Some(local)) if seen != local => facts.push(format!(
            "requests leave this machine from {local}, and an outside service sees {seen}"
        )),
        (Some(seen), _) => facts.push(format!("an outside service sees requests come from {seen}")),
        (None, Some(local)) if is_inside(local) => facts.push(format!(
            "requests leave this machine from {local}, which is private: a router puts another address in its place"
        )),
        (None, Some(local)) => facts.push(format!("requests leave from: {local}")),
        (None, None) => facts.push("the address that requests leave from is not known here".to_owned()),
    }
    if egress.expected.is_empty() {
        return facts;
    }
    let list = words(&egress.expected);
    let outside = evidence.leaves_from().filter(|it| !is_inside(*it));
    facts.push(match outside.map(|it| (it, egress.expected.contains(&it))) {
        Some((it, true)) => {
            format!("{it} is among the addresses that `expect` names: the key's list lacks it")
        }
        Some((it, false)) => format!("{it} is not among the addresses that `expect` names: {list}"),
        None => format!("the addresses that `expect` names: {list}"),
    });
    facts
}

/// What tells the address from the key.
fn reach(evidence: &Evidence) -> Vec<String> {
    let mut facts = Vec::new();
    let works = |(_, lately): &&(String, Lately)| lately.worked.is_some() && lately.n_refused == 0;
    facts.extend(evidence.past.others.iter().find(works).map(|(name, _)| {
        format!("the key `{name}` works from the same address: it is this key's list")
    }));
    if let Some(Asked::Answered { .. }) = &evidence.probe.public {
        facts.push("asked just now: public data is answered from the same address".to_owned());
    }
    facts
}

/// Whether nothing was done here that could have changed the address.
fn unchanged_here(evidence: &Evidence) -> bool {
    let of_address = |what| matches!(what, ChangeKind::Egress | ChangeKind::Start);
    let worked = evidence.past.key.worked.unwrap_or_default();
    !evidence.changes.iter().any(|it| of_address(it.what) && it.ago <= worked)
}

fn words(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
