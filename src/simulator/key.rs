//! Keys: what they may do, and what they count as a nonce.
//!
//! 1. A key named `master-…` speaks for a group of sub-accounts; any other for one account.
//! 2. A nonce rule judges one nonce at a time. Its mark is the highest nonce accepted so far, and
//!    the caller raises it only when the rule has said yes.
//! 3. The default keys are fixed and printed in the help, so that a bot's configuration can name
//!    them. They are worth nothing anywhere else.

use std::net::IpAddr;

use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use serde::Deserialize;
use serde::Serialize;
use sha2::Sha384;
use subtle::ConstantTimeEq as _;

use crate::clock::UnixMicros;
use crate::simulator::decimal::Amount;
use crate::simulator::decimal::Number;
use crate::simulator::payload::Payload;
use crate::simulator::reply::Rejection;

/// How far a time-based nonce may be from the exchange's clock.
const WINDOW: Amount = Amount::units(30);

/// A role of a key, as the exchange spells it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Role {
    Trader,
    FundManager,
    Auditor,
    Administrator,
}

/// What a key accepts as a nonce.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum NonceRule {
    /// Any number above the last one accepted.
    #[default]
    Increasing,
    /// Seconds, within 30 of the exchange's clock, in any order.
    Time,
    /// Seconds, within 30 of the exchange's clock, each above the last one accepted.
    TimeOrdered,
    /// Whole seconds within 30 of the exchange's clock. Decimals are "not parseable".
    TimeWhole,
}

/// A key that the simulated exchange knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    pub key: String,
    pub secret: String,
    #[serde(default = "trader")]
    pub roles: Vec<Role>,
    #[serde(default)]
    pub nonce: NonceRule,
    /// The only addresses it may be used from.
    #[serde(default)]
    pub trusted_ips: Option<Vec<IpAddr>>,
    #[serde(default)]
    pub disabled: bool,
    /// The nonce mark to start from, as decimal text.
    #[serde(default)]
    pub last_nonce: Option<String>,
    /// The sub-accounts of a master key; the first is the account of any other key.
    #[serde(default = "primary")]
    pub accounts: Vec<String>,
}

impl KeySpec {
    /// A trader's key with increasing nonces on the account `primary`.
    pub fn new(key: &str, secret: &str) -> Self {
        Self {
            key: key.to_owned(),
            secret: secret.to_owned(),
            roles: trader(),
            nonce: NonceRule::Increasing,
            trusted_ips: None,
            disabled: false,
            last_nonce: None,
            accounts: primary(),
        }
    }

    /// The five keys that the simulator has when it is given none. All counting keys follow
    /// `nonce`; the one named `simTimed…` is always time-based.
    pub fn defaults(nonce: NonceRule) -> Vec<Self> {
        use Role::Administrator;
        use Role::Auditor;
        use Role::FundManager;
        use Role::Trader;

        let key = |key: &str, name: &str, roles: &[Role]| Self {
            roles: roles.to_vec(),
            nonce,
            ..Self::new(key, &format!("simulator-secret-{name}"))
        };
        vec![
            key("account-simTrader000000001", "trader", &[Trader]),
            key("account-simAuditor00000001", "auditor", &[Auditor]),
            key("account-simFunds0000000001", "funds", &[FundManager, Trader]),
            Self {
                nonce: NonceRule::Time,
                ..key("account-simTimed0000000001", "timed", &[Trader])
            },
            Self {
                accounts: vec!["primary".to_owned(), "cold".to_owned()],
                ..key("master-simGroup0000000001", "master", &[Administrator, Trader])
            },
        ]
    }

    pub fn is_master(&self) -> bool {
        self.key.starts_with("master-")
    }
}

fn trader() -> Vec<Role> {
    vec![Role::Trader]
}

fn primary() -> Vec<String> {
    vec!["primary".to_owned()]
}

/// A known key with its prepared MAC.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) spec: KeySpec,
    mac: Hmac<Sha384>,
}

impl Key {
    pub(crate) fn new(spec: KeySpec) -> Self {
        let mac =
            Hmac::new_from_slice(spec.secret.as_bytes()).expect("HMAC takes a key of any length");
        Self { spec, mac }
    }

    /// Whether `signature` is the lower-case hex of the payload text's MAC.
    pub(crate) fn verifies(&self, payload: &[u8], signature: &[u8]) -> bool {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.mac.clone();
        mac.update(payload);
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
        let mut hex = Vec::with_capacity(96);
        for byte in mac.finalize().into_bytes() {
            hex.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        hex.ct_eq(signature).into()
    }

    pub(crate) fn has_one_of(&self, roles: &[Role]) -> bool {
        roles.is_empty() || roles.iter().any(|it| self.spec.roles.contains(it))
    }
}

/// Judges a payload's nonce; an accepted one is for the caller to keep as the new mark.
pub(crate) fn judge_nonce(
    rule: NonceRule,
    payload: &Payload,
    mark: Option<&Number>,
    now: UnixMicros,
) -> Result<Number, Rejection> {
    let missing = "Must provide unique monotonic increasing 'nonce' field in payload";
    let digits = payload.digits("nonce").ok_or_else(|| Rejection::bad("MissingNonce", missing))?;
    let number = Number::parse(&digits)
        .filter(|it| rule != NonceRule::TimeWhole || it.is_whole())
        .ok_or_else(|| {
            let raw = payload.raw("nonce").unwrap_or_default();
            invalid(format!("Nonce '{raw}' was not parseable as a number."))
        })?;
    if rule != NonceRule::Increasing && !in_window(&number, now) {
        let server = now.secs();
        let text = format!("Nonce '{digits}' is not within 30 seconds of server time '{server}'");
        return Err(invalid(text));
    }
    let ordered = matches!(rule, NonceRule::Increasing | NonceRule::TimeOrdered);
    if ordered && mark.is_some_and(|mark| number <= *mark) {
        let text = "has not increased since your last call to the Gemini API.";
        return Err(invalid(format!("Nonce '{digits}' {text}")));
    }
    Ok(number)
}

fn invalid(message: String) -> Rejection {
    Rejection::bad("InvalidNonce", message)
}

fn in_window(nonce: &Number, now: UnixMicros) -> bool {
    let server = format!("{}.{:06}", now.secs(), now.0 % 1_000_000);
    let distance = Amount::exact(nonce)
        .and_then(|nonce| Some((nonce, Amount::parse(&server)?)))
        .and_then(|(nonce, server)| nonce.max(server).minus(nonce.min(server)));
    // What does not fit is out of any window.
    distance.is_some_and(|it| it <= WINDOW)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const NOW: UnixMicros = UnixMicros(1_790_000_000_250_000);

    #[track_caller]
    fn check(rule: NonceRule, nonce: &str, mark: Option<&str>, expected: Result<(), &str>) {
        let json = format!("{{\"nonce\":{nonce}}}");
        let payload = Payload::decode(STANDARD.encode(json).as_bytes()).expect("valid JSON");
        let mark = mark.and_then(Number::parse);
        let got = judge_nonce(rule, &payload, mark.as_ref(), NOW).map(|_| ());
        let expected = expected.map_err(|text| Rejection::bad("InvalidNonce", text));
        assert_eq!(got, expected, "{rule:?} {nonce}");
    }

    #[test]
    fn increasing_nonces_only_increase() {
        let rule = NonceRule::Increasing;
        check(rule, "1", None, Ok(()));
        check(rule, "\"1790000000.124\"", Some("1790000000.123"), Ok(()));
        check(rule, "1790000000123", Some("1790000000.123"), Ok(()));
        let text = "Nonce '5' has not increased since your last call to the Gemini API.";
        check(rule, "5", Some("5"), Err(text));
        check(rule, "\"5\"", Some("5.0000001"), Err(text));
        check(rule, "\"\"", None, Err("Nonce '\"\"' was not parseable as a number."));
        check(rule, "\"x\"", None, Err("Nonce '\"x\"' was not parseable as a number."));
    }

    #[test]
    fn time_based_nonces_keep_to_the_window() {
        check(NonceRule::Time, "1790000030.25", Some("1790000031"), Ok(()));
        check(NonceRule::Time, "1789999970.25", None, Ok(()));
        let late = "Nonce '1790000030.251' is not within 30 seconds of server time '1790000000'";
        check(NonceRule::Time, "1790000030.251", None, Err(late));
        let unit = "Nonce '1790000000000' is not within 30 seconds of server time '1790000000'";
        check(NonceRule::Time, "1790000000000", None, Err(unit));
        let order = "Nonce '1790000000' has not increased since your last call to the Gemini API.";
        check(NonceRule::TimeOrdered, "1790000000", Some("1790000000"), Err(order));
        check(NonceRule::TimeOrdered, "1790000000.1", Some("1790000000"), Ok(()));
        let whole = "Nonce '1790000000.1' was not parseable as a number.";
        check(NonceRule::TimeWhole, "1790000000.1", None, Err(whole));
        check(NonceRule::TimeWhole, "1790000000", Some("1790000001"), Ok(()));
    }

    #[test]
    fn a_signature_is_lower_case_hex_over_the_base64_text() {
        // RFC 4231, test case 2.
        let key = Key::new(KeySpec::new("account-x", "Jefe"));
        let mac = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                   8e2240ca5e69e2c78b3239ecfab21649";
        let text = b"what do ya want for nothing?";
        assert!(key.verifies(text, mac.as_bytes()));
        assert!(!key.verifies(text, mac.to_uppercase().as_bytes()));
        assert!(!key.verifies(b"another text", mac.as_bytes()));
        assert!(!key.verifies(text, b""));
    }
}
