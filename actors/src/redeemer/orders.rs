//! What the operator wants of single tickets and of all.

use chain::Hash as ChainHash;
use chain::transactions::Purpose;
use ledger::{LedgerError, Step, StoredTicket};
use protocol::signature::Hash;

use super::Order;
use super::scheduler::Redeemer;

/// Name among stored settings of the order that nothing is redeemed.
const HELD: &str = "redemption.held";

impl Redeemer {
    pub(super) async fn obey(&mut self) {
        for (order, reply) in std::mem::take(&mut self.orders) {
            let answer = match order {
                Order::Hold { ticket, note } => self.hold(ticket, note).await.map(Some),
                Order::Retry { ticket } => self.retry(ticket).await.map(Some),
                Order::HoldAll(held) => self.hold_all(held).await.map(|()| None),
            };
            // who asked may have gone
            drop(reply.send(answer));
        }
    }

    /// Stored first: it holds after a restart as well.
    async fn hold_all(&mut self, held: bool) -> Result<(), LedgerError> {
        let stored = held.then(|| "true".to_owned());
        self.parts.ledger.set_setting(HELD, stored).await?;
        tracing::warn!(held, "the operator holds redemption");
        self.held = held;
        self.figures.changed();
        Ok(())
    }

    /// Whether redemption was held in an earlier run.
    pub(super) async fn recall_hold(&mut self) -> Result<(), LedgerError> {
        self.held = self.parts.ledger.settings().await?.contains_key(HELD);
        if self.held {
            tracing::warn!(
                "redemption is held since an earlier run; `orchestrion tickets release -all` ends that"
            );
        }
        Ok(())
    }

    async fn hold(&mut self, ticket: Hash, note: String) -> Result<StoredTicket, LedgerError> {
        let stored = self
            .parts
            .ledger
            .step_ticket(ticket, Step::Hold { note })
            .await?;
        self.queue.put(&stored);
        self.figures.changed();
        if self.flights.contains_key(&ticket) {
            // it was handed over and not sent, or it could not be held
            let purpose = Purpose::Redeem(ChainHash(ticket));
            if let Err(error) = self.parts.transactions.cancel(purpose).await {
                tracing::warn!(%error, "the transaction of a held ticket is not cancelled");
            }
        }
        Ok(stored)
    }

    async fn retry(&mut self, ticket: Hash) -> Result<StoredTicket, LedgerError> {
        let stored = self.parts.ledger.step_ticket(ticket, Step::Retry).await?;
        self.queue.put(&stored);
        if let Some(entry) = self.queue.get_mut(&ticket) {
            entry.failures = 0;
        }
        // whether it waits is asked anew
        self.released = 0;
        self.figures.changed();
        Ok(stored)
    }
}
