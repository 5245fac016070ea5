//! Printing: data to stdout, all else to stderr. The only file that prints, beside clap and the thread
//! that writes the log.

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{self, LevelName};
use crate::observe::{Lines, Log};

/// The log of this process.
static LOG: Lines = Lines::new();

/// Prints an answer. A reader that has gone away (`| head`) ends nothing.
pub(super) fn data(text: &str) {
    drop(once(text));
}

/// Prints what is not printed a second time.
pub(super) fn once(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// An answer that comes piece by piece. A reader that has gone away is told of, so that nothing more is
/// looked up for it.
pub(super) struct Answer(BufWriter<Stdout>);

impl Answer {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    pub(super) fn put(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Prints a remark that is no answer.
pub(super) fn note(text: &str) {
    flush();
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Prints a fault, its causes indented, and what to do.
pub(super) fn fault(fault: &dyn Error, hint: Option<&str>) {
    let text = fault.to_string();
    let mut lines = String::new();
    for line in text.lines() {
        let plain = line.starts_with("error:") || line.starts_with("hint:") || line.is_empty();
        lines.push_str(if plain || !lines.is_empty() { "" } else { "error: " });
        lines.push_str(line);
        lines.push('\n');
    }
    let mut source = fault.source();
    while let Some(it) = source {
        lines.push_str(&format!("  caused by: {it}\n"));
        source = it.source();
    }
    if let Some(hint) = hint {
        lines.push_str(&format!("\nhint: {hint}\n"));
    }
    flush();
    drop(io::stderr().lock().write_all(lines.as_bytes()));
}

/// Waits until the log is written.
pub(super) fn flush() {
    LOG.flush();
}

/// Tells of a panic: in the log, once there is one.
pub(super) fn panicked(words: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{words}");
    } else {
        note(&format!("error: {words}"));
    }
}

/// Sends log lines to stderr.
pub(super) fn start_log(settings: config::Log) {
    let level = match settings.level {
        LevelName::Error => LevelFilter::ERROR,
        LevelName::Warn => LevelFilter::WARN,
        LevelName::Info => LevelFilter::INFO,
        LevelName::Debug => LevelFilter::DEBUG,
        LevelName::Trace => LevelFilter::TRACE,
    };
    // Libraries are capped: at `trace` some print headers, and headers hold credentials.
    let cap = LevelFilter::WARN.min(level);
    let targets = Targets::new().with_default(cap).with_target("geminid", level);
    let registry = tracing_subscriber::registry().with(targets);
    let colour = io::stderr().is_terminal() && !no_colour();
    let set = registry.with(Log::new(settings.format, colour, &LOG)).try_init();
    // A second start in one process, as in tests, keeps the first log.
    if set.is_ok() {
        LOG.start(io::stderr(), |n| {
            tracing::warn!(n, "log lines were lost: nobody reads them as fast");
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a habit of terminals (no-color.org), no setting")]
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty())
}
