//! Why the proxy does not start, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::call::KeyName;
use crate::egress::BadAnchor;
use crate::inbound::Unbound;
use crate::journal::{Damage, StateError};

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot listen on {0}")]
    Listen(Unbound),
    #[error("the operator token {} cannot be written: {fault}", path.display())]
    Token { path: PathBuf, fault: io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    State(StateProblem),
    #[error("the audit trail in {} cannot be used: {fault}", dir.display())]
    Trail { dir: PathBuf, fault: io::Error },
    #[error(transparent)]
    Damaged(NoKeyLeft),
    #[error(transparent)]
    Anchor(AnchorProblem),
}

/// A fault of the state directory.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StateProblem(#[from] StateError);

/// Every key's marks are damaged: there is nothing to serve.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(DamagedKey::to_string).collect::<Vec<_>>().join("\nerror: "))]
pub(crate) struct NoKeyLeft(pub(super) Vec<DamagedKey>);

/// A key that is not signed with until somebody looks at its file.
#[derive(Debug, thiserror::Error)]
#[error("the key `{key}` cannot be used: {damage}")]
pub(super) struct DamagedKey {
    pub(super) key: KeyName,
    pub(super) damage: Damage,
}

/// A fault of a trust anchor.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct AnchorProblem(#[from] BadAnchor);

impl StartError {
    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Self::Listen(unbound) => return unbound.hint(),
            Self::Token { .. } => "see that the state directory can be written, and has room",
            Self::Thread(_) => "raise the limit of processes (`ulimit -u`, or the container's)",
            Self::Trail { .. } => {
                "let the user that geminid runs as read and write `audit` in the state directory, or set `[state] audit = { durability = \"off\" }`"
            }
            Self::Damaged(NoKeyLeft(keys)) => return way_out(keys),
            Self::State(StateProblem(StateError::NotMade { .. })) => {
                "make room in the state directory: every key needs 8 KiB there once, and no more later"
            }
            Self::State(StateProblem(StateError::NotOpened { .. })) => {
                "let the user that geminid runs as read and write it (`chown`), and keep it: it is no damage"
            }
            Self::State(StateProblem(StateError::InUse { .. })) => {
                "end the other process, or give this one a `[state] dir` of its own"
            }
            Self::State(StateProblem(StateError::Unusable { .. })) => {
                "set `[state] dir`, or `--state-dir`, to a directory that this user may write"
            }
            Self::State(StateProblem(StateError::Budgets { .. })) => {
                "let the user that geminid runs as read and write it, and make room in the state directory"
            }
            Self::State(StateProblem(StateError::BudgetsDamaged { path, .. })) => {
                let path = path.display();
                return format!(
                    "put back a whole copy; or `mv {path} {path}.damaged` and start again: what clients have \
                     spent today is then forgotten, and their caps begin anew"
                );
            }
            Self::Anchor(_) => "see that `ca_file` holds certificates in PEM form",
        };
        hint.to_owned()
    }
}

/// What to do about damaged marks.
pub(super) fn way_out(keys: &[DamagedKey]) -> String {
    let moved = |it: &DamagedKey| {
        let path = it.damage.path.display();
        format!("`mv {path} {path}.damaged`")
    };
    let all: Vec<_> = keys.iter().map(moved).collect();
    format!(
        "{}, wait 60 s, because no nonce ever led the exchange's clock by more, and start again: the \
         exchange is then asked anew how the key counts",
        all.join(", ")
    )
}

impl From<Unbound> for StartError {
    fn from(fault: Unbound) -> Self {
        Self::Listen(fault)
    }
}

impl From<StateError> for StartError {
    fn from(fault: StateError) -> Self {
        Self::State(fault.into())
    }
}

impl From<BadAnchor> for StartError {
    fn from(fault: BadAnchor) -> Self {
        Self::Anchor(fault.into())
    }
}
