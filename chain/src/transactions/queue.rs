//! The state machine. It has no clock and no task of its own: every [`TransactionQueue::step`] is told the time, asks
//! the chain what it must know, and moves each write by at most one stage.

use std::collections::BTreeMap;

use ethers::{types::transaction::eip2718::TypedTransaction, utils::rlp::Rlp};
use protocol::address::Address;
use tokio::sync::watch;

use super::{
    End, JournalError, JournalRecord, Mined, Outcome, Pending, Progress, Purpose, QueueStatus,
    Request, TransactionError, TransactionJournal, TransactionNode, TransactionStatus,
};
use crate::{
    Error, Result as ChainResult,
    calls::Write,
    fees::{Fees, GasHistory, Market, PriceBounds, price_from_wire},
    signer::Signer,
    types::{At, Hash, Head, Receipt},
};

/// Pause after an answer that cannot be used, ms.
pub(super) const RETRY_PAUSE_MS: u64 = 5_000;

/// How the queue behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// `-minGasPrice` and `-maxGasPrice`.
    pub bounds: PriceBounds,
    /// `-gasLimit`: gas limit of every transaction in place of the estimate. The simulation is made all the same.
    pub gas_limit: Option<u64>,
    /// `-transactionTimeout`, ms: how long one is waited for before it is replaced.
    pub timeout_ms: u64,
    /// `-maxTransactionReplacements`. One whose fee fell below the base fee, and a cancellation, may be replaced more
    /// often.
    pub max_replacements: usize,
    /// Blocks, its own included, until a receipt counts.
    pub confirmations: u64,
    /// A receipt also counts after it stayed for this long, ms, on a chain that makes no blocks.
    pub settle_ms: u64,
    /// Time between two looks while something is sent, ms.
    pub poll_ms: u64,
    /// Time between two looks whether a sent one is still known to the node, ms.
    pub resend_ms: u64,
    /// Time after which a nonce that nobody owns is filled, ms.
    pub gap_ms: u64,
    /// Time after which a nonce that was used, nobody can say by what, is given up, ms.
    pub proof_ms: u64,
    /// Most that are sent and not settled.
    pub max_in_flight: usize,
    /// Most under way, sent or not.
    pub max_waiting: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bounds: PriceBounds::default(),
            gas_limit: None,
            timeout_ms: 300_000,
            max_replacements: 1,
            confirmations: 12,
            settle_ms: 30_000,
            poll_ms: 1_000,
            resend_ms: 15_000,
            gap_ms: 60_000,
            proof_ms: 600_000,
            max_in_flight: 16,
            max_waiting: 4_096,
        }
    }
}

/// Owner of every transaction of one key.
pub struct TransactionQueue<N, J> {
    pub(super) core: Core<N, J>,
    /// In the order of their submission.
    pub(super) entries: BTreeMap<u64, Entry>,
    next_id: u64,
    /// Nonce that nobody owns, and since when.
    pub(super) gap: Option<(u64, u64)>,
}

/// What all entries share.
pub(super) struct Core<N, J> {
    pub(super) node: N,
    pub(super) journal: J,
    pub(super) signer: Signer,
    pub(super) chain_id: u64,
    pub(super) options: Options,
    pub(super) history: GasHistory,
    /// One above the greatest nonce that was settled here, and when.
    pub(super) settled: Option<(u64, u64)>,
    /// Nonces of ours that another process used.
    pub(super) stolen: u64,
}

/// One write under way.
pub(super) struct Entry {
    pub(super) purpose: Purpose,
    pub(super) write: Write,
    pub(super) valid_until_ms: Option<u64>,
    /// In place of the queue's own bound.
    pub(super) max_gas_price: Option<u128>,
    /// Where it was sent to; `None` while it waits.
    pub(super) place: Option<Place>,
    pub(super) cancelling: bool,
    /// Not before this time.
    pub(super) retry_at_ms: u64,
    /// Why it is not further.
    pub(super) note: Option<String>,
    progress: watch::Sender<Progress>,
    /// How it ended, until that is in the journal and told.
    pub(super) done: Option<(Outcome, Option<End>)>,
}

/// A nonce and all that was sent under it.
pub(super) struct Place {
    pub(super) nonce: u64,
    /// Oldest first.
    pub(super) hashes: Vec<Hash>,
    pub(super) first_cancel: Option<usize>,
    /// Newest.
    pub(super) raw: Vec<u8>,
    pub(super) fees: Fees,
    pub(super) gas: u64,
    /// Unknown after a restart.
    pub(super) estimate: Option<u64>,
    /// Head when the first was sent. Unknown after a restart.
    pub(super) from_block: Option<u64>,
    /// When the newest was first sent.
    pub(super) sent_ms: u64,
    /// When the newest was last handed to a node.
    pub(super) offered_ms: u64,
    /// Whether a node took any of them.
    pub(super) accepted: bool,
    /// Whether the newest pays too little to be taken.
    pub(super) too_cheap: bool,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// Block of the receipt, and since when it was seen there.
    pub(super) seen: Option<(Hash, u64)>,
    /// Since when the nonce is used and no receipt is there.
    pub(super) used_since_ms: Option<u64>,
}

/// The chain at the start of a step.
pub(super) struct View {
    pub(super) head: Head,
    /// Next nonce by mined transactions.
    pub(super) latest: u64,
    /// Next nonce with those that wait.
    pub(super) pending: u64,
    market: Option<Market>,
}

impl Entry {
    pub(super) fn tell(&self, progress: Progress) {
        self.progress.send_if_modified(|now| {
            let differs = *now != progress;
            *now = progress;
            differs
        });
    }

    /// Notes why it is not further; told to the owner while nothing is sent.
    pub(super) fn wait(&mut self, retry_at_ms: u64, note: impl Into<String>) {
        self.retry_at_ms = retry_at_ms;
        let note = note.into();
        if self.place.is_none() {
            self.tell(Progress::Waiting(Some(note.clone())));
        }
        self.note = Some(note);
    }

    /// Trouble with this one alone is noted and tried again; trouble with the end points or the journal ends the step.
    pub(super) fn tolerate(
        &mut self,
        result: Result<(), TransactionError>,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        match result {
            Err(TransactionError::Chain(error)) if !matches!(error, Error::Unavailable { .. }) => {
                self.wait(now_ms + RETRY_PAUSE_MS, error.to_string());
                Ok(())
            }
            other => other,
        }
    }

    /// Bounds of its price, `bounds` being the queue's.
    pub(super) fn bounds(&self, bounds: PriceBounds) -> PriceBounds {
        PriceBounds {
            maximum: self.max_gas_price.or(bounds.maximum),
            ..bounds
        }
    }

    pub(super) fn finish(&mut self, outcome: Outcome, end: Option<End>) {
        self.done = Some((outcome, end));
    }
}

impl Place {
    pub(super) fn record(&self, purpose: &Purpose) -> JournalRecord {
        JournalRecord {
            nonce: self.nonce,
            purpose: purpose.clone(),
            hashes: self.hashes.clone(),
            raw: self.raw.clone(),
            first_cancel: self.first_cancel,
        }
    }

    /// Whether the hash is that of a cancellation.
    pub(super) fn is_cancellation(&self, hash: Hash) -> bool {
        let at = self.hashes.iter().position(|known| *known == hash);
        matches!((at, self.first_cancel), (Some(at), Some(first)) if at >= first)
    }

    /// Replacements so far, cancellations apart.
    pub(super) fn replacements(&self) -> usize {
        self.first_cancel
            .unwrap_or(self.hashes.len())
            .saturating_sub(1)
    }
}

pub(super) fn mined(receipt: Receipt, nonce: u64) -> Mined {
    Mined {
        hash: receipt.transaction,
        nonce,
        block: receipt.block,
        block_hash: receipt.block_hash,
        gas_used: receipt.gas_used,
        gas_price: receipt.gas_price,
        logs: receipt.logs,
    }
}

impl<N: TransactionNode, J: TransactionJournal> TransactionQueue<N, J> {
    /// Takes up what the journal holds. The purposes in it are under way again; see [`TransactionQueue::resumed`].
    pub async fn open(
        node: N,
        journal: J,
        signer: Signer,
        options: Options,
    ) -> Result<Self, TransactionError> {
        let chain_id = node.chain_id().await?;
        let mut queue = Self {
            core: Core {
                node,
                journal,
                signer,
                chain_id,
                options,
                history: GasHistory::default(),
                settled: None,
                stolen: 0,
            },
            entries: BTreeMap::new(),
            next_id: 0,
            gap: None,
        };
        for record in queue.core.journal.open_records().await? {
            let purpose = record.purpose.clone();
            let (write, place) = restored(record)?;
            let cancelling = place.first_cancel.is_some();
            let id = queue.insert(purpose, write, None);
            if let Some(entry) = queue.entries.get_mut(&id) {
                entry.tell(Progress::Sent {
                    nonce: place.nonce,
                    hashes: place.hashes.clone(),
                });
                entry.place = Some(place);
                entry.cancelling = cancelling;
            }
        }
        Ok(queue)
    }

    /// The account that signs.
    pub fn account(&self) -> Address {
        self.core.signer.address()
    }

    /// Purposes under way, in the order of their submission.
    pub fn resumed(&self) -> Vec<Purpose> {
        self.entries.values().map(|e| e.purpose.clone()).collect()
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ms until the next step is due; `None` while idle.
    pub fn next_step_ms(&self) -> Option<u64> {
        let sent = self.entries.values().any(|entry| entry.place.is_some());
        match (self.is_idle(), sent) {
            (true, _) => None,
            (_, true) => Some(self.core.options.poll_ms),
            // what waits for a price or for money is in no hurry, and every look costs requests
            (_, false) => Some(self.core.options.poll_ms.saturating_mul(5)),
        }
    }

    /// The operator's new bounds; they hold from the next step on.
    pub fn set_bounds(&mut self, bounds: PriceBounds) {
        self.core.options.bounds = bounds;
    }

    /// Takes a write, or joins the one that is under way for the same purpose.
    ///
    /// A guarded purpose that the journal knows as mined is answered from its receipt.
    pub async fn submit(&mut self, request: Request) -> Result<Pending, TransactionError> {
        let same = self
            .entries
            .values()
            .find(|entry| entry.purpose == request.purpose);
        if let Some(entry) = same {
            let joins = request.purpose.is_guarded()
                || entry.cancelling
                || (entry.write.to, &entry.write.data, entry.write.value)
                    == (request.write.to, &request.write.data, request.write.value);
            return if joins {
                Ok(Pending {
                    progress: entry.progress.subscribe(),
                })
            } else {
                Err(TransactionError::Busy(request.purpose))
            };
        }
        if let Some(outcome) = self.core.recall(&request.purpose).await? {
            return Ok(Pending {
                progress: watch::channel(Progress::Done(outcome)).1,
            });
        }
        if self.entries.len() >= self.core.options.max_waiting {
            return Err(TransactionError::Full(self.entries.len()));
        }
        let id = self.insert(request.purpose, request.write, request.valid_until_ms);
        let entry = self.entries.get_mut(&id).ok_or(TransactionError::Stopped)?;
        entry.max_gas_price = request.max_gas_price;
        Ok(Pending {
            progress: entry.progress.subscribe(),
        })
    }

    fn insert(&mut self, purpose: Purpose, write: Write, valid_until_ms: Option<u64>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.entries.insert(
            id,
            Entry {
                purpose,
                write,
                valid_until_ms,
                max_gas_price: None,
                place: None,
                cancelling: false,
                retry_at_ms: 0,
                note: None,
                progress: watch::channel(Progress::Waiting(None)).0,
                done: None,
            },
        );
        id
    }

    /// Adds a write of the queue's own to fill `nonce`.
    pub(super) fn insert_filler(&mut self, nonce: u64) -> u64 {
        let write = crate::calls::nothing(self.account());
        self.insert(Purpose::FillNonce(nonce), write, None)
    }

    /// Cancels a write: at once while it waits, by a replacement that does nothing once it was sent. What then happens,
    /// the write or its cancellation, is in the outcome. `None` when the purpose is not under way.
    pub fn cancel(&mut self, purpose: &Purpose) -> Option<Pending> {
        let entry = self
            .entries
            .values_mut()
            .find(|entry| entry.purpose == *purpose)?;
        entry.cancelling = true;
        entry.retry_at_ms = 0;
        Some(Pending {
            progress: entry.progress.subscribe(),
        })
    }

    /// Looks at the chain and moves every write by at most one stage. `now_ms` is ms since 1970.
    ///
    /// An error is trouble with the end points or the journal: nothing is lost, the next step goes on.
    pub async fn step(&mut self, now_ms: u64) -> Result<(), TransactionError> {
        if self.is_idle() {
            return Ok(());
        }
        let worked = self.work(now_ms).await;
        self.publish(now_ms).await?;
        worked
    }

    async fn work(&mut self, now_ms: u64) -> Result<(), TransactionError> {
        let mut view = self.core.view().await?;
        self.settle(&view, now_ms).await?;
        self.push(&mut view, now_ms).await?;
        self.fill_gap(&mut view, now_ms).await?;
        self.launch(&mut view, now_ms).await
    }

    /// Puts what ended into the journal, then tells it.
    async fn publish(&mut self, now_ms: u64) -> Result<(), TransactionError> {
        let ended: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.done.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            if let (Some(place), Some((_, Some(end)))) = (&entry.place, &entry.done) {
                self.core.journal.close(place.nonce, end).await?;
                let next = place.nonce + 1;
                let before = self.core.settled.map_or(0, |(nonce, _)| nonce);
                self.core.settled = Some((next.max(before), now_ms));
            }
            if let Some(entry) = self.entries.remove(&id)
                && let Some((outcome, _)) = entry.done
            {
                tracing::info!(purpose = %entry.purpose, method = %entry.write.method, %outcome, "transaction settled");
                entry.progress.send_replace(Progress::Done(outcome));
            }
        }
        Ok(())
    }

    /// What is under way, for display.
    pub fn status(&self) -> QueueStatus {
        QueueStatus {
            account: self.account(),
            nonces_taken_by_others: self.core.stolen,
            transactions: self
                .entries
                .values()
                .map(|entry| TransactionStatus {
                    purpose: entry.purpose.clone(),
                    method: entry.write.method.clone(),
                    nonce: entry.place.as_ref().map(|place| place.nonce),
                    hashes: entry
                        .place
                        .as_ref()
                        .map_or_else(Vec::new, |place| place.hashes.clone()),
                    fees: entry.place.as_ref().map(|place| place.fees),
                    sent_ms: entry.place.as_ref().map(|place| place.sent_ms),
                    cancelling: entry.cancelling,
                    note: entry.note.clone(),
                })
                .collect(),
        }
    }
}

impl<N: TransactionNode, J: TransactionJournal> Core<N, J> {
    async fn view(&self) -> ChainResult<View> {
        let account = self.signer.address();
        let head = self.node.head().await?;
        let latest = self.node.transaction_count(account, At::Latest).await?;
        let pending = self.node.transaction_count(account, At::Pending).await?;
        Ok(View {
            head,
            latest,
            pending: pending.max(latest),
            market: None,
        })
    }

    /// Prices now; asked for once a step, and only when something needs them.
    pub(super) async fn market(&self, view: &mut View) -> ChainResult<Market> {
        if let Some(market) = view.market {
            return Ok(market);
        }
        let market = Market {
            gas_price: price_from_wire(self.node.gas_price().await?),
            base_fee: view.head.base_fee.map(price_from_wire),
            tip: self.node.max_priority_fee().await?.map(price_from_wire),
        };
        view.market = Some(market);
        Ok(market)
    }

    /// The outcome of a guarded purpose that the journal knows as mined.
    async fn recall(&self, purpose: &Purpose) -> Result<Option<Outcome>, TransactionError> {
        if !purpose.is_guarded() {
            return Ok(None);
        }
        let Some(hash) = self.journal.mined(purpose).await? else {
            return Ok(None);
        };
        let receipt = self
            .node
            .receipts(&[hash])
            .await?
            .into_iter()
            .flatten()
            .next();
        Ok(receipt.filter(|receipt| receipt.success).map(|receipt| {
            // the nonce is not in a receipt, and nobody needs it any more
            Outcome::Mined(mined(receipt, 0))
        }))
    }
}

/// The write and place of a journal record, read from its signed bytes.
fn restored(record: JournalRecord) -> Result<(Write, Place), JournalError> {
    let broken = || {
        JournalError::new(format!(
            "the bytes under nonce {} cannot be read",
            record.nonce
        ))
    };
    let (transaction, _) =
        TypedTransaction::decode_signed(&Rlp::new(&record.raw)).map_err(|_| broken())?;
    let fees = match &transaction {
        TypedTransaction::Eip1559(inner) => Fees::Dynamic {
            max_fee: price_from_wire(inner.max_fee_per_gas.unwrap_or_default()),
            tip: price_from_wire(inner.max_priority_fee_per_gas.unwrap_or_default()),
        },
        other => Fees::Legacy {
            gas_price: price_from_wire(other.gas_price().unwrap_or_default()),
        },
    };
    let write = Write {
        method: record.purpose.name().into(),
        to: transaction
            .to_addr()
            .map(|to| Address(to.0))
            .ok_or_else(broken)?,
        data: transaction
            .data()
            .map(|data| data.to_vec())
            .unwrap_or_default(),
        value: transaction.value().copied().unwrap_or_default(),
    };
    let place = Place {
        nonce: record.nonce,
        hashes: record.hashes,
        first_cancel: record.first_cancel,
        fees,
        gas: transaction.gas().map_or(0, |gas| gas.low_u64()),
        raw: record.raw,
        estimate: None,
        from_block: None,
        sent_ms: 0,
        offered_ms: 0,
        accepted: false,
        too_cheap: false,
        refusals: 0,
        seen: None,
        used_since_ms: None,
    };
    Ok((write, place))
}
