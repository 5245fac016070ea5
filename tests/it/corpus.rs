//! Hostile bytes, and legal ones that look so: `tests/corpus`, sent over plain sockets.
//!
//! 1. A case is data: what is sent, what must come back, how many requests may reach the exchange.
//!    `tests/differential/run` sends the same bytes to other proxies.
//! 2. The cases of one configuration go one after another, so that each request that the exchange
//!    sees has one case that it belongs to. The configurations go side by side.
//! 3. Every failure is told, not only the first.
//! 4. Waiting ends when something happens; the deadline only ends a test that has failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use geminid::simulator::{Entry, NonceRule};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::support::{Exchange, Proxy, Settings};

/// Longer than anything takes that the proxy is to do; the slowest is a body that it stops waiting for.
const PATIENCE: Duration = Duration::from_secs(9);
/// What may be in a request to the exchange, and nothing else.
const SENT: &[&str] = &[
    "host",
    "accept",
    "accept-encoding",
    "accept-language",
    "user-agent",
    "content-type",
    "content-length",
    "cache-control",
    "x-gemini-apikey",
    "x-gemini-payload",
    "x-gemini-signature",
];
/// Planted where nothing may tell of it.
const CANARIES: &[&str] = &["CANARY", "the-token-of-the", "stand-in-secret"];
/// Asked last on a connection that should still be in step: it has its own answer.
const STEP: &str = "GET /v1/order/new HTTP/1.1\r\nHost: localhost\r\n\r\n";
const STEP_ADMIN: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    configuration: String,
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// For whoever reads the data.
    #[serde(rename = "why")]
    _why: String,
    configuration: Option<String>,
    #[serde(default)]
    listener: Listener,
    send: Vec<Part>,
    expect: Vec<Expected>,
    closes: bool,
    #[serde(default)]
    upstream: usize,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Listener {
    #[default]
    Data,
    Admin,
}

/// Characters stand for bytes: none is above U+00FF.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Part {
    Text(String),
    Repeated { repeat: String, times: usize },
    Pause { pause_ms: u64 },
    Close { close: Side },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Write,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    cause: Option<String>,
    /// `false`: the answer to HEAD.
    body: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Configuration {
    upstream: String,
    client: String,
    more: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bytes_get_their_answer_and_reach_nobody() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let text = std::fs::read_to_string(folder.join("configurations.toml")).unwrap();
    let configurations: BTreeMap<String, Configuration> = toml::from_str(&text).unwrap();
    let mut cases = read(&folder);
    let n_cases: usize = cases.values().map(Vec::len).sum();
    assert!(n_cases >= 250, "only {n_cases} cases");

    let mut runs = Vec::new();
    for (name, configuration) in configurations {
        let cases = cases.remove(&name).unwrap_or_default();
        assert!(!cases.is_empty(), "no case for the configuration `{name}`");
        runs.push((name, tokio::spawn(run(configuration, cases))));
    }
    assert!(cases.is_empty(), "cases without a configuration: {:?}", cases.keys());
    let mut faults = Vec::new();
    for (name, run) in runs {
        let told = run.await.unwrap_or_else(|fault| vec![format!("given up: {fault}")]);
        faults.extend(told.into_iter().map(|it| format!("{name}: {it}")));
    }
    assert!(faults.is_empty(), "{} of {n_cases} cases:\n{}", faults.len(), faults.join("\n"));
}

/// The cases by configuration. Each name stands once.
fn read(folder: &Path) -> BTreeMap<String, Vec<Case>> {
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|it| it.extension().is_some_and(|it| it == "toml"))
        .filter(|it| it.file_name().is_some_and(|it| it != "configurations.toml"))
        .collect();
    files.sort();
    let mut found: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    let mut names = std::collections::BTreeSet::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File =
            toml::from_str(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        for case in file.case {
            assert!(names.insert(case.name.clone()), "two cases are called `{}`", case.name);
            let configuration = case.configuration.as_ref().unwrap_or(&file.configuration);
            found.entry(configuration.clone()).or_default().push(case);
        }
    }
    found
}

/// Sends the cases of one configuration, and tells what was not as expected.
async fn run(configuration: Configuration, cases: Vec<Case>) -> Vec<String> {
    let Configuration { upstream, client, more } = configuration;
    let text = |it: String| -> &'static str { Box::leak(it.into_boxed_str()) };
    let (upstream, client, more) = (text(upstream), text(client), text(more));
    let settings =
        Settings { key: "nonce = \"increasing\"", upstream, client, more, ..Settings::default() };
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&settings).await;
    let mut faults = Vec::new();
    let mut n_seen = 0;
    for case in &cases {
        let mut of_case = Vec::new();
        attempt(&proxy, case, &mut of_case).await;
        let seen = arrived(&exchange);
        let new = seen.get(n_seen..).unwrap_or_default();
        if new.len() != case.upstream {
            let what: Vec<String> =
                new.iter().map(|it| format!("{} {}", it.method, it.path)).collect();
            of_case.push(format!("{} may reach the exchange, {what:?} did", case.upstream));
        }
        n_seen = seen.len();
        if !of_case.is_empty() {
            faults.push(format!("`{}`: {}", case.name, of_case.join("; ")));
        }
    }
    after(&exchange, &proxy, &cases, n_seen, &mut faults).await;
    faults
}

/// What the exchange has seen, but for what the proxy asks of its own accord: for the time, and how a
/// key counts. No case calls these.
fn arrived(exchange: &Exchange) -> Vec<Entry> {
    let own = |it: &Entry| matches!(it.path.as_str(), "/v1/symbols" | "/v1/roles");
    exchange.simulator.ledger().requests().iter().filter(|it| !own(it)).cloned().collect()
}

/// What must be true when all has been said.
async fn after(
    exchange: &Exchange,
    proxy: &Proxy,
    cases: &[Case],
    n_seen: usize,
    faults: &mut Vec<String>,
) {
    if proxy.bot().get("/v1/order/new").await.header("geminid-cause").is_empty() {
        faults.push("the proxy does not answer any more".to_owned());
    }
    let id = proxy.id().to_string();
    let ended = std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(ended.success(), "the process is gone");
    proxy.line("\"drained\"").await;

    // Whatever was still on its way has arrived now.
    let seen = arrived(exchange);
    if seen.len() != n_seen {
        faults.push(format!("{} requests reached the exchange late", seen.len() - n_seen));
    }
    for entry in &seen {
        let odd: Vec<_> =
            entry.headers.names.iter().filter(|it| !SENT.contains(&it.as_str())).collect();
        if !odd.is_empty() || entry.body_bytes > 0 {
            let body = entry.body_bytes;
            faults.push(format!("{} went out with {odd:?} and {body} bytes", entry.path));
        }
    }
    let lines = proxy.log();
    let n_told = lines.iter().filter(|it| it.contains("\"message\":\"request\"")).count();
    // Every answer has one line; so has what kept a connection in step, and the question above.
    let n_answers: usize = cases.iter().map(Case::told).sum();
    if faults.is_empty() && n_told != n_answers + 1 {
        faults.push(format!("{n_told} log lines of requests, {} expected", n_answers + 1));
    }
    for line in lines {
        let panicked = line.contains("panicked") || line.contains("\"ERROR\"");
        let plain = line.chars().all(|it| !it.is_control());
        let json: Result<Value, _> = serde_json::from_str(&line);
        let canary = CANARIES.iter().any(|it| line.contains(it));
        if panicked || !plain || canary || !json.is_ok_and(|it| it.is_object()) {
            faults.push(format!("a log line: {line:?}"));
        }
    }
}

impl Case {
    /// How many log lines of requests it leads to.
    fn told(&self) -> usize {
        let final_ones = self.expect.iter().filter(|it| it.status >= 200).count();
        match self.listener {
            Listener::Data => final_ones + usize::from(!self.closes),
            Listener::Admin => 0,
        }
    }
}

/// Sends one case over a connection of its own, and tells what came back that should not have.
async fn attempt(proxy: &Proxy, case: &Case, faults: &mut Vec<String>) {
    let address = match case.listener {
        Listener::Data => proxy.address,
        Listener::Admin => proxy.admin,
    };
    let talked = tokio::time::timeout(PATIENCE, talk(address, case)).await;
    match talked {
        Ok(told) => faults.extend(told),
        Err(_) if case.closes => {
            faults.push("an answer, or the end, did not come in time".to_owned());
        }
        Err(_) => faults.push("an answer did not come in time".to_owned()),
    }
}

async fn talk(address: SocketAddr, case: &Case) -> Vec<String> {
    let (from, to) = TcpStream::connect(address).await.unwrap().into_split();
    let mut reader = Reader { from, held: Vec::new() };
    let steps = steps(&case.send);
    let writer = tokio::spawn(write(to, steps));
    let mut faults = Vec::new();
    for (n, expected) in case.expect.iter().enumerate() {
        let Some(answer) = reader.answer(expected.body != Some(false)).await else {
            let wanted = (expected.status, expected.cause.as_deref());
            faults.push(format!("answer {n}: expected {wanted:?}, and the connection was closed"));
            return faults;
        };
        let got = (answer.status, answer.header("geminid-cause"));
        if got != (expected.status, expected.cause.as_deref()) {
            let wanted = (expected.status, expected.cause.as_deref());
            let body = String::from_utf8_lossy(&answer.body).chars().take(120).collect::<String>();
            faults.push(format!("answer {n}: expected {wanted:?}, got {got:?}: {body}"));
            return faults;
        }
        // Who has ended its own side need not be told.
        let ended = case.send.iter().any(|it| matches!(it, Part::Close { .. }));
        let last = case.closes && !ended && n + 1 == case.expect.len();
        if last && !answer.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")) {
            faults.push("the last answer does not say that the connection ends".to_owned());
        }
        faults.extend(answer.misshapen(case.listener, expected));
    }
    // Whoever closes may leave unread what was sent: the writer then ends with an error, as it should.
    if case.closes {
        let rest = reader.rest().await;
        if !rest.is_empty() {
            faults.push(format!("more than expected: {:?}", String::from_utf8_lossy(&rest)));
        }
        return faults;
    }
    let Ok(Some(mut to)) = writer.await else {
        faults.push("the proxy closed the connection while it was sent to".to_owned());
        return faults;
    };
    faults.extend(in_step(&mut reader, &mut to, case.listener).await);
    faults
}

/// Whether the next request on the connection is read from its first byte, and answered.
async fn in_step(
    reader: &mut Reader,
    to: &mut OwnedWriteHalf,
    listener: Listener,
) -> Option<String> {
    let (question, statuses) = match listener {
        // Who is nobody there hears that first.
        Listener::Data => (STEP, [405, 401]),
        Listener::Admin => (STEP_ADMIN, [200, 200]),
    };
    if to.write_all(question.as_bytes()).await.is_err() {
        return Some("closed, and was to stay open".to_owned());
    }
    match reader.answer(true).await {
        None => Some("closed, and was to stay open".to_owned()),
        Some(answer) if statuses.contains(&answer.status) => None,
        Some(answer) => Some(format!("out of step: the next request got {}", answer.status)),
    }
}

#[derive(Debug)]
enum Step {
    Bytes(Vec<u8>),
    Pause(Duration),
    End,
}

/// What is to be done, neighbouring texts as one.
fn steps(parts: &[Part]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for part in parts {
        let more = match part {
            Part::Text(text) => bytes(text),
            Part::Repeated { repeat, times } => bytes(repeat).repeat(*times),
            Part::Pause { pause_ms } => {
                steps.push(Step::Pause(Duration::from_millis(*pause_ms)));
                continue;
            }
            Part::Close { close: Side::Write } => {
                steps.push(Step::End);
                continue;
            }
        };
        match steps.last_mut() {
            Some(Step::Bytes(all)) => all.extend(more),
            _ => steps.push(Step::Bytes(more)),
        }
    }
    steps
}

fn bytes(text: &str) -> Vec<u8> {
    let byte = |it: char| u8::try_from(u32::from(it));
    text.chars().map(|it| byte(it).unwrap_or_else(|_| panic!("{it:?} is no byte"))).collect()
}

/// `None`: the other side did not want to hear all of it.
async fn write(mut to: OwnedWriteHalf, steps: Vec<Step>) -> Option<OwnedWriteHalf> {
    to.as_ref().set_nodelay(true).ok()?;
    for step in steps {
        match step {
            Step::Bytes(bytes) => to.write_all(&bytes).await.ok()?,
            Step::Pause(pause) => tokio::time::sleep(pause).await,
            Step::End => to.shutdown().await.ok()?,
        }
    }
    Some(to)
}

struct Reader {
    from: OwnedReadHalf,
    held: Vec<u8>,
}

impl Reader {
    /// The next answer; `None` if the connection ends before it.
    async fn answer(&mut self, has_body: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.held.windows(4).position(|it| it == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let rest = self.held.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.held, rest)).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|it| it.strip_prefix("HTTP/1.1 "));
        let status: u16 = status.unwrap_or(&head).get(..3).unwrap_or_default().parse().unwrap_or(0);
        let fields = lines.map(|it| it.split_once(": ").unwrap_or((it, "")));
        let fields: Vec<(String, String)> =
            fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut answer = Answer { status, fields, body: Vec::new() };
        let length = answer.header("content-length").and_then(|it| it.parse().ok());
        if has_body && status >= 200 {
            let length: usize = length.unwrap_or_else(|| panic!("no length: {head}"));
            while self.held.len() < length {
                self.more().await?;
            }
            let rest = self.held.split_off(length);
            answer.body = std::mem::replace(&mut self.held, rest);
        }
        Some(answer)
    }

    /// What comes until the connection ends.
    async fn rest(&mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        std::mem::take(&mut self.held)
    }

    /// `None`: it has ended, in order or by a reset.
    async fn more(&mut self) -> Option<()> {
        let n = self.from.read_buf(&mut self.held).await.unwrap_or(0);
        (n > 0).then_some(())
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(it, _)| it == name).map(|(_, value)| &**value)
    }

    /// What of its form is not as ours is.
    fn misshapen(&self, listener: Listener, expected: &Expected) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{}: {what}", self.status));
            }
        };
        let n_lengths = self.fields.iter().filter(|(name, _)| name == "content-length").count();
        must(n_lengths == usize::from(self.status >= 200), "not one `content-length`");
        let open = self.fields.iter().any(|(it, _)| it.starts_with("access-control-"));
        must(!open, "a web page is let in");
        must(self.header("set-cookie").is_none(), "a cookie");
        if listener == Listener::Admin || self.status < 200 {
            return faults;
        }
        must(self.header("geminid-request-id").is_some_and(|it| it.len() == 26), "no request id");
        let Some(cause) = expected.cause.as_deref() else { return faults };
        must(self.header("geminid-outcome") == Some("not_sent"), "not said that nothing was sent");
        must(self.header("proxy-status").is_some(), "no `proxy-status`");
        must(self.header("content-type") == Some("application/json"), "not called JSON");
        let length = self.header("content-length").and_then(|it| it.parse::<usize>().ok());
        must(length.is_some_and(|it| it > 0), "no body promised");
        if expected.body == Some(false) {
            return faults;
        }
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let diagnosis = &json["diagnosis"];
        must(json["result"] == "error" && json["reason"].is_string(), "not in Gemini's words");
        must(json["message"].as_str().is_some_and(|it| !it.is_empty()), "no message");
        must(diagnosis["cause"] == cause, "another cause in the body");
        must(diagnosis["decided_by"] == "proxy", "decided by somebody else");
        must(diagnosis["outcome"] == "not_sent", "another outcome in the body");
        must(diagnosis["fix"].as_array().is_some_and(|it| !it.is_empty()), "no fix");
        let id = self.header("geminid-request-id").unwrap_or_default();
        must(diagnosis["request_id"] == id, "another request id in the body");
        let said = String::from_utf8_lossy(&self.body);
        must(!CANARIES.iter().any(|it| said.contains(it)), "a credential is repeated");
        faults
    }
}
