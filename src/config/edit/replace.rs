//! Puts a changed text in the place of a configuration file.
//!
//! 1. Written beside with the same mode and owner, synced, renamed: whoever reads it sees the old text or
//!    the new one. A link stays a link; what it leads to is replaced.
//! 2. One command at a time: the directory is locked meanwhile. A text that an editor has changed since
//!    it was read is not overwritten.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use crate::clock::UnixMicros;
use crate::config::{Config, Overrides, Problem, Problems, ProcessEnvironment, parse};

/// A configuration file that is about to change, kept from other commands.
pub(crate) struct Editing {
    /// As it was named: relative paths in it are relative to this.
    origin: PathBuf,
    /// Not a link.
    path: PathBuf,
    directory: PathBuf,
    was: Metadata,
    text: Zeroizing<String>,
    // Unlocked when it is dropped.
    lock: File,
}

/// Why a file is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritten {
    #[error("{0}")]
    Problems(Problems),
    #[error("{} cannot be changed: {fault}", path.display())]
    Io { path: PathBuf, fault: io::Error },
    #[error("{} was changed by somebody else meanwhile", .0.display())]
    Changed(PathBuf),
}

impl std::fmt::Debug for Editing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The text may hold secrets of a simulated exchange.
        f.debug_struct("Editing").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Editing {
    /// Reads `path`, as a start does, and keeps other commands from it.
    pub(crate) fn begin(path: &Path) -> Result<Self, Unwritten> {
        let fault = |fault| Unwritten::Io { path: path.to_owned(), fault };
        let target = fs::canonicalize(path).map_err(fault)?;
        let directory = target.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        let lock = File::open(&directory).map_err(fault)?;
        lock.lock().map_err(fault)?;
        let was = fs::metadata(&target).map_err(fault)?;
        let (text, _) = super::super::read_file(path).map_err(Unwritten::Problems)?;
        Ok(Self { origin: path.to_owned(), path: target, directory, was, text, lock })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The directory that relative paths in the file start from.
    pub(crate) fn base(&self) -> &Path {
        self.origin.parent().unwrap_or_else(|| Path::new(""))
    }

    /// Whether `text` could be served in the place of what is there. `None`: as far as can be seen from
    /// here, where the secrets of keys cannot be read, as they could not before.
    pub(crate) fn check(
        &self,
        text: &str,
        overrides: &Overrides,
        now: UnixMicros,
    ) -> Result<Option<Config>, Unwritten> {
        let read = |text: &str| parse(text, &self.origin, &ProcessEnvironment, overrides, now);
        let Problems(problems) = match read(text) {
            Ok(config) => return Ok(Some(config)),
            Err(problems) => problems,
        };
        let Problems(before) = read(&self.text).err().unwrap_or(Problems(Vec::new()));
        let mut excused: Vec<_> = before.iter().filter_map(unread_source).collect();
        for problem in &problems {
            let known = unread_source(problem).and_then(|it| excused.iter().position(|e| *e == it));
            let Some(known) = known else { return Err(Unwritten::Problems(Problems(problems))) };
            excused.swap_remove(known);
        }
        Ok(None)
    }

    /// Makes a file that belongs to whoever owns the configuration, who must be able to read it.
    pub(crate) fn owned(&self, path: &Path, mode: u32) -> io::Result<File> {
        let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path)?;
        if file.metadata()?.uid() != self.was.uid()
            && let Err(fault) = fchown(&file, Some(self.was.uid()), Some(self.was.gid()))
        {
            drop(fs::remove_file(path));
            return Err(fault);
        }
        Ok(file)
    }

    /// Replaces the file.
    pub(crate) fn finish(self, text: &str) -> Result<(), Unwritten> {
        let fault = |fault| Unwritten::Io { path: self.path.clone(), fault };
        let now = Zeroizing::new(fs::read(&self.path).map_err(fault)?);
        if now.as_slice() != self.text.as_bytes() {
            return Err(Unwritten::Changed(self.path));
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = self.directory.join(format!(".{name}.new"));
        // What a crash may have left.
        drop(fs::remove_file(&beside));
        let written = self.write(&beside, text);
        if written.is_err() {
            drop(fs::remove_file(&beside));
        }
        written.map_err(fault)?;
        drop(self.lock);
        Ok(())
    }

    fn write(&self, beside: &Path, text: &str) -> io::Result<()> {
        let mut file = self.owned(beside, 0o600)?;
        if file.metadata()?.gid() != self.was.gid() {
            fchown(&file, None, Some(self.was.gid()))?;
        }
        file.write_all(text.as_bytes())?;
        // Last: a change of owner takes bits away.
        file.set_permissions(fs::Permissions::from_mode(self.was.mode() & 0o7777))?;
        file.sync_all()?;
        fs::rename(beside, &self.path)?;
        File::open(&self.directory)?.sync_all()
    }
}

/// What is told of a secret that cannot be read here: wherever it stands, since a client less moves it.
fn unread_source(problem: &Problem) -> Option<(&str, &str)> {
    // `keys[0].api_secret.file`: how it is read stands behind it.
    let path = problem.place.path.as_str();
    let (setting, kind) = path.rsplit_once('.')?;
    let kinds = ["env", "file", "command", "systemd"];
    let sources = [".api_key", ".api_secret", ".secret"];
    let source = sources.into_iter().find(|it| setting.ends_with(it));
    Some((source.filter(|_| kinds.contains(&kind))?, &problem.message))
}
