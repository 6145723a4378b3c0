//! Gas prices over time: one dear block must neither move prices nor face values by itself.

use std::time::Duration;

use protocol::money::U256;
use tokio::time::Instant;

use crate::facts::Gas;

/// Time without a good poll after which the price counts as stale.
const STALE: Duration = Duration::from_secs(60);

/// Gas price as polled and as smoothed: an average in which a price counts for less the older it is.
#[derive(Debug, Clone)]
pub(super) struct Smoother {
    min: U256,
    time: Duration,
    gas: Gas,
    polled: Option<Instant>,
}

impl Smoother {
    /// Averages over `time`; polls below `min` wei are discarded.
    pub(super) fn new(min: U256, time: Duration) -> Self {
        Self {
            min,
            time,
            gas: Gas {
                last: min,
                smoothed: min,
                suggested_tip: None,
                stale: true,
            },
            polled: None,
        }
    }

    /// A poll that succeeded.
    pub(super) fn polled(&mut self, price: U256, tip: Option<U256>, now: Instant) {
        if price.is_zero() || price < self.min {
            return;
        }
        let passed = self.polled.map(|before| now.duration_since(before));
        self.gas.smoothed = match passed {
            None => price,
            Some(passed) => self.between(price, passed),
        };
        self.gas.last = price;
        self.gas.suggested_tip = tip.or(self.gas.suggested_tip);
        self.polled = Some(now);
    }

    /// Part of the way from the average to `price`: `passed / (time + passed)`, at least one wei.
    fn between(&self, price: U256, passed: Duration) -> U256 {
        let smoothed = self.gas.smoothed;
        let whole = U256::from((self.time + passed).as_millis()).max(U256::one());
        let passed = U256::from(passed.as_millis());
        let step = |difference: U256| {
            let step = difference.saturating_mul(passed) / whole;
            if step.is_zero() && !passed.is_zero() {
                difference.min(U256::one())
            } else {
                step
            }
        };
        if price >= smoothed {
            smoothed.saturating_add(step(price - smoothed))
        } else {
            smoothed - step(smoothed - price)
        }
    }

    /// What is known at `now`.
    pub(super) fn at(&self, now: Instant) -> Gas {
        Gas {
            stale: self
                .polled
                .is_none_or(|polled| now.duration_since(polled) > STALE),
            ..self.gas.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLL: Duration = Duration::from_secs(5);
    const TIME: Duration = Duration::from_secs(600);

    #[test]
    fn a_spike_of_one_poll_hardly_moves_the_average_and_a_lasting_rise_does() {
        let mut smoother = Smoother::new(U256::zero(), TIME);
        let mut now = Instant::now();
        smoother.polled(100_000_000u64.into(), None, now);
        assert_eq!(smoother.at(now).smoothed, 100_000_000u64.into());
        now += POLL;
        smoother.polled(10_000_000_000u64.into(), None, now);
        let gas = smoother.at(now);
        assert_eq!(gas.last, 10_000_000_000u64.into());
        assert!(gas.smoothed < 200_000_000u64.into(), "{}", gas.smoothed);
        for _ in 0..1000 {
            now += POLL;
            smoother.polled(10_000_000_000u64.into(), None, now);
        }
        assert!(smoother.at(now).smoothed > 9_900_000_000u64.into());
    }

    #[test]
    fn polls_below_the_floor_are_discarded_and_silence_is_told() {
        let mut smoother = Smoother::new(50.into(), TIME);
        let now = Instant::now();
        smoother.polled(40.into(), None, now);
        let gas = smoother.at(now);
        assert_eq!(
            (gas.last, gas.smoothed, gas.stale),
            (50.into(), 50.into(), true)
        );
        smoother.polled(60.into(), Some(1.into()), now);
        assert!(!smoother.at(now).stale);
        let later = smoother.at(now + STALE + POLL);
        assert_eq!((later.last, later.stale), (60.into(), true));
        assert_eq!(later.suggested_tip, Some(1.into()));
    }

    proptest! {
        #[test]
        fn the_average_stays_within_what_was_polled(
            polls in prop::collection::vec((1u64..u64::MAX, 0u64..100_000), 1..50)
        ) {
            let mut smoother = Smoother::new(U256::zero(), TIME);
            let mut now = Instant::now();
            for (price, pause_ms) in &polls {
                now += Duration::from_millis(*pause_ms);
                smoother.polled((*price).into(), None, now);
            }
            let prices = || polls.iter().map(|(price, _)| U256::from(*price));
            let smoothed = smoother.at(now).smoothed;
            prop_assert!(Some(smoothed) >= prices().min() && Some(smoothed) <= prices().max());
        }
    }
}
