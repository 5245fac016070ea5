//! All facts a rule may use, as plain data. Any of them may be absent; collecting them is somebody
//! else's work.

use crate::call::StopCause;

/// What is known of one rejected call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) status: u16,
    pub(crate) body: Body,
    /// The header `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// The header `Server`.
    pub(crate) server: Option<String>,
    /// What an edge calls this request: `cf-ray`, `x-amz-cf-id`.
    pub(crate) edge_id: Option<String>,
    pub(crate) operation: Option<String>,
    /// The roles that the catalogue names for the operation.
    pub(crate) roles_needed: Vec<String>,
    pub(crate) client: Option<String>,
    /// The key's name in the configuration.
    pub(crate) key: Option<String>,
    /// The end of the key's own text.
    pub(crate) key_hint: Option<String>,
    /// Where requests leave from, if the configuration says so.
    pub(crate) egress: Option<String>,
    pub(crate) nonce: Option<NonceEvidence>,
}

/// What the answer's body is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Body {
    #[default]
    Empty,
    /// A JSON object, with the members that tell something.
    Json {
        reason: Option<String>,
        message: Option<String>,
    },
    /// A page for people.
    Page {
        title: Option<String>,
        code: Option<String>,
    },
    Text(String),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NonceEvidence {
    pub(crate) unit: &'static str,
    pub(crate) n_resigns: u32,
    pub(crate) stopped: Option<StopCause>,
    /// Ours less theirs, in milliseconds.
    pub(crate) skew_millis: Option<i64>,
}

impl Evidence {
    pub(crate) fn reason(&self) -> Option<&str> {
        match &self.body {
            Body::Json { reason, .. } => reason.as_deref(),
            Body::Empty | Body::Page { .. } | Body::Text(_) => None,
        }
    }

    pub(crate) fn message(&self) -> Option<&str> {
        match &self.body {
            Body::Json { message, .. } => message.as_deref(),
            Body::Empty | Body::Page { .. } | Body::Text(_) => None,
        }
    }

    /// The key in words.
    pub(crate) fn key_words(&self) -> String {
        self.key.as_ref().map_or_else(|| "the key".to_owned(), |it| format!("the key `{it}`"))
    }

    /// Where on the exchange's site the key is found.
    pub(crate) fn key_settings(&self) -> String {
        let hint = self.key_hint.as_deref().unwrap_or("…");
        format!("Settings → API → the key that ends in {hint}")
    }
}
