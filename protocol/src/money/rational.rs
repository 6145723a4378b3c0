//! Non-negative fractions of two 256-bit integers, always reduced.

use std::{cmp::Ordering, fmt, str::FromStr};

use primitive_types::{U256, U512};

use crate::Error;

/// Digits that 256 bits always hold.
const MAX_DIGITS: usize = 77;

/// Numerator over denominator without a common factor; the denominator is never 0, and 0 is 0/1.
///
/// Results that do not fit two 256-bit integers are rounded **up**, by less than one part in 2^254 unless they
/// saturate at 2^256 − 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rational {
    num: U256,
    den: U256,
}

impl Rational {
    /// 0/1.
    pub const ZERO: Self = Self {
        num: U256::zero(),
        den: U256::one(),
    };

    /// Reduced `num / den`; `None` for a denominator of 0.
    pub fn new(num: impl Into<U256>, den: impl Into<U256>) -> Option<Self> {
        let (num, den) = (num.into(), den.into());
        if den.is_zero() {
            return None;
        }
        let factor = gcd(num, den);
        Some(Self {
            num: num / factor,
            den: den / factor,
        })
    }

    /// `n / 1`.
    pub fn integer(n: impl Into<U256>) -> Self {
        Self {
            num: n.into(),
            den: U256::one(),
        }
    }

    /// Numerator.
    pub fn num(&self) -> U256 {
        self.num
    }

    /// Denominator, > 0.
    pub fn den(&self) -> U256 {
        self.den
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.num.is_zero()
    }

    /// Largest integer not above it.
    pub fn floor(&self) -> U256 {
        self.num / self.den
    }

    /// Smallest integer not below it.
    pub fn ceil(&self) -> U256 {
        let (quotient, rest) = self.num.div_mod(self.den);
        // a rest means a denominator of at least 2, so the quotient is below 2^255
        quotient + U256::from(u8::from(!rest.is_zero()))
    }

    /// 1 over it; `None` for 0.
    pub fn inverse(&self) -> Option<Self> {
        (!self.is_zero()).then_some(Self {
            num: self.den,
            den: self.num,
        })
    }

    /// Product.
    pub fn times(&self, other: &Self) -> Self {
        // the factors are reduced, so only a numerator and the other's denominator share anything
        let left = gcd(self.num, other.den);
        let right = gcd(other.num, self.den);
        Self::fit(
            (self.num / left).full_mul(other.num / right),
            (self.den / right).full_mul(other.den / left),
        )
    }

    /// Sum.
    pub fn plus(&self, other: &Self) -> Self {
        let shared = gcd(self.den, other.den);
        let left = self.num.full_mul(other.den / shared);
        let right = other.num.full_mul(self.den / shared);
        let den = (self.den / shared).full_mul(other.den);
        match left.checked_add(right) {
            Some(num) => Self::fit(num, den),
            // both halves fit when the sum of the wholes does not
            None => Self::fit((left >> 1) + (right >> 1) + 1, (den >> 1).max(U512::one())),
        }
    }

    /// `floor(self × factor)`, up to 2^512 − 1 exactly.
    pub(crate) fn floor_times(&self, factor: U256) -> U512 {
        self.num.full_mul(factor) / U512::from(self.den)
    }

    /// `ceil(self × factor)`, up to 2^512 − 1 exactly.
    pub(crate) fn ceil_times(&self, factor: U256) -> U512 {
        let (quotient, rest) = self.num.full_mul(factor).div_mod(U512::from(self.den));
        quotient.saturating_add(U512::from(u8::from(!rest.is_zero())))
    }

    /// Nearest double or close to it, for gauges only.
    pub fn to_f64(&self) -> f64 {
        to_f64(U512::from(self.num)) / to_f64(U512::from(self.den))
    }

    /// `num / den` with both cut to 256 bits if need be, rounding up. `den` > 0.
    fn fit(num: U512, den: U512) -> Self {
        let excess = num.bits().max(den.bits()).saturating_sub(256);
        let (mut low_num, low_den) = (num >> excess, den >> excess);
        if excess > 0 && low_num << excess != num {
            low_num = low_num.saturating_add(U512::one());
        }
        let num = U256::try_from(low_num).unwrap_or(U256::MAX);
        match U256::try_from(low_den) {
            Ok(den) if !den.is_zero() => Self::new(num, den).unwrap_or(Self::ZERO),
            _ => Self::integer(U256::MAX),
        }
    }
}

impl Default for Rational {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        self.num
            .full_mul(other.den)
            .cmp(&other.num.full_mul(self.den))
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Rational {
    /// `7` or `303/250`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == U256::one() {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

impl fmt::Debug for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Rational {
    type Err = Error;

    /// `12`, `0.02`, `1.5e-3`, `1e12` or `7/3`; at most 77 digits and exponents of at most 77 either way.
    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error::Number(text.chars().take(100).collect());
        let parsed = match text.split_once('/') {
            Some((num, den)) => decimal(num)
                .zip(decimal(den))
                .and_then(|(num, den)| Some(num.times(&den.inverse()?))),
            None => decimal(text),
        };
        parsed.ok_or_else(error)
    }
}

/// `digits[.digits][e[±]digits]`.
fn decimal(text: &str) -> Option<Rational> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, signed_digits(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || digits.len() > MAX_DIGITS || !is_digits(&digits) {
        return None;
    }
    let number = Rational::integer(U256::from_dec_str(&digits).ok()?);
    let exponent = exponent - i32::try_from(fraction.len()).ok()?;
    let power = power_of_ten(exponent.unsigned_abs())?;
    Some(if exponent < 0 {
        number.times(&power.inverse()?)
    } else {
        number.times(&power)
    })
}

fn signed_digits(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let in_range = (1..=2).contains(&digits.len()) && is_digits(digits);
    let value: i32 = text.parse().ok().filter(|_| in_range)?;
    (value.unsigned_abs() as usize <= MAX_DIGITS).then_some(value)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// 10^`exponent`; `None` above 154.
fn power_of_ten(exponent: u32) -> Option<Rational> {
    let low = exponent.min(MAX_DIGITS as u32);
    let high = exponent - low;
    let power = |n: u32| (n <= MAX_DIGITS as u32).then(|| U256::from(10).pow(U256::from(n)));
    let (low, high) = (
        Rational::integer(power(low)?),
        Rational::integer(power(high)?),
    );
    Some(low.times(&high))
}

/// Greatest common divisor, never 0: that of 0 and 0 is 1. Small numbers, the usual case, use machine words.
fn gcd(mut a: U256, mut b: U256) -> U256 {
    while !b.is_zero() {
        if a.bits() <= 64 && b.bits() <= 64 {
            let (mut x, mut y) = (a.low_u64(), b.low_u64());
            while y != 0 {
                (x, y) = (y, x % y);
            }
            return U256::from(x);
        }
        (a, b) = (b, a % b);
    }
    if a.is_zero() { U256::one() } else { a }
}

/// Double close to an integer, for gauges only.
pub(super) fn to_f64(n: U512) -> f64 {
    n.0.iter()
        .rev()
        .fold(0.0, |sum, word| sum * 2f64.powi(64) + *word as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_u256() -> impl Strategy<Value = U256> {
        (any::<[u64; 4]>(), 0..256usize).prop_map(|(words, shift)| U256(words) >> shift)
    }

    fn any_rational() -> impl Strategy<Value = Rational> {
        (any_u256(), any_u256())
            .prop_map(|(num, den)| Rational::new(num, den.max(U256::one())).unwrap())
    }

    fn ratio(num: u64, den: u64) -> Rational {
        Rational::new(num, den).unwrap()
    }

    #[test]
    fn fractions_are_reduced_and_zero_has_one_form() {
        assert_eq!(ratio(1212, 1000).to_string(), "303/250");
        assert_eq!(ratio(0, 7), Rational::ZERO);
        assert_eq!(Rational::new(1, 0), None);
    }

    #[test]
    fn decimals_exponents_and_fractions_are_exact() {
        for (text, num, den) in [
            ("0.02", 1, 50),
            ("1e3", 1000, 1),
            ("1e12", 1_000_000_000_000, 1),
            ("1.5E-3", 3, 2000),
            ("2.5e+1", 25, 1),
            (".5", 1, 2),
            ("5.", 5, 1),
            ("10/4", 5, 2),
            ("0", 0, 1),
        ] {
            assert_eq!(text.parse(), Ok(ratio(num, den)), "{text}");
        }
        let tiny = "1e-77".parse::<Rational>().unwrap();
        assert_eq!(tiny.num(), U256::one());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            ".",
            "e3",
            "-1",
            "+1",
            "1e",
            "1e+",
            "1e78",
            "1e999999999",
            "1e--1",
            "1_0",
            " 1",
            "1/0",
            "1/",
            "/1",
            "1/2/3",
            "0x10",
            "NaN",
            "inf",
            "१",
            &"9".repeat(78),
        ] {
            assert!(text.parse::<Rational>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_beyond_256_bits_round_up_and_saturate() {
        let huge = Rational::integer(U256::MAX);
        assert_eq!(huge.times(&huge), huge);
        assert_eq!(huge.plus(&huge), huge);
        let tiny = huge.inverse().unwrap();
        assert!(!tiny.times(&tiny).is_zero());
        assert_eq!(huge.times(&tiny), ratio(1, 1));
    }

    proptest! {
        #[test]
        fn small_arithmetic_is_exact(a in 0..1u64 << 30, b in 1..1u64 << 30, c in 0..1u64 << 30, d in 1..1u64 << 30) {
            let (x, y) = (ratio(a, b), ratio(c, d));
            let (a, b, c, d) = (u128::from(a), u128::from(b), u128::from(c), u128::from(d));
            prop_assert_eq!(Some(x.times(&y)), Rational::new(a * c, b * d));
            prop_assert_eq!(Some(x.plus(&y)), Rational::new(a * d + c * b, b * d));
            prop_assert_eq!(x.cmp(&y), (a * d).cmp(&(c * b)));
            prop_assert_eq!(x.floor(), U256::from(a / b));
            prop_assert_eq!(x.ceil(), U256::from(a.div_ceil(b)));
        }

        #[test]
        fn any_arithmetic_holds_its_order_and_form(x in any_rational(), y in any_rational()) {
            let (sum, product) = (x.plus(&y), x.times(&y));
            let saturated = Rational::integer(U256::MAX);
            prop_assert!(sum >= x || sum == saturated);
            prop_assert_eq!(product.is_zero(), x.is_zero() || y.is_zero());
            prop_assert_eq!(sum, y.plus(&x));
            prop_assert_eq!(product, y.times(&x));
            for r in [sum, product] {
                prop_assert_eq!(Rational::new(r.num(), r.den()), Some(r));
                prop_assert!(r.floor() <= r.ceil());
            }
        }

        #[test]
        fn a_fraction_survives_its_text(a in any::<u128>(), b in 1..u128::MAX) {
            let x = Rational::new(a, b).unwrap();
            prop_assert_eq!(x.to_string().parse::<Rational>(), Ok(x));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,90}", number in "[0-9.eE/+-]{0,90}") {
            let _ = text.parse::<Rational>();
            let _ = number.parse::<Rational>();
        }
    }
}
