//! The public face: what can be asked of the chain.

use async_trait::async_trait;
use protocol::address::Address;

use crate::Error;
use crate::contracts::{ContractChange, Contracts};
use crate::endpoints::EndpointSnapshot;
use crate::price_feed::FeedAnswer;
use crate::types::{
    At, Balances, Call, Delegator, EarningsPool, Hash, Head, KnownTransaction, Log, LogFilter,
    Pool, ProtocolParameters, Read, Receipt, RewardInputs, Rounds, SenderInfo, Transcoder, U256,
    UnbondingLock,
};

/// Result of a question to the chain.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be asked of the chain.
///
/// Every method may fail with [`Error::Unavailable`] when no end point answers; see [`Error::retryable`]. Lists come
/// back in the order asked, one answer for each question.
#[async_trait]
pub trait ChainClient: Send + Sync + std::fmt::Debug + 'static {
    /// Id of the chain, as every end point in use said.
    async fn chain_id(&self) -> Result<u64>;

    /// The newest block. On chains of the Arbitrum family `l1_number` is always set: from the block, or asked of the
    /// RoundsManager.
    async fn head(&self) -> Result<Head>;

    /// The block of this number; `None` when the chain has none.
    async fn block(&self, number: u64) -> Result<Option<Head>>;

    /// L1 block number as the contracts see it (`RoundsManager.blockNum`).
    async fn l1_block_number(&self) -> Result<u64>;

    /// The contracts as last looked up; asks nothing.
    fn contracts(&self) -> Contracts;

    /// Looks all contracts up again and says which ones moved. Call it once a round.
    async fn refresh_contracts(&self) -> Result<Vec<ContractChange>>;

    /// Rounds, at one block.
    async fn rounds(&self) -> Result<Read<Rounds>>;

    /// Parameters of the protocol, at one block.
    async fn protocol_parameters(&self) -> Result<ProtocolParameters>;

    /// Members of the transcoder pool.
    async fn pool_size(&self) -> Result<u64>;

    /// The record of `transcoder`, at one block.
    async fn transcoder(&self, transcoder: Address) -> Result<Transcoder>;

    /// Records of several, at one block.
    async fn transcoders(&self, transcoders: &[Address]) -> Result<Vec<Transcoder>>;

    /// The whole pool with stakes, at one block.
    async fn pool(&self) -> Result<Read<Pool>>;

    /// What the stake of `transcoder` after a reward depends on, at one block.
    async fn reward_inputs(&self, transcoder: Address) -> Result<Read<RewardInputs>>;

    /// Money of each of `senders`, with what `recipient` drew and may draw, at one block.
    async fn sender_infos(
        &self,
        senders: &[Address],
        recipient: Address,
    ) -> Result<Read<Vec<SenderInfo>>>;

    /// Money of one sender.
    async fn sender_info(&self, sender: Address, recipient: Address) -> Result<Read<SenderInfo>> {
        let read = self.sender_infos(&[sender], recipient).await?;
        let value = read.value.first().copied();
        let value = value.ok_or(Error::decoding("sender info", "no answer"))?;
        Ok(Read {
            block: read.block,
            value,
        })
    }

    /// What `claimant` may still draw from the reserve of `holder` this round, wei. Zero where the contract reverts
    /// because more than the share was drawn.
    async fn claimable_reserve(&self, holder: Address, claimant: Address) -> Result<U256>;

    /// Whether each ticket hash was redeemed.
    async fn used_tickets(&self, tickets: &[Hash]) -> Result<Vec<bool>>;

    /// Rounds between unlock and withdrawal of a sender.
    async fn unlock_period(&self) -> Result<u64>;

    /// Rounds in which a ticket may be redeemed, its own included.
    async fn ticket_validity_period(&self) -> Result<u64>;

    /// LPT that may be minted this round.
    async fn mintable(&self) -> Result<U256>;

    /// Stake of the active set, base units of LPT.
    async fn total_bonded(&self) -> Result<U256>;

    /// Treasury's share of a reward, in parts of 10²⁷; zero where the contract does not know it.
    async fn treasury_cut(&self) -> Result<U256>;

    /// Earnings pool of `transcoder` in `round`.
    async fn earnings_pool(&self, transcoder: Address, round: u64) -> Result<EarningsPool>;

    /// Who besides `transcoder` may call reward for it (LIP-118); `None` when unset or not known to the contract.
    async fn reward_caller(&self, transcoder: Address) -> Result<Option<Address>>;

    /// ETH and LPT of `account`.
    async fn balances(&self, account: Address) -> Result<Balances>;

    /// LPT that `spender` may take from `owner`.
    async fn allowance(&self, owner: Address, spender: Address) -> Result<U256>;

    /// The delegator's record with pending stake and fees, at one block.
    async fn delegator(&self, delegator: Address) -> Result<Delegator>;

    /// Unbonding locks of `delegator` among `ids`; used and unmade ones are left out.
    async fn unbonding_locks(
        &self,
        delegator: Address,
        ids: std::ops::Range<u64>,
    ) -> Result<Vec<UnbondingLock>>;

    /// URI that `account` has in the service registry; empty when none.
    async fn service_uri(&self, account: Address) -> Result<String>;

    /// When `account` may ask the faucet again, seconds since 1970 by the chain's clock.
    async fn faucet_next_request(&self, account: Address) -> Result<u64>;

    /// One reading of a price feed, unjudged: see [`crate::price_feed`].
    async fn price_feed(&self, feed: Address) -> Result<FeedAnswer>;

    /// Gas price the node suggests, wei.
    async fn gas_price(&self) -> Result<U256>;

    /// Tip the node suggests, wei; `None` when the node does not know the method.
    async fn max_priority_fee(&self) -> Result<Option<U256>>;

    /// Simulates `call` and gives what it returns.
    ///
    /// # Errors
    /// [`Error::Reverted`] with the revert data when it reverts.
    async fn call(&self, call: &Call, at: At) -> Result<Vec<u8>>;

    /// Gas that `call` would use, without margin.
    ///
    /// # Errors
    /// [`Error::Reverted`] with the revert data when it reverts.
    async fn estimate_gas(&self, call: &Call) -> Result<u64>;

    /// Whether there is code at `address`.
    async fn has_code(&self, address: Address) -> Result<bool>;

    /// Next nonce of `account`: mined ones only at [`At::Latest`], waiting ones too at [`At::Pending`].
    async fn transaction_count(&self, account: Address, at: At) -> Result<u64>;

    /// Sends a signed transaction.
    ///
    /// # Errors
    /// [`Error::Rpc`] with the node's words, as `nonce too low`, `already known`. After [`Error::Unavailable`] it may
    /// have been taken all the same.
    async fn send_raw(&self, transaction: &[u8]) -> Result<Hash>;

    /// Receipt of each transaction; `None` while it is not mined.
    async fn receipts(&self, transactions: &[Hash]) -> Result<Vec<Option<Receipt>>>;

    /// The transaction as the node knows it; `None` when it does not.
    async fn transaction(&self, hash: Hash) -> Result<Option<KnownTransaction>>;

    /// The transactions of `account` in a block, in their order. Empty when the node has no such block.
    async fn transactions_of(&self, account: Address, block: u64) -> Result<Vec<KnownTransaction>>;

    /// Log entries in (block, index) order.
    ///
    /// # Errors
    /// [`Error::Range`] when the provider or our limit on answers wants fewer blocks.
    async fn logs(&self, filter: &LogFilter) -> Result<Vec<Log>>;

    /// State of every end point, for display.
    fn endpoints(&self) -> Vec<EndpointSnapshot>;
}
