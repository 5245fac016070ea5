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
    templates: HashMap<usize, Vec<Template>>,
}

/// An operation whose path has parameters.
#[derive(Debug)]
struct Template {
    /// The path up to its first parameter. Few templates share it: a look at it settles most.
    lead: String,
    operation: Arc<Operation>,
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
            let (path, operation) = (&operation.path, Arc::clone(operation));
            if let Some((lead, _)) = path.split_once('{') {
                let group = routes.templates.entry(segments(path).count()).or_default();
                group.push(Template { lead: lead.to_owned(), operation });
            } else {
                routes.literal.entry(path.clone()).or_default().push(operation);
            }
        }
        // The more literal a template, the sooner it is tried: `/v1/deposit/{n}/newAddress`
        // before a template whose last segment is free.
        for group in routes.templates.values_mut() {
            group.sort_by_key(|it| it.operation.path.matches('{').count());
        }
        routes
    }

    /// A literal path wins over a template, as `events/upcoming` must over `events/{eventTicker}`.
    pub(crate) fn find(&self, method: &str, path: &str) -> Route {
        let literal = self.literal.get(path).into_iter().flatten();
        let group = self.templates.get(&segments(path).count()).into_iter().flatten();
        let fitting = literal.chain(group.filter(|it| it.fits(path)).map(|it| &it.operation));
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

impl Template {
    /// Whether it has `path`, which has as many segments.
    fn fits(&self, path: &str) -> bool {
        let mut pairs = segments(&self.operation.path).zip(segments(path));
        let fit = |(ours, theirs): (&str, &str)| {
            ours == theirs || ours.starts_with('{') && !theirs.is_empty()
        };
        path.starts_with(&self.lead) && pairs.all(fit)
    }
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

    /// Each operation at a path of its own, and nothing beside it.
    #[test]
    fn every_template_leads_to_its_operation() {
        let all = || provider::ALL.iter().flat_map(|it| it.operations());
        for operation in all().filter(|it| it.path.contains('{')) {
            let filled: Vec<_> = segments(&operation.path)
                .map(|it| if it.starts_with('{') { "x1" } else { it })
                .collect();
            let (method, path) = (operation.method.as_str(), filled.join("/"));
            // Two templates may differ in a parameter's name alone: the first of them has the path.
            let shape = |it: &str| segments(it).map(|it| it.starts_with('{')).collect::<Vec<_>>();
            let first = all().find(|it| {
                let same = shape(&it.path) == shape(&operation.path)
                    && segments(&it.path).zip(&filled).all(|(a, b)| a.starts_with('{') || a == *b);
                it.method == operation.method && same
            });
            check(method, &path, first.unwrap().name.as_str());
            check(method, &path.replacen("/v", "/w", 1), "unknown");
            check(method, &format!("{path}/x"), "unknown");
        }
    }

    #[test]
    fn parameters_are_found_by_name() {
        let template = "/v2/withdraw/{network}/{ticker}";
        assert_eq!(parameter(template, "ticker", "/v2/withdraw/ethereum/usdc"), Some("usdc"));
        assert_eq!(parameter(template, "currency", "/v2/withdraw/ethereum/usdc"), None);
    }
}
