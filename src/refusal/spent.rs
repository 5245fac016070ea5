//! What a client is told that has spent its budget.

use super::{Answered, no};
use crate::diagnose::{Cause, Retry};
use crate::limit::Spent;

pub(super) fn answered(it: &Spent) -> Answered {
    let day = Cause::DailyLimitReached;
    match it {
        Spent::Rate { wait, .. } => Answered {
            // Rounded up: who comes then must not be early.
            retry: Retry::After(wait.as_secs().saturating_add(1)),
            ..no(
                429,
                Cause::RateBudgetSpent,
                "RateLimit",
                "ask less often, or raise the client's `rate`",
            )
        },
        Spent::OrdersPerDay { .. } => {
            no(403, day, "InvalidQuantity", "wait for the next day (UTC), or raise the client's `orders.max_orders_per_day`")
        }
        Spent::NotionalPerDay { .. } => no(
            403,
            day,
            "InvalidQuantity",
            "cancel what is not filled, wait for the next day (UTC), or raise the client's `orders.max_notional_per_day`",
        ),
        Spent::OpenOrders { .. } => no(
            403,
            Cause::OpenOrdersLimit,
            "InvalidQuantity",
            "cancel an order, or raise the client's `orders.max_open_orders`; orders that have ended are counted anew within seconds",
        ),
        Spent::WithdrawalPerDay { .. } => no(
            403,
            Cause::WithdrawalRefused,
            "MissingRole",
            "wait for the next day (UTC), or raise the entry's `max_per_day`",
        ),
    }
}
