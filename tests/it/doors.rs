//! Listeners that are more than an address, and who is known by them.

use std::fmt::Debug;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use geminid::simulator::NonceRule;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::support::{Answer, Exchange, Proxy, Settings, canary, geminid};

const UNIX: &str = r#""127.0.0.1:0", { unix = "proxy.sock" }"#;
const TLS: &str = r#""127.0.0.1:0", { address = "127.0.0.1:0", cert = "tls.pem", key = "tls.key", client_ca = "clients.pem" }"#;
const BALANCES: &str = "/v1/balances";

/// One request over a connection of its own, and what comes back.
async fn ask<S>(stream: S, path: &str, headers: &[(&'static str, String)]) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut send, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let running = tokio::spawn(connection);
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = if path == BALANCES { Method::POST } else { Method::GET };
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert("host", "localhost".parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (head, body) = send.send_request(request).await.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    running.abort();
    canary::none(&canary::search("an answer", &body));
    Ok(Answer { status: head.status, headers: head.headers, body })
}

fn bearer(token: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {token}"))]
}

fn told(status: u16, cause: &str) -> (u16, String, String) {
    let outcome = if status == 200 { "executed" } else { "not_sent" };
    (status, outcome.to_owned(), cause.to_owned())
}

fn socket(exchange: &Exchange) -> PathBuf {
    exchange.dir().join("proxy.sock")
}

async fn over_unix(exchange: &Exchange, headers: &[(&'static str, String)]) -> Answer {
    let stream = UnixStream::connect(socket(exchange)).await.unwrap();
    ask(stream, BALANCES, headers).await.unwrap()
}

async fn stage(listen: &'static str, client: &'static str) -> (Exchange, Proxy) {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = Settings { listen, client, ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    (exchange, proxy)
}

#[tokio::test]
async fn who_is_at_the_other_end_of_a_unix_socket_is_known() {
    let client = "credential = [{ uid = OWN_UID, gid = OWN_GID }, { token_sha256 = \"TOKEN\" }]\nscopes = [\"trader\"]";
    let (exchange, proxy) = stage(UNIX, client).await;
    assert_eq!(over_unix(&exchange, &[]).await.told(), told(200, ""));
    let uid = fs::metadata(exchange.dir()).unwrap().uid();
    let line: Value = serde_json::from_str(&proxy.line("\"list_balances\"").await).unwrap();
    assert_eq!(
        (&line["peer"], &line["client"], &line["status"]),
        (&json!(format!("uid:{uid}")), &json!("bot"), &json!(200))
    );
    assert_eq!(over_unix(&exchange, &bearer(Exchange::TOKEN)).await.told(), told(200, ""));
    // Over TCP nobody is known by a number.
    assert_eq!(proxy.bot().post(BALANCES, "").await.told(), told(401, "client-unidentified"));
    // Host and Origin are judged as everywhere.
    let page = [("origin", "https://evil.example".to_owned())];
    assert_eq!(over_unix(&exchange, &page).await.told(), told(403, "browser-request"));
    // Public data is for everyone, and probes are as ever.
    let stream = UnixStream::connect(socket(&exchange)).await.unwrap();
    assert_eq!(ask(stream, "/v1/symbols", &bearer("bad")).await.unwrap().status, 200);
    let said = geminid(&["healthcheck", "--admin", &proxy.admin.to_string()]);
    assert!(said.status.success(), "{said:?}");
}

#[tokio::test]
async fn a_user_whom_nobody_names_needs_a_credential() {
    let client =
        "credential = [{ uid = 4294967294 }, { token_sha256 = \"TOKEN\" }]\nscopes = [\"trader\"]";
    let (exchange, _proxy) = stage(UNIX, client).await;
    assert_eq!(over_unix(&exchange, &[]).await.told(), told(401, "client-unidentified"));
    assert_eq!(
        over_unix(&exchange, &bearer("bad")).await.told(),
        told(401, "client-credential-wrong")
    );
    assert_eq!(over_unix(&exchange, &bearer(Exchange::TOKEN)).await.told(), told(200, ""));
    assert_eq!(exchange.simulator.ledger().at_path(BALANCES).len(), 1);
}

#[tokio::test]
async fn what_a_socket_and_a_header_say_must_agree() {
    let client = "credential = { uid = OWN_UID }\nfrom = [\"127.0.0.0/8\"]\nscopes = [\"trader\"]";
    let more = "[[clients]]\nname = \"other\"\nkey = \"trading\"\nscopes = [\"trader\"]\ncredential = { token_sha256 = \"TOKEN\" }\n";
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = Settings { listen: UNIX, client, more, ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    let both = over_unix(&exchange, &bearer(Exchange::TOKEN)).await;
    assert_eq!(both.told(), told(400, "client-ambiguous"));
    // A range is of addresses, and here is none.
    let near = over_unix(&exchange, &[]).await;
    assert_eq!(near.told(), told(403, "client-address-refused"));
    let bot = proxy.bot().with_token(Exchange::TOKEN);
    assert_eq!(bot.post(BALANCES, "").await.told(), told(200, ""));
    assert_eq!(exchange.simulator.ledger().at_path(BALANCES).len(), 1);
}

#[tokio::test]
async fn a_socket_file_is_for_those_it_is_meant_for_and_goes_with_its_process() {
    const TWO: &str = r#""127.0.0.1:0", { unix = "proxy.sock" }, { unix = "b.sock", group = "OWN_GID" }, { unix = "c.sock", mode = "0666" }"#;
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = Settings { listen: TWO, ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    let all = [("proxy.sock", 0o600), ("b.sock", 0o660), ("c.sock", 0o666)];
    for (name, mode) in all {
        let about = fs::symlink_metadata(exchange.dir().join(name)).unwrap();
        assert!(about.file_type().is_socket());
        assert_eq!(about.mode() & 0o7777, mode, "{name}");
    }
    // What is in flight is answered, and the files go before.
    assert_eq!(over_unix(&exchange, &[]).await.status, 200);
    let rule = json!({"path": BALANCES, "do": {"delay_ms": 400}});
    exchange.simulator.script(&rule.to_string()).unwrap();
    let stream = UnixStream::connect(socket(&exchange)).await.unwrap();
    let slow = tokio::spawn(async move { ask(stream, BALANCES, &[]).await.unwrap() });
    while exchange.simulator.ledger().at_path(BALANCES).len() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(proxy.terminate().await.code(), Some(0));
    assert_eq!(slow.await.unwrap().told(), told(200, ""));
    for (name, _) in all {
        assert!(fs::symlink_metadata(exchange.dir().join(name)).is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = Settings { listen: UNIX, ..Settings::default() };
    exchange.proxy(&settings).await.kill();
    assert!(socket(&exchange).exists(), "nobody could remove it");
    let living = exchange.proxy(&settings).await;
    assert_eq!(over_unix(&exchange, &[]).await.status, 200);
    let end = |expected: &str| {
        let ended = exchange.proxy_to_its_end("other", &settings);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && said.contains("hint: "), "{expected}:\n{said}");
        assert_eq!(said.matches("proxy.sock").count(), 1, "it is told once:\n{said}");
    };
    end(&format!("proxy.sock: process {} of user ", living.id()));
    assert_eq!(over_unix(&exchange, &[]).await.status, 200, "it lives on");
    living.terminate().await;
    // What is no socket is not touched, wherever it leads.
    fs::write(socket(&exchange), "mine").unwrap();
    end("there is something else, which is no socket");
    assert_eq!(fs::read_to_string(socket(&exchange)).unwrap(), "mine");
    fs::rename(socket(&exchange), exchange.dir().join("real.sock")).unwrap();
    symlink("real.sock", socket(&exchange)).unwrap();
    end("there is something else, which is no socket");
    assert!(fs::symlink_metadata(socket(&exchange)).unwrap().is_symlink());
}

#[tokio::test]
async fn a_socket_needs_a_folder_that_is_nobody_elses() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let listen = r#"{ unix = "run/proxy.sock" }"#;
    let settings = Settings { listen, ..Settings::default() };
    let end = |expected: &str| {
        let ended = exchange.proxy_to_its_end("state", &settings);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && said.contains("hint: "), "{expected}:\n{said}");
    };
    end("run/proxy.sock: there is no folder ");
    let folder = exchange.dir().join("run");
    fs::write(&folder, "").unwrap();
    end("run/proxy.sock: there is no folder ");
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    end("everyone can put another socket in its place");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate, and its key.
struct Signed {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut about = CertificateParams::default();
        about.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = about.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(about, key), pem }
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Signed {
        let mut about = CertificateParams::default();
        about.subject_alt_names = vec![match name.contains(':') {
            true => SanType::URI(name.try_into().unwrap()),
            false => SanType::DnsName(name.try_into().unwrap()),
        }];
        about.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let made = about.signed_by(&key, &self.issuer).unwrap();
        Signed { certificate: made.der().clone(), pem: made.pem(), key }
    }

    fn client(&self, name: &str) -> Signed {
        self.sign(name, ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// A listener with TLS and those who sign its clients' certificates.
struct Ground {
    exchange: Exchange,
    proxy: Proxy,
    clients: Authority,
    server: Authority,
    here: SocketAddr,
}

impl Ground {
    async fn new(client: &'static str, more: &'static str) -> Self {
        let exchange = Exchange::start(NonceRule::Increasing).await;
        let (clients, server) = (Authority::new(), Authority::new());
        let own = server.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let write = |name: &str, text: &str| fs::write(exchange.dir().join(name), text).unwrap();
        write("clients.pem", &clients.pem);
        write("tls.pem", &own.pem);
        write("tls.key", &own.key.serialize_pem());
        let only_ours = Permissions::from_mode(0o600);
        fs::set_permissions(exchange.dir().join("tls.key"), only_ours).unwrap();
        let settings = Settings { listen: TLS, client, more, ..Settings::default() };
        let proxy = exchange.proxy(&settings).await;
        let line: Value = serde_json::from_str(&proxy.line("https://127").await).unwrap();
        let address = line["address"].as_str().unwrap().strip_prefix("https://").unwrap();
        Self { here: address.parse().unwrap(), exchange, proxy, clients, server }
    }

    fn connector(&self, shown: Option<&Signed>, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.server.pem));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some(Signed { certificate, key, .. }) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                let key = ring::sign::any_supported_type(&key).unwrap();
                // Not checked: a thief has no key that fits.
                let shown = CertifiedKey::new(vec![certificate.clone()], key);
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// `Err`: the handshake was refused.
    async fn try_ask(
        &self,
        shown: Option<&Signed>,
        headers: &[(&'static str, String)],
    ) -> io::Result<Answer> {
        let stream = TcpStream::connect(self.here).await?;
        let name = "localhost".try_into().unwrap();
        let stream = self.connector(shown, "http/1.1").connect(name, stream).await?;
        ask(stream, BALANCES, headers).await
    }

    async fn ask(&self, shown: Option<&Signed>, headers: &[(&'static str, String)]) -> Answer {
        self.try_ask(shown, headers).await.unwrap()
    }

    fn n_balances(&self) -> usize {
        self.exchange.simulator.ledger().at_path(BALANCES).len()
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

#[track_caller]
fn refused<T: Debug>(outcome: io::Result<T>) {
    let said = outcome.expect_err("nobody is let in").to_string();
    assert!(!said.contains("200"), "{said}");
}

#[tokio::test]
async fn a_certificate_says_who_calls_and_a_token_may_do_instead() {
    let client = "credential = [{ cert = \"bot.example\" }, { cert = \"spiffe://example/bot\" }]\nscopes = [\"trader\"]";
    let more = "[[clients]]\nname = \"other\"\nkey = \"trading\"\nscopes = [\"trader\"]\ncredential = { token_sha256 = \"TOKEN\" }\n";
    let ground = Ground::new(client, more).await;
    for name in ["bot.example", "spiffe://example/bot"] {
        let answer = ground.ask(Some(&ground.clients.client(name)), &[]).await;
        assert_eq!(answer.told(), told(200, ""), "{name}");
    }
    let line = ground.proxy.line("\"list_balances\"").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["client"], &line["peer"]), (&json!("bot"), &json!("127.0.0.1")));
    let token = bearer(Exchange::TOKEN);
    assert_eq!(ground.ask(None, &token).await.told(), told(200, ""));
    assert_eq!(ground.ask(None, &[]).await.told(), told(401, "client-unidentified"));
    assert_eq!(ground.n_balances(), 3);
    // Not of one client, or of none.
    let own = ground.clients.client("bot.example");
    assert_eq!(ground.ask(Some(&own), &token).await.told(), told(400, "client-ambiguous"));
    let unknown = ground.clients.client("nobody.example");
    let first = ground.ask(Some(&unknown), &[]).await;
    assert_eq!(first.told(), told(401, "client-credential-wrong"));
    let near = ground.clients.client("bot.example.evil.example");
    let second = ground.ask(Some(&near), &[]).await;
    let but_the_id = |answer: &Answer| {
        let mut body = answer.json();
        body["diagnosis"]["request_id"] = Value::Null;
        let mut headers = answer.headers.clone();
        headers.remove("geminid-request-id").unwrap();
        headers.remove("date");
        (answer.status, headers, body)
    };
    assert_eq!(but_the_id(&first), but_the_id(&second), "whatever the certificate says");
    assert_eq!(ground.ask(Some(&unknown), &token).await.told(), told(400, "client-ambiguous"));
    assert_eq!(ground.n_balances(), 3);
}

#[tokio::test]
async fn who_cannot_prove_a_certificate_is_not_heard() {
    let client =
        "credential = [{ cert = \"bot.example\" }, { none = true }]\nscopes = [\"trader\"]";
    let ground = Ground::new(client, "").await;
    assert_eq!(ground.ask(None, &[]).await.told(), told(200, ""));
    // Signed by somebody else; meant for a server; and one without a key for it.
    let stranger = Authority::new().client("bot.example");
    refused(ground.try_ask(Some(&stranger), &[]).await);
    let server = ground.clients.sign("bot.example", ExtendedKeyUsagePurpose::ServerAuth);
    refused(ground.try_ask(Some(&server), &[]).await);
    let stolen = ground.clients.client("bot.example").certificate;
    let own = Signed { certificate: stolen, ..ground.clients.client("bot.example") };
    refused(ground.try_ask(Some(&own), &[]).await);
    // HTTP/2 is not spoken, and neither is plain HTTP.
    let stream = TcpStream::connect(ground.here).await.unwrap();
    let name = "localhost".try_into().unwrap();
    refused(ground.connector(None, "h2").connect(name, stream).await.map(drop));
    refused(ask(TcpStream::connect(ground.here).await.unwrap(), BALANCES, &[]).await);
    assert_eq!(ground.n_balances(), 1);
    assert_eq!(ground.ask(None, &[]).await.told(), told(200, ""), "it serves on");
    // And it ends in order.
    let open = TcpStream::connect(ground.here).await.unwrap();
    assert_eq!(ground.proxy.terminate().await.code(), Some(0));
    drop(open);
}

#[tokio::test]
async fn a_credential_that_has_ended_is_refused_and_the_next_one_is_not() {
    let client = "credential = [{ token_sha256 = \"TOKEN\", expires = \"2020-01-01T00:00:00Z\" }, { key = \"account-standin\", secret = { value = \"STAND_IN_SECRET\" }, expires = 2099-01-01T00:00:00Z }]\nscopes = [\"trader\"]";
    let (exchange, proxy) = stage(UNIX, client).await;
    let late = proxy.bot().with_token(Exchange::TOKEN).post(BALANCES, "").await;
    assert_eq!(late.told(), told(401, "client-expired"));
    assert!(late.json()["message"].as_str().unwrap().contains("`Authorization` has expired"));
    assert!(proxy.log().iter().any(|it| it.contains("has passed: the credential is refused")));
    let payload = r#"{"request":"/v1/balances","nonce":1}"#;
    let bot = proxy.bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, payload);
    assert_eq!(bot.post(BALANCES, "").await.told(), told(200, ""));
    assert_eq!(exchange.simulator.ledger().at_path(BALANCES).len(), 1);
}
