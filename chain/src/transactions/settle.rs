//! From sent to settled: receipts that stay, receipts that vanish, and nonces that somebody else used.

use super::{
    End, Outcome, Progress, TransactionError, TransactionJournal, TransactionNode,
    TransactionQueue,
    queue::{Core, Entry, Place, View, mined},
};
use crate::{
    Error, Result as ChainResult,
    revert::Revert,
    types::{At, Call, Hash, Receipt},
};

/// How far behind the head at its sending the search for a used nonce begins: re-orgs move blocks.
const SEARCH_MARGIN: u64 = 64;

/// Time between two searches for what used a nonce, ms.
const SEARCH_PAUSE_MS: u64 = 5_000;

/// What is known of a nonce that is used while no hash of ours has a receipt.
enum Usage {
    /// One of ours: its receipt is late.
    Ours,
    /// A transaction of somebody else with this key, in a block that is deep enough or not.
    Foreign { hash: Hash, block: u64 },
    /// The node cannot say.
    Unknown,
}

impl<N: TransactionNode, J: TransactionJournal> TransactionQueue<N, J> {
    /// Looks for receipts of everything that was sent.
    pub(super) async fn settle(
        &mut self,
        view: &View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        for entry in self.entries.values_mut() {
            if entry.done.is_none() && entry.place.is_some() {
                let settled = self.core.settle_one(entry, view, now_ms).await;
                entry.tolerate(settled, now_ms)?;
            }
        }
        Ok(())
    }
}

impl<N: TransactionNode, J: TransactionJournal> Core<N, J> {
    async fn settle_one(
        &mut self,
        entry: &mut Entry,
        view: &View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let Some(place) = entry.place.as_mut() else {
            return Ok(());
        };
        let receipts = self.node.receipts(&place.hashes).await?;
        let receipt = receipts
            .into_iter()
            .flatten()
            .find(|receipt| place.hashes.contains(&receipt.transaction));
        let Some(receipt) = receipt else {
            place.seen = None;
            if place.nonce >= view.latest {
                place.used_since_ms = None;
                let sent = Progress::Sent {
                    nonce: place.nonce,
                    hashes: place.hashes.clone(),
                };
                entry.tell(sent);
                return Ok(());
            }
            return self.used_without_receipt(entry, view, now_ms).await;
        };
        place.used_since_ms = None;
        let since = match place.seen {
            Some((block, since)) if block == receipt.block_hash => since,
            _ => now_ms,
        };
        place.seen = Some((receipt.block_hash, since));
        let depth = (view.head.number + 1).saturating_sub(receipt.block);
        let stayed = now_ms.saturating_sub(since) >= self.options.settle_ms;
        if depth >= self.options.confirmations || (stayed && depth > 0) {
            self.conclude(entry, receipt).await
        } else {
            let seen = Progress::Mined(mined(receipt, place.nonce));
            entry.tell(seen);
            Ok(())
        }
    }

    /// A receipt that counts.
    async fn conclude(
        &mut self,
        entry: &mut Entry,
        receipt: Receipt,
    ) -> Result<(), TransactionError> {
        let Some(place) = entry.place.as_ref() else {
            return Ok(());
        };
        let (hash, block, success) = (receipt.transaction, receipt.block, receipt.success);
        let mined = mined(receipt, place.nonce);
        if place.is_cancellation(hash) || entry.purpose == super::Purpose::FillNonce(place.nonce) {
            entry.finish(
                Outcome::Cancelled(Some(mined)),
                Some(End::Cancelled { hash, block }),
            );
            return Ok(());
        }
        let exhausted = !success && mined.gas_used >= place.gas;
        if let Some(estimate) = place.estimate {
            let selector = entry.write.selector();
            self.history
                .record(selector, estimate, mined.gas_used, exhausted);
        }
        if success {
            entry.finish(Outcome::Mined(mined), Some(End::Mined { hash, block }));
            return Ok(());
        }
        let revert = self.reason(entry, place, block).await?;
        let reason = revert.to_string();
        entry.finish(
            Outcome::Reverted(mined, revert),
            Some(End::Reverted {
                hash,
                block,
                reason,
            }),
        );
        Ok(())
    }

    /// Why a mined transaction reverted: the same call once more at the end of its block, and of the one before, since
    /// it was a transaction between the two that it met.
    async fn reason(&self, entry: &Entry, place: &Place, block: u64) -> ChainResult<Revert> {
        let call = Call {
            from: Some(self.signer.address()),
            to: entry.write.to,
            data: entry.write.data.clone(),
            value: entry.write.value,
            gas: Some(place.gas),
            max_fee: None,
            tip: None,
        };
        for at in [block, block.saturating_sub(1)] {
            match self.node.call(&call, At::Block(at)).await {
                Err(Error::Reverted { message, data }) => {
                    return Ok(Revert::from_answer(&data, &message));
                }
                // a node that does not keep old states has no more to say
                Ok(_) | Err(Error::Rpc { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Revert::Silent)
    }

    /// The nonce is used, and none of our hashes has a receipt.
    async fn used_without_receipt(
        &mut self,
        entry: &mut Entry,
        view: &View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        if now_ms < entry.retry_at_ms {
            return Ok(());
        }
        let Some(place) = entry.place.as_mut() else {
            return Ok(());
        };
        let since = *place.used_since_ms.get_or_insert(now_ms);
        let usage = self.find_usage(place, view).await?;
        let passed = now_ms.saturating_sub(since);
        let patience_ended = passed >= self.options.proof_ms;
        // as for receipts: a chain that makes no blocks settles by time
        let is_deep = |block: u64| {
            let depth = (view.head.number + 1).saturating_sub(block);
            depth >= self.options.confirmations || passed >= self.options.settle_ms
        };
        let by = match usage {
            Usage::Foreign { hash, block } if is_deep(block) => Some(hash),
            Usage::Unknown if patience_ended && entry.purpose.is_guarded() => None,
            Usage::Unknown if patience_ended => {
                let unknown = Outcome::Unknown {
                    nonce: place.nonce,
                    hashes: place.hashes.clone(),
                };
                entry.finish(unknown, Some(End::NonceTaken { by: None }));
                return Ok(());
            }
            Usage::Ours => {
                let pause = now_ms + SEARCH_PAUSE_MS;
                entry.wait(pause, "mined, but no end point gives the receipt yet");
                return Ok(());
            }
            Usage::Foreign { .. } => {
                entry.wait(
                    now_ms,
                    "another process used the nonce; its block must settle",
                );
                return Ok(());
            }
            Usage::Unknown => {
                let pause = now_ms + SEARCH_PAUSE_MS;
                entry.wait(pause, "the nonce is used, and no end point can say by what");
                return Ok(());
            }
        };
        self.lose_nonce(entry, by, now_ms).await
    }

    /// Another transaction has our nonce for good: the write starts again, unless nobody wants it any more.
    async fn lose_nonce(
        &mut self,
        entry: &mut Entry,
        by: Option<Hash>,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let Some(place) = entry.place.as_ref() else {
            return Ok(());
        };
        self.stolen += 1;
        tracing::warn!(
            purpose = %entry.purpose, nonce = place.nonce, by = ?by,
            "another process sends with this key: give each process a key of its own"
        );
        let end = End::NonceTaken { by };
        if entry.cancelling || matches!(entry.purpose, super::Purpose::FillNonce(_)) {
            entry.finish(Outcome::Cancelled(None), Some(end));
            return Ok(());
        }
        self.journal.close(place.nonce, &end).await?;
        entry.place = None;
        entry.wait(now_ms, "another process used the nonce; starting again");
        Ok(())
    }

    /// Finds the transaction that used a nonce: by halving, the first block after which the account's count is above
    /// it, and in that block the account's transaction.
    async fn find_usage(&self, place: &Place, view: &View) -> ChainResult<Usage> {
        let account = self.signer.address();
        let head = view.head.number;
        let used_at = async |block: u64| -> ChainResult<Option<bool>> {
            match self.node.transaction_count(account, At::Block(block)).await {
                Ok(count) => Ok(Some(count > place.nonce)),
                // no state of that block
                Err(Error::Rpc { .. } | Error::Decoding { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        // blocks up to `low` do not have it, `high` does
        let mut high = head;
        if used_at(high).await? != Some(true) {
            return Ok(Usage::Unknown);
        }
        let mut low = place
            .from_block
            .unwrap_or(head)
            .min(head)
            .saturating_sub(SEARCH_MARGIN);
        let mut width = SEARCH_MARGIN;
        loop {
            match used_at(low).await? {
                Some(false) => break,
                Some(true) if low > 0 => {
                    high = low;
                    width = width.saturating_mul(4);
                    low = low.saturating_sub(width);
                }
                _ => return Ok(Usage::Unknown),
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match used_at(middle).await? {
                Some(true) => high = middle,
                Some(false) => low = middle,
                None => return Ok(Usage::Unknown),
            }
        }
        let sent = self.node.transactions_of(account, high).await?;
        Ok(match sent.iter().find(|known| known.nonce == place.nonce) {
            Some(known) if place.hashes.contains(&known.hash) => Usage::Ours,
            Some(known) => Usage::Foreign {
                hash: known.hash,
                block: high,
            },
            None => Usage::Unknown,
        })
    }
}
