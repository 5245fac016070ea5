//! A role that the key lacks.

use crate::diagnose::{Asked, By, Cause, Evidence, Finding, ago, quoted};

/// How long a list of roles may be that is repeated; there are four roles.
const MAX_ROLES: usize = 120;

pub(super) fn missing(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["MissingRole"])?;
    let (wanted, held) = lists(evidence.message().unwrap_or_default());
    let bounded = |it: Option<&str>| it.map(|it| quoted(it, MAX_ROLES));
    let (wanted, held) = (bounded(wanted), bounded(held));
    let (wanted, held) = (wanted.as_deref(), held.as_deref());
    let needed = wanted.map_or_else(|| needed(evidence), str::to_owned);
    let key = evidence.key_words();
    let (known, known_fact) = known_roles(evidence).unzip();
    let operation = evidence.operation_words();
    let enough = wanted.is_none().then(|| enough(evidence)).flatten();
    let line = match (held.or(known.as_deref()), &enough) {
        (Some(held), Some(Enough::Now)) => {
            format!(
                "{operation} wants a role that is not named: {key} has [{held}], which should do"
            )
        }
        (Some(held), Some(Enough::Once(when))) => {
            format!("{key} had roles [{held}] {when}, {operation} needs {needed}")
        }
        (Some(held), None) => format!("{key} has roles [{held}], {operation} needs {needed}"),
        (None, _) => format!("{operation} needs {needed}"),
    };
    let mut finding = Finding::of(Cause::KeyRoleMissing, line)
        .facts(
            wanted.is_none().then(|| "Gemini's reason: MissingRole, without the roles".to_owned()),
        )
        .facts(wanted.map(|it| format!("Gemini names the roles it wants: [{it}]")))
        .facts(held.map(|it| format!("{key} has: [{it}]")))
        .facts(known_fact.filter(|_| held.is_none()))
        .facts(removed(evidence, held))
        .facts(contradicted(wanted, held));
    if matches!(enough, Some(Enough::Now)) {
        let settings = evidence.key_settings();
        finding = finding
            .fix(
                By::AccountOwner,
                format!("{settings} → see which roles it has, and which it may have"),
            )
            .fix(By::Exchange, "ask the exchange's support which role this call wants");
        return Some(finding.takes("under an hour"));
    }
    for (by, text) in remedies(evidence, &needed) {
        finding = finding.fix(by, text);
    }
    Some(finding.takes("under an hour"))
}

/// By the catalogue the key has a role that will do, and the exchange says that one is missing.
enum Enough {
    /// It was asked right after: the exchange wants another than it documents.
    Now,
    /// It had, so long ago: the role may have been taken away since.
    Once(String),
}

fn enough(evidence: &Evidence) -> Option<Enough> {
    if let Some(Asked::Answered { roles }) = &evidence.probe.roles {
        return (evidence.lacks_role(roles) == Some(false)).then_some(Enough::Now);
    }
    let (roles, when) = evidence.key.as_ref()?.roles.as_ref()?;
    (evidence.lacks_role(roles) == Some(false)).then(|| Enough::Once(ago(*when)))
}

/// The roles that the catalogue names, any of which is enough.
pub(super) fn needed(evidence: &Evidence) -> String {
    let roles: Vec<&str> =
        evidence.roles_needed.iter().map(|it| it.trim_end_matches('?')).collect();
    if roles.is_empty() { "another role".to_owned() } else { roles.join(", ") }
}

/// The roles that the key is known to have, without and with how that is known.
pub(super) fn known_roles(evidence: &Evidence) -> Option<(String, String)> {
    let key = evidence.key_words();
    if let Some(Asked::Answered { roles }) = &evidence.probe.roles {
        let held = roles.join(", ");
        return Some((held.clone(), format!("asked just now, {key} has: [{held}]")));
    }
    let (roles, when) = evidence.key.as_ref()?.roles.as_ref()?;
    let held = roles.join(", ");
    Some((held.clone(), format!("{key} had, when last asked {}: [{held}]", ago(*when))))
}

pub(super) fn remedies(evidence: &Evidence, needed: &str) -> Vec<(By, String)> {
    let first = needed.split(',').next().unwrap_or_default().trim();
    let client = evidence.client.as_deref();
    let mut fixes = vec![(By::AccountOwner, format!("{} → add {first}", evidence.key_settings()))];
    fixes.extend(
        client.map(|client| {
            (By::Operator, format!("or point client `{client}` at a key that has it"))
        }),
    );
    fixes
}

/// A role that it had when it was last asked: somebody took it away.
fn removed(evidence: &Evidence, held: Option<&str>) -> Option<String> {
    let (before, when) = evidence.key.as_ref()?.roles.as_ref()?;
    let held: Vec<&str> = held?.split(',').map(str::trim).collect();
    let gone = |it: &&String| !held.iter().any(|role| role.eq_ignore_ascii_case(it));
    let gone: Vec<&str> = before.iter().filter(gone).map(String::as_str).collect();
    (!gone.is_empty()).then(|| {
        format!("it had {} {}: the role was taken away since", gone.join(", "), ago(*when))
    })
}

/// One role of both lists: the answer contradicts itself.
fn contradicted(wanted: Option<&str>, held: Option<&str>) -> Option<String> {
    let held: Vec<&str> = held?.split(',').map(str::trim).collect();
    let both = wanted?.split(',').map(str::trim).find(|it| !it.is_empty() && held.contains(it))?;
    Some(format!(
        "{both} is in both lists: a change of roles takes a while, and an account on hold may be answered so"
    ))
}

/// The roles wanted and the roles held. The text has both in brackets, in this order (seen); of a list that
/// stands alone the words before it tell which it is.
fn lists(text: &str) -> (Option<&str>, Option<&str>) {
    let mut lists = text.match_indices('[').filter_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let (inner, _) = rest.strip_prefix('[')?.split_once(']')?;
        Some((before.trim_end().ends_with("has roles"), inner))
    });
    match (lists.next(), lists.next()) {
        (Some((true, held)), None) => (None, Some(held)),
        (first, second) => (first.map(|it| it.1), second.map(|it| it.1)),
    }
}
