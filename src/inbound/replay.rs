//! Signatures of clients, remembered for five minutes: the same signed order is not sent twice. What
//! was not sent after all is forgotten: it may come again.
//!
//! What is old is forgotten one by one, as new ones come: no request sweeps up after all the others.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::secret::TokenHash;

const WINDOW: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(crate) struct Replays {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By the first half of the hash; compared whole, in constant time.
    groups: HashMap<u64, Vec<(TokenHash, Duration)>>,
    /// When something came into which group, the oldest first. It may be gone again.
    arrivals: VecDeque<(Duration, u64)>,
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
        let mut seen = self.seen();
        seen.forget_old(now);
        let group = seen.groups.entry(hash.bucket()).or_default();
        let first = !group.iter().any(|(it, _)| it.is(&hash));
        if first {
            group.push((hash, now));
            seen.arrivals.push_back((now, hash.bucket()));
        }
        first
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic in the middle leaves at most an arrival too few: its signature is remembered longer.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget_old(&mut self, now: Duration) {
        while let Some((at, bucket)) = self.arrivals.front().copied()
            && now >= at + WINDOW
        {
            self.arrivals.pop_front();
            self.keep(bucket, |_, at| now < at + WINDOW);
        }
    }

    /// Keeps of a group what is to be kept, and no empty group.
    fn keep(&mut self, bucket: u64, kept: impl Fn(&TokenHash, Duration) -> bool) {
        if let Entry::Occupied(mut group) = self.groups.entry(bucket) {
            group.get_mut().retain(|(it, at)| kept(it, *at));
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
            let hash = self.hash;
            self.replays.seen().keep(hash.bucket(), |it, _| !it.is(&hash));
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
        assert!(replays.seen().groups.is_empty());
    }

    #[test]
    fn what_is_old_is_forgotten_and_nothing_else() {
        let replays = Arc::new(Replays::default());
        for n in 0..5_000_u64 {
            let signature = n.to_string();
            replays.claim(signature.as_bytes(), Duration::from_secs(n)).unwrap().spend();
        }
        let seen = replays.seen();
        assert_eq!((seen.groups.len(), seen.arrivals.len()), (300, 300));
    }

    /// Its first arrival is old, and its second is not.
    #[test]
    fn what_came_again_counts_from_then_on() {
        let replays = Arc::new(Replays::default());
        let claim = |at| replays.claim(b"ab", Duration::from_secs(at));
        drop(claim(0).unwrap());
        claim(100).unwrap().spend();
        for at in [299, 300, 399] {
            assert!(claim(at).is_none(), "{at}");
        }
        assert!(claim(400).is_some());
    }
}
