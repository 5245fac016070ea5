//! `doctor`: looks at everything that has to do with a call, in the order in which faults follow from each
//! other, and says what to do.
//!
//! 1. Nothing is changed at the exchange. A key is asked for its roles in its lane, by whoever owns that: the
//!    running proxy, or, if none runs, this process, which holds the state directory meanwhile.
//! 2. Where no state directory is, a passing one is used; where it is somebody else's, or something listens
//!    where the proxy of this configuration would, no key is asked.
//! 3. Data goes to stdout, though it tells of faults: it is what was asked for.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::operator::Operator;
use super::say::{data, start_log};
use super::serve::Ends;
use super::{Logging, Where};
use crate::admin::{CheckupOrder, token};
use crate::app;
use crate::checkup::{self, Check, KeySeen, Standing, State, Topic};
use crate::clock::{Clock, SystemClock, Ulid};
use crate::config::{self, Audit, Config, Loaded, Place};

/// How long the end waits for a question that is under way.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a listener of this machine takes to answer.
const HELLO: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn doctor(args: DoctorArgs, logging: Logging) -> ExitCode {
    let DoctorArgs { json, place } = args;
    let examining = examine(place, logging);
    let checks = match Ends::new() {
        Ok(ends) => {
            tokio::select! {
                checks = examining => checks,
                end = ends.wait() => return end.exit_code(),
            }
        }
        Err(_) => examining.await,
    };
    if json {
        data(&format!("{:#}\n", checkup::json(&checks)));
    } else {
        data(&told(&checks));
    }
    ExitCode::from(checkup::exit_code(&checks))
}

async fn examine(place: Where, logging: Logging) -> Vec<Check> {
    let overrides = place.overrides(&logging);
    let config = match config::load(place.config.as_deref(), &overrides) {
        Ok(Loaded::File(config) | Loaded::Environment(config, _)) => config,
        Err(problems) => return checkup::problems(&problems),
    };
    if logging.log_level.is_some() {
        start_log(config.log);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut checks = checkup::configuration(&config);
    checks.extend(checkup::files(&config));
    let (standing, found) = checkup::state(&config, &token::path(&config.state_dir));
    checks.extend(found);
    let mut reachable = Vec::new();
    for upstream in &config.upstreams {
        let found = checkup::upstream(upstream, &clock).await;
        reachable.push(checkup::is_reachable(&found));
        checks.extend(found);
    }
    let asked = |it: &&config::Key| reachable.get(it.upstream).copied().unwrap_or_default();
    let names: Vec<String> =
        config.keys.iter().filter(asked).map(|it| it.name.to_string()).collect();
    let seen = match names.is_empty() {
        true => Ok(Vec::new()),
        false => Box::pin(ask(&config, standing, names, &clock)).await,
    };
    let seen = seen.unwrap_or_else(|check| {
        checks.extend(check.map(|it| *it));
        Vec::new()
    });
    checks.extend(checkup::keys(&seen));
    checks.extend(checkup::unasked(&config, &seen));
    checks.extend(checkup::clients(&config, &seen, clock.wall()));
    checks
}

/// Has the owner of the lanes ask with these keys. What stands in the way is a check, unless it was told.
async fn ask(
    config: &Config,
    standing: Standing,
    keys: Vec<String>,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<KeySeen>, Option<Box<Check>>> {
    if matches!(standing, Standing::Free | Standing::Absent) {
        alone(config).await.map_err(Some)?;
    }
    match standing {
        Standing::Unusable => Err(None),
        Standing::Held => ask_the_proxy(config, keys).await.map_err(Some),
        Standing::Free => ask_at_rest(config.clone(), &keys, clock).await.map_err(Some),
        Standing::Absent => {
            let passing = Passing::new(clock).map_err(|fault| {
                let line = format!("no passing state directory can be made: {fault}");
                let fix = "make the state directory, or set TMPDIR to where this user may write";
                Some(fault_of(line, fix))
            })?;
            let state_dir = passing.0.clone();
            let config = Config { state_dir, audit: Audit::Off, ..config.clone() };
            ask_at_rest(config, &keys, clock).await.map_err(Some)
        }
    }
}

/// A proxy of this configuration may run on another state directory, as under another user: who asked
/// beside it would raise the marks that its nonces must pass.
async fn alone(config: &Config) -> Result<(), Box<Check>> {
    let connecting = tokio::net::TcpStream::connect(config.admin);
    match tokio::time::timeout(HELLO, connecting).await {
        Ok(Ok(_)) => {
            let line = format!(
                "a proxy seems to run with another state directory: something answers at {}, so no key was asked",
                config.admin
            );
            let fix = "run this as the user and in the environment of that proxy, or stop it first";
            Err(fault_of(line, fix))
        }
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

async fn ask_the_proxy(config: &Config, keys: Vec<String>) -> Result<Vec<KeySeen>, Box<Check>> {
    let Config { path, admin, state_dir, .. } = config.clone();
    let order = CheckupOrder { keys: Some(keys) };
    let order = serde_json::to_string(&order).expect("plain text serialises");
    let operator = Operator::at(Place { path, admin, state_dir });
    let asking = tokio::task::spawn_blocking(move || operator.tell("/checkup", &order));
    let unheard = |words: String, hint: &str| {
        fault_of(format!("the running proxy was not asked for its keys: {words}"), hint)
    };
    let answer = match asking.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(fault)) => return Err(unheard(fault.to_string(), fault.hint())),
        Err(_) => return Err(unheard("a fault".to_owned(), "report it")),
    };
    let seen = answer.body.get("keys").cloned().filter(|_| answer.is_done());
    let seen = seen.and_then(|it: Value| serde_json::from_value(it).ok());
    let why = || {
        let error =
            answer.body.get("error").and_then(Value::as_str).unwrap_or("it is of another kind");
        unheard(error.to_owned(), "is it of the same version? `geminid --version`; restart it")
    };
    seen.ok_or_else(why)
}

/// No proxy runs, and while the state directory is held here none can be started.
async fn ask_at_rest(
    config: Config,
    keys: &[String],
    clock: &Arc<dyn Clock>,
) -> Result<Vec<KeySeen>, Box<Check>> {
    let resting = app::at_rest(config, Arc::clone(clock));
    let resting = resting.map_err(|fault| fault_of(fault.to_string(), &fault.hint()))?;
    let mut seen = Vec::new();
    for (proxy, rings) in resting.served() {
        let wanted = rings.values().filter(|it| keys.iter().any(|key| key == it.name().as_str()));
        seen.extend(proxy.look_at_keys(wanted.cloned()).await);
    }
    resting.drain(DRAIN).await;
    Ok(seen)
}

fn fault_of(line: String, fix: &str) -> Box<Check> {
    Box::new(Check::new(Topic::State, "state", State::Fault, line).fixed_by(fix))
}

/// A state directory that goes with this process.
struct Passing(PathBuf);

impl Passing {
    fn new(clock: &Arc<dyn Clock>) -> io::Result<Self> {
        let name = format!("geminid-doctor-{}", Ulid::new(clock.wall()).as_str());
        let path = std::env::temp_dir().join(name);
        // Not one that somebody has laid there.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn told(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { subject, state, line, detail, fix, cause, .. } in checks {
        let mark = match state {
            State::Ok => '✓',
            State::Fault => '✗',
            State::Remark => '!',
        };
        text.push_str(&format!("{mark} {subject}: {line}\n"));
        let cause = cause.iter().map(|it| format!("cause: {it} (docs/diagnosis.md#{it})"));
        for line in detail.iter().cloned().chain(cause) {
            text.push_str(&format!("    {line}\n"));
        }
        for line in fix {
            text.push_str(&format!("    fix: {line}\n"));
        }
    }
    let count = |state| checks.iter().filter(|it| it.state == state).count();
    let (fine, faults, remarks) = (count(State::Ok), count(State::Fault), count(State::Remark));
    text.push_str(&format!("\nfine {fine}, faults {faults}, remarks {remarks}\n"));
    text
}
