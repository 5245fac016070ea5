//! Numbers without floating point.
//!
//! 1. A [`Number`] is a decimal of any length, compared digit by digit: what a nonce is.
//! 2. An [`Amount`] is money: eighteen decimals in an `i128`. What does not fit is refused, never
//!    rounded; only a product is cut at the eighteenth decimal.
//! 3. Deliberately not the proxy's own decimals: the two must be able to disagree.

use std::cmp::Ordering;
use std::fmt;

const DECIMALS: usize = 18;
const SCALE: i128 = 1_000_000_000_000_000_000;
const MAX_DIGITS: usize = 100;

/// A decimal number, kept as its digits without needless noughts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Number {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Number {
    /// Reads what JSON allows as a number, and leading noughts besides.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |it| (true, it));
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || mantissa.len() > MAX_DIGITS {
            return None;
        }
        let (whole, fraction) = shift(whole, fraction, exponent)?;
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let negative = negative && !(whole.is_empty() && fraction.is_empty());
        Some(Self { negative, whole, fraction })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.fraction.is_empty()
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let length = self.whole.len().cmp(&other.whole.len());
        length.then_with(|| self.whole.cmp(&other.whole)).then_with(|| {
            // Without trailing noughts, fractions sort like words.
            self.fraction.cmp(&other.fraction)
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// Moves the decimal point.
fn shift(whole: &str, fraction: &str, exponent: i16) -> Option<(String, String)> {
    let places = usize::from(exponent.unsigned_abs());
    if places > MAX_DIGITS {
        return None;
    }
    let noughts = "0".repeat(places);
    if exponent >= 0 {
        let fraction = format!("{fraction}{noughts}");
        let (moved, rest) = fraction.split_at_checked(places)?;
        return Some((format!("{whole}{moved}"), rest.to_owned()));
    }
    let whole = format!("{noughts}{whole}");
    let (rest, moved) = whole.split_at_checked(whole.len() - places)?;
    Some((rest.to_owned(), format!("{moved}{fraction}")))
}

/// An amount of money or of a coin, exact to eighteen decimals.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Amount(i128);

impl Amount {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::exact(&Number::parse(text)?)
    }

    pub(crate) fn exact(number: &Number) -> Option<Self> {
        if number.fraction.len() > DECIMALS {
            return None;
        }
        let whole = if number.whole.is_empty() { "0" } else { &number.whole };
        let scaled = whole.parse::<i128>().ok()?.checked_mul(SCALE)?;
        let fraction = format!("{:0<DECIMALS$}", number.fraction).parse::<i128>().ok()?;
        let magnitude = scaled.checked_add(fraction)?;
        Some(Self(if number.negative { -magnitude } else { magnitude }))
    }

    pub(crate) const fn units(whole: i128) -> Self {
        Self(whole.saturating_mul(SCALE))
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, cut at the eighteenth decimal.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let (a, a_rest) = (self.0 / SCALE, self.0 % SCALE);
        let (b, b_rest) = (other.0 / SCALE, other.0 % SCALE);
        let whole = a.checked_mul(other.0)?;
        let cross = a_rest.checked_mul(b)?;
        let rest = a_rest.checked_mul(b_rest)? / SCALE;
        whole.checked_add(cross)?.checked_add(rest).map(Self)
    }

    /// So many hundredths of a percent of it.
    pub(crate) fn basis_points(self, points: i128) -> Option<Self> {
        self.0.checked_mul(points).map(|it| Self(it / 10_000))
    }

    pub(crate) fn divided_by(self, other: Self) -> Option<Self> {
        let (whole, rest) = (self.0.checked_div(other.0)?, self.0 % other.0);
        let decimals = rest.checked_mul(1_000_000_000)?.checked_div(other.0)?;
        whole.checked_mul(SCALE)?.checked_add(decimals.checked_mul(1_000_000_000)?).map(Self)
    }

    pub(crate) const fn is_positive(self) -> bool {
        self.0 > 0
    }

    pub(crate) const fn is_multiple_of(self, step: Self) -> bool {
        step.0 != 0 && self.0 % step.0 == 0
    }

    /// With two decimals at least, as prices are written.
    pub(crate) fn price(self) -> String {
        let text = self.to_string();
        match text.split_once('.') {
            None => format!("{text}.00"),
            Some((_, fraction)) if fraction.len() == 1 => format!("{text}0"),
            Some(_) => text,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let scale = SCALE.unsigned_abs();
        let fraction = format!("{:018}", magnitude % scale);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{}", magnitude / scale),
            fraction => write!(f, "{sign}{}.{fraction}", magnitude / scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn ordered(texts: &[&str]) {
        let numbers: Vec<_> = texts.iter().map(|it| Number::parse(it).expect("a number")).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{texts:?}");
    }

    #[test]
    fn numbers_of_any_length_compare_exactly() {
        ordered(&["-2", "-1.5", "0", "0.1", "0.12", "1", "9", "10", "1790000000"]);
        ordered(&["1790000000.123", "1790000000.1231", "1790000000.124", "1790000000123"]);
        ordered(&["99999999999999999999999999999999999999998", "1e41"]);
        assert_eq!(Number::parse("1.50e1"), Number::parse("0015"));
        assert_eq!(Number::parse("15e-1"), Number::parse("1.5"));
        for bad in ["", "x", "1.", ".5", "1e", "--1", "+1", "1 ", "0x1", "1e999"] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        for text in ["0", "0.000000000000000001", "65000.01", "-2", "1000000000000"] {
            assert_eq!(Amount::parse(text).expect("an amount").to_string(), text);
        }
        assert_eq!(Amount::parse("0.0000000000000000001"), None, "a nineteenth decimal");
        assert_eq!(Amount::parse("1e30"), None, "more than fits");
        let product = Amount::parse("0.1").and_then(|a| a.times(Amount::parse("65000.01")?));
        assert_eq!(product.map(|it| it.to_string()).as_deref(), Some("6500.001"));
        let ratio = Amount::parse("6500.001").and_then(|a| a.divided_by(Amount::parse("0.1")?));
        assert_eq!(ratio.map(Amount::price).as_deref(), Some("65000.01"));
    }
}
