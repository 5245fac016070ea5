//! Explains a refusal: evidence in, a diagnosis out. Pure functions in a table.
//!
//! 1. A rule sees the evidence, and names a finding or stays silent.
//! 2. Rules stand surest first; the surest finding is the diagnosis, the others its alternatives, and
//!    each cause is named once.
//! 3. `certain` only where the upstream's own words or the answer to a question prove it.
//! 4. Something is always found: what no rule knows is `unexplained`, with what was ruled out.

mod cause;
mod evidence;
mod finding;
mod history;
mod question;
mod read;
mod report;
mod rules;
mod splice;

pub(crate) use self::cause::Cause;
pub(crate) use self::evidence::{
    Asked, Body, Change, ChangeKind, EgressEvidence, Evidence, Headers, KeyEvidence, Lately,
    NonceEvidence, Past, Probe, Said, SecretFile, StatusPage, UNKNOWN, is_inside,
};
pub(crate) use self::finding::{By, Confidence, DecidedBy, Finding, Fix, Retry};
pub(crate) use self::history::ago;
pub(crate) use self::question::{Question, open_questions};
pub(crate) use self::read::{quoted, read_body};
pub(crate) use self::report::{Context, Report, proxy_status};
pub(crate) use self::splice::annotate;

/// Other causes that are worth a look.
const MAX_ALTERNATIVES: usize = 4;

/// One line of a table of rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    #[cfg(test)]
    pub(crate) name: &'static str,
    pub(crate) judge: fn(&Evidence) -> Option<Finding>,
}

/// A table of rules, from the names of their functions.
macro_rules! rule_table {
    ($($($path:ident)::+,)*) => {
        &[$($crate::diagnose::Rule {
            #[cfg(test)]
            name: stringify!($($path)::+),
            judge: $($path)::+,
        },)*]
    };
}
pub(crate) use rule_table;

/// The findings about a rejection, surest first; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    pub(crate) finding: Finding,
    pub(crate) alternatives: Vec<Finding>,
}

impl From<Finding> for Diagnosis {
    fn from(finding: Finding) -> Self {
        Self { finding, alternatives: Vec::new() }
    }
}

/// Explains a rejection by the provider's rules, then by those true of any upstream.
pub(crate) fn diagnose(evidence: &Evidence, provider: &[Rule]) -> Diagnosis {
    let table = provider.iter().chain(rules::ANY_UPSTREAM);
    let found = table.filter_map(|rule| (rule.judge)(evidence));
    let mut findings: Vec<Finding> = found.map(|it| tempered(evidence, it)).collect();
    // Stable: among equals the table's order stands.
    findings.sort_by_key(|it| it.confidence);
    let mut named: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        if named.iter().all(|it| it.cause != finding.cause) {
            named.push(finding);
        }
    }
    let mut named = named.into_iter();
    let finding = named.next().unwrap_or_else(|| rules::unexplained(evidence));
    let finding = history::told(evidence, finding);
    Diagnosis { finding, alternatives: named.take(MAX_ALTERNATIVES).collect() }
}

/// A word of refusal beside a status that says something else proves less.
fn tempered(evidence: &Evidence, finding: Finding) -> Finding {
    let status = evidence.status;
    let fits = matches!(
        finding.cause,
        Cause::Maintenance | Cause::RateLimited | Cause::WrongGemini | Cause::EdgeError
    );
    let by_upstream = finding.decided_by == DecidedBy::Upstream;
    let odd = (status == 429 || status >= 500) && by_upstream && !fits;
    if !odd || finding.confidence != Confidence::Certain {
        return finding;
    }
    let fact = format!("status {status} does not go with that word");
    finding.with(Confidence::Likely).fact(fact)
}

/// The rules that are true of any upstream.
#[cfg(test)]
pub(crate) fn any_upstream() -> &'static [Rule] {
    rules::ANY_UPSTREAM
}
