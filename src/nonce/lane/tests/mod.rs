//! Turns: one at a time or side by side, by class, and never lost. Nonces: nobody waits for the disk.

mod history;

use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::Semaphore;

use super::*;
use crate::call::{Effect, Visibility, example};
use crate::clock::UnixMicros;
use crate::limit;
use crate::policy;

const NOW: UnixMicros = UnixMicros::from_secs(1_790_000_000);

/// A disk that takes everything, or nothing, or does not answer until it is told to.
#[derive(Clone, Debug, Default)]
struct Disk {
    is_full: Arc<AtomicBool>,
    hangs: Option<Arc<Semaphore>>,
    /// The highest mark that is on it, and how many writes there were.
    mark: Arc<AtomicU64>,
    n_writes: Arc<AtomicU64>,
}

impl Keep for Disk {
    fn keep(&self, kept: Kept) -> Keeping {
        let disk = self.clone();
        Box::pin(async move {
            if let Some(gate) = &disk.hangs {
                gate.acquire().await.unwrap().forget();
            }
            if disk.is_full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.n_writes.fetch_add(1, Ordering::SeqCst);
            disk.mark.fetch_max(kept.mark, Ordering::SeqCst);
            Ok(())
        })
    }
}

/// A lane whose marks are tended as the process does it, but for the time between two ticks.
fn tended(setting: Setting, kept: Option<Kept>, disk: Disk) -> Arc<Lane> {
    let lane = Lane::new(KeyName::new("k"), (setting, None), kept, clock(), Box::new(disk));
    let tended = Arc::clone(&lane);
    drop(crate::task::spawn("marks", async move {
        tended.tend(|| Duration::ZERO, std::future::pending).await;
    }));
    lane
}

fn clock() -> Arc<ServerClock> {
    let clock = Arc::new(ServerClock::default());
    clock.observe_exact(NOW, Reading { wall: NOW, monotonic: Duration::ZERO });
    clock
}

/// A nonce at some time, however long it takes, but for a disk that never answers.
async fn number(lane: &Arc<Lane>, now: Duration) -> Result<u64, Busy> {
    let turn = lane.turn(admission(Priority::Read), now).await?;
    let sleep = |_| async {
        // Long enough for every task that can go on.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    let numbered = turn.number(|| now, sleep).await?;
    Ok(numbered.nonce().to_string().replace('.', "").parse().unwrap())
}

/// The next nonce, which must be there at once.
#[track_caller]
fn at_once(lane: &Arc<Lane>, now: Duration) -> u64 {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(number(lane, now)).poll(&mut context) {
        Poll::Ready(value) => value.unwrap(),
        Poll::Pending => panic!("somebody waits"),
    }
}

fn lane(setting: Setting) -> Arc<Lane> {
    Lane::new(KeyName::new("k"), (setting, None), None, clock(), Box::new(Disk::default()))
}

fn admission(priority: Priority) -> Admission {
    let mut call = example("x", None, Effect::Read);
    let operation = Arc::make_mut(&mut call.operation);
    operation.visibility = Visibility::Public;
    operation.priority = priority;
    limit::admit(policy::public(call).unwrap())
}

async fn turn(lane: &Arc<Lane>, priority: Priority, millis: u64) -> Turn {
    lane.turn(admission(priority), Duration::from_millis(millis)).await.unwrap()
}

/// Starts waiting and says its name when it has the turn, which it gives back at once.
fn waiter(
    lane: &Arc<Lane>,
    (priority, millis): (Priority, u64),
    names: &Arc<Mutex<Vec<&'static str>>>,
    name: &'static str,
) -> tokio::task::JoinHandle<()> {
    let (lane, names) = (Arc::clone(lane), Arc::clone(names));
    crate::task::spawn("waiter", async move {
        let turn = turn(&lane, priority, millis).await;
        names.lock().unwrap().push(name);
        drop(turn);
    })
}

#[track_caller]
fn order(waiters: &[((Priority, u64), &'static str)], expected: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let names = runtime.block_on(async {
        let lane = lane(Setting::Increasing);
        let names = Arc::default();
        let held = turn(&lane, Priority::Read, 0).await;
        let all: Vec<_> =
            waiters.iter().map(|(how, name)| waiter(&lane, *how, &names, name)).collect();
        // On one thread all of them are waiting once each has been polled.
        tokio::task::yield_now().await;
        assert!(names.lock().unwrap().is_empty(), "one turn at a time");
        drop(held);
        for one in all {
            one.await.unwrap();
        }
        Arc::try_unwrap(names).unwrap().into_inner().unwrap()
    });
    assert_eq!(names, expected);
}

#[test]
fn classes_go_before_each_other_and_time_makes_up_for_it() {
    let (cancel, heartbeat) = (Priority::Cancel, Priority::Heartbeat);
    let (place, read) = (Priority::Order, Priority::Read);
    order(
        &[
            ((read, 0), "read"),
            ((place, 0), "order"),
            ((heartbeat, 0), "beat"),
            ((cancel, 0), "cancel"),
        ],
        &["cancel", "beat", "order", "read"],
    );
    order(
        &[((place, 0), "first"), ((place, 0), "second"), ((place, 0), "third")],
        &["first", "second", "third"],
    );
    // A read that has waited longer than a second goes before a cancel that has just come.
    order(&[((cancel, 1_001), "cancel"), ((read, 0), "read")], &["read", "cancel"]);
    order(&[((cancel, 999), "cancel"), ((read, 0), "read")], &["cancel", "read"]);
    // An emergency goes before all of them, however long they have waited; two go as they come.
    let emergency = Priority::Emergency;
    order(
        &[
            ((read, 1), "read"),
            ((cancel, 1), "cancel"),
            ((emergency, 60_000), "first"),
            ((emergency, 50_000), "second"),
        ],
        &["first", "second", "cancel", "read"],
    );
}

#[tokio::test]
async fn who_gives_up_waiting_loses_nothing() {
    let lane = lane(Setting::Increasing);
    let held = turn(&lane, Priority::Read, 0).await;
    for _ in 0..3 {
        let waiting = lane.turn(admission(Priority::Cancel), Duration::ZERO);
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
    }
    drop(held);
    drop(turn(&lane, Priority::Read, 0).await);
    assert_eq!(lane.state().in_flight, 0);
}

#[tokio::test]
async fn a_parallel_lane_that_turns_serial_lets_one_go_on() {
    let lane = lane(Setting::Time);
    let mut first = turn(&lane, Priority::Read, 0).await;
    let second = turn(&lane, Priority::Read, 0).await;
    let at = Reading { wall: NOW, monotonic: Duration::ZERO };
    assert_eq!(first.settle(Verdict::NotIncreased, at), Next::Again(Duration::ZERO));
    assert!(lane.state().sequence.is_serial());
    let again = tokio::time::timeout(Duration::from_millis(5), first.again(Duration::ZERO));
    assert!(again.await.is_err(), "the second is still in flight");
    drop(second);
    drop(turn(&lane, Priority::Read, 0).await);
    assert_eq!(lane.state().in_flight, 0);
}

#[tokio::test]
async fn a_stopped_key_gets_one_trial_every_half_a_minute() {
    let lane = lane(Setting::Increasing);
    let at = |seconds| Reading { wall: NOW, monotonic: Duration::from_secs(seconds) };
    let mut first = turn(&lane, Priority::Read, 0).await;
    while first.settle(Verdict::NotIncreased, at(0)) != Next::Stop(StopCause::Unit) {}
    drop(first);
    let asked = |seconds| lane.turn(admission(Priority::Read), Duration::from_secs(seconds));
    assert!(matches!(asked(29).await, Err(Busy::Stopped { .. })));
    let mut trial = asked(30).await.unwrap();
    assert!(matches!(asked(31).await, Err(Busy::Stopped { .. })));
    assert_eq!(trial.settle(Verdict::Accepted, at(32)), Next::Done);
    drop(trial);
    assert!(asked(33).await.is_ok(), "a success opens it");
}

#[tokio::test]
async fn no_nonce_without_a_clock_or_a_disk() {
    let number = |lane: Arc<Lane>| async move { number(&lane, Duration::ZERO).await };
    let works = tended(Setting::Increasing, None, Disk::default());
    assert_eq!(number(works).await.unwrap(), 1_790_000_000_000);
    let full = Disk { is_full: Arc::new(AtomicBool::new(true)), ..Disk::default() };
    let full = tended(Setting::Increasing, None, full);
    assert!(
        matches!(number(full).await, Err(Busy::Disk { why, .. }) if why.contains("full") || why.contains("space"))
    );
    let hangs = Disk { hangs: Some(Arc::new(Semaphore::new(0))), ..Disk::default() };
    let hangs = tended(Setting::Increasing, None, hangs);
    assert!(matches!(number(hangs).await, Err(Busy::Disk { why, .. }) if why.contains("answer")));
    let disk = Box::new(Disk::default());
    let blind = Arc::new(ServerClock::default());
    let blind = Lane::new(KeyName::new("k"), (Setting::Time, None), None, blind, disk);
    assert!(matches!(number(blind).await, Err(Busy::ClockUntrusted { .. })));
}

/// The disk has stopped answering: as long as the block lasts nobody notices, however long the spell
/// before was; and when it answers again, all goes on by the clock.
#[tokio::test]
async fn nobody_waits_for_a_disk_that_hangs() {
    let gate = Arc::new(Semaphore::new(1));
    let disk = Disk { hangs: Some(Arc::clone(&gate)), ..Disk::default() };
    let lane = tended(Setting::Increasing, None, disk.clone());
    number(&lane, Duration::ZERO).await.unwrap();
    let mark = disk.mark.load(Ordering::SeqCst);
    let hour = Duration::from_secs(3_600);
    let (mut last, mut n) = (0, 0);
    while last < mark {
        let value = at_once(&lane, hour);
        assert!(value > last && value <= mark, "{value} after {last}, of {mark}");
        (last, n) = (value, n + 1);
        // The write that was asked for begins, and hangs.
        tokio::task::yield_now().await;
    }
    assert!(n >= 1_000, "{n} values");
    assert!(matches!(number(&lane, hour).await, Err(Busy::Disk { .. })), "the block is used up");
    gate.add_permits(1);
    tokio::task::yield_now().await;
    let value = number(&lane, Duration::ZERO).await.unwrap();
    assert!(value > last && value <= disk.mark.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_full_disk_is_told_when_the_block_is_used_up_and_forgotten_when_it_has_room() {
    let disk = Disk::default();
    let lane = tended(Setting::Increasing, None, disk.clone());
    let first = number(&lane, Duration::ZERO).await.unwrap();
    disk.is_full.store(true, Ordering::SeqCst);
    let mut n = 0;
    let why = loop {
        match number(&lane, Duration::ZERO).await {
            Ok(_) => n += 1,
            Err(why) => break why,
        }
    };
    assert!(matches!(why, Busy::Disk { .. }) && n >= 999, "{n} values, then {why}");
    disk.is_full.store(false, Ordering::SeqCst);
    assert!(number(&lane, Duration::ZERO).await.unwrap() > first);
}

/// The ticks keep a time-based key near the clock while nobody asks; another key is let be.
#[tokio::test]
async fn only_a_time_based_key_is_kept_fresh_while_it_is_idle() {
    for (setting, fresh) in [(Setting::Time, true), (Setting::Increasing, false)] {
        let disk = Disk::default();
        let lane =
            Lane::new(KeyName::new("k"), (setting, None), None, clock(), Box::new(disk.clone()));
        lane.raise(Duration::ZERO).await;
        let now = std::cell::Cell::new(Duration::ZERO);
        let tick = || {
            now.set(now.get() + Duration::from_secs(5));
            ready(())
        };
        let tend = lane.tend(
            || now.get(),
            || async {
                tokio::task::yield_now().await;
                tick().await;
            },
        );
        let idle = async {
            while now.get() < Duration::from_secs(100) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = tend => {}, () = idle => {} }
        let writes = disk.n_writes.load(Ordering::SeqCst);
        assert_eq!(writes > 10, fresh, "{setting}: {writes} writes");
        let value = at_once(&lane, now.get());
        let lag = lane.state().sequence.unit().of(NOW.plus(now.get())) - value;
        assert_eq!(lag < 10_000_000, fresh || setting == Setting::Increasing, "{setting}: {lag}");
    }
}

#[tokio::test]
async fn a_long_wait_for_the_clock_is_refused_and_a_short_one_is_waited() {
    let kept = |seconds: u64| Kept {
        mode: Mode::Increasing,
        unit: Unit::Millis,
        serial: true,
        succeeded: true,
        mark: NOW.millis() + seconds * 1_000,
        exact: false,
    };
    let slept = std::cell::RefCell::new(Vec::new());
    let outcome = async |seconds: u64| {
        let disk = Box::new(Disk::default());
        let how = (Setting::Increasing, None);
        let lane = Lane::new(KeyName::new("k"), how, Some(kept(seconds)), clock(), disk);
        let turn = turn(&lane, Priority::Read, 0).await;
        let sleep = |span| {
            slept.borrow_mut().push(span);
            // Long enough for the disk.
            async {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
            }
        };
        let past = || slept.borrow().iter().sum::<Duration>();
        tokio::select! {
            biased;
            outcome = turn.number(past, sleep) => outcome.map(drop),
            () = lane.tend(past, std::future::pending) => unreachable!("for ever"),
        }
    };
    assert_eq!(outcome(14).await, Ok(()));
    assert_eq!(slept.take().first(), Some(&Duration::from_millis(4_001)));
    let refused = outcome(15).await.unwrap_err();
    assert!(refused.to_string().ends_with("the next is due in 6 s"), "{refused}");
    assert!(slept.take().is_empty());
}

#[tokio::test]
async fn an_orderly_end_keeps_the_last_nonce_to_the_letter() {
    let disk = Disk::default();
    let lane = lane_with(disk.clone());
    lane.raise(Duration::ZERO).await;
    let last = at_once(&lane, Duration::ZERO);
    disk.mark.store(0, Ordering::SeqCst);
    lane.close().await.unwrap();
    assert_eq!(disk.mark.load(Ordering::SeqCst), last);
    assert!(matches!(number(&lane, Duration::ZERO).await, Err(Busy::Disk { .. })), "none follows");
}

#[tokio::test]
async fn one_write_is_made_at_a_time_and_the_first_success_is_worth_one() {
    let disk = Disk::default();
    let lane = lane_with(disk.clone());
    lane.raise(Duration::ZERO).await;
    let held = turn(&lane, Priority::Read, 0).await;
    let numbered = held.number(|| Duration::ZERO, |_| ready(())).await.unwrap();
    let at = Reading { wall: NOW, monotonic: Duration::ZERO };
    assert_eq!(numbered.into_turn().settle(Verdict::Accepted, at), Next::Done);
    for _ in 0..3 {
        lane.raise(Duration::ZERO).await;
    }
    assert_eq!(disk.n_writes.load(Ordering::SeqCst), 2, "the reserve, and that it was taken");
    lane.raise(Duration::from_millis(600)).await;
    assert_eq!(disk.n_writes.load(Ordering::SeqCst), 3, "more than half of it is used");
}

/// The task that tends the marks is woken where there is something to write, not by every answer.
#[tokio::test]
async fn an_answer_that_leaves_nothing_to_write_wakes_nobody() {
    let lane = lane_with(Disk::default());
    lane.raise(Duration::ZERO).await;
    for (millis, verdict, wakes, why) in [
        (0, Verdict::Silent, false, "nothing was said"),
        (0, Verdict::Accepted, true, "the first success"),
        (0, Verdict::Accepted, false, "it is known"),
        (0, Verdict::OutsideWindow { server: None }, true, "the key counts otherwise"),
        (0, Verdict::Accepted, false, "it is known"),
    ] {
        let at = Reading { wall: NOW, monotonic: Duration::from_millis(millis) };
        let turn = turn(&lane, Priority::Read, millis).await;
        let numbered = turn.number(|| at.monotonic, |_| ready(())).await.unwrap();
        assert!(!is_wanted(&lane), "by the request: {why}");
        numbered.into_turn().settle(verdict, at);
        assert_eq!(is_wanted(&lane), wakes, "{why}");
        lane.raise(at.monotonic).await;
    }
}

/// Whether somebody has asked for a write since this was last asked.
fn is_wanted(lane: &Lane) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(lane.wanted.notified()).poll(&mut context).is_ready()
}

fn lane_with(disk: Disk) -> Arc<Lane> {
    Lane::new(KeyName::new("k"), (Setting::Increasing, None), None, clock(), Box::new(disk))
}

/// A key whose lane another answer has put back to learning: it is told so, and waits for no disk.
#[tokio::test(start_paused = true)]
async fn who_comes_too_late_for_its_nonce_is_told_why() {
    let lane = lane(Setting::Auto);
    let at = Reading { wall: NOW, monotonic: Duration::ZERO };
    let other = turn(&lane, Priority::Read, 0).await;
    assert!(other.learn(Verdict::OutsideWindow { server: None }, at));
    drop(other);
    let mut other = turn(&lane, Priority::Read, 0).await;
    let late = turn(&lane, Priority::Read, 0).await;
    while !matches!(other.settle(Verdict::NotIncreased, at), Next::Stop(_)) {}
    let sleep = |_| async { panic!("it waits") };
    let told = late.number(|| Duration::ZERO, sleep).await;
    assert!(matches!(told, Err(Busy::Stopped { .. })), "{told:?}");
}
