//! Moments as they are typed: a date and time, or how far off it is.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::UnixMicros;
use crate::config::words;

/// A moment, and how a configuration writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct When {
    pub(crate) text: String,
    pub(crate) moment: UnixMicros,
}

impl When {
    /// `2027-01-01T00:00:00Z`, or `7d`, `12h`, `30m`, `90s` from `now` on.
    pub(crate) fn parse(text: &str, now: UnixMicros) -> Option<Self> {
        let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
        let unit = text.strip_prefix(digits).unwrap_or_default();
        let seconds = match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3_600),
            "d" => Some(86_400),
            _ => None,
        };
        match (seconds, digits.parse::<u32>()) {
            (Some(seconds), Ok(count)) => {
                Self::at(now.plus(Duration::from_secs(seconds * u64::from(count))))
            }
            _ => {
                let moment = words::moment(text).ok()?;
                Some(Self { text: text.to_owned(), moment })
            }
        }
    }

    /// To the second.
    pub(crate) fn at(moment: UnixMicros) -> Option<Self> {
        let seconds = i64::try_from(moment.secs()).ok()?;
        let text = OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()?;
        Some(Self { text, moment: UnixMicros::from_secs(moment.secs()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, written: Option<&str>) {
        let now = UnixMicros(1_700_000_000_900_000);
        let when = When::parse(typed, now);
        assert_eq!(when.as_ref().map(|it| it.text.as_str()), written, "{typed}");
        if let Some(When { text, moment }) = when {
            assert_eq!(words::moment(&text).ok(), Some(moment), "{typed}");
        }
    }

    #[test]
    fn moments_and_spans_are_read() {
        check("7d", Some("2023-11-21T22:13:20Z"));
        check("0s", Some("2023-11-14T22:13:20Z"));
        check("90m", Some("2023-11-14T23:43:20Z"));
        check("12h", Some("2023-11-15T10:13:20Z"));
        check("2027-01-01T00:00:00Z", Some("2027-01-01T00:00:00Z"));
        check("2027-01-01T00:00:00+02:00", Some("2027-01-01T00:00:00+02:00"));
        for bad in ["", "d", "7", "7w", "-7d", "7.5d", "7dd", "now", "2027-01-01", "4294967296d"] {
            check(bad, None);
        }
    }
}
