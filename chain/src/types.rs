//! What the chain tells, in types of our own. Amounts are base units (wei, or 10⁻¹⁸ LPT); rounds and L1 blocks are
//! clamped to 64 bits, since the contracts write 2²⁵⁶−1 for "never".

use std::fmt;

use protocol::address::Address;

pub use crate::convert::U256;

/// A round number that means "never" (the contracts' 2²⁵⁶−1, clamped).
pub const NEVER: u64 = u64::MAX;

/// 32 bytes: a block, transaction, ticket or round hash, or a topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// All zero: what the contracts give for a round that was never initialised.
    pub const ZERO: Self = Self([0; 32]);

    /// Whether all bytes are zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value with the block at whose end it was read. An event of that block or an earlier one is already in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read<T> {
    /// Block number (L2 on Arbitrum).
    pub block: u64,
    /// What was read.
    pub value: T,
}

/// The state a read or a simulation runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// The newest block.
    #[default]
    Latest,
    /// With the transactions that wait, our own included.
    Pending,
    /// The end of this block.
    Block(u64),
}

/// A block's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Block number (L2 on Arbitrum).
    pub number: u64,
    /// Hash of the block.
    pub hash: Hash,
    /// Hash of the block before.
    pub parent: Hash,
    /// L1 block number as the contracts see it; `None` when the answer had none. Repeats, jumps, and goes back
    /// between end points: compare with the greatest seen.
    pub l1_number: Option<u64>,
    /// Base fee in wei per gas; `None` before EIP-1559.
    pub base_fee: Option<U256>,
    /// Seconds since 1970, by the chain's clock.
    pub timestamp: u64,
    /// Label of the end point that gave it, without credentials.
    pub endpoint: String,
}

/// Rounds, read at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// Round by block height, initialised or not.
    pub current: u64,
    /// Last round whose `initializeRound` was mined; tickets carry this one.
    pub last_initialized: u64,
    /// Whether the current round is initialised. Nearly every write reverts while it is not.
    pub initialized: bool,
    /// Whether cuts are frozen (last part of the round).
    pub locked: bool,
    /// First L1 block of the current round.
    pub start_block: u64,
    /// L1 blocks per round.
    pub length: u64,
    /// Part of a round in which cuts are frozen, in millionths.
    pub lock_amount: u64,
    /// L1 block number as the contracts see it.
    pub l1_block: u64,
    /// Hash stored for `last_initialized`; zero happens. It is not Ethereum's.
    pub hash: Hash,
    /// Hash stored for the round before `last_initialized`.
    pub previous_hash: Hash,
}

impl Rounds {
    /// First L1 block of the next round.
    #[must_use]
    pub fn next_start(&self) -> u64 {
        self.start_block.saturating_add(self.length)
    }
}

/// An orchestrator as the BondingManager knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcoder {
    /// Account.
    pub address: Address,
    /// Bonded to itself with some stake.
    pub registered: bool,
    /// Member of the active set in the current round.
    pub active: bool,
    /// Round of its last reward call.
    pub last_reward_round: u64,
    /// Share of rewards it keeps, in millionths.
    pub reward_cut: u64,
    /// Share of fees it gives to delegators, in millionths.
    pub fee_share: u64,
    /// Round for which its stake in the active set was last changed.
    pub last_active_stake_update_round: u64,
    /// First round in the active set.
    pub activation_round: u64,
    /// First round after the active set; [`NEVER`] while it stays.
    pub deactivation_round: u64,
    /// Rewards of active stake accrued, base units of LPT.
    pub active_cumulative_rewards: U256,
    /// Rewards accrued, base units of LPT.
    pub cumulative_rewards: U256,
    /// Fees accrued, wei.
    pub cumulative_fees: U256,
    /// Last round with fees.
    pub last_fee_round: u64,
    /// Delegated stake with its own bond, base units of LPT.
    pub stake: U256,
    /// URI in the service registry; empty when none is set.
    pub service_uri: String,
}

/// A member of the transcoder pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolMember {
    /// Account.
    pub address: Address,
    /// Delegated stake, base units of LPT.
    pub stake: U256,
}

/// The transcoder pool: who is in the active set of the next round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Members, greatest stake first.
    pub members: Vec<PoolMember>,
    /// Places.
    pub max_size: u64,
}

/// What [`crate::ChainClient::reward_inputs`] reads: all that the stake after a reward depends on, at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewardInputs {
    /// Current round.
    pub round: u64,
    /// The orchestrator.
    pub transcoder: Transcoder,
    /// `totalStake` of the earnings pool that counts: the current round's when `last_active_stake_update_round` is not
    /// before it, else that of `last_active_stake_update_round`.
    pub active_stake: U256,
    /// LPT that may be minted this round.
    pub mintable: U256,
    /// Stake of the active set.
    pub total_bonded: U256,
    /// Treasury's share of a reward, in parts of 10²⁷.
    pub treasury_cut: U256,
    /// Pool for the hints.
    pub pool: Pool,
}

/// Earnings pool of an orchestrator in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarningsPool {
    /// Stake that shares, base units of LPT.
    pub total_stake: U256,
    /// Reward cut of the round, in millionths.
    pub reward_cut: u64,
    /// Fee share of the round, in millionths.
    pub fee_share: u64,
    /// Cumulative reward factor.
    pub cumulative_reward_factor: U256,
    /// Cumulative fee factor.
    pub cumulative_fee_factor: U256,
}

/// A sender's money in the TicketBroker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Account.
    pub sender: Address,
    /// Deposit, wei.
    pub deposit: U256,
    /// Round from which it may withdraw; 0 when it has not unlocked.
    pub withdraw_round: u64,
    /// Reserve left, wei.
    pub reserve: U256,
    /// Drawn from the reserve in this round by all, wei.
    pub claimed_in_round: U256,
    /// Drawn from the reserve in this round by the recipient, wei.
    pub claimed_by_recipient: U256,
    /// What the recipient may still draw, wei; zero when it is not active or has drawn more than its share.
    pub claimable: U256,
}

/// What an account owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balances {
    /// Wei.
    pub eth: U256,
    /// Base units of LPT.
    pub lpt: U256,
}

/// `delegatorStatus` of the BondingManager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelegatorStatus {
    /// Bonded, counted from a later round on.
    Pending,
    /// Bonded.
    Bonded,
    /// Not bonded.
    Unbonded,
}

/// A delegator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegator {
    /// Account.
    pub address: Address,
    /// Status.
    pub status: DelegatorStatus,
    /// Bonded LPT at the last claim.
    pub bonded: U256,
    /// Fees at the last claim, wei.
    pub fees: U256,
    /// Whom it delegates to; zero when nobody.
    pub delegate: Address,
    /// LPT delegated to it.
    pub delegated: U256,
    /// First round that counts.
    pub start_round: u64,
    /// Last round claimed.
    pub last_claim_round: u64,
    /// Id of its next unbonding lock; ids below were used.
    pub next_unbonding_lock: u64,
    /// Stake with what was earned since, base units of LPT.
    pub pending_stake: U256,
    /// Fees with what was earned since, wei.
    pub pending_fees: U256,
}

/// Stake that waits to be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnbondingLock {
    /// Id, counted per delegator.
    pub id: u64,
    /// Base units of LPT.
    pub amount: U256,
    /// Round from which it may be withdrawn.
    pub withdraw_round: u64,
}

/// Parameters of the protocol, read at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolParameters {
    /// Places in the pool.
    pub pool_max_size: u64,
    /// Length of a round, L1 blocks.
    pub round_length: u64,
    /// Frozen part of a round, millionths.
    pub round_lock_amount: u64,
    /// Rounds between unbonding and withdrawal.
    pub unbonding_period: u64,
    /// Inflation of a round, parts of 10⁹.
    pub inflation: U256,
    /// Step of the inflation, parts of 10⁹.
    pub inflation_change: U256,
    /// Bonding rate aimed at, parts of 10⁹.
    pub target_bonding_rate: U256,
    /// Stake of the active set, base units of LPT.
    pub total_bonded: U256,
    /// Supply of the token, base units of LPT; over both chains on an L2.
    pub total_supply: U256,
    /// Whether the Controller is paused.
    pub paused: bool,
}

/// A call to simulate or to estimate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// Who calls; `None` lets the node choose (zero).
    pub from: Option<Address>,
    /// Contract.
    pub to: Address,
    /// Selector and arguments.
    pub data: Vec<u8>,
    /// Wei sent along.
    pub value: U256,
    /// Gas limit; `None` lets the node choose.
    pub gas: Option<u64>,
    /// Maximum fee per gas in wei: with it the node also checks the balance.
    pub max_fee: Option<U256>,
    /// Tip per gas in wei.
    pub tip: Option<U256>,
}

impl Call {
    /// A call without value or fees.
    #[must_use]
    pub fn new(to: Address, data: Vec<u8>) -> Self {
        Self {
            to,
            data,
            ..Self::default()
        }
    }

    /// The same from `account`.
    #[must_use]
    pub fn from(mut self, account: Address) -> Self {
        self.from = Some(account);
        self
    }
}

/// A contract's log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Contract that wrote it.
    pub address: Address,
    /// At most four.
    pub topics: Vec<Hash>,
    /// Words that are not indexed.
    pub data: Vec<u8>,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: Hash,
    /// Transaction that wrote it.
    pub transaction: Hash,
    /// Place in the block.
    pub index: u64,
}

/// Which logs to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// First block.
    pub from: u64,
    /// Last block, included.
    pub to: u64,
    /// Contracts; empty is any.
    pub addresses: Vec<Address>,
    /// Alternatives for topic 0; empty is any.
    pub topics: Vec<Hash>,
}

/// A mined transaction's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Transaction.
    pub transaction: Hash,
    /// Block number.
    pub block: u64,
    /// Block hash.
    pub block_hash: Hash,
    /// Not reverted. For a ticket it does not say that money moved: sum `WinningTicketTransfer`.
    pub success: bool,
    /// Gas used, the L1 part included on Arbitrum.
    pub gas_used: u64,
    /// Price paid per gas, wei.
    pub gas_price: U256,
    /// Sender.
    pub from: Address,
    /// Its log entries.
    pub logs: Vec<Log>,
}

/// A transaction as the node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTransaction {
    /// Hash.
    pub hash: Hash,
    /// Sender.
    pub from: Address,
    /// Nonce.
    pub nonce: u64,
    /// Block it is in; `None` while it waits.
    pub block: Option<u64>,
}
