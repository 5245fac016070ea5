//! Every byte flipped, every length, every moment of a crash: a file covers what was handed out, or is
//! refused.

use super::super::slot::{self, FILE, Fault, PLACES, Read, SLOT, Unreadable};
use super::disk::{Plan, Shared};
use super::{FINGERPRINT, kept};
use crate::nonce::{Kept, Mode, Unit};

const PATTERNS: [u8; 10] = [0xFF, 0x01, 0x80, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0xAA];

fn read(bytes: &[u8]) -> Result<Read, Unreadable> {
    slot::read(bytes, FINGERPRINT)
}

/// Flips each byte in turn, in every pattern, and cuts the file at every length.
fn abuse(whole: &[u8], places: impl Iterator<Item = usize>, handed_out: u64) {
    let mut bytes = whole.to_vec();
    for place in places {
        for pattern in PATTERNS {
            bytes[place] ^= pattern;
            if let Ok(read) = read(&bytes) {
                let mark = read.kept.mark;
                assert!(mark >= handed_out, "{mark}, with byte {place} flipped by {pattern:#x}");
            }
            bytes[place] ^= pattern;
        }
    }
}

fn slot_bytes() -> impl Iterator<Item = usize> {
    PLACES.into_iter().flat_map(|it| it..it + SLOT)
}

#[test]
fn what_is_written_is_read() {
    for mode in [Mode::Unknown, Mode::Increasing, Mode::Time] {
        for &unit in Unit::ALL {
            for flags in 0..8 {
                let (serial, succeeded, exact) = (flags & 1 > 0, flags & 2 > 0, flags & 4 > 0);
                for mark in [0, 1, 1_790_000_000_123, u64::MAX] {
                    let kept = Kept { mode, unit, serial, succeeded, mark, exact };
                    let file = slot::file(kept, mark, FINGERPRINT);
                    let expected = Read { kept, generation: mark, place: 0, other: None };
                    assert_eq!(read(&file), Ok(expected));
                }
            }
        }
    }
}

/// The codes are a contract with files that are out there.
#[test]
fn the_bytes_of_a_slot_stay_as_they_are() {
    let kept = Kept {
        mode: Mode::Time,
        unit: Unit::Micros,
        serial: false,
        succeeded: true,
        mark: 0x0102_0304_0506_0708,
        exact: true,
    };
    let slot = slot::write(kept, 5, FINGERPRINT);
    let (fields, sum) = slot.split_at(64);
    let expected =
        b"gd-nonce\x01\0\0\0\x02\x02\x06\0\x05\0\0\0\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01";
    assert_eq!(fields, [expected, FINGERPRINT.as_bytes()].concat());
    assert_eq!(sum, crc32fast::hash(fields).to_le_bytes());
}

#[test]
fn a_settled_file_survives_any_flipped_byte() {
    let whole = slot::file(kept(20, false), 7, FINGERPRINT);
    let mut bytes = whole.clone();
    for place in 0..FILE {
        for pattern in PATTERNS {
            bytes[place] ^= pattern;
            let read = read(&bytes).unwrap();
            let hit = PLACES.iter().position(|it| (*it..it + SLOT).contains(&place));
            let other = hit.map(|_| Fault::Checksum);
            assert_eq!((read.kept, read.other), (kept(20, false), other), "byte {place}");
            assert_ne!(Some(read.place), hit);
            bytes[place] ^= pattern;
        }
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let whole = slot::file(kept(20, false), 7, FINGERPRINT);
    for length in 0..FILE {
        assert_eq!(read(&whole[..length]), Err(Unreadable::Length), "{length}");
    }
    assert_eq!(read(&[&whole[..], b"\0"].concat()), Err(Unreadable::Length));
    assert!(read(&whole).is_ok());
}

/// A crash at each operation of a write, with any part of it on the disk: then one more byte flips, and
/// the file covers the mark that was there before, or is refused.
#[test]
fn a_torn_write_never_reads_as_less() {
    for (lowered, new) in [(false, 30), (true, 15)] {
        // An orderly end lowers the mark to what was used.
        let handed_out = if lowered { 15 } else { 20 };
        for operation in 0..4 {
            for torn in 0..=SLOT {
                for reaches in [0..torn, torn..SLOT] {
                    let disk = Shared::settled(20);
                    let (_, mut slots) = disk.open().unwrap();
                    let fails_after = Some(operation);
                    disk.plan(Plan { fails_after, reaches: reaches.clone(), for_good: true });
                    assert!(slots.keep(kept(new, lowered)).is_err());
                    let bytes = disk.durable();
                    let read = read(&bytes).unwrap();
                    assert!([20, new].contains(&read.kept.mark), "{operation} {reaches:?}");
                    if torn % 17 == 0 {
                        abuse(&bytes, slot_bytes(), handed_out);
                    }
                    // The next start repairs it, and loses nothing if power fails again.
                    for again in 0..4 {
                        let disk = Shared::new(bytes.clone());
                        let (_, mut slots) = disk.open().unwrap();
                        let fails_after = Some(again);
                        disk.plan(Plan { fails_after, reaches: 3..40, for_good: true });
                        assert!(slots.repair().is_err());
                        assert_eq!(
                            slot::read(&disk.durable(), FINGERPRINT).unwrap().kept,
                            read.kept
                        );
                    }
                }
            }
        }
    }
}

/// Between the two slots, with nothing torn: either alone covers what was handed out.
#[test]
fn half_a_write_and_a_lost_slot() {
    for operation in [2, 3] {
        let disk = Shared::settled(20);
        let (_, mut slots) = disk.open().unwrap();
        disk.plan(Plan { fails_after: Some(operation), reaches: 0..0, for_good: true });
        assert!(slots.keep(kept(30, false)).is_err());
        let bytes = disk.durable();
        assert_eq!(read(&bytes).unwrap().kept.mark, 30);
        abuse(&bytes, 0..FILE, 20);
        for place in PLACES {
            let mut bytes = bytes.clone();
            bytes[place..place + SLOT].fill(0);
            let mark = read(&bytes).unwrap().kept.mark;
            assert!([20, 30].contains(&mark), "{mark}");
        }
    }
}

/// A failure that passes, at any operation, leaves no hole: what is acknowledged is in both slots.
#[test]
fn what_is_acknowledged_is_in_both_slots() {
    for first in 0..4 {
        for second in 0..5 {
            for torn in [0, 5, 30, SLOT] {
                let disk = Shared::settled(20);
                let (_, mut slots) = disk.open().unwrap();
                for (operation, mark) in [(first, 40), (second, 30)] {
                    let fails_after = Some(operation);
                    disk.plan(Plan { fails_after, reaches: 0..torn, for_good: false });
                    let outcome = slots.keep(kept(mark, false));
                    assert_eq!(outcome.is_ok(), operation == 4);
                    // Nothing is acknowledged that is not there, and what was there before stays.
                    assert!(read(&disk.durable()).unwrap().kept.mark >= 20);
                }
                disk.plan(Plan::default());
                slots.keep(kept(31, false)).unwrap();
                for place in PLACES {
                    let mut bytes = disk.durable();
                    bytes[place] ^= 1;
                    assert_eq!(read(&bytes).unwrap().kept.mark, 31, "{first} {second} {torn}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_ours_is_refused() {
    let whole = slot::file(kept(20, false), 7, FINGERPRINT);
    let refused = |bytes: &[u8]| read(bytes).unwrap_err();
    assert_eq!(refused(&[0; FILE]), Unreadable::Neither);
    assert_eq!(refused(&[0xFF; FILE]), Unreadable::Neither);
    let foreign = slot::file(kept(20, false), 7, "another key");
    assert_eq!(refused(&foreign), Unreadable::Slot(0, Fault::Foreign));
    // Another version, another word, a spare bit: whole, as the checksum says, and not ours.
    let forged = |place: usize, byte: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[place + byte] = value;
        let sum = crc32fast::hash(&bytes[place..place + 64]);
        bytes[place + 64..place + SLOT].copy_from_slice(&sum.to_le_bytes());
        bytes
    };
    for (number, place) in PLACES.into_iter().enumerate() {
        let cases = [(8, 2, Fault::Version(2)), (12, 3, Fault::Word), (13, 4, Fault::Word)];
        let more = [(14, 8, Fault::Word), (15, 1, Fault::Word), (40, b'x', Fault::Foreign)];
        for (byte, value, fault) in cases.into_iter().chain(more) {
            let said = refused(&forged(place, byte, value));
            assert_eq!(said, Unreadable::Slot(number, fault), "byte {byte}");
        }
        let said = refused(&forged(place, 24, 21));
        assert_eq!(said, Unreadable::Contradiction, "one generation, two marks");
    }
}

#[test]
fn a_forged_generation_is_no_way_round() {
    let disk = Shared::new(slot::file(kept(20, false), u64::MAX, FINGERPRINT));
    let (_, mut slots) = disk.open().unwrap();
    assert!(slots.keep(kept(30, false)).is_err());
    assert_eq!(read(&disk.durable()).unwrap().kept.mark, 20);
}
