//! `geminid simulate`: the simulated exchange alone.
//!
//! 1. Standard output has what a script can read: where it listens, what to trust, the keys.
//! 2. Only the authority's certificate is written to a file, never a private key.
//! 3. It ends on SIGINT with 130 and on SIGTERM with 143.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the front prints")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::ValueEnum;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::simulator::KeySpec;
use crate::simulator::NonceRule;
use crate::simulator::Options;
use crate::simulator::Rule;
use crate::simulator::Simulator;
use crate::simulator::parse_script;
use crate::simulator::refusals;

/// Run a simulated exchange, to try bots and proxies without money.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct SimulateArgs {
    /// Where to listen, with TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9443")]
    #[arg(env = "GEMINID_SIMULATE_LISTEN")]
    listen: SocketAddr,
    /// Where to write the certificate that clients are to trust
    #[arg(long, value_name = "FILE", default_value = "simulator-ca.pem")]
    #[arg(env = "GEMINID_SIMULATE_CA_OUT")]
    ca_out: PathBuf,
    /// What the default keys accept as a nonce
    #[arg(long, value_enum, default_value_t = Nonce::Increasing)]
    #[arg(env = "GEMINID_SIMULATE_NONCE")]
    nonce: Nonce,
    /// How long every answer is on its way, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(env = "GEMINID_SIMULATE_DELAY_MS")]
    delay_ms: u64,
    /// How far the exchange's clock is from this machine's, in seconds
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    #[arg(env = "GEMINID_SIMULATE_CLOCK_OFFSET_SECONDS")]
    clock_offset_seconds: i64,
    /// The status for an unknown key: 400 as callers have seen it, or 403 as documented
    #[arg(long, value_name = "STATUS", default_value_t = 400)]
    #[arg(env = "GEMINID_SIMULATE_UNKNOWN_KEY_STATUS")]
    unknown_key_status: u16,
    /// A JSON file of rules that make it fail
    #[arg(long, value_name = "FILE")]
    #[arg(env = "GEMINID_SIMULATE_SCRIPT")]
    script: Option<PathBuf>,
    /// Do not offer HTTP/2
    #[arg(long, env = "GEMINID_SIMULATE_HTTP1_ONLY")]
    http1_only: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Nonce {
    /// Any number above the last one accepted
    Increasing,
    /// Seconds within 30 of the exchange's clock, in any order
    Time,
    /// The same, and each above the last one accepted
    TimeOrdered,
    /// Whole seconds within 30 of the exchange's clock
    TimeWhole,
}

impl From<Nonce> for NonceRule {
    fn from(nonce: Nonce) -> Self {
        match nonce {
            Nonce::Increasing => Self::Increasing,
            Nonce::Time => Self::Time,
            Nonce::TimeOrdered => Self::TimeOrdered,
            Nonce::TimeWhole => Self::TimeWhole,
        }
    }
}

const HELP: &str = r#"Keys
  account-simTrader000000001   simulator-secret-trader    Trader
  account-simAuditor00000001   simulator-secret-auditor   Auditor
  account-simFunds0000000001   simulator-secret-funds     FundManager, Trader
  account-simTimed0000000001   simulator-secret-timed     Trader, always time-based nonces
  master-simGroup0000000001    simulator-secret-master    Administrator, Trader; sub-accounts
                                                          primary and cold
  They are public and worth nothing anywhere else. The account keys share the account `primary`,
  which is rich in BTC, ETH, SOL, DOGE, GUSD and USD. Prices never move: BTCUSD is 64999.99 bid,
  65000.01 asked, 2.5 at each; what crosses is filled at once, the rest rests.

curl
  curl --cacert simulator-ca.pem https://localhost:9443/v1/pubticker/btcusd
  payload=$(printf '{"request":"/v1/balances","nonce":%s}' "$(date +%s%3N)" | base64 -w0)
  curl --cacert simulator-ca.pem -X POST https://localhost:9443/v1/balances \
    -H "X-GEMINI-APIKEY: account-simTrader000000001" -H "X-GEMINI-PAYLOAD: $payload" \
    -H "X-GEMINI-SIGNATURE: $(printf %s "$payload" |
        openssl dgst -sha384 -hmac simulator-secret-trader -r | cut -d' ' -f1)"

ccxt (Python; REQUESTS_CA_BUNDLE=simulator-ca.pem in the environment. The asynchronous ccxt takes
  'cafile': 'simulator-ca.pem' instead of 'requests_trust_env')
  ccxt.gemini({
    'apiKey': 'account-simTrader000000001', 'secret': 'simulator-secret-trader',
    'requests_trust_env': True,
    'urls': {'api': {'public': 'https://localhost:9443', 'private': 'https://localhost:9443'}},
    'options': {'fetchMarketsFromAPI': {'fetchDetailsForAllSymbols': True},
                'fetchCurrencies': {'webApiEnable': False}},
  })

Watching and steering, on the same port
  GET    /_simulator/ledger?since=N   every request: verdict, nonce, headers, ids, whether executed
  GET    /_simulator/summary          counts by path and verdict; per key, whether nonces arrived
                                      in strictly increasing order; connections, TLS handshakes
  POST   /_simulator/reset            forget requests and rules (orders, balances, nonces stay)
  GET    /_simulator/refusals         the words that `refuse` takes, what each stands for
  GET    /_simulator/address          the caller's address, as an address service tells it
  GET    /api/v2/status.json          the status page, as the real one has it
  POST   /_simulator/keys             add a key, or change one; its nonce mark stays:
                                      {"key":"account-x","secret":"y","roles":["Trader"],
                                      "nonce":"time","trusted_ips":["127.0.0.1"],"disabled":false,
                                      "last_nonce":"5","accounts":["primary"]}
  POST   /_simulator/accounts         {"account":"primary","state":"restricted"}; or "open",
                                      "closed", "no-terms", "no-custody-terms"
  POST   /_simulator/script           add rules;  DELETE /_simulator/script  drops them all
  POST   /_simulator/settings         {"delay_ms":5,"clock_offset_seconds":-20,
                                      "unknown_key_status":403,"status_as_object":true,
                                      "status_page":{"indicator":"major","description":"…"}}

Script: a rule, or a list of rules
  {"path":"/v1/order/new","key":"account-…","skip":0,"times":1,"do":{…}}
  path: exact, "*", or a beginning and "*". skip: let so many pass first. times: 0 = for ever.
  do, which can be combined:
    {"answer":{"status":503,"body":"…","headers":{"content-type":"text/html"}}}
    {"refuse":"key-role-missing"}  a rejection by its name, below
    {"delay_ms":500}         judge it later        {"delay_answer_ms":500}  execute, answer later
    {"close":"before"}       {"close":"after_execute"}
    {"truncate":20}          execute, promise the whole body, send 20 bytes of it
    {"redirect":"https://…"} {"maintenance":true}  {"rate_limited":true}
    {"html":"cloudflare"}    older names of some refusals; or "cloudflare_banned", "awselb"
    {"nonce_mark":"1790000000000"}  as if another process had used that nonce
    {"date_offset_seconds":-90}     {"no_date":true}
  do, at bytes, counted inside TLS (with --http1-only; HTTP/2 connections are dropped instead):
    {"cut":{"at":120,"then":"drop"}}  at byte 120 of the answer, head and all. Beyond its end: after
                              it. Then, too: "reset", "truncate" (closed in good order), "stall",
                              {"stall_ms":500}, {"trickle_ms":5}, {"garbage":"…"} instead of the
                              rest, {"noise":7} (a seed), {"tls_garbage":"…"} instead of TLS
    {"request":{"at":40,"then":"drop"}}  when 40 bytes of a request have come: "drop", "reset" or
                              "stall". It is not judged, and the rule names no key
    {"raw":"HTTP/1.1 101 \r\n\r\n"}  these bytes (characters up to U+00FF) instead of executing
    {"fill":{"body":9000000}} a body of that size; or {"chunked":N}, "endless", {"head":N} for one
                              long header, {"fields":N} for many
    {"informational":{"count":10000,"status":103}}  so many answers that are not the last
    {"encoded":"gzip"}
    {"execute":true}          executes all the same, where something else is answered instead
  e.g.: an order is executed, but the answer is lost:
    curl --cacert simulator-ca.pem https://localhost:9443/_simulator/script \
      -d '{"path":"/v1/order/new","do":{"close":"after_execute"}}'

Refusals: what `refuse` takes. /_simulator/refusals says what each stands for, and whether its text
  is documented, was seen, or is only plausible.
  An edge before a healthy exchange:  {"path":"/v1/*","times":0,"do":{"refuse":"cloudflare-1020"}}
"#;

/// The help, with every word that `refuse` takes.
fn help() -> String {
    let mut text = HELP.to_owned();
    let mut line = String::from(" ");
    for refused in refusals() {
        if line.len() + refused.word.len() >= 100 {
            text.push_str(&line);
            text.push('\n');
            " ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(refused.word);
    }
    text.push_str(&line);
    text.push('\n');
    text
}

pub(crate) async fn run(args: SimulateArgs) -> ExitCode {
    let (options, ca_out) = match options(args) {
        Ok(ready) => ready,
        Err(fault) => return fail(&fault, 2),
    };
    let (keys, listen) = (options.keys.clone(), options.listen);
    let simulator = match Simulator::start(options).await {
        Ok(simulator) => simulator,
        Err(fault) => {
            return fail(&format!("cannot start the simulated exchange on {listen}: {fault}"), 1);
        }
    };
    if let Err(fault) = fs::write(&ca_out, simulator.ca_pem()) {
        return fail(&format!("cannot write {}: {fault}", ca_out.display()), 1);
    }
    let ca = fs::canonicalize(&ca_out).unwrap_or(ca_out);
    println!("{}", introduction(&simulator.url(), &ca.display().to_string(), &keys));
    let code = interrupted().await;
    simulator.stop().await;
    ExitCode::from(code)
}

fn options(args: SimulateArgs) -> Result<(Options, PathBuf), String> {
    let script = match &args.script {
        None => Vec::new(),
        Some(path) => read_script(path)?,
    };
    let options = Options {
        listen: args.listen,
        keys: KeySpec::defaults(args.nonce.into()),
        delay: Duration::from_millis(args.delay_ms),
        clock_offset_seconds: args.clock_offset_seconds,
        unknown_key_status: args.unknown_key_status,
        script,
        http1_only: args.http1_only,
        ..Options::default()
    };
    Ok((options, args.ca_out))
}

fn read_script(path: &PathBuf) -> Result<Vec<Rule>, String> {
    let text = fs::read_to_string(path)
        .map_err(|fault| format!("cannot read {}: {fault}", path.display()))?;
    parse_script(&text).map_err(|fault| format!("{} is not a script: {fault}", path.display()))
}

fn introduction(url: &str, ca: &str, keys: &[KeySpec]) -> String {
    let mut text = format!("url  {url}\nca   {ca}\n");
    for KeySpec { key, secret, roles, nonce, .. } in keys {
        text.push_str(&format!("key  {key}  {secret}  {roles:?}  {nonce:?}\n"));
    }
    let Some(KeySpec { key, secret, .. }) = keys.first() else { return text };
    text.push_str(&format!(
        r#"
# proxy.toml
[[upstreams]]
name = "exchange"
provider = "exchange"
environment = "simulator"
url = "{url}"
ca_file = "{ca}"
listen = ["127.0.0.1:3840"]

[[keys]]
name = "trading"
upstream = "exchange"
api_key = "{key}"
api_secret = {{ value = "{secret}" }}

[[clients]]
name = "bot"
credential = {{ none = true }}
key = "trading"
scopes = ["trader"]

# What it was asked, and a fault to come (geminid simulate --help has them all):
#   curl --cacert {ca} {url}/_simulator/summary
#   curl --cacert {ca} {url}/_simulator/ledger
#   curl --cacert {ca} {url}/_simulator/script \
#     -d '{{"path":"/v1/order/new","do":{{"close":"after_execute"}}}}'
"#
    ));
    text
}

/// Waits for the signal to end, and tells the exit code that goes with it.
async fn interrupted() -> u8 {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => 130,
        _ = terminate.recv() => 143,
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_tells_the_default_keys() {
        for key in KeySpec::defaults(NonceRule::Increasing) {
            assert!(HELP.contains(&key.key) && HELP.contains(&key.secret), "{}", key.key);
        }
    }

    #[test]
    fn the_help_tells_every_refusal() {
        let help = help();
        let words: Vec<_> = help.split_whitespace().collect();
        for refused in refusals() {
            assert!(words.contains(&refused.word), "{}", refused.word);
        }
        assert!(help.lines().all(|it| it.chars().count() <= 100));
    }

    #[test]
    fn the_introduction_is_a_configuration() {
        let keys = KeySpec::defaults(NonceRule::Increasing);
        let text = introduction("https://localhost:1", "/tmp/ca.pem", &keys);
        let snippet = text.split_once("# proxy.toml").expect("a snippet").1;
        let parsed: toml::Table = snippet.parse().expect("TOML");
        assert_eq!(parsed["upstreams"][0]["environment"].as_str(), Some("simulator"));
        assert_eq!(
            parsed["keys"][0]["api_secret"]["value"].as_str(),
            Some("simulator-secret-trader")
        );
    }
}
