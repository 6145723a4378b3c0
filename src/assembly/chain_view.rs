//! The chain side of the node as its operator sees and steers it.

use std::sync::Arc;

use actors::facts::Funds;
use actors::price_oracle::{PriceBoardError, PriceChange};
use actors::redeemer::Tickets;
use actors::ticket_validator::BalanceView;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use chain::ChainClient;
use chain::fees::PriceBounds;
use chain::signer::Signer;
use chain::transactions::{TransactionError, TransactionSender};
use ledger::LedgerError;
use ledger::ticket::SenderSum;
use protocol::address::Address;
use protocol::money::U256;

use super::chain_actors::ChainSetup;
use super::on_chain::OnChain;
use crate::doors::operator::view::{ChainIdentity, ChainSnapshot, ChainView};

/// See the module.
pub struct NodeChain {
    setup: ChainSetup,
    client: Arc<dyn ChainClient>,
    transactions: Arc<dyn TransactionSender>,
    signer: Signer,
    identity: ChainIdentity,
    redeems: bool,
    bounds: ArcSwap<PriceBounds>,
}

impl NodeChain {
    /// The view of a node that was opened and set up so.
    pub fn new(on_chain: &OnChain, setup: &ChainSetup, bounds: PriceBounds) -> Self {
        Self {
            client: on_chain.client.clone(),
            transactions: Arc::new(on_chain.transactions.clone()),
            signer: on_chain.signer.clone(),
            identity: ChainIdentity {
                account: on_chain.own_account(),
                recipient: on_chain.recipient,
                chain_id: on_chain.chain_id,
                sells: setup.sells(),
            },
            redeems: setup.redeems(),
            bounds: ArcSwap::from_pointee(bounds),
            setup: setup.clone(),
        }
    }
}

#[async_trait]
impl ChainView for NodeChain {
    fn identity(&self) -> ChainIdentity {
        self.identity
    }

    fn facts(&self) -> ChainSnapshot {
        let fronts = &self.setup.fronts;
        ChainSnapshot {
            rounds: fronts.payments.rounds.get(),
            gas: fronts.payments.gas.get(),
            prices: fronts.payments.prices.get(),
            reward: fronts.reward.get(),
            redemption: self.redeems.then(|| fronts.redemption.get()),
            rpc: fronts.rpc.get(),
        }
    }

    fn client(&self) -> &dyn ChainClient {
        &*self.client
    }

    fn transactions(&self) -> &dyn TransactionSender {
        &*self.transactions
    }

    fn signer(&self) -> &Signer {
        &self.signer
    }

    fn tickets(&self) -> Option<Tickets> {
        self.redeems.then(|| self.setup.fronts.tickets.clone())
    }

    fn funds(&self, sender: Address) -> Option<Funds> {
        self.setup.fronts.senders.get(sender)
    }

    async fn owed(&self) -> Result<Vec<SenderSum>, LedgerError> {
        self.setup.owed().await
    }

    async fn balances(&self) -> Vec<BalanceView> {
        self.setup.balances().await
    }

    async fn change_price(&self, change: PriceChange) -> Result<(), PriceBoardError> {
        self.setup.fronts.prices.change(change).await
    }

    fn max_face_value(&self) -> U256 {
        self.setup.max_face_value()
    }

    async fn set_max_face_value(&self, wei: U256) -> Result<(), LedgerError> {
        self.setup.set_max_face_value(wei).await
    }

    fn gas_bounds(&self) -> PriceBounds {
        **self.bounds.load()
    }

    async fn set_gas_bounds(&self, bounds: PriceBounds) -> Result<(), TransactionError> {
        self.transactions.set_bounds(bounds).await?;
        self.bounds.store(Arc::new(bounds));
        Ok(())
    }
}
