//! Incidents and keys that are set aside, told: one line in the log, a note in the audit trail, counters.
//! Each when it begins and when it ends, and not in between.

use serde_json::Value;

use super::Observer;
use crate::call::KeyName;
use crate::health::{Incident, Turned};

impl Observer {
    pub(crate) fn turned(&self, turned: &Turned) {
        match turned {
            Turned::Opened(incident) => {
                self.metrics.opened(incident.cause.code(), incident.key.as_ref());
                self.opened(incident);
            }
            Turned::Closed(incident) => {
                self.metrics.closed(incident.cause.code(), incident.key.as_ref());
                self.closed(incident);
            }
            Turned::Quarantined { key, cause } => {
                let (key, cause) = (key.as_str(), cause.code());
                tracing::warn!(
                    key,
                    cause,
                    hint = "nothing is sent with it but one call in 30 s, until the exchange takes it again",
                    "key set aside"
                );
                self.trail.note("quarantined", &[("key", key), ("cause", cause)]);
            }
            Turned::Released { key, lasted } => {
                let (key, seconds) = (key.as_str(), lasted.as_secs());
                tracing::info!(key, seconds, "key taken again");
                let seconds = seconds.to_string();
                self.trail.note("released", &[("key", key), ("seconds", &seconds)]);
            }
        }
    }

    fn opened(&self, incident: &Incident) {
        let Incident { id, cause, key, operations, line, fix, report, change, .. } = incident;
        let (incident, cause) = (id.as_str(), cause.code());
        let key = key.as_ref().map(KeyName::as_str);
        let egress_ip = egress_ip(report);
        let operation = operations.last().map_or("", |it| it.as_str());
        let fix = fix.as_ref().map(|it| it.text.as_str());
        let change = change.as_ref().map(|it| it.detail.as_str());
        tracing::warn!(incident, cause, key, egress_ip, operation, fix, change, "incident: {line}");
        let named = [("key", key), ("egress_ip", egress_ip.as_deref()), ("change", change)];
        let named = named.into_iter().filter_map(|(name, it)| Some((name, it?)));
        let fields = [("incident", incident), ("cause", cause), ("operation", operation)];
        self.trail.note("incident-opened", &fields.into_iter().chain(named).collect::<Vec<_>>());
    }

    fn closed(&self, incident: &Incident) {
        let Incident { id, cause, key, n_rejected, ended, lasted, .. } = incident;
        let (incident, cause) = (id.as_str(), cause.code());
        let key = key.as_ref().map(KeyName::as_str);
        let (seconds, n_rejected) = (lasted.as_secs(), *n_rejected);
        let by = ended.map_or("", |(_, by)| by.as_str());
        tracing::info!(incident, cause, key, seconds, n_rejected, by, "incident over");
        let (seconds, n_rejected) = (seconds.to_string(), n_rejected.to_string());
        let fields = [
            ("incident", incident),
            ("cause", cause),
            ("by", by),
            ("seconds", &*seconds),
            ("rejected", &*n_rejected),
        ];
        let key = key.map(|it| ("key", it));
        self.trail.note("incident-closed", &fields.into_iter().chain(key).collect::<Vec<_>>());
    }
}

/// Where the rejected requests left from, as far as the diagnosis knows.
fn egress_ip(report: &str) -> Option<String> {
    let report: Value = serde_json::from_str(report).ok()?;
    Some(report.get("egress_ip")?.as_str()?.to_owned())
}
