//! What the upstream and the minimal signer share: nothing but the exchange's scheme of signing.
//!
//! 1. It shares no code with geminid, so that it can contradict it.
//! 2. The payload is base64 of a JSON object with `request`, `nonce` and the parameters; the signature is
//!    the hex HMAC-SHA384 of the base64 text.

use std::fs;
use std::path::Path;

use hmac::Hmac;
use hmac::KeyInit as _;
use sha2::Sha384;

pub const API_KEY: &str = "x-gemini-apikey";
pub const PAYLOAD: &str = "x-gemini-payload";
pub const SIGNATURE: &str = "x-gemini-signature";

/// A prepared key: absorbing it costs as much as a short message itself.
pub type Key = Hmac<Sha384>;

/// The key in a file, without the newline at its end.
///
/// # Panics
/// If the file cannot be read: these are programs for measuring.
#[must_use]
pub fn key(path: &Path) -> Key {
    let secret = fs::read(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    Key::new_from_slice(secret.trim_ascii_end()).expect("HMAC takes keys of any length")
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |nibble: u8| HEX[usize::from(nibble)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use hmac::Mac as _;

    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_scheme_is_the_standard_one() {
        let mut key = Key::new_from_slice(b"Jefe").expect("a key");
        key.update(b"what do ya want for nothing?");
        let found = String::from_utf8(hex(&key.finalize().into_bytes())).expect("hex");
        let expected = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                        8e2240ca5e69e2c78b3239ecfab21649";
        assert_eq!(found, expected);
    }
}
