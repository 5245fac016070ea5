//! The closed list of causes: response field, metric label, audit field, heading of
//! `docs/diagnosis.md`.
//!
//! A word here is never renamed. The list is the contract's: some words wait for what produces them.

macro_rules! causes {
    ($($variant:ident = $code:literal, $title:literal;)*) => {
        /// Why a request did not get what it asked for.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[allow(dead_code, reason = "the list is closed; some words wait for what produces them")]
        pub(crate) enum Cause {
            $($variant,)*
        }

        impl Cause {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable word.
            pub(crate) const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// One line for a person.
            pub(crate) const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// The counter of all requests that ended so.
            const fn counted(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("geminid_causes_total{cause=\"", $code, "\"}"),)*
                }
            }

            /// The gauge of incidents that are open for it.
            const fn incident(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("geminid_incidents_open{cause=\"", $code, "\"}"),)*
                }
            }
        }
    };
}

impl Cause {
    /// The metric that shows whether it goes on.
    pub(crate) const fn watch(self) -> &'static str {
        if matches!(self, Self::LaneBusy) {
            "geminid_lane_wait_seconds"
        } else if matches!(self, Self::AuditUnavailable) {
            "geminid_audit_fault"
        } else if matches!(self, Self::ClientFrozen) {
            "geminid_frozen"
        } else if matches!(self, Self::KeyQuarantined) {
            "geminid_key_state{state=\"quarantined\"}"
        } else if matches!(self, Self::NonceKeyShared | Self::NonceUnit | Self::NonceClock) {
            "geminid_nonce_corrections_total"
        } else if self.opens_incidents() {
            self.incident()
        } else {
            self.counted()
        }
    }

    /// Whether it is decided beyond the proxy, and stays until somebody sees to it.
    const fn opens_incidents(self) -> bool {
        matches!(
            self,
            Self::KeyUnknown
                | Self::KeyRoleMissing
                | Self::KeyIpNotTrusted
                | Self::KeyKindWrong
                | Self::SignatureWrong
                | Self::HeadersMissing
                | Self::AccountMissing
                | Self::AccountRestricted
                | Self::AccountClosed
                | Self::AccountTypeWrong
                | Self::TermsNotAccepted
                | Self::RegionRestricted
                | Self::Maintenance
                | Self::WrongGemini
                | Self::Unexplained
                | Self::EdgeBlocked
                | Self::EdgeRegion
                | Self::EdgeChallenge
                | Self::EdgeRateLimited
                | Self::EdgeError
                | Self::CaptivePortal
        )
    }
}

causes! {
    // The proxy: who asks.
    ClientUnidentified = "client-unidentified", "The request names no client";
    ClientCredentialWrong = "client-credential-wrong", "The client credential is not valid";
    ClientAmbiguous = "client-ambiguous", "The request presents credentials that do not belong together";
    ClientExpired = "client-expired", "The client's time is over";
    ClientAddressRefused = "client-address-refused", "The client may not call from this address";
    ClientThrottled = "client-throttled", "Too many wrong credentials from this address";
    ClientReplay = "client-replay", "This signed request was seen before";
    BrowserRequest = "browser-request", "A web page made a browser send this request";
    HostRefused = "host-refused", "The Host header names another server";
    // The proxy: what is asked.
    RequestMalformed = "request-malformed", "The request cannot be read without doubt";
    RequestTooLarge = "request-too-large", "The request is larger than the proxy accepts";
    RequestTimeout = "request-timeout", "The request did not arrive in time";
    PayloadAmbiguous = "payload-ambiguous", "Body and payload header carry different parameters";
    PayloadPathMismatch = "payload-path-mismatch", "The signed payload names another path";
    OperationUnknown = "operation-unknown", "The catalogue has no such operation";
    MethodWrong = "method-wrong", "The path takes another method";
    // The proxy: may they.
    ScopeMissing = "scope-missing", "The client does not hold the scope that this operation needs";
    AccountRefused = "account-refused", "The client may not use this sub-account";
    SymbolRefused = "symbol-refused", "The client may not trade this symbol";
    SideRefused = "side-refused", "The client may not trade this side";
    OrderTypeRefused = "order-type-refused", "The client may not use this order type";
    OrderTooLarge = "order-too-large", "The order is larger than the client's limit";
    DailyLimitReached = "daily-limit-reached", "The client's limit for the day is reached";
    OpenOrdersLimit = "open-orders-limit", "The client has as many open orders as it may";
    OrderUnpriceable = "order-unpriceable", "The order's value cannot be determined";
    WithdrawalRefused = "withdrawal-refused", "The client may not withdraw to this destination";
    TransferRefused = "transfer-refused", "The client may not transfer there";
    CancelAllShared = "cancel-all-shared", "The call would cancel orders of other clients";
    ClientFrozen = "client-frozen", "The client is frozen";
    // The proxy: not now.
    RateBudgetSpent = "rate-budget-spent", "The rate budget is spent";
    TooManyConnections = "too-many-connections", "Too many connections are open";
    LaneBusy = "lane-busy", "Too many requests wait for this key";
    DuplicateOfUnknown = "duplicate-of-unknown", "A request with the same content has an unknown outcome";
    ClientOrderIdUsed = "client-order-id-used", "This client_order_id was executed before";
    AuditUnavailable = "audit-unavailable", "The audit trail cannot be written";
    ClockUntrusted = "clock-untrusted", "The exchange's clock is not known";
    NonceStateDamaged = "nonce-state-damaged", "The file with the key's nonce mark is damaged";
    EgressAddressUnexpected = "egress-address-unexpected", "Requests would leave from an unexpected address";
    UpstreamUnreachable = "upstream-unreachable", "The exchange cannot be reached";
    UpstreamTls = "upstream-tls", "The exchange's certificate is not accepted";
    UpstreamClosed = "upstream-closed", "The connection closed before the answer";
    UpstreamTimeout = "upstream-timeout", "The answer did not come in time";
    UpstreamTruncated = "upstream-truncated", "The answer ended early";
    UpstreamRedirect = "upstream-redirect", "The answer points elsewhere";
    Internal = "internal", "A fault in the proxy";
    // The exchange.
    KeyUnknown = "key-unknown", "The exchange does not know this API key";
    KeyRoleMissing = "key-role-missing", "The API key lacks a role that this endpoint needs";
    KeyIpNotTrusted = "key-ip-not-trusted", "The API key does not trust the address that this request came from";
    KeyKindWrong = "key-kind-wrong", "This endpoint is not for this kind of API key";
    KeyQuarantined = "key-quarantined", "The key is set aside after repeated refusals";
    SignatureWrong = "signature-wrong", "The exchange does not accept the signature";
    NonceKeyShared = "nonce-key-shared", "Another program uses the same API key";
    NonceUnit = "nonce-unit", "The key counts its nonces in another unit than the proxy";
    NonceClock = "nonce-clock", "The nonce is too far from the exchange's clock";
    HeadersMissing = "headers-missing", "The signed request did not arrive as it was sent";
    AccountMissing = "account-missing", "A master key must name one account";
    AccountOnAccountKey = "account-on-account-key", "Only a master key may name an account";
    AccountRestricted = "account-restricted", "The account is restricted";
    AccountClosed = "account-closed", "The account is closed";
    AccountTypeWrong = "account-type-wrong", "The account is of the wrong type for this endpoint";
    TermsNotAccepted = "terms-not-accepted", "Terms must be accepted first";
    RegionRestricted = "region-restricted", "The endpoint is not available in this region";
    Maintenance = "maintenance", "The exchange is under maintenance";
    RateLimited = "rate-limited", "The exchange limits the rate of requests";
    WrongGemini = "wrong-gemini", "This belongs to the other product called Gemini";
    Unexplained = "unexplained", "The exchange refuses without a reason that is known";
    // Something between.
    EdgeBlocked = "edge-blocked", "A firewall in front of the exchange refused the request";
    EdgeRegion = "edge-region", "The edge refuses this region";
    EdgeChallenge = "edge-challenge", "The edge wants proof of a browser";
    EdgeRateLimited = "edge-rate-limited", "The edge limits the rate of requests";
    EdgeError = "edge-error", "The edge failed";
    CaptivePortal = "captive-portal", "The network wants a log-in first";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_names_a_metric_to_watch() {
        let metrics = [
            "geminid_causes_total",
            "geminid_incidents_open",
            "geminid_key_state",
            "geminid_nonce_corrections_total",
            "geminid_lane_wait_seconds",
            "geminid_audit_fault",
            "geminid_frozen",
        ];
        for cause in Cause::ALL {
            let watch = cause.watch();
            let (name, labels) = watch.split_once('{').unwrap_or((watch, ""));
            assert!(metrics.contains(&name), "{watch}");
            let of_it = format!("cause=\"{}\"}}", cause.code());
            assert!(!labels.starts_with("cause") || labels == of_it, "{watch}");
        }
    }

    #[test]
    fn every_cause_has_a_heading_in_the_documentation() {
        let docs = include_str!("../../docs/diagnosis.md");
        let headings = docs.lines().filter_map(|it| it.strip_prefix("## "));
        let documented: BTreeSet<&str> = headings.map(|it| it.trim_matches('`')).collect();
        let known: BTreeSet<&str> = Cause::ALL.iter().map(|it| it.code()).collect();
        assert_eq!(documented, known);
    }
}
