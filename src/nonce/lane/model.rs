//! Interleavings of requests in a lane, tried out one by one (loom): `just model`.
//!
//! Loom switches threads wherever the lane locks, wakes or writes to its disk; what tokio's channels do
//! inside is one step (`sync`). Every interleaving with at most so many preemptions is run, and a thread that
//! waits for ever is a failure.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicU64, AtomicUsize};
use loom::thread;

use super::*;
use crate::call::{Effect, Visibility, example};
use crate::limit;
use crate::policy;

const NOW: UnixMicros = UnixMicros::from_secs(1_790_000_000);
/// How many preemptions an interleaving has at most: one fewer misses a waiter that looks too late for
/// the end of a write, and with these all models end within about a minute.
const PREEMPTIONS: usize = 3;

fn check(what: &str, model: impl Fn() + Sync + Send + 'static) {
    let executions = Arc::new(Count::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = 10_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{what}: {} executions", executions.load(Ordering::Relaxed));
}

/// What is on a disk that takes its time: another thread may go first.
#[derive(Clone, Debug)]
struct Disk(Arc<AtomicU64>);

impl Keep for Disk {
    fn keep(&self, kept: Kept) -> Keeping {
        let disk = self.clone();
        Box::pin(async move {
            thread::yield_now();
            disk.0.store(kept.mark, Ordering::SeqCst);
            Ok(())
        })
    }
}

fn lane(setting: Setting) -> (Arc<Lane>, Disk) {
    let clock = Arc::new(ServerClock::default());
    clock.observe_exact(NOW, Reading { wall: NOW, monotonic: Duration::ZERO });
    let disk = Disk(Arc::new(AtomicU64::new(0)));
    let keeper = Box::new(disk.clone());
    (Lane::new(KeyName::new("k"), (setting, None), None, clock, keeper), disk)
}

fn admission(priority: Priority) -> Admission {
    let mut call = example("x", None, Effect::Read);
    let operation = Arc::make_mut(&mut call.operation);
    (operation.visibility, operation.priority) = (Visibility::Public, priority);
    limit::free(policy::public(call).unwrap())
}

async fn turn(lane: &Arc<Lane>, priority: Priority) -> Result<Turn, Busy> {
    lane.turn(admission(priority), Duration::ZERO).await
}

fn value(numbered: &Numbered) -> u64 {
    numbered.nonce().to_string().replace('.', "").parse().unwrap()
}

/// What all requests of a model share: how many are in flight, and the last nonce.
#[derive(Clone, Debug)]
struct Wire {
    in_flight: Arc<AtomicUsize>,
    last: Arc<AtomicU64>,
}

impl Wire {
    fn new() -> Self {
        Self { in_flight: Arc::new(AtomicUsize::new(0)), last: Arc::new(AtomicU64::new(0)) }
    }

    /// One request on a serial lane, to its answer.
    fn send(&self, turn: Turn) {
        assert_eq!(self.in_flight.fetch_add(1, Ordering::SeqCst), 0, "two are in flight");
        let numbered = block_on(turn.number(|| Duration::ZERO, |_| pending::<()>())).unwrap();
        let last = self.last.swap(value(&numbered), Ordering::SeqCst);
        assert!(value(&numbered) > last, "{} after {last}", value(&numbered));
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn one_at_a_time_in_order_and_nobody_is_lost() {
    for n_others in [1, 2] {
        check(&format!("{} requests on a serial lane", n_others + 1), move || {
            let ((lane, _), wire) = (lane(Setting::Increasing), Wire::new());
            block_on(lane.raise(Duration::ZERO));
            let others: Vec<_> = [Priority::Cancel, Priority::Order]
                .into_iter()
                .take(n_others)
                .map(|priority| {
                    let (lane, wire) = (Arc::clone(&lane), wire.clone());
                    thread::spawn(move || wire.send(block_on(turn(&lane, priority)).unwrap()))
                })
                .collect();
            wire.send(block_on(turn(&lane, Priority::Read)).unwrap());
            others.into_iter().for_each(|it| it.join().unwrap());
            assert_eq!(lane.state().in_flight, 0);
        });
    }
}

#[test]
fn who_gives_up_while_the_slot_is_handed_over_passes_it_on() {
    check("one of three gives up", || {
        let ((lane, _), wire) = (lane(Setting::Increasing), Wire::new());
        block_on(lane.raise(Duration::ZERO));
        let held = block_on(turn(&lane, Priority::Read)).unwrap();
        let impatient = {
            let lane = Arc::clone(&lane);
            thread::spawn(move || {
                let mut context = Context::from_waker(Waker::noop());
                let asked = pin!(turn(&lane, Priority::Cancel));
                // Perhaps the slot has come; either way it is not wanted any more.
                if let Poll::Ready(turn) = asked.poll(&mut context) {
                    drop(turn);
                }
            })
        };
        let patient = {
            let (lane, wire) = (Arc::clone(&lane), wire.clone());
            thread::spawn(move || wire.send(block_on(turn(&lane, Priority::Order)).unwrap()))
        };
        wire.send(held);
        impatient.join().unwrap();
        patient.join().unwrap();
        assert_eq!(lane.state().in_flight, 0);
    });
}

#[test]
fn who_waits_for_a_key_that_is_stopped_is_told() {
    check("a key is stopped while one waits", || {
        let (lane, _) = lane(Setting::Increasing);
        let mut held = block_on(turn(&lane, Priority::Read)).unwrap();
        let waiting = {
            let lane = Arc::clone(&lane);
            thread::spawn(move || block_on(turn(&lane, Priority::Order)).map(drop))
        };
        let at = Reading { wall: NOW, monotonic: Duration::ZERO };
        while !matches!(held.settle(Verdict::NotIncreased, at), Next::Stop(_)) {}
        drop(held);
        let told = waiting.join().unwrap();
        assert!(matches!(told, Err(Busy::Stopped { .. })), "{told:?}");
        assert_eq!(lane.state().in_flight, 0);
    });
}

#[test]
fn no_nonce_lies_above_what_is_on_disk() {
    check("requests race with the raising of the mark", || {
        let (lane, disk) = lane(Setting::Time);
        let ask = |lane: Arc<Lane>, disk: Disk, now: Duration| {
            let turn = block_on(turn(&lane, Priority::Read)).unwrap();
            let numbered = block_on(turn.number(|| now, |_| pending::<()>())).unwrap();
            let mark = disk.0.load(Ordering::SeqCst);
            assert!(value(&numbered) <= mark, "{} above {mark}", value(&numbered));
            value(&numbered)
        };
        let tending = {
            let lane = Arc::clone(&lane);
            thread::spawn(move || {
                let now = || Duration::from_secs(1);
                let mut tend = pin!(lane.tend(now, pending::<()>));
                block_on(std::future::poll_fn(|context| {
                    // It goes on for ever; the model ends when nothing is left to write.
                    let polled: Poll<()> = tend.as_mut().poll(context);
                    let covered = lane.state().sequence.top_up(NOW.plus(now())).is_none();
                    if covered { Poll::Ready(()) } else { polled }
                }));
            })
        };
        let other = {
            let (lane, disk) = (Arc::clone(&lane), disk.clone());
            thread::spawn(move || ask(lane, disk, Duration::from_secs(1)))
        };
        let one = ask(lane, disk, Duration::ZERO);
        let other = other.join().unwrap();
        assert_ne!(one, other);
        tending.join().unwrap();
    });
}
