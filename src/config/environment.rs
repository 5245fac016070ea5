//! A start without a file: one key, one upstream, one client with a stand-in pair for this run.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::check::{self, Around};
use super::file::Hidden;
use super::key_source::{KeySource, Origin};
use super::problem::{Problems, Report, Spot, closest};
use super::source::{Lookup, Vault, filled, is_set};
use super::words;
use super::{
    Audit, Client, Config, Endpoint, Key, LevelName, Listen, Log, LogFormat, Overrides, Proof,
    StandInPair, Timeouts, Upstream,
};
use crate::call::{ClientId, KeyName};
use crate::clock::{UnixMicros, random};
use crate::nonce;
use crate::policy::{Bundle, Grant};
use crate::provider::{self, Environment};
use crate::secret::Credential;

const KEY: &str = "GEMINI_API_KEY";
const SECRET: &str = "GEMINI_API_SECRET";

pub(super) fn start(
    env: &impl Lookup,
    overrides: &Overrides,
    now: UnixMicros,
) -> Result<(Config, StandInPair), Problems> {
    let given = [KEY, SECRET].into_iter().flat_map(|it| [it.to_owned(), format!("{it}_FILE")]);
    if !given.into_iter().any(|name| is_set(env, &name)) {
        return Err(Problems::one(
            "",
            format!(
                "there is no configuration: no --config, no $GEMINID_CONFIG, no ./proxy.toml, \
                 no /etc/geminid/proxy.toml, and neither {KEY} nor {SECRET} is set"
            ),
            format!("`geminid init` writes a proxy.toml, or set {KEY} and {SECRET}"),
        ));
    }
    let around = Around { vault: Vault { env, base: Path::new("") }, overrides, now };
    let mut report = Report::new(None, "");
    let made = make(&around, &mut report);
    let warnings = report.finish()?;
    let (config, pair) = made.expect("what cannot be made is told as a problem");
    Ok((Config { warnings, ..config }, pair))
}

/// `None` only when a problem was told.
fn make(around: &Around<'_>, report: &mut Report<'_>) -> Option<(Config, StandInPair)> {
    let upstream = upstream(around, report);
    let key = key(around, report);
    let overrides = around.overrides;
    let state_dir = overrides
        .state_dir
        .clone()
        .or_else(|| check::default_state_dir(around, &Spot::outside("GEMINID_STATE_DIR"), report));
    let admin = overrides.admin.unwrap_or_else(|| SocketAddr::from(check::ADMIN));
    if !admin.ip().is_loopback() {
        check::admin_is_far(&Spot::outside("--admin"), report);
    }
    let pair = StandInPair {
        key: format!("account-standin-{}", *hex(&random::<8>())),
        secret: hex(&*Zeroizing::new(random::<32>())),
    };
    let stand_in = Credential::new(pair.key.clone(), &SecretString::from(pair.secret.as_str()));
    let client = Client {
        id: ClientId::new("default"),
        key: 0,
        grant: Grant::of(Bundle::Trader.scopes()),
        credentials: vec![Proof::StandIn(Arc::new(stand_in)).into()],
        expires: None,
        from: Vec::new(),
    };
    let config = Config {
        path: None,
        log: Log {
            format: overrides.log_format.unwrap_or(LogFormat::Text),
            level: overrides.log_level.unwrap_or(LevelName::Info),
        },
        admin,
        state_dir: state_dir?,
        audit: Audit::Group,
        upstreams: vec![upstream?],
        keys: vec![key?],
        clients: vec![client],
        warnings: Vec::new(),
    };
    Some((config, pair))
}

fn upstream(around: &Around<'_>, report: &mut Report<'_>) -> Option<Upstream> {
    let environment = environment(around, report);
    let listen = listen(around, report);
    let provider = provider::by_name("exchange")?;
    let environment = environment?;
    let Some(host) = provider.host(environment) else {
        report.problem(
            &Spot::outside("GEMINID_ENVIRONMENT"),
            format!("`{environment}` needs a file that says where it is"),
            "`geminid demo` brings its own simulator; `geminid init` writes a file",
        );
        return None;
    };
    let listen = listen?;
    Some(Upstream {
        name: "exchange".to_owned(),
        provider,
        environment,
        rest: Endpoint::new(host.to_owned(), 443),
        ca: Vec::new(),
        public: listen.iter().all(|it| it.ip().is_loopback()),
        listen: listen.into_iter().map(Listen::Tcp).collect(),
        hosts: Vec::new(),
        timeout: Timeouts::default(),
        probe: true,
        status_page: None,
        bind: None,
        expect: Vec::new(),
        address_service: None,
        operations: Vec::new(),
    })
}

fn environment(around: &Around<'_>, report: &mut Report<'_>) -> Option<Environment> {
    const NAME: &str = "GEMINID_ENVIRONMENT";
    let Some(text) = filled(around.vault.env, NAME) else { return Some(Environment::Production) };
    let text = text.to_string_lossy();
    let found = text.parse().ok();
    if found.is_none() {
        let known = Environment::ALL.iter().map(|it| it.as_str());
        let meant = closest(&text, known).unwrap_or("production");
        let hint = format!("did you mean `{meant}`?");
        report.problem(&Spot::outside(NAME), format!("`{text}` is unknown"), hint);
    }
    found
}

fn listen(around: &Around<'_>, report: &mut Report<'_>) -> Option<Vec<SocketAddr>> {
    const NAME: &str = "GEMINID_LISTEN";
    if let Some(flag) = &around.overrides.listen {
        return Some(flag.clone());
    }
    let Some(text) = filled(around.vault.env, NAME) else {
        return Some(vec![SocketAddr::from(check::LISTEN)]);
    };
    let text = text.to_string_lossy();
    let each = text.split(',').map(str::trim);
    each.map(|it| check::read(words::socket_address(it), &Spot::outside(NAME), report)).collect()
}

fn key(around: &Around<'_>, report: &mut Report<'_>) -> Option<Key> {
    let id = secret(KEY, around, report);
    let id = id.and_then(|text| check::check_key_text(text, &Spot::outside(KEY), report));
    let api_secret = secret(SECRET, around, report);
    let account =
        filled(around.vault.env, "GEMINID_ACCOUNT").map(|it| it.to_string_lossy().into_owned());
    let id = id?;
    check::check_account(&id, account.as_deref(), &Spot::outside("GEMINID_ACCOUNT"), report);
    let credential = Arc::new(Credential::upstream(id.0.clone(), &api_secret?.secret()));
    let source =
        KeySource::new(origin(KEY, around), origin(SECRET, around), Arc::clone(&credential));
    Some(Key {
        name: KeyName::new("default"),
        upstream: 0,
        credential,
        source,
        nonce: nonce::Setting::Auto,
        unit: None,
        account,
    })
}

/// Where `secret` takes it from.
fn origin(name: &str, around: &Around<'_>) -> Origin {
    let file = filled(around.vault.env, &format!("{name}_FILE"));
    file.map_or_else(|| Origin::Variable(name.to_owned()), |path| Origin::File(path.into()))
}

/// `NAME`, or the file that `NAME_FILE` names.
fn secret(name: &str, around: &Around<'_>, report: &mut Report<'_>) -> Option<Hidden> {
    let file_name = format!("{name}_FILE");
    let vault = around.vault;
    let spot = Spot::outside(name);
    let read = match (is_set(vault.env, name), filled(vault.env, &file_name)) {
        (true, Some(_)) => {
            report.problem(&spot, format!("is set, and so is {file_name}"), "unset one of them");
            return None;
        }
        (false, Some(path)) => vault.file(Path::new(&path), &Spot::outside(&file_name), report),
        (_, None) => vault.variable(name),
    };
    match read {
        Ok(secret) => Some(secret),
        Err(missing) => {
            missing.tell(&spot, report);
            None
        }
    }
}

/// In hex, without growing on the way: what is hexed may be a secret.
fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("four bits are one digit");
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}
