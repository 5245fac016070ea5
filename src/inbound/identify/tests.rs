//! Whose what is.

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

/// Counts for ever.
fn of(index: usize) -> Holder {
    Holder { index, expires: None }
}

fn directory() -> Directory {
    let mut entries = vec![entry("tok"), entry("pair"), entry("old"), entry("near")];
    entries[2].expires = Some(NOW);
    entries[3].from = vec!["10.0.0.0/8".parse().unwrap()];
    let mut directory = Directory::new(entries);
    directory.add(&Proof::Token(TokenHash::of(b"good")), of(0));
    directory.add(&Proof::StandIn(pair()), of(1));
    directory.add(&Proof::Token(TokenHash::of(b"old")), of(2));
    directory.add(&Proof::Token(TokenHash::of(b"near")), of(3));
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
    from(directory, &Peer::at("127.0.0.1".parse().unwrap()), headers, expected);
}

#[track_caller]
fn from(directory: &Directory, peer: &Peer, headers: &[(&'static str, String)], expected: &str) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let said = match directory.identify(provider::ALL[0], &map, peer, NOW) {
        Ok(caller) => format!("{} by {}", caller.who.client(), caller.who.how()),
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
    known.add(&Proof::None, of(0));
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
    for plain in ["", "limit_trades=50&since=1", "symbol=token", "to%6den%=", "%", "%7", "&&="] {
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
    known.add(&Proof::None, of(0));
    check(&known, &[], "tok");
    check(&known, &one("authorization", "Bearer bad"), "`Authorization` is not valid");
}

/// A user of a unix socket.
fn user(uid: u32, gid: u32) -> Peer {
    Peer { user: Some((uid, gid)), ..Peer::default() }
}

/// Who showed a certificate with these names.
fn shows(names: &[&str]) -> Peer {
    let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
    Peer { certificate: Some(names.into()), ..Peer::at("127.0.0.1".parse().unwrap()) }
}

#[test]
fn the_entry_that_says_most_of_a_user_counts() {
    let mut known = Directory::new(vec![entry("both"), entry("uid"), entry("gid")]);
    known.add(&Proof::User { uid: Some(7), gid: Some(9) }, of(0));
    known.add(&Proof::User { uid: Some(7), gid: None }, of(1));
    known.add(&Proof::User { uid: None, gid: Some(9) }, of(2));
    for (uid, gid, expected) in [
        (7, 9, "both by uid"),
        (7, 8, "uid by uid"),
        (8, 9, "gid by uid"),
        (8, 8, "no credential was presented"),
        (9, 7, "no credential was presented"),
        (0, 0, "no credential was presented"),
    ] {
        from(&known, &user(uid, gid), &[], expected);
    }
    // Only a socket says who somebody is.
    check(&known, &[], "no credential was presented");
    from(&known, &Peer::default(), &[], "no credential was presented");
}

#[test]
fn a_user_whom_nobody_names_presents_nothing() {
    let mut known = directory();
    known.add(&Proof::User { uid: Some(7), gid: None }, of(0));
    let (good, pair) = (one("authorization", "Bearer good"), signed("eyJ9"));
    from(&known, &user(7, 7), &[], "tok by uid");
    from(&known, &user(7, 7), &good, "tok by token");
    from(&known, &user(8, 8), &good, "tok by token");
    from(&known, &user(8, 8), &pair, "pair by stand-in");
    from(&known, &user(7, 7), &pair, "the signature headers and the unix socket's peer are not");
    from(&known, &user(7, 7), &one("authorization", "Bearer bad"), "not all valid");
    // Who is known is not nobody; who is not, may be.
    known.add(&Proof::None, of(1));
    from(&known, &user(7, 7), &[], "tok by uid");
    from(&known, &user(8, 8), &[], "pair by none");
    from(&known, &user(8, 8), &one("authorization", "Bearer bad"), "is not valid");
    // A signature that was checked makes a payload trusted, whatever comes beside it.
    known.add(&Proof::User { uid: Some(9), gid: None }, of(1));
    from(&known, &user(9, 9), &pair, "pair by stand-in");
}

#[test]
fn a_certificate_is_presented() {
    let mut known = directory();
    known.add(&Proof::Certificate("bot.example".to_owned()), of(0));
    known.add(&Proof::Certificate("spiffe://example/bot".to_owned()), of(0));
    known.add(&Proof::Certificate("other.example".to_owned()), of(1));
    let good = one("authorization", "Bearer good");
    from(&known, &shows(&["bot.example"]), &[], "tok by certificate");
    from(&known, &shows(&["x.example", "bot.example"]), &[], "tok by certificate");
    from(&known, &shows(&["bot.example", "spiffe://example/bot"]), &[], "tok by certificate");
    from(&known, &shows(&["bot.example"]), &good, "tok by token");
    let two = "in the client certificate are not all valid for one client";
    from(&known, &shows(&["bot.example", "other.example"]), &[], two);
    from(&known, &shows(&["other.example"]), &good, "`Authorization` and the client certificate");
    from(&known, &shows(&["other.example"]), &signed("eyJ9"), "pair by stand-in");
    // Exactly, and nothing less.
    let wrong = "the client certificate is not valid";
    for names in [&["Bot.example"][..], &["*.example"], &["bot.example."], &["example"], &[]] {
        from(&known, &shows(names), &[], wrong);
        from(&known, &shows(names), &good, "not all valid for one client");
    }
    known.add(&Proof::None, of(0));
    from(&known, &shows(&["x.example"]), &[], wrong);
}

#[test]
fn a_credential_has_an_end_of_its_own() {
    let mut known = Directory::new(vec![entry("bot"), entry("other")]);
    let at = |index, micros| Holder { index, expires: Some(UnixMicros(micros)) };
    known.add(&Proof::Token(TokenHash::of(b"first")), at(0, NOW.0));
    known.add(&Proof::Token(TokenHash::of(b"second")), at(0, NOW.0 + 1));
    known.add(&Proof::StandIn(pair()), at(0, NOW.0 - 1));
    known.add(&Proof::User { uid: Some(7), gid: None }, at(0, NOW.0));
    known.add(&Proof::Certificate("a".to_owned()), at(0, NOW.0));
    known.add(&Proof::Token(TokenHash::of(b"other")), of(1));
    let (first, second) = (one("authorization", "Bearer first"), "Bearer second");
    check(&known, &first, "the credential of client `bot` in `Authorization` has expired");
    check(&known, &one("authorization", second), "bot by token");
    check(&known, &signed("eyJ9"), "in the signature headers has expired");
    from(&known, &user(7, 7), &[], "in the unix socket's peer has expired");
    from(&known, &shows(&["a"]), &[], "in the client certificate has expired");
    // All that is presented must be valid, and first of all be one client's.
    let mut both = first;
    both.extend(one("proxy-authorization", second));
    check(&known, &both, "in `Authorization` has expired");
    from(&known, &user(7, 7), &one("authorization", second), "has expired");
    from(&known, &user(7, 7), &one("authorization", "Bearer other"), "not all valid for one");
    known.add(&Proof::None, at(1, NOW.0));
    check(&known, &[], "client `other` has expired");
}

#[test]
fn a_range_is_of_addresses() {
    let mut known = directory();
    known.add(&Proof::User { uid: Some(7), gid: None }, of(3));
    known.add(&Proof::Certificate("near".to_owned()), of(3));
    let near = one("authorization", "Bearer near");
    let at = |text: &str| Peer::at(text.parse().unwrap());
    from(&known, &at("10.1.2.3"), &near, "near by token");
    from(&known, &at("::ffff:10.1.2.3"), &near, "near by token");
    from(&known, &at("11.1.2.3"), &near, "`near` may not call from 11.1.2.3");
    from(&known, &user(7, 7), &[], "`near` may not call from uid:7");
    from(&known, &user(8, 8), &near, "`near` may not call from uid:8");
    from(&known, &shows(&["near"]), &[], "may not call from 127.0.0.1");
}

/// Whoever is refused cannot tell from the work whether a key or a token is known.
#[test]
fn unknown_and_wrong_take_the_same_work() {
    let known = directory();
    let work = |headers: &[(&'static str, String)]| {
        let before = crate::secret::work();
        check(&known, headers, "is not valid");
        crate::secret::work() - before
    };
    let tokens = ["Bearer goof", "Bearer x", "Bearer ", "good", "Basic eA=="];
    for token in tokens {
        assert_eq!(work(&one("authorization", token)), 1, "{token}");
        assert_eq!(work(&one("proxy-authorization", token)), 1, "{token}");
    }
    let with = |n: usize, value: &str| {
        let mut headers = signed("eyJ9");
        headers[n].1 = value.to_owned();
        headers
    };
    let wrong = [with(0, "account-nobody"), with(0, "x"), with(2, "00"), with(2, "")];
    for headers in wrong.iter().map(Vec::as_slice).chain([&signed("eyJ9")[..1]]) {
        assert_eq!(work(headers), 1, "{headers:?}");
    }
}
