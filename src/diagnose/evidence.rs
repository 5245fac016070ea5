//! All facts a rule may use, as plain data. Any of them may be absent; collecting them is somebody
//! else's work.

use core::net::IpAddr;
use std::time::Duration;

use super::Cause;
use crate::call::{StopCause, words};

/// For the name and the end of a key of which only the kind is known.
pub(crate) const UNKNOWN: &str = "…";

/// What is known of one rejected call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Headers,
    /// Whether it refuses the upgrade to a WebSocket.
    pub(crate) upgrade: bool,
    /// Which of the upstream's installations it came from: `production`, `sandbox`, `simulator`.
    pub(crate) environment: Option<&'static str>,
    pub(crate) operation: Option<String>,
    /// The roles that the catalogue names for the operation.
    pub(crate) roles_needed: Vec<String>,
    pub(crate) client: Option<String>,
    pub(crate) key: Option<KeyEvidence>,
    pub(crate) nonce: Option<NonceEvidence>,
    /// Ours less theirs, in milliseconds.
    pub(crate) skew_millis: Option<i64>,
    pub(crate) egress: EgressEvidence,
    pub(crate) past: Past,
    /// What changed in the last minutes, the latest first.
    pub(crate) changes: Vec<Change>,
    pub(crate) status_page: Option<StatusPage>,
    pub(crate) probe: Probe,
}

/// What an answer's head tells of who made it. Foreign text, bounded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) server: Option<String>,
    pub(crate) via: Option<String>,
    /// What an edge calls this request, as `name: value`: `cf-ray`, `x-amz-cf-id`.
    pub(crate) edge_id: Option<String>,
    /// `cf-mitigated`, which says what Cloudflare did.
    pub(crate) mitigated: Option<String>,
    /// `WWW-Authenticate` or `Proxy-Authenticate`.
    pub(crate) challenge: Option<String>,
}

/// What the answer's body is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Body {
    #[default]
    Empty,
    /// A JSON object.
    Json(Said),
    /// A page for people.
    Page {
        title: Option<String>,
        code: Option<String>,
        /// The words of the page, without its marks, bounded.
        words: String,
    },
    Text(String),
}

/// The members of a JSON object that tell something, as text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    /// `error`, where it is a text; of an object in it, its `message`.
    pub(crate) error: Option<String>,
    /// `code`, a text or a number.
    pub(crate) code: Option<String>,
    /// Of an object under `error`, as Google answers: its `status`.
    pub(crate) google_status: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct KeyEvidence {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// The end of the key's own text.
    pub(crate) hint: String,
    /// Whether it speaks for a group of accounts.
    pub(crate) master: bool,
    /// Whether its text begins like none of the upstream's keys.
    pub(crate) odd: bool,
    /// The sub-account that it means when the client names none.
    pub(crate) account: Option<String>,
    /// The roles that the exchange last named for it, and how long ago.
    pub(crate) roles: Option<(Vec<String>, Duration)>,
    pub(crate) secret: SecretFile,
}

/// What reading the key's secret once more said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum SecretFile {
    /// It was not asked, or has no file.
    #[default]
    NotAsked,
    Same,
    /// The file holds another secret, which the next call is signed with.
    TakenUp,
    /// The file holds another key: a restart takes it up.
    OtherKey,
    Unreadable(String),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NonceEvidence {
    pub(crate) mode: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) n_resigns: u32,
    pub(crate) stopped: Option<StopCause>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct EgressEvidence {
    /// What this machine sends from: its own address, which a router may replace by another.
    pub(crate) local: Option<IpAddr>,
    /// What an outside service saw, if one is configured.
    pub(crate) seen: Option<IpAddr>,
    /// The addresses in the keys' lists, as configured.
    pub(crate) expected: Vec<IpAddr>,
}

/// What worked in the last minutes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// Any signed call with the same key.
    pub(crate) key: Lately,
    /// The same operation with the same key.
    pub(crate) operation: Lately,
    /// Any answer of the exchange's own to this machine.
    pub(crate) address: Lately,
    /// Signed calls with other keys of the same upstream, by the key's name.
    pub(crate) others: Vec<(String, Lately)>,
}

/// The last success and the present row of rejections.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lately {
    /// How long ago it last worked.
    pub(crate) worked: Option<Duration>,
    /// How many rejections since then, this one left out.
    pub(crate) n_refused: u32,
    /// What the last of them was for, and how long ago the first was.
    pub(crate) refused: Option<(Cause, Duration)>,
}

/// Something that was changed here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) what: ChangeKind,
    pub(crate) ago: Duration,
    /// One line of ours: `policy 1a2b… → 3c4d…`.
    pub(crate) detail: String,
}

words! {
    ChangeKind {
        /// geminid was started.
        Start = "start",
        /// The clients of the configuration were taken up anew.
        Reload = "reload",
        /// A key's secret was taken up anew.
        Secret = "secret",
        /// The address that requests leave from.
        Egress = "egress",
    }
}

/// What the exchange's page of incidents says, where one is configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StatusPage {
    /// `none`, `minor`, `major`, `critical`, as Statuspage has them.
    pub(crate) indicator: String,
    pub(crate) description: String,
}

/// Answers to questions that were asked after the rejection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    /// `/v1/roles` with the same key.
    pub(crate) roles: Option<Asked>,
    /// Public data from the same address.
    pub(crate) public: Option<Asked>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// The exchange's API answered it; of a question for roles, with these.
    Answered { roles: Vec<String> },
    /// It was rejected: status and reason.
    Rejected { status: u16, reason: Option<String> },
    /// No answer came.
    Silent { why: String },
}

impl Evidence {
    pub(crate) fn said(&self) -> Option<&Said> {
        match &self.body {
            Body::Json(said) => Some(said),
            Body::Empty | Body::Page { .. } | Body::Text(_) => None,
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.said()?.reason.as_deref()
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.said()?.message.as_deref()
    }

    /// Whether `reason`, `error` or `code` is one of these words; which.
    pub(crate) fn word(&self, words: &[&'static str]) -> Option<&'static str> {
        let Said { reason, error, code, .. } = self.said()?;
        let said = [reason, error, code];
        let is_said = |word: &&&str| said.iter().any(|it| it.as_deref() == Some(**word));
        words.iter().find(is_said).copied()
    }

    /// All that a person would read in the body, in lower case.
    pub(crate) fn text(&self) -> String {
        let parts = match &self.body {
            Body::Empty => Vec::new(),
            Body::Json(Said { message, error, .. }) => vec![message.as_deref(), error.as_deref()],
            Body::Page { title, words, .. } => vec![title.as_deref(), Some(words.as_str())],
            Body::Text(text) => vec![Some(text.as_str())],
        };
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        parts.join(" ").to_ascii_lowercase()
    }

    /// The key in words.
    pub(crate) fn key_words(&self) -> String {
        let name = self.key.as_ref().map(|it| it.name.as_str()).filter(|it| *it != UNKNOWN);
        name.map_or_else(|| "the key".to_owned(), |it| format!("the key `{it}`"))
    }

    /// Where on the exchange's site the key is found.
    pub(crate) fn key_settings(&self) -> String {
        let hint = self.key.as_ref().map(|it| it.hint.as_str());
        match hint.filter(|it| *it != UNKNOWN) {
            Some(hint) => format!("Settings → API → the key that ends in {hint}"),
            None => "Settings → API → the key".to_owned(),
        }
    }

    pub(crate) fn operation_words(&self) -> &str {
        self.operation.as_deref().unwrap_or("the call")
    }

    pub(crate) fn is_master(&self) -> bool {
        self.key.as_ref().is_some_and(|it| it.master)
    }

    /// Whether a key with these roles lacks what the operation needs; `None` where the catalogue is not
    /// sure of it. One of several roles is enough.
    pub(crate) fn lacks_role(&self, held: &[String]) -> Option<bool> {
        // A `?` marks what is inferred, and with `any` every key will do.
        let sure = self.roles_needed.iter().all(|it| !it.ends_with('?') && it != "any");
        let known = sure && !self.roles_needed.is_empty();
        let has = |it: &String| held.iter().any(|role| role.eq_ignore_ascii_case(it));
        known.then(|| !self.roles_needed.iter().any(has))
    }

    /// Where requests leave from, as far as that is known.
    pub(crate) fn leaves_from(&self) -> Option<IpAddr> {
        self.egress.seen.or(self.egress.local)
    }

    /// The address that the upstream sees, in words. One behind a router is not known here.
    pub(crate) fn address_words(&self) -> String {
        match (self.egress.seen, self.egress.local) {
            (Some(ip), _) => ip.to_string(),
            (None, Some(ip)) if !is_inside(ip) => ip.to_string(),
            (None, _) => "this machine's public address".to_owned(),
        }
    }

    /// Public data of the upstream, for a person's look.
    pub(crate) fn public_page(&self) -> &'static str {
        if self.environment == Some("sandbox") {
            "https://api.sandbox.gemini.com/v1/symbols"
        } else {
            "https://api.gemini.com/v1/symbols"
        }
    }
}

/// Whether an address means something only inside a network, so that the upstream sees another.
pub(crate) fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(it) => {
            // 100.64.0.0/10 is what providers put between (RFC 6598).
            let [first, second, ..] = it.octets();
            it.is_private() || it.is_link_local() || first == 100 && (64..128).contains(&second)
        }
        IpAddr::V6(it) => it.is_unique_local() || it.is_unicast_link_local(),
    }
}
