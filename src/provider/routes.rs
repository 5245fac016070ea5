//! Which operation a method and a path lead to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::call::{Method, Operation};

/// Finds operations by method and path. Exact: case, slashes and all.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Paths without parameters.
    literal: HashMap<String, Vec<Arc<Operation>>>,
    /// The others, by the number of their segments.
    patterns: HashMap<usize, Vec<Arc<Operation>>>,
}

/// What a method and a path lead to.
#[derive(Debug)]
pub(crate) enum Route {
    Found(Arc<Operation>),
    /// The path exists with other methods.
    Method(Vec<Method>),
    Unknown,
}

impl Routes {
    pub(crate) fn new<'a>(operations: impl IntoIterator<Item = &'a Arc<Operation>>) -> Self {
        let mut routes = Self::default();
        for operation in operations.into_iter().filter(|it| it.path.starts_with('/')) {
            let found = if operation.path.contains('{') {
                routes.patterns.entry(segments(&operation.path).count()).or_default()
            } else {
                routes.literal.entry(operation.path.clone()).or_default()
            };
            found.push(Arc::clone(operation));
        }
        // The more literal a template, the sooner it is tried: `/v1/deposit/{n}/newAddress`
        // before a template whose last segment is free.
        for group in routes.patterns.values_mut() {
            group.sort_by_key(|it| it.path.matches('{').count());
        }
        routes
    }

    /// A literal path wins over a template, as `events/upcoming` must over `events/{eventTicker}`.
    pub(crate) fn find(&self, method: &str, path: &str) -> Route {
        let literal = self.literal.get(path).into_iter().flatten();
        let group = self.patterns.get(&segments(path).count()).into_iter().flatten();
        let fitting = literal.chain(group.filter(|it| fits(&it.path, path)));
        let mut methods = Vec::new();
        for operation in fitting {
            if operation.method.as_str() == method {
                return Route::Found(Arc::clone(operation));
            }
            methods.push(operation.method);
        }
        if methods.is_empty() { Route::Unknown } else { Route::Method(methods) }
    }
}

/// The value of `{name}` in `path`, if `template` has it.
pub(crate) fn parameter<'path>(template: &str, name: &str, path: &'path str) -> Option<&'path str> {
    let wanted = |it: &str| it.strip_prefix('{').and_then(|it| it.strip_suffix('}')) == Some(name);
    segments(template).zip(segments(path)).find_map(|(ours, theirs)| wanted(ours).then_some(theirs))
}

fn fits(template: &str, path: &str) -> bool {
    let mut pairs = segments(template).zip(segments(path));
    pairs.all(|(ours, theirs)| ours == theirs || ours.starts_with('{') && !theirs.is_empty())
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;

    #[track_caller]
    fn check(method: &str, path: &str, expected: &str) {
        let routes = Routes::new(provider::ALL.iter().flat_map(|it| it.operations()));
        let found = match routes.find(method, path) {
            Route::Found(operation) => operation.name.to_string(),
            Route::Method(methods) => format!("use {methods:?}"),
            Route::Unknown => "unknown".to_owned(),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn paths_match_exactly() {
        check("POST", "/v1/order/new", "create_order");
        check("GET", "/v1/order/new", "use [Post]");
        check("post", "/v1/order/new", "use [Post]");
        check("POST", "/v1/order/new/", "unknown");
        check("POST", "/V1/order/new", "unknown");
        check("POST", "//v1/order/new", "unknown");
        check("POST", "/v1/deposit/bitcoin/newAddress", "create_deposit_address");
        check("POST", "/v1/deposit/bitcoin/newaddress", "unknown");
        check("POST", "/v1/deposit//newAddress", "unknown");
        check("GET", "/v1/pubticker/btcusd", "get_ticker_v1");
        check("GET", "/auth", "unknown");
        check("GET", "/v3/symbols", "unknown");
    }

    #[test]
    fn the_literal_wins_over_the_template() {
        check("GET", "/v1/prediction-markets/events/upcoming", "list_upcoming_prediction_events");
        check("GET", "/v1/prediction-markets/events/X1", "get_prediction_event");
        check("POST", "/v1/withdraw/usd", "mcp_fiat_withdraw");
        check("POST", "/v1/withdraw/btc", "withdraw_crypto_v1");
        check("POST", "/v1/staking/rates", "mcp_staking_rates");
        check("GET", "/v1/staking/rates", "list_staking_rates");
        check("POST", "/v1/account/transfer", "mcp_internal_transfer");
        check("POST", "/v1/account/transfer/btc", "transfer_between_accounts");
    }

    #[test]
    fn parameters_are_found_by_name() {
        let template = "/v2/withdraw/{network}/{ticker}";
        assert_eq!(parameter(template, "ticker", "/v2/withdraw/ethereum/usdc"), Some("usdc"));
        assert_eq!(parameter(template, "currency", "/v2/withdraw/ethereum/usdc"), None);
    }
}
