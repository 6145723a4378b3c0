//! Turns winning tickets into money. One scheduler for all senders, which works from the database: what was there before
//! a restart, whoever sent it, is taken up at once.
//!
//! A ticket that cannot go now is put off with a reason and never holds others up; it ends only on proof: a receipt that
//! stayed, `usedTickets`, or a round read from the chain in which the contract takes it no more.
//!
//! | file | what |
//! |---|---|
//! | `policy` | whether a ticket is worth its transaction |
//! | `queue` | what is known in memory, by urgency |
//! | `scheduler` | the looks: load, follow, settle, expire |
//! | `choice` | which tickets go now, and sending them |
//! | `orders` | what the operator wants |
//! | `proof` | what the chain says became of a ticket |
//! | `figures` | what operators see |
//! | `tickets` | the front for operators |
//! | `service` | the redeemer that others send tickets to |
//! | `client` | this node's way to a redeemer elsewhere |

mod choice;
mod client;
mod figures;
mod orders;
mod policy;
mod proof;
mod queue;
mod scheduler;
mod service;
#[cfg(test)]
mod tests;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use chain::ChainClient;
use chain::transactions::TransactionSender;
use chain::watcher::{ChainEvent, ContractEvent};
use ledger::{Ledger, LedgerError, StoredTicket};
use protocol::address::Address;
use protocol::money::{ExpirationParams, RecipientRand, Ticket, U256};
use protocol::signature::Hash;
use telemetry::metrics::RedemptionMetrics;
use tokio::sync::oneshot;

pub use self::client::{
    FloatTold, RedeemerClient, RedeemerClientActor, RedeemerClientOptions, RedeemerClientParts,
    RedeemerFailure, RedeemerPeer, RemoteFloats,
};
pub use self::policy::Policy;
pub use self::scheduler::Redeemer;
pub use self::service::{Floats, OwnFloats, QueueRefusal, RedeemerService};
pub use self::tickets::{TicketDetail, TicketList, Tickets, TicketsError};

use crate::duty::{Bell, ChainNews, Officer};
use crate::facts::{Fact, Gas, RedeemerState, Rounds};
use crate::sender_monitor::Senders;

/// How tickets are redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedeemerOptions {
    /// Whom the tickets pay.
    pub recipient: Address,
    /// What is worth it.
    pub policy: Policy,
    /// Gas reckoned with until own receipts tell better.
    pub redeem_gas: u64,
    /// Most transactions at a time.
    pub max_in_flight: usize,
    /// Blocks (L2 on Arbitrum) behind a receipt until a ticket counts as paid for good.
    pub settle_blocks: u64,
    /// Most tickets known in memory.
    pub capacity: usize,
    /// How long a transaction may wait to be sent before its ticket is judged anew.
    pub patience: Duration,
    /// Time between two sums over the database.
    pub figures_every: Duration,
}

impl RedeemerOptions {
    /// The rest as it is meant.
    pub fn new(recipient: Address, policy: Policy, redeem_gas: u64) -> Self {
        Self {
            recipient,
            policy,
            redeem_gas,
            max_in_flight: 8,
            settle_blocks: 64,
            capacity: 50_000,
            patience: Duration::from_secs(300),
            figures_every: Duration::from_secs(15),
        }
    }
}

/// What it works with.
pub struct RedeemerParts {
    /// Asks the chain.
    pub client: Arc<dyn ChainClient>,
    /// Sends.
    pub transactions: Arc<dyn TransactionSender>,
    /// Keeps the tickets.
    pub ledger: Ledger,
    /// Where the chain stands.
    pub rounds: Fact<Rounds>,
    /// Gas prices.
    pub gas: Fact<Gas>,
    /// What it publishes.
    pub state: Fact<RedeemerState>,
    /// Is told what is in flight, and when a sender's funds were drawn on.
    pub senders: Option<Senders>,
    /// Counts.
    pub metrics: RedemptionMetrics,
    /// Wakes it: winners stored, gas changed.
    pub bell: Bell,
    /// Tells ms since 1970.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// The actor. It looks at each change of rounds and gas.
pub type RedeemerActor = Officer<Redeemer>;

/// What it may be told.
#[derive(Debug)]
pub enum RedeemerNews {
    /// Blocks up to this one are handed on.
    Block(u64),
    /// What a sender has changed.
    Funds(Address),
    /// A ticket of this hash was redeemed, by whomever, in this transaction.
    Redeemed {
        /// Whom it paid.
        recipient: Address,
        /// Hash of the ticket.
        ticket: Hash,
        /// The transaction.
        transaction: chain::Hash,
    },
    /// Blocks after this one are void; 0: anything may be another way.
    Reorg(u64),
    /// The operator wants something.
    Order(Order, Reply),
    /// Nothing that matters here.
    Other,
}

/// Who gets the answer to an order.
pub type Reply = oneshot::Sender<Result<Option<StoredTicket>, LedgerError>>;

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Do not redeem this ticket.
    Hold {
        /// Which.
        ticket: Hash,
        /// Why.
        note: String,
    },
    /// Try this ticket now, whatever put it off or stopped it.
    Retry {
        /// Which.
        ticket: Hash,
    },
    /// Redeem nothing, or go on.
    HoldAll(bool),
}

impl From<ChainNews> for RedeemerNews {
    fn from(news: ChainNews) -> Self {
        match &*news.0 {
            ChainEvent::Block(block) => Self::Block(block.number),
            ChainEvent::Reorg { to } => Self::Reorg(*to),
            ChainEvent::Reload { .. } => Self::Reorg(0),
            ChainEvent::L1Block(_) => Self::Other,
            ChainEvent::Contract {
                event, transaction, ..
            } => Self::of_event(event, *transaction),
        }
    }
}

impl RedeemerNews {
    fn of_event(event: &ContractEvent, transaction: chain::Hash) -> Self {
        match event {
            ContractEvent::DepositFunded { sender, .. }
            | ContractEvent::Withdrawal { sender, .. }
            | ContractEvent::WinningTicketTransfer { sender, .. }
            | ContractEvent::UnlockCancelled { sender } => Self::Funds(*sender),
            ContractEvent::ReserveFunded { holder, .. }
            | ContractEvent::ReserveClaimed { holder, .. } => Self::Funds(*holder),
            ContractEvent::WinningTicketRedeemed {
                sender,
                recipient,
                face_value,
                win_prob,
                sender_nonce,
                recipient_rand,
                aux_data,
            } => {
                let mut rand = [0; 32];
                recipient_rand.to_big_endian(&mut rand);
                let ticket = Ticket {
                    recipient: *recipient,
                    sender: *sender,
                    face_value: *face_value,
                    win_prob: *win_prob,
                    // ours have 32 bits; another one is no ticket of ours whatever its hash
                    nonce: u32::try_from(*sender_nonce).unwrap_or(u32::MAX),
                    recipient_rand_hash: RecipientRand::from_bytes(rand).hash(),
                    expiration: expiration(aux_data),
                };
                Self::Redeemed {
                    recipient: *recipient,
                    ticket: ticket.hash(),
                    transaction,
                }
            }
            _ => Self::Other,
        }
    }
}

/// Round and its hash out of a ticket's auxiliary data.
fn expiration(aux_data: &[u8]) -> ExpirationParams {
    let Some((round, hash)) = aux_data.split_first_chunk::<32>() else {
        return ExpirationParams::default();
    };
    ExpirationParams {
        creation_round: U256::from_big_endian(round).min(u64::MAX.into()).low_u64(),
        creation_round_block_hash: hash.try_into().unwrap_or_default(),
    }
}

/// Wei for a metric.
fn small(wei: U256) -> u128 {
    u128::try_from(wei).unwrap_or(u128::MAX)
}
