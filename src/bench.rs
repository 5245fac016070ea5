//! What `benches/` measures of the inside, and nothing else.

use secrecy::SecretString;

use crate::nonce::Nonce;
use crate::provider::bench_sign;
use crate::secret::Credential;

/// A key, prepared as the proxy keeps it.
#[derive(Debug)]
pub struct Signer {
    credential: Credential,
}

impl Signer {
    #[must_use]
    pub fn new(key: &str, secret: &str) -> Self {
        Self { credential: Credential::new(key.to_owned(), &SecretString::from(secret)) }
    }

    /// Nonce, splice, base64, HMAC-SHA384, hex: everything between a permitted call and its headers.
    #[must_use]
    pub fn sign(&self, millis: u64, parameters: &str) -> http::HeaderMap {
        bench_sign(&self.credential, Nonce::whole(millis), parameters)
    }
}
