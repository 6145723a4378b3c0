//! Face value and win probability of the tickets that a sender is asked for.

use primitive_types::{U256, U512};

use super::{funds::to_signed, price::Price};
use crate::texts;

/// Face value over the cost of redeeming, unless something caps it.
const COST_MULTIPLIER: u64 = 100;

/// What gas usually costs, wei: a ticket that pays its redemption at this price is accepted at any price of the day.
const USUAL_GAS_PRICE: u64 = 3_000_000_000;

/// What a face value depends on. All in wei but the gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaceValueTerms {
    /// Expected value that a ticket shall have (`-ticketEV`).
    pub ev: U256,
    /// Gas that a redemption takes.
    pub redeem_gas: u64,
    /// Wei per gas now.
    pub gas_price: U256,
    /// The sender's max float for this node; may be negative.
    pub max_float: i128,
    /// Cap (`-maxFaceValue`); 0 = none.
    pub max_face_value: U256,
}

impl FaceValueTerms {
    /// Cost of one redemption at the gas price of now, wei.
    pub fn tx_cost(&self) -> U256 {
        self.cost_at(self.gas_price)
    }

    fn cost_at(&self, gas_price: U256) -> U256 {
        gas_price.saturating_mul(self.redeem_gas.into())
    }
}

/// No ticket of this sender is worth its redemption. The text begins with the reference's, which dashboards match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: a ticket of {face_value} wei must reach -ticketEV ({ev} wei) and either the cost of redeeming now ({cost_now} \
     wei) or at 3 gwei ({cost_usual} wei); max float of the sender is {max_float} wei, {}",
    texts::SENDER_RESERVE,
    advice(*capped_by_setting)
)]
pub struct ReserveError {
    /// Where the caps left the face value, wei; negative when the float is.
    pub face_value: i128,
    /// Expected value that was to be reached, wei.
    pub ev: i128,
    /// Max float, wei.
    pub max_float: i128,
    /// Cost of redeeming at the gas price of now, wei.
    pub cost_now: i128,
    /// The same at 3 gwei.
    pub cost_usual: i128,
    /// `-maxFaceValue` was the tightest cap.
    pub capped_by_setting: bool,
}

fn advice(capped_by_setting: bool) -> &'static str {
    if capped_by_setting {
        "raise -maxFaceValue"
    } else {
        "the sender needs a larger reserve, or lower -ticketEV"
    }
}

/// Face value in wei: 100 times the cost of redeeming, at least the expected value, capped by the sender's float and
/// by `-maxFaceValue`.
pub fn face_value(terms: &FaceValueTerms) -> Result<U256, ReserveError> {
    let wanted = terms.tx_cost().saturating_mul(COST_MULTIPLIER.into());
    let wanted = if wanted < terms.ev {
        terms.ev.saturating_mul(COST_MULTIPLIER.into())
    } else {
        wanted
    };
    let float = u128::try_from(terms.max_float).ok().map(U256::from);
    let cap = Some(terms.max_face_value).filter(|cap| !cap.is_zero());
    let cost_now = terms.tx_cost();
    let cost_usual = terms.cost_at(USUAL_GAS_PRICE.into());
    let face_value = float.map(|float| wanted.min(float).min(cap.unwrap_or(U256::MAX)));
    match face_value {
        Some(face) if face >= terms.ev && (face >= cost_now || face >= cost_usual) => Ok(face),
        _ => Err(ReserveError {
            face_value: face_value.map_or(terms.max_float, to_signed),
            ev: to_signed(terms.ev),
            max_float: terms.max_float,
            cost_now: to_signed(cost_now),
            cost_usual: to_signed(cost_usual),
            capped_by_setting: cap.is_some() && face_value == cap,
        }),
    }
}

/// Win probability, in parts of 2^256 − 1, of tickets of `face_value` wei with an expected value of `ev` wei. Rounded
/// up, so that one ticket is worth `ev` or a hair more.
pub fn win_prob(face_value: U256, ev: U256) -> U256 {
    if face_value.is_zero() {
        return U256::zero();
    }
    if face_value == ev {
        return U256::MAX;
    }
    let (quotient, rest) = U256::MAX.div_mod(face_value);
    // a rest means a face value of at least 2, so the quotient is below 2^255
    let per_wei = quotient + U256::from(u8::from(!rest.is_zero()));
    let product: U512 = ev.full_mul(per_wei);
    U256::try_from(product).unwrap_or(U256::MAX)
}

/// Face value (wei) and win probability of the tickets for a job at `price`: both 0 when the job is free.
pub fn ticket_terms(price: &Price, terms: &FaceValueTerms) -> Result<(U256, U256), ReserveError> {
    if price.is_zero() {
        return Ok((U256::zero(), U256::zero()));
    }
    let face_value = face_value(terms)?;
    Ok((face_value, win_prob(face_value, terms.ev)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_begins_with_the_reference_text_and_names_the_flag() {
        let terms = FaceValueTerms {
            ev: 8_000_000_000u64.into(),
            redeem_gas: 1_200_000,
            gas_price: 10_000_000.into(),
            max_float: -90,
            max_face_value: U256::zero(),
        };
        let text = ticket_terms(&Price::new(1, 1).unwrap(), &terms)
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "insufficient sender reserve: a ticket of -90 wei must reach -ticketEV (8000000000 wei) and either the \
             cost of redeeming now (12000000000000 wei) or at 3 gwei (3600000000000000 wei); max float of the sender \
             is -90 wei, the sender needs a larger reserve, or lower -ticketEV"
        );
        let capped = FaceValueTerms {
            max_float: 1 << 80,
            max_face_value: 10_000_000_000_000u64.into(),
            ..terms
        };
        let text = face_value(&capped).unwrap_err().to_string();
        assert!(text.ends_with("raise -maxFaceValue"), "{text}");
    }

    #[test]
    fn free_work_takes_no_reserve() {
        let terms = FaceValueTerms {
            ev: U256::one(),
            redeem_gas: 1,
            gas_price: U256::one(),
            max_float: -1,
            max_face_value: U256::zero(),
        };
        let nothing = (U256::zero(), U256::zero());
        assert_eq!(ticket_terms(&Price::ZERO, &terms), Ok(nothing));
    }

    #[test]
    fn absurd_gas_prices_and_values_saturate() {
        let terms = FaceValueTerms {
            ev: U256::MAX,
            redeem_gas: u64::MAX,
            gas_price: U256::MAX,
            max_float: i128::MAX,
            max_face_value: U256::zero(),
        };
        assert!(face_value(&terms).is_err());
        assert_eq!(win_prob(U256::one(), U256::MAX), U256::MAX);
        assert_eq!(win_prob(U256::MAX, U256::MAX - 1), U256::MAX - 1);
    }

    #[test]
    fn an_expected_value_of_zero_never_wins() {
        assert_eq!(win_prob(U256::from(100), U256::zero()), U256::zero());
        assert_eq!(win_prob(U256::zero(), U256::zero()), U256::zero());
    }
}
