//! Explains a refusal: evidence in, a diagnosis out. Pure functions in a table.
//!
//! 1. A rule sees the evidence, and names a finding or stays silent.
//! 2. Rules stand surest first; the first finding is the diagnosis, the others its alternatives.
//! 3. `certain` only where the upstream's own words prove it.
//! 4. Something is always found: what no rule knows is `unexplained`.

mod cause;
mod evidence;
mod read;
mod report;
mod rules;
mod splice;

pub(crate) use self::cause::Cause;
pub(crate) use self::evidence::{
    Asked, Body, Change, ChangeKind, EgressEvidence, Evidence, Headers, KeyEvidence, Lately,
    NonceEvidence, Past, Probe, Said, SecretFile, StatusPage,
};
pub(crate) use self::read::{quoted, read_body};
pub(crate) use self::report::{Context, Report, proxy_status};
pub(crate) use self::splice::annotate;

use crate::call::words;

words! {
    /// Who said no.
    DecidedBy {
        Proxy = "proxy",
        Upstream = "upstream",
        Edge = "edge",
    }
}

words! {
    Confidence {
        Certain = "certain",
        Likely = "likely",
        Possible = "possible",
    }
}

/// What a program may do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Retry {
    Now,
    /// In so many seconds.
    After(u64),
    AfterFix,
    /// The outcome is unknown: look before repeating.
    LookFirst,
    Never,
}

impl std::fmt::Display for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::After(seconds) => write!(f, "after_{seconds}s"),
            Self::AfterFix => f.write_str("after_fix"),
            Self::LookFirst => f.write_str("look_first"),
            Self::Never => f.write_str("never"),
        }
    }
}

words! {
    /// Who can apply a fix.
    By {
        /// Whoever wrote or set up the bot.
        Bot = "bot",
        /// Whoever runs geminid.
        Operator = "operator",
        /// Whoever may log in to the account at the exchange.
        AccountOwner = "account-owner",
        Exchange = "exchange",
        /// Whoever runs the network between.
        Network = "network",
        /// Time.
        Nobody = "nobody",
    }
}

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fix {
    pub(crate) by: By,
    pub(crate) text: String,
}

impl Fix {
    pub(crate) fn new(by: By, text: impl Into<String>) -> Self {
        Self { by, text: text.into() }
    }
}

/// One explanation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) cause: Cause,
    pub(crate) decided_by: DecidedBy,
    pub(crate) confidence: Confidence,
    /// What is added to the message: one line.
    pub(crate) line: String,
    pub(crate) evidence: Vec<String>,
    /// What to do, in order.
    pub(crate) fix: Vec<Fix>,
    /// How long it usually takes.
    pub(crate) resolution: &'static str,
    pub(crate) retry: Retry,
}

words! {
    /// What one more question could settle.
    Question {
        /// `/v1/roles` with the same key.
        Roles = "roles",
        /// Public data from the same address.
        Public = "public",
        /// Whether the key's secret file holds what was signed with.
        Secret = "secret",
        /// The exchange's page of incidents.
        StatusPage = "status-page",
        /// An outside service that tells which address it sees.
        Address = "address",
    }
}

pub(crate) type Rule = fn(&Evidence) -> Option<Finding>;

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
    let rules = provider.iter().chain(rules::ANY_UPSTREAM);
    let mut findings: Vec<Finding> = rules.filter_map(|rule| rule(evidence)).collect();
    if findings.is_empty() {
        return rules::unexplained(evidence).into();
    }
    // Stable: among equals the table's order stands.
    findings.sort_by_key(|it| it.confidence);
    let finding = findings.remove(0);
    Diagnosis { finding, alternatives: findings }
}

/// What is worth asking after a rejection whose cause is open, the most telling first. Empty if nothing
/// would be told that is not known.
pub(crate) fn open_questions(_evidence: &Evidence, _diagnosis: &Diagnosis) -> Vec<Question> {
    Vec::new()
}
