//! What the past adds to a finding: when it last worked, and what changed here between that and the first
//! of the present row of rejections.
//!
//! 1. Only what worked before can have been broken by a change: a key that never worked gets no history.
//! 2. A change counts when it lies between the last success and the first rejection since.
//! 3. "Nothing was changed here" is said only of the minutes that changes are kept for.

use std::time::Duration;

use super::evidence::{Change, ChangeKind, Evidence, Lately};
use super::{By, Cause, Finding, Fix};

/// For how long changes are certainly kept.
const KEPT: Duration = Duration::from_secs(600);

/// The finding with what the past tells of it.
pub(super) fn told(evidence: &Evidence, mut finding: Finding) -> Finding {
    let Some((what, lately)) = row(evidence, finding.cause) else { return finding };
    let Some(worked) = lately.worked else { return finding };
    let mut fact = format!("{what} last worked {}", ago(worked));
    if let Some((_, first)) = lately.refused.filter(|_| lately.n_refused > 0) {
        let n = lately.n_refused;
        fact.push_str(&match n {
            1 => format!(", and was refused since, {}", ago(first)),
            _ => format!(", and was refused {n} times since, first {}", ago(first)),
        });
    }
    finding.evidence.push(fact);
    let between = broken_by(evidence, lately);
    if between.is_empty() {
        if worked <= KEPT {
            finding.evidence.push("nothing was changed here since then".to_owned());
        }
        return finding;
    }
    for change in &between {
        let (words, ago) = (change.what.words(), ago(change.ago));
        finding
            .evidence
            .push(format!("{words} {ago}, and {what} worked before that: {}", change.detail));
    }
    let latest = between.first().copied();
    let fixes = latest.map(|it| Fix::new(By::Operator, it.what.undo()));
    // First where such a change makes such a rejection; else it is one suspect of several.
    let first = latest.is_some_and(|it| it.what.explains(finding.cause));
    let at = if first { 0 } else { finding.fix.len() };
    finding.fix.splice(at..at, fixes);
    finding
}

/// The changes since it last worked and before it was first refused, the latest first.
fn broken_by(evidence: &Evidence, lately: Lately) -> Vec<&Change> {
    let began = lately.refused.filter(|_| lately.n_refused > 0).map(|(_, first)| first);
    let began = began.unwrap_or_default();
    let worked = lately.worked.unwrap_or_default();
    evidence.changes.iter().filter(|it| began <= it.ago && it.ago <= worked).collect()
}

/// The row of calls that a cause is about.
fn row(evidence: &Evidence, cause: Cause) -> Option<(String, Lately)> {
    let past = &evidence.past;
    let key = || Some((evidence.key_words(), past.key));
    let operation = || {
        let with = evidence.key_words();
        Some((format!("`{}` with {with}", evidence.operation_words()), past.operation))
    };
    let address = || Some(("the exchange, called from here,".to_owned(), past.address));
    let about_key = matches!(
        cause,
        Cause::KeyUnknown
            | Cause::SignatureWrong
            | Cause::KeyIpNotTrusted
            | Cause::AccountRestricted
            | Cause::AccountClosed
    );
    let about_operation = matches!(
        cause,
        Cause::KeyRoleMissing
            | Cause::KeyKindWrong
            | Cause::AccountMissing
            | Cause::AccountOnAccountKey
            | Cause::AccountTypeWrong
            | Cause::TermsNotAccepted
            | Cause::RegionRestricted
            | Cause::PayloadPathMismatch
            | Cause::HeadersMissing
            | Cause::Unexplained
    );
    let about_address = matches!(
        cause,
        Cause::EdgeBlocked
            | Cause::EdgeRegion
            | Cause::EdgeChallenge
            | Cause::CaptivePortal
            | Cause::WrongGemini
    );
    if about_key {
        key()
    } else if about_operation {
        operation()
    } else if about_address {
        address()
    } else {
        None
    }
}

impl ChangeKind {
    const fn words(self) -> &'static str {
        match self {
            Self::Start => "geminid was started",
            Self::Reload => "the configuration was reloaded",
            Self::Secret => "the key's secret was taken up anew",
            Self::Egress => "the address that requests leave from changed",
        }
    }

    const fn undo(self) -> &'static str {
        match self {
            Self::Start => "see what was changed before geminid was started, and undo it",
            Self::Reload => {
                "undo what was changed in the configuration, and reload: it worked before that"
            }
            Self::Secret => "put the former secret back, or see that the new one is of this key",
            Self::Egress => "go back to the address that worked: `[upstreams.egress] bind`",
        }
    }

    const fn explains(self, cause: Cause) -> bool {
        match self {
            Self::Start | Self::Reload => matches!(
                cause,
                Cause::KeyUnknown
                    | Cause::SignatureWrong
                    | Cause::KeyRoleMissing
                    | Cause::KeyKindWrong
                    | Cause::AccountMissing
            ),
            Self::Secret => matches!(cause, Cause::KeyUnknown | Cause::SignatureWrong),
            Self::Egress => matches!(
                cause,
                Cause::KeyIpNotTrusted
                    | Cause::EdgeBlocked
                    | Cause::EdgeRegion
                    | Cause::EdgeChallenge
                    | Cause::RegionRestricted
                    | Cause::CaptivePortal
            ),
        }
    }
}

/// A time that has passed, as a person says it.
pub(crate) fn ago(it: Duration) -> String {
    let seconds = it.as_secs();
    match seconds {
        0 => "less than 1 s ago".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_unit_that_fits() {
        let said = |it| ago(Duration::from_secs(it));
        assert_eq!(
            [said(0), said(119), said(120)],
            ["less than 1 s ago", "119 s ago", "2 min ago"]
        );
        assert_eq!([said(7_199), said(7_200)], ["119 min ago", "2 h ago"]);
    }
}
