//! `policy`: what clients may do, and what would become of one call, without a network.

mod cases;
mod court;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use self::court::{Court, Question, Verdict};
use super::say::{data, fault, note};
use super::suggest::{SuggestArgs, suggest};
use super::{Logging, USAGE, Where};
use crate::config::{self, Config, Loaded};
use crate::decimal::Decimal;
use crate::policy::{OrderShare, Quote, Share};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// What clients may do: scopes, operations, limits, destinations.
    Show(show::ShowArgs),
    /// Decide one call, or the calls of a file, and name the rule.
    Test(TestArgs),
    /// The smallest grant that lets a client do what it did, from the audit trail.
    Suggest(SuggestArgs),
}

#[derive(Args, Debug)]
pub(super) struct TestArgs {
    /// Who asks.
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    client: Option<String>,
    /// GET or POST.
    #[arg(required_unless_present = "file")]
    method: Option<String>,
    /// Such as /v1/order/new, with its query.
    #[arg(required_unless_present = "file")]
    path: Option<String>,
    /// The parameters.
    #[arg(long, value_name = "JSON")]
    body: Option<String>,
    /// What the ticker says, for orders that are judged by it.
    #[arg(long, value_name = "BID/ASK", value_parser = quote)]
    quote: Option<Quote>,
    /// A table of calls and of what is expected of each.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client", "method", "path", "body", "quote"])]
    file: Option<PathBuf>,
    /// One JSON object, or for a file an array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) fn run(command: PolicyCommand, logging: &Logging) -> ExitCode {
    match command {
        PolicyCommand::Show(args) => {
            with_config(&args.place, logging, |config| show::show(config, &args))
        }
        PolicyCommand::Suggest(args) => suggest(args, logging),
        PolicyCommand::Test(args) => with_config(&args.place, logging, |config| match &args.file {
            Some(file) => cases::run(config, file, args.json),
            None => one(config, &args),
        }),
    }
}

fn with_config(
    place: &Where,
    logging: &Logging,
    done: impl FnOnce(&Config) -> ExitCode,
) -> ExitCode {
    match config::load(place.config.as_deref(), &place.overrides(logging)) {
        Ok(Loaded::File(config) | Loaded::Environment(config, _)) => done(&config),
        Err(problems) => {
            fault(&problems, None);
            ExitCode::from(USAGE)
        }
    }
}

/// One call: 0 if it would be sent, 1 if not.
fn one(config: &Config, args: &TestArgs) -> ExitCode {
    let client = args.client.as_deref().unwrap_or_default();
    let question = Question {
        client,
        method: args.method.as_deref().unwrap_or_default(),
        path: args.path.as_deref().unwrap_or_default(),
        body: args.body.as_deref().unwrap_or_default(),
        quote: args.quote.as_ref(),
    };
    let verdict = match Court::new(config).judge(&question) {
        Ok(verdict) => verdict,
        Err(fault) => return usage(&fault),
    };
    let told = Told::of(&question, &verdict);
    if args.json {
        data(&(serde_json::to_string_pretty(&told).expect("plain text serialises") + "\n"));
    } else {
        data(&(told.line() + "\n"));
        for hint in told.hints() {
            note(&format!("hint: {hint}"));
        }
    }
    if verdict.outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(text: &str) -> ExitCode {
    note(&format!("error: {text}"));
    ExitCode::from(USAGE)
}

/// `BID/ASK`.
fn quote(text: &str) -> Result<Quote, String> {
    let read = |text: &str| Decimal::parse(text).filter(|it| !it.is_zero());
    let both = text.split_once('/').and_then(|(bid, ask)| Some((read(bid)?, read(ask)?)));
    let (bid, ask) = both.ok_or("two plain decimals above 0, such as 64999.99/65000.01")?;
    Ok(Quote { bid, ask })
}

/// What is said of a verdict.
#[derive(Debug, Serialize)]
struct Told {
    client: String,
    /// `allowed`, `refused`, or `observed`: allowed, and would be refused if it were enforced.
    decision: &'static str,
    operation: Option<String>,
    scope: Option<&'static str>,
    /// The setting that decided.
    rule: Option<String>,
    cause: Option<&'static str>,
    status: Option<u16>,
    reason: Option<&'static str>,
    message: Option<String>,
    fix: Option<String>,
    /// The symbol whose ticker decides, too.
    quote_of: Option<String>,
    quote_given: bool,
    /// What the order is worth.
    notional: Option<String>,
}

impl Told {
    fn of(question: &Question<'_>, verdict: &Verdict) -> Self {
        let Verdict { operation, scope, quote_of, outcome } = verdict;
        let told = Self {
            client: question.client.to_owned(),
            decision: "allowed",
            operation: operation.as_ref().map(ToString::to_string),
            scope: scope.map(|it| it.as_str()),
            rule: None,
            cause: None,
            status: None,
            reason: None,
            message: None,
            fix: None,
            quote_of: quote_of.clone(),
            quote_given: question.quote.is_some(),
            notional: outcome.as_ref().ok().and_then(|it| notional(it.share())),
        };
        match outcome {
            Ok(permit) => match permit.would_refuse() {
                None => Self { rule: Some(permit.rule().to_string()), ..told },
                Some(denial) => Self {
                    decision: "observed",
                    rule: Some(denial.rule().to_string()),
                    cause: Some(court::cause(denial)),
                    message: Some(denial.to_string()),
                    ..told
                },
            },
            Err((rule, refusal)) => {
                let finding = refusal.finding();
                Self {
                    decision: "refused",
                    rule: rule.as_ref().map(ToString::to_string),
                    cause: Some(finding.cause.code()),
                    status: Some(refusal.status().as_u16()),
                    reason: refusal.reason(),
                    message: Some(finding.line),
                    fix: finding.fix.into_iter().next().map(|it| it.text),
                    ..told
                }
            }
        }
    }

    fn line(&self) -> String {
        let mut line = self.decision.to_owned();
        if let Some(cause) = self.cause {
            line.push_str(&format!(": {cause}"));
        } else if let Some(operation) = &self.operation {
            line.push_str(&format!(": {operation}"));
        }
        if let Some(rule) = &self.rule {
            line.push_str(&format!(", by {rule}"));
        }
        if let Some(notional) = &self.notional {
            line.push_str(&format!(", worth {notional}"));
        }
        if let Some(message) = &self.message {
            line.push_str(&format!("\n  {message}"));
        }
        line
    }

    fn hints(&self) -> Vec<String> {
        let ticker = self.quote_of.as_ref().filter(|_| !self.quote_given);
        let ticker = ticker.map(|it| format!("the ticker of {it} decides: --quote BID/ASK"));
        self.fix.iter().cloned().chain(ticker).collect()
    }
}

fn notional(share: &Share) -> Option<String> {
    let OrderShare { quote, unit_price, amount, client_order_id: _ } = share.order.as_ref()?;
    (!quote.is_empty()).then(|| format!("{} {quote}", unit_price.times(amount)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_two_decimals() {
        let read = quote("64999.99/65000.01").unwrap();
        assert_eq!(
            (read.bid.to_string(), read.ask.to_string()),
            ("64999.99".to_owned(), "65000.01".to_owned())
        );
        for odd in ["", "1", "1/", "1/0", "1e3/1", "1/2/3", "-1/1"] {
            assert!(quote(odd).is_err(), "{odd}");
        }
    }
}
