//! Counters and histograms. Every label is bounded: names from the configuration and the catalogue,
//! words from closed lists, never a path or a header.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Facts;
use crate::call::{ClientId, Freeze, KeyName, OperationName};
use crate::health::Condition;
use crate::journal::trail::Trail;
use crate::limit::Budgets;

const SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];

pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    causes: Family<Cause, Counter>,
    corrections: Family<Key, Counter>,
    lane_wait: Family<Key, Histogram>,
    duration: Family<Client, Histogram>,
    in_flight: Gauge,
    frozen: Family<Frozen, Gauge>,
    reloads: Family<Reload, Counter>,
    would_refuse: Family<WouldRefuse, Counter>,
    mutations: Family<Mutation, Counter>,
    incidents: Family<OfCause, Counter>,
    incidents_open: Family<Incident, Gauge>,
    key_state: Family<KeyState, Gauge>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Request {
    client: Option<ClientId>,
    operation: Option<OperationName>,
    status: u16,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Cause {
    cause: &'static str,
    decided_by: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Key {
    key: KeyName,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Client {
    client: Option<ClientId>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Frozen {
    level: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reload {
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct WouldRefuse {
    client: Option<ClientId>,
    cause: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfCause {
    cause: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Incident {
    cause: &'static str,
    /// `None`: of the address that requests leave from.
    key: Option<KeyName>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KeyState {
    key: KeyName,
    state: &'static str,
}

/// Requests that changed something, or may have.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Mutation {
    /// What the trail has of it.
    recorded: &'static str,
}

/// What a scrape reads of the trail itself.
#[derive(Debug)]
struct Visibility(Trail);

impl Collector for Visibility {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(trail) = self;
        let mut counter = |name, help, n: u64| {
            let metric = ConstCounter::new(n);
            let of_it = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(of_it)
        };
        counter("audit_lines", "Lines handed to the audit trail", trail.n_lines())?;
        counter("audit_lost", "Lines of the audit trail that were lost", trail.n_lost())?;
        let fault = ConstGauge::new(u64::from(trail.fault().is_some()));
        let help = "1 while the audit trail cannot be written";
        let of_it = encoder.encode_descriptor("audit_fault", help, None, fault.metric_type())?;
        fault.encode(of_it)
    }
}

/// What a scrape reads of the budgets.
#[derive(Debug)]
struct Followed(Arc<Budgets>);

impl Collector for Followed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(budgets) = self;
        let metric = ConstCounter::new(budgets.let_go());
        let help = "Open orders that were no longer followed, because a client had too many";
        let of_it = encoder.encode_descriptor("orders_let_go", help, None, metric.metric_type())?;
        metric.encode(of_it)
    }
}

macro_rules! label_values {
    ($($type:ident)*) => {$(
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(self.as_str())
            }
        }
    )*};
}
label_values!(ClientId KeyName OperationName);

impl Metrics {
    pub(crate) fn new(trail: &Trail) -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("geminid")),
            requests: Family::default(),
            causes: Family::default(),
            corrections: Family::default(),
            lane_wait: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Gauge::default(),
            frozen: Family::default(),
            reloads: Family::default(),
            would_refuse: Family::default(),
            mutations: Family::default(),
            incidents: Family::default(),
            incidents_open: Family::default(),
            key_state: Family::default(),
        };
        {
            let mut to = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
            to.register("requests", "Requests answered", metrics.requests.clone());
            to.register("causes", "Requests refused or rejected, by cause", metrics.causes.clone());
            let help = "Requests signed afresh because their nonce was refused";
            to.register("nonce_corrections", help, metrics.corrections.clone());
            let help = "Time waited for a turn on the key's lane";
            to.register("lane_wait_seconds", help, metrics.lane_wait.clone());
            let help = "Time from a request's head to its answer's";
            to.register("request_duration_seconds", help, metrics.duration.clone());
            to.register("requests_in_flight", "Requests being answered", metrics.in_flight.clone());
            to.register("frozen", "Clients that are frozen, by level", metrics.frozen.clone());
            let help = "Reloads of the configuration, by what came of them";
            to.register("reloads", help, metrics.reloads.clone());
            let help = "Requests let through that would be refused, were the client not observed";
            to.register("would_refuse", help, metrics.would_refuse.clone());
            let help = "Sent requests that change something, by what the audit trail has of them";
            to.register("audit_mutating_requests", help, metrics.mutations.clone());
            to.register("incidents", "Incidents opened, by cause", metrics.incidents.clone());
            let help = "Incidents that are open; without a key, of the address";
            to.register("incidents_open", help, metrics.incidents_open.clone());
            let help = "1 for the state that a key is in, 0 for the others";
            to.register("key_state", help, metrics.key_state.clone());
            if trail.is_on() {
                to.register_collector(Box::new(Visibility(trail.clone())));
            }
        }
        metrics
    }

    /// Has the budgets tell of themselves.
    pub(crate) fn budgets(&self, budgets: &Arc<Budgets>) {
        let mut to = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        to.register_collector(Box::new(Followed(Arc::clone(budgets))));
    }

    /// Has a key's count of corrections begin at nought, before there is one.
    pub(crate) fn key(&self, name: &KeyName) {
        drop(self.corrections.get_or_create(&Key { key: name.clone() }));
    }

    pub(crate) fn begun(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn finished(&self, facts: &Facts) {
        self.in_flight.dec();
        let client = facts.client.clone();
        let request = Request {
            client: client.clone(),
            operation: facts.operation.clone(),
            status: facts.status,
            outcome: facts.outcome.map_or("aborted", |it| it.as_str()),
        };
        self.requests.get_or_create(&request).inc();
        let seconds = |it: Duration| it.as_secs_f64();
        if let Some(cause) = facts.would_refuse {
            let client = client.clone();
            self.would_refuse.get_or_create(&WouldRefuse { client, cause }).inc();
        }
        if let Some(recorded) = facts.recorded() {
            self.mutations.get_or_create(&Mutation { recorded }).inc();
        }
        self.duration.get_or_create(&Client { client }).observe(seconds(facts.total));
        if let (Some(cause), Some(decided_by)) = (facts.cause, facts.decided_by) {
            self.causes.get_or_create(&Cause { cause, decided_by }).inc();
        }
        if let Some(key) = &facts.key {
            let key = Key { key: key.clone() };
            if let Some(waited) = facts.waited {
                self.lane_wait.get_or_create(&key).observe(seconds(waited));
            }
            if facts.n_resigns > 0 {
                self.corrections.get_or_create(&key).inc_by(u64::from(facts.n_resigns));
            }
        }
    }

    /// So many clients are frozen at this level.
    pub(crate) fn frozen(&self, level: Freeze, n_clients: usize) {
        let gauge = self.frozen.get_or_create(&Frozen { level: level.as_str() });
        gauge.set(i64::try_from(n_clients).unwrap_or(i64::MAX));
    }

    /// A reload ended so.
    pub(crate) fn reloaded(&self, result: &'static str) {
        self.reloads.get_or_create(&Reload { result }).inc();
    }

    /// An incident began.
    pub(crate) fn opened(&self, cause: &'static str, key: Option<&KeyName>) {
        self.incidents.get_or_create(&OfCause { cause }).inc();
        self.incidents_open.get_or_create(&Incident { cause, key: key.cloned() }).inc();
    }

    /// An incident is over.
    pub(crate) fn closed(&self, cause: &'static str, key: Option<&KeyName>) {
        self.incidents_open.get_or_create(&Incident { cause, key: key.cloned() }).dec();
    }

    /// A key is in this state.
    pub(crate) fn condition(&self, key: &KeyName, condition: Condition) {
        for state in Condition::ALL {
            let (key, is_it) = (key.clone(), i64::from(*state == condition));
            self.key_state.get_or_create(&KeyState { key, state: state.as_str() }).set(is_it);
        }
    }

    /// The text that a scrape reads.
    pub(crate) fn render(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes all");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
