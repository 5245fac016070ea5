//! What the exchange itself says, and the other product of the same name.
//!
//! Reasons and statuses are those of developer.gemini.com/error-codes and of the OpenAPI file; where the
//! two or what was recorded differ, each has a word. Messages without a source are `plausible`.

use super::Body;
use super::HTML;
use super::JSON;
use super::Known::Documented;
use super::Known::Plausible;
use super::Known::Seen;
use super::Refused;
use super::TEXT;
use super::row;
use super::said;

#[rustfmt::skip]
pub(super) static ROWS: &[Refused] = &[
    // The key. 403 is documented; 400 is what two programs recorded in 2026.
    said("key-unknown", "key-unknown", Documented, 403, "InvalidApiKey", "Invalid API key"),
    said("key-unknown-400", "key-unknown", Seen, 400, "InvalidApiKey", "Invalid API key"),
    said("key-unknown-401", "key-unknown", Plausible, 401, "InvalidApiKey", "Invalid API key"),
    // The text as the tests of a trading library have it.
    said("key-role-missing", "key-role-missing", Seen, 403, "MissingRole", "To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [FundManager] to API key {key} which currently has roles [Trader]"),
    said("key-role-missing-two", "key-role-missing", Plausible, 403, "MissingRole", "To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [Trader, FundManager] to API key {key} which currently has roles [Auditor]"),
    said("key-role-missing-none", "key-role-missing", Plausible, 403, "MissingRole", "To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [Trader] to API key {key} which currently has roles []"),
    said("key-role-missing-bare", "key-role-missing", Plausible, 403, "MissingRole", "MissingRole"),
    // The exchange's own TypeScript SDK reads `requiredRole` where a body has it.
    row("key-role-missing-named", "key-role-missing", Plausible, 403, (JSON, Body::Text(r#"{"result":"error","reason":"MissingRole","message":"The API key lacks a role","requiredRole":"Trader"}"#))),
    said("key-ip-not-trusted", "key-ip-not-trusted", Documented, 403, "ApiKeyIpFilteringFailure", "ApiKey fails IP Filtering Check for some accounts"),
    said("key-ip-not-trusted-group", "key-ip-not-trusted", Documented, 403, "RemoteAddressForbidden", "RemoteAddressForbidden"),
    said("key-ip-not-trusted-named", "key-ip-not-trusted", Plausible, 403, "RemoteAddressForbidden", "Requests from {ip} are not allowed"),
    // Documented without a status.
    said("key-kind-wrong", "key-kind-wrong", Documented, 400, "NotGroupApiCompatible", "This endpoint is not available to master API keys"),
    said("key-kind-wrong-403", "key-kind-wrong", Plausible, 403, "NotGroupApiCompatible", "This endpoint is not available to master API keys"),
    said("signature-wrong", "signature-wrong", Seen, 400, "InvalidSignature", "InvalidSignature"),
    said("signature-wrong-spec", "signature-wrong", Documented, 400, "InvalidSignature", "Invalid signature for this request"),
    said("signature-wrong-403", "signature-wrong", Plausible, 403, "InvalidSignature", "InvalidSignature"),

    // The nonce. The first two say the same: whether this program's nonces ever worked is the difference.
    said("nonce-key-shared", "nonce-key-shared", Seen, 400, "InvalidNonce", "Nonce '{nonce}' has not increased since your last call to the Gemini API."),
    said("nonce-unit", "nonce-unit", Seen, 400, "InvalidNonce", "Nonce '{nonce}' has not increased since your last call to the Gemini API."),
    said("nonce-clock", "nonce-clock", Seen, 400, "InvalidNonce", "Nonce '{nonce}' is not within 30 seconds of server time '{server}'"),
    said("no-number-nonce", "", Seen, 400, "InvalidNonce", "Nonce '\"{nonce}\"' was not parseable as a number."),
    said("old-nonce", "", Seen, 400, "InvalidNonce", "Out-of-sequence nonce '{nonce}' precedes previously used nonce"),
    said("bad-nonce", "", Seen, 400, "BadNonce", "BadNonce"),
    said("generic-nonce", "", Seen, 400, "GenericNonceError", "GenericNonceError"),
    said("missing-nonce", "", Documented, 400, "MissingNonce", "Must provide unique monotonic increasing 'nonce' field in payload"),

    // The headers. 401 is what is answered when all three are missing.
    said("headers-missing", "headers-missing", Seen, 401, "MissingSecurityHeaders", "Must provide the headers 'X-GEMINI-APIKEY', 'X-GEMINI-PAYLOAD' and 'X-GEMINI-SIGNATURE'"),
    said("headers-missing-key", "headers-missing", Documented, 401, "MissingApikeyHeader", "Must provide 'X-GEMINI-APIKEY' header"),
    said("headers-missing-payload", "headers-missing", Documented, 400, "MissingPayloadHeader", "Must provide 'X-GEMINI-PAYLOAD' header"),
    said("headers-missing-signature", "headers-missing", Documented, 400, "MissingSignatureHeader", "Must provide 'X-GEMINI-SIGNATURE' header"),
    said("two-credentials", "", Documented, 400, "AmbiguousAuthentication", "Provide either an API key or an access token, not both"),
    said("another-path", "", Documented, 400, "EndpointMismatch", "EndpointMismatch"),
    said("no-ssl", "", Documented, 400, "NoSSL", "NoSSL"),

    // The account. Most of these reasons are documented without a status.
    said("account-missing", "account-missing", Seen, 400, "MissingAccounts", "Expected a JSON payload with accounts"),
    said("account-on-account-key", "account-on-account-key", Documented, 400, "AccountsOnGroupOnlyApi", "The 'account' parameter is only for master API keys"),
    said("more-than-one-account", "account-missing", Documented, 400, "MoreThanOneAccount", "MoreThanOneAccount"),
    row("account-restricted", "account-restricted", Documented, 403, (JSON, Body::Text(r#"{"error":"ACCOUNT_RESTRICTED_SELL_ONLY","message":"Your account is restricted to selling existing positions; buying is not permitted."}"#))),
    row("account-restricted-group", "account-restricted", Documented, 403, (JSON, Body::Text(r#"{"error":"This account is not permitted to trade prediction markets","code":"ACCOUNT_GROUP_BLOCKED"}"#))),
    // Nobody has published what a held account is answered with.
    said("account-held", "account-restricted", Plausible, 403, "AccountRestricted", "Your account is restricted. Please contact support."),
    said("account-dormant", "account-restricted", Plausible, 403, "AccountInactive", "Your account is dormant. Please log in to reactivate it."),
    said("account-closed", "account-closed", Documented, 403, "AccountClosed", "The account is closed"),
    said("account-closed-400", "account-closed", Documented, 400, "AccountClosed", "The account is closed"),
    said("account-type-wrong", "account-type-wrong", Documented, 400, "AccountNotOfTypeRequired", "The account is not of the type that this endpoint requires"),
    said("account-type-wrong-403", "account-type-wrong", Plausible, 403, "AccountNotOfTypeRequired", "The account is not of the type that this endpoint requires"),
    said("account-type-wrong-none", "account-type-wrong", Documented, 400, "NoAccountOfTypeRequired", "There is no account of the type that this endpoint requires"),
    said("terms-not-accepted", "terms-not-accepted", Seen, 403, "MustAcceptTerms", "You must accept the terms of use"),
    said("terms-custody", "terms-not-accepted", Documented, 403, "HasNotAgreedToCustodyTerms", "You must agree to the custody terms"),
    row("terms-predictions", "terms-not-accepted", Documented, 403, (JSON, Body::Text(r#"{"error":"TERMS_NOT_ACCEPTED","message":"Prediction markets terms must be accepted before placing orders"}"#))),
    // Nobody has published what a region is refused with.
    said("region-restricted", "region-restricted", Plausible, 403, "RegionRestricted", "This service is not available in your region"),
    said("region-restricted-country", "region-restricted", Plausible, 403, "RestrictedJurisdiction", "This feature is not available in your jurisdiction"),

    // Not now. The beginnings of the messages are those that a trading library looks for.
    said("maintenance", "maintenance", Documented, 503, "Maintenance", "The Gemini Exchange is currently undergoing maintenance. Please check https://status.gemini.com/ for more information."),
    said("maintenance-issues", "maintenance", Seen, 503, "Maintenance", "We are investigating technical issues with the Gemini Exchange. Please check https://status.gemini.com/ for more information."),
    row("maintenance-text", "maintenance", Plausible, 503, (TEXT, Body::Text("The Gemini Exchange is currently undergoing maintenance. Please check https://status.gemini.com/ for more information."))),
    row("predictions-off", "", Documented, 503, (JSON, Body::Text(r#"{"error":"SERVICE_UNAVAILABLE","message":"Service is temporarily unavailable"}"#))),
    said("system-error", "", Documented, 500, "System", "We are experiencing technical issues"),
    said("rate-limited", "rate-limited", Documented, 429, "Too Many Requests", "Too Many Requests"),
    said("rate-limited-table", "rate-limited", Documented, 429, "RateLimit", "Requests were made too frequently"),
    said("rate-limited-usage", "rate-limited", Seen, 429, "UsageLimit", "UsageLimit"),
    said("rate-limited-wait", "rate-limited", Plausible, 429, "RateLimit", "Requests were made too frequently").with(&[("retry-after", "7")]),
    row("rate-limited-empty", "rate-limited", Plausible, 429, (TEXT, Body::Text(""))),

    // Google's, which has a product of the same name. Texts as its users quote them.
    row("wrong-gemini", "wrong-gemini", Seen, 403, (GOOGLE, Body::Text(r#"{"error":{"code":403,"message":"Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.","status":"PERMISSION_DENIED"}}"#))).with(GOOGLE_FRONT),
    row("google-403", "wrong-gemini", Seen, 403, (GOOGLE, Body::Text(r#"{"error":{"code":403,"message":"Generative Language API has not been used in project 123456789012 before or it is disabled.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED","domain":"googleapis.com","metadata":{"service":"generativelanguage.googleapis.com","consumer":"projects/123456789012"}}]}}"#))).with(GOOGLE_FRONT),
    row("google-leaked", "wrong-gemini", Seen, 403, (GOOGLE, Body::Text(r#"{"error":{"code":403,"message":"Your API key was reported as leaked. Please use another API key.","status":"PERMISSION_DENIED"}}"#))).with(GOOGLE_FRONT),
    row("google-key-invalid", "wrong-gemini", Seen, 400, (GOOGLE, Body::Text(r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com","metadata":{"service":"generativelanguage.googleapis.com"}}]}}"#))).with(GOOGLE_FRONT),
    row("google-401", "wrong-gemini", Seen, 401, (GOOGLE, Body::Text(r#"{"error":{"code":401,"message":"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.","status":"UNAUTHENTICATED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ACCESS_TOKEN_TYPE_UNSUPPORTED","domain":"googleapis.com"}]}}"#))).with(GOOGLE_FRONT),
    row("google-429", "wrong-gemini", Seen, 429, (GOOGLE, Body::Text(r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#))).with(GOOGLE_FRONT),
    row("google-page", "wrong-gemini", Seen, 403, (HTML, Body::Text("<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Error 403 (Forbidden)!!1</title>\n<p><b>403.</b> <ins>That\u{2019}s an error.</ins>\n<p>Your client does not have permission to get this URL from this server. <ins>That\u{2019}s all we know.</ins>\n"))),

    // What nobody knows, or what could be more than one thing.
    said("unexplained", "unexplained", Plausible, 403, "Whatever", "no"),
    said("unexplained-401", "unexplained", Plausible, 401, "Whatever", "no"),
    row("bare-403", "", Seen, 403, (TEXT, Body::Text(""))),
    row("empty-401", "", Plausible, 401, (TEXT, Body::Text(""))),
    row("empty-503", "", Plausible, 503, (TEXT, Body::Text(""))),
    row("text-403", "", Plausible, 403, (TEXT, Body::Text("Forbidden"))),
    row("json-403", "", Plausible, 403, (JSON, Body::Text(r#"{"error":"forbidden"}"#))),
];

const GOOGLE: &str = "application/json; charset=UTF-8";
const GOOGLE_FRONT: &[(&str, &str)] = &[("server", "ESF"), ("vary", "Origin")];
