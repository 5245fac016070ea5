//! Where secrets come from: the environment, files, systemd.
//!
//! 1. Exactly one trailing newline is taken off. What is left must not be empty.
//! 2. A file is opened first and its mode asked of what was opened. Others may have no access.
//! 3. Under `/run/secrets`, in projected Kubernetes volumes and in `$CREDENTIALS_DIRECTORY` the
//!    mode is someone else's decision: there, being readable by everyone is only a warning.
//! 4. No error repeats a value, nor a variable's name that could be a secret put in its place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::file::{Hidden, Source};
use super::problem::{Report, Spot};

/// The environment, or what a test puts in its place.
pub(crate) trait Lookup {
    fn var(&self, name: &str) -> Option<OsString>;

    /// Whether the process may write where only root may.
    fn is_root(&self) -> bool {
        false
    }
}

/// The process's own environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessEnvironment;

impl Lookup for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn is_root(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
    }
}

/// The text of a variable; `None` when it is not set or empty.
pub(super) fn filled(env: &dyn Lookup, name: &str) -> Option<OsString> {
    env.var(name).filter(|value| !value.is_empty())
}

const LARGEST_SECRET: u64 = 64 * 1024;
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// Why a secret cannot be had.
#[derive(Debug)]
pub(super) struct Missing {
    message: String,
    hint: String,
}

impl Missing {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    pub(super) fn tell(self, spot: &Spot, report: &mut Report<'_>) {
        report.problem(spot, self.message, self.hint);
    }
}

/// Reads secrets for one configuration.
#[derive(Clone, Copy)]
pub(super) struct Vault<'a> {
    pub(super) env: &'a dyn Lookup,
    /// What relative paths are relative to.
    pub(super) base: &'a Path,
}

impl Vault<'_> {
    /// The secret that `source` names. `inline` says whether the file itself may hold it.
    pub(super) fn read(
        self,
        source: &Source,
        inline: bool,
        spot: &Spot,
        report: &mut Report<'_>,
    ) -> Option<Hidden> {
        let Source { env, file, command, systemd, value } = source;
        let given =
            [env.is_some(), file.is_some(), command.is_some(), systemd.is_some(), value.is_some()];
        let only_one = "needs exactly one of `env`, `file`, `systemd`";
        let such = "such as { env = \"NAME\" } or { file = \"path\" }";
        match given.iter().filter(|it| **it).count() {
            0 => {
                let parts = ["env", "file", "command", "systemd", "value"];
                report.lacks(spot, &parts, only_one, such);
                return None;
            }
            1 => {}
            _ => {
                report.problem(spot, only_one, such);
                return None;
            }
        }
        if let Some(command) = command {
            let at = spot.field("command", command);
            if command.get_ref().is_empty() {
                report.problem(&at, "the command is empty", "such as [\"pass\", \"gemini\"]");
            }
            report.not_enforced_but(
                &at,
                "use another source, { env = \"NAME\" } or { file = \"path\" }",
            );
            return None;
        }
        let read = match (env, file, systemd, value) {
            (Some(name), ..) => self.variable(name.get_ref()),
            (_, Some(path), ..) => self.file(Path::new(path.get_ref()), spot, report),
            (_, _, Some(name), _) => self.systemd(name.get_ref(), spot, report),
            (.., Some(value)) if inline => Ok(Hidden(value.get_ref().0.clone())),
            (.., Some(_)) => Err(Missing::new(
                "a secret in the file itself is only for environment = \"simulator\"",
                "put it in a file that only its owner can read: { file = \"path\" }",
            )),
            (None, None, None, None) => return None,
        };
        match read.and_then(not_empty) {
            Ok(secret) => {
                if secret.0.ends_with(char::is_whitespace) {
                    report.warn(spot, "ends with white space, which is taken as part of it");
                }
                Some(secret)
            }
            Err(missing) => {
                missing.tell(&self.inner_spot(source, spot), report);
                None
            }
        }
    }

    /// The spot of the one source that was given.
    #[expect(clippy::unused_self, reason = "belongs with its caller")]
    fn inner_spot(self, source: &Source, spot: &Spot) -> Spot {
        let Source { env, file, command: _, systemd, value } = source;
        let named = [("env", env), ("file", file), ("systemd", systemd)];
        let named = named.into_iter().find_map(|(name, it)| Some(spot.field(name, it.as_ref()?)));
        named.or_else(|| Some(spot.field("value", value.as_ref()?))).unwrap_or_else(|| spot.clone())
    }

    /// A secret in a variable.
    pub(super) fn variable(self, name: &str) -> Result<Hidden, Missing> {
        // Someone may have put the secret itself here. Names are written in capitals.
        let is_name = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
        let shown =
            if name.bytes().all(is_name) { format!("`{name}`") } else { "named here".to_owned() };
        let Some(value) = self.env.var(name) else {
            let hint = "`env` takes the name of a variable, which geminid must be started with; \
                        or take the value from a file";
            return Err(Missing::new(format!("the variable {shown} is not set"), hint));
        };
        let text = value.into_string().map_err(|_| {
            let hint = "copy the value again: keys and secrets are plain ASCII";
            Missing::new(format!("the variable {shown} is not UTF-8"), hint)
        })?;
        not_empty(strip(text))
    }

    /// A secret in a file.
    pub(super) fn file(
        self,
        path: &Path,
        spot: &Spot,
        report: &mut Report<'_>,
    ) -> Result<Hidden, Missing> {
        let path = self.base.join(path);
        let (text, mode) = read_text(&path, LARGEST_SECRET)?;
        let shown = path.display();
        if mode & 0o077 != 0 {
            if !self.is_mounted(&path) {
                return Err(Missing::new(
                    format!("{shown} can be read by others (its mode is {:04o})", mode & 0o7777),
                    format!("chmod 600 {}", quoted(&path)),
                ));
            }
            if mode & 0o004 != 0 {
                let warning = format!("{shown} can be read by everyone ({:04o})", mode & 0o7777);
                report.warn(spot, &warning);
            }
        }
        not_empty(strip(text))
    }

    fn systemd(self, name: &str, spot: &Spot, report: &mut Report<'_>) -> Result<Hidden, Missing> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            let hint = "NAME of LoadCredential=NAME:/path in the unit";
            return Err(Missing::new("a systemd credential is named without a path", hint));
        }
        let directory = filled(self.env, "CREDENTIALS_DIRECTORY").ok_or_else(|| {
            let hint = "LoadCredential=NAME:/path in the unit sets it; outside a unit use `file`";
            Missing::new("`CREDENTIALS_DIRECTORY` is not set", hint)
        })?;
        self.file(&PathBuf::from(directory).join(name), spot, report)
    }

    /// Whether the file was put there by something that manages secrets, with a mode of its own.
    fn is_mounted(self, path: &Path) -> bool {
        let Ok(real) = fs::canonicalize(path) else { return false };
        let credentials = filled(self.env, "CREDENTIALS_DIRECTORY")
            .and_then(|it| fs::canonicalize(it).ok())
            .is_some_and(|directory| directory != Path::new("/") && real.starts_with(directory));
        credentials || real.starts_with("/run/secrets") || is_projected(&real)
    }
}

/// Whether a path without links lies in a volume that the kubelet wrote: `..data` there is a link
/// to a folder such as `..2026_01_31_10_00_00.123456789`, and files link through it.
fn is_projected(real: &Path) -> bool {
    real.ancestors().skip(1).any(|folder| {
        let Some(name) = folder.file_name().and_then(|it| it.to_str()) else { return false };
        let named = ["kubernetes.io~projected", "kubernetes.io~secret"].contains(&name);
        let linked = || {
            let data = folder.with_file_name("..data");
            fs::canonicalize(data).is_ok_and(|it| it == folder)
        };
        named || (name.starts_with("..") && linked())
    })
}

/// A certificate file or the configuration: text that is no secret.
pub(super) fn read_plain(path: &Path) -> Result<String, Missing> {
    read_text(path, LARGEST_FILE).map(|(text, _)| text)
}

fn read_text(path: &Path, limit: u64) -> Result<(String, u32), Missing> {
    let shown = path.display();
    let failed = |error: io::Error| {
        let hint = match error.kind() == io::ErrorKind::PermissionDenied {
            true => "geminid's user needs leave to read it",
            false => "look at the path; in a configuration file it is relative to that file",
        };
        Missing::new(format!("cannot read {shown}: {}", kind_of(&error)), hint)
    };
    // Asked before as well: opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        let message = format!("{shown} is no ordinary file");
        return Err(Missing::new(message, "name a file, not a folder, a pipe or a device"));
    }
    let file = File::open(path).map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        let message = format!("{shown} is larger than {limit} bytes");
        return Err(Missing::new(message, "this is probably another file: look at the path"));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Missing::new(format!("{shown} is not UTF-8"), "a text file is expected: look at the path")
    })?;
    Ok((text, opened.permissions().mode()))
}

pub(super) fn kind_of(error: &io::Error) -> String {
    let text = error.to_string();
    // "No such file or directory (os error 2)": the number helps nobody.
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// The text without one trailing newline.
fn strip(mut text: String) -> Hidden {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Hidden(text)
}

fn not_empty(secret: Hidden) -> Result<Hidden, Missing> {
    if secret.0.trim().is_empty() {
        return Err(Missing::new("is empty", "put the key or the secret there"));
    }
    Ok(secret)
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+:@%".contains(it);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
