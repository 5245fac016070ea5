//! Nonce marks on disk, one file for each key, and the directory that holds them.
//!
//! 1. The directory is ours alone (0700) and one process's at a time (a lock on `lock`).
//! 2. A mark is replaced as a whole: written beside, synced, renamed, the directory synced.
//! 3. A file that cannot be read as a mark stops the start: beginning anew could repeat a nonce.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::nonce::{Keep, Keeping, Kept};

/// The state directory, held by this process.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    // Unlocked when it is dropped.
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the state directory {} cannot be used: {source}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error("the state directory {} is in use by another geminid", path.display())]
    InUse { path: PathBuf },
    #[error("the nonce mark {} cannot be read: {why}", path.display())]
    Corrupt { path: PathBuf, why: String },
}

impl StateDir {
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let unusable = |source| StateError::Unusable { path: path.to_owned(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(unusable)?;
        keep_private(path);
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let lock = options.open(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// What was kept for a key, and where the next marks of it go.
    pub(crate) fn marks(&self, fingerprint: &str) -> Result<(Option<Kept>, Marks), StateError> {
        let path = self.path.join(format!("nonce-{fingerprint}.json"));
        let corrupt = |why: String| StateError::Corrupt { path: path.clone(), why };
        let kept = match fs::read_to_string(&path) {
            Ok(text) => Some(Mark::parse(&text).map_err(corrupt)?),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => None,
            Err(fault) => return Err(corrupt(fault.to_string())),
        };
        let writing = Arc::new(Mutex::new(()));
        Ok((kept, Marks { dir: self.path.clone(), path, writing }))
    }
}

/// Closes a directory that was made wider than it need be, such as a volume's mount point.
fn keep_private(path: &Path) {
    let mode = fs::metadata(path).map_or(0o700, |it| it.permissions().mode());
    if mode & 0o077 == 0 {
        return;
    }
    if let Err(fault) = fs::set_permissions(path, Permissions::from_mode(0o700)) {
        tracing::warn!(path = %path.display(), %fault, "others can look into the state directory");
    }
}

/// Where the marks of one key go.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    dir: PathBuf,
    path: PathBuf,
    // One writer at a time, so that a slow one does not replace a newer mark.
    writing: Arc<Mutex<()>>,
}

impl Keep for Marks {
    fn keep(&self, kept: Kept) -> Keeping {
        let marks = self.clone();
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || marks.write(kept));
            written.await.map_err(io::Error::other)?
        })
    }
}

impl Marks {
    fn write(&self, kept: Kept) -> io::Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let on_disk = fs::read_to_string(&self.path).ok().and_then(|it| Mark::parse(&it).ok());
        let newer = |it: &Kept| (it.mode, it.unit) == (kept.mode, kept.unit) && it.mark > kept.mark;
        // An orderly end lowers the mark to what was used: only then may it fall.
        if !kept.exact && on_disk.as_ref().is_some_and(newer) {
            return Ok(());
        }
        let text = Mark::from(kept).to_text();
        let beside = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        File::open(&self.dir)?.sync_all()
    }
}

/// The file's content.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    version: u32,
    mode: String,
    unit: String,
    serial: bool,
    succeeded: bool,
    mark: u64,
}

impl Mark {
    fn parse(text: &str) -> Result<Kept, String> {
        let mark: Self = serde_json::from_str(text).map_err(|it| it.to_string())?;
        let Self { version, mode, unit, serial, succeeded, mark } = mark;
        if version != 1 {
            return Err(format!("it is of version {version}, and this release reads 1"));
        }
        let mode = mode.parse().map_err(|_| format!("`{mode}` is no mode"))?;
        let unit = unit.parse().map_err(|_| format!("`{unit}` is no unit"))?;
        Ok(Kept { mode, unit, serial, succeeded, mark, exact: false })
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain text serialises") + "\n"
    }
}

impl From<Kept> for Mark {
    fn from(kept: Kept) -> Self {
        let Kept { mode, unit, serial, succeeded, mark, exact: _ } = kept;
        let (mode, unit) = (mode.as_str().to_owned(), unit.as_str().to_owned());
        Self { version: 1, mode, unit, serial, succeeded, mark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nonce::{Mode, Unit};

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("geminid-journal-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        dir
    }

    fn kept(mark: u64, exact: bool) -> Kept {
        let (mode, unit) = (Mode::Increasing, Unit::Millis);
        Kept { mode, unit, serial: true, succeeded: true, mark, exact }
    }

    fn read(dir: &StateDir) -> Option<u64> {
        dir.marks("f").unwrap().0.map(|it| it.mark)
    }

    #[test]
    fn marks_come_back_and_fall_only_at_an_orderly_end() {
        let path = scratch("marks");
        let dir = StateDir::open(&path).unwrap();
        assert_eq!(read(&dir), None);
        let marks = dir.marks("f").unwrap().1;
        marks.write(kept(20, false)).unwrap();
        assert_eq!(read(&dir), Some(20));
        marks.write(kept(10, false)).unwrap();
        assert_eq!(read(&dir), Some(20), "an older write that comes late changes nothing");
        marks.write(kept(15, true)).unwrap();
        assert_eq!(read(&dir), Some(15));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_cannot_be_read_stops_the_start() {
        let path = scratch("corrupt");
        let dir = StateDir::open(&path).unwrap();
        let good = Mark::from(kept(7, false)).to_text();
        for text in ["", "{}", "null", good.get(..20).unwrap(), &good.replace("ms", "hours")] {
            fs::write(path.join("nonce-f.json"), text).unwrap();
            assert!(matches!(dir.marks("f"), Err(StateError::Corrupt { .. })), "{text}");
        }
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn one_process_at_a_time_and_nobody_else_looks_in() {
        let path = scratch("lock");
        let first = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(StateDir::open(&path), Err(StateError::InUse { .. })));
        drop(first);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert!(StateDir::open(&path).is_ok());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::remove_dir_all(path).unwrap();
    }
}
