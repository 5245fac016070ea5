//! `audit show`: a readable line for each line, or the lines as they are; and those still to come.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::super::say::Answer;
use super::super::serve::Ends;
use super::filter::{Filter, Told, Window};
use super::{Ended, Last, each, ended, tell_unread};
use crate::journal::trail::{self, LONGEST, Lines};

/// Not seen by who reads along.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn print(
    dir: &Path,
    filter: &Filter,
    window: &Window,
    json: bool,
) -> Result<ExitCode, Ended> {
    let mut answer = Answer::new();
    let mut last = Last::new(filter.limit, "", &mut answer);
    let n_unread = each(dir, filter, window, |told| last.put(shown(told, json)))?;
    last.end()?;
    answer.flush()?;
    tell_unread(n_unread);
    Ok(ExitCode::SUCCESS)
}

/// Prints what is there, and goes on until somebody ends it.
pub(super) async fn follow(dir: PathBuf, filter: Filter, window: Window, json: bool) -> ExitCode {
    let ends = match Ends::new() {
        Ok(ends) => ends,
        Err(fault) => return ended(&dir, Err(fault.into())),
    };
    let shown = dir.clone();
    // Reading blocks; a signal does not wait for it.
    let following = tokio::task::spawn_blocking(move || read_on(&dir, &filter, &window, json));
    tokio::select! {
        broken = following => {
            let broken = broken.unwrap_or_else(|fault| io::Error::other(fault.to_string()));
            ended(&shown, Err(broken.into()))
        }
        end = ends.wait() => end.exit_code(),
    }
}

/// Goes on until it cannot.
fn read_on(dir: &Path, filter: &Filter, window: &Window, json: bool) -> io::Error {
    let follow = || {
        let mut answer = Answer::new();
        let mut tail = Tail::new(dir, filter, window)?;
        let mut last = Last::new(filter.limit, "", &mut answer);
        tail.read(|told| last.put(shown(told, json)))?;
        last.end()?;
        loop {
            answer.flush()?;
            thread::sleep(PAUSE);
            tail.read(|told| answer.put(&shown(told, json)))?;
        }
    };
    let endless: io::Result<Infallible> = follow();
    match endless {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}

/// The end of the trail, as far as it was read.
pub(super) struct Tail<'a> {
    dir: &'a Path,
    filter: &'a Filter,
    window: &'a Window,
    /// The file that is read, and the number it begins with.
    open: Option<(u64, Lines)>,
}

impl<'a> Tail<'a> {
    pub(super) fn new(dir: &'a Path, filter: &'a Filter, window: &'a Window) -> io::Result<Self> {
        // A trail that is not there is told now, and not waited for.
        let first = super::since(trail::parts(dir)?, window)?.into_iter().next();
        let open = first.map(|it| Lines::open(&it.path).map(|lines| (it.first, lines)));
        Ok(Self { dir, filter, window, open: open.transpose()? })
    }

    /// Hands over every line that was written since the last time.
    pub(super) fn read(
        &mut self,
        mut take: impl FnMut(&Told<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            // Looked for before the file is read to its end: nothing is added to it afterwards.
            let current = self.open.as_ref().map_or(0, |it| it.0);
            let next = trail::parts(self.dir)?.into_iter().find(|it| it.first > current);
            if let Some((_, lines)) = &mut self.open {
                loop {
                    let ended = match lines.next()? {
                        None => break,
                        Some(raw) if raw.ended => {
                            let told = Told::read(raw.text);
                            let fits =
                                |it: &Told<'_>| self.filter.fits(it) && self.window.holds(it);
                            if let Some(told) = told.filter(fits) {
                                take(&told)?;
                            }
                            true
                        }
                        // None of ours, and it would be read for ever.
                        Some(raw) => raw.text.len() >= LONGEST,
                    };
                    if !ended {
                        // It is being written.
                        lines.back()?;
                        break;
                    }
                }
            }
            let Some(next) = next else { return Ok(()) };
            self.open = Some((next.first, Lines::open(&next.path)?));
        }
    }
}

/// What stands at fixed places; everything else comes as `name=value`, in this order.
const FIRST: [&str; 9] =
    ["at", "seq", "event", "note", "client", "operation", "status", "outcome", "hash"];
const THEN: [&str; 32] = [
    "decision",
    "rule",
    "would_refuse",
    "decided_by",
    "cause",
    "account",
    "symbol",
    "side",
    "type",
    "amount",
    "price",
    "time_in_force",
    "notional",
    "currency",
    "network",
    "address",
    "memo",
    "order_id",
    "client_order_id",
    "key",
    "nonce",
    "n_resigns",
    "identity",
    "peer",
    "method",
    "scope",
    "policy",
    "payload_sha256",
    "wait_ms",
    "upstream_ms",
    "total_ms",
    "request_id",
];

fn shown(told: &Told<'_>, json: bool) -> String {
    if json {
        // The hash is over the line as it stands: nothing of it is written anew.
        return format!("{}\n", told.line);
    }
    text(told)
}

/// One readable line.
pub(super) fn text(told: &Told<'_>) -> String {
    let word = |name| told.get(name).map_or_else(|| "-".to_owned(), |it| tame(&it));
    let mut line = format!("{} {:>6} {:7}", word("at"), word("seq"), word("event"));
    let note = told.get("note");
    match &note {
        Some(note) => line.push_str(&format!(" {}", tame(note))),
        None => {
            let fixed = ["client", "operation", "status", "outcome"].map(word);
            line.push_str(&format!(" {}", fixed.join(" ")));
        }
    }
    let others = told.others(&FIRST).filter(|it| !THEN.contains(it));
    // A note has fields of its own, such as the client that was frozen.
    let fixed = ["client", "operation", "status", "outcome"].into_iter();
    let fixed = fixed.filter(|_| note.is_some());
    for name in THEN.into_iter().chain(fixed).chain(others) {
        if let Some(value) = told.get(name) {
            write!(line, " {}={}", tame(name), tame(&value)).expect("a string takes all");
        }
    }
    line.push('\n');
    line
}

/// A value that can be told from the next one, and does nothing to a terminal.
fn tame(text: &str) -> String {
    let plain = |it: char| it.is_ascii_graphic() && !matches!(it, '"' | '\\' | '=');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let escaped = text.chars().flat_map(char::escape_default);
    format!("\"{}\"", escaped.collect::<String>())
}
