//! `geminid doctor` on a good set-up and on broken ones. What it says is kept under `fixtures/doctor`;
//! `BLESS=1` writes it anew.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use geminid::simulator::{NonceRule, Options, Simulator};

use crate::support::{Exchange, Settings, command, run};

/// Digits behind (or before) these words differ from run to run.
const BEHIND: &[&str] = &["127.0.0.1:", "localhost:", "of user ", "mode "];
const BEFORE: &[&str] = &[" days left", " s behind", " s ahead"];

fn normal(text: &str, dir: &Path) -> String {
    let mut text = text.replace(&dir.display().to_string(), "DIR");
    for word in BEHIND {
        let parts: Vec<String> = text
            .split(word)
            .enumerate()
            .map(|(n, it)| {
                let cut = it.trim_start_matches(|it: char| it.is_ascii_digit());
                if n > 0 && cut.len() < it.len() { format!("N{cut}") } else { it.to_owned() }
            })
            .collect();
        text = parts.join(word);
    }
    for word in BEFORE {
        let parts: Vec<String> = text
            .split(word)
            .map(|it| {
                let cut = it.trim_end_matches(|it: char| it.is_ascii_digit());
                if cut.len() < it.len() { format!("{cut}N") } else { it.to_owned() }
            })
            .collect();
        text = parts.join(word);
    }
    // Which addresses `localhost` has, and in which words a connection is refused, is the machine's.
    let line = |line: &str| {
        let cut = ["localhost is ", "no connection: "].iter().find_map(|it| {
            let at = line.find(it)? + it.len();
            Some(format!("{}…", line.get(..at)?))
        });
        cut.unwrap_or_else(|| line.to_owned())
    };
    // Keys are asked at the same time: whether another has answered by then is chance.
    let text = text.lines().filter(|it| !it.contains("` works "));
    text.map(line).collect::<Vec<_>>().join("\n") + "\n"
}

struct Case {
    name: &'static str,
    code: i32,
    settings: Settings,
    /// Changes the text of the configuration, in the exchange's directory.
    change: fn(String, &Path) -> String,
    options: fn(&mut Options),
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: "good",
            code: 0,
            settings: Settings::default(),
            change: |text, _| text,
            options: |_| {},
        }
    }
}

fn secret_in_a_file(text: &str, dir: &Path, mode: u32) -> String {
    let path = dir.join("secret");
    std::fs::write(&path, Exchange::SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let value = format!("{{ value = \"{}\" }}", Exchange::SECRET);
    text.replace(&value, "{ file = \"secret\" }")
}

async fn check(case: Case) {
    let Case { name, code, settings, change, options } = case;
    let exchange = Exchange::start_with(NonceRule::Increasing, options).await;
    let file = exchange.configured("state", &settings);
    let text = change(std::fs::read_to_string(&file).unwrap(), exchange.dir());
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ask = |more: &'static [&'static str]| {
        let file = file.clone();
        tokio::task::spawn_blocking(move || {
            run(command().arg("doctor").args(more).arg("--config").arg(file))
        })
    };
    let said = ask(&[]).await.unwrap();
    let text = normal(&String::from_utf8(said.stdout).unwrap(), exchange.dir());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/doctor");
    let kept = kept.join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&kept, &text).unwrap();
    }
    assert_eq!(said.status.code(), Some(code), "{name}:\n{text}");
    assert_eq!(text, std::fs::read_to_string(kept).unwrap(), "{name}");
    let said = ask(&["--json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(json["ok"], code == 0, "{name}");
    assert!(json["checks"].as_array().is_some_and(|it| !it.is_empty()), "{name}");
}

#[tokio::test]
async fn a_good_set_up() {
    let change = |text: String, dir: &Path| secret_in_a_file(&text, dir, 0o600);
    check(Case { change, ..Case::default() }).await;
}

#[tokio::test]
async fn faults_of_this_machine() {
    let usual = Case::default;
    let change = |text: String, _: &Path| text.replace("[\"trader\"]", "[\"tradre\"]");
    check(Case { name: "configuration", code: 2, change, ..usual() }).await;
    let change = |text: String, dir: &Path| secret_in_a_file(&text, dir, 0o644);
    check(Case { name: "secret-too-open", code: 2, change, ..usual() }).await;
    let change = |text: String, dir: &Path| {
        std::fs::write(dir.join("state"), "a file").unwrap();
        text
    };
    check(Case { name: "state-unusable", code: 1, change, ..usual() }).await;
    let client = "key = \"reporting\"\ncredential = { none = true }\nscopes = [\"trader\"]";
    let settings = Settings { client, ..Settings::default() };
    let change = |text: String, _: &Path| text.replacen("key = \"trading\"\nkey", "key", 1);
    check(Case { name: "role-lacking", code: 1, settings, change, ..usual() }).await;
}

#[tokio::test]
async fn faults_of_a_key() {
    let usual = Case::default;
    let settings = Settings { api_key: "account-nobodysKey0009", ..Settings::default() };
    check(Case { name: "key-unknown", code: 3, settings, ..usual() }).await;
    let change = |text: String, _: &Path| text.replace(Exchange::SECRET, "another-secret");
    check(Case { name: "secret-wrong", code: 3, change, ..usual() }).await;
    let options = |options: &mut Options| {
        options.keys[0].trusted_ips = Some(vec!["203.0.113.9".parse().unwrap()]);
    };
    check(Case { name: "address-not-trusted", code: 4, options, ..usual() }).await;
}

#[tokio::test]
async fn faults_of_the_way() {
    let usual = Case::default;
    let options = |options: &mut Options| options.clock_offset_seconds = 60;
    check(Case { name: "clock-off", code: 5, options, ..usual() }).await;
    let change = |text: String, _: &Path| {
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (before, rest) = text.split_once("url = \"").unwrap();
        let (_, after) = rest.split_once('"').unwrap();
        format!("{before}url = \"https://localhost:{}\"{after}", free.port())
    };
    check(Case { name: "nothing-listens", code: 6, change, ..usual() }).await;
    let other = Simulator::start(Options::default()).await.unwrap();
    let path = std::env::temp_dir().join(format!("geminid-doctor-ca-{}.pem", std::process::id()));
    std::fs::write(&path, other.ca_pem()).unwrap();
    let change = |text: String, dir: &Path| {
        let name = format!("geminid-doctor-ca-{}.pem", std::process::id());
        std::fs::copy(std::env::temp_dir().join(name), dir.join("ca.pem")).unwrap();
        text
    };
    check(Case { name: "foreign-certificate", code: 6, change, ..usual() }).await;
    std::fs::remove_file(path).unwrap();
    other.stop().await;
}

/// The running proxy asks, in its own lanes.
#[tokio::test]
async fn beside_a_running_proxy_nonces_go_on_rising() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    let bot = proxy.bot();
    let calling = tokio::spawn(async move {
        for _ in 0..20 {
            assert_eq!(bot.post("/v1/balances", "").await.status, 200);
        }
    });
    for _ in 0..3 {
        let (file, admin) = (exchange.dir().join("state.toml"), proxy.admin.to_string());
        let said = tokio::task::spawn_blocking(move || {
            run(command().args(["doctor", "--admin", &admin, "--config"]).arg(file))
        });
        let said = said.await.unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        assert!(said.status.success(), "{text}");
        assert!(text.contains("a proxy is running on it"), "{text}");
        assert_eq!(text.matches("accepted, and so is the address").count(), 3, "{text}");
    }
    calling.await.unwrap();
    let ledger = exchange.simulator.ledger();
    for key in [Exchange::KEY, Exchange::AUDITOR, Exchange::MASTER] {
        assert!(ledger.is_strictly_increasing(key), "{:?}", ledger.arrivals(key));
        assert!(ledger.arrivals(key).len() >= 3);
    }
}

/// The proxy's nonces are its own: whoever asked beside it would raise the mark that they must pass.
#[tokio::test]
async fn no_key_is_asked_beside_a_proxy_with_another_state_directory() {
    let exchange = Exchange::start(NonceRule::Increasing).await;
    let proxy = exchange.proxy(&Settings::default()).await;
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
    let signed = || exchange.simulator.ledger().at_path("/v1/roles").len();
    let before = signed();
    for other in ["absent", "there"] {
        let file = exchange.configured(other, &Settings::default());
        let text = std::fs::read_to_string(&file).unwrap();
        let admin = format!("admin = \"{}\"", proxy.admin);
        std::fs::write(&file, text.replace("admin = \"127.0.0.1:0\"", &admin)).unwrap();
        if other == "there" {
            let dir = exchange.dir().join(other);
            std::fs::create_dir(&dir).unwrap();
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let asking = move || run(command().arg("doctor").arg("--config").arg(file));
        let said = tokio::task::spawn_blocking(asking).await.unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        assert!(text.contains("run with another state directory"), "{other}: {text}");
        assert_eq!(said.status.code(), Some(1), "{other}: {text}");
    }
    assert_eq!(signed(), before);
    assert_eq!(proxy.bot().post("/v1/balances", "").await.status, 200);
}
