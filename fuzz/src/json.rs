//! JSON as `serde_json` reads it, with nothing lost: numbers and strings as they were written, names
//! in their order, and names that stand twice.

use std::fmt;

use serde_json::value::RawValue;

/// Deeper than geminid's reader goes, and far from the end of the stack.
const DEPTH: usize = 40;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tree {
    /// `null`, `true`, `false` or a number, as it was written.
    Bare(String),
    Text {
        raw: String,
        text: String,
    },
    List(Vec<Tree>),
    Table(Vec<(String, Tree)>),
}

/// `None`: it is no JSON, or nested beyond all measure.
pub fn tree(text: &[u8]) -> Option<Tree> {
    let text = std::str::from_utf8(text).ok()?;
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    grow(raw, 0)
}

fn grow(raw: &RawValue, depth: usize) -> Option<Tree> {
    let text = raw.get();
    if depth > DEPTH {
        return None;
    }
    match text.bytes().next()? {
        b'{' => {
            let members: Members<'_> = serde_json::from_str(text).ok()?;
            let grown = members.0.into_iter().map(|(name, it)| Some((name, grow(it, depth + 1)?)));
            grown.collect::<Option<_>>().map(Tree::Table)
        }
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let grown = values.into_iter().map(|it| grow(it, depth + 1));
            grown.collect::<Option<_>>().map(Tree::List)
        }
        b'"' => {
            let read = serde_json::from_str(text).ok()?;
            Some(Tree::Text { raw: text.to_owned(), text: read })
        }
        _ => Some(Tree::Bare(text.to_owned())),
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A>(self, mut map: A) -> Result<Members<'de>, A::Error>
            where
                A: serde::de::MapAccess<'de>,
            {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Visitor)
    }
}

impl Tree {
    pub fn members(&self) -> Option<&[(String, Tree)]> {
        match self {
            Self::Table(members) => Some(members),
            Self::Bare(_) | Self::Text { .. } | Self::List(_) => None,
        }
    }

    /// The one member of this name.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.members()?.iter().find(|(it, _)| it == name).map(|(_, it)| it)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Bare(_) | Self::List(_) | Self::Table(_) => None,
        }
    }

    /// Containers within containers, itself included.
    pub fn depth(&self) -> usize {
        let inner = match self {
            Self::Bare(_) | Self::Text { .. } => return 0,
            Self::List(values) => values.iter().map(Self::depth).max(),
            Self::Table(members) => members.iter().map(|(_, it)| it.depth()).max(),
        };
        inner.unwrap_or(0) + 1
    }

    /// The most members that any object here has.
    pub fn width(&self) -> usize {
        match self {
            Self::Bare(_) | Self::Text { .. } => 0,
            Self::List(values) => values.iter().map(Self::width).max().unwrap_or(0),
            Self::Table(members) => {
                let inner = members.iter().map(|(_, it)| it.width()).max();
                inner.unwrap_or(0).max(members.len())
            }
        }
    }

    /// Whether a name stands twice in any object here, case aside.
    pub fn repeats(&self) -> bool {
        match self {
            Self::Bare(_) | Self::Text { .. } => false,
            Self::List(values) => values.iter().any(Self::repeats),
            Self::Table(members) => {
                let mut names: Vec<_> =
                    members.iter().map(|(it, _)| it.to_ascii_lowercase()).collect();
                names.sort_unstable();
                names.windows(2).any(|pair| pair[0] == pair[1])
                    || members.iter().any(|(_, it)| it.repeats())
            }
        }
    }

    /// Whether both say the same: whatever order, whatever escapes, numbers to the digit.
    pub fn means(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bare(ours), Self::Bare(theirs)) => ours == theirs,
            (Self::Text { text: ours, .. }, Self::Text { text: theirs, .. }) => ours == theirs,
            (Self::List(ours), Self::List(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.means(b))
            }
            (Self::Table(ours), Self::Table(theirs)) => {
                let found = |(name, it): &(String, Self)| {
                    other.get(name).is_some_and(|theirs| it.means(theirs))
                };
                ours.len() == theirs.len() && ours.iter().all(found)
            }
            _ => false,
        }
    }

    /// Every text here, names included.
    pub fn texts<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::Bare(_) => {}
            Self::Text { text, .. } => into.push(text),
            Self::List(values) => values.iter().for_each(|it| it.texts(into)),
            Self::Table(members) => {
                for (name, value) in members {
                    into.push(name);
                    value.texts(into);
                }
            }
        }
    }
}
