//! Exact decimal numbers, because prices are written with fractions and money is never a float.

use serde::{Serialize, Serializer};
use std::fmt;

/// A number of zero or more with a finite number of decimals, as an exact fraction whose denominator is a power of ten. Kept in lowest
/// terms by tens, so that `1.50` equals `1.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    numerator: u128,
    denominator: u128,
}

impl Decimal {
    /// One.
    pub const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// A whole number.
    #[must_use]
    pub const fn whole(number: u128) -> Self {
        Self {
            numerator: number,
            denominator: 1,
        }
    }

    /// Reads `12`, `0.02` or `1.5e-3`; `None` for a sign, for anything else, and for what takes more than 38 digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self::whole(0));
        }
        let dropped = digits.len() - digits.trim_end_matches('0').len();
        let shift = exponent
            .checked_sub(i32::try_from(fraction.len()).ok()?)?
            .checked_add(i32::try_from(dropped).ok()?)?;
        let digits: u128 = significant.parse().ok()?;
        let scale = 10_u128.checked_pow(shift.unsigned_abs())?;
        Some(if shift < 0 {
            Self {
                numerator: digits,
                denominator: scale,
            }
        } else {
            Self::whole(digits.checked_mul(scale)?)
        })
    }

    /// Upper part of the fraction.
    #[must_use]
    pub const fn numerator(self) -> u128 {
        self.numerator
    }

    /// Lower part of the fraction, a power of ten.
    #[must_use]
    pub const fn denominator(self) -> u128 {
        self.denominator
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.numerator == 0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (
            self.numerator / self.denominator,
            self.numerator % self.denominator,
        );
        if rest == 0 {
            return write!(formatter, "{whole}");
        }
        let places = self.denominator.ilog10() as usize;
        write!(formatter, "{whole}.{rest:0places$}")
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fractions_and_exponents_are_read_exactly() {
        let cases = [
            ("0", 0, 1),
            ("0.000", 0, 1),
            ("12", 12, 1),
            ("0.02", 2, 100),
            ("1.50", 15, 10),
            ("007", 7, 1),
            ("1e12", 1_000_000_000_000, 1),
            ("1.5E-3", 15, 10_000),
            ("1200e-2", 12, 1),
            (
                "1.2345678901234567",
                12_345_678_901_234_567,
                10_u128.pow(16),
            ),
        ];
        for (text, numerator, denominator) in cases {
            let read = Decimal::parse(text).unwrap();
            assert_eq!(
                (read.numerator(), read.denominator()),
                (numerator, denominator),
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            ".5",
            "5.",
            "-1",
            "+1",
            "1.2.3",
            "1e",
            "1e99",
            "1e-99",
            "0x1",
            "1 ",
            "é",
            "1_000",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,24}|[0-9]{0,45}(\\.[0-9]{0,45})?(e-?[0-9]{0,12})?") {
            let _ = Decimal::parse(&text);
        }

        #[test]
        fn what_is_printed_reads_back_as_the_same(digits in any::<u64>(), places in 0_u32..18) {
            let text = format!("{digits}e-{places}");
            let read = Decimal::parse(&text).unwrap();
            prop_assert_eq!(Decimal::parse(&read.to_string()), Some(read));
            // digits / 10^places, by cross multiplication.
            prop_assert_eq!(read.numerator() * 10_u128.pow(places), u128::from(digits) * read.denominator());
        }
    }
}
