//! Why a call is not allowed, and which setting said so.

use std::borrow::Cow;
use std::fmt;

use crate::call::{ClientId, OperationName, Scope, shown};
use crate::decimal::Decimal;

/// The setting that decided, for yes and for no: `scopes: orders:create`, `orders.max_notional.usd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rule(Cow<'static, str>);

impl Rule {
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub(crate) fn of(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("{operation} is not offered through this proxy")]
    NotOffered { operation: OperationName },
    #[error("client `{client}` does not hold `{scope}`, which {operation} needs")]
    Scope { client: ClientId, operation: OperationName, scope: Scope },
    #[error("client `{client}` is frozen{}", frozen(*everything))]
    Frozen { client: ClientId, everything: bool },
    #[error("client `{client}` may not name the account `{}`", shown(account))]
    Account { client: ClientId, account: String },
    #[error("client `{client}` may not trade {}", named(symbol.as_deref(), "without naming a symbol"))]
    Symbol { client: ClientId, symbol: Option<String> },
    #[error("client `{client}` may not place an order {}", of("side", side.as_deref()))]
    Side { client: ClientId, side: Option<String> },
    #[error("client `{client}` may not place an order {}", of("type", kind.as_deref()))]
    OrderType { client: ClientId, kind: Option<String> },
    #[error("client `{client}` may not place an order that is `{}`", shown(option))]
    TimeInForce { client: ClientId, option: String },
    #[error(
        "the order is for {asked} {currency}, and `{limit}` of client `{client}` allows {most}"
    )]
    TooLarge {
        client: ClientId,
        limit: &'static str,
        currency: String,
        asked: Box<Decimal>,
        most: Box<Decimal>,
    },
    #[error("the order is paid in {currency}, which `{limit}` of client `{client}` does not name")]
    UnnamedQuote { client: ClientId, limit: &'static str, currency: String },
    #[error(
        "client `{client}` has limits in `{limit}`, and the order cannot be held against them: {why}"
    )]
    Unpriceable { client: ClientId, limit: &'static str, why: String },
    #[error("`{field}` is read by `{limit}` and is no plain decimal: `{}`", shown(text))]
    Malformed { field: &'static str, limit: &'static str, text: String },
    #[error("client `{client}` may not withdraw there: {why}")]
    Withdrawal { client: ClientId, setting: &'static str, why: String },
    #[error("client `{client}` presents no credential, and such a client transfers nothing")]
    NobodyTransfers { client: ClientId },
    #[error("client `{client}` may not transfer to {}", named(target.as_deref(), "an account that is not named"))]
    Transfer { client: ClientId, target: Option<String> },
    #[error(
        "client `{client}` may not transfer: nothing here can check the field `{}`",
        shown(field)
    )]
    TransferUnchecked { client: ClientId, field: String },
    #[error(
        "{operation} would cancel orders of other clients, which use the same key as `{client}`"
    )]
    CancelAll { client: ClientId, operation: OperationName },
}

fn frozen(everything: bool) -> &'static str {
    if everything { "" } else { ": only reads, cancels and heartbeats go on" }
}

fn named(word: Option<&str>, without: &str) -> String {
    word.map_or_else(|| without.to_owned(), |it| format!("`{}`", shown(it)))
}

fn of(what: &str, word: Option<&str>) -> String {
    match word {
        Some(word) => format!("of the {what} `{}`", shown(word)),
        None => format!("without a {what}"),
    }
}

impl Denial {
    /// The setting that said no.
    pub(crate) fn rule(&self) -> Rule {
        match self {
            Self::NotOffered { .. } => Rule::fixed("catalogue"),
            Self::Scope { .. } => Rule::fixed("scopes"),
            Self::Frozen { .. } => Rule::fixed("freeze"),
            Self::Account { .. } => Rule::fixed("accounts"),
            Self::Symbol { .. } => Rule::fixed("orders.symbols"),
            Self::Side { .. } => Rule::fixed("orders.sides"),
            Self::OrderType { .. } => Rule::fixed("orders.types"),
            Self::TimeInForce { .. } => Rule::fixed("orders.time_in_force"),
            Self::TooLarge { limit, currency, .. } => Rule::of(format!("{limit}.{currency}")),
            Self::UnnamedQuote { limit, .. }
            | Self::Unpriceable { limit, .. }
            | Self::Malformed { limit, .. } => Rule::fixed(limit),
            Self::Withdrawal { setting, .. } => Rule::fixed(setting),
            Self::NobodyTransfers { .. } => Rule::fixed("credential"),
            Self::Transfer { .. } | Self::TransferUnchecked { .. } => Rule::fixed("transfers.to"),
            Self::CancelAll { .. } => Rule::fixed("cancel_all"),
        }
    }

    /// Whether a client in `observe` mode may go on in spite of it: where a limit says no to a request
    /// that was understood. What the call would change is asked beside this.
    pub(super) fn is_a_limit(&self) -> bool {
        match self {
            Self::NotOffered { .. }
            | Self::Frozen { .. }
            | Self::Malformed { .. }
            | Self::Withdrawal { .. }
            | Self::NobodyTransfers { .. }
            | Self::Transfer { .. }
            | Self::TransferUnchecked { .. } => false,
            Self::Scope { .. }
            | Self::Account { .. }
            | Self::Symbol { .. }
            | Self::Side { .. }
            | Self::OrderType { .. }
            | Self::TimeInForce { .. }
            | Self::TooLarge { .. }
            | Self::UnnamedQuote { .. }
            | Self::Unpriceable { .. }
            | Self::CancelAll { .. } => true,
        }
    }
}
