//! When an incident opens, and what closes it.

use super::*;

#[test]
fn two_within_five_minutes_open_one() {
    let mut desk = Desk::open();
    assert_eq!(desk.rejected("new_order", Cause::KeyRoleMissing), "");
    desk.later(299);
    assert_eq!(desk.rejected("cancel", Cause::KeyRoleMissing), "opened key-role-missing k");
    assert_eq!(desk.rejected("new_order", Cause::KeyRoleMissing), "", "told once");
    let open = desk.overview().open;
    assert_eq!((open.len(), open[0].n_rejected, open[0].lasted.as_secs()), (1, 3, 299));
    assert_eq!(open[0].operations, [operation("new_order"), operation("cancel")]);
    assert_eq!((&*open[0].line, &*open[0].report), ("it is key-role-missing", r#"{"cause":"x"}"#));
    assert_eq!(open[0].fix.as_ref().unwrap().text, "mend key-role-missing");
}

#[test]
fn too_late_of_another_cause_or_with_a_success_between_is_none() {
    let mut desk = Desk::open();
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.later(300);
    assert_eq!(desk.rejected("new_order", Cause::KeyRoleMissing), "");
    assert_eq!(desk.rejected("new_order", Cause::AccountRestricted), "");
    assert_eq!(desk.rejected("l/new_order", Cause::KeyRoleMissing), "", "another key");
    assert_eq!(desk.worked("new_order"), "");
    assert_eq!(desk.rejected("new_order", Cause::KeyRoleMissing), "");
    assert!(desk.overview().open.is_empty());
    // Another operation proves nothing.
    desk.worked("balances");
    assert_eq!(desk.rejected("new_order", Cause::KeyRoleMissing), "opened key-role-missing k");
}

/// What each cause is counted against, and which later success or rejection closes it.
#[test]
fn what_closes_what() {
    use Cause as C;
    let causes = [
        // Cause, whose, and whether it is closed by: the operation, another of the key, public data,
        // another key, a rejection that shows the key is known.
        (C::KeyUnknown, "k", [true, true, false, false, true]),
        (C::SignatureWrong, "k", [true, true, false, false, true]),
        (C::KeyIpNotTrusted, "k", [true, true, false, false, false]),
        (C::NonceClock, "k", [true, true, false, false, false]),
        (C::HeadersMissing, "k", [true, true, false, false, false]),
        (C::KeyRoleMissing, "k", [true, false, false, false, false]),
        (C::TermsNotAccepted, "k", [true, false, false, false, false]),
        (C::Unexplained, "k", [true, false, false, false, false]),
        (C::Maintenance, "address", [true, false, false, false, false]),
        (C::EdgeBlocked, "address", [true, false, false, false, true]),
        (C::UpstreamTimeout, "address", [true, false, false, false, true]),
        (C::UpstreamUnreachable, "address", [true, true, true, true, true]),
    ];
    for (cause, whose, closes) in causes {
        for (n, closes) in closes.into_iter().enumerate() {
            let desk = Desk::open();
            desk.rejected("new_order", cause);
            let opened = desk.rejected("new_order", cause);
            assert_eq!(opened, format!("opened {} {whose}", cause.code()));
            let turned = match n {
                0 => desk.worked("new_order"),
                1 => desk.worked("balances"),
                2 => desk.worked("/symbols"),
                3 => desk.worked("l/balances"),
                _ => desk.rejected("new_order", C::AccountTypeWrong),
            };
            let closed = format!("closed {} {whose} ", cause.code());
            assert_eq!(turned.starts_with(&closed), closes, "{cause:?} {n}: {turned}");
            let Overview { open, closed, .. } = desk.overview();
            assert_eq!((open.len(), closed.len()), (usize::from(!closes), usize::from(closes)));
        }
    }
}

#[test]
fn rejections_of_unsigned_calls_are_the_addresss() {
    let mut desk = Desk::open();
    for cause in [Cause::RateLimited, Cause::RegionRestricted, Cause::Unexplained] {
        desk.rejected("/symbols", cause);
        let opened = desk.rejected("/symbols", cause);
        assert_eq!(opened, format!("opened {} address", cause.code()));
    }
    assert_eq!(desk.worked("k/balances"), "", "too early to tell of a rate");
    desk.later(60);
    let closed = "closed rate-limited address accepted";
    assert_eq!(desk.worked("k/balances"), closed, "the others are of the operation");
}

#[test]
fn all_operations_that_were_tried_lately_must_work() {
    let mut desk = Desk::open();
    desk.rejected("cancel_all", Cause::KeyRoleMissing);
    desk.later(200);
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.rejected("balances", Cause::KeyRoleMissing);
    assert_eq!(desk.worked("new_order"), "");
    desk.later(99);
    assert_eq!(desk.worked("balances"), "", "cancel_all was rejected 299 s ago");
    desk.later(1);
    assert_eq!(desk.worked("balances"), "closed key-role-missing k operation");
}

/// An edge that blocks one path made an incident of every two rejections, because the answer to any other
/// call closed the one before.
#[test]
fn an_edge_that_blocks_one_path_is_told_once() {
    for cause in [Cause::EdgeBlocked, Cause::EdgeError, Cause::UpstreamTimeout] {
        let mut desk = Desk::open();
        desk.rejected("new_order", cause);
        assert_eq!(desk.worked("balances"), "");
        assert_eq!(desk.rejected("new_order", cause), format!("opened {} address", cause.code()));
        for _ in 0..50 {
            desk.later(20);
            assert_eq!(desk.worked("balances") + &desk.worked("/symbols"), "");
            assert_eq!(desk.rejected("new_order", cause), "", "{cause:?}: told once");
        }
        // By whatever key: the address is what was blocked.
        let closed = format!("closed {} address answered", cause.code());
        assert_eq!(desk.worked("l/new_order"), closed);
        // And of what nobody calls any more, any answer is enough after a while.
        desk.later(300);
        desk.rejected("withdraw", cause);
        desk.rejected("withdraw", cause);
        desk.later(299);
        assert_eq!(desk.worked("balances"), "");
        desk.later(1);
        assert_eq!(desk.worked("balances"), closed);
    }
}

/// At its limit the exchange lets every other call in.
#[test]
fn a_rate_is_over_when_nothing_was_refused_for_a_minute() {
    for (cause, whose) in [(Cause::RateLimited, "k"), (Cause::EdgeRateLimited, "address")] {
        let mut desk = Desk::open();
        desk.rejected("transfers", cause);
        assert_eq!(desk.worked("transfers"), "");
        let opened = format!("opened {} {whose}", cause.code());
        assert_eq!(desk.rejected("transfers", cause), opened);
        for _ in 0..50 {
            desk.later(5);
            assert_eq!(desk.worked("transfers"), "");
            assert_eq!(desk.rejected("transfers", cause), "", "{cause:?}: told once");
        }
        desk.later(59);
        assert_eq!(desk.worked("balances"), "");
        desk.later(1);
        let closed = format!("closed {} {whose} accepted", cause.code());
        assert_eq!(desk.worked("balances"), closed);
        // One, and then none for a minute, is forgotten.
        desk.rejected("transfers", cause);
        desk.later(60);
        desk.worked("transfers");
        assert_eq!(desk.rejected("transfers", cause), "");
    }
}

/// Half of the exchange's servers are down, or another program now and then uses the key.
#[test]
fn what_comes_and_goes_is_told_twice_and_then_held() {
    for cause in [Cause::Maintenance, Cause::NonceKeyShared, Cause::EdgeError, Cause::KeyUnknown] {
        let mut desk = Desk::open();
        let twice = |desk: &Desk| {
            desk.rejected("new_order", cause);
            desk.rejected("new_order", cause)
        };
        assert!(twice(&desk).starts_with("opened "));
        assert!(desk.worked("new_order").starts_with("closed "), "{cause:?}");
        desk.later(30);
        assert!(twice(&desk).starts_with("opened "));
        for _ in 0..50 {
            desk.later(30);
            assert_eq!(desk.worked("new_order"), "", "{cause:?}");
            assert_eq!(twice(&desk), "", "{cause:?}");
        }
        desk.later(299);
        assert_eq!(desk.worked("new_order"), "");
        desk.later(1);
        assert!(desk.worked("new_order").starts_with("closed "), "{cause:?}");
        // Long after it is a new one.
        desk.later(300);
        assert!(twice(&desk).starts_with("opened "));
        assert!(desk.worked("new_order").starts_with("closed "), "{cause:?}");
    }
}

#[test]
fn an_hour_of_silence_closes() {
    let mut desk = Desk::open();
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.later(3_599);
    assert!(desk.health.settle(at(desk.now)).is_empty());
    desk.later(1);
    assert_eq!(all(&desk.health.settle(at(desk.now))), "closed key-role-missing k quiet");
    assert!(desk.health.settle(at(desk.now)).is_empty(), "told once");
    // At the next event, if nobody asks.
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.rejected("new_order", Cause::KeyRoleMissing);
    desk.later(3_600);
    let turned = desk.rejected("new_order", Cause::KeyRoleMissing);
    assert_eq!(turned, "closed key-role-missing k quiet");
    assert_eq!(desk.rejected("new_order", Cause::KeyRoleMissing), "opened key-role-missing k");
}

#[test]
fn fifty_closed_ones_are_kept() {
    let mut desk = Desk::open();
    for _ in 0..60 {
        desk.later(300);
        desk.rejected("new_order", Cause::KeyRoleMissing);
        desk.rejected("new_order", Cause::KeyRoleMissing);
        desk.later(1);
        desk.worked("new_order");
    }
    let closed = desk.overview().closed;
    assert_eq!(closed.len(), 50);
    assert!(closed[0].began > closed[49].began, "the latest first");
    let (ended, _) = closed[0].ended.unwrap();
    assert_eq!(ended.since(closed[0].began), Duration::from_secs(1));
}

/// An edge that took offence at one call since then: that others are answered does not clear the change.
#[test]
fn a_change_before_an_edge_blocks_one_path_is_named() {
    let mut desk = Desk::open();
    desk.worked("new_order");
    desk.later(5);
    desk.health.changed(ChangeKind::Reload, "policy a → b".to_owned(), desk.now);
    desk.later(5);
    desk.worked("balances");
    desk.rejected("new_order", Cause::EdgeBlocked);
    desk.rejected("new_order", Cause::EdgeBlocked);
    assert_eq!(desk.overview().open.remove(0).change.unwrap().detail, "policy a → b");
}

/// The first rejection after a change that nothing worked after.
#[test]
fn the_change_right_before_is_named() {
    let cases = [
        // Worked, changed, worked, rejected; in seconds. The change explains it or not.
        (Some(0), 10, None, 20, true),
        (Some(0), 10, None, 310, true),
        (Some(0), 10, None, 311, false),
        (Some(0), 10, Some(15), 20, false),
        (None, 10, None, 20, false),
    ];
    for (before, changed, after, rejected, explains) in cases {
        let mut desk = Desk::open();
        let start = desk.now;
        let moment = |it| start + Duration::from_secs(it);
        let works = |it| drop(desk.health.worked(Some(&key("k")), &operation("x"), at(moment(it))));
        before.into_iter().for_each(works);
        desk.health.changed(ChangeKind::Reload, "policy a → b".to_owned(), moment(changed));
        after.into_iter().for_each(works);
        desk.now = moment(rejected);
        desk.rejected("x", Cause::KeyRoleMissing);
        desk.rejected("x", Cause::KeyRoleMissing);
        let named = desk.overview().open.remove(0).change.map(|it| it.detail);
        let expected = explains.then(|| "policy a → b".to_owned());
        assert_eq!(named, expected, "{before:?} {changed} {after:?} {rejected}");
    }
}
