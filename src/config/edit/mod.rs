//! Changes to the text of a configuration: clients come, get new credentials, and go.
//!
//! 1. Only what is changed is written anew: every other byte stays as it is, comments, order, line ends
//!    and all. So `toml_edit` finds the places and writes values, and the text is cut and joined here.
//! 2. Text in, text out. Whether it can be served is for `parse` to say, before it replaces a file.
//! 3. A table may be written in many ways. One that is not understood here is refused, never guessed.

mod list;
mod place;
mod replace;
mod rotate;
#[cfg(test)]
mod tests;
mod when;

use toml_edit::{InlineTable, Value};

use self::place::{Entry, Splice};

pub(crate) use self::list::{Listed, ListedCredential, list, secret_files};
pub(crate) use self::replace::{Editing, Unwritten};
pub(crate) use self::rotate::{Outlived, kinds, rotate};
pub(crate) use self::when::When;

/// Why a text is not changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("the file is no TOML that could be changed")]
    NoToml,
    #[error("there is no client `{name}`")]
    Unknown { name: String, known: Vec<String> },
    #[error("there is a client `{0}` already")]
    Exists(String),
    #[error("the client that is there has no name")]
    Unnamed,
    #[error("`{name}` is written in a way that cannot be changed here")]
    Odd { name: String },
    #[error("client `{0}` has no token and no stand-in pair that could be replaced")]
    NothingToRotate(String),
}

impl EditError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoToml => "see what `geminid check` says of it".to_owned(),
            Self::Unknown { known, .. } if known.is_empty() => "there are none yet".to_owned(),
            Self::Unknown { known, .. } => format!("the clients are {}", known.join(", ")),
            Self::Exists(_) => {
                "choose another name; `geminid client rotate` gives a client a new credential"
                    .to_owned()
            }
            Self::Unnamed => "with two clients each needs one: add name = \"…\" to it".to_owned(),
            Self::Odd { name } => format!("write it as `{name} = {{ … }}`, or as an array of such"),
            Self::NothingToRotate(_) => {
                "users, groups and certificates are replaced where they are made".to_owned()
            }
        }
    }
}

/// A credential as the configuration holds it: nothing that could be presented.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NewCredential {
    Token { sha256: String },
    StandIn { key: String, secret_file: String },
}

impl NewCredential {
    fn settings(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Token { sha256 } => vec![("token_sha256", sha256.as_str().into())],
            Self::StandIn { key, secret_file } => {
                let mut file = InlineTable::new();
                file.insert("file", secret_file.as_str().into());
                vec![("key", key.as_str().into()), ("secret", file.into())]
            }
        }
    }

    fn inline(&self) -> InlineTable {
        self.settings().into_iter().collect()
    }
}

/// A client that is to be added. What is `None` or empty is not written.
#[derive(Clone, Debug)]
pub(crate) struct NewClient {
    pub(crate) name: String,
    pub(crate) credential: NewCredential,
    /// In the order in which they are written.
    pub(crate) settings: Vec<(&'static str, Value)>,
    /// `[clients.orders]`.
    pub(crate) orders: Vec<(&'static str, Value)>,
}

impl NewClient {
    fn table(&self) -> Vec<(&'static str, Value)> {
        let own =
            [("name", self.name.as_str().into()), ("credential", self.credential.inline().into())];
        own.into_iter().chain(self.settings.iter().cloned()).collect()
    }

    /// As a table with a header of its own.
    fn headed(&self) -> String {
        let mut text = format!("[[clients]]\n{}", lines(&self.table()));
        if !self.orders.is_empty() {
            text.push_str(&format!("\n[clients.orders]\n{}", lines(&self.orders)));
        }
        text
    }

    fn inline(&self) -> InlineTable {
        let mut table: InlineTable = self.table().into_iter().collect();
        if !self.orders.is_empty() {
            table.insert("orders", self.orders.iter().cloned().collect::<InlineTable>().into());
        }
        table
    }
}

/// One setting a line.
fn lines(settings: &[(&'static str, Value)]) -> String {
    settings.iter().map(|(name, value)| format!("{name} = {}\n", plain(value))).collect()
}

/// A value as it is written first, without the space that it may stand in.
fn plain(value: &Value) -> String {
    value.to_string().trim().to_owned()
}

/// Adds a client at the end, or, where all clients are one array, at its beginning.
pub(crate) fn add(text: &str, client: &NewClient) -> Result<String, EditError> {
    let document = place::parse(text)?;
    let entries = place::entries(&document)?;
    if entries.iter().any(|it| it.name.as_deref() == Some(&client.name)) {
        return Err(EditError::Exists(client.name.clone()));
    }
    if entries.iter().any(|it| it.name.is_none()) {
        return Err(EditError::Unnamed);
    }
    if let Some((start, empty)) = place::array_of_clients(&document) {
        // Before all others: so no comment that stands behind one comes to stand behind another.
        let (comma, table) = (if empty { "" } else { ", " }, client.inline());
        return Ok(place::joined(text, vec![Splice::insert(start, format!("{table}{comma}"))]));
    }
    let gap = match text {
        "" => "",
        _ if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Ok(place::joined(text, vec![Splice::insert(text.len(), format!("{gap}{}", client.headed()))]))
}

/// Takes a client out, with all that belongs to it. Comments between its tables stay.
pub(crate) fn remove(text: &str, name: &str) -> Result<String, EditError> {
    let document = place::parse(text)?;
    let entry = place::find(&document, name)?;
    match entry {
        Entry::Headed(table) => {
            let places = place::lines_of(text, table);
            Ok(place::joined(text, places.into_iter().map(Splice::remove).collect()))
        }
        Entry::Inline(_) => place::without_element(text, &document, name),
    }
}

/// Has a client end at `moment`: it stays in the file, and is refused from then on.
pub(crate) fn expire(text: &str, name: &str, moment: &str) -> Result<String, EditError> {
    let document = place::parse(text)?;
    let entry = place::find(&document, name)?;
    let splice = place::set(text, entry, "expires", &plain(&moment.into()))?;
    Ok(place::joined(text, vec![splice]))
}
