//! Statuses, reasons and causes.

use super::*;
use crate::call::{ClientId, KeyName, OperationName, Scope};
use crate::decimal::Decimal;

#[track_caller]
fn check(refusal: &Refusal, status: u16, reason: Option<&str>, outcome: Outcome, cause: &str) {
    let said = (refusal.status().as_u16(), refusal.reason(), refusal.outcome());
    assert_eq!(said, (status, reason, outcome), "{refusal}");
    assert_eq!(refusal.finding().cause.code(), cause, "{refusal}");
    // Libraries take `result: error` as a definite no: only a 4xx is one.
    assert_eq!(reason.is_some(), status < 500, "{refusal}");
    // 503 is a promise.
    assert_eq!(status == 503, status >= 500 && outcome == Outcome::NotSent, "{refusal}");
}

#[test]
fn statuses_keep_their_promises() {
    let tls = || SendFault::Tls("expired".to_owned());
    let closed = || SendFault::Closed("reset".to_owned());
    let timeout = || SendFault::Timeout(Duration::from_secs(1));
    let send = |sent, kind| Refusal::Send { fault: SendError { sent, kind }, mutates: true };
    let none = Outcome::NotSent;
    check(&send(Sent::No, tls()), 503, None, none, "upstream-tls");
    check(&send(Sent::No, closed()), 503, None, none, "upstream-closed");
    check(&send(Sent::No, timeout()), 503, None, none, "upstream-unreachable");
    check(&send(Sent::Maybe, closed()), 502, None, Outcome::Unknown, "upstream-closed");
    check(&send(Sent::Maybe, timeout()), 504, None, Outcome::Unknown, "upstream-timeout");
    check(&Refusal::Unlearned { status: 404 }, 503, None, none, "unexplained");
    check(&Refusal::NoClock, 503, None, none, "clock-untrusted");
    check(&Refusal::LaneBusy(Duration::ZERO), 503, None, none, "lane-busy");
    let full = Refusal::Audit(TrailFault::of("No space left on device"));
    check(&full, 503, None, none, "audit-unavailable");
    assert!(full.to_string().ends_with("No space left on device"), "{full}");
    let key = || KeyName::new("k");
    let damaged = Refusal::Busy(Busy::Damaged { key: key() });
    check(&damaged, 503, None, none, "nonce-state-damaged");
    let wait = Duration::from_millis(7_100);
    let ahead = Refusal::Busy(Busy::Ahead { key: key(), wait });
    check(&ahead, 503, None, none, "clock-untrusted");
    assert!(ahead.to_string().ends_with("due in 8 s") && ahead.finding().retry == Retry::After(8));
    check(&Refusal::Redirect { mutates: true }, 502, None, Outcome::Unknown, "upstream-redirect");
    let truncated =
        Refusal::Truncated { why: String::new(), outcome: Outcome::Executed, mutates: true };
    check(&truncated, 502, None, Outcome::Executed, "upstream-truncated");
    check(&Refusal::Replay, 400, Some("InvalidNonce"), none, "client-replay");
    check(&Refusal::Upgrade, 403, Some("MissingRole"), none, "operation-unknown");
    let missing = Refusal::Unidentified(Unidentified::Missing);
    check(&missing, 401, Some("InvalidApiKey"), none, "client-unidentified");
    let wait = Duration::from_millis(4_500);
    let throttled = Refusal::Unidentified(Unidentified::Throttled { wait });
    check(&throttled, 429, Some("RateLimit"), none, "client-throttled");
    assert_eq!(throttled.finding().retry, Retry::After(5));
    let url = Refusal::Unidentified(Unidentified::InUrl { name: "token" });
    check(&url, 400, Some("InvalidJson"), none, "request-malformed");
    let alias = Refusal::Unidentified(Unidentified::Alias { name: "x_y".to_owned() });
    check(&alias, 400, Some("InvalidApiKey"), none, "client-ambiguous");
    let host = Refusal::Misdirected(Misdirected::Host("x".to_owned()));
    check(&host, 421, Some("RemoteAddressForbidden"), none, "host-refused");
    let long = Refusal::Unread(Unread::Incomplete(Incomplete::TooLong { limit: 1 }));
    check(&long, 413, Some("InvalidJson"), none, "request-too-large");
    check(&Refusal::Unread(Unread::Slow), 503, None, none, "request-timeout");
    let unknown = |path: &str| {
        let (method, path) = ("POST".to_owned(), path.to_owned());
        Refusal::Unreadable(Unreadable::Unknown { method, path })
    };
    check(&unknown("/v3/unknown"), 403, Some("MissingRole"), none, "operation-unknown");
    let google = unknown("/v1beta/models/gemini-2.5-pro:generateContent");
    check(&google, 403, Some("MissingRole"), none, "wrong-gemini");
    assert!(
        google.finding().line.contains("Google's Gemini API")
            && google.finding().fix[0].by == By::Bot
    );
    let ambiguous = Refusal::Unreadable(Unreadable::Ambiguous);
    check(&ambiguous, 400, Some("InvalidJson"), none, "payload-ambiguous");
}

/// Every denial: the exchange's word, and the cause.
#[test]
fn denials_have_the_exchanges_words() {
    let client = || ClientId::new("bot");
    let operation = || OperationName::new("create_order");
    let text = || Some("x".to_owned());
    let all = [
        (Denial::NotOffered { operation: operation() }, "MissingRole operation-unknown"),
        (
            Denial::Scope { client: client(), operation: operation(), scope: Scope::OrdersCreate },
            "MissingRole scope-missing",
        ),
        (Denial::Frozen { client: client(), everything: true }, "MissingRole client-frozen"),
        (
            Denial::Account { client: client(), account: "a".to_owned() },
            "MissingRole account-refused",
        ),
        (
            Denial::Withdrawal { client: client(), setting: "withdrawals", why: String::new() },
            "MissingRole withdrawal-refused",
        ),
        (Denial::NobodyTransfers { client: client() }, "MissingRole transfer-refused"),
        (Denial::Transfer { client: client(), target: text() }, "MissingRole transfer-refused"),
        (
            Denial::TransferUnchecked { client: client(), field: "x".to_owned() },
            "MissingRole transfer-refused",
        ),
        (
            Denial::CancelAll { client: client(), operation: operation() },
            "MissingRole cancel-all-shared",
        ),
    ];
    all.into_iter().for_each(|(denial, expected)| denied(denial, expected));
}

#[test]
fn refused_orders_have_the_exchanges_words() {
    let client = || ClientId::new("bot");
    let text = || "x".to_owned();
    let (limit, one) = ("orders.max_notional", || Box::new(Decimal::zero()));
    let too_large =
        Denial::TooLarge { client: client(), limit, currency: text(), asked: one(), most: one() };
    let all = [
        (Denial::Symbol { client: client(), symbol: None }, "InvalidSymbol symbol-refused"),
        (Denial::Side { client: client(), side: None }, "InvalidSide side-refused"),
        (Denial::OrderType { client: client(), kind: None }, "InvalidOrderType order-type-refused"),
        (
            Denial::TimeInForce { client: client(), option: text() },
            "InvalidOrderType order-type-refused",
        ),
        (too_large, "InvalidQuantity order-too-large"),
        (
            Denial::UnnamedQuote { client: client(), limit, currency: text() },
            "InvalidQuantity order-too-large",
        ),
        (
            Denial::Unpriceable { client: client(), limit, why: text() },
            "InvalidOrderType order-unpriceable",
        ),
    ];
    all.into_iter().for_each(|(denial, expected)| denied(denial, expected));
    let odd = Refusal::Denied(Denial::Malformed { field: "price", limit, text: text() });
    check(&odd, 400, Some("InvalidJson"), Outcome::NotSent, "request-malformed");
}

#[test]
fn what_is_spent_names_its_setting_and_when_to_come_back() {
    let client = || ClientId::new("bot");
    let max = || Decimal::parse("5000").unwrap();
    let (none, quantity) = (Outcome::NotSent, Some("InvalidQuantity"));
    let cases = [
        (Spent::OrdersPerDay { client: client(), max: 9 }, "max_orders_per_day"),
        (
            Spent::NotionalPerDay { client: client(), currency: "usd".to_owned(), max: max() },
            "max_notional_per_day",
        ),
    ];
    for (spent, setting) in cases {
        let refusal = Refusal::Spent(spent);
        check(&refusal, 403, quantity, none, "daily-limit-reached");
        assert!(refusal.finding().fix[0].text.contains(setting), "{refusal}");
    }
    let open = Refusal::Spent(Spent::OpenOrders { client: client(), max: 2 });
    check(&open, 403, quantity, none, "open-orders-limit");
    assert!(open.finding().fix[0].text.contains("max_open_orders"));
    let destination = "btc 1".to_owned();
    let withdrawal = Spent::WithdrawalPerDay { client: client(), destination, max: max() };
    let withdrawal = Refusal::Spent(withdrawal);
    check(&withdrawal, 403, Some("MissingRole"), none, "withdrawal-refused");
    assert!(withdrawal.finding().fix[0].text.contains("max_per_day"));
    for (millis, seconds) in [(1, 1), (1_000, 1), (1_001, 2)] {
        let wait = Duration::from_millis(millis);
        let rate = Refusal::Spent(Spent::Rate { client: client(), wait });
        check(&rate, 429, Some("RateLimit"), none, "rate-budget-spent");
        assert_eq!(rate.finding().retry, Retry::After(seconds));
        assert!(rate.finding().fix[0].text.contains("`rate`"));
    }
}

#[track_caller]
fn denied(denial: Denial, expected: &str) {
    let (reason, cause) = expected.split_once(' ').unwrap();
    let refusal = Refusal::Denied(denial);
    check(&refusal, 403, Some(reason), Outcome::NotSent, cause);
    let Finding { fix, retry, .. } = refusal.finding();
    assert!(!fix[0].text.is_empty() && retry == Retry::AfterFix, "{refusal}");
}

/// A key that is set aside is refused as the exchange last refused it.
#[test]
fn a_key_set_aside_is_refused_in_the_exchanges_words() {
    let cases = [
        // As answered: status, reason. As told.
        (400, Some("InvalidApiKey"), 400, Some("InvalidApiKey")),
        (403, Some("InvalidApiKey"), 403, Some("InvalidApiKey")),
        (400, Some("InvalidSignature"), 400, Some("InvalidSignature")),
        (403, Some("<foreign>"), 403, Some("InvalidApiKey")),
        // It had none, so none is added.
        (403, None, 403, None),
        // A 5xx would promise something, a 2xx would lie.
        (503, Some("InvalidApiKey"), 403, Some("InvalidApiKey")),
        (200, Some("InvalidApiKey"), 403, Some("InvalidApiKey")),
    ];
    for (status, reason, told_status, told_reason) in cases {
        let refusal = Refusal::Quarantined(Quarantined {
            key: KeyName::new("k"),
            cause: Cause::KeyUnknown,
            wait: Duration::from_millis(12_100),
            n_denied: 3,
            status,
            reason: reason.map(str::to_owned),
            fix: vec![Fix::new(By::AccountOwner, "make a new key")],
        });
        let told = (refusal.status().as_u16(), refusal.reason(), refusal.outcome());
        assert_eq!(told, (told_status, told_reason, Outcome::NotSent), "{status} {reason:?}");
        let Finding { cause, decided_by, retry, fix, line, .. } = refusal.finding();
        assert_eq!((cause, decided_by), (Cause::KeyQuarantined, DecidedBy::Proxy));
        assert_eq!(retry, Retry::After(13), "rounded up: who comes then must not be early");
        assert_eq!(fix, [Fix::new(By::AccountOwner, "make a new key")]);
        assert!(line.contains("sent nothing") && line.ends_with("in 13 s"), "{line}");
    }
}
