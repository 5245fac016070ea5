//! What works and what does not, and since when: of keys, of their operations, and of the address that
//! requests leave from. One value for each upstream.
//!
//! Time is monotonic where it measures, and the wall's where it is told.

use std::time::Duration;

use crate::call::{KeyName, OperationName};
use crate::clock::{Ulid, UnixMicros};
use crate::diagnose::{Cause, Change, ChangeKind, Past};
use crate::nonce::Reading;

/// What is known of an upstream's health.
#[derive(Debug, Default)]
pub(crate) struct Health {}

/// A rejection, explained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected<'a> {
    /// `None`: public data.
    pub(crate) key: Option<&'a KeyName>,
    pub(crate) operation: &'a OperationName,
    pub(crate) cause: Cause,
    pub(crate) request_id: Ulid,
    /// The status and the reason that the exchange gave, to be repeated while the key is set aside.
    pub(crate) status: u16,
    pub(crate) reason: Option<&'a str>,
    /// The member `diagnosis`, as JSON.
    pub(crate) report: &'a str,
}

/// Repeated rejections of one cause on one key or address.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) cause: Cause,
    /// `None`: of the address that requests leave from.
    pub(crate) key: Option<KeyName>,
    pub(crate) n_rejected: u64,
    pub(crate) began: UnixMicros,
    pub(crate) report: String,
}

/// What a rejection or a success changed, to be told.
#[derive(Clone, Debug)]
pub(crate) enum Turned {
    Opened(Incident),
    /// It works again.
    Closed(Incident),
    Quarantined {
        key: KeyName,
        cause: Cause,
    },
    Released {
        key: KeyName,
    },
}

/// A key that is set aside: nothing is sent with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key `{key}` is set aside")]
pub(crate) struct Quarantined {
    pub(crate) key: KeyName,
    pub(crate) cause: Cause,
    /// Until the next trial.
    pub(crate) wait: Duration,
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
}

impl Health {
    /// Whether a call may be sent with `key` now. Of a key in quarantine one call every 30 s may.
    pub(crate) fn gate(&self, _key: &KeyName, _now: Duration) -> Result<(), Quarantined> {
        Ok(())
    }

    /// A call was let in by the exchange: it was answered, and not about access. `key` is `None` for
    /// public data.
    pub(crate) fn worked(
        &self,
        _key: Option<&KeyName>,
        _operation: &OperationName,
        _at: Reading,
    ) -> Vec<Turned> {
        Vec::new()
    }

    /// A call was rejected, or had no answer, for a cause of the exchange's, the network's or an edge's.
    pub(crate) fn rejected(&self, _rejected: &Rejected<'_>, _at: Reading) -> Vec<Turned> {
        Vec::new()
    }

    /// What worked lately, before the rejection that is being explained.
    pub(crate) fn past(
        &self,
        _key: Option<&KeyName>,
        _operation: &OperationName,
        _now: Duration,
    ) -> Past {
        Past::default()
    }

    /// Takes in that something was changed here.
    pub(crate) fn changed(&self, _what: ChangeKind, _detail: String, _now: Duration) {}

    /// What changed in the last minutes, the latest first.
    pub(crate) fn changes(&self, _now: Duration) -> Vec<Change> {
        Vec::new()
    }

    /// Takes in which roles the exchange names for a key.
    pub(crate) fn learned_roles(&self, _key: &KeyName, _roles: Vec<String>, _now: Duration) {}

    /// Those roles, and how long ago they were named.
    pub(crate) fn roles(&self, _key: &KeyName, _now: Duration) -> Option<(Vec<String>, Duration)> {
        None
    }

    /// Whether a question of our own may be asked with this key now: one a minute. The right is taken.
    pub(crate) fn may_ask(&self, _key: Option<&KeyName>, _now: Duration) -> bool {
        false
    }
}
