//! As much of a certificate as a person wants to know: whose it is, who signed it, and until when.
//!
//! Only for telling. Whether a certificate is accepted is rustls's decision, which reads it for itself.

use time::{Date, Month, PrimitiveDateTime, Time};

use crate::clock::UnixMicros;
use crate::diagnose::quoted;

/// What a name may be long in what is told.
const MAX_NAME: usize = 100;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The optional version of a certificate.
const VERSION: u8 = 0xa0;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// Foreign text, bounded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) ends: UnixMicros,
}

impl Certificate {
    /// `None` if it is not written as RFC 5280, section 4.1, has it.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Items(Items(der).next(SEQUENCE)?);
        let mut inner = Items(outer.next(SEQUENCE)?);
        if inner.peek() == Some(VERSION) {
            inner.any()?;
        }
        // The serial number, and the algorithm of the signature.
        inner.any()?;
        inner.next(SEQUENCE)?;
        let issuer = name(inner.next(SEQUENCE)?)?;
        let mut validity = Items(inner.next(SEQUENCE)?);
        validity.any()?;
        let (kind, text) = validity.any()?;
        let subject = name(inner.next(SEQUENCE)?)?;
        Some(Self { subject, issuer, ends: moment(kind, text)? })
    }
}

/// The values of DER, one after the other.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, of whatever kind.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&kind, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // A length of more than four bytes is none of a certificate's.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0_u64, |sum, it| sum << 8 | u64::from(*it));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((kind, value))
    }

    fn next(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.any().filter(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }
}

/// The common name, or the organization; empty of a name that has neither.
fn name(der: &[u8]) -> Option<String> {
    let (mut common, mut organization) = (None, None);
    let mut parts = Items(der);
    while parts.peek().is_some() {
        let mut set = Items(parts.next(SET)?);
        while set.peek().is_some() {
            let mut pair = Items(set.next(SEQUENCE)?);
            let kind = pair.next(OBJECT)?;
            let (_, text) = pair.any()?;
            let text = || Some(quoted(&String::from_utf8_lossy(text), MAX_NAME));
            match kind {
                COMMON_NAME => common = text(),
                ORGANIZATION => organization = text(),
                _ => {}
            }
        }
    }
    Some(common.or(organization).unwrap_or_default())
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn moment(kind: u8, text: &[u8]) -> Option<UnixMicros> {
    let digits = text.strip_suffix(b"Z")?;
    let number = |from: usize, length: usize| -> Option<u16> {
        let text = std::str::from_utf8(digits.get(from..from + length)?).ok()?;
        text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let (year, at) = match (kind, digits.len()) {
        // RFC 5280, section 4.1.2.5.1: from 50 on it is the last century.
        (UTC_TIME, 12) => {
            let year = number(0, 2)?;
            (if year < 50 { 2_000 + year } else { 1_900 + year }, 2)
        }
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let part = |n: usize| u8::try_from(number(at + 2 * n, 2)?).ok();
    let date = Date::from_calendar_date(year.into(), Month::try_from(part(0)?).ok()?, part(1)?);
    let time = Time::from_hms(part(2)?, part(3)?, part(4)?);
    let moment = PrimitiveDateTime::new(date.ok()?, time.ok()?).assume_utc();
    u64::try_from(moment.unix_timestamp()).ok().map(UnixMicros::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(name: &str) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "Some & Sons");
        if !name.is_empty() {
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        }
        parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_read() {
        for (name, shown) in [("a\nname", "a name"), ("", "Some & Sons")] {
            let read = Certificate::read(&made(name)).unwrap();
            assert_eq!((read.subject.as_str(), read.issuer.as_str()), (shown, shown));
            // 2031-02-03
            assert_eq!(read.ends.secs(), 1_927_843_200);
        }
    }

    #[test]
    fn moments_are_read_and_others_are_not() {
        for (kind, text, secs) in [
            (UTC_TIME, "310203000000Z", Some(1_927_843_200)),
            (UTC_TIME, "700101000001Z", Some(1)),
            (GENERALIZED_TIME, "20310203000000Z", Some(1_927_843_200)),
            (GENERALIZED_TIME, "310203000000Z", None),
            (UTC_TIME, "311303000000Z", None),
            (UTC_TIME, "310203000000", None),
            (UTC_TIME, "3102+3000000Z", None),
            (UTC_TIME, "", None),
        ] {
            assert_eq!(moment(kind, text.as_bytes()).map(UnixMicros::secs), secs, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(cut in 0_usize..600, at in 0_usize..600, byte in any::<u8>()) {
            let mut der = made("localhost");
            der.truncate(der.len() - cut.min(der.len()));
            if let Some(it) = der.get_mut(at) {
                *it = byte;
            }
            drop(Certificate::read(&der));
        }
    }
}
