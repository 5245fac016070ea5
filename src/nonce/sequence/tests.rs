//! The state machine: what it promises, whatever clock and exchange do.

use proptest::prelude::*;

use super::*;

const NOW: UnixMicros = UnixMicros::from_secs(1_790_000_000);

fn increasing() -> Sequence {
    Sequence::new(Setting::Increasing, None, None)
}

fn time() -> Sequence {
    Sequence::new(Setting::Time, None, None)
}

/// A nonce, with the disk playing along.
fn take(sequence: &mut Sequence, now: UnixMicros) -> Result<Nonce, NotNow> {
    match sequence.advance(now) {
        Err(NotNow::Reserve) => {
            sequence.reserved(sequence.top_up(now).unwrap());
            sequence.advance(now)
        }
        other => other,
    }
}

fn after(seconds: u64) -> UnixMicros {
    NOW.plus(Duration::from_secs(seconds))
}

fn before(seconds: u64) -> UnixMicros {
    UnixMicros(NOW.0 - seconds * 1_000_000)
}

#[test]
fn forms() {
    let now = UnixMicros(1_790_000_000_123_456);
    assert_eq!(take(&mut increasing(), now).unwrap().to_string(), "1790000000123");
    assert_eq!(take(&mut time(), now).unwrap().to_string(), "1790000000.123456");
    let mut nanos = Sequence::new(Setting::Increasing, Some(Unit::Nanos), None);
    assert_eq!(take(&mut nanos, now).unwrap().to_string(), "1790000000123456000");
    let mut micros = Sequence::new(Setting::Increasing, Some(Unit::Micros), None);
    assert_eq!(take(&mut micros, now).unwrap().to_string(), "1790000000123456");
    let mut whole = Sequence::new(Setting::Time, Some(Unit::Seconds), None);
    assert_eq!(take(&mut whole, now).unwrap().to_string(), "1790000000");
    assert_eq!(Nonce::PROBE.to_string(), "1");
}

#[test]
fn learning() {
    let learned = |verdict| {
        let mut sequence = Sequence::new(Setting::Auto, None, None);
        assert_eq!(sequence.mode(), Mode::Unknown);
        let taught = sequence.learn(verdict);
        (taught, sequence.mode(), sequence.is_serial())
    };
    let outside = Verdict::OutsideWindow { server: Some(NOW) };
    assert_eq!(learned(outside), (true, Mode::Time, false));
    assert_eq!(learned(Verdict::NotIncreased), (true, Mode::Increasing, true));
    assert_eq!(learned(Verdict::Accepted), (true, Mode::Increasing, true));
    assert_eq!(learned(Verdict::Silent), (false, Mode::Unknown, true));
}

#[test]
fn what_was_learned_is_kept_and_a_setting_overrules_it() {
    let mut sequence = increasing();
    take(&mut sequence, NOW).unwrap();
    let kept = sequence.close().unwrap();
    let again = Sequence::new(Setting::Auto, None, Some(kept));
    assert_eq!((again.mode(), again.unit()), (Mode::Increasing, Unit::Millis));
    let other = Sequence::new(Setting::Time, None, Some(kept));
    assert_eq!((other.mode(), other.unit()), (Mode::Time, Unit::Micros));
}

/// What a start finds whose mark lies so many seconds ahead of the clock.
#[track_caller]
fn resumed(mode: Mode, unit: Unit, lead: u64) -> Result<u64, NotNow> {
    let mark = unit.of(after(lead));
    let kept = Kept { mode, unit, serial: true, succeeded: true, mark, exact: false };
    let mut sequence = Sequence::new(Setting::Auto, None, Some(kept));
    take(&mut sequence, NOW).map(|it| it.value - mark)
}

#[test]
fn a_start_leads_the_clock_by_ten_seconds_and_then_waits() {
    let wait = |micros| Err(NotNow::Wait(Duration::from_micros(micros)));
    let (increasing, time) = (Mode::Increasing, Mode::Time);
    for unit in [Unit::Millis, Unit::Micros, Unit::Nanos] {
        assert_eq!(resumed(increasing, unit, 0), Ok(1), "{unit}");
        assert_eq!(resumed(increasing, unit, 9), Ok(1), "{unit}");
    }
    assert_eq!(resumed(increasing, Unit::Millis, 10), wait(1_000));
    assert_eq!(resumed(increasing, Unit::Nanos, 10), wait(1));
    assert_eq!(resumed(time, Unit::Micros, 9), Ok(1));
    assert_eq!(resumed(time, Unit::Micros, 59), wait(49_000_001));
    assert_eq!(resumed(time, Unit::Micros, 60), Err(NotNow::ClockUntrusted));
    // Whole seconds run ahead in any case, and have a limit of their own.
    assert_eq!(resumed(time, Unit::Seconds, 19), Ok(1));
    assert_eq!(resumed(time, Unit::Seconds, 20), wait(1_000_000));
}

#[test]
fn a_loop_of_crashes_builds_no_lead() {
    for (mode, unit, most) in [
        (Mode::Increasing, Unit::Millis, 12),
        (Mode::Time, Unit::Micros, 12),
        (Mode::Time, Unit::Seconds, 23),
    ] {
        let setting = if mode == Mode::Time { Setting::Time } else { Setting::Increasing };
        let mut disk = None;
        // A hundred starts in one second, with and without a request.
        for round in 0..100 {
            let now = NOW.plus(Duration::from_millis(10 * round));
            let mut sequence = Sequence::new(setting, Some(unit), disk);
            disk = sequence.top_up(now).or(disk);
            sequence.reserved(disk.unwrap());
            let taken = sequence.advance(now);
            let limit = unit.of(after(most));
            assert!(taken.is_err() || taken.unwrap().value <= limit, "{taken:?} of {limit}");
            assert!(disk.unwrap().mark <= limit, "{disk:?} of {limit}");
        }
    }
}

#[test]
fn who_comes_after_an_idle_spell_gets_a_value_of_the_old_block() {
    for unit in [Unit::Millis, Unit::Micros, Unit::Nanos, Unit::Seconds] {
        let mut sequence = Sequence::new(Setting::Increasing, Some(unit), None);
        take(&mut sequence, NOW).unwrap();
        let covered = sequence.on_disk.unwrap().mark;
        // Within the block the clock rules; beyond it what is left of it, to its last value.
        let mut last = take(&mut sequence, NOW.plus(Duration::from_micros(1))).unwrap().value;
        let mut n_left = 0;
        while let Ok(nonce) = sequence.advance(after(3_600)) {
            assert!(nonce.value == last + 1 && nonce.value <= covered, "{nonce} of {covered}");
            (last, n_left) = (nonce.value, n_left + 1);
            if n_left == 2_000 {
                break;
            }
        }
        assert!(n_left > 0, "{unit}");
        assert!(n_left == 2_000 || last == covered, "{unit}: {last} of {covered}");
        let kept = sequence.top_up(after(3_600)).unwrap();
        sequence.reserved(kept);
        let fresh = sequence.advance(after(3_600)).unwrap().value;
        assert_eq!(fresh, unit.of(after(3_600)), "and then the clock again");
    }
}

#[test]
fn a_block_that_was_only_reserved_is_used_from_its_beginning() {
    let mut sequence = increasing();
    sequence.reserved(sequence.top_up(NOW).unwrap());
    assert_eq!(sequence.advance(after(9)).unwrap().value, Unit::Millis.of(NOW));
}

#[test]
fn time_based_nonces_lag_ten_seconds_and_no_more() {
    let mut sequence = time();
    sequence.reserved(sequence.top_up(NOW).unwrap());
    assert_eq!(sequence.clone().advance(after(10)).unwrap().value, Unit::Micros.of(NOW));
    let late = after(10).plus(Duration::from_micros(1));
    assert_eq!(sequence.advance(late), Err(NotNow::Reserve));
    assert!(sequence.top_up(late).is_some());
}

/// Another program with the key is near the clock: what lags behind it is refused again.
#[test]
fn after_a_refusal_the_next_nonce_does_not_lag() {
    let mut sequence = increasing();
    take(&mut sequence, NOW).unwrap();
    assert_eq!(sequence.settle(Verdict::Accepted, 0), Next::Done);
    // The clock has passed the block on disk.
    let idle = sequence.advance(after(5)).unwrap();
    assert!(idle.value < Unit::Millis.of(after(5)), "it waits for no disk");
    assert_eq!(sequence.settle(Verdict::NotIncreased, 0), Next::Again(Duration::ZERO));
    assert_eq!(sequence.advance(after(5)), Err(NotNow::Reserve));
    let closed = sequence.clone().close().unwrap();
    assert_eq!(closed.mark, idle.value, "an orderly end keeps it all the same");
    assert_eq!(take(&mut sequence, after(5)).unwrap().value, Unit::Millis.of(after(5)));
}

#[test]
fn time_based_nonces_lead_twenty_seconds_and_no_more() {
    let mut sequence = time();
    take(&mut sequence, NOW).unwrap();
    assert!(take(&mut sequence, before(19)).is_ok());
    let wait = take(&mut sequence, before(21)).unwrap_err();
    assert_eq!(wait, NotNow::Wait(Duration::from_micros(1_000_002)));
    assert!(take(&mut sequence, before(61)).is_err());
}

#[test]
fn no_mark_that_a_disk_may_hold_does_harm() {
    for mark in [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 63] {
        for (mode, unit) in [Mode::Increasing, Mode::Time, Mode::Unknown]
            .iter()
            .flat_map(|mode| Unit::ALL.iter().map(move |unit| (*mode, *unit)))
        {
            let kept = Kept { mode, unit, serial: true, succeeded: true, mark, exact: true };
            for setting in [Setting::Auto, Setting::Time, Setting::Increasing] {
                for set in [None, Some(Unit::Seconds), Some(Unit::Nanos)] {
                    let mut sequence = Sequence::new(setting, set, Some(kept));
                    sequence.learn(Verdict::NotIncreased);
                    assert_eq!(sequence.top_up(NOW), None, "nothing is reserved beyond it");
                    assert_eq!(sequence.advance(NOW), Err(NotNow::ClockUntrusted));
                    // And where even the clock says so.
                    take_if_any(&mut sequence, UnixMicros(u64::MAX));
                    sequence.close();
                }
            }
        }
    }
}

/// The same as [`take`], where nothing may be to be had.
fn take_if_any(sequence: &mut Sequence, now: UnixMicros) {
    if let Some(kept) = sequence.top_up(now) {
        sequence.reserved(kept);
    }
    if let Ok(nonce) = sequence.advance(now) {
        assert!(sequence.on_disk.unwrap().mark >= nonce.value);
    }
}

#[test]
fn nothing_follows_an_orderly_end() {
    let mut sequence = increasing();
    take(&mut sequence, NOW).unwrap();
    let kept = sequence.top_up(after(1)).unwrap();
    assert_eq!(sequence.close().unwrap().mark, Unit::Millis.of(NOW));
    // A write that was on its way covers nothing any more.
    sequence.reserved(kept);
    assert_eq!(sequence.advance(NOW), Err(NotNow::Reserve));
    assert_eq!(sequence.top_up(NOW), None);
}

#[test]
fn a_clock_far_behind_the_mark_is_not_trusted() {
    let mut sequence = increasing();
    take(&mut sequence, NOW).unwrap();
    let hour_ago = UnixMicros(NOW.0 - 3_600_000_000);
    assert_eq!(take(&mut sequence, hour_ago), Err(NotNow::ClockUntrusted));
    let half_a_minute_ago = UnixMicros(NOW.0 - 30_000_000);
    assert!(take(&mut sequence, half_a_minute_ago).is_ok());
}

#[test]
fn whole_seconds_run_ahead_a_little_and_then_wait() {
    let mut sequence = Sequence::new(Setting::Time, Some(Unit::Seconds), None);
    for _ in 0..=20 {
        take(&mut sequence, NOW).unwrap();
    }
    assert_eq!(take(&mut sequence, NOW), Err(NotNow::Wait(Duration::from_secs(1))));
}

#[test]
fn a_collision_never_climbs_on_a_key_that_had_a_success() {
    let mut sequence = increasing();
    assert_eq!(sequence.settle(Verdict::Accepted, 0), Next::Done);
    assert_eq!(sequence.settle(Verdict::NotIncreased, 0), Next::Again(Duration::ZERO));
    assert_eq!(sequence.settle(Verdict::NotIncreased, 1), Next::Again(COLLISION_PAUSE));
    assert_eq!(sequence.settle(Verdict::NotIncreased, 2), Next::Stop(StopCause::KeyShared));
    assert_eq!(sequence.unit(), Unit::Millis);
}

#[test]
fn micros_are_tried_once_on_a_key_that_never_had_one() {
    let mut sequence = increasing();
    assert_eq!(sequence.settle(Verdict::NotIncreased, 0), Next::Again(Duration::ZERO));
    assert_eq!(sequence.settle(Verdict::NotIncreased, 1), Next::Again(UNIT_PATIENCE));
    assert_eq!(sequence.settle(Verdict::NotIncreased, 2), Next::Again(Duration::ZERO));
    assert_eq!(sequence.unit(), Unit::Micros);
    let mut helped = sequence.clone();
    assert_eq!(helped.settle(Verdict::Accepted, 3), Next::Done);
    assert_eq!(helped.unit(), Unit::Micros);
    assert_eq!(sequence.settle(Verdict::NotIncreased, 3), Next::Stop(StopCause::Unit));
    assert_eq!(sequence.unit(), Unit::Millis, "it stays where other programs can follow");
}

#[test]
fn a_unit_that_was_set_is_never_changed() {
    for unit in [Unit::Millis, Unit::Nanos] {
        let mut sequence = Sequence::new(Setting::Increasing, Some(unit), None);
        assert_eq!(sequence.settle(Verdict::NotIncreased, 2), Next::Stop(StopCause::Unit));
        assert_eq!(sequence.unit(), unit);
    }
}

#[test]
fn a_time_based_key_falls_back_step_by_step() {
    let mut sequence = time();
    assert!(!sequence.is_serial());
    assert_eq!(sequence.settle(Verdict::NotIncreased, 0), Next::Again(Duration::ZERO));
    assert!(sequence.is_serial());
    assert_eq!(sequence.unit(), Unit::Micros, "the unit is kept");
    let mut sequence = time();
    assert_eq!(sequence.settle(Verdict::NotANumber, 0), Next::Again(Duration::ZERO));
    assert_eq!((sequence.unit(), sequence.is_serial()), (Unit::Seconds, true));
    // Others were under way with decimals; they go again too, but not for ever.
    assert_eq!(sequence.settle(Verdict::NotANumber, 0), Next::Again(Duration::ZERO));
    assert_eq!(sequence.settle(Verdict::NotANumber, 3), Next::Done);
    assert_eq!(sequence.unit(), Unit::Seconds);
    let outside = Verdict::OutsideWindow { server: Some(NOW) };
    assert_eq!(time().settle(outside, 0), Next::Again(Duration::ZERO));
    assert_eq!(time().settle(outside, 3), Next::Done);
}

#[test]
fn a_key_that_was_switched_to_increasing_is_asked_anew() {
    let mut sequence = Sequence::new(Setting::Auto, None, None);
    assert!(sequence.learn(Verdict::OutsideWindow { server: None }));
    assert_eq!(sequence.settle(Verdict::Accepted, 0), Next::Done);
    let mut resigns = 0;
    while let Next::Again(_) = sequence.settle(Verdict::NotIncreased, resigns) {
        resigns += 1;
    }
    assert_eq!(resigns, 3);
    assert_eq!(sequence.mode(), Mode::Unknown);
}

/// The clock may step back between a reservation and the first nonce of it.
#[test]
fn a_success_is_kept_though_the_clock_has_stepped_back() {
    for mut sequence in [increasing(), time()] {
        let reserved = sequence.top_up(NOW).unwrap();
        sequence.reserved(reserved);
        let earlier = UnixMicros(NOW.0 - 400_000);
        sequence.advance(earlier).unwrap();
        sequence.settle(Verdict::Accepted, 0);
        let next = sequence.top_up(earlier).unwrap();
        assert!(next.succeeded);
        assert!(next.mark >= reserved.mark, "{} falls below {}", next.mark, reserved.mark);
        sequence.reserved(next);
        assert_eq!(sequence.top_up(earlier), None, "it is there");
    }
}

#[test]
fn a_success_is_worth_a_write_at_once() {
    let mut sequence = increasing();
    take(&mut sequence, NOW).unwrap();
    assert_eq!(sequence.top_up(NOW), None, "the reserve is whole");
    sequence.settle(Verdict::Accepted, 0);
    let kept = sequence.top_up(NOW).unwrap();
    assert!(kept.succeeded);
    sequence.reserved(kept);
    assert_eq!(sequence.top_up(NOW), None);
}

#[test]
fn no_switch_forgets_what_was_handed_out_or_that_it_was_taken() {
    let mut sequence = Sequence::new(Setting::Auto, None, None);
    sequence.learn(Verdict::OutsideWindow { server: None });
    let last = take(&mut sequence, NOW).unwrap();
    sequence.settle(Verdict::Accepted, 0);
    let mut resigns = 0;
    while let Next::Again(_) = sequence.settle(Verdict::NotIncreased, resigns) {
        resigns += 1;
    }
    assert_eq!(sequence.mode(), Mode::Unknown);
    // A request that was in flight meanwhile waits for the question; it climbs nowhere.
    assert_eq!(sequence.settle(Verdict::NotIncreased, 2), Next::Again(Duration::ZERO));
    assert_eq!((sequence.mode(), sequence.unit()), (Mode::Unknown, Unit::Millis));
    sequence.learn(Verdict::NotIncreased);
    let next = take(&mut sequence, UnixMicros(NOW.0 - 5_000_000)).unwrap();
    assert!(next.value > last.value / 1_000, "{next} after {last}");
    assert_eq!(sequence.settle(Verdict::NotIncreased, 2), Next::Stop(StopCause::KeyShared));
}

#[test]
fn a_key_that_was_switched_to_time_is_followed() {
    let mut sequence = increasing();
    let outside = Verdict::OutsideWindow { server: Some(NOW) };
    assert_eq!(sequence.settle(outside, 0), Next::Again(Duration::ZERO));
    assert_eq!((sequence.mode(), sequence.is_serial()), (Mode::Time, false));
}

fn sequences() -> impl Strategy<Value = Sequence> {
    let units = [None, Some(Unit::Millis), Some(Unit::Micros), Some(Unit::Nanos)];
    let setting = prop::sample::select(&[Setting::Increasing, Setting::Time][..]);
    (setting, prop::sample::select(units.to_vec())).prop_map(|(setting, unit)| {
        let unit = unit.filter(|_| setting == Setting::Increasing);
        Sequence::new(setting, unit, None)
    })
}

/// What may happen to a sequence.
#[derive(Clone, Debug)]
enum Event {
    /// The clock shows so many milliseconds after `NOW`, and a nonce is wanted.
    Wanted(u64),
    /// The process is killed; what was reserved is on disk.
    Killed,
    /// It ends in order.
    Ended,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0..120_000_u64).prop_map(Event::Wanted),
        1 => Just(Event::Killed),
        1 => Just(Event::Ended),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    #[test]
    fn strictly_increases_and_never_leads(start in sequences(), events in events()) {
        let setting = match start.mode() {
            Mode::Time => Setting::Time,
            Mode::Increasing | Mode::Unknown => Setting::Increasing,
        };
        let unit = start.unit();
        let (mut sequence, mut disk, mut last) = (start, None, 0);
        for event in events {
            match event {
                Event::Wanted(millis) => {
                    let now = NOW.plus(Duration::from_millis(millis));
                    let outcome = sequence.advance(now);
                    // What is wanted can be had, or a request would wait for a write that never comes.
                    let due = sequence.top_up(now);
                    prop_assert!(outcome != Err(NotNow::Reserve) || due.is_some());
                    let nonce = match (outcome, due) {
                        (Ok(nonce), _) => nonce,
                        (Err(NotNow::Reserve), Some(kept)) => {
                            disk = Some(kept);
                            sequence.reserved(kept);
                            sequence.advance(now).unwrap()
                        }
                        (Err(_), _) => continue,
                    };
                    prop_assert!(nonce.value > last, "{} after {last}", nonce.value);
                    let limit = unit.of(now.plus(Duration::from_secs(61)));
                    prop_assert!(nonce.value <= limit, "{} leads {limit}", nonce.value);
                    last = nonce.value;
                }
                Event::Killed => sequence = Sequence::new(setting, Some(unit), disk),
                Event::Ended => {
                    disk = sequence.close().or(disk);
                    sequence = Sequence::new(setting, Some(unit), disk);
                }
            }
        }
    }
}
