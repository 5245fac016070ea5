//! Nonce marks through the worst: kills under load, and files that were cut or flipped.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use geminid::simulator::{KeySpec, Ledger, NonceRule, Verdict};
use http::Method;
use tokio::task::JoinHandle;

use crate::support::{Bot, Exchange, Proxy, Settings};

/// One proxy each, with a key and a state directory of its own.
const KEYS: [&str; 4] =
    ["account-killed1", "account-killed2", "account-killed3", "account-killedTime"];
const TIMED: &str = KEYS[3];
/// How often a proxy is killed, over all of them. `GEMINID_KILLS` sets another number.
const KILLS: usize = 40;

/// A sequence of numbers that look as if they were random, the same in each run.
struct Dice(u64);

impl Dice {
    /// Below `sides` (Knuth's multiplier; the upper bits are the better ones).
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Bots that call as fast as they are answered, until they are told to stop. They say how often they
/// were answered.
fn traffic(proxy: &Proxy) -> (Arc<AtomicBool>, Vec<JoinHandle<usize>>) {
    let stop = Arc::new(AtomicBool::new(false));
    let bots = (0..3).map(|number| {
        let (bot, stop) = (proxy.bot(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut n_answered = 0;
            while !stop.load(Ordering::Relaxed) {
                let path = if number == 0 { "/v1/heartbeat" } else { "/v1/balances" };
                let Some(answer) = bot.try_ask(Method::POST, path, "").await else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                let told = answer.told();
                // Busy, perhaps; but no nonce that was refused reaches a client.
                assert!(
                    told.0 == 200 || told == (503, "not_sent".into(), "lane-busy".into()),
                    "{told:?}"
                );
                n_answered += usize::from(told.0 == 200);
            }
            n_answered
        })
    });
    let bots = bots.collect();
    (stop, bots)
}

async fn kill_again_and_again(exchange: &Exchange, number: usize, n_kills: usize) -> usize {
    let settings = Settings { api_key: KEYS[number], ..Settings::default() };
    let (state, mut dice) = (format!("state-{number}"), Dice(number as u64));
    let first = exchange.proxy_in(&state, &settings).await;
    // How the key counts is on the disk with its first nonce.
    assert_eq!(first.bot().post("/v1/balances", "").await.status, 200);
    first.kill();
    let mut n_answered = 0;
    for _ in 0..n_kills {
        let proxy = exchange.proxy_unready(&state, &settings).await;
        let (stop, bots) = traffic(&proxy);
        // Mostly a loop of crashes, in which starts soon wait for the clock; now and then a longer life.
        let longest = if dice.roll(5) == 0 { 1_200_000 } else { 200_000 };
        tokio::time::sleep(Duration::from_micros(dice.roll(longest))).await;
        tokio::task::spawn_blocking(move || proxy.kill()).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        for bot in bots {
            n_answered += bot.await.unwrap();
        }
    }
    // And at the end it works.
    let last = exchange.proxy_in(&state, &settings).await;
    assert_eq!(last.bot().post("/v1/balances", "").await.status, 200);
    n_answered
}

/// What the exchange saw of one key. Yields how many calls, and how far a nonce led, in milliseconds.
fn judge(ledger: &Ledger, key: &str) -> (usize, i64) {
    let (mut seen, mut lead) = (Vec::new(), i64::MIN);
    for entry in ledger.requests().iter().filter(|it| it.key.as_deref() == Some(key)) {
        let nonce = entry.nonce.as_deref().unwrap();
        if nonce == "1" {
            assert_eq!(entry.path, "/v1/roles", "the question, which is asked once");
            assert!(seen.is_empty());
            continue;
        }
        let refused = matches!(&entry.verdict, Verdict::Rejected { .. });
        assert!(!refused, "{key}: {nonce} was refused: {:?}", entry.verdict);
        let micros = if key == TIMED { nonce.replace('.', "") } else { format!("{nonce}000") };
        let micros: u64 = micros.parse().unwrap();
        lead = lead.max((micros as i64 - entry.at.0 as i64) / 1_000);
        seen.push(micros);
    }
    assert!(lead < 60_000, "{key} led by {lead} ms");
    if key != TIMED {
        assert!(seen.is_sorted_by(|a, b| a < b), "{key}: in order of arrival");
        assert!(ledger.is_strictly_increasing(key), "{key}");
    }
    let n = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), n, "{key}: none repeats");
    (n, lead)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_and_started_again() {
    let exchange = Exchange::start_with(NonceRule::Increasing, |options| {
        options.keys.extend(KEYS.map(|key| {
            let mut spec = KeySpec::new(key, Exchange::SECRET);
            spec.nonce = if key == TIMED { NonceRule::Time } else { NonceRule::Increasing };
            spec
        }));
    })
    .await;
    let n_kills = std::env::var("GEMINID_KILLS").map_or(KILLS, |it| it.parse().unwrap());
    let began = Instant::now();
    let exchange = Arc::new(exchange);
    let all: Vec<_> = (0..KEYS.len())
        .map(|number| {
            let exchange = Arc::clone(&exchange);
            let n_kills = n_kills.div_ceil(KEYS.len());
            tokio::spawn(async move { kill_again_and_again(&exchange, number, n_kills).await })
        })
        .collect();
    let mut n_answered = 0;
    for one in all {
        n_answered += one.await.unwrap();
    }
    let ledger = exchange.simulator.ledger();
    let (mut n_calls, mut lead) = (0, i64::MIN);
    for key in KEYS {
        let (n, led) = judge(&ledger, key);
        (n_calls, lead) = (n_calls + n, lead.max(led));
    }
    assert!(n_answered > n_kills, "there was load: {n_answered} answers");
    assert!(ledger.executed_twice().is_empty());
    println!(
        "{n_kills} kills in {:.1} s: {n_calls} signed calls arrived, {n_answered} were answered, \
         no nonce led by more than {lead} ms",
        began.elapsed().as_secs_f64()
    );
}

/// A bot on each of two keys.
fn two_keys() -> Settings {
    Settings {
        client: "credential = { none = true }\nscopes = [\"trader\"]",
        more: "[[clients]]\nname = \"reader\"\nkey = \"reporting\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"auditor\"]",
        ..Settings::default()
    }
}

async fn balances(bot: Bot) -> (u16, String, String) {
    bot.post("/v1/balances", "").await.told()
}

/// Each way to spoil a file, by what it does to the bytes.
type Spoiled = (&'static str, fn(&mut Vec<u8>));

#[tokio::test]
async fn a_file_that_lost_one_slot_serves_on() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = two_keys();
    let file = exchange.nonce_file("state", Exchange::KEY);
    let proxy = exchange.proxy(&settings).await;
    assert_eq!(balances(proxy.bot()).await.0, 200);
    proxy.kill();
    let spoiled: [Spoiled; 4] = [
        ("the first slot", |bytes| bytes[25] ^= 0xFF),
        ("the second slot", |bytes| bytes[4_096] ^= 0x01),
        ("the whole first page", |bytes| bytes[..4_096].fill(0)),
        ("the whole second page", |bytes| bytes[4_096..].fill(0xA5)),
    ];
    for (what, spoil) in spoiled {
        let mut bytes = std::fs::read(&file).unwrap();
        spoil(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        let proxy = exchange.proxy(&settings).await;
        proxy.line("a nonce mark is repaired").await;
        assert_eq!(balances(proxy.bot()).await.0, 200, "{what}");
        proxy.kill();
    }
    let ledger = exchange.simulator.ledger();
    assert!(ledger.is_strictly_increasing(Exchange::KEY));
    assert_eq!(ledger.at_path("/v1/roles").len(), 1, "what was learned is not lost");
}

#[tokio::test]
async fn a_file_that_is_lost_stops_its_key_and_no_other() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = two_keys();
    let file = exchange.nonce_file("state", Exchange::KEY);
    let proxy = exchange.proxy(&settings).await;
    assert_eq!(balances(proxy.bot()).await.0, 200);
    assert_eq!(balances(proxy.bot().with_token(Exchange::TOKEN)).await.0, 200);
    assert!(proxy.terminate().await.success());
    let good = std::fs::read(&file).unwrap();
    let spoiled: [Spoiled; 6] = [
        ("both slots", |bytes| [24, 4_120].iter().for_each(|it| bytes[*it] ^= 1)),
        ("all zero", |bytes| bytes.fill(0)),
        ("cut to nothing", Vec::clear),
        ("cut in the first slot", |bytes| bytes.truncate(40)),
        ("cut after the first page", |bytes| bytes.truncate(4_096)),
        ("cut by a byte", |bytes| bytes.truncate(8_191)),
    ];
    for (what, spoil) in spoiled {
        let mut bytes = good.clone();
        spoil(&mut bytes);
        std::fs::write(&file, &bytes).unwrap();
        let before = exchange.simulator.ledger().arrivals(Exchange::KEY).len();
        let proxy = exchange.proxy(&settings).await;
        let line = proxy.line("cannot be read").await;
        let (moved, shown) = (file.display().to_string(), "`trading`");
        let hint = format!("mv {moved} {moved}.damaged");
        assert!(
            line.contains(shown) && line.contains(&hint) && line.contains("60 s"),
            "{what}: {line}"
        );
        for _ in 0..2 {
            let told = balances(proxy.bot()).await;
            assert_eq!(
                told,
                (503, "not_sent".to_owned(), "nonce-state-damaged".to_owned()),
                "{what}"
            );
        }
        assert_eq!(balances(proxy.bot().with_token(Exchange::TOKEN)).await.0, 200, "{what}");
        assert_eq!(exchange.simulator.ledger().arrivals(Exchange::KEY).len(), before, "{what}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "it is left as it was found");
        assert!(proxy.terminate().await.success());
    }
    // The way out. (The clock has passed the last nonce long ago: nothing ran ahead here.)
    std::fs::rename(&file, file.with_extension("damaged")).unwrap();
    let proxy = exchange.proxy(&settings).await;
    assert_eq!(balances(proxy.bot()).await.0, 200);
    let ledger = exchange.simulator.ledger();
    let nonces: Vec<u64> = ledger
        .arrivals(Exchange::KEY)
        .iter()
        .map(|it| it.parse().unwrap())
        .filter(|it| *it > 1)
        .collect();
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
}

#[tokio::test]
async fn another_keys_file_is_nobodys() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = two_keys();
    assert!(exchange.proxy(&settings).await.terminate().await.success());
    let of = |key| exchange.nonce_file("state", key);
    std::fs::copy(of(Exchange::AUDITOR), of(Exchange::KEY)).unwrap();
    let proxy = exchange.proxy(&settings).await;
    proxy.line("it belongs to another key").await;
    assert_eq!(balances(proxy.bot()).await.2, "nonce-state-damaged");
}

#[tokio::test]
async fn without_any_key_there_is_no_start_and_the_way_out_is_told() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let settings = two_keys();
    assert!(exchange.proxy(&settings).await.terminate().await.success());
    let files = [Exchange::KEY, Exchange::AUDITOR, Exchange::MASTER]
        .map(|key| exchange.nonce_file("state", key));
    files.iter().for_each(|file| std::fs::write(file, "what is this").unwrap());
    let ended = exchange.proxy_to_its_end("state", &settings);
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    for (file, key) in files.iter().zip(["trading", "reporting", "group"]) {
        let shown = file.display();
        let error =
            format!("error: the key `{key}` cannot be used: the nonce mark {shown} cannot be read");
        assert!(said.contains(&error), "{said}");
        assert!(said.contains(&format!("`mv {shown} {shown}.damaged`")), "{said}");
        move_away(file);
    }
    assert!(said.contains("\nhint: ") && said.contains("wait 60 s"), "{said}");
    let proxy = exchange.proxy(&settings).await;
    assert_eq!(balances(proxy.bot()).await.0, 200);
}

fn move_away(file: &Path) {
    std::fs::rename(file, file.with_extension("damaged")).unwrap();
}
