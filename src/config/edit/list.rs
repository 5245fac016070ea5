//! The clients of a configuration as they are written, without what proves who they are. It reads no
//! secret, so it works where the proxy's secrets cannot be read.

use std::collections::BTreeSet;

use serde::Serialize;
use toml_edit::{Array, Item, TableLike, Value};

use super::{EditError, place};

/// One client.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// `None`: the only one.
    pub(crate) key: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) operations: Vec<String>,
    pub(crate) expires: Option<String>,
    pub(crate) credentials: Vec<ListedCredential>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct ListedCredential {
    pub(crate) kind: &'static str,
    pub(crate) expires: Option<String>,
}

pub(crate) fn list(text: &str) -> Result<Vec<Listed>, EditError> {
    let document = place::parse(text)?;
    let each = place::entries(&document)?.into_iter().map(|it| {
        let table = it.entry.table();
        Listed {
            name: it.name.unwrap_or_else(|| place::DEFAULT.to_owned()),
            key: text_of(table, "key"),
            scopes: texts_of(table, "scopes"),
            operations: texts_of(table, "operations"),
            expires: text_of(table, "expires"),
            credentials: credentials(table),
        }
    });
    Ok(each.collect())
}

/// The files that hold secrets of clients, as they are written.
pub(crate) fn secret_files(text: &str) -> Result<BTreeSet<String>, EditError> {
    let document = place::parse(text)?;
    let file = |it: &dyn TableLike| text_of(it.get("secret")?.as_table_like()?, "file");
    let each = place::entries(&document)?.into_iter();
    Ok(each.flat_map(|it| each_credential(it.entry.table(), file)).flatten().collect())
}

fn credentials(client: &dyn TableLike) -> Vec<ListedCredential> {
    each_credential(client, |it| ListedCredential {
        kind: kind(it),
        expires: text_of(it, "expires"),
    })
}

fn each_credential<T>(client: &dyn TableLike, of: impl Fn(&dyn TableLike) -> T) -> Vec<T> {
    let Some(item) = client.get("credential") else { return Vec::new() };
    if let Some(table) = item.as_table_like() {
        return vec![of(table)];
    }
    if let Some(tables) = item.as_array_of_tables() {
        return tables.iter().map(|it| of(it)).collect();
    }
    let elements = item.as_array().into_iter().flat_map(Array::iter);
    elements.filter_map(Value::as_inline_table).map(|it| of(it)).collect()
}

fn kind(credential: &dyn TableLike) -> &'static str {
    const KINDS: [(&str, &str); 6] = [
        ("token_sha256", "token"),
        ("key", "stand-in"),
        ("uid", "uid"),
        ("gid", "gid"),
        ("cert", "certificate"),
        ("none", "none"),
    ];
    let found = KINDS.iter().find(|(setting, _)| credential.contains_key(setting));
    found.map_or("unknown", |(_, kind)| kind)
}

/// A text, or a date as TOML writes one. A key may be a table that says where it is read.
fn text_of(table: &dyn TableLike, name: &str) -> Option<String> {
    let item = table.get(name)?;
    let date = || item.as_datetime().map(ToString::to_string);
    item.as_str().map(str::to_owned).or_else(date)
}

fn texts_of(table: &dyn TableLike, name: &str) -> Vec<String> {
    let elements = table.get(name).and_then(Item::as_array).into_iter().flat_map(Array::iter);
    elements.filter_map(Value::as_str).map(str::to_owned).collect()
}
