//! The keys: whether the exchange accepts them, with which roles, and how they count their nonces.
//!
//! One question a key, `/v1/roles`, which changes nothing. Whoever owns the lanes asks it: a running proxy,
//! or a doctor that holds the state directory meanwhile. What was seen is plain data, so that it can travel.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Check, State, Topic};
use crate::answer::Received;
use crate::config::Config;
use crate::diagnose::Finding;
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::roster::KeyRing;

/// How long one key may take: all of an upstream's are asked at a time.
const PATIENCE: Duration = Duration::from_secs(12);

/// What asking with a key has shown.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct KeySeen {
    pub(crate) key: String,
    /// The end of the key's own text.
    pub(crate) hint: String,
    pub(crate) master: bool,
    pub(crate) account: Option<String>,
    pub(crate) mode: String,
    pub(crate) unit: String,
    /// Why nothing is sent with it, if its lane is stopped.
    pub(crate) stopped: Option<String>,
    /// `None` if it was not accepted.
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) refused: Option<Explained>,
}

/// Why a key was not accepted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Explained {
    pub(crate) cause: String,
    pub(crate) line: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) fix: Vec<String>,
}

impl From<&Finding> for Explained {
    fn from(finding: &Finding) -> Self {
        Self {
            cause: finding.cause.code().to_owned(),
            line: finding.line.clone(),
            evidence: finding.evidence.clone(),
            fix: finding.fix.iter().map(|it| it.text.clone()).collect(),
        }
    }
}

impl Proxy {
    /// Asks with each of these keys which roles it has, all at a time.
    pub(crate) async fn look_at_keys(
        self: &Arc<Self>,
        rings: impl IntoIterator<Item = Arc<KeyRing>>,
    ) -> Vec<KeySeen> {
        let asked = rings.into_iter().map(|ring| {
            let (this, of) = (Arc::clone(self), Arc::clone(&ring));
            // It goes on by itself: a call in its turn is not given up half-way.
            let asking = self.tasks.spawn("key check", async move { this.ask_roles(&of).await });
            (ring, asking)
        });
        let mut seen = Vec::new();
        for (ring, asking) in asked.collect::<Vec<_>>() {
            let said = tokio::time::timeout(PATIENCE, asking).await;
            let silent = || {
                let line = format!("no answer within {} s", PATIENCE.as_secs());
                Err(Explained {
                    cause: "upstream-timeout".to_owned(),
                    line,
                    evidence: Vec::new(),
                    fix: vec!["ask again; the exchange, or the way to it, is slow".to_owned()],
                })
            };
            let said = said.ok().and_then(Result::ok).unwrap_or_else(silent);
            seen.push(KeySeen::of(&ring, said));
        }
        seen
    }

    async fn ask_roles(self: &Arc<Self>, ring: &Arc<KeyRing>) -> Result<Vec<String>, Explained> {
        let call = self.provider.roles_question(None);
        let received = self.run_errand(ring, call).await;
        let received = received.map_err(|refusal: Refusal| Explained::from(&refusal.finding()))?;
        let call = self.provider.roles_question(None);
        let roles = received.whole().and_then(|body| self.provider.roles(&call, body));
        match roles.filter(|_| received.answer.status.is_success()) {
            Some(roles) => Ok(roles),
            None => Err(explained(&received)),
        }
    }
}

fn explained(received: &Received) -> Explained {
    if let Some((diagnosis, _)) = received.diagnosis() {
        return (&diagnosis.finding).into();
    }
    let status = received.answer.status.as_u16();
    Explained {
        cause: "unexplained".to_owned(),
        line: format!("the exchange answered {status}, and no roles"),
        evidence: Vec::new(),
        fix: vec!["ask again; look at https://status.gemini.com".to_owned()],
    }
}

impl KeySeen {
    fn of(ring: &KeyRing, said: Result<Vec<String>, Explained>) -> Self {
        let credential = ring.key.credential();
        let view = ring.lane.as_ref().ok().map(|it| it.view());
        let (roles, refused) = match said {
            Ok(roles) => (Some(roles), None),
            Err(explained) => (None, Some(explained)),
        };
        Self {
            key: ring.name().to_string(),
            hint: credential.hint(),
            master: credential.is_master(),
            account: ring.key.account.clone(),
            mode: view.map_or("unknown", |it| it.mode.as_str()).to_owned(),
            unit: view.map_or("unknown", |it| it.unit.as_str()).to_owned(),
            stopped: view.and_then(|it| it.stopped).map(|it| it.as_str().to_owned()),
            roles,
            refused,
        }
    }
}

/// The keys that were not asked at all: a fault that is told by now stood in the way.
pub(crate) fn unasked(config: &Config, seen: &[KeySeen]) -> Option<Check> {
    let is_seen = |name: &str| seen.iter().any(|it| it.key == name);
    let names: Vec<String> = config
        .keys
        .iter()
        .filter(|it| !is_seen(it.name.as_str()))
        .map(|it| format!("`{}`", it.name))
        .collect();
    let line = format!("not asked, for the fault above: {}", names.join(", "));
    (!names.is_empty()).then(|| {
        Check::new(Topic::Key, "keys", State::Remark, line)
            .fixed_by("mend that, and run `geminid doctor` again")
    })
}

/// What was seen of each key.
pub(crate) fn keys(seen: &[KeySeen]) -> Vec<Check> {
    seen.iter().flat_map(key).collect()
}

fn key(seen: &KeySeen) -> Vec<Check> {
    let KeySeen { key, hint, master, account, mode, unit, stopped, roles, refused } = seen;
    let subject = format!("key `{key}`");
    let check = |topic, state, line: String| Check::new(topic, &*subject, state, line);
    let mut checks = Vec::new();
    match (roles, refused) {
        (Some(roles), _) => {
            let kind = if *master { "a master key" } else { "an account's key" };
            let default = account.as_ref().filter(|_| *master);
            let default = default.map_or_else(String::new, |it| format!(", for `{it}` by default"));
            let roles = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
            let line = format!(
                "accepted, and so is the address: {kind} that ends in {hint}{default}, with {roles}"
            );
            checks.push(check(Topic::Key, State::Ok, line));
        }
        (None, Some(Explained { cause, line, evidence, fix })) => checks.push(Check {
            detail: evidence.clone(),
            fix: fix.clone(),
            cause: Some(cause.clone()),
            ..check(Topic::Key, State::Fault, format!("not accepted: {line}"))
        }),
        (None, None) => {}
    }
    if *master && account.is_none() {
        let line = "a master key without `account`: clients must name one in every call";
        checks.push(check(Topic::Key, State::Remark, line.to_owned()).fixed_by(format!(
            "set `account` of [[keys]] `{key}` to the sub-account that is meant"
        )));
    }
    if let Some(why) = stopped {
        checks.push(
            check(Topic::Nonce, State::Fault, format!("its lane is stopped: {why}"))
                .fixed_by("let one proxy alone use the key, or give each a key of its own"),
        );
    } else if roles.is_some() {
        let line = format!("nonces count as `{mode}`, in {unit}");
        checks.push(check(Topic::Nonce, State::Ok, line));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> KeySeen {
        KeySeen {
            key: "trading".to_owned(),
            hint: "…7Qf2".to_owned(),
            master: false,
            account: None,
            mode: "time".to_owned(),
            unit: "us".to_owned(),
            stopped: None,
            roles: Some(vec!["Trader".to_owned()]),
            refused: None,
        }
    }

    #[track_caller]
    fn check(seen: &KeySeen, expected: &[(State, &str)]) {
        // As it travels from a running proxy.
        let text = serde_json::to_string(seen).unwrap();
        let checks = key(&serde_json::from_str(&text).unwrap());
        assert_eq!(checks.len(), expected.len(), "{checks:?}");
        for (check, (state, line)) in checks.iter().zip(expected) {
            assert_eq!(check.state, *state, "{check:?}");
            assert!(check.line.contains(line), "{check:?}");
            assert_eq!(check.state == State::Ok, check.fix.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn a_key_is_accepted_or_explained() {
        check(&seen(), &[(State::Ok, "…7Qf2, with Trader"), (State::Ok, "`time`, in us")]);
        let master = KeySeen { master: true, roles: Some(Vec::new()), ..seen() };
        check(
            &master,
            &[(State::Ok, "no role"), (State::Remark, "without `account`"), (State::Ok, "time")],
        );
        let explained = Explained {
            cause: "key-unknown".to_owned(),
            line: "not known".to_owned(),
            evidence: vec!["x".to_owned()],
            fix: vec!["y".to_owned()],
        };
        let refused = KeySeen { roles: None, refused: Some(explained), ..seen() };
        check(&refused, &[(State::Fault, "not accepted: not known")]);
        let stopped = KeySeen { stopped: Some("nonce-key-shared".to_owned()), ..refused };
        check(&stopped, &[(State::Fault, "not accepted"), (State::Fault, "stopped")]);
    }
}
