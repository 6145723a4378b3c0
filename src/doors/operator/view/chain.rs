//! The chain and payment side of a node as its operator sees it: mostly the fronts that actors and chain offer anyway.

use std::sync::Arc;

use actors::facts::{Funds, Gas, Prices, RedeemerState, RewardState, Rounds, RpcState};
use actors::price_oracle::{PriceBoardError, PriceChange};
use actors::redeemer::Tickets;
use actors::ticket_validator::BalanceView;
use async_trait::async_trait;
use chain::fees::PriceBounds;
use chain::transactions::{TransactionError, TransactionSender};
use chain::{ChainClient, Signer};
use ledger::LedgerError;
use ledger::ticket::SenderSum;
use protocol::address::Address;
use protocol::money::U256;

/// An on-chain node. What has no `async` returns at once.
#[async_trait]
pub trait ChainView: Send + Sync {
    /// Whose node it is.
    fn identity(&self) -> ChainIdentity;
    /// What actors publish.
    fn facts(&self) -> ChainSnapshot;
    /// Asks the chain.
    fn client(&self) -> &dyn ChainClient;
    /// Sends transactions of the own account.
    fn transactions(&self) -> &dyn TransactionSender;
    /// Signs for the own account.
    fn signer(&self) -> &Signer;
    /// Winning tickets; `None` for a node that redeems none.
    fn tickets(&self) -> Option<Tickets>;
    /// What is known of a sender, without asking anybody.
    fn funds(&self, sender: Address) -> Option<Funds>;
    /// What senders owe: their tickets that are not done.
    ///
    /// # Errors
    /// Of the database.
    async fn owed(&self) -> Result<Vec<SenderSum>, LedgerError>;
    /// Every session with a balance.
    async fn balances(&self) -> Vec<BalanceView>;
    /// Changes a price; the change survives a restart.
    ///
    /// # Errors
    /// Why nothing was changed.
    async fn change_price(&self, change: PriceChange) -> Result<(), PriceBoardError>;
    /// Highest face value of tickets, wei; 0 = none.
    fn max_face_value(&self) -> U256;
    /// Sets it for the quotes from now on.
    ///
    /// # Errors
    /// Why it was not set.
    async fn set_max_face_value(&self, wei: U256) -> Result<(), LedgerError>;
    /// Bounds of the gas price.
    fn gas_bounds(&self) -> PriceBounds;
    /// Sets them for every transaction from now on.
    ///
    /// # Errors
    /// Why they were not set.
    async fn set_gas_bounds(&self, bounds: PriceBounds) -> Result<(), TransactionError>;
}

/// Whose node it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainIdentity {
    /// The own account: it signs and pays for gas.
    pub account: Address,
    /// Whom tickets pay, and whose reward is called.
    pub recipient: Address,
    /// Id of the chain.
    pub chain_id: u64,
    /// Whether it sells work: there are prices, senders and balances.
    pub sells: bool,
}

/// What actors publish, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct ChainSnapshot {
    /// Where the chain stands.
    pub rounds: Arc<Rounds>,
    /// Gas prices.
    pub gas: Arc<Gas>,
    /// Prices of work.
    pub prices: Arc<Prices>,
    /// This round's reward.
    pub reward: Arc<RewardState>,
    /// Redemption; `None` for a node that redeems none.
    pub redemption: Option<Arc<RedeemerState>>,
    /// How the chain is reached.
    pub rpc: Arc<RpcState>,
}
