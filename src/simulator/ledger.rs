//! What the simulated exchange has seen and done.
//!
//! 1. Every request has one [`Entry`], made when it arrives and completed when it has been judged.
//!    The simulator's own `/_simulator/…` is not in it.
//! 2. `executed` tells whether the call took effect, whatever then became of the answer.
//! 3. Only the last so many entries are kept; the tallies of keys and paths go on counting.
//! 4. A [`Ledger`] is a copy: it does not change while a test looks at it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::clock::UnixMicros;
use crate::simulator::decimal::Number;

/// How many different paths, and how many keys, are counted one by one.
const MAX_COUNTED: usize = 1_000;

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Not yet judged: a scripted delay holds it.
    Pending,
    Executed,
    Rejected {
        reason: String,
    },
    /// A script interfered; `executed` tells on which side of the execution.
    Fault {
        kind: &'static str,
    },
}

impl Verdict {
    const fn label(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Executed => "executed",
            Self::Rejected { .. } => "rejected",
            Self::Fault { .. } => "fault",
        }
    }

    fn detail(&self) -> Option<&str> {
        match self {
            Self::Pending | Self::Executed => None,
            Self::Rejected { reason } => Some(reason),
            Self::Fault { kind } => Some(kind),
        }
    }
}

/// The headers of a request, as far as a test may ask about them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SentHeaders {
    /// Every name, in the order received.
    pub names: Vec<String>,
    pub host: Option<String>,
    pub content_type: Option<String>,
    pub content_length: Option<String>,
    pub cache_control: Option<String>,
    pub user_agent: Option<String>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    pub sequence: u64,
    pub at: UnixMicros,
    /// The connection it came over, counted from 1.
    pub connection: u64,
    pub http: &'static str,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    /// The API key as sent, known or not.
    pub key: Option<Arc<str>>,
    /// The nonce's digits as sent.
    pub nonce: Option<String>,
    pub nonce_accepted: bool,
    /// The JSON of `X-GEMINI-PAYLOAD`.
    pub payload: Option<String>,
    pub body_bytes: usize,
    pub headers: Arc<SentHeaders>,
    pub verdict: Verdict,
    pub executed: bool,
    /// The status that was sent; none if the connection was closed instead.
    pub status: Option<u16>,
    /// The length of the whole answer, head and all, if it was written by hand.
    pub answer_bytes: Option<u64>,
    pub order_id: Option<u64>,
    pub client_order_id: Option<String>,
}

impl Entry {
    pub(crate) fn json(&self) -> Value {
        json!({
            "sequence": self.sequence,
            "timestampms": self.at.millis(),
            "connection": self.connection,
            "http": self.http,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "key": self.key.as_deref(),
            "nonce": self.nonce,
            "nonce_accepted": self.nonce_accepted,
            "payload": self.payload,
            "body_bytes": self.body_bytes,
            "content_type": self.headers.content_type,
            "content_length": self.headers.content_length,
            "cache_control": self.headers.cache_control,
            "host": self.headers.host,
            "user_agent": self.headers.user_agent,
            "header_names": self.headers.names,
            "verdict": self.verdict.label(),
            "detail": self.verdict.detail(),
            "executed": self.executed,
            "status": self.status,
            "answer_bytes": self.answer_bytes,
            "order_id": self.order_id.map(|it| it.to_string()),
            "client_order_id": self.client_order_id,
        })
    }
}

/// What one key has done since the start or the last reset.
#[derive(Clone, Debug)]
pub struct KeyTally {
    /// Requests that carried a nonce.
    pub arrivals: u64,
    pub accepted: u64,
    pub executed: u64,
    /// Whether each nonce was above the one that arrived before it.
    pub increasing: bool,
    last: Option<Number>,
}

impl Default for KeyTally {
    fn default() -> Self {
        Self { arrivals: 0, accepted: 0, executed: 0, increasing: true, last: None }
    }
}

/// A copy of the ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    keys: BTreeMap<Arc<str>, KeyTally>,
}

impl Ledger {
    /// Every request that is still kept, oldest first.
    pub fn requests(&self) -> &[Entry] {
        &self.entries
    }

    /// The requests that took effect.
    pub fn executed(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|it| it.executed).collect()
    }

    /// The requests of one path.
    pub fn at_path(&self, path: &str) -> Vec<&Entry> {
        self.entries.iter().filter(|it| it.path == path).collect()
    }

    /// The nonces of a key in the order of their arrival, accepted or not.
    pub fn arrivals(&self, key: &str) -> Vec<&str> {
        let of_key = self.entries.iter().filter(|it| it.key.as_deref() == Some(key));
        of_key.filter_map(|it| it.nonce.as_deref()).collect()
    }

    /// The nonces of a key that were accepted.
    pub fn accepted(&self, key: &str) -> Vec<&str> {
        let of_key = self.entries.iter().filter(|it| it.key.as_deref() == Some(key));
        of_key.filter(|it| it.nonce_accepted).filter_map(|it| it.nonce.as_deref()).collect()
    }

    pub fn key(&self, key: &str) -> KeyTally {
        self.keys.get(key).cloned().unwrap_or_default()
    }

    /// Whether a key's nonces arrived in strictly increasing order, all of them.
    pub fn is_strictly_increasing(&self, key: &str) -> bool {
        self.key(key).increasing
    }

    /// The `client_order_id`s of which more than one order was placed.
    pub fn executed_twice(&self) -> Vec<String> {
        twice(self.entries.iter())
    }
}

fn twice<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<String> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut twice = Vec::new();
    for entry in entries.filter(|it| it.executed && it.path == "/v1/order/new") {
        let Some(id) = entry.client_order_id.as_deref() else { continue };
        let count = seen.entry(id).or_default();
        *count += 1;
        if *count == 2 {
            twice.push(id.to_owned());
        }
    }
    twice
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) verdict: Verdict,
    pub(crate) executed: bool,
    pub(crate) nonce_accepted: bool,
    pub(crate) status: Option<u16>,
    pub(crate) answer_bytes: Option<u64>,
    pub(crate) order_id: Option<u64>,
}

impl Ending {
    /// Of a request that was not judged.
    pub(crate) const fn unanswered(kind: &'static str) -> Self {
        Self {
            verdict: Verdict::Fault { kind },
            executed: false,
            nonce_accepted: false,
            status: None,
            answer_bytes: None,
            order_id: None,
        }
    }
}

/// The ledger that is being written.
#[derive(Debug)]
pub(crate) struct Recorder {
    // Consecutive sequence numbers, the last of them `next - 1`.
    entries: VecDeque<Entry>,
    next: u64,
    limit: usize,
    keys: BTreeMap<Arc<str>, KeyTally>,
    paths: BTreeMap<String, BTreeMap<&'static str, u64>>,
    // Nearly every request of a client has the headers of the one before.
    headers: Arc<SentHeaders>,
}

impl Recorder {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            next: 1,
            limit: limit.max(1),
            keys: BTreeMap::new(),
            paths: BTreeMap::new(),
            headers: Arc::default(),
        }
    }

    /// Forgets everything, but goes on numbering.
    pub(crate) fn reset(&mut self) {
        *self = Self { next: self.next, ..Self::new(self.limit) };
    }

    /// Files a request that has just arrived and returns its number.
    pub(crate) fn arrived(&mut self, mut entry: Entry) -> u64 {
        if *entry.headers != *self.headers {
            self.headers = Arc::clone(&entry.headers);
        }
        entry.headers = Arc::clone(&self.headers);
        let room = |key| self.keys.len() < MAX_COUNTED || self.keys.contains_key(key);
        if let (Some(key), Some(nonce)) = (entry.key.as_ref().filter(|it| room(*it)), &entry.nonce)
        {
            let tally = self.keys.entry(Arc::clone(key)).or_default();
            tally.arrivals += 1;
            if let Some(number) = Number::parse(nonce) {
                tally.increasing &= tally.last.as_ref().is_none_or(|last| number > *last);
                tally.last = Some(number);
            }
        }
        if self.entries.len() >= self.limit {
            self.entries.pop_front();
        }
        entry.sequence = self.next;
        self.next += 1;
        self.entries.push_back(entry);
        self.next - 1
    }

    pub(crate) fn ended(&mut self, sequence: u64, ending: Ending) {
        let from_end = usize::try_from(self.next - sequence).unwrap_or(usize::MAX);
        let place = self.entries.len().checked_sub(from_end);
        let Some(entry) = place.and_then(|it| self.entries.get_mut(it)) else { return };
        let Ending { verdict, executed, nonce_accepted, status, answer_bytes, order_id } = ending;
        if let Some(tally) = entry.key.as_ref().and_then(|it| self.keys.get_mut(it)) {
            tally.accepted += u64::from(nonce_accepted);
            tally.executed += u64::from(executed);
        }
        let known = self.paths.len() < MAX_COUNTED || self.paths.contains_key(&entry.path);
        let path = if known { entry.path.clone() } else { "(others)".to_owned() };
        *self.paths.entry(path).or_default().entry(verdict.label()).or_default() += 1;
        entry.verdict = verdict;
        entry.executed = executed;
        entry.nonce_accepted = nonce_accepted;
        entry.status = status;
        entry.answer_bytes = answer_bytes;
        entry.order_id = order_id;
    }

    pub(crate) fn snapshot(&self) -> Ledger {
        Ledger { entries: self.entries.iter().cloned().collect(), keys: self.keys.clone() }
    }

    pub(crate) fn json(&self, since: u64) -> Value {
        let newer = self.entries.iter().filter(|it| it.sequence > since);
        let entries: Vec<_> = newer.map(Entry::json).collect();
        json!({ "entries": entries, "last": self.next - 1 })
    }

    pub(crate) fn summary(&self) -> Value {
        let keys: BTreeMap<_, _> = self
            .keys
            .iter()
            .map(|(key, tally)| {
                let KeyTally { arrivals, accepted, executed, increasing, last: _ } = tally;
                let tally = json!({
                    "arrivals": arrivals, "accepted": accepted, "executed": executed,
                    "strictly_increasing": increasing,
                });
                (key.as_ref(), tally)
            })
            .collect();
        json!({
            "requests": self.next - 1,
            "paths": self.paths,
            "keys": keys,
            "client_order_ids_executed_twice": twice(self.entries.iter()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(nonce: &str, id: &str) -> Entry {
        Entry {
            sequence: 0,
            at: UnixMicros(0),
            connection: 1,
            http: "1.1",
            method: "POST".to_owned(),
            path: "/v1/order/new".to_owned(),
            query: None,
            key: Some("account-a".into()),
            nonce: Some(nonce.to_owned()),
            nonce_accepted: false,
            payload: None,
            body_bytes: 0,
            headers: Arc::default(),
            verdict: Verdict::Pending,
            executed: false,
            status: None,
            answer_bytes: None,
            order_id: None,
            client_order_id: Some(id.to_owned()),
        }
    }

    fn execute(recorder: &mut Recorder, sequence: u64) {
        let ending = Ending {
            verdict: Verdict::Executed,
            executed: true,
            nonce_accepted: true,
            status: Some(200),
            answer_bytes: None,
            order_id: Some(7),
        };
        recorder.ended(sequence, ending);
    }

    #[test]
    fn the_oldest_entries_go_and_the_tallies_stay() {
        let mut recorder = Recorder::new(2);
        let first = recorder.arrived(arrival("1", "a"));
        for (nonce, id) in [("2", "b"), ("3", "b")] {
            let sequence = recorder.arrived(arrival(nonce, id));
            execute(&mut recorder, sequence);
        }
        // Too late: its entry has made room.
        execute(&mut recorder, first);
        let ledger = recorder.snapshot();
        assert_eq!(ledger.arrivals("account-a"), ["2", "3"]);
        assert_eq!(ledger.executed().len(), 2);
        assert_eq!(ledger.executed_twice(), ["b"]);
        assert_eq!(ledger.key("account-a").arrivals, 3);
        assert!(ledger.is_strictly_increasing("account-a"));
        recorder.arrived(arrival("3.0", "c"));
        assert!(!recorder.snapshot().is_strictly_increasing("account-a"));
    }
}
