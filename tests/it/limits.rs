//! What a client may do in a day, through the built binary: what the exchange saw is the proof.

use std::process::Output;
use std::time::{Duration, Instant};

use geminid::simulator::{KeySpec, NonceRule, Role};

use crate::support::{Answer, Bot, Exchange, Proxy, Settings, geminid};

/// Worth ten dollars, and far from the market.
const ORDER: &str =
    r#"{"symbol":"btcusd","amount":"0.01","price":"1000","side":"buy","type":"exchange limit"}"#;
const SPENT: &str = "daily-limit-reached";
const OPEN: &str = "open-orders-limit";
const PATIENCE: Duration = Duration::from_secs(60);

/// A trader with these limits of orders.
macro_rules! trader {
    ($limits:expr) => {
        Settings {
            client: concat!(
                "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]\n[clients.orders]\n",
                $limits
            ),
            ..Settings::default()
        }
    };
}

async fn exchange() -> Exchange {
    Exchange::start(NonceRule::Increasing).await
}

fn bot(proxy: &Proxy) -> Bot {
    proxy.bot().with_token(Exchange::TOKEN)
}

async fn order(proxy: &Proxy) -> Answer {
    bot(proxy).post("/v1/order/new", ORDER).await
}

/// The same call so many times, none waiting for another.
async fn at_once(bot: &Bot, n: usize, path: &'static str, body: &str) -> Vec<Answer> {
    let ask = |_| {
        let (bot, body) = (bot.clone(), body.to_owned());
        tokio::spawn(async move { bot.post(path, &body).await })
    };
    let all: Vec<_> = (0..n).map(ask).collect();
    let mut answers = Vec::new();
    for one in all {
        answers.push(one.await.unwrap());
    }
    answers
}

/// `ORDER`, with more members.
fn with(more: &str) -> String {
    ORDER.replace('}', &format!(",{more}}}"))
}

#[track_caller]
fn refused(answer: &Answer, cause: &str) {
    assert_eq!(answer.told(), (403, "not_sent".to_owned(), cause.to_owned()), "{answer:?}");
}

#[track_caller]
fn placed(answer: &Answer) {
    assert_eq!(answer.told(), (200, "executed".to_owned(), String::new()), "{answer:?}");
}

/// How many orders arrived, and how many of them were placed.
fn orders(exchange: &Exchange) -> (usize, usize) {
    let ledger = exchange.simulator.ledger();
    let all = ledger.at_path("/v1/order/new");
    (all.len(), all.iter().filter(|it| it.executed).count())
}

/// Runs a command of the operator's while the exchange goes on.
async fn operator(exchange: &Exchange, proxy: &Proxy, words: &[&str]) -> Output {
    let file = exchange.dir().join("state.toml").display().to_string();
    let more = ["--config".to_owned(), file, "--admin".to_owned(), proxy.admin.to_string()];
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).chain(more).collect();
    let run = move || geminid(&words.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the audit trail has so many intents: their calls wait for their turn, or are sent.
async fn intents(exchange: &Exchange, n: usize) {
    let file = exchange.dir().join("state/audit/000000000001.jsonl");
    let count = || std::fs::read_to_string(&file).unwrap_or_default();
    until("the intent", || count().matches("\"event\":\"intent\"").count() >= n).await;
}

async fn arrived(exchange: &Exchange, path: &str) {
    until(path, || !exchange.simulator.ledger().at_path(path).is_empty()).await;
}

#[tokio::test]
async fn of_a_hundred_orders_at_once_the_cap_passes() {
    for (settings, cap) in [
        (trader!("max_orders_per_day = 7"), 7),
        (trader!("max_notional_per_day = { usd = \"209.99\" }"), 20),
        (trader!("max_open_orders = 9"), 9),
    ] {
        let exchange = exchange().await;
        let proxy = exchange.proxy(&settings).await;
        let bot = bot(&proxy);
        let answers = at_once(&bot, 100, "/v1/order/new", ORDER).await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
        assert_eq!(orders(&exchange), (cap, cap));
        good.into_iter().for_each(placed);
        let cause = if cap == 9 { OPEN } else { SPENT };
        bad.into_iter().for_each(|it| refused(it, cause));
    }
}

#[tokio::test]
async fn caps_survive_an_end_in_order_and_a_kill() {
    let exchange = exchange().await;
    let settings = trader!("max_orders_per_day = 3\nmax_notional_per_day = { usd = \"30\" }");
    let proxy = exchange.proxy(&settings).await;
    placed(&order(&proxy).await);
    assert!(proxy.terminate().await.success());
    let proxy = exchange.proxy(&settings).await;
    placed(&order(&proxy).await);
    proxy.kill();
    let proxy = exchange.proxy(&settings).await;
    placed(&order(&proxy).await);
    proxy.kill();
    let proxy = exchange.proxy(&settings).await;
    refused(&order(&proxy).await, SPENT);
    assert_eq!(orders(&exchange), (3, 3));
}

#[tokio::test]
async fn what_was_rejected_or_not_sent_is_given_back() {
    let exchange = exchange().await;
    let settings = trader!("max_orders_per_day = 1\nmax_notional_per_day = { usd = \"10\" }");
    let proxy = exchange.proxy(&settings).await;
    let bot = bot(&proxy);
    // Too fine for the exchange.
    let fine = ORDER.replace("\"1000\"", "\"1.001\"");
    assert_eq!(bot.post("/v1/order/new", &fine).await.status, 400);
    let script = r#"[{"path":"/v1/order/new","do":{"answer":{"status":403,"body":"no"}}},
        {"path":"/v1/order/new","do":{"maintenance":true}}]"#;
    exchange.simulator.script(script).unwrap();
    assert_eq!(bot.post("/v1/order/new", ORDER).await.told().1, "rejected");
    assert_eq!(bot.post("/v1/order/new", ORDER).await.status, 503);
    // Who is frozen while it waits is not sent.
    let slow = r#"[{"path":"/v1/balances","do":{"delay_ms":1500}}]"#;
    exchange.simulator.script(slow).unwrap();
    let (read, waiting, ()) =
        tokio::join!(bot.post("/v1/balances", ""), bot.post("/v1/order/new", ORDER), async {
            arrived(&exchange, "/v1/balances").await;
            intents(&exchange, 4).await;
            assert!(operator(&exchange, &proxy, &["freeze"]).await.status.success());
        });
    assert_eq!(read.status, 200);
    refused(&waiting, "client-frozen");
    assert_eq!(orders(&exchange), (3, 0));
    assert!(operator(&exchange, &proxy, &["thaw"]).await.status.success());
    placed(&order(&proxy).await);
    refused(&order(&proxy).await, SPENT);
    assert_eq!(orders(&exchange), (4, 1));
}

#[tokio::test]
async fn what_may_have_been_executed_stays_taken() {
    for (fault, outcome) in [
        (r#"{"close":"after_execute"}"#, "unknown"),
        (r#"{"close":"before"}"#, "unknown"),
        (r#"{"truncate":20}"#, "executed"),
        (r#"{"redirect":"https://localhost/"}"#, "unknown"),
        (r#"{"answer":{"status":502,"body":"no"}}"#, "unknown"),
        (r#"{"answer":{"status":503,"body":"{\"result\":\"error\"}"}}"#, "unknown"),
        (r#"{"answer":{"status":200,"body":"<html>"}}"#, "executed"),
        (r#"{"answer":{"status":200,"body":"[]"}}"#, "executed"),
        (r#"{"answer":{"status":200,"body":"{\"order_id\":1,\"is_live\":false}"}}"#, "executed"),
    ] {
        let exchange = exchange().await;
        let settings = trader!("max_notional_per_day = { usd = \"19.99\" }\nmax_open_orders = 5");
        let proxy = exchange.proxy(&settings).await;
        let script = format!(r#"[{{"path":"/v1/order/new","do":{fault}}}]"#);
        exchange.simulator.script(&script).unwrap();
        let lost = order(&proxy).await;
        assert_eq!(lost.header("geminid-outcome"), outcome, "{fault}");
        refused(&order(&proxy).await, SPENT);
        proxy.kill();
        let proxy = exchange.proxy(&settings).await;
        refused(&order(&proxy).await, SPENT);
        assert_eq!(orders(&exchange).0, 1, "{fault}");
    }
}

/// What an order at once was not filled with comes back, and nothing of an earlier one whose answer was
/// lost, though both have one name.
#[tokio::test]
async fn an_order_gives_back_its_own_and_no_others() {
    let exchange = exchange().await;
    let proxy = exchange.proxy(&trader!("max_notional_per_day = { usd = \"20\" }")).await;
    let bot = bot(&proxy);
    let lost = r#"[{"path":"/v1/order/new","do":{"close":"after_execute"}}]"#;
    exchange.simulator.script(lost).unwrap();
    let named = with(r#""client_order_id":"1""#);
    assert_eq!(bot.post("/v1/order/new", &named).await.told().1, "unknown");
    let at_once = with(r#""client_order_id":"1","options":["immediate-or-cancel"]"#);
    for _ in 0..3 {
        let answer = bot.post("/v1/order/new", &at_once).await;
        placed(&answer);
        assert_eq!(answer.json()["is_live"], false);
    }
    placed(&order(&proxy).await);
    refused(&order(&proxy).await, SPENT);
    assert_eq!(orders(&exchange), (5, 5));
}

/// `cancel/all` does not tell of each order: the proxy looks by itself.
#[tokio::test]
async fn room_for_open_orders_comes_back_when_they_have_ended() {
    for list in ["", r#"[{"path":"/v1/orders","times":0,"do":{"raw":"CHUNKED"}}]"#] {
        let exchange = exchange().await;
        let chunked = "HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n2\\r\\n[]\\r\\n0\\r\\n\\r\\n";
        let script = list.replace("CHUNKED", chunked);
        let proxy = exchange.proxy(&trader!("max_open_orders = 1")).await;
        if !script.is_empty() {
            exchange.simulator.script(&script).unwrap();
        }
        placed(&order(&proxy).await);
        assert_eq!(bot(&proxy).post("/v1/order/cancel/all", "").await.status, 200);
        refused(&order(&proxy).await, OPEN);
        let began = Instant::now();
        loop {
            let answer = order(&proxy).await;
            if answer.status == 200 {
                break;
            }
            refused(&answer, OPEN);
            assert!(began.elapsed() < Duration::from_secs(20), "never free: {list}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(orders(&exchange), (2, 2));
    }
}

/// A list that was asked for with a condition is not the whole list.
#[tokio::test]
async fn a_part_of_the_list_frees_nothing() {
    let exchange = exchange().await;
    let proxy = exchange.proxy(&trader!("max_open_orders = 1")).await;
    placed(&order(&proxy).await);
    // As of an exchange that knows the condition. What the proxy asks by itself sees the order.
    let part = r#"[{"path":"/v1/orders","do":{"answer":{"status":200,"body":"[]"}}}]"#;
    exchange.simulator.script(part).unwrap();
    let listed = bot(&proxy).post("/v1/orders", r#"{"symbol":"ethusd"}"#).await;
    assert_eq!((listed.status.as_u16(), &listed.body[..]), (200, &b"[]"[..]));
    refused(&order(&proxy).await, OPEN);
    assert_eq!(orders(&exchange), (1, 1));
}

#[tokio::test]
async fn without_a_ticker_there_is_no_order_and_one_question_for_all() {
    let sell = ORDER.replace("buy", "sell");
    for fault in [
        r#"{"answer":{"status":500,"body":"{}"}}"#,
        r#"{"answer":{"status":200,"body":"{\"bid\":\"0\",\"ask\":\"1\"}"}}"#,
        r#"{"close":"before"}"#,
        r#"{"delay_ms":30000}"#,
    ] {
        let exchange = exchange().await;
        let proxy = exchange.proxy(&trader!("max_notional = { usd = \"5000\" }")).await;
        let bot = bot(&proxy);
        let script = format!(r#"[{{"path":"/v1/pubticker/btcusd","times":0,"do":{fault}}}]"#);
        exchange.simulator.script(&script).unwrap();
        let answers = at_once(&bot, 4, "/v1/order/new", &sell).await;
        answers.iter().for_each(|it| refused(it, "order-unpriceable"));
        let asked = exchange.simulator.ledger().at_path("/v1/pubticker/btcusd").len();
        assert_eq!((orders(&exchange), asked), ((0, 0), 1), "{fault}");
        // A buy names its own price.
        placed(&bot.post("/v1/order/new", ORDER).await);
    }
}

/// The order has its turn, and waits for what comes before its nonce.
#[tokio::test]
async fn who_is_frozen_after_its_turn_has_come_is_not_sent() {
    let exchange = exchange().await;
    let proxy = exchange.proxy(&trader!("max_orders_per_day = 1")).await;
    exchange.simulator.script(r#"[{"path":"/v1/roles","do":{"delay_ms":1500}}]"#).unwrap();
    let (waiting, ()) = tokio::join!(order(&proxy), async {
        arrived(&exchange, "/v1/roles").await;
        assert!(operator(&exchange, &proxy, &["freeze"]).await.status.success());
    });
    refused(&waiting, "client-frozen");
    assert_eq!(orders(&exchange), (0, 0));
    // Its last line tells what it was refused by, and not what had allowed it.
    let file = exchange.dir().join("state/audit/000000000001.jsonl");
    let lines = || std::fs::read_to_string(&file).unwrap();
    let told = "\"decision\":\"refused\",\"rule\":\"freeze\"";
    until("its line", || lines().contains("\"cause\":\"client-frozen\"")).await;
    assert!(lines().lines().any(|it| it.contains("client-frozen") && it.contains(told)));
    assert!(operator(&exchange, &proxy, &["thaw"]).await.status.success());
    placed(&order(&proxy).await);
    assert_eq!(orders(&exchange), (1, 1));
}

#[tokio::test]
async fn an_emergency_overtakes_whoever_waits() {
    let exchange = exchange().await;
    let proxy = exchange.proxy(&trader!("symbols = [\"btcusd\"]")).await;
    let bot = bot(&proxy);
    placed(&order(&proxy).await);
    // Longer than anyone else waits for a turn.
    let slow = r#"[{"path":"/v1/balances","do":{"delay_ms":6500}}]"#;
    exchange.simulator.script(slow).unwrap();
    let (read, late, frozen, ()) = tokio::join!(
        bot.post("/v1/balances", ""),
        async {
            arrived(&exchange, "/v1/balances").await;
            tokio::time::sleep(Duration::from_secs(4)).await;
            bot.post("/v1/heartbeat", "").await
        },
        async {
            arrived(&exchange, "/v1/balances").await;
            order(&proxy).await
        },
        async {
            intents(&exchange, 2).await;
            let said = operator(&exchange, &proxy, &["freeze", "--cancel-all"]).await;
            assert!(said.status.success(), "{said:?}");
        }
    );
    assert_eq!((read.status.as_u16(), late.status.as_u16()), (200, 200));
    assert!(["lane-busy", "client-frozen"].contains(&&*frozen.told().2), "{frozen:?}");
    let ledger = exchange.simulator.ledger();
    let paths: Vec<&str> = ledger.requests().iter().map(|it| it.path.as_str()).collect();
    let after = paths.iter().skip_while(|it| **it != "/v1/balances").copied();
    let after: Vec<&str> = after.collect();
    assert_eq!(after, ["/v1/balances", "/v1/order/cancel/all", "/v1/heartbeat"]);
    assert_eq!(orders(&exchange), (1, 1));
    assert_eq!(bot.post("/v1/orders", "").await.json(), serde_json::json!([]));
}

/// A key for a group without an account of its own: its orders are in those that clients may name.
#[tokio::test]
async fn an_emergency_reaches_the_accounts_of_a_group() {
    const GROUP: &str = "master-realGroup00009";
    let exchange = Exchange::start_with(NonceRule::Increasing, |options| {
        let mut key = KeySpec::new(GROUP, Exchange::SECRET);
        key.roles = vec![Role::Trader];
        key.accounts = vec!["primary".to_owned(), "cold".to_owned()];
        options.keys.push(key);
    });
    let exchange = exchange.await;
    let client = "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]\naccounts = [\"primary\", \"cold\"]";
    let settings = Settings { client, api_key: GROUP, ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    let order = with(r#""account":"primary""#);
    placed(&bot(&proxy).post("/v1/order/new", &order).await);
    let said = operator(&exchange, &proxy, &["freeze", "--cancel-all"]).await;
    assert!(said.status.success(), "{said:?}");
    let ledger = exchange.simulator.ledger();
    assert_eq!(ledger.at_path("/v1/order/cancel/all").len(), 2);
    for account in ["primary", "cold"] {
        let asked = format!(r#"{{"account":"{account}"}}"#);
        let listed = bot(&proxy).post("/v1/orders", &asked).await;
        assert_eq!(listed.json(), serde_json::json!([]));
    }
}

const WITHDRAWER: Settings = Settings {
    key: "",
    client: "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"fund-manager\"]\n[[clients.withdrawals]]\ncurrency = \"btc\"\naddress = \"bc1qcold\"\nmax_per_day = \"0.5\"",
    more: "",
    arguments: &[],
    listen: "\"127.0.0.1:0\"",
    upstream: "",
    environment: &[],
    state: "",
    api_key: Exchange::KEY,
};

#[tokio::test]
async fn a_destination_has_its_limit_of_a_day() {
    let exchange = exchange().await;
    let proxy = exchange.proxy(&WITHDRAWER).await;
    let bot = bot(&proxy);
    let path = "/v1/withdraw/btc";
    let to = |amount: &str| format!(r#"{{"address":"bc1qcold","amount":"{amount}"}}"#);
    let lost = r#"[{"path":"/v1/withdraw/btc","do":{"close":"after_execute"}}]"#;
    exchange.simulator.script(lost).unwrap();
    assert_eq!(bot.post(path, &to("0.2")).await.told().1, "unknown");
    let count = || exchange.simulator.ledger().at_path(path).len();
    let answers = at_once(&bot, 20, path, &to("0.1")).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!((good.len(), count()), (3, 4));
    bad.into_iter().for_each(|it| refused(it, "withdrawal-refused"));
    for amount in ["1e-9", "-1", " 0.1", "0,1"] {
        assert_eq!(bot.post(path, &to(amount)).await.status, 400, "{amount}");
    }
    refused(&bot.post(path, &to("0.51")).await, "withdrawal-refused");
    assert!(proxy.terminate().await.success());
    let proxy = exchange.proxy(&WITHDRAWER).await;
    let bot = proxy.bot().with_token(Exchange::TOKEN);
    refused(&bot.post(path, &to("0.00000001")).await, "withdrawal-refused");
    assert_eq!(count(), 4);
}

#[tokio::test]
async fn a_client_that_calls_too_often_hears_when_to_come_back() {
    let exchange = exchange().await;
    let client =
        "credential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]\nrate = \"2/h burst 2\"";
    let proxy = exchange.proxy(&Settings { client, ..Settings::default() }).await;
    let bot = bot(&proxy);
    let answers = at_once(&bot, 10, "/v1/balances", "").await;
    let late: Vec<&Answer> = answers.iter().filter(|it| it.status != 200).collect();
    assert_eq!((late.len(), exchange.simulator.ledger().at_path("/v1/balances").len()), (8, 2));
    for answer in late {
        assert_eq!(answer.told(), (429, "not_sent".to_owned(), "rate-budget-spent".to_owned()));
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1_000..=1_800).contains(&wait), "{wait}");
        assert_eq!(answer.json()["reason"], "RateLimit");
    }
}
