//! Checks of a set-up, each told in one line with what to do: what `geminid doctor` prints.
//!
//! 1. Nothing is changed: not at the exchange, and here no more than asking a key needs (its nonces go on).
//! 2. What follows from a fault that is told already is not told again; but which keys were not asked for
//!    it is, so that nobody takes silence for health.
//! 3. A rejection is explained by the same rules as a client's.
//! 4. No key and no secret is part of a check; foreign words are bounded.

mod client;
mod file;
mod key;
mod state;
mod upstream;

use serde::Serialize;

pub(crate) use self::client::clients;
pub(crate) use self::file::files;
pub(crate) use self::key::{KeySeen, keys, unasked};
pub(crate) use self::state::{Standing, state};
pub(crate) use self::upstream::upstream;
use crate::call::words;
use crate::config::{Config, Problems};
use crate::diagnose::{Cause, Finding};

words! {
    State {
        Ok = "ok",
        /// Something does not work, or will not.
        Fault = "fault",
        /// It works, and is perhaps not meant.
        Remark = "remark",
    }
}

words! {
    /// What a check is about.
    Topic {
        Configuration = "configuration",
        Permissions = "permissions",
        State = "state",
        Dns = "dns",
        Connection = "connection",
        Tls = "tls",
        Public = "public-data",
        Clock = "clock",
        Egress = "egress-address",
        StatusPage = "status-page",
        Key = "key",
        Nonce = "nonce",
        Roles = "roles",
        Grant = "grant",
        Expiry = "expiry",
        Limits = "limits",
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) topic: Topic,
    /// What it is about, by name.
    pub(crate) subject: String,
    pub(crate) state: State,
    pub(crate) line: String,
    pub(crate) detail: Vec<String>,
    pub(crate) fix: Vec<String>,
    /// The word of `docs/diagnosis.md` that explains it.
    pub(crate) cause: Option<String>,
}

impl Check {
    pub(crate) fn new(
        topic: Topic,
        subject: impl Into<String>,
        state: State,
        line: impl Into<String>,
    ) -> Self {
        let (subject, line) = (subject.into(), line.into());
        Self { topic, subject, state, line, detail: Vec::new(), fix: Vec::new(), cause: None }
    }

    pub(crate) fn fixed_by(mut self, text: impl Into<String>) -> Self {
        self.fix.push(text.into());
        self
    }

    pub(crate) fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail.push(detail.into());
        self
    }

    fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause.code().to_owned());
        self
    }

    /// What the rules made of a rejection.
    fn found(mut self, finding: &Finding) -> Self {
        self.detail.extend(finding.evidence.iter().cloned());
        self.fix.extend(finding.fix.iter().map(|it| it.text.clone()));
        self.because(finding.cause)
    }

    pub(crate) fn is_fault(&self) -> bool {
        self.state == State::Fault
    }

    /// The exit code that it asks for, if it is a fault.
    fn code(&self) -> u8 {
        let by_cause = self.cause.as_deref().and_then(code_of);
        by_cause.unwrap_or(match self.topic {
            Topic::Configuration => CONFIGURATION,
            Topic::Dns | Topic::Connection | Topic::Tls | Topic::Public => UNREACHABLE,
            Topic::Clock => CLOCK,
            Topic::Egress => EGRESS,
            Topic::Key => REJECTED,
            Topic::Permissions
            | Topic::State
            | Topic::StatusPage
            | Topic::Nonce
            | Topic::Roles
            | Topic::Grant
            | Topic::Expiry
            | Topic::Limits => OTHER,
        })
    }
}

const OTHER: u8 = 1;
const CONFIGURATION: u8 = 2;
const REJECTED: u8 = 3;
const EGRESS: u8 = 4;
const CLOCK: u8 = 5;
const UNREACHABLE: u8 = 6;
/// What lies under the others comes first.
const ROOT_FIRST: [u8; 6] = [CONFIGURATION, UNREACHABLE, CLOCK, EGRESS, REJECTED, OTHER];

/// Where the cause tells more than the topic.
fn code_of(cause: &str) -> Option<u8> {
    let cause = Cause::ALL.iter().find(|it| it.code() == cause)?;
    const OF: &[(Cause, u8)] = &[
        (Cause::KeyIpNotTrusted, EGRESS),
        (Cause::EgressAddressUnexpected, EGRESS),
        (Cause::NonceClock, CLOCK),
        (Cause::ClockUntrusted, CLOCK),
        (Cause::UpstreamUnreachable, UNREACHABLE),
        (Cause::UpstreamTls, UNREACHABLE),
        (Cause::UpstreamClosed, UNREACHABLE),
        (Cause::UpstreamTimeout, UNREACHABLE),
        (Cause::NonceStateDamaged, OTHER),
        (Cause::LaneBusy, OTHER),
        (Cause::Internal, OTHER),
    ];
    OF.iter().find(|(it, _)| it == cause).map(|(_, code)| *code)
}

/// The exit code for all of them: nought without a fault, else that of the root.
pub(crate) fn exit_code(checks: &[Check]) -> u8 {
    let codes: Vec<u8> = checks.iter().filter(|it| it.is_fault()).map(Check::code).collect();
    ROOT_FIRST.into_iter().find(|it| codes.contains(it)).unwrap_or(0)
}

/// Whether the upstream of these checks is there to be asked.
pub(crate) fn is_reachable(checks: &[Check]) -> bool {
    !checks.iter().any(|it| it.is_fault() && it.code() == UNREACHABLE)
}

/// A configuration that loads.
pub(crate) fn configuration(config: &Config) -> Vec<Check> {
    let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let origin = config.path.as_ref();
    let origin = origin.map_or_else(|| "the environment".to_owned(), |it| it.display().to_string());
    let parts = [
        count(config.upstreams.len(), "upstream"),
        count(config.keys.len(), "key"),
        count(config.clients.len(), "client"),
    ];
    let subject = "configuration";
    let line = format!("{origin}: {}", parts.join(", "));
    let loads = Check::new(Topic::Configuration, subject, State::Ok, line);
    let warned = config.warnings.iter();
    let warned =
        warned.map(|it| Check::new(Topic::Configuration, subject, State::Remark, it.clone()));
    std::iter::once(loads).chain(warned).collect()
}

/// One that does not.
pub(crate) fn problems(problems: &Problems) -> Vec<Check> {
    let one = |problem: &crate::config::Problem| {
        let place = problem.place.to_string();
        let line = match place.as_str() {
            "" => problem.message.clone(),
            place => format!("{place}: {}", problem.message),
        };
        Check::new(Topic::Configuration, "configuration", State::Fault, line)
            .fixed_by(problem.hint.clone())
    };
    problems.0.iter().map(one).collect()
}

#[derive(Serialize)]
struct Told<'a> {
    check: &'static str,
    subject: &'a str,
    state: &'static str,
    line: &'a str,
    detail: String,
    fix: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

/// All of them for a program.
pub(crate) fn json(checks: &[Check]) -> serde_json::Value {
    let told: Vec<_> = checks
        .iter()
        .map(|it| {
            let Check { topic, subject, state, line, detail, fix, cause } = it;
            Told {
                check: topic.as_str(),
                subject,
                state: state.as_str(),
                line,
                detail: detail.join("\n"),
                fix,
                cause: cause.as_deref(),
            }
        })
        .collect();
    serde_json::json!({ "ok": !checks.iter().any(Check::is_fault), "checks": told })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_decides_how_it_ends() {
        let check = |topic, state| Check::new(topic, "x", state, "y");
        let fault = |topic| check(topic, State::Fault);
        let caused = |cause| fault(Topic::Key).because(cause);
        for (checks, code) in [
            (vec![], 0),
            (vec![check(Topic::Clock, State::Remark), check(Topic::Dns, State::Ok)], 0),
            (vec![fault(Topic::State)], 1),
            (vec![fault(Topic::Grant), fault(Topic::Key)], 3),
            (vec![fault(Topic::Key), fault(Topic::Egress)], 4),
            (vec![fault(Topic::Key), caused(Cause::KeyIpNotTrusted)], 4),
            (vec![fault(Topic::Egress), fault(Topic::Clock)], 5),
            (vec![fault(Topic::Clock), fault(Topic::Tls)], 6),
            (vec![fault(Topic::Tls), fault(Topic::Configuration)], 2),
            (vec![caused(Cause::KeyUnknown)], 3),
            (vec![caused(Cause::NonceStateDamaged)], 1),
            (vec![caused(Cause::UpstreamTimeout)], 6),
        ] {
            assert_eq!(exit_code(&checks), code, "{checks:?}");
            assert_eq!(json(&checks)["ok"], code == 0);
        }
    }
}
