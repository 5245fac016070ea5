//! `explain`: what a pasted rejection means, offline; or a recent request of the running proxy.
//!
//! 1. Nothing is sent anywhere for a pasted text, and no configuration is read.
//! 2. What the text does not tell is not made up: a status that is only supposed is said to be.
//! 3. What looks like a key is cut down to its end before it is printed.

mod request;
mod show;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use self::show::Shown;
use super::say::{data, fault, note};
use super::{Logging, USAGE, Where};
use crate::call::{Operation, Outcome};
use crate::diagnose::{
    self, By, Cause, Context, Diagnosis, Evidence, Fix, KeyEvidence, Report, Retry, UNKNOWN,
};
use crate::pasted::{self, Answer, MOST, Pasted};
use crate::provider::{self, Provider, Route, Routes};
use crate::refusal::LOOK_FIRST;

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// What was answered: a body, the output of `curl -i` or `curl -v`, an exception's text, a log line of
    /// geminid; `-` or nothing is standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The status, if the text does not tell it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..600))]
    status: Option<u16>,
    /// The operation that was refused, by its name in the catalogue.
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    operation: Option<String>,
    /// The same by its path, such as /v1/order/new.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The key that it was signed with [master, account].
    #[arg(long, value_name = "KIND", value_parser = ["master", "account"])]
    key_kind: Option<String>,
    /// A request of the running proxy, by its `geminid-request-id`.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "status", "operation", "path", "key_kind"])]
    request: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What is known besides the text.
#[derive(Debug, Default)]
struct Known {
    status: Option<u16>,
    operation: Option<Arc<Operation>>,
    master: Option<bool>,
}

/// An explanation, and what is to be said of it on the side.
#[derive(Debug)]
struct Explained {
    shown: Shown,
    /// Whether anything explains it.
    found: bool,
    notes: Vec<String>,
}

pub(super) fn run(args: &ExplainArgs, logging: &Logging) -> ExitCode {
    if let Some(id) = &args.request {
        return request::explain(id, args.json, &args.place, logging);
    }
    let known = match known(args) {
        Ok(known) => known,
        Err(why) => return usage(&why),
    };
    let bytes = match input(args) {
        Ok(bytes) => bytes,
        Err(why) => return usage(&why),
    };
    match explain(&bytes, &known) {
        Ok(explained) => print(&explained, args.json),
        Err(why) => {
            note(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn print(explained: &Explained, json: bool) -> ExitCode {
    for text in &explained.notes {
        note(&format!("note: {text}"));
    }
    data(&if json { explained.shown.json() } else { explained.shown.text() });
    if explained.found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(text: &str) -> ExitCode {
    note(&format!("error: {text}"));
    ExitCode::from(USAGE)
}

fn known(args: &ExplainArgs) -> Result<Known, String> {
    let operation = match (&args.operation, &args.path) {
        (Some(name), _) => {
            let found = operations().find(|it| it.name.as_str() == name);
            Some(Arc::clone(found.ok_or_else(|| {
                let name = crate::call::shown(name);
                format!(
                    "the catalogue has no operation `{name}`\n\nhint: `geminid catalog` lists all"
                )
            })?))
        }
        (None, Some(path)) => Some(at(None, path).ok_or_else(|| {
            let path = crate::call::shown(path);
            format!("the catalogue has no path `{path}`\n\nhint: `geminid catalog` lists all")
        })?),
        (None, None) => None,
    };
    let master = args.key_kind.as_deref().map(|it| it == "master");
    Ok(Known { status: args.status, operation, master })
}

fn operations() -> impl Iterator<Item = &'static Arc<Operation>> {
    provider::ALL.iter().flat_map(|it| it.operations())
}

/// The operation of a path; where the method is not known, the private one of several.
fn at(method: Option<&str>, target: &str) -> Option<Arc<Operation>> {
    let routes = Routes::new(operations());
    let path = target.split(['?', '#']).next().unwrap_or_default();
    ["POST", "GET"].into_iter().filter(|it| method.is_none_or(|known| known == *it)).find_map(
        |it| match routes.find(it, path) {
            Route::Found(operation) => Some(operation),
            Route::Method(_) | Route::Unknown => None,
        },
    )
}

fn input(args: &ExplainArgs) -> Result<Vec<u8>, String> {
    let named = args.file.as_ref().filter(|it| it.as_os_str() != "-");
    let bytes = match named {
        Some(path) => {
            let unread = |fault: io::Error| format!("{} cannot be read: {fault}", path.display());
            bounded(File::open(path).map_err(unread)?).map_err(unread)?
        }
        None if args.file.is_none() && io::stdin().is_terminal() => {
            let how = "`geminid explain FILE`, or `curl -i … | geminid explain`";
            return Err(format!("there is no text to explain\n\nhint: {how}"));
        }
        None => bounded(io::stdin().lock()).map_err(|it| format!("standard input: {it}"))?,
    };
    if bytes.len() > MOST {
        return Err("the text is longer than 1 MiB\n\nhint: the answer alone will do".to_owned());
    }
    Ok(bytes)
}

/// At most one byte more than is taken, so that too much can be told.
fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Explains a text; an error says why there is nothing to explain in it.
fn explain(bytes: &[u8], known: &Known) -> Result<Explained, String> {
    match pasted::read(bytes) {
        Pasted::Answer(answer) => foreign(&answer, known),
        Pasted::Explained { diagnosis, message } => {
            let found = diagnosis.get("cause").is_some_and(|it| it != Cause::Unexplained.code());
            let notes = vec!["geminid has explained this answer already: its own words".to_owned()];
            Ok(Explained {
                shown: Shown { diagnosis, line: message, request: None, payload: None },
                found,
                notes,
            })
        }
        Pasted::Line(fields) => line(fields),
    }
}

/// An answer of somebody else's.
fn foreign(answer: &Answer, known: &Known) -> Result<Explained, String> {
    let mut notes = Vec::new();
    let status = known.status.or(answer.status).unwrap_or_else(|| {
        let status = answer.likely_status();
        notes.push(format!(
            "the text tells no status: taken for a {status}; --status says otherwise"
        ));
        status
    });
    if status < 400 {
        return Err(format!("a {status} refuses nothing: there is nothing to explain"));
    }
    let named = || answer.request.as_ref();
    let operation = known.operation.clone().or_else(|| {
        let (method, target) = named()?;
        at(Some(method.as_str()).filter(|it| !it.is_empty()), target)
    });
    let mut evidence = answer.evidence(status);
    if let Some(operation) = &operation {
        evidence.operation = Some(operation.name.to_string());
        evidence.roles_needed.clone_from(&operation.roles);
    }
    if let Some(master) = known.master {
        let unnamed = || KeyEvidence {
            name: UNKNOWN.to_owned(),
            hint: UNKNOWN.to_owned(),
            ..KeyEvidence::default()
        };
        evidence.key.get_or_insert_with(unnamed).master = master;
    }
    let (diagnosis, outcome) = judged(&evidence, operation.as_deref());
    let found = diagnosis.finding.cause != Cause::Unexplained;
    let context = Context {
        operation: operation.as_ref().map(|it| it.name.clone()),
        scope: operation.as_ref().and_then(|it| it.scope).map(|it| it.as_str()),
        ..Context::default()
    };
    let report = Report::new(&diagnosis, outcome, &context).to_json();
    let mut told: Map<String, Value> =
        serde_json::from_str(&report).expect("a report is an object");
    // It is no request of ours.
    told.insert("request_id".to_owned(), Value::Null);
    let line = Some(pasted::plain(&diagnosis.finding.line));
    let diagnosis = pasted::clean(told.into());
    Ok(Explained { shown: Shown { diagnosis, line, request: None, payload: None }, found, notes })
}

/// The diagnosis, by the rules of the only upstream there is, and what became of the call.
fn judged(evidence: &Evidence, operation: Option<&Operation>) -> (Diagnosis, Outcome) {
    let provider = exchange();
    let mut diagnosis = diagnose::diagnose(evidence, provider.rules());
    let status = http::StatusCode::from_u16(evidence.status).unwrap_or(http::StatusCode::FORBIDDEN);
    let answer = provider::Answer { status, body: evidence.body.clone() };
    // Of an operation that is not known, nothing is taken for certain.
    let mutates = operation.is_none_or(|it| it.effect.mutates());
    let outcome = provider::outcome(status, mutates, provider.is_maintenance(&answer));
    if outcome == Outcome::Unknown {
        diagnosis.finding.retry = Retry::LookFirst;
        diagnosis.finding.fix.insert(0, Fix::new(By::Bot, LOOK_FIRST));
    }
    (diagnosis, outcome)
}

fn exchange() -> &'static dyn Provider {
    provider::by_name("exchange").expect("it is in the table of providers")
}

/// A line of the log knows the cause alone.
fn line(fields: Map<String, Value>) -> Result<Explained, String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let Some(cause) = text("cause").and_then(pasted::cause) else {
        return Err("the line names no cause: nothing was refused".to_owned());
    };
    let code = cause.code();
    let diagnosis = json!({
        "request_id": text("request_id"), "decided_by": text("decided_by"), "outcome": text("outcome"),
        "cause": code, "title": cause.title(), "watch": cause.watch(),
        "docs": format!("docs/diagnosis.md#{code}"), "operation": text("operation"),
        "scope": text("scope"), "client": text("client"), "key": text("key"),
    });
    let mut notes = vec!["a log line has the cause, and not its evidence".to_owned()];
    if let Some(id) = text("request_id") {
        notes.push(format!("`geminid explain --request {id}` has all of it, for an hour"));
    }
    let found = cause != Cause::Unexplained;
    let shown = Shown { diagnosis, line: None, request: Some(fields), payload: None };
    Ok(Explained { shown, found, notes })
}

/// A fault of the command itself.
fn broken(error: &dyn std::error::Error, hint: Option<&str>) -> ExitCode {
    fault(error, hint);
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests;
