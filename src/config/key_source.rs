//! Where a key and its secret come from, so that they can be read once more while the proxy runs.
//!
//! 1. Nothing of the secret is in it, only its place.
//! 2. Reading again asks of a file what the start asks of it.
//! 3. What cannot change while a process runs is not read again: a variable, and what stands in the
//!    configuration itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::check_key_text;
use super::file::{Hidden, Source, TextOr};
use super::problem::{Report, Spot};
use super::source::{Lookup, Missing, ProcessEnvironment, Vault};
use crate::secret::Credential;

/// The places of a key and of its secret.
#[derive(Clone, Debug)]
pub(crate) struct KeySource {
    id: Origin,
    secret: Origin,
    /// As the start read them: what cannot change is taken from here.
    first: Arc<Credential>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// It stands in the configuration.
    Fixed,
    Variable(String),
    File(PathBuf),
    Systemd(String),
}

impl Origin {
    /// Of a setting that could be read.
    pub(super) fn of(typed: &TextOr<Source>, base: &Path) -> Self {
        let TextOr::Table(Source { env, file, systemd, command: _, value: _ }) = typed else {
            return Self::Fixed;
        };
        let file = file.as_ref().map(|it| Self::File(base.join(it.get_ref())));
        let env = || env.as_ref().map(|it| Self::Variable(it.get_ref().clone()));
        let systemd = || systemd.as_ref().map(|it| Self::Systemd(it.get_ref().clone()));
        file.or_else(env).or_else(systemd).unwrap_or(Self::Fixed)
    }

    fn can_change(&self) -> bool {
        match self {
            Self::Fixed | Self::Variable(_) => false,
            Self::File(_) | Self::Systemd(_) => true,
        }
    }

    fn read(&self, env: &dyn Lookup) -> Result<Option<Hidden>, Missing> {
        // The path was joined when the configuration was read.
        let vault = Vault { env, base: Path::new("") };
        let (mut report, spot) = (Report::new(None, ""), Spot::root());
        match self {
            Self::Fixed => Ok(None),
            Self::Variable(name) => vault.variable(name).map(Some),
            Self::File(path) => vault.file(path, &spot, &mut report).map(Some),
            Self::Systemd(name) => vault.systemd(name, &spot, &mut report).map(Some),
        }
    }
}

impl KeySource {
    pub(super) fn new(id: Origin, secret: Origin, first: Arc<Credential>) -> Self {
        Self { id, secret, first }
    }

    /// Whether reading it once more can tell anything new.
    pub(crate) fn can_change(&self) -> bool {
        self.secret.can_change()
    }

    /// The files that it comes from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let each = [&self.id, &self.secret];
        let mut files: Vec<PathBuf> = Vec::new();
        for origin in each {
            if let Origin::File(path) = origin
                && !files.contains(path)
            {
                files.push(path.clone());
            }
        }
        files
    }

    /// Whether both name the same places.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.secret == other.secret
    }

    /// Reads both once more. It blocks.
    ///
    /// # Errors
    /// In words without any value: why one of them cannot be had.
    pub(crate) fn reread(&self) -> Result<Credential, String> {
        self.reread_from(&ProcessEnvironment)
    }

    fn reread_from(&self, env: &dyn Lookup) -> Result<Credential, String> {
        let words = |missing: Missing| missing.into_words();
        let id = match self.id.read(env).map_err(words)? {
            None => self.first.key_text().to_owned(),
            Some(text) => {
                let mut report = Report::new(None, "");
                match check_key_text(text, &Spot::outside("the key"), &mut report) {
                    Some(text) => text.0.clone(),
                    None => return Err(told(report)),
                }
            }
        };
        let secret = self.secret.read(env).map_err(words)?;
        let secret = secret.ok_or("the secret stands in the configuration, which is read once")?;
        Ok(Credential::upstream(id, &secret.secret()))
    }
}

fn told(report: Report<'_>) -> String {
    let problems = report.finish().err().map(|it| it.0).unwrap_or_default();
    let first = problems.into_iter().next();
    first.map_or_else(String::new, |it| format!("{}: {}", it.place, it.message))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, NOW, PLANTED, variables};
    use super::super::{Overrides, parse};
    use super::*;

    fn source(folder: &Folder, id: &str, secret: &str) -> KeySource {
        let text = format!(
            "state = {{ dir = \"s\" }}\n[[upstreams]]\nenvironment = \"simulator\"\nurl = \"https://localhost:1\"\n\
             [[keys]]\napi_key = {id}\napi_secret = {secret}\n"
        );
        let env = environment(folder);
        let origin = folder.0.join("proxy.toml");
        let read = parse(&text, &origin, &env, &Overrides::default(), NOW);
        read.unwrap_or_else(|problems| panic!("{problems}")).keys.remove(0).source
    }

    fn environment(folder: &Folder) -> impl Lookup + use<> {
        let credentials = folder.0.join("credentials");
        let credentials = credentials.display().to_string();
        variables([
            ("KEY", "account-1"),
            ("SECRET", PLANTED),
            ("CREDENTIALS_DIRECTORY", &credentials),
        ])
    }

    const FILE: &str = "{ file = \"secret\" }";

    /// What a file holds is read again; what a process was started with is not.
    #[test]
    fn files_are_read_again() {
        let folder = Folder::new();
        folder.write("key", "account-1\n", 0o600);
        folder.write("secret", "one\n", 0o600);
        folder.write("credentials/gemini", "one\n", 0o600);
        let id = "{ file = \"key\" }";
        for (id, secret, can_change, n_files) in [
            ("\"account-1\"", FILE, true, 1),
            ("{ env = \"KEY\" }", FILE, true, 1),
            (id, FILE, true, 2),
            ("\"account-1\"", "{ systemd = \"gemini\" }", true, 0),
            ("\"account-1\"", "{ env = \"SECRET\" }", false, 0),
            ("\"account-1\"", "{ value = \"one\" }", false, 0),
        ] {
            let source = source(&folder, id, secret);
            assert_eq!((source.can_change(), source.files().len()), (can_change, n_files), "{id}");
            let read = source.reread_from(&environment(&folder));
            match secret.contains("value") {
                true => assert!(read.unwrap_err().contains("stands in the configuration")),
                false => assert!(read.unwrap().is_same(&source.first), "{id} {secret}"),
            }
            assert!(!format!("{source:?}").contains(PLANTED));
        }
        let source = source(&folder, id, FILE);
        let env = environment(&folder);
        folder.write("secret", "two\n", 0o600);
        let fresh = source.reread_from(&env).unwrap();
        assert!(fresh.is_key(b"account-1") && !fresh.is_same(&source.first));
        folder.write("key", "account-2\n", 0o600);
        assert!(source.reread_from(&env).unwrap().is_key(b"account-2"));
    }

    #[test]
    fn the_same_is_asked_of_it_as_at_the_start() {
        let folder = Folder::new();
        folder.write("key", "account-1\n", 0o600);
        folder.write("secret", "one\n", 0o600);
        let source = source(&folder, "{ file = \"key\" }", FILE);
        let env = environment(&folder);
        let refused = |why: &str| {
            let words = source.reread_from(&env).unwrap_err();
            assert!(words.contains(why), "{words}");
            assert!(!words.contains(PLANTED) && !words.contains("account-"), "{words}");
        };
        folder.mode("secret", 0o644);
        refused("can be read by others");
        folder.write("secret", "\n", 0o600);
        refused("is empty");
        std::fs::remove_file(folder.0.join("secret")).unwrap();
        refused("no such file");
        folder.write("secret", "one", 0o600);
        folder.write("key", &format!("account-1 {PLANTED}"), 0o600);
        refused("holds a character that no key has");
        folder.write("key", "AIzaSyhunter2-planted", 0o600);
        refused("Google");
        folder.write("key", "account-1", 0o600);
        assert!(source.reread_from(&env).is_ok());
    }
}
