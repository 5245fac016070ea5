//! `cert`, `key` and `client_ca` of a listener.
//!
//! 1. TLS 1.2 and 1.3 by rustls and ring, HTTP/1.1 only.
//! 2. The key file is a secret like others: for its owner only.
//! 3. A client certificate is asked for and not required, so that a token may do instead. One that is
//!    shown must be signed by `client_ca`, or the handshake ends.
//! 4. Nothing is resumed: each connection shows its certificate anew, and is judged by today's date.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use toml::Spanned;

use super::Around;
use crate::config::Tls;
use crate::config::file;
use crate::config::problem::{Report, Spot};
use crate::config::source::read_plain;

/// `None` only when a problem was told, or one of `cert` and `key` is not there.
pub(super) fn check(
    table: &file::Socket,
    spot: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Tls> {
    let (cert, key) = table.cert.as_ref().zip(table.key.as_ref())?;
    let at_key = spot.field("key", key);
    let chain = certificates(cert, &spot.field("cert", cert), around, report);
    let key = private_key(key, &at_key, around, report);
    let asks_clients = table.client_ca.is_some();
    let verifier = match &table.client_ca {
        None => Some(WebPkiClientVerifier::no_client_auth()),
        Some(file) => verifier(file, &spot.field("client_ca", file), around, report),
    };
    let (chain, key, verifier) = (chain?, key?, verifier?);
    let provider = Arc::new(ring::default_provider());
    let made = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|it| it.with_client_cert_verifier(verifier))
        .and_then(|it| it.with_single_cert(chain, key));
    let mut server = match made {
        Ok(server) => server,
        Err(fault) => {
            tell(&fault, &spot.field("cert", cert), &at_key, report);
            return None;
        }
    };
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Some(Tls { server: Arc::new(server), asks_clients })
}

/// Why a certificate and a key, each of which could be read, do not make a server.
fn tell(fault: &rustls::Error, at_cert: &Spot, at_key: &Spot, report: &mut Report<'_>) {
    if matches!(fault, rustls::Error::InconsistentKeys(_)) {
        let message = "is not the key of the certificate in `cert`";
        report.problem(at_key, message, "the first certificate in `cert` is the listener's own");
    } else if matches!(fault, rustls::Error::InvalidCertificate(_)) {
        let hint = "the listener's own certificate comes first, in PEM form";
        report.problem(at_cert, "holds a certificate that cannot be read", hint);
    } else {
        let hint = "ECDSA on P-256 or P-384, Ed25519, or RSA of at least 2048 bits";
        report.problem(at_key, "is a key of a kind that is not supported", hint);
    }
}

fn certificates(
    file: &Spanned<String>,
    at: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let path = around.vault.base.join(file.get_ref());
    let text = match read_plain(&path) {
        Ok(text) => text,
        Err(missing) => {
            missing.tell(at, report);
            return None;
        }
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = read.unwrap_or_default();
    if certificates.is_empty() {
        let message = format!("{} holds no certificates in PEM form", path.display());
        report.problem(at, message, "it begins with -----BEGIN CERTIFICATE-----");
        return None;
    }
    Some(certificates)
}

fn private_key(
    file: &Spanned<String>,
    at: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<PrivateKeyDer<'static>> {
    let path = Path::new(file.get_ref());
    let text = match around.vault.file(path, at, report) {
        Ok(text) => text,
        Err(missing) => {
            missing.tell(at, report);
            return None;
        }
    };
    let read = PrivateKeyDer::from_pem_slice(text.0.as_bytes()).ok();
    if read.is_none() {
        let shown = around.vault.base.join(path);
        let (message, hint) = match text.0.contains("ENCRYPTED") {
            true => ("a key that is encrypted", "`openssl pkey -in KEY -out PLAIN` decrypts it"),
            false => ("no private key in PEM form", "it begins with -----BEGIN PRIVATE KEY-----"),
        };
        report.problem(at, format!("{} holds {message}", shown.display()), hint);
    }
    read
}

/// Takes certificates that the ones in the file have signed, and clients that show none.
fn verifier(
    file: &Spanned<String>,
    at: &Spot,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for anchor in certificates(file, at, around, report)? {
        if roots.add(anchor).is_err() {
            let hint = "the certificates of the authorities that sign your bots'";
            report.problem(at, "holds a certificate that cannot be read", hint);
            return None;
        }
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let made = builder.allow_unauthenticated().build();
    Some(made.expect("there is at least one root, and there are no lists of what was revoked"))
}
