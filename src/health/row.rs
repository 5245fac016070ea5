//! The last success of something, and the row of rejections since.

use std::collections::HashMap;
use std::time::Duration;

use crate::call::OperationName;
use crate::diagnose::{Cause, Lately};

/// More than any catalogue has, with what an operator adds to it.
const MOST_OPERATIONS: usize = 512;

/// Of a key, an operation, or the address. Time is monotonic.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    worked: Option<Duration>,
    n_refused: u32,
    /// What the last one was for, and when the first was.
    refused: Option<(Cause, Duration)>,
}

/// The operations of a key, or those that need none.
#[derive(Debug, Default)]
pub(super) struct Operations(HashMap<OperationName, Row>);

impl Row {
    pub(super) const fn works(&mut self, now: Duration) {
        *self = Self { worked: Some(now), n_refused: 0, refused: None };
    }

    pub(super) fn refuses(&mut self, cause: Cause, now: Duration) {
        self.n_refused = self.n_refused.saturating_add(1);
        let first = self.refused.map_or(now, |(_, first)| first);
        self.refused = Some((cause, first));
    }

    pub(super) const fn worked(&self) -> Option<Duration> {
        self.worked
    }

    pub(super) const fn is_refused(&self) -> bool {
        self.n_refused > 0
    }

    pub(super) fn lately(&self, now: Duration) -> Lately {
        Lately {
            worked: self.worked.map(|it| now.saturating_sub(it)),
            n_refused: self.n_refused,
            refused: self.refused.map(|(cause, first)| (cause, now.saturating_sub(first))),
        }
    }
}

impl Operations {
    pub(super) fn get(&self, name: &OperationName) -> Row {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(super) fn change(&mut self, name: &OperationName, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.0.get_mut(name) {
            change(row);
        } else if self.0.len() < MOST_OPERATIONS {
            change(self.0.entry(name.clone()).or_default());
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
