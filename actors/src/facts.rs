//! What the parts of the payment side publish for everybody: immutable values, read without a message.
//!
//! | fact | owner |
//! |---|---|
//! | [`Rounds`] | `RoundTracker` |
//! | [`Gas`], [`Prices`] | `PriceOracle` |
//! | [`Funds`] of one sender | `SenderMonitor` |
//! | [`RewardState`] | `RewardCaller` |
//! | [`RedeemerState`] | `Redeemer` |
//! | [`RpcState`] | `ChainWatcher` |
//!
//! A reader takes one snapshot and works with it; it never sees half of a change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use protocol::address::Address;
use protocol::money::{ExpirationParams, Price, SenderFunds, U256};
use protocol::signature::Hash;
use serde::{Serialize, Serializer};
use tokio::sync::watch;
use tokio::time::Instant;

/// L1 blocks for which ticket parameters are good, about 8 minutes: peers count on it.
pub const PARAMS_LIFETIME_BLOCKS: u64 = 40;

/// A published value and a bell that rings when it is replaced. Cheap to clone; all clones are the same fact.
#[derive(Debug)]
pub struct Fact<T> {
    value: Arc<ArcSwap<T>>,
    version: Arc<watch::Sender<u64>>,
}

impl<T> Clone for Fact<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            version: Arc::clone(&self.version),
        }
    }
}

impl<T> Fact<T> {
    /// A fact that starts as `value`.
    pub fn new(value: T) -> Self {
        Self {
            value: Arc::new(ArcSwap::from_pointee(value)),
            version: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The value of now, for a look: not to be held across an await.
    pub fn load(&self) -> Guard<Arc<T>> {
        self.value.load()
    }

    /// The value of now, to keep.
    pub fn get(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// Replaces the value and wakes whoever waits. For the owner only.
    pub fn publish(&self, value: T) {
        self.value.store(Arc::new(value));
        self.version.send_modify(|version| *version += 1);
    }

    /// Wakes at each later [`publish`](Self::publish); the value is read with [`load`](Self::load).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

impl<T: Default> Default for Fact<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// Where the chain stands, as far as tickets, reward and redemption need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rounds {
    /// Round by block height, initialised or not.
    pub current: u64,
    /// Last round that was initialised: tickets carry it.
    pub last_initialized: u64,
    /// Whether the current round is initialised. Redemption and reward revert while it is not.
    pub initialized: bool,
    /// L1 block hash that the contract stored for `last_initialized`; all zero happens.
    #[serde(serialize_with = "as_hex")]
    pub hash: Hash,
    /// The same of the round before.
    #[serde(serialize_with = "as_hex")]
    pub previous_hash: Hash,
    /// First L1 block of the current round.
    pub start_block: u64,
    /// L1 blocks per round; 0 while unknown.
    pub length: u64,
    /// Greatest L1 block seen; 0 while none was.
    pub l1_block: u64,
    /// When `l1_block` last grew.
    #[serde(skip)]
    pub l1_changed_at: Instant,
    /// Members of the active set; 0 while unknown, and then no sender has a float.
    pub pool_size: u64,
    /// Whether the recipient of tickets is in the active set of the current round.
    pub recipient_active: bool,
    /// Whether the last try to bring this up to date failed; what stands here is the last good knowledge.
    pub stale: bool,
}

impl Rounds {
    /// Nothing known yet.
    pub fn unknown() -> Self {
        Self {
            current: 0,
            last_initialized: 0,
            initialized: false,
            hash: [0; 32],
            previous_hash: [0; 32],
            start_block: 0,
            length: 0,
            l1_block: 0,
            l1_changed_at: Instant::now(),
            pool_size: 0,
            recipient_active: false,
            stale: true,
        }
    }

    /// Round data of new ticket parameters: the last initialised round, or the one before when its hash is zero.
    /// `None` when neither will do, since gateways put their own view in place of zeros.
    pub fn expiration_params(&self) -> Option<ExpirationParams> {
        let own = ExpirationParams {
            creation_round: self.last_initialized,
            creation_round_block_hash: self.hash,
        };
        let before = ExpirationParams {
            creation_round: self.last_initialized.saturating_sub(1),
            creation_round_block_hash: self.previous_hash,
        };
        [own, before].into_iter().find(ExpirationParams::is_usable)
    }

    /// L1 block at which parameters that are made now end.
    pub fn params_expiration_block(&self) -> u64 {
        self.l1_block.saturating_add(PARAMS_LIFETIME_BLOCKS)
    }

    /// L1 blocks until the current round is over; 0 when it is, or while its length is unknown.
    pub fn blocks_left(&self) -> u64 {
        self.start_block
            .saturating_add(self.length)
            .saturating_sub(self.l1_block)
    }

    /// Share of the current round that is over, in parts of 100; 0 while its length is unknown.
    pub fn percent_over(&self) -> u64 {
        let passed = self
            .l1_block
            .saturating_sub(self.start_block)
            .min(self.length);
        passed
            .saturating_mul(100)
            .checked_div(self.length)
            .unwrap_or(0)
    }
}

impl Default for Rounds {
    fn default() -> Self {
        Self::unknown()
    }
}

/// Gas prices, wei per gas.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Gas {
    /// Last good poll, at least the configured minimum.
    pub last: U256,
    /// Average over the configured time: what prices and face values are made from.
    pub smoothed: U256,
    /// Tip that the node suggests; `None` when it does not know the method.
    pub suggested_tip: Option<U256>,
    /// Whether the last polls failed; the values are the last good ones.
    pub stale: bool,
}

/// An AI model that has a price of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelKey {
    /// Number of the capability.
    pub capability: u32,
    /// Model id, exact.
    pub model: String,
}

/// What one currency costs, as last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedFact {
    /// Currency beside ETH, in upper case.
    pub currency: String,
    /// How many of it one ETH costs, exact.
    #[serde(serialize_with = "as_text")]
    pub per_eth: protocol::money::Rational,
    /// When the feed says it was set, seconds since 1970.
    pub updated_at: u64,
    /// Whether it is older than allowed, or the last readings were refused.
    pub stale: bool,
}

/// Prices in wei per unit of work, before the adjustment for gas.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Prices {
    /// Base price of video; `None` when none is set: then there is no video to be had on-chain.
    #[serde(serialize_with = "maybe_text")]
    pub default: Option<Price>,
    /// Base price of video for single gateways.
    #[serde(serialize_with = "prices_by_gateway")]
    pub by_gateway: HashMap<Address, Price>,
    /// Prices of models: those of a gateway stand before those for all (`None`).
    #[serde(skip)]
    pub models: HashMap<(Option<Address>, ModelKey), Price>,
    /// What the currency of configured prices costs; `None` when all are in wei or ETH, or no good reading came yet.
    pub feed: Option<FeedFact>,
    /// Whether prices are raised by what redeeming costs.
    pub adjust: bool,
    /// Most that the raise adds, percent of the price.
    pub surcharge_percent: u64,
}

impl Prices {
    /// Base price of video for `gateway`.
    pub fn video(&self, gateway: Address) -> Option<Price> {
        self.by_gateway.get(&gateway).copied().or(self.default)
    }

    /// Price of a model for `gateway`.
    pub fn model(&self, gateway: Address, model: &ModelKey) -> Option<Price> {
        [Some(gateway), None]
            .into_iter()
            .find_map(|who| self.models.get(&(who, model.clone())).copied())
    }
}

/// What a sender has, as far as this node's recipient may count on it. A value: it never changes under a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Funds {
    /// Deposit and reserve as the chain tells them.
    pub chain: SenderFunds,
    /// Face values of this sender's winners that are not paid yet, wei.
    pub pending: U256,
    /// Block (L2 on Arbitrum) and place in it of the last event that is in it; a reading holds its whole block.
    pub as_of: (u64, u64),
    /// Read from the chain, and not merely assumed because the chain did not answer.
    pub known: bool,
    /// The float as the redeemer elsewhere tells it, which knows what is in flight; `None` where this node redeems.
    pub elsewhere: Option<U256>,
}

impl Funds {
    /// Largest face value that is safe, wei; may be negative. 0 for a sender that is not known.
    pub fn max_float(&self, pool_size: u64) -> i128 {
        match self.elsewhere {
            _ if !self.known => 0,
            Some(float) => i128::try_from(float).unwrap_or(i128::MAX),
            None => self.chain.max_float(pool_size, self.pending),
        }
    }

    /// What a redemption can count on, wei; may be negative.
    pub fn available(&self, pool_size: u64) -> i128 {
        self.chain.available_funds(pool_size, self.pending)
    }
}

/// What is known about this round's reward.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RewardState {
    /// Whether this node calls reward at all.
    pub enabled: bool,
    /// The round it looks at.
    pub round: u64,
    /// Last round whose reward was mined.
    pub last_reward_round: u64,
    /// Whether a call is due now.
    pub due: bool,
    /// Tries in this round.
    pub attempts: u32,
    /// What the last try ended with.
    pub last_error: Option<String>,
    /// Part of the round that passed while reward was due, in percent steps that raise an alarm: 0, 25, 50, 75.
    pub alarm_percent: u8,
}

/// Number and value of the tickets in one state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TicketSum {
    /// How many.
    pub count: u64,
    /// Sum of their face values, wei.
    pub face_value: U256,
}

/// What the redeemer is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RedeemerState {
    /// Tickets by the name of their state.
    pub by_state: BTreeMap<String, TicketSum>,
    /// Age of the oldest ticket that is not final, seconds.
    pub oldest_s: u64,
    /// Fewest rounds left of a ticket that is not final; `None` when there is none.
    pub rounds_left: Option<u64>,
    /// Tickets in their last round.
    pub in_last_round: u64,
    /// Sum of face values of final tickets that were redeemed, wei.
    pub redeemed_face_value: U256,
    /// What those really paid, wei.
    pub paid: U256,
    /// Whether the operator holds redemption.
    pub held: bool,
    /// Why the last try of a ticket did not end it.
    pub last_deferral: Option<String>,
}

/// How the chain is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RpcState {
    /// Newest block seen (L2 on Arbitrum).
    pub head: u64,
    /// Last block whose events were handed on.
    pub cursor: u64,
    /// Whether the last poll succeeded.
    pub healthy: bool,
    /// What the last failed poll said.
    pub last_error: Option<String>,
}

/// The facts that make a quote, together.
#[derive(Debug, Clone, Default)]
pub struct PaymentFacts {
    /// Of `RoundTracker`.
    pub rounds: Fact<Rounds>,
    /// Of `PriceOracle`.
    pub gas: Fact<Gas>,
    /// Of `PriceOracle`.
    pub prices: Fact<Prices>,
}

fn as_hex<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&format!("0x{digits}"))
}

fn as_text<T: std::fmt::Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn maybe_text<T: std::fmt::Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn prices_by_gateway<S: Serializer>(
    prices: &HashMap<Address, Price>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let texts: BTreeMap<String, String> = prices
        .iter()
        .map(|(gateway, price)| (gateway.to_string(), price.to_string()))
        .collect();
    serializer.collect_map(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds() -> Rounds {
        Rounds {
            current: 7,
            last_initialized: 7,
            initialized: true,
            hash: [7; 32],
            previous_hash: [6; 32],
            start_block: 1000,
            length: 200,
            l1_block: 1050,
            pool_size: 1,
            recipient_active: true,
            stale: false,
            ..Rounds::unknown()
        }
    }

    #[test]
    fn a_zero_round_hash_falls_back_one_round_and_two_refuse() {
        let round = |rounds: &Rounds| rounds.expiration_params().map(|p| p.creation_round);
        let mut rounds = rounds();
        assert_eq!(round(&rounds), Some(7));
        rounds.hash = [0; 32];
        assert_eq!(round(&rounds), Some(6));
        rounds.previous_hash = [0; 32];
        assert_eq!(round(&rounds), None);
        assert_eq!(Rounds::unknown().expiration_params(), None);
    }

    #[test]
    fn the_place_in_a_round_is_told_also_at_its_edges() {
        let mut rounds = rounds();
        assert_eq!((rounds.blocks_left(), rounds.percent_over()), (150, 25));
        rounds.l1_block = 5000;
        assert_eq!((rounds.blocks_left(), rounds.percent_over()), (0, 100));
        rounds.l1_block = 0;
        assert_eq!(rounds.percent_over(), 0);
        assert_eq!(Rounds::unknown().percent_over(), 0);
    }

    #[tokio::test]
    async fn a_published_fact_wakes_whoever_waits_and_old_snapshots_stay() {
        let fact = Fact::new(1);
        let (old, mut changes) = (fact.get(), fact.changes());
        let other = fact.clone();
        other.publish(2);
        changes.changed().await.unwrap();
        assert_eq!((*old, **fact.load()), (1, 2));
    }

    #[test]
    fn an_unknown_sender_has_no_float_whatever_the_numbers_say() {
        let chain = SenderFunds {
            reserve_remaining: U256::from(100),
            ..SenderFunds::default()
        };
        let funds = Funds {
            chain,
            known: true,
            ..Funds::default()
        };
        assert_eq!(funds.max_float(10), 10);
        let unknown = Funds {
            known: false,
            ..funds
        };
        assert_eq!(unknown.max_float(10), 0);
    }

    #[test]
    fn a_gateways_own_price_stands_before_the_one_for_all() {
        let (one, two) = (Address([1; 20]), Address([2; 20]));
        let price = |n: u64| Price::new(n, 1u64).unwrap();
        let model = ModelKey {
            capability: 27,
            model: "m".into(),
        };
        let prices = Prices {
            default: Some(price(5)),
            by_gateway: HashMap::from([(one, price(3))]),
            models: HashMap::from([
                ((None, model.clone()), price(9)),
                ((Some(one), model.clone()), price(8)),
            ]),
            ..Prices::default()
        };
        assert_eq!(
            (prices.video(one), prices.video(two)),
            (Some(price(3)), Some(price(5)))
        );
        assert_eq!(prices.model(one, &model), Some(price(8)));
        assert_eq!(prices.model(two, &model), Some(price(9)));
    }
}
