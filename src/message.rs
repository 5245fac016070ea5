//! Bodies and headers, whichever way they go.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap, HeaderName};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of what we answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn stream(body: Incoming) -> Body {
    let boxed = |it: hyper::Error| -> BoxError { Box::new(it) };
    body.map_err(boxed).boxed_unsync()
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Incomplete {
    #[error("it is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("{}", plainly(.0))]
    Broken(BoxError),
    #[error("it has trailers, which nothing here reads")]
    Trailers,
}

/// A library's words for an early end, without where its manual explains it.
fn plainly(fault: &BoxError) -> String {
    let mut words = fault.to_string();
    if let Some(source) = fault.source() {
        words = format!("{words}: {source}");
    }
    words.split(": https://").next().unwrap_or_default().to_owned()
}

/// Reads a body to its end, or to `limit` bytes.
pub(crate) async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, Incomplete>
where
    B: http_body::Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Incomplete::TooLong { limit });
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|it| Incomplete::Broken(Box::new(it)))?;
        let data = frame.into_data().map_err(|_| Incomplete::Trailers)?;
        if whole.len() + data.len() > limit {
            return Err(Incomplete::TooLong { limit });
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Removes what belongs to one connection, and what `Connection` names (RFC 9110, section 7.6.1).
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    const HOP_BY_HOP: [HeaderName; 7] = [
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        http::header::PROXY_AUTHENTICATE,
        http::header::TE,
        http::header::TRAILER,
        http::header::TRANSFER_ENCODING,
        http::header::UPGRADE,
    ];
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .filter_map(|it| it.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// What of an upstream's headers a client does not get: it belongs to the connection, to cookies
/// that no bot sends back, or to browsers, which have no business here.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|it| it.as_str().starts_with("access-control-"))
        .cloned()
        .chain([
            http::header::ALT_SVC,
            http::header::SET_COOKIE,
            http::header::STRICT_TRANSPORT_SECURITY,
        ])
        .collect();
    for name in foreign {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_up_to_the_limit_and_no_further() {
        let body = |n: usize| Full::new(Bytes::from(vec![b'x'; n]));
        assert_eq!(read(body(10), 10).await.unwrap().len(), 10);
        assert!(matches!(read(body(11), 10).await, Err(Incomplete::TooLong { limit: 10 })));
        assert_eq!(read(body(0), 10).await.unwrap().len(), 0);
    }

    #[test]
    fn connection_cannot_name_headers_into_the_upstream() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, "close, x-secret".parse().unwrap());
        headers.insert("x-secret", "1".parse().unwrap());
        headers.insert("keep-alive", "1".parse().unwrap());
        headers.insert("date", "now".parse().unwrap());
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["date"]);
    }
}
