//! What the operator wrote, as checked types: the only reader of files and of the environment.
//!
//! 1. `file` mirrors what was typed, `check` turns it into a [`Config`], and nothing else makes one.
//! 2. Every problem is told at once, with its place and what to do.
//! 3. What this build knows and does not enforce stops the start: a limit that is written down
//!    and not kept would be worse than none.
//! 4. Secrets are read here, turned into credentials here, and never shown.

mod changes;
mod check;
pub(crate) mod edit;
mod environment;
mod file;
mod key_source;
mod listen;
mod problem;
mod read;
mod source;
mod such;
#[cfg(test)]
mod tests;
mod words;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use secrecy::zeroize::Zeroizing;

use crate::call::{ClientId, KeyName, Operation, words};
use crate::clock::{Clock as _, SystemClock, UnixMicros};
use crate::nonce;
use crate::policy::Grant;
use crate::provider::{Environment, Provider};
use crate::secret::{Credential, TokenHash};

pub(crate) use self::changes::beyond_clients;
pub(crate) use self::key_source::KeySource;
pub(crate) use self::listen::{Listen, Tls, UnixSocket};
pub(crate) use self::problem::{Problem, Problems};
pub(crate) use self::source::{Lookup, ProcessEnvironment};

/// What `geminid init` writes: every setting with its default and a sentence.
pub(crate) const EXAMPLE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/proxy.toml.example"));

/// A configuration that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `None`: made of the environment alone.
    pub(crate) path: Option<PathBuf>,
    pub(crate) log: Log,
    /// Always loopback.
    pub(crate) admin: SocketAddr,
    pub(crate) state_dir: PathBuf,
    pub(crate) audit: Audit,
    /// At least one.
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) keys: Vec<Key>,
    pub(crate) clients: Vec<Client>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LevelName,
}

words! {
    LogFormat {
        Text = "text",
        Json = "json",
    }
}

words! {
    LevelName {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }
}

words! {
    /// When a line of the audit trail counts as written.
    Audit {
        /// When it is on the disk: many in one sync.
        Group = "group",
        /// As soon as it is made: synced once a second.
        Interval = "interval",
        /// There is no trail.
        Off = "off",
    }
}

/// Where requests go, and where they come in for it.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) environment: Environment,
    pub(crate) rest: Endpoint,
    /// Further trust anchors. Only with an address of the operator's own.
    pub(crate) ca: Vec<CertificateDer<'static>>,
    /// At least one; no other upstream has any of them.
    pub(crate) listen: Vec<Listen>,
    /// Names this listener answers to beside loopback and the upstream's own. Lower case.
    pub(crate) hosts: Vec<String>,
    /// Whether public data is for everyone.
    pub(crate) public: bool,
    pub(crate) timeout: Timeouts,
    /// Whether a question of our own may be asked after a rejection whose cause is open.
    pub(crate) probe: bool,
    /// Where the exchange tells of its incidents.
    pub(crate) status_page: Option<Page>,
    /// The source address.
    pub(crate) bind: Option<IpAddr>,
    /// The addresses in the keys' lists. Empty: nothing is expected.
    pub(crate) expect: Vec<IpAddr>,
    /// What tells which address it is asked from.
    pub(crate) address_service: Option<Page>,
    /// Endpoints newer than this release.
    pub(crate) operations: Vec<Arc<Operation>>,
}

/// The host and port of an `https` address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    /// Lower case; an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As a `Host` header says it: the port is left out when it is 443.
    pub(crate) authority: String,
}

impl Endpoint {
    fn new(host: String, port: u16) -> Self {
        let authority = if port == 443 { host.clone() } else { format!("{host}:{port}") };
        Self { host, port, authority }
    }
}

/// A public page of somebody else's that is asked without any credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Page {
    pub(crate) endpoint: Endpoint,
    /// With its query; at least `/`.
    pub(crate) path: String,
}

impl Page {
    /// Whether it is on this machine, as beside a simulator.
    pub(crate) fn is_loopback(&self) -> bool {
        words::is_loopback_host(&self.endpoint.host)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    /// For what changes something.
    pub(crate) order: Duration,
    pub(crate) read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(3), order: seconds(10), read: seconds(15) }
    }
}

/// A key of an upstream account.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: KeyName,
    /// Its place in [`Config::upstreams`].
    pub(crate) upstream: usize,
    pub(crate) credential: Arc<Credential>,
    /// Where that comes from.
    pub(crate) source: KeySource,
    pub(crate) nonce: nonce::Setting,
    /// Only to override what was learned.
    pub(crate) unit: Option<nonce::Unit>,
    /// The default sub-account of a master key.
    pub(crate) account: Option<String>,
}

/// Who calls, and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// Its place in [`Config::keys`].
    pub(crate) key: usize,
    pub(crate) grant: Grant,
    /// At least one.
    pub(crate) credentials: Vec<ClientCredential>,
    pub(crate) expires: Option<UnixMicros>,
    /// Empty: from anywhere.
    pub(crate) from: Vec<ipnet::IpNet>,
}

/// How a client shows who it is, and until when that counts.
#[derive(Clone, Debug)]
pub(crate) struct ClientCredential {
    pub(crate) proof: Proof,
    /// Its own end, beside the client's.
    pub(crate) expires: Option<UnixMicros>,
}

impl From<Proof> for ClientCredential {
    fn from(proof: Proof) -> Self {
        Self { proof, expires: None }
    }
}

/// What there is to show.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    Token(TokenHash),
    /// A pair that only the proxy knows.
    StandIn(Arc<Credential>),
    /// Who is at the other end of a unix socket: at least one of the two.
    User {
        uid: Option<u32>,
        gid: Option<u32>,
    },
    /// A name in a verified client certificate.
    Certificate(String),
    /// It presents nothing. On loopback and unix sockets only.
    None,
}

impl Proof {
    /// What sort of credential it is, and nothing of the credential.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::StandIn(_) => "stand-in",
            Self::User { .. } => "uid",
            Self::Certificate(_) => "certificate",
            Self::None => "none",
        }
    }
}

/// What flags, and the variables of the same names, say in place of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) listen: Option<Vec<SocketAddr>>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_level: Option<LevelName>,
}

/// A configuration, and where it came from.
#[derive(Debug)]
pub(crate) enum Loaded {
    File(Config),
    /// Made of variables. The pair is for the one client, to be shown once.
    Environment(Config, StandInPair),
}

/// A stand-in pair in the clear, made for this run.
pub(crate) struct StandInPair {
    pub(crate) key: String,
    pub(crate) secret: Zeroizing<String>,
}

impl std::fmt::Debug for StandInPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandInPair").finish_non_exhaustive()
    }
}

/// Finds the configuration and reads it: `explicit`, `$GEMINID_CONFIG`, `./proxy.toml`,
/// `/etc/geminid/proxy.toml`, or the environment alone.
pub(crate) fn load(explicit: Option<&Path>, overrides: &Overrides) -> Result<Loaded, Problems> {
    search(explicit, &places(), &ProcessEnvironment, overrides, SystemClock::new().wall())
}

fn places() -> [&'static Path; 2] {
    [Path::new("proxy.toml"), Path::new("/etc/geminid/proxy.toml")]
}

/// Where a proxy is found that runs with a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `None`: there is no file.
    pub(crate) path: Option<PathBuf>,
    pub(crate) admin: SocketAddr,
    pub(crate) state_dir: PathBuf,
}

/// Finds the configuration as [`load`] does, and reads of it only where its proxy is: an operator may have
/// none of its secrets, and must be heard while it has faults.
pub(crate) fn place(explicit: Option<&Path>, overrides: &Overrides) -> Result<Place, Problems> {
    let env = &ProcessEnvironment;
    let path = find(explicit, &places(), env);
    let origin = path.as_deref().unwrap_or_else(|| Path::new(""));
    let said = match (overrides.admin, &overrides.state_dir) {
        (Some(admin), Some(state)) => Some((admin, state.clone())),
        _ => None,
    };
    if let Some((admin, state_dir)) = said {
        return Ok(Place { path, admin, state_dir });
    }
    let text = match &path {
        Some(path) => read_file(path)?.0,
        None => Zeroizing::default(),
    };
    let mut report = problem::Report::new(Some(origin), &text);
    let base = origin.parent().unwrap_or_else(|| Path::new(""));
    let now = SystemClock::new().wall();
    let around = check::Around { vault: source::Vault { env, base }, overrides, now };
    let file = read::read(&text, &mut report);
    let found = file.and_then(|file| check::place(&file, &around, &mut report));
    match found {
        Some((admin, state_dir)) => Ok(Place { path, admin, state_dir }),
        None => Err(report.finish().expect_err("what cannot be made is told as a problem")),
    }
}

/// The text of a configuration file, which holds secrets if its exchange is simulated.
pub(crate) fn text(path: &Path) -> Result<Zeroizing<String>, Problems> {
    read_file(path).map(|(text, _)| text)
}

/// Whether something may be called so.
pub(crate) fn is_name(text: &str) -> bool {
    words::name(text).is_ok()
}

/// Reads a configuration once more.
pub(crate) fn reread(path: &Path, overrides: &Overrides) -> Result<Config, Problems> {
    let (env, now) = (&ProcessEnvironment, SystemClock::new().wall());
    read_from(path, env, overrides, now)
}

/// Where a configuration is.
fn find(explicit: Option<&Path>, places: &[&Path], env: &impl Lookup) -> Option<PathBuf> {
    let named = explicit.map(Path::to_owned);
    let named = named.or_else(|| source::filled(env, "GEMINID_CONFIG").map(PathBuf::from));
    // One that is there and cannot be read is told: `parse` finds nothing to excuse.
    let there = |path: &Path| match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    named.or_else(|| places.iter().find(|it| there(it)).map(|it| (*it).to_owned()))
}

fn search(
    explicit: Option<&Path>,
    places: &[&Path],
    env: &impl Lookup,
    overrides: &Overrides,
    now: UnixMicros,
) -> Result<Loaded, Problems> {
    let Some(path) = find(explicit, places, env) else {
        return environment::start(env, overrides, now)
            .map(|(config, pair)| Loaded::Environment(config, pair));
    };
    read_from(&path, env, overrides, now).map(Loaded::File)
}

fn read_from(
    path: &Path,
    env: &impl Lookup,
    overrides: &Overrides,
    now: UnixMicros,
) -> Result<Config, Problems> {
    let (text, mut warnings) = read_file(path)?;
    let mut config = parse(&text, path, env, overrides, now)?;
    warnings.append(&mut config.warnings);
    Ok(Config { warnings, ..config })
}

/// The text of a configuration file, and what is odd about the file.
fn read_file(path: &Path) -> Result<(Zeroizing<String>, Vec<String>), Problems> {
    let mut report = problem::Report::new(Some(path), "");
    match source::read_configuration(path, &mut report) {
        Ok(text) => Ok((text, report.finish()?)),
        Err(missing) => {
            missing.tell(&problem::Spot::root(), &mut report);
            Err(report.finish().expect_err("a problem was told on the line above"))
        }
    }
}

/// Reads the text of a configuration file. `origin` is what its problems name, and what relative
/// paths are relative to.
pub(crate) fn parse(
    text: &str,
    origin: &Path,
    env: &impl Lookup,
    overrides: &Overrides,
    now: UnixMicros,
) -> Result<Config, Problems> {
    let mut report = problem::Report::new(Some(origin), text);
    let base = origin.parent().unwrap_or_else(|| Path::new(""));
    let around = check::Around { vault: source::Vault { env, base }, overrides, now };
    let config =
        read::read(text, &mut report).and_then(|file| check::check(&file, &around, &mut report));
    let warnings = report.finish()?;
    let config = config.expect("what cannot be made is told as a problem");
    Ok(Config { path: Some(origin.to_owned()), warnings, ..config })
}

/// Writes [`EXAMPLE`] to `path`, for its owner only. An existing file stays, unless `force`.
pub(crate) fn init(path: &Path, force: bool) -> Result<(), Problems> {
    let shown = path.display().to_string();
    let failed = |error: io::Error| match error.kind() == io::ErrorKind::AlreadyExists {
        true => Problems::one(&shown, "is there already", "--force writes over it"),
        false => Problems::one(
            &shown,
            format!("cannot be written: {}", source::kind_of(&error)),
            "geminid init --config PATH writes somewhere else",
        ),
    };
    if force {
        // A new file, so that neither the mode nor the links of the old one matter.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(EXAMPLE.as_bytes()).map_err(failed)
}
