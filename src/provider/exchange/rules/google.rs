//! The other product called Gemini: what Google's API answers.

use crate::diagnose::{Body, By, Cause, Confidence, Evidence, Finding};

/// The names of google.rpc.Code that come with an error.
const STATUSES: &[&str] = &[
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "INTERNAL",
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "UNKNOWN",
];

/// Google's own shape: an object under `error` with a `status`, alone or in an array.
pub(super) fn error(evidence: &Evidence) -> Option<Finding> {
    let (status, confidence) = match &evidence.body {
        Body::Json(said) => (said.google_status.as_deref(), Confidence::Certain),
        // Read as a text, in which it may be somebody else's word.
        Body::Text(text) => (in_array(text), Confidence::Likely),
        Body::Empty | Body::Page { .. } => return None,
    };
    let status = status.filter(|it| STATUSES.contains(it))?;
    Some(
        mistaken(confidence)
            .fact(format!("the answer has Google's own shape, with status {status}")),
    )
}

/// The page of Google's front end.
pub(super) fn page(evidence: &Evidence) -> Option<Finding> {
    let Body::Page { title, .. } = &evidence.body else { return None };
    let text = evidence.text();
    let own = text.contains(")!!1") || text.contains("sending automated queries");
    own.then(|| {
        mistaken(Confidence::Likely)
            .fact(format!("status {}, and a page of Google's front end", evidence.status))
            .facts(title.as_ref().map(|it| format!("the page's title: {it:?}")))
    })
}

fn mistaken(confidence: Confidence) -> Finding {
    Finding::of(Cause::WrongGemini, "Google's Gemini API answered, not the Gemini exchange")
        .with(confidence)
        .fix(
            By::Operator,
            "see where `url` leads: this proxy speaks to the Gemini exchange, api.gemini.com",
        )
        .fix(By::Bot, "call Google's Gemini API at Google, with a key of Google's")
        .takes("minutes")
}

/// A streamed call and the shape for OpenAI's clients answer with the object in an array.
fn in_array(text: &str) -> Option<&'static str> {
    let packed: String = text.split_ascii_whitespace().collect();
    let array = packed.starts_with("[{\"error\":{");
    let named = |it: &&&str| packed.contains(&format!("\"status\":\"{it}\""));
    STATUSES.iter().filter(|_| array).find(named).copied()
}
