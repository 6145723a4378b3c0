//! Amounts and balances in whole multiples of 1 / (2^256 − 1) wei.
//!
//! The value of a ticket, face value × win probability, is such a multiple, so every credit is exact. A charge is
//! rounded up to the next one: after n charges a balance is below the exact one by less than n × 2^-255 wei. Rounding
//! never favours who pays, and one ticket of a quote is worth at least the expected value it was quoted for.

use std::{cmp::Ordering, fmt};

use primitive_types::{U256, U512};

use super::{price::Price, rational::to_f64};
use crate::Error;

/// Parts of one wei.
const PARTS: U256 = U256::MAX;

/// Exact amount ≥ 0. Sums saturate at 2^512 − 1 parts, about 10^77 wei, far above all ether there is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Amount(U512);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(U512::zero());

    /// A whole number of wei.
    pub fn wei(wei: impl Into<U256>) -> Self {
        Self(wei.into().full_mul(PARTS))
    }

    /// `face_value` wei × `win_prob` / (2^256 − 1): the expected value of a ticket.
    pub fn of_ticket(face_value: U256, win_prob: U256) -> Self {
        Self(face_value.full_mul(win_prob))
    }

    /// Price of `units` units, rounded up to the next part.
    pub fn charge(price: &Price, units: u64) -> Self {
        let den = price.den();
        let (whole, rest) = price
            .num()
            .full_mul(U256::from(units))
            .div_mod(U512::from(den));
        let Ok(whole) = U256::try_from(whole) else {
            return Self(U512::MAX);
        };
        // below the denominator, so it fits
        let rest = U256::try_from(rest).unwrap_or(U256::MAX);
        let (parts, beyond) = rest.full_mul(PARTS).div_mod(U512::from(den));
        let parts = parts.saturating_add(U512::from(u8::from(!beyond.is_zero())));
        Self::wei(whole).plus(Self(parts))
    }

    /// Sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after taking `other` away, 0 when that is more.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `n` times this.
    #[must_use]
    pub fn times(self, n: u32) -> Self {
        Self(self.0.checked_mul(U512::from(n)).unwrap_or(U512::MAX))
    }

    /// How many of `part` it takes to reach this amount: the quotient rounded up; `None` when `part` is 0.
    pub fn in_parts_of(self, part: Self) -> Option<U512> {
        if part.0.is_zero() {
            return None;
        }
        let (quotient, rest) = self.0.div_mod(part.0);
        Some(quotient.saturating_add(U512::from(u8::from(!rest.is_zero()))))
    }

    /// Whether it is 0.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Whole wei, rounded down.
    pub fn whole_wei(self) -> U256 {
        U256::try_from(self.0 / U512::from(PARTS)).unwrap_or(U256::MAX)
    }

    /// Wei as a double, for gauges only.
    pub fn to_f64(self) -> f64 {
        to_f64(self.0) / to_f64(U512::from(PARTS))
    }
}

impl fmt::Display for Amount {
    /// Wei, with up to three decimals, cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = self.0.div_mod(U512::from(PARTS));
        // below 2^256, so a thousand of it fits
        let thousandths = (rest * U512::from(1000) / U512::from(PARTS)).low_u64();
        if thousandths == 0 {
            return write!(f, "{whole}");
        }
        let decimals = format!("{thousandths:03}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} wei")
    }
}

/// Balance of a session: credits − debits, exact, of either sign.
///
/// Bounded at ±(2^511 − 1) parts, about 5.8 × 10^76 wei, where it saturates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Credit {
    /// Never set together with a magnitude of 0.
    negative: bool,
    magnitude: U512,
}

impl Credit {
    /// A balance that nobody has touched.
    pub const ZERO: Self = Self {
        negative: false,
        magnitude: U512::zero(),
    };

    /// Bytes of a stored balance.
    pub const BYTES: usize = 64;

    /// A ticket or a refund came in.
    pub fn credit(&mut self, amount: Amount) {
        self.add(false, amount.0);
    }

    /// Work was done.
    pub fn debit(&mut self, amount: Amount) {
        self.add(true, amount.0);
    }

    /// Whether the balance is at least `amount`.
    pub fn covers(&self, amount: Amount) -> bool {
        if self.negative {
            return false;
        }
        self.magnitude >= amount.0
    }

    /// How much is missing to `amount`; 0 when the balance covers it.
    pub fn missing_to(&self, amount: Amount) -> Amount {
        if self.negative {
            amount.plus(Amount(self.magnitude))
        } else {
            amount.minus(Amount(self.magnitude))
        }
    }

    /// Whether more was debited than credited.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The balance without its sign.
    pub fn magnitude(&self) -> Amount {
        Amount(self.magnitude)
    }

    /// Two's complement, big-endian: for storage.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let bits = if self.negative {
            (!self.magnitude).overflowing_add(U512::one()).0
        } else {
            self.magnitude
        };
        let mut bytes = [0; Self::BYTES];
        bits.to_big_endian(&mut bytes);
        bytes
    }

    /// Inverse of [`to_bytes`](Self::to_bytes); an error for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::BYTES {
            return Err(Error::Balance(bytes.len()));
        }
        let bits = U512::from_big_endian(bytes);
        let negative = bits.bit(511);
        let magnitude = if negative {
            (!bits).overflowing_add(U512::one()).0
        } else {
            bits
        };
        Ok(Self {
            negative,
            magnitude: magnitude.min(limit()),
        })
    }

    /// Wei as a double, for gauges only.
    pub fn to_f64(self) -> f64 {
        let magnitude = Amount(self.magnitude).to_f64();
        if self.negative { -magnitude } else { magnitude }
    }

    fn add(&mut self, negative: bool, parts: U512) {
        if self.negative == negative {
            self.magnitude = self.magnitude.saturating_add(parts).min(limit());
        } else if self.magnitude >= parts {
            self.magnitude -= parts;
        } else {
            self.magnitude = (parts - self.magnitude).min(limit());
            self.negative = negative;
        }
        self.negative &= !self.magnitude.is_zero();
    }
}

/// Largest magnitude of a balance, parts.
fn limit() -> U512 {
    U512::MAX >> 1
}

impl Ord for Credit {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude.cmp(&other.magnitude),
            (true, true) => other.magnitude.cmp(&self.magnitude),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Credit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Credit {
    /// Wei, with up to three decimals, cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}", Amount(self.magnitude))
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} wei")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::{face_value, win_prob};

    fn wei(n: u128) -> Amount {
        Amount::wei(n)
    }

    /// Two's complement sum modulo 2^512: a second way to do the arithmetic, exact while nothing saturates.
    fn signed(credit: Credit) -> U512 {
        U512::from_big_endian(&credit.to_bytes())
    }

    #[test]
    fn balances_are_shown_in_wei_with_their_sign() {
        let price = Price::new(303, 250).unwrap();
        let charge = Amount::charge(&price, 19_958_400);
        assert_eq!(charge.to_string(), "24189580.8");
        let mut credit = Credit::ZERO;
        credit.debit(charge);
        assert_eq!(credit.to_string(), "-24189580.8");
        credit.credit(wei(24_189_581));
        // 2^256 − 1 is a multiple of 5, so fifths of a wei are exact
        assert_eq!(credit.to_string(), "0.2");
        assert_eq!(Credit::ZERO.to_string(), "0");
        assert_eq!(wei(7).to_f64(), 7.0);
    }

    #[test]
    fn a_balance_saturates_instead_of_wrapping() {
        let most = Amount(U512::MAX);
        let mut credit = Credit::ZERO;
        credit.credit(most);
        credit.credit(most);
        assert_eq!(credit.magnitude, limit());
        credit.debit(most);
        credit.debit(most);
        assert!(credit.is_negative());
        assert_eq!(credit.magnitude, limit());
        assert_eq!(Credit::from_bytes(&credit.to_bytes()), Ok(credit));
    }

    #[test]
    fn damaged_records_are_errors() {
        assert_eq!(Credit::from_bytes(&[]), Err(Error::Balance(0)));
        assert_eq!(Credit::from_bytes(&[0; 65]), Err(Error::Balance(65)));
        let mut lowest = [0; 64];
        lowest[0] = 0x80;
        assert!(Credit::from_bytes(&lowest).unwrap().is_negative());
    }

    #[test]
    fn what_is_missing_counts_from_below_zero() {
        let mut credit = Credit::ZERO;
        credit.debit(wei(3));
        assert_eq!(credit.missing_to(wei(5)), wei(8));
        credit.credit(wei(9));
        assert_eq!(credit.missing_to(wei(5)), Amount::ZERO);
        assert!(credit.covers(wei(6)) && !credit.covers(wei(7)));
        assert_eq!(wei(7).in_parts_of(wei(2)), Some(U512::from(4)));
        assert_eq!(wei(7).in_parts_of(Amount::ZERO), None);
    }

    proptest! {
        #[test]
        fn credit_is_face_value_times_probability(face: [u64; 4], p: [u64; 4]) {
            let (face, p) = (U256(face), U256(p));
            let value = Amount::of_ticket(face, p);
            prop_assert_eq!(value.0, face.full_mul(p));
            // whole wei: face × p / (2^256 − 1), never above the face value
            prop_assert_eq!(U512::from(value.whole_wei()), face.full_mul(p) / U512::from(U256::MAX));
            prop_assert!(value <= Amount::wei(face));
        }

        #[test]
        fn a_charge_is_exact_or_one_part_above(num: u64, den in 1u64.., units: u64) {
            let price = Price::new(num, den).unwrap();
            let charge = Amount::charge(&price, units);
            let exact_num = U512::from(num) * U512::from(units) * U512::from(PARTS);
            let back = charge.0 * U512::from(den);
            prop_assert!(back >= exact_num);
            prop_assert!(back - exact_num < U512::from(den));
        }

        #[test]
        fn a_balance_is_credits_minus_debits(
            steps in proptest::collection::vec((any::<bool>(), any::<u128>(), any::<[u64; 4]>()), 0..40)
        ) {
            let (mut credit, mut sum) = (Credit::ZERO, U512::zero());
            for (debit, face, p) in steps {
                let amount = Amount::of_ticket(face.into(), U256(p));
                if debit {
                    credit.debit(amount);
                    sum = sum.overflowing_sub(amount.0).0;
                } else {
                    credit.credit(amount);
                    sum = sum.overflowing_add(amount.0).0;
                }
                prop_assert_eq!(signed(credit), sum);
                prop_assert_eq!(Credit::from_bytes(&credit.to_bytes()), Ok(credit));
            }
        }

        #[test]
        fn the_order_of_tickets_and_charges_does_not_matter(
            tickets in proptest::collection::vec((any::<u64>(), any::<[u64; 4]>()), 0..10),
            charges in proptest::collection::vec((any::<u32>(), 1..u32::MAX, any::<u32>()), 0..10),
        ) {
            let tickets: Vec<_> = tickets.into_iter().map(|(f, p)| Amount::of_ticket(f.into(), U256(p))).collect();
            let charges: Vec<_> = charges
                .into_iter()
                .map(|(n, d, u)| Amount::charge(&Price::new(n, d).unwrap(), u.into()))
                .collect();
            let (mut first, mut second) = (Credit::ZERO, Credit::ZERO);
            tickets.iter().for_each(|t| first.credit(*t));
            charges.iter().for_each(|c| first.debit(*c));
            charges.iter().rev().for_each(|c| second.debit(*c));
            tickets.iter().rev().for_each(|t| second.credit(*t));
            prop_assert_eq!(first, second);
        }

        #[test]
        fn one_ticket_of_a_quote_opens_an_empty_balance(face: [u64; 4], ev: [u64; 4], a in 0..256usize, b in 0..256usize) {
            let (face, ev) = (U256(face) >> a, U256(ev) >> b);
            let (face, ev) = (face.max(ev), face.min(ev));
            let mut credit = Credit::ZERO;
            credit.credit(Amount::of_ticket(face, win_prob(face, ev)));
            // above 2^255 wei balances saturate
            prop_assert!(credit.covers(Amount::wei(ev)) || ev.bits() == 256);
        }

        #[test]
        fn a_quoted_face_value_opens_an_empty_balance(ev: u64, gas: u64, float: u64, most: u64) {
            let terms = crate::money::FaceValueTerms {
                ev: ev.into(),
                redeem_gas: 1_200_000,
                gas_price: gas.into(),
                max_float: float.into(),
                max_face_value: most.into(),
            };
            if let Ok(face) = face_value(&terms) {
                let mut credit = Credit::ZERO;
                credit.credit(Amount::of_ticket(face, win_prob(face, terms.ev)));
                prop_assert!(credit.covers(Amount::wei(ev)));
                // and by less than one wei too much
                prop_assert_eq!(credit.magnitude().whole_wei(), U256::from(ev));
            }
        }

        #[test]
        fn balances_order_as_numbers(a: i128, b: i128) {
            let of = |n: i128| {
                let mut credit = Credit::ZERO;
                if n < 0 { credit.debit(wei(n.unsigned_abs())) } else { credit.credit(wei(n.unsigned_abs())) }
                credit
            };
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
            prop_assert_eq!(of(a).to_string(), a.to_string());
        }

        #[test]
        fn any_record_is_read_or_refused(bytes: Vec<u8>, whole: [u8; 32], rest: [u8; 32]) {
            let _ = Credit::from_bytes(&bytes);
            let record = [whole, rest].concat();
            let credit = Credit::from_bytes(&record).unwrap();
            prop_assert!(credit.to_bytes()[..] == record[..] || credit.magnitude == limit());
        }
    }
}
