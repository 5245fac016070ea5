//! Takes up a key's secret that was changed in its file while the proxy runs.
//!
//! 1. Another secret of the same key goes on with the same nonces: it is taken up.
//! 2. Another key has nonces of its own, in a lane of its own: a restart takes it up.
//! 3. Nobody waits for the disk: the file is read on a thread that may block.

use crate::diagnose::SecretFile;
use crate::roster::KeyRing;

/// Reads the key's secret once more, and takes it up if it is another one.
pub(crate) async fn reread(ring: &KeyRing) -> SecretFile {
    if !ring.source.can_change() {
        return SecretFile::NotAsked;
    }
    let source = ring.source.clone();
    let fresh = match tokio::task::spawn_blocking(move || source.reread()).await {
        Ok(Ok(fresh)) => fresh,
        Ok(Err(words)) => return SecretFile::Unreadable(words),
        Err(_) => return SecretFile::Unreadable("it could not be read to its end".to_owned()),
    };
    let now = ring.key.credential();
    if fresh.is_same(&now) {
        return SecretFile::Same;
    }
    if !fresh.is_key(now.key_text().as_bytes()) {
        return SecretFile::OtherKey;
    }
    ring.key.replace(fresh.into());
    tracing::warn!(key = %ring.name(), "another secret was in the key's file, and is taken up");
    SecretFile::TakenUp
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::clock::{Ulid, UnixMicros};
    use crate::config::{self, Overrides, ProcessEnvironment};
    use crate::journal::StateDir;
    use crate::nonce::{Lane, ServerClock};
    use crate::provider::Key;

    struct Folder(PathBuf);

    impl Folder {
        fn write(&self, name: &str, text: &str, mode: u32) {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn folder() -> Folder {
        let name = format!("rotation-{}", Ulid::new(UnixMicros::from_secs(1)).as_str());
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        Folder(path)
    }

    fn ring(folder: &Folder, secret: &str) -> KeyRing {
        let text = format!(
            "state = {{ dir = \"s\" }}\n[[upstreams]]\nenvironment = \"simulator\"\nurl = \"https://localhost:1\"\n\
             [[keys]]\napi_key = {{ file = \"key\" }}\napi_secret = {secret}\n"
        );
        let (env, now) = (&ProcessEnvironment, UnixMicros::from_secs(1));
        let origin = folder.0.join("p.toml");
        let read = config::parse(&text, &origin, env, &Overrides::default(), now);
        let key = read.unwrap_or_else(|problems| panic!("{problems}")).keys.remove(0);
        let state = StateDir::open(&folder.0.join("state")).unwrap();
        let (kept, marks) = state.marks(&key.credential.fingerprint()).unwrap().unwrap();
        let clock = Arc::new(ServerClock::default());
        let how = (key.nonce, key.unit);
        let lane = Lane::new(key.name.clone(), how, kept, clock, Box::new(marks));
        KeyRing {
            key: Key::new(key.name, None, key.credential),
            lane: Ok(lane),
            looked: AtomicU64::new(0),
            source: key.source,
        }
    }

    #[tokio::test]
    async fn another_secret_is_taken_up_and_another_key_is_not() {
        let folder = folder();
        folder.write("key", "account-1\n", 0o600);
        folder.write("secret", "one\n", 0o600);
        let fixed = ring(&folder, "{ value = \"one\" }");
        assert_eq!(reread(&fixed).await, SecretFile::NotAsked);
        drop(fixed);
        let ring = ring(&folder, "{ file = \"secret\" }");
        let first = ring.key.credential();
        assert_eq!(reread(&ring).await, SecretFile::Same);
        assert!(Arc::ptr_eq(&first, &ring.key.credential()));

        folder.write("secret", "two\n", 0o600);
        assert_eq!(reread(&ring).await, SecretFile::TakenUp);
        let second = ring.key.credential();
        assert!(second.is_key(b"account-1") && !second.is_same(&first));
        assert_eq!(reread(&ring).await, SecretFile::Same);

        folder.write("secret", "three\n", 0o644);
        let SecretFile::Unreadable(words) = reread(&ring).await else { panic!("it was read") };
        assert!(words.contains("can be read by others") && !words.contains("three"), "{words}");
        folder.write("secret", "two\n", 0o600);
        folder.write("key", "account-2\n", 0o600);
        assert_eq!(reread(&ring).await, SecretFile::OtherKey);
        assert!(Arc::ptr_eq(&second, &ring.key.credential()));
    }
}
