//! The kill switch: who may take no new risk, or nothing at all, until somebody thaws it.
//!
//! 1. A freeze counts from the moment that it is given, and is kept on disk before anyone is told that it
//!    is done. A thaw is on the disk before it counts. So whatever fails, what is frozen stays frozen.
//! 2. It survives a restart. A file that cannot be read freezes all new risk: nobody knows what it said.
//!    Cancels and reads go on then, because a position that nobody can look after is a risk too.
//! 3. To freeze never loosens: what is frozen wholly stays so.
//! 4. While nothing is frozen, asking costs one load.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::call::{ClientId, Freeze};

const FILE: &str = "frozen.json";

/// Who is frozen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frozen {
    /// Everyone, at least so far.
    all: Freeze,
    /// Never `Freeze::No`.
    clients: BTreeMap<ClientId, Freeze>,
}

/// What is kept on disk, and told.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    all: String,
    clients: BTreeMap<String, String>,
}

/// What a thaw is meant for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Whom {
    /// Everyone, as far as they were frozen together. Who was frozen by name stays frozen.
    All,
    /// Everyone, by name or not.
    Each,
    One(ClientId),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FreezeError {
    /// What was asked is in force, and would be lost with a restart.
    #[error("it is frozen now, and that is not on the disk: {0}")]
    NotKept(io::Error),
    /// Nothing has changed.
    #[error("nothing is thawed, because that could not be written: {0}")]
    StillFrozen(io::Error),
    #[error("`{0}` is frozen with all the others")]
    AllFrozen(ClientId),
}

impl FreezeError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotKept(_) => {
                "make room in the state directory and freeze again: a restart would forget it. Nothing was cancelled"
            }
            Self::StillFrozen(_) => "make room in the state directory and thaw again",
            Self::AllFrozen(_) => {
                "thaw all with `geminid thaw`; freeze those by name that are to stay frozen before"
            }
        }
    }
}

impl Default for Frozen {
    fn default() -> Self {
        Self { all: Freeze::No, clients: BTreeMap::new() }
    }
}

impl Frozen {
    pub(crate) fn of(&self, client: &ClientId) -> Freeze {
        self.clients.get(client).copied().unwrap_or(Freeze::No).max(self.all)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all == Freeze::No && self.clients.is_empty()
    }

    /// Freezes one client, or everyone.
    pub(crate) fn freeze(&mut self, client: Option<&ClientId>, level: Freeze) {
        match client {
            None => self.all = self.all.max(level),
            Some(_) if level == Freeze::No => {}
            Some(client) => {
                let held = self.clients.entry(client.clone()).or_insert(level);
                *held = level.max(*held);
            }
        }
    }

    pub(crate) fn thaw(&mut self, whom: &Whom) -> Result<(), FreezeError> {
        match whom {
            Whom::All => self.all = Freeze::No,
            Whom::Each => *self = Self::default(),
            Whom::One(client) if self.all != Freeze::No => {
                return Err(FreezeError::AllFrozen(client.clone()));
            }
            Whom::One(client) => drop(self.clients.remove(client)),
        }
        Ok(())
    }

    /// Whether this client was frozen by name.
    pub(crate) fn is_named(&self, client: &ClientId) -> bool {
        self.clients.contains_key(client)
    }

    pub(crate) fn all(&self) -> Freeze {
        self.all
    }

    /// Those who were frozen by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&ClientId, Freeze)> {
        self.clients.iter().map(|(client, level)| (client, *level))
    }

    /// As it is kept and told.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.kept()).expect("plain text serialises")
    }

    fn kept(&self) -> Kept {
        let word = |(client, level): (&ClientId, &Freeze)| {
            (client.as_str().to_owned(), level.as_str().to_owned())
        };
        Kept { all: self.all.as_str().to_owned(), clients: self.clients.iter().map(word).collect() }
    }

    /// Reads what [`Frozen::json`] says. Nothing is guessed.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        // Serde would read an array as the values of an object, in their order.
        let text = Some(text).filter(|it| it.trim_ascii_start().starts_with(b"{"))?;
        let Kept { all, clients } = serde_json::from_slice(text).ok()?;
        let level = |word: &str| word.parse::<Freeze>().ok();
        let named =
            clients.iter().map(|(client, word)| Some((ClientId::new(client), level(word)?)));
        let named: BTreeMap<_, _> = named.collect::<Option<_>>()?;
        let none = named.values().any(|it| *it == Freeze::No);
        let all = level(&all)?;
        (!none).then_some(Self { all, clients: named })
    }

    /// What is kept in `state`. A file that is not there froze nobody.
    fn read(state: &Path) -> Result<Self, String> {
        match fs::read(state.join(FILE)) {
            Ok(text) => {
                Self::parse(&text).ok_or_else(|| "it does not say what was frozen".to_owned())
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// Returns once `state` keeps this.
    fn keep(&self, state: &Path) -> io::Result<()> {
        let (path, beside) = (state.join(FILE), state.join("frozen.new"));
        // What a crash may have left; if it cannot go, neither can a new one come.
        drop(fs::remove_file(&beside));
        let mut options = OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&beside)?;
        // Written for a proxy that does not run, perhaps by root: it is the proxy's all the same.
        let (owner, made) = (fs::metadata(state)?, file.metadata()?);
        if owner.uid() != made.uid() {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        writeln!(file, "{}", self.json())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(state)?.sync_all()
    }
}

/// Who is frozen, for everyone who asks and for the one who changes it.
#[derive(Debug)]
pub(crate) struct Freezer {
    state: PathBuf,
    // Invariant: whenever `frozen` holds anything, this is true.
    any: AtomicBool,
    frozen: RwLock<Frozen>,
    // Held while the file is written, so that the last change is what stays.
    changing: Mutex<()>,
}

impl Freezer {
    /// What was frozen when the process last ended. `state` is the state directory, held by this process.
    pub(crate) fn open(state: &Path) -> Self {
        let frozen = Frozen::read(state).unwrap_or_else(|why| {
            let path = state.join(FILE);
            tracing::error!(
                path = %path.display(), why,
                hint = "`geminid thaw` lifts this and writes the file anew; then freeze again who is to stay frozen",
                "what was frozen cannot be read: nobody places orders or moves money until it is mended"
            );
            Frozen { all: Freeze::Risk, clients: BTreeMap::new() }
        });
        if !frozen.is_empty() {
            tracing::warn!(frozen = %frozen.json(), "begins frozen");
        }
        Self {
            state: state.to_owned(),
            any: AtomicBool::new(!frozen.is_empty()),
            frozen: RwLock::new(frozen),
            changing: Mutex::new(()),
        }
    }

    /// What `client` may not do at this moment.
    pub(crate) fn of(&self, client: &ClientId) -> Freeze {
        if !self.any.load(Ordering::Acquire) {
            return Freeze::No;
        }
        self.frozen.read().unwrap_or_else(PoisonError::into_inner).of(client)
    }

    pub(crate) fn now(&self) -> Frozen {
        self.frozen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Freezes one client, or everyone. In force at once; returns when it is on the disk. Blocks.
    pub(crate) fn freeze(
        &self,
        client: Option<&ClientId>,
        level: Freeze,
    ) -> Result<Frozen, FreezeError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frozen = self.now();
        frozen.freeze(client, level);
        self.put(frozen.clone());
        frozen.keep(&self.state).map_err(FreezeError::NotKept)?;
        Ok(frozen)
    }

    /// In force when it is on the disk. Blocks.
    pub(crate) fn thaw(&self, whom: &Whom) -> Result<Frozen, FreezeError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frozen = self.now();
        frozen.thaw(whom)?;
        frozen.keep(&self.state).map_err(FreezeError::StillFrozen)?;
        self.put(frozen.clone());
        Ok(frozen)
    }

    fn put(&self, next: Frozen) {
        let mut frozen = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no two changes cross.
        self.any.store(!next.is_empty(), Ordering::Release);
        *frozen = next;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clock::random;

    fn scratch() -> PathBuf {
        let n = u64::from_le_bytes(random());
        let dir = std::env::temp_dir().join(format!("geminid-freeze-{n:x}"));
        fs::create_dir(&dir).unwrap();
        dir
    }

    fn client(name: &str) -> ClientId {
        ClientId::new(name)
    }

    #[test]
    fn a_freeze_survives_and_a_thaw_too() {
        let dir = scratch();
        let freezer = Freezer::open(&dir);
        let (a, b) = (client("a"), client("b"));
        assert_eq!((freezer.of(&a), freezer.of(&b)), (Freeze::No, Freeze::No));
        freezer.freeze(Some(&a), Freeze::Everything).unwrap();
        assert_eq!((freezer.of(&a), freezer.of(&b)), (Freeze::Everything, Freeze::No));
        freezer.freeze(None, Freeze::Risk).unwrap();
        let again = Freezer::open(&dir);
        assert_eq!((again.of(&a), again.of(&b)), (Freeze::Everything, Freeze::Risk));
        let mode = fs::metadata(dir.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // One of many cannot be thawed while all are frozen.
        let said = again.thaw(&Whom::One(a.clone())).unwrap_err();
        assert!(matches!(said, FreezeError::AllFrozen(_)), "{said}");
        again.thaw(&Whom::All).unwrap();
        assert_eq!((again.of(&a), again.of(&b)), (Freeze::Everything, Freeze::No));
        again.thaw(&Whom::One(a.clone())).unwrap();
        assert_eq!(Freezer::open(&dir).of(&a), Freeze::No);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn to_freeze_never_loosens_and_to_thaw_each_leaves_nothing() {
        let mut frozen = Frozen::default();
        for client in [None, Some(client("a"))] {
            frozen.freeze(client.as_ref(), Freeze::Everything);
            frozen.freeze(client.as_ref(), Freeze::Risk);
            frozen.freeze(client.as_ref(), Freeze::No);
        }
        assert_eq!(frozen.all, Freeze::Everything);
        assert_eq!(frozen.clients, BTreeMap::from([(client("a"), Freeze::Everything)]));
        assert_eq!(Frozen::parse(frozen.json().to_string().as_bytes()), Some(frozen.clone()));
        frozen.thaw(&Whom::Each).unwrap();
        assert!(frozen.is_empty());
    }

    #[test]
    fn what_cannot_be_read_freezes_new_risk_and_a_thaw_mends_it() {
        for damaged in [
            "",
            "{",
            "{}",
            "{\"all\":\"no\"}",
            "[\"no\",{}]",
            "{\"all\":\"maybe\",\"clients\":{}}",
            "{\"all\":\"no\",\"clients\":{\"a\":\"no\"}}",
            "{\"all\":\"no\",\"clients\":{},\"more\":1}",
            "{\"all\":\"no\",\"all\":\"risk\",\"clients\":{}}",
        ] {
            let dir = scratch();
            fs::write(dir.join(FILE), damaged).unwrap();
            let freezer = Freezer::open(&dir);
            assert_eq!(freezer.of(&client("a")), Freeze::Risk, "{damaged}");
            freezer.thaw(&Whom::All).unwrap();
            assert_eq!(Freezer::open(&dir).of(&client("a")), Freeze::No, "{damaged}");
            fs::remove_dir_all(&dir).unwrap();
        }
    }

    /// The directory is gone: nothing can be written.
    #[test]
    fn what_is_frozen_stays_frozen_whatever_the_disk_does() {
        let dir = scratch();
        let freezer = Freezer::open(&dir);
        fs::remove_dir_all(&dir).unwrap();
        let said = freezer.freeze(None, Freeze::Risk).unwrap_err();
        assert!(matches!(said, FreezeError::NotKept(_)), "{said}");
        assert_eq!(freezer.of(&client("a")), Freeze::Risk);
        let said = freezer.thaw(&Whom::Each).unwrap_err();
        assert!(matches!(said, FreezeError::StillFrozen(_)), "{said}");
        assert_eq!(freezer.of(&client("a")), Freeze::Risk);
    }
}
