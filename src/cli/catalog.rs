//! `catalog`: every operation, as a table or as JSON.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::say::data;
use crate::call::Operation;
use crate::provider;

#[derive(Serialize)]
struct Row<'a> {
    provider: &'a str,
    method: &'a str,
    path: &'a str,
    operation: &'a str,
    group: &'a str,
    visibility: &'a str,
    scope: Option<&'a str>,
    roles: &'a [String],
    oauth_scopes: &'a [String],
    account: &'a str,
    effect: &'a str,
    rate: &'a str,
    retry_safe: &'a str,
    query: &'a str,
    source: &'a str,
}

pub(super) fn print(json: bool) -> ExitCode {
    let providers = provider::ALL.iter();
    let rows = providers.flat_map(|it| it.operations().iter().map(|row| (it.name(), row)));
    if json {
        let rows: Vec<Row<'_>> = rows.map(|(name, it)| row(name, it)).collect();
        data(&(serde_json::to_string_pretty(&rows).expect("plain text serialises") + "\n"));
    } else {
        data(&table(rows.map(|(_, it)| it.as_ref())));
    }
    ExitCode::SUCCESS
}

fn row<'a>(provider: &'a str, it: &'a Operation) -> Row<'a> {
    Row {
        provider,
        method: it.method.as_str(),
        path: &it.path,
        operation: it.name.as_str(),
        group: &it.group,
        visibility: it.visibility.as_str(),
        scope: it.scope.map(|it| it.as_str()),
        roles: &it.roles,
        oauth_scopes: &it.oauth_scopes,
        account: it.account.as_str(),
        effect: it.effect.as_str(),
        rate: it.rate.as_str(),
        retry_safe: it.retry.as_str(),
        query: it.query.as_str(),
        source: &it.source,
    }
}

fn table<'a>(rows: impl Iterator<Item = &'a Operation>) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 6]| {
        let [method, path, operation, scope, effect, roles] = cells;
        let line = format!("{method:4} {path:62} {operation:42} {scope:26} {effect:17} {roles}");
        writeln!(text, "{}", line.trim_end()).expect("a string takes all");
    };
    line(["", "path", "operation", "scope", "effect", "roles"]);
    for it in rows {
        let scope = it.scope.map_or("-", |it| it.as_str());
        let roles = if it.is_public() { "public".to_owned() } else { it.roles.join(",") };
        line([it.method.as_str(), &it.path, it.name.as_str(), scope, it.effect.as_str(), &roles]);
    }
    text
}
