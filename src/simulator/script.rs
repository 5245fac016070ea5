//! Scripted faults.
//!
//! 1. A script is a list of rules; the first rule that matches a request and is due acts on it.
//! 2. `skip` lets that many matching requests pass first; `times` is how often it acts, and 0
//!    means for ever. A rule that has acted for the last time is gone.
//! 3. What a rule does can be combined: a delay goes with anything.
//! 4. Faults are of three kinds: about whole answers; about the bytes of an answer, which the
//!    simulator then writes by hand; and about a request that is cut short, which then is neither
//!    judged nor executed. Offsets count plain bytes of HTTP/1.1, inside TLS.
//! 5. A rule that cuts requests counts requests as they begin. It cannot name a key, which is not
//!    known by then, and does nothing else.
//! 6. Over HTTP/2, whose bytes nobody here counts, each fault of the last two kinds drops the whole
//!    connection: after executing, or before judging, as the rule says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;

use crate::simulator::refusals;
use crate::simulator::refusals::Refused;

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
#[expect(clippy::struct_excessive_bools, reason = "words of a script, each there or not")]
pub struct Action {
    /// This instead of executing.
    pub answer: Option<Canned>,
    /// A rejection that has a name, instead of executing.
    #[serde(default, deserialize_with = "refusals::read")]
    pub refuse: Option<&'static Refused>,
    /// These bytes instead of executing: one for each character up to U+00FF.
    pub raw: Option<Latin1>,
    /// Executes all the same what is answered otherwise.
    #[serde(default)]
    pub execute: bool,
    /// So many informational answers before the answer.
    pub informational: Option<Informational>,
    /// A body or a head of that size instead of the answer's own.
    pub fill: Option<Fill>,
    /// The body compressed.
    pub encoded: Option<Encoding>,
    /// What happens at a byte of the answer.
    pub cut: Option<Cut>,
    /// What happens at a byte of the request.
    pub request: Option<RequestCut>,
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

impl Page {
    /// The refusal that it is an older name of.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Cloudflare => "cloudflare-1020",
            Self::CloudflareBanned => "cloudflare-1006",
            Self::Awselb => "awselb",
        }
    }
}

/// Bytes, written as the characters of the same numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Latin1(pub Vec<u8>);

impl<'de> Deserialize<'de> for Latin1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |it: char| {
            let too_high = || format!("{it:?} is no byte: characters up to U+00FF stand for one");
            u8::try_from(u32::from(it)).map_err(|_| D::Error::custom(too_high()))
        };
        text.chars().map(byte).collect::<Result<_, _>>().map(Self)
    }
}

/// Answers that are not the last.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Informational {
    pub count: u64,
    /// 100, 102, 103 or what else; the default is 103.
    #[serde(default = "early_hints")]
    pub status: u16,
}

const fn early_hints() -> u16 {
    103
}

/// What makes an answer large. None of it is held in memory.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// A body of so many bytes, with its length.
    Body(u64),
    /// The same in chunks.
    Chunked(u64),
    /// Chunks for ever.
    Endless,
    /// One more header field, with a value of so many bytes.
    Head(u64),
    /// So many more header fields.
    Fields(u64),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Gzip,
}

/// Something that happens at a byte of the answer: of status line, head and body together. At the
/// answer's length or beyond it, it happens after the whole answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    pub at: u64,
    pub then: Then,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The connection closes without the farewell of TLS.
    Drop,
    /// The connection is reset.
    Reset,
    /// The connection closes in good order.
    Truncate,
    /// Nothing more comes, and the connection stays.
    Stall,
    /// Nothing comes for so many milliseconds, then the rest.
    StallMs(u64),
    /// The rest comes byte by byte, so many milliseconds apart.
    TrickleMs(u64),
    /// These bytes come instead of the rest, and the connection stays.
    Garbage(Latin1),
    /// As many bytes as are left, made from this seed, and the connection stays.
    Noise(u64),
    /// These bytes come instead of a record of TLS, and the connection stays.
    TlsGarbage(Latin1),
}

/// Something that happens when so many bytes of a request have come, before it is judged. Nothing, if
/// the request is shorter.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestCut {
    pub at: u64,
    pub then: Hangup,
}

/// How a connection ends in the middle of a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Hangup {
    Drop,
    Reset,
    /// Nothing more is read or answered, and the connection stays.
    Stall,
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
        self.act(|rule| rule.action.request.is_none() && rule.matches(path, key))
    }

    /// Where a request that begins is to be cut.
    pub(crate) fn due_request(&mut self, path: &str) -> Option<RequestCut> {
        self.act(|rule| rule.action.request.is_some() && rule.matches(path, None))?.request
    }

    fn act(&mut self, matches: impl Fn(&Rule) -> bool) -> Option<Action> {
        let mut acting = None;
        for (place, rule) in self.rules.iter_mut().enumerate() {
            if !matches(rule) {
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
    let rules: Vec<Rule> = if json.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(json)?
    } else {
        vec![serde_json::from_slice(json)?]
    };
    let lost = |it: &Rule| it.key.is_some() && it.action.request.is_some();
    if rules.iter().any(lost) {
        let why = "a rule with `request` acts before the key is known: leave `key` out";
        return Err(serde_json::Error::custom(why));
    }
    Ok(rules)
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

    #[test]
    fn faults_at_bytes_are_read_or_named() {
        let good = [
            r#"{"cut":{"at":0,"then":"drop"}}"#,
            r#"{"cut":{"at":7,"then":{"stall_ms":5}},"informational":{"count":3}}"#,
            r#"{"request":{"at":7,"then":"reset"}}"#,
            r#"{"raw":"HTTP/1.1 200 \u00ff\r\n","execute":true}"#,
            r#"{"fill":{"body":9000},"encoded":"gzip"}"#,
            r#"{"fill":"endless"}"#,
            r#"{"refuse":"key-unknown","encoded":"gzip"}"#,
        ];
        for action in good {
            let rule = format!(r#"{{"do":{action}}}"#);
            parse(rule.as_bytes()).unwrap_or_else(|fault| panic!("{action}: {fault}"));
        }
        let bad = [
            (r#"{"do":{"cut":{"at":0,"then":"explode"}}}"#, "explode"),
            (r#"{"do":{"cut":{"at":-1,"then":"drop"}}}"#, "-1"),
            (r#"{"do":{"cut":{"then":"drop"}}}"#, "`at`"),
            (r#"{"do":{"request":{"at":1,"then":"truncate"}}}"#, "truncate"),
            (r#"{"do":{"raw":"\u0100"}}"#, "U+00FF"),
            (r#"{"do":{"refuse":"no-such-word"}}"#, "no-such-word"),
            (r#"{"key":"a","do":{"request":{"at":1,"then":"drop"}}}"#, "leave `key` out"),
        ];
        for (rule, named) in bad {
            let fault = parse(rule.as_bytes()).expect_err(rule).to_string();
            assert!(fault.contains(named), "{rule}: {fault}");
        }
    }

    #[test]
    fn requests_are_cut_by_rules_of_their_own() {
        let mut script = script(
            r#"[{"path":"/v1/order/new","skip":1,"do":{"request":{"at":9,"then":"drop"}}},
                {"path":"/v1/order/new","do":{"maintenance":true}}]"#,
        );
        let new = "/v1/order/new";
        assert!(script.due_request(new).is_none(), "skipped");
        assert!(script.due(new, None).is_some_and(|it| it.maintenance), "not of this kind");
        assert!(script.due_request("/v1/orders").is_none(), "another path");
        assert_eq!(script.due_request(new).map(|it| it.at), Some(9));
        assert_eq!(script.len(), 0);
    }
}
