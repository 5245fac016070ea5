//! Takes up the clients of a changed configuration, in a proxy that goes on running.
//!
//! 1. The configuration is read again whole, from the same path and under the same flags. One with a
//!    problem changes nothing.
//! 2. Only `[[clients]]` is taken up. If anything else differs nothing is, because half a change is a
//!    configuration that nobody wrote; the answer names what needs a restart. A secret that was taken up
//!    from its file meanwhile is no difference.
//! 3. All upstreams change at once, keys and lanes stay. A request in flight keeps the roster that it
//!    began with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::call::ClientId;
use crate::config::{self, Config, Overrides, Problems};
use crate::diagnose::ChangeKind;
use crate::observe::Observer;
use crate::proxy::Proxy;
use crate::roster::{self, Rings, Roster};

/// What a running proxy was made of, as far as it can be made anew.
#[derive(Debug)]
pub(crate) struct Reload {
    /// Its clients are those of the start.
    started: Config,
    overrides: Overrides,
    served: Vec<(Arc<Proxy>, Rings)>,
    observer: Arc<Observer>,
    // Held while a configuration is read and taken up, so that the one read last is the one that counts.
    turn: Mutex<()>,
}

/// What was taken up.
#[derive(Clone, Debug)]
pub(crate) struct Reloaded {
    pub(crate) path: PathBuf,
    pub(crate) clients: Vec<ClientId>,
    pub(crate) policy: Arc<str>,
    /// Whether anything that decides is other than before. A new token alone is not.
    pub(crate) changed: bool,
    pub(crate) warnings: Vec<String>,
}

/// Why nothing was taken up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReloaded {
    #[error("{0}")]
    Problems(Problems),
    #[error("{} changed beyond `clients`: {}", path.display(), sections.join(", "))]
    Restart { path: PathBuf, sections: Vec<&'static str> },
    #[error("the configuration was made of the environment, and there is no file to read")]
    NoFile,
    #[error("a fault while the configuration was read")]
    Fault,
}

impl NotReloaded {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Problems(_) => "nothing has changed: put this right and reload again",
            Self::Restart { .. } => {
                "nothing has changed: restart geminid to take up these sections, or undo them and reload again"
            }
            Self::NoFile => "nothing has changed: `geminid init` writes a file to start from",
            Self::Fault => "nothing has changed: report it, with the log",
        }
    }

    /// A word for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Problems(_) | Self::NoFile => "refused",
            Self::Restart { .. } => "needs_restart",
            Self::Fault => "fault",
        }
    }
}

impl Reload {
    pub(crate) fn new(
        started: Config,
        overrides: Overrides,
        served: Vec<(Arc<Proxy>, Rings)>,
        observer: Arc<Observer>,
    ) -> Arc<Self> {
        Arc::new(Self { started, overrides, served, observer, turn: Mutex::new(()) })
    }

    /// Every upstream with its keys, be they used by a client or not.
    pub(crate) fn served(&self) -> &[(Arc<Proxy>, Rings)] {
        &self.served
    }

    /// Reads the configuration again and takes up its clients. What came of it is in the log too.
    pub(crate) async fn run(self: Arc<Self>) -> Result<Reloaded, NotReloaded> {
        let this = Arc::clone(&self);
        // Files and, one day, commands: nothing that a request should wait for.
        let read = tokio::task::spawn_blocking(move || this.reload()).await;
        let result = read.unwrap_or(Err(NotReloaded::Fault));
        self.tell(&result);
        result
    }

    fn reload(&self) -> Result<Reloaded, NotReloaded> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = self.started.path.clone() else { return Err(NotReloaded::NoFile) };
        let config = config::reread(&path, &self.overrides).map_err(NotReloaded::Problems)?;
        let sections = config::beyond_clients(&self.running(), &config);
        if !sections.is_empty() {
            return Err(NotReloaded::Restart { path, sections });
        }
        let policy = roster::version(&config);
        let changed = self.served.iter().any(|(proxy, _)| proxy.roster().version != policy);
        // All are made before the first is taken up.
        let rosters =
            self.served.iter().map(|(proxy, rings)| (proxy, Arc::new(Roster::of(&config, rings))));
        for (proxy, roster) in rosters.collect::<Vec<_>>() {
            let (before, after) = (proxy.roster(), Arc::clone(&roster.version));
            proxy.enlist(roster);
            let detail = if before.version == after {
                format!("policy {after}, unchanged; credentials may differ")
            } else {
                format!("policy {} → {after}", before.version)
            };
            proxy.health.changed(ChangeKind::Reload, detail, proxy.clock.monotonic());
        }
        let clients = config.clients.iter().map(|it| it.id.clone()).collect();
        let warnings = config.warnings;
        Ok(Reloaded { path, clients, policy, changed, warnings })
    }

    /// What is running: as it was started, but for secrets that were taken up from their files since.
    fn running(&self) -> Config {
        let mut running = self.started.clone();
        for (index, ring) in self.served.iter().flat_map(|(_, rings)| rings) {
            if let Some(key) = running.keys.get_mut(*index) {
                key.credential = ring.key.credential();
            }
        }
        running
    }

    fn tell(&self, result: &Result<Reloaded, NotReloaded>) {
        match result {
            Ok(Reloaded { path, clients, policy, changed, warnings }) => {
                let n_clients = clients.len();
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(
                    path = %path.display(), n_clients, policy = &**policy, changed, "reloaded"
                );
                self.observer.metrics.reloaded("applied");
                let names: Vec<&str> = clients.iter().map(ClientId::as_str).collect();
                self.observer.trail.note(
                    "reload",
                    &[
                        ("result", "applied"),
                        ("policy", policy),
                        ("changed", if *changed { "yes" } else { "no" }),
                        ("clients", &n_clients.to_string()),
                        ("names", &names.join(" ")),
                    ],
                );
            }
            Err(fault) => {
                tracing::error!(hint = fault.hint(), "not reloaded: {fault}");
                self.observer.metrics.reloaded(fault.word());
                self.observer.trail.note("reload", &[("result", fault.word())]);
            }
        }
    }
}
