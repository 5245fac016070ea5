//! Signatures of clients, remembered for five minutes: the same signed order is not sent twice.

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

impl Replays {
    /// Whether this signature was not seen within the window. `now` is monotonic.
    pub(crate) fn is_first(&self, signature: &[u8], now: Duration) -> bool {
        if self.n_inserted.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.seen.retain(|_, group| {
                group.retain(|(_, at)| now < *at + WINDOW);
                !group.is_empty()
            });
        }
        let hash = TokenHash::of(&signature.to_ascii_lowercase());
        match self.seen.entry(hash.bucket()) {
            Entry::Vacant(place) => {
                place.insert(vec![(hash, now)]);
                true
            }
            Entry::Occupied(mut group) => {
                let group = group.get_mut();
                group.retain(|(_, at)| now < *at + WINDOW);
                let first = !group.iter().any(|(it, _)| it.is(&hash));
                group.push((hash, now));
                first
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_once_in_five_minutes() {
        let replays = Replays::default();
        let at = Duration::from_secs;
        assert!(replays.is_first(b"ab", at(0)));
        assert!(!replays.is_first(b"AB", at(1)));
        assert!(replays.is_first(b"ac", at(1)));
        assert!(!replays.is_first(b"ab", at(299)));
        assert!(replays.is_first(b"ab", at(700)));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let replays = Replays::default();
        for n in 0..5_000_u64 {
            replays.is_first(&n.to_be_bytes(), Duration::from_secs(n));
        }
        assert!(replays.seen.len() < 2_000, "{}", replays.seen.len());
    }
}
