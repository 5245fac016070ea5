//! From the bytes of a connection to what would be sent: hyper's server, target, identity, endpoint,
//! policy, signature.
//!
//! Held of every request that may go out: its request line stands in the bytes as it is sent, to the
//! letter; it has one `Host`, which is ours; who is said to ask presented the credential; and all that
//! `desk` says of what goes out. Of every other: the refusal is an answer that can be read.

#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use geminid::fuzzing::{self, Sent};
use geminid_fuzz::desk::{ACCOUNT, STAND_IN, TOKEN, check_refused, check_sent};
use http::request::Parts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (head, body) in fuzzing::requests(data) {
        match ACCOUNT.ask(&head, &body) {
            Err(refused) => check_refused(&refused),
            Ok(sent) => check(data, &head, &sent),
        }
    }
});

fn check(data: &[u8], head: &Parts, sent: &Sent) {
    let line = lines(data).find_map(|line| asked(line, sent));
    let (path, query) = line.expect("what goes out stands in a request line, to the letter");
    check_sent(&ACCOUNT, sent, path, query);
    assert_eq!(head.method.as_str(), sent.method);

    let hosts: Vec<_> = head.headers.get_all("host").iter().collect();
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    let host = hosts[0].to_str().expect("a host is text").to_ascii_lowercase();
    let loopback = ["localhost", "127.", "[", "api.gemini.com"];
    assert!(loopback.iter().any(|it| host.starts_with(it)), "{host}");
    let named = lines(data).any(|it| it.to_ascii_lowercase().ends_with(host.as_bytes()));
    assert!(named, "the host {host} stands nowhere");

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
        assert!(!tokens.iter().any(|it| head.headers.contains_key(*it)), "a wrong token fell through");
    }
}

fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|it| *it == b'\n').map(|it| it.trim_ascii_end())
}

/// The path and the query of a request line that asks for what is sent.
fn asked<'a>(line: &'a [u8], sent: &Sent) -> Option<(&'a str, Option<&'a str>)> {
    let line = std::str::from_utf8(line).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let target = rest.split(' ').find(|it| !it.is_empty())?;
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("/", |it| &rest[it..]),
        None => target,
    };
    let found = method == sent.method && target == sent.path_and_query;
    found.then(|| target.split_once('?').map_or((target, None), |(a, b)| (a, Some(b))))
}

fn presents_token(head: &Parts) -> bool {
    ["authorization", "proxy-authorization"].iter().filter_map(|it| head.headers.get(*it)).all(|it| {
        let text = it.as_bytes();
        let rest = text.splitn(2, |it| *it == b' ').nth(1).unwrap_or_default().trim_ascii();
        let decoded = BASE64_STANDARD.decode(rest).unwrap_or_default();
        let ends = [&b":"[..], b""].map(|it| [it, TOKEN.as_bytes()].concat());
        rest == TOKEN.as_bytes()
            || decoded == ends[1]
            || decoded.ends_with(&ends[0])
            || decoded == [TOKEN.as_bytes(), b":"].concat()
    })
}
