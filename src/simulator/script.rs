//! Scripted faults.
//!
//! 1. A script is a list of rules; the first rule that matches a request and is due acts on it.
//! 2. `skip` lets that many matching requests pass first; `times` is how often it acts, and 0
//!    means for ever. A rule that has acted for the last time is gone.
//! 3. What a rule does can be combined: a delay goes with anything.
//! 4. The faults are about whole answers. Faults at byte offsets would be one more field of
//!    [`Action`] and one more case of the server's `Wire`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One rule of a script, as JSON: `{"path":"/v1/order/new","do":{"close":"after_execute"}}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A path, `*`, or a beginning and a `*`. The default is `*`.
    #[serde(default = "any")]
    pub path: String,
    /// Only requests of this API key.
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub skip: u64,
    #[serde(default = "once")]
    pub times: u64,
    #[serde(rename = "do")]
    pub action: Action,
}

fn any() -> String {
    "*".to_owned()
}

const fn once() -> u64 {
    1
}

impl Rule {
    fn matches(&self, path: &str, key: Option<&str>) -> bool {
        let path = match self.path.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == self.path,
        };
        path && self.key.as_deref().is_none_or(|it| Some(it) == key)
    }
}

/// What a rule does to a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// This instead of executing.
    pub answer: Option<Canned>,
    /// Waits before judging and executing.
    pub delay_ms: Option<u64>,
    /// Executes at once and waits before answering.
    pub delay_answer_ms: Option<u64>,
    /// Closes the connection instead of answering.
    pub close: Option<Close>,
    /// Executes, promises the whole body, and sends so many bytes of it.
    pub truncate: Option<usize>,
    /// A 302 to there, instead of executing.
    pub redirect: Option<String>,
    /// Moves the answer's `Date`, and nothing else.
    pub date_offset_seconds: Option<i64>,
    /// Raises the key's nonce mark first, as another process with the same key would.
    pub nonce_mark: Option<String>,
    /// A 403 page of the edge, instead of executing.
    pub html: Option<Page>,
    #[serde(default)]
    pub maintenance: bool,
    #[serde(default)]
    pub rate_limited: bool,
    /// Leaves the answer's `Date` out.
    #[serde(default)]
    pub no_date: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    pub status: u16,
    #[serde(default)]
    pub body: String,
    /// `Content-Type` is `application/json` unless it is among these.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    Before,
    AfterExecute,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// Code 1020.
    Cloudflare,
    /// Code 1006.
    CloudflareBanned,
    Awselb,
}

/// The rules that are still to act.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
}

impl Script {
    pub(crate) fn add(&mut self, rules: Vec<Rule>) {
        self.rules.extend(rules);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// What is to be done to this request.
    pub(crate) fn due(&mut self, path: &str, key: Option<&str>) -> Option<Action> {
        let mut acting = None;
        for (place, rule) in self.rules.iter_mut().enumerate() {
            if !rule.matches(path, key) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            let last = rule.times == 1;
            rule.times = rule.times.saturating_sub(1);
            acting = Some((place, last, rule.action.clone()));
            break;
        }
        let (place, last, action) = acting?;
        if last {
            self.rules.remove(place);
        }
        Some(action)
    }
}

/// Reads one rule or a list of rules.
pub(crate) fn parse(json: &[u8]) -> serde_json::Result<Vec<Rule>> {
    if json.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(json)
    } else {
        serde_json::from_slice(json).map(|rule| vec![rule])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(json: &str) -> Script {
        let mut script = Script::default();
        script.add(parse(json.as_bytes()).expect("a script"));
        script
    }

    #[test]
    fn rules_skip_count_and_end() {
        let mut script = script(
            r#"[{"path":"/v1/order/new","skip":1,"times":2,"do":{"maintenance":true}},
                {"path":"/v1/order/*","key":"account-b","times":0,"do":{"delay_ms":5}}]"#,
        );
        let new = "/v1/order/new";
        assert!(script.due(new, None).is_none(), "skipped");
        assert!(script.due("/v1/orders", Some("account-b")).is_none(), "another path");
        assert!(script.due(new, None).is_some_and(|it| it.maintenance));
        assert!(script.due(new, Some("account-b")).is_some_and(|it| it.maintenance));
        for _ in 0..3 {
            let action = script.due(new, Some("account-b"));
            assert_eq!(action.and_then(|it| it.delay_ms), Some(5), "for ever");
        }
        assert!(script.due(new, None).is_none(), "spent");
    }

    #[test]
    fn what_is_misspelt_is_an_error() {
        assert!(parse(br#"{"path":"*","do":{"delay":5}}"#).is_err());
        assert!(parse(br#"{"paht":"*","do":{"delay_ms":5}}"#).is_err());
        assert!(parse(br#" {"do":{"close":"before"}}"#).is_ok(), "one rule without a list");
    }
}
