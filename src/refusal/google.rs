//! A call that is meant for the other product called Gemini.

use super::{Answered, no};
use crate::diagnose::Cause;

/// What the refusal's own words leave out.
pub(super) const ADDED: &str =
    ": it belongs to Google's Gemini API, and this is the Gemini exchange";

/// Where Google's libraries call, whatever the model (ai.google.dev/api). No path of the exchange begins
/// or ends so.
const BEGINNINGS: &[&str] = &[
    "/v1beta/",
    "/v1beta1/",
    "/v1alpha/",
    "/v1/models",
    "/v1/projects/",
    "/v1/publishers/google/",
    "/v1internal:",
    "/upload/v1beta/",
];
const ENDINGS: &[&str] = &[
    ":generateContent",
    ":streamGenerateContent",
    ":countTokens",
    ":embedContent",
    ":batchEmbedContents",
    ":predict",
];

pub(super) fn is_path(path: &str) -> bool {
    BEGINNINGS.iter().any(|it| path.starts_with(it)) || ENDINGS.iter().any(|it| path.ends_with(it))
}

/// The same status and reason as for any path that the catalogue lacks.
pub(super) fn answered() -> Answered {
    no(
        403,
        Cause::WrongGemini,
        "MissingRole",
        "take geminid's address out of the program's base URL (`GOOGLE_GEMINI_BASE_URL`): call Google's Gemini API at Google",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_paths_are_told_from_the_exchanges() {
        for path in [
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "/v1beta/openai/chat/completions",
            "/v1/models",
            "/v1/models/gemini-2.5-flash:streamGenerateContent",
            "/v1beta1/projects/p/locations/l/publishers/google/models/m:predict",
            "/upload/v1beta/files",
            "/anything:countTokens",
        ] {
            assert!(is_path(path), "{path}");
        }
        for path in ["/v1/mytrades", "/v2/transfers", "/v1/order/new", "/v3/unknown", "/v1/beta/"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
