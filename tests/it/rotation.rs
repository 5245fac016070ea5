//! A key's secret is replaced in its file while the proxy runs.

use std::os::unix::fs::PermissionsExt as _;

use geminid::simulator::{KeySpec, NonceRule};
use serde_json::{Value, json};

use crate::support::{Answer, Bot, Exchange, Proxy, Settings};

const KEY: &str = "account-filed000000004";
const BEFORE: &str = "kQ1vXo+2mZb7RtYpLs9/dWcEa5uN3hGf";
const AFTER: &str = "pT8sBn+4xVq6WkJzMr1/yHdCe7oL2gFa";
const MORE: &str = "[[keys]]\nname = \"filed\"\napi_key = \"account-filed000000004\"\napi_secret = { file = \"filed\" }\n[[clients]]\nname = \"filed\"\nkey = \"filed\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]";

struct Desk {
    exchange: Exchange,
    proxy: Proxy,
}

impl Desk {
    async fn open() -> Self {
        let exchange = Exchange::start(NonceRule::Increasing).await;
        write(&exchange, BEFORE);
        known(&exchange, BEFORE, false);
        let client = "credential = { none = true }\nscopes = [\"trader\"]";
        let settings = Settings { client, more: MORE, ..Settings::default() };
        let proxy = exchange.proxy(&settings).await;
        let desk = Self { exchange, proxy };
        for _ in 0..2 {
            assert_eq!(desk.balances().await.status, 200);
        }
        desk
    }

    /// At the exchange and in the file.
    fn rotate(&self) {
        known(&self.exchange, AFTER, false);
        write(&self.exchange, AFTER);
    }

    fn bot(&self) -> Bot {
        self.proxy.bot().with_token(Exchange::TOKEN)
    }

    async fn balances(&self) -> Answer {
        self.bot().post("/v1/balances", "").await
    }

    async fn command(&self, path: &str, body: &str) -> Answer {
        let token = self.exchange.dir().join("state/operator-token");
        let token = std::fs::read_to_string(token).unwrap();
        Bot::new(self.proxy.admin).with_token(token.trim_end()).post(path, body).await
    }

    async fn cancel_all(&self) -> Value {
        let answer = self.command("/freeze", r#"{"client":"filed","cancel_all":true}"#).await;
        answer.json()["cancelled"][0].clone()
    }
}

fn write(exchange: &Exchange, secret: &str) {
    let path = exchange.dir().join("filed");
    std::fs::write(&path, secret).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn known(exchange: &Exchange, secret: &str, disabled: bool) {
    let mut key = KeySpec::new(KEY, secret);
    key.nonce = NonceRule::Time;
    key.disabled = disabled;
    exchange.simulator.add_key(key);
}

/// Each was signed with the secret before. All but the first once counted against the new one, which
/// set the key aside for 30 s.
#[tokio::test]
async fn calls_under_way_do_not_count_against_the_new_secret() {
    let desk = Desk::open().await;
    let rule = json!({"path": "/v1/balances", "times": 6, "do": {"delay_ms": 300}});
    desk.exchange.simulator.script(&rule.to_string()).unwrap();
    desk.rotate();
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let bot = desk.bot();
            tokio::spawn(async move { bot.post("/v1/balances", "").await })
        })
        .collect();
    for answer in asked {
        let answer = answer.await.unwrap();
        assert_eq!(answer.told().2, "signature-wrong");
        let diagnosis = answer.json()["diagnosis"].clone();
        assert!(diagnosis.to_string().contains("another secret, which is taken up"), "{diagnosis}");
        assert_eq!(diagnosis["retry"], "now");
    }
    assert_eq!(desk.balances().await.told(), (200, "executed".to_owned(), String::new()));
    let taken = desk.proxy.log().iter().filter(|it| it.contains("and is taken up")).count();
    assert_eq!(taken, 1);
}

/// A client must be revocable without a restart, whatever was rotated before.
#[tokio::test]
async fn a_secret_that_was_taken_up_stands_in_no_reloads_way() {
    let desk = Desk::open().await;
    desk.rotate();
    assert_eq!(desk.balances().await.told().2, "signature-wrong");
    assert_eq!(desk.balances().await.status, 200);
    let file = desk.exchange.dir().join("state.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (without, _) = text.rsplit_once("[[clients]]").unwrap();
    std::fs::write(&file, without).unwrap();
    let answer = desk.command("/reload", "").await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(desk.balances().await.status, 401);
    // Another secret that is not in use yet does need one.
    std::fs::write(&file, &text).unwrap();
    write(&desk.exchange, BEFORE);
    let answer = desk.command("/reload", "").await;
    assert!(answer.json()["error"].as_str().unwrap().contains("keys"), "{}", answer.json());
}

#[tokio::test]
async fn an_emergency_finds_the_new_secret_itself() {
    let desk = Desk::open().await;
    desk.rotate();
    let said = desk.cancel_all().await;
    assert_eq!(said["ok"], true, "{said}");
}

/// A key that was enabled again is not known to be before the next trial; orders cannot wait for that.
#[tokio::test]
async fn an_emergency_does_not_wait_for_a_trial() {
    let desk = Desk::open().await;
    known(&desk.exchange, BEFORE, true);
    for _ in 0..3 {
        assert_eq!(desk.balances().await.told().2, "key-unknown");
    }
    assert_eq!(desk.balances().await.told().2, "key-quarantined");
    let said = desk.cancel_all().await;
    assert!(said["detail"].as_str().unwrap().contains("InvalidApiKey"), "it was asked: {said}");
    known(&desk.exchange, BEFORE, false);
    let said = desk.cancel_all().await;
    assert_eq!(said["ok"], true, "{said}");
    assert_eq!(desk.balances().await.status, 200, "and the key is taken again");
}
