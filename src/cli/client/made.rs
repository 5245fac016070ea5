//! Credentials that are made now: what the configuration keeps of them, and what is shown once.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;

use super::NotDone;
use crate::cli::snippets;
use crate::clock::random;
use crate::config::Config;
use crate::config::edit::{Editing, NewCredential};
use crate::secret::{sha256_text, token_text};

/// Where bots call if the configuration cannot be read here.
const USUAL: ([u8; 4], u16) = ([127, 0, 0, 1], 3840);

/// A new credential in the clear.
pub(super) enum Made {
    Token(Zeroizing<String>),
    StandIn { key: String, secret: Zeroizing<String>, file: String },
}

/// A file that goes again, unless what needs it is written.
pub(super) struct SecretFile(Option<PathBuf>);

impl Made {
    /// 256 bits, with a beginning by which scanners for lost secrets know it.
    pub(super) fn token() -> Self {
        Self::Token(token_text("geminid_", &random()))
    }

    /// A pair. `again`: the file of the one before is still needed.
    pub(super) fn stand_in(name: &str, again: bool) -> Self {
        let mark: String = random::<4>().iter().map(|it| format!("{it:02x}")).collect();
        let bytes = Zeroizing::new(random::<32>());
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let file = if again { format!("{name}.{mark}.secret") } else { format!("{name}.secret") };
        Self::StandIn { key: format!("account-{name}-{mark}"), secret, file }
    }

    /// What the configuration holds of it.
    pub(super) fn credential(&self) -> NewCredential {
        match self {
            Self::Token(token) => NewCredential::Token { sha256: sha256_text(&[token.as_bytes()]) },
            Self::StandIn { key, file, .. } => {
                NewCredential::StandIn { key: key.clone(), secret_file: file.clone() }
            }
        }
    }

    /// Writes the file that a pair needs, beside the configuration.
    pub(super) fn keep(&self, editing: &Editing) -> Result<SecretFile, NotDone> {
        let Self::StandIn { secret, file, .. } = self else { return Ok(SecretFile(None)) };
        let path = editing.base().join(file);
        let failed = |fault| NotDone::Secret { path: path.clone(), fault };
        let mut made = editing.owned(&path, 0o600).map_err(failed)?;
        let kept = SecretFile(Some(path.clone()));
        let written = made.write_all(secret.as_bytes()).and_then(|()| made.write_all(b"\n"));
        written.and_then(|()| made.sync_all()).map_err(failed)?;
        Ok(kept)
    }

    /// The text that is printed once.
    pub(super) fn shown(&self, name: &str, config: Option<&Config>) -> String {
        let here =
            config.and_then(|it| address(it, name)).unwrap_or_else(|| SocketAddr::from(USUAL));
        let once = "It is not shown again.";
        match self {
            Self::Token(token) => format!(
                "Token of client `{name}`. {once}\n\n    {}\n\n{}",
                token.as_str(),
                snippets::for_token(here, token)
            ),
            Self::StandIn { key, secret, .. } => format!(
                "Stand-in pair of client `{name}`: it signs to this proxy and to nobody else. {once}\n\n    \
                 key     {key}\n    secret  {}\n\n{}",
                secret.as_str(),
                snippets::for_pair(here, key, secret)
            ),
        }
    }
}

/// Where a client calls: the first address without TLS of its upstream.
fn address(config: &Config, name: &str) -> Option<SocketAddr> {
    let client = config.clients.iter().find(|it| it.id.as_str() == name)?;
    let upstream = config.upstreams.get(config.keys.get(client.key)?.upstream)?;
    let plain = |it: &crate::config::Listen| match it {
        crate::config::Listen::Tcp(address) => Some(*address),
        crate::config::Listen::Tls(..) | crate::config::Listen::Unix(_) => None,
    };
    upstream.listen.iter().find_map(plain)
}

impl SecretFile {
    pub(super) fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            drop(fs::remove_file(path));
        }
    }
}
