//! The bodies in `docs/diagnosis.md` are those that are answered: each is made here, and held to the page.
//!
//! `cargo test --lib documented -- --ignored` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http_body_util::BodyExt as _;

use crate::answer;
use crate::call::{ClientId, KeyName, OperationName, Outcome, Scope, StopCause};
use crate::decimal::Decimal;
use crate::diagnose::{
    self, By, Cause, Context, EgressEvidence, Evidence, Fix, Headers, KeyEvidence, NonceEvidence,
    Report,
};
use crate::egress::{SendError, SendFault, Sent};
use crate::health::Quarantined;
use crate::inbound::{BadHead, Misdirected, Peer, Unheard, Unidentified, Unread};
use crate::journal::trail::TrailFault;
use crate::limit::Spent;
use crate::nonce::Busy;
use crate::policy::Denial;
use crate::provider::{self, Unreadable};
use crate::refusal::Refusal;

const PAGE: &str = "docs/diagnosis.md";
/// Causes that no build produces yet: their entries say so.
const TO_COME: &[Cause] =
    &[Cause::DuplicateOfUnknown, Cause::ClientOrderIdUsed, Cause::EgressAddressUnexpected];

fn client() -> ClientId {
    ClientId::new("market-maker")
}

fn key() -> KeyName {
    KeyName::new("trading")
}

fn create_order() -> OperationName {
    OperationName::new("create_order")
}

/// Refusals before anybody knows what is asked: nothing but the request's id is known.
fn refused_at_the_door() -> Vec<Refusal> {
    let client = client();
    let peer = Peer::at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let who = [
        Unidentified::Missing,
        Unidentified::Wrong { place: "`Authorization`" },
        Unidentified::Ambiguous { places: vec!["`Authorization`", "the signature headers"] },
        Unidentified::Throttled { wait: Duration::from_secs(41) },
        Unidentified::Expired { client: client.clone() },
        Unidentified::Address { client, peer },
    ];
    let path = || "/v1/balances".to_owned();
    let mut all: Vec<Refusal> = who.into_iter().map(Refusal::from).collect();
    all.extend([
        Misdirected::Browser("its `Origin` is not this listener's own".to_owned()).into(),
        Misdirected::Host("example.com".to_owned()).into(),
        Misdirected::Malformed("a question mark without a query").into(),
        Misdirected::Unheard(Unheard::Bad(BadHead::TooLarge)).into(),
        Misdirected::Unheard(Unheard::Crowded).into(),
        Unread::Slow.into(),
        Unreadable::Ambiguous.into(),
        Unreadable::PathMismatch { named: "/v1/orders".to_owned(), path: path() }.into(),
        Unreadable::Unknown { method: "POST".to_owned(), path: "/v1/no/such".to_owned() }.into(),
        Unreadable::Method { path: path(), allowed: vec!["POST"] }.into(),
    ]);
    all
}

/// Refusals of an order that was read.
fn refused_orders() -> Vec<Refusal> {
    let text = |it: &str| it.to_owned();
    let decimal = |it: &str| Decimal::parse(it).unwrap();
    let (operation, scope) = (create_order(), Scope::OrdersCreate);
    let (limit, usd) = ("orders.max_notional", || text("usd"));
    vec![
        Denial::Scope { client: client(), operation, scope }.into(),
        Denial::Account { client: client(), account: text("cold") }.into(),
        Denial::Symbol { client: client(), symbol: Some(text("dogeusd")) }.into(),
        Denial::Side { client: client(), side: Some(text("sell")) }.into(),
        Denial::OrderType { client: client(), kind: Some(text("exchange market")) }.into(),
        Denial::TooLarge {
            client: client(),
            limit,
            currency: usd(),
            asked: Box::new(decimal("650")),
            most: Box::new(decimal("500")),
        }
        .into(),
        Denial::Unpriceable {
            client: client(),
            limit: "orders",
            why: text("execute_instant_order is no order that can be read"),
        }
        .into(),
        Denial::Frozen { client: client(), everything: false }.into(),
        Spent::NotionalPerDay { client: client(), currency: usd(), max: decimal("5000") }.into(),
        Spent::OpenOrders { client: client(), max: 20 }.into(),
        Spent::Rate { client: client(), wait: Duration::from_millis(1_500) }.into(),
        Refusal::Replay,
        TrailFault::of("No space left on device (os error 28)").into(),
        Refusal::LaneBusy(Duration::from_secs(5)),
        Refusal::NoClock,
        Busy::Damaged { key: key() }.into(),
        Busy::Stopped { key: key(), cause: StopCause::KeyShared }.into(),
        Refusal::Internal { outcome: Outcome::NotSent },
        Quarantined {
            key: key(),
            cause: Cause::KeyUnknown,
            wait: Duration::from_secs(21),
            n_denied: 3,
            status: 403,
            reason: Some(text("InvalidApiKey")),
            fix: vec![Fix::new(
                By::AccountOwner,
                "Settings → API → the key that ends in …7Qf2 → see that it exists and is enabled",
            )],
        }
        .into(),
    ]
}

/// Refusals of other calls, with the operation and the scope that they are about.
fn refused_others() -> Vec<(&'static str, Scope, Refusal)> {
    let why = "it has no `[[clients.withdrawals]]` entry".to_owned();
    let setting = "withdrawals";
    let cancel_all = OperationName::new("cancel_all_orders");
    let denial = |it: Denial| Refusal::from(it);
    vec![
        (
            "withdraw_crypto_v1",
            Scope::CryptoSend,
            denial(Denial::Withdrawal { client: client(), setting, why }),
        ),
        (
            "transfer_between_accounts",
            Scope::TransfersCreate,
            denial(Denial::Transfer { client: client(), target: Some("cold".to_owned()) }),
        ),
        (
            "cancel_all_orders",
            Scope::OrdersCancel,
            denial(Denial::CancelAll { client: client(), operation: cancel_all }),
        ),
    ]
}

/// Calls that have no answer, or none that can be used.
fn unanswered() -> Vec<Refusal> {
    let text = |it: &str| it.to_owned();
    let send = |sent, kind| Refusal::Send { fault: SendError { sent, kind }, mutates: true };
    let mutates = true;
    vec![
        send(Sent::No, SendFault::Unreachable(text("Connection refused (os error 111)"))),
        send(Sent::No, SendFault::Tls(text("invalid peer certificate: UnknownIssuer"))),
        send(Sent::Maybe, SendFault::Closed(text("connection closed before message completed"))),
        send(Sent::Maybe, SendFault::Timeout(Duration::from_secs(10))),
        Refusal::Truncated {
            why: text("its body ended early"),
            outcome: Outcome::Executed,
            mutates,
        },
        Refusal::Redirect { mutates },
    ]
}

/// An answer of the exchange, or of something in front of it.
struct Theirs {
    cause: Cause,
    status: u16,
    headers: Headers,
    body: &'static str,
    stopped: Option<StopCause>,
}

fn theirs(cause: Cause, status: u16, body: &'static str) -> Theirs {
    Theirs { cause, status, headers: Headers::default(), body, stopped: None }
}

fn page(cause: Cause, status: u16, server: &str, body: &'static str) -> Theirs {
    let headers = Headers { server: Some(server.to_owned()), ..Headers::default() };
    Theirs { headers, ..theirs(cause, status, body) }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn rejections() -> Vec<Theirs> {
    let stopped = |cause, body, why| Theirs { stopped: Some(why), ..theirs(cause, 400, body) };
    let nonce = r#"{"result":"error","reason":"InvalidNonce","message":"Nonce '1790000000000' has not increased since your last call to the Gemini API."}"#;
    vec![
        theirs(
            Cause::KeyUnknown,
            403,
            r#"{"result":"error","reason":"InvalidApiKey","message":"Invalid API key"}"#,
        ),
        theirs(
            Cause::KeyRoleMissing,
            403,
            r#"{"result":"error","reason":"MissingRole","message":"To access this endpoint, you need to log in to the website and go to the settings page to assign one of these roles [Trader] to API key account-0000000000007Qf2 which currently has roles [Auditor]"}"#,
        ),
        theirs(
            Cause::KeyIpNotTrusted,
            403,
            r#"{"result":"error","reason":"ApiKeyIpFilteringFailure","message":"ApiKey fails IP Filtering Check for some accounts"}"#,
        ),
        theirs(
            Cause::KeyKindWrong,
            403,
            r#"{"result":"error","reason":"NotGroupApiCompatible","message":"NotGroupApiCompatible"}"#,
        ),
        theirs(
            Cause::SignatureWrong,
            400,
            r#"{"result":"error","reason":"InvalidSignature","message":"InvalidSignature"}"#,
        ),
        stopped(Cause::NonceUnit, nonce, StopCause::Unit),
        theirs(
            Cause::NonceClock,
            400,
            r#"{"result":"error","reason":"InvalidNonce","message":"Nonce '1789999000' is not within 30 seconds of server time '1790000000'"}"#,
        ),
        theirs(
            Cause::HeadersMissing,
            401,
            r#"{"result":"error","reason":"MissingSecurityHeaders","message":"Must provide the headers 'X-GEMINI-APIKEY', 'X-GEMINI-PAYLOAD' and 'X-GEMINI-SIGNATURE'"}"#,
        ),
        theirs(
            Cause::AccountMissing,
            400,
            r#"{"result":"error","reason":"MissingAccounts","message":"Expected a JSON payload with accounts"}"#,
        ),
        theirs(
            Cause::AccountOnAccountKey,
            400,
            r#"{"result":"error","reason":"AccountsOnGroupOnlyApi","message":"AccountsOnGroupOnlyApi"}"#,
        ),
        theirs(
            Cause::AccountRestricted,
            403,
            r#"{"error":"ACCOUNT_RESTRICTED_SELL_ONLY","message":"Your account is restricted to selling existing positions; buying is not permitted."}"#,
        ),
        theirs(
            Cause::AccountClosed,
            403,
            r#"{"result":"error","reason":"AccountClosed","message":"AccountClosed"}"#,
        ),
        theirs(
            Cause::AccountTypeWrong,
            400,
            r#"{"result":"error","reason":"AccountNotOfTypeRequired","message":"AccountNotOfTypeRequired"}"#,
        ),
        theirs(
            Cause::TermsNotAccepted,
            403,
            r#"{"error":"TERMS_NOT_ACCEPTED","message":"Prediction markets terms must be accepted before placing orders"}"#,
        ),
        theirs(
            Cause::RegionRestricted,
            403,
            r#"{"result":"error","reason":"Whatever","message":"This product is not available in your region"}"#,
        ),
        theirs(
            Cause::Maintenance,
            503,
            r#"{"result":"error","reason":"Maintenance","message":"The Gemini Exchange is currently undergoing maintenance. Please check https://status.gemini.com/ for more information."}"#,
        ),
        theirs(
            Cause::RateLimited,
            429,
            r#"{"result":"error","reason":"RateLimit","message":"Too Many Requests"}"#,
        ),
        theirs(
            Cause::WrongGemini,
            403,
            r#"{"error":{"code":403,"message":"Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.","status":"PERMISSION_DENIED"}}"#,
        ),
        theirs(
            Cause::Unexplained,
            403,
            r#"{"result":"error","reason":"SomethingNew","message":"a word that no rule knows"}"#,
        ),
        page(
            Cause::EdgeBlocked,
            403,
            "cloudflare",
            "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body><span class=\"cf-error-code\">1020</span></body></html>",
        ),
        page(
            Cause::EdgeRegion,
            403,
            "cloudflare",
            "<!DOCTYPE html><html><head><title>Access denied</title></head><body>Error 1009 The owner of this website has banned the country or region your IP address is in</body></html>",
        ),
        Theirs {
            headers: Headers {
                server: Some("cloudflare".to_owned()),
                mitigated: Some("challenge".to_owned()),
                ..Headers::default()
            },
            ..theirs(
                Cause::EdgeChallenge,
                403,
                "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>",
            )
        },
        page(Cause::EdgeRateLimited, 429, "cloudflare", "error code: 1015"),
        page(
            Cause::EdgeError,
            503,
            "awselb/2.0",
            "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>",
        ),
        page(
            Cause::CaptivePortal,
            403,
            "captive/1.0",
            "<html><head><title>Hotel WiFi login</title></head><body>Please log in to use the network</body></html>",
        ),
    ]
}

async fn ours(refusal: &Refusal, context: &Context) -> (Cause, String) {
    let response = answer::compose(refusal, context, false);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (refusal.finding().cause, String::from_utf8(body.to_vec()).unwrap())
}

fn explained(said: &Theirs, context: &Context) -> String {
    let mask = |it: &str| it.replace("account-0000000000007Qf2", "…7Qf2");
    let evidence = Evidence {
        status: said.status,
        body: diagnose::read_body(said.body.as_bytes(), mask),
        headers: said.headers.clone(),
        operation: Some("create_order".to_owned()),
        roles_needed: vec!["Trader".to_owned()],
        client: Some("market-maker".to_owned()),
        key: Some(KeyEvidence {
            name: "trading".to_owned(),
            hint: "…7Qf2".to_owned(),
            ..KeyEvidence::default()
        }),
        nonce: said.stopped.map(|stopped| NonceEvidence {
            mode: "increasing",
            unit: "ms",
            n_resigns: 3,
            stopped: Some(stopped),
        }),
        egress: EgressEvidence {
            local: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
            ..EgressEvidence::default()
        },
        ..Evidence::default()
    };
    let provider = provider::by_name("exchange").unwrap();
    let diagnosis = diagnose::diagnose(&evidence, provider.rules());
    assert_eq!(diagnosis.finding.cause, said.cause, "{}", said.body);
    let report = Report::new(&diagnosis, Outcome::Rejected, context).to_json();
    let line = &diagnosis.finding.line;
    let body = diagnose::annotate(said.body.as_bytes(), line, &report, mask).unwrap();
    String::from_utf8(body).unwrap()
}

/// Every body, by its cause.
async fn bodies() -> BTreeMap<&'static str, String> {
    let nobody = Context::default();
    let order = |operation: &str, scope: Scope| Context {
        operation: Some(OperationName::new(operation)),
        scope: Some(scope.as_str()),
        client: Some(client()),
        key: Some(key()),
        egress_ip: Some("203.0.113.7".into()),
        ..Context::default()
    };
    let here = order("create_order", Scope::OrdersCreate);
    let unsent = Context { egress_ip: None, ..here.clone() };
    let mut made = Vec::new();
    for refusal in refused_at_the_door() {
        made.push(ours(&refusal, &nobody).await);
    }
    for refusal in refused_orders() {
        made.push(ours(&refusal, &unsent).await);
    }
    for refusal in unanswered() {
        made.push(ours(&refusal, &unsent).await);
    }
    for (operation, scope, refusal) in refused_others() {
        let context = Context { egress_ip: None, ..order(operation, scope) };
        made.push(ours(&refusal, &context).await);
    }
    made.extend(rejections().iter().map(|it| (it.cause, explained(it, &here))));
    let id = Context::default().request_id;
    let shown = |body: String| body.replace(id.as_str(), "01K…");
    let mut bodies = BTreeMap::new();
    for (cause, body) in made {
        let before = bodies.insert(cause.code(), shown(body));
        assert!(before.is_none(), "{} twice", cause.code());
    }
    bodies
}

/// The page, with these bodies in place of those that it has.
fn with(page: &str, bodies: &BTreeMap<&str, String>) -> String {
    let mut sections = page.split("\n## `");
    let mut out = sections.next().unwrap().to_owned();
    for section in sections {
        let (cause, text) = section.split_once("`\n").unwrap();
        write!(out, "\n## `{cause}`\n").unwrap();
        let Some(body) = bodies.get(cause) else {
            out.push_str(text);
            continue;
        };
        let (before, rest) = match text.split_once("- **Body**:") {
            Some((before, rest)) => {
                let (_, rest) = rest.split_once("```json\n").unwrap();
                (before.to_owned(), rest.split_once("```\n").unwrap().1)
            }
            None => {
                // Behind the first entry, which is the answer's status.
                let (first, rest) = text.trim_start().split_once("\n- ").unwrap();
                (format!("\n{first}\n"), text.split_at(text.len() - rest.len() - 2).1)
            }
        };
        let rest = rest.trim_start_matches('\n');
        write!(out, "{before}- **Body**:\n\n  ```json\n  {body}\n  ```\n\n{rest}").unwrap();
    }
    out
}

#[tokio::test]
async fn every_body_of_the_page_is_one_that_is_answered() {
    let (page, bodies) = (std::fs::read_to_string(PAGE).unwrap(), bodies().await);
    let missing = Cause::ALL.iter().filter(|it| !bodies.contains_key(it.code()));
    let missing: Vec<_> = missing.filter(|it| !TO_COME.contains(it)).collect();
    assert!(missing.is_empty(), "no body is made for {missing:?}");
    for (cause, body) in &bodies {
        let shown = format!("  ```json\n  {body}\n  ```\n");
        let section = page.split("\n## `").find(|it| it.starts_with(&format!("{cause}`\n")));
        assert!(section.unwrap().contains(&shown), "{cause} is answered otherwise:\n{shown}");
    }
    for cause in TO_COME {
        let section = page.split("\n## `").find(|it| it.starts_with(cause.code())).unwrap();
        assert!(section.contains("This build does not produce it yet"), "{}", cause.code());
    }
}

#[tokio::test]
#[ignore = "writes the page"]
async fn write_every_body() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    std::fs::write(PAGE, with(&page, &bodies().await)).unwrap();
}
