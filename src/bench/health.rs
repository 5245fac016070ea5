//! What an upstream's health costs a call that works.

use std::time::Duration;

use super::{NOW, exchange};
use crate::call::{KeyName, OperationName};
use crate::clock::Ulid;
use crate::diagnose::{By, Cause, Confidence, DecidedBy, Finding, Fix, Retry};
use crate::health::{self, Rejected};
use crate::nonce::Reading;

/// So many keys, each of which has called every operation of the catalogue.
#[derive(Debug)]
pub struct Health {
    health: health::Health,
    keys: Vec<KeyName>,
    operations: Vec<OperationName>,
}

impl Health {
    #[must_use]
    pub fn new(n_keys: usize) -> Self {
        let keys: Vec<KeyName> = (0..n_keys).map(|n| KeyName::new(&format!("key-{n}"))).collect();
        let all = exchange().operations().iter();
        let this = Self {
            health: health::Health::of(&keys),
            operations: all.map(|it| it.name.clone()).collect(),
            keys,
        };
        for nth in 0..this.keys.len() * this.operations.len() {
            this.worked(nth / this.operations.len(), nth);
        }
        this
    }

    /// Opens an incident on the nth key, in an operation that is not called. Returns how much turned.
    pub fn trouble(&self, nth: usize) -> usize {
        let operation = OperationName::new("another");
        let finding = Finding {
            cause: Cause::KeyRoleMissing,
            decided_by: DecidedBy::Upstream,
            confidence: Confidence::Certain,
            line: String::new(),
            evidence: Vec::new(),
            fix: vec![Fix::new(By::AccountOwner, "add the role")],
            resolution: "",
            retry: Retry::AfterFix,
        };
        let rejected = Rejected {
            key: self.keys.get(nth),
            operation: &operation,
            finding: &finding,
            request_id: Ulid::default(),
            sent: now().monotonic,
            status: 403,
            reason: None,
            report: "{}",
        };
        (0..2).map(|_| self.health.rejected(&rejected, now()).len()).sum()
    }

    /// A call that the exchange has let in. Returns how much turned.
    pub fn worked(&self, key: usize, operation: usize) -> usize {
        let key = self.keys.get(key % self.keys.len());
        let operation = self.operations.get(operation % self.operations.len());
        operation.map_or(0, |it| self.health.worked(key, it, now()).len())
    }

    /// Whether a call may be sent, asked before its turn and after.
    #[must_use]
    pub fn gate(&self, key: usize) -> bool {
        let key = self.keys.get(key % self.keys.len());
        let now = now().monotonic;
        key.is_some_and(|it| self.health.gate(it, now).is_ok_and(|it| it.used(now).is_ok()))
    }
}

fn now() -> Reading {
    Reading { wall: NOW, monotonic: Duration::from_secs(1) }
}
