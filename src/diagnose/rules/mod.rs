//! Rules that are true of any upstream: of what stands between, and of what nobody can explain.

mod between;
mod edge;
mod page;
mod unexplained;

use super::{Rule, rule_table};

pub(super) use self::unexplained::unexplained;

pub(super) const ANY_UPSTREAM: &[Rule] = rule_table![
    edge::challenge,
    edge::region,
    edge::rate_limited,
    edge::failed,
    edge::blocked,
    edge::gateway,
    between::filter,
    between::login,
    between::portal,
];
