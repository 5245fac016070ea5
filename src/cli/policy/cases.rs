//! `policy test --file`: a table of calls, each with what is expected of it.
//!
//! ```toml
//! [[cases]]
//! name = "no more than 500 USD"        # optional
//! client = "market-maker"
//! method = "POST"
//! path = "/v1/order/new"
//! body = '{"symbol":"btcusd","amount":"1","price":"501","side":"buy","type":"exchange limit"}'
//! quote = "499/501"                    # optional
//! expect = "order-too-large"           # or "allow"
//! ```

use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::court::{Court, Question};
use super::{Told, quote, usage};
use crate::cli::say::{data, note};
use crate::config::Config;
use crate::diagnose::Cause;

const ALLOW: &str = "allow";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    client: String,
    method: String,
    path: String,
    #[serde(default)]
    body: String,
    quote: Option<String>,
    expect: String,
}

/// A case, and what became of it.
#[derive(Serialize)]
struct Judged {
    name: String,
    passed: bool,
    expected: String,
    got: String,
    #[serde(flatten)]
    told: Told,
}

/// 0 if all is as expected, 1 if anything is not, 2 if the table cannot be used.
pub(super) fn run(config: &Config, file: &Path, json: bool) -> ExitCode {
    let results = match judged(config, file) {
        Ok(results) => results,
        Err(fault) => return usage(&format!("{}: {fault}", file.display())),
    };
    let n_failed = results.iter().filter(|it| !it.passed).count();
    if json {
        data(&(serde_json::to_string_pretty(&results).expect("plain text serialises") + "\n"));
    } else {
        for it in results.iter().filter(|it| !it.passed) {
            let Judged { name, expected, told, .. } = it;
            data(&format!("{name}: expected {expected}, {}\n", told.line()));
        }
        note(&format!("{} cases, {n_failed} not as expected", results.len()));
    }
    if n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judged(config: &Config, file: &Path) -> Result<Vec<Judged>, String> {
    let text = std::fs::read_to_string(file).map_err(|it| it.to_string())?;
    let Table { cases } = toml::from_str(&text).map_err(|it| it.to_string())?;
    if cases.is_empty() {
        return Err("there is no [[cases]] in it".to_owned());
    }
    let court = Court::new(config);
    let each = cases.iter().enumerate();
    each.map(|(index, case)| {
        let result = judge(&court, case, index);
        result.map_err(|it| format!("cases[{index}]: {it}"))
    })
    .collect()
}

fn judge(court: &Court<'_>, case: &Case, index: usize) -> Result<Judged, String> {
    let Case { name, client, method, path, body, quote: prices, expect } = case;
    // A misspelt cause would be a case that tests nothing when it is expected to fail.
    if expect != ALLOW && !Cause::ALL.iter().any(|it| it.code() == expect) {
        return Err(format!("expect = {expect:?} is neither \"allow\" nor a cause"));
    }
    let prices = prices.as_deref().map(quote).transpose()?;
    let question = Question { client, method, path, body, quote: prices.as_ref() };
    let told = Told::of(&question, &court.judge(&question)?);
    let got = if told.decision == "refused" { told.cause.unwrap_or_default() } else { ALLOW };
    Ok(Judged {
        name: name.clone().unwrap_or_else(|| format!("cases[{index}]")),
        passed: got == expect,
        expected: expect.clone(),
        got: got.to_owned(),
        told,
    })
}
