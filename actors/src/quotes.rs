//! Makes quotes: a price and the ticket parameters that go with it. No mailbox: everything comes from published facts,
//! so that discovery, which gateways ask most, waits for nobody.
//!
//! A quote is sealed, not stored: sender, price and purpose are bound into the secret number behind the parameters, and
//! come back with the tickets.

use std::fmt::Write;
use std::sync::Arc;

use arc_swap::ArcSwap;
use moka::sync::Cache;
use protocol::address::Address;
use protocol::capabilities::Capabilities;
use protocol::money::{
    Binding, FaceValueTerms, Price, QuoteSecret, Rational, ReserveError, TicketParams, U256,
    face_value, win_prob,
};
use protocol::pb;
use telemetry::metrics::{Metrics, label};

use crate::facts::{Funds, ModelKey, PaymentFacts, Prices, Rounds};
use crate::price_webhook::WebhookPrices;
use crate::sender_monitor::Senders;

/// Quotes of sessions that are remembered, to repeat them when no fresh one can be made.
const MOST_REMEMBERED: u64 = 10_000;
/// Longest text of models that a quote is bound to; more models than fit are no demand that a gateway makes.
const MOST_MODELS: usize = 64;

/// What is bought with a quote. Tickets that were quoted for one purpose pay for no other: the prices differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Purpose {
    models: Vec<ModelKey>,
    text: String,
}

impl Purpose {
    /// Video, priced by pixels.
    pub fn video() -> Self {
        Self {
            models: Vec::new(),
            text: "video".to_owned(),
        }
    }

    /// What a demand asks for: the models that it names of capabilities whose capacity it counts, else video.
    pub fn of(demand: &Capabilities) -> Self {
        let models = demand
            .models
            .iter()
            .filter(|(capability, _)| demand.capacities.contains_key(capability))
            .flat_map(|(capability, models)| {
                models.keys().map(|model| ModelKey {
                    capability: *capability,
                    model: model.clone(),
                })
            })
            .take(MOST_MODELS);
        Self::models(models.collect())
    }

    /// Models; none is video.
    pub fn models(models: Vec<ModelKey>) -> Self {
        if models.is_empty() {
            return Self::video();
        }
        let mut text = String::new();
        for model in &models {
            // lengths keep names apart, whatever is in them
            let name = &model.model;
            let _ = write!(text, "{}_{}_{name};", model.capability, name.len());
        }
        Self { models, text }
    }

    /// What parameters are bound to.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// What face values are made of, as the operator set it; may change while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketTerms {
    /// Expected value of a ticket, wei (`-ticketEV`).
    pub ev: U256,
    /// Gas that a redemption takes (`-redeemGas`).
    pub redeem_gas: u64,
    /// Highest face value, wei (`-maxFaceValue`); 0 = none.
    pub max_face_value: U256,
}

/// A price and the parameters for tickets at that price, for one sender and purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// As a reader of the message understands it.
    pub price: Price,
    /// Sealed.
    pub params: TicketParams,
}

impl Quote {
    /// Puts it into a node's description of itself.
    pub fn put_into(&self, info: &mut pb::OrchestratorInfo) {
        info.price_info = Some(self.price.to_wire());
        info.ticket_params = Some(self.params.to_pb());
    }
}

/// Why no quote can be made. The display is what a gateway is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// The sender's share of its reserve does not carry a ticket.
    #[error(transparent)]
    Reserve(ReserveError),
    /// The chain did not tell about the sender in time.
    #[error("GetSenderInfo RPC call to remote node failed: the chain did not answer in time")]
    SenderUnknown,
    /// No round is known whose block hash gateways accept.
    #[error("no initialised round with a block hash is known yet, ask again")]
    NoRound,
    /// The exchange rate for the price was never read.
    #[error("no price is known yet: the price feed has not answered")]
    NoPrice,
}

impl QuoteError {
    fn label(&self, funds: &Funds, terms: &FaceValueTerms, pool_size: u64) -> label::QuoteRefusal {
        use label::QuoteRefusal as Label;
        match self {
            Self::SenderUnknown => Label::Chain,
            Self::NoRound => Label::Round,
            Self::NoPrice => Label::Price,
            Self::Reserve(_) if pool_size == 0 => Label::PoolSize,
            Self::Reserve(error) if error.capped_by_setting => Label::MaxFaceValue,
            Self::Reserve(_) => {
                let face = |max_float, gas_price| {
                    face_value(&FaceValueTerms {
                        max_float,
                        gas_price,
                        ..*terms
                    })
                };
                let free = Funds {
                    pending: U256::zero(),
                    ..*funds
                };
                if face(free.max_float(pool_size), terms.gas_price).is_ok() {
                    Label::Pending
                } else if face(terms.max_float, U256::zero()).is_ok() {
                    Label::Gas
                } else {
                    Label::Reserve
                }
            }
        }
    }
}

/// What quotes are made with.
pub struct QuotesSetup {
    /// Whom tickets pay.
    pub recipient: Address,
    /// Seals parameters; replaced when it is rotated.
    pub secret: Arc<ArcSwap<QuoteSecret>>,
    /// Rounds, gas, prices.
    pub facts: PaymentFacts,
    /// What senders have.
    pub senders: Senders,
    /// Prices that the operator's webhook gave.
    pub webhook: WebhookPrices,
    /// What face values are made of.
    pub terms: Arc<ArcSwap<TicketTerms>>,
    /// Fresh random bytes.
    pub random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Quotes {
    setup: Arc<QuotesSetup>,
    last: Cache<(Address, String), Quote>,
}

impl Quotes {
    /// Makes quotes with `setup`.
    pub fn new(setup: QuotesSetup) -> Self {
        Self {
            setup: Arc::new(setup),
            last: Cache::new(MOST_REMEMBERED),
        }
    }

    /// A quote at the price of now, for discovery.
    ///
    /// # Errors
    /// [`QuoteError`]; its display goes out as the message of the gRPC status.
    pub async fn offer(&self, sender: Address, purpose: &Purpose) -> Result<Quote, QuoteError> {
        self.make(sender, None, purpose).await
    }

    /// A quote for a session: at its fixed price if it has one. When no fresh one can be made the terms of the last one are
    /// repeated, sealed anew, while its parameters live; `None` = leave price and parameters out, and the gateway keeps what it has.
    pub async fn renew(
        &self,
        sender: Address,
        key: &str,
        fixed: Option<Price>,
        purpose: &Purpose,
    ) -> Option<Quote> {
        let place = (sender, key.to_owned());
        match self.make(sender, fixed, purpose).await {
            Ok(quote) => {
                self.last.insert(place, quote);
                Some(quote)
            }
            Err(error) => {
                tracing::debug!(%error, %sender, "no fresh quote for a session");
                let l1_block = self.setup.facts.rounds.load().l1_block;
                // a gateway calls parameters expired one block early
                let lives = |quote: &Quote| quote.params.expiration_block > l1_block + 1;
                let same_price = |quote: &Quote| fixed.is_none_or(|fixed| fixed == quote.price);
                let last = self.last.get(&place).filter(lives).filter(same_price)?;
                Some(self.sealed_anew(sender, purpose, last))
            }
        }
    }

    /// A quote at a fixed price, for a gateway that asks for its session alone.
    ///
    /// # Errors
    /// As [`offer`](Self::offer).
    pub async fn at_price(
        &self,
        sender: Address,
        price: Price,
        purpose: &Purpose,
    ) -> Result<Quote, QuoteError> {
        self.make(sender, Some(price), purpose).await
    }

    /// The price that `sender` would be quoted now, by what is known of it without asking the chain.
    ///
    /// # Errors
    /// [`QuoteError::NoPrice`]; when only the surcharge cannot be told, the price is without it.
    pub fn list_price(&self, sender: Address, purpose: &Purpose) -> Result<Price, QuoteError> {
        let prices = self.setup.facts.prices.load();
        let (base, adjust) = self.base(sender, purpose, &prices)?;
        if base.is_zero() || !adjust {
            return Ok(base.as_sent());
        }
        let funds = self.setup.senders.get(sender).unwrap_or_default();
        let pool_size = self.setup.facts.rounds.load().pool_size;
        let terms = self.face_terms(funds.max_float(pool_size));
        let face = face_value(&terms).unwrap_or_default();
        Ok(surcharged(&base, face, &terms, &prices))
    }

    async fn make(
        &self,
        sender: Address,
        fixed: Option<Price>,
        purpose: &Purpose,
    ) -> Result<Quote, QuoteError> {
        let funds = self.setup.senders.fund(sender).await;
        let rounds = self.setup.facts.rounds.load();
        let terms = self.face_terms(funds.max_float(rounds.pool_size));
        let quote = self.make_for(sender, fixed, purpose, &funds, &rounds, &terms);
        let metrics = &self.setup.metrics.payments;
        match &quote {
            Ok(quote) => {
                let sender = sender.to_string();
                let face = u128::try_from(quote.params.face_value).unwrap_or(u128::MAX);
                metrics.quoted(&sender, terms.max_float, face);
                if purpose.models.is_empty() {
                    metrics.price_told(&sender, quote.price.to_f64());
                }
            }
            Err(error) => metrics.quote_refused(error.label(&funds, &terms, rounds.pool_size)),
        }
        quote
    }

    fn make_for(
        &self,
        sender: Address,
        fixed: Option<Price>,
        purpose: &Purpose,
        funds: &Funds,
        rounds: &Rounds,
        terms: &FaceValueTerms,
    ) -> Result<Quote, QuoteError> {
        let setup = &self.setup;
        let prices = setup.facts.prices.load();
        let (base, adjust) = match fixed {
            Some(fixed) => (fixed, false),
            None => self.base(sender, purpose, &prices)?,
        };
        let expiration = rounds.expiration_params().ok_or(QuoteError::NoRound)?;
        if rounds.l1_block == 0 {
            return Err(QuoteError::NoRound);
        }
        let face = if base.is_zero() {
            U256::zero()
        } else if funds.known {
            face_value(terms).map_err(QuoteError::Reserve)?
        } else {
            return Err(QuoteError::SenderUnknown);
        };
        let price = if adjust && !base.is_zero() {
            surcharged(&base, face, terms, &prices)
        } else {
            base.as_sent()
        };
        let params = TicketParams {
            recipient: setup.recipient,
            face_value: face,
            win_prob: win_prob(face, terms.ev),
            recipient_rand_hash: [0; 32],
            seed: U256::from_big_endian(&(setup.random)()),
            expiration_block: rounds.params_expiration_block(),
            expiration,
        };
        let binding = Binding {
            sender,
            price,
            session: purpose.as_bytes(),
        };
        Ok(Quote {
            price,
            params: setup.secret.load().seal(&binding, params),
        })
    }

    /// The same terms under a fresh seed: a gateway that gets one set of parameters twice drops it and can pay no more.
    fn sealed_anew(&self, sender: Address, purpose: &Purpose, quote: Quote) -> Quote {
        let binding = Binding {
            sender,
            price: quote.price,
            session: purpose.as_bytes(),
        };
        let params = TicketParams {
            seed: U256::from_big_endian(&(self.setup.random)()),
            ..quote.params
        };
        Quote {
            price: quote.price,
            params: self.setup.secret.load().seal(&binding, params),
        }
    }

    /// Price before the surcharge, and whether one is added: the webhook's stands as it is.
    fn base(
        &self,
        sender: Address,
        purpose: &Purpose,
        prices: &Prices,
    ) -> Result<(Price, bool), QuoteError> {
        let models = purpose
            .models
            .iter()
            .filter_map(|model| prices.model(sender, model))
            .fold(Price::ZERO, |sum, price| sum.plus(&price));
        if !models.is_zero() {
            return Ok((models, prices.adjust));
        }
        if let Some(price) = self.setup.webhook.price(sender)
            && purpose.models.is_empty()
        {
            return Ok((price, false));
        }
        let video = prices.video(sender).ok_or(QuoteError::NoPrice)?;
        Ok((video, prices.adjust))
    }

    fn face_terms(&self, max_float: i128) -> FaceValueTerms {
        let terms = self.setup.terms.load();
        FaceValueTerms {
            ev: terms.ev,
            redeem_gas: terms.redeem_gas,
            gas_price: self.setup.facts.gas.load().smoothed,
            max_float,
            max_face_value: terms.max_face_value,
        }
    }
}

/// A price raised by what redeeming costs, up to the cap, as it goes out.
fn surcharged(base: &Price, face: U256, terms: &FaceValueTerms, prices: &Prices) -> Price {
    let raised = base.adjusted(face, terms.tx_cost());
    let most = Rational::new(100 + prices.surcharge_percent, 100u64).unwrap_or_default();
    let most = Price::from_rational(base.rational().times(&most));
    raised.min(most).quoted()
}

#[cfg(test)]
mod tests;
