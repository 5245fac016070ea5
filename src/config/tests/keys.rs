//! `[[keys]]`.

use super::*;
use crate::nonce;

const SECRET: &str = "api_secret = { env = \"SECRET\" }";

#[track_caller]
fn key(settings: &str, expected: &[&str]) {
    check(&format!("[[keys]]\n{settings}\n"), expected);
}

#[test]
fn a_key_is_read() {
    let config = accept(&format!(
        "[[keys]]\nname = \"t\"\nupstream = \"exchange\"\napi_key = {{ env = \"MASTER\" }}\n{SECRET}\n\
         nonce = \"increasing\"\nnonce_unit = \"us\"\naccount = \"primary\"\nheartbeat = \"off\"\n"
    ));
    let key = &config.keys[0];
    assert_eq!(
        (key.name.as_str(), key.upstream, key.account.as_deref()),
        ("t", 0, Some("primary"))
    );
    assert_eq!((key.nonce, key.unit), (nonce::Setting::Increasing, Some(nonce::Unit::Micros)));
    assert!(key.credential.is_key(b"master-1"));
    let plain = accept(&format!("[[keys]]\napi_key = \"account-9\"\n{SECRET}\n")).keys.remove(0);
    assert_eq!(
        (plain.name.as_str(), plain.nonce, plain.unit),
        ("default", nonce::Setting::Auto, None)
    );
}

#[test]
fn what_is_missing_or_misspelt() {
    key("", &["1: keys[0].api_key: is missing", "1: keys[0].api_secret: is missing"]);
    let good = format!("api_key = \"a\"\n{SECRET}\n");
    key(
        &format!("{good}nonce = \"atuo\""),
        &["4: keys[0].nonce: `atuo` is unknown\n  hint: did you mean `auto`?"],
    );
    key(&format!("{good}nonce_unit = \"min\""), &["4: keys[0].nonce_unit: `min` is unknown"]);
    key(
        &format!("{good}heartbeat = \"follow\""),
        &["4: keys[0].heartbeat: `heartbeat` is not enforced"],
    );
    key(&format!("{good}heartbeat = \"on\""), &["4: keys[0].heartbeat: `on` is unknown"]);
    key(
        &format!("{good}upstream = \"exchnage\""),
        &["4: keys[0].upstream: `exchnage` is unknown\n  hint: did you mean `exchange`?"],
    );
    check(
        &format!(
            "[[upstreams]]\nname = \"a\"\n[[upstreams]]\nname = \"b\"\nlisten = [\"127.0.0.1:1\"]\n[[keys]]\n{good}"
        ),
        &["6: keys[0].upstream: must say which: there are 2 upstreams\n  hint: one of a, b"],
    );
}

#[test]
fn keys_that_cannot_be_keys() {
    for google in ["\"AIzaSyhunter2-planted\"", "\"AQ.hunter2-planted\"", "{ env = \"GOOGLE\" }"] {
        key(&format!("api_key = {google}\n{SECRET}"), &["2: keys[0].api_key: begins with `A"]);
    }
    accept(&format!("[[keys]]\napi_key = \"AI-1\"\n{SECRET}\n"));
    key(
        &format!("api_key = {{ env = \"SPACED\" }}\n{SECRET}"),
        &["2: keys[0].api_key: holds a character"],
    );
    key(
        &format!("api_key = \"hunter2-plantedé\"\n{SECRET}"),
        &["2: keys[0].api_key: holds a character"],
    );
    key(&format!("api_key = \"\"\n{SECRET}"), &["2: keys[0].api_key: is empty"]);
}

#[test]
fn accounts_are_for_master_keys() {
    let account = "account = \"primary\"";
    key(
        &format!("api_key = \"account-1\"\n{SECRET}\n{account}"),
        &["4: keys[0].account: is only for master- keys"],
    );
    warns(
        &format!("[[keys]]\napi_key = \"master-1\"\n{SECRET}\n"),
        "proxy.toml:1: keys[0].account: is missing",
    );
    warns(&format!("[[keys]]\napi_key = \"group-1\"\n{SECRET}\n"), "keys[0].account: is missing");
    let client = "[[clients]]\ncredential = { none = true }\nscopes = [\"trader\"]\n";
    silent(&format!("[[keys]]\napi_key = \"master-1\"\n{SECRET}\n{account}\n{client}"));
    silent(&format!("[[keys]]\napi_key = \"account-1\"\n{SECRET}\n{client}"));
    key(
        &format!("api_key = \"master-1\"\n{SECRET}\naccount = \"\""),
        &["4: keys[0].account: is empty"],
    );
}

#[test]
fn one_entry_for_each_key() {
    let two = |second: &str| {
        format!(
            "[[keys]]\nname = \"a\"\napi_key = \"account-1\"\n{SECRET}\n\
             [[keys]]\nname = \"b\"\napi_key = {second}\n{SECRET}\n"
        )
    };
    check(&two("{ env = \"KEY\" }"), &["5: keys[1].api_key: is the same key as `a`"]);
    accept(&two("{ env = \"OTHER\" }"));
}

#[test]
fn sources_of_secrets() {
    let secret = |source: &str, expected: &[&str]| {
        key(&format!("api_key = \"a\"\napi_secret = {source}"), expected);
    };
    secret(
        "\"hunter2-planted\"",
        &["3: keys[0].api_secret: a secret does not belong in this file"],
    );
    secret(
        "{ value = \"hunter2-planted\" }",
        &["3: keys[0].api_secret.value: a secret in the file itself"],
    );
    secret("{ env = \"EMPTY\" }", &["3: keys[0].api_secret.env: is empty"]);
    secret(
        "{ env = \"NO_SUCH\" }",
        &["3: keys[0].api_secret.env: the variable `NO_SUCH` is not set"],
    );
    // Someone put the secret where its name belongs.
    secret(
        "{ env = \"hunter2-planted\" }",
        &["3: keys[0].api_secret.env: the variable named here is not set"],
    );
    secret(
        "{ evn = \"SECRET\" }",
        &["3: keys[0].api_secret.evn: unknown setting `evn`\n  hint: did you mean `env`?"],
    );
    secret("{}", &["3: keys[0].api_secret: needs exactly one"]);
    secret("{ env = \"SECRET\", systemd = \"a\" }", &["3: keys[0].api_secret: needs exactly one"]);
    secret(
        "{ command = [\"pass\"] }",
        &["3: keys[0].api_secret.command: `command` is not enforced"],
    );
    secret(
        "{ command = [] }",
        &[
            "3: keys[0].api_secret.command: the command is empty",
            "3: keys[0].api_secret.command: `command` is not enforced",
        ],
    );
    secret(
        "{ systemd = \"../a\" }",
        &["3: keys[0].api_secret.systemd: a systemd credential is named"],
    );
    secret(
        "{ systemd = \"a\" }",
        &["3: keys[0].api_secret.systemd: `CREDENTIALS_DIRECTORY` is not set"],
    );
    secret(
        "{ file = \"/no/such\" }",
        &["3: keys[0].api_secret.file: cannot read /no/such: no such file"],
    );
    accept(
        "[[upstreams]]\nenvironment = \"simulator\"\nurl = \"https://localhost:1\"\n\
         [[keys]]\napi_key = \"a\"\napi_secret = { value = \"hunter2-planted\" }\n",
    );
}
