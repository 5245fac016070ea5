//! Background work that is named, and waited for when the process drains.

use std::convert::Infallible;
use std::future::Future;

use tokio::sync::mpsc;
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
}

impl Drained {
    pub(crate) async fn wait(mut self) {
        // Nobody can send an `Infallible`: the only answer is the end.
        while self.ended.recv().await.is_some() {}
    }
}
