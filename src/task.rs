//! Work that outlives its moment: background tasks, named; tasks on a thread of their own; work that is
//! waited for when the process drains; and work that goes on when whoever asked for it goes away.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Starts a task that may be dropped when the process ends.
pub(crate) fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tracing::trace!(name, "task starts");
    #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
    tokio::spawn(future)
}

/// Starts a task on the thread of `runtime`, from another one: whoever waits for it stands apart.
pub(crate) fn spawn_at<F>(runtime: &Handle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tracing::trace!(name, "task starts");
    runtime.spawn(future)
}

/// Starts a task on a thread of its own, so that what it computes delays nothing else.
///
/// # Errors
/// If the system gives no thread or no event queue.
pub(crate) fn spawn_apart<F>(name: &'static str, future: F) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ends, ended) = oneshot::channel::<Infallible>();
    let task = runtime.spawn(async move {
        future.await;
        drop(ends);
    });
    let run = move || drop(runtime.block_on(ended));
    thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(task)
}

/// Starts tasks that a drain waits for.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    // Every task holds a clone; the receiver ends when the last is gone.
    alive: mpsc::Sender<Infallible>,
}

/// Resolves when the last task, and the last [`Tasks`], is gone.
#[derive(Debug)]
pub(crate) struct Drained {
    ended: mpsc::Receiver<Infallible>,
}

impl Tasks {
    pub(crate) fn new() -> (Self, Drained) {
        let (alive, ended) = mpsc::channel(1);
        (Self { alive }, Drained { ended })
    }

    pub(crate) fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let alive = self.alive.clone();
        // In a box: below it is kept twice, and moved about, which costs more for a large one.
        let future = Box::pin(future);
        spawn(name, async move {
            let output = future.await;
            drop(alive);
            output
        })
    }

    /// Makes `future` survive its caller.
    pub(crate) fn carry<F>(&self, name: &'static str, future: F) -> Carried<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let alive = self.alive.clone();
        Carried { name, work: Some(Box::pin(future)), alive, runtime: Handle::current() }
    }
}

/// Work that outlives who asked for it. As long as its caller waits it runs within the caller's task,
/// which costs neither a task nor a wake-up; when the caller goes away it goes on in a task of its own.
#[must_use = "it runs when it is awaited, or dropped"]
pub(crate) struct Carried<T: Send + 'static> {
    name: &'static str,
    /// `None` once it has ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    alive: mpsc::Sender<Infallible>,
    runtime: Handle,
}

/// The work panicked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

impl<T: Send + 'static> Future for Carried<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Ready(Err(Panicked)) };
        // As in a task: a panic ends the work, and nothing else sees what it left.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.work = None;
        }
        polled.map_or(Poll::Ready(Err(Panicked)), |it| it.map(Ok))
    }
}

impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        tracing::trace!(name = self.name, "goes on without its caller");
        let alive = self.alive.clone();
        // Not `spawn`: whoever drops this may stand outside the runtime.
        drop(self.runtime.spawn(async move {
            work.await;
            drop(alive);
        }));
    }
}

impl<T: Send + 'static> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drained {
    pub(crate) async fn wait(mut self) {
        // Nobody can send an `Infallible`: the only answer is the end.
        while self.ended.recv().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Work that counts its steps, and takes each when it is told.
    fn steps() -> (Arc<AtomicU32>, Arc<Notify>, impl Future<Output = u32> + Send) {
        let (n, next) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (counted, told) = (Arc::clone(&n), Arc::clone(&next));
        let work = async move {
            for _ in 0..2 {
                counted.fetch_add(1, Ordering::SeqCst);
                told.notified().await;
            }
            counted.fetch_add(1, Ordering::SeqCst)
        };
        (n, next, work)
    }

    #[tokio::test]
    async fn a_caller_who_waits_gets_the_result_and_costs_no_task() {
        let (tasks, drained) = Tasks::new();
        let (_, next, work) = steps();
        let before = Handle::current().metrics().num_alive_tasks();
        let carried = tasks.carry("steps", work);
        next.notify_one();
        let (said, ()) = tokio::join!(carried, async {
            assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
            tokio::task::yield_now().await;
            next.notify_one();
        });
        assert_eq!(said, Ok(2));
        drop(tasks);
        drained.wait().await;
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_stops_nothing_and_the_drain_waits() {
        for polled in [false, true] {
            let (tasks, drained) = Tasks::new();
            let (n, next, work) = steps();
            let mut carried = tasks.carry("steps", work);
            if polled {
                tokio::select! {
                    biased;
                    _ = &mut carried => panic!("it has steps left"),
                    () = std::future::ready(()) => {}
                }
            }
            drop((carried, tasks));
            let telling = async {
                for _ in 0..2 {
                    tokio::task::yield_now().await;
                    next.notify_one();
                }
            };
            tokio::join!(drained.wait(), telling);
            assert_eq!(n.load(Ordering::SeqCst), 3, "polled before: {polled}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_told_and_goes_no_further() {
        let (tasks, drained) = Tasks::new();
        let after = Arc::new(Notify::new());
        let wait = Arc::clone(&after);
        let carried = tasks.carry("panic", async move {
            wait.notified().await;
            panic!("within the work");
        });
        after.notify_one();
        assert_eq!(carried.await.map(|(): ()| ()), Err(Panicked));
        // Without a caller it ends with its task.
        drop(tasks.carry("panic", async { panic!("within the work") }));
        drop(tasks);
        drained.wait().await;
    }

    #[tokio::test]
    async fn a_task_apart_has_a_thread_of_its_own_and_is_waited_for() {
        let here = thread::current().id();
        let (tell, told) = oneshot::channel();
        let apart = spawn_apart("apart", async move {
            tokio::task::yield_now().await;
            drop(tell.send((thread::current().id(), thread::current().name().map(str::to_owned))));
        });
        apart.unwrap().await.unwrap();
        let (there, name) = told.await.unwrap();
        assert_ne!(there, here);
        assert_eq!(name.as_deref(), Some("apart"));
    }

    #[test]
    fn it_may_be_dropped_outside_the_runtime() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let (n, next, work) = steps();
        let (tasks, drained) = Tasks::new();
        let within = runtime.enter();
        let carried = tasks.carry("steps", work);
        drop(within);
        drop((carried, tasks));
        next.notify_one();
        runtime.block_on(async {
            let told = async {
                tokio::task::yield_now().await;
                next.notify_one();
            };
            tokio::join!(drained.wait(), told);
        });
        assert_eq!(n.load(Ordering::SeqCst), 3);
    }
}
