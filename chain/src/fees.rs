//! What a unit of gas may cost, and how many units a transaction gets. Pure: fed with answers, no clock of its own.
//!
//! Prices are wei per gas in 128 bits; a node that answers more is lying.

use std::collections::BTreeMap;

use ethers::types::U256;

/// Decimal digits of a gwei.
const GWEI_DIGITS: usize = 9;

/// Fees of one transaction, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fees {
    /// EIP-1559.
    Dynamic {
        /// Most that is paid per gas, base fee and tip together.
        max_fee: u128,
        /// Most of it that goes to the block's maker.
        tip: u128,
    },
    /// Before EIP-1559.
    Legacy {
        /// Price per gas.
        gas_price: u128,
    },
}

impl Fees {
    /// Most that a unit of gas can cost.
    pub fn ceiling(self) -> u128 {
        match self {
            Self::Dynamic { max_fee, .. } => max_fee,
            Self::Legacy { gas_price } => gas_price,
        }
    }
}

/// What the node says about prices now, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Market {
    /// `eth_gasPrice`.
    pub gas_price: u128,
    /// Base fee of the head; `None` on a chain without EIP-1559.
    pub base_fee: Option<u128>,
    /// `eth_maxPriorityFeePerGas`; `None` where the node does not know it.
    pub tip: Option<u128>,
}

/// The operator's bounds, wei per gas. `-minGasPrice` and `-maxGasPrice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PriceBounds {
    /// Floor of the price that is reckoned with (ticket costs, the check against `maximum`, legacy transactions). It
    /// does not raise what an EIP-1559 transaction pays.
    pub minimum: u128,
    /// No transaction pays more; `None` is no bound.
    pub maximum: Option<u128>,
}

/// Why nothing is sent at this price. The texts are the ones operators know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// The market is above the operator's bound.
    #[error("current gas price exceeds maximum gas price max={} GWei current={} GWei", gwei(*maximum), gwei(*current))]
    AboveMaximum {
        /// The bound.
        maximum: u128,
        /// The market.
        current: u128,
    },
    /// A replacement would have to pay more than the bound.
    #[error("replacement gas price exceeds max gas price suggested={suggested} max={maximum}")]
    Replacement {
        /// What it would have to offer, wei.
        suggested: u128,
        /// The bound, wei.
        maximum: u128,
    },
}

impl PriceBounds {
    /// The price to reckon with: the market's, but at least the minimum.
    pub fn price(&self, market: &Market) -> u128 {
        market.gas_price.max(self.minimum)
    }

    /// Fees of a new transaction: a ceiling of twice the base fee and the tip, cut at the maximum.
    ///
    /// An error while the market itself is above the maximum: nothing would be mined.
    pub fn quote(&self, market: &Market) -> Result<Fees, FeeError> {
        let current = self.price(market).max(market.base_fee.unwrap_or(0));
        if let Some(maximum) = self.maximum
            && current > maximum
        {
            return Err(FeeError::AboveMaximum { maximum, current });
        }
        let Some(base_fee) = market.base_fee else {
            return Ok(Fees::Legacy { gas_price: current });
        };
        let tip = market
            .tip
            .unwrap_or_else(|| market.gas_price.saturating_sub(base_fee));
        let wanted = base_fee.saturating_mul(2).saturating_add(tip);
        let max_fee = self.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        Ok(Fees::Dynamic {
            max_fee,
            tip: tip.min(max_fee),
        })
    }

    /// Fees of a transaction that takes the place of one with fees `old`: each 11 % more, and no less than the market
    /// asks. With `least_tip` also a tip of 0 rises, to 1 wei: geth-like nodes want both fields to grow.
    pub fn replacement(
        &self,
        old: Fees,
        market: &Market,
        least_tip: bool,
    ) -> Result<Fees, FeeError> {
        let bumped = match old {
            Fees::Legacy { gas_price } => Fees::Legacy {
                gas_price: bump(gas_price),
            },
            Fees::Dynamic { max_fee, tip } => {
                let tip = bump(tip).max(u128::from(least_tip));
                Fees::Dynamic {
                    max_fee: bump(max_fee).max(tip),
                    tip,
                }
            }
        };
        if let Some(maximum) = self.maximum
            && bumped.ceiling() > maximum
        {
            return Err(FeeError::Replacement {
                suggested: bumped.ceiling(),
                maximum,
            });
        }
        Ok(match (bumped, self.quote(market)) {
            (
                Fees::Dynamic { max_fee, tip },
                Ok(Fees::Dynamic {
                    max_fee: asked,
                    tip: asked_tip,
                }),
            ) => Fees::Dynamic {
                max_fee: max_fee.max(asked),
                tip: tip.max(asked_tip),
            },
            (Fees::Legacy { gas_price }, Ok(Fees::Legacy { gas_price: asked })) => Fees::Legacy {
                gas_price: gas_price.max(asked),
            },
            _ => bumped,
        })
    }
}

/// 11 % more, rounded up; 0 stays 0. geth wants at least 10 %.
pub fn bump(value: u128) -> u128 {
    match value.checked_mul(111) {
        Some(product) => product.saturating_add(99) / 100,
        None => value,
    }
}

/// Wei as a decimal number of gwei, without trailing zeros.
pub fn gwei(wei: u128) -> String {
    let digits = format!("{wei:0>width$}", width = GWEI_DIGITS + 1);
    let (whole, part) = digits.split_at(digits.len() - GWEI_DIGITS);
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

/// A node's 256-bit answer as a price; the greatest price for what no node may answer.
pub fn price_from_wire(value: U256) -> u128 {
    u128::try_from(value).unwrap_or(u128::MAX)
}

/// A gas price that follows the market without its spikes: for prices and ticket costs that should not jump.
///
/// A new reading pulls by the time since the last one, with a time constant of `settle_ms`; one reading counts at most
/// [`SmoothedGas::SPIKE`] times the value before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmoothedGas {
    settle_ms: u64,
    last: Option<(u64, u128)>,
}

impl SmoothedGas {
    /// How many times the smoothed value one reading counts at most.
    pub const SPIKE: u128 = 4;

    /// Nothing read yet.
    pub fn new(settle_ms: u64) -> Self {
        Self {
            settle_ms: settle_ms.max(1),
            last: None,
        }
    }

    /// The smoothed price, wei per gas; `None` before the first reading.
    pub fn price(&self) -> Option<u128> {
        self.last.map(|(_, price)| price)
    }

    /// Takes a reading made at `now_ms` and gives the new smoothed price.
    pub fn read(&mut self, reading: u128, now_ms: u64) -> u128 {
        let price = match self.last {
            None => reading,
            Some((then, price)) => {
                let passed = u128::from(now_ms.saturating_sub(then).min(self.settle_ms * 16));
                let limited = reading.min(price.max(1).saturating_mul(Self::SPIKE));
                let span = passed + u128::from(self.settle_ms);
                // rounded up, so that it arrives
                let step = limited
                    .abs_diff(price)
                    .saturating_mul(passed)
                    .div_ceil(span);
                if limited >= price {
                    price.saturating_add(step)
                } else {
                    price - step
                }
            }
        };
        self.last = Some((now_ms, price));
        price
    }
}

/// Gas used by what was sent before, by function: the margin of the next limit, and the cost to expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GasHistory(BTreeMap<[u8; 4], Observed>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Observed {
    /// Most that a receipt used of its estimate lately, in hundredths.
    worst_percent: u64,
    /// Smoothed gas used.
    used: u64,
}

impl GasHistory {
    /// Least margin on an estimate, hundredths. On Arbitrum the part for L1 data moves between estimate and inclusion.
    pub const LEAST_MARGIN: u64 = 20;

    /// Greatest margin, hundredths.
    pub const GREATEST_MARGIN: u64 = 200;

    /// Gas limit for a call of `selector` that was estimated to use `estimate`.
    pub fn limit(&self, selector: [u8; 4], estimate: u64) -> u64 {
        let seen = self.0.get(&selector).map_or(100, |seen| seen.worst_percent);
        // the worst seen, and a tenth of room above it
        let percent = (seen + 10).clamp(100 + Self::LEAST_MARGIN, 100 + Self::GREATEST_MARGIN);
        let limit = u128::from(estimate) * u128::from(percent) / 100;
        u64::try_from(limit).unwrap_or(u64::MAX)
    }

    /// Gas that a call of `selector` used lately; `None` before the first receipt.
    pub fn expected(&self, selector: [u8; 4]) -> Option<u64> {
        self.0.get(&selector).map(|seen| seen.used)
    }

    /// Takes the gas `used` by a mined call that was estimated at `estimate`. `exhausted` when it failed with all its
    /// gas used: then the true need is not known, only that it is greater.
    pub fn record(&mut self, selector: [u8; 4], estimate: u64, used: u64, exhausted: bool) {
        let counted = if exhausted {
            used.saturating_mul(3) / 2
        } else {
            used
        };
        let percent = u128::from(counted) * 100 / u128::from(estimate.max(1));
        let percent = u64::try_from(percent).unwrap_or(u64::MAX);
        let percent = percent.min(100 + Self::GREATEST_MARGIN);
        self.0
            .entry(selector)
            .and_modify(|seen| {
                // a rise counts at once, a fall by an eighth
                let fallen = seen.worst_percent - seen.worst_percent.saturating_sub(percent) / 8;
                seen.worst_percent = fallen.max(percent);
                let step = counted.abs_diff(seen.used) / 4;
                seen.used = if counted >= seen.used {
                    seen.used + step
                } else {
                    seen.used - step
                };
            })
            .or_insert(Observed {
                worst_percent: percent,
                used: counted,
            });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn market(gas_price: u128, base_fee: u128, tip: u128) -> Market {
        Market {
            gas_price,
            base_fee: Some(base_fee),
            tip: Some(tip),
        }
    }

    #[test]
    fn bump_is_eleven_percent_rounded_up() {
        let pairs = [
            (0, 0),
            (1, 2),
            (7, 8),
            (100, 111),
            (1_000_000_000, 1_110_000_000),
            (20_000_000, 22_200_000),
        ];
        for (value, bumped) in pairs {
            assert_eq!(bump(value), bumped);
        }
        assert_eq!(bump(u128::MAX), u128::MAX);
    }

    #[test]
    fn gwei_texts_are_those_of_the_reference() {
        let pairs = [
            (0, "0"),
            (1, "0.000000001"),
            (20_000_000, "0.02"),
            (GWEI, "1"),
            (1_500_000_000, "1.5"),
            (123_000_000_001, "123.000000001"),
        ];
        for (wei, text) in pairs {
            assert_eq!(gwei(wei), text);
        }
    }

    #[test]
    fn ceiling_without_a_bound_is_twice_the_base_fee_and_the_tip() {
        let fees = PriceBounds::default().quote(&market(12, 10, 3));
        assert_eq!(
            fees,
            Ok(Fees::Dynamic {
                max_fee: 23,
                tip: 3
            })
        );
    }

    #[test]
    fn operators_bound_cuts_the_ceiling_and_still_leaves_room_for_the_tip() {
        let bounds = PriceBounds {
            minimum: 0,
            maximum: Some(21),
        };
        // the reference would leave the tip out (20) and, with a great tip, send nothing at all
        assert_eq!(
            bounds.quote(&market(13, 10, 3)),
            Ok(Fees::Dynamic {
                max_fee: 21,
                tip: 3
            })
        );
        assert_eq!(
            bounds.quote(&market(21, 1, 20)),
            Ok(Fees::Dynamic {
                max_fee: 21,
                tip: 20
            })
        );
    }

    #[test]
    fn nothing_is_sent_while_the_market_is_above_the_bound() {
        let bounds = PriceBounds {
            minimum: 0,
            maximum: Some(GWEI),
        };
        let error = bounds.quote(&market(1_500_000_000, GWEI / 2, 0));
        assert_eq!(
            error.unwrap_err().to_string(),
            "current gas price exceeds maximum gas price max=1 GWei current=1.5 GWei"
        );
        assert!(bounds.quote(&market(1, 2 * GWEI, 0)).is_err(), "base fee");
    }

    #[test]
    fn minimum_raises_what_is_reckoned_with_but_not_what_is_paid() {
        let bounds = PriceBounds {
            minimum: 100,
            maximum: None,
        };
        assert_eq!(bounds.price(&market(10, 10, 0)), 100);
        assert_eq!(
            bounds.quote(&market(10, 10, 0)),
            Ok(Fees::Dynamic {
                max_fee: 20,
                tip: 0
            })
        );
        let legacy = Market {
            gas_price: 10,
            ..Market::default()
        };
        assert_eq!(bounds.quote(&legacy), Ok(Fees::Legacy { gas_price: 100 }));
    }

    #[test]
    fn tip_is_what_the_price_leaves_when_the_node_does_not_know_it() {
        for (price, tip) in [(15, 5), (8, 0)] {
            let market = Market {
                gas_price: price,
                base_fee: Some(10),
                tip: None,
            };
            let Ok(Fees::Dynamic { tip: got, .. }) = PriceBounds::default().quote(&market) else {
                panic!("not dynamic");
            };
            assert_eq!(got, tip);
        }
    }

    #[test]
    fn replacement_raises_both_fields_and_a_tip_of_zero_only_when_it_must() {
        let old = Fees::Dynamic {
            max_fee: 20_000_000,
            tip: 0,
        };
        let still = market(0, 0, 0);
        let bounds = PriceBounds::default();
        assert_eq!(
            bounds.replacement(old, &still, false),
            Ok(Fees::Dynamic {
                max_fee: 22_200_000,
                tip: 0
            })
        );
        assert_eq!(
            bounds.replacement(old, &still, true),
            Ok(Fees::Dynamic {
                max_fee: 22_200_000,
                tip: 1
            })
        );
        assert_eq!(
            bounds.replacement(old, &market(90_000_000, 50_000_000, 5), false),
            Ok(Fees::Dynamic {
                max_fee: 100_000_005,
                tip: 5
            })
        );
    }

    #[test]
    fn replacement_stops_at_the_bound() {
        let bounds = PriceBounds {
            minimum: 0,
            maximum: Some(110),
        };
        let error = bounds.replacement(Fees::Legacy { gas_price: 100 }, &Market::default(), false);
        assert_eq!(
            error.unwrap_err().to_string(),
            "replacement gas price exceeds max gas price suggested=111 max=110"
        );
    }

    #[test]
    fn one_spike_moves_the_smoothed_price_little_and_a_lasting_rise_fully() {
        let mut gas = SmoothedGas::new(60_000);
        gas.read(100, 0);
        let after_spike = gas.read(1_000_000, 5_000);
        assert!(after_spike < 130, "{after_spike}");
        for tick in 2..400 {
            gas.read(300, tick * 5_000);
        }
        assert!((290..=300).contains(&gas.price().unwrap()));
    }

    #[test]
    fn margin_is_learned_from_receipts_and_forgotten_slowly() {
        let selector = [1, 2, 3, 4];
        let mut history = GasHistory::default();
        assert_eq!(history.limit(selector, 1000), 1200);
        assert_eq!(history.expected(selector), None);
        history.record(selector, 1000, 1200, true);
        assert_eq!(history.limit(selector, 1000), 1900);
        for _ in 0..100 {
            history.record(selector, 1000, 1000, false);
        }
        assert_eq!(history.limit(selector, 1000), 1200);
        assert!(history.expected(selector).unwrap().abs_diff(1000) < 5);
        assert_eq!(history.limit([0; 4], 1000), 1200, "others are apart");
    }

    proptest! {
        #[test]
        fn no_quote_and_no_replacement_is_above_the_bound(
            minimum: u64, maximum: u64, gas_price: u128, base_fee: Option<u128>, tip: Option<u128>,
            old: u64, old_tip: u64, least_tip: bool,
        ) {
            let bounds = PriceBounds { minimum: minimum.into(), maximum: Some(maximum.into()) };
            let market = Market { gas_price, base_fee, tip };
            let old = Fees::Dynamic {
                max_fee: u128::from(old.max(old_tip)),
                tip: old_tip.into(),
            };
            let answers = [bounds.quote(&market), bounds.replacement(old, &market, least_tip)];
            for fees in answers.into_iter().flatten() {
                prop_assert!(fees.ceiling() <= u128::from(maximum));
                if let Fees::Dynamic { max_fee, tip } = fees {
                    prop_assert!(tip <= max_fee);
                }
            }
        }

        #[test]
        fn smoothing_stays_between_what_was_read(
            readings in prop::collection::vec((any::<u64>(), any::<u32>()), 1..50),
        ) {
            let mut gas = SmoothedGas::new(60_000);
            let mut now = 0;
            for (reading, passed) in &readings {
                now += u64::from(*passed);
                gas.read(u128::from(*reading), now);
            }
            let low = readings.iter().map(|(reading, _)| *reading).min().unwrap();
            let high = readings.iter().map(|(reading, _)| *reading).max().unwrap();
            let price = gas.price().unwrap();
            prop_assert!((u128::from(low)..=u128::from(high)).contains(&price));
        }

        #[test]
        fn limit_never_falls_below_the_estimate(
            records in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..20),
            estimate: u64,
        ) {
            let mut history = GasHistory::default();
            for (estimate, used, exhausted) in records {
                history.record([0; 4], estimate, used, exhausted);
            }
            prop_assert!(history.limit([0; 4], estimate) >= estimate);
        }
    }
}
