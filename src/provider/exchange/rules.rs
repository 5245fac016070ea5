//! What the exchange's rejections mean. Every rule has a fixture that fires and a near miss under
//! `tests/it/fixtures/diagnoses`.
//!
//! Reasons are documented (developer.gemini.com/error-codes) unless the rule says otherwise.

use crate::call::StopCause;
use crate::diagnose::{
    Body, By, Cause, Confidence, DecidedBy, Evidence, Finding, Fix, Retry, Rule,
};

pub(super) const RULES: &[Rule] = &[
    role_missing,
    ip_not_trusted,
    key_unknown,
    signature_wrong,
    key_unknown_behind_a_signature,
    nonce_stopped,
    nonce_clock,
    nonce_shared,
    maintenance,
    rate_limited,
    said_plainly,
    bare_forbidden,
];

fn role_missing(evidence: &Evidence) -> Option<Finding> {
    let said = evidence.reason() == Some("MissingRole");
    let message = said.then(|| evidence.message().unwrap_or_default())?;
    let mut lists = brackets(message);
    // The text holds two bracketed lists: the roles wanted, then the roles held (seen).
    let (wanted, held) = (lists.next(), lists.next());
    let needed = wanted.map_or_else(|| evidence.roles_needed.join(", "), str::to_owned);
    let key = evidence.key_words();
    let operation = evidence.operation.as_deref().unwrap_or("the call");
    let has = held.map_or_else(String::new, |it| format!("{key} has roles [{it}], "));
    let mut facts = Vec::new();
    if wanted.is_none() {
        facts.push("Gemini's reason: MissingRole, without the roles".to_owned());
    }
    facts.extend(wanted.map(|it| format!("Gemini names the roles it wants: [{it}]")));
    facts.extend(held.map(|it| format!("{key} has: [{it}]")));
    let first = needed.split(',').next().unwrap_or("the role").trim().trim_end_matches('?');
    let settings = evidence.key_settings();
    let mut fix = vec![format!("{settings} → add {first}")];
    fix.extend(
        evidence
            .client
            .as_ref()
            .map(|client| format!("or point client `{client}` at a key that has it")),
    );
    Some(Finding {
        line: format!("{has}{operation} needs {needed}"),
        evidence: facts,
        fix: fixes(fix),
        resolution: "under an hour",
        ..certain(Cause::KeyRoleMissing)
    })
}

fn ip_not_trusted(evidence: &Evidence) -> Option<Finding> {
    let reason = evidence.reason()?;
    let which = match reason {
        "ApiKeyIpFilteringFailure" => "the key's own list of trusted IPs",
        "RemoteAddressForbidden" => "the list of addresses of the account's group",
        _ => return None,
    };
    let from = evidence.leaves_from();
    let from = from.map_or_else(|| "this machine's public address".to_owned(), |it| it.to_string());
    let settings = evidence.key_settings();
    Some(Finding {
        line: format!("{} does not trust {from}: it is not on {which}", evidence.key_words()),
        evidence: vec![
            format!("Gemini's reason: {reason}, which is about {which}"),
            format!("requests leave from: {from}"),
        ],
        fix: fixes(vec![
            format!("{settings} → ⋯ → Edit → Trusted IPs → add {from}"),
            "or leave from an address that is listed: `[upstreams.egress] bind`".to_owned(),
        ]),
        resolution: "minutes to hours",
        ..certain(Cause::KeyIpNotTrusted)
    })
}

fn key_unknown(evidence: &Evidence) -> Option<Finding> {
    // 403 as documented, 400 as two programs recorded it in 2026.
    (evidence.reason() == Some("InvalidApiKey")).then(|| Finding {
        line: format!("{} is not known to the exchange, or is disabled", evidence.key_words()),
        evidence: vec!["Gemini's reason: InvalidApiKey".to_owned()],
        fix: fixes(unknown_key_fixes(evidence)),
        resolution: "immediate to 15 minutes",
        ..certain(Cause::KeyUnknown)
    })
}

fn signature_wrong(evidence: &Evidence) -> Option<Finding> {
    (evidence.reason() == Some("InvalidSignature")).then(|| Finding {
        line: format!("the secret of {} does not belong to it", evidence.key_words()),
        evidence: vec![
            "Gemini's reason: InvalidSignature".to_owned(),
            "the proxy's MAC is tested against RFC 4231: the secret is the suspect".to_owned(),
        ],
        fix: fixes(vec![
            "look for a missing character or a stray line break in the key's `api_secret`"
                .to_owned(),
            format!("{} → make a new key; a secret is shown once", evidence.key_settings()),
        ]),
        resolution: "immediate",
        ..certain(Cause::SignatureWrong)
    })
}

/// Older sources saw an unknown key answered with `InvalidSignature`.
fn key_unknown_behind_a_signature(evidence: &Evidence) -> Option<Finding> {
    (evidence.reason() == Some("InvalidSignature")).then(|| Finding {
        confidence: Confidence::Possible,
        line: format!("{} may not exist any more", evidence.key_words()),
        evidence: vec!["a key that does not exist was once answered in the same words".to_owned()],
        fix: fixes(unknown_key_fixes(evidence)),
        resolution: "immediate to 15 minutes",
        ..certain(Cause::KeyUnknown)
    })
}

fn unknown_key_fixes(evidence: &Evidence) -> Vec<String> {
    vec![
        format!("{} → see that it exists and is enabled", evidence.key_settings()),
        "see that `environment` fits: sandbox keys do not work in production, nor the reverse"
            .to_owned(),
    ]
}

/// The lane has given up: somebody else raises the mark.
fn nonce_stopped(evidence: &Evidence) -> Option<Finding> {
    let nonce = evidence.nonce.as_ref().filter(|_| is_nonce(evidence))?;
    let key = evidence.key_words();
    let tried =
        format!("signed afresh {} times in `{}`: refused each time", nonce.n_resigns, nonce.unit);
    match nonce.stopped? {
        StopCause::KeyShared => Some(Finding {
            line: format!("another program uses {key} too, and its nonces are above ours"),
            evidence: vec![tried, "the exchange has taken this unit from us before".to_owned()],
            fix: fixes(vec![
                "give the other program a key of its own: a nonce sequence has one owner"
                    .to_owned(),
                format!(
                    "{} → replace it, if its mark was raised for good",
                    evidence.key_settings()
                ),
                "the key is tried again every 30 s".to_owned(),
            ]),
            resolution: "immediate, once the other program is off the key",
            confidence: Confidence::Likely,
            ..certain(Cause::NonceKeyShared)
        }),
        StopCause::Unit => Some(Finding {
            line: format!("{key} was used with larger nonces than any the proxy sends"),
            evidence: vec![tried, "no nonce of ours was ever taken".to_owned()],
            fix: fixes(vec![
                "name the unit of the program that used it: `nonce_unit = \"us\"` or `\"ns\"`"
                    .to_owned(),
                format!(
                    "{} → or make a new key, best with time-based nonces",
                    evidence.key_settings()
                ),
            ]),
            resolution: "immediate",
            confidence: Confidence::Likely,
            ..certain(Cause::NonceUnit)
        }),
    }
}

fn nonce_clock(evidence: &Evidence) -> Option<Finding> {
    let message = evidence.message().filter(|_| is_nonce(evidence))?;
    message.contains("is not within").then(|| {
        let skew = evidence.skew_millis;
        let mut facts = vec!["Gemini names its own time in the message".to_owned()];
        facts.extend(skew.map(|it| format!("this machine's clock is ahead of it by {it} ms")));
        Finding {
            line: "the nonce lies more than 30 s from the exchange's clock".to_owned(),
            evidence: facts,
            fix: fixes(vec!["set this machine's clock by NTP".to_owned()]),
            resolution: "immediate",
            retry: Retry::Now,
            ..certain(Cause::NonceClock)
        }
    })
}

/// A collision that signing afresh did not cure, on a lane that goes on.
fn nonce_shared(evidence: &Evidence) -> Option<Finding> {
    let stopped = evidence.nonce.as_ref().is_some_and(|it| it.stopped.is_some());
    (is_nonce(evidence) && !stopped).then(|| Finding {
        confidence: Confidence::Possible,
        line: format!("another program may be using {}", evidence.key_words()),
        evidence: vec!["the exchange refused several fresh nonces in a row".to_owned()],
        fix: fixes(vec!["give every program a key of its own".to_owned()]),
        resolution: "immediate",
        retry: Retry::Now,
        ..certain(Cause::NonceKeyShared)
    })
}

fn maintenance(evidence: &Evidence) -> Option<Finding> {
    let text = evidence.message().unwrap_or_default();
    // Beginnings that other programs match on (seen).
    let said = text.starts_with("The Gemini Exchange is currently undergoing maintenance")
        || text.starts_with("We are investigating technical issues with the Gemini Exchange");
    let reason = evidence.reason() == Some("Maintenance");
    (evidence.status == 503 && (reason || said)).then(|| Finding {
        line: "nothing is wrong with the key or the proxy: the exchange is not open".to_owned(),
        evidence: vec!["status 503, and the exchange's own word for maintenance".to_owned()],
        fix: fixes(vec!["wait; https://status.gemini.com says for how long".to_owned()]),
        resolution: "as announced by the exchange",
        retry: Retry::After(60),
        ..certain(Cause::Maintenance)
    })
}

fn rate_limited(evidence: &Evidence) -> Option<Finding> {
    let page = matches!(evidence.body, Body::Page { .. });
    (evidence.status == 429 && !page).then(|| Finding {
        line: "the exchange allows 120 public and 600 private requests a minute".to_owned(),
        evidence: vec!["status 429 from the exchange's API".to_owned()],
        fix: fixes(vec![
            "ask less often, or by fewer programs with one key and one address".to_owned(),
            "after five delayed requests the exchange refuses until the rate has fallen".to_owned(),
        ]),
        resolution: "within a minute",
        retry: Retry::After(evidence.headers.retry_after.unwrap_or(10)),
        ..certain(Cause::RateLimited)
    })
}

/// Reasons that need no more than their own words.
fn said_plainly(evidence: &Evidence) -> Option<Finding> {
    let reason = evidence.reason()?;
    let (cause, line, fix) = match reason {
        "MissingSecurityHeaders"
        | "MissingApikeyHeader"
        | "MissingPayloadHeader"
        | "MissingSignatureHeader" => (
            Cause::HeadersMissing,
            "something between here and the exchange removed headers",
            "look for a corporate proxy between this machine and the exchange",
        ),
        "MissingAccounts" => (
            Cause::AccountMissing,
            "a master key must name the account it means",
            "set `account` of the key in proxy.toml, or send `account` with the call",
        ),
        "AccountsOnGroupOnlyApi" => (
            Cause::AccountOnAccountKey,
            "`account` was sent, and the key is not a master key",
            "leave `account` out of the call",
        ),
        "NotGroupApiCompatible" => (
            Cause::KeyKindWrong,
            "this endpoint takes no master key",
            "point the client at an account's own key",
        ),
        "AccountClosed" => {
            (Cause::AccountClosed, "the account is closed", "ask the exchange's support")
        }
        "AccountNotOfTypeRequired" | "NoAccountOfTypeRequired" => (
            Cause::AccountTypeWrong,
            "the account is not of the type that this endpoint serves",
            "use a key of an account of that type (derivatives, custody, margin)",
        ),
        "HasNotAgreedToCustodyTerms" | "MustAcceptTerms" => (
            Cause::TermsNotAccepted,
            "terms must be accepted on the exchange's site first",
            "log in to the exchange's site and accept them",
        ),
        _ => return None,
    };
    Some(Finding {
        line: line.to_owned(),
        evidence: vec![format!("Gemini's reason: {reason}")],
        fix: fixes(vec![fix.to_owned()]),
        resolution: "immediate",
        ..certain(cause)
    })
}

/// A 403 without a word may be the exchange's (its own TypeScript SDK takes it for a missing role)
/// or an edge's.
fn bare_forbidden(evidence: &Evidence) -> Option<Finding> {
    (evidence.status == 403 && evidence.body == Body::Empty).then(|| Finding {
        decided_by: DecidedBy::Edge,
        confidence: Confidence::Possible,
        line: "an empty 403 is more like a firewall's than the exchange's".to_owned(),
        evidence: vec!["status 403 and no body; the exchange's own refusals carry JSON".to_owned()],
        fix: fixes(vec![
            "ask for public data from the same address: if that is refused too, it is the address"
                .to_owned(),
            format!("{} → see that it has the role the call needs", evidence.key_settings()),
        ]),
        resolution: "minutes to hours",
        ..certain(Cause::EdgeBlocked)
    })
}

fn is_nonce(evidence: &Evidence) -> bool {
    matches!(
        evidence.reason(),
        Some("InvalidNonce" | "BadNonce" | "GenericNonceError" | "MissingNonce")
    )
}

/// What most findings here share.
fn certain(cause: Cause) -> Finding {
    Finding {
        cause,
        decided_by: DecidedBy::Upstream,
        confidence: Confidence::Certain,
        line: String::new(),
        evidence: Vec::new(),
        fix: Vec::new(),
        resolution: "unknown",
        retry: Retry::AfterFix,
    }
}

fn fixes(texts: Vec<String>) -> Vec<Fix> {
    texts.into_iter().map(|it| Fix::new(By::AccountOwner, it)).collect()
}

/// The texts between `[` and `]`.
fn brackets(text: &str) -> impl Iterator<Item = &str> {
    text.split('[').skip(1).filter_map(|rest| rest.split_once(']').map(|(inner, _)| inner))
}
