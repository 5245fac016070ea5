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
use super::problem::{NOT_ENFORCED, Report, Spot};

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
    hint: Option<String>,
}

impl Missing {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn tell(self, spot: &Spot, report: &mut Report<'_>) {
        match self.hint {
            Some(hint) => report.hinted(spot, self.message, hint),
            None => report.problem(spot, self.message),
        }
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
        if given.iter().filter(|it| **it).count() != 1 {
            let hint = "such as { env = \"NAME\" } or { file = \"path\" }";
            report.shape(spot, "needs exactly one of `env`, `file`, `systemd`", hint);
            return None;
        }
        let read = match (env, file, systemd, value) {
            (Some(name), ..) => self.variable(name.get_ref()),
            (_, Some(path), ..) => self.file(Path::new(path.get_ref()), spot, report),
            (_, _, Some(name), _) => self.systemd(name.get_ref(), spot, report),
            (.., Some(value)) if inline => Ok(Hidden(value.get_ref().0.clone())),
            (.., Some(_)) => Err(Missing::hinted(
                "a secret in the file itself is only for environment = \"simulator\"",
                "put it in a file that only its owner can read: { file = \"path\" }",
            )),
            (None, None, None, None)
                if command.as_ref().is_some_and(|it| it.get_ref().is_empty()) =>
            {
                Err(Missing::new("the command is empty"))
            }
            (None, None, None, None) => Err(Missing::new(NOT_ENFORCED)),
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
        let Source { env, file, command, systemd, value } = source;
        let named = [("env", env), ("file", file), ("systemd", systemd)];
        let named = named.into_iter().find_map(|(name, it)| Some(spot.field(name, it.as_ref()?)));
        named
            .or_else(|| Some(spot.field("command", command.as_ref()?)))
            .or_else(|| Some(spot.field("value", value.as_ref()?)))
            .unwrap_or_else(|| spot.clone())
    }

    /// A secret in a variable.
    pub(super) fn variable(self, name: &str) -> Result<Hidden, Missing> {
        // Someone may have put the secret itself here. Names are written in capitals.
        let is_name = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
        let shown =
            if name.bytes().all(is_name) { format!("`{name}`") } else { "named here".to_owned() };
        let Some(value) = self.env.var(name) else {
            return Err(Missing::new(format!("the variable {shown} is not set")));
        };
        let text = value
            .into_string()
            .map_err(|_| Missing::new(format!("the variable {shown} is not UTF-8")))?;
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
                return Err(Missing::hinted(
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
            return Err(Missing::new("a systemd credential is named without a path"));
        }
        let directory = filled(self.env, "CREDENTIALS_DIRECTORY").ok_or_else(|| {
            let hint = "LoadCredential=NAME:/path in the unit sets it; outside a unit use `file`";
            Missing::hinted("`CREDENTIALS_DIRECTORY` is not set", hint)
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
    let failed =
        |error: io::Error| Missing::new(format!("cannot read {shown}: {}", kind_of(&error)));
    // Asked before as well: opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Missing::new(format!("{shown} is no ordinary file")));
    }
    let file = File::open(path).map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(Missing::new(format!("{shown} is larger than {limit} bytes")));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Missing::new(format!("{shown} is not UTF-8")))?;
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
    if secret.0.trim().is_empty() { Err(Missing::new("is empty")) } else { Ok(secret) }
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+:@%".contains(it);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
