//! gzip without compression (RFC 1952, and the stored blocks of RFC 1951): a reader cannot tell.

use bytes::Bytes;

/// A header with no name, no time and no system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The most that a stored block holds.
const MAX_BLOCK: usize = 0xffff;

/// Wraps bytes as gzip does.
pub(crate) fn wrap(bytes: &[u8]) -> Bytes {
    let mut out = HEADER.to_vec();
    // An empty body is one empty block.
    let n_blocks = bytes.len().div_ceil(MAX_BLOCK).max(1);
    for n in 0..n_blocks {
        let rest = bytes.get(n * MAX_BLOCK..).unwrap_or_default();
        let block = rest.get(..MAX_BLOCK).unwrap_or(rest);
        let length = u16::try_from(block.len()).expect("a block is no longer than MAX_BLOCK");
        out.push(u8::from(n + 1 == n_blocks));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend(crc(bytes).to_le_bytes());
    // The length counts modulo 2^32.
    let length = u32::try_from(bytes.len() & 0xffff_ffff).expect("masked to 32 bits");
    out.extend(length.to_le_bytes());
    out.into()
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_as_others_do() {
        // The check value of CRC-32 in every catalogue.
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        let wrapped = wrap(b"{}");
        assert_eq!(wrapped.get(10..17), Some(&[1, 2, 0, 0xfd, 0xff, b'{', b'}'][..]));
        assert_eq!(wrap(&vec![0; 70_000]).len(), 70_000 + 10 + 2 * 5 + 8);
        assert_eq!(wrap(b"").len(), 10 + 5 + 8);
    }
}
