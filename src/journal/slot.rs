//! The bytes of a key's file: two slots that each hold a whole mark.
//!
//! 1. The slots lie in different pages of 4 KiB, so that one torn write cannot reach both.
//! 2. A slot counts if its checksum is right. Of two that count the later generation is read.
//! 3. One slot that does not count is damage that is told and repaired. Two, or a slot that is whole
//!    but another key's or another version's, or a file of another length: the file is not read.
//!
//! Both slots hold a mark before a nonce is handed out on it (`marks`). So whichever slot is lost, the
//! other covers all that was handed out.

use crate::nonce::{Kept, Mode, Unit};

/// Where each slot begins, one to a page.
pub(super) const PLACES: [usize; 2] = [0, 4_096];
/// The length of the file, which never changes.
pub(super) const FILE: usize = 8_192;
/// The length of a slot: its fields, and the checksum of them.
pub(super) const SLOT: usize = FIELDS + 4;

const MAGIC: [u8; 8] = *b"gd-nonce";
const VERSION: u32 = 1;
const FIELDS: usize = 64;
/// The length of a fingerprint; a shorter one is filled with zeros.
const NAME: usize = 32;

/// What a file says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Read {
    pub(super) kept: Kept,
    pub(super) generation: u64,
    /// The place of the slot that was read.
    pub(super) place: usize,
    /// Why the other slot is not the same.
    pub(super) other: Option<Fault>,
}

/// What is wrong with a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it is of version {0}, and this release reads {VERSION}")]
    Version(u32),
    #[error("it belongs to another key")]
    Foreign,
    #[error("it names a mode, a unit or a flag that this release does not know")]
    Word,
    #[error("it is older: a write did not end")]
    Older,
}

/// Why a file is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is not {FILE} bytes long")]
    Length,
    #[error("of slot {0}: {1}")]
    Slot(usize, Fault),
    #[error("neither slot is whole")]
    Neither,
    #[error("its slots are of the same generation, and differ")]
    Contradiction,
}

/// The bytes of a new file, with the same in both slots.
pub(super) fn file(kept: Kept, generation: u64, fingerprint: &str) -> Vec<u8> {
    let slot = write(kept, generation, fingerprint);
    let mut bytes = vec![0; FILE];
    for place in PLACES {
        let into = bytes.get_mut(place..place + SLOT).expect("both places lie in the file");
        into.copy_from_slice(&slot);
    }
    bytes
}

pub(super) fn read(bytes: &[u8], fingerprint: &str) -> Result<Read, Unreadable> {
    if bytes.len() != FILE {
        return Err(Unreadable::Length);
    }
    let slot = |place: usize| {
        let at = PLACES.get(place).copied().and_then(|it| bytes.get(it..it + SLOT));
        parse(at.expect("both places lie in the file"), fingerprint)
    };
    let read = |(kept, generation), place, other| Ok(Read { kept, generation, place, other });
    match (slot(0), slot(1)) {
        // Whole, and not ours: somebody put it there, and what is beside it proves nothing.
        (Err(fault), _) if fault != Fault::Checksum => Err(Unreadable::Slot(0, fault)),
        (_, Err(fault)) if fault != Fault::Checksum => Err(Unreadable::Slot(1, fault)),
        (Err(_), Err(_)) => Err(Unreadable::Neither),
        (Ok(first), Err(fault)) => read(first, 0, Some(fault)),
        (Err(fault), Ok(second)) => read(second, 1, Some(fault)),
        (Ok(first), Ok(second)) if first == second => read(first, 0, None),
        (Ok(first), Ok(second)) if first.1 == second.1 => Err(Unreadable::Contradiction),
        (Ok(first), Ok(second)) if first.1 > second.1 => read(first, 0, Some(Fault::Older)),
        (Ok(_), Ok(second)) => read(second, 1, Some(Fault::Older)),
    }
}

/// The bytes of one slot.
pub(super) fn write(kept: Kept, generation: u64, fingerprint: &str) -> [u8; SLOT] {
    let Kept { mode, unit, serial, succeeded, mark, exact } = kept;
    let flags = u8::from(serial) | u8::from(succeeded) << 1 | u8::from(exact) << 2;
    let mut bytes = [0; SLOT];
    let mut rest = bytes.as_mut_slice();
    put(&mut rest, &MAGIC);
    put(&mut rest, &VERSION.to_le_bytes());
    put(&mut rest, &[mode_code(mode), unit_code(unit), flags, 0]);
    put(&mut rest, &generation.to_le_bytes());
    put(&mut rest, &mark.to_le_bytes());
    put(&mut rest, &name(fingerprint));
    let sum = checksum(&bytes);
    put(&mut bytes.get_mut(FIELDS..).unwrap_or_default(), &sum.to_le_bytes());
    bytes
}

fn parse(slot: &[u8], fingerprint: &str) -> Result<(Kept, u64), Fault> {
    let mut rest = slot;
    let magic: [u8; 8] = take(&mut rest);
    let version = u32::from_le_bytes(take(&mut rest));
    let [mode, unit, flags, zero]: [u8; 4] = take(&mut rest);
    let generation = u64::from_le_bytes(take(&mut rest));
    let mark = u64::from_le_bytes(take(&mut rest));
    let whose: [u8; NAME] = take(&mut rest);
    let sum = u32::from_le_bytes(take(&mut rest));
    if magic != MAGIC || sum != checksum(slot) {
        return Err(Fault::Checksum);
    }
    if version != VERSION {
        return Err(Fault::Version(version));
    }
    if whose != name(fingerprint) {
        return Err(Fault::Foreign);
    }
    let mode = Mode::ALL.iter().copied().find(|it| mode_code(*it) == mode);
    let unit = Unit::ALL.iter().copied().find(|it| unit_code(*it) == unit);
    let (Some(mode), Some(unit), 0, 0..=7) = (mode, unit, zero, flags) else {
        return Err(Fault::Word);
    };
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let (serial, succeeded, exact) = (flag(0), flag(1), flag(2));
    Ok((Kept { mode, unit, serial, succeeded, mark, exact }, generation))
}

fn checksum(slot: &[u8]) -> u32 {
    crc32fast::hash(slot.get(..FIELDS).unwrap_or_default())
}

/// Codes on disk are never given to another word.
fn mode_code(mode: Mode) -> u8 {
    match mode {
        Mode::Unknown => 0,
        Mode::Increasing => 1,
        Mode::Time => 2,
    }
}

fn unit_code(unit: Unit) -> u8 {
    match unit {
        Unit::Seconds => 0,
        Unit::Millis => 1,
        Unit::Micros => 2,
        Unit::Nanos => 3,
    }
}

fn name(fingerprint: &str) -> [u8; NAME] {
    let mut bytes = [0; NAME];
    bytes.iter_mut().zip(fingerprint.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

fn put(rest: &mut &mut [u8], field: &[u8]) {
    let (to, after) = std::mem::take(rest).split_at_mut(field.len());
    to.copy_from_slice(field);
    *rest = after;
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (field, after) = rest.split_first_chunk().expect("the fields add up to a slot");
    *rest = after;
    *field
}
