//! A diagnosis for a person. It is read back from its JSON: whoever made it, here or there.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// What is printed.
#[derive(Debug)]
pub(super) struct Shown {
    /// The member `diagnosis`; null if there is none.
    pub(super) diagnosis: Value,
    /// What it means, in one line.
    pub(super) line: Option<String>,
    /// The facts of a request, under the log's names.
    pub(super) request: Option<Map<String, Value>>,
    /// What was signed.
    pub(super) payload: Option<String>,
}

impl Shown {
    pub(super) fn json(&self) -> String {
        let value = match (&self.request, &self.payload) {
            (None, None) => self.diagnosis.clone(),
            (request, payload) => {
                json!({"diagnosis": self.diagnosis, "request": request, "payload": payload})
            }
        };
        serde_json::to_string_pretty(&value).expect("plain text serialises") + "\n"
    }

    pub(super) fn text(&self) -> String {
        let mut out = Lines::default();
        if self.diagnosis.is_object() {
            self.finding(&mut out);
            self.alternatives(&mut out);
        }
        if let Some(request) = &self.request {
            out.put("");
            out.put("the request");
            for (name, value) in request {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                out.row(name, &value);
            }
        }
        if let Some(payload) = &self.payload {
            out.put("");
            out.put("what was signed");
            out.put(&format!("  {payload}"));
        }
        out.0.trim_start_matches('\n').to_owned()
    }

    fn member(&self, name: &str) -> Option<&str> {
        self.diagnosis.get(name).and_then(Value::as_str)
    }

    fn finding(&self, out: &mut Lines) {
        let cause = self.member("cause").unwrap_or_default();
        let title = self.member("title").unwrap_or_default();
        out.put(&format!("{cause}: {title}"));
        out.some("decided by", self.member("decided_by").map(who));
        out.some("confidence", self.member("confidence"));
        out.some("means", self.line.as_deref());
        out.list("evidence", texts(&self.diagnosis, "evidence"));
        let mut by = texts(&self.diagnosis, "fix_by");
        let fixes = texts(&self.diagnosis, "fix").map(|text| {
            by.next().map_or_else(|| text.to_owned(), |by| format!("{text} ({})", applies(by)))
        });
        out.numbered("do", fixes);
        out.some("takes", self.member("resolution"));
        let retry = self.member("retry").map(retry);
        out.some("retry", retry.as_deref());
        out.some("outcome", self.member("outcome"));
        out.some("operation", self.member("operation"));
        out.some("watch", self.member("watch"));
        out.some("docs", self.member("docs"));
    }

    fn alternatives(&self, out: &mut Lines) {
        let others = self.diagnosis.get("alternatives").and_then(Value::as_array);
        let Some(others) = others.filter(|it| !it.is_empty()) else { return };
        out.put("");
        out.put("less surely");
        for other in others {
            let text = |name: &str| other.get(name).and_then(Value::as_str).unwrap_or_default();
            out.put(&format!("  {} ({}): {}", text("cause"), text("confidence"), text("title")));
            for fact in texts(other, "evidence") {
                out.put(&format!("    for it: {fact}"));
            }
            for fix in texts(other, "fix").take(1) {
                out.put(&format!("    to tell or to fix it: {fix}"));
            }
        }
    }
}

fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    value.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn who(word: &str) -> &str {
    match word {
        "proxy" => "geminid itself",
        "upstream" => "the exchange",
        "edge" => "something in front of the exchange",
        other => other,
    }
}

fn applies(word: &str) -> &str {
    match word {
        "bot" => "whoever runs the bot",
        "operator" => "whoever runs geminid",
        "account-owner" => "whoever owns the account",
        "exchange" => "the exchange",
        "network" => "whoever runs the network",
        "nobody" => "it passes",
        other => other,
    }
}

fn retry(word: &str) -> String {
    let seconds = word.strip_prefix("after_").and_then(|it| it.strip_suffix('s'));
    match (word, seconds.and_then(|it| it.parse::<u64>().ok())) {
        (_, Some(seconds)) => format!("after {seconds} s"),
        ("now", None) => "at once".to_owned(),
        ("after_fix", None) => "after the fix: until then the same is refused".to_owned(),
        ("look_first", None) => "look first: it may have been executed".to_owned(),
        ("never", None) => "never: the same is refused again".to_owned(),
        (other, None) => other.to_owned(),
    }
}

/// Lines with what they are about in a column of its own.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn row(&mut self, name: &str, text: &str) {
        writeln!(self.0, "  {name:<12} {text}").expect("a string takes all");
    }

    fn some(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.row(name, text);
        }
    }

    fn list<'a>(&mut self, name: &str, texts: impl Iterator<Item = &'a str>) {
        for (n, text) in texts.enumerate() {
            self.row(if n == 0 { name } else { "" }, text);
        }
    }

    fn numbered(&mut self, name: &str, texts: impl Iterator<Item = String>) {
        for (n, text) in texts.enumerate() {
            self.row(if n == 0 { name } else { "" }, &format!("{}. {text}", n + 1));
        }
    }
}
