//! Look-ups of names: a few at a time.
//!
//! The system looks a name up in a blocking call that nothing can end. Each takes one of the threads
//! that nonce marks are written on too, and keeps it after its request has given up: a resolver that
//! does not answer must not take them all.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

/// Far below the number of tokio's blocking threads, 512. All of them look up one name.
const MOST: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct Names {
    room: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let room = Arc::clone(&self.room);
        Box::pin(async move {
            let place = room.acquire_owned().await.map_err(io::Error::other)?;
            let answer = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                // Not before the system has answered, whether or not anybody still waits.
                drop(place);
                addresses
            });
            answer.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test]
    async fn a_look_up_waits_for_a_place() {
        let mut names = Names::new();
        let all = u32::try_from(MOST).unwrap();
        let taken = Arc::clone(&names.room).acquire_many_owned(all).await.unwrap();
        let mut one = names.call("localhost".parse().unwrap());
        let mut context = Context::from_waker(Waker::noop());
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert_eq!(names.room.available_permits(), 0);
        drop(taken);
        assert!(one.await.unwrap().all(|it| it.ip().is_loopback()));
        assert_eq!(names.room.available_permits(), MOST);
    }
}
