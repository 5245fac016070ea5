//! `[log]`, `[listen]`, `[state]`, shapes and names in general.

use super::*;
use crate::config::{LevelName, LogFormat};

#[test]
fn nothing_at_all_is_a_proxy_for_public_data() {
    let config = accept("");
    assert_eq!((config.log.format, config.log.level), (LogFormat::Text, LevelName::Info));
    assert_eq!(config.upstreams.len(), 1);
    assert!(config.upstreams[0].public);
    assert!(config.warnings[0].contains("only public data"), "{:?}", config.warnings);
}

#[test]
fn text_that_is_no_toml_is_told_by_its_lines() {
    check("\nlog = \n", &["2: "]);
    check("[[keys]]\napi_secret = hunter2-planted\n", &["2: "]);
    check("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", &["3: "]);
    check("[log]\nlevel = \"hunter2-planted\n[state]\n = 3", &["2: ", "4: "]);
}

#[test]
fn unknown_settings_are_told_all_at_once() {
    check(
        "colour = 1\n[log]\nlevl = \"info\"\n[[clients]]\nscoeps = []\n[[clients]]\nzzz = 1\n",
        &[
            "1: colour: unknown setting `colour`\n  hint: known here: ",
            "3: log.levl: unknown setting `levl`\n  hint: did you mean `level`?",
            "4: clients[0].name: needs a name: there are 2 clients",
            "4: clients[0].key: there is no [[keys]]",
            "4: clients[0].credential: is missing",
            "5: clients[0].scoeps: unknown setting `scoeps`\n  hint: did you mean `scopes`?",
            "6: clients[1].name: needs a name",
            "6: clients[1].key: there is no [[keys]]",
            "6: clients[1].credential: is missing",
            "7: clients[1].zzz: unknown setting `zzz`",
        ],
    );
}

#[test]
fn shapes_are_told_without_what_was_written() {
    check(
        "[log]\nlevel = 3\n[listen]\nadmin = true\n[[upstreams]]\nlisten = \"127.0.0.1:1\"\npublic = \"hunter2-planted\"\n",
        &[
            "2: log.level: this is an integer, expected a string",
            "4: listen.admin: this is a boolean, expected a string",
            "6: upstreams[0].listen: this is a string, expected an array\n  hint: such as listen = [\"127.0.0.1:3840\"]",
            "7: upstreams[0].public: this is a string, expected a boolean",
        ],
    );
    check("[keys]\n", &["1: keys: this is a table, expected an array\n  hint: write [[keys]]"]);
    check("keys = 5\n[[clients]]\ncredential = { none = true }\nkey = \"a\"\n", &["1: keys: "]);
}

/// A value that could not be read is not called missing as well.
#[test]
fn one_mistake_is_told_once() {
    check("[[keys]]\napi_key = 5\napi_secret = { env = \"SECRET\" }\n", &["2: keys[0].api_key: "]);
    check(
        "[[keys]]\napi_kye = \"a\"\napi_secret = { env = \"SECRET\" }\n",
        &["2: keys[0].api_kye: unknown setting"],
    );
    check(
        "[[keys]]\nname = 5\napi_key = \"a\"\napi_secret = { env = \"SECRET\" }\n\
         [[clients]]\nkey = \"x\"\ncredential = { none = true }\n",
        &["2: keys[0].name: "],
    );
}

#[test]
fn logs() {
    let config = accept("[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    assert_eq!((config.log.format, config.log.level), (LogFormat::Json, LevelName::Debug));
    check(
        "[log]\nformat = \"jsno\"\nlevel = \"loud\"\n",
        &[
            "2: log.format: `jsno` is unknown\n  hint: did you mean `json`?",
            "3: log.level: `loud` is unknown\n  hint: one of error, warn",
        ],
    );
}

#[test]
fn the_admin_listener_is_loopback() {
    assert_eq!(accept("[listen]\nadmin = \"[::1]:1\"\n").admin.to_string(), "[::1]:1");
    check(
        "[listen]\nadmin = \"0.0.0.0:3841\"\n",
        &["2: listen.admin: an admin listener beyond loopback is not enforced"],
    );
    check(
        "[listen]\nadmin = \"localhost:1\"\n",
        &[
            "2: listen.admin: `localhost:1` is no address to listen on\n  hint: write \"127.0.0.1:1\"",
        ],
    );
    check(
        "[listen]\nadmin = \"127.0.0.1:3840\"\n",
        &[": upstreams[0].listen: 127.0.0.1:3840 is taken by listen.admin"
            .trim_start_matches(": ")],
    );
}

#[test]
fn state_has_a_place() {
    let of = |text: &str, env: Variables| {
        parse(text, Path::new("/etc/x/proxy.toml"), &env, &Overrides::default(), NOW)
            .map(|it| it.state_dir.display().to_string())
    };
    let home = || variables([("HOME", "/h")]);
    assert_eq!(of("[state]\ndir = \"s\"", home()).unwrap(), "/etc/x/s");
    assert_eq!(of("[state]\ndir = \"/s\"", home()).unwrap(), "/s");
    assert_eq!(of("", home()).unwrap(), "/h/.local/state/geminid");
    let both = variables([("HOME", "/h"), ("XDG_STATE_HOME", "/x")]);
    assert_eq!(of("", both).unwrap(), "/x/geminid");
    let relative = variables([("HOME", "/h"), ("XDG_STATE_HOME", "x")]);
    assert_eq!(of("", relative).unwrap(), "/h/.local/state/geminid");
    let nowhere = of("", Variables::default()).unwrap_err().to_string();
    assert!(nowhere.contains("state.dir: no place for state"), "{nowhere}");
    let table = of("[log]\n[state]\n", Variables::default()).unwrap_err().to_string();
    assert!(table.contains("proxy.toml:2: state.dir: no place for state"), "{table}");

    struct Root;
    impl Lookup for Root {
        fn var(&self, _: &str) -> Option<OsString> {
            None
        }

        fn is_root(&self) -> bool {
            true
        }
    }
    let root = parse("", Path::new("p"), &Root, &Overrides::default(), NOW).unwrap();
    assert_eq!(root.state_dir, Path::new("/var/lib/geminid"));
    check("[state]\ndir = \"\"\n", &["2: state.dir: is empty"]);
}

#[test]
fn an_audit_trail_is_not_promised() {
    accept("[state]\naudit = { durability = \"off\" }\n");
    check(
        "[state]\naudit = { durability = \"group\" }\n",
        &[
            "2: state.audit.durability: `durability` is not enforced by this build yet\n  hint: remove it to start without it; ",
        ],
    );
    check(
        "[state]\naudit = { durability = \"grop\" }\n",
        &["2: state.audit.durability: `grop` is unknown\n  hint: did you mean `group`?"],
    );
    check("[state]\naudit = {}\n", &["2: state.audit: says nothing"]);
}

#[test]
fn flags_go_before_the_file() {
    let overrides = Overrides {
        listen: Some(vec!["127.0.0.1:9".parse().unwrap()]),
        admin: Some("127.0.0.1:8".parse().unwrap()),
        state_dir: Some("/flag".into()),
        log_format: Some(LogFormat::Json),
        log_level: Some(LevelName::Trace),
    };
    let text =
        "[log]\nlevel = \"warn\"\n[listen]\nadmin = \"127.0.0.1:1\"\n[state]\ndir = \"/file\"\n";
    let config = parse(text, Path::new("p"), &usual(), &overrides, NOW).unwrap();
    assert_eq!(listeners(&config.upstreams[0]), ["127.0.0.1:9"]);
    assert_eq!(config.admin.port(), 8);
    assert_eq!(config.state_dir, Path::new("/flag"));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Json, LevelName::Trace));

    let open = Overrides { admin: Some("0.0.0.0:1".parse().unwrap()), ..Overrides::default() };
    let problems = parse("", Path::new("p"), &usual(), &open, NOW).unwrap_err().to_string();
    assert!(problems.contains("--admin: an admin listener beyond loopback"), "{problems}");

    let two = "[[upstreams]]\nname = \"a\"\n[[upstreams]]\nname = \"b\"\n";
    let problems = parse(two, Path::new("p"), &usual(), &overrides, NOW).unwrap_err().to_string();
    assert!(problems.contains("--listen: there is more than one upstream"), "{problems}");
}
