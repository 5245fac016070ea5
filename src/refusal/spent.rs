//! What a client is told that has spent what it may.

use super::{Answered, no};
use crate::diagnose::{Cause, Retry};
use crate::limit::Spent;

const QUANTITY: &str = "InvalidQuantity";

pub(super) fn answered(it: &Spent) -> Answered {
    match it {
        Spent::Rate { wait, .. } => Answered {
            // Rounded up: who comes then must not be early.
            retry: Retry::After(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            ..no(
                429,
                Cause::RateBudgetSpent,
                "RateLimit",
                "call less often, or raise the client's `rate` in proxy.toml",
            )
        },
        Spent::OrdersPerDay { .. } => no(
            403,
            Cause::DailyLimitReached,
            QUANTITY,
            "wait for the next day (UTC), or raise `max_orders_per_day` in `[clients.orders]`",
        ),
        Spent::NotionalPerDay { .. } => no(
            403,
            Cause::DailyLimitReached,
            QUANTITY,
            "cancel what is not filled, or raise the currency's `max_notional_per_day` in `[clients.orders]`",
        ),
        Spent::OpenOrders { .. } => no(
            403,
            Cause::OpenOrdersLimit,
            QUANTITY,
            "cancel an order, or ask for the list of active ones if some have ended; or raise `max_open_orders` in `[clients.orders]`",
        ),
        Spent::WithdrawalPerDay { .. } => no(
            403,
            Cause::WithdrawalRefused,
            "MissingRole",
            "withdraw less, or raise the entry's `max_per_day` in `[[clients.withdrawals]]`",
        ),
    }
}
