//! What the chain says became of a ticket: receipts that stay or vanish, `usedTickets`, redemptions by others.

use chain::Hash as ChainHash;
use chain::transactions::Mined;
use chain::types::Receipt;
use ledger::ticket::Deferral;
use ledger::{JournalState, Step, StoredTicket, TicketState};
use protocol::signature::Hash;
use telemetry::metrics::label::RedemptionEnd;

use super::queue::Phase;
use super::scheduler::{Redeemer, Search, Trouble};
use super::small;

/// Looks for the receipt of our own transaction before a used ticket is put down to somebody else.
const PATIENCE: u32 = 24;

impl Redeemer {
    /// Follows every trace.
    pub(super) async fn prove(&mut self) -> Result<(), Trouble> {
        for (ticket, transaction) in std::mem::take(&mut self.rumours) {
            if let Err(trouble) = self.hear(ticket, transaction).await {
                self.rumours.push((ticket, transaction));
                return Err(trouble);
            }
        }
        self.settle().await?;
        for ticket in self.lost.clone() {
            if self.search(ticket).await? {
                self.lost.remove(&ticket);
            }
        }
        for ticket in self.queue.hashes(|phase| *phase == Phase::Reverted) {
            self.after_revert(ticket).await?;
        }
        Ok(())
    }

    /// Somebody is said to have redeemed a ticket.
    async fn hear(&mut self, ticket: Hash, transaction: ChainHash) -> Result<(), Trouble> {
        let stored = match self.parts.ledger.ticket(ticket).await {
            Ok(stored) => stored,
            // another node's
            Err(ledger::LedgerError::UnknownTicket(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let ours = self.parts.ledger.ticket_transactions(ticket).await?;
        let ours = ours.iter().any(|e| e.hashes.contains(&transaction.0));
        if !ours && !stored.state.name().is_final() {
            self.seen_in.insert(ticket, transaction);
            self.lost.insert(ticket);
        }
        Ok(())
    }

    /// Confirms what lies deep enough, and reads again what may have been taken back.
    async fn settle(&mut self) -> Result<(), Trouble> {
        let deep = self.head.saturating_sub(self.options.settle_blocks);
        let mut due = self
            .queue
            .hashes(|phase| matches!(phase, Phase::Mined(block) if *block <= deep));
        due.extend(self.doubted.iter().copied());
        due.sort_unstable();
        due.dedup();
        for ticket in due {
            let stored = self.parts.ledger.ticket(ticket).await?;
            if let TicketState::Mined { tx, block, .. } = stored.state {
                let receipt = self.receipt(ChainHash(tx)).await?;
                match receipt {
                    Some(receipt) if receipt.success => {
                        if receipt.block != block {
                            self.book(ticket, &mined(receipt)).await?;
                        } else if block <= deep {
                            self.confirm(&stored).await?;
                        }
                    }
                    _ => {
                        tracing::warn!(ticket = %ledger::hash_text(&ticket), "the chain took a redemption back");
                        self.step(ticket, Step::Unmine).await?;
                        self.lost.insert(ticket);
                    }
                }
            }
            self.doubted.remove(&ticket);
        }
        Ok(())
    }

    async fn confirm(&mut self, stored: &StoredTicket) -> Result<(), Trouble> {
        let moved = self.step(stored.hash, Step::Confirm).await?;
        if let TicketState::Paid { paid, tx, .. } = moved.state {
            let ticket = &stored.winner.ticket;
            self.parts.metrics.redeemed(
                &ticket.sender.to_string(),
                small(ticket.face_value),
                small(paid),
            );
            tracing::info!(ticket = %ledger::hash_text(&stored.hash), sender = %ticket.sender, face_value = %ticket.face_value, %paid, tx = %ChainHash(tx), "winning ticket redeemed");
        }
        Ok(())
    }

    async fn receipt(&self, tx: ChainHash) -> Result<Option<Receipt>, Trouble> {
        let receipts = self.parts.client.receipts(&[tx]).await?;
        Ok(receipts.into_iter().flatten().next())
    }

    /// Finds out about a ticket that was sent, or is said to be used, and whose transaction is not under way. `true`
    /// when that is settled.
    pub(super) async fn search(&mut self, ticket: Hash) -> Result<bool, Trouble> {
        let stored = self.parts.ledger.ticket(ticket).await?;
        if stored.state.name().is_final() || self.flights.contains_key(&ticket) {
            self.queue.put(&stored);
            return Ok(true);
        }
        let ours = self.parts.ledger.ticket_transactions(ticket).await?;
        let hashes: Vec<ChainHash> = ours
            .iter()
            .flat_map(|entry| {
                let real = entry.first_cancel.unwrap_or(entry.hashes.len());
                entry.hashes.iter().take(real)
            })
            .map(|hash| ChainHash(*hash))
            .collect();
        let receipts = match hashes.is_empty() {
            true => Vec::new(),
            false => self.parts.client.receipts(&hashes).await?,
        };
        let receipts: Vec<Receipt> = receipts.into_iter().flatten().collect();
        if let Some(success) = receipts.iter().find(|receipt| receipt.success) {
            self.book(ticket, &mined(success.clone())).await?;
            return Ok(true);
        }
        if self.is_used(ticket).await? {
            let maybe_ours = ours.iter().any(|entry| {
                matches!(entry.state, JournalState::Mined | JournalState::Open)
                    && !receipts
                        .iter()
                        .any(|r| entry.hashes.contains(&r.transaction.0))
            });
            let since = self.head;
            let search = self
                .searches
                .entry(ticket)
                .or_insert(Search { since, looks: 0 });
            search.looks += 1;
            // the chain may take it back, and the receipt of our own transaction may be late
            let deep = search.since.saturating_add(self.options.settle_blocks) <= self.head;
            if !deep || (maybe_ours && search.looks < PATIENCE) {
                return Ok(false);
            }
            self.used(ticket).await?;
            return Ok(true);
        }
        // not used: whatever was sent did not do it, and what is still under way would be known to the queue
        match (&stored.state, receipts.first()) {
            (TicketState::Submitted { .. }, Some(failed)) => {
                let step = Step::Revert {
                    tx: failed.transaction.0,
                    reason: "transaction failed".into(),
                };
                self.step(ticket, step).await?;
            }
            (TicketState::Submitted { .. }, None) => {
                self.step(ticket, Step::Drop).await?;
            }
            _ => {
                // refused as used a moment ago, and the chain says it is not
                let until = self.parts.rounds.load().l1_block + 1;
                let detail = "said to be used, and is not".to_owned();
                self.defer(ticket, Deferral::Simulation, detail, until)
                    .await?;
            }
        }
        self.searches.remove(&ticket);
        self.seen_in.remove(&ticket);
        Ok(true)
    }

    async fn is_used(&self, ticket: Hash) -> Result<bool, Trouble> {
        let used = self.parts.client.used_tickets(&[ChainHash(ticket)]).await?;
        Ok(used.first().copied().unwrap_or(false))
    }

    /// Ends a ticket that the contract has as used, by somebody else.
    async fn used(&mut self, ticket: Hash) -> Result<(), Trouble> {
        let mut detail = "redeemed by somebody else".to_owned();
        if let Some(by) = self.seen_in.remove(&ticket)
            && let Some(receipt) = self.receipt(by).await?
        {
            let broker = crate::round_tracker::broker(&*self.parts.client);
            let from = receipt.from;
            let paid = mined(receipt).paid(broker);
            detail = format!("redeemed by {from} in {by}, which paid {paid} wei");
        }
        tracing::warn!(ticket = %ledger::hash_text(&ticket), detail, "ticket already used");
        let moved = self.step(ticket, Step::UseElsewhere { detail }).await?;
        if matches!(moved.state, TicketState::UsedElsewhere { .. }) {
            self.parts.metrics.ended(RedemptionEnd::UsedElsewhere);
        }
        self.searches.remove(&ticket);
        Ok(())
    }

    /// A failed transaction says nothing about the ticket: the contract does.
    async fn after_revert(&mut self, ticket: Hash) -> Result<(), Trouble> {
        if self.is_used(ticket).await? {
            self.lost.insert(ticket);
            return Ok(());
        }
        let failures = self.queue.get(&ticket).map_or(0, |entry| entry.failures);
        if let Some(entry) = self.queue.get_mut(&ticket) {
            entry.failures += 1;
        }
        if failures == 0 {
            self.step(ticket, Step::Retry).await?;
            return Ok(());
        }
        let pause = 2u64.saturating_pow(failures.min(6));
        let until = self.parts.rounds.load().l1_block + pause;
        let detail = format!("{} transactions failed", failures + 1);
        self.defer(ticket, Deferral::Simulation, detail, until)
            .await
    }
}

fn mined(receipt: Receipt) -> Mined {
    Mined {
        hash: receipt.transaction,
        nonce: 0,
        block: receipt.block,
        block_hash: receipt.block_hash,
        gas_used: receipt.gas_used,
        gas_price: receipt.gas_price,
        logs: receipt.logs,
    }
}
