//! Amounts in wei, ETH or another currency, and the feed that prices ETH in that currency.

use std::fmt;

use primitive_types::U256;

use super::rational::Rational;
use crate::Error;

/// 10^18 wei.
const ETHER: u64 = 1_000_000_000_000_000_000;

/// Most decimals of a feed; those in the field have 8 or 18.
const MAX_DECIMALS: u8 = 38;

/// What a configured price is counted in. Names compare without case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Currency {
    /// No suffix, or `wei`.
    #[default]
    Wei,
    /// 10^18 wei.
    Eth,
    /// Anything else, in upper case; needs a feed.
    Other(String),
}

impl Currency {
    /// From a name; empty is wei.
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "" | "WEI" => Self::Wei,
            "ETH" => Self::Eth,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether a feed is needed to turn it into wei.
    pub fn needs_feed(&self) -> bool {
        matches!(self, Self::Other(_))
    }

    /// Wei in one unit of it.
    pub fn wei_factor(&self, feed: Option<&Feed>) -> Result<Rational, Error> {
        match (self, feed) {
            (Self::Wei, _) => Ok(Rational::integer(1)),
            (Self::Eth, _) => Ok(Rational::integer(ETHER)),
            (Self::Other(name), Some(feed)) if *name == feed.currency => Ok(feed.wei_factor()),
            (Self::Other(name), Some(feed)) => Err(Error::Currency {
                wanted: name.clone(),
                offered: feed.currency.clone(),
            }),
            (Self::Other(name), None) => Err(Error::Currency {
                wanted: name.clone(),
                offered: "no currency".into(),
            }),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wei => "wei",
            Self::Eth => "ETH",
            Self::Other(name) => name,
        })
    }
}

/// Reads a number with a currency glued on: `1200`, `0.02USD`, `1e12`, `1e-9eth`. An `e` with digits behind it is an
/// exponent, never a currency.
pub fn parse_amount(text: &str) -> Result<(Rational, Currency), Error> {
    let number = number_length(text);
    let (number, currency) = text.split_at(number);
    let is_name = currency.bytes().all(|b| b.is_ascii_alphanumeric()) && currency.len() <= 16;
    if !is_name {
        return Err(Error::Number(text.chars().take(100).collect()));
    }
    Ok((number.parse()?, Currency::from_name(currency)))
}

/// Bytes of the number at the start of a text.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize, class: fn(&u8) -> bool| {
        from + bytes.iter().skip(from).take_while(|b| class(b)).count()
    };
    let mantissa = run(0, |b| b.is_ascii_digit() || *b == b'.' || *b == b'/');
    if !matches!(bytes.get(mantissa), Some(b'e' | b'E')) {
        return mantissa;
    }
    let sign = usize::from(matches!(bytes.get(mantissa + 1), Some(b'+' | b'-')));
    let digits = mantissa + 1 + sign;
    let end = run(digits, u8::is_ascii_digit);
    if end > digits { end } else { mantissa }
}

/// One answer of a price feed between ETH and another currency. Exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// The currency that is not ETH, in upper case.
    pub currency: String,
    /// How many of the currency one ETH costs.
    pub per_eth: Rational,
}

impl Feed {
    /// From `description()`, which must be `BASE / QUOTE` with ETH as one of the two, and an answer with `decimals`
    /// decimals. An answer of 0 and more than 38 decimals are errors, as is any other description.
    pub fn new(description: &str, answer: U256, decimals: u8) -> Result<Self, Error> {
        let error = |reason: &'static str| Error::Feed {
            description: description.chars().take(100).collect(),
            reason,
        };
        let (base, quote) = description
            .split_once('/')
            .map(|(base, quote)| (base.trim(), quote.trim()))
            .filter(|(base, quote)| !base.is_empty() && !quote.is_empty() && !quote.contains('/'))
            .ok_or_else(|| error("is not of the form BASE / QUOTE"))?;
        let base_is_eth = base.eq_ignore_ascii_case("ETH");
        if base_is_eth == quote.eq_ignore_ascii_case("ETH") {
            return Err(error("must have ETH as exactly one of its two sides"));
        }
        if decimals > MAX_DECIMALS {
            return Err(error("has more than 38 decimals"));
        }
        let scale = U256::from(10).pow(U256::from(decimals));
        let price = Rational::new(answer, scale);
        let inverse = price.and_then(|p| p.inverse());
        let (price, inverse) = price.zip(inverse).ok_or_else(|| error("answered 0"))?;
        Ok(Self {
            currency: if base_is_eth { quote } else { base }.to_ascii_uppercase(),
            per_eth: if base_is_eth { price } else { inverse },
        })
    }

    /// Wei in one unit of the currency.
    pub fn wei_factor(&self) -> Rational {
        let eth = self.per_eth.inverse().unwrap_or_default();
        Rational::integer(ETHER).times(&eth)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ratio(num: u64, den: u64) -> Rational {
        Rational::new(num, den).unwrap()
    }

    #[test]
    fn numbers_and_currencies_are_told_apart() {
        for (text, number, currency) in [
            ("1200", ratio(1200, 1), Currency::Wei),
            ("0.02USD", ratio(1, 50), Currency::Other("USD".into())),
            ("1e12", ratio(1_000_000_000_000, 1), Currency::Wei),
            ("1e3", ratio(1000, 1), Currency::Wei),
            ("1e-9eth", ratio(1, 1_000_000_000), Currency::Eth),
            ("2eth", ratio(2, 1), Currency::Eth),
            ("2eur", ratio(2, 1), Currency::Other("EUR".into())),
            ("5wei", ratio(5, 1), Currency::Wei),
            ("1e2E5X", ratio(100, 1), Currency::Other("E5X".into())),
            ("7/2usd", ratio(7, 2), Currency::Other("USD".into())),
        ] {
            assert_eq!(parse_amount(text), Ok((number, currency)), "{text}");
        }
        for text in [
            "",
            "USD",
            "-1",
            "1 USD",
            "1US$",
            "0.02USDé",
            "1..2",
            "-0.1ETH",
        ] {
            assert!(parse_amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wei_of_a_currency_has_the_figures_of_the_reference() {
        let usd = Currency::from_name("usd");
        let wei = |amount: u64, feed: &Feed, currency: &Currency| {
            currency
                .wei_factor(Some(feed))
                .unwrap()
                .times(&Rational::integer(amount))
        };
        let feed = Feed::new("ETH / USD", U256::from(100), 0).unwrap();
        assert_eq!(wei(2, &feed, &usd), ratio(20_000_000_000_000_000, 1));
        let feed = Feed::new("ETH / USD", U256::from(3000), 0).unwrap();
        assert_eq!(wei(50, &feed, &usd), ratio(50_000_000_000_000_000, 3));
        let inverse = Feed {
            currency: "USD".into(),
            per_eth: ratio(420, 1),
        };
        assert_eq!(wei(66, &inverse, &usd), ratio(1_100_000_000_000_000_000, 7));
        let feed = Feed::new("USD/ETH", U256::from(25), 4).unwrap();
        assert_eq!(feed.per_eth, ratio(400, 1));
    }

    #[test]
    fn a_feed_that_cannot_price_is_refused() {
        for (description, answer, decimals) in [
            ("ETH / USD", 0, 8),
            ("ETH-USD", 1, 8),
            ("BTC / USD", 1, 8),
            ("ETH / ETH", 1, 8),
            ("ETH / USD / EUR", 1, 8),
            ("ETH /", 1, 8),
            ("ETH / USD", 1, 39),
        ] {
            assert!(
                Feed::new(description, U256::from(answer), decimals).is_err(),
                "{description}"
            );
        }
        let feed = Feed::new("ETH / USD", U256::one(), 8).unwrap();
        assert!(Currency::from_name("EUR").wei_factor(Some(&feed)).is_err());
        assert!(Currency::from_name("USD").wei_factor(None).is_err());
        assert!(Currency::Eth.wei_factor(None).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_an_amount_or_refused(text in ".{0,60}", near in "[0-9.eE+-]{0,20}[a-zA-Z0-9]{0,5}") {
            let _ = parse_amount(&text);
            let _ = parse_amount(&near);
        }

        #[test]
        fn any_answer_is_a_feed_or_refused(text in ".{0,30}", answer: [u64; 4], decimals: u8) {
            let _ = Feed::new(&text, U256(answer), decimals);
            if let Ok(feed) = Feed::new("ETH / USD", U256(answer), decimals) {
                prop_assert!(!feed.wei_factor().is_zero());
            }
        }
    }
}
