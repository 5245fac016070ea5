//! Amounts of money: plain decimals, exact.
//!
//! 1. `1`, `0.5`, `1234567890123456789.123456789012345678` and nothing else: no sign, no exponent, no
//!    blank, no group, no leading nought, no digit but `0` to `9`. Whoever reads such a text, reads
//!    the same number.
//! 2. Never below nought.
//! 3. Products and sums are exact: nothing is rounded, ever.

use std::fmt;

use bigdecimal::BigDecimal;

/// Digits before the point, and after it, of what is read.
const MAX_WHOLE: usize = 19;
const MAX_FRACTION: usize = 18;

/// A number of coins or of a currency. Compared by value: `1.0` is `1`.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Decimal(BigDecimal);

impl Decimal {
    pub(crate) fn zero() -> Self {
        Self(BigDecimal::from(0_u8))
    }

    /// `(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?`, whole.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::bounded(text, MAX_WHOLE, MAX_FRACTION)
    }

    /// Reads what [`fmt::Display`] wrote of a product or a sum, which may be longer than what a
    /// client can write. Not for foreign texts.
    #[allow(dead_code, reason = "for the ledger of budgets, which keeps sums")]
    pub(crate) fn kept(text: &str) -> Option<Self> {
        const LONGEST: usize = 100;
        Self::bounded(text, LONGEST, LONGEST)
    }

    fn bounded(text: &str, most_whole: usize, most_fraction: usize) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_digit())
        };
        let padded = whole.len() > 1 && whole.starts_with('0');
        let plain = digits(whole, most_whole)
            && !padded
            && fraction.is_none_or(|it| digits(it, most_fraction));
        if plain { text.parse().ok().map(Self) } else { None }
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    #[allow(dead_code, reason = "for the budgets of a day")]
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    /// What is left when `other` is taken away: nothing, if that is more.
    #[allow(dead_code, reason = "for the budgets of a day")]
    pub(crate) fn less(&self, other: &Self) -> Self {
        if other >= self { Self::zero() } else { Self(&self.0 - &other.0) }
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::zero()
    }
}

impl Default for Decimal {
    fn default() -> Self {
        Self::zero()
    }
}

/// Plain, without needless noughts: what [`Decimal::parse`] reads, if it is not too long for it.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.normalized().to_plain_string())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a plain decimal"))
    }

    #[test]
    fn only_plain_decimals_are_read() {
        let nines = "9".repeat(19);
        let long = format!("{nines}.{}", "9".repeat(18));
        for good in ["0", "1", "0.5", "10", "0.0", "0.000000000000000001", &nines, &long] {
            assert!(Decimal::parse(good).is_some(), "{good}");
        }
        let many = "1".repeat(20);
        let fine = format!("0.{}", "1".repeat(19));
        let huge = "1".repeat(400);
        for bad in [
            "", ".", "1.", ".5", "00", "01", "00.5", "-1", "+1", "-0", " 5", "5 ", "5\n", "1e9",
            "1E9", "1e-9", "0x10", "1_000", "1,000", "1,5", "NaN", "inf", "٥", "０", "1.٥",
            "1.2.3", "½", "1\u{0}", "1.5f", "1e", &many, &fine, &huge,
        ] {
            assert!(Decimal::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn values_are_compared_and_written_plainly() {
        assert_eq!(of("1.0"), of("1"));
        assert_eq!(of("501").cmp(&of("500.000000000000000001")), Ordering::Greater);
        assert_eq!(of("100").to_string(), "100");
        assert_eq!(of("0.10").to_string(), "0.1");
        assert_eq!(of("0.000000000000000001").to_string(), "0.000000000000000001");
        assert_eq!(format!("{:?}", of("0.0")), "0");
        assert!(of("0.000").is_zero() && !of("0.001").is_zero());
    }

    #[test]
    fn nothing_is_rounded_and_nothing_falls_below_nought() {
        let least = of("0.000000000000000001");
        let product = least.times(&least).to_string();
        assert_eq!(product, format!("0.{}1", "0".repeat(35)));
        assert_eq!(Decimal::kept(&product), Some(least.times(&least)));
        assert_eq!(Decimal::parse(&product), None);
        assert_eq!(of("65000.01").times(&of("0.0076923")), of("499.999576923"));
        assert_eq!(of("1").less(&of("2")), Decimal::zero());
        assert_eq!(of("2").less(&of("0.5")), of("1.5"));
        assert_eq!(of("0.1").plus(&of("0.2")), of("0.3"));
    }

    /// The oracle: eighteen decimals in an `i128`, which holds what the strategy yields.
    fn scaled(whole: u32, fraction: u32) -> (String, u128) {
        (format!("{whole}.{fraction:09}"), u128::from(whole) * 1_000_000_000 + u128::from(fraction))
    }

    fn shown(scaled: u128, decimals: usize) -> String {
        let text = format!("{scaled:0>width$}", width = decimals + 1);
        let (whole, fraction) = text.split_at(text.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }

    proptest! {
        #[test]
        fn agrees_with_whole_numbers(
            a in (any::<u32>(), 0..1_000_000_000_u32), b in (any::<u32>(), 0..1_000_000_000_u32),
        ) {
            let ((a, n), (b, m)) = (scaled(a.0, a.1), scaled(b.0, b.1));
            let (a, b) = (of(&a), of(&b));
            prop_assert_eq!(a.cmp(&b), n.cmp(&m));
            prop_assert_eq!(a.times(&b).to_string(), shown(n * m, 18));
            prop_assert_eq!(a.plus(&b).to_string(), shown(n + m, 9));
            prop_assert_eq!(a.less(&b).to_string(), shown(n.saturating_sub(m), 9));
            prop_assert_eq!(Decimal::kept(&a.times(&b).to_string()), Some(a.times(&b)));
        }

        /// What is read is written in a form that reads back as the same number.
        #[test]
        fn reads_back(text in "[0-9.]{1,24}|\\PC{0,8}") {
            let expected = text.split('.').count() <= 2
                && text.split('.').all(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()))
                && text.split('.').next().is_some_and(|it| it.len() <= 19 && (it == "0" || !it.starts_with('0')))
                && text.split('.').nth(1).is_none_or(|it| it.len() <= 18);
            let read = Decimal::parse(&text);
            prop_assert_eq!(read.is_some(), expected, "{}", text);
            if let Some(read) = read {
                prop_assert_eq!(Decimal::parse(&read.to_string()), Some(read));
            }
        }
    }
}
