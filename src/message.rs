//! Bodies and headers, whichever way they go.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ALT_SVC, CONNECTION, HeaderMap, HeaderName, PROXY_AUTHENTICATE, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use tokio::time::Sleep;

use crate::diagnose::{Headers, quoted};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of what we answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is passed on as it comes: up to `limit` bytes, and no longer than `patience` without
/// any. One that is cut ends in an error, so that nobody takes it for a whole one.
pub(crate) fn stream<B>(body: B, limit: u64, patience: Duration) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Send + Unpin + 'static,
{
    Bounded { body, limit, left: limit, patience, waiting: None }.boxed_unsync()
}

#[derive(Debug)]
struct Bounded<B> {
    body: B,
    limit: u64,
    left: u64,
    patience: Duration,
    /// Runs while nothing comes. A client that does not ask for more stops no clock and starts none.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> http_body::Body for Bounded<B>
where
    B: http_body::Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let patience = self.patience;
            let waiting =
                self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(waiting.as_mut().poll(context));
            return Poll::Ready(Some(Err(Incomplete::Stalled { patience }.into())));
        };
        self.waiting = None;
        let Some(frame) = frame.transpose()? else { return Poll::Ready(None) };
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = self.left.checked_sub(length) else {
            let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
            return Poll::Ready(Some(Err(Incomplete::TooLong { limit }.into())));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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
    #[error("nothing of it came for {} s", .patience.as_secs_f32())]
    Stalled { patience: Duration },
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

/// What an answer's head tells of who made it.
pub(crate) fn told(headers: &HeaderMap) -> Headers {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(quoted(value, 100))
    };
    let named = |name: &str| header(name).map(|it| format!("{name}: {it}"));
    Headers {
        retry_after: header("retry-after").and_then(|it| it.parse().ok()),
        server: header("server"),
        via: header("via"),
        edge_id: named("cf-ray").or_else(|| named("x-amz-cf-id")),
        mitigated: header("cf-mitigated"),
        challenge: header("www-authenticate").or_else(|| header("proxy-authenticate")),
    }
}

/// What belongs to one connection (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what belongs to one connection, and what `Connection` names (RFC 9110, section 7.6.1).
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .filter_map(|it| it.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// What of an upstream's headers a client does not get: it belongs to the connection, to cookies
/// that no bot sends back, or to browsers, which have no business here.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    // Most answers hold none of it: one look at each name instead of a search for each.
    if headers.keys().any(|it| HOP_BY_HOP.contains(it)) {
        strip_hop_by_hop(headers);
    }
    let foreign: Vec<HeaderName> = headers.keys().filter(|it| is_foreign(it)).cloned().collect();
    for name in foreign {
        headers.remove(name);
    }
}

fn is_foreign(name: &HeaderName) -> bool {
    [ALT_SVC, SET_COOKIE, STRICT_TRANSPORT_SECURITY].contains(name)
        || name.as_str().starts_with("access-control-")
        // Ours to say.
        || name.as_str().starts_with("geminid-")
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

    #[tokio::test(start_paused = true)]
    async fn a_streamed_body_that_stops_or_goes_on_for_ever_ends_in_an_error() {
        fn bounded<B>(body: B, limit: u64) -> Bounded<B> {
            let patience = Duration::from_secs(15);
            Bounded { body, limit, left: limit, patience, waiting: None }
        }
        let body = |n: usize| Full::new(Bytes::from(vec![b'x'; n]));
        assert_eq!(bounded(body(10), 10).collect().await.unwrap().to_bytes().len(), 10);
        let fault = bounded(body(11), 10).collect().await.unwrap_err();
        assert_eq!(fault.to_string(), "it is longer than 10 bytes");
        // A byte every 14 s may go on; then none comes.
        let (more, mut next) = tokio::sync::mpsc::channel::<Bytes>(1);
        let source = Paced { next: &mut next };
        let sending = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(14)).await;
                more.send(Bytes::from_static(b"x")).await.unwrap();
            }
        };
        let mut bounded = bounded(source, 10);
        let reading = async {
            let mut n = 0;
            loop {
                match bounded.frame().await.unwrap() {
                    Ok(_) => n += 1,
                    Err(fault) => return (n, fault.to_string()),
                }
            }
        };
        let ((), said) = tokio::join!(sending, reading);
        assert_eq!(said, (3, "nothing of it came for 15 s".to_owned()));
    }

    /// Gives what a channel gives.
    #[derive(Debug)]
    struct Paced<'a> {
        next: &'a mut tokio::sync::mpsc::Receiver<Bytes>,
    }

    impl http_body::Body for Paced<'_> {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.next.poll_recv(context).map(|it| it.map(|it| Ok(Frame::data(it))))
        }
    }

    #[test]
    fn an_answer_keeps_what_is_the_clients() {
        let mut headers = HeaderMap::new();
        let foreign =
            ["alt-svc", "set-cookie", "access-control-allow-origin", "geminid-cause", "upgrade"];
        for name in foreign.into_iter().chain(["date", "x-request-id", "access-control"]) {
            headers.append(name, "1".parse().unwrap());
            headers.append(name, "2".parse().unwrap());
        }
        clean_answer(&mut headers);
        let kept: std::collections::BTreeSet<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(Vec::from_iter(kept), ["access-control", "date", "x-request-id"]);
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
