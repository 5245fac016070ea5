//! Secrets in files: what is stripped, and who may read them.

use super::*;
use std::os::unix::fs::symlink;

fn key_in(path: &Path) -> String {
    format!(
        "[[keys]]\napi_key = {{ file = \"{}\" }}\napi_secret = {{ env = \"SECRET\" }}\n",
        path.display()
    )
}

#[track_caller]
fn holds(folder: &Folder, content: &str, key: &str) {
    let path = folder.write("content", content, 0o600);
    let config = accept(&key_in(&path));
    assert!(config.keys[0].credential.is_key(key.as_bytes()), "{content:?}");
}

#[test]
fn one_newline_is_taken_off() {
    let folder = Folder::new();
    for content in ["account-7", "account-7\n", "account-7\r\n"] {
        holds(&folder, content, "account-7");
    }
    for content in ["account-7\n\n", "account-7\r", " account-7", "account-7 \n"] {
        check(
            &key_in(&folder.write("content", content, 0o600)),
            &["2: keys[0].api_key: holds a character"],
        );
    }
    for content in ["", "\n", " \n"] {
        check(
            &key_in(&folder.write("content", content, 0o600)),
            &["2: keys[0].api_key.file: is empty"],
        );
    }
    let secret = folder.write("secret", "hunter2-planted\n\n", 0o600);
    let text =
        format!("[[keys]]\napi_key = \"a\"\napi_secret = {{ file = \"{}\" }}\n", secret.display());
    warns(&text, "keys[0].api_secret: ends with white space");
}

#[test]
fn files_are_for_their_owner() {
    let folder = Folder::new();
    for mode in [0o600, 0o400, 0o700] {
        accept(&key_in(&folder.write("secret", "account-7", mode)));
    }
    for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
        let path = folder.write("secret", "account-7", mode);
        check(
            &key_in(&path),
            &[&format!(
                "2: keys[0].api_key.file: {0} can be read by others (its mode is {mode:04o})\n  hint: chmod 600 {0}",
                path.display()
            )],
        );
    }
    let odd = folder.write("it's mine", "account-7", 0o644);
    let problems = read(&key_in(&odd)).unwrap_err().to_string();
    assert!(problems.contains("chmod 600 '/"), "{problems}");
    assert!(problems.contains("/it'\\''s mine'"), "{problems}");
    // What counts is the file that is opened, not the link to it.
    let open = folder.write("open", "account-7", 0o644);
    let link = folder.0.join("link");
    symlink(&open, &link).unwrap();
    assert!(read(&key_in(&link)).is_err());
    check(&key_in(&folder.0), &["2: keys[0].api_key.file: "]);
}

#[test]
fn paths_are_relative_to_the_configuration() {
    let folder = Folder::new();
    folder.write("secrets/key", "account-7\n", 0o600);
    let text = key_in(Path::new("secrets/key"));
    let origin = folder.0.join("proxy.toml");
    parse(&text, &origin, &usual(), &Overrides::default(), NOW).unwrap();
    assert!(read(&text).is_err());
}

#[test]
fn projected_volumes_have_modes_of_their_own() {
    let folder = Folder::new();
    folder.write("volume/..2026_11_21/key", "account-7", 0o644);
    symlink("..2026_11_21", folder.0.join("volume/..data")).unwrap();
    symlink("..data/key", folder.0.join("volume/key")).unwrap();
    warns(&key_in(&folder.0.join("volume/key")), "can be read by everyone (0644)");
    folder.write("volume/..2026_11_21/key", "account-7", 0o440);
    let config = accept(&key_in(&folder.0.join("volume/key")));
    assert!(!config.warnings.iter().any(|it| it.contains("everyone")), "{:?}", config.warnings);
    // A folder that only looks like one.
    let fake = folder.write("fake/..2026_11_21/key", "account-7", 0o644);
    assert!(read(&key_in(&fake)).is_err());
    let outside = folder.write("pods/kubernetes.io~projected/v/key", "account-7", 0o644);
    accept(&key_in(&outside));
}

#[test]
fn systemd_hands_credentials_over() {
    let folder = Folder::new();
    folder.write("credentials/key", "account-7\n", 0o440);
    let directory = folder.0.join("credentials");
    let with = |directory: &Path| {
        let env = variables([
            ("HOME", "/h"),
            ("SECRET", "s"),
            ("CREDENTIALS_DIRECTORY", directory.to_str().unwrap()),
        ]);
        let text = "[[keys]]\napi_key = { systemd = \"key\" }\napi_secret = { env = \"SECRET\" }\n";
        parse(text, Path::new("p"), &env, &Overrides::default(), NOW)
    };
    with(&directory).unwrap();
    folder.write("credentials/key", "account-7\n", 0o444);
    let config = with(&directory).unwrap();
    assert!(config.warnings.iter().any(|it| it.contains("everyone")), "{:?}", config.warnings);
    let problems = with(&folder.0).unwrap_err().to_string();
    assert!(problems.contains("api_key.systemd: cannot read"), "{problems}");
}
