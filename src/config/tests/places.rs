//! Where the configuration is looked for, and the start without a file.

use super::*;
use crate::call::Scope;
use crate::config::{ClientCredential, Loaded, Proof, StandInPair, search};
use crate::provider::Environment;

fn find(explicit: Option<&Path>, places: &[&Path], env: &Variables) -> Result<Loaded, Problems> {
    search(explicit, places, env, &Overrides::default(), NOW)
}

#[track_caller]
fn path_of(loaded: Result<Loaded, Problems>) -> PathBuf {
    match loaded {
        Ok(Loaded::File(config)) => config.path.unwrap(),
        Ok(Loaded::Environment(..)) => panic!("made of the environment"),
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn the_order_of_places() {
    let folder = Folder::new();
    let at = |name: &str| folder.write(name, "", 0o644);
    let (flag, variable, here, system) = (at("flag"), at("variable"), at("here"), at("system"));
    let places = [here.as_path(), system.as_path()];
    let named = variables([("HOME", "/h"), ("GEMINID_CONFIG", variable.to_str().unwrap())]);
    let bare = variables([("HOME", "/h"), ("GEMINID_CONFIG", "")]);
    assert_eq!(path_of(find(Some(&flag), &places, &named)), flag);
    assert_eq!(path_of(find(None, &places, &named)), variable);
    assert_eq!(path_of(find(None, &places, &bare)), here);
    std::fs::remove_file(&here).unwrap();
    assert_eq!(path_of(find(None, &places, &bare)), system);
    std::fs::remove_file(&system).unwrap();
    let problems = find(None, &places, &bare).unwrap_err().to_string();
    assert!(problems.contains("there is no configuration"), "{problems}");
    assert!(problems.contains("geminid init") && problems.contains("GEMINI_API_SECRET"));
    // A file that was named is never passed over.
    let problems = find(Some(&here), &[&flag], &bare).unwrap_err().to_string();
    assert!(problems.contains("here: cannot read"), "{problems}");
}

/// A file that is there and cannot be read must not become a start with other keys.
#[test]
fn a_place_that_is_taken_is_not_passed_over() {
    let folder = Folder::new();
    let directory = folder.0.join("proxy.toml");
    std::fs::create_dir(&directory).unwrap();
    let env = variables([("GEMINI_API_KEY", "account-1"), ("GEMINI_API_SECRET", PLANTED)]);
    let problems = find(None, &[&directory], &env).unwrap_err().to_string();
    assert!(problems.contains("is no ordinary file"), "{problems}");
}

fn start(pairs: &[(&str, &str)]) -> Result<(Config, StandInPair), String> {
    let usual = [("HOME", "/h")];
    let env = variables(usual.into_iter().chain(pairs.iter().copied()));
    match find(None, &[], &env) {
        Ok(Loaded::Environment(config, pair)) => Ok((config, pair)),
        Ok(Loaded::File(_)) => panic!("there is no file"),
        Err(problems) => Err(format!("{problems}\n{problems:?}")),
    }
}

#[track_caller]
fn start_fails(pairs: &[(&str, &str)], expected: &str) {
    let problems = start(pairs).unwrap_err();
    assert!(problems.contains(expected), "{problems}");
    assert!(!problems.contains(PLANTED), "a secret is shown: {problems}");
}

const BOTH: [(&str, &str); 2] = [("GEMINI_API_KEY", "account-1"), ("GEMINI_API_SECRET", PLANTED)];

#[test]
fn two_variables_are_enough() {
    let (config, pair) = start(&BOTH).unwrap();
    assert_eq!(config.path, None);
    assert_eq!(config.upstreams[0].environment, Environment::Production);
    assert_eq!(listeners(&config.upstreams[0]), ["127.0.0.1:3840"]);
    assert!(config.upstreams[0].public);
    assert!(config.keys[0].credential.is_key(b"account-1"));
    let client = &config.clients[0];
    assert_eq!(client.id.as_str(), "default");
    assert!(client.grant.scopes.contains(&Scope::OrdersCreate));
    assert!(!client.grant.scopes.contains(&Scope::CryptoSend));
    assert!(pair.key.starts_with("account-standin-"), "{}", pair.key);
    let [ClientCredential { proof: Proof::StandIn(stand_in), expires: None }] =
        client.credentials.as_slice()
    else {
        panic!("one pair")
    };
    assert!(stand_in.is_key(pair.key.as_bytes()));
    assert_ne!(start(&BOTH).unwrap().1.secret, pair.secret);
    let shown = format!("{config:?}{pair:?}");
    assert!(!shown.contains(pair.secret.as_str()) && !shown.contains(PLANTED), "{shown}");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn further_variables() {
    let with = |more: (&'static str, &'static str)| [BOTH[0], BOTH[1], more];
    let (config, _) = start(&with(("GEMINID_ENVIRONMENT", "sandbox"))).unwrap();
    assert_eq!(config.upstreams[0].rest.host, "api.sandbox.gemini.com");
    let (config, _) = start(&with(("GEMINID_LISTEN", "127.0.0.1:1, [::1]:1"))).unwrap();
    assert_eq!(config.upstreams[0].listen.len(), 2);
    start_fails(
        &with(("GEMINID_ENVIRONMENT", "sandobx")),
        "GEMINID_ENVIRONMENT: `sandobx` is unknown\n  hint: did you mean `sandbox`?",
    );
    start_fails(&with(("GEMINID_ENVIRONMENT", "simulator")), "`geminid demo` brings its own");
    start_fails(&with(("GEMINID_LISTEN", "here")), "GEMINID_LISTEN: `here` is no address");
    start_fails(&with(("GEMINID_ACCOUNT", "primary")), "GEMINID_ACCOUNT: is only for master- keys");
    let master = [("GEMINI_API_KEY", "master-1"), BOTH[1], ("GEMINID_ACCOUNT", "primary")];
    assert_eq!(start(&master).unwrap().0.keys[0].account.as_deref(), Some("primary"));
}

#[test]
fn half_a_pair_and_wrong_pairs() {
    start_fails(&BOTH[..1], "GEMINI_API_SECRET: the variable `GEMINI_API_SECRET` is not set");
    start_fails(&BOTH[1..], "GEMINI_API_KEY: the variable `GEMINI_API_KEY` is not set");
    start_fails(&[BOTH[0], ("GEMINI_API_SECRET", "")], "GEMINI_API_SECRET: is empty");
    start_fails(&[("GEMINI_API_KEY", "AIzahunter2-planted"), BOTH[1]], "Google's Gemini API");
    start_fails(
        &[BOTH[0], BOTH[1], ("GEMINI_API_KEY_FILE", "/k")],
        "and so is GEMINI_API_KEY_FILE",
    );
}

#[test]
fn secrets_from_files_of_the_environment() {
    let folder = Folder::new();
    let path = folder.write("secret", "hunter2-planted\n", 0o600);
    let pairs = [BOTH[0], ("GEMINI_API_SECRET_FILE", path.to_str().unwrap())];
    start(&pairs).unwrap();
    folder.write("secret", "hunter2-planted\n", 0o644);
    start_fails(&pairs, "GEMINI_API_SECRET: ");
    start_fails(&pairs, "chmod 600 ");
}

/// Not to be told whether a file is there is no leave to do without it.
#[test]
fn a_place_that_cannot_be_looked_at_is_not_passed_over() {
    let folder = Folder::new();
    let path = folder.write("file", "", 0o644).join("proxy.toml");
    let problems = find(None, &[&path], &variables(BOTH)).unwrap_err().to_string();
    assert!(problems.contains("cannot read"), "{problems}");
}

/// Whatever is printed of what was typed, before and after it is checked.
#[test]
fn debug_shows_no_secret_wherever_it_was_typed() {
    use super::super::file::{File, Hidden};
    use super::super::{Loaded, source};
    use secrecy::zeroize::Zeroizing;
    use serde::Deserialize as _;

    for text in [
        "[[keys]]\napi_key = \"PLANTED\"",
        "[[keys]]\napi_secret = \"PLANTED\"",
        "[[keys]]\napi_key = { value = \"PLANTED\" }",
        "[[keys]]\napi_secret = { value = \"PLANTED\" }",
        "[[clients]]\ncredential = { token_sha256 = \"PLANTED\" }",
        "[[clients]]\ncredential = { key = \"PLANTED\", secret = { value = \"PLANTED\" } }",
        "[[clients]]\ncredential = [{ secret = \"PLANTED\" }, { key = { value = \"PLANTED\" } }]",
        "[[upstreams]]\nlisten = [\"PLANTED\"]",
    ] {
        let text = text.replace("PLANTED", PLANTED);
        let file = File::deserialize(toml::de::Deserializer::parse(&text).unwrap()).unwrap();
        let shown = format!("{file:?} {file:#?}");
        assert!(!shown.contains(PLANTED) && shown.contains("Hidden"), "{shown}");
    }
    let pair =
        || StandInPair { key: PLANTED.to_owned(), secret: Zeroizing::new(PLANTED.to_owned()) };
    let config = || start(&BOTH).unwrap().0;
    let env = variables([("A", PLANTED)]);
    let vault = source::Vault { env: &env, base: Path::new("") };
    for shown in [
        format!("{:?}", Hidden(PLANTED.to_owned())),
        format!("{:?}", Hidden(PLANTED.to_owned()).secret()),
        format!("{:?}", pair()),
        format!("{:?}", Loaded::Environment(config(), pair())),
        format!("{:?}", vault.variable("A")),
    ] {
        assert!(!shown.contains(PLANTED), "{shown}");
    }
}
