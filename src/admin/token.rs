//! The operator token: who has it may freeze, thaw and reload. A file of its own in the state directory.
//!
//! 1. It is made at the start, of the system's randomness, for its owner only.
//! 2. A file that is not as it was made (another length, other rights) is replaced: no command could use
//!    it, or somebody else could.
//! 3. A disk that is full at the start does not stop it: commands are refused until there is a token.
//! 4. A running proxy keeps only its hash, and compares in constant time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::zeroize::Zeroizing;

use crate::clock::random;
use crate::journal::is_full;
use crate::secret::{TokenHash, token_text};

const FILE: &str = "operator-token";
/// 32 bytes in hexadecimal.
const LENGTH: usize = 64;

/// Where the token of the proxy with this state directory is.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

/// The token, for a command that presents it.
pub(crate) fn read(state: &Path) -> io::Result<Zeroizing<String>> {
    // Sized before it is filled: what grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LENGTH + 2));
    File::open(path(state))?.take(LENGTH as u64 + 1).read_to_string(&mut text)?;
    let token = text.trim_end();
    if token.len() != LENGTH || !token.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no token"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// What a running proxy keeps of its token: nothing, as long as none could be written.
#[derive(Debug, Default)]
pub(crate) struct Token(OnceLock<TokenHash>);

impl Token {
    /// The token in `state`, which gets one if it has none; and the fault, if there is no room for one.
    ///
    /// # Errors
    /// If it could not be written with more room either.
    pub(crate) fn open(state: &Path) -> io::Result<(Arc<Self>, Option<io::Error>)> {
        let token = Arc::new(Self::default());
        match open(state) {
            Ok(hash) => drop(token.0.set(hash)),
            Err(fault) if is_full(&fault) => return Ok((token, Some(fault))),
            Err(fault) => return Err(fault),
        }
        Ok((token, None))
    }

    /// Tries once more. Whether there is a token now.
    pub(crate) fn retry(&self, state: &Path) -> bool {
        let made = open(state).is_ok_and(|hash| self.0.set(hash).is_ok());
        if made {
            tracing::info!("there is an operator token now");
        }
        made
    }

    /// Whether `headers` present it. One that is not there is presented by nobody.
    pub(super) fn is_presented(&self, headers: &HeaderMap) -> bool {
        self.0.get().is_some_and(|it| is_presented(it, headers))
    }
}

/// The hash of the token in `state`, which gets one if it has none.
fn open(state: &Path) -> io::Result<TokenHash> {
    let path = path(state);
    match is_private(&path).and_then(|()| read(state)) {
        Ok(token) => return Ok(TokenHash::of(token.as_bytes())),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
        Err(fault) => {
            tracing::warn!(path = %path.display(), %fault, "the operator token is replaced");
        }
    }
    let token = token_text("", &random());
    write(state, &path, &token)?;
    Ok(TokenHash::of(token.as_bytes()))
}

fn is_private(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may have read it")),
    }
}

/// Whole or not at all.
fn write(state: &Path, path: &Path, token: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    drop(fs::remove_file(&beside));
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(0o600).open(&beside)?;
    let written = file.write_all(token.as_bytes()).and_then(|()| file.write_all(b"\n"));
    let written = written.and_then(|()| file.sync_all());
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written?;
    fs::rename(&beside, path)?;
    File::open(state)?.sync_all()
}

/// Whether `headers` present the token: once, as `Bearer`.
fn is_presented(token: &TokenHash, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, second) = (values.next(), values.next());
    let bearer = value.filter(|_| second.is_none()).and_then(|it| {
        let (scheme, rest) = it.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
    });
    // What is absent takes the work of what is wrong.
    let given = TokenHash::of(bearer.unwrap_or_default());
    given.is(token) && bearer.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> PathBuf {
        let n = u64::from_le_bytes(random());
        let dir = std::env::temp_dir().join(format!("geminid-token-{n:x}"));
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn it_is_made_once_and_for_its_owner() {
        let dir = scratch();
        let hash = open(&dir).unwrap();
        let token = read(&dir).unwrap();
        assert_eq!(token.len(), LENGTH);
        assert!(TokenHash::of(token.as_bytes()).is(&hash) && open(&dir).unwrap().is(&hash));
        assert_eq!(fs::metadata(path(&dir)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn one_that_is_not_as_it_was_made_is_replaced() {
        let dir = scratch();
        let first = open(&dir).unwrap();
        fs::set_permissions(path(&dir), fs::Permissions::from_mode(0o644)).unwrap();
        let second = open(&dir).unwrap();
        assert!(!second.is(&first));
        for text in ["", "short", &"g".repeat(64), &format!("{}0", "1".repeat(64))] {
            fs::write(path(&dir), text).unwrap();
            assert!(read(&dir).is_err(), "{text}");
            let hash = open(&dir).unwrap();
            assert!(TokenHash::of(read(&dir).unwrap().as_bytes()).is(&hash), "{text}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[track_caller]
    fn check(values: &[&str], presented: bool) {
        let token = TokenHash::of(b"0123");
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(is_presented(&token, &headers), presented, "{values:?}");
    }

    #[test]
    fn only_the_whole_token_counts() {
        check(&["Bearer 0123"], true);
        check(&["bearer 0123"], true);
        check(&[], false);
        check(&["Bearer"], false);
        check(&["Bearer "], false);
        check(&["Bearer 012"], false);
        check(&["Bearer 01234"], false);
        check(&["Bearer  0123"], false);
        check(&["Basic 0123"], false);
        check(&["0123"], false);
        check(&["Bearer 0123", "Bearer 0123"], false);
        check(&["Bearer x", "Bearer 0123"], false);
    }

    #[test]
    fn nobody_presents_a_token_that_is_not_there() {
        let token = Token::default();
        let mut headers = HeaderMap::new();
        assert!(!token.is_presented(&headers));
        headers.append(AUTHORIZATION, "Bearer ".parse().unwrap());
        assert!(!token.is_presented(&headers));
        let dir = scratch();
        assert!(!token.retry(&dir.join("gone")) && token.retry(&dir));
        let made = format!("Bearer {}", read(&dir).unwrap().as_str());
        headers.insert(AUTHORIZATION, made.parse().unwrap());
        assert!(token.is_presented(&headers));
        // A directory in its place is no matter of room.
        fs::remove_file(path(&dir)).unwrap();
        fs::create_dir(path(&dir)).unwrap();
        assert!(Token::open(&dir).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn an_empty_token_is_no_token() {
        let nothing = TokenHash::of(b"");
        assert!(!is_presented(&nothing, &HeaderMap::new()));
    }
}
