//! Admits calls: whether they fit what their client may spend now.
//!
//! 1. Check and reservation are one step under one lock: of a hundred orders at once exactly as many
//!    pass as the cap has room for.
//! 2. A reservation is durable before the first byte leaves ([`Admission::written`]), and counts until its
//!    call certainly was not executed.
//! 3. Days are the UTC days of the machine's clock, and never go back.
//! 4. A client without limits costs nothing here: no lock, no entry.

mod book;
mod budgets;
mod entry;
mod rate;
mod sync;

use std::fmt;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use self::budgets::Ticket;
pub(crate) use self::budgets::{Budgets, Holder};
pub(crate) use self::entry::{Entry, Place, Reservation, Withdrawing};
use crate::call::{Call, ClientId, Orders, Outcome};
use crate::clock::UnixMicros;
use crate::decimal::Decimal;
use crate::policy::{Permit, Rule};

/// When something is asked or told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moment {
    /// Since the Unix epoch, in UTC, by the wall clock.
    pub(crate) day: u64,
    pub(crate) monotonic: Duration,
}

impl Moment {
    pub(crate) fn new(wall: UnixMicros, monotonic: Duration) -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { day: wall.secs() / DAY, monotonic }
    }
}

/// Keeps entries where a crash does not reach them, in their order.
pub(crate) trait Ledger: fmt::Debug + Send + Sync {
    /// Never blocks.
    fn append(&self, entry: &Entry);
    /// Resolves when everything appended so far is durable, or as soon as it cannot be made so.
    fn written(&self) -> Written;
}

pub(crate) type Written = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// What a client has no more of. Nothing was sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Spent {
    #[error("client `{client}` calls more often than its `rate` allows")]
    Rate { client: ClientId, wait: Duration },
    #[error("client `{client}` has placed its {max} orders of this day (UTC)")]
    OrdersPerDay { client: ClientId, max: u64 },
    #[error(
        "client `{client}` has no room for this order in its {max} {} of this day (UTC)",
        unit(currency)
    )]
    NotionalPerDay { client: ClientId, currency: String, max: Decimal },
    #[error("client `{client}` has {max} open orders, or as many that may be open")]
    OpenOrders { client: ClientId, max: u64 },
    #[error(
        "client `{client}` has no room for this withdrawal in its {max} of this day (UTC) to \
         {destination}"
    )]
    WithdrawalPerDay { client: ClientId, destination: String, max: Decimal },
}

fn unit(currency: &str) -> &str {
    if currency.is_empty() { "of no currency" } else { currency }
}

impl Spent {
    /// The setting that refuses.
    pub(crate) fn rule(&self) -> Rule {
        match self {
            Self::Rate { .. } => Rule::fixed("rate"),
            Self::OrdersPerDay { .. } => Rule::fixed("orders.max_orders_per_day"),
            Self::NotionalPerDay { currency, .. } if currency.is_empty() => {
                Rule::fixed("orders.max_notional_per_day")
            }
            Self::NotionalPerDay { currency, .. } => {
                Rule::of(format!("orders.max_notional_per_day.{currency}"))
            }
            Self::OpenOrders { .. } => Rule::fixed("orders.max_open_orders"),
            Self::WithdrawalPerDay { .. } => Rule::fixed("withdrawals.max_per_day"),
        }
    }
}

/// Proof that a permitted call also fits its budgets. It owns the [`Permit`], so neither can be
/// skipped. Dropped before [`Admission::sent`], it gives back what it took.
#[derive(Debug)]
pub(crate) struct Admission {
    permit: Permit,
    would: Option<Spent>,
    // `None`: it took nothing.
    ticket: Option<Ticket>,
}

impl Admission {
    pub(crate) fn call(&self) -> &Call {
        self.permit.call()
    }

    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// What would have refused it, if its client were not only observed.
    pub(crate) fn would_refuse(&self) -> Option<&Spent> {
        self.would.as_ref()
    }

    /// Resolves when what it took is durable. Before that, or if that fails, not a byte may leave.
    pub(crate) fn written(&self) -> Written {
        self.ticket.as_ref().map_or_else(|| Box::pin(ready(Ok(()))) as Written, Ticket::written)
    }

    /// The first byte is about to leave: from now on only an answer gives anything back.
    pub(crate) fn sent(&mut self) {
        self.ticket.iter_mut().for_each(Ticket::sent);
    }

    /// It certainly was not executed, and is about to be tried again.
    pub(crate) fn unsent(&mut self) {
        self.ticket.iter_mut().for_each(Ticket::unsent);
    }

    /// What became of the call, and what its answer says of orders. Counts once.
    pub(crate) fn settle(&mut self, outcome: Outcome, orders: &Orders, now: Moment) {
        if let Some(ticket) = self.ticket.take() {
            ticket.settle(outcome, orders, now);
        }
    }
}

/// Admits what no budget counts: public data, and the proxy's own calls.
pub(crate) fn free(permit: Permit) -> Admission {
    Admission { permit, would: None, ticket: None }
}

#[cfg(all(test, model))]
mod model;
#[cfg(test)]
mod tests;
