//! Wei per unit of work: pixels for video, other units for other work.

use std::{fmt, str::FromStr};

use primitive_types::{U256, U512};

use super::rational::Rational;
use crate::{Error, pb, texts};

/// Largest number in a `PriceInfo`.
const WIRE_MAX: u64 = i64::MAX as u64;

/// Exact price, ≥ 0, in wei per unit. Two prices are equal when their fractions are: 2/2 is 1/1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Price(Rational);

/// Why a `PriceInfo` is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The message is absent.
    #[error("{}", texts::EXPECTED_PRICE_NIL)]
    Nil,
    /// A denominator of 0.
    #[error("{}", texts::PIXELS_PER_UNIT)]
    ZeroPixels,
    /// The price would credit whoever is charged.
    #[error("price per unit is negative: {0}")]
    NegativePrice(i64),
    /// A negative denominator.
    #[error("pixels per unit is negative: {0}")]
    NegativePixels(i64),
}

impl Price {
    /// Work for nothing.
    pub const ZERO: Self = Self(Rational::ZERO);

    /// Price of `units` units at `wei`; `None` for 0 units.
    pub fn new(wei: impl Into<U256>, units: impl Into<U256>) -> Option<Self> {
        Rational::new(wei, units).map(Self)
    }

    /// From wei per unit.
    pub fn from_rational(wei_per_unit: Rational) -> Self {
        Self(wei_per_unit)
    }

    /// From the operator's settings: an amount of a currency (`wei_factor` wei each) for `units` units, which must not
    /// be 0.
    pub fn from_settings(amount: Rational, wei_factor: Rational, units: Rational) -> Option<Self> {
        Some(Self(amount.times(&wei_factor).times(&units.inverse()?)))
    }

    /// Wei per unit.
    pub fn rational(&self) -> &Rational {
        &self.0
    }

    /// Numerator of the reduced fraction, wei.
    pub fn num(&self) -> U256 {
        self.0.num()
    }

    /// Denominator of the reduced fraction, units, > 0.
    pub fn den(&self) -> U256 {
        self.0.den()
    }

    /// Whether the work is free.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// From a message: no negative number, no denominator of 0.
    pub fn from_wire(info: Option<&pb::PriceInfo>) -> Result<Self, PriceError> {
        let info = info.ok_or(PriceError::Nil)?;
        let pixels = u64::try_from(info.pixels_per_unit)
            .map_err(|_| PriceError::NegativePixels(info.pixels_per_unit))?;
        let wei = u64::try_from(info.price_per_unit);
        let price = Self::new(wei.unwrap_or(0), pixels).ok_or(PriceError::ZeroPixels)?;
        wei.map_err(|_| PriceError::NegativePrice(info.price_per_unit))?;
        Ok(price)
    }

    /// Numerator and denominator as they go out. A price that does not fit 63 bits twice is rounded up to a decimal
    /// fraction, so a positive price never becomes 0; above 2^63 − 1 it saturates.
    pub fn wire_pair(&self) -> (i64, i64) {
        if let (Ok(num), Ok(den)) = (i64::try_from(self.num()), i64::try_from(self.den())) {
            return (num, den);
        }
        let scales: &[u64] = if self.num() < self.den() {
            &[1_000_000_000_000_000_000]
        } else {
            &[1_000_000, 1000, 1]
        };
        scales
            .iter()
            .find_map(|scale| {
                let scaled = self.0.ceil_times(U256::from(*scale));
                let scaled = u64::try_from(scaled).ok().filter(|n| *n <= WIRE_MAX)?;
                let rounded = Rational::new(scaled, *scale)?;
                Some((
                    i64::try_from(rounded.num().low_u64()).ok()?,
                    i64::try_from(rounded.den().low_u64()).ok()?,
                ))
            })
            .unwrap_or((i64::MAX, 1))
    }

    /// Message of this price, without capability.
    pub fn to_wire(&self) -> pb::PriceInfo {
        let (price_per_unit, pixels_per_unit) = self.wire_pair();
        pb::PriceInfo {
            price_per_unit,
            pixels_per_unit,
            ..Default::default()
        }
    }

    /// The price that a reader of [`to_wire`](Self::to_wire) understands. Quotes are made for it, so that what comes
    /// back is what was bound.
    pub fn as_sent(&self) -> Self {
        let (wei, units) = self.wire_pair();
        Self::new(wei.unsigned_abs(), units.unsigned_abs()).unwrap_or(*self)
    }

    /// Raised by the share that redeeming costs: × (1 + `tx_cost` / `face_value`), both wei. Unchanged when either is 0.
    pub fn adjusted(&self, face_value: U256, tx_cost: U256) -> Self {
        match Rational::new(tx_cost, face_value) {
            Some(share) if !share.is_zero() => {
                Self(self.0.times(&share.plus(&Rational::integer(1))))
            }
            _ => *self,
        }
    }

    /// Cut to thousandths of a wei, at most 2^63 − 1 of them: what the reference does to an adjusted price. Prices
    /// below 0.001 wei become 0.
    pub fn in_thousandths(&self) -> Self {
        let cut = self
            .0
            .floor_times(U256::from(1000))
            .min(U512::from(WIRE_MAX));
        Self::new(cut.low_u64(), 1000).unwrap_or(*self)
    }

    /// What is quoted for an adjusted price: in thousandths of a wei, unless that would give the work away.
    pub fn quoted(&self) -> Self {
        let cut = self.in_thousandths();
        if cut.is_zero() { self.as_sent() } else { cut }
    }

    /// Sum, for jobs that need several priced capabilities.
    pub fn plus(&self, other: &Self) -> Self {
        Self(self.0.plus(&other.0))
    }

    /// Whole wei per unit, rounded down and up to 2^63 − 1, as capability prices go out.
    pub fn floor_i64(&self) -> i64 {
        i64::try_from(self.0.floor()).unwrap_or(i64::MAX)
    }

    /// Double close to it, for gauges only.
    pub fn to_f64(&self) -> f64 {
        self.0.to_f64()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Price {
    type Err = Error;

    /// Wei per unit, as [`Rational`] reads it. Inverse of the display.
    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(price_per_unit: i64, pixels_per_unit: i64) -> pb::PriceInfo {
        pb::PriceInfo {
            price_per_unit,
            pixels_per_unit,
            ..Default::default()
        }
    }

    #[test]
    fn negative_zero_and_absent_denominators_are_refused_with_their_texts() {
        for (info, text) in [
            (None, "expected price is nil"),
            (Some(wire(1, 0)), "pixels per unit is 0"),
            (Some(wire(0, 0)), "pixels per unit is 0"),
            (Some(wire(-1, 1)), "price per unit is negative: -1"),
            (Some(wire(1, -1)), "pixels per unit is negative: -1"),
            (
                Some(wire(i64::MIN, 1)),
                "price per unit is negative: -9223372036854775808",
            ),
        ] {
            let error = Price::from_wire(info.as_ref()).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(Price::from_wire(Some(&wire(0, 5))), Ok(Price::ZERO));
        assert!(Price::from_wire(Some(&wire(1, i64::MAX))).is_ok());
    }

    #[test]
    fn a_positive_price_is_never_quoted_as_free() {
        let tiny = Price::new(1, U256::MAX).unwrap();
        assert_eq!(tiny.wire_pair(), (1, 1_000_000_000_000_000_000));
        let cheap = Price::new(101, 200_000).unwrap();
        assert_eq!(cheap.in_thousandths(), Price::ZERO);
        assert_eq!(cheap.quoted(), cheap);
        assert_eq!(Price::ZERO.quoted(), Price::ZERO);
    }

    #[test]
    fn huge_prices_saturate() {
        let huge = Price::new(U256::MAX, 1).unwrap();
        assert_eq!(huge.wire_pair(), (i64::MAX, 1));
        assert_eq!(huge.floor_i64(), i64::MAX);
    }

    fn any_price() -> impl Strategy<Value = Price> {
        (
            any::<[u64; 4]>(),
            any::<[u64; 4]>(),
            0..256usize,
            0..256usize,
        )
            .prop_map(|(num, den, a, b)| {
                Price::new(U256(num) >> a, (U256(den) >> b).max(U256::one())).unwrap()
            })
    }

    proptest! {
        #[test]
        fn a_price_on_the_wire_comes_back(wei in 0..=i64::MAX, units in 1..=i64::MAX) {
            let price = Price::from_wire(Some(&wire(wei, units))).unwrap();
            prop_assert_eq!(price.as_sent(), price);
            prop_assert_eq!(Price::from_wire(Some(&price.to_wire())), Ok(price));
        }

        #[test]
        fn any_price_goes_out_rounded_up_by_less_than_a_millionth(price in any_price()) {
            let sent = price.as_sent();
            prop_assert_eq!(Price::from_wire(Some(&price.to_wire())), Ok(sent));
            let saturated = sent == Price::new(WIRE_MAX, 1).unwrap();
            prop_assert!(sent >= price || saturated);
            prop_assert!(price.quoted().is_zero() == price.is_zero());
            let step = if price.num() < price.den() { 1_000_000_000_000_000_000u64 } else { 1 };
            prop_assert!(sent <= price.plus(&Price::new(1, step).unwrap()));
        }

        #[test]
        fn any_two_numbers_are_a_price_or_refused(wei: i64, units: i64) {
            let price = Price::from_wire(Some(&wire(wei, units)));
            prop_assert_eq!(price.is_ok(), wei >= 0 && units > 0);
        }

        #[test]
        fn adjustment_never_lowers_a_price(price in any_price(), face: u128, cost: u128) {
            prop_assert!(price.adjusted(face.into(), cost.into()) >= price || price.num().bits() > 250);
        }
    }
}
