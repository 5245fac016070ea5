//! The clients: what their grants are worth with the keys that they use, until when they may call, and
//! what nothing limits.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Check, KeySeen, State, Topic};
use crate::call::{Operation, Scope};
use crate::clock::UnixMicros;
use crate::config::{Client, Config};
use crate::policy::Mode;

/// What ends sooner is told of.
const SOON_DAYS: u64 = 30;
const DAY: u64 = 24 * 60 * 60;

/// All of a configuration, by what was seen of their keys.
pub(crate) fn clients(config: &Config, seen: &[KeySeen], now: UnixMicros) -> Vec<Check> {
    let mut checks: Vec<Check> =
        config.clients.iter().flat_map(|it| client(config, it, seen, now)).collect();
    checks.extend(seen.iter().filter_map(|it| idle_roles(config, it)));
    checks
}

fn client(config: &Config, client: &Client, seen: &[KeySeen], now: UnixMicros) -> Vec<Check> {
    let subject = format!("client `{}`", client.id);
    let check = |topic, state, line: String| Check::new(topic, &*subject, state, line);
    let mut checks = Vec::new();
    let key = config.keys.get(client.key).map(|it| it.name.as_str()).unwrap_or_default();
    let roles = seen.iter().find(|it| it.key == key).and_then(|it| it.roles.as_ref());
    if let Some(roles) = roles {
        let operations = operations(config, client);
        let lost: Vec<&str> = unserved(client, &operations, roles);
        checks.push(match lost.as_slice() {
            [] => check(Topic::Grant, State::Ok, format!("the key `{key}` can serve all of it")),
            lost => {
                let wanted = wanted(client, &operations, roles).join(" or ");
                let held = roles.join(", ");
                check(
                    Topic::Grant,
                    how_bad(client, lost),
                    format!("the key `{key}` has not the role for {}", lost.join(", ")),
                )
                .with(format!("the key has: {held}; that needs: {wanted}"))
                .fixed_by(format!(
                    "add the role {wanted} to the key, or point the client at one that has it"
                ))
                .fixed_by("or take these scopes from the client")
            }
        });
    }
    checks.extend(ends(client, now).into_iter().map(|(state, line)| {
        check(Topic::Expiry, state, line).fixed_by(format!("geminid client rotate {}", client.id))
    }));
    checks.extend(
        loose(client)
            .into_iter()
            .map(|(line, fix)| check(Topic::Limits, State::Remark, line.to_owned()).fixed_by(fix)),
    );
    checks
}

/// Bundles hold reads that few keys have the role for: without those alone, the client works.
fn how_bad(client: &Client, lost: &[&str]) -> State {
    let private = client.grant.scopes.iter().filter(|it| **it != Scope::MarketRead).count();
    let reads = lost.iter().all(|it| it.ends_with(":read"));
    if reads && lost.len() < private { State::Remark } else { State::Fault }
}

/// The catalogue of the client's upstream.
fn operations<'a>(config: &'a Config, client: &Client) -> Vec<&'a Arc<Operation>> {
    let upstream = config.keys.get(client.key).and_then(|it| config.upstreams.get(it.upstream));
    upstream
        .map_or_else(Vec::new, |it| it.provider.operations().iter().chain(&it.operations).collect())
}

/// Whether a key with these roles may call it, as far as the catalogue knows.
fn is_served(operation: &Operation, roles: &BTreeSet<&str>) -> bool {
    let needed: Vec<&str> = needed(operation).collect();
    let anyone = needed.is_empty() || needed.contains(&"any");
    operation.is_public() || anyone || needed.iter().any(|it| roles.contains(it))
}

/// A question mark says that the exchange's own pages are not sure.
fn needed(operation: &Operation) -> impl Iterator<Item = &str> {
    operation.roles.iter().map(|it| it.trim_end_matches('?'))
}

fn set(roles: &[String]) -> BTreeSet<&str> {
    roles.iter().map(String::as_str).collect()
}

/// The operations of a scope.
fn of_scope<'a>(
    scope: Scope,
    operations: &'a [&Arc<Operation>],
) -> impl Iterator<Item = &'a Operation> {
    operations.iter().filter(move |it| it.scope == Some(scope)).map(|it| &***it)
}

/// The scopes of which no operation could be called, and the operations named beyond them.
fn unserved<'a>(
    client: &'a Client,
    operations: &[&Arc<Operation>],
    roles: &[String],
) -> Vec<&'a str> {
    let roles = set(roles);
    let lost = |scope: &&Scope| {
        let mut all = of_scope(**scope, operations).peekable();
        all.peek().is_some() && !all.any(|it| is_served(it, &roles))
    };
    let scopes = client.grant.scopes.iter().filter(lost).map(|it| it.as_str());
    let named = client.grant.operations.iter().filter(|name| {
        let known = operations.iter().find(|it| it.name.as_str() == name.as_str());
        known.is_some_and(|it| !is_served(it, &roles))
    });
    scopes.chain(named.map(String::as_str)).collect()
}

/// The roles that would serve what is not.
fn wanted<'a>(
    client: &Client,
    operations: &[&'a Arc<Operation>],
    roles: &[String],
) -> Vec<&'a str> {
    let lost = unserved(client, operations, roles);
    let of_lost = |it: &&&Arc<Operation>| {
        let scope = it.scope.map(Scope::as_str);
        scope.is_some_and(|it| lost.contains(&it)) || lost.contains(&it.name.as_str())
    };
    let wanted: BTreeSet<&str> =
        operations.iter().filter(of_lost).flat_map(|it| needed(it)).collect();
    wanted.into_iter().collect()
}

/// Roles of a key without which its clients could change as much.
fn idle_roles(config: &Config, seen: &KeySeen) -> Option<Check> {
    let roles = set(seen.roles.as_ref()?);
    let index = config.keys.iter().position(|it| it.name.as_str() == seen.key)?;
    let users: Vec<&Client> = config.clients.iter().filter(|it| it.key == index).collect();
    let check =
        |line: String| Check::new(Topic::Roles, format!("key `{}`", seen.key), State::Remark, line);
    if users.is_empty() {
        let line = "no client uses it".to_owned();
        return Some(
            check(line).fixed_by("take it out of the configuration, and off the exchange"),
        );
    }
    let granted = |operation: &Operation| {
        users.iter().any(|it| {
            let grant = &it.grant;
            let scoped = operation.scope.is_some_and(|it| grant.scopes.contains(&it));
            scoped || grant.operations.contains(operation.name.as_str())
        })
    };
    let operations = users.first().map(|it| operations(config, it))?;
    // What only reads is no reason for more than an auditor's role.
    let changes = |it: &&&Arc<Operation>| it.effect.mutates() && granted(it);
    let reached: Vec<_> = operations.iter().filter(changes).collect();
    let served = |roles: &BTreeSet<&str>| reached.iter().filter(|it| is_served(it, roles)).count();
    let all = served(&roles);
    let mut kept = roles.clone();
    let mut idle = Vec::new();
    // The most powerful first: of two that do, the lesser stays.
    for role in ["Administrator", "FundManager", "Trader", "Auditor"] {
        let fewer: BTreeSet<&str> = kept.iter().copied().filter(|it| *it != role).collect();
        if kept.contains(role) && !fewer.is_empty() && served(&fewer) == all {
            kept = fewer;
            idle.push(role);
        }
    }
    if idle.is_empty() {
        return None;
    }
    let idle = idle.join(", ");
    Some(check(format!("nothing that a client of it may change needs the role {idle}")).fixed_by(
        format!("Settings → API → the key that ends in {} → take {idle} away", seen.hint),
    ))
}

/// What has ended, or soon will.
fn ends(client: &Client, now: UnixMicros) -> Vec<(State, String)> {
    let own = client.expires.map(|it| (it, "the client".to_owned()));
    let credentials = client
        .credentials
        .iter()
        .filter_map(|it| Some((it.expires?, format!("a credential of it ({})", it.proof.kind()))));
    let told = own.into_iter().chain(credentials).filter_map(|(end, what)| {
        let left = end.secs().saturating_sub(now.secs());
        match left / DAY {
            _ if end <= now => Some((State::Fault, format!("{what} has expired"))),
            days @ 0..SOON_DAYS => Some((State::Remark, format!("{what} expires in {days} days"))),
            SOON_DAYS.. => None,
        }
    });
    told.collect()
}

/// What nothing holds back.
fn loose(client: &Client) -> Vec<(&'static str, &'static str)> {
    let grant = &client.grant;
    let holds = |scope: Scope| grant.scopes.contains(&scope);
    let mut told = Vec::new();
    if grant.mode == Mode::Observe {
        told.push((
            "`observe`: what its scopes and limits would refuse goes on",
            "mode = \"enforce\" once `would_refuse` stays away from the log",
        ));
    }
    if holds(Scope::OrdersCreate) && grant.orders.is_none() {
        told.push((
            "it places orders of any size, in any symbol",
            "add [clients.orders]: `geminid policy suggest` derives it from what was done",
        ));
    }
    let sends = holds(Scope::CryptoSend) || holds(Scope::FiatWithdraw);
    let banks = grant.transfers.as_ref().is_some_and(|it| !it.banks.is_empty());
    if sends && grant.withdrawals.is_empty() && !banks {
        told.push((
            "it has a scope for withdrawals and no destination: every withdrawal is refused",
            "add [[clients.withdrawals]], or take the scope away",
        ));
    }
    if grant.withdrawals.iter().any(|it| it.max_per_day.is_none()) {
        told.push((
            "it may withdraw any amount to a destination",
            "set `max_per_day` of each of its [[clients.withdrawals]]",
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Overrides, ProcessEnvironment};

    const NOW: UnixMicros = UnixMicros::from_secs(1_795_219_200);

    #[track_caller]
    fn check(client: &str, roles: &[&str], expected: &[(Topic, State, &str)]) {
        let text = format!(
            "state = {{ dir = \"/nowhere\" }}\nupstreams = [{{ environment = \"simulator\", url = \"https://127.0.0.1:1\" }}]\n\
             keys = [{{ api_key = \"account-k\", api_secret = {{ value = \"s\" }} }}]\n\
             [[clients]]\ncredential = {{ token_sha256 = \"{}\" }}\n{client}\n",
            "1".repeat(64)
        );
        let (env, over) = (&ProcessEnvironment, Overrides::default());
        let config = config::parse(&text, Path::new("p"), env, &over, UnixMicros::from_secs(1));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let seen = KeySeen {
            key: "default".to_owned(),
            hint: "…k".to_owned(),
            master: false,
            account: None,
            mode: "time".to_owned(),
            unit: "us".to_owned(),
            stopped: None,
            roles: Some(roles.iter().map(|it| (*it).to_owned()).collect()),
            refused: None,
        };
        let checks = clients(&config, &[seen], NOW);
        assert_eq!(checks.len(), expected.len(), "{checks:#?}");
        for (check, (topic, state, line)) in checks.iter().zip(expected) {
            assert_eq!((check.topic, check.state), (*topic, *state), "{check:?}");
            assert!(check.line.contains(line), "{check:?}");
            assert_eq!(check.state == State::Ok, check.fix.is_empty(), "{check:?}");
        }
    }

    const READS: (Topic, State, &str) = (Topic::Grant, State::Remark, "role for predictions");
    const SERVED: (Topic, State, &str) = (Topic::Grant, State::Ok, "can serve all of it");
    const ANY_SIZE: (Topic, State, &str) = (Topic::Limits, State::Remark, "any size");

    #[test]
    fn grants_are_held_against_the_roles_of_the_key() {
        check("scopes = [\"auditor\"]", &["Auditor"], &[READS]);
        let fault = (Topic::Grant, State::Fault, "predictions:orders:read");
        check("scopes = [\"predictions:orders:read\"]", &["Auditor"], &[fault]);
        check("scopes = [\"trader\"]", &["Trader"], &[SERVED, ANY_SIZE]);
        let lost = "orders:cancel, orders:create, predictions";
        let lost = (Topic::Grant, State::Fault, lost);
        check("scopes = [\"trader\"]", &["Auditor"], &[lost, ANY_SIZE]);
        check(
            "operations = [\"create_order\"]",
            &["Auditor"],
            &[(Topic::Grant, State::Fault, "create_order")],
        );
        let idle = (Topic::Roles, State::Remark, "needs the role FundManager");
        check("scopes = [\"trader\"]", &["Trader", "FundManager"], &[SERVED, ANY_SIZE, idle]);
        let idle = (Topic::Roles, State::Remark, "needs the role FundManager, Trader");
        check("scopes = [\"auditor\"]", &["Trader", "FundManager", "Auditor"], &[SERVED, idle]);
    }

    #[test]
    fn what_ends_and_what_nothing_limits_is_told() {
        let auditor = "scopes = [\"auditor\"]\n";
        for (settings, expected) in [
            ("expires = \"2026-11-20T00:00:00Z\"", Some((Topic::Expiry, State::Fault, "expired"))),
            (
                "expires = \"2026-12-01T00:00:00Z\"",
                Some((Topic::Expiry, State::Remark, "in 10 days")),
            ),
            ("expires = \"2027-12-01T00:00:00Z\"", None),
            ("mode = \"observe\"", Some((Topic::Limits, State::Remark, "observe"))),
            ("mode = \"enforce\"", None),
        ] {
            let expected: Vec<_> = std::iter::once(READS).chain(expected).collect();
            check(&format!("{auditor}{settings}"), &["Auditor"], &expected);
        }
        check("scopes = [\"trader\"]\norders = { symbols = [\"btcusd\"] }", &["Trader"], &[SERVED]);
        let nowhere = (Topic::Limits, State::Remark, "no destination");
        check("scopes = [\"send-crypto\"]", &["FundManager"], &[SERVED, nowhere]);
        let bound = "[[clients.withdrawals]]\ncurrency = \"btc\"\naddress = \"bc1q\"\n";
        let any = (Topic::Limits, State::Remark, "any amount");
        check(&format!("scopes = [\"send-crypto\"]\n{bound}"), &["FundManager"], &[SERVED, any]);
        check(
            &format!("scopes = [\"send-crypto\"]\n{bound}max_per_day = \"1\"\n"),
            &["FundManager"],
            &[SERVED],
        );
    }
}
