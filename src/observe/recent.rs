//! The requests of the last hour, for an operator who asks after one.
//!
//! 1. Bounded in time, number and bytes. What was refused or rejected is kept apart, so that many
//!    successes do not push out the one failure that is asked after.
//! 2. It costs a success next to nothing: the facts move in when the request is over, and the payload
//!    that was signed is the header's own bytes, decoded when somebody asks.
//! 3. No key, no signature, no token: they are no facts.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::Facts;
use super::audit::{self, Event};
use crate::call::OperationName;
use crate::clock::UnixMicros;
use crate::nonce::Reading;

const HOUR: Duration = Duration::from_secs(3_600);

/// What is kept, at its most.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    n_rows: usize,
    n_bytes: usize,
}

/// Together 2,048 requests and 6 MiB: what lies longer is out of the caches when it is let go.
const SERVED: Bounds = Bounds { n_rows: 1_024, n_bytes: 3 << 20 };
const REFUSED: Bounds = Bounds { n_rows: 1_024, n_bytes: 3 << 20 };

/// Why one is not found.
pub(crate) const KEPT: &str = "the last hour is kept, up to 1,024 requests that failed and 1,024 others; the id stands in the header `geminid-request-id`";

#[derive(Debug, Default)]
pub(crate) struct Recent {
    // Whole after every statement: valid after any panic.
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    served: Row,
    refused: Row,
}

/// Those of one kind, the oldest first.
#[derive(Debug, Default)]
struct Row {
    kept: VecDeque<Kept>,
    n_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    /// Monotonic.
    ended: Duration,
    n_bytes: usize,
    facts: Facts,
}

impl Recent {
    /// Takes in a request that is over.
    pub(super) fn keep(&self, facts: Facts) {
        let ended = facts.began.saturating_add(facts.total);
        let failed = facts.status >= 400 || facts.decided_by.is_some();
        let kept = Kept { ended, n_bytes: weight(&facts), facts };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if failed { rows.refused.push(kept, REFUSED) } else { rows.served.push(kept, SERVED) }
    }

    /// All that is known of one: `request` with the fields of the audit trail, `diagnosis`, and `payload`,
    /// the text that was signed.
    pub(crate) fn find(&self, id: &str, now: Reading) -> Option<Value> {
        let (ended, facts) = {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.expire(now.monotonic);
            let mut all = rows.refused.kept.iter().chain(&rows.served.kept);
            let found = all.find(|it| it.facts.request_id.as_str() == id)?;
            (found.ended, found.facts.clone())
        };
        let line = audit::line(&facts, Event::Request, wall(ended, now));
        let mut request: Map<String, Value> = serde_json::from_str(&format!("{{{line}}}")).ok()?;
        if let Some(address) = &facts.egress_ip {
            request.insert("egress_ip".to_owned(), json!(&**address));
        }
        let report = facts.report.as_deref().and_then(|it| serde_json::from_str(it).ok());
        Some(json!({
            "request": request, "diagnosis": report.unwrap_or(Value::Null), "payload": payload(&facts),
        }))
    }

    /// The last so many, the latest first: enough of each to know which one to ask after.
    pub(crate) fn last(&self, n_asked: usize, now: Reading) -> Vec<Value> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.expire(now.monotonic);
        let newest = |row: &'_ Row| row.kept.iter().rev().take(n_asked).map(Kept::brief).collect();
        let mut found: Vec<_> = newest(&rows.served);
        let failed: Vec<_> = newest(&rows.refused);
        drop(rows);
        found.extend(failed);
        found.sort_by_key(|(ended, _)| std::cmp::Reverse(*ended));
        found.truncate(n_asked);
        found.into_iter().map(|(_, told)| told).collect()
    }
}

impl Rows {
    fn expire(&mut self, now: Duration) {
        for row in [&mut self.served, &mut self.refused] {
            row.expire(now);
        }
    }
}

impl Row {
    fn push(&mut self, kept: Kept, bounds: Bounds) {
        self.expire(kept.ended);
        self.n_bytes += kept.n_bytes;
        self.kept.push_back(kept);
        while self.kept.len() > bounds.n_rows || self.n_bytes > bounds.n_bytes {
            self.drop_oldest();
        }
    }

    fn expire(&mut self, now: Duration) {
        while self.kept.front().is_some_and(|it| it.ended.saturating_add(HOUR) < now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.n_bytes -= oldest.n_bytes;
        }
    }
}

impl Kept {
    fn brief(&self) -> (Duration, Value) {
        let Facts { request_id, client, operation, status, outcome, decided_by, cause, .. } =
            &self.facts;
        let told = json!({
            "request_id": request_id.as_str(), "client": client.as_ref().map(|it| it.as_str()),
            "operation": operation.as_ref().map(OperationName::as_str), "status": status,
            "outcome": outcome.map(|it| it.as_str()), "decided_by": decided_by, "cause": cause,
        });
        (self.ended, told)
    }
}

fn wall(ended: Duration, now: Reading) -> UnixMicros {
    let ago = crate::clock::micros(now.monotonic.saturating_sub(ended));
    UnixMicros(now.wall.0.saturating_sub(ago))
}

/// What of a client's or an upstream's choosing can be long. The rest of the facts is small, and shared.
fn weight(facts: &Facts) -> usize {
    // The allocator's own share, and of each short text.
    const ROOM: usize = 512;
    let text = |it: &Option<String>| it.as_ref().map_or(0, String::len);
    let details = facts.details.as_ref().map_or(0, |it| it.weight());
    size_of::<Kept>()
        + ROOM
        + facts.payload.as_ref().map_or(0, http::HeaderValue::len)
        + facts.report.as_ref().map_or(0, |it| it.len())
        + text(&facts.rule)
        + text(&facts.order_id)
        + text(&facts.client_order_id)
        + details
}

/// The text that was signed: the JSON under the base64.
fn payload(facts: &Facts) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(facts.payload.as_ref()?.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::clock::Ulid;

    fn facts(n: u64, status: u16) -> Facts {
        Facts {
            request_id: Ulid::new(UnixMicros::from_secs(n)),
            began: Duration::from_secs(n),
            status,
            ..Facts::default()
        }
    }

    fn at(seconds: u64) -> Reading {
        let monotonic = Duration::from_secs(seconds);
        Reading { wall: UnixMicros::from_secs(1_000_000 + seconds), monotonic }
    }

    fn ids(recent: &Recent, n_asked: usize, now: u64) -> Vec<String> {
        let last = recent.last(n_asked, at(now));
        last.iter().map(|it| it["request_id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn successes_push_no_failure_out() {
        let recent = Recent::default();
        let failed = facts(1, 403);
        let id = failed.request_id;
        recent.keep(failed);
        let aborted = Facts { decided_by: Some("aborted"), ..facts(1, 0) };
        let gone = aborted.request_id;
        recent.keep(aborted);
        let first = facts(2, 200);
        let pushed = first.request_id;
        recent.keep(first);
        assert!(recent.find(pushed.as_str(), at(2)).is_some());
        for _ in 0..SERVED.n_rows {
            recent.keep(facts(3, 200));
        }
        assert!(recent.find(id.as_str(), at(3)).is_some());
        assert!(recent.find(gone.as_str(), at(3)).is_some());
        assert!(recent.find(pushed.as_str(), at(3)).is_none());
        assert_eq!(recent.last(usize::MAX, at(3)).len(), SERVED.n_rows + 2);
        for _ in 0..=REFUSED.n_rows {
            recent.keep(facts(4, 429));
        }
        assert!(recent.find(id.as_str(), at(4)).is_none(), "failures are bounded too");
        assert_eq!(recent.last(usize::MAX, at(4)).len(), SERVED.n_rows + REFUSED.n_rows);
    }

    #[test]
    fn an_hour_and_no_longer() {
        let recent = Recent::default();
        let kept = facts(1, 200);
        let id = kept.request_id;
        recent.keep(kept);
        assert!(recent.find(id.as_str(), at(3_601)).is_some());
        assert!(recent.find(id.as_str(), at(3_602)).is_none());
        let rows = recent.rows.lock().unwrap();
        assert_eq!((rows.served.kept.len(), rows.served.n_bytes), (0, 0));
    }

    #[test]
    fn bytes_are_bounded() {
        let recent = Recent::default();
        let long = HeaderValue::try_from("x".repeat(20_000)).unwrap();
        for _ in 0..400 {
            recent.keep(Facts { payload: Some(long.clone()), ..facts(1, 200) });
        }
        let rows = recent.rows.lock().unwrap();
        let (n_rows, n_bytes) = (rows.served.kept.len(), rows.served.n_bytes);
        assert!(n_rows > 100 && n_bytes <= SERVED.n_bytes && n_bytes > SERVED.n_bytes / 2);
        let summed: usize = rows.served.kept.iter().map(|it| it.n_bytes).sum();
        assert_eq!(n_bytes, summed);
    }

    #[test]
    fn the_latest_come_first() {
        let recent = Recent::default();
        let all: Vec<Facts> =
            [(1, 200), (2, 403), (3, 200), (4, 503)].map(|(n, status)| facts(n, status)).into();
        let expected: Vec<String> =
            all.iter().rev().map(|it| it.request_id.as_str().to_owned()).collect();
        all.into_iter().for_each(|it| recent.keep(it));
        assert_eq!(ids(&recent, 9, 5), expected);
        assert_eq!(ids(&recent, 3, 5), expected[..3]);
        assert_eq!(ids(&recent, 0, 5), [""; 0]);
    }

    #[test]
    fn all_that_is_known_of_one() {
        let recent = Recent::default();
        let signed = r#"{"request":"/v1/balances","nonce":1}"#;
        let kept = Facts {
            payload: Some(HeaderValue::try_from(BASE64_STANDARD.encode(signed)).unwrap()),
            report: Some(r#"{"cause":"key-role-missing"}"#.into()),
            egress_ip: Some("203.0.113.7".into()),
            cause: Some("key-role-missing"),
            ..facts(1, 403)
        };
        let id = kept.request_id;
        recent.keep(kept);
        let found = recent.find(id.as_str(), at(61)).unwrap();
        assert_eq!(found["payload"], signed);
        assert_eq!(found["diagnosis"]["cause"], "key-role-missing");
        let request = &found["request"];
        assert_eq!(request["request_id"], id.as_str());
        assert_eq!(request["at"], "1970-01-12T13:46:41.000000Z", "when it was over");
        assert_eq!(request["egress_ip"], "203.0.113.7");
        assert_eq!(
            (&request["status"], &request["cause"]),
            (&json!(403), &json!("key-role-missing"))
        );
        let bare = facts(2, 200);
        let id = bare.request_id;
        recent.keep(bare);
        let found = recent.find(id.as_str(), at(61)).unwrap();
        assert_eq!((&found["diagnosis"], &found["payload"]), (&Value::Null, &Value::Null));
        assert!(recent.find("", at(61)).is_none());
    }
}
