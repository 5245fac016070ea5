//! Recent requests, for whoever has the operator token: one in full, or the last few in brief.

use http::StatusCode;
use serde_json::{Value, json};

use super::Face;
use super::command::Refused;
use crate::nonce::Reading;
use crate::observe::KEPT;

const MOST: usize = 100;
const USUAL: usize = 20;

/// Whether a path is one of these. What stands behind `/requests` is the id, if one is asked after.
pub(super) fn id(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/requests")?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/').filter(|it| !it.is_empty()) }
}

pub(super) fn told(face: &Face, id: &str, query: Option<&str>) -> Result<Value, Refused> {
    let clock = &face.observer.clock;
    let now = Reading { wall: clock.wall(), monotonic: clock.monotonic() };
    if id.is_empty() {
        let last = face.observer.recent.last(asked(query)?, now);
        return Ok(json!({ "requests": last }));
    }
    face.observer.recent.find(id, now).ok_or_else(|| {
        let shown = crate::call::shown(id);
        Refused::new(StatusCode::NOT_FOUND, format!("no request `{shown}` is kept"), KEPT)
    })
}

fn asked(query: Option<&str>) -> Result<usize, Refused> {
    let Some(query) = query else { return Ok(USUAL) };
    let asked = query.strip_prefix("last=").and_then(|it| it.parse().ok());
    asked.filter(|it| *it <= MOST).ok_or_else(|| {
        let error = "the query is not understood";
        Refused::new(StatusCode::BAD_REQUEST, error, format!("use ?last=N, with N up to {MOST}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected) in [
            ("/requests", Some("")),
            ("/requests/01J", Some("01J")),
            ("/requests/", None),
            ("/requestsx", None),
            ("/freeze", None),
        ] {
            assert_eq!(id(path), expected, "{path}");
        }
    }

    #[test]
    fn how_many() {
        for (query, expected) in [
            (None, Some(20)),
            (Some("last=0"), Some(0)),
            (Some("last=100"), Some(100)),
            (Some("last=101"), None),
            (Some("last=-1"), None),
            (Some("last="), None),
            (Some("first=1"), None),
            (Some("last=1&last=2"), None),
        ] {
            assert_eq!(asked(query).ok(), expected, "{query:?}");
        }
    }
}
