//! The log: events of `tracing` as lines, JSON or text.
//!
//! 1. An event is one line, whatever is in it: a value's control characters are escaped.
//! 2. A line is written in one piece, into a buffer that is used again. The layer that comes with
//!    `tracing-subscriber` puts a JSON line together from some 130 writes, each checked for UTF-8: a
//!    sixth of what a whole request cost.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::lines::Lines;
use crate::clock::{self, Clock as _, SystemClock, UnixMicros};
use crate::config::LogFormat;

thread_local! {
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

/// Renders events, and gives them to `lines`.
#[derive(Debug)]
pub(crate) struct Log {
    format: LogFormat,
    colour: bool,
    clock: SystemClock,
    lines: &'static Lines,
}

impl Log {
    pub(crate) fn new(format: LogFormat, colour: bool, lines: &'static Lines) -> Self {
        Self { format, colour, clock: SystemClock::new(), lines }
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Taken, not borrowed: a value that logs while it is printed gets a buffer of its own.
        let mut line = LINE.take();
        line.clear();
        begin(&mut line, self.format, self.colour, *event.metadata().level(), self.clock.wall());
        event.record(&mut Fields { line: &mut line, format: self.format });
        line.push_str(match self.format {
            LogFormat::Json => "}\n",
            LogFormat::Text => "\n",
        });
        self.lines.push(line.as_bytes());
        LINE.set(line);
    }
}

/// Time and level.
fn begin(line: &mut String, format: LogFormat, colour: bool, level: Level, now: UnixMicros) {
    match (format, colour) {
        (LogFormat::Json, _) => {
            line.push_str(r#"{"timestamp":""#);
            clock::write_time(line, now);
            line.push_str(r#"","level":""#);
            line.push_str(level.as_str());
            line.push('"');
        }
        (LogFormat::Text, false) => {
            clock::write_time(line, now);
            put(line, format_args!(" {:>5}", level.as_str()));
        }
        (LogFormat::Text, true) => {
            line.push_str("\x1b[2m");
            clock::write_time(line, now);
            let colour = match level {
                Level::ERROR => 31,
                Level::WARN => 33,
                Level::INFO => 32,
                Level::DEBUG => 34,
                Level::TRACE => 35,
            };
            put(line, format_args!("\x1b[0m \x1b[{colour}m{:>5}\x1b[0m", level.as_str()));
        }
    }
}

fn put(line: &mut String, words: fmt::Arguments<'_>) {
    line.write_fmt(words).expect("a string takes all");
}

/// Writes an event's fields.
struct Fields<'a> {
    line: &'a mut String,
    format: LogFormat,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        match self.format {
            LogFormat::Json => {
                self.line.push_str(r#",""#);
                self.line.push_str(field.name());
                self.line.push_str(r#"":"#);
            }
            LogFormat::Text if field.name() == "message" => self.line.push(' '),
            LogFormat::Text => {
                self.line.push(' ');
                self.line.push_str(field.name());
                self.line.push('=');
            }
        }
    }

    /// A number, or one of the words that JSON has.
    fn plain(&mut self, field: &Field, words: fmt::Arguments<'_>) {
        self.name(field);
        put(self.line, words);
    }

    fn printed(&mut self, field: &Field, words: fmt::Arguments<'_>) {
        self.name(field);
        match self.format {
            LogFormat::Json => {
                self.line.push('"');
                Json(self.line).write_fmt(words).expect("a string takes all");
                self.line.push('"');
            }
            LogFormat::Text => Plain(self.line).write_fmt(words).expect("a string takes all"),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, text: &str) {
        match self.format {
            LogFormat::Json => {
                // As `printed` does, without the detour.
                self.name(field);
                self.line.push('"');
                Json(self.line).write_str(text).expect("a string takes all");
                self.line.push('"');
            }
            LogFormat::Text if field.name() == "message" => {
                self.printed(field, format_args!("{text}"));
            }
            LogFormat::Text => self.plain(field, format_args!("{text:?}")),
        }
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.name(field);
        self.line.push_str(itoa::Buffer::new().format(number));
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.plain(field, format_args!("{number}"));
    }

    fn record_bool(&mut self, field: &Field, truth: bool) {
        self.plain(field, format_args!("{truth}"));
    }

    fn record_error(&mut self, field: &Field, fault: &(dyn Error + 'static)) {
        self.printed(field, format_args!("{fault}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.printed(field, format_args!("{value:?}"));
    }
}

/// The inside of a JSON string.
struct Json<'a>(&'a mut String);

impl fmt::Write for Json<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |it: char| it == '"' || it == '\\' || it < ' ';
        if text.bytes().all(|it| !special(char::from(it))) {
            self.0.push_str(text);
            return Ok(());
        }
        for part in text.split_inclusive(special) {
            let Some(last) = part.chars().next_back().filter(|it| special(*it)) else {
                self.0.push_str(part);
                continue;
            };
            self.0.push_str(part.strip_suffix(last).unwrap_or_default());
            match last {
                '"' => self.0.push_str(r#"\""#),
                '\\' => self.0.push_str(r"\\"),
                '\n' => self.0.push_str(r"\n"),
                '\r' => self.0.push_str(r"\r"),
                '\t' => self.0.push_str(r"\t"),
                other => write!(self.0, "\\u{:04x}", u32::from(other))?,
            }
        }
        Ok(())
    }
}

/// Text in which nothing moves a cursor or begins a line.
struct Plain<'a>(&'a mut String);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            match part.chars().next_back().filter(|it| it.is_control()) {
                None => self.0.push_str(part),
                Some(last) => {
                    self.0.push_str(part.strip_suffix(last).unwrap_or_default());
                    write!(self.0, "{}", last.escape_default())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What an event becomes, without its time.
    fn line_of(format: LogFormat, tell: impl FnOnce()) -> String {
        let lines: &'static Lines = Box::leak(Box::new(Lines::held()));
        let log = Log::new(format, false, lines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), tell);
        let text = String::from_utf8(lines.take()).unwrap();
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{text:?}");
        text
    }

    fn tell(text: &str) {
        let nothing: Option<u64> = None;
        tracing::info!(text, n = 7_u64, less = -7_i64, is = true, nothing, shown = %text, "{text}");
    }

    fn as_json(tell: impl FnOnce()) -> Value {
        let mut value: Value = serde_json::from_str(&line_of(LogFormat::Json, tell)).unwrap();
        let at = value.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(at.as_str().unwrap().ends_with('Z'), "{at}");
        value
    }

    #[test]
    fn an_event_in_json_and_in_text() {
        let expected = json!({
            "level": "INFO", "message": "a b", "text": "a b", "n": 7, "less": -7, "is": true,
            "shown": "a b",
        });
        assert_eq!(as_json(|| tell("a b")), expected);
        let text = line_of(LogFormat::Text, || tell("a b"));
        let (_, said) = text.split_once("Z ").unwrap();
        assert_eq!(said, " INFO a b text=\"a b\" n=7 less=-7 is=true shown=a b\n");
        let text = line_of(LogFormat::Text, || tracing::warn!("so"));
        assert!(text.ends_with("Z  WARN so\n"), "{text}");
    }

    #[test]
    fn colours_are_for_the_level_and_the_time() {
        let mut line = String::new();
        begin(&mut line, LogFormat::Text, true, Level::WARN, UnixMicros(0));
        assert_eq!(line, "\x1b[2m1970-01-01T00:00:00.000000Z\x1b[0m \x1b[33m WARN\x1b[0m");
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_one_line_and_comes_back(text in any::<String>()) {
            let value = as_json(|| tell(&text));
            for name in ["message", "text", "shown"] {
                prop_assert_eq!(&value[name], &text, "{}", name);
            }
            let line = line_of(LogFormat::Text, || tell(&text));
            prop_assert!(!line.trim_end_matches('\n').contains(char::is_control), "{:?}", line);
        }
    }
}
