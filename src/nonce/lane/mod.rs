//! The nonces of one key, shared by every request that signs with it.
//!
//! A request waits for a [`Turn`], takes a nonce with it ([`Numbered`]), and gives the turn back when
//! its answer has come. In a serial lane there is one turn at a time, so nonces arrive in order; in a
//! parallel lane turns are unlimited. Waiting requests go by their class, with ageing: a class is a
//! head start, and time makes up for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::call::{Call, KeyName, Priority, StopCause};
use crate::limit::Admission;
use crate::nonce::sequence::{Kept, Mode, Next, Nonce, NotNow, Sequence, TRIAL_EVERY, Verdict};
use crate::nonce::server_clock::{Reading, ServerClock};
use crate::nonce::unit::{Setting, Unit};

/// Puts marks where a crash does not reach them.
pub(crate) trait Keep: fmt::Debug + Send + Sync {
    /// Returns once `kept` would survive the loss of the process.
    fn keep(&self, kept: Kept) -> Keeping;
}

pub(crate) type Keeping = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

#[derive(Debug)]
pub(crate) struct Lane {
    key: KeyName,
    state: Mutex<State>,
    clock: Arc<ServerClock>,
    keeper: Box<dyn Keep>,
    // Whether a reserve is on its way to the disk: one write at a time, however slow.
    reserving: AtomicBool,
}

#[derive(Debug)]
struct State {
    sequence: Sequence,
    in_flight: usize,
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_arrived: u64,
    stopped: Option<Stopped>,
}

#[derive(Clone, Copy, Debug)]
struct Stopped {
    cause: StopCause,
    /// When one request may try again.
    trial_at: Duration,
}

#[derive(Debug)]
struct Waiting {
    /// When it arrived, later by what its class stands back.
    due: Duration,
    arrival: u64,
    tell: oneshot::Sender<Slot>,
}

/// Counts as one request in flight until it is dropped.
#[derive(Debug)]
struct Slot {
    lane: Arc<Lane>,
}

/// The right to send next with this key. Owns the admitted call; dropping it lets the next through.
#[derive(Debug)]
pub(crate) struct Turn {
    admission: Admission,
    slot: Slot,
    n_resigns: u32,
}

/// A call with its nonce. It can be signed once.
#[derive(Debug)]
pub(crate) struct Numbered {
    turn: Turn,
    nonce: Nonce,
}

/// Why a request gets no turn or no nonce. Nothing was sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("the key `{key}` is stopped: {}", words(*cause))]
    Stopped { key: KeyName, cause: StopCause },
    #[error("the exchange's clock is not known yet, or lies far behind the nonces of `{key}`")]
    ClockUntrusted { key: KeyName },
    #[error("the nonce marks of `{key}` cannot be written: {why}")]
    Disk { key: KeyName, why: String },
}

fn words(cause: StopCause) -> &'static str {
    match cause {
        StopCause::KeyShared => "somebody else raises its nonces",
        StopCause::Unit => "its past nonces are larger than any in a unit that may be used",
    }
}

/// What can be told of a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneView {
    pub(crate) mode: Mode,
    pub(crate) unit: Unit,
    pub(crate) stopped: Option<StopCause>,
}

impl Lane {
    pub(crate) fn new(
        key: KeyName,
        (setting, unit): (Setting, Option<Unit>),
        kept: Option<Kept>,
        clock: Arc<ServerClock>,
        keeper: Box<dyn Keep>,
    ) -> Arc<Self> {
        let sequence = Sequence::new(setting, unit, kept);
        let state = State {
            sequence,
            in_flight: 0,
            waiting: BinaryHeap::new(),
            n_arrived: 0,
            stopped: None,
        };
        let reserving = AtomicBool::new(false);
        Arc::new(Self { key, state: Mutex::new(state), clock, keeper, reserving })
    }

    /// Waits until this call may be sent. `now` is monotonic.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        admission: Admission,
        now: Duration,
    ) -> Result<Turn, Busy> {
        let priority = admission.call().operation.priority;
        let trial = self.refuse_if_stopped(now)?;
        let slot = self.enqueue(priority, now).await;
        // It may have been stopped while this one waited.
        if !trial && let Some(Stopped { cause, .. }) = self.state().stopped {
            return Err(Busy::Stopped { key: self.key.clone(), cause });
        }
        Ok(Turn { admission, slot, n_resigns: 0 })
    }

    pub(crate) fn view(&self) -> LaneView {
        let state = self.state();
        LaneView {
            mode: state.sequence.mode(),
            unit: state.sequence.unit(),
            stopped: state.stopped.map(|it| it.cause),
        }
    }

    /// What should be reserved ahead, so that the next request need not wait for the disk. Who gets it
    /// calls [`Self::reserve`]; nobody else gets it meanwhile.
    pub(crate) fn wants_reserve(&self, monotonic: Duration) -> Option<Kept> {
        let now = self.clock.now(monotonic)?;
        let kept = self.state().sequence.top_up(now)?;
        (!self.reserving.swap(true, Ordering::AcqRel)).then_some(kept)
    }

    pub(crate) async fn reserve(&self, kept: Kept) {
        // A failure here is told to the request that finds the reserve spent.
        if self.keeper.keep(kept).await.is_ok() {
            self.state().sequence.reserved(kept);
        }
        self.reserving.store(false, Ordering::Release);
    }

    /// Keeps the last nonce to the letter: the end is orderly.
    pub(crate) async fn close(&self) -> io::Result<()> {
        let exact = self.state().sequence.exact();
        match exact {
            Some(kept) => self.keeper.keep(kept).await,
            None => Ok(()),
        }
    }

    async fn enqueue(self: &Arc<Self>, priority: Priority, now: Duration) -> Slot {
        let told = {
            let mut state = self.state();
            if state.has_room() && state.waiting.is_empty() {
                state.in_flight += 1;
                return Slot { lane: Arc::clone(self) };
            }
            let (tell, told) = oneshot::channel();
            let arrival = state.n_arrived;
            state.n_arrived += 1;
            let due = now + head_start(priority);
            state.waiting.push(Reverse(Waiting { due, arrival, tell }));
            told
        };
        // A sender is dropped only after it has sent: it lives in the heap until its turn.
        told.await.expect("every waiting request is told")
    }

    fn refuse_if_stopped(&self, now: Duration) -> Result<bool, Busy> {
        let mut state = self.state();
        let Some(stopped) = &mut state.stopped else { return Ok(false) };
        if now < stopped.trial_at {
            return Err(Busy::Stopped { key: self.key.clone(), cause: stopped.cause });
        }
        stopped.trial_at = now + TRIAL_EVERY;
        Ok(true)
    }

    /// Hands free places to those who wait.
    fn admit_waiting(self: &Arc<Self>) {
        loop {
            let waiting = {
                let mut state = self.state();
                if !state.has_room() {
                    return;
                }
                let Some(Reverse(waiting)) = state.waiting.pop() else { return };
                if waiting.tell.is_closed() {
                    continue;
                }
                state.in_flight += 1;
                waiting
            };
            // Whoever gave up in this very moment drops the slot, which calls us again.
            drop(waiting.tell.send(Slot { lane: Arc::clone(self) }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment or one method of `Sequence`: valid after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.in_flight == 0 || !self.sequence.is_serial()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.lane.state().in_flight -= 1;
        self.lane.admit_waiting();
    }
}

impl Turn {
    /// Whether the exchange must first be asked how this key counts.
    pub(crate) fn must_learn(&self) -> bool {
        self.slot.lane.state().sequence.mode() == Mode::Unknown
    }

    /// Takes the nonce that learning asks with, which can raise no mark.
    pub(crate) fn probe(self) -> Numbered {
        Numbered { turn: self, nonce: Nonce::PROBE }
    }

    /// Takes the next nonce. `sleep` waits, where the marks have run ahead of the clock.
    pub(crate) async fn number<S, F>(
        self,
        monotonic: impl Fn() -> Duration,
        sleep: S,
    ) -> Result<Numbered, Busy>
    where
        S: Fn(Duration) -> F,
        F: Future<Output = ()>,
    {
        let lane = &self.slot.lane;
        let untrusted = || Busy::ClockUntrusted { key: lane.key.clone() };
        loop {
            let now = lane.clock.now(monotonic()).ok_or_else(untrusted)?;
            let outcome = lane.state().sequence.advance(now);
            match outcome {
                Ok(nonce) => return Ok(Numbered { turn: self, nonce }),
                Err(NotNow::Wait(span)) => sleep(span).await,
                Err(NotNow::ClockUntrusted) => return Err(untrusted()),
                Err(NotNow::Reserve(kept)) => {
                    let why = |it: io::Error| it.to_string();
                    let disk = |why| Busy::Disk { key: lane.key.clone(), why };
                    lane.keeper.keep(kept).await.map_err(why).map_err(disk)?;
                    lane.state().sequence.reserved(kept);
                }
            }
        }
    }

    /// Takes in the answer to the probe; `false` if it taught nothing.
    pub(crate) fn learn(&self, verdict: Verdict, at: Reading) -> bool {
        self.slot.lane.observe(verdict, at);
        self.slot.lane.state().sequence.learn(verdict)
    }

    /// Takes in the answer to the call.
    pub(crate) fn settle(&mut self, verdict: Verdict, at: Reading) -> Next {
        let lane = &self.slot.lane;
        lane.observe(verdict, at);
        let mut state = lane.state();
        let next = state.sequence.settle(verdict, self.n_resigns);
        match next {
            Next::Done if verdict == Verdict::Accepted => state.stopped = None,
            Next::Done => {}
            Next::Again(_) => self.n_resigns += 1,
            Next::Stop(cause) => {
                let trial_at = at.monotonic + TRIAL_EVERY;
                state.stopped = Some(Stopped { cause, trial_at });
            }
        }
        next
    }

    /// Prepares another attempt: waits in a lane that has just become serial until no other request is
    /// in flight, and gives up where another answer has stopped the key.
    pub(crate) async fn again(self, now: Duration) -> Result<Self, Busy> {
        let Self { admission, slot, n_resigns } = self;
        let lane = Arc::clone(&slot.lane);
        let crowded = {
            let state = lane.state();
            state.sequence.is_serial() && state.in_flight > 1
        };
        let slot = if crowded {
            drop(slot);
            lane.enqueue(Priority::Cancel, now).await
        } else {
            slot
        };
        if let Some(Stopped { cause, .. }) = lane.state().stopped.filter(|_| crowded) {
            return Err(Busy::Stopped { key: lane.key.clone(), cause });
        }
        Ok(Self { admission, slot, n_resigns })
    }

    pub(crate) fn call(&self) -> &Call {
        self.admission.call()
    }

    pub(crate) fn n_resigns(&self) -> u32 {
        self.n_resigns
    }
}

impl Lane {
    fn observe(&self, verdict: Verdict, at: Reading) {
        if let Verdict::OutsideWindow { server: Some(server) } = verdict {
            self.clock.observe_exact(server, at);
        }
    }
}

impl Numbered {
    pub(crate) fn call(&self) -> &Call {
        self.turn.call()
    }

    pub(crate) fn nonce(&self) -> Nonce {
        self.nonce
    }

    pub(crate) fn into_turn(self) -> Turn {
        self.turn
    }
}

/// How far a class stands back behind a cancel of the same moment.
fn head_start(priority: Priority) -> Duration {
    Duration::from_millis(match priority {
        Priority::Cancel => 0,
        Priority::Heartbeat => 200,
        Priority::Order => 400,
        Priority::Read => 1_000,
    })
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.arrival).cmp(&(other.due, other.arrival))
    }
}

#[cfg(test)]
mod tests;
