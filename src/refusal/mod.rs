//! Every way a request can end short of an upstream's answer, and what each is told: one table.
//!
//! 4xx carry `result`, `reason` and `message`, in Gemini's own words where one fits. 5xx carry only
//! `message`, so that the status classes them: libraries take `result: error` as a definite no.
//! 503 is a promise: nothing was sent. 502 and 504 mean: look before repeating.

mod denied;
mod google;
mod spent;

use std::time::Duration;

use http::StatusCode;

use crate::call::{Outcome, StopCause};
use crate::diagnose::{By, Cause, Confidence, DecidedBy, Finding, Fix, Retry};
use crate::egress::{SendError, SendFault, Sent};
use crate::health::Quarantined;
use crate::inbound::{BadHead, Misdirected, Unheard, Unidentified, Unread};
use crate::journal::trail::TrailFault;
use crate::limit::Spent;
use crate::message::Incomplete;
use crate::nonce::Busy;
use crate::policy::Denial;
use crate::provider::Unreadable;

pub(crate) const LOOK_FIRST: &str =
    "ask for the order's status before repeating: it may have been executed";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Misdirected(#[from] Misdirected),
    #[error(transparent)]
    Unidentified(#[from] Unidentified),
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("WebSockets are not served by this build yet")]
    Upgrade,
    #[error("this signed request was seen before, and it changes something")]
    Replay,
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error(transparent)]
    Spent(#[from] Spent),
    #[error(transparent)]
    Quarantined(#[from] Quarantined),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error("no turn for this key within {} s", .0.as_secs())]
    LaneBusy(Duration),
    #[error("the exchange's clock is not known: no answer with a `Date` has come yet")]
    NoClock,
    #[error("how this key counts its nonces is not known: the question was answered {status}")]
    Unlearned { status: u16 },
    #[error(transparent)]
    Audit(#[from] TrailFault),
    #[error("what the call takes of its client's budget cannot be kept: {0}")]
    Budget(String),
    #[error("{fault}")]
    Send { fault: SendError, mutates: bool },
    #[error("the answer is not complete: {why}")]
    Truncated { why: String, outcome: Outcome, mutates: bool },
    #[error("the answer is a redirect, which is never followed")]
    Redirect { mutates: bool },
    #[error("a fault in the proxy")]
    Internal { outcome: Outcome },
}

/// What a refusal is answered with, beside the words of the refusal itself.
#[derive(Clone, Copy, Debug)]
struct Answered {
    status: u16,
    cause: Cause,
    /// Gemini's word; `None` for 5xx.
    reason: Option<&'static str>,
    retry: Retry,
    fix: &'static str,
}

impl Refusal {
    /// The call itself was not sent, because this came before it.
    pub(crate) fn unsent(kind: SendFault) -> Self {
        Self::Send { fault: SendError { sent: Sent::No, kind }, mutates: false }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.answered().status).expect("the table holds valid codes")
    }

    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.answered().reason
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Send { fault: SendError { sent: Sent::Maybe, .. }, .. }
            | Self::Redirect { .. } => Outcome::Unknown,
            Self::Truncated { outcome, .. } | Self::Internal { outcome } => *outcome,
            Self::Misdirected(_)
            | Self::Unidentified(_)
            | Self::Unread(_)
            | Self::Unreadable(_)
            | Self::Upgrade
            | Self::Replay
            | Self::Denied(_)
            | Self::Quarantined(_)
            | Self::Busy(_)
            | Self::LaneBusy(_)
            | Self::NoClock
            | Self::Unlearned { .. }
            | Self::Audit(_)
            | Self::Spent(_)
            | Self::Budget(_)
            | Self::Send { .. } => Outcome::NotSent,
        }
    }

    /// The methods that a path takes, for `Allow`.
    pub(crate) fn allowed(&self) -> Option<String> {
        let Self::Unreadable(Unreadable::Method { allowed, .. }) = self else { return None };
        Some(allowed.join(", "))
    }

    pub(crate) fn finding(&self) -> Finding {
        let Answered { cause, retry, fix, .. } = self.answered();
        let mut words = self.to_string();
        if cause == Cause::WrongGemini {
            words.push_str(google::ADDED);
        }
        Finding {
            cause,
            decided_by: DecidedBy::Proxy,
            confidence: Confidence::Certain,
            line: words.clone(),
            evidence: vec![words],
            // Of a key that is set aside: what would put right the cause that put it there.
            fix: if let Self::Quarantined(it) = self {
                it.fix.clone()
            } else {
                vec![Fix::new(by(cause), fix)]
            },
            resolution: if retry == Retry::AfterFix { "immediate" } else { "by itself" },
            retry,
        }
    }

    fn answered(&self) -> Answered {
        match self {
            Self::Misdirected(it) => misdirected(it),
            Self::Unidentified(it) => unidentified(it),
            Self::Unread(it) => unread(it),
            Self::Unreadable(it) => unreadable(it),
            Self::Upgrade => no(
                403,
                Cause::OperationUnknown,
                "MissingRole",
                "use REST polling, or connect the socket to the exchange directly for public data",
            ),
            Self::Replay => Answered {
                retry: Retry::Never,
                ..no(
                    400,
                    Cause::ClientReplay,
                    "InvalidNonce",
                    "sign anew: a client's nonce may repeat, a whole signed request may not",
                )
            },
            Self::Denied(it) => denied::answered(it),
            Self::Spent(it) => spent::answered(it),
            Self::Quarantined(it) => set_aside(it),
            Self::Busy(it) => busy(it),
            Self::NoClock => clock_untrusted(),
            Self::LaneBusy(_) => not_now(
                Cause::LaneBusy,
                "ask less often with this key, or give heavy readers a key of their own",
            ),
            Self::Unlearned { .. } => not_now(
                Cause::Unexplained,
                "repeat it; if it stays, set the key's `nonce` to \"time\" or \"increasing\"",
            ),
            Self::Audit(_) | Self::Budget(_) => not_before(
                Cause::AuditUnavailable,
                "make room on the state directory's disk, or make it answer: cancels and reads go on",
            ),
            Self::Send { fault, mutates } => send(fault, *mutates),
            Self::Truncated { mutates, .. } => lost(502, Cause::UpstreamTruncated, *mutates),
            Self::Redirect { mutates } => lost(502, Cause::UpstreamRedirect, *mutates),
            Self::Internal { outcome: Outcome::NotSent } => {
                not_now(Cause::Internal, "report it, with the log line of this request")
            }
            Self::Internal { .. } => look(502, Cause::Internal),
        }
    }
}

/// Who can apply the fix: whoever wrote the bot, unless a setting or the machine is at fault.
fn by(cause: Cause) -> By {
    let of_the_bot = matches!(
        cause,
        Cause::ClientUnidentified
            | Cause::ClientAmbiguous
            | Cause::ClientReplay
            | Cause::ClientThrottled
            | Cause::BrowserRequest
            | Cause::RequestMalformed
            | Cause::RequestTooLarge
            | Cause::RequestTimeout
            | Cause::PayloadAmbiguous
            | Cause::PayloadPathMismatch
            | Cause::MethodWrong
            | Cause::OrderUnpriceable
            | Cause::RateBudgetSpent
            | Cause::LaneBusy
            | Cause::UpstreamClosed
            | Cause::UpstreamTimeout
            | Cause::UpstreamTruncated
            | Cause::WrongGemini
    );
    if of_the_bot { By::Bot } else { By::Operator }
}

fn misdirected(it: &Misdirected) -> Answered {
    match it {
        Misdirected::Browser(_) => no(
            403,
            Cause::BrowserRequest,
            "RemoteAddressForbidden",
            "call from a program: no web page has a reason to call this port",
        ),
        Misdirected::Host(_) => no(
            421,
            Cause::HostRefused,
            "RemoteAddressForbidden",
            "call it by a loopback name, or add the name to the upstream's `hosts`",
        ),
        Misdirected::Malformed(_) => malformed(),
        Misdirected::Unheard(it) => unheard(*it),
    }
}

fn unheard(it: Unheard) -> Answered {
    match it {
        Unheard::Bad(BadHead::Malformed(_)) => malformed(),
        Unheard::Bad(BadHead::TooLarge) => {
            no(431, Cause::RequestTooLarge, "InvalidJson", "send fewer or shorter headers")
        }
        Unheard::Bad(BadHead::TargetTooLong) => {
            no(414, Cause::RequestTooLarge, "InvalidJson", "shorten the query")
        }
        Unheard::Slow => not_now(Cause::RequestTimeout, "send the whole head at once"),
        Unheard::Crowded => Answered {
            retry: Retry::After(1),
            ..not_now(
                Cause::TooManyConnections,
                "keep fewer connections open; raise the limit of open files (`ulimit -n`)",
            )
        },
    }
}

fn unidentified(it: &Unidentified) -> Answered {
    match it {
        Unidentified::Missing => no(
            401,
            Cause::ClientUnidentified,
            "InvalidApiKey",
            "send the client's token as `Authorization: Bearer …`, or sign with its stand-in pair",
        ),
        Unidentified::Wrong { .. } => no(
            401,
            Cause::ClientCredentialWrong,
            "InvalidApiKey",
            "compare the bot's credential with the client's entry in proxy.toml",
        ),
        Unidentified::Ambiguous { .. } => no(
            400,
            Cause::ClientAmbiguous,
            "InvalidApiKey",
            "present one credential, and leave placeholder keys and signatures out",
        ),
        Unidentified::Alias { .. } => no(
            400,
            Cause::ClientAmbiguous,
            "InvalidApiKey",
            "write the names of headers with hyphens",
        ),
        Unidentified::InUrl { .. } => no(
            400,
            Cause::RequestMalformed,
            "InvalidJson",
            "send it in a header, and replace it: addresses end up in logs and histories",
        ),
        Unidentified::Throttled { wait } => Answered {
            // Rounded up: who comes then must not be early.
            retry: Retry::After(wait.as_secs().saturating_add(1)),
            ..no(
                429,
                Cause::ClientThrottled,
                "RateLimit",
                "correct the credential and then come back; a valid one is not held up",
            )
        },
        Unidentified::Expired { .. } | Unidentified::Outdated { .. } => {
            no(401, Cause::ClientExpired, "InvalidApiKey", "set a later `expires`, or replace it")
        }
        Unidentified::Address { .. } => no(
            403,
            Cause::ClientAddressRefused,
            "RemoteAddressForbidden",
            "add the address to the client's `from`; a unix socket has none, and needs a client without",
        ),
    }
}

fn unread(it: &Unread) -> Answered {
    match it {
        Unread::Compressed => no(
            415,
            Cause::RequestMalformed,
            "InvalidJson",
            "send the body without `Content-Encoding`",
        ),
        Unread::Incomplete(Incomplete::TooLong { .. }) => {
            no(413, Cause::RequestTooLarge, "InvalidJson", "no call of the exchange needs so much")
        }
        Unread::Incomplete(
            Incomplete::Broken(_) | Incomplete::Trailers | Incomplete::Stalled { .. },
        ) => malformed(),
        Unread::Slow => not_now(Cause::RequestTimeout, "send the body at once, with its length"),
    }
}

fn unreadable(it: &Unreadable) -> Answered {
    match it {
        Unreadable::Unknown { path, .. } if google::is_path(path) => google::answered(),
        Unreadable::Unknown { .. } => no(
            403,
            Cause::OperationUnknown,
            "MissingRole",
            "see `geminid catalog`; name a newer endpoint under `[[operations]]`",
        ),
        Unreadable::Method { .. } => {
            no(405, Cause::MethodWrong, "EndpointNotFound", "use the method that `Allow` names")
        }
        Unreadable::Malformed(_) => malformed(),
        Unreadable::TooLong => {
            no(413, Cause::RequestTooLarge, "InvalidJson", "split the call into smaller ones")
        }
        Unreadable::Ambiguous => no(
            400,
            Cause::PayloadAmbiguous,
            "InvalidJson",
            "send the parameters once, in the body or in `X-GEMINI-PAYLOAD`",
        ),
        Unreadable::PathMismatch { .. } => no(
            400,
            Cause::PayloadPathMismatch,
            "EndpointMismatch",
            "sign the path that is called; a base URL of the bot that ends in a path is the usual cause",
        ),
    }
}

/// In the words in which the exchange last refused the key, so that a library raises what it would have
/// raised. Nothing was sent: it is a 4xx, whatever that was.
fn set_aside(it: &Quarantined) -> Answered {
    let reason = match it.reason.as_deref() {
        Some("InvalidSignature") => Some("InvalidSignature"),
        Some(_) => Some("InvalidApiKey"),
        None => None,
    };
    let status = if (400..500).contains(&it.status) { it.status } else { 403 };
    let (cause, retry) = (Cause::KeyQuarantined, Retry::After(it.seconds()));
    Answered { status, cause, reason, retry, fix: "" }
}

fn busy(it: &Busy) -> Answered {
    match it {
        Busy::Stopped { cause, .. } => Answered {
            retry: Retry::After(30),
            ..not_now(
                stopped(*cause),
                "give every program a key of its own; one trial is made every 30 s",
            )
        },
        Busy::ClockUntrusted { .. } => clock_untrusted(),
        Busy::Ahead { wait, .. } => Answered {
            retry: Retry::After(wait.as_secs().saturating_add(1)),
            ..not_now(
                Cause::ClockUntrusted,
                "wait: the nonces ran ahead, as after many restarts or a clock that was set back",
            )
        },
        Busy::Disk { .. } => not_now(
            Cause::Internal,
            "see that the state directory can be written: a nonce is not used before it is kept",
        ),
        Busy::Damaged { .. } => not_before(
            Cause::NonceStateDamaged,
            "move the key's nonce file, which the log names, out of the state directory, wait 60 s, and start geminid again",
        ),
    }
}

fn clock_untrusted() -> Answered {
    not_now(
        Cause::ClockUntrusted,
        "see that the exchange can be reached, and set this machine's clock by NTP",
    )
}

fn send(fault: &SendError, mutates: bool) -> Answered {
    let status = match (fault.sent, &fault.kind) {
        (Sent::No, _) => 503,
        (Sent::Maybe, SendFault::Timeout(_)) => 504,
        (Sent::Maybe, SendFault::Unreachable(_) | SendFault::Tls(_) | SendFault::Closed(_)) => 502,
    };
    let cause = match (&fault.kind, fault.sent) {
        (SendFault::Tls(_), _) => Cause::UpstreamTls,
        (SendFault::Closed(_), _) => Cause::UpstreamClosed,
        (SendFault::Timeout(_), Sent::Maybe) => Cause::UpstreamTimeout,
        (SendFault::Unreachable(_), _) | (SendFault::Timeout(_), Sent::No) => {
            Cause::UpstreamUnreachable
        }
    };
    match fault.sent {
        Sent::No => not_now(
            cause,
            "nothing was sent: repeat it; see the network between here and the exchange if it stays",
        ),
        Sent::Maybe => lost(status, cause, mutates),
    }
}

fn stopped(cause: StopCause) -> Cause {
    match cause {
        StopCause::KeyShared => Cause::NonceKeyShared,
        StopCause::Unit => Cause::NonceUnit,
    }
}

fn malformed() -> Answered {
    no(
        400,
        Cause::RequestMalformed,
        "InvalidJson",
        "send the request as the exchange documents it; nothing is guessed or normalised here",
    )
}

fn no(status: u16, cause: Cause, reason: &'static str, fix: &'static str) -> Answered {
    Answered { status, cause, reason: Some(reason), retry: Retry::AfterFix, fix }
}

fn not_now(cause: Cause, fix: &'static str) -> Answered {
    Answered { status: 503, cause, reason: None, retry: Retry::Now, fix }
}

/// Somebody must see to it first.
fn not_before(cause: Cause, fix: &'static str) -> Answered {
    Answered { retry: Retry::AfterFix, ..not_now(cause, fix) }
}

/// An answer that did not come, or not whole.
fn lost(status: u16, cause: Cause, mutates: bool) -> Answered {
    let fix = "a read changes nothing: repeat it";
    let read = Answered { retry: Retry::Now, fix, ..look(status, cause) };
    if mutates { look(status, cause) } else { read }
}

fn look(status: u16, cause: Cause) -> Answered {
    Answered { status, cause, reason: None, retry: Retry::LookFirst, fix: LOOK_FIRST }
}

#[cfg(test)]
mod tests;
