//! Where things stand in the text of a configuration, and how pieces of it are replaced.

use std::ops::Range;

use toml_edit::{Document, InlineTable, Item, Table, TableLike, Value};

use super::EditError;

/// The name of the only client, if it is not written.
pub(super) const DEFAULT: &str = "default";

/// A text that replaces another.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    at: Range<usize>,
    text: String,
}

impl Splice {
    pub(super) fn insert(at: usize, text: String) -> Self {
        Self { at: at..at, text }
    }

    pub(super) fn replace(at: Range<usize>, text: String) -> Self {
        Self { at, text }
    }

    pub(super) fn remove(at: Range<usize>) -> Self {
        Self { at, text: String::new() }
    }
}

/// `text` with every splice made, its own line ends in what is new.
pub(super) fn joined(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|it| it.at.start);
    let windows = text.contains("\r\n");
    let (mut all, mut done) = (String::with_capacity(text.len()), 0);
    for Splice { at, text: new } in splices {
        all.push_str(text.get(done..at.start).unwrap_or_default());
        let new = if windows { new.replace("\r\n", "\n").replace('\n', "\r\n") } else { new };
        all.push_str(&new);
        done = at.end.max(done);
    }
    all.push_str(text.get(done..).unwrap_or_default());
    all
}

/// A client, as it is written.
#[derive(Clone, Copy)]
pub(super) enum Entry<'a> {
    /// `[[clients]]`.
    Headed(&'a Table),
    /// An element of `clients = [{ … }]`.
    Inline(&'a InlineTable),
}

impl<'a> Entry<'a> {
    pub(super) fn table(self) -> &'a dyn TableLike {
        match self {
            Self::Headed(table) => table,
            Self::Inline(table) => table,
        }
    }
}

/// A client and its name, if it has one.
pub(super) struct Named<'a> {
    pub(super) name: Option<String>,
    pub(super) entry: Entry<'a>,
}

pub(super) fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|_| EditError::NoToml)
}

/// All clients, in their order.
pub(super) fn entries<'a>(document: &'a Document<&str>) -> Result<Vec<Named<'a>>, EditError> {
    let odd = || EditError::Odd { name: "clients".to_owned() };
    let named = |entry: Entry<'a>| {
        let name = entry.table().get("name").and_then(Item::as_str).map(str::to_owned);
        Named { name, entry }
    };
    match document.get("clients") {
        None | Some(Item::None) => Ok(Vec::new()),
        Some(Item::ArrayOfTables(tables)) => {
            Ok(tables.iter().map(|it| named(Entry::Headed(it))).collect())
        }
        Some(Item::Value(Value::Array(array))) => array
            .iter()
            .map(|it| it.as_inline_table().map(|it| named(Entry::Inline(it))).ok_or_else(odd))
            .collect(),
        Some(Item::Value(_) | Item::Table(_)) => Err(odd()),
    }
}

pub(super) fn find<'a>(document: &'a Document<&str>, name: &str) -> Result<Entry<'a>, EditError> {
    let entries = entries(document)?;
    if let [Named { name: None, entry }] = entries.as_slice()
        && name == DEFAULT
    {
        return Ok(*entry);
    }
    if let Some(found) = entries.iter().find(|it| it.name.as_deref() == Some(name)) {
        return Ok(found.entry);
    }
    let alone = entries.len() == 1;
    let known =
        entries.into_iter().filter_map(|it| it.name.or_else(|| alone.then(|| DEFAULT.to_owned())));
    Err(EditError::Unknown { name: name.to_owned(), known: known.collect() })
}

/// Behind the opening bracket of `clients = [`, and whether there is nothing in it.
pub(super) fn array_of_clients(document: &Document<&str>) -> Option<(usize, bool)> {
    let array = document.get("clients")?.as_array()?;
    Some((array.span()?.start + 1, array.is_empty()))
}

/// `text` without one element of `clients = [`.
pub(super) fn without_element(
    text: &str,
    document: &Document<&str>,
    name: &str,
) -> Result<String, EditError> {
    let odd = || EditError::Odd { name: "clients".to_owned() };
    let span = document.get("clients").and_then(Item::span).ok_or_else(odd)?;
    let index = entries(document)?.iter().position(|it| it.name.as_deref() == Some(name));
    let written = text.get(span.clone()).unwrap_or_default();
    let mut value: Value = written.parse().map_err(|_| EditError::NoToml)?;
    let array = value.as_array_mut().ok_or_else(odd)?;
    // One without a name is alone.
    array.remove(index.unwrap_or(0));
    Ok(joined(text, vec![Splice::replace(span, as_found(&value))]))
}

/// A value that was read from a text of its own, as it was written there.
pub(super) fn as_found(value: &Value) -> String {
    value.to_string()
}

/// The lines of a table with a header, and of every table below it. What stands between them, but for
/// empty lines, is not theirs.
pub(super) fn lines_of(text: &str, table: &Table) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    collect(text, table, &mut places);
    places.sort_by_key(|it| it.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for place in places {
        let blank =
            |from: usize| text.get(from..place.start).is_some_and(|it| it.trim().is_empty());
        match joined.last_mut() {
            Some(last) if blank(last.end) => last.end = place.end,
            _ => joined.push(place),
        }
    }
    // The empty line before it was its own.
    if let Some(first) = joined.first_mut() {
        let before = text.get(..first.start).unwrap_or_default();
        for empty in ["\n\r\n", "\n\n"] {
            if before.ends_with(empty) {
                first.start -= empty.len() - 1;
                break;
            }
        }
    }
    joined
}

fn collect(text: &str, table: &Table, places: &mut Vec<Range<usize>>) {
    if let Some(span) = table.span().filter(|_| !table.is_dotted()) {
        let start = text.get(..span.start).and_then(|it| it.rfind('\n')).map_or(0, |it| it + 1);
        places.push(start..line_end(text, last_value(table).max(span.end)));
    }
    for (_, item) in table.iter() {
        match item {
            Item::Table(below) => collect(text, below, places),
            Item::ArrayOfTables(below) => below.iter().for_each(|it| collect(text, it, places)),
            Item::Value(_) | Item::None => {}
        }
    }
}

/// Where the last value stands that is written under this very header.
fn last_value(table: &Table) -> usize {
    let ends = table.iter().map(|(_, item)| match item {
        Item::Value(Value::InlineTable(it)) if it.is_dotted() => ends_within(it),
        Item::Value(value) => value.span().map_or(0, |it| it.end),
        Item::Table(below) if below.is_dotted() => last_value(below),
        Item::Table(_) | Item::ArrayOfTables(_) | Item::None => 0,
    });
    ends.max().unwrap_or(0)
}

fn ends_within(table: &InlineTable) -> usize {
    table.iter().filter_map(|(_, value)| value.span()).map(|it| it.end).max().unwrap_or(0)
}

/// Behind the end of the line that `at` is in.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |it| at + it + 1)
}

/// Gives a table a setting, in place of one that it has, or as its second.
pub(super) fn set(
    text: &str,
    entry: Entry<'_>,
    name: &str,
    value: &str,
) -> Result<Splice, EditError> {
    let odd = || EditError::Odd { name: name.to_owned() };
    if let Some(item) = entry.table().get(name) {
        let span = item.as_value().and_then(Value::span).ok_or_else(odd)?;
        return Ok(Splice::replace(span, value.to_owned()));
    }
    match entry {
        Entry::Headed(table) => {
            let header = table.span().ok_or_else(odd)?;
            let first = table.iter().filter_map(|(_, it)| it.as_value()?.span()).map(|it| it.end);
            let at = line_end(text, first.min().unwrap_or(0).max(header.end));
            let open = text.get(..at).is_some_and(|it| !it.ends_with('\n'));
            let start = if open { "\n" } else { "" };
            Ok(Splice::insert(at, format!("{start}{name} = {value}\n")))
        }
        Entry::Inline(table) => {
            let span = table.span().ok_or_else(odd)?;
            let comma = if table.is_empty() { "" } else { "," };
            Ok(Splice::insert(span.start + 1, format!(" {name} = {value}{comma}")))
        }
    }
}
