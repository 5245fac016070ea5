//! Where secrets come from: the environment, files, systemd.
//!
//! 1. Exactly one trailing newline is taken off. What is left must not be empty.
//! 2. A file is opened first, and its owner and mode asked of what was opened. It belongs to this user
//!    or to root, others have no access, and nobody else can put another file in its place.
//! 3. Under `/run/secrets`, in projected Kubernetes volumes and in `$CREDENTIALS_DIRECTORY` all of
//!    that is someone else's decision: there, being readable by everyone is only a warning.
//! 4. No error repeats a value, nor a variable's name that could be a secret put in its place.
//! 5. What a secret passes through on its way is sized before it is filled, and wiped after.
//!
//! Deliberately no `O_NOFOLLOW`: secret stores link, Kubernetes always does. A link can only lead to a
//! file that passes all the same questions.

use std::ffi::OsString;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use secrecy::zeroize::Zeroizing;

use super::file::{Hidden, Source};
use super::problem::{Report, Spot};
use crate::process;

/// The environment, or what a test puts in its place.
pub(crate) trait Lookup {
    fn var(&self, name: &str) -> Option<OsString>;

    /// Whether the process may write where only root may.
    fn is_root(&self) -> bool {
        false
    }

    /// Whose rights the process has.
    fn user(&self) -> u32 {
        process::user()
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
        self.user() == 0
    }
}

/// The text of a variable; `None` when it is not set or empty.
pub(super) fn filled(env: &dyn Lookup, name: &str) -> Option<OsString> {
    env.var(name).filter(|value| !value.is_empty())
}

/// Whether a variable is set whose value may be a secret: asking makes a copy, which is wiped.
pub(super) fn is_set(env: &dyn Lookup, name: &str) -> bool {
    env.var(name).map(|it| Zeroizing::new(it.into_encoded_bytes())).is_some()
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

    /// What is wrong, without what to do.
    pub(super) fn into_words(self) -> String {
        self.message
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
        let text = value.into_string().map_err(|bad| {
            drop(Zeroizing::new(bad.into_encoded_bytes()));
            let hint = "copy the value again: keys and secrets are plain ASCII";
            Missing::new(format!("the variable {shown} is not UTF-8"), hint)
        })?;
        not_empty(strip(Zeroizing::new(text)))
    }

    /// A secret in a file.
    pub(super) fn file(
        self,
        path: &Path,
        spot: &Spot,
        report: &mut Report<'_>,
    ) -> Result<Hidden, Missing> {
        let looks_secret = path.to_str().is_some_and(looks_secret);
        let path = self.base.join(path);
        if looks_secret && !path.exists() {
            return Err(Missing::new(
                "there is no such file, and what stands here looks like a secret itself",
                "`file` takes a path: write the secret to a file that only its owner can read",
            ));
        }
        let (text, opened) = read_text(&path, LARGEST_SECRET)?;
        if !self.is_mounted(&path) {
            self.is_private(&path, &opened, spot, report)?;
        } else if opened.mode() & 0o004 != 0 {
            let (shown, mode) = (path.display(), opened.mode() & 0o7777);
            report.warn(spot, &format!("{shown} can be read by everyone ({mode:04o})"));
        }
        not_empty(strip(text))
    }

    /// Whether only this user and root can read or replace what was opened.
    fn is_private(
        self,
        path: &Path,
        opened: &Metadata,
        spot: &Spot,
        report: &mut Report<'_>,
    ) -> Result<(), Missing> {
        let shown = path.display();
        let (mode, user) = (opened.mode() & 0o7777, self.env.user());
        if mode & 0o077 != 0 {
            return Err(Missing::new(
                format!("{shown} can be read by others (its mode is {mode:04o})"),
                format!("chmod 600 {}", quoted(path)),
            ));
        }
        let owner = opened.uid();
        // Root reads a user's file as that user meant it, with `sudo` or in a container.
        let foreign = |owner: u32| owner != user && owner != 0 && user != 0;
        if foreign(owner) {
            return Err(Missing::new(
                format!("{shown} belongs to user {owner}, who can change it"),
                format!("chown {user} {}", quoted(path)),
            ));
        }
        let folder = fs::canonicalize(path).ok().and_then(|it| Some(it.parent()?.to_owned()));
        let Some(folder) = folder else { return Ok(()) };
        let Ok(about) = fs::metadata(&folder) else { return Ok(()) };
        let (mode, owner) = (about.mode() & 0o7777, about.uid());
        let sticky = mode & 0o1000 != 0;
        if mode & 0o020 != 0 && !sticky {
            // Many systems give each user a group of their own, and let it write.
            let words = format!("{shown} can be replaced by the group of its folder ({mode:04o})");
            report.warn(spot, &words);
        }
        if mode & 0o002 != 0 && !sticky {
            return Err(Missing::new(
                format!("{shown} can be replaced by others (the mode of its folder is {mode:04o})"),
                format!("chmod go-w {}", quoted(&folder)),
            ));
        }
        if foreign(owner) {
            return Err(Missing::new(
                format!("{shown} can be replaced by user {owner}, whose folder it lies in"),
                format!("chown {user} {}", quoted(&folder)),
            ));
        }
        Ok(())
    }

    pub(super) fn systemd(
        self,
        name: &str,
        spot: &Spot,
        report: &mut Report<'_>,
    ) -> Result<Hidden, Missing> {
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

/// The configuration itself: no secret, but it says where the secrets go. Who can write it can have
/// calls signed. Whose it is is not asked: a container's user rarely owns what is mounted for it.
pub(super) fn read_configuration(
    path: &Path,
    report: &mut Report<'_>,
) -> Result<Zeroizing<String>, Missing> {
    let (text, opened) = read_text(path, LARGEST_FILE)?;
    let (shown, mode) = (path.display(), opened.mode() & 0o7777);
    if mode & 0o002 != 0 {
        return Err(Missing::new(
            format!("{shown} can be changed by everyone (its mode is {mode:04o})"),
            format!("chmod go-w {}", quoted(path)),
        ));
    }
    // A group may be meant to administer it, or be its owner's alone.
    if mode & 0o020 != 0 {
        let warning = format!("can be changed by its group ({mode:04o})");
        report.warn(&Spot::root(), &warning);
    }
    Ok(text)
}

/// A certificate file: text that is no secret.
pub(super) fn read_plain(path: &Path) -> Result<String, Missing> {
    read_text(path, LARGEST_FILE).map(|(mut text, _)| std::mem::take(&mut *text))
}

fn read_text(path: &Path, limit: u64) -> Result<(Zeroizing<String>, Metadata), Missing> {
    let shown = path.display();
    let failed = |error: io::Error| {
        let hint = match error.kind() == io::ErrorKind::PermissionDenied {
            true => "geminid's user needs leave to read it",
            false => "look at the path; in a configuration file it is relative to that file",
        };
        Missing::new(format!("cannot read {shown}: {}", kind_of(&error)), hint)
    };
    // Opening a pipe would wait for its other end; a terminal would become ours.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let opened = file.metadata().map_err(failed)?;
    if !opened.is_file() {
        let message = format!("{shown} is no ordinary file");
        return Err(Missing::new(message, "name a file, not a folder, a pipe or a device"));
    }
    // Room for the longest secret and for what the reader probes with: growing would leave copies.
    let room = usize::try_from(opened.len().clamp(LARGEST_SECRET, limit)).unwrap_or_default() + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        let message = format!("{shown} is larger than {limit} bytes");
        return Err(Missing::new(message, "this is probably another file: look at the path"));
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|bad| {
        drop(Zeroizing::new(bad.into_bytes()));
        Missing::new(format!("{shown} is not UTF-8"), "a text file is expected: look at the path")
    })?;
    Ok((Zeroizing::new(text), opened))
}

pub(super) fn kind_of(error: &io::Error) -> String {
    let text = error.to_string();
    // "No such file or directory (os error 2)": the number helps nobody.
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// The text without one trailing newline.
fn strip(mut text: Zeroizing<String>) -> Hidden {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Hidden(std::mem::take(&mut *text))
}

fn not_empty(secret: Hidden) -> Result<Hidden, Missing> {
    if secret.0.trim().is_empty() {
        return Err(Missing::new("is empty", "put the key or the secret there"));
    }
    Ok(secret)
}

/// Whether somebody may have put a secret where a path belongs: random letters and digits.
fn looks_secret(text: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| text.bytes().any(|it| kind(&it));
    let mixed =
        has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    let random = |it: u8| it.is_ascii_alphanumeric() || b"+/=_-".contains(&it);
    mixed && text.len() >= 20 && !text.starts_with('/') && text.bytes().all(random)
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+:@%".contains(it);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
