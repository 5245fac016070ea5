//! What the exchange says, and how it says no.
//!
//! 1. A rejection is `{"result":"error","reason":…,"message":…}`, but for the few places where the
//!    real one is known to use plain text or another shape.
//! 2. The texts are those of Gemini's documentation, or those that its users quote.
//! 3. What an edge or a network says instead has a name: `refusals`.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use serde_json::Value;
use serde_json::json;

/// What a call of the catalogue comes to.
pub(crate) type Answer = Result<Content, Rejection>;

#[derive(Debug)]
pub(crate) enum Content {
    Json(Value),
    /// A spreadsheet. Its content is of no interest, its type is.
    Sheet,
}

/// The exchange says no.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    pub(crate) reason: String,
    message: String,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Envelope,
    Text,
    /// `{"errorMessage":…}`, of `/v2/networks/{network}/assets`.
    ErrorMessage,
    /// `{"error":…,"message":…}`, of prediction markets.
    Error,
}

impl Rejection {
    pub(crate) fn new(status: u16, reason: &str, message: impl Into<String>) -> Self {
        let (reason, message) = (reason.to_owned(), message.into());
        Self { status, reason, message, shape: Shape::Envelope }
    }

    /// Most are a 400.
    pub(crate) fn bad(reason: &str, message: impl Into<String>) -> Self {
        Self::new(400, reason, message)
    }

    pub(crate) fn text(status: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { shape: Shape::Text, ..Self::new(status, reason, message) }
    }

    pub(crate) fn error_message(message: impl Into<String>) -> Self {
        Self { shape: Shape::ErrorMessage, ..Self::new(400, "errorMessage", message) }
    }

    pub(crate) fn prediction(status: u16, error: &str, message: impl Into<String>) -> Self {
        Self { shape: Shape::Error, ..Self::new(status, error, message) }
    }

    pub(crate) fn unsupported_symbol(symbol: &str) -> Self {
        Self::bad("InvalidSymbol", format!("Received unsupported symbol '{symbol}'"))
    }

    fn reply(self) -> Reply {
        let Self { status, reason, message, shape } = self;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        match shape {
            Shape::Text => Reply::text(status, message),
            Shape::Envelope => Reply::json(
                status,
                &json!({ "result": "error", "reason": reason, "message": message }),
            ),
            Shape::ErrorMessage => Reply::json(status, &json!({ "errorMessage": message })),
            Shape::Error => Reply::json(status, &json!({ "error": reason, "message": message })),
        }
    }
}

/// A response, but for its `Date`.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::of(status, "application/json", value.to_string())
    }

    pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::of(status, "text/plain; charset=UTF-8", text)
    }

    pub(crate) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self { status, headers, body: body.into() }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
        match answer {
            Ok(Content::Json(value)) => Self::json(StatusCode::OK, &value),
            Ok(Content::Sheet) => Self::of(StatusCode::OK, SHEET, &b"PK\x05\x06 no rows"[..]),
            Err(rejection) => rejection.reply(),
        }
    }
}

pub(crate) fn maintenance() -> Reply {
    let message = "The Gemini Exchange is currently undergoing maintenance. Please check \
         https://status.gemini.com/ for more information.";
    Rejection::new(503, "Maintenance", message).reply()
}

pub(crate) fn rate_limited() -> Reply {
    Rejection::new(429, "Too Many Requests", "Too Many Requests").reply()
}
