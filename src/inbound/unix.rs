//! Unix sockets: their files, and who is at the other end.
//!
//! 1. What a dead process left is replaced, what a living one serves is not, and what is no socket, a
//!    link among it, is never touched. Two that start at one moment take turns, so that neither takes
//!    the other's, on which nobody listens yet, for a dead one.
//! 2. Nobody connects before mode and group are what they should be: until `listen` is called, whoever
//!    tries is refused. The umask, which all threads share, plays no part.
//! 3. The file goes when the listener goes, if it is still the one that was made.
//! 4. Who can put another socket in its place gets what bots send: a folder that everyone can write to
//!    is refused, unless it is sticky.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use super::peer::Peer;
use crate::config;

/// As many as wait for TCP listeners.
const BACKLOG: u32 = 1_024;
/// A living process takes a connection at once; one that is stopped does not.
const ANSWER: Duration = Duration::from_secs(1);
/// How often, and how many times, another start in the same folder is waited for.
const TURN: (Duration, u32) = (Duration::from_millis(20), 100);

/// A socket file of ours, until this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    /// Device and number, by which it is known again.
    made: (u64, u64),
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unbound {
    #[error("{0}")]
    System(io::Error),
    #[error("{}: {fault}", path.display())]
    Path { path: PathBuf, fault: io::Error },
    #[error("{}: there is no folder {}", path.display(), folder.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error(
        "{}: everyone can put another socket in its place (the mode of its folder is {mode:04o})",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{}: there is something else, which is no socket", path.display())]
    NoSocket { path: PathBuf },
    #[error("{}: {owner} listens there", path.display())]
    Taken { path: PathBuf, owner: String },
    #[error("{}: cannot be given to group {group}: {fault}", path.display())]
    Group { path: PathBuf, group: u32, fault: io::Error },
}

impl From<io::Error> for Unbound {
    fn from(fault: io::Error) -> Self {
        Self::System(fault)
    }
}

impl Unbound {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::System(_) | Self::Taken { .. } => {
                "end what listens there, or set another address with `listen`".to_owned()
            }
            Self::NoFolder { folder, .. } => {
                let folder = folder.display();
                format!("`mkdir -m 0755 {folder}`, or RuntimeDirectory= in the unit")
            }
            Self::Path { .. } => {
                "let the user that geminid runs as write to the folder, or name another path"
                    .to_owned()
            }
            Self::Exposed { .. } => {
                "take that right away (`chmod o-w`), or use a folder of geminid's own".to_owned()
            }
            Self::NoSocket { .. } => "move it away, or name another path in `listen`".to_owned(),
            Self::Group { .. } => {
                "the user that geminid runs as must belong to the group, or be root".to_owned()
            }
        }
    }
}

/// Listens at a path.
pub(super) async fn bind(
    socket: &config::UnixSocket,
) -> Result<(UnixListener, SocketFile), Unbound> {
    let path = &socket.path;
    let failed = |fault| Unbound::Path { path: path.clone(), fault };
    let _turn = turn_in(&check_folder(path)?).await;
    clear(path).await?;
    let bound = UnixSocket::new_stream().and_then(|it| it.bind(path).map(|()| it));
    let bound = bound.map_err(failed)?;
    // From here on it is removed, whatever fails.
    let file = SocketFile::of(path).map_err(failed)?;
    if let Some(group) = socket.group {
        let refused = |fault| Unbound::Group { path: path.clone(), group, fault };
        lchown(path, None, Some(group)).map_err(refused)?;
    }
    // The folder is no one else's, so this is the file that was made.
    fs::set_permissions(path, Permissions::from_mode(socket.mode)).map_err(failed)?;
    // Only now can anybody connect.
    Ok((bound.listen(BACKLOG).map_err(failed)?, file))
}

/// The folder of a socket, if it is a good one.
fn check_folder(path: &Path) -> Result<PathBuf, Unbound> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let (path, folder) = (path.to_owned(), folder.to_owned());
    let about = match fs::metadata(&folder) {
        Ok(about) if about.is_dir() => about,
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
            return Err(Unbound::Path { path, fault });
        }
        Ok(_) | Err(_) => return Err(Unbound::NoFolder { path, folder }),
    };
    let mode = about.mode() & 0o7777;
    if mode & 0o1002 == 0o0002 {
        return Err(Unbound::Exposed { path, mode });
    }
    Ok(folder)
}

/// Keeps other starts out of the folder as long as the file is open. Who may not read the folder goes
/// without, and so does who waits for a stranger's lock.
async fn turn_in(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    let (pause, n_tries) = TURN;
    for _ in 0..n_tries {
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Some(folder);
        }
        tokio::time::sleep(pause).await;
    }
    None
}

/// Removes what a dead process left.
async fn clear(path: &Path) -> Result<(), Unbound> {
    let failed = |fault| Unbound::Path { path: path.to_owned(), fault };
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(failed(fault)),
    };
    if !there.file_type().is_socket() {
        return Err(Unbound::NoSocket { path: path.to_owned() });
    }
    let owner = match tokio::time::timeout(ANSWER, UnixStream::connect(path)).await {
        Ok(Err(fault)) if fault.kind() == io::ErrorKind::ConnectionRefused => {
            return fs::remove_file(path).map_err(failed);
        }
        Ok(Ok(stream)) => owner(&stream),
        // Whoever does not let us in, or has no room, is there.
        Ok(Err(_)) | Err(_) => format!("a process of user {}", there.uid()),
    };
    Err(Unbound::Taken { path: path.to_owned(), owner })
}

/// Who serves the socket at the other end.
fn owner(stream: &UnixStream) -> String {
    let known = stream.peer_cred().ok();
    let process = known.as_ref().and_then(|it| it.pid()).filter(|it| *it > 0);
    match (process, known) {
        (Some(process), Some(known)) => format!("process {process} of user {}", known.uid()),
        (None, Some(known)) => format!("a process of user {}", known.uid()),
        (_, None) => "another process".to_owned(),
    }
}

/// Who is at the other end, as the system knew it when the connection was made.
pub(super) fn peer(stream: &UnixStream) -> Peer {
    let user = stream.peer_cred().map(|it| (it.uid(), it.gid())).ok();
    Peer { user, ..Peer::default() }
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { made: known_by(&fs::symlink_metadata(path)?), path: path.to_owned() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have made its own, if this one's was removed from under it.
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|it| known_by(&it) == self.made);
        if ours && let Err(fault) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %fault, "the socket file stays");
        }
    }
}

fn known_by(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as Plain;

    use super::*;

    /// A folder that goes away with the test, and a socket to be made in it.
    struct Ground(config::UnixSocket);

    impl Ground {
        fn new(name: &str) -> Self {
            let name = format!("geminid-unix-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
            Self(config::UnixSocket { path: folder.join("s"), mode: 0o600, group: None })
        }

        fn path(&self) -> &Path {
            &self.0.path
        }
    }

    impl Drop for Ground {
        fn drop(&mut self) {
            fs::remove_dir_all(self.path().parent().unwrap()).unwrap();
        }
    }

    #[tokio::test]
    async fn only_its_own_file_goes_with_it() {
        let ground = Ground::new("own");
        let (listener, file) = bind(&ground.0).await.unwrap();
        let (client, served) = tokio::join!(UnixStream::connect(ground.path()), listener.accept());
        assert_eq!(peer(&served.unwrap().0), peer(&client.unwrap()), "this very process");
        drop((listener, file));
        assert!(!ground.path().exists());

        let (_listener, file) = bind(&ground.0).await.unwrap();
        // Kept aside, so that its number is not given out again.
        fs::rename(ground.path(), ground.path().with_extension("aside")).unwrap();
        let _other = Plain::bind(ground.path()).unwrap();
        drop(file);
        assert!(ground.path().exists(), "it is another's");
    }

    #[tokio::test]
    async fn of_many_that_start_at_once_one_listens() {
        let ground = Ground::new("many");
        drop(Plain::bind(ground.path()).unwrap());
        let start = || bind(&ground.0);
        let all = tokio::join!(start(), start(), start(), start());
        let all = [all.0, all.1, all.2, all.3];
        assert_eq!(all.iter().filter(|it| it.is_ok()).count(), 1);
        let taken = |it: &Result<_, _>| {
            matches!(it, Err(Unbound::Taken { owner, .. })
            if owner.starts_with(&format!("process {} ", std::process::id())))
        };
        assert_eq!(all.iter().filter(|it| taken(it)).count(), 3);
        assert!(UnixStream::connect(ground.path()).await.is_ok());
    }
}
