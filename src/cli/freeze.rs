//! `freeze`, `thaw` and `reload`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::operator::{Answer, Operator, Unheard};
use super::say::{data, fault, note};
use super::{Logging, USAGE, Where};
use crate::admin::{FreezeOrder, ThawOrder};
use crate::call::{ClientId, Freeze};
use crate::config::edit;
use crate::freeze::{FreezeError, Freezer, Frozen, Whom};
use crate::journal::StateDir;

#[derive(clap::Args, Debug)]
pub(super) struct FreezeArgs {
    /// Only this client, not everyone.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Cancel all open orders, ahead of everything else.
    #[arg(long)]
    cancel_all: bool,
    /// Stop everything: reads, heartbeats and cancels too.
    #[arg(long)]
    all: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(clap::Args, Debug)]
pub(super) struct ThawArgs {
    /// Only this client, which was frozen by name.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    client: Option<String>,
    /// Those who were frozen by name too.
    #[arg(long)]
    all: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(clap::Args, Debug)]
pub(super) struct ReloadArgs {
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What a client was called that there is not.
#[derive(Debug, thiserror::Error)]
#[error("there is no client `{0}`")]
struct Unknown(String);

#[derive(Debug, thiserror::Error)]
#[error("nothing was cancelled: no proxy runs that could")]
struct NobodyCancels;

pub(super) fn freeze(args: FreezeArgs, logging: &Logging) -> ExitCode {
    let FreezeArgs { client, cancel_all, all, json, place } = args;
    let operator = match Operator::find(&place, logging) {
        Ok(operator) => operator,
        Err(code) => return code,
    };
    let order = FreezeOrder { client: client.clone(), everything: all, cancel_all };
    let order = serde_json::to_string(&order).expect("plain text serialises");
    match operator.tell("/freeze", &order) {
        Ok(answer) => answered(&answer, json),
        Err(Unheard::NoProxy(_)) => {
            let level = if all { Freeze::Everything } else { Freeze::Risk };
            let change = |it: &Freezer, client: Option<ClientId>| it.freeze(client.as_ref(), level);
            let code = offline(&operator, client.as_deref(), json, change);
            if cancel_all && code == ExitCode::SUCCESS {
                fault(&NobodyCancels, Some("cancel at the exchange: its web site, or its own API"));
                return ExitCode::FAILURE;
            }
            code
        }
        Err(unheard) => unheard.tell(),
    }
}

pub(super) fn thaw(args: ThawArgs, logging: &Logging) -> ExitCode {
    let ThawArgs { client, all, json, place } = args;
    let operator = match Operator::find(&place, logging) {
        Ok(operator) => operator,
        Err(code) => return code,
    };
    let order = ThawOrder { client: client.clone(), each: all };
    let order = serde_json::to_string(&order).expect("plain text serialises");
    match operator.tell("/thaw", &order) {
        Ok(answer) => answered(&answer, json),
        Err(Unheard::NoProxy(_)) => {
            offline(&operator, client.as_deref(), json, |freezer, client| {
                let everyone = if all { Whom::Each } else { Whom::All };
                freezer.thaw(&client.map_or(everyone, Whom::One))
            })
        }
        Err(unheard) => unheard.tell(),
    }
}

pub(super) fn reload(args: &ReloadArgs, logging: &Logging) -> ExitCode {
    let operator = match Operator::find(&args.place, logging) {
        Ok(operator) => operator,
        Err(code) => return code,
    };
    let answer = match operator.tell("/reload", "{}") {
        Ok(answer) => answer,
        Err(unheard) => return unheard.tell(),
    };
    if !answer.is_done() {
        return refused(&answer, args.json);
    }
    let told = |name: &str| answer.body.get(name).cloned().unwrap_or(Value::Null);
    for warning in told("warnings").as_array().into_iter().flatten().filter_map(Value::as_str) {
        note(&format!("warning: {warning}"));
    }
    if args.json {
        data(&format!("{}\n", answer.body));
    } else {
        let text = |name| told(name).as_str().unwrap_or_default().to_owned();
        let changed = if told("changed") == true { "" } else { ", as before" };
        let (path, policy, clients) = (text("reloaded"), text("policy"), told("clients"));
        data(&format!("reloaded {path}: clients {clients}, policy {policy}{changed}\n"));
    }
    ExitCode::SUCCESS
}

/// Says what is frozen now, and what was cancelled.
fn answered(answer: &Answer, json: bool) -> ExitCode {
    if !answer.is_done() {
        return refused(answer, json);
    }
    let list = |name| answer.body.get(name).and_then(Value::as_array).into_iter().flatten();
    let failed = |it: &&Value| it.get("ok") != Some(&Value::Bool(true));
    let done = list("cancelled").find(failed).is_none() && list("left").next().is_none();
    if json {
        data(&format!("{}\n", answer.body));
    } else {
        let frozen = answer.body.get("frozen").map(Value::to_string).unwrap_or_default();
        data(&shown(&Frozen::parse(frozen.as_bytes()).unwrap_or_default()));
        list("cancelled").for_each(|it| data(&cancelled(it)));
        list("left").for_each(|it| data(&left(it)));
    }
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a name or the file has wrong is the caller's to put right.
fn refused(answer: &Answer, json: bool) -> ExitCode {
    if json {
        data(&format!("{}\n", answer.body));
    }
    answer.tell();
    if matches!(answer.status, 404 | 422) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

fn shown(frozen: &Frozen) -> String {
    if frozen.is_empty() {
        return "nobody is frozen\n".to_owned();
    }
    let words = |level| match level {
        Freeze::No => "nothing",
        Freeze::Risk => "no new risk; cancels, heartbeats and reads go on",
        Freeze::Everything => "everything, reads and cancels too",
    };
    let all = (frozen.all() != Freeze::No).then(|| ("everyone".to_owned(), frozen.all()));
    let named = frozen.named().map(|(client, level)| (format!("client `{client}`"), level));
    let line = |(who, level)| format!("frozen: {who}: {}\n", words(level));
    all.into_iter().chain(named).map(line).collect()
}

fn cancelled(it: &Value) -> String {
    let text = |name| it.get(name).and_then(Value::as_str).unwrap_or_default();
    let account = match text("account") {
        "" => String::new(),
        account => format!(", account `{account}`"),
    };
    let orders = it.get("orders").and_then(Value::as_u64);
    let orders = orders.map(|it| format!("orders {it}: ")).unwrap_or_default();
    let what = if it.get("ok") == Some(&Value::Bool(true)) { "cancelled" } else { "not cancelled" };
    format!("{what}: key `{}`{account}: {orders}{}\n", text("key"), text("detail"))
}

fn left(it: &Value) -> String {
    let text = |name| it.get(name).and_then(Value::as_str).unwrap_or_default();
    let others = it.get("shared_with").and_then(Value::as_array).into_iter().flatten();
    let others: Vec<&str> = others.filter_map(Value::as_str).collect();
    format!(
        "not cancelled: key `{}`, also used by {}: {}\n",
        text("key"),
        others.join(", "),
        text("why")
    )
}

/// Changes what the next start begins with, while no proxy runs.
fn offline(
    operator: &Operator,
    client: Option<&str>,
    json: bool,
    change: impl FnOnce(&Freezer, Option<ClientId>) -> Result<Frozen, FreezeError>,
) -> ExitCode {
    let state = match StateDir::open(&operator.place().state_dir) {
        Ok(state) => state,
        Err(unusable) => {
            fault(&unusable, Some("--state-dir names another directory"));
            return ExitCode::FAILURE;
        }
    };
    let freezer = Freezer::open(state.path());
    if let Some(name) = client
        && let Err(known) = known(operator.place().path.as_deref(), name, &freezer)
    {
        let hint = format!("the clients are {}", known.join(", "));
        fault(&Unknown(name.to_owned()), Some(&hint));
        return ExitCode::from(USAGE);
    }
    match change(&freezer, client.map(ClientId::new)) {
        Ok(frozen) if json => {
            data(&format!("{}\n", json!({ "frozen": frozen.json(), "running": false })));
        }
        Ok(frozen) => data(&shown(&frozen)),
        Err(not_done) => {
            fault(&not_done, Some(not_done.hint()));
            return ExitCode::FAILURE;
        }
    }
    // In the wrong folder another proxy may be meant, which goes on as before.
    let state = state.path().display();
    note(&format!(
        "no proxy runs with the state directory {state}: the next start there begins so"
    ));
    ExitCode::SUCCESS
}

/// Whether `name` is a client, as far as the file says; else who is.
fn known(path: Option<&Path>, name: &str, freezer: &Freezer) -> Result<(), Vec<String>> {
    if freezer.now().is_named(&ClientId::new(name)) {
        return Ok(());
    }
    let text = path.and_then(|it| std::fs::read_to_string(it).ok()).unwrap_or_default();
    let listed = edit::list(&text).unwrap_or_default();
    let mut known: Vec<String> = listed.into_iter().map(|it| it.name).collect();
    if path.is_none() {
        known.push("default".to_owned());
    }
    if known.iter().any(|it| it == name) { Ok(()) } else { Err(known) }
}
