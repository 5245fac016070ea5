//! The key itself: unknown, disabled, of the wrong kind; and its secret.

use crate::diagnose::{
    Asked, Body, By, Cause, Confidence, Evidence, Finding, KeyEvidence, Lately, Retry, SecretFile,
};

/// 403 as documented, 400 as two programs recorded it in 2026.
pub(super) fn unknown(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["InvalidApiKey"])?;
    let key = evidence.key_words();
    let line = if evidence.past.key.worked.is_some() {
        format!(
            "{key} was known to the exchange, and is not any more: deleted, disabled or expired"
        )
    } else {
        format!("{key} is not known to the exchange, or is disabled")
    };
    let finding = Finding::of(Cause::KeyUnknown, line)
        .fact("Gemini's reason: InvalidApiKey")
        .facts(kin(evidence))
        .facts(secret_file(evidence))
        .takes("immediate to 15 minutes");
    Some(unknown_fixes(evidence, finding))
}

/// No other reason is published for a key that is disabled or expired: these are words that it would have to
/// use.
pub(super) fn unknown_in_words(evidence: &Evidence) -> Option<Finding> {
    const STATES: [&str; 8] = [
        "disabled",
        "deactivated",
        "expired",
        "revoked",
        "deleted",
        "not found",
        "not exist",
        "not valid",
    ];
    let said = evidence.said().filter(|it| it.google_status.is_none() && it.reason.is_some())?;
    let refused = matches!(evidence.status, 401 | 403);
    if !refused || evidence.word(KNOWN_TO_A_MASTER_KEY).is_some() {
        return None;
    }
    let text = said.message.as_deref()?.to_ascii_lowercase();
    let behind = text.split_once("api key").map(|(_, it)| it)?;
    let sentence: String = behind.split(['.', ';', '!']).next()?.chars().take(48).collect();
    let invalid = text.contains("invalid api key").then_some("invalid");
    let state = STATES.into_iter().find(|it| sentence.contains(it)).or(invalid)?;
    let line = format!("{} is not taken by the exchange: {state}", evidence.key_words());
    let finding = Finding::of(Cause::KeyUnknown, line)
        .with(Confidence::Likely)
        .fact(format!("the exchange's message speaks of the API key and says `{state}`"))
        .facts(kin(evidence))
        .facts(secret_file(evidence))
        .takes("immediate to 15 minutes");
    Some(unknown_fixes(evidence, finding))
}

pub(super) fn signature_wrong(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["InvalidSignature"])?;
    let settings = evidence.key_settings();
    let taken_up = secret(evidence) == Some(&SecretFile::TakenUp);
    let key = evidence.key_words();
    // What signed so that it was accepted cannot have come to belong to another key by itself.
    let held = evidence
        .past
        .key
        .worked
        .is_some_and(|it| evidence.changes.iter().all(|change| change.ago > it))
        && matches!(secret(evidence), Some(SecretFile::Same | SecretFile::NotAsked));
    let line = if held {
        format!(
            "the exchange takes no signature of {key} any more, with the secret that worked: the key may be deleted or replaced"
        )
    } else {
        format!("the secret of {key} does not belong to it")
    };
    let mut finding = Finding::of(Cause::SignatureWrong, line)
        .fact("Gemini's reason: InvalidSignature")
        .fact("the proxy's MAC is tested against RFC 4231: the secret is the suspect")
        .facts(secret_file(evidence))
        .takes("immediate");
    if taken_up {
        finding = finding
            .fix(By::Bot, "repeat the call: it is signed with the secret that the file holds now")
            .retry(Retry::Now);
    }
    if secret(evidence) == Some(&SecretFile::OtherKey) {
        finding = finding.fix(By::Operator, "restart geminid: the files hold another key");
    }
    Some(
        finding
            .fix(
                By::Operator,
                "look for a missing character or a stray line break in the key's `api_secret`",
            )
            .fix(By::AccountOwner, format!("{settings} → make a new key; a secret is shown once")),
    )
}

/// Older sources saw an unknown key answered with `InvalidSignature`.
pub(super) fn unknown_behind_a_signature(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["InvalidSignature"])?;
    let line = format!("{} may not exist any more", evidence.key_words());
    let finding = Finding::of(Cause::KeyUnknown, line)
        .with(Confidence::Possible)
        .fact("a key that does not exist was once answered in the same words")
        .takes("immediate to 15 minutes");
    Some(unknown_fixes(evidence, finding))
}

pub(super) fn no_master_keys(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["NotGroupApiCompatible"])?;
    let line = format!("{} takes no master key", evidence.operation_words());
    Some(kind_wrong(
        Finding::of(Cause::KeyKindWrong, line).fact("Gemini's reason: NotGroupApiCompatible"),
    ))
}

/// Sockets take an account's own key with time-based nonces, and answer others 401 (documented).
pub(super) fn not_for_sockets(evidence: &Evidence) -> Option<Finding> {
    let increasing = evidence.nonce.as_ref().is_some_and(|it| it.mode == "increasing");
    let why = match (evidence.is_master(), increasing) {
        (true, _) => "a master key",
        (false, true) => "a key with increasing nonces",
        (false, false) => return None,
    };
    let wordless = evidence.reason().is_none();
    (evidence.upgrade && evidence.status == 401 && wordless).then(|| {
        let line = format!("the exchange's sockets take no key of this kind: {why}");
        Finding::of(Cause::KeyKindWrong, line)
            .with(Confidence::Likely)
            .fact("status 401 to the upgrade, which is documented for such keys")
            .fact(format!("{} is {why}", evidence.key_words()))
            .fix(
                By::AccountOwner,
                "Settings → API → make a key of one account, with time-based nonces",
            )
            .fix(By::Operator, "point the client at that key, or have the bot use REST")
            .takes("minutes")
    })
}

/// "Not supported for master keys" is documented; in which words it is refused is not.
pub(super) fn no_heartbeat(evidence: &Evidence) -> Option<Finding> {
    let heartbeat = evidence.operation.as_deref() == Some("heartbeat");
    let explained = evidence.word(KNOWN_TO_A_MASTER_KEY).is_some();
    let refused = matches!(evidence.status, 400 | 401 | 403);
    let spoke = matches!(evidence.body, Body::Json(_));
    (heartbeat && refused && spoke && !explained && evidence.is_master()).then(|| {
        kind_wrong(
            Finding::of(Cause::KeyKindWrong, "master keys have no heartbeat")
                .with(Confidence::Likely)
                .fact(format!(
                    "{} is a master key, and heartbeats are documented for others",
                    evidence.key_words()
                )),
        )
    })
}

/// Reasons that say something else of a master key's heartbeat.
const KNOWN_TO_A_MASTER_KEY: &[&str] = &[
    "NotGroupApiCompatible",
    "MissingAccounts",
    "MissingRole",
    "InvalidApiKey",
    "InvalidSignature",
    "InvalidNonce",
    "MissingNonce",
    "ApiKeyIpFilteringFailure",
    "RemoteAddressForbidden",
    "RateLimit",
    "Maintenance",
];

fn kind_wrong(finding: Finding) -> Finding {
    finding
        .fix(By::Operator, "point the client at an account's own key")
        .fix(By::AccountOwner, "Settings → API → make a key of the account itself")
        .takes("minutes")
}

/// What tells a key that is gone from one that was never of this place.
fn kin(evidence: &Evidence) -> Vec<String> {
    let KeyEvidence { odd, .. } = evidence.key.clone().unwrap_or_default();
    let mut facts = Vec::new();
    if odd {
        facts.push("its text begins neither with `account-` nor with `master-`, as keys of the exchange do".to_owned());
    }
    let works = |(_, lately): &&(String, Lately)| lately.worked.is_some() && lately.n_refused == 0;
    facts.extend(evidence.past.others.iter().find(works).map(|(name, _)| {
        format!(
            "the key `{name}` works with the same exchange: it is this key, not the environment"
        )
    }));
    if let Some(Asked::Answered { .. }) = &evidence.probe.roles {
        facts.push(
            "asked just now, the exchange took the same key: it may have just been made or changed"
                .to_owned(),
        );
    }
    facts
}

fn unknown_fixes(evidence: &Evidence, finding: Finding) -> Finding {
    let settings = evidence.key_settings();
    let finding = match secret(evidence) {
        Some(SecretFile::OtherKey) => {
            finding.fix(By::Operator, "restart geminid: the files hold another key by now")
        }
        Some(SecretFile::TakenUp) => {
            finding.fix(By::Bot, "repeat the call: a new secret was taken up")
        }
        Some(SecretFile::NotAsked | SecretFile::Same | SecretFile::Unreadable(_)) | None => finding,
    };
    let here = evidence.environment.map_or_else(String::new, |it| format!(" (here: {it})"));
    finding
        .fix(By::AccountOwner, format!("{settings} → see that it exists and is enabled"))
        .fix(
            By::Operator,
            format!("see that `environment` fits{here}: sandbox keys do not work in production, nor the reverse"),
        )
}

fn secret(evidence: &Evidence) -> Option<&SecretFile> {
    evidence.key.as_ref().map(|it| &it.secret)
}

/// What its file holds, if that was looked at.
fn secret_file(evidence: &Evidence) -> Option<String> {
    match secret(evidence)? {
        SecretFile::NotAsked => None,
        SecretFile::Same => {
            Some("the secret's file was read again: it holds what was signed with".to_owned())
        }
        SecretFile::TakenUp => Some(
            "the secret's file was read again: it holds another secret, which is taken up"
                .to_owned(),
        ),
        SecretFile::OtherKey => {
            Some("the key's file was read again: it holds another key".to_owned())
        }
        SecretFile::Unreadable(why) => Some(format!("the secret's file cannot be read: {why}")),
    }
}
