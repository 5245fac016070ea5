//! The operator's commands, through the built binary: clients come and go while the proxy runs, and
//! everything can be stopped.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use geminid::simulator::NonceRule;
use serde_json::Value;

use crate::support::{Bot, Exchange, Proxy, Settings, geminid};

const ORDER: &str =
    r#"{"symbol":"btcusd","amount":"0.01","price":"1000","side":"buy","type":"exchange limit"}"#;

fn out(said: &Output) -> String {
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn err(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}

/// A proxy, its configuration, and commands for it.
struct Desk {
    exchange: Exchange,
    proxy: Proxy,
    file: PathBuf,
}

impl Desk {
    async fn open(settings: &Settings) -> Self {
        let exchange = Exchange::start(NonceRule::Increasing).await;
        let proxy = exchange.proxy(settings).await;
        let file = exchange.dir().join("state.toml");
        Self { exchange, proxy, file }
    }

    /// Runs a command for this proxy.
    fn command(&self, words: &[&str]) -> Output {
        let (admin, file) = (self.proxy.admin.to_string(), self.file.to_str().unwrap());
        geminid(&[words, &["--config", file, "--admin", &admin]].concat())
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let said = self.command(words);
        assert!(said.status.success(), "{words:?}: {}{}", out(&said), err(&said));
        out(&said)
    }

    #[track_caller]
    fn fails(&self, words: &[&str], code: i32, hints: &[&str]) {
        let said = self.command(words);
        assert_eq!(said.status.code(), Some(code), "{words:?}: {}{}", out(&said), err(&said));
        for hint in hints {
            assert!(err(&said).contains(hint), "{hint}: {}", err(&said));
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    fn state(&self, name: &str) -> PathBuf {
        self.exchange.dir().join("state").join(name)
    }

    fn operator_token(&self) -> String {
        std::fs::read_to_string(self.state("operator-token")).unwrap().trim_end().to_owned()
    }

    async fn status(&self, token: &str) -> u16 {
        let bot = self.proxy.bot().with_token(token);
        bot.post("/v1/balances", "").await.status.as_u16()
    }
}

fn found(text: &str, fits: impl Fn(&str) -> bool) -> String {
    let word = text.split_whitespace().find(|it| fits(it));
    word.unwrap_or_else(|| panic!("not there:\n{text}")).to_owned()
}

fn token_in(text: &str) -> String {
    let token = found(text, |it| it.starts_with("geminid_"));
    assert_eq!(token.len(), "geminid_".len() + 64);
    token
}

fn pair_in(text: &str) -> (String, String) {
    let after = |word: &str| text.split_whitespace().skip_while(|it| *it != word).nth(1).unwrap();
    (after("key").to_owned(), after("secret").to_owned())
}

async fn signed(proxy: &Proxy, (key, secret): &(String, String)) -> u16 {
    let payload = r#"{"request":"/v1/balances","nonce":1}"#;
    proxy.bot().signing(key, secret, payload).post("/v1/balances", "").await.status.as_u16()
}

#[tokio::test]
async fn a_client_comes_and_goes_without_a_restart() {
    let desk = Desk::open(&Settings::default()).await;
    let before = desk.text();
    let shown = desk.done(&["client", "add", "desk", "--key", "trading", "--scopes", "trader"]);
    let token = token_in(&shown);
    assert!(shown.contains("curl") && shown.contains("requests"), "{shown}");
    assert!(desk.text().starts_with(&before), "{}", desk.text());
    assert!(!desk.text().contains(&token));
    assert_eq!(desk.status(&token).await, 200);
    // The others are as they were.
    assert_eq!(desk.status(Exchange::TOKEN).await, 200);
    assert_eq!(desk.proxy.bot().post("/v1/balances", "").await.status, 200);

    let listed = desk.done(&["client", "list"]);
    assert!(listed.contains("desk") && listed.contains("token"), "{listed}");
    let json: Value = serde_json::from_str(&desk.done(&["client", "list", "--json"])).unwrap();
    assert_eq!(json[1]["name"], "desk");
    assert_eq!(json[1]["scopes"][0], "trader");
    assert_eq!(json[0]["credentials"][2]["kind"], "stand-in");
    let hash = desk.text().split('"').find(|it| it.len() == 64).unwrap().to_owned();
    assert!(!listed.contains(&hash) && !json.to_string().contains(&hash));

    desk.fails(&["client", "add", "desk", "--key", "trading"], 2, &["already", "rotate"]);
    let said = desk.done(&["client", "revoke", "desk"]);
    assert!(said.contains("desk"), "{said}");
    let answer = desk.proxy.bot().with_token(&token).post("/v1/balances", "").await;
    assert_eq!(answer.told(), (401, "not_sent".to_owned(), "client-credential-wrong".to_owned()));
    assert_eq!(desk.text(), before);
    desk.fails(&["client", "revoke", "desk"], 2, &["no client `desk`", "the clients are bot"]);
}

#[tokio::test]
async fn a_stand_in_pair_has_its_secret_in_a_file() {
    let desk = Desk::open(&Settings::default()).await;
    let shown = desk.done(&["client", "add", "lib", "--key", "trading", "--stand-in"]);
    let pair = pair_in(&shown);
    assert!(pair.0.starts_with("account-lib-") && pair.1.len() == 43, "{shown}");
    assert!(shown.contains("ccxt") && shown.contains("curl") && shown.contains("requests"));
    assert_eq!(signed(&desk.proxy, &pair).await, 200);
    let secret = desk.exchange.dir().join("lib.secret");
    assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!desk.text().contains(&pair.1));
    // A second pair, while the first one is still good.
    let next = pair_in(&desk.done(&["client", "rotate", "lib"]));
    assert_eq!((signed(&desk.proxy, &pair).await, signed(&desk.proxy, &next).await), (200, 200));
    // And nothing but a third.
    let last = pair_in(&desk.done(&["client", "rotate", "lib", "--until", "now"]));
    for (pair, status) in [(&pair, 401), (&next, 401), (&last, 200)] {
        assert_eq!(signed(&desk.proxy, pair).await, status);
    }
    // The file of a client that was never added does not stay.
    desk.fails(&["client", "add", "bad", "--stand-in", "--key", "none"], 2, &["`none` is unknown"]);
    assert!(!desk.exchange.dir().join("bad.secret").exists());
}

#[tokio::test]
async fn a_rotated_token_counts_until_it_ends() {
    let desk = Desk::open(&Settings::default()).await;
    let first = token_in(&desk.done(&["client", "add", "desk", "--key", "trading"]));
    let second = token_in(&desk.done(&["client", "rotate", "desk", "--until", "7d"]));
    assert_eq!((desk.status(&first).await, desk.status(&second).await), (200, 200));
    let listed = desk.done(&["client", "list"]);
    assert!(listed.contains("token (until 20"), "{listed}");
    // A moment that has passed, as if it had come.
    let third = desk.done(&["client", "rotate", "desk", "--until", "2001-01-01T00:00:00Z"]);
    let third = token_in(&third);
    for (token, status) in [(&first, 401), (&second, 401), (&third, 200)] {
        assert_eq!(desk.status(token).await, status, "{}", desk.text());
    }
    desk.fails(&["client", "rotate", "desk", "--until", "soon"], 2, &["`soon`", "7d"]);
    desk.done(&["client", "revoke", "desk", "--keep"]);
    let answer = desk.proxy.bot().with_token(&third).post("/v1/balances", "").await;
    assert_eq!(answer.told().2, "client-expired");
}

#[tokio::test]
async fn what_would_not_load_changes_nothing() {
    let desk = Desk::open(&Settings::default()).await;
    let before = desk.text();
    desk.fails(&["client", "add", "x"], 2, &["must say which", "hint: "]);
    desk.fails(
        &["client", "add", "x", "--key", "trading", "--scopes", "tradre"],
        2,
        &["did you mean"],
    );
    desk.fails(&["client", "add", "../x", "--key", "trading"], 2, &["no name"]);
    desk.fails(&["client", "add", "x", "--key", "trading", "--max-amount", "btc"], 2, &["`btc`"]);
    assert_eq!(desk.text(), before);
    // A link stays one, and the mode of what it leads to.
    let link = desk.exchange.dir().join("link.toml");
    std::os::unix::fs::symlink(&desk.file, &link).unwrap();
    std::fs::set_permissions(&desk.file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let admin = desk.proxy.admin.to_string();
    let words = ["client", "add", "x", "--key", "trading", "--admin", &admin, "--config"];
    let said = geminid(&[&words[..], &[link.to_str().unwrap()]].concat());
    assert!(said.status.success(), "{}", err(&said));
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&desk.file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(desk.text().contains("name = \"x\""));
}

/// As in the shell of an operator, who has none of the service's variables and files.
#[test]
fn without_the_secrets_of_the_proxy_clients_change_and_the_trail_is_looked_at() {
    let dir = std::env::temp_dir().join(format!("geminid-operator-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("proxy.toml");
    let text = "[listen]\nadmin = \"127.0.0.1:1\"\n[state]\ndir = \"state\"\n\
                [[upstreams]]\nname = \"exchange\"\nprovider = \"exchange\"\nenvironment = \"production\"\n\
                [[keys]]\nname = \"trading\"\napi_key = { env = \"NOT_IN_THIS_SHELL\" }\n\
                api_secret = { file = \"not-for-us\" }\n\
                [[clients]]\nname = \"lib\"\nkey = \"trading\"\nscopes = [\"auditor\"]\n\
                credential = [{ key = \"account-lib\", secret = { file = \"lib.secret\" } }]\n";
    std::fs::write(&file, text).unwrap();
    let on = |words: &[&str], code: i32| {
        let said = geminid(&[words, &["--config", file.to_str().unwrap()]].concat());
        assert_eq!(said.status.code(), Some(code), "{words:?}: {}{}", out(&said), err(&said));
        err(&said)
    };
    let said = on(&["client", "add", "bot", "--key", "trading", "--scopes", "trader"], 0);
    assert!(said.contains("were not checked"), "{said}");
    // What has nothing to do with that is found all the same.
    on(&["client", "add", "two", "--key", "trading", "--scopes", "tradre"], 2);
    on(&["client", "add", "two", "--key", "trading", "--max-notional", "usd=-1"], 2);
    on(&["client", "rotate", "bot"], 0);
    // A secret that was kept for nobody else is not left behind without a word.
    let said = on(&["client", "rotate", "lib", "--until", "now"], 0);
    assert!(said.contains("lib.secret any more: remove it"), "{said}");
    let said = on(&["client", "revoke", "lib"], 0);
    assert!(said.contains("lib.") && said.contains("secret any more: remove it"), "{said}");
    assert!(!on(&["client", "revoke", "bot"], 0).contains("any more"));
    for words in [
        &["audit", "verify"][..],
        &["audit", "show"],
        &["audit", "export", "--format", "csv"],
        &["policy", "suggest", "--client", "bot"],
    ] {
        let said = on(words, 1);
        assert!(said.contains("there is no audit trail in"), "{said}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_reload_takes_all_or_nothing() {
    let desk = Desk::open(&Settings::default()).await;
    let good = desk.text();
    let broken = good.replace("[\"trader\"]", "[\"tradre\"]");
    std::fs::write(&desk.file, &broken).unwrap();
    desk.fails(&["reload"], 2, &["state.toml:", "`tradre`", "did you mean", "nothing has changed"]);
    assert_eq!(desk.status(Exchange::TOKEN).await, 200);
    // What needs a restart is named, and what came with it is not taken up either.
    let further = good.replace("[\"trader\"]", "[\"view-balances\"]");
    let further = further
        .replace("[[keys]]\nname = \"trading\"", "[[keys]]\nnonce = \"time\"\nname = \"trading\"");
    std::fs::write(&desk.file, &further).unwrap();
    desk.fails(&["reload"], 1, &["beyond `clients`: keys", "restart"]);
    let bot = desk.proxy.bot().with_token(Exchange::TOKEN);
    assert_eq!(bot.post("/v1/order/new", ORDER).await.status, 200);
    // By a signal too, with a line that says what came of it.
    let narrowed = good.replace("[\"trader\"]", "[\"view-balances\"]");
    std::fs::write(&desk.file, &narrowed).unwrap();
    let id = desk.proxy.id().to_string();
    std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap();
    desk.proxy.line("\"reloaded\"").await;
    assert_eq!(bot.post("/v1/order/new", ORDER).await.told().2, "scope-missing");
    std::fs::write(&desk.file, &good).unwrap();
    assert!(desk.done(&["reload"]).contains("clients 1, policy "));
    assert_eq!(bot.post("/v1/order/new", ORDER).await.status, 200);
    let metrics = Bot::new(desk.proxy.admin).get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("geminid_reloads_total{result=\"applied\"} 2"), "{metrics}");
    assert!(metrics.contains("geminid_reloads_total{result=\"refused\"} 1"), "{metrics}");
    assert!(metrics.contains("geminid_reloads_total{result=\"needs_restart\"} 1"), "{metrics}");
}

/// The order was permitted when it came, and is told what became of it.
#[tokio::test]
async fn what_is_in_flight_keeps_the_policy_it_began_with() {
    let desk = Desk::open(&Settings::default()).await;
    let shown = desk.done(&["client", "add", "desk", "--key", "trading", "--scopes", "trader"]);
    let token = token_in(&shown);
    let orders = || desk.exchange.simulator.ledger().at_path("/v1/order/new").len();
    let rule = serde_json::json!({"path": "/v1/order/new", "do": {"delay_ms": 1_000}});
    desk.exchange.simulator.script(&rule.to_string()).unwrap();
    let bot = desk.proxy.bot().with_token(&token);
    let order = tokio::spawn(async move { bot.post("/v1/order/new", ORDER).await });
    while orders() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    desk.done(&["client", "revoke", "desk"]);
    assert_eq!(desk.status(&token).await, 401);
    assert_eq!(order.await.unwrap().told(), (200, "executed".to_owned(), String::new()));
}

/// Two commands at once lose nothing of each other.
#[tokio::test]
async fn commands_wait_for_one_another() {
    let desk = Desk::open(&Settings::default()).await;
    let (admin, file) = (desk.proxy.admin.to_string(), desk.file.to_str().unwrap().to_owned());
    let add = |n: usize| {
        let (admin, file) = (admin.clone(), file.clone());
        tokio::task::spawn_blocking(move || {
            let name = format!("c{n}");
            let words = ["client", "add", &name, "--key", "trading", "--config", &file];
            token_in(&out(&geminid(&[&words[..], &["--admin", &admin]].concat())))
        })
    };
    let added: Vec<_> = (0..4).map(add).collect();
    for token in added {
        assert_eq!(desk.status(&token.await.unwrap()).await, 200);
    }
}

/// Places an order, cancels one and reads: what each is told.
async fn tried(bot: &Bot) -> [String; 3] {
    let cause = |it: crate::support::Answer| it.told().2;
    [
        cause(bot.post("/v1/order/new", ORDER).await),
        cause(bot.post("/v1/order/cancel", r#"{"order_id":1}"#).await),
        cause(bot.post("/v1/balances", "").await),
    ]
}

const FROZEN: &str = "client-frozen";

#[tokio::test]
async fn a_freeze_stops_risk_and_all_stops_everything() {
    let desk = Desk::open(&Settings::default()).await;
    let bot = desk.proxy.bot().with_token(Exchange::TOKEN);
    let orders = || desk.exchange.simulator.ledger().at_path("/v1/order/new").len();
    let free = tried(&bot).await;
    assert!(!free.contains(&FROZEN.to_owned()), "{free:?}");
    let placed = orders();
    assert!(desk.done(&["freeze"]).contains("everyone: no new risk"));
    let [order, cancel, read] = tried(&bot).await;
    assert_eq!((order.as_str(), cancel, read), (FROZEN, free[1].clone(), free[2].clone()));
    let said = bot.post("/v1/order/new", ORDER).await;
    assert_eq!((said.status.as_u16(), said.json()["reason"].as_str()), (403, Some("MissingRole")));
    assert_eq!(orders(), placed);
    assert!(desk.done(&["freeze", "--all"]).contains("everyone: everything"));
    assert_eq!(tried(&bot).await, [FROZEN; 3]);
    // A lesser freeze loosens nothing.
    desk.done(&["freeze"]);
    assert_eq!(tried(&bot).await, [FROZEN; 3]);
    let metrics = Bot::new(desk.proxy.admin).get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("geminid_frozen{level=\"everything\"} 1"), "{metrics}");
    desk.fails(&["thaw", "--client", "bot"], 1, &["with all the others", "geminid thaw"]);
    assert_eq!(desk.done(&["thaw"]), "nobody is frozen\n");
    assert_eq!(tried(&bot).await[0], "");
    assert_eq!(orders(), placed + 1);
}

#[tokio::test]
async fn one_client_is_frozen_by_name() {
    let more = "[[clients]]\nname = \"other\"\nkey = \"trading\"\ncredential = { token_sha256 = \"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\" }\nscopes = [\"trader\"]";
    let desk = Desk::open(&Settings { more, ..Settings::default() }).await;
    let (bot, other) =
        (desk.proxy.bot().with_token(Exchange::TOKEN), desk.proxy.bot().with_token("foo"));
    desk.fails(&["freeze", "--client", "bto"], 2, &["no client `bto`", "bot, other"]);
    // Its key is another's too: its orders are left, and that is told.
    let said = desk.command(&["freeze", "--client", "bot", "--cancel-all"]);
    assert_eq!(said.status.code(), Some(1), "{}", err(&said));
    assert!(out(&said).contains("key `trading`, also used by other"), "{}", out(&said));
    assert_eq!((tried(&bot).await[0].as_str(), tried(&other).await[0].as_str()), (FROZEN, ""));
    let json: Value = serde_json::from_str(&out(&desk.command(&["freeze", "--json"]))).unwrap();
    assert_eq!(json["frozen"]["all"], "risk");
    assert_eq!(json["frozen"]["clients"]["bot"], "risk");
    // What was frozen by name stays so when all are thawed, unless each is.
    assert!(desk.done(&["thaw"]).contains("client `bot`"));
    assert_eq!((tried(&bot).await[0].as_str(), tried(&other).await[0].as_str()), (FROZEN, ""));
    desk.done(&["thaw", "--all"]);
    assert_eq!(tried(&bot).await[0], "");
}

#[tokio::test]
async fn what_an_operator_does_is_in_the_trail() {
    let desk = Desk::open(&Settings::default()).await;
    desk.done(&["freeze", "--client", "bot", "--all"]);
    desk.done(&["thaw", "--client", "bot"]);
    desk.done(&["freeze"]);
    desk.done(&["reload"]);
    let good = desk.text();
    std::fs::write(&desk.file, good.replace("[\"trader\"]", "[\"tradre\"]")).unwrap();
    desk.fails(&["reload"], 2, &[]);
    std::fs::write(&desk.file, &good).unwrap();
    let Desk { exchange, proxy, file } = desk;
    proxy.kill();
    let frozen = ["thaw", "--config", file.to_str().unwrap(), "--admin", "127.0.0.1:1"];
    assert!(geminid(&frozen).status.success());
    let frozen = ["freeze", "--config", file.to_str().unwrap(), "--admin", "127.0.0.1:1"];
    assert!(geminid(&frozen).status.success());
    let _proxy = exchange.proxy(&Settings::default()).await;
    let state = exchange.dir().join("state");
    let shown = ["audit", "show", "--event", "note", "--state-dir", state.to_str().unwrap()];
    // A start's own line comes when it can: nobody waits for it.
    let shown = (0..500)
        .map(|_| out(&geminid(&shown)))
        .find(|it| it.matches(" note ").count() > 6)
        .expect("the start's own line comes");
    let told: Vec<&str> =
        shown.lines().map(|it| it.split_once(" note ").unwrap().1.trim()).collect();
    let policy = found(told[0], |it| it.starts_with("policy="));
    assert_eq!(policy.len(), "policy=".len() + 12, "{shown}");
    let expected = [
        format!("start {policy} clients=1 version={}", env!("CARGO_PKG_VERSION")),
        "freeze client=bot cancel_all=no kept=yes level=everything".to_owned(),
        r#"thaw client=bot frozen="{\"all\":\"no\",\"clients\":{}}""#.to_owned(),
        "freeze cancel_all=no kept=yes level=risk".to_owned(),
        format!("reload {policy} changed=no clients=1 names=bot result=applied"),
        "reload result=refused".to_owned(),
        format!(
            r#"start {policy} clients=1 frozen="{{\"all\":\"risk\",\"clients\":{{}}}}" version={}"#,
            env!("CARGO_PKG_VERSION")
        ),
    ];
    assert_eq!(told, expected, "{shown}");
}

#[tokio::test]
async fn a_freeze_survives_a_kill_and_is_given_without_a_proxy() {
    let desk = Desk::open(&Settings::default()).await;
    desk.done(&["freeze"]);
    let Desk { exchange, proxy, file } = desk;
    proxy.kill();
    let proxy = exchange.proxy(&Settings::default()).await;
    proxy.line("begins frozen").await;
    assert_eq!(proxy.bot().post("/v1/order/new", ORDER).await.told().2, FROZEN);
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    // While it runs, another admin address is no reason to write its file.
    let file = file.to_str().unwrap();
    let nowhere = ["--config", file, "--admin", "127.0.0.1:1"];
    let elsewhere = geminid(&[&["thaw"][..], &nowhere].concat());
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(err(&elsewhere).contains("--admin"), "{}", err(&elsewhere));
    proxy.kill();
    // Nobody runs: the file is changed for the next start.
    let thawed = geminid(&[&["thaw"][..], &nowhere].concat());
    assert!(thawed.status.success(), "{}", err(&thawed));
    let unknown = geminid(&[&["freeze", "--client", "nobody"][..], &nowhere].concat());
    assert_eq!(unknown.status.code(), Some(2), "{}", err(&unknown));
    let frozen = geminid(&[&["freeze", "--client", "bot", "--all"][..], &nowhere].concat());
    assert!(frozen.status.success() && err(&frozen).contains("next start"), "{}", err(&frozen));
    // Whose start: in the wrong folder it is another's.
    assert!(err(&frozen).contains(exchange.dir().to_str().unwrap()), "{}", err(&frozen));
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.told().2, FROZEN);
}

#[tokio::test]
async fn a_damaged_file_freezes_new_risk() {
    let desk = Desk::open(&Settings::default()).await;
    let path = desk.state("frozen.json");
    let Desk { exchange, proxy, .. } = desk;
    proxy.kill();
    std::fs::write(&path, "{\"all\":").unwrap();
    let proxy = exchange.proxy(&Settings::default()).await;
    let line = proxy.line("what was frozen cannot be read").await;
    assert!(line.contains("geminid thaw"), "{line}");
    assert_eq!(proxy.bot().post("/v1/order/new", ORDER).await.told().2, FROZEN);
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
}

#[tokio::test]
async fn commands_want_the_operator_token_and_no_browser() {
    let desk = Desk::open(&Settings::default()).await;
    let token = desk.operator_token();
    let mode = std::fs::metadata(desk.state("operator-token")).unwrap().permissions().mode();
    assert_eq!((token.len(), mode & 0o777), (64, 0o600));
    let (anybody, operator) = {
        let bot = || Bot::new(desk.proxy.admin);
        (bot(), bot().with_token(&token))
    };
    let near = format!("{}x", token.get(..63).unwrap());
    for bot in [
        anybody.clone(),
        anybody.clone().with_token(&near),
        anybody.clone().with_token(Exchange::TOKEN),
    ] {
        for path in ["/freeze", "/thaw", "/reload"] {
            let answer = bot.post(path, "{}").await;
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert!(answer.json()["error"].is_string() && answer.json()["hint"].is_string());
        }
        assert_eq!(bot.get("/freeze").await.status, 401);
    }
    // Probes and metrics are open.
    assert_eq!(anybody.get("/readyz").await.status, 200);
    assert_eq!(anybody.get("/metrics").await.status, 200);
    assert_eq!(operator.get("/freeze").await.json()["all"], "no");
    // Neither a page nor another name gets in, token or not.
    let page = operator.clone().with("origin", "http://evil.test");
    assert_eq!(page.post("/freeze", "{}").await.status, 403);
    let site = operator.clone().with("sec-fetch-site", "cross-site");
    assert_eq!(site.post("/reload", "{}").await.status, 403);
    assert_eq!(operator.clone().with("host", "evil.test").post("/freeze", "{}").await.status, 403);
    // What is not understood changes nothing.
    for (path, body, status) in [
        ("/freeze", "{", 400),
        ("/freeze", "[]", 400),
        ("/freeze", "{\"clients\":\"bot\"}", 400),
        ("/freeze", "{\"client\":1}", 400),
        ("/freeze", "{\"client\":\"no\\u0007body\"}", 404),
        ("/thaw", "{\"client\":\"bot\",\"each\":true}", 400),
        ("/reload", "{\"now\":true}", 400),
    ] {
        assert_eq!(operator.post(path, body).await.status, status, "{path} {body}");
    }
    let long = format!("{{\"client\":\"{}\"}}", "x".repeat(64 * 1024));
    assert_eq!(operator.post("/freeze", &long).await.status, 413);
    let got = operator.get("/reload").await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, "POST".to_owned()));
    assert_eq!(operator.get("/freeze").await.json()["all"], "no");
    assert_eq!(operator.post("/freeze", "").await.json()["frozen"]["all"], "risk");
    // It is in no line of the log.
    assert!(desk.proxy.log().iter().all(|it| !it.contains(&token)));
}

/// Whoever binds the address while no proxy runs would get the token.
#[tokio::test]
async fn nobody_but_the_proxy_is_told_the_operator_token() {
    let desk = Desk::open(&Settings::default()).await;
    let Desk { exchange, proxy, file } = desk;
    let state = exchange.dir().join("state");
    proxy.kill();
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let admin = stranger.local_addr().unwrap().to_string();
    let words = ["--config", file.to_str().unwrap(), "--admin", &admin];
    for command in ["freeze", "thaw", "reload"] {
        let said = geminid(&[&[command][..], &words].concat());
        assert_eq!(said.status.code(), Some(1), "{command}: {}", err(&said));
        assert!(err(&said).contains("no proxy has the state directory"), "{}", err(&said));
        let (mut connection, _) = stranger.accept().unwrap();
        let mut heard = Vec::new();
        std::io::Read::read_to_end(&mut connection, &mut heard).unwrap();
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    }
    assert!(!state.join("frozen.json").exists());
}

/// Its hash is in the file, and nobody has it.
#[test]
fn a_credential_that_cannot_be_printed_is_no_success() {
    let dir = std::env::temp_dir().join(format!("geminid-unprinted-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut command = crate::support::command();
    command.current_dir(&dir).arg("init");
    assert!(crate::support::run(&mut command).status.success());
    for words in [&["client", "add", "x", "--key", "default"][..], &["client", "rotate", "x"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = crate::support::command();
        let said = command.current_dir(&dir).args(words).stdout(full);
        let said = said.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let said = said.wait_with_output().unwrap();
        assert_eq!(said.status.code(), Some(1), "{}", err(&said));
        assert!(err(&said).contains("client rotate x`"), "{}", err(&said));
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn without_a_file_there_is_nothing_to_add_to() {
    let dir = std::env::temp_dir().join(format!("geminid-add-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut command = crate::support::command();
    command.current_dir(&dir).args(["client", "add", "x"]);
    let said = crate::support::run(&mut command);
    assert_eq!(said.status.code(), Some(2), "{}", err(&said));
    assert!(err(&said).contains("geminid init"), "{}", err(&said));
    std::fs::remove_dir_all(&dir).unwrap();
}
