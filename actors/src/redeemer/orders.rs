//! What the operator wants of single tickets and of all.

use chain::Hash as ChainHash;
use chain::transactions::Purpose;
use ledger::{LedgerError, Step, StoredTicket};
use protocol::signature::Hash;

use super::Order;
use super::scheduler::Redeemer;

impl Redeemer {
    pub(super) async fn obey(&mut self) {
        for (order, reply) in std::mem::take(&mut self.orders) {
            let answer = match order {
                Order::Hold { ticket, note } => self.hold(ticket, note).await.map(Some),
                Order::Retry { ticket } => self.retry(ticket).await.map(Some),
                Order::HoldAll(held) => {
                    tracing::warn!(held, "the operator holds redemption");
                    self.held = held;
                    self.figures.changed();
                    Ok(None)
                }
            };
            // who asked may have gone
            drop(reply.send(answer));
        }
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
