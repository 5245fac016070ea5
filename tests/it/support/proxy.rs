//! The built binary before a simulated exchange.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use geminid::simulator::{KeySpec, NonceRule, Options, Role, Simulator};

use super::{Bot, canary, command};

/// How long anything may take before a test is given up: far longer than it ever does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A simulated exchange with the keys that the tests use.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) simulator: Simulator,
    /// The host and port that proxies are pointed at instead, if anything stands between.
    pub(crate) front: Option<String>,
    dir: Dir,
}

/// A directory that goes when the test goes.
#[derive(Debug)]
pub(crate) struct Dir(PathBuf);

/// What differs from the usual configuration. In clients `TOKEN` stands for the token's hash,
/// `STAND_IN_SECRET` for that secret, `OWN_UID` and `OWN_GID` for who runs the tests.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Put under the key `trading`.
    pub(crate) key: &'static str,
    /// Put under the client `bot`.
    pub(crate) client: &'static str,
    /// Put at the end.
    pub(crate) more: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// Where the upstream listens: the first without TLS.
    pub(crate) listen: &'static str,
    /// Put under the upstream.
    pub(crate) upstream: &'static str,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Put into `state`.
    pub(crate) state: &'static str,
    /// The API key behind the key `trading`.
    pub(crate) api_key: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        let client = "credential = [{ none = true }, { token_sha256 = \"TOKEN\" }, { key = \"account-standin\", secret = { value = \"STAND_IN_SECRET\" } }]\nscopes = [\"trader\"]";
        let api_key = Exchange::KEY;
        Self {
            key: "",
            client,
            more: "",
            arguments: &[],
            listen: "\"127.0.0.1:0\"",
            upstream: "",
            environment: &[],
            state: "",
            api_key,
        }
    }
}

/// A running proxy, at its wordiest; it is killed when it is dropped. However it ends, nothing that it
/// has said or written holds a planted secret.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Arc<(Mutex<Vec<String>>, Condvar)>,
    /// One for stderr, one for stdout.
    readers: Vec<JoinHandle<Vec<u8>>>,
    state: PathBuf,
}

impl Exchange {
    // Worth nothing anywhere. Looked for in all that comes out: `canary`.
    pub(crate) const KEY: &'static str = "account-realTrader00001";
    pub(crate) const SECRET: &'static str = "ZmXiRvy+rXQNP5Y0RQ4r/kQop868TtVxPKz1";
    pub(crate) const AUDITOR: &'static str = "account-realAuditor0002";
    pub(crate) const AUDITOR_SECRET: &'static str = "O2M03bo+G2JlnNoeWrk8/ftldcXO17C2ELC5";
    pub(crate) const MASTER: &'static str = "master-realGroup00003";
    pub(crate) const MASTER_SECRET: &'static str = "d0HLG4g+qicq6Pc8WiwF/I93wEn811SnfO0u";
    pub(crate) const TOKEN: &'static str = "Hbgkr9r+jQvEef0HnKdm/R89U2MflaHrdNDkSxUa";
    pub(crate) const STAND_IN: &'static str = "account-standin";
    pub(crate) const STAND_IN_SECRET: &'static str = "G0UGJcr+z5WK25mq9YV8/bY16cl1lsOgapOM";

    pub(crate) async fn start(nonce: NonceRule) -> Self {
        Self::start_with(nonce, |_| {}).await
    }

    pub(crate) async fn start_with(nonce: NonceRule, change: impl FnOnce(&mut Options)) -> Self {
        let mut trader = KeySpec::new(Self::KEY, Self::SECRET);
        trader.nonce = nonce;
        trader.roles = vec![Role::Trader, Role::FundManager];
        let mut auditor = KeySpec::new(Self::AUDITOR, Self::AUDITOR_SECRET);
        auditor.roles = vec![Role::Auditor];
        let mut master = KeySpec::new(Self::MASTER, Self::MASTER_SECRET);
        master.roles = vec![Role::Administrator, Role::Trader];
        master.accounts = vec!["primary".to_owned(), "cold".to_owned()];
        let keys = vec![trader, auditor, master];
        let mut options = Options { keys, ..Options::default() };
        change(&mut options);
        let simulator = Simulator::start(options).await.unwrap();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("geminid-it-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("ca.pem"), simulator.ca_pem()).unwrap();
        Self { simulator, front: None, dir: Dir(dir) }
    }

    /// The client's token as a proxy's URL carries it.
    pub(crate) fn basic() -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("u:{}", Self::TOKEN)))
    }

    /// Ends the exchange and starts another in its place, with the same keys' marks begun anew.
    pub(crate) async fn replaced(self) -> Self {
        let Self { simulator, front, dir } = self;
        let (listen, identity) = (simulator.address(), simulator.identity().clone());
        simulator.stop().await;
        let keys = vec![KeySpec::new(Self::KEY, Self::SECRET)];
        let identity = Some(identity);
        let options = Options { listen, identity, keys, http1_only: true, ..Options::default() };
        Self { simulator: Simulator::start(options).await.unwrap(), front, dir }
    }

    /// Ends the exchange and leaves its files.
    pub(crate) async fn stop_exchange(self) -> Dir {
        let Self { simulator, front: _, dir } = self;
        simulator.stop().await;
        dir
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// Starts a proxy before this exchange and waits until it is ready.
    pub(crate) async fn proxy(&self, settings: &Settings) -> Proxy {
        self.proxy_in("state", settings).await
    }

    /// The same, with a state directory of another name.
    pub(crate) async fn proxy_in(&self, state: &str, settings: &Settings) -> Proxy {
        let proxy = self.proxy_unready(state, settings).await;
        let began = Instant::now();
        while Bot::new(proxy.admin).get("/readyz").await.status != 200 {
            assert!(began.elapsed() < PATIENCE, "never ready:\n{}", proxy.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy
    }

    /// Where a proxy keeps the nonce mark of an API key.
    pub(crate) fn nonce_file(&self, state: &str, api_key: &str) -> PathBuf {
        let mut name = sha256(api_key);
        name.truncate(32);
        self.dir.0.join(state).join(format!("nonce-{name}"))
    }

    /// Starts a proxy that is expected to end by itself, and says how it ended.
    pub(crate) fn proxy_to_its_end(&self, state: &str, settings: &Settings) -> Output {
        self.serve(state, settings).output().unwrap()
    }

    pub(crate) async fn proxy_unready(&self, state: &str, settings: &Settings) -> Proxy {
        let mut command = self.serve(state, settings);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let state = self.dir.0.join(state);
        tokio::task::spawn_blocking(|| Proxy::watch(child, state)).await.unwrap()
    }

    /// Writes the configuration of a proxy, and says where.
    pub(crate) fn configured(&self, state: &str, settings: &Settings) -> PathBuf {
        let text = self.configuration(state, settings);
        let file = self.dir.0.join(format!("{state}.toml"));
        std::fs::write(&file, text).unwrap();
        file
    }

    fn serve(&self, state: &str, settings: &Settings) -> Command {
        let file = self.configured(state, settings);
        let mut command = command();
        command.args(["serve", "--log-format", "json", "--config"]).arg(&file);
        command.env("GEMINID_LOG_LEVEL", "trace");
        command.envs(settings.environment.iter().copied());
        command.args(settings.arguments);
        command
    }

    fn url(&self) -> String {
        let front = self.front.as_ref().map(|it| format!("https://{it}"));
        front.unwrap_or_else(|| self.simulator.url())
    }

    fn configuration(&self, state: &str, settings: &Settings) -> String {
        let Settings { key, client, more, listen, upstream, api_key, state: kept, .. } = settings;
        let token = sha256(Self::TOKEN);
        let about = std::fs::metadata(&self.dir.0).unwrap();
        let (uid, gid) = (about.uid(), about.gid());
        let filled = |it: &str| {
            let text =
                it.replace("STAND_IN_SECRET", Self::STAND_IN_SECRET).replace("TOKEN", &token);
            text.replace("OWN_UID", &uid.to_string()).replace("OWN_GID", &gid.to_string())
        };
        let (client, more, listen) = (filled(client), filled(more), filled(listen));
        format!(
            r#"
listen = {{ admin = "127.0.0.1:0" }}
state = {{ dir = "{state}"{kept} }}

[[upstreams]]
environment = "simulator"
url = "{url}"
ca_file = "ca.pem"
listen = [{listen}]
{upstream}

[[keys]]
name = "trading"
api_key = "{api_key}"
api_secret = {{ value = "{secret}" }}
{key}

[[keys]]
name = "reporting"
api_key = "{auditor}"
api_secret = {{ value = "{auditor_secret}" }}

[[keys]]
name = "group"
api_key = "{master}"
api_secret = {{ value = "{master_secret}" }}
account = "primary"

[[clients]]
name = "bot"
key = "trading"
{client}
{more}
"#,
            url = self.url(),
            secret = Self::SECRET,
            auditor = Self::AUDITOR,
            auditor_secret = Self::AUDITOR_SECRET,
            master = Self::MASTER,
            master_secret = Self::MASTER_SECRET,
        )
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Proxy {
    /// Collects the log, and reads from it where the proxy listens.
    fn watch(mut child: Child, state: PathBuf) -> Self {
        let log: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut stdout = child.stdout.take().unwrap();
        let into = Arc::clone(&log);
        let lines = std::thread::spawn(move || {
            let mut all = Vec::new();
            loop {
                let began = all.len();
                match stderr.read_until(b'\n', &mut all) {
                    Ok(0) | Err(_) => return all,
                    Ok(_) => {
                        let line = String::from_utf8_lossy(&all[began..]).trim_end().to_owned();
                        into.0.lock().unwrap().push(line);
                        into.1.notify_all();
                    }
                }
            }
        });
        let data = std::thread::spawn(move || {
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).ok();
            all
        });
        let address = |word: &str| {
            let line = wait_for(&log, |line| line.contains(word));
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            line["address"].as_str().unwrap().parse().unwrap()
        };
        let (serving, admin) = (address("\"serving\""), address("probes and metrics"));
        Self { child, address: serving, admin, log, readers: vec![lines, data], state }
    }

    pub(crate) fn bot(&self) -> Bot {
        Bot::new(self.address)
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    /// Waits for a log line and returns it.
    pub(crate) async fn line(&self, has: &'static str) -> String {
        let log = Arc::clone(&self.log);
        let wait = move || wait_for(&log, |line| line.contains(has));
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it by SIGTERM and waits.
    pub(crate) async fn terminate(self) -> ExitStatus {
        self.end("-TERM").await
    }

    /// Sends it a signal that ends it, and waits.
    pub(crate) async fn end(mut self, signal: &str) -> ExitStatus {
        let id = self.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(status.success());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap()
    }

    /// Ends it by SIGKILL and waits.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        let mut hits = canary::search_directory(&self.state);
        for reader in self.readers.drain(..) {
            hits.extend(canary::search("the proxy's output", &reader.join().unwrap_or_default()));
        }
        canary::none(&hits);
    }
}

#[track_caller]
fn wait_for(log: &(Mutex<Vec<String>>, Condvar), fits: impl Fn(&str) -> bool) -> String {
    let (lines, grown) = log;
    let missing = |lines: &mut Vec<String>| !lines.iter().any(|it| fits(it));
    let guard = lines.lock().unwrap();
    let (lines, late) = grown.wait_timeout_while(guard, PATIENCE, missing).unwrap();
    assert!(!late.timed_out(), "the line never came:\n{}", lines.join("\n"));
    lines.iter().find(|it| fits(it)).unwrap().clone()
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|it| format!("{it:02x}")).collect()
}
