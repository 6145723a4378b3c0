//! Transcoders, their pool, rewards and LPT on the chain.

use ethabi::Token;
use ethabi::ethereum_types::{Address, U256};

use crate::args;
use crate::chain::{Chain, Receipt};
use crate::double::Double;

/// What the bonding manager knows of a transcoder: the ten words of `getTranscoder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the contract")]
pub struct Transcoder {
    pub last_reward_round: U256,
    pub reward_cut: U256,
    pub fee_share: U256,
    pub last_active_stake_update_round: U256,
    pub activation_round: U256,
    pub deactivation_round: U256,
    pub active_cumulative_rewards: U256,
    pub cumulative_rewards: U256,
    pub cumulative_fees: U256,
    pub last_fee_round: U256,
}

/// Hints of the last write of a stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// Named as higher.
    pub prev: Address,
    /// Named as lower.
    pub next: Address,
    /// Whether they were the neighbours after the write.
    pub exact: bool,
}

impl Chain {
    /// Makes a transcoder that is active in this round, with LPT bonded to itself.
    pub async fn add_transcoder(&self, transcoder: Address, stake: U256) {
        self.send(
            Double::BondingManager,
            "addTranscoder",
            args![transcoder, stake],
        )
        .await;
    }

    /// Makes a transcoder active from this round on, or inactive with this round; the pool stays as it is.
    pub async fn set_active(&self, transcoder: Address, active: bool) {
        self.send(
            Double::BondingManager,
            "setActive",
            args![transcoder, active],
        )
        .await;
    }

    /// Says when a transcoder called reward last.
    pub async fn set_last_reward_round(&self, transcoder: Address, round: u64) {
        self.send(
            Double::BondingManager,
            "setLastRewardRound",
            args![transcoder, round],
        )
        .await;
    }

    /// Places in the pool, fewer than are taken too.
    pub async fn set_pool_max(&self, size: u64) {
        self.send(Double::BondingManager, "setPoolMax", args![size])
            .await;
    }

    /// The record of a transcoder.
    pub async fn transcoder(&self, transcoder: Address) -> Transcoder {
        let answer = self
            .call(Double::BondingManager, "getTranscoder", args![transcoder])
            .await;
        let word: Vec<U256> = answer.into_iter().filter_map(Token::into_uint).collect();
        Transcoder {
            last_reward_round: word[0],
            reward_cut: word[1],
            fee_share: word[2],
            last_active_stake_update_round: word[3],
            activation_round: word[4],
            deactivation_round: word[5],
            active_cumulative_rewards: word[6],
            cumulative_rewards: word[7],
            cumulative_fees: word[8],
            last_fee_round: word[9],
        }
    }

    /// The pool, highest stake first.
    pub async fn pool(&self) -> Vec<(Address, U256)> {
        let mut pool = Vec::new();
        let mut next = self
            .address_of(Double::BondingManager, "getFirstTranscoderInPool", args![])
            .await;
        while !next.is_zero() {
            let stake = self.stake(next).await;
            pool.push((next, stake));
            next = self
                .address_of(
                    Double::BondingManager,
                    "getNextTranscoderInPool",
                    args![next],
                )
                .await;
        }
        pool
    }

    /// LPT delegated to a transcoder, its own included.
    pub async fn stake(&self, transcoder: Address) -> U256 {
        self.uint(
            Double::BondingManager,
            "transcoderTotalStake",
            args![transcoder],
        )
        .await
    }

    /// Fees that an account may claim, wei: what redeemed tickets come to.
    pub async fn pending_fees(&self, account: Address) -> U256 {
        self.uint(Double::BondingManager, "pendingFees", args![account, 0])
            .await
    }

    /// Hints of the last write of a stake.
    pub async fn last_hints(&self) -> Hints {
        let answer = self
            .call(Double::BondingManager, "lastHints", args![])
            .await;
        let [prev, next, exact] = <[Token; 3]>::try_from(answer).expect("hints");
        Hints {
            prev: prev.into_address().expect("address"),
            next: next.into_address().expect("address"),
            exact: exact.into_bool().expect("truth value"),
        }
    }

    /// A write of the bonding manager, sent by any account that has ether. The revert text when it would revert.
    pub async fn try_bonding(
        &self,
        from: Address,
        function: &str,
        arguments: &[Token],
    ) -> Result<Receipt, String> {
        self.try_send(
            from,
            Double::BondingManager,
            function,
            arguments,
            U256::zero(),
        )
        .await
    }

    /// Gives LPT to anybody.
    pub async fn mint_tokens(&self, to: Address, amount: U256) {
        self.send(Double::Token, "mint", args![to, amount]).await;
    }

    /// LPT of an account.
    pub async fn token_balance(&self, account: Address) -> U256 {
        self.uint(Double::Token, "balanceOf", args![account]).await
    }

    /// LPT that this round and later ones may mint.
    pub async fn set_mintable(&self, amount: U256) {
        self.send(Double::Minter, "setMintable", args![amount])
            .await;
    }
}
