//! A chain in memory with one account, and a journal beside it. Both can die in the middle of anything.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use ethers::{types::transaction::eip2718::TypedTransaction, utils::rlp::Rlp};
use parking_lot::Mutex;
use protocol::{address::Address, signature::keccak256};

use super::super::*;
use crate::{
    Error, Result,
    fees::price_from_wire,
    signer::{Signer, tests::signer},
    types::{At, Call, Head, KnownTransaction, Receipt},
};

/// Gas of every transaction.
pub const GAS: u64 = 50_000;

#[derive(Clone)]
pub struct Tx {
    pub hash: Hash,
    pub nonce: u64,
    pub max_fee: u128,
    pub tip: u128,
    pub data: Vec<u8>,
    pub success: bool,
}

#[derive(Default)]
pub struct State {
    /// Hash and transactions of each block.
    pub blocks: Vec<(Hash, Vec<Tx>)>,
    /// Waiting, by nonce.
    pub pool: BTreeMap<u64, Tx>,
    pub base_fee: u128,
    /// Whether a replacement must raise the tip, as geth wants.
    pub strict_tip: bool,
    /// Whether what is below the base fee is refused, as nitro does.
    pub strict_fee: bool,
    pub down: bool,
    pub receipts_hidden: bool,
    /// No states of old blocks.
    pub pruned: bool,
    /// Blocks that the answers are behind.
    pub lag: usize,
    /// Call data that reverts, with the reason.
    pub reverts: BTreeMap<Vec<u8>, String>,
    /// Call data that passes its simulation and reverts in its block.
    pub betrays: BTreeMap<Vec<u8>, String>,
    /// Whether call data succeeds only once, as with tickets.
    pub guarded: bool,
    /// Answers to the next sends, in place of the pool's.
    pub refuse: Vec<String>,
    /// Whether the next send is lost on the way after it was taken.
    pub lose_answer: bool,
    /// Operations until the process dies, and whether the last one still takes effect.
    pub death: Option<(u32, bool)>,
    pub dead: bool,
    forks: u64,
    pub sends: usize,
}

enum Fate {
    Lives,
    DiesBefore,
    DiesAfter,
}

impl State {
    fn fate(&mut self) -> Fate {
        if self.dead {
            return Fate::DiesBefore;
        }
        match &mut self.death {
            Some((0, after)) => {
                let after = *after;
                self.death = None;
                self.dead = true;
                if after {
                    Fate::DiesAfter
                } else {
                    Fate::DiesBefore
                }
            }
            Some((left, _)) => {
                *left -= 1;
                Fate::Lives
            }
            None => Fate::Lives,
        }
    }

    fn push_block(&mut self, transactions: Vec<Tx>) {
        let number = self.blocks.len() as u64;
        let name = [number.to_be_bytes(), self.forks.to_be_bytes()].concat();
        self.blocks.push((Hash(keccak256(name)), transactions));
    }

    fn seen(&self) -> usize {
        self.blocks.len().saturating_sub(self.lag).max(1)
    }

    fn count(&self, blocks: usize) -> u64 {
        self.blocks
            .iter()
            .take(blocks)
            .map(|(_, txs)| txs.len() as u64)
            .sum()
    }

    fn has_succeeded(&self, data: &[u8]) -> bool {
        self.succeeded(data) > 0
    }

    /// How often call data succeeded in the chain as it is.
    pub fn succeeded(&self, data: &[u8]) -> usize {
        let all = self.blocks.iter().flat_map(|(_, txs)| txs);
        all.filter(|tx| tx.success && tx.data == data).count()
    }

    /// A block with all that can be mined.
    pub fn mine(&mut self) {
        let mut nonce = self.count(self.blocks.len());
        let mut included: Vec<Tx> = Vec::new();
        while let Some(tx) = self.pool.get(&nonce) {
            if tx.max_fee < self.base_fee {
                break;
            }
            let mut tx = tx.clone();
            let repeated = self.guarded
                && (self.has_succeeded(&tx.data)
                    || included.iter().any(|t| t.success && t.data == tx.data));
            tx.success =
                !(self.betrays.contains_key(&tx.data) || (repeated && !tx.data.is_empty()));
            included.push(tx);
            self.pool.remove(&nonce);
            nonce += 1;
        }
        self.push_block(included);
    }

    /// Another process with the same key gets a transaction mined under the next nonce.
    pub fn steal(&mut self) {
        let nonce = self.count(self.blocks.len());
        self.pool.remove(&nonce);
        let foreign = Tx {
            hash: Hash(keccak256(
                [
                    b"foreign".as_slice(),
                    &nonce.to_be_bytes(),
                    &self.forks.to_be_bytes(),
                ]
                .concat(),
            )),
            nonce,
            max_fee: u64::MAX.into(),
            tip: 0,
            data: b"foreign".to_vec(),
            success: true,
        };
        self.push_block(vec![foreign]);
    }

    /// The newest blocks are replaced by empty ones. What was in them waits again, or is lost.
    pub fn reorganise(&mut self, depth: usize, lose: bool) {
        self.forks += 1;
        let depth = depth.min(self.blocks.len() - 1);
        for _ in 0..depth {
            let Some((_, transactions)) = self.blocks.pop() else {
                break;
            };
            for tx in transactions {
                if !lose {
                    self.pool.entry(tx.nonce).or_insert(tx);
                }
            }
        }
        for _ in 0..depth {
            self.push_block(Vec::new());
        }
    }

    fn send(&mut self, raw: &[u8]) -> std::result::Result<Hash, String> {
        self.sends += 1;
        if !self.refuse.is_empty() {
            return Err(self.refuse.remove(0));
        }
        let (decoded, _) =
            TypedTransaction::decode_signed(&Rlp::new(raw)).map_err(|e| e.to_string())?;
        let TypedTransaction::Eip1559(inner) = &decoded else {
            return Err("transaction type not supported".into());
        };
        let tx = Tx {
            hash: Hash(keccak256(raw)),
            nonce: decoded.nonce().unwrap().as_u64(),
            max_fee: price_from_wire(inner.max_fee_per_gas.unwrap()),
            tip: price_from_wire(inner.max_priority_fee_per_gas.unwrap()),
            data: decoded.data().map(|d| d.to_vec()).unwrap_or_default(),
            success: true,
        };
        if tx.nonce < self.count(self.blocks.len()) {
            return Err("nonce too low".into());
        }
        if self.strict_fee && tx.max_fee < self.base_fee {
            return Err("max fee per gas less than block base fee".into());
        }
        if let Some(old) = self.pool.get(&tx.nonce) {
            if old.hash == tx.hash {
                return Err("already known".into());
            }
            let pays =
                tx.max_fee * 10 >= old.max_fee * 11 && (!self.strict_tip || tx.tip > old.tip);
            if !pays {
                return Err("replacement transaction underpriced".into());
            }
        }
        let hash = tx.hash;
        self.pool.insert(tx.nonce, tx);
        Ok(hash)
    }
}

#[derive(Clone)]
pub struct Sim(pub Arc<Mutex<State>>);

fn unavailable() -> Error {
    Error::Unavailable {
        method: "any".into(),
        failures: "down".into(),
    }
}

fn rpc(message: &str) -> Error {
    Error::Rpc {
        method: "any".into(),
        code: -32000,
        message: message.into(),
        data: String::new(),
    }
}

fn reverted(reason: &str) -> Error {
    Error::Reverted {
        message: format!("execution reverted: {reason}"),
        data: Vec::new(),
    }
}

impl Sim {
    pub fn new() -> Self {
        let mut state = State {
            base_fee: 100,
            ..State::default()
        };
        for _ in 0..200 {
            state.push_block(Vec::new());
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Runs `effect` unless the end points are down or the process is dead.
    fn ask<T>(&self, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.0.lock();
        let fate = state.fate();
        if state.down || matches!(fate, Fate::DiesBefore) {
            return Err(unavailable());
        }
        let answer = effect(&mut state);
        match fate {
            Fate::DiesAfter => Err(unavailable()),
            _ => answer,
        }
    }
}

#[async_trait]
impl TransactionNode for Sim {
    async fn chain_id(&self) -> Result<u64> {
        Ok(42161)
    }

    async fn head(&self) -> Result<Head> {
        self.ask(|state| {
            let number = state.seen() - 1;
            Ok(Head {
                number: number as u64,
                hash: state.blocks[number].0,
                parent: Hash::ZERO,
                l1_number: None,
                base_fee: Some(state.base_fee.into()),
                timestamp: 0,
                endpoint: "sim".into(),
            })
        })
    }

    async fn gas_price(&self) -> Result<U256> {
        self.ask(|state| Ok(state.base_fee.into()))
    }

    async fn max_priority_fee(&self) -> Result<Option<U256>> {
        self.ask(|_| Ok(Some(0.into())))
    }

    async fn call(&self, call: &Call, at: At) -> Result<Vec<u8>> {
        self.ask(|state| {
            if let (At::Block(_), true) = (at, state.pruned) {
                return Err(rpc("missing trie node"));
            }
            let reason = match at {
                At::Block(_) => state.betrays.get(&call.data),
                _ => state.reverts.get(&call.data),
            };
            if let Some(reason) = reason {
                return Err(reverted(reason));
            }
            if state.guarded && !call.data.is_empty() && state.has_succeeded(&call.data) {
                return Err(reverted("ticket is used"));
            }
            Ok(Vec::new())
        })
    }

    async fn estimate_gas(&self, _: &Call) -> Result<u64> {
        self.ask(|_| Ok(GAS))
    }

    async fn transaction_count(&self, _: Address, at: At) -> Result<u64> {
        self.ask(|state| match at {
            At::Latest => Ok(state.count(state.seen())),
            At::Pending => {
                let mut next = state.count(state.seen());
                while state.lag == 0 && state.pool.contains_key(&next) {
                    next += 1;
                }
                Ok(next)
            }
            At::Block(_) if state.pruned => Err(rpc("missing trie node")),
            At::Block(number) if number as usize >= state.seen() => Err(rpc("header not found")),
            At::Block(number) => Ok(state.count(number as usize + 1)),
        })
    }

    async fn send_raw(&self, transaction: &[u8]) -> Result<Hash> {
        self.ask(|state| {
            let answer = state.send(transaction);
            if std::mem::take(&mut state.lose_answer) {
                return Err(unavailable());
            }
            answer.map_err(|words| rpc(&words))
        })
    }

    async fn receipts(&self, transactions: &[Hash]) -> Result<Vec<Option<Receipt>>> {
        self.ask(|state| {
            let find = |wanted: &Hash| {
                let blocks = state.blocks.iter().enumerate().take(state.seen());
                let mut all =
                    blocks.flat_map(|(n, (hash, txs))| txs.iter().map(move |tx| (n, *hash, tx)));
                let (number, block_hash, tx) = all.find(|(_, _, tx)| tx.hash == *wanted)?;
                Some(Receipt {
                    transaction: tx.hash,
                    block: number as u64,
                    block_hash,
                    success: tx.success,
                    gas_used: GAS,
                    gas_price: 100.into(),
                    from: signer().address(),
                    logs: Vec::new(),
                })
            };
            let hidden = state.receipts_hidden;
            Ok(transactions
                .iter()
                .map(|hash| find(hash).filter(|_| !hidden))
                .collect())
        })
    }

    async fn transaction(&self, hash: Hash) -> Result<Option<KnownTransaction>> {
        self.ask(|state| {
            let waiting = state.pool.values().map(|tx| (None, tx));
            let blocks = state.blocks.iter().enumerate();
            let mined =
                blocks.flat_map(|(n, (_, txs))| txs.iter().map(move |tx| (Some(n as u64), tx)));
            let mut all = waiting.chain(mined);
            Ok(all
                .find(|(_, tx)| tx.hash == hash)
                .map(|(block, tx)| KnownTransaction {
                    hash,
                    from: signer().address(),
                    nonce: tx.nonce,
                    block,
                }))
        })
    }

    async fn transactions_of(&self, account: Address, block: u64) -> Result<Vec<KnownTransaction>> {
        self.ask(|state| {
            let found = state.blocks.get(block as usize);
            let known = |tx: &Tx| KnownTransaction {
                hash: tx.hash,
                from: account,
                nonce: tx.nonce,
                block: Some(block),
            };
            Ok(found.map_or_else(Vec::new, |(_, txs)| txs.iter().map(known).collect()))
        })
    }
}

/// A journal that dies with the process.
#[derive(Clone)]
pub struct SimJournal {
    inner: Arc<MemoryJournal>,
    sim: Sim,
}

impl SimJournal {
    async fn write<T>(
        &self,
        effect: impl Future<Output = std::result::Result<T, JournalError>>,
    ) -> std::result::Result<T, JournalError> {
        let fate = self.sim.0.lock().fate();
        match fate {
            Fate::DiesBefore => Err(JournalError::new("dead")),
            Fate::DiesAfter => {
                effect.await?;
                Err(JournalError::new("dead"))
            }
            Fate::Lives => effect.await,
        }
    }
}

#[async_trait]
impl TransactionJournal for SimJournal {
    async fn open_records(&self) -> std::result::Result<Vec<JournalRecord>, JournalError> {
        self.inner.open_records().await
    }

    async fn save(&self, record: &JournalRecord) -> std::result::Result<(), JournalError> {
        self.write(self.inner.save(record)).await
    }

    async fn close(&self, nonce: u64, end: &End) -> std::result::Result<(), JournalError> {
        self.write(self.inner.close(nonce, end)).await
    }

    async fn mined(&self, purpose: &Purpose) -> std::result::Result<Option<Hash>, JournalError> {
        self.inner.mined(purpose).await
    }
}

/// Queue, chain and clock.
pub struct Bench {
    pub sim: Sim,
    pub queue: TransactionQueue<Sim, SimJournal>,
    journal: SimJournal,
    options: Options,
    pub now_ms: u64,
}

/// Three confirmations; receipts never settle by time alone.
pub fn options() -> Options {
    Options {
        confirmations: 3,
        settle_ms: u64::MAX,
        ..Options::default()
    }
}

impl Bench {
    pub async fn new(options: Options) -> Self {
        let sim = Sim::new();
        let journal = SimJournal {
            inner: Arc::default(),
            sim: sim.clone(),
        };
        let queue = Self::open(&sim, &journal, options).await;
        Self {
            sim,
            queue,
            journal,
            options,
            now_ms: 1_000_000,
        }
    }

    async fn open(
        sim: &Sim,
        journal: &SimJournal,
        options: Options,
    ) -> TransactionQueue<Sim, SimJournal> {
        let signer: Signer = signer();
        TransactionQueue::open(sim.clone(), journal.clone(), signer, options)
            .await
            .unwrap()
    }

    pub fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.sim.0.lock())
    }

    /// The process dies if it has not yet, and starts again from its journal.
    pub async fn restart(&mut self) {
        self.state(|state| {
            state.dead = false;
            state.death = None;
        });
        self.queue = Self::open(&self.sim, &self.journal, self.options).await;
    }

    pub fn is_dead(&self) -> bool {
        self.sim.0.lock().dead
    }

    /// A step after a while. End points that are down are no failure of it.
    pub async fn step(&mut self, passed_ms: u64) {
        self.now_ms += passed_ms;
        let _ = self.queue.step(self.now_ms).await;
    }

    /// Blocks and steps until nothing is under way, as far as that is possible.
    pub async fn calm(&mut self, rounds: usize) {
        for _ in 0..rounds {
            if self.queue.is_idle() {
                return;
            }
            self.state(State::mine);
            self.step(20_000).await;
        }
    }

    pub async fn submit(&mut self, purpose: Purpose) -> Pending {
        self.queue.submit(request(purpose)).await.unwrap()
    }
}

/// A write whose call data is the purpose's text.
pub fn request(purpose: Purpose) -> Request {
    let write = Write {
        method: "test".into(),
        to: Address([5; 20]),
        data: data(&purpose),
        value: U256::zero(),
    };
    Request::new(purpose, write)
}

pub fn data(purpose: &Purpose) -> Vec<u8> {
    purpose.to_string().into_bytes()
}

pub fn redeem(byte: u8) -> Purpose {
    Purpose::Redeem(Hash([byte; 32]))
}

pub fn operator(text: &str) -> Purpose {
    Purpose::Operator(text.into())
}
