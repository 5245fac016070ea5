//! A line of the trail: what is told, between its number and its hash.
//!
//! 1. `{"seq":N,` what is told `,"hash":"…"}`: one JSON object, and a line feed.
//! 2. The hash is SHA-256 in lower-case hex, over the hash of the line before (nothing, for line 1)
//!    followed by this line's text up to and without `,"hash":…}`. So every line covers all before it.
//! 3. A line is read byte by byte: there is one way to write it.

use crate::secret::sha256_text;

/// Longer than any line of ours: what foreign text may be in one is shortened before.
pub(crate) const LONGEST: usize = 64 << 10;

const FIRST: &[u8] = br#"{"seq":"#;
const HASH: &[u8] = br#","hash":""#;
const LAST: &[u8] = br#""}"#;
/// The length of a hash in hex.
pub(super) const DIGITS: usize = 64;

/// A line as it stands in a file. Whether it belongs there is for [`Line::follows`] to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Line<'a> {
    pub(crate) seq: u64,
    pub(crate) hash: &'a str,
    /// What the hash is over, beside the hash before.
    covered: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line without its line feed.
    pub(crate) fn read(line: &'a [u8]) -> Option<Self> {
        let (covered, rest) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
        let hash = rest.strip_prefix(HASH)?.strip_suffix(LAST)?;
        if !hash.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let number = covered.strip_prefix(FIRST)?;
        let number = number.split(|it| *it == b',').next()?;
        if number.first() == Some(&b'0') || !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let seq = str::from_utf8(number).ok()?.parse().ok()?;
        Some(Self { seq, hash: str::from_utf8(hash).ok()?, covered })
    }

    /// Whether its hash is right behind a line of the hash `before`.
    pub(crate) fn follows(&self, before: &str) -> bool {
        hash(before, self.covered) == self.hash
    }
}

const TAIL: usize = HASH.len() + DIGITS + LAST.len();

/// Writes the line `seq`, with its line feed. Returns its hash.
pub(super) fn write(to: &mut String, seq: u64, told: &str, before: &str) -> String {
    let start = to.len();
    to.push_str(r#"{"seq":"#);
    to.push_str(itoa::Buffer::new().format(seq));
    to.push(',');
    to.push_str(told);
    let hash = hash(before, to.as_bytes().get(start..).unwrap_or_default());
    to.push_str(r#","hash":""#);
    to.push_str(&hash);
    to.push_str("\"}\n");
    hash
}

fn hash(before: &str, covered: &[u8]) -> String {
    sha256_text(&[before.as_bytes(), covered])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_by_hand() {
        let mut text = String::new();
        let first = write(&mut text, 1, r#""at":"x""#, "");
        // printf '{"seq":1,"at":"x"' | sha256sum
        let expected = "a9c72d45ad4771936e9afa41ab84c5bfdf79ee233e539ee93a07e976e827ca1b";
        assert_eq!(first, expected);
        assert_eq!(text, format!("{{\"seq\":1,\"at\":\"x\",\"hash\":\"{expected}\"}}\n"));
        let line = Line::read(text.trim_end().as_bytes()).unwrap();
        assert_eq!((line.seq, line.hash), (1, expected));
        assert!(line.follows("") && !line.follows(expected));
        // printf '<the hash above>{"seq":2,"at":"y"' | sha256sum
        let second = write(&mut text, 2, r#""at":"y""#, &first);
        assert_eq!(second, "808e7d5c93860f0fe5ac04caf76d167825f1e52aac3d43e3a78362fb39581b50");
    }

    #[test]
    fn what_is_no_line() {
        let hash = "a".repeat(DIGITS);
        let line =
            |number: &str, hash: &str| format!(r#"{{"seq":{number},"x":1,"hash":"{hash}"}}"#);
        assert!(Line::read(line("1", &hash).as_bytes()).is_some());
        for number in ["", "0", "01", "-1", "1.0", "\"1\"", "18446744073709551616", " 1"] {
            assert_eq!(Line::read(line(number, &hash).as_bytes()), None, "{number}");
        }
        for hash in ["A".repeat(DIGITS), "a".repeat(DIGITS - 1), "g".repeat(DIGITS)] {
            assert_eq!(Line::read(line("1", &hash).as_bytes()), None, "{hash}");
        }
        for text in ["", "{}", "\0\0\0\0", &format!("{}\n", line("1", &hash))] {
            assert_eq!(Line::read(text.as_bytes()), None, "{text}");
        }
    }
}
