//! Admits calls. The seam for budgets: nothing is counted yet, and a configuration that asks for a
//! rate is refused at start.

use crate::call::Call;
use crate::policy::Permit;

/// Proof that a permitted call also fits its budgets. It owns the [`Permit`], so neither can be
/// skipped.
#[derive(Debug)]
pub(crate) struct Admission {
    permit: Permit,
}

impl Admission {
    pub(crate) fn call(&self) -> &Call {
        self.permit.call()
    }
}

/// Admits everything: `rate = "off"`.
pub(crate) fn admit(permit: Permit) -> Admission {
    Admission { permit }
}
