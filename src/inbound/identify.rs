//! Who is calling.
//!
//! 1. All that a request presents must be valid and belong to one client.
//! 2. Unknown and wrong are told in the same words and take the same work.
//! 3. The answer names where a credential was seen, never what was seen.
//! 4. A wrong credential never falls through to the client that presents nothing.
//! 5. A credential stands in a header: addresses end up in logs and histories. Nor in a header whose
//!    name only some servers take for the right one, `X_GEMINI_APIKEY`.
//! 6. Who is calling from where is what the socket says, never a header.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use ipnet::IpNet;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::call::{ClientId, Identified, Identity};
use crate::clock::UnixMicros;
use crate::config::{Client, ClientCredential};
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
struct Entry {
    client: ClientId,
    expires: Option<UnixMicros>,
    from: Vec<IpNet>,
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
    #[error("client `{client}` may not call from {peer}")]
    Address { client: ClientId, peer: IpAddr },
}

type Found = (&'static str, Option<(usize, Identity)>);

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
                match credential {
                    ClientCredential::Token(hash) => directory.add_token(*hash, place),
                    ClientCredential::StandIn(pair) => {
                        directory.add_stand_in(Arc::clone(pair), place);
                    }
                    ClientCredential::None => directory.add_nothing(place),
                }
            }
        }
        directory
    }

    fn new(entries: Vec<Entry>) -> Self {
        let nobody = Credential::new("nobody".to_owned(), &SecretString::from("nobody"));
        let (tokens, stand_ins) = (HashMap::new(), HashMap::new());
        Self { entries, tokens, stand_ins, nothing: None, nobody }
    }

    fn add_token(&mut self, hash: TokenHash, index: usize) {
        self.tokens.entry(hash.bucket()).or_default().push((hash, index));
    }

    fn add_stand_in(&mut self, pair: Arc<Credential>, index: usize) {
        self.stand_ins.insert(pair.key_text().to_owned(), (pair, index));
    }

    fn add_nothing(&mut self, index: usize) {
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
        if let Some(name) = alias(provider, headers) {
            return Err(Unidentified::Alias { name: name.to_string() });
        }
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
        let token = token_hash(value.as_bytes(), name == PROXY_AUTHORIZATION);
        // An unreadable credential costs the work of a wrong one.
        let hash = token.unwrap_or_else(|| TokenHash::of(b""));
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
    fn underscores_make_no_credential() {
        let mut known = directory();
        known.add_nothing(0);
        for name in ["x_gemini_apikey", "x-gemini_payload", "X_GEMINI-SIGNATURE"] {
            check(&known, &one(name, "a"), "is taken for a credential by some servers");
        }
        check(&known, &one("proxy_authorization", "Bearer good"), "is taken for a credential");
        let mut beside = signed("eyJ9");
        beside.extend(one("x_gemini_apikey", "account-other"));
        check(&known, &beside, "`x_gemini_apikey` is taken for a credential by some servers");
        for name in ["x_gemini_account", "x_api_key", "authorization_", "_authorization"] {
            check(&known, &one(name, "a"), "tok");
        }
    }

    #[test]
    fn credentials_do_not_belong_in_an_address() {
        let named = |query: &str| match no_credential_in(Some(query)) {
            Ok(()) => "",
            Err(Unidentified::InUrl { name }) => name,
            Err(other) => panic!("{other}"),
        };
        for name in CREDENTIALS {
            assert_eq!(named(&format!("{name}=hunter2")), name);
            assert_eq!(named(&format!("a=1&{}=hunter2&b=2", name.to_ascii_uppercase())), name);
            assert_eq!(named(name), name, "without a value");
            for near in [format!("{name}s=1"), format!("a{name}=1"), format!("a={name}")] {
                assert_eq!(named(&near), "", "{near}");
            }
        }
        assert_eq!(named("%74oken=hunter2"), "token");
        assert_eq!(named("a=1&api%5Fkey=hunter2"), "api_key");
        for plain in ["", "limit_trades=50&since=1", "symbol=token", "to%6den%=", "%", "%7", "&&="]
        {
            assert_eq!(named(plain), "", "{plain}");
        }
        assert_eq!(no_credential_in(None), Ok(()));
        let said = no_credential_in(Some("token=hunter2")).unwrap_err().to_string();
        assert!(!said.contains("hunter2"), "{said}");
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
