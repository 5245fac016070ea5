//! The nonces of one key, shared by every request that signs with it.
//!
//! A request waits for a [`Turn`], takes a nonce with it ([`Numbered`]), and gives the turn back when
//! its answer has come. In a serial lane there is one turn at a time, so nonces arrive in order; in a
//! parallel lane turns are unlimited. Waiting requests go by their class, with ageing: a class is a
//! head start, and time makes up for it.
//!
//! No request writes to the disk. One task for each lane raises its mark there ([`Lane::tend`]), one
//! write at a time; a request waits for it only if no value on disk is left.

mod waiting;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::waiting::{Waiting, due};
use crate::call::{Call, KeyName, Priority, StopCause};
use crate::clock::UnixMicros;
use crate::limit::Admission;
use crate::nonce::sequence::{Kept, Mode, Next, Nonce, NotNow, Sequence, TRIAL_EVERY, Verdict};
use crate::nonce::server_clock::{Reading, ServerClock};
use crate::nonce::sync::{Mutex, MutexGuard, oneshot};
use crate::nonce::unit::{Setting, Unit};

/// How long a request waits for a nonce once it has its turn, be it for the clock or for the disk:
/// shorter than bots wait for their answer, so that they hear that nothing was sent.
const PATIENCE: Duration = Duration::from_secs(5);

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
    // A request found that the mark on disk should be raised.
    wanted: Notify,
    // A write has ended, well or not.
    written: Notify,
}

#[derive(Debug)]
struct State {
    sequence: Sequence,
    in_flight: usize,
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_arrived: u64,
    stopped: Option<Stopped>,
    // Why the last write failed; `None` if it did not.
    fault: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Stopped {
    cause: StopCause,
    /// When one request may try again.
    trial_at: Duration,
}

/// Counts as one request in flight until it is released, or dropped.
#[derive(Debug)]
struct Slot {
    lane: Arc<Lane>,
    counts: bool,
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
    #[error(
        "the nonces of `{key}` lead the exchange's clock: the next is due in {} s", seconds(*wait)
    )]
    Ahead { key: KeyName, wait: Duration },
    #[error("the nonce marks of `{key}` cannot be written: {why}")]
    Disk { key: KeyName, why: String },
    #[error("the nonce marks of `{key}` cannot be read: nothing is signed with it")]
    Damaged { key: KeyName },
}

fn words(cause: StopCause) -> &'static str {
    match cause {
        StopCause::KeyShared => "somebody else raises its nonces",
        StopCause::Unit => "its past nonces are larger than any in a unit that may be used",
    }
}

/// Rounded up: a wait of half a second is not none.
fn seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
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
            fault: None,
        };
        let (wanted, written) = (Notify::new(), Notify::new());
        Arc::new(Self { key, state: Mutex::new(state), clock, keeper, wanted, written })
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

    /// What it is at this moment.
    pub(crate) fn view(&self) -> LaneView {
        let state = self.state();
        LaneView {
            mode: state.sequence.mode(),
            unit: state.sequence.unit(),
            stopped: state.stopped.map(|it| it.cause),
        }
    }

    /// Keeps the mark on disk ahead of the nonces, for ever: whenever a request finds that it should
    /// be raised, and at every `tick` where nonces must stay near the clock.
    pub(crate) async fn tend<F>(&self, monotonic: impl Fn() -> Duration, tick: impl Fn() -> F)
    where
        F: Future<Output = ()>,
    {
        loop {
            let asked = tokio::select! {
                biased;
                () = self.wanted.notified() => true,
                () = tick() => false,
            };
            // A block that lies idle is as good as new, unless nonces must stay near the clock.
            if asked || self.state().sequence.mode() == Mode::Time {
                self.raise(monotonic()).await;
            }
        }
    }

    /// Raises the mark on disk, if it should be. The caller sees to it that there is one of it.
    pub(crate) async fn raise(&self, monotonic: Duration) {
        let Some(now) = self.clock.now(monotonic) else { return };
        let Some(kept) = self.state().sequence.top_up(now) else { return };
        let outcome = self.keeper.keep(kept).await;
        let mut state = self.state();
        if outcome.is_ok() {
            state.sequence.reserved(kept);
        }
        state.fault = outcome.err().map(|it| it.to_string());
        drop(state);
        self.written.notify_waiters();
    }

    /// Keeps the last nonce to the letter: the end is orderly. No nonce is handed out any more. Nobody
    /// may be tending the marks.
    pub(crate) async fn close(&self) -> io::Result<()> {
        let exact = self.state().sequence.close();
        match exact {
            Some(kept) => self.keeper.keep(kept).await,
            None => Ok(()),
        }
    }

    fn advance(&self, now: UnixMicros) -> Result<Nonce, NotNow> {
        let (outcome, due) = {
            let mut state = self.state();
            let outcome = state.sequence.advance(now);
            (outcome, state.sequence.top_up(now).is_some())
        };
        if due {
            self.wanted.notify_one();
        }
        outcome
    }

    async fn enqueue(self: &Arc<Self>, priority: Priority, now: Duration) -> Slot {
        let told = {
            let mut state = self.state();
            if state.has_room() && state.waiting.is_empty() {
                state.in_flight += 1;
                return Slot::new(self);
            }
            let (tell, told) = oneshot::channel();
            let arrival = state.n_arrived;
            state.n_arrived += 1;
            let due = due(priority, now);
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
            drop(waiting.tell.send(Slot::new(self)));
        }
    }

    /// Why the lane was stopped and put back to learning, if it was: nothing is reserved for it then.
    fn stopped_to_learn(&self) -> Option<StopCause> {
        let LaneView { mode, stopped, .. } = self.view();
        stopped.filter(|_| mode == Mode::Unknown)
    }

    fn observe(&self, verdict: Verdict, at: Reading) {
        if let Verdict::OutsideWindow { server: Some(server) } = verdict {
            self.clock.observe_exact(server, at);
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

impl Slot {
    fn new(lane: &Arc<Lane>) -> Self {
        Self { lane: Arc::clone(lane), counts: true }
    }

    /// Lets the next through, once.
    fn release(&mut self) {
        if std::mem::take(&mut self.counts) {
            self.lane.state().in_flight -= 1;
            self.lane.admit_waiting();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
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

    /// Takes the next nonce. `sleep` waits, where the marks have run ahead of the clock or no value on
    /// disk is left.
    pub(crate) async fn number<S, F>(
        self,
        monotonic: impl Fn() -> Duration,
        sleep: S,
    ) -> Result<Numbered, Busy>
    where
        S: Fn(Duration) -> F,
        F: Future<Output = ()>,
    {
        let lane = Arc::clone(&self.slot.lane);
        let key = || lane.key.clone();
        let mut patience = PATIENCE;
        loop {
            // From here on, so that no write is missed that ends after the look at the block.
            let written = lane.written.notified();
            let Some(now) = lane.clock.now(monotonic()) else {
                return Err(Busy::ClockUntrusted { key: key() });
            };
            match lane.advance(now) {
                Ok(nonce) => return Ok(Numbered { turn: self, nonce }),
                Err(NotNow::ClockUntrusted) => return Err(Busy::ClockUntrusted { key: key() }),
                Err(NotNow::Wait(wait)) if wait > patience => {
                    return Err(Busy::Ahead { key: key(), wait });
                }
                Err(NotNow::Wait(wait)) => {
                    patience -= wait;
                    sleep(wait).await;
                }
                Err(NotNow::Reserve) => {
                    if let Some(cause) = lane.stopped_to_learn() {
                        return Err(Busy::Stopped { key: key(), cause });
                    }
                    let fault = tokio::select! {
                        biased;
                        () = written => lane.state().fault.clone(),
                        () = sleep(patience) => Some("the disk does not answer".to_owned()),
                    };
                    if let Some(why) = fault {
                        return Err(Busy::Disk { key: key(), why });
                    }
                }
            }
        }
    }

    pub(crate) fn lane(&self) -> LaneView {
        self.slot.lane.view()
    }

    /// Lets the next through. What was admitted is left.
    pub(crate) fn end(&mut self) {
        self.slot.release();
    }

    /// Takes in the answer to the probe; `false` if it taught nothing.
    pub(crate) fn learn(&self, verdict: Verdict, at: Reading) -> bool {
        let lane = &self.slot.lane;
        lane.observe(verdict, at);
        let learned = lane.state().sequence.learn(verdict);
        lane.wanted.notify_one();
        learned
    }

    pub(crate) fn settle(&mut self, verdict: Verdict, at: Reading) -> Next {
        let lane = &self.slot.lane;
        lane.observe(verdict, at);
        let now = lane.clock.now(at.monotonic);
        let mut state = lane.state();
        let next = state.sequence.settle(verdict, self.n_resigns);
        // A first success goes to the disk without waiting for the next request. Most answers leave
        // nothing to write, and to wake a task for nothing costs more than the rest of this.
        if now.is_some_and(|now| state.sequence.top_up(now).is_some()) {
            lane.wanted.notify_one();
        }
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

    pub(crate) fn admission_mut(&mut self) -> &mut Admission {
        &mut self.admission
    }

    pub(crate) fn n_resigns(&self) -> u32 {
        self.n_resigns
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

#[cfg(all(test, model))]
mod model;
#[cfg(test)]
mod tests;
