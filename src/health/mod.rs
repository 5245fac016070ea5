//! What works and what does not, and since when: of keys, of their operations, and of the address that
//! requests leave from. One value for each upstream.
//!
//! 1. A success is a few words in a table that is there. All else is done only while something is wrong.
//! 2. A call that is let in shows that its key, its operation and the address work. A rejection by the
//!    exchange itself shows that the address works, and counts against the key. One by an edge, or of an
//!    unsigned call, counts against the address and not against the key.
//! 3. What is remembered is bounded: keys come from the configuration, operations from the catalogue,
//!    causes from a closed list. Nothing foreign is a name here.
//! 4. Repeated rejections are incidents (`incident`); a key that the exchange refuses is set aside
//!    (`quarantine`). What turned is returned, for its caller to tell.
//!
//! Time is monotonic where it measures, and the wall's where it is told.

mod incident;
mod kind;
mod quarantine;
mod row;

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call::{KeyName, OperationName, words};
use crate::clock::{Ulid, UnixMicros};
use crate::diagnose::{Cause, Change, ChangeKind, Confidence, Finding, Past};
use crate::nonce::Reading;

use self::incident::Book;
pub(crate) use self::incident::Incident;
use self::kind::{Kind, Proof};
pub(crate) use self::quarantine::{Pass, Quarantined};
use self::quarantine::{Trial, Trust};
use self::row::{Operations, Row};

/// From one question of our own with a key to the next.
const ASK_EVERY: Duration = Duration::from_mins(1);
/// How long a change here may explain what comes after it.
const CHANGES_KEPT: Duration = Duration::from_mins(10);
const MOST_CHANGES: usize = 16;
/// A change this long before the first rejection came right before it.
const RIGHT_BEFORE: Duration = Duration::from_mins(5);
/// The exchange has four.
const MOST_ROLES: usize = 16;
const MOST_ROLE_CHARS: usize = 40;

/// What is known of an upstream's health.
#[derive(Debug, Default)]
pub(crate) struct Health {
    // Counted under the lock, and read without it: most calls find nought.
    n_aside: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    address: Row,
    /// Of operations that need no key.
    unsigned: Operations,
    keys: BTreeMap<KeyName, OfKey>,
    /// When a question that needs no key was last asked.
    asked: Option<Duration>,
    /// The latest last.
    changes: VecDeque<(Duration, ChangeKind, String)>,
    book: Book,
    /// This machine's end of the last connection.
    from: Option<IpAddr>,
}

#[derive(Debug, Default)]
struct OfKey {
    row: Row,
    operations: Operations,
    /// The last rejection, whatever has worked since.
    rejected: Option<(Cause, Duration)>,
    trust: Trust,
    roles: Option<(Vec<String>, Duration)>,
    asked: Option<Duration>,
}

/// A rejection, explained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected<'a> {
    /// `None`: public data.
    pub(crate) key: Option<&'a KeyName>,
    pub(crate) operation: &'a OperationName,
    pub(crate) finding: &'a Finding,
    pub(crate) request_id: Ulid,
    /// When it was sent. Monotonic.
    pub(crate) sent: Duration,
    /// The status and the reason that the exchange gave, to be repeated while the key is set aside.
    pub(crate) status: u16,
    pub(crate) reason: Option<&'a str>,
    /// The member `diagnosis`, as JSON.
    pub(crate) report: &'a str,
}

/// What a rejection or a success changed, to be told.
#[derive(Clone, Debug)]
pub(crate) enum Turned {
    Opened(Box<Incident>),
    Closed(Box<Incident>),
    Quarantined {
        key: KeyName,
        cause: Cause,
    },
    Released {
        key: KeyName,
        /// How long it was set aside.
        lasted: Duration,
    },
}

words! {
    /// How a key is.
    Condition {
        /// Nothing was sent with it yet.
        Unused = "unused",
        Ok = "ok",
        /// The last signed call was rejected for the key's sake.
        Rejected = "rejected",
        Quarantined = "quarantined",
    }
}

/// What is known of a key, to be shown.
#[derive(Clone, Debug)]
pub(crate) struct KeyHealth {
    pub(crate) key: KeyName,
    pub(crate) condition: Condition,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) worked: Option<UnixMicros>,
    pub(crate) rejected: Option<UnixMicros>,
    /// Of that rejection.
    pub(crate) cause: Option<Cause>,
}

/// All that is known, to be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overview {
    /// The longest open first.
    pub(crate) open: Vec<Incident>,
    /// The latest first.
    pub(crate) closed: Vec<Incident>,
    pub(crate) keys: Vec<KeyHealth>,
}

impl Health {
    /// With these keys, of which nothing is known yet.
    pub(crate) fn of<'a>(keys: impl IntoIterator<Item = &'a KeyName>) -> Self {
        let keys = keys.into_iter().map(|it| (it.clone(), OfKey::default())).collect();
        let state = State { keys, ..State::default() };
        Self { n_aside: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    /// Whether a call may be sent with `key` now. Of a key that is set aside one call in 30 s may.
    ///
    /// # Errors
    /// If the key is set aside, and no trial is due.
    pub(crate) fn gate<'a>(
        &'a self,
        key: &'a KeyName,
        now: Duration,
    ) -> Result<Pass<'a>, Quarantined> {
        let trial = if self.n_aside.load(Ordering::Relaxed) == 0 {
            None
        } else {
            let mut state = self.state();
            state.keys.get_mut(key).map_or(Ok(None), |it| it.trust.gate(key, now))?
        };
        Ok(Pass::new(self, key, trial))
    }

    /// A call was let in by the exchange: it was answered, and not about access. `key` is `None` for
    /// public data.
    pub(crate) fn worked(
        &self,
        key: Option<&KeyName>,
        operation: &OperationName,
        at: Reading,
    ) -> Vec<Turned> {
        let now = at.monotonic;
        let mut turned = Vec::new();
        let mut state = self.state();
        state.address.works(now);
        if let Some(key) = key {
            let of_key = state.key(key);
            of_key.row.works(now);
            of_key.operations.change(operation, |it| it.works(now));
            let since = of_key.trust.restore();
            turned.extend(since.map(|it| self.released(key, it, now)));
        } else {
            state.unsigned.change(operation, |it| it.works(now));
        }
        if !state.book.is_empty() {
            state.book.settle(at, &mut turned);
            state.book.worked(key, operation, at, &mut turned);
        }
        turned
    }

    /// A call was rejected, or had no answer, for a cause of the exchange's, the network's or an edge's.
    pub(crate) fn rejected(&self, rejected: &Rejected<'_>, at: Reading) -> Vec<Turned> {
        let kind = Kind::of(rejected.finding.cause);
        let mut turned = Vec::new();
        if kind == Kind::Ours {
            return turned;
        }
        let now = at.monotonic;
        let mut state = self.state();
        let worked = state.last_success(kind, rejected);
        state.book.settle(at, &mut turned);
        state.count(kind, rejected, now);
        if kind.is_own() {
            state.book.answered(rejected.operation, at, &mut turned);
        }
        if let Some(key) = rejected.key {
            if kind.shows_known() {
                state.book.known(key, at, &mut turned);
            }
            turned.extend(self.trusted(&mut state.key(key).trust, kind, rejected, now));
        }
        let State { changes, book, .. } = &mut *state;
        turned.extend(book.rejected(kind, rejected, at, || right_before(changes, worked, now)));
        turned
    }

    /// Closes incidents that nothing was heard of.
    pub(crate) fn settle(&self, at: Reading) -> Vec<Turned> {
        let mut turned = Vec::new();
        self.state().book.settle(at, &mut turned);
        turned
    }

    /// Another secret is signed with from now on: it need not wait for a trial.
    pub(crate) fn renewed(&self, key: &KeyName, now: Duration) -> Vec<Turned> {
        let since = self.state().key(key).trust.renew(now);
        since.map(|it| self.released(key, it, now)).into_iter().collect()
    }

    /// Whether another secret is signed with than a call was that was sent then.
    pub(crate) fn is_renewed_since(&self, key: &KeyName, sent: Duration) -> bool {
        self.state().key(key).trust.is_renewed_since(sent)
    }

    /// What worked lately, before the rejection that is being explained.
    pub(crate) fn past(
        &self,
        key: Option<&KeyName>,
        operation: &OperationName,
        now: Duration,
    ) -> Past {
        let state = self.state();
        let of_key = key.and_then(|it| state.keys.get(it));
        let operation = match (key, of_key) {
            (None, _) => state.unsigned.get(operation),
            (Some(_), Some(of_key)) => of_key.operations.get(operation),
            (Some(_), None) => Row::default(),
        };
        let others = state.keys.iter().filter(|(name, _)| Some(*name) != key);
        Past {
            key: of_key.map(|it| it.row.lately(now)).unwrap_or_default(),
            operation: operation.lately(now),
            address: state.address.lately(now),
            others: others.map(|(name, it)| (name.to_string(), it.row.lately(now))).collect(),
        }
    }

    /// Takes in that something was changed here.
    pub(crate) fn changed(&self, what: ChangeKind, detail: String, now: Duration) {
        self.state().changed(what, detail, now);
    }

    /// Takes in which address of this machine a call left from. One that comes and goes, as between IPv4
    /// and IPv6, is told once in the time that changes are kept for.
    pub(crate) fn left_from(&self, from: IpAddr, now: Duration) {
        let mut state = self.state();
        let Some(before) = state.from.replace(from).filter(|it| *it != from) else { return };
        let detail = format!("{before} → {from}");
        let known = |(then, _, it): &(Duration, ChangeKind, String)| {
            *it == detail && now.saturating_sub(*then) < CHANGES_KEPT
        };
        if !state.changes.iter().any(known) {
            state.changed(ChangeKind::Egress, detail, now);
        }
    }

    /// What changed in the last minutes, the latest first.
    pub(crate) fn changes(&self, now: Duration) -> Vec<Change> {
        let state = self.state();
        let all = state.changes.iter().rev().map(|it| change(it, now));
        all.take_while(|it| it.ago < CHANGES_KEPT).collect()
    }

    /// Takes in which roles the exchange names for a key.
    pub(crate) fn learned_roles(&self, key: &KeyName, roles: Vec<String>, now: Duration) {
        let brief = |it: String| it.chars().take(MOST_ROLE_CHARS).collect();
        let roles = roles.into_iter().take(MOST_ROLES).map(brief).collect();
        self.state().key(key).roles = Some((roles, now));
    }

    /// Those roles, and how long ago they were named.
    pub(crate) fn roles(&self, key: &KeyName, now: Duration) -> Option<(Vec<String>, Duration)> {
        let state = self.state();
        let (roles, at) = state.keys.get(key)?.roles.as_ref()?;
        Some((roles.clone(), now.saturating_sub(*at)))
    }

    /// Whether a question of our own may be asked with this key now, or without one: one a minute. The
    /// right is taken.
    pub(crate) fn may_ask(&self, key: Option<&KeyName>, now: Duration) -> bool {
        let mut state = self.state();
        let asked = match key {
            Some(key) => &mut state.key(key).asked,
            None => &mut state.asked,
        };
        let may = asked.is_none_or(|it| now.saturating_sub(it) >= ASK_EVERY);
        if may {
            *asked = Some(now);
        }
        may
    }

    /// How each key is.
    pub(crate) fn conditions(&self) -> Vec<(KeyName, Condition)> {
        self.state().keys.iter().map(|(name, it)| (name.clone(), it.condition())).collect()
    }

    /// All that is known, as it is told at `at`.
    pub(crate) fn overview(&self, at: Reading) -> Overview {
        let state = self.state();
        let keys = state.keys.iter().map(|(name, it)| it.shown(name, at));
        Overview {
            open: state.book.open().cloned().collect(),
            closed: state.book.closed().cloned().collect(),
            keys: keys.collect(),
        }
    }

    /// What an answer about the key does to the trust in it.
    fn trusted(
        &self,
        trust: &mut Trust,
        kind: Kind,
        rejected: &Rejected<'_>,
        now: Duration,
    ) -> Option<Turned> {
        let key = rejected.key?;
        if kind.shows_known() {
            return trust.restore().map(|since| self.released(key, since, now));
        }
        // What is only likely sets no key aside.
        let certain = rejected.finding.confidence == Confidence::Certain;
        if kind != Kind::Credential || !certain || !trust.denied(rejected, now) {
            return None;
        }
        self.n_aside.fetch_add(1, Ordering::Relaxed);
        Some(Turned::Quarantined { key: key.clone(), cause: rejected.finding.cause })
    }

    fn released(&self, key: &KeyName, since: Duration, now: Duration) -> Turned {
        self.n_aside.fetch_sub(1, Ordering::Relaxed);
        Turned::Released { key: key.clone(), lasted: now.saturating_sub(since) }
    }

    fn give_back(&self, key: &KeyName, trial: Trial) {
        self.state().key(key).trust.give_back(trial);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change below can panic half-way and leave what is false.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn key(&mut self, name: &KeyName) -> &mut OfKey {
        self.keys.entry(name.clone()).or_default()
    }

    fn changed(&mut self, what: ChangeKind, detail: String, now: Duration) {
        if self.changes.len() == MOST_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((now, what, detail));
    }

    /// When that which is rejected now last worked.
    fn last_success(&self, kind: Kind, rejected: &Rejected<'_>) -> Option<Duration> {
        let of_key = rejected.key.and_then(|it| self.keys.get(it));
        let of_operations = of_key.map_or(&self.unsigned, |it| &it.operations);
        match (kind.proof(), rejected.key) {
            // Others may be answered all the while.
            (Proof::SameAnswered, _) => {
                of_operations.get(rejected.operation).worked().or_else(|| self.address.worked())
            }
            (Proof::Answered, _) | (Proof::Known | Proof::LetIn | Proof::Calm, None) => {
                self.address.worked()
            }
            (Proof::Known | Proof::LetIn | Proof::Calm, Some(_)) => of_key?.row.worked(),
            (Proof::Operation, None) => self.unsigned.get(rejected.operation).worked(),
            (Proof::Operation, Some(_)) => of_key?.operations.get(rejected.operation).worked(),
        }
    }

    fn count(&mut self, kind: Kind, rejected: &Rejected<'_>, now: Duration) {
        let cause = rejected.finding.cause;
        let of_address = kind.is_of_address(rejected.key.is_some());
        if of_address {
            self.address.refuses(cause, now);
        } else if kind.is_own() {
            self.address.works(now);
        }
        let Some(key) = rejected.key else {
            self.unsigned.change(rejected.operation, |it| it.refuses(cause, now));
            return;
        };
        let of_key = self.key(key);
        of_key.operations.change(rejected.operation, |it| it.refuses(cause, now));
        if !of_address {
            of_key.row.refuses(cause, now);
            of_key.rejected = Some((cause, now));
        }
    }
}

impl OfKey {
    fn condition(&self) -> Condition {
        match (self.trust.is_aside(), self.row.is_refused(), self.row.worked()) {
            (true, _, _) => Condition::Quarantined,
            (false, true, _) => Condition::Rejected,
            (false, false, Some(_)) => Condition::Ok,
            (false, false, None) => Condition::Unused,
        }
    }

    fn shown(&self, name: &KeyName, at: Reading) -> KeyHealth {
        let wall = |then: Duration| {
            let ago = at.monotonic.saturating_sub(then);
            UnixMicros(at.wall.0.saturating_sub(crate::clock::micros(ago)))
        };
        KeyHealth {
            key: name.clone(),
            condition: self.condition(),
            roles: self.roles.as_ref().map(|(roles, _)| roles.clone()),
            worked: self.row.worked().map(wall),
            rejected: self.rejected.map(|(_, then)| wall(then)),
            cause: self.rejected.map(|(cause, _)| cause),
        }
    }
}

fn change((then, what, detail): &(Duration, ChangeKind, String), now: Duration) -> Change {
    Change { what: *what, ago: now.saturating_sub(*then), detail: detail.clone() }
}

/// The last change, if it came right before, and what is rejected now worked until then and not after.
fn right_before(
    changes: &VecDeque<(Duration, ChangeKind, String)>,
    worked: Option<Duration>,
    now: Duration,
) -> Option<Change> {
    let (last, worked) = (changes.back()?, worked?);
    let change = change(last, now);
    (worked <= last.0 && change.ago <= RIGHT_BEFORE).then_some(change)
}

#[cfg(test)]
mod tests;
