//! The command line: arguments, printing, exit codes.
//!
//! Data goes to stdout, all else to stderr: `error:`, its causes, `hint:`. Exit codes: 0 done, 1 a
//! fault was found or the drain deadline passed, 2 usage or configuration, 3 to 6 what `doctor` found (a
//! credential, the egress address, the clock, the way to the upstream), 130 and 143 when a command other
//! than `serve` is interrupted.

mod audit;
mod catalog;
mod client;
mod demo;
mod doctor;
#[cfg(test)]
mod documented;
mod explain;
mod freeze;
mod healthcheck;
mod operator;
mod policy;
mod say;
mod serve;
mod simulate;
mod snippets;
mod suggest;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use self::say::{data, fault, note};
use crate::config::{self, LevelName, LogFormat, Overrides};
use crate::process;

/// What a usage or configuration fault ends with.
pub(crate) const USAGE: u8 = 2;

/// A local signing proxy for Gemini: keys leave the bots, nonces stop failing, a 403 explains itself.
#[derive(Debug, Parser)]
#[command(name = "geminid", version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: Logging,
}

#[derive(Args, Debug)]
struct Logging {
    /// How log lines are written [text, json].
    #[arg(long, global = true, env = "GEMINID_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// The least urgent lines to write [error, warn, info, debug, trace].
    #[arg(long, global = true, env = "GEMINID_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<LevelName>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Serve(Where),
    /// Validate the configuration, offline.
    Check(Where),
    /// Write a commented proxy.toml.
    Init {
        /// Where to write it.
        #[arg(long, value_name = "FILE", default_value = "proxy.toml", env = "GEMINID_CONFIG")]
        config: PathBuf,
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// A simulated exchange, the proxy before it, and three worked calls.
    Demo {
        /// End after the calls; exit 0 only if all went as they should.
        #[arg(long, env = "GEMINID_DEMO_ONCE")]
        once: bool,
    },
    /// The simulated exchange alone, to test bots against.
    Simulate(simulate::SimulateArgs),
    /// Exit 0 when the running proxy is ready (for images without a shell).
    Healthcheck(Where),
    /// Who may call: add, list, rotate, revoke.
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Stop new risk, for everyone or one client, until it is thawed.
    Freeze(freeze::FreezeArgs),
    /// Lift a freeze.
    Thaw(freeze::ThawArgs),
    /// Have the running proxy take up changed clients.
    Reload(freeze::ReloadArgs),
    /// What a rejection means: a pasted one, offline, or a recent request of the running proxy.
    Explain(Box<explain::ExplainArgs>),
    /// Live checks of everything, each with what to do; nothing is changed.
    Doctor(doctor::DoctorArgs),
    /// Every operation: method, path, scope, roles, effect.
    Catalog {
        /// One JSON array, with every column.
        #[arg(long)]
        json: bool,
    },
    /// The audit trail: look at it, prove it, take it elsewhere.
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// What clients may do.
    #[command(subcommand)]
    Policy(Box<policy::PolicyCommand>),
    /// A completion script for a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Args, Debug)]
struct Where {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "GEMINID_CONFIG")]
    config: Option<PathBuf>,
    /// Where bots connect, in place of the only upstream's `listen`.
    #[arg(long, value_name = "ADDRESS", env = "GEMINID_LISTEN", value_delimiter = ',')]
    listen: Option<Vec<SocketAddr>>,
    /// Where probes, metrics and commands are.
    #[arg(long, value_name = "ADDRESS", env = "GEMINID_ADMIN")]
    admin: Option<SocketAddr>,
    /// Where nonce marks, budgets, the audit trail and the operator token are kept.
    #[arg(long, value_name = "DIR", env = "GEMINID_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    process::quiet_panics(say::panicked);
    let Cli { command, logging } = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are answers, not faults; clap knows where each is printed.
        Err(said) if said.kind() == ErrorKind::InvalidSubcommand && is_to_come() => {
            note("error: this command is not in this build yet");
            note("\nhint: `geminid --help` lists those that are");
            return ExitCode::from(USAGE);
        }
        Err(said) => {
            let code = if said.use_stderr() { USAGE } else { 0 };
            return said.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    // Every command that may come to hold a secret; for the others it costs nothing. Before any
    // secret is read, and told of by those that have a log.
    let open = process::harden();
    let code = done(command, logging, open);
    say::flush();
    code
}

/// `open` is what could not be closed to onlookers.
fn done(command: Command, logging: Logging, open: Vec<String>) -> ExitCode {
    match command {
        Command::Serve(place) => on(one_thread(), serve::serve(place, logging, open)),
        Command::Check(place) => serve::check(&place, &logging),
        Command::Init { config, force } => init(&config, force),
        Command::Demo { once } => on(one_thread(), demo::demo(once, logging, open)),
        Command::Simulate(args) => on(Runtime::new(), simulate::run(args)),
        Command::Healthcheck(place) => healthcheck::check(&place, &logging),
        Command::Client(command) => client::run(command, &logging),
        Command::Freeze(args) => freeze::freeze(args, &logging),
        Command::Thaw(args) => freeze::thaw(args, &logging),
        Command::Reload(args) => freeze::reload(&args, &logging),
        Command::Explain(args) => explain::run(&args, &logging),
        Command::Doctor(args) => on(one_thread(), doctor::doctor(args, logging)),
        Command::Catalog { json } => catalog::print(json),
        Command::Audit(command) => audit::run(*command, &logging),
        Command::Policy(command) => policy::run(*command, &logging),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "geminid", &mut text);
            data(&String::from_utf8_lossy(&text));
            ExitCode::SUCCESS
        }
    }
}

/// Whether the command is one that the documentation names and a later release brings.
fn is_to_come() -> bool {
    const TO_COME: &[&str] = &["run"];
    std::env::args().skip(1).any(|it| TO_COME.contains(&it.as_str()))
}

fn init(path: &std::path::Path, force: bool) -> ExitCode {
    match config::init(path, force) {
        Ok(()) => {
            data(&format!("wrote {}: fill in the key, then `geminid check`\n", path.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            fault(&problems, None);
            ExitCode::from(USAGE)
        }
    }
}

/// One thread answers all requests. An exchange takes some ten calls a second from a key, one core
/// signs tens of thousands, and between threads every call would pay for wake-ups and locks: figures
/// are in `docs/performance.md`. What may block (disk, name look-ups, the log) has threads of its own.
fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn on(runtime: io::Result<Runtime>, command: impl Future<Output = ExitCode>) -> ExitCode {
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // What still blocks, such as a look-up of a name, does not hold up the end.
            runtime.shutdown_background();
            code
        }
        Err(source) => {
            fault(&source, Some("the system gives no threads or no event queue"));
            ExitCode::FAILURE
        }
    }
}

impl Where {
    fn overrides(&self, logging: &Logging) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            admin: self.admin,
            state_dir: self.state_dir.clone(),
            log_format: logging.log_format,
            log_level: logging.log_level,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
