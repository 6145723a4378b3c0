//! What work costs: base price, prices by gateway, currency feed, surcharge. All exact; nothing here is a float.

use super::{Ai, Reader, gateway_prices, seconds};
use crate::decimal::Decimal;
use crate::go_values;
use crate::money::Account;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a price is counted in. Names are compared without regard to capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Currency {
    /// Wei.
    Wei,
    /// Ether, 10^18 wei.
    Eth,
    /// A currency, in capitals, that the price feed must know.
    Other(String),
}

impl Currency {
    /// The currency with this name; an empty one is wei. The first sign must be a letter and all must be letters or digits.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let letters = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match name.to_ascii_uppercase().as_str() {
            "" | "WEI" => Some(Self::Wei),
            "ETH" => Some(Self::Eth),
            name if letters => Some(Self::Other(name.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Wei => "wei",
            Self::Eth => "ETH",
            Self::Other(name) => name,
        })
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `amount` of `currency` for `pixels` pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Price {
    /// Zero or more.
    pub amount: Decimal,
    /// What `amount` counts.
    pub currency: Currency,
    /// Above zero.
    pub pixels: Decimal,
}

impl fmt::Display for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, currency, pixels) = (self.amount, &self.currency, self.pixels);
        if pixels == Decimal::ONE {
            write!(formatter, "{amount} {currency} per pixel")
        } else {
            write!(formatter, "{amount} {currency} for {pixels} pixels")
        }
    }
}

/// Where exchange rates come from and how far they are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feed {
    /// The contract asked.
    pub contract: Account,
    /// Age from which an answer counts as stale.
    #[serde(serialize_with = "seconds")]
    pub max_age: Duration,
    /// Percent by which an answer may differ from the last good one.
    pub max_change_percent: u32,
}

/// What an AI model costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelPrice {
    /// Its pipeline.
    pub pipeline: String,
    /// Its ID.
    pub model_id: String,
    /// Whom the price is for; `None` = everybody.
    pub gateway: Option<Account>,
    /// Per unit of work: pixels, milliseconds of sound, tokens, bytes of text.
    pub price: Price,
}

/// All prices, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prices {
    /// Price of video for everybody.
    pub base: Price,
    /// Prices of gateways that have one of their own.
    pub gateways: BTreeMap<Account, Price>,
    /// Prices of AI models.
    pub models: Vec<ModelPrice>,
    /// The feed for currencies; `None` where no price needs one.
    pub feed: Option<Feed>,
    /// Raise prices by what redeeming costs.
    pub auto_adjust: bool,
    /// Most that is added so, in percent.
    pub max_surcharge_percent: u32,
    /// Time over which gas prices are averaged.
    #[serde(serialize_with = "seconds")]
    pub gas_smoothing: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>, ai: &Ai) -> Prices {
    let base = base(reader);
    let gateways = gateways(reader);
    let models = models(reader, ai, &base);
    let needs_feed = gateways
        .values()
        .chain([&base])
        .chain(models.iter().map(|model| &model.price))
        .any(|price| matches!(price.currency, Currency::Other(_)));
    Prices {
        feed: needs_feed.then(|| feed(reader)).flatten(),
        base,
        gateways,
        models,
        auto_adjust: reader.bool("autoAdjustPrice"),
        max_surcharge_percent: reader.number("maxPriceSurcharge").unwrap_or_default(),
        gas_smoothing: reader.duration("gasPriceSmoothing"),
    }
}

/// A model without a price of its own costs the base price.
fn models(reader: &mut Reader<'_>, ai: &Ai, base: &Price) -> Vec<ModelPrice> {
    let models = ai.models.iter().map(|model| {
        if model.price.is_none() {
            reader.report.warn(format!(
                "-aiModels: {} {} has no price_per_unit: the base price counts, {base}",
                model.pipeline, model.model_id
            ));
        }
        ModelPrice {
            pipeline: model.pipeline.clone(),
            model_id: model.model_id.clone(),
            gateway: model.gateway,
            price: model.price.clone().unwrap_or_else(|| base.clone()),
        }
    });
    models.collect()
}

fn base(reader: &mut Reader<'_>) -> Price {
    if reader.values.given("pricePerUnit").is_none() {
        reader.wrong(
            "pricePerUnit",
            "must be given on-chain; 0 works for nothing, which the node does not assume",
        );
    }
    let text = reader.text("pricePerUnit").to_owned();
    let letters = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, currency) = text.split_at(letters);
    let amount = Decimal::parse(number);
    if amount.is_none() {
        reader.wrong(
            "pricePerUnit",
            "has more digits than can be counted exactly, 38",
        );
    } else if amount.is_some_and(Decimal::is_zero) && reader.given("pricePerUnit").is_some() {
        reader
            .report
            .warn("-pricePerUnit 0: gateways without a price of their own are served for nothing");
    }
    let pixels = go_values::with_exponent(reader.text("pixelsPerUnit"))
        .and_then(|pixels| u128::try_from(pixels).ok());
    Price {
        amount: amount.unwrap_or(Decimal::whole(0)),
        currency: Currency::parse(currency).unwrap_or(Currency::Wei),
        pixels: Decimal::whole(pixels.unwrap_or(1)),
    }
}

fn gateways(reader: &mut Reader<'_>) -> BTreeMap<Account, Price> {
    if reader.text("pricePerGateway").is_empty() {
        return BTreeMap::new();
    }
    let read = gateway_prices::read(&reader.value_or_file("pricePerGateway"));
    for mistake in &read.mistakes {
        reader.wrong("pricePerGateway", mistake);
    }
    for warning in read.warnings {
        reader.report.warn(format!("-pricePerGateway: {warning}"));
    }
    read.prices
}

fn feed(reader: &mut Reader<'_>) -> Option<Feed> {
    let known = reader.text("network") == "arbitrum-one-mainnet";
    if !known && reader.given("priceFeedAddr").is_none() {
        reader.wrong(
            "priceFeedAddr",
            "must be given for a price in a currency on this network; the default stands on Arbitrum One",
        );
    }
    Some(Feed {
        contract: reader.account("priceFeedAddr")?,
        max_age: reader.duration("priceFeedMaxAge"),
        max_change_percent: reader.number("priceFeedMaxChange").unwrap_or(50),
    })
}
