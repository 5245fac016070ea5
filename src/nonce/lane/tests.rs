//! Turns: one at a time or side by side, by class, and never lost.

use std::future::ready;

use super::*;
use crate::call::{Effect, Visibility, example};
use crate::clock::UnixMicros;
use crate::limit;
use crate::policy;

const NOW: UnixMicros = UnixMicros::from_secs(1_790_000_000);

/// A disk that takes everything, or nothing.
#[derive(Debug)]
struct Disk {
    works: bool,
}

impl Keep for Disk {
    fn keep(&self, _: Kept) -> Keeping {
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
        Box::pin(ready(if self.works { Ok(()) } else { full() }))
    }
}

fn lane_on(setting: Setting, works: bool) -> Arc<Lane> {
    let clock = Arc::new(ServerClock::default());
    clock.observe_exact(NOW, Reading { wall: NOW, monotonic: Duration::ZERO });
    Lane::new(KeyName::new("k"), (setting, None), None, clock, Box::new(Disk { works }))
}

fn lane(setting: Setting) -> Arc<Lane> {
    lane_on(setting, true)
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
    let number = |lane: Arc<Lane>| async move {
        let turn = turn(&lane, Priority::Read, 0).await;
        turn.number(|| Duration::ZERO, |_| ready(())).await.map(|it| it.nonce().to_string())
    };
    assert_eq!(number(lane(Setting::Increasing)).await.unwrap(), "1790000000000");
    assert!(matches!(number(lane_on(Setting::Increasing, false)).await, Err(Busy::Disk { .. })));
    let clock = Arc::new(ServerClock::default());
    let disk = Box::new(Disk { works: true });
    let blind = Lane::new(KeyName::new("k"), (Setting::Time, None), None, clock, disk);
    assert!(matches!(number(blind).await, Err(Busy::ClockUntrusted { .. })));
}

#[tokio::test]
async fn one_reserve_is_written_at_a_time() {
    let lane = lane(Setting::Increasing);
    let held = turn(&lane, Priority::Read, 0).await;
    let numbered = held.number(|| Duration::ZERO, |_| ready(())).await.unwrap();
    let at = Reading { wall: NOW, monotonic: Duration::ZERO };
    assert_eq!(numbered.into_turn().settle(Verdict::Accepted, at), Next::Done);
    let kept = lane.wants_reserve(Duration::ZERO).unwrap();
    assert_eq!(lane.wants_reserve(Duration::ZERO), None, "one is on its way");
    lane.reserve(kept).await;
    assert_eq!(lane.wants_reserve(Duration::ZERO), None, "and then it is there");
    assert!(lane.wants_reserve(Duration::from_millis(1_500)).is_some());
}
