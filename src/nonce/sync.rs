//! What a lane locks and hands over with: std's locks and tokio's channel, or their doubles where all
//! interleavings are tried out (`just model`). An own name, because `--cfg loom` takes tokio's sockets
//! away.

#[cfg(all(test, model))]
pub(in crate::nonce) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, model)))]
pub(in crate::nonce) use std::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, model)))]
pub(in crate::nonce) use tokio::sync::oneshot;

/// tokio's channel, which loom does not see: whoever sends or leaves touches something that it sees, so
/// that it tries both orders.
#[cfg(all(test, model))]
pub(in crate::nonce) mod oneshot {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use loom::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::oneshot;

    #[derive(Debug)]
    pub(in crate::nonce) struct Sender<T>(oneshot::Sender<T>, Arc<AtomicBool>);

    #[derive(Debug)]
    pub(in crate::nonce) struct Receiver<T>(oneshot::Receiver<T>, Arc<AtomicBool>);

    pub(in crate::nonce) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        let touched = Arc::new(AtomicBool::new(false));
        (Sender(sender, Arc::clone(&touched)), Receiver(receiver, touched))
    }

    impl<T> Sender<T> {
        pub(in crate::nonce) fn is_closed(&self) -> bool {
            self.1.load(Ordering::SeqCst);
            self.0.is_closed()
        }

        pub(in crate::nonce) fn send(self, value: T) -> Result<(), T> {
            self.1.store(true, Ordering::SeqCst);
            self.0.send(value)
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, oneshot::error::RecvError>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            Pin::new(&mut self.0).poll(context)
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.1.store(true, Ordering::SeqCst);
        }
    }
}
