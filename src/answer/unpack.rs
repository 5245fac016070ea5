//! Rejections that come compressed: what they say, under a bound.
//!
//! 1. `gzip` and `deflate`, alone, are unpacked: up to 64 KiB, and not a byte further. What is longer
//!    than twice that while it is packed is not begun: a body of nothing but empty parts says nothing,
//!    and takes seconds (8 MB of empty gzip members, measured).
//! 2. Whatever else is left as it is, and the diagnosis says why: other codings, several of them, damaged
//!    data, data that goes on behind its end.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderName;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap};

/// As long as a rejection that a diagnosis is put into.
pub(super) const MOST: usize = 64 * 1_024;
/// No coding makes much more of what it cannot pack.
const MOST_PACKED: usize = 2 * MOST;

/// What was found under the coding.
#[derive(Debug)]
pub(super) enum Unpacked {
    /// It is not compressed.
    Plain,
    Read(Bytes),
    /// It is, and is not read: why.
    Sealed(String),
}

/// Fields that tell of the body's bytes, and are wrong when it changes.
static OF_THE_BYTES: [HeaderName; 8] = [
    CONTENT_ENCODING,
    CONTENT_RANGE,
    ETAG,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// The body changes: what is told of its bytes goes.
pub(super) fn changed(headers: &mut HeaderMap) {
    for name in &OF_THE_BYTES {
        headers.remove(name);
    }
}

pub(super) fn unpack(headers: &HeaderMap, body: &[u8]) -> Unpacked {
    let fields = headers.get_all(CONTENT_ENCODING).iter();
    let words = fields.map(|it| String::from_utf8_lossy(it.as_bytes()).to_ascii_lowercase());
    let codings: Vec<String> = words
        .flat_map(|it| it.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>())
        .filter(|it| !it.is_empty() && it != "identity")
        .collect();
    let begun = body.len() <= MOST_PACKED;
    let read = match codings.as_slice() {
        [] => return Unpacked::Plain,
        // A body of no bytes says nothing, whatever is told of it.
        _ if body.is_empty() => return Unpacked::Plain,
        [one] if !begun && is_known(one) => Err(Sealed::TooLong),
        [one] if one == "gzip" || one == "x-gzip" => read(MultiGzDecoder::new(body)),
        [one] if one == "deflate" => {
            // Meant is zlib's format (RFC 9110, section 8.4.1.2); some send it without its frame.
            read(ZlibDecoder::new(body)).or_else(|why| match why {
                Sealed::Damaged => read(DeflateDecoder::new(body)),
                Sealed::TooLong | Sealed::Foreign => Err(why),
            })
        }
        _ => Err(Sealed::Foreign),
    };
    match read {
        Ok(bytes) => Unpacked::Read(bytes),
        Err(why) => {
            let coding = crate::diagnose::quoted(&codings.join(", "), 40);
            Unpacked::Sealed(format!("the body is compressed ({coding:?}) and was not read: {why}"))
        }
    }
}

fn is_known(coding: &str) -> bool {
    matches!(coding, "gzip" | "x-gzip" | "deflate")
}

/// Why a compressed body is left as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Sealed {
    #[error("gzip and deflate are known here, each alone")]
    Foreign,
    #[error("its data is damaged")]
    Damaged,
    /// Or would, if it were packed in earnest.
    #[error("it holds more than 64 KiB")]
    TooLong,
}

fn read(decoder: impl Read) -> Result<Bytes, Sealed> {
    let mut out = Vec::new();
    let limit = u64::try_from(MOST + 1).unwrap_or(u64::MAX);
    let done = decoder.take(limit).read_to_end(&mut out);
    if out.len() > MOST {
        return Err(Sealed::TooLong);
    }
    done.map(|_| out.into()).map_err(|_| Sealed::Damaged)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(codings: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        headers
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bare(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(codings: &[&'static str], body: &[u8], expected: &[u8]) {
        match unpack(&headers(codings), body) {
            Unpacked::Read(read) => assert_eq!(read, expected, "{codings:?}"),
            other @ (Unpacked::Plain | Unpacked::Sealed(_)) => panic!("{codings:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn check_sealed(codings: &[&'static str], body: &[u8], why: &str) {
        match unpack(&headers(codings), body) {
            Unpacked::Sealed(said) => assert!(said.ends_with(why), "{said}"),
            other @ (Unpacked::Plain | Unpacked::Read(_)) => panic!("{codings:?}: {other:?}"),
        }
    }

    #[test]
    fn what_is_read() {
        let most = vec![b'x'; MOST];
        for text in [&b"{}"[..], b"", &most] {
            check(&["gzip"], &gzip(text), text);
            check(&["GZIP"], &gzip(text), text);
            check(&["x-gzip", "identity"], &gzip(text), text);
            check(&["deflate"], &zlib(text), text);
            check(&["deflate"], &bare(text), text);
        }
        check(&["gzip"], &[gzip(b"a"), gzip(b"b")].concat(), b"ab");
        for codings in [&[][..], &["identity"], &[" , identity"]] {
            assert!(matches!(unpack(&headers(codings), b"x"), Unpacked::Plain), "{codings:?}");
        }
        assert!(matches!(unpack(&headers(&["gzip"]), b""), Unpacked::Plain));
    }

    #[test]
    fn what_is_left() {
        let foreign = "gzip and deflate are known here, each alone";
        check_sealed(&["br"], b"x", foreign);
        check_sealed(&["gzip, gzip"], &gzip(&gzip(b"x")), foreign);
        check_sealed(&["deflate", "gzip"], &gzip(&zlib(b"x")), foreign);
        let whole = gzip(b"{\"reason\":\"X\"}");
        for cut in 1..whole.len() {
            check_sealed(&["gzip"], &whole[..cut], "its data is damaged");
        }
        let mut flipped = whole.clone();
        flipped[whole.len() - 6] ^= 1;
        check_sealed(&["gzip"], &flipped, "its data is damaged");
        check_sealed(&["gzip"], &[&whole[..], b"x"].concat(), "its data is damaged");
        check_sealed(&["gzip"], b"{}", "its data is damaged");
        let bomb = vec![0; 64 * MOST];
        check_sealed(&["gzip"], &gzip(&bomb), "it holds more than 64 KiB");
        check_sealed(&["deflate"], &zlib(&bomb), "it holds more than 64 KiB");
        check_sealed(&["gzip"], &gzip(&bomb[..=MOST]), "it holds more than 64 KiB");
        let empty = gzip(b"").repeat(MOST_PACKED / 20 + 1);
        check_sealed(&["gzip"], &empty, "it holds more than 64 KiB");
        let empty = [0, 0, 0, 0xff, 0xff].repeat(MOST_PACKED / 5 + 1);
        check_sealed(&["deflate"], &empty, "it holds more than 64 KiB");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..300)) {
            for coding in ["gzip", "deflate"] {
                if let Unpacked::Read(read) = unpack(&headers(&[coding]), &body) {
                    prop_assert!(read.len() <= MOST);
                }
            }
        }
    }
}
