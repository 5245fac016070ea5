//! Signatures of clients, remembered for five minutes: the same signed order is not sent twice. What
//! was not sent after all is forgotten: it may come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::secret::TokenHash;

const WINDOW: Duration = Duration::from_secs(300);
/// How many insertions pass between two sweeps.
const SWEEP_EVERY: u64 = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Replays {
    seen: DashMap<u64, Vec<(TokenHash, Duration)>>,
    n_inserted: AtomicU64,
}

/// A signature that is being used. Dropped, it may be used again.
#[derive(Debug)]
pub(crate) struct Claim {
    replays: Arc<Replays>,
    hash: TokenHash,
    used: bool,
}

impl Replays {
    /// Takes a signature that was not seen within the window. `now` is monotonic.
    pub(crate) fn claim(self: &Arc<Self>, signature: &[u8], now: Duration) -> Option<Claim> {
        let hash = TokenHash::of(&signature.to_ascii_lowercase());
        let claim = || Claim { replays: Arc::clone(self), hash, used: false };
        self.is_first(hash, now).then(claim)
    }

    fn is_first(&self, hash: TokenHash, now: Duration) -> bool {
        if self.n_inserted.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.seen.retain(|_, group| {
                group.retain(|(_, at)| now < *at + WINDOW);
                !group.is_empty()
            });
        }
        match self.seen.entry(hash.bucket()) {
            Entry::Vacant(place) => {
                place.insert(vec![(hash, now)]);
                true
            }
            Entry::Occupied(mut group) => {
                let group = group.get_mut();
                group.retain(|(_, at)| now < *at + WINDOW);
                let first = !group.iter().any(|(it, _)| it.is(&hash));
                if first {
                    group.push((hash, now));
                }
                first
            }
        }
    }

    fn forget(&self, hash: TokenHash) {
        if let Entry::Occupied(mut group) = self.seen.entry(hash.bucket()) {
            group.get_mut().retain(|(it, _)| !it.is(&hash));
            if group.get().is_empty() {
                group.remove();
            }
        }
    }
}

impl Claim {
    /// From here on the request may be sent: its signature counts, whatever happens.
    pub(crate) fn spend(&mut self) {
        self.used = true;
    }

    /// It was not sent after all: the signature may be used again.
    pub(crate) fn give_back(mut self) {
        self.used = false;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.used {
            self.replays.forget(self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_once_in_five_minutes() {
        let replays = Arc::new(Replays::default());
        let claim = |signature: &[u8], at| replays.claim(signature, Duration::from_secs(at));
        claim(b"ab", 0).unwrap().spend();
        assert!(claim(b"AB", 1).is_none());
        claim(b"ac", 1).unwrap().spend();
        assert!(claim(b"ab", 299).is_none());
        assert!(claim(b"ab", 300).is_some());
    }

    #[test]
    fn what_was_not_sent_may_come_again() {
        let replays = Arc::new(Replays::default());
        let claim = || replays.claim(b"ab", Duration::ZERO);
        let first = claim().unwrap();
        assert!(claim().is_none(), "not while the first is under way");
        drop(first);
        let mut second = claim().unwrap();
        second.spend();
        second.give_back();
        assert!(claim().is_some());
        assert!(replays.seen.is_empty());
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let replays = Arc::new(Replays::default());
        for n in 0..5_000_u64 {
            let signature = n.to_string();
            replays.claim(signature.as_bytes(), Duration::from_secs(n)).unwrap().spend();
        }
        assert!(replays.seen.len() < 2_000, "{}", replays.seen.len());
    }
}
