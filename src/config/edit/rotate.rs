//! A new credential beside the old ones of its kind, which end soon or at once.

use std::ops::Range;

use toml_edit::{Array, InlineTable, Item, Table, TableLike, Value};

use super::place::{self, Entry, Splice};
use super::when::When;
use super::{EditError, NewCredential, lines};
use crate::clock::UnixMicros;
use crate::config::words;

const NAME: &str = "credential";
const EXPIRES: &str = "expires";

/// What becomes of the credentials that are replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outlived {
    /// They count until then, those that end earlier no longer than that.
    Until(When),
    Gone,
}

/// Which kinds of credentials a client has that can be replaced.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kinds {
    pub(crate) token: bool,
    pub(crate) stand_in: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Token,
    StandIn,
    Other,
}

fn kind(table: &dyn TableLike) -> Kind {
    if table.contains_key("token_sha256") {
        Kind::Token
    } else if table.contains_key("key") || table.contains_key("secret") {
        Kind::StandIn
    } else {
        Kind::Other
    }
}

/// How the credentials of a client are written.
enum Written<'a> {
    One(&'a InlineTable),
    Many(&'a Array),
    /// `[clients.credential]`.
    Headed(&'a Table),
    /// `[[clients.credential]]`.
    HeadedMany(Vec<&'a Table>),
}

fn written(entry: Entry<'_>) -> Result<Option<Written<'_>>, EditError> {
    let odd = || EditError::Odd { name: NAME.to_owned() };
    match entry.table().get(NAME) {
        None | Some(Item::None) => Ok(None),
        Some(Item::Value(Value::InlineTable(it))) if !it.is_dotted() => Ok(Some(Written::One(it))),
        Some(Item::Value(Value::Array(it))) => Ok(Some(Written::Many(it))),
        Some(Item::Table(it)) if !it.is_dotted() && it.span().is_some() => {
            Ok(Some(Written::Headed(it)))
        }
        Some(Item::ArrayOfTables(it)) => Ok(Some(Written::HeadedMany(it.iter().collect()))),
        Some(Item::Value(_) | Item::Table(_)) => Err(odd()),
    }
}

/// The kinds of credentials of client `name` that could be replaced.
pub(crate) fn kinds(text: &str, name: &str) -> Result<Kinds, EditError> {
    let document = place::parse(text)?;
    let found: Vec<Kind> = match written(place::find(&document, name)?)? {
        None => Vec::new(),
        Some(Written::One(it)) => vec![kind(it)],
        Some(Written::Many(it)) => {
            it.iter().filter_map(Value::as_inline_table).map(|it| kind(it)).collect()
        }
        Some(Written::Headed(it)) => vec![kind(it)],
        Some(Written::HeadedMany(it)) => it.into_iter().map(|it| kind(it)).collect(),
    };
    let has = |kind| found.contains(&kind);
    let kinds = Kinds { token: has(Kind::Token), stand_in: has(Kind::StandIn) };
    if kinds == Kinds::default() {
        return Err(EditError::NothingToRotate(name.to_owned()));
    }
    Ok(kinds)
}

/// Gives client `name` the credentials `new`, and has the old tokens and pairs end. Those that have ended
/// by `now` are taken out.
pub(crate) fn rotate(
    text: &str,
    name: &str,
    new: &[NewCredential],
    old: &Outlived,
    now: UnixMicros,
) -> Result<String, EditError> {
    let document = place::parse(text)?;
    let rotation = Rotation { text, new, old, now };
    let splices = match written(place::find(&document, name)?)? {
        None => return Err(EditError::NothingToRotate(name.to_owned())),
        Some(Written::One(it)) => rotation.value(it.span())?,
        Some(Written::Many(it)) => rotation.value(it.span())?,
        Some(Written::Headed(it)) => rotation.headed(&[it], true)?,
        Some(Written::HeadedMany(it)) => rotation.headed(&it, false)?,
    };
    Ok(place::joined(text, splices))
}

struct Rotation<'a> {
    text: &'a str,
    new: &'a [NewCredential],
    old: &'a Outlived,
    now: UnixMicros,
}

/// What is to become of one credential.
enum Fate {
    Stays,
    Ends(String),
    Goes,
}

impl Rotation<'_> {
    fn fate(&self, table: &dyn TableLike) -> Fate {
        if kind(table) == Kind::Other {
            return Fate::Stays;
        }
        let text = table.get(EXPIRES).map(|it| match it.as_str() {
            Some(text) => text.to_owned(),
            None => it.to_string().trim().to_owned(),
        });
        let ends = text.and_then(|it| words::moment(&it).ok());
        match self.old {
            Outlived::Gone => Fate::Goes,
            Outlived::Until(_) if ends.is_some_and(|it| it <= self.now) => Fate::Goes,
            Outlived::Until(when) if ends.is_some_and(|it| it <= when.moment) => Fate::Stays,
            Outlived::Until(when) => Fate::Ends(when.text.clone()),
        }
    }

    /// Replaces a value: a table, or an array of tables.
    fn value(&self, span: Option<Range<usize>>) -> Result<Vec<Splice>, EditError> {
        let odd = || EditError::Odd { name: NAME.to_owned() };
        let span = span.ok_or_else(odd)?;
        let written = self.text.get(span.clone()).unwrap_or_default();
        let value: Value = written.parse().map_err(|_| odd())?;
        let mut array = if let Value::Array(array) = value {
            array
        } else {
            let mut array = Array::new();
            array.push_formatted(value.decorated("", ""));
            array
        };
        for index in (0..array.len()).rev() {
            let table = array.get_mut(index).and_then(Value::as_inline_table_mut);
            let table = table.ok_or_else(odd)?;
            match self.fate(table) {
                Fate::Stays => {}
                Fate::Ends(moment) => end(table, &moment),
                Fate::Goes => drop(array.remove(index)),
            }
        }
        for new in self.new.iter().rev() {
            put_first(&mut array, new.inline());
        }
        let only = array.get(0).filter(|_| array.len() == 1 && !written.starts_with('['));
        let text = match only {
            Some(only) => only.clone().decorated("", "").to_string(),
            None => place::as_found(&Value::Array(array)),
        };
        Ok(vec![Splice::replace(span, text)])
    }

    /// Changes tables with headers of their own, and adds others behind them. `single`: the header is
    /// that of one table, and must become that of one among several.
    fn headed(&self, tables: &[&Table], single: bool) -> Result<Vec<Splice>, EditError> {
        let odd = || EditError::Odd { name: NAME.to_owned() };
        let (mut splices, mut end) = (Vec::new(), 0);
        for table in tables {
            let places = place::lines_of(self.text, table);
            end = places.iter().map(|it| it.end).max().unwrap_or(0).max(end);
            match self.fate(*table) {
                Fate::Goes => {
                    splices.extend(places.into_iter().map(Splice::remove));
                    continue;
                }
                Fate::Ends(moment) => {
                    let value = super::plain(&moment.into());
                    splices.push(place::set(self.text, Entry::Headed(table), EXPIRES, &value)?);
                }
                Fate::Stays => {}
            }
            if single {
                let header = table.span().ok_or_else(odd)?;
                let written = self.text.get(header.clone()).unwrap_or_default();
                splices.push(Splice::replace(header, format!("[{written}]")));
            }
        }
        let open = self.text.get(..end).is_some_and(|it| !it.ends_with('\n'));
        let mut text = if open { "\n".to_owned() } else { String::new() };
        for new in self.new {
            text.push_str(&format!("\n[[clients.{NAME}]]\n{}", lines(&new.settings())));
        }
        splices.push(Splice::insert(end, text));
        Ok(splices)
    }
}

/// Writes `expires` into a table on one line, behind what is there.
fn end(table: &mut InlineTable, moment: &str) {
    if let Some(value) = table.get_mut(EXPIRES) {
        let decor = value.decor().clone();
        *value = moment.into();
        *value.decor_mut() = decor;
        return;
    }
    // The space before the closing brace stays before it.
    let space = table.iter().last().and_then(|(_, it)| it.decor().suffix()?.as_str());
    let space = space.unwrap_or_default().to_owned();
    if let Some((_, last)) = table.iter_mut().last() {
        last.decor_mut().set_suffix("");
    }
    table.insert(EXPIRES, Value::from(moment).decorated(" ", space));
}

/// Puts a table before all others, on a line of its own if they have that. What is commented stays with
/// its comment.
fn put_first(array: &mut Array, table: InlineTable) {
    let prefix = array.get(0).and_then(|it| it.decor().prefix()?.as_str()).unwrap_or_default();
    let own = match prefix.rsplit_once('\n') {
        Some((_, indent)) => format!("\n{indent}"),
        None => prefix.to_owned(),
    };
    let next = if prefix.is_empty() { " ".to_owned() } else { prefix.to_owned() };
    if let Some(first) = array.get_mut(0) {
        first.decor_mut().set_prefix(next);
    }
    array.insert_formatted(0, Value::from(table).decorated(own, ""));
}
