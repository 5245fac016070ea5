//! Looks at the way to a destination, step by step, for an operator who asks what is wrong with it: the
//! name, the connection, the certificates. Nothing but a TLS handshake is sent.
//!
//! The certificates are judged by the same roots as every call's, and told whether accepted or not.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::Authority;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::certificate::Certificate;
use super::pool::chain;
use super::{BadAnchor, Destination, PROTOCOLS, roots};

/// How long the system may take to look a name up.
const LOOK_UP: Duration = Duration::from_secs(5);
/// How many addresses of a name are tried.
const MAX_TRIED: usize = 4;
/// How many certificates of a chain are told.
const MAX_CHAIN: usize = 8;

/// What was seen. A step is absent when the one before it failed.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) addresses: Result<Vec<IpAddr>, String>,
    pub(crate) connection: Option<Result<Reached, String>>,
    /// The version of TLS.
    pub(crate) handshake: Option<Result<&'static str, String>>,
    /// What was shown, the destination's own certificate first.
    pub(crate) chain: Vec<Certificate>,
}

#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) to: SocketAddr,
    /// This machine's address of the connection.
    pub(crate) from: IpAddr,
}

/// Goes as far as it can.
pub(crate) async fn look(destination: &Destination) -> Result<Look, BadAnchor> {
    let Destination { authority, anchors, bind, connect_timeout } = destination;
    let authority: Authority =
        authority.parse().expect("the authority was checked when it was configured");
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let shown = Arc::new(Shown::new(anchors.clone())?);
    let mut look = Look {
        addresses: addresses(&host, port).await,
        connection: None,
        handshake: None,
        chain: Vec::new(),
    };
    let Ok(addresses) = &look.addresses else { return Ok(look) };
    let stream = match connect(addresses, port, *bind, *connect_timeout).await {
        Ok((stream, reached)) => {
            look.connection = Some(Ok(reached));
            stream
        }
        Err(why) => {
            look.connection = Some(Err(why));
            return Ok(look);
        }
    };
    look.handshake = Some(shake(&host, stream, &shown, *connect_timeout).await);
    look.chain = shown.chain();
    Ok(look)
}

async fn addresses(host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    let name = (host.to_owned(), port);
    let looking = tokio::task::spawn_blocking(move || name.to_socket_addrs());
    match tokio::time::timeout(LOOK_UP, looking).await {
        Err(_) => Err(format!("the resolver did not answer in {} s", LOOK_UP.as_secs())),
        Ok(Err(fault)) => Err(fault.to_string()),
        Ok(Ok(Err(fault))) => Err(fault.to_string()),
        Ok(Ok(Ok(found))) => {
            let mut addresses: Vec<IpAddr> = found.map(|it| it.ip()).collect();
            addresses.dedup();
            if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
        }
    }
}

/// To the first of the addresses that takes it.
async fn connect(
    addresses: &[IpAddr],
    port: u16,
    bind: Option<IpAddr>,
    patience: Duration,
) -> Result<(TcpStream, Reached), String> {
    let fits = |it: &&IpAddr| bind.is_none_or(|bind| bind.is_ipv4() == it.is_ipv4());
    let mut last = "none of its addresses is of the kind that `bind` is".to_owned();
    for address in addresses.iter().filter(fits).take(MAX_TRIED) {
        let to = SocketAddr::new(*address, port);
        let connecting = async {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(bind) = bind {
                socket.bind(SocketAddr::new(bind, 0))?;
            }
            let stream = socket.connect(to).await?;
            let from = stream.local_addr()?.ip();
            Ok::<_, std::io::Error>((stream, Reached { to, from }))
        };
        match tokio::time::timeout(patience, connecting).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(fault)) => last = format!("{to}: {fault}"),
            Err(_) => last = format!("{to}: no connection within {} s", patience.as_secs_f32()),
        }
    }
    Err(last)
}

async fn shake(
    host: &str,
    stream: TcpStream,
    shown: &Arc<Shown>,
    patience: Duration,
) -> Result<&'static str, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|fault| fault.to_string())?;
    let verifier = Arc::clone(shown) as Arc<dyn ServerCertVerifier>;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(PROTOCOLS)
        .map_err(|fault| fault.to_string())?
        // It asks the usual verifier, and only listens.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match tokio::time::timeout(patience, shaking).await {
        Err(_) => Err(format!("no handshake within {} s", patience.as_secs_f32())),
        Ok(Err(fault)) => Err(chain(&fault)),
        Ok(Ok(stream)) => {
            let version = stream.get_ref().1.protocol_version();
            Ok(match version {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                Some(_) | None => "TLS",
            })
        }
    }
}

/// The usual verifier, and what it was shown.
#[derive(Debug)]
struct Shown {
    verifier: Arc<WebPkiServerVerifier>,
    chain: Mutex<Vec<Certificate>>,
}

impl Shown {
    fn new(anchors: Vec<CertificateDer<'static>>) -> Result<Self, BadAnchor> {
        let roots = Arc::new(roots(anchors)?);
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        let verifier =
            verifier.map_err(|fault| BadAnchor(rustls::Error::General(fault.to_string())))?;
        Ok(Self { verifier, chain: Mutex::default() })
    }

    fn chain(&self) -> Vec<Certificate> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates).take(MAX_CHAIN);
        let chain = all.filter_map(|it| Certificate::read(it)).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        let verifier = &self.verifier;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
