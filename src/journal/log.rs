//! Lines that a thread of its own writes: many in one write and one sync (group commit), so that nobody
//! who answers requests waits for a disk but those who ask to.
//!
//! 1. Lines keep their order, and each is written once.
//! 2. Where nobody waits, lines are gathered for a moment and synced within a second; who waits is
//!    served at once. So lines that nobody waits for cost next to nothing, however many there are.
//! 3. A batch that fails is kept and tried again every second. Who waits for it is told at once: nobody
//!    waits for a full disk.
//! 4. While the disk fails so many bytes are held; further lines are lost and counted.
//! 5. What was handed in before the end is written before the thread ends. The end waits for no disk
//!    that fails.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{Clock as _, SystemClock};

/// What is held while the disk fails.
const MOST: usize = 8 << 20;
/// What a line costs beside its text.
const OVERHEAD: usize = size_of::<String>();
/// From a failure to the next attempt, and from sync to sync where they come by the clock.
const REST: Duration = Duration::from_secs(1);
/// How long lines are gathered that nobody waits for: what a sudden end may lose of them.
const NAP: Duration = Duration::from_millis(5);
/// So many bytes of them are not gathered any longer.
const GATHERED: usize = 64 << 10;

/// What lines are written to.
pub(crate) trait Sheet: Send {
    /// All or nothing: after an error everything is as it was before.
    fn write(&mut self, lines: &[String]) -> io::Result<()>;
    /// Returns when what was written survives the loss of power. After an error the next sync covers
    /// what this one did not.
    fn sync(&mut self) -> io::Result<()>;
}

/// When a line counts as written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// When it is synced, together with what others handed in meanwhile.
    Group,
    /// As soon as it was handed in. Synced once a second.
    Interval,
}

/// The lines of one file. The thread ends when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    handle: Arc<Handle>,
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    durability: Durability,
    rest: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<String>,
    // Of what waits and of the batch that is being written.
    n_bytes: usize,
    // Lines taken, and how many of them are durable. Invariant: the second is never above the first.
    n_taken: u64,
    n_durable: u64,
    n_lost: u64,
    fault: Option<Fault>,
    // In the order of their numbers.
    told: VecDeque<(u64, oneshot::Sender<io::Result<()>>)>,
    stage: Stage,
    closing: Vec<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Open,
    Ending,
    Ended,
}

#[derive(Clone, Debug)]
struct Fault {
    kind: io::ErrorKind,
    words: String,
}

impl Log {
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(
        name: &'static str,
        sheet: Box<dyn Sheet>,
        durability: Durability,
    ) -> io::Result<Self> {
        Self::resting(name, sheet, durability, REST)
    }

    fn resting(
        name: &'static str,
        sheet: Box<dyn Sheet>,
        durability: Durability,
        rest: Duration,
    ) -> io::Result<Self> {
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        let shared = Arc::new(Shared { name, durability, rest, state, changed });
        let ending = Ending(Arc::clone(&shared));
        let writer = Writer { sheet, clock: SystemClock::new(), n_unsynced: 0, synced: None };
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let ending = ending;
            writer.run(&ending.0);
        })?;
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    /// Hands in a line, without a line feed. Never blocks. `false`: it is lost, and counted.
    pub(crate) fn append(&self, line: String) -> bool {
        let shared = &self.handle.shared;
        let mut state = shared.state();
        let n_bytes = line.len() + OVERHEAD;
        if state.stage != Stage::Open || state.n_bytes + n_bytes > MOST {
            state.n_lost += 1;
            return false;
        }
        // The thread sleeps for the first line, and is not to be woken by each of the next.
        let wakes = state.waiting.is_empty() || state.n_bytes + n_bytes > GATHERED;
        state.n_bytes += n_bytes;
        state.n_taken += 1;
        state.waiting.push(line);
        drop(state);
        if wakes {
            shared.changed.notify_all();
        }
        true
    }

    /// Resolves when everything handed in so far is written, or as soon as that fails.
    pub(crate) fn written(&self) -> impl Future<Output = io::Result<()>> + Send + use<> {
        let mut state = self.handle.shared.state();
        let after: Pin<Box<dyn Future<Output = io::Result<()>> + Send>> = match &state.fault {
            Some(fault) => Box::pin(ready(Err(fault.error()))),
            None if self.handle.shared.durability == Durability::Interval => {
                Box::pin(ready(Ok(())))
            }
            None if state.n_durable == state.n_taken => Box::pin(ready(Ok(()))),
            None => {
                let (tell, told) = oneshot::channel();
                let number = state.n_taken;
                state.told.push_back((number, tell));
                self.handle.shared.changed.notify_all();
                Box::pin(async move { told.await.unwrap_or_else(|_| Err(gone())) })
            }
        };
        after
    }

    /// Why nothing can be written at the moment.
    pub(crate) fn fault(&self) -> Option<String> {
        self.handle.shared.state().fault.as_ref().map(|it| it.words.clone())
    }

    /// How many lines were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.handle.shared.state().n_lost
    }

    /// Ends the thread for all clones, and returns when what was handed in is written or lost.
    pub(crate) async fn close(self) {
        let (tell, told) = oneshot::channel();
        let shared = &self.handle.shared;
        {
            let mut state = shared.state();
            if state.stage == Stage::Ended {
                return;
            }
            state.stage = Stage::Ending;
            state.closing.push(tell);
        }
        shared.changed.notify_all();
        // An end by a panic drops the sender: there is no more to wait for.
        drop(told.await);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.stage == Stage::Open {
            state.stage = Stage::Ending;
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of the end, however it comes about.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let n_left = state.n_taken - state.n_durable;
        if n_left > 0 {
            tracing::error!(log = self.0.name, lines = n_left, "lines are lost");
        }
        state.n_lost += n_left;
        state.n_taken = state.n_durable;
        (state.waiting, state.n_bytes, state.stage) = (Vec::new(), 0, Stage::Ended);
        // Nothing that is handed in from now on will ever be written.
        state.fault.get_or_insert_with(|| Fault::of(&gone()));
        state.told.clear();
        for tell in state.closing.drain(..) {
            // Who has gone away need not know.
            tell.send(()).ok();
        }
    }
}

/// What the thread does next.
struct Work {
    batch: Vec<String>,
    /// Whether somebody waits for it.
    wanted: bool,
    ends: bool,
}

/// The thread.
struct Writer {
    sheet: Box<dyn Sheet>,
    clock: SystemClock,
    // Lines that were written since the last sync.
    n_unsynced: u64,
    // When the last sync was, where they come by the clock.
    synced: Option<Duration>,
}

impl Writer {
    fn run(mut self, shared: &Shared) {
        loop {
            let Work { batch, wanted, ends } = self.wait(shared);
            let n_bytes: usize = batch.iter().map(|it| it.len() + OVERHEAD).sum();
            let outcome = self.put(&batch, shared.rest, wanted || ends);
            let mut state = shared.state();
            match outcome {
                Ok(durable) => {
                    state.n_bytes = state.n_bytes.saturating_sub(n_bytes);
                    if durable {
                        state.n_durable += mem::take(&mut self.n_unsynced);
                    }
                    if state.fault.take().is_some() {
                        tracing::info!(log = shared.name, "lines are written again");
                    }
                    let n_durable = state.n_durable;
                    while let Some((_, tell)) = state.told.pop_front_if(|it| it.0 <= n_durable) {
                        // Who has gone away need not know.
                        drop(tell.send(Ok(())));
                    }
                }
                Err(Failed { fault, written }) => {
                    let fault = Fault::of(&fault);
                    if written {
                        state.n_bytes = state.n_bytes.saturating_sub(n_bytes);
                    } else {
                        let later = mem::replace(&mut state.waiting, batch);
                        state.waiting.extend(later);
                    }
                    if state.fault.is_none() {
                        let words = &fault.words;
                        tracing::error!(log = shared.name, fault = %words, "lines cannot be written");
                    }
                    for (_, tell) in state.told.drain(..) {
                        drop(tell.send(Err(fault.error())));
                    }
                    state.fault = Some(fault);
                    if !ends {
                        let open = |it: &mut State| it.stage == Stage::Open;
                        drop(shared.changed.wait_timeout_while(state, shared.rest, open));
                    }
                }
            }
            if ends {
                return;
            }
        }
    }

    /// Waits for something to do: lines, a sync that is wanted, due or failed, the end.
    fn wait(&self, shared: &Shared) -> Work {
        let mut state = shared.state();
        let quiet = |it: &State| it.told.is_empty() && it.stage == Stage::Open;
        let idle = |it: &mut State| it.waiting.is_empty() && quiet(it);
        if self.n_unsynced == 0 {
            let waited = shared.changed.wait_while(state, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        } else {
            // After a failure this returns at once: the rest was had already.
            let due = self.due(shared.rest);
            let waited = shared.changed.wait_timeout_while(state, due, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let alone = |it: &mut State| quiet(it) && it.n_bytes < GATHERED;
        let nap = if state.waiting.is_empty() { Duration::ZERO } else { NAP };
        let waited = shared.changed.wait_timeout_while(state, nap, alone);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        Work {
            batch: mem::take(&mut state.waiting),
            wanted: !state.told.is_empty(),
            ends: state.stage != Stage::Open,
        }
    }

    /// Writes a batch, and syncs if that is due. Whether all that was written is durable.
    fn put(&mut self, batch: &[String], rest: Duration, now: bool) -> Result<bool, Failed> {
        if !batch.is_empty() {
            self.sheet.write(batch).map_err(|fault| Failed { fault, written: false })?;
            self.n_unsynced += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        }
        let waits = !now && !self.due(rest).is_zero();
        if waits || self.n_unsynced == 0 {
            return Ok(!waits);
        }
        self.sheet.sync().map_err(|fault| Failed { fault, written: true })?;
        self.synced = Some(self.clock.monotonic());
        Ok(true)
    }

    /// How long until the next sync.
    fn due(&self, rest: Duration) -> Duration {
        let synced = self.synced.map_or(Duration::ZERO, |it| it.saturating_add(rest));
        synced.saturating_sub(self.clock.monotonic())
    }
}

struct Failed {
    fault: io::Error,
    // Whether only the sync failed: the lines must not be written once more.
    written: bool,
}

impl Fault {
    fn of(error: &io::Error) -> Self {
        Self { kind: error.kind(), words: error.to_string() }
    }

    fn error(&self) -> io::Error {
        io::Error::new(self.kind, self.words.clone())
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody writes these lines any more")
}

#[cfg(test)]
#[path = "tests/log.rs"]
mod tests;
