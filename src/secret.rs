//! Credentials: they can be used, but not read.
//!
//! 1. A secret comes in as a [`SecretString`] and leaves as a keyed MAC. Its bytes are kept only for an
//!    upstream's key, and only to be recognised in foreign text.
//! 2. What is made of it is a [`HeaderValue`] marked sensitive, or a yes or no.
//! 3. `Debug` names the type and nothing else; there is no `Display`, `Clone` or `Serialize`.
//!
//! What is dropped is wiped: secrets, prepared keys, digests half done. Copies that a moved value leaves
//! behind are not promised to be.

use std::fmt;

use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256, Sha384};
use subtle::ConstantTimeEq as _;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A key and its secret: ours for an upstream account, or a stand-in pair that a client signs with.
pub(crate) struct Credential {
    key_id: String,
    key_header: HeaderValue,
    // Prepared once: absorbing the key costs as much as the message (measured, docs/performance.md).
    mac: Hmac<Sha384>,
    /// Empty for a stand-in pair: its secret never goes upstream, so nothing there can echo it.
    traces: Traces,
}

impl Credential {
    /// A key of an upstream account, whose secret is recognised in what the upstream says.
    pub(crate) fn upstream(key_id: String, secret: &SecretString) -> Self {
        Self { traces: Traces::of(secret), ..Self::new(key_id, secret) }
    }

    /// `key_id` is visible ASCII; the configuration has checked that.
    pub(crate) fn new(key_id: String, secret: &SecretString) -> Self {
        let mac = Hmac::<Sha384>::new_from_slice(secret.expose_secret().as_bytes())
            .expect("HMAC takes a key of any length");
        let key_header = sensitive(key_id.as_bytes().to_vec());
        Self { key_id, key_header, mac, traces: Traces::default() }
    }

    /// The public half as a header, marked so that no log shows it.
    pub(crate) fn key_header(&self) -> HeaderValue {
        self.key_header.clone()
    }

    /// The HMAC-SHA384 of `message` in lower-case hex, marked so that no log shows it.
    pub(crate) fn signature_header(&self, message: &[u8]) -> HeaderValue {
        sensitive(self.signature(message))
    }

    /// Whether `signature` is the HMAC-SHA384 of `message` in hex. In constant time.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let expected = self.signature(message);
        let given: Vec<u8> = signature.iter().map(u8::to_ascii_lowercase).collect();
        expected.ct_eq(&given).into()
    }

    /// Whether `key_id` is this pair's public half. In constant time, its length apart.
    pub(crate) fn is_key(&self, key_id: &[u8]) -> bool {
        self.key_id.as_bytes().ct_eq(key_id).into()
    }

    /// Whether both are the same pair: they would sign alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_key(other.key_id.as_bytes()) && self.verifies(b"", &other.signature(b""))
    }

    /// The public half of a stand-in pair, to look it up by.
    pub(crate) fn key_text(&self) -> &str {
        &self.key_id
    }

    /// The end of the public half, enough to find it on the exchange's settings page.
    pub(crate) fn hint(&self) -> String {
        let tail: Vec<char> = self.key_id.chars().rev().take(4).collect();
        std::iter::once('…').chain(tail.into_iter().rev()).collect()
    }

    /// `text` with the public half, wherever it stands, cut down to its end, and without the secret.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.traces.mask(text.replace(&self.key_id, &self.hint()))
    }

    /// A stable name for what is kept on disk for this key.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.key_id.as_bytes());
        let mut text = String::from_utf8(hex(&digest)).expect("hex is ASCII");
        text.truncate(32);
        text
    }

    /// Whether this key speaks for a group of accounts, which must name the one it means.
    pub(crate) fn is_master(&self) -> bool {
        // Prefixes as documented; `group-` is tested for by the exchange's own command line.
        self.key_id.starts_with("master-") || self.key_id.starts_with("group-")
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        #[cfg(test)]
        WORK.set(WORK.get() + 1);
        let tag = self.mac.clone().chain_update(message).finalize().into_bytes();
        hex(&tag)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// What a secret looks like in somebody else's text: as it is, escaped for a URL, in hex, in base64.
///
/// To recognise a secret it has to be kept. That gives nothing away that memory did not hold already:
/// the prepared HMAC state signs as well as the secret does.
#[derive(Default)]
struct Traces(Vec<SecretString>);

impl Traces {
    /// What is shorter is found in innocent words, and is no secret of the exchange's.
    const SHORTEST: usize = 8;

    fn of(secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        let mut forms = vec![Zeroizing::new(secret.expose_secret().to_owned())];
        forms.push(escaped(bytes));
        let hex = hex(bytes).into_iter().map(char::from);
        let lower = Zeroizing::new(hex.collect::<String>());
        forms.push(Zeroizing::new(lower.to_ascii_uppercase()));
        forms.push(lower);
        for lead in 0..3 {
            forms.extend(within_base64(bytes, lead, &BASE64_STANDARD_NO_PAD));
            forms.extend(within_base64(bytes, lead, &BASE64_URL_SAFE_NO_PAD));
        }
        forms.retain(|it| it.len() >= Self::SHORTEST);
        // The longest first: what contains another must not be cut into before.
        forms.sort_by_key(|it| std::cmp::Reverse(it.len()));
        Self(forms.iter().map(|it| SecretString::from(it.as_str())).collect())
    }

    fn mask(&self, text: String) -> String {
        let Self(forms) = self;
        let cut = |text: String, form: &SecretString| match text.contains(form.expose_secret()) {
            true => text.replace(form.expose_secret(), "…"),
            false => text,
        };
        forms.iter().fold(text, cut)
    }
}

/// What `bytes` alone decide of a base64 text in which `lead` bytes (of every three) stand before them.
fn within_base64(
    bytes: &[u8],
    lead: usize,
    engine: &impl base64::Engine,
) -> Option<Zeroizing<String>> {
    let mut all = Zeroizing::new(Vec::with_capacity(lead + bytes.len()));
    all.resize(lead, 0);
    all.extend_from_slice(bytes);
    let text = Zeroizing::new(engine.encode(all.as_slice()));
    // Six bits make a character; those that share one with a neighbour are left out.
    let inner = text.get((lead * 8).div_ceil(6)..all.len() * 8 / 6)?;
    Some(Zeroizing::new(inner.to_owned()))
}

/// As a query or a form carries it.
fn escaped(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 3));
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let digit = |value: u8| char::from(digit(value)).to_ascii_uppercase();
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text
}

/// A token that is made now, of the system's randomness: `prefix` and 64 hex digits.
pub(crate) fn token_text(prefix: &str, random: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + random.len() * 2));
    text.push_str(prefix);
    for byte in random {
        text.extend([digit(byte >> 4), digit(byte & 15)].map(char::from));
    }
    text
}

/// The SHA-256 of these parts, one after the other, in lower-case hex: how the configuration holds a
/// token, and how the audit trail names what it covers.
pub(crate) fn sha256_text(parts: &[&[u8]]) -> String {
    let digest = parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    String::from_utf8(hex(&digest)).expect("hex is ASCII")
}

/// The SHA-256 of a client's token: what the configuration holds instead of the token.
#[derive(Clone, Copy)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// Reads 64 hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let mut hash = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(hash))
    }

    /// The hash of a token that a client presents.
    pub(crate) fn of(token: &[u8]) -> Self {
        #[cfg(test)]
        WORK.set(WORK.get() + 1);
        Self(Sha256::digest(token).into())
    }

    /// Where to look for it. Half a hash tells nothing of a token of 256 bits.
    pub(crate) fn bucket(&self) -> u64 {
        self.0.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Whether both are of the same token. In constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHash").finish_non_exhaustive()
    }
}

#[cfg(test)]
thread_local! {
    static WORK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many signatures and hashes of tokens this thread has computed.
#[cfg(test)]
pub(crate) fn work() -> u64 {
    WORK.get()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

fn digit(value: u8) -> u8 {
    *HEX.get(usize::from(value)).expect("four bits name one of 16")
}

fn sensitive(text: Vec<u8>) -> HeaderValue {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(text)).expect("visible ASCII");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn credential(key: &str, secret: &str) -> Credential {
        Credential::new(key.to_owned(), &SecretString::from(secret))
    }

    #[test]
    fn debug_shows_nothing() {
        let credential = credential("account-hunter2", "hunter2");
        assert_eq!(format!("{credential:?}"), "Credential { .. }");
        assert_eq!(format!("{:?}", credential.key_header()), "Sensitive");
        assert_eq!(format!("{:?}", credential.signature_header(b"x")), "Sensitive");
        assert_eq!(format!("{:?}", TokenHash::of(b"hunter2")), "TokenHash { .. }");
    }

    /// RFC 4231, test case 2, key "Jefe".
    #[test]
    fn signs_as_rfc_4231() {
        let tag = credential("k", "Jefe").signature_header(b"what do ya want for nothing?");
        assert_eq!(
            tag.to_str().unwrap(),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
             8e2240ca5e69e2c78b3239ecfab21649"
        );
    }

    #[test]
    fn verifies_its_own_signature_in_either_case_and_nothing_else() {
        let pair = credential("account-a", "s");
        let good = pair.signature(b"m");
        assert!(pair.verifies(b"m", &good));
        assert!(pair.verifies(b"m", &good.to_ascii_uppercase()));
        assert!(!pair.verifies(b"n", &good));
        assert!(!pair.verifies(b"m", &good[1..]));
        assert!(!credential("account-a", "t").verifies(b"m", &good));
    }

    #[test]
    fn a_pair_is_the_same_if_both_halves_are() {
        let pair = credential("account-a", "s");
        assert!(pair.is_same(&credential("account-a", "s")));
        assert!(!pair.is_same(&credential("account-b", "s")));
        assert!(!pair.is_same(&credential("account-a", "t")));
    }

    #[test]
    fn masks_the_key_wherever_it_stands() {
        let pair = credential("account-0123456789", "s");
        assert_eq!(pair.mask("API key account-0123456789 has"), "API key …6789 has");
        assert_eq!(pair.hint(), "…6789");
    }

    /// A secret with bytes that each way of writing writes differently.
    const ODD: &str = "xQ9?>~4Rt+/zL0vKe8hWmD2s";

    #[test]
    fn masks_the_secret_however_it_is_written() {
        let secret = SecretString::from(ODD);
        let pair = Credential::upstream("account-0123456789".to_owned(), &secret);
        let in_base64 = |lead: &str| {
            let text = format!("{lead}{ODD}, and more");
            [BASE64_STANDARD_NO_PAD.encode(&text), BASE64_URL_SAFE_NO_PAD.encode(&text)]
        };
        let in_hex = String::from_utf8(hex(ODD.as_bytes())).unwrap();
        let escaped = "xQ9%3F%3E~4Rt%2B%2FzL0vKe8hWmD2s";
        for echo in [ODD, escaped, &in_hex, &in_hex.to_ascii_uppercase()] {
            assert_eq!(pair.mask(&format!("no: {echo}; {echo}.")), "no: …; ….", "{echo}");
        }
        // Of a base64 text the neighbours' characters stay, and those that they share.
        let rest = ["…LCBhbmQgbW9yZQ", "YX…ywgYW5kIG1vcmU", "YWJ…MsIGFuZCBtb3Jl"];
        for (lead, rest) in ["", "a", "ab"].into_iter().zip(rest) {
            for echo in in_base64(lead) {
                assert_eq!(pair.mask(&echo), rest, "{lead}");
            }
        }
        for innocent in ["xQ9?>~4Rt+/zL0vKe8hWmD2", "no such key", "eFE5Pz5"] {
            assert_eq!(pair.mask(innocent), innocent);
        }
        // A stand-in's secret is not kept.
        let stand_in = Credential::new("account-standin".to_owned(), &secret);
        assert_eq!(stand_in.mask(ODD), ODD);
    }

    #[test]
    fn a_word_is_no_secret() {
        let pair = Credential::upstream("account-1".to_owned(), &SecretString::from("rate"));
        assert_eq!(pair.mask("the rate is spent"), "the rate is spent");
    }

    #[test]
    fn token_hashes_read_back() {
        let hash = TokenHash::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(TokenHash::parse(text).unwrap().is(&hash));
        assert!(!TokenHash::parse(text).unwrap().is(&TokenHash::of(b"abd")));
        let short = text.strip_prefix('b').unwrap();
        for bad in ["", "ba", short, &format!("{text}00"), &text.replace('b', "g")] {
            assert!(TokenHash::parse(bad).is_none(), "{bad}");
        }
    }
}
