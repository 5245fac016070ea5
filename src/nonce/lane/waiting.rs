//! Who waits in a lane, and in which order they go.

use std::time::Duration;

use super::Slot;
use crate::call::Priority;
use crate::nonce::sync::oneshot;

#[derive(Debug)]
pub(super) struct Waiting {
    /// When it counts as having come.
    pub(super) due: Duration,
    pub(super) arrival: u64,
    pub(super) tell: oneshot::Sender<Slot>,
}

/// When a request counts as having come: a class stands so far back behind a cancel of the same
/// moment, and an emergency goes before all that has ever come.
pub(super) fn due(priority: Priority, now: Duration) -> Duration {
    let stands_back = match priority {
        Priority::Emergency => return Duration::ZERO,
        Priority::Cancel => 0,
        Priority::Heartbeat => 200,
        Priority::Order => 400,
        Priority::Read => 1_000,
    };
    now + Duration::from_millis(stands_back)
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.arrival).cmp(&(other.due, other.arrival))
    }
}
