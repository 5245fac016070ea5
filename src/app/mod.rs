//! Puts the parts together, starts them, and ends them in order.

mod fault;
mod rest;
mod tend;

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::fault::StartError;
use self::fault::{DamagedKey, NoKeyLeft, way_out};
pub(crate) use self::rest::at_rest;
use self::tend::{Tended, learn_the_time, tend};
use crate::admin::{
    self,
    token::{self, Token},
};
use crate::clock::Clock;
use crate::config::{self, Audit, Config, Overrides};
use crate::diagnose::ChangeKind;
use crate::egress::Egress;
use crate::freeze::Freezer;
use crate::health::Health;
use crate::inbound::{self, Bound, Crowd, Doors, Listener, Throttle, Unbound};
use crate::journal::log::Durability;
use crate::journal::trail::Trail;
use crate::journal::{JournalLedger, StateDir};
use crate::limit::Budgets;
use crate::nonce::{Lane, ServerClock};
use crate::observe::{Metrics, Observer, Recent};
use crate::outside::Outside;
use crate::process;
use crate::provider::{Environment, Key, Routes};
use crate::proxy::{Deadlines, Proxy};
use crate::quotes::Quotes;
use crate::ready::Ready;
use crate::reload::{NotReloaded, Reload, Reloaded};
use crate::roster::{self, KeyRing, Rings, Roster};
use crate::task::{self, Drained, Tasks};

/// From one attempt to write an operator token to the next.
const TOKEN_PAUSE: Duration = Duration::from_secs(5);
/// How long the end waits for the disk: with the drain, shorter than what orchestrators grant. A mark
/// that stays as it was lies above the last nonce.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where each upstream is served, in the order of the configuration.
    pub(crate) addresses: Vec<(String, Bound)>,
    pub(crate) admin: SocketAddr,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    tasks: Tasks,
    drained: Drained,
    lanes: Vec<Tended>,
    proxies: Vec<Arc<Proxy>>,
    reload: Arc<Reload>,
    trail: Trail,
    ledger: JournalLedger,
    // Held to the end: another process must not hand out nonces meanwhile.
    state: StateDir,
}

/// Starts everything that `config` names, which was read under `overrides`. Returns once every listener is
/// bound.
///
/// # Errors
/// If an address, the state directory or a trust anchor cannot be used.
pub(crate) async fn start(
    config: Config,
    overrides: Overrides,
    clock: Arc<dyn Clock>,
) -> Result<Running, StartError> {
    let state = StateDir::open(&config.state_dir)?;
    let token = operator_token(&state)?;
    let freezer = Arc::new(Freezer::open(state.path()));
    let (ledger, kept) = state.budgets()?;
    let budgets = Budgets::new(Box::new(ledger.clone()), kept);
    let trail = trail(&config, &clock)?;
    note_start(&trail, &config, &freezer);
    let metrics = Metrics::new(&trail);
    metrics.budgets(&budgets);
    let recent = Recent::default();
    let observer =
        Arc::new(Observer { clock: Arc::clone(&clock), metrics, trail: trail.clone(), recent });
    let (tasks, drained) = Tasks::new();
    let (stop, _) = watch::channel(false);
    let parts = Parts {
        config: &config,
        clock,
        observer: Arc::clone(&observer),
        state: &state,
        freezer: Arc::clone(&freezer),
        budgets,
    };

    let clocks: Vec<Arc<ServerClock>> = config.upstreams.iter().map(|_| Arc::default()).collect();
    let rings = parts.all_rings(&clocks)?;
    let Served { addresses, mut servers, proxies, lanes } =
        parts.serve_all(&rings, clocks, &tasks, &stop).await?;
    let listener = inbound::bind(config.admin).await.map_err(Unbound::from)?;
    let admin = listener.local_addr().map_err(Unbound::from)?;
    let served = proxies.iter().cloned().zip(rings).collect();
    let reload = Reload::new(config, overrides, served, Arc::clone(&observer));
    let face = admin::Face {
        observer,
        proxies: proxies.clone(),
        freezer,
        reload: Arc::clone(&reload),
        token,
        main: Handle::current(),
    };
    // A scrape of many series takes its time, and no order waits for it.
    let apart = task::spawn_apart("admin", admin::serve(listener, face, stop.subscribe()));
    servers.push(apart.map_err(StartError::Thread)?);
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

/// The token that commands want. On a disk that is full one is made as soon as there is room.
fn operator_token(state: &StateDir) -> Result<Arc<Token>, StartError> {
    let path = state.path().to_owned();
    let failed = |fault| StartError::Token { path: token::path(&path), fault };
    let (token, missing) = Token::open(&path).map_err(failed)?;
    if let Some(fault) = missing {
        tracing::error!(
            path = %token::path(&path).display(), %fault,
            hint = "make room in the state directory: commands to this proxy are refused until then",
            "there is no operator token"
        );
        let token = Arc::clone(&token);
        task::spawn("operator token", async move {
            // What is spawned ends with the runtime.
            loop {
                tokio::time::sleep(TOKEN_PAUSE).await;
                if token.retry(&path) {
                    return;
                }
            }
        });
    }
    Ok(token)
}

/// What is in force from now on, be it that it was changed while no proxy ran.
fn note_start(trail: &Trail, config: &Config, freezer: &Freezer) {
    let (policy, frozen) = (roster::version(config), freezer.now());
    let clients = config.clients.len().to_string();
    let frozen = (!frozen.is_empty()).then(|| frozen.json().to_string());
    let fields =
        [("version", env!("CARGO_PKG_VERSION")), ("policy", &policy), ("clients", &clients)];
    let frozen = frozen.iter().map(|it| ("frozen", it.as_str()));
    trail.note("start", &fields.into_iter().chain(frozen).collect::<Vec<_>>());
}

/// The start, as a change that what comes after it may have to do with.
fn start_of(proxy: &Proxy) -> String {
    format!("geminid {} with policy {}", env!("CARGO_PKG_VERSION"), proxy.roster().version)
}

/// Where all that happens is told for good, as far as the operator wants it.
fn trail(config: &Config, clock: &Arc<dyn Clock>) -> Result<Trail, StartError> {
    let durability = match config.audit {
        Audit::Group => Durability::Group,
        Audit::Interval => Durability::Interval,
        Audit::Off => return Ok(Trail::off()),
    };
    let dir = config.state_dir.clone();
    let started = Trail::start(&dir, durability, Arc::clone(clock));
    started.map_err(|fault| StartError::Trail { dir, fault })
}

impl Running {
    /// Where the first upstream is served without TLS.
    pub(crate) fn address(&self) -> SocketAddr {
        let plain = |(_, it): &(String, Bound)| match it {
            Bound::Tcp(address) => Some(*address),
            Bound::Tls(_) | Bound::Unix(_) => None,
        };
        self.addresses.iter().find_map(plain).unwrap_or(self.admin)
    }

    /// Every upstream with its keys, in the order of the configuration.
    pub(crate) fn served(&self) -> &[(Arc<Proxy>, Rings)] {
        self.reload.served()
    }

    /// Takes up the clients of a changed configuration.
    pub(crate) async fn reload(&self) -> Result<Reloaded, NotReloaded> {
        Arc::clone(&self.reload).run().await
    }

    /// Takes no more requests, and waits for those in flight. `false`: `limit` passed before.
    pub(crate) async fn drain(self, limit: Duration) -> bool {
        let Self {
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
            ..
        } = self;
        stop.send_replace(true);
        let everything = async {
            for server in servers {
                // Its own words would repeat the panic's, which may hold foreign bytes.
                if let Err(fault) = server.await {
                    let panicked = fault.is_panic();
                    tracing::error!(panicked, "a listener ended by itself");
                }
            }
            drop((tasks, proxies, reload));
            drained.wait().await;
        };
        let in_time = tokio::time::timeout(limit, everything).await.is_ok();
        let closing = async {
            for Tended { lane, tending } in lanes {
                // Whatever it still writes lies above the last nonce.
                tending.abort();
                drop(tending.await);
                if let Err(fault) = lane.close().await {
                    tracing::error!(%fault, "a nonce mark could not be written");
                }
            }
            ledger.close().await;
            trail.close().await;
        };
        if tokio::time::timeout(LAST_WRITES, closing).await.is_err() {
            tracing::error!(
                "the disk does not answer: the last nonce marks stay as they were, and lines of the audit trail may be lost"
            );
        }
        drop(state);
        in_time
    }
}

/// Every upstream, served.
#[derive(Default)]
struct Served {
    addresses: Vec<(String, Bound)>,
    servers: Vec<JoinHandle<()>>,
    proxies: Vec<Arc<Proxy>>,
    lanes: Vec<Tended>,
}

/// What every upstream is made of.
struct Parts<'a> {
    config: &'a Config,
    clock: Arc<dyn Clock>,
    observer: Arc<Observer>,
    state: &'a StateDir,
    freezer: Arc<Freezer>,
    budgets: Arc<Budgets>,
}

impl Parts<'_> {
    /// Opens every listener.
    async fn serve_all(
        &self,
        rings: &[Rings],
        clocks: Vec<Arc<ServerClock>>,
        tasks: &Tasks,
        stop: &watch::Sender<bool>,
    ) -> Result<Served, StartError> {
        let crowd = Crowd::new(process::open_files());
        let mut served = Served::default();
        for ((upstream, rings), clock) in self.config.upstreams.iter().zip(rings).zip(clocks) {
            let (proxy, lanes) = self.begin(upstream, rings, clock, tasks, stop)?;
            served.lanes.extend(lanes);
            for listen in &upstream.listen {
                let listener = Listener::open(listen).await?;
                served.addresses.push((upstream.name.clone(), listener.bound()?));
                served.servers.push(serve(listener, &crowd, Arc::clone(&proxy), stop));
            }
            served.proxies.push(proxy);
        }
        Ok(served)
    }

    /// One upstream, which asks for the time and keeps its marks ahead from now on.
    fn begin(
        &self,
        upstream: &config::Upstream,
        rings: &Rings,
        clock: Arc<ServerClock>,
        tasks: &Tasks,
        stop: &watch::Sender<bool>,
    ) -> Result<(Arc<Proxy>, Vec<Tended>), StartError> {
        let proxy = Arc::new(self.proxy(upstream, rings, clock, tasks.clone())?);
        let (detail, now) = (start_of(&proxy), self.clock.monotonic());
        proxy.health.changed(ChangeKind::Start, detail, now);
        let lanes = lanes_of(rings).map(|lane| tend(lane, &proxy)).collect();
        task::spawn("first answer", learn_the_time(Arc::clone(&proxy), stop.subscribe()));
        Ok((proxy, lanes))
    }

    /// The keys of every upstream. A key whose marks are damaged gets no lane; without any lane there is
    /// no start.
    fn all_rings(&self, clocks: &[Arc<ServerClock>]) -> Result<Vec<Rings>, StartError> {
        let clocks = clocks.iter().enumerate();
        let all = clocks.map(|(upstream, clock)| self.rings(upstream, clock));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let damaged = |ring: &Arc<KeyRing>| {
            let damage = ring.lane.as_ref().err()?.clone();
            Some(DamagedKey { key: ring.key.name.clone(), damage })
        };
        let lost: Vec<_> = all.iter().flat_map(Rings::values).filter_map(damaged).collect();
        if !lost.is_empty() && all.iter().flat_map(lanes_of).next().is_none() {
            return Err(StartError::Damaged(NoKeyLeft(lost)));
        }
        for key in lost {
            let hint = way_out(std::slice::from_ref(&key));
            tracing::error!(key = %key.key, hint, "{key}");
        }
        Ok(all)
    }

    fn rings(&self, upstream: usize, server_clock: &Arc<ServerClock>) -> Result<Rings, StartError> {
        let mut rings = Rings::new();
        let keys = self.config.keys.iter().enumerate();
        for (index, key) in keys.filter(|(_, it)| it.upstream == upstream) {
            let found = self.state.marks(&key.credential.fingerprint())?;
            let how = (key.nonce, key.unit);
            let clock = Arc::clone(server_clock);
            let lane = found.map(|(kept, marks)| {
                Lane::new(key.name.clone(), how, kept, clock, Box::new(marks))
            });
            self.observer.metrics.key(&key.name);
            let (name, credential) = (key.name.clone(), Arc::clone(&key.credential));
            let source = key.source.clone();
            let key = Key::new(name, key.account.clone(), credential);
            let looked = AtomicU64::new(0);
            rings.insert(index, Arc::new(KeyRing { key, lane, looked, source }));
        }
        Ok(rings)
    }

    fn proxy(
        &self,
        upstream: &config::Upstream,
        rings: &Rings,
        server_clock: Arc<ServerClock>,
        tasks: Tasks,
    ) -> Result<Proxy, StartError> {
        let roster = Arc::new(Roster::of(self.config, rings));
        let egress = Egress::new(upstream.into(), Arc::clone(&self.clock))?;
        let known = upstream.provider.operations().iter();
        Ok(Proxy {
            provider: upstream.provider,
            environment: upstream.environment,
            routes: Routes::new(known.chain(&upstream.operations)),
            doors: doors(upstream),
            public: upstream.public,
            roster: RwLock::new(roster),
            freezer: Arc::clone(&self.freezer),
            budgets: Arc::clone(&self.budgets),
            quotes: Quotes::default(),
            egress,
            egress_ip: upstream.bind.map(|it| it.to_string().into()),
            deadlines: Deadlines { order: upstream.timeout.order, read: upstream.timeout.read },
            health: Health::of(rings.values().map(|it| it.name())),
            probe: upstream.probe,
            outside: Outside::new(upstream, &self.clock)?,
            expected: upstream.expect.clone(),
            server_clock,
            ready: Arc::new(Ready::new(lanes_of(rings).count())),
            clock: Arc::clone(&self.clock),
            replays: Arc::default(),
            throttle: Throttle::default(),
            observer: Arc::clone(&self.observer),
            tasks,
        })
    }
}

/// The names an upstream's listeners answer to: its own, and those that the operator adds. A bot that
/// has us as its forward proxy names the exchange itself.
fn doors(upstream: &config::Upstream) -> Doors {
    let environment = match upstream.environment {
        Environment::Production | Environment::Simulator => Environment::Production,
        Environment::Sandbox => Environment::Sandbox,
    };
    let provider = upstream.provider;
    let own = [provider.host(environment), provider.stream_host(environment)];
    let own = own.into_iter().flatten().map(str::to_owned);
    let override_host = upstream.rest.host.trim_matches(['[', ']']).to_owned();
    Doors::new(own.chain([override_host]).chain(upstream.hosts.iter().cloned()))
}

fn serve(
    listener: Listener,
    crowd: &Arc<Crowd>,
    proxy: Arc<Proxy>,
    stop: &watch::Sender<bool>,
) -> JoinHandle<()> {
    let handle = move |request, peer| Arc::clone(&proxy).handle(request, peer);
    let crowd = Arc::clone(crowd);
    task::spawn("listener", inbound::serve(listener, crowd, handle, stop.subscribe()))
}

fn lanes_of(rings: &Rings) -> impl Iterator<Item = &Arc<Lane>> {
    rings.values().filter_map(|it| it.lane.as_ref().ok())
}
