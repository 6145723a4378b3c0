//! From waiting to sent, and again: price, simulation, nonce, then replacement, cancellation, and nonces nobody owns.

use super::{
    Outcome, Progress, TransactionError, TransactionJournal, TransactionNode, TransactionQueue,
    answer::Answer,
    queue::{Core, Entry, Place, RETRY_PAUSE_MS, View},
};
use crate::{
    Error,
    calls::{self, Write},
    fees::Fees,
    revert::Revert,
    signer::Unsigned,
    types::{At, Call, U256},
};

/// Refusals by nodes in a row after which it is simulated again, and cancelled if it can no longer succeed.
const REFUSALS: u32 = 3;

/// Most hashes under one nonce.
const MAX_HASHES: usize = 64;

/// How long a nonce that was settled is remembered against end points that lag, ms.
const SETTLED_MEMORY_MS: u64 = 600_000;

/// Gas of a transfer; only a floor, since Arbitrum counts the L1 part in gas too.
const TRANSFER_GAS: u64 = 21_000;

impl<N: TransactionNode, J: TransactionJournal> TransactionQueue<N, J> {
    /// Keeps what was sent alive: hands it out again, replaces it, cancels it.
    pub(super) async fn push(
        &mut self,
        view: &mut View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        for entry in self.entries.values_mut() {
            let waits = entry.done.is_none()
                && entry.retry_at_ms <= now_ms
                && entry
                    .place
                    .as_ref()
                    .is_some_and(|place| place.seen.is_none() && place.nonce >= view.latest);
            if waits {
                let pushed = self.core.push_one(entry, view, now_ms).await;
                entry.tolerate(pushed, now_ms)?;
            }
        }
        Ok(())
    }

    /// Sends what waits, oldest first, as far as the bounds allow.
    pub(super) async fn launch(
        &mut self,
        view: &mut View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let waiting: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.place.is_none() && entry.done.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            let free = self.in_flight() < self.core.options.max_in_flight;
            let nonce = self.next_nonce(view, now_ms);
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            if entry.cancelling {
                entry.finish(Outcome::Cancelled(None), None);
            } else if entry.valid_until_ms.is_some_and(|until| until < now_ms) {
                entry.finish(Outcome::Expired, None);
            } else if free && entry.retry_at_ms <= now_ms {
                let launched = self.core.launch_one(entry, nonce, view, now_ms).await;
                entry.tolerate(launched, now_ms)?;
            }
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        let sent = self.entries.values().filter(|entry| entry.place.is_some());
        sent.count()
    }

    /// A nonce that neither the node nor this queue has given away.
    fn next_nonce(&self, view: &View, now_ms: u64) -> u64 {
        let own = self
            .entries
            .values()
            .filter_map(|entry| entry.place.as_ref())
            .map(|place| place.nonce + 1)
            .max();
        let settled = self
            .core
            .settled
            .filter(|(_, then)| now_ms.saturating_sub(*then) < SETTLED_MEMORY_MS)
            .map(|(next, _)| next);
        view.pending.max(own.unwrap_or(0)).max(settled.unwrap_or(0))
    }

    /// A nonce below ours that no transaction has holds ours up. It is left over by another process whose transaction
    /// was dropped, or by a lost journal. After a while it is filled.
    pub(super) async fn fill_gap(
        &mut self,
        view: &mut View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let owned = |nonce: u64| {
            self.entries
                .values()
                .filter_map(|entry| entry.place.as_ref())
                .any(|place| place.nonce == nonce)
        };
        let lowest = self
            .entries
            .values()
            .filter_map(|entry| entry.place.as_ref())
            .filter(|place| place.seen.is_none())
            .map(|place| place.nonce)
            .min();
        let missing = view.pending;
        let is_gap = lowest.is_some() && !owned(missing) && self.holds_up(missing);
        if !is_gap {
            self.gap = None;
            return Ok(());
        }
        let since = match self.gap {
            Some((nonce, since)) if nonce == missing => since,
            _ => now_ms,
        };
        self.gap = Some((missing, since));
        if now_ms.saturating_sub(since) < self.core.options.gap_ms {
            return Ok(());
        }
        tracing::warn!(
            nonce = missing,
            "no transaction has this nonce, and later ones wait for it: filling it"
        );
        let id = self.insert_filler(missing);
        let Some(entry) = self.entries.get_mut(&id) else {
            return Ok(());
        };
        let launched = self.core.launch_one(entry, missing, view, now_ms).await;
        let tolerated = entry.tolerate(launched, now_ms);
        if entry.place.is_none() {
            // not now: a filler that waits would be launched under another nonce
            self.entries.remove(&id);
        }
        self.gap = None;
        tolerated
    }

    /// Whether something of ours waits behind `nonce`.
    fn holds_up(&self, nonce: u64) -> bool {
        self.entries
            .values()
            .filter_map(|entry| entry.place.as_ref())
            .any(|place| place.nonce > nonce)
    }
}

impl<N: TransactionNode, J: TransactionJournal> Core<N, J> {
    /// Price, simulation, limit, then the first transaction under `nonce`.
    async fn launch_one(
        &mut self,
        entry: &mut Entry,
        nonce: u64,
        view: &mut View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let market = self.market(view).await?;
        let fees = match entry.bounds(self.options.bounds).quote(&market) {
            Ok(fees) => fees,
            Err(above) => {
                entry.wait(now_ms, above.to_string());
                return Ok(());
            }
        };
        match self.simulate(&entry.write).await? {
            Simulated::Passes => {}
            Simulated::Reverts(revert) => {
                entry.finish(Outcome::Refused(revert), None);
                return Ok(());
            }
            Simulated::Funds(words) => {
                entry.wait(now_ms + RETRY_PAUSE_MS, words);
                return Ok(());
            }
        }
        let Some(estimate) = self.estimate(entry, fees, now_ms).await? else {
            return Ok(());
        };
        let gas = match self.options.gas_limit {
            Some(limit) => limit,
            None => self.history.limit(entry.write.selector(), estimate),
        };
        entry.place = Some(Place {
            nonce,
            hashes: Vec::new(),
            first_cancel: None,
            raw: Vec::new(),
            fees,
            gas,
            estimate: Some(estimate),
            from_block: Some(view.head.number),
            sent_ms: now_ms,
            offered_ms: now_ms,
            accepted: false,
            too_cheap: false,
            refusals: 0,
            seen: None,
            used_since_ms: None,
        });
        let sent = self.sign_and_send(entry, fees, false, now_ms).await;
        if sent.is_err()
            && entry
                .place
                .as_ref()
                .is_some_and(|place| place.hashes.is_empty())
        {
            // the journal has nothing of it and nothing left, so the nonce is free
            entry.place = None;
        }
        sent
    }

    /// Whether the write would go through now, with what waits before it.
    async fn simulate(&self, write: &Write) -> Result<Simulated, TransactionError> {
        let call = self.call_of(write);
        let mut answer = self.node.call(&call, At::Pending).await;
        if let Err(Error::Rpc { message, .. }) = &answer
            && message.to_lowercase().contains("pending")
        {
            answer = self.node.call(&call, At::Latest).await;
        }
        match answer {
            Ok(_) => Ok(Simulated::Passes),
            Err(Error::Reverted { message, data }) => {
                Ok(Simulated::Reverts(Revert::from_answer(&data, &message)))
            }
            Err(Error::Rpc { message, .. }) if is_about_funds(&message) => {
                Ok(Simulated::Funds(message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gas for a write that passed its simulation; `None` when it waits for something.
    async fn estimate(
        &self,
        entry: &mut Entry,
        fees: Fees,
        now_ms: u64,
    ) -> Result<Option<u64>, TransactionError> {
        if let Some(limit) = self.options.gas_limit {
            return Ok(Some(limit));
        }
        let mut call = self.call_of(&entry.write);
        // with fees the node also checks that the account can pay
        if let Fees::Dynamic { max_fee, tip } = fees {
            call.max_fee = Some(U256::from(max_fee));
            call.tip = Some(U256::from(tip));
        }
        match self.node.estimate_gas(&call).await {
            Ok(estimate) => Ok(Some(estimate.max(TRANSFER_GAS))),
            // it passed with what waits; without, it may need a transaction of ours that is not mined yet
            Err(Error::Reverted { message, data }) => {
                let revert = Revert::from_answer(&data, &message);
                entry.wait(
                    now_ms + RETRY_PAUSE_MS,
                    format!("passes only once what was sent before is mined: {revert}"),
                );
                Ok(None)
            }
            Err(Error::Rpc { message, .. }) if is_about_funds(&message) => {
                entry.wait(now_ms + RETRY_PAUSE_MS, message);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn call_of(&self, write: &Write) -> Call {
        Call {
            from: Some(self.signer.address()),
            to: write.to,
            data: write.data.clone(),
            value: write.value,
            gas: self.options.gas_limit,
            max_fee: None,
            tip: None,
        }
    }

    /// One that was sent and is not in a block.
    async fn push_one(
        &mut self,
        entry: &mut Entry,
        view: &mut View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let Some(place) = entry.place.as_ref() else {
            return Ok(());
        };
        if entry.cancelling && place.first_cancel.is_none() {
            return self.replace(entry, true, view, now_ms).await;
        }
        if place.refusals >= REFUSALS && !place.accepted && !entry.cancelling {
            let hopeless = matches!(self.simulate(&entry.write).await?, Simulated::Reverts(_));
            if hopeless {
                entry.cancelling = true;
                return self.replace(entry, true, view, now_ms).await;
            }
        }
        let due = now_ms.saturating_sub(place.sent_ms) >= self.options.timeout_ms;
        if place.too_cheap || due {
            let base_fee = self.market(view).await?.base_fee.unwrap_or(0);
            let outpriced = place.too_cheap || place.fees.ceiling() < base_fee;
            let cancels = place.first_cancel.is_some();
            let allowed =
                outpriced || cancels || place.replacements() < self.options.max_replacements;
            if allowed && place.hashes.len() < MAX_HASHES {
                return self.replace(entry, cancels, view, now_ms).await;
            }
        }
        if now_ms.saturating_sub(place.offered_ms) < self.options.resend_ms && place.accepted {
            return Ok(());
        }
        let newest = place.hashes.last().copied().unwrap_or_default();
        let known = self.node.transaction(newest).await?.is_some();
        if known && let Some(place) = entry.place.as_mut() {
            place.accepted = true;
            place.offered_ms = now_ms;
            return Ok(());
        }
        self.offer(entry, now_ms).await
    }

    /// Another transaction in place of the newest: the same write, or nothing at all.
    async fn replace(
        &mut self,
        entry: &mut Entry,
        cancel: bool,
        view: &mut View,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let market = self.market(view).await?;
        let Some(place) = entry.place.as_ref() else {
            return Ok(());
        };
        let bounds = entry.bounds(self.options.bounds);
        match bounds.replacement(place.fees, &market, place.too_cheap) {
            Ok(fees) => {
                if cancel {
                    self.prepare_cancellation(entry).await?;
                }
                self.sign_and_send(entry, fees, cancel, now_ms).await
            }
            Err(above) => {
                entry.wait(now_ms + RETRY_PAUSE_MS, above.to_string());
                Ok(())
            }
        }
    }

    /// Gas limit of a transaction that does nothing.
    async fn prepare_cancellation(&mut self, entry: &mut Entry) -> Result<(), TransactionError> {
        let nothing = self.call_of(&calls::nothing(self.signer.address()));
        let gas = self.node.estimate_gas(&nothing).await?.max(TRANSFER_GAS);
        if let Some(place) = entry.place.as_mut() {
            place.gas = self.history.limit([0; 4], gas);
            place.estimate = None;
        }
        Ok(())
    }

    /// Signs, writes into the journal, sends.
    async fn sign_and_send(
        &mut self,
        entry: &mut Entry,
        fees: Fees,
        cancel: bool,
        now_ms: u64,
    ) -> Result<(), TransactionError> {
        let account = self.signer.address();
        let Some(place) = entry.place.as_mut() else {
            return Ok(());
        };
        let nothing = calls::nothing(account);
        let write = if cancel { &nothing } else { &entry.write };
        let signed = self.signer.sign_transaction(&Unsigned {
            chain_id: self.chain_id,
            nonce: place.nonce,
            gas: place.gas,
            fees,
            to: write.to,
            value: write.value,
            data: write.data.clone(),
        });
        let mut record = place.record(&entry.purpose);
        if !record.hashes.contains(&signed.hash) {
            record.hashes.push(signed.hash);
        }
        if cancel && record.first_cancel.is_none() {
            record.first_cancel = Some(record.hashes.len() - 1);
        }
        record.raw.clone_from(&signed.raw);
        self.journal.save(&record).await?;

        let first = place.hashes.is_empty();
        place.hashes = record.hashes;
        place.first_cancel = record.first_cancel;
        place.raw = record.raw;
        place.fees = fees;
        place.sent_ms = now_ms;
        place.too_cheap = false;
        let progress = Progress::Sent {
            nonce: place.nonce,
            hashes: place.hashes.clone(),
        };
        tracing::info!(
            purpose = %entry.purpose, method = %write.method, nonce = place.nonce, hash = %signed.hash, ?fees,
            gas = place.gas, "{}", if first { "invoking transaction" } else { "replacement transaction" }
        );
        entry.note = None;
        entry.tell(progress);
        self.offer(entry, now_ms).await
    }

    /// Hands the newest to a node.
    async fn offer(&mut self, entry: &mut Entry, now_ms: u64) -> Result<(), TransactionError> {
        let Some(place) = entry.place.as_mut() else {
            return Ok(());
        };
        place.offered_ms = now_ms;
        let answer = Answer::read(&self.node.send_raw(&place.raw).await);
        if !matches!(answer, Answer::Refused(_)) {
            place.refusals = 0;
        }
        let later = now_ms + RETRY_PAUSE_MS;
        match answer {
            Answer::Accepted => {
                place.accepted = true;
                entry.note = None;
            }
            // the next look finds the receipt, or what else used the nonce
            Answer::NonceUsed => entry.wait(now_ms, "the nonce is used already"),
            Answer::Outbid if place.accepted || place.hashes.len() > 1 => {
                place.too_cheap = true;
                entry.wait(now_ms, "the node wants a higher price for a replacement");
            }
            Answer::Outbid => {
                entry.wait(later, "another process has a transaction with this nonce");
            }
            Answer::TooCheap => {
                place.too_cheap = true;
                entry.wait(now_ms, "the node wants a higher price");
            }
            Answer::Funds(words) => entry.wait(later, words),
            Answer::Refused(words) => {
                place.refusals += 1;
                entry.wait(later, words);
            }
            Answer::Unsure(words) => entry.wait(later, words),
        }
        Ok(())
    }
}

/// What a simulation says.
enum Simulated {
    Passes,
    Reverts(Revert),
    Funds(String),
}

fn is_about_funds(message: &str) -> bool {
    let lower = message.to_lowercase();
    lower.contains("insufficient funds") || lower.contains("exceeds allowance")
}
