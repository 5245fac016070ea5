//! The file of a key's nonce mark, read from its description: two slots of 68 bytes at 0 and 4096 of
//! 8192, each of magic, version, codes, generation, mark, fingerprint and CRC-32, little-endian.

pub const FILE: usize = 8_192;
pub const FIELDS: usize = 64;
pub const PLACES: [usize; 2] = [0, 4_096];
const FINGERPRINT: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slot {
    pub mode: &'static str,
    pub unit: &'static str,
    pub flags: [bool; 3],
    pub generation: u64,
    pub mark: u64,
}

/// What a start must find in a file; `None`: it must not go on with it.
pub fn read(file: &[u8]) -> Option<Slot> {
    if file.len() != FILE {
        return None;
    }
    let [first, second] = PLACES.map(|it| slot(&file[it..it + FIELDS + 4]));
    match (first, second) {
        (Found::Strange, _) | (_, Found::Strange) | (Found::Torn, Found::Torn) => None,
        (Found::Whole(it), Found::Torn) | (Found::Torn, Found::Whole(it)) => Some(it),
        (Found::Whole(a), Found::Whole(b)) if a == b => Some(a),
        (Found::Whole(a), Found::Whole(b)) if a.generation == b.generation => None,
        (Found::Whole(a), Found::Whole(b)) => Some(if a.generation > b.generation { a } else { b }),
    }
}

enum Found {
    Whole(Slot),
    Torn,
    /// Whole, and not of this key or release.
    Strange,
}

fn slot(bytes: &[u8]) -> Found {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let sum = u32::from_le_bytes(bytes[FIELDS..].try_into().expect("4 bytes"));
    if &bytes[..8] != b"gd-nonce" || sum != crc32(&bytes[..FIELDS]) {
        return Found::Torn;
    }
    let mode = ["unknown", "increasing", "time"].get(usize::from(bytes[12]));
    let unit = ["s", "ms", "us", "ns"].get(usize::from(bytes[13]));
    let (flags, zero) = (bytes[14], bytes[15]);
    match (mode, unit) {
        (Some(mode), Some(unit))
            if bytes[8..12] == [1, 0, 0, 0]
                && &bytes[32..64] == FINGERPRINT
                && flags < 8
                && zero == 0 =>
        {
            let flags = [0, 1, 2].map(|it| flags >> it & 1 == 1);
            Found::Whole(Slot { mode, unit, flags, generation: number(16), mark: number(24) })
        }
        _ => Found::Strange,
    }
}

/// CRC-32 as zlib has it, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = !0;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !sum
}
