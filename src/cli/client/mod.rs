//! `client`: who may call, written into the configuration and taken up by the running proxy.
//!
//! 1. A secret is printed once, and kept nowhere but where the configuration needs it: of a token only
//!    the hash, of a stand-in pair the secret, in a file for its owner.
//! 2. The new text is read as a start would read it before it replaces the file. What would not load is
//!    refused, and nothing is written.
//! 3. Flags name who is meant, never variables: one that was left behind must not choose a client.

mod add;
mod made;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::made::Made;
use super::operator::{Operator, Unheard};
use super::say::{data, fault, note, once};
use super::{Logging, USAGE, Where};
use crate::clock::{Clock as _, SystemClock, UnixMicros};
use crate::config::edit::{self, EditError, Editing, Listed, Outlived, Unwritten, When};
use crate::config::{Config, Overrides, Problems};

/// How long an old credential counts after a rotation, if nobody says.
const OUTLIVED: &str = "24h";

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Add a client and print its credential, once.
    Add(Box<add::AddArgs>),
    /// The clients, without what proves who they are.
    List(ListArgs),
    /// Give a client a new credential; the old ones go on for a while.
    Rotate(RotateArgs),
    /// Take a client out, from now on.
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// One JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Args, Debug)]
pub(super) struct RotateArgs {
    /// Which client.
    name: String,
    /// Until when the old credentials count: a date and time, 7d, 12h, 30m, or `now`.
    #[arg(long, value_name = "TIME", default_value = OUTLIVED)]
    until: String,
    #[command(flatten)]
    place: Where,
}

#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    /// Which client.
    name: String,
    /// Leave it in the file, with an `expires` that has passed.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    place: Where,
}

/// Why a command on clients was not carried out.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error("there is no configuration file to change")]
    NoFile,
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
    #[error("`{0}` is no name for a client")]
    Name(String),
    #[error("`{text}` says no {what}")]
    Misread { what: &'static str, text: String },
    #[error("the secret's file {} cannot be made: {fault}", path.display())]
    Secret { path: PathBuf, fault: std::io::Error },
}

#[derive(Debug, thiserror::Error)]
#[error("the file is changed, and the credential could not be printed: {0}")]
struct Unprinted(std::io::Error);

impl NotDone {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoFile => Some("`geminid init` writes one; --config names another".to_owned()),
            Self::Edit(it) => Some(it.hint()),
            // Every problem has a hint of its own.
            Self::Unwritten(Unwritten::Problems(_)) => None,
            Self::Unwritten(Unwritten::Changed(_)) => Some("try it again".to_owned()),
            Self::Unwritten(Unwritten::Io { .. }) => {
                Some("run this as a user who may write the file and its directory".to_owned())
            }
            Self::Name(_) => {
                Some("1 to 64 letters, digits, `-`, `_` or `.`, such as market-maker".to_owned())
            }
            Self::Misread { what: "moment", .. } => {
                Some("such as 2027-01-01T00:00:00Z, or 7d, 12h, 30m from now".to_owned())
            }
            Self::Misread { .. } => Some("such as usd=500, several with commas between".to_owned()),
            Self::Secret { .. } => {
                Some("take away what is in its place, or add a client of another name".to_owned())
            }
        }
    }

    fn tell(&self) -> ExitCode {
        fault(self, self.hint().as_deref());
        ExitCode::from(USAGE)
    }
}

pub(super) fn run(command: ClientCommand, logging: &Logging) -> ExitCode {
    let done = match command {
        ClientCommand::Add(args) => add::add(&args, logging),
        ClientCommand::List(args) => list(&args, logging),
        ClientCommand::Rotate(args) => rotate(&args, logging),
        ClientCommand::Revoke(args) => revoke(&args, logging),
    };
    done.unwrap_or_else(|not_done| not_done.tell())
}

fn now() -> UnixMicros {
    SystemClock::new().wall()
}

fn when(text: &str, now: UnixMicros) -> Result<When, NotDone> {
    let misread = || NotDone::Misread { what: "moment", text: text.to_owned() };
    When::parse(text, now).ok_or_else(misread)
}

/// A configuration that is about to change, and where its proxy is.
struct Session {
    operator: Operator,
    editing: Editing,
    overrides: Overrides,
    now: UnixMicros,
}

impl Session {
    fn begin(place: &Where, logging: &Logging) -> Result<Self, NotDone> {
        let overrides = place.overrides(logging);
        let found = crate::config::place(place.config.as_deref(), &overrides);
        let found = found.map_err(Unwritten::Problems)?;
        let path = found.path.clone().ok_or(NotDone::NoFile)?;
        let editing = Editing::begin(&path)?;
        Ok(Self { operator: Operator::at(found), editing, overrides, now: now() })
    }

    /// Replaces the file by `text`, if that could be served. `None`: it could as far as can be seen here.
    fn write(self, text: &str) -> Result<(Operator, Option<Config>), NotDone> {
        let Self { operator, editing, overrides, now } = self;
        let config = editing.check(text, &overrides, now)?;
        let (before, after) = (edit::secret_files(editing.text())?, edit::secret_files(text)?);
        let needless: Vec<_> =
            before.difference(&after).map(|it| editing.base().join(it)).collect();
        editing.finish(text)?;
        for file in needless {
            note(&format!("note: nothing needs {} any more: remove it", file.display()));
        }
        match &config {
            Some(config) => config.warnings.iter().for_each(|it| note(&format!("warning: {it}"))),
            None => {
                note("note: the secrets of keys cannot be read from here, and were not checked");
            }
        }
        Ok((operator, config))
    }
}

/// Has the running proxy take up what was written, and says whether it did.
fn take_up(operator: &Operator) -> ExitCode {
    let answer = match operator.tell("/reload", "{}") {
        Ok(answer) => answer,
        Err(Unheard::NoProxy(admin)) => {
            note(&format!("no proxy runs on {admin}: it counts from the next start"));
            return ExitCode::SUCCESS;
        }
        Err(unheard) => {
            let code = unheard.tell();
            note("the file is changed, and the running proxy does not know of it");
            return code;
        }
    };
    if !answer.is_done() {
        answer.tell();
        note("the file is changed, and the running proxy has not taken it up");
        return ExitCode::FAILURE;
    }
    let theirs = answer.body.get("reloaded").and_then(serde_json::Value::as_str).map(PathBuf::from);
    let same = |ours: &PathBuf| {
        let theirs = theirs.as_ref().and_then(|it| it.canonicalize().ok());
        theirs.is_none() || theirs == ours.canonicalize().ok()
    };
    if operator.place().path.as_ref().is_some_and(|it| !same(it)) {
        let theirs = theirs.unwrap_or_default();
        note(&format!("warning: the running proxy has another file: {}", theirs.display()));
        return ExitCode::FAILURE;
    }
    note("the running proxy has taken it up");
    ExitCode::SUCCESS
}

/// Prints a credential, which nobody has a second time.
fn hand_over(name: &str, shown: &str) -> ExitCode {
    let Err(unprinted) = once(shown) else { return ExitCode::SUCCESS };
    let hint = format!("`geminid client rotate {name}` makes another; nobody has this one");
    fault(&Unprinted(unprinted), Some(&hint));
    ExitCode::FAILURE
}

fn both(one: ExitCode, other: ExitCode) -> ExitCode {
    if one == ExitCode::SUCCESS { other } else { one }
}

fn list(args: &ListArgs, logging: &Logging) -> Result<ExitCode, NotDone> {
    let overrides = args.place.overrides(logging);
    let found = crate::config::place(args.place.config.as_deref(), &overrides);
    let path = found.map_err(Unwritten::Problems)?.path.ok_or(NotDone::NoFile)?;
    let text = crate::config::text(&path).map_err(Unwritten::Problems)?;
    let listed = edit::list(&text)?;
    if args.json {
        let json = serde_json::to_string_pretty(&listed).expect("plain text serialises");
        data(&(json + "\n"));
    } else {
        data(&table(&listed));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(listed: &[Listed]) -> String {
    let head = ["client", "key", "may", "credentials", "expires"].map(str::to_owned);
    let rows = listed.iter().map(|it| {
        let Listed { name, key, scopes, operations, expires, credentials } = it;
        let may: Vec<&str> = scopes.iter().chain(operations).map(String::as_str).collect();
        let credential = |it: &edit::ListedCredential| match &it.expires {
            Some(expires) => format!("{} (until {expires})", it.kind),
            None => it.kind.to_owned(),
        };
        let credentials: Vec<String> = credentials.iter().map(credential).collect();
        let or_dash = |it: String| if it.is_empty() { "-".to_owned() } else { it };
        [
            name.clone(),
            or_dash(key.clone().unwrap_or_default()),
            or_dash(may.join(" ")),
            or_dash(credentials.join(", ")),
            or_dash(expires.clone().unwrap_or_default()),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|it| it.get(column));
        cells.map(|it| it.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn rotate(args: &RotateArgs, logging: &Logging) -> Result<ExitCode, NotDone> {
    let session = Session::begin(&args.place, logging)?;
    let old = match args.until.as_str() {
        "now" => Outlived::Gone,
        until => Outlived::Until(when(until, session.now)?),
    };
    let kinds = edit::kinds(session.editing.text(), &args.name)?;
    let mut made = Vec::new();
    if kinds.token {
        made.push(Made::token());
    }
    if kinds.stand_in {
        made.push(Made::stand_in(&args.name, true));
    }
    let new: Vec<_> = made.iter().map(Made::credential).collect();
    let text = edit::rotate(session.editing.text(), &args.name, &new, &old, session.now)?;
    let files = made.iter().map(|it| it.keep(&session.editing)).collect::<Result<Vec<_>, _>>()?;
    let (operator, config) = session.write(&text)?;
    files.into_iter().for_each(made::SecretFile::stays);
    let shown: String = made.iter().map(|it| it.shown(&args.name, config.as_ref())).collect();
    let printed = hand_over(&args.name, &shown);
    note(&match old {
        Outlived::Gone => "the old ones are gone".to_owned(),
        Outlived::Until(When { text, .. }) => format!("the old ones count until {text} at most"),
    });
    Ok(both(printed, take_up(&operator)))
}

fn revoke(args: &RevokeArgs, logging: &Logging) -> Result<ExitCode, NotDone> {
    let session = Session::begin(&args.place, logging)?;
    let text = if args.keep {
        let moment = When::at(session.now).map(|it| it.text).unwrap_or_default();
        edit::expire(session.editing.text(), &args.name, &moment)?
    } else {
        edit::remove(session.editing.text(), &args.name)?
    };
    let (operator, _) = session.write(&text)?;
    let how = if args.keep { "has expired" } else { "is taken out" };
    data(&format!("client `{}` {how}\n", args.name));
    Ok(take_up(&operator))
}

impl From<Problems> for NotDone {
    fn from(problems: Problems) -> Self {
        Self::Unwritten(Unwritten::Problems(problems))
    }
}
