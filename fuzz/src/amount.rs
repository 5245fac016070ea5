//! Amounts, digit by digit: another arithmetic than geminid's own, and another reading.

use std::cmp::Ordering;

/// A decimal of any length: its digits without leading noughts, and how many of them stand behind the
/// point.
#[derive(Clone, Debug)]
pub struct Amount {
    digits: Vec<u8>,
    behind: usize,
}

impl Amount {
    /// `None`: not digits with at most one point between them, or a nought too many.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (whole, fraction) = (parts.next()?, parts.next());
        let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
        let plain = digits(whole) && fraction.is_none_or(digits) && parts.next().is_none();
        if !plain || whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        let fraction = fraction.unwrap_or_default();
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        Some(Self { digits, behind: fraction.len() })
    }

    pub fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u8; self.digits.len() + other.digits.len()];
        for (i, a) in self.digits.iter().rev().enumerate() {
            let mut carry = 0;
            for (j, b) in other.digits.iter().rev().enumerate() {
                let place = product.len() - 1 - i - j;
                let sum = product[place] + a * b + carry;
                (product[place], carry) = (sum % 10, sum / 10);
            }
            let place = product.len() - 1 - i - other.digits.len();
            product[place] += carry;
        }
        Self { digits: product, behind: self.behind + other.behind }
    }

    pub fn is_at_most(&self, other: &Self) -> bool {
        self.compare(other) != Ordering::Greater
    }

    pub fn compare(&self, other: &Self) -> Ordering {
        let behind = self.behind.max(other.behind);
        let padded = |it: &Self| {
            let mut digits = it.digits.clone();
            digits.extend(std::iter::repeat_n(0, behind - it.behind));
            let zeros = digits.iter().take_while(|it| **it == 0).count();
            digits.split_off(zeros)
        };
        let (ours, theirs) = (padded(self), padded(other));
        ours.len().cmp(&theirs.len()).then_with(|| ours.cmp(&theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_order() {
        let of = |text: &str| Amount::read(text).unwrap();
        assert_eq!(
            of("65000.01").times(&of("0.0076923")).compare(&of("499.999576923")),
            Ordering::Equal
        );
        assert_eq!(of("99").times(&of("99")).compare(&of("9801.0")), Ordering::Equal);
        assert!(of("500").is_at_most(&of("500.000")) && !of("500.001").is_at_most(&of("500")));
        for odd in ["", "1.", ".1", "01", "1e3", "-1", "1.2.3", "\u{665}"] {
            assert!(Amount::read(odd).is_none(), "{odd}");
        }
    }
}
