//! What a start finds of the trail: its last line, and what is wrong behind it.
//!
//! 1. Only the end of the newest file is read. Whether all is as it was written is for `verify` to say.
//! 2. What comes after the last line that can be read is cut off, kept beside the trail, and told.
//! 3. Lines that `head` knows and the files do not have were cut: that is told, and the chain goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::files::{self, Part};
use super::head::{self, Anchor, Head};
use super::line::{LONGEST, Line};
use super::sheet::{self, Paper};
use super::words;
use crate::clock::Clock;

/// A trail that can be written on, and what is to be told first.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) paper: Paper,
    pub(super) notes: Vec<String>,
}

/// What a note says beside its name.
type Said = Vec<(&'static str, String)>;

/// The end of a file.
struct End {
    file: File,
    last: Option<Anchor>,
    /// What is good.
    length: u64,
    /// What is not, in bytes.
    n_torn: u64,
}

/// Takes the trail in `dir` up, or begins one.
pub(super) fn recover(dir: &Path, clock: Arc<dyn Clock>, most: u64) -> io::Result<Found> {
    let found = head::look(dir)?;
    let mut notes = Vec::new();
    let mut tell = |note: &str, fields: &[(&str, &str)]| {
        notes.push(words::note(clock.wall(), note, fields));
    };
    let mut parts = files::parts(dir)?;
    let is_new = parts.is_empty() && found.is_none();
    let mut kept = None;
    while let Some(part) = parts.pop() {
        let end = end(&part)?;
        if end.n_torn > 0 {
            let name = part.path.file_name().unwrap_or_default().to_string_lossy();
            let n_torn = end.n_torn.to_string();
            set_aside(&part, end.length)?;
            tracing::warn!(file = %part.path.display(), bytes = end.n_torn, "the end of the audit trail was torn, and is cut off");
            tell("torn", &[("file", &name), ("bytes", &n_torn)]);
            end.file.set_len(end.length)?;
            end.file.sync_data()?;
        }
        if let Some(last) = end.last {
            kept = Some((end.file, end.length, last));
            break;
        }
        // A file that was begun, and got no line.
        fs::remove_file(&part.path)?;
    }
    let last = kept.as_ref().map(|(_, _, last)| last.clone()).unwrap_or_default();
    for (note, fields) in compared(found.as_ref(), &last, is_new) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, it)| (*name, &**it)).collect();
        tracing::error!(dir = %dir.display(), "{}", told_as(note, &fields));
        tell(note, &fields);
    }
    let (file, length) = match kept {
        Some((file, length, _)) => (file, length),
        None => (sheet::begin(dir, last.seq + 1)?.1, 0),
    };
    let head = Head::open(dir, found.as_ref(), &last)?;
    let (dir, head_synced) = (dir.to_owned(), clock.monotonic());
    let text = String::new();
    let paper =
        Paper { dir, clock, most, file, length, ragged: false, last, head, head_synced, text };
    Ok(Found { paper, notes })
}

/// How the end agrees with `head`.
fn compared(found: Option<&head::Read>, last: &Anchor, is_new: bool) -> Vec<(&'static str, Said)> {
    let Some(found) = found else {
        let missing = ("head", vec![("why", "it is not there".to_owned())]);
        return if is_new { Vec::new() } else { vec![missing] };
    };
    let mut told = Vec::new();
    if let Some(why) = found.damage {
        told.push(("head", vec![("why", why.to_owned())]));
    }
    let Some(anchor) = &found.anchor else { return told };
    if anchor.seq > last.seq {
        let range = [("first", last.seq + 1), ("last", anchor.seq)];
        told.push(("cut", range.map(|(name, seq)| (name, seq.to_string())).into()));
    } else if anchor.seq == last.seq && anchor.hash != last.hash {
        told.push(("changed", vec![("line", anchor.seq.to_string())]));
    }
    told
}

fn told_as(note: &str, fields: &[(&str, &str)]) -> String {
    let said: Vec<String> = fields.iter().map(|(name, it)| format!("{name} {it}")).collect();
    let what = match note {
        "cut" => "lines of the audit trail are gone",
        "changed" => "a line of the audit trail is not what was written",
        _ => "the head of the audit trail cannot be relied on",
    };
    format!("{what}: {}", said.join(", "))
}

/// Looks for the last line that can be read, from the end.
fn end(part: &Part) -> io::Result<End> {
    let mut file = OpenOptions::new().read(true).write(true).open(&part.path)?;
    let whole = file.metadata()?.len();
    let mut window = 4 * u64::try_from(LONGEST).unwrap_or(u64::MAX);
    loop {
        let (start, bytes) = files::tail(&mut file, whole, window)?;
        if let Some((length, last)) = last_line(&bytes) {
            let length = start + u64::try_from(length).map_err(io::Error::other)?;
            return Ok(End { file, last: Some(last), length, n_torn: whole - length });
        }
        if start == 0 {
            return Ok(End { file, last: None, length: 0, n_torn: whole });
        }
        window = window.saturating_mul(4);
    }
}

/// The last line that is whole and, as far as it can be seen, follows the one before; where it ends.
fn last_line(bytes: &[u8]) -> Option<(usize, Anchor)> {
    let mut end = bytes.iter().rposition(|it| *it == b'\n')? + 1;
    loop {
        let text = bytes.get(..end - 1)?;
        let start = text.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
        let line = Line::read(text.get(start..)?);
        let before = previous(bytes.get(..start)?);
        let follows = |it: &Line<'_>| {
            before
                .as_ref()
                .is_none_or(|before| it.seq == before.seq + 1 && it.follows(&before.hash))
        };
        if let Some(line) = line.filter(follows) {
            return Some((end, Anchor { seq: line.seq, hash: line.hash.to_owned() }));
        }
        if start == 0 {
            return None;
        }
        end = start;
    }
}

/// The line that ends where `bytes` end, if it can be read.
fn previous(bytes: &[u8]) -> Option<Anchor> {
    let text = bytes.strip_suffix(b"\n")?;
    let line = Line::read(text.rsplit(|it| *it == b'\n').next()?)?;
    Some(Anchor { seq: line.seq, hash: line.hash.to_owned() })
}

/// Keeps what is cut off, for whoever wants to look at it.
fn set_aside(part: &Part, from: u64) -> io::Result<()> {
    let mut file = File::open(&part.path)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
    let beside = part.path.with_extension("torn");
    let mut options = OpenOptions::new();
    let aside = options.create(true).append(true).mode(0o600).open(beside);
    if let Err(fault) = aside.and_then(|mut it| io::copy(&mut file, &mut it).map(|_| it.flush())) {
        // A full disk, perhaps: the trail itself goes on.
        tracing::warn!(%fault, "what was cut off could not be kept");
    }
    Ok(())
}
