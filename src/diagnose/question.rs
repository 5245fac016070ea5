//! Which one more question could settle a rejection.
//!
//! 1. Nothing is asked that is known, and nothing that would teach nothing.
//! 2. Without a key nothing is asked about keys.
//! 3. Who sees to it asks at most what its own limits allow: this is only the order.

use super::evidence::{Evidence, SecretFile};
use super::{Cause, Confidence, Diagnosis};
use crate::call::words;

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

/// What is worth asking after a rejection, the most telling first. Empty if nothing would be told that is
/// not known.
pub(crate) fn open_questions(evidence: &Evidence, diagnosis: &Diagnosis) -> Vec<Question> {
    let finding = &diagnosis.finding;
    let certain = finding.confidence == Confidence::Certain;
    let wanted = wanted(evidence, finding.cause, certain);
    wanted.iter().copied().filter(|it| is_open(evidence, *it)).collect()
}

fn wanted(evidence: &Evidence, cause: Cause, certain: bool) -> &'static [Question] {
    use Question::{Address, Public, Roles, Secret, StatusPage};
    let about_credential = matches!(cause, Cause::KeyUnknown | Cause::SignatureWrong);
    let by_address = matches!(cause, Cause::EdgeBlocked | Cause::EdgeRegion | Cause::EdgeChallenge);
    let by_platform = matches!(cause, Cause::EdgeError | Cause::Maintenance);
    if about_credential {
        return &[Secret];
    }
    if cause == Cause::KeyIpNotTrusted {
        // That the key is refused is certain; which address is seen tells what to put on the list.
        return &[Address];
    }
    if cause == Cause::KeyRoleMissing {
        let told = evidence.message().is_some_and(|it| it.contains('['));
        return if told { &[] } else { &[Roles] };
    }
    if by_platform {
        return if certain { &[StatusPage] } else { &[StatusPage, Public] };
    }
    if by_address {
        // Whether everything from here is refused, or this call alone.
        return if certain { &[Public] } else { &[Public, Roles, Address] };
    }
    if cause == Cause::Unexplained {
        let broken = evidence.status >= 500;
        return if broken { &[StatusPage, Public, Roles] } else { &[Roles, Public, StatusPage] };
    }
    if certain { &[] } else { unsure(cause) }
}

/// Of what is not certain, and neither an edge's nor unexplained.
fn unsure(cause: Cause) -> &'static [Question] {
    let about_access = matches!(
        cause,
        Cause::KeyKindWrong
            | Cause::AccountRestricted
            | Cause::AccountClosed
            | Cause::RegionRestricted
            | Cause::HeadersMissing
    );
    let between = matches!(cause, Cause::CaptivePortal | Cause::WrongGemini);
    if about_access {
        &[Question::Roles]
    } else if between {
        &[Question::Public]
    } else {
        &[]
    }
}

fn is_open(evidence: &Evidence, question: Question) -> bool {
    let signed = evidence.key.is_some();
    match question {
        Question::Roles => signed && evidence.probe.roles.is_none(),
        Question::Public => evidence.probe.public.is_none(),
        Question::Secret => {
            evidence.key.as_ref().is_some_and(|it| it.secret == SecretFile::NotAsked)
        }
        Question::StatusPage => evidence.status_page.is_none(),
        Question::Address => evidence.egress.seen.is_none(),
    }
}
