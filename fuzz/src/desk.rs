//! What is true of everything that may go out, whoever asked for it and however.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use geminid::fuzzing::{Desk, Refused, Sent};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::uri::PathAndQuery;
use sha2::Sha384;

use crate::json::{Tree, tree};

pub const TOKEN: &str = "good-token";
pub const STAND_IN: (&str, &str) = ("account-standin", "stand-in-secret");
const KEY_SECRET: &str = "real-secret";
const ADDRESS: &str = "bc1qgood";
/// The sub-accounts that a client may name under the master key.
const ACCOUNTS: &[&str] = &["primary", "cold"];
const OURS: &[&str] = &[
    "cache-control",
    "content-length",
    "content-type",
    "x-gemini-apikey",
    "x-gemini-payload",
    "x-gemini-signature",
];

/// A key of one account.
pub static ACCOUNT: LazyLock<Desk> = LazyLock::new(|| Desk::new(include_str!("../desk.toml")));

/// A key of several accounts.
pub static MASTER: LazyLock<Desk> = LazyLock::new(|| {
    let text = include_str!("../desk.toml");
    let master = "\"master-7Qf2realkey\"\naccount = \"primary\"";
    Desk::new(&text.replace("\"account-7Qf2realkey\"", master))
});

static CATALOGUE: LazyLock<Vec<(&'static str, String, bool)>> = LazyLock::new(Desk::catalogue);

/// The HMAC-SHA384 of `message`, in hex.
pub fn mac(secret: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha384>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().iter().map(|it| format!("{it:02x}")).collect()
}

/// Holds what may go out against `path` and `query`, as the client's request line has them. The
/// payload that is signed, if one is.
pub fn check_sent(desk: &Desk, sent: &Sent, path: &str, query: Option<&str>) -> Option<Tree> {
    // What was decided on, what goes out, and what was asked are one.
    assert_eq!((sent.path.as_str(), sent.query.as_deref()), (path, query));
    let whole = query.map_or_else(|| path.to_owned(), |it| format!("{path}?{it}"));
    assert_eq!(sent.path_and_query, whole);
    assert!(whole.bytes().all(|it| it.is_ascii_graphic()), "{whole:?}");
    // The library that sends it neither changes nor refuses it.
    let read: PathAndQuery = whole.parse().expect("the path was checked when it came in");
    assert_eq!((read.as_str(), read.path(), read.query()), (&*whole, path, query));
    check_path(path);

    let found = CATALOGUE.iter().find(|(method, template, _)| {
        *method == sent.method && template.starts_with('/') && fits(template, path)
    });
    if !sent.signed {
        assert!(found.is_none_or(|it| it.2), "{} {path} is private and unsigned", sent.method);
        assert_eq!((sent.method.as_str(), sent.headers.len()), ("GET", 0));
        assert_eq!(sent.client, None);
        return None;
    }
    assert!(found.is_some_and(|it| !it.2), "{} {path} is signed uncatalogued", sent.method);
    let client = sent.client.as_deref().expect("who asked for what is signed");
    let scope = sent.scope.expect("what is offered has a scope");
    assert!(desk.holds(client, scope), "{client} does not hold {scope}");
    Some(check_signed(desk, sent, client))
}

fn check_path(path: &str) {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"/_.-:".contains(&it);
    assert!(path.starts_with('/') && path.bytes().all(plain), "{path:?}");
    let odd = path[1..].split('/').any(|it| matches!(it, "" | "." | ".."));
    assert!(path == "/" || !odd, "{path:?}");
}

fn fits(template: &str, path: &str) -> bool {
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let each = ours.iter().zip(&theirs);
    ours.len() == theirs.len() && each.clone().all(|(a, b)| a == b || a.starts_with('{'))
}

fn check_signed(desk: &Desk, sent: &Sent, client: &str) -> Tree {
    let headers = &sent.headers;
    let mut names: Vec<_> = headers.keys().map(|it| it.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, OURS);
    assert_eq!(headers.len(), OURS.len(), "a header stands twice");
    let payload = text(headers, "x-gemini-payload");
    assert_eq!(text(headers, "x-gemini-signature"), mac(KEY_SECRET, payload.as_bytes()));
    assert!(text(headers, "x-gemini-apikey").ends_with("-7Qf2realkey"));
    assert_eq!(text(headers, "content-length"), "0");

    let json = BASE64_STANDARD.decode(payload).expect("what is signed is base64");
    let signed = tree(&json).expect("what is signed is JSON");
    assert!(!signed.repeats() && json.len() < 12 * 1_024, "{signed:?}");
    let request = signed.get("request").and_then(Tree::as_str);
    let bare = request == Some(&sent.path);
    assert!(bare || request == Some(&sent.path_and_query), "{request:?} is not {}", sent.path);
    let nonce = Tree::Bare("1795219200000".to_owned());
    assert_eq!(signed.get("nonce"), Some(&nonce));

    let inspected = tree(sent.parameters.as_bytes()).expect("what was inspected is JSON");
    check_parameters(&signed, &inspected);
    let master = std::ptr::eq(desk, &raw const *MASTER);
    for name in ["account", "sourceAccount", "targetAccount"] {
        let named = signed.get(name).map(|it| it.as_str().unwrap_or("not a text"));
        let known = named.is_none_or(|it| ACCOUNTS.contains(&it));
        assert!(!master || known, "{name} is {named:?}");
        let added = named.is_some() && inspected.get(name).is_none();
        assert!(!added || (master && named == Some("primary")), "{name} was added");
    }
    if sent.path.contains("/withdraw/") {
        assert_eq!(client, "token");
        assert_eq!(signed.get("address").and_then(Tree::as_str), Some(ADDRESS));
    }
    signed
}

/// What is signed is `request`, `nonce`, what was inspected, and perhaps our account.
fn check_parameters(signed: &Tree, inspected: &Tree) {
    let signed = signed.members().expect("a payload is an object");
    let inspected = inspected.members().expect("parameters are an object");
    assert!(signed[0].0 == "request" && signed[1].0 == "nonce", "{signed:?}");
    let (same, more) = signed[2..].split_at_checked(inspected.len()).expect("nothing is left out");
    assert_eq!(same, inspected);
    assert!(more.len() <= 1 && more.iter().all(|(name, _)| name == "account"), "{more:?}");
}

/// A refusal is an answer that a client can read.
pub fn check_refused(refused: &Refused) {
    let Refused { status, headers, body } = refused;
    assert!(
        (400..500).contains(status),
        "a refusal of the client's request is its fault: {status}"
    );
    let answer = tree(body).expect("an answer of ours is JSON");
    for name in ["result", "reason", "message"] {
        assert!(answer.get(name).and_then(Tree::as_str).is_some(), "{name} is missing: {answer:?}");
    }
    assert!(answer.get("diagnosis").is_some_and(|it| it.get("cause").is_some()));
    assert!(body.len() < 64 * 1_024 && !body.iter().any(u8::is_ascii_control));
    for value in headers.values() {
        assert!(value.as_bytes().iter().all(|it| (b' '..=b'~').contains(it)), "{value:?}");
    }
    for secret in [TOKEN, STAND_IN.1, KEY_SECRET, "7Qf2realkey"] {
        let found = body.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!found || secret == TOKEN, "an answer shows `{secret}`");
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|it| it.to_str().ok()).expect("a header of ours is text")
}
