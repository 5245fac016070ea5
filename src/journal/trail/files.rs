//! The files of a trail, in order, and their lines one by one. Nothing here holds a whole file.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::line::LONGEST;

/// A file of the trail, and the number of its first line, by which it is named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

/// The files in `dir`, oldest first. Whatever else lies there is none of ours.
pub(crate) fn parts(dir: &Path) -> io::Result<Vec<Part>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let number = name.strip_suffix(".jsonl").filter(|it| it.len() >= WIDTH);
        let digits = number.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(first) = digits.and_then(|it| it.parse().ok()) {
            found.push(Part { first, path });
        }
    }
    found.sort_by_key(|it| it.first);
    Ok(found)
}

const WIDTH: usize = 12;

pub(super) fn name(first: u64) -> String {
    format!("{first:012}.jsonl")
}

/// The lines of one file.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    /// How many were read.
    pub(crate) n_read: u64,
}

/// A line without its line feed, and whether it had one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) ended: bool,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let reader = BufReader::with_capacity(LONGEST, File::open(path)?);
        Ok(Self { reader, line: Vec::new(), n_read: 0 })
    }

    /// The next line. Of one that is longer than any of ours, the beginning.
    pub(crate) fn next(&mut self) -> io::Result<Option<Raw<'_>>> {
        self.line.clear();
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        let n = (&mut self.reader).take(most).read_until(b'\n', &mut self.line)?;
        if n == 0 {
            return Ok(None);
        }
        self.n_read += 1;
        Ok(Some(match self.line.strip_suffix(b"\n") {
            Some(text) => Raw { text, ended: true },
            None => Raw { text: &self.line, ended: false },
        }))
    }

    /// Stands before the line that was just read, so that it can be read again when it is whole.
    pub(crate) fn back(&mut self) -> io::Result<()> {
        let back = i64::try_from(self.line.len()).map_err(io::Error::other)?;
        self.n_read = self.n_read.saturating_sub(1);
        self.reader.seek_relative(-back)
    }
}

/// The last bytes of a file of this length, from after a line feed on; all of it, if it is shorter.
pub(super) fn tail(file: &mut File, length: u64, most: u64) -> io::Result<(u64, Vec<u8>)> {
    let start = length.saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if start == 0 {
        return Ok((0, bytes));
    }
    let cut = bytes.iter().position(|it| *it == b'\n').map_or(bytes.len(), |it| it + 1);
    let rest = bytes.split_off(cut);
    Ok((start + u64::try_from(cut).map_err(io::Error::other)?, rest))
}
