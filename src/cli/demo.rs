//! `demo`: the simulated exchange on TLS, the proxy before it, and three worked calls.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::Logging;
use super::say::{data, fault, note, start_log};
use super::serve::Ends;
use super::snippets;
use crate::app::{self, Running};
use crate::clock::{Clock as _, SystemClock, random};
use crate::config::{self, Log, LogFormat, Overrides, ProcessEnvironment};
use crate::simulator::{KeySpec, Options, Role, Simulator};
use crate::task;

const USUAL_PORT: u16 = 3840;
const STAND_IN: &str = "account-demo-stand-in";

/// The parts of a running demonstration.
struct Stage {
    simulator: Simulator,
    proxy: Running,
    dir: PathBuf,
    stand_in_secret: String,
}

/// `open` is what could not be closed to onlookers.
pub(super) async fn demo(once: bool, logging: Logging, open: Vec<String>) -> ExitCode {
    start_log(Log {
        format: logging.log_format.unwrap_or(LogFormat::Text),
        level: logging.log_level.unwrap_or(config::LevelName::Warn),
    });
    for warning in &open {
        tracing::warn!("{warning}");
    }
    let stage = match Stage::set().await {
        Ok(stage) => stage,
        Err(source) => {
            fault(
                &source,
                Some("the demonstration needs loopback ports and a temporary directory"),
            );
            return ExitCode::FAILURE;
        }
    };
    let told = stage.tell().await;
    if let Err(source) = &told {
        fault(source, None);
    }
    let mut code = if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if !once && told.is_ok() {
        data(&stage.invitation());
        code = match Ends::new() {
            Ok(ends) => ends.wait().await.exit_code(),
            Err(_) => ExitCode::FAILURE,
        };
    }
    stage.clear().await;
    code
}

impl Stage {
    async fn set() -> io::Result<Self> {
        let trader = KeySpec::new("account-demoTraderKey1", "demo-secret-of-the-trader-key");
        let mut auditor = KeySpec::new("account-demoAuditorKey2", "demo-secret-of-the-auditor-key");
        auditor.roles = vec![Role::Auditor];
        let keys = vec![trader, auditor];
        let simulator = Simulator::start(Options { keys, ..Options::default() }).await?;

        let dir = std::env::temp_dir().join(format!("geminid-demo-{}", hex(&random::<8>())));
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("ca.pem"), simulator.ca_pem())?;
        let stand_in_secret = hex(&random::<16>());
        let listen = free_address().await?;
        let text = configuration(&simulator.url(), &dir, listen, &stand_in_secret);
        let clock = Arc::new(SystemClock::new());
        let (now, over) = (clock.wall(), Overrides::default());
        let config = config::parse(&text, &dir.join("proxy.toml"), &ProcessEnvironment, &over, now)
            .map_err(io::Error::other)?;
        let proxy = app::start(config, over, clock).await.map_err(io::Error::other)?;
        Ok(Self { simulator, proxy, dir, stand_in_secret })
    }

    /// Makes the three calls and says what each shows. An error is what did not go as it should.
    async fn tell(&self) -> io::Result<()> {
        let here = self.proxy.address();
        data(&format!(
            "A simulated exchange is up on {} (TLS, certificate made just now).\n\
             geminid stands before it on http://{here}, and holds its API keys.\n",
            self.simulator.url()
        ));
        self.balances(here).await?;
        self.withdrawal(here).await?;
        self.order(here).await
    }

    async fn balances(&self, here: SocketAddr) -> io::Result<()> {
        data(
            "\n1. A bot asks for its balances. It has no key and signs nothing:\n\n   \
             POST /v1/balances\n",
        );
        let answer = call(here, "/v1/balances", "", None).await?;
        let balances = answer.json.as_array();
        expect(answer.status == 200 && balances.is_some(), "the balances were not answered")?;
        let amount = |it: &Value| Some(format!("{} {}", text(it, "amount"), text(it, "currency")));
        let shown: Vec<String> =
            balances.into_iter().flatten().take(3).filter_map(amount).collect();
        let ledger = self.simulator.ledger();
        let signed = ledger.executed().into_iter().filter(|it| it.key.is_some()).count();
        data(&format!(
            "   200: {}\n   geminid asked how the key counts its nonces, signed with HMAC-SHA384 and sent the call\n   \
             over TLS. The exchange has verified and executed {signed} signed calls: that question and this.\n",
            shown.join(", ")
        ));
        Ok(())
    }

    async fn withdrawal(&self, here: SocketAddr) -> io::Result<()> {
        data(
            "\n2. The same bot, taken over by somebody, tries to withdraw:\n\n   \
             POST /v1/withdraw/btc {\"address\":\"bc1qthief\",\"amount\":\"1\"}\n",
        );
        let before = self.simulator.ledger().requests().len();
        let body = r#"{"address":"bc1qthief","amount":"1"}"#;
        let answer = call(here, "/v1/withdraw/btc", body, None).await?;
        let sent = self.simulator.ledger().requests().len() - before;
        let cause = text(answer.diagnosis(), "cause");
        expect(answer.status == 403 && cause == "scope-missing", "the withdrawal was not refused")?;
        expect(sent == 0, "the withdrawal reached the exchange")?;
        data(&format!(
            "   403, decided by {}: {}\n   Requests that reached the exchange: {sent}.\n",
            text(answer.diagnosis(), "decided_by"),
            text(&answer.json, "message"),
        ));
        Ok(())
    }

    async fn order(&self, here: SocketAddr) -> io::Result<()> {
        data(
            "\n3. Another bot places an order. geminid allows it, but its API key is only an auditor's:\n\n   \
             POST /v1/order/new {\"symbol\":\"btcusd\",\"amount\":\"0.1\",\"price\":\"1000\",…}\n",
        );
        let body = r#"{"symbol":"btcusd","amount":"0.1","price":"1000","side":"buy","type":"exchange limit"}"#;
        let answer = call(here, "/v1/order/new", body, Some(REPORTER_TOKEN)).await?;
        let diagnosis = answer.diagnosis();
        let explained = text(diagnosis, "cause") == "key-role-missing";
        expect(answer.status == 403 && explained, "the order's rejection was not explained")?;
        data(&format!(
            "   403, decided by {}: {}\n",
            text(diagnosis, "decided_by"),
            text(diagnosis, "title")
        ));
        for (word, name) in [("evidence", "evidence"), ("fix", "fix")] {
            for line in diagnosis
                .get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                data(&format!("   {word}: {line}\n"));
            }
        }
        Ok(())
    }

    fn invitation(&self) -> String {
        let here = self.proxy.address();
        format!(
            "\nBoth stay up until Ctrl-C. Try it:\n\n    \
             curl -X POST http://{here}/v1/balances\n    \
             curl -X POST http://{here}/v1/order/new -d '{{\"symbol\":\"btcusd\",\"amount\":\"0.01\",\"price\":\"1000\",\"side\":\"buy\",\"type\":\"exchange limit\"}}'\n    \
             curl http://{here}/v1/pubticker/btcusd\n    \
             curl http://{}/metrics\n\n{}",
            self.proxy.admin,
            snippets::ccxt(here, STAND_IN, &self.stand_in_secret),
        )
    }

    async fn clear(self) {
        let Self { simulator, proxy, dir, .. } = self;
        proxy.drain(Duration::from_secs(5)).await;
        simulator.stop().await;
        if let Err(left) = std::fs::remove_dir_all(&dir) {
            note(&format!("{} could not be removed: {left}", dir.display()));
        }
    }
}

/// Two bots with two keys: a trader that presents nothing or a stand-in pair, and a reporter.
fn configuration(url: &str, dir: &Path, listen: SocketAddr, stand_in_secret: &str) -> String {
    let state = dir.join("state");
    let state = state.display();
    format!(
        r#"
listen = {{ admin = "127.0.0.1:{admin}" }}
state = {{ dir = "{state}" }}

[[upstreams]]
environment = "simulator"
url = "{url}"
ca_file = "ca.pem"
listen = ["{listen}"]

[[keys]]
name = "trading"
api_key = "account-demoTraderKey1"
api_secret = {{ value = "demo-secret-of-the-trader-key" }}

[[keys]]
name = "reporting"
api_key = "account-demoAuditorKey2"
api_secret = {{ value = "demo-secret-of-the-auditor-key" }}

[[clients]]
name = "bot"
credential = [{{ none = true }}, {{ key = "{STAND_IN}", secret = {{ value = "{stand_in_secret}" }} }}]
key = "trading"
scopes = ["trader"]

[[clients]]
name = "reporter"
credential = {{ token_sha256 = "{REPORTER_HASH}" }}
key = "reporting"
scopes = ["trader"]
"#,
        admin = if listen.port() == USUAL_PORT { USUAL_PORT + 1 } else { 0 },
    )
}

/// The demonstration's second bot; worth nothing elsewhere. The hash is its SHA-256.
const REPORTER_TOKEN: &str = "demo-reporter-token";
const REPORTER_HASH: &str = "1d48810b3dcc7576796b5ee11f33f7d02d4e04796442d5a5b6726c3ab2098ba3";

struct Answer {
    status: u16,
    json: Value,
}

impl Answer {
    fn diagnosis(&self) -> &Value {
        self.json.get("diagnosis").unwrap_or(&Value::Null)
    }
}

/// One call as a bot makes it: plain HTTP, unsigned.
async fn call(here: SocketAddr, path: &str, body: &str, token: Option<&str>) -> io::Result<Answer> {
    let stream = TcpStream::connect(here).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    task::spawn("demo call", connection);
    let mut request = Request::builder().method(Method::POST).uri(path);
    request = request.header("host", here.to_string());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned())));
    let request = request.map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Answer { status, json: serde_json::from_slice(&bytes)? })
}

fn expect(holds: bool, otherwise: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise.to_owned())) }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The usual port, if nothing has it.
async fn free_address() -> io::Result<SocketAddr> {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT + 1));
    let free = TcpListener::bind(usual).await.is_ok() && TcpListener::bind(admin).await.is_ok();
    Ok(if free { usual } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
