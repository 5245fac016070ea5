//! The simulator's certificate, made on the spot.
//!
//! 1. An authority and one certificate for `localhost`, `127.0.0.1`, `::1` and `api.gemini.com`.
//! 2. Only the authority's certificate leaves this module; the private keys live in memory.
//! 3. Two simulators can share an [`Identity`], so that one can take the other's place.

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;

const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "api.gemini.com"];

/// An authority and the certificate that it has signed.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    authority_pem: String,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    /// Makes a new one.
    ///
    /// # Errors
    /// If the system's randomness fails.
    pub fn generate() -> io::Result<Self> {
        let inner = generate().map_err(io::Error::other)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The authority's certificate, to be trusted by whoever calls.
    pub fn ca_pem(&self) -> &str {
        &self.inner.authority_pem
    }

    pub(crate) fn server(&self, http1_only: bool) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(ring::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.inner.key.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![self.inner.certificate.clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if !http1_only {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn generate() -> Result<Inner, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "geminid simulator authority");
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, "geminid simulator");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python 3.13 and later verify strictly, and want this one.
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?.der().clone();
    Ok(Inner { authority_pem, certificate, key: key.serialize_der() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_authority_is_shown() {
        let identity = Identity::generate().expect("an identity");
        assert!(identity.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(identity.ca_pem().matches("-----BEGIN").count(), 1);
        assert_eq!(format!("{identity:?}"), "Identity { .. }");
        let config = identity.server(true).expect("a configuration");
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
