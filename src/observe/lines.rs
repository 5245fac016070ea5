//! Log lines on their way out: a thread of its own writes them, so that no request waits for whoever
//! reads them.
//!
//! 1. Lines keep their order. The thread rests between two writes, so that a burst is one write and one
//!    wake-up.
//! 2. A reader that does not read (a full pipe, a stopped terminal) stops nothing: beyond a bound lines
//!    are lost, and it is told how many.
//! 3. Whoever ends the process, or prints beside the log, waits for what is on its way, but not for ever.

use std::io::{self, Write};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What may wait: some 3,000 lines of requests.
const MOST: usize = 1 << 20;
/// A buffer that a burst made larger than this is given back.
const USUAL: usize = 64 << 10;
/// Not seen by who reads along, and at most a hundred writes a second.
const REST: Duration = Duration::from_millis(10);
/// How long the end waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that wait to be written.
#[derive(Debug)]
pub(crate) struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: Vec<u8>,
    n_lost: u64,
    writer: Writer,
    /// How many wait for the end of what is on its way.
    n_flushing: usize,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writer {
    /// It has not started: lines go straight out.
    Absent,
    Asleep,
    Resting,
    Writing,
}

impl Lines {
    pub(crate) const fn new() -> Self {
        let writer = Writer::Absent;
        let state = State { waiting: Vec::new(), n_lost: 0, writer, n_flushing: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Starts the thread. `tell` hears how many lines were lost. Where the system gives no thread, lines
    /// go straight out.
    pub(crate) fn start<W>(&'static self, to: W, tell: fn(u64))
    where
        W: Write + Send + 'static,
    {
        self.state().writer = Writer::Resting;
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut to = to;
            loop {
                self.write(&mut to, tell);
            }
        });
        if started.is_err() {
            self.state().writer = Writer::Absent;
        }
    }

    /// Takes a line, which ends with a line feed.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.writer == Writer::Absent {
            drop(state);
            drop(io::stderr().lock().write_all(line));
            return;
        }
        if state.waiting.len() + line.len() > MOST {
            state.n_lost += 1;
        } else {
            state.waiting.extend_from_slice(line);
        }
        if state.writer == Writer::Asleep {
            // Once: the next line need not wake it again.
            state.writer = Writer::Resting;
            self.changed.notify_all();
        }
    }

    /// Waits until everything pushed so far is written. `false`: it was not, in a second.
    pub(crate) fn flush(&self) -> bool {
        let mut state = self.state();
        if state.writer == Writer::Absent {
            return true;
        }
        state.n_flushing += 1;
        self.changed.notify_all();
        let pending = |it: &mut State| !it.waiting.is_empty() || it.writer == Writer::Writing;
        let waited = self.changed.wait_timeout_while(state, PATIENCE, pending);
        let (mut state, late) = waited.unwrap_or_else(PoisonError::into_inner);
        state.n_flushing -= 1;
        !late.timed_out()
    }

    /// Waits for lines, writes them, and rests.
    fn write(&self, to: &mut impl Write, tell: fn(u64)) {
        let mut state = self.state();
        while state.waiting.is_empty() && state.n_lost == 0 {
            state.writer = Writer::Asleep;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Writing;
        let mut lines = mem::take(&mut state.waiting);
        let n_lost = mem::take(&mut state.n_lost);
        drop(state);

        // Nobody is left to tell of a reader that has gone away.
        drop(to.write_all(&lines).and_then(|()| to.flush()));
        if n_lost > 0 {
            tell(n_lost);
        }

        let mut state = self.state();
        state.writer = Writer::Resting;
        if state.waiting.is_empty() && lines.capacity() <= USUAL {
            lines.clear();
            state.waiting = lines;
        }
        if state.n_flushing > 0 {
            self.changed.notify_all();
        }
        let unhurried = |it: &mut State| it.n_flushing == 0;
        drop(self.changed.wait_timeout_while(state, REST, unhurried));
    }

    /// Lines that no thread writes, for tests of what they say.
    #[cfg(test)]
    pub(crate) fn held() -> Self {
        let lines = Self::new();
        lines.state().writer = Writer::Resting;
        lines
    }

    #[cfg(test)]
    pub(crate) fn take(&self) -> Vec<u8> {
        mem::take(&mut self.state().waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment: valid after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, atomic};

    use super::*;

    /// A reader that takes a write whenever it is told to.
    struct Reader {
        go: Receiver<()>,
        took: Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(io::Error::other)?;
            self.took.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started(tell: fn(u64)) -> (&'static Lines, Sender<()>, Receiver<Vec<u8>>) {
        let lines: &'static Lines = Box::leak(Box::new(Lines::new()));
        let ((go, told), (took, taken)) = (channel(), channel());
        lines.start(Reader { go: told, took }, tell);
        (lines, go, taken)
    }

    #[test]
    fn lines_come_in_order_and_a_burst_in_few_writes() {
        let (lines, go, taken) = started(|_| {});
        let mut expected = Vec::new();
        for n in 0..1_000 {
            let line = format!("{n}\n");
            lines.push(line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
        }
        let mut seen = Vec::new();
        let mut n_writes = 0;
        while seen.len() < expected.len() {
            go.send(()).unwrap();
            seen.extend(taken.recv().unwrap());
            n_writes += 1;
        }
        assert_eq!(seen, expected);
        assert!(n_writes <= 2, "the first finds some of them, the second all others: {n_writes}");
    }

    #[test]
    fn a_reader_that_does_not_read_stops_nothing_and_hears_what_it_missed() {
        static LOST: atomic::AtomicU64 = atomic::AtomicU64::new(0);
        let (lines, go, taken) = started(|n| {
            LOST.fetch_add(n, atomic::Ordering::SeqCst);
        });
        let line = vec![b'x'; 1_024];
        let n_pushed = 3 * MOST / line.len();
        (0..n_pushed).for_each(|_| lines.push(&line));
        assert!(!lines.flush(), "nobody reads");
        let n_taken = Arc::new(atomic::AtomicUsize::new(0));
        let (counting, size) = (Arc::clone(&n_taken), line.len());
        thread::spawn(move || {
            for bytes in taken {
                counting.fetch_add(bytes.len() / size, atomic::Ordering::SeqCst);
            }
        });
        (0..10).for_each(|_| go.send(()).unwrap());
        while n_taken.load(atomic::Ordering::SeqCst) + lost(&LOST) < n_pushed {
            thread::yield_now();
        }
        assert_eq!(n_taken.load(atomic::Ordering::SeqCst) + lost(&LOST), n_pushed);
        assert!(lost(&LOST) > 0 && lines.flush());
    }

    fn lost(counter: &atomic::AtomicU64) -> usize {
        usize::try_from(counter.load(atomic::Ordering::SeqCst)).unwrap()
    }

    #[test]
    fn the_end_waits_for_what_is_on_its_way() {
        let (lines, go, taken) = started(|_| {});
        for round in 0..3 {
            lines.push(b"a line\n");
            go.send(()).unwrap();
            assert!(lines.flush(), "{round}");
            assert_eq!(taken.try_recv().unwrap(), b"a line\n", "{round}");
        }
        assert!(lines.flush(), "nothing waits");
    }

    #[test]
    fn before_it_starts_nothing_waits() {
        let lines = Lines::new();
        lines.push(b"");
        assert!(lines.flush());
        assert!(lines.state().waiting.is_empty());
    }
}
