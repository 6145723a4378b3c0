//! Prices as the operator asked for them, in whatever currency, and the wei they come to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use protocol::address::Address;
use protocol::money::{Currency, Feed, Price, Rational, parse_amount};

use crate::facts::{ModelKey, Prices};

/// Name of the base price among changes that survive a restart.
const BASE: &str = "price.base";
/// Begin of the names of gateways' prices, before the address.
const GATEWAY: &str = "price.gateway.";
/// Name of the switch for the surcharge.
const ADJUST: &str = "price.auto_adjust";

/// An amount of a currency for a number of units. Reads and prints as `0.02USD/1000000000000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedPrice {
    amount: Rational,
    currency: Currency,
    units: Rational,
}

/// A text or number that is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no price: give an amount such as 1200 or 0.02USD, and units above 0")]
pub struct NoPrice {
    text: String,
}

impl AskedPrice {
    /// `None` for 0 units.
    pub fn new(amount: Rational, currency: Currency, units: Rational) -> Option<Self> {
        (!units.is_zero()).then_some(Self {
            amount,
            currency,
            units,
        })
    }

    /// From two texts, as operators write them: `0.02USD` and `1e12`.
    ///
    /// # Errors
    /// [`NoPrice`].
    pub fn parse(amount: &str, units: &str) -> Result<Self, NoPrice> {
        let error = || NoPrice {
            text: format!("{amount}/{units}").chars().take(100).collect(),
        };
        let (amount, currency) = parse_amount(amount).map_err(|_| error())?;
        let units = units.parse().map_err(|_| error())?;
        Self::new(amount, currency, units).ok_or_else(error)
    }

    /// What its amount counts.
    pub fn currency(&self) -> &Currency {
        &self.currency
    }

    /// Wei per unit; `None` while its currency has no price.
    pub fn in_wei(&self, feed: Option<&Feed>) -> Option<Price> {
        let factor = self.currency.wei_factor(feed).ok()?;
        Price::from_settings(self.amount, factor, self.units)
    }
}

impl fmt::Display for AskedPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // one number: amounts may be fractions themselves
        let per_unit = self
            .units
            .inverse()
            .map_or(self.amount, |one| self.amount.times(&one));
        let (num, den) = (per_unit.num(), per_unit.den());
        write!(f, "{num}{}/{den}", self.currency)
    }
}

impl FromStr for AskedPrice {
    type Err = NoPrice;

    fn from_str(text: &str) -> Result<Self, NoPrice> {
        let (amount, units) = text.rsplit_once('/').unwrap_or((text, "1"));
        Self::parse(amount, units)
    }
}

/// All prices that were asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PricePlan {
    /// Video for everybody; `None` = no price is set.
    pub base: Option<AskedPrice>,
    /// Video for single gateways.
    pub gateways: HashMap<Address, AskedPrice>,
    /// Models, for single gateways or for all.
    pub models: HashMap<(Option<Address>, ModelKey), AskedPrice>,
    /// Raise prices by what redeeming costs (`-autoAdjustPrice`).
    pub adjust: bool,
    /// Most that is added so, percent (`-maxPriceSurcharge`).
    pub surcharge_percent: u64,
}

/// One thing that an operator changes while the node runs. It survives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriceChange {
    /// The base price; `None` = back to the configured one.
    Base(Option<AskedPrice>),
    /// A gateway's price; `None` = back to the configured one, or to the base price.
    Gateway(Address, Option<AskedPrice>),
    /// The surcharge; `None` = back to the configured switch.
    Adjust(Option<bool>),
}

impl PriceChange {
    /// Name and value among the settings of the ledger; no value takes the change back.
    pub(super) fn to_setting(&self) -> (String, Option<String>) {
        match self {
            Self::Base(price) => (BASE.to_owned(), price.as_ref().map(ToString::to_string)),
            Self::Gateway(gateway, price) => (
                format!("{GATEWAY}{gateway}"),
                price.as_ref().map(ToString::to_string),
            ),
            Self::Adjust(on) => (ADJUST.to_owned(), on.map(|on| on.to_string())),
        }
    }

    /// The changes among settings, and those that cannot be read.
    pub(super) fn from_settings(settings: &BTreeMap<String, String>) -> (Vec<Self>, Vec<String>) {
        let (mut changes, mut unreadable) = (Vec::new(), Vec::new());
        for (name, value) in settings {
            let change = if name == BASE {
                value.parse().ok().map(|price| Self::Base(Some(price)))
            } else if name == ADJUST {
                value.parse().ok().map(|on| Self::Adjust(Some(on)))
            } else if let Some(gateway) = name.strip_prefix(GATEWAY) {
                let parts = gateway.parse().ok().zip(value.parse().ok());
                parts.map(|(gateway, price)| Self::Gateway(gateway, Some(price)))
            } else {
                continue;
            };
            match change {
                Some(change) => changes.push(change),
                None => unreadable.push(name.clone()),
            }
        }
        (changes, unreadable)
    }
}

/// What was configured, with what was changed since on top.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    configured: PricePlan,
    base: Option<AskedPrice>,
    gateways: HashMap<Address, AskedPrice>,
    adjust: Option<bool>,
}

impl Board {
    pub(super) fn new(configured: PricePlan) -> Self {
        Self {
            configured,
            ..Self::default()
        }
    }

    /// Replaces what is configured, as after a reload; changes stay on top.
    pub(super) fn configure(&mut self, configured: PricePlan) {
        self.configured = configured;
    }

    pub(super) fn change(&mut self, change: PriceChange) {
        match change {
            PriceChange::Base(price) => self.base = price,
            PriceChange::Gateway(gateway, Some(price)) => {
                self.gateways.insert(gateway, price);
            }
            PriceChange::Gateway(gateway, None) => {
                self.gateways.remove(&gateway);
            }
            PriceChange::Adjust(on) => self.adjust = on,
        }
    }

    /// Whether any price needs a feed.
    pub(super) fn needs_feed(&self) -> bool {
        let plan = &self.configured;
        self.base
            .iter()
            .chain(&plan.base)
            .chain(self.gateways.values())
            .chain(plan.gateways.values())
            .chain(plan.models.values())
            .any(|price| price.currency.needs_feed())
    }

    /// Everything in wei. A price whose currency is not known is left out: for a gateway or a model that would be
    /// another, perhaps lower price, so then nothing is priced for it at all, see [`Prices::video`].
    pub(super) fn in_wei(&self, feed: Option<&Feed>) -> Prices {
        let plan = &self.configured;
        let base = self.base.as_ref().or(plan.base.as_ref());
        let gateways = plan.gateways.iter().chain(&self.gateways);
        let gateways: Option<HashMap<_, _>> = gateways
            .map(|(gateway, price)| Some((*gateway, price.in_wei(feed)?)))
            .collect();
        let models = plan.models.iter();
        let models: Option<HashMap<_, _>> = models
            .map(|(key, price)| Some((key.clone(), price.in_wei(feed)?)))
            .collect();
        // without a feed nobody is served by a price that is not his
        let complete = gateways.is_some() && models.is_some();
        Prices {
            default: base
                .and_then(|price| price.in_wei(feed))
                .filter(|_| complete),
            by_gateway: gateways.unwrap_or_default(),
            models: models.unwrap_or_default(),
            feed: None,
            adjust: self.adjust.unwrap_or(plan.adjust),
            surcharge_percent: plan.surcharge_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::money::U256;

    use super::*;

    fn feed() -> Feed {
        Feed::new("ETH / USD", U256::from(312_345_678_901u64), 8).unwrap()
    }

    #[test]
    fn a_currency_price_is_exact_in_wei() {
        let price = AskedPrice::parse("0.02USD", "1e12").unwrap();
        let wei = price.in_wei(Some(&feed())).unwrap();
        assert_eq!(wei.to_string(), "2000000000000/312345678901");
        assert_eq!(price.in_wei(None), None);
        assert_eq!(
            AskedPrice::parse("1e-9eth", "1").unwrap().in_wei(None),
            Price::new(1_000_000_000u64, 1u64)
        );
        for (amount, units) in [("1", "0"), ("-1", "1"), ("x", "1"), ("1", "")] {
            assert!(
                AskedPrice::parse(amount, units).is_err(),
                "{amount}/{units}"
            );
        }
    }

    #[test]
    fn without_a_rate_nobody_is_served_at_a_price_that_is_not_his() {
        let gateway = Address([1; 20]);
        let board = Board::new(PricePlan {
            base: Some("5".parse().unwrap()),
            gateways: HashMap::from([(gateway, "1USD/1000".parse().unwrap())]),
            ..PricePlan::default()
        });
        assert!(board.needs_feed());
        assert_eq!(board.in_wei(None).video(gateway), None);
        assert!(board.in_wei(Some(&feed())).video(gateway).is_some());
    }

    #[test]
    fn changes_stand_above_the_configuration_and_can_be_taken_back() {
        let gateway = Address([1; 20]);
        let mut board = Board::new(PricePlan {
            base: Some("5".parse().unwrap()),
            adjust: true,
            ..PricePlan::default()
        });
        let seven: AskedPrice = "7".parse().unwrap();
        board.change(PriceChange::Base(Some(seven.clone())));
        board.change(PriceChange::Gateway(gateway, Some("3".parse().unwrap())));
        board.change(PriceChange::Adjust(Some(false)));
        let prices = board.in_wei(None);
        assert_eq!(prices.default, Price::new(7u64, 1u64));
        assert_eq!(prices.video(gateway), Price::new(3u64, 1u64));
        assert!(!prices.adjust);
        board.change(PriceChange::Base(None));
        board.change(PriceChange::Gateway(gateway, None));
        board.change(PriceChange::Adjust(None));
        let prices = board.in_wei(None);
        assert_eq!(
            (prices.video(gateway), prices.adjust),
            (Price::new(5u64, 1u64), true)
        );
    }

    #[test]
    fn changes_are_read_back_from_settings_and_foreign_ones_are_left_alone() {
        let changes = [
            PriceChange::Base(Some("0.02USD/1e12".parse().unwrap())),
            PriceChange::Gateway(Address([9; 20]), Some("7/3".parse().unwrap())),
            PriceChange::Adjust(Some(true)),
        ];
        let mut settings: BTreeMap<_, _> = changes
            .iter()
            .map(PriceChange::to_setting)
            .map(|(name, value)| (name, value.unwrap()))
            .collect();
        settings.insert("other".into(), "x".into());
        settings.insert("price.gateway.nobody".into(), "1".into());
        let (read, unreadable) = PriceChange::from_settings(&settings);
        assert_eq!(read.len(), 3);
        assert_eq!(unreadable, ["price.gateway.nobody"]);
        let wei = |board: &Board| board.in_wei(Some(&feed()));
        let (mut before, mut after) = (Board::default(), Board::default());
        changes.into_iter().for_each(|change| before.change(change));
        read.into_iter().for_each(|change| after.change(change));
        assert_eq!(wei(&before), wei(&after));
    }

    proptest! {
        #[test]
        fn a_price_that_is_printed_reads_back_as_the_same_price(num: u64, den in 1u64.., units in 1u64.., currency in "(USD|ETH)?") {
            let amount = Rational::new(num, den).unwrap();
            let price = AskedPrice::new(amount, Currency::from_name(&currency), Rational::integer(units)).unwrap();
            let read: AskedPrice = price.to_string().parse().unwrap();
            prop_assert_eq!(read.in_wei(Some(&feed())), price.in_wei(Some(&feed())));
        }
    }
}
