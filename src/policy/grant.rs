//! What a client holds, as checked types.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::call::{Scope, words};
use crate::decimal::Decimal;

words! {
    /// Named sets of scopes. Five mirror the permissions of an API key, three its roles.
    Bundle {
        ViewBalances = "view-balances",
        Trade = "trade",
        CreateDeposits = "create-deposits",
        SendCrypto = "send-crypto",
        WithdrawFunds = "withdraw-funds",
        Auditor = "auditor",
        Trader = "trader",
        FundManager = "fund-manager",
    }
}

impl Bundle {
    /// Every bundle contains `market:read`. In no bundle: `clearing:create`,
    /// `predictions:orders:write`, `staking:create`, `accounts:create`, `addresses:approve`.
    pub(crate) fn scopes(self) -> BTreeSet<Scope> {
        let mut scopes: BTreeSet<Scope> = match self {
            Self::ViewBalances => [Scope::BalancesRead].into(),
            Self::Trade => [
                Scope::OrdersCreate,
                Scope::OrdersCancel,
                Scope::OrdersRead,
                Scope::SessionHeartbeat,
            ]
            .into(),
            Self::CreateDeposits => [Scope::AddressesCreate, Scope::AddressesRead].into(),
            Self::SendCrypto => [Scope::CryptoSend, Scope::FeesRead, Scope::AddressesRead].into(),
            Self::WithdrawFunds => {
                let own = BTreeSet::from([Scope::FiatWithdraw, Scope::BanksRead]);
                &own | &Self::SendCrypto.scopes()
            }
            Self::Auditor => {
                Scope::ALL.iter().copied().filter(|it| it.as_str().ends_with(":read")).collect()
            }
            Self::Trader => &Self::Auditor.scopes() | &Self::Trade.scopes(),
            Self::FundManager => {
                let own = BTreeSet::from([Scope::BanksCreate, Scope::TransfersCreate]);
                let funds = &Self::CreateDeposits.scopes() | &Self::WithdrawFunds.scopes();
                &(&own | &funds) | &Self::Auditor.scopes()
            }
        };
        scopes.insert(Scope::MarketRead);
        scopes
    }
}

/// Everything a client may do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Grant {
    /// With bundles spelled out.
    pub(crate) scopes: BTreeSet<Scope>,
    /// Single operations beyond the scopes, by name.
    pub(crate) operations: BTreeSet<String>,
    /// Where money may go. Empty: nowhere, whatever the scopes say.
    pub(crate) withdrawals: Vec<Destination>,
    /// The sub-accounts the client may name, beside its key's own.
    pub(crate) accounts: Vec<String>,
    pub(crate) cancel_all: CancelAll,
    /// `None`: orders are not limited.
    pub(crate) orders: Option<Orders>,
    /// `None`: transfers go wherever `accounts` lets them.
    pub(crate) transfers: Option<Transfers>,
    pub(crate) mode: Mode,
    /// How often it may call. `None`: as often as it likes.
    pub(crate) rate: Option<Rate>,
}

impl Grant {
    /// A grant of these scopes and of what they include.
    pub(crate) fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: BTreeSet<Scope> = scopes.into_iter().collect();
        if scopes.contains(&Scope::OrdersCreate) {
            scopes.insert(Scope::OrdersCancel);
        }
        Self { scopes, ..Self::default() }
    }
}

/// An address that withdrawals may go to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Destination {
    /// Lower case.
    pub(crate) currency: String,
    /// Lower case; `None` matches only calls that name no network.
    pub(crate) network: Option<String>,
    /// Compared exactly, as chains do.
    pub(crate) address: String,
    pub(crate) memo: Option<String>,
    /// In its currency. `None`: without limit.
    pub(crate) max_per_day: Option<Decimal>,
}

/// Limits on orders. What is `None` or empty does not limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Orders {
    /// Lower case.
    pub(crate) symbols: Option<BTreeSet<String>>,
    pub(crate) sides: Option<BTreeSet<Side>>,
    pub(crate) types: Option<BTreeSet<OrderType>>,
    pub(crate) time_in_force: Option<BTreeSet<TimeInForce>>,
    /// By base currency in lower case, for one order. A currency that is not there is not limited.
    pub(crate) max_amount: BTreeMap<String, Decimal>,
    /// By quote currency in lower case, for one order. One that is not there is refused.
    pub(crate) max_notional: BTreeMap<String, Decimal>,
    pub(crate) day: DayLimits,
}

impl Orders {
    /// Whether anything limits how much an order is of something: its amount or its value.
    pub(crate) fn limit_size(&self) -> bool {
        !self.max_amount.is_empty() || self.limit_value()
    }

    /// Whether anything limits an order's value.
    pub(crate) fn limit_value(&self) -> bool {
        !self.max_notional.is_empty() || !self.day.max_notional_per_day.is_empty()
    }
}

/// What all orders of a client may come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DayLimits {
    /// By quote currency in lower case. If there is any, one that is not there is refused.
    pub(crate) max_notional_per_day: BTreeMap<String, Decimal>,
    pub(crate) max_orders_per_day: Option<u64>,
    pub(crate) max_open_orders: Option<u64>,
}

words! {
    Side {
        Buy = "buy",
        Sell = "sell",
    }
}

words! {
    OrderType {
        Limit = "exchange limit",
        StopLimit = "exchange stop limit",
        Market = "exchange market",
    }
}

words! {
    /// The exchange says it in `options`; none of them is the first.
    TimeInForce {
        GoodTilCancel = "good-til-cancel",
        MakerOrCancel = "maker-or-cancel",
        ImmediateOrCancel = "immediate-or-cancel",
        FillOrKill = "fill-or-kill",
    }
}

/// Where transfers may go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Transfers {
    /// Sub-accounts.
    pub(crate) to: BTreeSet<String>,
    /// Ids of banks, for withdrawals of money.
    pub(crate) banks: BTreeSet<String>,
}

words! {
    /// What becomes of a call that the grant does not allow.
    Mode {
        Enforce = "enforce",
        /// It goes on, and is told of. Never what moves money or changes an account.
        Observe = "observe",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro that makes the type derives no default")]
impl Default for Mode {
    fn default() -> Self {
        Self::Enforce
    }
}

/// So many calls in so much time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rate {
    pub(crate) count: u32,
    pub(crate) per: Duration,
    /// How many at once. `None`: a tenth of `count`, and at least one.
    pub(crate) burst: Option<u32>,
}

/// Whether `cancel/all` and `cancel/session` may reach orders of other clients of the same key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum CancelAll {
    #[default]
    Own,
    Shared,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bundle_holds_what_must_be_named() {
        let named = [
            Scope::ClearingCreate,
            Scope::PredictionsOrdersWrite,
            Scope::StakingCreate,
            Scope::AccountsCreate,
            Scope::AddressesApprove,
        ];
        for bundle in Bundle::ALL {
            let scopes = bundle.scopes();
            assert!(named.iter().all(|it| !scopes.contains(it)), "{bundle}");
            assert!(scopes.contains(&Scope::MarketRead), "{bundle}");
        }
    }

    #[test]
    fn bundles_are_as_documented() {
        let of = |bundle: Bundle| {
            bundle.scopes().iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(Bundle::ViewBalances), "balances:read market:read");
        assert_eq!(
            of(Bundle::Trade),
            "market:read orders:cancel orders:create orders:read session:heartbeat"
        );
        assert_eq!(of(Bundle::SendCrypto), "addresses:read crypto:send fees:read market:read");
        assert_eq!(
            of(Bundle::WithdrawFunds),
            "addresses:read banks:read crypto:send fees:read fiat:withdraw market:read"
        );
        assert!(of(Bundle::Auditor).contains("predictions:positions:read"));
        assert!(!of(Bundle::FundManager).contains("orders:create"));
    }
}
