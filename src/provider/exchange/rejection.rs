//! What the exchange's answers say about nonces and access.
//!
//! Texts as seen (test suites and issues quoted in `docs/exchange.md`); statuses and reasons as
//! documented, and where the two differ both are taken.

use http::StatusCode;

use crate::clock::UnixMicros;
use crate::diagnose::{Body, Said};
use crate::nonce::Verdict;
use crate::provider::Answer;

/// Reasons of a 400 that are about who asks, not about what is asked.
const ACCESS: &[&str] = &[
    "AccountClosed",
    "AccountNotOfTypeRequired",
    "AccountsOnGroupOnlyApi",
    "AmbiguousAuthentication",
    "ApiKeyIpFilteringFailure",
    "EndpointMismatch",
    "HasNotAgreedToCustodyTerms",
    "InvalidApiKey",
    "InvalidNonce",
    "InvalidSignature",
    "InvalidTimestampInPayload",
    "MissingAccounts",
    "MissingApikeyHeader",
    "MissingNonce",
    "MissingPayloadHeader",
    "MissingPayloadKey",
    "MissingRole",
    "MissingSecurityHeaders",
    "MissingSignatureHeader",
    "MoreThanOneAccount",
    "MustAcceptTerms",
    "NoAccountOfTypeRequired",
    "NoSSL",
    "NotGroupApiCompatible",
    "RemoteAddressForbidden",
    "BadNonce",
    "GenericNonceError",
];

const NONCE: &[&str] = &["InvalidNonce", "BadNonce", "GenericNonceError"];

/// What prediction markets say of access, as documented: under `error` or `code`, without a `reason`.
const ACCESS_ELSEWHERE: &[&str] =
    &["ACCOUNT_GROUP_BLOCKED", "ACCOUNT_RESTRICTED_SELL_ONLY", "TERMS_NOT_ACCEPTED"];

/// Reasons that end a request before its nonce is looked at, or whose place in the order of checks
/// is not known: they teach nothing.
const BEFORE_NONCE: &[&str] = &[
    "AmbiguousAuthentication",
    "EndpointMismatch",
    "InvalidApiKey",
    "InvalidJson",
    "InvalidSignature",
    "MissingApikeyHeader",
    "MissingNonce",
    "MissingPayloadHeader",
    "MissingPayloadKey",
    "MissingSecurityHeaders",
    "MissingSignatureHeader",
];

pub(super) fn verdict(answer: &Answer) -> Verdict {
    let Body::Json(Said { reason, message, .. }) = &answer.body else { return bare(answer.status) };
    let reason = reason.as_deref().unwrap_or_default();
    let message = message.as_deref().unwrap_or_default();
    let status = answer.status;
    // From a 5xx nothing follows: whatever made it may have come after the call was executed.
    if NONCE.contains(&reason) && !status.is_server_error() {
        return nonce_words(message);
    }
    let undecided = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    if undecided || status == StatusCode::FORBIDDEN || BEFORE_NONCE.contains(&reason) {
        return Verdict::Silent;
    }
    Verdict::Accepted
}

fn bare(status: StatusCode) -> Verdict {
    if status.is_success() { Verdict::Accepted } else { Verdict::Silent }
}

fn nonce_words(message: &str) -> Verdict {
    if message.contains("is not within") {
        return Verdict::OutsideWindow { server: server_time(message) };
    }
    if message.contains("not parseable") {
        return Verdict::NotANumber;
    }
    // "has not increased since your last call", and the older "Out-of-sequence nonce … precedes".
    Verdict::NotIncreased
}

/// The last quoted number of `Nonce '1' is not within 30 seconds of server time '1790000000'`. Its
/// unit is not documented: whole seconds were seen, and milliseconds are told by their size.
fn server_time(message: &str) -> Option<UnixMicros> {
    let (_, rest) = message.split_once("server time")?;
    let number: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| is_decimal(*c)).collect();
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let whole: u64 = whole.parse().ok()?;
    if whole > 100_000_000_000_000 {
        // Finer than milliseconds: no unit that anybody has seen, and no clock to set.
        return None;
    }
    if whole > 100_000_000_000 {
        return Some(UnixMicros(whole.checked_mul(1_000)?));
    }
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(UnixMicros(whole.checked_mul(1_000_000)?.checked_add(fraction.parse().ok()?)?))
}

fn is_decimal(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

pub(super) fn is_about_access(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        401 | 403 | 407 | 429 | 503 => true,
        400 => match &answer.body {
            Body::Json(said) => says_access(said),
            Body::Empty | Body::Page { .. } | Body::Text(_) => false,
        },
        // Batches of prediction markets declare it for a nonce that was refused (documented).
        409 => match &answer.body {
            Body::Json(said) => said.reason.as_deref().is_some_and(|it| NONCE.contains(&it)),
            Body::Empty | Body::Page { .. } | Body::Text(_) => false,
        },
        _ => false,
    }
}

fn says_access(Said { reason, error, code, google_status, message: _ }: &Said) -> bool {
    let is_one =
        |it: &Option<String>, of: &[&str]| it.as_deref().is_some_and(|it| of.contains(&it));
    let elsewhere = |it| is_one(it, ACCESS) || is_one(it, ACCESS_ELSEWHERE);
    // Google answers 400 to a key it does not know: that is no answer of the exchange at all.
    is_one(reason, ACCESS) || elsewhere(error) || elsewhere(code) || google_status.is_some()
}

pub(super) fn is_maintenance(answer: &Answer) -> bool {
    let Body::Json(Said { reason, .. }) = &answer.body else { return false };
    answer.status == StatusCode::SERVICE_UNAVAILABLE && reason.as_deref() == Some("Maintenance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, reason: &str, message: &str, expected: Verdict) {
        let body = Body::Json(Said {
            reason: Some(reason.into()),
            message: Some(message.into()),
            ..Said::default()
        });
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), body };
        assert_eq!(verdict(&answer), expected, "{status} {reason} {message}");
    }

    #[test]
    fn nonce_texts_as_seen() {
        let server = Some(UnixMicros::from_secs(1_790_000_000));
        let text = "Nonce '1' has not increased since your last call to the Gemini API.";
        check(400, "InvalidNonce", text, Verdict::NotIncreased);
        let text = "Nonce '1' is not within 30 seconds of server time '1790000000'";
        check(400, "InvalidNonce", text, Verdict::OutsideWindow { server });
        let text = "Nonce '1' is not within 30 seconds of server time '1790000000.25'";
        let quarter = Some(UnixMicros(1_790_000_000_250_000));
        check(400, "InvalidNonce", text, Verdict::OutsideWindow { server: quarter });
        let text = "Nonce '1' is not within 30 seconds of server time '1790000000000'";
        check(400, "InvalidNonce", text, Verdict::OutsideWindow { server });
        let text = "Nonce '1' is not within 30 seconds of server time 'soon'";
        check(400, "InvalidNonce", text, Verdict::OutsideWindow { server: None });
        let text = "Nonce '1' is not within 30 seconds of server time '1790000000000000'";
        check(400, "InvalidNonce", text, Verdict::OutsideWindow { server: None });
        let text = "Nonce '\"x\"' was not parseable as a number.";
        check(400, "InvalidNonce", text, Verdict::NotANumber);
    }

    #[test]
    fn an_authenticated_refusal_accepted_the_nonce_and_others_say_nothing() {
        check(400, "InvalidQuantity", "x", Verdict::Accepted);
        check(406, "InsufficientFunds", "x", Verdict::Accepted);
        check(400, "InvalidSignature", "x", Verdict::Silent);
        check(403, "MissingRole", "x", Verdict::Silent);
        check(429, "RateLimit", "x", Verdict::Silent);
        check(503, "Maintenance", "x", Verdict::Silent);
        let text = "Nonce '1' has not increased since your last call to the Gemini API.";
        check(502, "InvalidNonce", text, Verdict::Silent);
        check(409, "InvalidNonce", text, Verdict::NotIncreased);
    }

    #[test]
    fn access_is_told_from_the_rest() {
        let about = |status: u16, reason: &str| {
            let body = Body::Json(Said { reason: Some(reason.into()), ..Said::default() });
            is_about_access(&Answer { status: StatusCode::from_u16(status).unwrap(), body })
        };
        assert!(about(400, "InvalidNonce") && about(403, "Whatever") && about(503, "Maintenance"));
        assert!(about(409, "InvalidNonce") && !about(409, "ConflictingOptions"));
        let of = |said: Said| {
            is_about_access(&Answer { status: StatusCode::BAD_REQUEST, body: Body::Json(said) })
        };
        let code = Some("ACCOUNT_GROUP_BLOCKED".to_owned());
        assert!(of(Said { code, ..Said::default() }));
        let google_status = Some("INVALID_ARGUMENT".to_owned());
        assert!(of(Said { google_status, ..Said::default() }));
        let error = Some("MARKET_CLOSED".to_owned());
        assert!(!of(Said { error, ..Said::default() }));
        assert!(!about(400, "InvalidPrice") && !about(404, "OrderNotFound") && !about(200, ""));
    }
}
