//! What a rejection's cause says of the key, of the call and of the way to the exchange: one table.

use crate::call::words;
use crate::diagnose::Cause;

/// What a cause is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The exchange does not take the key, or not its secret. Three in a row set it aside.
    Credential,
    /// The exchange knows the key, and takes no call with it.
    Key,
    /// The exchange knows the key, and does not take this operation with it.
    Operation,
    /// The exchange's own word, before it looks at the key.
    Caller,
    Maintenance,
    /// The exchange or its edge wants fewer requests: what comes between two refusals may be let in.
    Rate,
    /// The same, and an edge said so.
    EdgeRate,
    /// Who said so, or of whom, is not certain.
    Doubtful,
    /// An edge, or the network between: the exchange has said nothing, of this call at least.
    Between,
    /// The exchange was not reached at all, whatever is asked.
    Away,
    /// Refused by the proxy itself. Nothing is learned from it.
    Ours,
}

/// What shows that a cause is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proof {
    /// Any answer of the exchange's own, whatever it says.
    Answered,
    /// The exchange's own answer to what was rejected: an edge may block one path and pass others.
    SameAnswered,
    /// Any call that is let in, when none was rejected for a minute.
    Calm,
    /// Any signed call that is let in, or rejected in a way that shows that the key is known.
    Known,
    /// Any call that is let in.
    LetIn,
    /// The same operation, let in.
    Operation,
}

words! {
    /// What closed an incident.
    ClosedBy {
        Answered = "answered",
        Accepted = "accepted",
        Operation = "operation",
        /// No rejection came for an hour, and no proof either.
        Quiet = "quiet",
    }
}

impl Kind {
    #[expect(clippy::too_many_lines, reason = "one table, with a line for each cause")]
    pub(super) const fn of(cause: Cause) -> Self {
        use Cause as C;
        match cause {
            C::KeyUnknown | C::SignatureWrong => Self::Credential,
            C::KeyIpNotTrusted | C::NonceKeyShared | C::NonceUnit | C::NonceClock => Self::Key,
            C::KeyRoleMissing
            | C::KeyKindWrong
            | C::AccountMissing
            | C::AccountOnAccountKey
            | C::AccountRestricted
            | C::AccountClosed
            | C::AccountTypeWrong
            | C::TermsNotAccepted => Self::Operation,
            C::HeadersMissing => Self::Caller,
            C::RateLimited => Self::Rate,
            C::EdgeRateLimited => Self::EdgeRate,
            C::Maintenance => Self::Maintenance,
            C::RegionRestricted | C::WrongGemini | C::Unexplained => Self::Doubtful,
            C::EdgeBlocked
            | C::EdgeRegion
            | C::EdgeChallenge
            | C::EdgeError
            | C::CaptivePortal
            | C::UpstreamClosed
            | C::UpstreamTimeout
            | C::UpstreamTruncated
            | C::UpstreamRedirect => Self::Between,
            C::UpstreamUnreachable | C::UpstreamTls => Self::Away,
            C::ClientUnidentified
            | C::ClientCredentialWrong
            | C::ClientAmbiguous
            | C::ClientExpired
            | C::ClientAddressRefused
            | C::ClientThrottled
            | C::ClientReplay
            | C::BrowserRequest
            | C::HostRefused
            | C::RequestMalformed
            | C::RequestTooLarge
            | C::RequestTimeout
            | C::PayloadAmbiguous
            | C::PayloadPathMismatch
            | C::OperationUnknown
            | C::MethodWrong
            | C::ScopeMissing
            | C::AccountRefused
            | C::SymbolRefused
            | C::SideRefused
            | C::OrderTypeRefused
            | C::OrderTooLarge
            | C::DailyLimitReached
            | C::OpenOrdersLimit
            | C::OrderUnpriceable
            | C::WithdrawalRefused
            | C::TransferRefused
            | C::CancelAllShared
            | C::ClientFrozen
            | C::RateBudgetSpent
            | C::TooManyConnections
            | C::LaneBusy
            | C::DuplicateOfUnknown
            | C::ClientOrderIdUsed
            | C::AuditUnavailable
            | C::ClockUntrusted
            | C::NonceStateDamaged
            | C::EgressAddressUnexpected
            | C::Internal
            | C::KeyQuarantined => Self::Ours,
        }
    }

    /// Whether it is counted against the address that requests leave from, and not against a key.
    pub(super) const fn is_of_address(self, signed: bool) -> bool {
        !signed || matches!(self, Self::Between | Self::Away | Self::EdgeRate | Self::Maintenance)
    }

    pub(super) const fn proof(self) -> Proof {
        match self {
            Self::Credential => Proof::Known,
            Self::Key | Self::Caller => Proof::LetIn,
            Self::Operation | Self::Maintenance | Self::Doubtful | Self::Ours => Proof::Operation,
            Self::Rate | Self::EdgeRate => Proof::Calm,
            Self::Between => Proof::SameAnswered,
            Self::Away => Proof::Answered,
        }
    }

    /// Whether the exchange itself has spoken.
    pub(super) const fn is_own(self) -> bool {
        matches!(self, Self::Credential | Self::Key | Self::Operation | Self::Caller | Self::Rate)
    }

    /// Whether the exchange can only have said so of a key that it knows.
    pub(super) const fn shows_known(self) -> bool {
        matches!(self, Self::Key | Self::Operation)
    }
}

impl Proof {
    pub(super) const fn closes(self) -> ClosedBy {
        match self {
            Self::Answered | Self::SameAnswered => ClosedBy::Answered,
            Self::Known | Self::LetIn | Self::Calm => ClosedBy::Accepted,
            Self::Operation => ClosedBy::Operation,
        }
    }
}
