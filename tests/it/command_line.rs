//! Commands that end by themselves: what they print, and how they end.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use crate::support::{command, geminid};

fn out(said: &Output) -> String {
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn err(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}

/// A directory of this test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("geminid-cli-{}-{name}", std::process::id()));
    std::fs::remove_dir_all(&dir).ok();
    std::fs::create_dir(&dir).unwrap();
    dir
}

#[test]
fn usage_faults_end_with_two() {
    for arguments in [&["frobnicate"][..], &[], &["serve", "--nonsense"], &["demo", "extra"]] {
        assert_eq!(geminid(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let later = geminid(&["run"]);
    assert_eq!(later.status.code(), Some(2));
    assert!(err(&later).contains("not in this build yet"), "{}", err(&later));
    assert!(out(&geminid(&["--help"])).contains("demo"));
    assert!(out(&geminid(&["--version"])).starts_with("geminid "));
}

#[test]
fn init_writes_what_check_reads() {
    let dir = scratch("init");
    let run = |arguments: &[&str], key: Option<&str>| {
        let mut command = command();
        command.current_dir(&dir).args(arguments);
        if let Some(key) = key {
            command.env("GEMINI_API_KEY", key).env("GEMINI_API_SECRET", "a-secret");
        }
        command.output().unwrap()
    };
    assert!(run(&["init"], None).status.success());
    let again = run(&["init"], None);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("hint: "), "{}", err(&again));
    assert!(run(&["init", "--force"], None).status.success());
    let checked = run(&["check"], Some("account-0123456789"));
    assert!(checked.status.success(), "{}", err(&checked));
    assert!(out(&checked).starts_with("ok: "));
    // The other product of the same name.
    let mixed = run(&["check"], Some("AIzaSyD-0123456789"));
    assert_eq!(mixed.status.code(), Some(2));
    assert!(err(&mixed).contains("Google"), "{}", err(&mixed));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let dir = scratch("problems");
    let file = dir.join("proxy.toml");
    let text = "[listen]\nadmim = \"127.0.0.1:1\"\n[[keys]]\napi_key = \"account-x\"\napi_secret = { file = \"none\" }\n[[clients]]\nscopes = [\"tradre\"]\ncredential = { none = true }\n[[upstreams]]\nws_url = \"wss://x\"\n";
    std::fs::write(&file, text).unwrap();
    let said = geminid(&["check", "--config", file.to_str().unwrap()]);
    let text = err(&said);
    assert_eq!(said.status.code(), Some(2), "{text}");
    for words in ["proxy.toml:2", "admin", "tradre", "not enforced by this build yet", "none"] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn nothing_configured_says_how_to_begin() {
    let dir = scratch("nothing");
    let said = command().current_dir(&dir).arg("serve").output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    assert!(err(&said).contains("geminid init"), "{}", err(&said));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_start_from_the_environment_prints_a_pair_once() {
    use std::io::{BufRead as _, BufReader};
    let dir = scratch("environment");
    let mut command = command();
    command.current_dir(&dir).args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env("GEMINI_API_KEY", "account-0123456789").env("GEMINI_API_SECRET", "a-real-secret");
    command.env("GEMINID_STATE_DIR", dir.join("state"));
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let text: String = lines
        .by_ref()
        .map_while(Result::ok)
        .take_while(|it| !it.contains("X-GEMINI-PAYLOAD:"))
        .map(|it| it + "\n")
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    for words in ["account-", "ccxt", "curl", "fetchDetailsForAllSymbols", "http://127.0.0.1:"] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert!(!text.contains("account-0123456789") && !text.contains("a-real-secret"), "{text}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(out(&geminid(&["completions", shell])).contains("geminid"), "{shell}");
    }
}
