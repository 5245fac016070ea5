//! A proxy that serves nobody: for `geminid doctor`, while none runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Parts, Running, StartError, trail};
use crate::clock::Clock;
use crate::config::{Config, Overrides};
use crate::freeze::Freezer;
use crate::journal::StateDir;
use crate::limit::Budgets;
use crate::nonce::ServerClock;
use crate::observe::{Metrics, Observer, Recent};
use crate::reload::Reload;
use crate::task::Tasks;

/// Makes everything that `config` names, and opens no listener: for questions to the exchange while no
/// proxy runs. The state directory is held as long, so that none can be started.
///
/// # Errors
/// If the state directory or a trust anchor cannot be used.
pub(crate) fn at_rest(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let state = StateDir::open(&config.state_dir)?;
    let freezer = Arc::new(Freezer::open(state.path()));
    let (ledger, kept) = state.budgets()?;
    let budgets = Budgets::new(Box::new(ledger.clone()), kept);
    let trail = trail(&config, &clock)?;
    let metrics = Metrics::new(&trail);
    let observer = Arc::new(Observer {
        clock: Arc::clone(&clock),
        metrics,
        trail: trail.clone(),
        recent: Recent::default(),
    });
    let (tasks, drained) = Tasks::new();
    let (stop, _) = watch::channel(false);
    let observing = Arc::clone(&observer);
    let parts =
        Parts { config: &config, clock, observer: observing, state: &state, freezer, budgets };
    let clocks: Vec<Arc<ServerClock>> = config.upstreams.iter().map(|_| Arc::default()).collect();
    let rings = parts.all_rings(&clocks)?;
    let (mut proxies, mut lanes) = (Vec::new(), Vec::new());
    for ((upstream, rings), clock) in config.upstreams.iter().zip(&rings).zip(clocks) {
        let (proxy, tended) = parts.begin(upstream, rings, clock, &tasks, &stop)?;
        proxies.push(proxy);
        lanes.extend(tended);
    }
    let admin = config.admin;
    let served = proxies.iter().cloned().zip(rings).collect();
    let reload = Reload::new(config, Overrides::default(), served, observer);
    let (addresses, servers) = (Vec::new(), Vec::new());
    Ok(Running {
        addresses,
        admin,
        stop,
        servers,
        tasks,
        drained,
        lanes,
        proxies,
        reload,
        trail,
        ledger,
        state,
    })
}
