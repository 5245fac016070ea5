//! Planted secrets, provoked to come out. What looks for them, in every test, is `support::canary`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use geminid::simulator::NonceRule;
use serde_json::json;

use crate::support::{Answer, Bot, Exchange, Settings, canary, command, run};

#[tokio::test]
async fn no_output_holds_a_secret() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let more = "[[clients]]\nname = \"reader\"\nkey = \"reporting\"\ncredential = { token_sha256 = \"TOKEN\" }\nscopes = [\"trader\"]";
    let client = "credential = [{ none = true }, { key = \"account-standin\", secret = { value = \"STAND_IN_SECRET\" } }]\nscopes = [\"trader\"]";
    let settings = Settings { client, more, ..Settings::default() };
    let proxy = exchange.proxy(&settings).await;
    let bot = proxy.bot();
    assert_eq!(bot.post("/v1/balances", "").await.status, 200);
    // The exchange's own words hold the whole key.
    let reader = proxy.bot().with_token(Exchange::TOKEN);
    let answer = reader.post("/v1/order/new", r#"{"symbol":"btcusd"}"#).await;
    assert_eq!(answer.told().2, "key-role-missing", "the echo was provoked");
    assert_eq!(bot.with_token("wrong-token").post("/v1/balances", "").await.status, 401);
    let payload = r#"{"request":"/v1/balances","nonce":1}"#;
    let bot = proxy.bot().signing(Exchange::STAND_IN, Exchange::STAND_IN_SECRET, payload);
    assert_eq!(bot.post("/v1/balances", "").await.status, 200);
    assert_eq!(Bot::new(proxy.admin).get("/metrics").await.status, 200);

    let log = proxy.log().join("\n");
    assert!(log.contains("\"level\":\"TRACE\""), "the log is at its wordiest");
    assert!(!log.contains("wrong-token"));
}

/// An exchange, or an edge before it, that repeats what it was sent and more.
#[tokio::test]
async fn echoes_are_masked() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let bot = proxy.bot();
    let mut echoes = vec![Exchange::KEY.to_owned()];
    echoes.extend(canary::forms(Exchange::SECRET).into_iter().map(|(_, form)| form));
    for echo in echoes {
        let json = json!({"result": "error", "reason": "MissingRole", "message": format!("no {echo}."), "seen": [&echo]});
        for (body, cause) in [
            (json.to_string(), "key-role-missing"),
            (format!("<html><title>{echo}</title></html>"), "edge-blocked"),
            (format!("no such key: {echo}"), "unexplained"),
            (format!("{{\"message\":\"{echo}\""), "unexplained"),
        ] {
            let rule =
                json!({"path": "/v1/mytrades", "do": {"answer": {"status": 403, "body": body}}});
            exchange.simulator.script(&rule.to_string()).unwrap();
            let answer: Answer = bot.post("/v1/mytrades", "").await;
            assert_eq!(answer.status, 403);
            assert!(answer.told().2 == cause || cause == "unexplained", "{:?}", answer.told());
            assert!(String::from_utf8_lossy(&answer.body).contains('…'), "something was there");
        }
    }
}

#[tokio::test]
async fn the_process_is_closed_to_onlookers() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let proc = PathBuf::from(format!("/proc/{}", proxy.id()));
    if !proc.is_dir() {
        return; // Only Linux tells.
    }
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|it| it.starts_with(name)).unwrap();
        let words: Vec<&str> = line.trim_start_matches(name).split_whitespace().collect();
        (words[0].to_owned(), words[1].to_owned())
    };
    assert_eq!(limit("Max core file size"), ("0".to_owned(), "0".to_owned()));
    let (soft, hard) = limit("Max open files");
    assert_eq!(soft, hard);
    // What cannot be dumped belongs to root (proc(5)), so that its own user may not look into it.
    assert_eq!(std::fs::metadata(proc.join("environ")).unwrap().uid(), 0);
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        assert!(std::fs::read(proc.join("environ")).is_err());
    }
    let line = proxy.line("geminid starts").await;
    assert!(line.contains(&format!("\"open_files\":{soft}")), "{line}");
    assert!(!proxy.log().iter().any(|it| it.contains("stay possible")), "nothing was refused");
    let status = proxy.end("-ABRT").await;
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

/// A directory of this test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("geminid-secrets-{}-{name}", std::process::id()));
    std::fs::remove_dir_all(&dir).ok();
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

/// A command with every secret in its environment.
fn loaded(dir: &Path) -> Command {
    let mut command = command();
    command.current_dir(dir).env("GEMINID_LOG_LEVEL", "trace").env("GEMINID_STATE_DIR", "state");
    command.env("GEMINI_API_KEY", Exchange::KEY).env("GEMINI_API_SECRET", Exchange::SECRET);
    command.env("KEY", Exchange::KEY).env("SECRET", Exchange::SECRET);
    command
}

#[test]
fn commands_repeat_no_secret_wherever_it_was_put() {
    let dir = scratch("commands");
    let write = |name: &str, text: &str, mode: u32| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("secret", Exchange::SECRET, 0o600);
    write("open", Exchange::SECRET, 0o644);
    let files = [
        "[[keys]]\napi_key = { env = \"KEY\" }\napi_secret = { file = \"secret\" }\n",
        "[[keys]]\napi_key = { env = \"KEY\" }\napi_secret = { file = \"open\" }\n",
        "[[keys]]\napi_key = \"KEY\"\napi_secret = \"SECRET\"\n",
        "[[keys]]\napi_key = \"KEY\"\napi_secret = { value = \"SECRET\" }\n",
        "[[keys]]\napi_key = \"KEY\"\napi_secret = { env = \"SECRET\" }\n",
        "[[keys]]\napi_key = \"KEY\"\napi_secret = { file = \"SECRET\" }\n",
        "[[keys]]\napi_key = \"KEY\"\napi_secret = SECRET\n",
        "[[keys]]\napi_key = \"KEY\"\napi_secret = { command = [\"SECRET\"] }\n",
        "[[keys]]\napi_key = [\"KEY\", \"SECRET\"]\n",
        "[[keys]]\napi_key = \"KEY SECRET\"\napi_secret = { env = \"SECRET\" }\n",
        "[[clients]]\ncredential = { token_sha256 = \"TOKEN\" }\n",
        "[[clients]]\ncredential = { key = \"STAND_IN\", secret = \"STAND_IN_SECRET\" }\n",
        "[[clients]]\ncredential = \"TOKEN\"\n",
    ];
    for (n, text) in files.into_iter().enumerate() {
        let text = text.replace("STAND_IN_SECRET", Exchange::STAND_IN_SECRET);
        let text = text.replace("\"KEY\"", &format!("\"{}\"", Exchange::KEY));
        let text = text.replace("TOKEN", Exchange::TOKEN);
        // The first two are well-formed, and name variables.
        let text = if n < 2 { text } else { text.replace("SECRET", Exchange::SECRET) };
        write("proxy.toml", &text, 0o600);
        for arguments in
            [&["check"][..], &["serve", "--listen", "127.0.0.1:0", "--bad"], &["serve"]]
        {
            // The only one that would start to serve.
            if n == 0 && arguments == ["serve"] {
                continue;
            }
            run(loaded(&dir).args(arguments));
        }
    }
    std::fs::remove_file(dir.join("proxy.toml")).unwrap();
    for arguments in [
        &["check"][..],
        &["init"],
        &["catalog"],
        &["catalog", "--json"],
        &["healthcheck", "--admin", "127.0.0.1:9"],
        &["completions", "bash"],
        &["--help"],
        &["serve", "--help"],
        &["serve", "--listen", "nonsense"],
        &["demo", "--once"],
    ] {
        run(loaded(&dir).args(arguments));
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Reads a command's data up to a word, ends it, and returns what it has said: data, remarks.
fn until(command: &mut Command, word: &str) -> (String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut remarks = child.stderr.take().unwrap();
    let remarks = std::thread::spawn(move || {
        let mut text = String::new();
        remarks.read_to_string(&mut text).unwrap();
        text
    });
    let mut data = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !data.contains(word) {
        assert_ne!(lines.read_line(&mut data).unwrap(), 0, "it ended early:\n{data}");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    lines.read_to_string(&mut data).unwrap();
    child.wait().unwrap();
    let remarks = remarks.join().unwrap();
    for (place, text) in [("its data", &data), ("its remarks", &remarks)] {
        canary::none(&canary::search(place, text.as_bytes()));
    }
    (data, remarks)
}

/// What stands between quotes after a word.
fn quoted<'a>(text: &'a str, word: &str) -> &'a str {
    text.split_once(word).unwrap().1.split('\'').nth(1).unwrap()
}

/// Two secrets are shown on purpose, each once, as data: pairs that are made for one run.
#[test]
fn a_pair_made_for_the_run_is_shown_once_and_nothing_else_is() {
    let dir = scratch("pairs");
    let mut command = loaded(&dir);
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let (data, remarks) = until(&mut command, "X-GEMINI-PAYLOAD:");
    let secret = quoted(&data, "'secret'");
    assert_eq!(secret.len(), 64, "{data}");
    // In one text: a snippet for ccxt, and one for curl.
    assert_eq!((data.matches(secret).count(), remarks.matches(secret).count()), (2, 0));
    assert!(remarks.contains("TRACE"), "{remarks}");

    let mut command = loaded(&dir);
    let (data, remarks) = until(command.arg("demo"), "fetch_balance");
    let secret = quoted(&data, "'secret'");
    assert_eq!(secret.len(), 32, "{data}");
    assert_eq!((data.matches(secret).count(), remarks.matches(secret).count()), (1, 0));
    for never in ["demo-secret-of", "demo-reporter-token", "account-demoTrader", "account-demoAud"]
    {
        assert!(!data.contains(never) && !remarks.contains(never), "{never}:\n{data}{remarks}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
