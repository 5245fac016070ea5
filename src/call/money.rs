//! What a call would trade or move, and what an answer says became of it.

use crate::decimal::Decimal;

/// An order, as the client wrote it: numbers to the letter. What is `None` is missing, `null`, or
/// neither a text nor a number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Order {
    pub(crate) symbol: Option<String>,
    pub(crate) side: Option<String>,
    /// The member `type`.
    pub(crate) kind: Option<String>,
    pub(crate) amount: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) stop_price: Option<String>,
    /// What is no text among them is here as its JSON kind, which is no option's name.
    pub(crate) options: Vec<String>,
    pub(crate) client_order_id: Option<String>,
    /// The first field that nothing here understands.
    pub(crate) unchecked: Option<String>,
}

/// A transfer between sub-accounts, as the client wrote it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Transfer {
    pub(crate) currency: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) amount: Option<String>,
    /// A field that nothing here understands, and that might send the money elsewhere.
    pub(crate) unchecked: Option<String>,
}

/// Where a withdrawal would go, as the client wrote it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Withdrawal {
    pub(crate) currency: String,
    pub(crate) network: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) memo: Option<String>,
    /// The id of a bank, for a withdrawal of money.
    pub(crate) bank: Option<String>,
    pub(crate) amount: Option<String>,
    /// A field that nothing here understands, and that might send the money elsewhere.
    pub(crate) unchecked: Option<String>,
}

/// What an answer says of one order.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(dead_code, reason = "read by the budgets and the audit trail")]
pub(crate) struct OrderState {
    pub(crate) order_id: String,
    pub(crate) client_order_id: Option<String>,
    /// Lower case.
    pub(crate) symbol: Option<String>,
    /// Whether it may still be filled.
    pub(crate) live: bool,
    pub(crate) executed: Decimal,
    pub(crate) remaining: Option<Decimal>,
}

/// What an answer says of orders.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(dead_code, reason = "read by the budgets and the audit trail")]
pub(crate) enum Orders {
    Nothing,
    Each(Vec<OrderState>),
    /// Every live order of the account: one that is not among them has ended.
    Active(Vec<OrderState>),
}
