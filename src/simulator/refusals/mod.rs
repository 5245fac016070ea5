//! Rejections by name: what the exchange, an edge before it, or a network on the way says no with.
//!
//! 1. A script asks for one by its word: `{"do":{"refuse":"key-unknown"}}`. `GET
//!    /_simulator/refusals` lists them all.
//! 2. Each says where it is from. `documented`: its text stands in the documentation of who sends it.
//!    `seen`: programs or people have recorded it. `plausible`: nobody has published one, and it is
//!    made after what is known of its kind.
//! 3. Each says what it stands for, in the words of `docs/diagnosis.md`. None where a body like this
//!    has more than one cause, and nobody could tell from the answer alone.
//! 4. Words with the same text stand for different situations: what differs is what came before.

mod edge;
mod exchange;
mod network;

use std::net::IpAddr;

use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde_json::Value;
use serde_json::json;

use crate::clock::UnixMicros;
use crate::simulator::reply::Rejection;
use crate::simulator::reply::Reply;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=UTF-8";
const TEXT: &str = "text/plain; charset=UTF-8";

/// A rejection that has a name.
#[derive(Debug)]
pub struct Refused {
    pub word: &'static str,
    /// The cause that it stands for, if one can be told.
    pub cause: Option<&'static str>,
    pub known: Known,
    pub status: u16,
    kind: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Body,
}

/// How a rejection is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    Documented,
    Seen,
    Plausible,
}

impl Known {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Seen => "seen",
            Self::Plausible => "plausible",
        }
    }
}

/// In texts `{key}`, `{ip}`, `{nonce}` and `{server}` stand for the caller's key, address and nonce, and
/// for the exchange's time.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// The exchange's envelope: reason and message.
    Said(&'static str, &'static str),
    /// As it is.
    Text(&'static str),
    /// A page of Cloudflare: its code, what is the matter, and why.
    Cloudflare(&'static str, &'static str, &'static str),
    /// A page of CloudFront, with the sentence that differs.
    CloudFront(&'static str),
    /// A page of nginx or of what looks like it: the headline and the server's name.
    Plain(&'static str, &'static str),
}

/// Who is refused, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) peer: IpAddr,
    pub(crate) now: UnixMicros,
}

impl Refused {
    /// The same with headers, of another kind.
    const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    /// The answer to this caller.
    pub(crate) fn reply(&self, scene: &Scene<'_>) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::FORBIDDEN);
        let mut reply = Reply::of(status, self.kind, self.text(scene));
        if reply.body.is_empty() {
            reply.headers.clear();
        }
        for (name, value) in self.headers {
            let name = HeaderName::from_static(name);
            reply.headers.insert(name, HeaderValue::from_static(value));
        }
        reply
    }

    fn text(&self, scene: &Scene<'_>) -> String {
        let filled = |text: &str| {
            text.replace("{key}", scene.key.unwrap_or("account-unknown"))
                .replace("{ip}", &scene.peer.to_string())
                .replace("{nonce}", scene.nonce.unwrap_or("1"))
                .replace("{server}", &scene.now.secs().to_string())
        };
        match self.body {
            Body::Said(reason, message) => {
                let message = filled(message);
                json!({ "result": "error", "reason": reason, "message": message }).to_string()
            }
            Body::Text(text) => filled(text),
            Body::Cloudflare(code, what, why) => {
                let page = edge::CLOUDFLARE.replace("{code}", code).replace("{what}", what);
                filled(&page.replace("{why}", why))
            }
            Body::CloudFront(why) => edge::CLOUD_FRONT.replace("{why}", why),
            Body::Plain(headline, server) => {
                edge::PLAIN.replace("{headline}", headline).replace("{server_name}", server)
            }
        }
    }

    fn json(&self) -> Value {
        json!({
            "word": self.word, "cause": self.cause, "known": self.known.as_str(),
            "status": self.status, "content_type": self.kind,
        })
    }
}

/// Every rejection that has a name.
pub fn refusals() -> impl Iterator<Item = &'static Refused> {
    exchange::ROWS.iter().chain(edge::ROWS).chain(network::ROWS)
}

/// The one of that word.
pub(crate) fn find(word: &str) -> Option<&'static Refused> {
    refusals().find(|it| it.word == word)
}

/// What an account's state makes of a call: the envelope of that word.
pub(crate) fn rejection(word: &str) -> Rejection {
    match find(word).map(|it| (it.status, it.body)) {
        Some((status, Body::Said(reason, message))) => Rejection::new(status, reason, message),
        _ => Rejection::new(500, "System", "We are experiencing technical issues"),
    }
}

pub(crate) fn list() -> Value {
    json!({ "refusals": refusals().map(Refused::json).collect::<Value>() })
}

/// Reads a word of a script.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'static Refused>, D::Error> {
    let Some(word) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let unknown = || format!("no refusal is called `{word}`: GET /_simulator/refusals lists them");
    find(&word).map(Some).ok_or_else(|| D::Error::custom(unknown()))
}

/// A row of the exchange's envelope. An empty cause means that nobody can tell.
const fn said(
    word: &'static str,
    cause: &'static str,
    known: Known,
    status: u16,
    reason: &'static str,
    message: &'static str,
) -> Refused {
    row(word, cause, known, status, (JSON, Body::Said(reason, message)))
}

const fn row(
    word: &'static str,
    cause: &'static str,
    known: Known,
    status: u16,
    (kind, body): (&'static str, Body),
) -> Refused {
    let cause = if cause.is_empty() { None } else { Some(cause) };
    Refused { word, cause, known, status, kind, headers: &[], body }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use super::*;

    const SCENE: Scene<'static> = Scene {
        key: Some("account-\"x\""),
        nonce: Some("7"),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: UnixMicros(1_790_000_000_250_000),
    };

    #[test]
    fn each_word_is_there_once_and_makes_an_answer() {
        let mut words = BTreeSet::new();
        for refused in refusals() {
            assert!(words.insert(refused.word), "{}", refused.word);
            let reply = refused.reply(&SCENE);
            assert_eq!(reply.status, refused.status, "{}", refused.word);
            assert!(!reply.status.is_success() && !reply.status.is_redirection());
            let text = String::from_utf8(reply.body.to_vec()).expect("text");
            let left = ["{key}", "{ip}", "{nonce}", "{server}", "{code}", "{why}", "{what}"];
            assert!(!left.iter().any(|it| text.contains(it)), "{}: {text}", refused.word);
            if refused.kind == JSON {
                let json: Value = serde_json::from_str(&text).expect(refused.word);
                assert!(json.is_object(), "{}", refused.word);
            }
        }
        assert!(words.len() >= 80, "{}", words.len());
    }

    #[test]
    fn a_word_that_begins_with_a_cause_stands_for_it() {
        let causes: BTreeSet<_> = refusals().filter_map(|it| it.cause).collect();
        for refused in refusals() {
            let begins = |cause: &&&str| {
                let rest = refused.word.strip_prefix(**cause);
                rest.is_some_and(|it| it.is_empty() || it.starts_with('-'))
            };
            if let Some(cause) = causes.iter().find(begins) {
                assert_eq!(refused.cause, Some(*cause), "{}", refused.word);
            }
        }
    }

    #[test]
    fn the_callers_own_facts_are_filled_in() {
        let text = |word: &str| find(word).map(|it| it.text(&SCENE)).unwrap_or_default();
        assert!(text("key-role-missing").contains(r#"API key account-\"x\" which"#));
        assert!(text("nonce-clock").contains("Nonce '7' is not within"));
        assert!(text("nonce-clock").contains("server time '1790000000'"));
        assert!(text("cloudflare-1020").contains("Your IP: 127.0.0.1"));
        assert!(find("no-such-word").is_none());
    }
}
