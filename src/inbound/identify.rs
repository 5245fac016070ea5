//! Who is calling.
//!
//! 1. All that a request presents must be valid and belong to one client.
//! 2. Unknown and wrong are told in the same words and take the same work.
//! 3. The answer names where a credential was seen, never what was seen.
//! 4. A wrong credential never falls through to the client that presents nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use ipnet::IpNet;
use secrecy::SecretString;

use crate::call::{ClientId, Identified, Identity};
use crate::clock::UnixMicros;
use crate::provider::{Presented, Provider};
use crate::secret::{Credential, TokenHash};

/// Everyone who may call one upstream. Fixed once the configuration is read.
#[derive(Debug)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
    /// By the first half of the hash; compared whole, in constant time.
    tokens: HashMap<u64, Vec<(TokenHash, usize)>>,
    stand_ins: HashMap<String, (Arc<Credential>, usize)>,
    nothing: Option<usize>,
    /// Verified against where the key is unknown, so that both ways take alike.
    nobody: Credential,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) client: ClientId,
    pub(crate) expires: Option<UnixMicros>,
    pub(crate) from: Vec<IpNet>,
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
    #[error("client `{client}` has expired")]
    Expired { client: ClientId },
    #[error("client `{client}` may not call from {peer}")]
    Address { client: ClientId, peer: IpAddr },
}

type Found = (&'static str, Option<(usize, Identity)>);

impl Directory {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let nobody = Credential::new("nobody".to_owned(), &SecretString::from("nobody"));
        let (tokens, stand_ins) = (HashMap::new(), HashMap::new());
        Self { entries, tokens, stand_ins, nothing: None, nobody }
    }

    pub(crate) fn add_token(&mut self, hash: TokenHash, index: usize) {
        self.tokens.entry(hash.bucket()).or_default().push((hash, index));
    }

    pub(crate) fn add_stand_in(&mut self, pair: Arc<Credential>, index: usize) {
        self.stand_ins.insert(pair.key_text().to_owned(), (pair, index));
    }

    pub(crate) fn add_nothing(&mut self, index: usize) {
        self.nothing = Some(index);
    }

    /// Who presents `headers` from `peer`.
    pub(crate) fn identify(
        &self,
        provider: &dyn Provider,
        headers: &HeaderMap,
        peer: IpAddr,
        now: UnixMicros,
    ) -> Result<Caller, Unidentified> {
        let mut found: Vec<Found> = Vec::new();
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION] {
            found.extend(self.token_in(headers, &name)?);
        }
        if let Some(presented) = provider.presented(headers) {
            found.push(("the signature headers", self.stand_in(&presented)));
        }
        let (index, how) = self.agree(&found)?;
        let entry = self.entries.get(index).ok_or(Unidentified::Missing)?;
        if entry.expires.is_some_and(|it| it <= now) {
            return Err(Unidentified::Expired { client: entry.client.clone() });
        }
        let peer = peer.to_canonical();
        if !entry.from.is_empty() && !entry.from.iter().any(|it| it.contains(&peer)) {
            return Err(Unidentified::Address { client: entry.client.clone(), peer });
        }
        Ok(Caller { who: Identified::proven(entry.client.clone(), how), index })
    }

    fn agree(&self, found: &[Found]) -> Result<(usize, Identity), Unidentified> {
        let ambiguous =
            || Unidentified::Ambiguous { places: found.iter().map(|(place, _)| *place).collect() };
        match found {
            [] => self.nothing.map(|it| (it, Identity::Nothing)).ok_or(Unidentified::Missing),
            [(place, one)] => one.ok_or(Unidentified::Wrong { place }),
            [(_, first), rest @ ..] => {
                let (index, how) = first.ok_or_else(ambiguous)?;
                let same = |it: &Found| it.1.is_some_and(|(other, _)| other == index);
                if rest.iter().all(same) { Ok((index, how)) } else { Err(ambiguous()) }
            }
        }
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
        let token = token_of(value.as_bytes(), name == PROXY_AUTHORIZATION);
        // An unreadable credential costs the work of a wrong one.
        let hash = TokenHash::of(token.as_deref().unwrap_or_default());
        let group = self.tokens.get(&hash.bucket()).map_or(&[][..], Vec::as_slice);
        let index = group.iter().find(|(it, _)| it.is(&hash)).map(|(_, index)| *index);
        let index = index.filter(|_| token.is_some());
        Ok(Some((place, index.map(|it| (it, Identity::Token)))))
    }

    fn stand_in(&self, presented: &Presented<'_>) -> Option<(usize, Identity)> {
        let key = std::str::from_utf8(presented.key).unwrap_or_default();
        let known = self.stand_ins.get(key);
        let pair = known.map_or(&self.nobody, |(pair, _)| pair);
        let valid = pair.verifies(presented.payload, presented.signature);
        known.filter(|_| valid).map(|(_, index)| (*index, Identity::StandIn))
    }
}

/// The token of `Bearer …`, and of `Basic …` where a proxy's URL carries it.
fn token_of(value: &[u8], basic_too: bool) -> Option<Vec<u8>> {
    let at = value.iter().position(|it| *it == b' ')?;
    let (scheme, rest) = value.split_at(at);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !basic_too || !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    // `http://name:token@localhost:3840`, or the token alone in the place of the name.
    let pair = BASE64_STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|it| *it == b':').unwrap_or(pair.len());
    let (name, password) = pair.split_at(colon);
    let password = password.strip_prefix(b":").unwrap_or_default();
    Some(if password.is_empty() { name } else { password }.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;

    const NOW: UnixMicros = UnixMicros::from_secs(1_790_000_000);

    fn entry(name: &str) -> Entry {
        Entry { client: ClientId::new(name), expires: None, from: Vec::new() }
    }

    fn pair() -> Arc<Credential> {
        let secret = SecretString::from("stand-in-secret");
        Arc::new(Credential::new("account-standin".to_owned(), &secret))
    }

    fn directory() -> Directory {
        let mut entries = vec![entry("tok"), entry("pair"), entry("old"), entry("near")];
        entries[2].expires = Some(NOW);
        entries[3].from = vec!["10.0.0.0/8".parse().unwrap()];
        let mut directory = Directory::new(entries);
        directory.add_token(TokenHash::of(b"good"), 0);
        directory.add_stand_in(pair(), 1);
        directory.add_token(TokenHash::of(b"old"), 2);
        directory.add_token(TokenHash::of(b"near"), 3);
        directory
    }

    fn signed(payload: &str) -> Vec<(&'static str, String)> {
        let signature = pair().signature_header(payload.as_bytes());
        vec![
            ("x-gemini-apikey", "account-standin".to_owned()),
            ("x-gemini-payload", payload.to_owned()),
            ("x-gemini-signature", signature.to_str().unwrap().to_owned()),
        ]
    }

    #[track_caller]
    fn check(directory: &Directory, headers: &[(&'static str, String)], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let peer = "127.0.0.1".parse().unwrap();
        let said = match directory.identify(provider::ALL[0], &map, peer, NOW) {
            Ok(caller) => caller.who.client().to_string(),
            Err(unidentified) => unidentified.to_string(),
        };
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
    }

    fn one(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
        vec![(name, value.to_owned())]
    }

    #[test]
    fn each_credential_and_its_near_misses() {
        let known = directory();
        check(&known, &one("authorization", "Bearer good"), "tok");
        check(&known, &one("authorization", "bearer  good"), "tok");
        check(&known, &one("authorization", "Bearer goof"), "`Authorization` is not valid");
        check(&known, &one("authorization", "good"), "`Authorization` is not valid");
        check(&known, &one("authorization", "Basic dTpnb29k"), "`Authorization` is not valid");
        check(&known, &one("proxy-authorization", "Bearer good"), "tok");
        check(&known, &one("proxy-authorization", "Basic dTpnb29k"), "tok");
        check(&known, &one("proxy-authorization", "Basic Z29vZDo="), "tok");
        check(&known, &one("proxy-authorization", "Basic !!"), "`Proxy-Authorization` is not");
        check(&known, &signed("eyJ9"), "pair");
        let mut wrong = signed("eyJ9");
        wrong[1].1 = "eyJ8".to_owned();
        check(&known, &wrong, "the signature headers is not valid");
        wrong[0].1 = "account-other".to_owned();
        check(&known, &wrong, "the signature headers is not valid");
        check(&known, &signed("eyJ9")[..1], "the signature headers is not valid");
        check(&known, &signed("eyJ9")[1..2], "no credential was presented");
    }

    #[test]
    fn all_that_is_presented_must_agree() {
        let known = directory();
        let good = || one("authorization", "Bearer good");
        let mut both = good();
        both.extend(one("proxy-authorization", "Bearer good"));
        check(&known, &both, "tok");
        let mut wrong = good();
        wrong.extend(one("proxy-authorization", "Bearer bad"));
        check(&known, &wrong, "not all valid for one client");
        let mut other = good();
        other.extend(signed("eyJ9"));
        check(&known, &other, "not all valid for one client");
        let mut twice = good();
        twice.extend(good());
        check(&known, &twice, "not all valid for one client");
    }

    #[test]
    fn expiry_and_address_are_conditions() {
        check(&directory(), &one("authorization", "Bearer old"), "`old` has expired");
        check(&directory(), &one("authorization", "Bearer near"), "may not call from 127.0.0.1");
    }

    #[test]
    fn presenting_nothing_is_for_those_who_present_nothing() {
        let mut known = directory();
        check(&known, &[], "no credential was presented");
        known.add_nothing(0);
        check(&known, &[], "tok");
        check(&known, &one("authorization", "Bearer bad"), "`Authorization` is not valid");
    }
}
