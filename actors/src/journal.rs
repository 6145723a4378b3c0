//! The journal of the transaction queue, kept in the ledger: what is about to be sent and the ticket it redeems move
//! together.

use std::collections::HashMap;

use async_trait::async_trait;
use chain::transactions::{End, JournalError, JournalRecord, Purpose, TransactionJournal};
use chain::types::Hash;
use ledger::{Ledger, LedgerError, NewTransaction, Step, TransactionEnd, TransactionId};
use parking_lot::Mutex;
use protocol::address::Address;

/// See the module. One for each account.
#[derive(Debug)]
pub struct LedgerJournal {
    ledger: Ledger,
    account: Address,
    /// Places of the open records.
    open: Mutex<HashMap<u64, TransactionId>>,
}

impl LedgerJournal {
    /// The journal of `account`.
    pub fn new(ledger: Ledger, account: Address) -> Self {
        Self {
            ledger,
            account,
            open: Mutex::default(),
        }
    }

    fn id(&self, nonce: u64) -> Option<TransactionId> {
        self.open.lock().get(&nonce).copied()
    }
}

fn failed(error: LedgerError) -> JournalError {
    JournalError::new(error.to_string())
}

fn ticket(purpose: &Purpose) -> Option<protocol::signature::Hash> {
    match purpose {
        Purpose::Redeem(ticket) => Some(ticket.0),
        _ => None,
    }
}

#[async_trait]
impl TransactionJournal for LedgerJournal {
    async fn open_records(&self) -> Result<Vec<JournalRecord>, JournalError> {
        let entries = self.ledger.open_transactions().await.map_err(failed)?;
        let mut records = Vec::new();
        for entry in entries.into_iter().filter(|e| e.account == self.account) {
            self.open.lock().insert(entry.nonce, entry.id);
            records.push(JournalRecord {
                nonce: entry.nonce,
                purpose: entry.purpose.parse()?,
                hashes: entry.hashes.into_iter().map(Hash).collect(),
                raw: entry.raw,
                first_cancel: entry.first_cancel,
            });
        }
        Ok(records)
    }

    async fn save(&self, record: &JournalRecord) -> Result<(), JournalError> {
        let newest = record.hashes.last();
        let newest = newest.ok_or_else(|| JournalError::new("a record without a transaction"))?;
        if let Some(id) = self.id(record.nonce) {
            let cancels = record.first_cancel.is_some();
            return self
                .ledger
                .replace_transaction(id, newest.0, record.raw.clone(), cancels)
                .await
                .map_err(failed);
        }
        let new = NewTransaction {
            account: self.account,
            nonce: record.nonce,
            purpose: record.purpose.to_string(),
            ticket: ticket(&record.purpose),
            hash: newest.0,
            raw: record.raw.clone(),
        };
        let id = self.ledger.begin_transaction(new).await.map_err(failed)?;
        self.open.lock().insert(record.nonce, id);
        Ok(())
    }

    async fn close(&self, nonce: u64, end: &End) -> Result<(), JournalError> {
        let id = self.id(nonce);
        let id = id.ok_or_else(|| JournalError::new(format!("no open record of nonce {nonce}")))?;
        let end = match end {
            End::Mined { hash, block } => TransactionEnd::Mined {
                tx: hash.0,
                block: *block,
            },
            End::Reverted {
                hash,
                block,
                reason,
            } => TransactionEnd::Reverted {
                tx: hash.0,
                block: *block,
                reason: reason.clone(),
            },
            End::Cancelled { hash, block } => TransactionEnd::Dropped {
                reason: format!("cancelled by {hash} in block {block}"),
            },
            End::NonceTaken { by } => {
                self.release(id).await?;
                TransactionEnd::Dropped {
                    reason: match by {
                        Some(by) => format!("nonce used by another process: {by}"),
                        None => "nonce used by another process".to_owned(),
                    },
                }
            }
        };
        self.ledger.end_transaction(id, end).await.map_err(failed)?;
        self.open.lock().remove(&nonce);
        Ok(())
    }

    async fn mined(&self, purpose: &Purpose) -> Result<Option<Hash>, JournalError> {
        let found = self
            .ledger
            .mined_transaction(self.account, purpose.to_string())
            .await
            .map_err(failed)?;
        Ok(found.map(Hash))
    }
}

impl LedgerJournal {
    /// The queue starts again under another nonce, so the ticket must be ready for that.
    async fn release(&self, id: TransactionId) -> Result<(), JournalError> {
        let open = self.ledger.open_transactions().await.map_err(failed)?;
        let ticket = open.into_iter().find(|entry| entry.id == id);
        let Some(ticket) = ticket.and_then(|entry| entry.ticket) else {
            return Ok(());
        };
        match self.ledger.step_ticket(ticket, Step::Drop).await {
            // a ticket that ended otherwise needs no transaction any more
            Ok(_) | Err(LedgerError::IllegalStep(_)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}
