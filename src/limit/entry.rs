//! What happens to the budgets, one entry for each happening. The book is what its entries make of it,
//! so that a restart, which reads them again, counts as before.

use crate::call::{ClientId, KeyName};
use crate::decimal::Decimal;
use crate::policy::OrderShare;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    /// The day has come. Days do not go back.
    Day { day: u64 },
    /// A call may be sent, and takes its share.
    Reserved(Box<Reservation>),
    /// It was not sent, or was rejected: it takes nothing.
    Released { number: u64 },
    /// Its order is live.
    Placed { number: u64, order_id: String },
    /// Its order is no longer among the live ones. How much of it was executed is not known.
    Gone { number: u64 },
    /// Its order has ended, with so much executed.
    Ended { number: u64, executed: Decimal },
}

/// What one call takes of its client's budgets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reservation {
    /// From 1, in the order of admission.
    pub(crate) number: u64,
    pub(crate) day: u64,
    /// For people who read along.
    pub(crate) request_id: String,
    pub(crate) client: ClientId,
    pub(crate) place: Place,
    pub(crate) order: Option<OrderShare>,
    pub(crate) withdrawal: Option<Withdrawing>,
}

/// Where an order lives: ids of orders are told apart by key and account.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) key: Option<KeyName>,
    pub(crate) account: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Withdrawing {
    /// The id of its entry in the configuration.
    pub(crate) destination: String,
    pub(crate) amount: Decimal,
}

/// What an order is worth.
pub(super) fn notional(share: &OrderShare) -> Decimal {
    share.unit_price.times(&share.amount)
}

/// What is given back when it ends with so much executed.
pub(super) fn unspent(share: &OrderShare, executed: &Decimal) -> Decimal {
    notional(share).less(&share.unit_price.times(executed))
}
