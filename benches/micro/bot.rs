//! What a bot sends.

use geminid::bench::{Caller, Catalogue, Clients, Permit, Read, Signer};
use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

/// A limit order, as libraries write it.
pub(crate) const ORDER: &str = r#"{"request":"/v1/order/new","nonce":1795219200000,"client_order_id":"470135","symbol":"btcusd","amount":"5","price":"3633.00","side":"buy","type":"exchange limit","options":["maker-or-cancel"]}"#;

/// As many orders as make 8 KiB, in one batch of prediction markets.
pub(crate) fn batch() -> String {
    let order = |n: usize| {
        format!(
            r#"{{"symbol":"GEMI-BTC100K-{n:04}","orderType":"limit","side":"buy","quantity":"100","price":"0.{n:02}","outcome":"yes","timeInForce":"good-til-cancel"}}"#
        )
    };
    let mut text = r#"{"orders":["#.to_owned();
    for n in 10.. {
        text.push_str(&order(n));
        if text.len() > 8 * 1_024 {
            break;
        }
        text.push(',');
    }
    text + "]}"
}

fn map<'a>(fields: impl IntoIterator<Item = (HeaderName, &'a str)>) -> HeaderMap {
    let field = |(name, value): (HeaderName, &str)| (name, HeaderValue::from_str(value).unwrap());
    fields.into_iter().map(field).collect()
}

/// A bot with a base URL, which knows nothing of Gemini's headers.
pub(crate) fn with_token(n: usize) -> HeaderMap {
    let token = format!("Bearer {}", Clients::token(n));
    map([
        (HOST, "127.0.0.1:3840"),
        (USER_AGENT, "python-requests/2.32.3"),
        (HeaderName::from_static("accept-encoding"), "gzip, deflate"),
        (HeaderName::from_static("accept"), "*/*"),
        (HeaderName::from_static("connection"), "keep-alive"),
        (HeaderName::from_static("content-type"), "application/json"),
        (HeaderName::from_static("content-length"), "201"),
        (AUTHORIZATION, &token),
    ])
}

/// A bot with `http_proxy=http://bot:token@localhost:3840`.
pub(crate) fn with_basic(n: usize) -> HeaderMap {
    let mut headers = with_token(n);
    headers.remove(AUTHORIZATION);
    let pair = base64::Engine::encode(
        &base64::prelude::BASE64_STANDARD,
        format!("bot:{}", Clients::token(n)),
    );
    headers.insert(PROXY_AUTHORIZATION, format!("Basic {pair}").parse().unwrap());
    headers
}

/// A bot with a library that signs: with the pair that stands in for the exchange's.
pub(crate) fn with_stand_in(n: usize) -> HeaderMap {
    let mut headers = with_token(n);
    headers.remove(AUTHORIZATION);
    let own = ORDER.split_once("\"client_order_id\"").unwrap().1.strip_suffix('}').unwrap();
    let signer = Signer::new(&Clients::key(n), &Clients::secret(n));
    let parameters = format!("\"client_order_id\"{own}");
    headers.extend(signer.sign(1_795_219_200_000, &parameters));
    headers
}

/// The same head, as it comes over the wire.
pub(crate) fn wire(headers: &HeaderMap) -> Vec<u8> {
    let mut head = b"POST /v1/order/new HTTP/1.1\r\n".to_vec();
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The same head, as the HTTP library reads it.
pub(crate) fn parts(headers: HeaderMap) -> Parts {
    let mut parts = Request::post("/v1/order/new").body(()).unwrap().into_parts().0;
    parts.headers = headers;
    parts
}

/// One client with a call of its own.
pub(crate) type Asked = (Clients, Caller, Read);

fn asked(path: &str, body: &str) -> Asked {
    let clients = Clients::new(1);
    let caller = clients.identify(&with_token(0)).unwrap();
    let read = Catalogue::new().read(path, &with_token(0), body.as_bytes()).unwrap();
    (clients, caller, read)
}

pub(crate) fn order() -> Asked {
    asked("/v1/order/new", ORDER)
}

/// A call that is next to nothing in memory.
pub(crate) fn balances() -> Asked {
    asked("/v1/balances", "")
}

/// A permit, to use up.
pub(crate) fn permit(asked: &Asked) -> Permit {
    let (clients, caller, read) = asked;
    clients.decide(caller, read.clone()).unwrap()
}
