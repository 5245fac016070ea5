//! A simulated exchange, for tests and for trying bots out.
//!
//! 1. It speaks HTTPS with a certificate of its own making, and checks every signature, nonce and
//!    role as the real exchange is documented to. `venue` has the path of a request.
//! 2. It shares no code with the proxy, so that it can contradict it.
//! 3. It keeps a ledger of all that it was asked and all that it did, and it can be told by a
//!    script to fail.
//! 4. Absent: WebSockets, OAuth, rate limits of its own, a market that moves.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use geminid::simulator::{Options, Simulator};
//!
//! let simulator = Simulator::start(Options::default()).await?;
//! println!("{} trusts {}", simulator.url(), simulator.ca_pem());
//! simulator.script(r#"{"path":"/v1/order/new","do":{"close":"after_execute"}}"#)?;
//! assert!(simulator.ledger().executed_twice().is_empty());
//! # Ok(())
//! # }
//! ```

mod account;
mod admin;
mod catalog;
mod control;
mod decimal;
mod funds;
mod gate;
mod gzip;
mod key;
mod ledger;
mod market;
mod order_calls;
mod orders;
mod payload;
mod play;
mod predictions;
mod refusals;
mod reply;
mod script;
mod server;
mod status_page;
mod tls;
mod venue;
mod watched;

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::task;

pub use account::AccountState;
pub use key::KeySpec;
pub use key::NonceRule;
pub use key::Role;
pub use ledger::Entry;
pub use ledger::KeyTally;
pub use ledger::Ledger;
pub use ledger::SentHeaders;
pub use ledger::Verdict;
pub use refusals::Known;
pub use refusals::Refused;
pub use refusals::refusals;
pub use script::Action;
pub use script::Canned;
pub use script::Close;
pub use script::Cut;
pub use script::Encoding;
pub use script::Fill;
pub use script::Hangup;
pub use script::Informational;
pub use script::Latin1;
pub use script::Page;
pub use script::RequestCut;
pub use script::Rule;
pub use script::Then;
pub use status_page::StatusPage;
pub use tls::Identity;

/// How a [`Simulator`] is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub clock: Arc<dyn Clock>,
    pub keys: Vec<KeySpec>,
    /// How long every answer is on its way.
    pub delay: Duration,
    /// How far the exchange's clock is from `clock`: its `Date` and its nonce window.
    pub clock_offset_seconds: i64,
    pub http1_only: bool,
    /// What an unknown key is answered with: 400 as callers have seen it, or the documented 403.
    pub unknown_key_status: u16,
    pub script: Vec<Rule>,
    /// Another simulator's certificate, to take its place.
    pub identity: Option<Identity>,
    pub ledger_entries: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Arc::new(SystemClock::new()),
            keys: KeySpec::defaults(NonceRule::Increasing),
            delay: Duration::ZERO,
            clock_offset_seconds: 0,
            http1_only: false,
            unknown_key_status: 400,
            script: Vec::new(),
            identity: None,
            ledger_entries: 200_000,
        }
    }
}

/// A running simulated exchange. It ends when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    identity: Identity,
    venue: Arc<venue::Venue>,
    // Its end is the sign to stop.
    stop: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Starts one on the current runtime.
    ///
    /// # Errors
    /// If the address is taken, or no certificate can be made.
    pub async fn start(options: Options) -> io::Result<Self> {
        let Options { listen, clock, keys, delay, clock_offset_seconds, http1_only, .. } = options;
        let Options { unknown_key_status, script, identity, ledger_entries, .. } = options;
        let identity = identity.map_or_else(Identity::generate, Ok)?;
        let acceptor = TlsAcceptor::from(identity.server(http1_only)?);
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let settings = venue::Settings {
            delay,
            clock_offset_seconds,
            unknown_key_status,
            status_page: StatusPage::default(),
        };
        let venue = Arc::new(venue::Venue::new(clock, settings, ledger_entries));
        for key in keys {
            venue.add_key(key);
        }
        venue.state().script.add(script);
        let (stop, stopping) = watch::channel(());
        let serving = server::serve(listener, acceptor, Arc::clone(&venue), stopping);
        let accepting = task::spawn("simulated exchange", serving);
        Ok(Self { address, identity, venue, stop, accepting })
    }

    /// Ends it, and waits until its port is free.
    pub async fn stop(self) {
        let Self { stop, accepting, .. } = self;
        drop(stop);
        if let Err(fault) = accepting.await {
            tracing::debug!(%fault, "the simulated exchange did not end well");
        }
    }

    /// Adds a key, or replaces the one of that name; its nonce mark stays, unless the key brings one.
    pub fn add_key(&self, key: KeySpec) {
        self.venue.add_key(key);
    }

    /// From now on the account is in that state; it is made if it is not there.
    pub fn set_account(&self, name: &str, state: AccountState) {
        self.venue.set_account(name, state);
    }

    /// What the status page says from now on.
    pub fn set_status_page(&self, page: StatusPage) {
        self.venue.state().settings.status_page = page;
    }

    pub fn add_rules(&self, rules: Vec<Rule>) {
        self.venue.state().script.add(rules);
    }

    /// Adds one rule or a list of rules, written in JSON.
    ///
    /// # Errors
    /// If it is not a script.
    pub fn script(&self, json: &str) -> io::Result<()> {
        self.add_rules(script::parse(json.as_bytes())?);
        Ok(())
    }

    pub fn clear_script(&self) {
        self.venue.state().script.clear();
    }

    pub fn set_clock_offset_seconds(&self, offset: i64) {
        self.venue.state().settings.clock_offset_seconds = offset;
    }

    pub fn set_delay(&self, delay: Duration) {
        self.venue.state().settings.delay = delay;
    }

    /// Forgets the requests so far.
    pub fn reset_ledger(&self) {
        self.venue.state().ledger.reset();
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:…`, the name on the certificate.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub fn ca_pem(&self) -> &str {
        self.identity.ca_pem()
    }

    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A copy of what has been recorded so far.
    pub fn ledger(&self) -> Ledger {
        self.venue.state().ledger.snapshot()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.venue.connections.load(Ordering::Relaxed)
    }

    /// Connections of which the TLS handshake succeeded.
    pub fn handshakes(&self) -> u64 {
        self.venue.handshakes.load(Ordering::Relaxed)
    }
}

/// Reads a script: one rule, or a list of rules.
///
/// # Errors
/// If it is not one.
pub fn parse_script(json: &str) -> io::Result<Vec<Rule>> {
    Ok(script::parse(json.as_bytes())?)
}
