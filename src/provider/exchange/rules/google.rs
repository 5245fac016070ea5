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
];

/// Google's own shape: an object under `error` with a `status`, alone or in an array.
pub(super) fn error(evidence: &Evidence) -> Option<Finding> {
    let status = match &evidence.body {
        Body::Json(said) => said.google_status.as_deref().filter(|it| STATUSES.contains(it)),
        Body::Text(text) => in_array(text),
        Body::Empty | Body::Page { .. } => None,
    }?;
    Some(
        mistaken(Confidence::Certain)
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
    let array = text.starts_with('[') && text.contains("\"error\"") && text.contains("\"status\"");
    STATUSES.iter().find(|it| array && text.contains(**it)).copied()
}
