//! When a key is set aside, and when it is tried again.

use super::*;

const UNKNOWN: Cause = Cause::KeyUnknown;

impl Desk {
    /// `sent`, or how many seconds to wait.
    fn gate(&self) -> String {
        self.health
            .gate(&key("k"), self.now)
            .and_then(|pass| pass.used(self.now))
            .map_or_else(|it| it.seconds().to_string(), |()| "sent".to_owned())
    }

    fn aside() -> Self {
        let desk = Self::open();
        desk.rejected("balances", UNKNOWN);
        desk.rejected("balances", UNKNOWN);
        assert_eq!(desk.rejected("balances", UNKNOWN), "aside k key-unknown");
        desk
    }
}

#[test]
fn three_in_a_row_set_a_key_aside() {
    let desk = Desk::aside();
    assert_eq!(desk.gate(), "30");
    let refused = desk.health.gate(&key("k"), desk.now).unwrap_err();
    assert_eq!((refused.status, refused.reason.as_deref()), (400, Some("InvalidApiKey")));
    assert_eq!((refused.cause, &*refused.fix[0].text), (UNKNOWN, "mend key-unknown"));
    assert_eq!(
        refused.to_string(),
        "geminid has set the key `k` aside and sent nothing: the exchange refused it 3 times in a row (key-unknown), and one call in 30 s is let through to see whether it takes the key again, the next in 30 s"
    );
    assert!(desk.health.gate(&key("l"), desk.now).is_ok(), "another key");
}

/// A word of refusal that something else contradicts is no proof.
#[test]
fn what_is_only_likely_sets_no_key_aside() {
    let desk = Desk::open();
    let likely = Finding { confidence: Confidence::Likely, ..finding(UNKNOWN) };
    for _ in 0..5 {
        let rejected = Rejected {
            key: Some(&key("k")),
            operation: &operation("balances"),
            finding: &likely,
            request_id: Ulid::default(),
            sent: desk.now,
            status: 503,
            reason: None,
            report: "{}",
        };
        desk.health.rejected(&rejected, at(desk.now));
        assert_eq!(desk.gate(), "sent");
    }
}

/// What comes between the second and the third, and whether the key is set aside all the same.
#[test]
fn only_what_shows_that_the_key_is_known_ends_the_row() {
    use Cause as C;
    let between = [
        (C::EdgeBlocked, true),
        (C::CaptivePortal, true),
        (C::UpstreamTimeout, true),
        (C::Maintenance, true),
        (C::RateLimited, true),
        (C::Unexplained, true),
        (C::HeadersMissing, true),
        (C::KeyRoleMissing, false),
        (C::KeyIpNotTrusted, false),
        (C::NonceKeyShared, false),
        (C::AccountRestricted, false),
    ];
    for (cause, aside) in between {
        let desk = Desk::open();
        desk.rejected("balances", UNKNOWN);
        desk.rejected("balances", C::SignatureWrong);
        desk.rejected("balances", cause);
        let turned = desk.rejected("balances", UNKNOWN);
        assert_eq!(turned.contains("aside"), aside, "{cause:?}: {turned}");
        assert_eq!(desk.gate() == "30", aside, "{cause:?}");
    }
    for cause in Cause::ALL {
        if matches!(cause, C::KeyUnknown | C::SignatureWrong) {
            continue;
        }
        let desk = Desk::open();
        let turned: String = (0..5).map(|_| desk.rejected("balances", *cause)).collect();
        assert!(!turned.contains("aside") && desk.gate() == "sent", "{cause:?}");
    }
    let desk = Desk::open();
    desk.rejected("balances", UNKNOWN);
    desk.rejected("balances", UNKNOWN);
    desk.worked("balances");
    assert_eq!(desk.rejected("balances", UNKNOWN), "");
}

#[test]
fn one_trial_in_thirty_seconds_and_a_success_releases() {
    let mut desk = Desk::aside();
    desk.later(29);
    assert_eq!(desk.gate(), "1");
    desk.later(1);
    assert_eq!((desk.gate(), desk.gate()), ("sent".to_owned(), "30".to_owned()));
    // The trial is rejected five seconds later, which begins the wait anew.
    desk.later(5);
    assert_eq!(desk.rejected("balances", UNKNOWN), "");
    desk.later(29);
    assert_eq!(desk.gate(), "1");
    desk.later(1);
    assert_eq!(desk.gate(), "sent");
    // An edge answers the trial: neither.
    assert_eq!(desk.rejected("balances", Cause::EdgeBlocked), "");
    assert_eq!(desk.gate(), "30");
    desk.later(30);
    assert_eq!(desk.gate(), "sent");
    let turned = desk.worked("balances");
    assert!(turned.starts_with("released k"), "{turned}");
    assert_eq!((desk.gate(), desk.gate()), ("sent".to_owned(), "sent".to_owned()));
    // The row begins anew.
    desk.rejected("balances", UNKNOWN);
    desk.rejected("balances", UNKNOWN);
    assert_eq!(desk.gate(), "sent");
}

#[test]
fn a_rejection_that_knows_the_key_releases_it() {
    let desk = Desk::aside();
    let turned = desk.rejected("balances", Cause::KeyRoleMissing);
    assert!(turned.contains("released k"), "{turned}");
    assert_eq!(desk.gate(), "sent");
}

#[test]
fn another_secret_need_not_wait() {
    let desk = Desk::aside();
    assert_eq!(all(&desk.health.renewed(&key("k"), desk.now)), "released k");
    assert_eq!(all(&desk.health.renewed(&key("k"), desk.now)), "");
    assert_eq!(desk.gate(), "sent");
}

#[test]
fn a_trial_that_was_not_sent_is_given_back() {
    let mut desk = Desk::aside();
    desk.later(30);
    let k = key("k");
    let trial = desk.health.gate(&k, desk.now).unwrap();
    assert_eq!(desk.gate(), "30");
    drop(trial);
    assert_eq!(desk.gate(), "sent");
    // Not if the exchange has spoken meanwhile.
    desk.later(30);
    let trial = desk.health.gate(&k, desk.now).unwrap();
    desk.now += Duration::from_millis(1);
    assert_eq!(desk.rejected("balances", UNKNOWN), "");
    drop(trial);
    assert_eq!(desk.gate(), "30");
}

#[test]
fn a_call_that_waited_is_asked_again() {
    let mut desk = Desk::open();
    let (k, now) = (key("k"), desk.now);
    let early = desk.health.gate(&k, now).unwrap();
    assert!(early.used(now).is_ok());
    let waiting = desk.health.gate(&k, now).unwrap();
    (0..3).for_each(|_| drop(desk.rejected("balances", UNKNOWN)));
    assert_eq!(waiting.used(now).unwrap_err().seconds(), 30);
    desk.later(30);
    assert_eq!(desk.gate(), "sent", "who was refused has taken no trial");
}

/// Bots ask for several things at a time: three answers of one moment are no row of three.
#[test]
fn calls_that_were_under_way_together_count_once() {
    let mut desk = Desk::open();
    for n_before in 0..3 {
        assert_eq!(desk.gate(), "sent", "after {n_before}");
        let sent = desk.now;
        desk.later(1);
        let turned: Vec<String> =
            (0..4).map(|_| desk.rejected_of(sent, "balances", UNKNOWN)).collect();
        assert_eq!(turned.iter().any(|it| it.contains("aside")), n_before == 2, "{turned:?}");
    }
    // Of those that were under way when it was set aside none puts the trial off.
    let sent = desk.now.checked_sub(Duration::from_secs(1)).unwrap();
    desk.later(29);
    desk.rejected_of(sent, "balances", UNKNOWN);
    assert_eq!(desk.gate(), "1");
}

/// A secret is replaced while many calls are under way: what they were signed with is gone already.
#[test]
fn calls_signed_with_the_secret_before_count_no_more() {
    let mut desk = Desk::open();
    let sent = desk.now;
    desk.later(1);
    desk.health.renewed(&key("k"), desk.now);
    assert!(desk.health.is_renewed_since(&key("k"), sent));
    assert!(!desk.health.is_renewed_since(&key("k"), desk.now));
    assert!(!desk.health.is_renewed_since(&key("l"), sent));
    for _ in 0..5 {
        desk.later(1);
        assert!(!desk.rejected_of(sent, "balances", Cause::SignatureWrong).contains("aside"));
    }
    assert_eq!(desk.gate(), "sent");
    let turned: String = (0..3).map(|_| desk.rejected("balances", Cause::SignatureWrong)).collect();
    assert!(turned.contains("aside"), "the new one is wrong too: {turned}");
}
