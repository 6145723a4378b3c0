//! What a currency costs, as an on-chain feed says, and whether to believe it. Exact; times are arguments.

use std::time::Duration;

use protocol::money::{Feed, Rational};

use crate::types::U256;

/// One reading of a feed, as the contract gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedAnswer {
    /// What is priced in what, as `ETH / USD`.
    pub description: String,
    /// Decimals of the answer.
    pub decimals: u8,
    /// The answer; `None` when it is negative.
    pub answer: Option<U256>,
    /// Seconds since 1970, by the feed's clock.
    pub updated_at: u64,
}

/// A price that was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPrice {
    /// The price.
    pub feed: Feed,
    /// When the feed took it, seconds since 1970.
    pub updated_at: u64,
}

/// What is believed of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedBounds {
    /// Greatest age of a reading.
    pub max_age: Duration,
    /// Greatest factor, up or down, between one reading and the next.
    pub max_jump: u64,
}

impl Default for FeedBounds {
    /// A day and a factor of 4: the feed in use is renewed at least daily, and on each move of a fraction of a percent.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(26 * 3600),
            max_jump: 4,
        }
    }
}

/// Why a reading is not believed. The last good price stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedRefusal {
    /// The answer is zero or negative.
    #[error("the price feed answered a price that is not positive")]
    NotPositive,
    /// The feed is of another kind.
    #[error("{0}")]
    Unusable(String),
    /// The reading is old.
    #[error("the price feed was last updated {age_s} s ago, more than {max_s} s")]
    Stale {
        /// Age, seconds.
        age_s: u64,
        /// Allowed, seconds.
        max_s: u64,
    },
    /// The reading is of the future.
    #[error("the price feed was updated {ahead_s} s in the future")]
    Future {
        /// By how much, seconds.
        ahead_s: u64,
    },
    /// The reading is too far from the last one.
    #[error("the price feed went from {from} to {to} per ETH, by more than a factor of {factor}")]
    Jump {
        /// Last good price.
        from: Box<Rational>,
        /// The reading.
        to: Box<Rational>,
        /// Allowed.
        factor: u64,
    },
    /// The reading is not newer than the one in use.
    #[error("the price feed was not updated since the last reading")]
    NotNewer,
}

/// Clocks of feed and node may differ by this much.
const CLOCK_SKEW: u64 = 300;

/// Judges a reading at `now` (seconds since 1970) against the price in use.
///
/// # Errors
/// A [`FeedRefusal`]. A jump is believed once the price in use is older than the greatest age: then there is nothing
/// to compare with any more.
pub fn judge(
    answer: &FeedAnswer,
    last: Option<&FeedPrice>,
    now: u64,
    bounds: FeedBounds,
) -> Result<FeedPrice, FeedRefusal> {
    let amount = answer.answer.filter(|amount| !amount.is_zero());
    let amount = amount.ok_or(FeedRefusal::NotPositive)?;
    let feed = Feed::new(&answer.description, amount, answer.decimals)
        .map_err(|e| FeedRefusal::Unusable(e.to_string()))?;
    let max_s = bounds.max_age.as_secs();
    let age_s = now.saturating_sub(answer.updated_at);
    if age_s > max_s {
        return Err(FeedRefusal::Stale { age_s, max_s });
    }
    let ahead_s = answer.updated_at.saturating_sub(now);
    if ahead_s > CLOCK_SKEW {
        return Err(FeedRefusal::Future { ahead_s });
    }
    if let Some(last) = last {
        if answer.updated_at <= last.updated_at {
            return Err(FeedRefusal::NotNewer);
        }
        let comparable =
            now.saturating_sub(last.updated_at) <= max_s && last.feed.currency == feed.currency;
        let factor = Rational::integer(bounds.max_jump);
        let (from, to) = (last.feed.per_eth, feed.per_eth);
        if comparable && (to > from.times(&factor) || from > to.times(&factor)) {
            return Err(FeedRefusal::Jump {
                from: from.into(),
                to: to.into(),
                factor: bounds.max_jump,
            });
        }
    }
    Ok(FeedPrice {
        feed,
        updated_at: answer.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn answer(amount: u64, updated_at: u64) -> FeedAnswer {
        FeedAnswer {
            description: "ETH / USD".into(),
            decimals: 8,
            answer: Some(amount.into()),
            updated_at,
        }
    }

    fn judged(answer: &FeedAnswer, last: Option<&FeedPrice>) -> Result<FeedPrice, FeedRefusal> {
        judge(answer, last, NOW, FeedBounds::default())
    }

    #[test]
    fn the_price_is_the_exact_fraction() {
        for (description, currency) in [("ETH / USD", "USD"), ("ETH/USD", "USD")] {
            let mut answer = answer(300_000_000_000, NOW);
            answer.description = description.into();
            let price = judged(&answer, None).unwrap();
            assert_eq!(price.feed.per_eth, Rational::integer(3000u64));
            assert_eq!(price.feed.currency, currency);
        }
        let mut odd = answer(1, NOW);
        odd.description = "ETH".into();
        assert!(matches!(judged(&odd, None), Err(FeedRefusal::Unusable(_))));
    }

    #[test]
    fn what_would_break_prices_is_refused() {
        assert_eq!(judged(&answer(0, NOW), None), Err(FeedRefusal::NotPositive));
        let mut negative = answer(1, NOW);
        negative.answer = None;
        assert_eq!(judged(&negative, None), Err(FeedRefusal::NotPositive));
        assert!(matches!(
            judged(&answer(1, 0), None),
            Err(FeedRefusal::Stale { .. })
        ));
        let future = answer(1, NOW + 301);
        assert!(matches!(
            judged(&future, None),
            Err(FeedRefusal::Future { .. })
        ));
    }

    #[test]
    fn a_jump_is_refused_until_the_last_price_is_too_old_to_compare() {
        let last = judged(&answer(1000, NOW - 100), None).unwrap();
        for (amount, believed) in [(4000, true), (4001, false), (250, true), (249, false)] {
            let result = judged(&answer(amount, NOW), Some(&last));
            assert_eq!(result.is_ok(), believed, "{amount}: {result:?}");
        }
        let mut old = last.clone();
        old.updated_at = NOW - 27 * 3600;
        assert!(judged(&answer(1, NOW), Some(&old)).is_ok());
        assert_eq!(
            judged(&answer(1000, NOW - 100), Some(&last)),
            Err(FeedRefusal::NotNewer)
        );
    }

    proptest! {
        #[test]
        fn any_reading_is_judged(description in ".{0,20}", decimals: u8, amount: Option<[u64; 4]>, updated_at: u64, now: u64) {
            let answer = FeedAnswer { description, decimals, answer: amount.map(U256), updated_at };
            let last = judged(&FeedAnswer { updated_at: NOW - 5, ..self::answer(1000, NOW) }, None).unwrap();
            let bounds = FeedBounds::default();
            let _ = judge(&answer, Some(&last), now, bounds);
            let plain = FeedAnswer { description: "ETH / USD".into(), ..answer };
            if let Ok(price) = judge(&plain, None, now, bounds) {
                prop_assert!(!price.feed.per_eth.is_zero());
            }
        }
    }
}
