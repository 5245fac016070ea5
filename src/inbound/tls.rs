//! TLS before HTTP.
//!
//! 1. A handshake has a deadline, and takes the seat that its connection keeps: who has waited longest
//!    gives way, whether for a handshake or for a request.
//! 2. A client certificate is looked at once, in the handshake: verified, or the handshake ends. What
//!    it says holds as long as the connection. There is no resumption, which would skip the look.
//! 3. A certificate speaks by its alternative names alone, DNS names and URIs; never by its subject.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use webpki::EndEntityCert;

use super::connection;
use super::crowd::Place;
use super::peer::Peer;
use crate::message::Body;

const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// So much of an answer that nobody takes is kept: a record. What a client takes of it is not seen.
const MAX_BUFFER: usize = 16 * 1_024;

/// Shakes hands, and then serves the connection as any other.
pub(super) async fn connect<S, H, F>(
    (stream, acceptor): (S, TlsAcceptor),
    (place, peer): (Place, Peer),
    handle: H,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let seat = Arc::clone(&place.seat);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)) => shaken,
        () = seat.asked_to_leave() => return,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(Ok(mut stream)) => {
            let (_, session) = stream.get_mut();
            session.set_buffer_limit(Some(MAX_BUFFER));
            let peer = Peer { certificate: names(session), ..peer };
            connection::connect(stream, (place, peer), handle, stop).await;
        }
        Ok(Err(fault)) => tracing::debug!(%peer, %fault, "no TLS handshake"),
        Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
    }
}

/// The names in the certificate that the other end showed.
fn names(session: &ServerConnection) -> Option<Arc<[String]>> {
    // Only verified ones get here: see `config::check::certificate`.
    let certificate = session.peer_certificates()?.first()?;
    Some(alternative_names(certificate).into())
}

fn alternative_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(read) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    read.valid_dns_names().chain(read.valid_uri_names()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rcgen::{CertificateParams, DnType, KeyPair, SanType};
    use rustls::ServerConfig;
    use rustls::crypto::ring;
    use rustls::server::ResolvesServerCertUsingSni;
    use tokio::io::duplex;
    use tokio::time::timeout;

    use super::*;
    use crate::inbound::Crowd;
    use crate::message;
    use crate::task;

    /// Whoever says nothing is let go in time, or at once when another needs the seat or the end has come.
    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_a_deadline_and_keeps_no_seat() {
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider);
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let acceptor = TlsAcceptor::from(Arc::new(server));
        for n in 0..3 {
            let (_client, socket) = duplex(1_000);
            let (stop, stopped) = watch::channel(false);
            let peer = Peer::at(Ipv4Addr::LOCALHOST.into());
            let place = Crowd::new(0).admit(peer.source()).unwrap();
            let seat = Arc::clone(&place.seat);
            let handle = |_, _| async { Response::new(message::full("")) };
            let talk = connect((socket, acceptor.clone()), (place, peer), handle, stopped);
            let mut talk = task::spawn("test", talk);
            let nearly = HANDSHAKE_DEADLINE - Duration::from_millis(10);
            assert!(timeout(nearly, &mut talk).await.is_err(), "it lasts");
            match n {
                0 => tokio::time::sleep(Duration::from_millis(20)).await,
                1 => seat.ask_to_leave(),
                _ => drop(stop.send_replace(true)),
            }
            timeout(Duration::from_millis(1), talk).await.expect("it is over").unwrap();
        }
    }

    #[test]
    fn a_certificate_speaks_by_its_alternative_names() {
        let mut about = CertificateParams::new(vec!["bot.example".to_owned()]).unwrap();
        about.distinguished_name.push(DnType::CommonName, "boss.example");
        let uri = "spiffe://example/bot".try_into().unwrap();
        let mail = "bot@example".try_into().unwrap();
        let address = SanType::IpAddress("10.0.0.1".parse().unwrap());
        about.subject_alt_names.extend([
            SanType::URI(uri),
            SanType::Rfc822Name(mail),
            address,
            SanType::DnsName("*.bot.example".try_into().unwrap()),
        ]);
        let certificate = about.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = alternative_names(certificate.der());
        assert_eq!(names, ["bot.example", "*.bot.example", "spiffe://example/bot"]);
        assert!(alternative_names(&CertificateDer::from(vec![0x30, 0x00])).is_empty());
    }
}
