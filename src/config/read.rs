//! Text → what was typed, past the first mistake.
//!
//! 1. A text that is no TOML is told by its lines, and nothing more can be said of it.
//! 2. Serde stops at the first value that does not fit. That value is told, taken out, and the
//!    rest is read again, until everything left fits. An element of an array is not taken out but
//!    replaced, so that the others keep their numbers.
//! 3. Messages are rebuilt without the value: it may be a secret. For the same reason TOML's own
//!    rendering, which quotes the line, is not used.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::file::File;
use super::problem::{Report, StandsFor, Told, closest};
use super::such;

/// `None` when the text is no TOML.
pub(super) fn read(text: &str, report: &mut Report<'_>) -> Option<File> {
    let (mut document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let offset = error.span().map(|span| span.start);
            let message = error.message().to_owned();
            let hint = syntax(&message).to_owned();
            report.broken(Told { path: String::new(), offset, message, hint });
        }
        return None;
    }
    let mut emptied = BTreeSet::new();
    loop {
        let error = match File::deserialize(Deserializer::from(document.clone())) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let mut search = Search::new(error.message(), error.span()?, &mut emptied);
        if !search.take_out(document.get_mut()) {
            let (message, hint) = (error.message().to_owned(), such::like("", ""));
            report.broken(Told { path: String::new(), offset: None, message, hint });
            return None;
        }
        let Search { message, span, path, kind, beside, .. } = search;
        if !report.is_broken(&path) {
            tell(message, Found { path, offset: span.start, kind, beside }, report);
        }
    }
}

/// How to write what TOML does not read.
fn syntax(message: &str) -> &'static str {
    const HINTS: [(&str, &str); 6] = [
        ("duplicate key", "keep one of them; the settings of a table stand together"),
        ("array table", "the header of a table in a list is [[name]]"),
        ("unclosed table", "the header of a table is [name]"),
        ("inline table", "such as name = { file = \"path\", other = 1 }"),
        ("array", "such as name = [\"one\", \"two\"]"),
        ("string", "text stands between quotes, on one line: name = \"text\""),
    ];
    let known = HINTS.iter().find(|(part, _)| message.contains(part));
    known.map_or(
        "a setting is name = \"text\", a number, true or false; a table begins with [name]",
        |(_, hint)| hint,
    )
}

/// The setting that did not fit, while it is looked for.
struct Search<'a> {
    message: &'a str,
    span: Range<usize>,
    path: String,
    /// What was written in its place.
    kind: &'static str,
    /// The other settings of its table.
    beside: Vec<String>,
    /// Elements of arrays that did not fit as text and are empty tables by now.
    emptied: &'a mut BTreeSet<String>,
}

impl<'a> Search<'a> {
    fn new(message: &'a str, span: Range<usize>, emptied: &'a mut BTreeSet<String>) -> Self {
        let (path, kind, beside) = (String::new(), "", Vec::new());
        Self { message, span, path, kind, beside, emptied }
    }

    /// Removes the innermost setting whose name or value is at the span. Whether there was one.
    fn take_out(&mut self, table: &mut DeTable<'_>) -> bool {
        // The name itself, if it is unknown; else the innermost table that holds the value.
        let named = table.iter().find(|(name, _)| name.span() == self.span);
        if let Some(name) = named.map(|(name, _)| name.clone()) {
            self.step(name.get_ref());
            table.remove(&name);
            self.beside = table.keys().map(|it| it.get_ref().to_string()).collect();
            return true;
        }
        // Tables of headers end where their headers do, so what they hold is looked at as well.
        let names: Vec<_> = table.keys().cloned().collect();
        for name in names {
            let before = self.path.len();
            self.step(name.get_ref());
            let Some(value) = table.get_mut(&name) else { continue };
            if self.take_out_of(value) {
                return true;
            }
            if self.is_within(value) {
                self.kind = kind_of(value.get_ref());
                table.remove(&name);
                return true;
            }
            self.path.truncate(before);
        }
        false
    }

    fn take_out_of(&mut self, value: &mut Spanned<DeValue<'_>>) -> bool {
        match value.get_mut() {
            DeValue::Table(table) => self.take_out(table),
            DeValue::Array(array) => array.iter_mut().enumerate().any(|(index, item)| {
                let before = self.path.len();
                self.path.push_str(&format!("[{index}]"));
                let inside = self.take_out_of(item) || self.replace(item);
                if !inside {
                    self.path.truncate(before);
                }
                inside
            }),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => false,
        }
    }

    /// Puts empty text in the place of an element, or, if text was there, an empty table.
    fn replace(&mut self, item: &mut Spanned<DeValue<'_>>) -> bool {
        // The first header of an array of tables may have the span of the whole.
        let whole = self.message.contains(": sequence,") && !item.get_ref().is_array();
        if whole || !self.is_within(item) || self.emptied.contains(&self.path) {
            return false;
        }
        self.kind = kind_of(item.get_ref());
        *item.get_mut() = if item.get_ref().is_str() {
            self.emptied.insert(self.path.clone());
            DeValue::Table(DeTable::new())
        } else {
            DeValue::String("".into())
        };
        true
    }

    fn is_within(&self, value: &Spanned<DeValue<'_>>) -> bool {
        let outer = value.span();
        outer.start <= self.span.start && self.span.end <= outer.end
    }

    fn step(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }
}

const DATE: &str = "a date and time";

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a floating point number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => DATE,
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The setting that did not fit.
struct Found {
    path: String,
    offset: usize,
    kind: &'static str,
    beside: Vec<String>,
}

/// Serde's message in our words, and a suggestion.
fn tell(message: &str, found: Found, report: &mut Report<'_>) {
    let Found { path, offset, kind, beside } = found;
    let offset = Some(offset);
    // A date is read as a table with a name of its own.
    let unknown = message.starts_with("unknown field");
    if unknown && kind != DATE {
        let mut words = message.split('`').skip(1).step_by(2);
        let typed = words.next().unwrap_or_default();
        let known: Vec<&str> = words.collect();
        let meant = closest(typed, known.iter().copied());
        let hint = meant.map_or_else(
            || format!("known here: {}", known.join(", ")),
            |meant| format!("did you mean `{meant}`?"),
        );
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent).to_owned();
        let dot = if parent.is_empty() { "" } else { "." };
        let stands_for = match meant {
            Some(meant) if beside.iter().any(|it| it == meant) => StandsFor::Another,
            Some(meant) => StandsFor::Absent(format!("{parent}{dot}{meant}")),
            None => StandsFor::Any { of: parent },
        };
        let message = format!("unknown setting `{typed}`");
        report.unknown(Told { path, offset, message, hint }, stands_for);
        return;
    }
    let expected = if unknown { "a table" } else { message };
    let expected = expected.rsplit_once(", expected ").map_or(expected, |(_, it)| it);
    let expected = match expected {
        "a sequence" => "an array",
        "u32" | "u64" => "a whole number from 0",
        other => other,
    };
    let message = format!("this is {kind}, expected {expected}");
    let hint = such::like(&path, expected);
    report.broken(Told { path, offset, message, hint });
}
