//! Keys that are set aside: what the exchange has refused three times in a row is asked once in 30 s.
//!
//! 1. Counted are answers that the exchange does not know the key, or does not take its signature. Whatever
//!    shows that it knows the key ends the row; an edge's answer does neither. Calls that were under way
//!    together count once: they tell of one moment. One that was signed with a secret which has been
//!    replaced since tells nothing.
//! 2. While a key is set aside one call in 30 s is let through, as a trial. One that was not sent after all
//!    is given back, and a rejection begins the 30 s anew.
//! 3. Meanwhile a client is told what the exchange last said, so that its library raises the same.

use std::time::Duration;

use super::{Health, Rejected};
use crate::call::KeyName;
use crate::diagnose::{Cause, Fix};

/// So many in a row are no accident.
const MOST_DENIED: u32 = 3;
pub(super) const TRIAL_EVERY: Duration = Duration::from_secs(30);

/// A key that is set aside: nothing is sent with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "geminid has set the key `{key}` aside and sent nothing: the exchange refused it {n_denied} times in a row ({}), and one call in 30 s is let through to see whether it takes the key again, the next in {} s",
    cause.code(),
    self.seconds()
)]
pub(crate) struct Quarantined {
    pub(crate) key: KeyName,
    pub(crate) cause: Cause,
    /// Until the next trial.
    pub(crate) wait: Duration,
    pub(crate) n_denied: u32,
    /// What the exchange last answered.
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) fix: Vec<Fix>,
}

/// The right to send with a key. Of a key that is set aside it is a trial, and given back when it is
/// dropped before it is [used](Pass::used).
#[derive(Debug)]
#[must_use = "a call that is sent uses it"]
pub(crate) struct Pass<'a> {
    health: &'a Health,
    key: &'a KeyName,
    trial: Option<Trial>,
}

/// When the next trial would have been due, and when the next but one is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    due: Duration,
    next: Duration,
}

/// How far a key is trusted to be taken.
#[derive(Debug, Default)]
pub(super) struct Trust {
    n_denied: u32,
    aside: Option<Aside>,
    /// A call that was sent before this counts no more.
    from: Duration,
    /// When another secret was taken up.
    renewed: Option<Duration>,
}

#[derive(Debug)]
struct Aside {
    since: Duration,
    next: Duration,
    cause: Cause,
    status: u16,
    reason: Option<String>,
    fix: Vec<Fix>,
}

impl Quarantined {
    /// Until the next trial. Rounded up: who comes then must not be early.
    pub(crate) const fn seconds(&self) -> u64 {
        let whole = self.wait.as_secs();
        if self.wait.subsec_nanos() > 0 { whole.saturating_add(1) } else { whole }
    }
}

impl<'a> Pass<'a> {
    pub(super) const fn new(health: &'a Health, key: &'a KeyName, trial: Option<Trial>) -> Self {
        Self { health, key, trial }
    }

    /// The call's turn has come, and it is sent now. Asked once more, because the key may have been set
    /// aside while it waited.
    ///
    /// # Errors
    /// If that is so, and no trial is due.
    pub(crate) fn used(mut self, now: Duration) -> Result<(), Quarantined> {
        if self.trial.take().is_none() {
            let mut again = self.health.gate(self.key, now)?;
            again.trial = None;
        }
        Ok(())
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.health.give_back(self.key, trial);
        }
    }
}

impl Trust {
    /// Takes in that the exchange did not take the key. `true`: it is set aside from now on.
    pub(super) fn denied(&mut self, rejected: &Rejected<'_>, now: Duration) -> bool {
        if rejected.sent < self.from {
            return false;
        }
        self.from = now;
        self.n_denied = self.n_denied.saturating_add(1);
        if self.n_denied < MOST_DENIED {
            return false;
        }
        let since = self.aside.as_ref().map(|it| it.since);
        self.aside = Some(Aside {
            since: since.unwrap_or(now),
            next: now.saturating_add(TRIAL_EVERY),
            cause: rejected.finding.cause,
            status: rejected.status,
            reason: rejected.reason.map(str::to_owned),
            fix: rejected.finding.fix.clone(),
        });
        since.is_none()
    }

    /// Another secret is signed with from now on. Returns since when it was set aside.
    pub(super) fn renew(&mut self, now: Duration) -> Option<Duration> {
        (self.from, self.renewed) = (now, Some(now));
        self.restore()
    }

    pub(super) fn is_renewed_since(&self, sent: Duration) -> bool {
        self.renewed.is_some_and(|it| sent < it)
    }

    /// The key is known. Returns since when it was set aside.
    pub(super) fn restore(&mut self) -> Option<Duration> {
        self.n_denied = 0;
        self.aside.take().map(|it| it.since)
    }

    pub(super) const fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    pub(super) fn gate(
        &mut self,
        key: &KeyName,
        now: Duration,
    ) -> Result<Option<Trial>, Quarantined> {
        let Some(aside) = &mut self.aside else { return Ok(None) };
        if now >= aside.next {
            let trial = Trial { due: aside.next, next: now.saturating_add(TRIAL_EVERY) };
            aside.next = trial.next;
            return Ok(Some(trial));
        }
        Err(Quarantined {
            key: key.clone(),
            cause: aside.cause,
            wait: aside.next.saturating_sub(now),
            n_denied: self.n_denied,
            status: aside.status,
            reason: aside.reason.clone(),
            fix: aside.fix.clone(),
        })
    }

    /// A trial that was not sent. If the exchange has spoken since, that counts.
    pub(super) fn give_back(&mut self, trial: Trial) {
        if let Some(aside) = self.aside.as_mut().filter(|it| it.next == trial.next) {
            aside.next = trial.due;
        }
    }
}
