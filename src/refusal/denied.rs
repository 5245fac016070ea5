//! What a client is told that may not do what it asks for.

use super::{Answered, malformed, no};
use crate::diagnose::Cause;
use crate::policy::Denial;

const ROLE: &str = "MissingRole";
const QUANTITY: &str = "InvalidQuantity";
const KIND: &str = "InvalidOrderType";

pub(super) fn answered(it: &Denial) -> Answered {
    if matches!(it, Denial::Malformed { .. }) {
        let fix = "write the number plainly, such as \"0.5\": digits, and at most one point";
        return Answered { fix, ..malformed() };
    }
    let (cause, reason) = cause(it);
    no(403, cause, reason, fix(it))
}

/// The cause, and the exchange's word for it.
fn cause(it: &Denial) -> (Cause, &'static str) {
    match it {
        Denial::NotOffered { .. } => (Cause::OperationUnknown, ROLE),
        Denial::Scope { .. } => (Cause::ScopeMissing, ROLE),
        Denial::Frozen { .. } => (Cause::ClientFrozen, ROLE),
        Denial::Account { .. } => (Cause::AccountRefused, ROLE),
        Denial::Symbol { .. } => (Cause::SymbolRefused, "InvalidSymbol"),
        Denial::Side { .. } => (Cause::SideRefused, "InvalidSide"),
        Denial::OrderType { .. } | Denial::TimeInForce { .. } => (Cause::OrderTypeRefused, KIND),
        Denial::TooLarge { .. } | Denial::UnnamedQuote { .. } => (Cause::OrderTooLarge, QUANTITY),
        Denial::Unpriceable { .. } => (Cause::OrderUnpriceable, KIND),
        Denial::Malformed { .. } => (Cause::RequestMalformed, "InvalidJson"),
        Denial::Withdrawal { .. } => (Cause::WithdrawalRefused, ROLE),
        Denial::NobodyTransfers { .. }
        | Denial::Transfer { .. }
        | Denial::TransferUnchecked { .. } => (Cause::TransferRefused, ROLE),
        Denial::CancelAll { .. } => (Cause::CancelAllShared, ROLE),
    }
}

/// The setting to change, if the call is meant.
fn fix(it: &Denial) -> &'static str {
    match it {
        Denial::NotOffered { .. } => "call it at the exchange directly, if at all",
        Denial::Scope { .. } => {
            "add the scope, or the operation's name, to the client in proxy.toml"
        }
        Denial::Frozen { .. } => "`geminid thaw`, if whoever froze it agrees",
        Denial::Account { .. } => "add the account to the client's `accounts`",
        Denial::Symbol { .. } => "add the symbol to `symbols` in `[clients.orders]`",
        Denial::Side { .. } => "add the side to `sides` in `[clients.orders]`",
        Denial::OrderType { .. } => "add the type to `types` in `[clients.orders]`",
        Denial::TimeInForce { .. } => "add it to `time_in_force` in `[clients.orders]`",
        Denial::TooLarge { .. } => {
            "place a smaller order, or raise the limit in `[clients.orders]`"
        }
        Denial::UnnamedQuote { .. } => {
            "name the currency in that limit in `[clients.orders]`, with what it allows"
        }
        Denial::Unpriceable { .. } => {
            "place a plain limit order; what is no order must be named in the client's `operations`"
        }
        Denial::Malformed { .. } => "write the number plainly",
        Denial::Withdrawal { .. } => {
            "add the address to `[[clients.withdrawals]]`, or the bank to `banks` in `[clients.transfers]`, if it is meant"
        }
        Denial::NobodyTransfers { .. } => "give the client a credential of its own",
        Denial::Transfer { .. } | Denial::TransferUnchecked { .. } => {
            "add the account to `to` in `[clients.transfers]`, if it is meant"
        }
        Denial::CancelAll { .. } => {
            "give the client a key of its own, or set its `cancel_all = \"shared\"`"
        }
    }
}
