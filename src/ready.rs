//! Whether signed calls can be made: the exchange's clock is known.
//!
//! The first signed request waits for one unsigned answer that carries a `Date`; `/readyz` means that,
//! and that the nonces of every known key have been reserved, or that it was tried.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{AGE, DATE};
use tokio::sync::{Notify, watch};

use crate::clock::{UnixMicros, micros};
use crate::egress::SendFault;
use crate::nonce::{Observed, Reading, ServerClock};
use crate::refusal::Refusal;

/// How long a request waits for the first answer: shorter than bots wait for theirs.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Ready {
    known: watch::Sender<bool>,
    // What the last attempt to get an answer ended with.
    fault: Mutex<Option<SendFault>>,
    again: Notify,
    // How many keys have not tried to reserve their first nonces.
    n_unreserved: AtomicUsize,
}

impl Ready {
    pub(crate) fn new(n_keys: usize) -> Self {
        Self {
            known: watch::Sender::new(false),
            fault: Mutex::new(None),
            again: Notify::new(),
            n_unreserved: AtomicUsize::new(n_keys),
        }
    }

    /// Whether a signed request would have to wait neither for the clock nor for the disk.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_known() && self.n_unreserved.load(Ordering::Acquire) == 0
    }

    /// Whether the exchange has told its time.
    pub(crate) fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    /// Waits until the exchange has told its time, however long.
    pub(crate) async fn known(&self) {
        let mut known = self.known.subscribe();
        // The sender is ours, and so lives.
        drop(known.wait_for(|it| *it).await);
    }

    /// Takes in that one more key has tried to reserve its first nonces.
    pub(crate) fn reserved(&self) {
        self.n_unreserved.fetch_sub(1, Ordering::AcqRel);
    }

    /// Waits for the first `Date`, for a while.
    pub(crate) async fn wait(&self) -> Result<(), Refusal> {
        if self.is_known() {
            return Ok(());
        }
        let mut known = self.known.subscribe();
        let waited = tokio::time::timeout(PATIENCE, known.wait_for(|it| *it)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.why_not()),
        }
    }

    /// Takes in that an attempt to get the first answer failed.
    pub(crate) fn failed(&self, fault: SendFault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    fn why_not(&self) -> Refusal {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fault.map_or(Refusal::NoClock, Refusal::unsent)
    }

    /// Takes in the `Date` of an answer to what was sent at `sent`.
    pub(crate) fn observe(
        &self,
        headers: &HeaderMap,
        clock: &ServerClock,
        sent: Duration,
        at: Reading,
    ) {
        let Some(date) = date(headers) else { return };
        if clock.observe_date(date, sent, at) == Observed::Doubted {
            self.ask_again();
        }
        self.known.send_if_modified(|known| !std::mem::replace(known, true));
    }

    /// Has the exchange asked for its time once more.
    pub(crate) fn ask_again(&self) {
        self.again.notify_one();
    }

    /// Waits until its time should be asked for once more.
    pub(crate) async fn asked_again(&self) {
        self.again.notified().await;
    }
}

fn date(headers: &HeaderMap) -> Option<UnixMicros> {
    if headers.get(AGE).is_some_and(|it| it != "0") {
        // A cache's copy tells when it was made, not what time it is.
        return None;
    }
    let text = headers.get(DATE)?.to_str().ok()?;
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMicros(micros(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_date_makes_ready() {
        let (ready, clock) = (Ready::new(0), ServerClock::default());
        let at = Reading { wall: UnixMicros(0), monotonic: Duration::ZERO };
        let mut headers = HeaderMap::new();
        ready.observe(&headers, &clock, Duration::ZERO, at);
        headers.insert(DATE, "yesterday".parse().unwrap());
        ready.observe(&headers, &clock, Duration::ZERO, at);
        assert!(!ready.is_ready());
        headers.insert(DATE, "Mon, 21 Sep 2026 13:33:20 GMT".parse().unwrap());
        headers.insert(AGE, "7".parse().unwrap());
        ready.observe(&headers, &clock, Duration::ZERO, at);
        assert!(!ready.is_ready(), "a cache's copy");
        headers.remove(AGE);
        ready.observe(&headers, &clock, Duration::ZERO, at);
        assert!(ready.is_ready());
        assert_eq!(clock.now(Duration::ZERO).unwrap().secs(), 1_789_997_600);
    }

    #[test]
    fn every_key_reserves_before_it_is_ready() {
        let ready = Ready::new(2);
        ready.known.send_replace(true);
        for _ in 0..2 {
            assert!(ready.is_known() && !ready.is_ready());
            ready.reserved();
        }
        assert!(ready.is_ready());
    }
}
