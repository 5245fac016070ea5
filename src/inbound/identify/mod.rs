//! Who is calling.
//!
//! 1. All that a request presents must be valid and belong to one client.
//! 2. Unknown and wrong are told in the same words and take the same work.
//! 3. The answer names where a credential was seen, never what was seen.
//! 4. A wrong credential never falls through to the client that presents nothing.
//! 5. A credential stands in a header: addresses end up in logs and histories. Nor in a header whose
//!    name only some servers take for the right one, `X_GEMINI_APIKEY`.
//! 6. Who is calling from where is what the socket says, never a header.
//! 7. A certificate is presented: one that names no client is wrong. A user's number is not, everybody
//!    has one: it counts if a client names it, the entry with user and group before that with the user,
//!    and that before the one with the group.
//! 8. A credential's own end is looked at when it is certain whose it is.
//!
//! What rule 2 takes: a token is hashed, whatever it is, and looked up by its hash, which nobody steers
//! without the token. A signature is computed and compared whole, with a pair of nobody's where the key
//! is unknown. A certificate was verified in the handshake; its names are public, and looked up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use ipnet::IpNet;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::peer::Peer;
use crate::call::{ClientId, Identified, Identity};
use crate::clock::UnixMicros;
use crate::config::{Client, Proof};
use crate::provider::{Presented, Provider};
use crate::secret::{Credential, TokenHash};

/// Everyone who may call one upstream. Fixed once the configuration is read.
#[derive(Debug)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
    /// By the first half of the hash; compared whole, in constant time.
    tokens: HashMap<u64, Vec<(TokenHash, Holder)>>,
    stand_ins: HashMap<String, (Arc<Credential>, Holder)>,
    /// By user and group.
    users: HashMap<(Option<u32>, Option<u32>), Holder>,
    certificates: HashMap<String, Holder>,
    nothing: Option<Holder>,
    /// Verified against where the key is unknown, so that both ways take alike.
    nobody: Credential,
}

#[derive(Debug)]
struct Entry {
    client: ClientId,
    expires: Option<UnixMicros>,
    from: Vec<IpNet>,
}

/// Whose a credential is, and until when it counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Holder {
    /// Which entry of the directory.
    index: usize,
    expires: Option<UnixMicros>,
}

/// Someone whose credential was checked.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) who: Identified,
    /// Which entry of the directory.
    pub(crate) index: usize,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unidentified {
    #[error("no credential was presented, and no client here goes without")]
    Missing,
    #[error("the credential in {place} is not valid")]
    Wrong { place: &'static str },
    #[error("the credentials in {} are not all valid for one client", places.join(" and "))]
    Ambiguous { places: Vec<&'static str> },
    #[error("`{name}` is taken for a credential by some servers, and not by others")]
    Alias { name: String },
    #[error("the query has a `{name}`, and credentials do not belong in an address")]
    InUrl { name: &'static str },
    #[error("too many wrong credentials came from this address")]
    Throttled { wait: Duration },
    #[error("client `{client}` has expired")]
    Expired { client: ClientId },
    #[error("the credential of client `{client}` in {place} has expired")]
    Outdated { place: &'static str, client: ClientId },
    #[error("client `{client}` may not call from {peer}")]
    Address { client: ClientId, peer: Peer },
}

/// Where a credential was seen, and whose it is if it is valid.
type Found = (&'static str, Option<(Holder, Identity)>);

const SIGNATURE: &str = "the signature headers";
const CERTIFICATE: &str = "the client certificate";
const USER: &str = "the unix socket's peer";

impl Directory {
    /// Of these clients, each by its place among them.
    pub(crate) fn of(clients: &[&Client]) -> Self {
        let entry = |it: &&Client| Entry {
            client: it.id.clone(),
            expires: it.expires,
            from: it.from.clone(),
        };
        let mut directory = Self::new(clients.iter().map(entry).collect());
        for (place, client) in clients.iter().enumerate() {
            for credential in &client.credentials {
                let holder = Holder { index: place, expires: credential.expires };
                directory.add(&credential.proof, holder);
            }
        }
        directory
    }

    fn new(entries: Vec<Entry>) -> Self {
        let nobody = Credential::new("nobody".to_owned(), &SecretString::from("nobody"));
        let (tokens, stand_ins) = (HashMap::new(), HashMap::new());
        let (users, certificates) = (HashMap::new(), HashMap::new());
        Self { entries, tokens, stand_ins, users, certificates, nothing: None, nobody }
    }

    fn add(&mut self, proof: &Proof, holder: Holder) {
        match proof {
            Proof::Token(hash) => {
                self.tokens.entry(hash.bucket()).or_default().push((*hash, holder));
            }
            Proof::StandIn(pair) => {
                self.stand_ins.insert(pair.key_text().to_owned(), (Arc::clone(pair), holder));
            }
            Proof::User { uid, gid } => {
                self.users.insert((*uid, *gid), holder);
            }
            Proof::Certificate(name) => {
                self.certificates.insert(name.clone(), holder);
            }
            Proof::None => self.nothing = Some(holder),
        }
    }

    /// Who presents `headers` from `peer`.
    pub(crate) fn identify(
        &self,
        provider: &dyn Provider,
        headers: &HeaderMap,
        peer: &Peer,
        now: UnixMicros,
    ) -> Result<Caller, Unidentified> {
        if let Some(name) = alias(provider, headers) {
            return Err(Unidentified::Alias { name: name.to_string() });
        }
        let mut found: Vec<Found> = Vec::new();
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION] {
            found.extend(self.token_in(headers, &name)?);
        }
        if let Some(presented) = provider.presented(headers) {
            found.push((SIGNATURE, self.stand_in(&presented)));
        }
        // Last: a signature that was checked is told before them, because it makes a payload trusted.
        found.extend(self.user(peer));
        found.extend(self.certificate(peer));
        let (index, how) = self.agree(&found)?;
        let entry = self.entries.get(index).ok_or(Unidentified::Missing)?;
        let has_passed = |expires: Option<UnixMicros>| expires.is_some_and(|it| it <= now);
        let holders = found.iter().filter_map(|(place, it)| Some((*place, it.as_ref()?.0)));
        let mut outdated = holders.filter(|(_, holder)| has_passed(holder.expires));
        if let Some((place, _)) = outdated.next() {
            return Err(Unidentified::Outdated { place, client: entry.client.clone() });
        }
        let nothing = self.nothing.filter(|_| found.is_empty());
        if has_passed(entry.expires) || has_passed(nothing.and_then(|it| it.expires)) {
            return Err(Unidentified::Expired { client: entry.client.clone() });
        }
        // A unix socket has no address, so none that is in a range.
        let near = |it: &IpNet| peer.address.is_some_and(|address| it.contains(&address));
        if !entry.from.is_empty() && !entry.from.iter().any(near) {
            let peer = Peer { certificate: None, ..peer.clone() };
            return Err(Unidentified::Address { client: entry.client.clone(), peer });
        }
        Ok(Caller { who: Identified::proven(entry.client.clone(), how), index })
    }

    fn agree(&self, found: &[Found]) -> Result<(usize, Identity), Unidentified> {
        let ambiguous = || {
            let mut places: Vec<_> = found.iter().map(|(place, _)| *place).collect();
            places.dedup();
            Unidentified::Ambiguous { places }
        };
        match found {
            [] => {
                let nothing = self.nothing.ok_or(Unidentified::Missing)?;
                Ok((nothing.index, Identity::Nothing))
            }
            [(place, one)] => {
                let (holder, how) = one.ok_or(Unidentified::Wrong { place })?;
                Ok((holder.index, how))
            }
            [(_, first), rest @ ..] => {
                let (Holder { index, .. }, how) = first.ok_or_else(ambiguous)?;
                let same = |it: &Found| it.1.is_some_and(|(other, _)| other.index == index);
                if rest.iter().all(same) { Ok((index, how)) } else { Err(ambiguous()) }
            }
        }
    }

    /// The entry that says most of the other end of a unix socket.
    fn user(&self, peer: &Peer) -> Option<Found> {
        let (uid, gid) = peer.user?;
        let entries = [(Some(uid), Some(gid)), (Some(uid), None), (None, Some(gid))];
        let holder = entries.iter().find_map(|it| self.users.get(it))?;
        Some((USER, Some((*holder, Identity::User))))
    }

    /// What each name of a certificate that some client has says; if none has any, that it is wrong.
    fn certificate(&self, peer: &Peer) -> Vec<Found> {
        let Some(names) = &peer.certificate else { return Vec::new() };
        let known = names.iter().filter_map(|it| self.certificates.get(it));
        let known = known.map(|it| (CERTIFICATE, Some((*it, Identity::Certificate))));
        let mut known: Vec<Found> = known.collect();
        if known.is_empty() {
            known.push((CERTIFICATE, None));
        }
        known
    }

    fn token_in(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
    ) -> Result<Option<Found>, Unidentified> {
        let place = if name == AUTHORIZATION { "`Authorization`" } else { "`Proxy-Authorization`" };
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Unidentified::Ambiguous { places: vec![place, place] });
        }
        let token = token_hash(value.as_bytes(), name == PROXY_AUTHORIZATION);
        // An unreadable credential costs the work of a wrong one.
        let hash = token.unwrap_or_else(|| TokenHash::of(b""));
        let group = self.tokens.get(&hash.bucket()).map_or(&[][..], Vec::as_slice);
        let holder = group.iter().find(|(it, _)| it.is(&hash)).map(|(_, holder)| *holder);
        let holder = holder.filter(|_| token.is_some());
        Ok(Some((place, holder.map(|it| (it, Identity::Token)))))
    }

    fn stand_in(&self, presented: &Presented<'_>) -> Option<(Holder, Identity)> {
        let key = std::str::from_utf8(presented.key).unwrap_or_default();
        let known = self.stand_ins.get(key);
        let pair = known.map_or(&self.nobody, |(pair, _)| pair);
        let valid = pair.verifies(presented.payload, presented.signature);
        known.filter(|_| valid).map(|(_, holder)| (*holder, Identity::StandIn))
    }
}

/// The hash of the token in `Bearer …`, and in `Basic …` where a proxy's URL carries it.
fn token_hash(value: &[u8], basic_too: bool) -> Option<TokenHash> {
    let at = value.iter().position(|it| *it == b' ')?;
    let (scheme, rest) = value.split_at(at);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(TokenHash::of(rest));
    }
    if !basic_too || !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    // `http://name:token@localhost:3840`, or the token alone in the place of the name.
    let pair = Zeroizing::new(BASE64_STANDARD.decode(rest).ok()?);
    let colon = pair.iter().position(|it| *it == b':').unwrap_or(pair.len());
    let (name, password) = pair.split_at(colon);
    let password = password.strip_prefix(b":").unwrap_or_default();
    Some(TokenHash::of(if password.is_empty() { name } else { password }))
}

/// A header that becomes one with a credential in it where hyphens are written as underscores.
fn alias<'a>(provider: &dyn Provider, headers: &'a HeaderMap) -> Option<&'a HeaderName> {
    let is_alias = |name: &&HeaderName| {
        let meant = name.as_str().replace('_', "-");
        meant != name.as_str()
            && (meant == PROXY_AUTHORIZATION.as_str() || provider.is_credential(&meant))
    };
    headers.keys().filter(|it| it.as_str().contains('_')).find(is_alias)
}

/// Parameters whose name says that their value is a credential. No documented operation has one.
const CREDENTIALS: [&str; 10] = [
    "token",
    "access_token",
    "api_key",
    "apikey",
    "key",
    "secret",
    "signature",
    "password",
    "auth",
    "authorization",
];

/// Whether a query is free of credentials, by the names of its parameters. The values are not looked
/// at, so that nothing can tell of them.
pub(crate) fn no_credential_in(query: Option<&str>) -> Result<(), Unidentified> {
    let names = query.unwrap_or_default().split('&').map(|it| it.split('=').next().unwrap_or(it));
    let named = |name: &str| {
        let name = unescaped(name);
        CREDENTIALS.into_iter().find(|it| name.eq_ignore_ascii_case(it.as_bytes()))
    };
    names.filter_map(named).next().map_or(Ok(()), |name| Err(Unidentified::InUrl { name }))
}

/// The bytes that a part of a query stands for.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|it| u8::from_str_radix(it, 16).ok());
        match (code, part.get(2..)) {
            (Some(code), Some(rest)) => {
                bytes.push(code);
                bytes.extend(rest.as_bytes());
            }
            _ => bytes.extend(part.as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
