//! `audit show`, `audit verify`, `audit export`: what the trail says, and whether it is whole. They need
//! no lock, and work beside a running proxy.
//!
//! 1. No file is held whole: line after line is read, and printed.
//! 2. Text of foreign origin does nothing to a terminal or a spreadsheet.

mod export;
mod filter;
mod show;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

pub(super) use self::filter::{Filter, Told, Window};
use super::say::{Answer, data, fault, note};
use super::{Logging, USAGE, on, one_thread};
use crate::config::{self, Overrides};
use crate::journal::trail::{self, FOLDER, Lines, Part};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Print lines of the trail.
    Show {
        #[command(flatten)]
        filter: Filter,
        /// Go on printing lines as they are written.
        #[arg(long, short)]
        follow: bool,
        /// The lines as they are.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Exit 0 if the trail is as it was written; else name the first line that is not.
    Verify {
        /// The first line that must be there: the older ones were archived.
        #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        from: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Write lines of the trail for another program.
    Export {
        #[arg(long, value_name = "FORMAT")]
        format: Format,
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// One array.
    Json,
    /// RFC 4180, with a line of names first.
    Csv,
}

/// Where the trail is.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "GEMINID_CONFIG")]
    config: Option<PathBuf>,
    /// The state directory, in place of the configuration's.
    #[arg(long, value_name = "DIR", env = "GEMINID_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl Place {
    /// The directory of the trail. A configuration is read only if nobody says.
    pub(super) fn trail(&self, logging: &Logging) -> Result<PathBuf, ExitCode> {
        if let Some(dir) = &self.state_dir {
            return Ok(dir.join(FOLDER));
        }
        let overrides = Overrides {
            log_format: logging.log_format,
            log_level: logging.log_level,
            ..Overrides::default()
        };
        // Only where the trail is: whoever looks at it may have none of the proxy's secrets.
        match config::place(self.config.as_deref(), &overrides) {
            Ok(found) => Ok(found.state_dir.join(FOLDER)),
            Err(problems) => {
                fault(&problems, None);
                Err(ExitCode::from(USAGE))
            }
        }
    }
}

pub(super) fn run(command: AuditCommand, logging: &Logging) -> ExitCode {
    match command {
        AuditCommand::Show { filter, follow, json, place } => within(&place, logging, |dir| {
            let window = filter.window()?;
            if follow {
                return Ok(on(one_thread(), show::follow(dir, filter, window, json)));
            }
            show::print(&dir, &filter, &window, json)
        }),
        AuditCommand::Verify { from, place } => within(&place, logging, |dir| verify(&dir, from)),
        AuditCommand::Export { format, filter, place } => {
            within(&place, logging, |dir| export::print(&dir, &filter, &filter.window()?, format))
        }
    }
}

/// Why a command on the trail ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

/// Tells what goes wrong. A reader that has gone away ends everything quietly.
pub(super) fn within(
    place: &Place,
    logging: &Logging,
    work: impl FnOnce(PathBuf) -> Result<ExitCode, Ended>,
) -> ExitCode {
    let dir = match place.trail(logging) {
        Ok(dir) => dir,
        Err(code) => return code,
    };
    ended(&dir.clone(), work(dir))
}

fn ended(dir: &Path, outcome: Result<ExitCode, Ended>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(Ended::Unreadable(broken)) if broken.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Ended::Unreadable(missing)) if missing.kind() == io::ErrorKind::NotFound => {
            let said = format!("there is no audit trail in {}", dir.display());
            let hint = "`--state-dir` names another state directory; with `[state] audit` \"off\" there is none";
            fault(&io::Error::new(missing.kind(), said), Some(hint));
            ExitCode::FAILURE
        }
        Err(Ended::Unreadable(unreadable)) => {
            let said = format!("{}: {unreadable}", dir.display());
            fault(
                &io::Error::new(unreadable.kind(), said),
                Some("run it as the user that geminid runs as"),
            );
            ExitCode::FAILURE
        }
        Err(usage @ Ended::Usage(_)) => {
            fault(&usage, Some("such as 24h, 2026-11-21 or 2026-11-21T12:00:00Z"));
            ExitCode::from(USAGE)
        }
    }
}

/// `head` may be written in the very moment that it is read: what is wrong with it must stay so.
fn settled(dir: &Path, from: u64) -> io::Result<Result<trail::Sound, trail::Broken>> {
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 0..3 {
        match trail::verify(dir, from)? {
            Err(broken) if matches!(broken.what, trail::What::Head(_)) => thread::sleep(PAUSE),
            said @ (Ok(_) | Err(_)) => return Ok(said),
        }
    }
    trail::verify(dir, from)
}

/// Nothing would be proven from there.
#[derive(Debug, thiserror::Error)]
#[error("{}: no file of the trail begins with line {from}", dir.display())]
struct NoBeginning {
    dir: PathBuf,
    from: u64,
}

fn verify(dir: &Path, from: u64) -> Result<ExitCode, Ended> {
    let parts = trail::parts(dir)?;
    if from > 1 && parts.iter().all(|it| it.first != from) {
        let firsts: Vec<String> = parts.iter().map(|it| it.first.to_string()).collect();
        let hint = format!("those that are there begin with {}", firsts.join(", "));
        fault(&NoBeginning { dir: dir.to_owned(), from }, Some(&hint));
        return Ok(ExitCode::FAILURE);
    }
    match settled(dir, from)? {
        Ok(sound) => {
            let trail::Sound { n_files, n_lines, first, last, told, unfinished } = sound;
            data(&format!("ok: lines {n_lines} (seq {first} to {last}), files {n_files}\n"));
            for line in &told {
                note(&format!("told: {line}"));
            }
            if unfinished {
                note(
                    "note: the last line is not finished: it is being written, or the next start cuts it off",
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            fault(
                &broken,
                Some(
                    "what comes after this line proves nothing; docs/audit.md says what else it may mean",
                ),
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Hands every line that fits to `take`, oldest first. Returns how many lines could not be read.
pub(super) fn each(
    dir: &Path,
    filter: &Filter,
    window: &Window,
    mut take: impl FnMut(&Told<'_>) -> io::Result<()>,
) -> io::Result<u64> {
    let mut n_unread = 0;
    for part in since(trail::parts(dir)?, window)? {
        let mut lines = Lines::open(&part.path)?;
        while let Some(raw) = lines.next()? {
            if !raw.ended {
                continue;
            }
            match Told::read(raw.text) {
                Some(told) if filter.fits(&told) && window.holds(&told) => take(&told)?,
                Some(_) => {}
                None => n_unread += 1,
            }
        }
    }
    Ok(n_unread)
}

/// Leaves out the files whose every line is too old: a file ends before the next one begins.
fn since(parts: Vec<Part>, window: &Window) -> io::Result<Vec<Part>> {
    let mut skipped = 0;
    for (index, part) in parts.iter().enumerate().skip(1) {
        let mut lines = Lines::open(&part.path)?;
        let first = lines.next()?.and_then(|it| Told::read(it.text).map(|it| window.is_after(&it)));
        if first == Some(true) {
            break;
        }
        skipped = index;
    }
    Ok(parts.into_iter().skip(skipped).collect())
}

/// Says that there is more to look at.
pub(super) fn tell_unread(n_unread: u64) {
    if n_unread > 0 {
        note(&format!(
            "note: {n_unread} lines could not be read: `geminid audit verify` names the first"
        ));
    }
}

/// The last so many pieces of an answer, or all of them at once.
pub(super) struct Last<'a> {
    limit: Option<usize>,
    between: &'static str,
    kept: VecDeque<String>,
    begun: bool,
    answer: &'a mut Answer,
}

impl<'a> Last<'a> {
    /// `between` stands between two pieces.
    pub(super) fn new(limit: Option<usize>, between: &'static str, answer: &'a mut Answer) -> Self {
        Self { limit, between, kept: VecDeque::new(), begun: false, answer }
    }

    pub(super) fn put(&mut self, text: String) -> io::Result<()> {
        let Some(limit) = self.limit else { return self.write(&text) };
        self.kept.push_back(text);
        if self.kept.len() > limit {
            self.kept.pop_front();
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        mem::take(&mut self.kept).iter().try_for_each(|it| self.write(it))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if mem::replace(&mut self.begun, true) {
            self.answer.put(self.between)?;
        }
        self.answer.put(text)
    }
}

#[cfg(test)]
pub(super) mod tests;
