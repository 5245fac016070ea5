//! Incidents: rejections of one cause that go on, on one key or on the address.
//!
//! 1. Two rejections of one cause within 5 minutes open one, unless a success between them disproves it.
//! 2. What closes it depends on the cause: `kind` has the table. Of a cause that is about operations all
//!    that were rejected in the last 5 minutes must work again. One that comes back within 5 minutes is
//!    not over as easily again: only when none was rejected for 5 minutes.
//! 3. After an hour without a rejection it is closed as quiet.
//! 4. Opened and closed are told once each; what comes between is counted.
//! 5. There are at most as many as causes times keys; of closed ones the last 50 are kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::kind::{ClosedBy, Kind, Proof};
use super::{Rejected, Turned};
use crate::call::{KeyName, OperationName};
use crate::clock::{Ulid, UnixMicros};
use crate::diagnose::{Cause, Change, Fix};
use crate::nonce::Reading;

/// Two rejections further apart are not the same trouble.
const TOGETHER: Duration = Duration::from_mins(5);
/// Who is told to ask less often may have been let in between two refusals.
const CALM: Duration = Duration::from_mins(1);
const QUIET: Duration = Duration::from_hours(1);
const MOST_CLOSED: usize = 50;
/// Of so many operations an incident knows whether they work again.
const MOST_OPERATIONS: usize = 64;

/// Repeated rejections of one cause on one key or address.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    /// The first rejected request.
    pub(crate) id: Ulid,
    pub(crate) cause: Cause,
    /// `None`: of the address that requests leave from.
    pub(crate) key: Option<KeyName>,
    pub(crate) operations: Vec<OperationName>,
    pub(crate) n_rejected: u64,
    pub(crate) began: UnixMicros,
    /// The last rejection.
    pub(crate) last: UnixMicros,
    pub(crate) ended: Option<(UnixMicros, ClosedBy)>,
    /// From the first rejection to the last; of a closed one, to its end.
    pub(crate) lasted: Duration,
    /// Of the last diagnosis: its line, its first fix, and all of it as JSON.
    pub(crate) line: Arc<str>,
    pub(crate) fix: Option<Fix>,
    pub(crate) report: Arc<str>,
    /// What was changed here right before, if it worked until then.
    pub(crate) change: Option<Change>,
}

/// All of an upstream.
#[derive(Debug, Default)]
pub(super) struct Book {
    cases: Vec<Case>,
    /// And when.
    closed: VecDeque<(Duration, Incident)>,
}

/// A rejection that may become an incident, or an incident that is open.
#[derive(Debug)]
struct Case {
    open: bool,
    /// It was closed a short while ago: this time it takes more.
    again: bool,
    proof: Proof,
    first: Duration,
    last: Duration,
    tried: Vec<Tried>,
    incident: Incident,
}

#[derive(Debug)]
struct Tried {
    name: OperationName,
    rejected: Duration,
    works: bool,
}

impl Book {
    /// Whether nothing is wrong, so that a success disproves nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Incident> {
        self.cases.iter().filter(|it| it.open).map(|it| &it.incident)
    }

    /// The latest first.
    pub(super) fn closed(&self) -> impl Iterator<Item = &Incident> {
        self.closed.iter().rev().map(|(_, it)| it)
    }

    /// Takes in a rejection. `change` is what happened right before, if it worked until then.
    pub(super) fn rejected(
        &mut self,
        kind: Kind,
        rejected: &Rejected<'_>,
        at: Reading,
        change: impl FnOnce() -> Option<Change>,
    ) -> Option<Turned> {
        let key = rejected.key.filter(|_| !kind.is_of_address(rejected.key.is_some()));
        let cause = rejected.finding.cause;
        let known = self.cases.iter_mut();
        let known =
            known.filter(|it| it.incident.cause == cause && it.incident.key.as_ref() == key);
        if let Some(case) = { known }.next() {
            case.again(rejected, at);
            if case.open {
                return None;
            }
            case.open = true;
            let mut ended = self.closed.iter().rev();
            case.again = ended.any(|(then, it)| {
                let same = it.cause == cause && it.key.as_ref() == key;
                same && at.monotonic.saturating_sub(*then) < TOGETHER
            });
            return Some(Turned::Opened(Box::new(case.incident.clone())));
        }
        self.cases.push(Case::new(kind, key, rejected, at, change()));
        None
    }

    /// Takes in that a call was let in.
    pub(super) fn worked(
        &mut self,
        key: Option<&KeyName>,
        operation: &OperationName,
        at: Reading,
        turned: &mut Vec<Turned>,
    ) {
        self.close(at, turned, |case| {
            let concerns = case.incident.key.as_ref().is_none_or(|it| Some(it) == key);
            concerns && case.is_disproved_by(operation, at.monotonic)
        });
    }

    /// Takes in that the exchange itself has answered a call of this operation, whatever it said.
    pub(super) fn answered(
        &mut self,
        operation: &OperationName,
        at: Reading,
        turned: &mut Vec<Turned>,
    ) {
        self.close(at, turned, |case| {
            let concerns = matches!(case.proof, Proof::Answered | Proof::SameAnswered);
            concerns && case.is_disproved_by(operation, at.monotonic)
        });
    }

    /// Takes in that the exchange knows this key.
    pub(super) fn known(&mut self, key: &KeyName, at: Reading, turned: &mut Vec<Turned>) {
        let concerns = |case: &Case| case.incident.key.as_ref() == Some(key);
        self.close(at, turned, |case| {
            case.proof == Proof::Known && concerns(case) && case.is_calm(at.monotonic)
        });
    }

    /// Closes what nothing was heard of.
    pub(super) fn settle(&mut self, at: Reading, turned: &mut Vec<Turned>) {
        if self.is_empty() {
            return;
        }
        let now = at.monotonic;
        let silent = |it: &Case| now.saturating_sub(it.last);
        self.cases.retain(|it| it.open || silent(it) < TOGETHER);
        for case in self.cases.extract_if(.., |it| silent(it) >= QUIET) {
            let incident = case.ended(at, ClosedBy::Quiet);
            keep(&mut self.closed, incident, at, turned);
        }
    }

    /// Closes what is over, and forgets what has not become an incident.
    fn close(
        &mut self,
        at: Reading,
        turned: &mut Vec<Turned>,
        mut is_over: impl FnMut(&mut Case) -> bool,
    ) {
        for case in self.cases.extract_if(.., |it| is_over(it)) {
            if case.open {
                let by = case.proof.closes();
                keep(&mut self.closed, case.ended(at, by), at, turned);
            }
        }
    }
}

fn keep(
    closed: &mut VecDeque<(Duration, Incident)>,
    incident: Incident,
    at: Reading,
    turned: &mut Vec<Turned>,
) {
    turned.push(Turned::Closed(Box::new(incident.clone())));
    if closed.len() == MOST_CLOSED {
        closed.pop_front();
    }
    closed.push_back((at.monotonic, incident));
}

impl Case {
    fn new(
        kind: Kind,
        key: Option<&KeyName>,
        rejected: &Rejected<'_>,
        at: Reading,
        change: Option<Change>,
    ) -> Self {
        let incident = Incident {
            id: rejected.request_id,
            cause: rejected.finding.cause,
            key: key.cloned(),
            operations: Vec::new(),
            n_rejected: 0,
            began: at.wall,
            last: at.wall,
            ended: None,
            lasted: Duration::ZERO,
            line: "".into(),
            fix: None,
            report: "".into(),
            change,
        };
        let (first, tried) = (at.monotonic, Vec::new());
        let proof = kind.proof();
        let mut case =
            Self { open: false, again: false, proof, first, last: first, tried, incident };
        case.again(rejected, at);
        case
    }

    fn again(&mut self, rejected: &Rejected<'_>, at: Reading) {
        let now = at.monotonic;
        self.last = now;
        let it = &mut self.incident;
        it.n_rejected = it.n_rejected.saturating_add(1);
        it.last = at.wall;
        it.lasted = now.saturating_sub(self.first);
        it.line = rejected.finding.line.as_str().into();
        it.fix = rejected.finding.fix.first().cloned();
        it.report = rejected.report.into();
        let name = rejected.operation;
        if let Some(tried) = self.tried.iter_mut().find(|it| it.name == *name) {
            *tried = Tried { rejected: now, works: false, name: name.clone() };
        } else if self.tried.len() < MOST_OPERATIONS {
            self.tried.push(Tried { rejected: now, works: false, name: name.clone() });
            it.operations.push(name.clone());
        }
    }

    /// Whether a call of this operation, let in or answered, shows that it is over.
    fn is_disproved_by(&mut self, operation: &OperationName, now: Duration) -> bool {
        let shown = match self.proof {
            Proof::Answered | Proof::Known | Proof::LetIn => true,
            Proof::Calm => now.saturating_sub(self.last) >= CALM,
            Proof::Operation => self.works(operation, now),
            // What was rejected long ago may never be called again.
            Proof::SameAnswered => {
                self.works(operation, now) || now.saturating_sub(self.last) >= TOGETHER
            }
        };
        shown && self.is_calm(now)
    }

    /// Whether all that was rejected lately works again, now that this one does.
    fn works(&mut self, operation: &OperationName, now: Duration) -> bool {
        let Some(tried) = self.tried.iter_mut().find(|it| it.name == *operation) else {
            return false;
        };
        tried.works = true;
        let fails = |it: &Tried| !it.works && now.saturating_sub(it.rejected) < TOGETHER;
        !self.tried.iter().any(fails)
    }

    /// What came back a short while after it was over has to stay away for longer.
    const fn is_calm(&self, now: Duration) -> bool {
        !self.again || now.saturating_sub(self.last).as_secs() >= TOGETHER.as_secs()
    }

    fn ended(self, at: Reading, by: ClosedBy) -> Incident {
        let lasted = at.monotonic.saturating_sub(self.first);
        Incident { ended: Some((at.wall, by)), lasted, ..self.incident }
    }
}
