//! Text → what was typed, past the first mistake.
//!
//! 1. A text that is no TOML is told by its lines, and nothing more can be said of it.
//! 2. Serde stops at the first value that does not fit. That value is told, taken out, and the
//!    rest is read again, until everything left fits.
//! 3. Messages are rebuilt without the value: it may be a secret. For the same reason TOML's own
//!    rendering, which quotes the line, is not used.

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::file::File;
use super::problem::{Report, Told, closest};

/// `None` when the text is no TOML.
pub(super) fn read(text: &str, report: &mut Report<'_>) -> Option<File> {
    let (mut document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let offset = error.span().map(|span| span.start);
            let message = plain(error.message());
            report.broken(Told { path: String::new(), offset, message, hint: None }, []);
        }
        return None;
    }
    loop {
        let error = match File::deserialize(Deserializer::from(document.clone())) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let mut found = Culprit::default();
        let span = error.span().filter(|span| take_out(document.get_mut(), span, &mut found));
        let offset = span.as_ref().map(|span| span.start);
        let done = span.is_none();
        let told = Told { path: found.path, offset, message: String::new(), hint: None };
        tell(error.message(), told, report);
        if done {
            return None;
        }
    }
}

/// The setting that did not fit.
#[derive(Default)]
struct Culprit {
    path: String,
}

/// Removes the innermost setting whose name or value is at `span`. Whether there was one.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>, found: &mut Culprit) -> bool {
    let within = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    // The name itself, if it is unknown; else the innermost table that holds the value.
    let named = table.iter().find(|(name, _)| name.span() == *span).map(|(name, _)| name.clone());
    if let Some(name) = named {
        found.step(name.get_ref());
        table.remove(&name);
        return true;
    }
    // Tables of headers end where their headers do, so what they hold is looked at as well.
    let names: Vec<_> = table.keys().cloned().collect();
    for name in names {
        let before = found.path.len();
        found.step(name.get_ref());
        let Some(value) = table.get_mut(&name) else { continue };
        let inside = take_out_of(value, span, found);
        if inside {
            return true;
        }
        if within(value.span()) {
            table.remove(&name);
            return true;
        }
        found.path.truncate(before);
    }
    false
}

fn take_out_of(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>, found: &mut Culprit) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span, found),
        DeValue::Array(array) => array.iter_mut().enumerate().any(|(index, item)| {
            let before = found.path.len();
            found.path.push_str(&format!("[{index}]"));
            let inside = take_out_of(item, span, found);
            if !inside {
                found.path.truncate(before);
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

impl Culprit {
    fn step(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }
}

/// Serde's message in our words, and a suggestion.
fn tell(message: &str, told: Told, report: &mut Report<'_>) {
    let mut words = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let typed = words.next().unwrap_or_default();
        let known: Vec<&str> = words.collect();
        let meant = closest(typed, known.iter().copied());
        let hint = meant.map_or_else(
            || format!("known here: {}", known.join(", ")),
            |meant| format!("did you mean `{meant}`?"),
        );
        let parent = told.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let dot = if parent.is_empty() { "" } else { "." };
        let echo = meant.map(|meant| format!("{parent}{dot}{meant}"));
        let message = format!("unknown setting `{typed}`");
        report.broken(Told { message, hint: Some(hint), ..told }, echo);
        return;
    }
    let message = plain(message);
    let list = message.contains("expected a sequence");
    let hint = (list && message.contains("map")).then(|| format!("write [[{}]]", told.path));
    let hint = hint.or_else(|| list.then(|| "write it as an array: [\"…\"]".to_owned()));
    report.broken(Told { message, hint, ..told }, []);
}

/// `invalid type: string "hunter2", expected a boolean` without what was quoted.
fn plain(message: &str) -> String {
    let wrong = message.strip_prefix("invalid type: ");
    let wrong = wrong.or_else(|| message.strip_prefix("invalid value: "));
    let Some((given, expected)) = wrong.and_then(|it| it.rsplit_once(", expected ")) else {
        return message.to_owned();
    };
    let kinds = ["string", "integer", "floating point", "boolean", "map", "sequence"];
    let given = kinds.into_iter().find(|kind| given.starts_with(kind)).unwrap_or("other value");
    let given = if given == "map" { "table (map)" } else { given };
    let article = if given.starts_with(['i', 'o']) { "an" } else { "a" };
    format!("this is {article} {given}, expected {expected}")
}
