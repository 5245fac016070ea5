//! From the bytes of a connection to what would be sent: gate, hyper's server, target, identity,
//! endpoint, policy, signature.
//!
//! Held: every request that gets through the gate is the one that a strict reader of RFC 9112 sees at
//! that place, with the same method, target, fields and body, and so is the place where it ends; in
//! however many pieces the bytes arrive. Of every request that may go out: it has one `Host`, which is
//! ours; who is said to ask presented the credential; and all that `desk` says of what goes out. Of
//! every other: the refusal is an answer that can be read.

#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use geminid::fuzzing::{self, Sent};
use geminid_fuzz::desk::{ACCOUNT, STAND_IN, TOKEN, check_refused, check_sent};
use geminid_fuzz::http::{Message, message};
use http::request::Parts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let requests = fuzzing::requests(data, usize::MAX);
    let pieces = fuzzing::requests(data, data.len() % 61 + 1);
    let plainly = |it: &[(Parts, _)]| format!("{it:?}");
    assert_eq!(plainly(&requests), plainly(&pieces), "in pieces it reads differently");

    let mut rest = data;
    for (head, body) in &requests {
        // In the place of a refused head stands what nobody can send; nothing comes after it.
        if head.method.as_str() == "-" {
            let refused = ACCOUNT.ask(head, b"").expect_err("a head was refused");
            assert!(refused.headers.contains_key("geminid-cause"));
            check_refused(&refused);
            assert_eq!(requests.last().map(|(it, _)| it.method.as_str()), Some("-"));
            break;
        }
        let strict = message(rest).expect("a head got through that can be read in another way");
        rest = strict.rest;
        check_read(head, body.as_deref(), &strict);
        let Some(body) = body else { continue };
        match ACCOUNT.ask(head, body) {
            Err(refused) => check_refused(&refused),
            Ok(sent) => check(head, &sent, &strict),
        }
    }
});

/// What the server read is what stands there.
fn check_read(head: &Parts, body: Option<&[u8]>, strict: &Message<'_>) {
    assert_eq!(head.method.as_str(), strict.method);
    let query = head.uri.query().map_or_else(String::new, |it| format!("?{it}"));
    let path = format!("{}{query}", head.uri.path());
    // The form of CONNECT names an authority alone.
    let authority = head.uri.authority().map_or("", |it| it.as_str());
    let named = path.is_empty() && authority == strict.target;
    assert!(named || path == origin_form(strict.target), "{} of {}", head.uri, strict.target);
    assert_eq!(head.headers.len(), strict.fields.len());
    for (name, _) in &strict.fields {
        let theirs = head.headers.get_all(name).iter().map(|it| it.as_bytes());
        let same = strict.fields.iter().filter(|(it, _)| it == name).map(|(_, value)| *value);
        assert!(theirs.eq(same), "{name}");
    }
    if let Some(body) = body {
        assert_eq!(Some(body), strict.body.as_deref(), "a body that another reader sees otherwise");
    }
}

/// A target as it would be sent on; in a URL an absent path means `/`.
fn origin_form(target: &str) -> String {
    match target.split_once("://").filter(|_| !target.starts_with('/')) {
        None => target.to_owned(),
        Some((_, rest)) => match rest.find(['/', '?']).map_or("", |it| &rest[it..]) {
            it if it.starts_with('/') => it.to_owned(),
            it => format!("/{it}"),
        },
    }
}

fn check(head: &Parts, sent: &Sent, strict: &Message<'_>) {
    let target = origin_form(strict.target);
    let (path, query) = target.split_once('?').map_or((&*target, None), |(a, b)| (a, Some(b)));
    check_sent(&ACCOUNT, sent, path, query);
    assert_eq!(strict.method, sent.method);

    let hosts: Vec<_> = strict.fields.iter().filter(|(name, _)| name == "host").collect();
    let [(_, host)] = hosts[..] else { panic!("not one host: {hosts:?}") };
    let host = String::from_utf8(host.to_ascii_lowercase()).expect("a host is text");
    let name = host.strip_suffix(|it: char| it.is_ascii_digit()).map_or(&*host, |_| {
        host.rsplit_once(':').filter(|(it, _)| !it.is_empty()).map_or(&*host, |(it, _)| it)
    });
    let ours = ["localhost", "api.gemini.com"].contains(&name)
        || name.starts_with("127.")
        || name.starts_with("[");
    assert!(ours, "{host}");

    match sent.client.as_deref() {
        Some("token") => assert!(presents_token(head), "nobody presented the token"),
        Some("pair") => {
            assert_eq!(head.headers["x-gemini-apikey"].as_bytes(), STAND_IN.0.as_bytes());
        }
        Some(other) => assert_eq!(other, "nobody"),
        None => {}
    }
    if sent.client.as_deref() != Some("token") && sent.signed {
        let tokens = ["authorization", "proxy-authorization"];
        assert!(
            !tokens.iter().any(|it| head.headers.contains_key(*it)),
            "a wrong token fell through"
        );
    }
}

fn presents_token(head: &Parts) -> bool {
    let shown = ["authorization", "proxy-authorization"].into_iter();
    shown.filter_map(|it| head.headers.get(it)).all(|it| {
        let text = it.as_bytes();
        let rest = text.splitn(2, |it| *it == b' ').nth(1).unwrap_or_default().trim_ascii();
        let decoded = BASE64_STANDARD.decode(rest).unwrap_or_default();
        let token = TOKEN.as_bytes();
        let [after, before] = [[b":", token].concat(), [token, b":"].concat()];
        rest == token || decoded == token || decoded.ends_with(&after) || decoded == before
    })
}
