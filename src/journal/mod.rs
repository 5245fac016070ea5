//! The state directory: nonce marks, one file for each key, and the ledger of the budgets (`ledger`).
//!
//! 1. The directory is ours alone (0700) and one process's at a time (a lock on `lock`); so is each
//!    key's file.
//! 2. A file is made whole, beside and renamed, when the process starts: a full disk is found then,
//!    and never later. After that it is written in place (`marks`, `slot`).
//! 3. A file that cannot be read as a mark stops its key: beginning anew could repeat a nonce.

mod ledger;
pub(crate) mod log;
mod marks;
mod paper;
mod slot;
pub(crate) mod trail;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub(crate) use self::ledger::JournalLedger;
pub(crate) use self::marks::Marks;
use self::marks::Slots;
pub(crate) use self::paper::Paper;
use crate::nonce::{Kept, Mode, Unit};

/// The state directory, held by this process.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    // Unlocked when it is dropped.
    _lock: File,
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the state directory {} cannot be used: {fault}", path.display())]
    Unusable { path: PathBuf, fault: io::Error },
    #[error("the state directory {} is in use by another geminid", path.display())]
    InUse { path: PathBuf },
    #[error("the nonce mark {} cannot be made: {fault}", path.display())]
    NotMade { path: PathBuf, fault: io::Error },
    #[error("the nonce mark {} cannot be opened: {fault}", path.display())]
    NotOpened { path: PathBuf, fault: io::Error },
    #[error("the budgets {} cannot be read or written: {fault}", path.display())]
    Budgets { path: PathBuf, fault: io::Error },
    #[error("the budgets {} cannot be read: line {line}: {why}", path.display())]
    BudgetsDamaged { path: PathBuf, line: usize, why: &'static str },
}

/// Why one key cannot be used: what was kept of its nonces is lost.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the nonce mark {} cannot be read: {why}", path.display())]
pub(crate) struct Damage {
    pub(crate) path: PathBuf,
    why: String,
}

/// How often, and how far apart, a start looks whether the directory is free.
const MOST_LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// What was kept for a key, if it was ever used, and where its next marks go.
pub(crate) type Found = (Option<Kept>, Marks);

impl StateDir {
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let unusable = |fault| StateError::Unusable { path: path.to_owned(), fault };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(unusable)?;
        keep_private(path);
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let lock = options.open(path.join("lock")).map_err(unusable)?;
        let mut n_looks = 0;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                // A command that looks whether a proxy is there has the lock for that moment.
                Err(TryLockError::WouldBlock) if n_looks < MOST_LOOKS => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(StateError::InUse { path: path.to_owned() });
                }
                Err(TryLockError::Error(fault)) => return Err(unusable(fault)),
            }
            n_looks += 1;
        }
    }

    /// Whether another process has the directory at `path`. Nothing is made there.
    pub(crate) fn is_held(path: &Path) -> bool {
        let lock = File::open(path.join("lock"));
        lock.is_ok_and(|it| matches!(it.try_lock(), Err(TryLockError::WouldBlock)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The marks of a key. A key that has none gets its file now.
    pub(crate) fn marks(&self, fingerprint: &str) -> Result<Result<Found, Damage>, StateError> {
        let path = self.path.join(format!("nonce-{fingerprint}"));
        let damage = |why: String| Damage { path: path.clone(), why };
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                let not_made = |fault| StateError::NotMade { path: path.clone(), fault };
                self.make(&path, fingerprint).map_err(not_made)?
            }
            Err(fault) if fault.kind() == io::ErrorKind::IsADirectory => {
                return Ok(Err(damage(fault.to_string())));
            }
            // Nothing is known to be lost: the file may be somebody else's.
            Err(fault) => return Err(StateError::NotOpened { path, fault }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path }),
            Err(TryLockError::Error(fault)) => return Ok(Err(damage(fault.to_string()))),
        }
        Ok(recover(&path, file, fingerprint).map_err(damage))
    }

    /// Makes the file of a key that was never used, whole or not at all.
    fn make(&self, path: &Path, fingerprint: &str) -> io::Result<File> {
        let beside = path.with_extension("new");
        // What a crash may have left; if it cannot go, neither can a new one come.
        drop(fs::remove_file(&beside));
        let mut options = OpenOptions::new();
        options.create_new(true).read(true).write(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.write_all(&slot::file(UNUSED, 1, fingerprint))?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }
}

/// What a file holds before the first nonce.
const UNUSED: Kept = Kept {
    mode: Mode::Unknown,
    unit: Unit::Millis,
    serial: true,
    succeeded: false,
    mark: 0,
    exact: true,
};

/// Reads a file, and repairs the slot that was torn or flipped.
fn recover(path: &Path, mut file: File, fingerprint: &str) -> Result<Found, String> {
    let mut bytes = Vec::with_capacity(slot::FILE + 1);
    let longest = u64::try_from(slot::FILE).map_or(u64::MAX, |it| it + 1);
    file.rewind().map_err(|it| it.to_string())?;
    (&mut file).take(longest).read_to_end(&mut bytes).map_err(|it| it.to_string())?;
    let read = slot::read(&bytes, fingerprint).map_err(|it| it.to_string())?;
    let mut slots = Slots::new(file, read, fingerprint);
    if let Some(fault) = read.other {
        let slot = 1 - read.place;
        tracing::warn!(path = %path.display(), slot, %fault, "a nonce mark is repaired");
        slots.repair().map_err(|it| format!("a slot that was lost cannot be repaired: {it}"))?;
    }
    let used = read.kept.mark > 0;
    Ok((used.then_some(read.kept), Marks::new(path, slots)))
}

/// Whether it would go with more room.
pub(crate) fn is_full(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Closes a directory that was made wider than it need be, such as a volume's mount point.
fn keep_private(path: &Path) {
    let mode = fs::metadata(path).map_or(0o700, |it| it.permissions().mode());
    if mode & 0o077 == 0 {
        return;
    }
    if mode & 0o1000 != 0 {
        // Everybody's, such as /tmp: closed, it would be lost to everybody else.
        tracing::warn!(path = %path.display(), "others can look into the state directory");
        return;
    }
    if let Err(fault) = fs::set_permissions(path, Permissions::from_mode(0o700)) {
        tracing::warn!(path = %path.display(), %fault, "others can look into the state directory");
    }
}

#[cfg(test)]
mod tests;
