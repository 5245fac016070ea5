//! What becomes of a reservation: given back, kept, spent.

use super::*;

fn desk() -> Desk {
    Desk::new(day(Some("100"), None, Some(50)))
}

fn named(id: &str, name: &str, live: bool, executed: &str) -> OrderState {
    OrderState { client_order_id: Some(name.to_owned()), ..state(id, live, executed) }
}

fn later(seconds: u64) -> Moment {
    at(NOW.day, 1_000 + seconds)
}

/// Which numbers of the ledger's orders are followed as open, through the eyes of a limit of none.
#[track_caller]
fn check_open(desk: &mut Desk, expected: u64) {
    let limits = desk.grant.orders.clone();
    for (max, fits) in [(expected, false), (expected + 1, true)] {
        desk.grant.orders.as_mut().unwrap().day = day(None, None, Some(max));
        assert_eq!(desk.order("1", "1").is_ok(), fits, "{expected} are open");
    }
    desk.grant.orders = limits;
}

#[test]
fn what_was_not_sent_or_was_rejected_is_given_back() {
    let mut desk = desk();
    drop(desk.order("60", "1").unwrap());
    for outcome in [Outcome::NotSent, Outcome::Rejected] {
        let mut sent = desk.sent("60", "1", None);
        sent.settle(outcome, &Orders::Nothing, NOW);
        // A second word changes nothing.
        sent.settle(Outcome::Unknown, &Orders::Nothing, NOW);
    }
    desk.check_room(100);
    check_open(&mut desk, 0);
}

#[test]
fn what_may_have_been_sent_is_kept() {
    let mut desk = desk();
    desk.sent("10", "1", None).settle(Outcome::Unknown, &Orders::Nothing, NOW);
    drop(desk.sent("20", "1", None));
    // Executed, and the answer does not say what.
    desk.sent("30", "1", None).settle(Outcome::Executed, &Orders::Nothing, NOW);
    desk.check_room(40);
    check_open(&mut desk, 3);
    let mut desk = desk.restarted();
    desk.check_room(40);
    check_open(&mut desk, 3);
}

#[test]
fn a_live_order_stays_reserved_and_one_that_ended_costs_what_it_executed() {
    for (answer, room, open) in [
        (each("7", true, "0"), 50, 1),
        (each("7", true, "1"), 50, 1),
        (each("7", false, "1"), 90, 0),
        (each("7", false, "0"), 100, 0),
        // More than was ordered is no more than was reserved.
        (each("7", false, "9"), 50, 0),
        // Of several, the one with its name; without a name it might be any.
        (Orders::Each(vec![state("7", false, "0"), named("8", "mine", false, "1")]), 90, 0),
        (Orders::Each(vec![state("7", false, "0"), named("8", "other", false, "1")]), 50, 1),
        (Orders::Active(Vec::new()), 50, 1),
    ] {
        let mut desk = desk();
        desk.sent("5", "10", Some("mine")).settle(Outcome::Executed, &answer, NOW);
        desk.check_room(room);
        check_open(&mut desk, open);
        let mut desk = desk.restarted();
        desk.check_room(room);
        check_open(&mut desk, open);
    }
}

#[test]
fn a_later_answer_ends_an_order() {
    for (told, room, open) in [
        (each("7", false, "2"), 80, 0),
        (each("7", true, "2"), 50, 1),
        (each("8", false, "2"), 50, 1),
        (Orders::Active(vec![state("7", true, "2")]), 50, 1),
        // Nobody knows how much of it was executed.
        (Orders::Active(vec![state("8", true, "0")]), 50, 0),
        (Orders::Active(Vec::new()), 50, 0),
    ] {
        let mut desk = desk();
        desk.sent("5", "10", None).settle(Outcome::Executed, &each("7", true, "0"), NOW);
        desk.learn(&told, later(1));
        desk.check_room(room);
        check_open(&mut desk, open);
    }
}

#[test]
fn a_list_says_nothing_of_what_came_after_it_or_lives_elsewhere() {
    let mut desk = desk();
    desk.sent("5", "10", None).settle(Outcome::Executed, &each("7", true, "0"), later(2));
    let mut pending = desk.sent("1", "10", None);
    let none = Orders::Active(Vec::new());
    desk.learn(&none, later(2));
    desk.budgets.learn(Some(&KeyName::new("other")), None, &none, later(9));
    desk.budgets.learn(Some(&KeyName::new("trading")), Some("sub"), &none, later(9));
    check_open(&mut desk, 2);
    desk.learn(&none, later(3));
    check_open(&mut desk, 1);
    pending.settle(Outcome::Executed, &each("8", false, "0"), later(4));
    check_open(&mut desk, 0);
    desk.check_room(50);
}

#[test]
fn an_order_that_is_gone_may_still_be_told_of() {
    let mut desk = desk();
    desk.sent("5", "10", None).settle(Outcome::Executed, &each("7", true, "0"), NOW);
    desk.learn(&Orders::Active(Vec::new()), later(1));
    desk.learn(&each("7", false, "1"), later(2));
    desk.check_room(90);
    // A list that had not caught up.
    desk.sent("5", "10", None).settle(Outcome::Executed, &each("9", true, "0"), later(3));
    desk.learn(&Orders::Active(Vec::new()), later(4));
    check_open(&mut desk, 0);
    desk.learn(&Orders::Active(vec![state("9", true, "0")]), later(5));
    check_open(&mut desk, 1);
    let desk = desk.restarted();
    desk.learn(&each("9", false, "0"), later(6));
    desk.check_room(90);
}

#[test]
fn what_is_in_doubt_is_open_for_a_minute_at_least() {
    for (asked, open) in [(59, 1), (60, 0), (1_000, 0)] {
        let mut desk = desk();
        desk.sent("10", "1", None).settle(Outcome::Unknown, &Orders::Nothing, NOW);
        desk.learn(&Orders::Active(Vec::new()), later(asked));
        check_open(&mut desk, open);
        desk.check_room(90);
    }
    // Nobody told when it was sent: the first list starts the minute.
    let mut desk = desk();
    drop(desk.sent("10", "1", None));
    for (asked, open) in [(500, 1), (559, 1), (560, 0)] {
        desk.learn(&Orders::Active(Vec::new()), later(asked));
        check_open(&mut desk, open);
    }
}

#[test]
fn an_order_in_doubt_is_known_by_the_name_its_client_gave_it() {
    let cases = [
        (Orders::Each(vec![named("7", "mine", false, "4")]), 1, 96, 0),
        (Orders::Each(vec![named("7", "mine", true, "4")]), 1, 90, 1),
        (Orders::Active(vec![named("7", "mine", true, "4")]), 1_000, 90, 1),
        (Orders::Each(vec![named("7", "other", false, "4")]), 1, 90, 1),
        // Asked for before it was sent: another order of the same name.
        (Orders::Each(vec![named("7", "mine", false, "4")]), 0, 90, 1),
    ];
    for (told, asked, room, open) in cases {
        let mut desk = desk();
        let mut sent = desk.sent("10", "1", Some("mine"));
        sent.settle(Outcome::Unknown, &Orders::Nothing, NOW);
        desk.learn(&told, later(asked));
        desk.check_room(room);
        check_open(&mut desk, open);
        // By its id from now on.
        if room == 90 && asked == 1_000 {
            desk.learn(&each("7", false, "4"), later(1_001));
            desk.check_room(96);
        }
    }
    let mut desk = desk();
    for _ in 0..2 {
        let mut sent = desk.sent("10", "1", Some("mine"));
        sent.settle(Outcome::Unknown, &Orders::Nothing, NOW);
    }
    desk.learn(&Orders::Each(vec![named("7", "mine", false, "0")]), later(5));
    desk.check_room(80);
    check_open(&mut desk, 2);
}

/// A client that begins to count anew with each start gives the same names again.
#[test]
fn an_older_order_of_the_same_name_gives_nothing_back() {
    let old = || named("6", "mine", false, "0");
    let rest = |rest: &str| OrderState { remaining: Some(of(rest)), ..old() };
    for (told, room) in [
        (vec![rest("10")], 100),
        (vec![old()], 100),
        // Of another amount.
        (vec![rest("9")], 90),
        // One of them is the one that is meant.
        (vec![old(), named("7", "mine", true, "0")], 90),
        (vec![named("7", "mine", true, "0"), old()], 90),
    ] {
        let mut desk = desk();
        let mut sent = desk.sent("10", "1", Some("mine"));
        sent.settle(Outcome::Unknown, &Orders::Nothing, NOW);
        desk.learn(&Orders::Each(told.clone()), later(1));
        desk.check_room(room);
        check_open(&mut desk, u64::from(room == 90));
        let mut desk = desk.restarted();
        desk.check_room(room);
        check_open(&mut desk, u64::from(room == 90));
    }
}

#[test]
fn an_answer_of_another_name_is_another_orders() {
    for (told, room) in [
        (named("7", "mine", false, "0"), 100),
        (state("7", false, "0"), 100),
        (named("7", "other", false, "0"), 90),
        (named("7", "mine", false, "1"), 99),
    ] {
        let desk = desk();
        let mut sent = desk.sent("10", "1", Some("mine"));
        sent.settle(Outcome::Executed, &Orders::Each(vec![told.clone()]), NOW);
        desk.check_room(room);
    }
}

/// An exchange that answers a repeated name with the order that is there already.
#[test]
fn one_order_ends_one_reservation() {
    let mut desk = desk();
    for _ in 0..2 {
        let mut sent = desk.sent("10", "1", Some("mine"));
        sent.settle(Outcome::Executed, &each("7", true, "0"), NOW);
    }
    desk.learn(&each("7", false, "0"), later(1));
    desk.check_room(90);
    check_open(&mut desk, 1);
}

#[test]
fn a_day_begins_anew_and_never_comes_back() {
    let mut desk = desk();
    desk.sent("5", "10", None).settle(Outcome::Executed, &each("7", true, "0"), NOW);
    let tomorrow = at(NOW.day + 1, 2_000);
    let call = || order("btcusd", "30", "1", None);
    let mut second = desk.admit(call(), tomorrow).unwrap();
    second.sent();
    second.settle(Outcome::Executed, &each("8", true, "0"), tomorrow);
    for today in [tomorrow, NOW, at(0, 3_000)] {
        desk.check_room_at(today, 70);
    }
    // What an order of yesterday gives back is yesterday's.
    check_open(&mut desk, 2);
    desk.learn(&each("7", false, "0"), tomorrow);
    desk.check_room_at(tomorrow, 70);
    check_open(&mut desk, 1);
    let desk = desk.restarted();
    desk.check_room_at(NOW, 70);
    desk.learn(&each("8", false, "0"), tomorrow);
    desk.check_room_at(NOW, 100);
}

/// A client that places and never asks.
#[test]
fn memory_is_bounded_and_what_is_let_go_stays_spent() {
    const MOST: u64 = book::MOST as u64;
    let desk = Desk::new(day(None, Some(10 * MOST), None));
    for n in 0..MOST + 10 {
        let mut sent = desk.sent("1", "1", None);
        sent.settle(Outcome::Executed, &each(&n.to_string(), true, "0"), NOW);
    }
    assert_eq!(desk.budgets.let_go(), 10);
    let before = desk.paper.entries().len();
    desk.learn(&each("9", false, "0"), later(1));
    desk.learn(&each("10", false, "0"), later(1));
    assert_eq!(desk.paper.entries().len(), before + 2, "both can still be told of today");
}
