//! A chain in memory for tests of whoever stands on this crate: the protocol's contracts as far as an orchestrator meets
//! them, blocks that can be taken back, a pool of transactions, and faults to order.
//!
//! The rules are those of the contracts; figures are small. Every transaction uses [`GAS`]. A round is
//! [`World::round_length`] L1 blocks, and round n begins at L1 block n × length.

mod client;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::address::Address;
use protocol::money::WinningTicket;
use protocol::signature::keccak256;

use crate::contracts::{ContractName, Contracts};
use crate::types::{Hash, Log, U256};

/// Gas of every transaction.
pub const GAS: u64 = 50_000;
/// Id of the chain.
pub const CHAIN_ID: u64 = 412_346;

/// An orchestrator.
#[derive(Debug, Clone, Default)]
pub struct Orchestrator {
    /// Bonded, base units of LPT.
    pub stake: U256,
    /// In the active set.
    pub active: bool,
    /// Last round whose reward was called.
    pub last_reward_round: u64,
    /// Who else may call reward.
    pub reward_caller: Option<Address>,
    /// Wei that tickets have paid it.
    pub fees: U256,
}

/// A sender of tickets.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// Wei.
    pub deposit: U256,
    /// Wei left.
    pub reserve: U256,
    /// Round in which it may withdraw; 0 for never.
    pub withdraw_round: u64,
    /// Round of the claims.
    pub claim_round: u64,
    /// Drawn from the reserve in that round, by recipient.
    pub claimed: BTreeMap<Address, U256>,
}

/// The state after a block.
#[derive(Debug, Clone)]
pub struct World {
    /// L1 block.
    pub l1_block: u64,
    /// L1 blocks per round.
    pub round_length: u64,
    /// Last round that was initialised.
    pub last_initialized: u64,
    /// Rounds of a ticket's life.
    pub validity: u64,
    /// Orchestrators.
    pub orchestrators: BTreeMap<Address, Orchestrator>,
    /// Senders.
    pub senders: BTreeMap<Address, Sender>,
    /// Tickets that were redeemed, and what they paid.
    pub redeemed: BTreeMap<Hash, U256>,
    /// Rounds whose reward was called.
    pub rewards: BTreeSet<(Address, u64)>,
    /// Next nonce of each account.
    pub nonces: BTreeMap<Address, u64>,
    /// Wei of each account.
    pub balances: BTreeMap<Address, U256>,
}

impl World {
    /// Round by height.
    pub fn round(&self) -> u64 {
        self.l1_block / self.round_length
    }

    /// Whether the current round is initialised.
    pub fn is_initialized(&self) -> bool {
        self.last_initialized == self.round()
    }

    /// Hash that the contract keeps of a round.
    pub fn round_hash(round: u64) -> Hash {
        Hash(keccak256(round.to_be_bytes()))
    }

    /// Members of the active set.
    pub fn pool_size(&self) -> u64 {
        self.orchestrators.values().filter(|o| o.active).count() as u64
    }

    /// What a recipient may still draw from a sender's reserve, wei.
    pub fn claimable(&self, sender: Address, recipient: Address) -> U256 {
        let active = self.orchestrators.get(&recipient).is_some_and(|o| o.active);
        let Some(sender) = self.senders.get(&sender).filter(|_| active) else {
            return U256::zero();
        };
        let (all, own) = sender.claims(self.round(), recipient);
        let share = (sender.reserve + all) / U256::from(self.pool_size().max(1));
        share.saturating_sub(own)
    }
}

impl Sender {
    /// Drawn in `round` by all, and by `recipient`.
    pub fn claims(&self, round: u64, recipient: Address) -> (U256, U256) {
        if self.claim_round != round {
            return Default::default();
        }
        let all = self
            .claimed
            .values()
            .fold(U256::zero(), |sum, wei| sum + wei);
        let own = self.claimed.get(&recipient).copied();
        (all, own.unwrap_or_default())
    }
}

/// A transaction.
#[derive(Debug, Clone)]
pub struct Tx {
    /// Its hash.
    pub hash: Hash,
    /// Who signed it.
    pub from: Address,
    /// Its nonce.
    pub nonce: u64,
    /// Most it pays per gas, wei.
    pub max_fee: u128,
    /// Contract.
    pub to: Address,
    /// Call data.
    pub data: Vec<u8>,
}

/// A transaction in a block.
#[derive(Debug, Clone)]
pub struct MinedTx {
    /// The transaction.
    pub tx: Tx,
    /// Whether it did not revert.
    pub success: bool,
    /// Price paid, wei per gas.
    pub price: u128,
    /// What it wrote.
    pub logs: Vec<Log>,
}

/// A block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its hash.
    pub hash: Hash,
    /// Its transactions.
    pub transactions: Vec<MinedTx>,
    /// The state after it.
    pub world: World,
}

/// Faults that tests order.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// No end point answers.
    pub down: bool,
    /// Receipts are not given.
    pub receipts_hidden: bool,
    /// Every second answer is so many blocks behind, as from another end point.
    pub lag: usize,
    /// Tickets whose next transactions revert in their block though the simulation passes, and how many.
    pub betrayed: BTreeMap<Hash, u32>,
    /// Tickets that the contract refuses, with its words.
    pub poisoned: BTreeMap<Hash, String>,
    /// The answer to the next send is lost after the transaction was taken.
    pub lose_answer: bool,
    /// Waiting transactions are not mined.
    pub stalled: bool,
}

/// The chain, its pool and its faults.
#[derive(Debug)]
pub struct State {
    /// From the first to the head.
    pub blocks: Vec<Block>,
    /// Waiting, by account and nonce.
    pub pool: BTreeMap<(Address, u64), Tx>,
    /// Wei per gas.
    pub base_fee: u128,
    /// Whether deposit and reserve together must cover a face value, as the contract asks since mid 2026.
    pub strict_funds: bool,
    /// What goes wrong.
    pub faults: Faults,
    /// Questions asked, by method.
    pub asked: BTreeMap<&'static str, u64>,
    contracts: Contracts,
    forks: u64,
    answers: u64,
}

/// A handle of the chain; clones share it.
#[derive(Debug, Clone)]
pub struct FakeChain(Arc<Mutex<State>>);

fn contract(name: ContractName) -> Address {
    let mut address = [0xc0; 20];
    address[19] = name.id().0[0];
    Address(address)
}

impl Default for FakeChain {
    fn default() -> Self {
        Self::new(100)
    }
}

impl FakeChain {
    /// A chain at the beginning of round 10, with rounds of so many L1 blocks.
    pub fn new(round_length: u64) -> Self {
        let mut contracts = Contracts::new(Address([0xcc; 20]), None);
        for name in ContractName::ALL {
            contracts.set(name, contract(name));
        }
        let world = World {
            l1_block: 10 * round_length,
            round_length,
            last_initialized: 10,
            validity: 2,
            orchestrators: BTreeMap::new(),
            senders: BTreeMap::new(),
            redeemed: BTreeMap::new(),
            rewards: BTreeSet::new(),
            nonces: BTreeMap::new(),
            balances: BTreeMap::new(),
        };
        let mut state = State {
            blocks: Vec::new(),
            pool: BTreeMap::new(),
            base_fee: 1,
            strict_funds: false,
            faults: Faults::default(),
            asked: BTreeMap::new(),
            contracts,
            forks: 0,
            answers: 0,
        };
        for _ in 0..100 {
            state.push_block(world.clone(), Vec::new());
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Looks at the state, or changes it.
    pub fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock())
    }

    /// Changes the state of every block, as if it had always been so.
    pub fn set(&self, mut change: impl FnMut(&mut World)) {
        self.with(|state| {
            for block in &mut state.blocks {
                change(&mut block.world);
            }
        });
    }

    /// The state of the newest block.
    pub fn world(&self) -> World {
        self.with(|state| state.world().clone())
    }

    /// A block with all that can be mined; L1 moves on by `l1_blocks`.
    pub fn mine(&self, l1_blocks: u64) {
        self.with(|state| state.mine(l1_blocks));
    }

    /// Takes the newest blocks back; empty ones take their place. What was in them waits again, or is lost.
    pub fn reorganise(&self, depth: usize, lose: bool) {
        self.with(|state| state.reorganise(depth, lose));
    }

    /// Starts the current round, as another node would.
    pub fn initialize_round(&self) {
        self.with(|state| {
            let block = state.blocks.last_mut().expect("there is a block");
            block.world.last_initialized = block.world.round();
        });
    }

    /// Another account redeems a ticket in the next block.
    pub fn redeem_as(&self, account: Address, ticket: &WinningTicket) -> Hash {
        self.with(|state| {
            let write = crate::calls::redeem_winning_ticket(&state.contracts, ticket)
                .expect("the broker is known");
            let nonce = state.pending_nonce(account);
            let name = [&account.0[..], &nonce.to_be_bytes(), &write.data].concat();
            let hash = Hash(keccak256(name));
            let tx = Tx {
                hash,
                from: account,
                nonce,
                max_fee: u128::MAX,
                to: write.to,
                data: write.data,
            };
            state.pool.insert((account, nonce), tx);
            hash
        })
    }

    /// Another process with the key of `account` gets a transaction of its own into the next block.
    pub fn steal_nonce(&self, account: Address) {
        self.with(|state| {
            let nonce = state.world().nonces.get(&account).copied().unwrap_or(0);
            let name = [b"foreign", &account.0[..], &nonce.to_be_bytes()].concat();
            let tx = Tx {
                hash: Hash(keccak256(name)),
                from: account,
                nonce,
                max_fee: u128::MAX,
                to: account,
                data: Vec::new(),
            };
            state.pool.insert((account, nonce), tx);
        });
    }
}

impl State {
    /// The state of the newest block.
    pub fn world(&self) -> &World {
        &self.blocks.last().expect("there is a block").world
    }

    fn push_block(&mut self, world: World, transactions: Vec<MinedTx>) {
        let number = self.blocks.len() as u64;
        let hash = Hash(keccak256(
            [number.to_be_bytes(), self.forks.to_be_bytes()].concat(),
        ));
        let mut transactions = transactions;
        let logs = transactions.iter_mut().flat_map(|mined| &mut mined.logs);
        for (index, log) in (0..).zip(logs) {
            (log.block, log.block_hash, log.index) = (number, hash, index);
        }
        self.blocks.push(Block {
            hash,
            transactions,
            world,
        });
    }

    fn pending_nonce(&self, account: Address) -> u64 {
        let mut nonce = self.world().nonces.get(&account).copied().unwrap_or(0);
        while self.pool.contains_key(&(account, nonce)) {
            nonce += 1;
        }
        nonce
    }

    fn mine(&mut self, l1_blocks: u64) {
        let mut world = self.world().clone();
        world.l1_block += l1_blocks;
        let mut mined = Vec::new();
        let waiting: Vec<_> = self.pool.keys().copied().collect();
        for (account, nonce) in waiting {
            let next = world.nonces.get(&account).copied().unwrap_or(0);
            if self.faults.stalled || nonce > next {
                continue;
            }
            let Some(tx) = self.pool.get(&(account, nonce)).cloned() else {
                continue;
            };
            if nonce < next {
                self.pool.remove(&(account, nonce));
                continue;
            }
            if tx.max_fee < self.base_fee {
                continue;
            }
            self.pool.remove(&(account, nonce));
            world.nonces.insert(account, nonce + 1);
            let price = self.base_fee;
            let cost = U256::from(price) * U256::from(GAS);
            let balance = world.balances.entry(account).or_default();
            *balance = balance.saturating_sub(cost);
            let (success, logs) = match self.execute(&mut world, &tx, true) {
                Ok(logs) => (true, logs),
                Err(_) => (false, Vec::new()),
            };
            mined.push(MinedTx {
                tx,
                success,
                price,
                logs,
            });
        }
        self.push_block(world, mined);
    }

    fn reorganise(&mut self, depth: usize, lose: bool) {
        self.forks += 1;
        let depth = depth.min(self.blocks.len() - 1);
        let l1_block = self.world().l1_block;
        for _ in 0..depth {
            let Some(block) = self.blocks.pop() else {
                break;
            };
            for mined in block.transactions {
                if !lose {
                    let place = (mined.tx.from, mined.tx.nonce);
                    self.pool.entry(place).or_insert(mined.tx);
                }
            }
        }
        let base = self.world().clone();
        for left in (0..depth).rev() {
            let mut world = base.clone();
            if left == 0 {
                world.l1_block = l1_block;
            }
            self.push_block(world, Vec::new());
        }
    }
}
