//! `serve` and `check`.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::say::{data, fault, note, start_log};
use super::{Logging, USAGE, Where, snippets};
use crate::app::{self, Running};
use crate::clock::SystemClock;
use crate::config::{self, Config, Loaded, StandInPair};
use crate::process;

/// Longer than any upstream call, shorter than what orchestrators grant before they kill.
const DRAIN: Duration = Duration::from_secs(25);

/// `open` is what could not be closed to onlookers.
pub(super) async fn serve(place: Where, logging: Logging, open: Vec<String>) -> ExitCode {
    let overrides = place.overrides(&logging);
    let loaded = match config::load(place.config.as_deref(), &overrides) {
        Ok(loaded) => loaded,
        Err(problems) => {
            fault(&problems, None);
            return ExitCode::from(USAGE);
        }
    };
    let (config, pair) = match loaded {
        Loaded::File(config) => (config, None),
        Loaded::Environment(config, pair) => (config, Some(pair)),
    };
    start_log(config.log);
    tell_start(&config, &open);
    // Before anything is started: a signal that comes early is not lost.
    let ends = Ends::new();
    let running = match app::start(config, overrides, Arc::new(SystemClock::new())).await {
        Ok(running) => running,
        Err(start) => {
            fault(&start, Some(&start.hint()));
            return ExitCode::from(USAGE);
        }
    };
    tell_addresses(&running);
    if let Some(StandInPair { key, secret }) = pair {
        data(&snippets::for_this_run(running.address(), &key, &secret));
    }
    let why = match ends {
        Ok(ends) => ends.wait_and(|| running.reload()).await,
        Err(_) => std::future::pending().await,
    };
    tracing::info!(?why, "draining");
    if running.drain(DRAIN).await {
        tracing::info!("drained");
        ExitCode::SUCCESS
    } else {
        tracing::error!("the drain deadline passed with calls in flight");
        ExitCode::FAILURE
    }
}

pub(super) fn check(place: &Where, logging: &Logging) -> ExitCode {
    match config::load(place.config.as_deref(), &place.overrides(logging)) {
        Ok(Loaded::File(config) | Loaded::Environment(config, _)) => {
            for warning in &config.warnings {
                note(&format!("warning: {warning}"));
            }
            let (upstreams, keys) = (config.upstreams.len(), config.keys.len());
            let clients = config.clients.len();
            data(&format!("ok: upstreams {upstreams}, keys {keys}, clients {clients}\n"));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            fault(&problems, None);
            ExitCode::from(USAGE)
        }
    }
}

fn tell_start(config: &Config, open: &[String]) {
    let file = config.path.as_ref().map(|it| it.display().to_string());
    let (version, open_files) = (env!("CARGO_PKG_VERSION"), process::open_files());
    tracing::info!(version, file, open_files, "geminid starts");
    for warning in open.iter().chain(&config.warnings) {
        tracing::warn!("{warning}");
    }
}

fn tell_addresses(running: &Running) {
    for (upstream, address) in &running.addresses {
        tracing::info!(upstream, %address, "serving");
    }
    tracing::info!(address = %running.admin, "probes and metrics");
}

/// Which signal it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Interrupt,
    Terminate,
}

impl End {
    /// What a command other than `serve` ends with.
    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Self::Interrupt => ExitCode::from(130),
            Self::Terminate => ExitCode::from(143),
        }
    }
}

/// The signals that end a command.
pub(super) struct Ends {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Ends {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and says which. A hang-up has nothing to end here.
    pub(super) async fn wait(self) -> End {
        self.wait_and(|| std::future::ready(())).await
    }

    /// The same; at every hang-up it does what is to be done then. An end is not held up by that.
    pub(super) async fn wait_and<F: Future>(mut self, hung_up: impl Fn() -> F) -> End {
        let (interrupt, terminate, hangup) =
            (&mut self.interrupt, &mut self.terminate, &mut self.hangup);
        let hung_up = async {
            while hangup.recv().await.is_some() {
                drop(hung_up().await);
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            _ = interrupt.recv() => End::Interrupt,
            _ = terminate.recv() => End::Terminate,
            never = hung_up => match never {},
        }
    }
}
