//! Everyone who may call one upstream, with what they hold: one value, made whole and swapped whole.
//!
//! 1. A request takes one snapshot and keeps it: it sees one policy, whatever is reloaded meanwhile.
//! 2. Keys and lanes outlive a roster: a new one has the same rings, so no nonce is ever begun anew.
//! 3. The version says which policy decided. It is made of names, grants and kinds of credentials, and of
//!    nothing that is secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::call::{ClientId, KeyName};
use crate::config::{self, ClientCredential, Config, KeySource};
use crate::inbound::Directory;
use crate::journal::Damage;
use crate::nonce::{Busy, Lane};
use crate::policy::{Grant, KeyFacts};
use crate::provider::Key;
use crate::secret::sha256_text;

/// The keys of an upstream, by their place in the configuration.
pub(crate) type Rings = BTreeMap<usize, Arc<KeyRing>>;

/// How many hexadecimal digits a policy's version has.
const VERSION_DIGITS: usize = 12;

#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) directory: Directory,
    /// In the order of the directory's entries.
    pub(crate) clients: Vec<Client>,
    /// Which policy this is: [`version`].
    pub(crate) version: Arc<str>,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) grant: Grant,
    pub(crate) key: Arc<KeyRing>,
    /// Whether other clients use its key too.
    pub(crate) shared: bool,
}

/// A key and its lane.
#[derive(Debug)]
pub(crate) struct KeyRing {
    pub(crate) key: Key,
    /// Without a lane there is no turn, and without a turn no signature.
    pub(crate) lane: Result<Arc<Lane>, Damage>,
    /// When the exchange was last asked which orders are open, in microseconds; nought: never.
    pub(crate) looked: AtomicU64,
    /// Where the key and its secret can be read once more.
    pub(crate) source: KeySource,
}

impl Roster {
    /// The clients of `config` that use one of `rings`.
    pub(crate) fn of(config: &Config, rings: &Rings) -> Self {
        let users = |key: usize| config.clients.iter().filter(|it| it.key == key).count();
        let of_this = config.clients.iter().filter_map(|it| {
            let (id, grant) = (it.id.clone(), it.grant.clone());
            let key = Arc::clone(rings.get(&it.key)?);
            Some((it, Client { id, grant, key, shared: users(it.key) > 1 }))
        });
        let (known, clients): (Vec<_>, Vec<_>) = of_this.unzip();
        Self { directory: Directory::of(&known), clients, version: version(config) }
    }

    /// Who else uses the key of `client`.
    pub(crate) fn sharers(&self, client: &Client) -> Vec<ClientId> {
        let others = self.clients.iter().filter(|it| it.id != client.id);
        others.filter(|it| Arc::ptr_eq(&it.key, &client.key)).map(|it| it.id.clone()).collect()
    }
}

impl Client {
    /// What is true of the key that its calls use.
    pub(crate) fn key_facts(&self) -> KeyFacts<'_> {
        KeyFacts {
            shared: self.shared,
            master: self.key.key.credential().is_master(),
            account: self.key.key.account.as_deref(),
        }
    }
}

impl KeyRing {
    pub(crate) fn name(&self) -> &KeyName {
        &self.key.name
    }

    pub(crate) fn lane(&self) -> Result<&Arc<Lane>, Busy> {
        self.lane.as_ref().map_err(|_| Busy::Damaged { key: self.key.name.clone() })
    }
}

/// A name for the policy that all clients of `config` are held to: it changes when one of them changes.
pub(crate) fn version(config: &Config) -> Arc<str> {
    let mut text = sha256_text(&[canonical(config).as_bytes()]);
    text.truncate(VERSION_DIGITS);
    text.into()
}

/// One line for each client, in the order of their names.
fn canonical(config: &Config) -> String {
    let mut clients: Vec<&config::Client> = config.clients.iter().collect();
    clients.sort_by(|left, right| left.id.cmp(&right.id));
    let mut text = String::new();
    for client in clients {
        let config::Client { id, key, grant, credentials, expires, from } = client;
        let key = config.keys.get(*key).map(|it| &it.name);
        let proof = |it: &ClientCredential| (it.proof.kind(), it.expires);
        let credentials: Vec<_> = credentials.iter().map(proof).collect();
        // `Debug` names every field of a grant, so that none that comes later can be forgotten.
        writeln!(text, "{id:?} {key:?} {grant:?} {credentials:?} {expires:?} {from:?}")
            .expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::UnixMicros;
    use crate::config::{Overrides, ProcessEnvironment};

    const KEYS: &str = "
        state = { dir = \"/nowhere\" }
        upstreams = [{ environment = \"simulator\", url = \"https://127.0.0.1:1\" }]
        keys = [{ api_key = \"account-k\", api_secret = { value = \"s\" } }]
    ";

    fn version_of(clients: &str) -> Arc<str> {
        let (text, now) = (format!("{KEYS}{clients}"), UnixMicros::from_secs(1));
        let env = &ProcessEnvironment;
        let read = config::parse(&text, Path::new("p.toml"), env, &Overrides::default(), now);
        version(&read.unwrap())
    }

    fn client(name: &str, token: char, scopes: &str) -> String {
        let token = String::from(token).repeat(64);
        format!(
            "[[clients]]\nname = \"{name}\"\ncredential = {{ token_sha256 = \"{token}\" }}\nscopes = [{scopes}]\n"
        )
    }

    #[test]
    fn the_version_follows_the_policy_and_nothing_else() {
        let (a, b) = (client("a", '1', "\"trader\""), client("b", '2', "\"auditor\""));
        let first = version_of(&format!("{a}{b}"));
        assert_eq!(first.len(), 12);
        assert!(first.bytes().all(|it| it.is_ascii_hexdigit()), "{first}");
        // Neither the order of the tables nor the token itself is policy.
        assert_eq!(version_of(&format!("{b}{a}")), first);
        let other_token = client("a", '3', "\"trader\"");
        assert_eq!(version_of(&format!("{other_token}{b}")), first);
        for changed in [
            a.clone(),
            format!("{a}{}", client("c", '2', "\"auditor\"")),
            format!("{a}{}", client("b", '2', "\"auditor\", \"orders:cancel\"")),
            format!("{a}{b}cancel_all = \"shared\"\n"),
            format!("{a}{b}expires = \"2030-01-01T00:00:00Z\"\n"),
            format!("{a}{b}from = [\"10.0.0.0/8\"]\n"),
            format!(
                "{a}[[clients]]\nname = \"b\"\ncredential = {{ none = true }}\nscopes = [\"auditor\"]\n"
            ),
        ] {
            assert_ne!(version_of(&changed), first, "{changed}");
        }
    }
}
