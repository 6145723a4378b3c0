//! Rounds, the L1 height they are counted in, and the knobs that several doubles share.

use ethabi::Token;
use ethabi::ethereum_types::{H256, U256};

use crate::args;
use crate::chain::Chain;
use crate::double::Double;

impl Chain {
    /// L1 height as the contracts see it.
    pub async fn l1(&self) -> u64 {
        self.rounds("blockNum").await
    }

    /// Another L1 height, lower ones too. At 0 the contracts take the height of this chain: rebase the rounds then.
    pub async fn set_l1(&self, height: u64) {
        self.send(Double::RoundsManager, "setL1", args![height])
            .await;
    }

    /// The round by height, initialized or not.
    pub async fn round(&self) -> u64 {
        self.rounds("currentRound").await
    }

    /// The last round that was initialized.
    pub async fn last_initialized(&self) -> u64 {
        self.rounds("lastInitializedRound").await
    }

    async fn rounds(&self, function: &str) -> u64 {
        let number = self.uint(Double::RoundsManager, function, args![]).await;
        number.as_u64()
    }

    /// Moves the L1 height to the start of the next round, which nobody has initialized. Gives the round.
    pub async fn next_round(&self) -> u64 {
        let start = self.rounds("currentRoundStartBlock").await;
        let length = self.rounds("roundLength").await;
        self.set_l1(start + length).await;
        self.round().await
    }

    /// Initializes the current round.
    pub async fn initialize_round(&self) {
        self.send(Double::RoundsManager, "initializeRound", args![])
            .await;
    }

    /// The next round, initialized. Gives the round.
    pub async fn new_round(&self) -> u64 {
        let round = self.next_round().await;
        self.initialize_round().await;
        round
    }

    /// Hash of a round, zero for one that was never initialized.
    pub async fn round_hash(&self, round: u64) -> H256 {
        self.word(Double::RoundsManager, "blockHashForRound", args![round])
            .await
    }

    /// Another hash for a round.
    pub async fn set_round_hash(&self, round: u64, hash: H256) {
        self.send(Double::RoundsManager, "setHash", args![round, hash])
            .await;
    }

    /// Another length from the start of the current round on, in L1 blocks.
    pub async fn set_round_length(&self, blocks: u64) {
        self.send(Double::RoundsManager, "setLength", args![blocks])
            .await;
    }

    /// Counts anew: `round` began at L1 block `height`.
    pub async fn rebase_rounds(&self, round: u64, height: u64) {
        self.send(Double::RoundsManager, "rebase", args![round, height])
            .await;
    }

    /// Lets every read of the rounds revert.
    pub async fn fail_round_calls(&self, fail: bool) {
        self.send(Double::RoundsManager, "failCalls", args![fail])
            .await;
    }

    /// Pauses the protocol.
    pub async fn pause(&self, paused: bool) {
        self.send(Double::Controller, "setPaused", args![paused])
            .await;
    }

    /// Lets every write of the rounds manager, bonding manager or ticket broker revert with this text; empty: none.
    pub async fn revert_with(&self, double: Double, text: &str) {
        self.send(double, "revertWith", args![text]).await;
    }

    /// Ether in dollars with 8 decimals, answered now.
    pub async fn set_price(&self, price: i64) {
        let magnitude = U256::from(price.unsigned_abs());
        let word = if price < 0 {
            (!magnitude).overflowing_add(U256::one()).0
        } else {
            magnitude
        };
        self.send(Double::PriceFeed, "setPrice", &[Token::Int(word)])
            .await;
    }

    /// When the price is said to have been answered, Unix seconds.
    pub async fn set_price_updated_at(&self, time: u64) {
        self.send(Double::PriceFeed, "setUpdatedAt", args![time])
            .await;
    }

    /// Lets the price feed revert.
    pub async fn fail_price_feed(&self, fail: bool) {
        self.send(Double::PriceFeed, "fail", args![fail]).await;
    }
}
