//! What a client asks for, in words that name no transport.

mod money;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::json::Object;

pub(crate) use self::money::{Order, OrderState, Orders, Transfer, Withdrawal};

/// A client, as the configuration names it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ClientId(Arc<str>);

/// A key of an upstream account, as the configuration names it. Never the key's own text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct KeyName(Arc<str>);

/// An operation, as the catalogue names it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct OperationName(Arc<str>);

macro_rules! name_type {
    ($($type:ident)*) => {$(
        impl $type {
            pub(crate) fn new(name: &str) -> Self {
                Self(name.into())
            }

            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }

        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
name_type!(ClientId KeyName OperationName);

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub(crate) enum $type {
            $($(#[$note])* $variant,)*
        }

        impl $type {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that configuration, logs and documents use.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = $crate::call::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().copied().find(|it| it.as_str() == text);
                found.ok_or($crate::call::UnknownWord)
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not one of the known words")]
pub(crate) struct UnknownWord;

words! {
    /// What an operation needs and a client holds. Gemini's own OAuth words where it has one for
    /// the endpoint, ours in the same form where it has none.
    Scope {
        AccountRead = "account:read",
        AccountsCreate = "accounts:create",
        AddressesApprove = "addresses:approve",
        AddressesCreate = "addresses:create",
        AddressesRead = "addresses:read",
        BalancesRead = "balances:read",
        BanksCreate = "banks:create",
        BanksRead = "banks:read",
        ClearingCreate = "clearing:create",
        ClearingRead = "clearing:read",
        CryptoSend = "crypto:send",
        FeesRead = "fees:read",
        FiatWithdraw = "fiat:withdraw",
        HistoryRead = "history:read",
        MarketRead = "market:read",
        OrdersCancel = "orders:cancel",
        OrdersCreate = "orders:create",
        OrdersRead = "orders:read",
        PredictionsBalancesRead = "predictions:balances:read",
        PredictionsOrdersRead = "predictions:orders:read",
        PredictionsOrdersWrite = "predictions:orders:write",
        PredictionsPositionsRead = "predictions:positions:read",
        SessionHeartbeat = "session:heartbeat",
        StakingCreate = "staking:create",
        StakingRead = "staking:read",
        TransfersCreate = "transfers:create",
    }
}

words! {
    Method {
        Get = "GET",
        Post = "POST",
    }
}

words! {
    /// What a call changes in the world when it is executed.
    Effect {
        Read = "read",
        Trade = "trade",
        DepositAddress = "deposit_address",
        CryptoWithdrawal = "crypto_withdrawal",
        FiatWithdrawal = "fiat_withdrawal",
        Transfer = "transfer",
        Stake = "stake",
        Admin = "admin",
    }
}

impl Effect {
    /// Whether a second execution would change something a second time, or change anything at all.
    pub(crate) const fn mutates(self) -> bool {
        !matches!(self, Self::Read)
    }
}

words! {
    Visibility {
        Public = "public",
        Private = "private",
    }
}

words! {
    /// What happens to the parameter `account` under a master key.
    AccountRule {
        /// The key's own sub-account is added when the client names none.
        Inject = "inject",
        /// The parameter names what is changed: it is left as it is.
        Target = "target",
        /// It is never added.
        Never = "none",
        /// The operation has no such parameter.
        NotApplicable = "-",
    }
}

words! {
    /// Whether a freshly signed repeat is harmless.
    RetryClass {
        Always = "yes",
        WithClientOrderId = "with_client_order_id",
        Never = "no",
    }
}

words! {
    /// Which budget a call spends.
    RateClass {
        Public = "public",
        Private = "private",
        /// `/v1|v2/transfers` with `custodyaccountfees`: one in 5 s for each sub-account.
        Transfers = "transfers",
        /// `/v1/addresses`: one in 2 s for each sub-account.
        Addresses = "addresses",
    }
}

words! {
    /// What happens to a query string.
    QueryRule {
        /// It goes along, unsigned: there is no signature.
        Open = "open",
        /// It goes along, and `request` names the bare path.
        Bare = "bare?",
        /// It goes along, and `request` includes it.
        Signed = "signed?",
        /// There is none: a request that carries one is refused.
        Refused = "refused",
    }
}

words! {
    /// Where a request waits when its key's lane is busy, first come first.
    Priority {
        /// The proxy's own, when an operator stops everything: ahead of whoever waits, however long.
        Emergency = "emergency",
        Cancel = "cancel",
        Heartbeat = "heartbeat",
        Order = "order",
        Read = "read",
    }
}

/// An endpoint of an upstream: everything the proxy knows of it before anyone calls it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Operation {
    pub(crate) name: OperationName,
    pub(crate) method: Method,
    /// With `{parameters}` as whole segments.
    pub(crate) path: String,
    pub(crate) group: String,
    pub(crate) visibility: Visibility,
    /// The roles a key may hold, any of which will do. A trailing `?` marks an inference.
    pub(crate) roles: Vec<String>,
    pub(crate) oauth_scopes: Vec<String>,
    /// `None`: not offered.
    pub(crate) scope: Option<Scope>,
    pub(crate) account: AccountRule,
    pub(crate) effect: Effect,
    pub(crate) rate: RateClass,
    pub(crate) retry: RetryClass,
    pub(crate) query: QueryRule,
    pub(crate) priority: Priority,
    pub(crate) source: String,
}

/// The one operation whose calls are orders that can be read.
pub(crate) const CREATE_ORDER: &str = "create_order";

impl Operation {
    pub(crate) fn is_public(&self) -> bool {
        self.visibility == Visibility::Public
    }

    /// Whether it only takes orders back, or says that the client is still there. Goes on in a freeze.
    pub(crate) fn lowers_risk(&self) -> bool {
        match self.priority {
            Priority::Emergency | Priority::Cancel | Priority::Heartbeat => true,
            Priority::Order | Priority::Read => false,
        }
    }
}

/// What one request asks for. Judged, then signed: both see this value and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: Arc<Operation>,
    /// What it needs, its parameters considered; `None`: not offered.
    pub(crate) scope: Option<Scope>,
    /// What it changes, its parameters considered.
    pub(crate) effect: Effect,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// Without the client's own `request` and `nonce`.
    pub(crate) parameters: Object,
    /// The sub-account that the client names to act in.
    pub(crate) account: Option<String>,
    /// Every sub-account that the client names, for whatever purpose.
    pub(crate) accounts: Vec<String>,
    /// The order that it would place.
    pub(crate) order: Option<Box<Order>>,
    /// The symbol that it would trade, where its path names one.
    pub(crate) path_symbol: Option<String>,
    /// Where money would go.
    pub(crate) withdrawal: Option<Withdrawal>,
    /// Between which sub-accounts it would move money.
    pub(crate) transfer: Option<Box<Transfer>>,
    /// Whether it reaches every order of the key, whoever placed it.
    pub(crate) reaches_whole_key: bool,
}

words! {
    /// What an operator has stopped.
    Freeze {
        No = "no",
        /// Whatever changes something, but for cancels and heartbeats.
        Risk = "risk",
        Everything = "everything",
    }
}

words! {
    /// How a request ended upstream.
    Outcome {
        NotSent = "not_sent",
        Rejected = "rejected",
        Executed = "executed",
        Unknown = "unknown",
    }
}

words! {
    /// Why a key is stopped: somebody else raises its mark, or did so in another unit.
    StopCause {
        KeyShared = "nonce-key-shared",
        Unit = "nonce-unit",
    }
}

/// Who asks. Made where credentials are checked, and nowhere else (held by `tests/tidy.rs`).
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    client: ClientId,
    how: Identity,
}

words! {
    /// How a client showed who it is.
    Identity {
        Token = "token",
        StandIn = "stand-in",
        /// It presented nothing, where that is allowed.
        Nothing = "none",
    }
}

impl Identified {
    /// To be called by the module that has checked the credential.
    pub(crate) fn proven(client: ClientId, how: Identity) -> Self {
        Self { client, how }
    }

    pub(crate) fn client(&self) -> &ClientId {
        &self.client
    }

    pub(crate) fn how(&self) -> Identity {
        self.how
    }
}

/// A client's word within a sentence of ours: without what could write to a terminal, and not long.
pub(crate) fn shown(word: &str) -> String {
    const MOST: usize = 100;
    let mut shown: String = word.chars().take(MOST).flat_map(char::escape_default).collect();
    if word.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// A call as tests want one.
#[cfg(test)]
pub(crate) fn example(name: &str, scope: Option<Scope>, effect: Effect) -> Call {
    let operation = Operation {
        name: OperationName::new(name),
        method: Method::Post,
        path: format!("/v1/{name}"),
        group: String::new(),
        visibility: Visibility::Private,
        roles: Vec::new(),
        oauth_scopes: Vec::new(),
        scope,
        account: AccountRule::Inject,
        effect,
        rate: RateClass::Private,
        retry: RetryClass::Never,
        query: QueryRule::Refused,
        priority: Priority::Read,
        source: String::new(),
    };
    Call {
        path: operation.path.clone(),
        operation: Arc::new(operation),
        scope,
        effect,
        query: None,
        parameters: Object::default(),
        account: None,
        accounts: Vec::new(),
        order: None,
        path_symbol: None,
        withdrawal: None,
        transfer: None,
        reaches_whole_key: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_tame_and_short() {
        assert_eq!(shown("primary"), "primary");
        assert_eq!(shown("a\u{7f}\u{9b}31m\n`"), "a\\u{7f}\\u{9b}31m\\n`");
        assert_eq!(shown(&"x".repeat(100)), "x".repeat(100));
        assert_eq!(shown(&"x".repeat(101)), "x".repeat(100) + "…");
    }

    #[test]
    fn words_read_back() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        assert_eq!("orders:Create".parse::<Scope>(), Err(UnknownWord));
    }
}
