//! `[[operations]]`: endpoints newer than this release.

use std::sync::Arc;

use toml::Spanned;

use super::upstream::Draft;
use super::{Kind, word};
use crate::call::{
    AccountRule, Effect, Method, Operation, OperationName, Priority, QueryRule, RateClass,
    RetryClass, Scope, Visibility,
};
use crate::config::file;
use crate::config::problem::{Report, Spot};

/// Entries that no upstream has, because something is wrong with them, which is told here.
#[derive(Debug, Default)]
pub(super) struct Loose {
    names: Vec<String>,
    /// Whether there are some whose name could not be read.
    nameless: bool,
}

impl Loose {
    /// Whether a client may mean one of them.
    pub(super) fn may_be(&self, name: &str) -> bool {
        let configured = || Method::ALL.iter().any(|it| name.starts_with(&format!("{it} /")));
        self.names.iter().any(|it| it == name) || (self.nameless && configured())
    }

    fn add(&mut self, table: &file::Operation) {
        match (&table.method, &table.path) {
            (Some(method), Some(path)) => {
                self.names.push(format!("{} {}", method.get_ref(), path.get_ref()));
            }
            (None, _) | (_, None) => self.nameless = true,
        }
    }
}

/// Gives each operation to its upstream.
pub(super) fn check(
    typed: Option<&Spanned<Vec<Spanned<file::Operation>>>>,
    kind: &Kind<'_, file::Upstream>,
    upstreams: &mut [Draft],
    report: &mut Report<'_>,
) -> Loose {
    let mut loose = Loose { nameless: report.is_broken("operations"), ..Loose::default() };
    let tables: &[_] = typed.map_or(&[], |it| it.get_ref());
    let root = Spot::root().part("operations");
    for (index, table) in tables.iter().enumerate() {
        let spot = root.item(index, table);
        let table = table.get_ref();
        let found = kind.find(table.upstream.as_ref(), &spot, "upstream", report);
        let operation = check_one(table, &spot, report);
        let upstream = found.and_then(|index| upstreams.get_mut(index));
        let (Some(operation), Some(upstream)) = (operation, upstream) else {
            loose.add(table);
            continue;
        };
        let same = upstream.known_operations().filter(|it| it.method == operation.method);
        if let Some(other) = same.into_iter().find(|it| overlap(&it.path, &operation.path)) {
            // Else a second entry could ask for less than the first.
            let message = format!("a call could be this or `{}`, which is known", other.name);
            report.problem(&spot.part("path"), message, "remove it");
            loose.add(table);
            continue;
        }
        upstream.operations.push(Arc::new(operation));
    }
    loose
}

fn check_one(table: &file::Operation, spot: &Spot, report: &mut Report<'_>) -> Option<Operation> {
    let file::Operation { upstream: _, method, path, scope } = table;
    for (field, missing, hint) in [
        ("method", method.is_none(), "method = \"GET\" or method = \"POST\""),
        ("path", path.is_none(), "such as path = \"/v1/new/thing/{symbol}\""),
        ("scope", scope.is_none(), "what a client needs for it, such as scope = \"orders:read\""),
    ] {
        if missing {
            report.problem(&spot.part(field), "is missing", hint);
        }
    }
    let method = word(method.as_ref(), spot, "method", Method::ALL, Method::as_str, report);
    let scope = word(scope.as_ref(), spot, "scope", Scope::ALL, Scope::as_str, report);
    let path = path.as_ref()?;
    if !is_path(path.get_ref()) {
        report.problem(
            &spot.field("path", path),
            format!("`{}` is no path of an endpoint", path.get_ref()),
            "such as \"/v1/new/thing/{symbol}\": whole segments in braces, no query",
        );
        return None;
    }
    Some(operation(method?, path.get_ref(), scope?))
}

fn operation(method: Method, path: &str, scope: Scope) -> Operation {
    let reads = scope.as_str().ends_with(":read");
    Operation {
        name: OperationName::new(&format!("{method} {path}")),
        method,
        path: path.to_owned(),
        group: "configured".to_owned(),
        visibility: Visibility::Private,
        roles: Vec::new(),
        oauth_scopes: Vec::new(),
        scope: Some(scope),
        account: match method {
            Method::Get => AccountRule::NotApplicable,
            Method::Post => AccountRule::Inject,
        },
        effect: effect(scope),
        rate: RateClass::Private,
        retry: if reads { RetryClass::Always } else { RetryClass::Never },
        query: QueryRule::Refused,
        priority: priority(scope, reads),
        source: "configuration".to_owned(),
    }
}

/// What a call with this scope changes: money that leaves is judged as such, whatever its path.
fn effect(scope: Scope) -> Effect {
    match scope {
        Scope::CryptoSend => Effect::CryptoWithdrawal,
        Scope::FiatWithdraw => Effect::FiatWithdrawal,
        Scope::TransfersCreate => Effect::Transfer,
        Scope::AddressesCreate => Effect::DepositAddress,
        Scope::StakingCreate => Effect::Stake,
        Scope::AccountsCreate | Scope::AddressesApprove | Scope::BanksCreate => Effect::Admin,
        Scope::ClearingCreate
        | Scope::OrdersCancel
        | Scope::OrdersCreate
        | Scope::PredictionsOrdersWrite
        | Scope::SessionHeartbeat => Effect::Trade,
        Scope::AccountRead
        | Scope::AddressesRead
        | Scope::BalancesRead
        | Scope::BanksRead
        | Scope::ClearingRead
        | Scope::FeesRead
        | Scope::HistoryRead
        | Scope::MarketRead
        | Scope::OrdersRead
        | Scope::PredictionsBalancesRead
        | Scope::PredictionsOrdersRead
        | Scope::PredictionsPositionsRead
        | Scope::StakingRead => Effect::Read,
    }
}

fn priority(scope: Scope, reads: bool) -> Priority {
    if scope == Scope::OrdersCancel {
        Priority::Cancel
    } else if scope == Scope::SessionHeartbeat {
        Priority::Heartbeat
    } else if reads {
        Priority::Read
    } else {
        Priority::Order
    }
}

fn is_path(path: &str) -> bool {
    let literal = |it: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        !it.is_empty() && it != "." && it != ".." && it.bytes().all(fits)
    };
    let segment = |it: &str| match parameter(it) {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
        }
        None => literal(it),
    };
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Whether one path could be meant by both.
fn overlap(left: &str, right: &str) -> bool {
    let (left, right) = (left.split('/'), right.split('/'));
    left.clone().count() == right.clone().count()
        && left.zip(right).all(|(left, right)| {
            left == right || parameter(left).is_some() || parameter(right).is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_whole_segments() {
        for good in ["/v1/new", "/v1/new/{symbol}", "/v1/a.b-c_d~e"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "/", "v1", "/v1/", "/v1//a", "/v1/a?b", "/v1/{a}x", "/v1/{}", "/../a", "/é"]
        {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[test]
    fn overlap_is_what_both_could_mean() {
        assert!(overlap("/v1/withdraw/{currency}", "/v1/withdraw/new"));
        assert!(overlap("/v1/{a}/x", "/v1/y/{b}"));
        assert!(!overlap("/v1/withdraw/{currency}", "/v1/withdraw/a/b"));
        assert!(!overlap("/v1/a", "/v1/b"));
    }
}
