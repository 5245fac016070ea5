//! Which lines of the trail are meant.

use std::borrow::Cow;
use std::collections::BTreeMap;

use clap::Args;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Ended;
use crate::clock::{self, Clock as _, SystemClock, UnixMicros};
use crate::diagnose::Cause;

#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct Filter {
    /// As the configuration names it.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// As `geminid catalog` names it.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) operation: Option<String>,
    /// Such as `scope-missing`: a heading of docs/diagnosis.md.
    #[arg(long, value_name = "CAUSE", value_parser = cause)]
    pub(in crate::cli) cause: Option<String>,
    /// What the policy said.
    #[arg(long, value_name = "WORD", value_parser = ["allowed", "refused", "observed"])]
    pub(in crate::cli) decision: Option<String>,
    /// What became of it.
    #[arg(long, value_name = "WORD", value_parser = ["not_sent", "rejected", "executed", "unknown"])]
    pub(in crate::cli) outcome: Option<String>,
    /// Signed with this key, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) key: Option<String>,
    /// Which of a request's lines, or notes.
    #[arg(long, value_name = "WORD", value_parser = ["intent", "request", "note"])]
    pub(in crate::cli) event: Option<String>,
    /// One request, by its id.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) request: Option<String>,
    /// From then on: 24h, 7d, or a time.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Up to then.
    #[arg(long, value_name = "WHEN")]
    pub(in crate::cli) until: Option<String>,
    /// The last so many of them.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
}

/// One of the closed list: a word that is mistyped would find nothing.
fn cause(text: &str) -> Result<String, &'static str> {
    let known = Cause::ALL.iter().any(|it| it.code() == text);
    known.then(|| text.to_owned()).ok_or("no cause is called so: docs/diagnosis.md has them")
}

/// From when to when, as lines write it.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Window {
    since: Option<String>,
    until: Option<String>,
}

/// A line of the trail.
#[derive(Debug)]
pub(in crate::cli) struct Told<'a> {
    pub(in crate::cli) line: &'a str,
    fields: BTreeMap<String, Value>,
}

impl<'a> Told<'a> {
    pub(in crate::cli) fn read(line: &'a [u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?;
        Some(Self { line, fields: serde_json::from_str(line).ok()? })
    }

    /// A field as text, whether it is written as text or as a number.
    pub(in crate::cli) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.fields.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Null => None,
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(Cow::Owned(other.to_string()))
            }
        }
    }

    /// Names that are not in `known`.
    pub(in crate::cli) fn others<'b>(&'b self, known: &'b [&str]) -> impl Iterator<Item = &'b str> {
        self.fields.keys().map(String::as_str).filter(|it| !known.contains(it))
    }
}

impl Filter {
    /// All that a client did since then.
    pub(in crate::cli) fn of_client(client: &str, since: &str) -> Self {
        let (client, since) = (Some(client.to_owned()), Some(since.to_owned()));
        Self { client, since, ..Self::default() }
    }

    pub(in crate::cli) fn fits(&self, told: &Told<'_>) -> bool {
        let Self { client, operation, cause, decision, outcome, key, event, request, .. } = self;
        [
            ("client", client),
            ("operation", operation),
            ("cause", cause),
            ("decision", decision),
            ("outcome", outcome),
            ("key", key),
            ("event", event),
            ("request_id", request),
        ]
        .into_iter()
        .all(|(name, wanted)| {
            wanted.as_ref().is_none_or(|wanted| told.get(name).is_some_and(|it| it == *wanted))
        })
    }

    pub(in crate::cli) fn window(&self) -> Result<Window, Ended> {
        let now = SystemClock::new().wall();
        let read = |text: &Option<String>| {
            text.as_ref().map(|it| moment(it, now).ok_or_else(|| unread(it))).transpose()
        };
        Ok(Window { since: read(&self.since)?, until: read(&self.until)? })
    }
}

fn unread(text: &str) -> Ended {
    Ended::Usage(format!("`{}` is neither a span nor a time", text.escape_debug()))
}

impl Window {
    pub(in crate::cli) fn holds(&self, told: &Told<'_>) -> bool {
        let Some(at) = told.get("at") else { return false };
        // All times are written alike: the order of the texts is that of the times.
        self.since.as_deref().is_none_or(|it| *at >= *it)
            && self.until.as_deref().is_none_or(|it| *at <= *it)
    }

    /// Whether what comes before this line may be meant too.
    pub(super) fn is_after(&self, told: &Told<'_>) -> bool {
        let at = told.get("at");
        self.since.as_deref().is_none_or(|it| at.is_none_or(|at| *at > *it))
    }
}

/// `24h`, `2026-11-21` or RFC 3339, as lines of the trail write it.
fn moment(text: &str, now: UnixMicros) -> Option<String> {
    let at = match span(text) {
        Some(seconds) => UnixMicros(now.0.saturating_sub(UnixMicros::from_secs(seconds).0)),
        None => {
            let midnight = format!("{text}T00:00:00Z");
            let text = if text.len() == "2026-11-21".len() { &midnight } else { text };
            let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
            UnixMicros(u64::try_from(nanos / 1_000).ok()?)
        }
    };
    let mut written = String::new();
    clock::write_time(&mut written, at);
    Some(written)
}

fn span(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times() {
        let now = UnixMicros::from_secs(1_790_000_000);
        for (text, expected) in [
            ("0s", Some("2026-09-21T14:13:20.000000Z")),
            ("20s", Some("2026-09-21T14:13:00.000000Z")),
            ("13m", Some("2026-09-21T14:00:20.000000Z")),
            ("24h", Some("2026-09-20T14:13:20.000000Z")),
            ("1d", Some("2026-09-20T14:13:20.000000Z")),
            ("1w", Some("2026-09-14T14:13:20.000000Z")),
            ("99999999999w", Some("1970-01-01T00:00:00.000000Z")),
            ("2026-11-21", Some("2026-11-21T00:00:00.000000Z")),
            ("2026-11-21T12:00:00.5+02:00", Some("2026-11-21T10:00:00.500000Z")),
            ("", None),
            ("24", None),
            ("h", None),
            ("-1h", None),
            ("1 h", None),
            ("yesterday", None),
            ("2026-11-32", None),
            ("1960-01-01T00:00:00Z", None),
        ] {
            assert_eq!(moment(text, now).as_deref(), expected, "{text}");
        }
    }
}
