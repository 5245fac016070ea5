//! Nonces that were refused after the proxy signed afresh.

use crate::call::StopCause;
use crate::diagnose::{By, Cause, Confidence, Evidence, Finding, NonceEvidence, Retry};

const WORDS: &[&str] = &["InvalidNonce", "BadNonce", "GenericNonceError"];

/// The lane has given up: somebody else raises the mark.
pub(super) fn stopped(evidence: &Evidence) -> Option<Finding> {
    let nonce = evidence.nonce.as_ref().filter(|_| is_nonce(evidence))?;
    let key = evidence.key_words();
    let settings = evidence.key_settings();
    let finding = match nonce.stopped? {
        StopCause::KeyShared => Finding::of(
            Cause::NonceKeyShared,
            format!("another program uses {key} too, and its nonces are above ours"),
        )
        .fact(tried(nonce))
        .fact("the exchange has taken this unit from us before")
        .fix(
            By::Operator,
            "give the other program a key of its own: a nonce sequence has one owner",
        )
        .fix(By::AccountOwner, format!("{settings} → replace it, if its mark was raised for good"))
        .fix(By::Nobody, "the key is tried again every 30 s")
        .takes("immediate, once the other program is off the key"),
        StopCause::Unit => Finding::of(
            Cause::NonceUnit,
            format!("{key} was used with larger nonces than any the proxy sends"),
        )
        .fact(tried(nonce))
        .fact("no nonce of ours was ever taken")
        .fix(
            By::Operator,
            "name the unit of the program that used it: `nonce_unit = \"us\"` or `\"ns\"`",
        )
        .fix(
            By::AccountOwner,
            format!("{settings} → or make a new key, best with time-based nonces"),
        )
        .takes("immediate"),
    };
    Some(finding.with(Confidence::Likely))
}

pub(super) fn clock(evidence: &Evidence) -> Option<Finding> {
    let told = is_nonce(evidence) && has(evidence, "is not within");
    let increasing = evidence.nonce.as_ref().is_some_and(|it| it.mode == "increasing");
    told.then(|| {
        let skew = evidence.skew_millis;
        let finding = Finding::of(
            Cause::NonceClock,
            "the nonce lies more than 30 s from the exchange's clock",
        )
        .fact("Gemini names its own time in the message")
        .facts(skew.map(|it| {
            let side = if it < 0 { "behind" } else { "ahead of" };
            format!("this machine's clock is {side} it by {} ms", it.unsigned_abs())
        }))
        .facts(increasing.then(|| "only a key with time-based nonces is answered so, and this one is taken for an increasing key".to_owned()))
        .takes("immediate")
        .retry(Retry::Now);
        if increasing {
            return finding
                .fix(By::Operator, "set the key's `nonce` to \"time\" or \"auto\"")
                .fix(By::Operator, "set this machine's clock by NTP");
        }
        finding.fix(By::Operator, "set this machine's clock by NTP")
    })
}

/// The key takes numbers of another form: whole seconds, most likely.
pub(super) fn not_a_number(evidence: &Evidence) -> Option<Finding> {
    (is_nonce(evidence) && has(evidence, "not parseable")).then(|| {
        let unit = evidence.nonce.as_ref().map(|it| format!("sent in `{}`", it.unit));
        Finding::of(Cause::NonceUnit, "the exchange does not read a nonce of this form")
            .with(Confidence::Likely)
            .fact("Gemini's words: not parseable as a number")
            .facts(unit)
            .fix(By::Operator, "set `nonce_unit` of the key to \"s\" or \"ms\"")
            .takes("immediate")
            .retry(Retry::Now)
    })
}

/// A collision that signing afresh did not cure, on a lane that goes on.
pub(super) fn shared(evidence: &Evidence) -> Option<Finding> {
    let stopped = evidence.nonce.as_ref().is_some_and(|it| it.stopped.is_some());
    let otherwise = has(evidence, "is not within") || has(evidence, "not parseable");
    (is_nonce(evidence) && !stopped && !otherwise).then(|| {
        let line = format!("another program may be using {}", evidence.key_words());
        let signed = evidence.nonce.as_ref().filter(|it| it.n_resigns > 0);
        Finding::of(Cause::NonceKeyShared, line)
            .with(Confidence::Possible)
            .fact("the exchange says that it has seen a nonce that is no smaller")
            .facts(signed.map(tried))
            .fix(By::Operator, "give every program a key of its own")
            .takes("immediate")
            .retry(Retry::Now)
    })
}

fn is_nonce(evidence: &Evidence) -> bool {
    evidence.word(WORDS).is_some()
}

fn has(evidence: &Evidence, words: &str) -> bool {
    evidence.message().is_some_and(|it| it.contains(words))
}

fn tried(NonceEvidence { n_resigns, unit, .. }: &NonceEvidence) -> String {
    match n_resigns {
        1 => format!("signed afresh once in `{unit}`: refused again"),
        n => format!("signed afresh {n} times in `{unit}`: refused each time"),
    }
}
