//! Rows, incidents, quarantine: each rule with a near miss.

mod incidents;
mod quarantine;
mod random;

use std::time::Duration;

use super::*;
use crate::diagnose::{By, Confidence, DecidedBy, Fix, Lately, Retry};

/// What an upstream's health is told, with a clock.
struct Desk {
    health: Health,
    now: Duration,
}

fn key(name: &str) -> KeyName {
    KeyName::new(name)
}

fn operation(name: &str) -> OperationName {
    OperationName::new(name)
}

fn at(now: Duration) -> Reading {
    Reading { wall: UnixMicros::from_secs(1_790_000_000).plus(now), monotonic: now }
}

fn finding(cause: Cause) -> Finding {
    Finding {
        cause,
        decided_by: DecidedBy::Upstream,
        confidence: Confidence::Certain,
        line: format!("it is {}", cause.code()),
        evidence: Vec::new(),
        fix: vec![Fix::new(By::Operator, format!("mend {}", cause.code()))],
        resolution: "immediate",
        retry: Retry::AfterFix,
    }
}

/// What a turn is, in short: `opened key-unknown k`, `released k`.
fn short(turned: &Turned) -> String {
    let of = |it: &Incident| {
        let key = it.key.as_ref().map_or("address", |it| it.as_str());
        format!("{} {key}", it.cause.code())
    };
    match turned {
        Turned::Opened(it) => format!("opened {}", of(it)),
        Turned::Closed(it) => format!("closed {} {}", of(it), it.ended.unwrap().1),
        Turned::Quarantined { key, cause } => format!("aside {key} {}", cause.code()),
        Turned::Released { key, .. } => format!("released {key}"),
    }
}

fn all(turned: &[Turned]) -> String {
    turned.iter().map(short).collect::<Vec<_>>().join(", ")
}

impl Desk {
    fn open() -> Self {
        let health = Health::of(&[key("k"), key("l")]);
        Self { health, now: Duration::from_secs(1_000) }
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// A call of `k`, unless it is said otherwise as `l/balances` or `/symbols`. Empty: nothing turned.
    fn worked(&self, call: &str) -> String {
        let (key, operation) = parse(call);
        all(&self.health.worked(key.as_ref(), &operation, at(self.now)))
    }

    fn rejected(&self, call: &str, cause: Cause) -> String {
        self.rejected_of(self.now, call, cause)
    }

    /// Of a call that was sent then.
    fn rejected_of(&self, sent: Duration, call: &str, cause: Cause) -> String {
        let (key, operation) = parse(call);
        let finding = finding(cause);
        let rejected = Rejected {
            key: key.as_ref(),
            operation: &operation,
            finding: &finding,
            request_id: Ulid::new(at(self.now).wall),
            sent,
            status: 400,
            reason: Some("InvalidApiKey"),
            report: r#"{"cause":"x"}"#,
        };
        all(&self.health.rejected(&rejected, at(self.now)))
    }

    fn past(&self, call: &str) -> Past {
        let (key, operation) = parse(call);
        self.health.past(key.as_ref(), &operation, self.now)
    }

    fn overview(&self) -> Overview {
        self.health.overview(at(self.now))
    }
}

fn parse(call: &str) -> (Option<KeyName>, OperationName) {
    let (of, name) = call.split_once('/').unwrap_or(("k", call));
    ((!of.is_empty()).then(|| key(of)), operation(name))
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn the_past_is_as_it_was_before() {
    let mut desk = Desk::open();
    assert_eq!(desk.past("balances").key, Lately::default());
    desk.worked("balances");
    desk.worked("l/balances");
    desk.later(10);
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.later(5);
    desk.rejected("new_order", Cause::KeyIpNotTrusted);
    desk.later(1);
    let Past { key, operation, address, others } = desk.past("new_order");
    let refused = |worked| Lately {
        worked,
        n_refused: 2,
        refused: Some((Cause::KeyIpNotTrusted, Duration::from_secs(6))),
    };
    assert_eq!((key, operation), (refused(seconds(16)), refused(None)));
    // The exchange itself has spoken.
    assert_eq!(address, Lately { worked: seconds(1), ..Lately::default() });
    assert_eq!(others, [("l".to_owned(), Lately { worked: seconds(16), ..Lately::default() })]);
    assert_eq!(desk.past("balances").operation.worked, seconds(16));

    desk.worked("new_order");
    assert_eq!(desk.past("new_order").key, Lately { worked: seconds(0), ..Lately::default() });
}

#[test]
fn an_edge_counts_against_the_address_and_not_against_the_key() {
    let mut desk = Desk::open();
    desk.worked("balances");
    desk.later(3);
    desk.rejected("balances", Cause::EdgeBlocked);
    let past = desk.past("balances");
    assert_eq!((past.key.n_refused, past.operation.n_refused, past.address.n_refused), (0, 1, 1));
    assert_eq!(past.address.worked, seconds(3));
    // Public data has no key: its rejections are the address's.
    desk.rejected("/symbols", Cause::RateLimited);
    let past = desk.past("/symbols");
    assert_eq!((past.operation.n_refused, past.address.n_refused), (1, 2));
    assert_eq!(past.others.len(), 2);
    // What the proxy refuses itself teaches nothing.
    desk.rejected("balances", Cause::KeyQuarantined);
    assert_eq!(desk.past("balances").operation.n_refused, 1);
}

#[test]
fn changes_are_told_for_ten_minutes() {
    let desk = Desk::open();
    let change = |seconds| {
        let now = Duration::from_secs(seconds);
        desk.health.changed(ChangeKind::Reload, format!("at {seconds}"), now);
    };
    let told = |now| {
        let all = desk.health.changes(Duration::from_secs(now));
        all.into_iter().map(|it| format!("{} {}", it.detail, it.ago.as_secs())).collect::<Vec<_>>()
    };
    change(0);
    change(100);
    assert_eq!(told(599), ["at 100 499", "at 0 599"]);
    assert_eq!(told(600), ["at 100 500"]);
    (200..300).for_each(change);
    assert_eq!(told(300).len(), MOST_CHANGES);
    assert_eq!(told(300)[0], "at 299 1");
}

/// It was a kind of change that rules knew of and nobody took in.
#[test]
fn another_address_is_a_change_told_once() {
    let mut desk = Desk::open();
    let left = |desk: &Desk, from: &str| desk.health.left_from(from.parse().unwrap(), desk.now);
    let told = |desk: &Desk| {
        let all = desk.health.changes(desk.now).into_iter();
        all.map(|it| format!("{} {}", it.what.as_str(), it.detail)).collect::<Vec<_>>()
    };
    desk.worked("balances");
    left(&desk, "192.0.2.1");
    left(&desk, "192.0.2.1");
    assert!(told(&desk).is_empty(), "the first is no change");
    desk.later(5);
    left(&desk, "192.0.2.2");
    desk.rejected("balances", Cause::KeyIpNotTrusted);
    desk.rejected("balances", Cause::KeyIpNotTrusted);
    let change = desk.overview().open.remove(0).change.unwrap();
    assert_eq!((change.what, &*change.detail), (ChangeKind::Egress, "192.0.2.1 → 192.0.2.2"));
    for _ in 0..50 {
        left(&desk, "2001:db8::1");
        left(&desk, "192.0.2.2");
    }
    assert_eq!(
        told(&desk),
        [
            "egress 2001:db8::1 → 192.0.2.2",
            "egress 192.0.2.2 → 2001:db8::1",
            "egress 192.0.2.1 → 192.0.2.2"
        ]
    );
    desk.later(600);
    left(&desk, "2001:db8::1");
    assert_eq!(told(&desk).len(), 1);
}

#[test]
fn one_question_a_minute_for_each_key() {
    let health = Health::default();
    let asks = |key: Option<&KeyName>, seconds| health.may_ask(key, Duration::from_secs(seconds));
    assert!(asks(Some(&key("k")), 0));
    assert!(!asks(Some(&key("k")), 59));
    assert!(asks(Some(&key("l")), 59), "another key");
    assert!(asks(None, 59), "no key at all");
    assert!(!asks(None, 118));
    assert!(asks(Some(&key("k")), 60));
}

#[test]
fn roles_are_bounded() {
    let health = Health::default();
    let now = Duration::from_secs(5);
    assert_eq!(health.roles(&key("k"), now), None);
    health.learned_roles(&key("k"), vec!["Trader".to_owned(), "x".repeat(99)], now);
    let (roles, ago) = health.roles(&key("k"), Duration::from_secs(7)).unwrap();
    assert_eq!((&roles, ago), (&vec!["Trader".to_owned(), "x".repeat(40)], Duration::from_secs(2)));
    health.learned_roles(&key("k"), vec!["r".to_owned(); 99], now);
    assert_eq!(health.roles(&key("k"), now).unwrap().0.len(), MOST_ROLES);
}

#[test]
fn operations_are_bounded() {
    let desk = Desk::open();
    for n in 0..2_000 {
        desk.worked(&format!("operation-{n}"));
        desk.worked(&format!("/operation-{n}"));
    }
    let state = desk.health.state();
    assert_eq!((state.unsigned.len(), state.keys[&key("k")].operations.len()), (512, 512));
}

#[test]
fn keys_as_they_are_shown() {
    let mut desk = Desk::open();
    desk.worked("balances");
    desk.later(60);
    let condition = |desk: &Desk, name: &str| {
        desk.health.conditions().into_iter().find(|it| it.0 == key(name)).unwrap().1
    };
    assert_eq!((condition(&desk, "k"), condition(&desk, "l")), (Condition::Ok, Condition::Unused));
    desk.rejected("balances", Cause::EdgeBlocked);
    assert_eq!(condition(&desk, "k"), Condition::Ok);
    desk.rejected("balances", Cause::KeyUnknown);
    assert_eq!(condition(&desk, "k"), Condition::Rejected);
    desk.later(5);
    let shown = desk.overview().keys.remove(0);
    let wall = |ago: u64| Some(UnixMicros(at(desk.now).wall.0 - ago * 1_000_000));
    assert_eq!((shown.worked, shown.rejected), (wall(65), wall(5)));
    assert_eq!((shown.condition, shown.cause), (Condition::Rejected, Some(Cause::KeyUnknown)));
    desk.rejected("balances", Cause::KeyUnknown);
    desk.rejected("balances", Cause::KeyUnknown);
    assert_eq!(condition(&desk, "k"), Condition::Quarantined);
}
