//! What the queue asks of the chain: the part of [`ChainClient`] that has to do with transactions.

use std::sync::Arc;

use async_trait::async_trait;
use protocol::address::Address;

use crate::{
    ChainClient, Result,
    types::{At, Call, Hash, Head, KnownTransaction, Receipt, U256},
};

/// What the queue asks of the chain. Each method is the one of the same name of [`ChainClient`].
#[async_trait]
pub trait TransactionNode: Send + Sync + 'static {
    /// Id of the chain.
    async fn chain_id(&self) -> Result<u64>;
    /// The newest block.
    async fn head(&self) -> Result<Head>;
    /// Gas price the node suggests, wei.
    async fn gas_price(&self) -> Result<U256>;
    /// Tip the node suggests, wei.
    async fn max_priority_fee(&self) -> Result<Option<U256>>;
    /// Simulates a call.
    async fn call(&self, call: &Call, at: At) -> Result<Vec<u8>>;
    /// Gas that a call would use.
    async fn estimate_gas(&self, call: &Call) -> Result<u64>;
    /// Next nonce.
    async fn transaction_count(&self, account: Address, at: At) -> Result<u64>;
    /// Sends a signed transaction.
    async fn send_raw(&self, transaction: &[u8]) -> Result<Hash>;
    /// Receipts.
    async fn receipts(&self, transactions: &[Hash]) -> Result<Vec<Option<Receipt>>>;
    /// The transaction as the node knows it.
    async fn transaction(&self, hash: Hash) -> Result<Option<KnownTransaction>>;
    /// Transactions of `account` in a block.
    async fn transactions_of(&self, account: Address, block: u64) -> Result<Vec<KnownTransaction>>;
}

#[async_trait]
impl<C: ChainClient + ?Sized> TransactionNode for Arc<C> {
    async fn chain_id(&self) -> Result<u64> {
        (**self).chain_id().await
    }

    async fn head(&self) -> Result<Head> {
        (**self).head().await
    }

    async fn gas_price(&self) -> Result<U256> {
        (**self).gas_price().await
    }

    async fn max_priority_fee(&self) -> Result<Option<U256>> {
        (**self).max_priority_fee().await
    }

    async fn call(&self, call: &Call, at: At) -> Result<Vec<u8>> {
        (**self).call(call, at).await
    }

    async fn estimate_gas(&self, call: &Call) -> Result<u64> {
        (**self).estimate_gas(call).await
    }

    async fn transaction_count(&self, account: Address, at: At) -> Result<u64> {
        (**self).transaction_count(account, at).await
    }

    async fn send_raw(&self, transaction: &[u8]) -> Result<Hash> {
        (**self).send_raw(transaction).await
    }

    async fn receipts(&self, transactions: &[Hash]) -> Result<Vec<Option<Receipt>>> {
        (**self).receipts(transactions).await
    }

    async fn transaction(&self, hash: Hash) -> Result<Option<KnownTransaction>> {
        (**self).transaction(hash).await
    }

    async fn transactions_of(&self, account: Address, block: u64) -> Result<Vec<KnownTransaction>> {
        (**self).transactions_of(account, block).await
    }
}
