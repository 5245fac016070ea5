//! Whether the trail is as it was written, from its first line to what `head` says is its last.
//!
//! 1. The first line that is not as it was written is named. What comes after it proves nothing.
//! 2. It works beside a proxy that writes: `head` is read first, and what comes after the line that it
//!    names may be unfinished.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, Lines, Part};
use super::head::{self, Anchor};
use super::line::{LONGEST, Line};

/// A trail that is as it was written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sound {
    pub(crate) n_files: usize,
    pub(crate) n_lines: u64,
    /// The numbers of its first and its last line; nought where there is none.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Lines in which the trail tells of damage that a start found, or of lines that were lost: the
    /// first of them.
    pub(crate) told: Vec<String>,
    /// Whether a line at the end was not finished, and `head` does not know it.
    pub(crate) unfinished: bool,
}

/// The first line that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}, line {line} (seq {seq}): {what}", path.display())]
pub(crate) struct Broken {
    pub(crate) path: PathBuf,
    /// Its place in the file, from 1. One past the last: it should have come there.
    pub(crate) line: u64,
    /// The number that it should have.
    pub(crate) seq: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// Not JSON, or not a line as the trail has them.
    NoLine,
    Unended,
    Changed,
    Missing {
        last: u64,
    },
    Swapped {
        with: u64,
    },
    Repeated {
        seq: u64,
    },
    Name,
    Empty,
    /// What `head` names is not what stands there.
    Rewritten,
    Cut {
        head: u64,
    },
    Head(&'static str),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLine => f.write_str("is not JSON as the trail writes it"),
            Self::Unended => f.write_str("is cut: it does not end with a line feed"),
            Self::Changed => {
                f.write_str("was changed: its hash is not that of its text behind the line before")
            }
            Self::Missing { last } => write!(f, "is missing: what follows is line {}", last + 1),
            Self::Swapped { with } => write!(f, "is not in its place: line {with} stands there"),
            Self::Repeated { seq } => write!(
                f,
                "is preceded by a line that does not belong there: it says that it is line {seq}"
            ),
            Self::Empty => f.write_str("is missing: the file is empty"),
            Self::Name => f.write_str("is not the line that the file is named after"),
            Self::Rewritten => f.write_str("was rewritten: `head` has another hash for it"),
            Self::Cut { head } => write!(
                f,
                "is missing, and all after it: the end was cut, for `head` says that line {head} was written"
            ),
            Self::Head(why) => write!(f, "cannot be told to be the last: `head` is damaged: {why}"),
        }
    }
}

/// How many of the trail's own remarks are kept.
const MOST_TOLD: usize = 20;

/// Reads the whole trail. `from` is the first line that must be there.
pub(crate) fn verify(dir: &Path, from: u64) -> io::Result<Result<Sound, Broken>> {
    let head = head::look(dir)?;
    let parts = files::parts(dir)?;
    if parts.is_empty() && head.is_none() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit trail"));
    }
    let mut walk = Walk {
        dir,
        from,
        head: head.as_ref().and_then(|it| it.anchor.clone()).unwrap_or_default(),
        before: None,
        sound: Sound { n_files: parts.len(), ..Sound::default() },
        place: (dir.join(files::name(from)), 0),
    };
    let parts: Vec<Part> = parts.into_iter().skip_while(|it| it.first < from).collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if let Err(broken) = walk.file(part, is_last)? {
            return Ok(Err(broken));
        }
    }
    let damage = match &head {
        None => Some("it is not there"),
        Some(read) => read.damage,
    };
    Ok(walk.end(damage))
}

struct Walk<'a> {
    dir: &'a Path,
    from: u64,
    head: Anchor,
    /// The line before; `None` before the first.
    before: Option<Anchor>,
    sound: Sound,
    /// The file, and how many lines of it were read.
    place: (PathBuf, u64),
}

impl Walk<'_> {
    fn file(&mut self, part: &Part, is_last: bool) -> io::Result<Result<(), Broken>> {
        let mut lines = Lines::open(&part.path)?;
        self.place = (part.path.clone(), 0);
        while let Some(raw) = lines.next()? {
            self.place.1 += 1;
            let expected = self.expected();
            if !raw.ended {
                let unknown = is_last && expected > self.head.seq && unfinished(raw.text, expected);
                if unknown {
                    self.sound.unfinished = true;
                    return Ok(Ok(()));
                }
                let what = if raw.text.len() < LONGEST { What::Unended } else { What::NoLine };
                return Ok(Err(self.broken(what)));
            }
            if let Err(what) = self.line(raw.text, part) {
                let next = lines.next()?.and_then(|it| Line::read(it.text).map(|it| it.seq));
                return Ok(Err(self.broken(named(what, expected, next))));
            }
        }
        if self.place.1 == 0 && !is_last {
            self.place.1 = 1;
            return Ok(Err(self.broken(What::Empty)));
        }
        Ok(Ok(()))
    }

    /// Judges one line, which ended.
    fn line(&mut self, text: &[u8], part: &Part) -> Result<(), What> {
        let expected = self.expected();
        let line = Line::read(text).ok_or(What::NoLine)?;
        // Where older files were taken away, the first line brings the hash before it along.
        let repeated = if self.before.is_none() && self.from > 1 { previous(text) } else { None };
        let before = match &self.before {
            Some(before) => before.hash.clone(),
            None => repeated.unwrap_or_default(),
        };
        if line.seq > expected {
            return Err(What::Missing { last: line.seq - 1 });
        }
        if line.seq < expected {
            return Err(What::Repeated { seq: line.seq });
        }
        if !line.follows(&before) {
            return Err(What::Changed);
        }
        if self.place.1 == 1 && part.first != line.seq {
            return Err(What::Name);
        }
        if line.seq == self.head.seq && line.hash != self.head.hash {
            return Err(What::Rewritten);
        }
        self.before = Some(Anchor { seq: line.seq, hash: line.hash.to_owned() });
        self.sound.n_lines += 1;
        self.sound.last = line.seq;
        if self.sound.first == 0 {
            self.sound.first = line.seq;
        }
        if self.sound.told.len() < MOST_TOLD && tells_of_damage(text) {
            self.sound.told.push(String::from_utf8_lossy(text).into_owned());
        }
        Ok(())
    }

    fn end(mut self, damage: Option<&'static str>) -> Result<Sound, Broken> {
        let seq = self.expected();
        self.place.1 += 1;
        if self.head.seq >= seq {
            return Err(self.broken(What::Cut { head: self.head.seq }));
        }
        if let Some(why) = damage {
            self.place = (self.dir.join(head::NAME), 1);
            return Err(Broken { seq: seq - 1, ..self.broken(What::Head(why)) });
        }
        Ok(self.sound)
    }

    fn expected(&self) -> u64 {
        self.before.as_ref().map_or(self.from, |it| it.seq + 1)
    }

    fn broken(&self, what: What) -> Broken {
        let (path, line) = self.place.clone();
        Broken { path, line, seq: self.expected(), what }
    }
}

/// What a wrong number means, as the line after it shows.
fn named(what: What, expected: u64, next: Option<u64>) -> What {
    let is_next = |seq: u64| next == Some(seq);
    if let What::Missing { last } = what
        && is_next(expected)
    {
        return What::Swapped { with: last + 1 };
    }
    // The line after it is the right one: it is this one's number that is wrong.
    let wrong = matches!(what, What::Missing { .. } | What::Repeated { .. });
    if wrong && is_next(expected + 1) { What::Changed } else { what }
}

/// Whether a line that has no end yet may be one that is being written.
fn unfinished(text: &[u8], seq: u64) -> bool {
    let begins = format!("{{\"seq\":{seq},\"at\":\"");
    let (text, begins) = (text.iter(), begins.as_bytes().iter());
    text.zip(begins).all(|(ours, theirs)| ours == theirs)
}

/// What a first line says of the hash before it.
fn previous(text: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct First {
        previous: Option<String>,
    }
    serde_json::from_slice::<First>(text).ok()?.previous
}

/// Whether a line is a note of the trail's own about damage or loss.
fn tells_of_damage(text: &[u8]) -> bool {
    const NOTES: [&str; 5] = ["torn", "cut", "changed", "head", "lost"];
    let text = String::from_utf8_lossy(text);
    let note = text.split_once(r#","event":"note","note":""#).map(|it| it.1);
    note.is_some_and(|it| NOTES.iter().any(|note| it.starts_with(&format!("{note}\""))))
}
