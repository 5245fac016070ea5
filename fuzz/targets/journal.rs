//! From the bytes of a key's file to the nonces that follow, through crashes and clocks.
//!
//! Input: a byte of flags, the fields of two slots (64 bytes each; the flags say whether each gets its
//! right checksum), and what happens: clocks that go anywhere, requests, torn writes, ends.
//!
//! Held: a file is read if and as its description says, and no other; what is read, repaired and
//! written reads the same again; every nonce stands for a later moment than every one before it and
//! than the mark in the file, over all starts; and none leads the clock by more than a minute.

#![no_main]

use geminid::clock::UnixMicros;
use geminid::fuzzing::{Life, NOW, Step};
use geminid_fuzz::slot::{FIELDS, FILE, PLACES, Slot, crc32, read};
use libfuzzer_sys::fuzz_target;

const MOST_STEPS: usize = 300;
const MINUTE: u128 = 60_000_000_000;

fuzz_target!(|data: &[u8]| {
    let [flags, rest @ ..] = data else { return };
    let (file, events) =
        if flags & 4 == 0 { sealed(*flags, rest) } else { (rest.to_vec(), &[][..]) };
    let timed = flags & 8 == 0;
    let expected = read(&file);
    let life = match (Life::resume(&file, timed), expected) {
        (Ok(life), Some(slot)) => {
            assert!(says(&life, &slot), "{:?} of {slot:?}", life.kept());
            life
        }
        (Err(_), None) => return,
        // No file of ours comes to the last generation; one that does cannot be written on.
        (Err(why), Some(slot)) => return assert_eq!(slot.generation, u64::MAX, "{why}"),
        (Ok(life), None) => panic!("{:?} was read of what must not be read", life.kept()),
    };
    let slot = expected.expect("it was read");
    let left = life.crash();
    let again = Life::resume(&left, timed).expect("what was read and repaired is readable");
    assert_eq!(life.kept(), again.kept());
    live(life, &slot, timed, events);
});

/// The file of two slots, and what is left of the input.
fn sealed(flags: u8, rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut file = vec![0; FILE];
    let mut rest = rest;
    for (n, place) in PLACES.into_iter().enumerate() {
        let (fields, after) = rest.split_at(rest.len().min(FIELDS));
        rest = after;
        file[place..place + fields.len()].copy_from_slice(fields);
        if flags >> n & 1 == 0 {
            let sum = crc32(&file[place..place + FIELDS]).to_le_bytes();
            file[place + FIELDS..place + FIELDS + 4].copy_from_slice(&sum);
        }
    }
    (file, rest)
}

fn says(life: &Life, slot: &Slot) -> bool {
    life.kept() == (slot.mode, slot.unit, slot.mark, slot.flags)
}

fn live(mut life: Life, slot: &Slot, timed: bool, events: &[u8]) {
    let mut now = NOW.0;
    // The moment that the last nonce stands for, in nanoseconds.
    let mut last = u128::from(slot.mark) * nanos(slot.unit);
    let mut events = events.iter().map(|it| u64::from(*it));
    for _ in 0..MOST_STEPS {
        let Some(event) = events.next() else { return };
        let mut size = || events.next().unwrap_or(0);
        match event % 8 {
            0 => now = now.saturating_add(size() * 1_000),
            1 => now = now.saturating_sub(size() * 1_000_000),
            2 => now = now.saturating_add(size() * 10_000_000),
            3 => now = slot.mark.wrapping_mul(1_000).wrapping_add(size()),
            4 => life.runs_out_after(size() as usize),
            5 | 6 => {
                let left = if event % 8 == 5 { life.crash() } else { life.close() };
                let Some(next) = start(&left, timed) else { return };
                life = next;
            }
            _ => {
                if let Step::Nonce { text, unit } = life.take(UnixMicros(now)) {
                    let moment = moment(&text, unit);
                    assert!(moment > last, "{text} {unit} after {last} ns");
                    let late = u128::from(now) * 1_000 + MINUTE + nanos(unit);
                    assert!(moment <= late, "{text} {unit} at {now} us");
                    last = moment;
                    // What a crash would leave now covers it.
                    let left = read(&life.crash()).expect("one slot is whole at any time");
                    assert!(u128::from(left.mark) * nanos(left.unit) >= moment, "{left:?}");
                }
            }
        }
    }
}

/// A start after any end but the loss of the file. `None`: a forged file has come to its last
/// generation.
fn start(left: &[u8], timed: bool) -> Option<Life> {
    let slot = read(left).expect("one slot is whole at any time");
    match Life::resume(left, timed) {
        Ok(life) => {
            assert!(says(&life, &slot), "{:?} of {slot:?}", life.kept());
            Some(life)
        }
        Err(_) if slot.generation == u64::MAX => None,
        Err(why) => panic!("what it left itself it cannot read: {why}"),
    }
}

/// The nanoseconds of one step of a unit.
fn nanos(unit: &str) -> u128 {
    match unit {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        _ => 1,
    }
}

fn moment(text: &str, unit: &str) -> u128 {
    match text.split_once('.') {
        None => text.parse::<u128>().expect("a whole number") * nanos(unit),
        Some((whole, micros)) => {
            assert!(unit == "us" && micros.len() == 6, "{text} {unit}");
            format!("{whole}{micros}").parse::<u128>().expect("digits") * 1_000
        }
    }
}
