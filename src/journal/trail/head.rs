//! `head`: number and hash of the trail's last line, beside the trail. By it an end that was cut off is
//! found, which the lines that are left cannot tell.
//!
//! 1. The file is as long as it will ever be, and written in place: two slots in different pages, in
//!    turns. While one is written the other is whole.
//! 2. A slot counts if its checksum is right; of two that count, the one that was written later is read.
//! 3. Every other byte is nought.
//! 4. What a start finds stays until a line has been written: a start that is cut short hides nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::line::DIGITS;

pub(crate) const NAME: &str = "head";

const PLACES: [usize; 2] = [0, 4_096];
const FILE: usize = 8_192;
const MAGIC: [u8; 8] = *b"gd-audit";
const VERSION: u32 = 1;
/// Magic, version, nought, generation, number, hash.
const FIELDS: usize = 8 + 4 + 4 + 8 + 8 + DIGITS;
const SLOT: usize = FIELDS + 4;

/// The last line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Anchor {
    /// Nought: there is no line yet.
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

/// What the file says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) anchor: Option<Anchor>,
    pub(crate) damage: Option<&'static str>,
    generation: u64,
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct Head {
    file: File,
    generation: u64,
    // The slot that is written next. Invariant: once `settled`, the other is whole.
    next: usize,
    // Whether both slots are ours.
    settled: bool,
}

impl Head {
    /// Takes the file up as `found`; where it is none, it is made of `anchor`.
    pub(super) fn open(dir: &Path, found: Option<&Read>, anchor: &Anchor) -> io::Result<Self> {
        let path = dir.join(NAME);
        let whole = fs::metadata(&path).is_ok_and(|it| it.is_file() && it.len() == LENGTH);
        if !whole {
            make(&path, anchor)?;
        }
        let file = OpenOptions::new().write(true).open(path)?;
        let generation = found.map_or(1, |it| it.generation);
        Ok(Self { file, generation, next: 0, settled: false })
    }

    pub(super) fn write(&mut self, anchor: &Anchor) -> io::Result<()> {
        if !self.settled {
            self.put(anchor)?;
            self.sync()?;
        }
        self.put(anchor)?;
        self.settled = true;
        Ok(())
    }

    fn put(&mut self, anchor: &Anchor) -> io::Result<()> {
        let at = PLACES.get(self.next).copied().unwrap_or_default();
        let at = u64::try_from(at).map_err(io::Error::other)?;
        // No file of ours ever comes to the last; a forged one might begin there.
        self.generation = self.generation.wrapping_add(1);
        self.file.write_all_at(&slot(anchor, self.generation), at)?;
        self.next = 1 - self.next;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

const LENGTH: u64 = 8_192;

/// Makes the file whole or not at all.
fn make(path: &Path, anchor: &Anchor) -> io::Result<()> {
    let beside: PathBuf = path.with_extension("new");
    // What a crash may have left; if it cannot go, neither can a new one come.
    drop(fs::remove_file(&beside));
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(&image([(anchor, 1), (anchor, 1)]))?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn image(slots: [(&Anchor, u64); 2]) -> Vec<u8> {
    let mut bytes = vec![0; FILE];
    for (place, (anchor, generation)) in PLACES.into_iter().zip(slots) {
        let into = bytes.iter_mut().skip(place);
        into.zip(slot(anchor, generation)).for_each(|(to, from)| *to = from);
    }
    bytes
}

/// Reads the file of a trail that may be in use. A file that is not there says nothing.
pub(crate) fn look(dir: &Path) -> io::Result<Option<Read>> {
    let mut bytes = Vec::with_capacity(FILE + 1);
    match File::open(dir.join(NAME)) {
        Ok(file) => file.take(LENGTH + 1).read_to_end(&mut bytes)?,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    Ok(Some(read(&bytes)))
}

fn read(bytes: &[u8]) -> Read {
    let slots = PLACES.map(|place| bytes.get(place..place + SLOT).and_then(parse));
    let n_bad = slots.iter().filter(|it| it.is_none()).count();
    let stray = bytes.iter().enumerate().any(|(at, byte)| {
        *byte != 0 && !PLACES.iter().any(|place| (*place..place + SLOT).contains(&at))
    });
    let damage = match n_bad {
        _ if bytes.len() != FILE => Some("it is not 8192 bytes long"),
        2 => Some("neither of its slots is whole"),
        1 => Some("one of its slots is not whole"),
        _ if stray => Some("there are bytes where none belong"),
        _ => None,
    };
    let later = slots.into_iter().flatten().max_by_key(|it| it.1);
    let generation = later.as_ref().map_or(1, |it| it.1);
    Read { anchor: later.map(|it| it.0), damage, generation }
}

fn slot(anchor: &Anchor, generation: u64) -> [u8; SLOT] {
    let mut bytes = [0; SLOT];
    let mut rest = bytes.as_mut_slice();
    let mut put = |field: &[u8]| {
        // Writing to a slice shortens it; the fields fill it exactly.
        rest.write_all(field).expect("a slot has room for its fields");
    };
    put(&MAGIC);
    put(&VERSION.to_le_bytes());
    put(&[0; 4]);
    put(&generation.to_le_bytes());
    put(&anchor.seq.to_le_bytes());
    let mut hash = [0; DIGITS];
    hash.iter_mut().zip(anchor.hash.bytes()).for_each(|(to, from)| *to = from);
    put(&hash);
    let sum = checksum(&bytes).to_le_bytes();
    bytes.iter_mut().skip(FIELDS).zip(sum).for_each(|(to, from)| *to = from);
    bytes
}

fn parse(bytes: &[u8]) -> Option<(Anchor, u64)> {
    let (fields, sum) = bytes.split_at_checked(FIELDS)?;
    if sum != checksum(bytes).to_le_bytes() {
        return None;
    }
    let (magic, rest) = fields.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (zero, rest) = rest.split_first_chunk::<4>()?;
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (seq, hash) = rest.split_first_chunk::<8>()?;
    if *magic != MAGIC || u32::from_le_bytes(*version) != VERSION || *zero != [0; 4] {
        return None;
    }
    let seq = u64::from_le_bytes(*seq);
    let hash = if seq == 0 { "" } else { str::from_utf8(hash).ok()? };
    Some((Anchor { seq, hash: hash.to_owned() }, u64::from_le_bytes(*generation)))
}

fn checksum(slot: &[u8]) -> u32 {
    crc32fast::hash(slot.get(..FIELDS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(seq: u64) -> Anchor {
        Anchor { seq, hash: if seq == 0 { String::new() } else { "b".repeat(DIGITS) } }
    }

    #[test]
    fn what_was_written_later_is_read() {
        for (slots, expected) in
            [([(0, 1), (0, 1)], 0), ([(7, 5), (6, 4)], 7), ([(9, 4), (7, 5)], 7)]
        {
            let [(first, one), (second, other)] = slots;
            let said = read(&image([(&anchor(first), one), (&anchor(second), other)]));
            assert_eq!((said.anchor, said.damage), (Some(anchor(expected)), None));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_damage() {
        let whole = image([(&anchor(7), 1), (&anchor(9), 2)]);
        for at in 0..FILE {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let said = read(&bytes);
                assert!(said.damage.is_some(), "{at} {bit}");
                // The other slot is read.
                assert!(matches!(said.anchor, Some(it) if it.seq >= 7), "{at} {bit}");
            }
        }
        for length in [0, 1, SLOT, 4_096, FILE - 1, FILE + 1] {
            let mut bytes = whole.clone();
            bytes.resize(length, 0);
            assert!(read(&bytes).damage.is_some(), "{length}");
        }
    }
}
