//! Chain, ledger, queue, watcher, tracker and redeemer, moved on by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chain::fees::PriceBounds;
use chain::testing::{FakeChain, Orchestrator, Sender, World};
use chain::transactions::Options;
use chain::watcher::{ChainEvent, WatchOptions, Watcher};
use ledger::{Ledger, State, StoredTicket, TicketFilter};
use protocol::address::Address;
use protocol::money::{ExpirationParams, RecipientRand, Ticket, U256, WinningTicket};
use protocol::signature::Hash;
use tokio::sync::mpsc;

use super::super::*;
use crate::duty::Duty;
use crate::round_tracker::{RoundTracker, RoundTrackerParts};
use crate::sender_monitor::Senders;
use crate::supervisor::AddrCell;
pub(super) use crate::test_queue::account;
use crate::test_queue::{self, DrivenQueue, key};

/// Wei of gas and price that a redemption costs on the chain in memory.
pub const COST: u64 = chain::testing::GAS;
/// A face value for which that is little.
pub const FACE: u64 = 10_000_000;
/// Ms between two ticks: a block of L1.
const TICK_MS: u64 = 12_000;

/// Whom tickets pay.
pub const RECIPIENT: Address = Address([0xee; 20]);

/// What runs in the node's process.
struct Process {
    queue: DrivenQueue,
    redeemer: Redeemer,
    tracker: RoundTracker,
    watcher: Watcher,
    events: mpsc::Receiver<ChainEvent>,
}

/// See the module.
pub struct Bench {
    pub chain: FakeChain,
    pub ledger: Ledger,
    pub options: RedeemerOptions,
    pub bounds: PriceBounds,
    pub confirmations: u64,
    pub state: Fact<RedeemerState>,
    pub rounds: Fact<Rounds>,
    /// What floats are told, with nobody who reads the chain for them.
    pub senders: Senders,
    process: Option<Process>,
    now_ms: Arc<AtomicU64>,
    serial: u64,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// A chain with one orchestrator of two, and a rich sender.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = test_queue::ledger(&dir);
        let chain = FakeChain::new(100);
        chain.set(|world| {
            for orchestrator in [RECIPIENT, Address([0xdd; 20])] {
                let active = Orchestrator {
                    stake: 1000.into(),
                    active: true,
                    ..Orchestrator::default()
                };
                world.orchestrators.insert(orchestrator, active);
            }
            world.balances.insert(account(), U256::exp10(18));
        });
        let mut options = RedeemerOptions::new(RECIPIENT, Policy::default(), COST);
        options.settle_blocks = 8;
        options.max_in_flight = 4;
        options.figures_every = Duration::ZERO;
        let bench = Self {
            chain,
            ledger,
            options,
            bounds: PriceBounds::default(),
            confirmations: 1,
            state: Fact::default(),
            senders: Senders::new(AddrCell::default(), crate::test_metrics()),
            rounds: Fact::default(),
            process: None,
            now_ms: Arc::new(AtomicU64::new(1_000_000)),
            serial: 0,
            _dir: dir,
        };
        bench.fund(1, u64::MAX, 0);
        bench
    }

    /// Gives sender `who` exactly this much.
    pub fn fund(&self, who: u8, deposit: u64, reserve: u64) {
        let funds = Sender {
            deposit: deposit.into(),
            reserve: reserve.into(),
            ..Sender::default()
        };
        self.chain
            .set(|world| drop(world.senders.insert(sender(who), funds.clone())));
    }

    async fn start(&self) -> Process {
        let client = Arc::new(self.chain.clone());
        let options = Options {
            bounds: self.bounds,
            confirmations: self.confirmations,
            ..Options::default()
        };
        let queue = DrivenQueue::open(&self.chain, &self.ledger, options).await;
        let metrics = crate::test_metrics();
        let (sender, events) = mpsc::channel(10_000);
        let cursor = self.ledger.block_cursor().await.unwrap();
        let from = cursor.map(|header| chain::watcher::BlockRef {
            number: header.number,
            hash: chain::Hash(header.hash),
        });
        let watcher = Watcher::new(
            client.clone(),
            WatchOptions::default(),
            from,
            metrics.chain.clone(),
            sender,
        );
        let tracker = RoundTracker::new(RoundTrackerParts {
            client: client.clone(),
            ledger: self.ledger.clone(),
            recipient: RECIPIENT,
            rounds: self.rounds.clone(),
            metrics: metrics.rounds.clone(),
        });
        let now_ms = Arc::clone(&self.now_ms);
        let parts = RedeemerParts {
            client,
            transactions: Arc::new(queue.clone()),
            ledger: self.ledger.clone(),
            rounds: self.rounds.clone(),
            gas: Fact::default(),
            state: self.state.clone(),
            senders: Some(self.senders.clone()),
            metrics: metrics.redemption.clone(),
            bell: Bell::default(),
            now_ms: Arc::new(move || now_ms.load(Ordering::Relaxed)),
        };
        Process {
            queue,
            redeemer: Redeemer::new(self.options, parts),
            tracker,
            watcher,
            events,
        }
    }

    /// The process dies; the next tick starts another one.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The redeemer, to be asked.
    pub fn redeemer(&mut self) -> &mut Redeemer {
        &mut self.process.as_mut().unwrap().redeemer
    }

    /// Looks of everybody, without a new block.
    pub async fn look(&mut self) {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start().await,
        };
        let now_ms = self.now_ms.fetch_add(TICK_MS, Ordering::Relaxed) + TICK_MS;
        // an end point that is down is no failure of the test
        drop(process.watcher.poll().await);
        while let Ok(event) = process.events.try_recv() {
            if let ChainEvent::Block(block) = &event {
                let header = ledger::BlockHeader {
                    number: block.number,
                    parent: [0; 32],
                    hash: block.hash.0,
                };
                self.ledger.set_block_cursor(header, None).await.unwrap();
            }
            let news = ChainNews(Arc::new(event));
            process.tracker.take(news.clone().into());
            process.redeemer.take(news.into());
        }
        process.tracker.look().await;
        process.redeemer.look().await;
        process.queue.step(now_ms).await;
        self.process = Some(process);
    }

    /// A block of L2 and of L1, then looks.
    pub async fn tick(&mut self) {
        self.chain.mine(1);
        self.look().await;
    }

    /// Ticks, and other nodes start rounds.
    pub async fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.chain.mine(1);
            if !self.chain.world().is_initialized() {
                self.chain.initialize_round();
            }
            self.look().await;
        }
    }

    /// Ticks until nothing is left to do.
    pub async fn finish(&mut self) {
        for _ in 0..400 {
            let left = self.open().await;
            if left.is_empty() {
                return;
            }
            self.ticks(1).await;
        }
        panic!("never done: {:?}", self.open().await);
    }

    /// A winner of sender `who` for this round.
    pub fn winner(&mut self, who: u8, face: u64) -> WinningTicket {
        self.serial += 1;
        let mut rand = [7; 32];
        rand[..8].copy_from_slice(&self.serial.to_be_bytes());
        let recipient_rand = RecipientRand::from_bytes(rand);
        let world = self.chain.world();
        let ticket = Ticket {
            recipient: RECIPIENT,
            sender: sender(who),
            face_value: face.into(),
            win_prob: U256::MAX,
            nonce: self.serial as u32,
            recipient_rand_hash: recipient_rand.hash(),
            expiration: ExpirationParams {
                creation_round: world.last_initialized,
                creation_round_block_hash: World::round_hash(world.last_initialized).0,
            },
        };
        WinningTicket {
            sig: ticket.sign(&key(100 + who)),
            ticket,
            recipient_rand,
            expiration_block: world.l1_block + 2,
        }
    }

    /// Stores a winner of sender `who`.
    pub async fn win(&mut self, who: u8, face: u64) -> WinningTicket {
        let winner = self.winner(who, face);
        self.ledger.add_winners(vec![winner]).await.unwrap();
        winner
    }

    /// A ticket as the ledger has it.
    pub async fn ticket(&self, winner: &WinningTicket) -> StoredTicket {
        self.ledger.ticket(winner.ticket.hash()).await.unwrap()
    }

    /// Its state.
    pub async fn state_of(&self, winner: &WinningTicket) -> State {
        self.ticket(winner).await.state.name()
    }

    /// Why it is put off.
    pub async fn deferral(&self, winner: &WinningTicket) -> Option<ledger::ticket::Deferral> {
        match self.ticket(winner).await.state {
            ledger::TicketState::Deferred { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Everything that is not done.
    pub async fn open(&self) -> Vec<StoredTicket> {
        let page = self.ledger.tickets(TicketFilter::unfinished()).await;
        page.unwrap().tickets
    }

    /// Every ticket there is.
    pub async fn all(&self) -> Vec<StoredTicket> {
        let filter = TicketFilter::default();
        self.ledger.tickets(filter).await.unwrap().tickets
    }

    /// Transactions of the node's account that are in blocks, and how many of them failed.
    pub fn mined(&self) -> (usize, usize) {
        self.chain.with(|state| {
            let all = state.blocks.iter().flat_map(|block| &block.transactions);
            let own: Vec<_> = all
                .filter(|mined| mined.tx.from == account() && !mined.tx.data.is_empty())
                .collect();
            (own.len(), own.iter().filter(|mined| !mined.success).count())
        })
    }

    /// The books say what the chain says: every ticket that the chain has as redeemed by this node is paid, with the
    /// same wei, and no other is.
    pub async fn audit(&self) {
        let world = self.chain.world();
        let (mut booked, mut elsewhere) = (U256::zero(), U256::zero());
        for ticket in self.all().await {
            let on_chain = world.redeemed.get(&chain::Hash(ticket.hash)).copied();
            match ticket.state {
                ledger::TicketState::Paid { paid, .. } => {
                    assert_eq!(Some(paid), on_chain, "{ticket:?}");
                    booked += paid;
                }
                ledger::TicketState::UsedElsewhere { .. } => {
                    elsewhere += on_chain.expect("used on the chain");
                }
                _ => assert_eq!(on_chain, None, "{ticket:?}"),
            }
        }
        let fees = world.orchestrators[&RECIPIENT].fees;
        assert_eq!(booked + elsewhere, fees);
    }

    /// Gives an order and looks.
    pub async fn order(&mut self, order: Order) -> Result<Option<StoredTicket>, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.redeemer().take(RedeemerNews::Order(order, reply));
        self.look().await;
        answer.await.unwrap()
    }
}

/// A sender's account.
pub fn sender(who: u8) -> Address {
    key(100 + who).address()
}

/// What a ticket is known by.
pub fn hash(winner: &WinningTicket) -> Hash {
    winner.ticket.hash()
}

/// The same, as the chain crate has it.
pub fn chain_hash(winner: &WinningTicket) -> chain::Hash {
    chain::Hash(winner.ticket.hash())
}
