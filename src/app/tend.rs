//! What goes on beside the requests: the exchange's time is asked for, and marks are kept ahead.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::egress::Arriving;
use crate::message;
use crate::nonce::Lane;
use crate::proxy::Proxy;
use crate::task;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Soon enough for what is in doubt, and no burden on the exchange.
const CONFIRM_PAUSE: Duration = Duration::from_secs(1);
/// Half the lag that a time-based nonce may have, so that a write may take as long again.
const TEND_EVERY: Duration = Duration::from_secs(5);
/// More than the list of symbols is long.
const MAX_PUBLIC: usize = 1 << 20;

/// A lane, and the task that keeps its mark ahead.
#[derive(Debug)]
pub(super) struct Tended {
    pub(super) lane: Arc<Lane>,
    pub(super) tending: JoinHandle<()>,
}

/// Keeps the mark of a lane ahead, from the moment that the exchange's time is known.
pub(super) fn tend(lane: &Arc<Lane>, proxy: &Proxy) -> Tended {
    let (lane, tended) = (Arc::clone(lane), Arc::clone(lane));
    // Not the proxy itself, which a drain waits for.
    let (ready, clock) = (Arc::clone(&proxy.ready), Arc::clone(&proxy.clock));
    let tending = task::spawn("nonce marks", async move {
        ready.known().await;
        tended.raise(clock.monotonic()).await;
        ready.reserved();
        tended.tend(|| clock.monotonic(), || tokio::time::sleep(TEND_EVERY)).await;
    });
    Tended { lane, tending }
}

/// Asks for public data until an answer tells the time, and again whenever that is in doubt. It also
/// leaves a warm connection.
pub(super) async fn learn_the_time(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            () = ask_for_the_time(&proxy) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let next = async {
            if proxy.ready.is_known() {
                proxy.ready.asked_again().await;
            }
            tokio::time::sleep(pause).await;
        };
        tokio::select! {
            () = next => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let longer = LONGEST_PAUSE.min(pause * 2);
        pause = if proxy.ready.is_known() { CONFIRM_PAUSE } else { longer };
    }
}

async fn ask_for_the_time(proxy: &Proxy) {
    let (wire, nothing) = (proxy.provider.date_request(), HeaderMap::new());
    let (sent, deadline) = (proxy.reading().monotonic, proxy.deadlines.read);
    match proxy.egress.send(wire, &nothing, deadline).await {
        Ok(answer) => {
            let at = proxy.reading();
            proxy.ready.observe(answer.headers(), &proxy.server_clock, sent, at);
            // Read to its end, so that the connection can be used again.
            let Arriving { body, due, .. } = answer.into_body();
            drop(tokio::time::timeout_at(due, message::read(body, MAX_PUBLIC)).await);
        }
        Err(fault) => {
            tracing::warn!(%fault, "the exchange does not answer yet");
            proxy.ready.failed(fault.kind);
        }
    }
}
