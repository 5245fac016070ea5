//! Secrets in files: what is stripped, and who may read them.

use super::super::{Loaded, search};
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
fn nobody_else_can_put_another_file_in_its_place() {
    let folder = Folder::new();
    let path = folder.write("sub/secret", "account-7", 0o600);
    // A group of one's own may write: that is a warning.
    for mode in [0o755, 0o750, 0o700, 0o500, 0o1777, 0o1775, 0o775, 0o720] {
        folder.mode("sub", mode);
        accept(&key_in(&path));
    }
    let sub = folder.0.join("sub");
    let link = folder.0.join("link");
    symlink(&path, &link).unwrap();
    for mode in [0o757, 0o777, 0o702] {
        folder.mode("sub", mode);
        // What counts is where the file lies, not the link to it.
        for given in [&path, &link] {
            check(
                &key_in(given),
                &[&format!(
                    "2: keys[0].api_key.file: {} can be replaced by others (the mode of its folder is {mode:04o})\n  hint: chmod go-w {}",
                    given.display(),
                    sub.display()
                )],
            );
        }
    }
    folder.mode("sub", 0o700);
}

/// Who reads, where it is not who runs the tests.
struct Somebody(Variables);

impl Lookup for Somebody {
    fn var(&self, name: &str) -> Option<OsString> {
        self.0.var(name)
    }

    fn user(&self) -> u32 {
        4_242
    }
}

#[test]
fn files_and_their_folders_belong_to_the_user_or_to_root() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let folder = Folder::new();
    let path = folder.write("sub/secret", "account-7", 0o600);
    let sub = folder.0.join("sub");
    let read = || {
        let read = parse(
            &key_in(&path),
            Path::new("proxy.toml"),
            &Somebody(usual()),
            &Overrides::default(),
            NOW,
        );
        read.map(drop).map_err(|it| it.to_string()).err().unwrap_or_default()
    };
    let root = std::fs::metadata(&path).unwrap().uid() == 0;
    if root {
        assert_eq!(read(), "", "root reads and replaces everything anyway");
        chown(&path, Some(65_534), None).unwrap();
    }
    let said = read();
    assert!(said.contains("belongs to user"), "{said}");
    assert!(said.contains(&format!("hint: chown 4242 {}", path.display())), "{said}");
    if root {
        chown(&path, Some(4_242), None).unwrap();
        assert_eq!(read(), "");
        chown(&sub, Some(65_534), None).unwrap();
        let said = read();
        assert!(said.contains("can be replaced by user 65534"), "{said}");
        assert!(said.contains(&format!("hint: chown 4242 {}", sub.display())), "{said}");
    }
}

#[test]
fn the_configuration_is_not_for_everyone_to_change() {
    let folder = Folder::new();
    let search = |path: &Path| search(Some(path), &[], &usual(), &Overrides::default(), NOW);
    let text = "[[keys]]\napi_key = \"account-7\"\napi_secret = { env = \"SECRET\" }\n";
    let path = folder.write("proxy.toml", text, 0o644);
    let warned = |path: &Path| match search(path).unwrap() {
        Loaded::File(config) => config.warnings.iter().any(|it| it.contains("by its group")),
        Loaded::Environment(..) => panic!("there is a file"),
    };
    for (mode, expected) in [(0o600, false), (0o644, false), (0o664, true), (0o620, true)] {
        folder.mode("proxy.toml", mode);
        assert_eq!(warned(&path), expected, "{mode:o}");
    }
    for mode in [0o646, 0o666, 0o602] {
        folder.mode("proxy.toml", mode);
        let said = search(&path).unwrap_err().to_string();
        let hint = format!(
            "can be changed by everyone (its mode is {mode:04o})\n  hint: chmod go-w {}",
            path.display()
        );
        assert!(said.contains(&hint), "{said}");
    }
}

/// Opening one for reading waits for a writer, unless it is asked not to.
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = Folder::new();
    let path = folder.0.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    check(
        &key_in(&path),
        &[&format!("2: keys[0].api_key.file: {} is no ordinary file", path.display())],
    );
    check(&key_in(Path::new("/dev/null")), &["2: keys[0].api_key.file: /dev/null is no ordinary"]);
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

#[test]
fn a_secret_in_the_place_of_a_path_is_not_repeated() {
    let secret = "4Jx9QvLwT7rZ2mKe8bNd";
    for typed in [secret, "4Jx9/vLwT7rZ+mKe8bNd=="] {
        let said = read(&key_in(Path::new(typed))).unwrap_err().to_string();
        assert!(said.contains("looks like a secret itself") && !said.contains(typed), "{said}");
    }
    for path in ["gemini_api_secret", "Secrets2/Key.txt/Of4Trading1", "/4Jx9QvLwT7rZ2mKe8bNd"] {
        let said = read(&key_in(Path::new(path))).unwrap_err().to_string();
        assert!(said.contains("cannot read") && said.contains(path), "{said}");
    }
    let folder = Folder::new();
    folder.write(secret, "account-7", 0o600);
    let origin = folder.0.join("proxy.toml");
    let text = key_in(Path::new(secret));
    parse(&text, &origin, &usual(), &Overrides::default(), NOW).unwrap();
}
