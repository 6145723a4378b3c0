//! The transactions of one key, all of them: nonce, simulation, price, signature, sending, watching, replacing,
//! cancelling. Nothing else in the process may send with this key.
//!
//! One task owns the queue; others hold a [`Transactions`] handle. A write is named by its [`Purpose`], of which the
//! queue keeps at most one at a time, so that asking twice joins what is under way. What a caller may rely on:
//!
//! - A nonce, once given to a purpose, is never given to another one, except to cancel it.
//! - Every hash that was ever sent under a nonce is watched, so it does not matter which one is mined.
//! - An [`Outcome`] says what happened: a receipt that stayed for the asked confirmations, or a refusal by simulation
//!   (nothing was sent), or the proof that the nonce went to another process; then the write starts again by itself.
//! - Hashes and bytes are in the [`TransactionJournal`] before they leave, so a restart goes on watching. What waits
//!   without a nonce is not: its owner asks again.
//! - One that is stuck delays nobody's result, though transactions behind its nonce can only be mined after it.
//!
//! | file | what |
//! |---|---|
//! | `journal` | what must survive the process |
//! | `node` | what is asked of the chain |
//! | `queue` | the state machine: one `step` per poll |
//! | `send` | from waiting to sent: price, simulation, nonce, replacement, cancellation |
//! | `settle` | from sent to settled: receipts, re-orgs, nonces used by others |
//! | `answer` | what a node's answer to a sent transaction means |
//! | `task` | the handle, and the task behind it |

mod answer;
mod journal;
mod node;
mod queue;
mod send;
mod settle;
mod task;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use protocol::address::Address;
use tokio::sync::watch;

pub use self::{
    journal::{End, JournalError, JournalRecord, MemoryJournal, TransactionJournal},
    node::TransactionNode,
    queue::{Options, TransactionQueue},
    task::{QueueStatus, TransactionSender, TransactionStatus, Transactions, start},
};
use crate::{
    calls::Write,
    revert::Revert,
    types::{Hash, Log, U256},
};

/// Why a write was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The same purpose is under way with other call data.
    #[error("{0} is under way with other arguments: wait for it or cancel it")]
    Busy(Purpose),
    /// Too many wait.
    #[error(
        "{0} transactions wait already: check the RPC end points, the gas price bound and the balance"
    )]
    Full(usize),
    /// The journal cannot be read or written, so nothing is sent.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The chain was asked and did not answer.
    #[error(transparent)]
    Chain(#[from] crate::Error),
    /// The task behind the handle ended.
    #[error("the transaction queue has stopped")]
    Stopped,
}

/// What a transaction is for. Its text is kept in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Redeem the ticket of this hash.
    Redeem(Hash),
    /// Mint the reward of an orchestrator in a round.
    Reward {
        /// Round.
        round: u64,
        /// Whose reward.
        transcoder: Address,
    },
    /// Start a round.
    InitializeRound(u64),
    /// What an operator asked for, in a word or two; the same text is the same purpose.
    Operator(String),
    /// Use up a nonce that nobody owns and that holds up those behind it.
    FillNonce(u64),
}

impl Purpose {
    /// Whether the contracts themselves see to it that it happens at most once.
    pub fn is_guarded(&self) -> bool {
        matches!(
            self,
            Self::Redeem(_) | Self::Reward { .. } | Self::InitializeRound(_)
        )
    }

    /// Label of metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Redeem(_) => "redeem",
            Self::Reward { .. } => "reward",
            Self::InitializeRound(_) => "initialize_round",
            Self::Operator(_) => "operator",
            Self::FillNonce(_) => "fill_nonce",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Redeem(ticket) => write!(f, "{name} {ticket}"),
            Self::Reward { round, transcoder } => write!(f, "{name} {round} {transcoder}"),
            Self::InitializeRound(round) => write!(f, "{name} {round}"),
            Self::Operator(text) => write!(f, "{name} {text}"),
            Self::FillNonce(nonce) => write!(f, "{name} {nonce}"),
        }
    }
}

impl FromStr for Purpose {
    type Err = JournalError;

    fn from_str(text: &str) -> Result<Self, JournalError> {
        let parse = || {
            let (name, rest) = text.split_once(' ')?;
            Some(match name {
                "redeem" => {
                    let mut hash = [0; 32];
                    hex::decode_to_slice(rest.strip_prefix("0x")?, &mut hash).ok()?;
                    Self::Redeem(Hash(hash))
                }
                "reward" => {
                    let (round, transcoder) = rest.split_once(' ')?;
                    Self::Reward {
                        round: round.parse().ok()?,
                        transcoder: transcoder.parse().ok()?,
                    }
                }
                "initialize_round" => Self::InitializeRound(rest.parse().ok()?),
                "operator" => Self::Operator(rest.to_owned()),
                "fill_nonce" => Self::FillNonce(rest.parse().ok()?),
                _ => return None,
            })
        };
        parse().ok_or_else(|| JournalError::new(format!("no purpose of a transaction: {text:?}")))
    }
}

/// A write to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What for.
    pub purpose: Purpose,
    /// The write.
    pub write: Write,
    /// When it stops to make sense, in ms since 1970: given up if it was not sent by then.
    pub valid_until_ms: Option<u64>,
    /// Most to pay per gas, wei, in place of the queue's own bound; lost at a restart.
    pub max_gas_price: Option<u128>,
}

impl Request {
    /// A write without an end of its validity.
    pub fn new(purpose: Purpose, write: Write) -> Self {
        Self {
            purpose,
            write,
            valid_until_ms: None,
            max_gas_price: None,
        }
    }
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined {
    /// Its hash: that of the first one sent or of any replacement.
    pub hash: Hash,
    /// Its nonce.
    pub nonce: u64,
    /// Block (L2 on Arbitrum).
    pub block: u64,
    /// Hash of the block.
    pub block_hash: Hash,
    /// Gas used, the L1 part included on Arbitrum.
    pub gas_used: u64,
    /// Price paid per gas, wei.
    pub gas_price: U256,
    /// Log entries.
    pub logs: Vec<Log>,
}

impl Mined {
    /// Wei that it cost.
    pub fn cost(&self) -> U256 {
        self.gas_price.saturating_mul(self.gas_used.into())
    }

    /// Wei that `broker` paid out in it: the sum of its `WinningTicketTransfer` entries. Zero is possible for a
    /// redemption that succeeded.
    pub fn paid(&self, broker: Address) -> U256 {
        use ethers::contract::EthEvent;
        let topic = crate::bindings::WinningTicketTransferFilter::signature();
        self.logs
            .iter()
            .filter(|log| log.address == broker)
            .filter(|log| log.topics.first().is_some_and(|first| first.0 == topic.0))
            .filter_map(|log| log.data.first_chunk::<32>())
            .fold(U256::zero(), |sum, word| {
                sum.saturating_add(U256::from_big_endian(word))
            })
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Mined and not reverted.
    Mined(Mined),
    /// Mined and reverted, with the reason that running it again at that block gave.
    Reverted(Mined, Revert),
    /// The simulation reverted; nothing was sent.
    Refused(Revert),
    /// Cancelled by request, or given up because it could not be sent; with the cancellation that was mined, if one
    /// had to be sent.
    Cancelled(Option<Mined>),
    /// Its validity ended before it could be sent.
    Expired,
    /// Its nonce was used up, and the node can say neither by what nor show a receipt. Whether it happened must be read
    /// from the chain. Guarded purposes never end like this.
    Unknown {
        /// The nonce.
        nonce: u64,
        /// Everything that was sent under it.
        hashes: Vec<Hash>,
    },
}

impl fmt::Display for Outcome {
    /// One line for logs, without the log entries of the transaction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mined = |mined: &Mined| {
            format!(
                "{} in block {}, {} gas at {} wei",
                mined.hash, mined.block, mined.gas_used, mined.gas_price
            )
        };
        match self {
            Self::Mined(at) => write!(f, "mined: {}", mined(at)),
            Self::Reverted(at, revert) => write!(f, "reverted ({revert}): {}", mined(at)),
            Self::Refused(revert) => write!(f, "not sent, the contract refuses: {revert}"),
            Self::Cancelled(None) => f.write_str("cancelled before it was sent"),
            Self::Cancelled(Some(at)) => write!(f, "cancelled by {}", mined(at)),
            Self::Expired => f.write_str("not sent in time"),
            Self::Unknown { nonce, .. } => {
                write!(f, "unknown: nonce {nonce} was used by something else")
            }
        }
    }
}

impl Outcome {
    /// The transaction, when it was mined and not reverted.
    pub fn mined(&self) -> Option<&Mined> {
        match self {
            Self::Mined(mined) => Some(mined),
            _ => None,
        }
    }
}

/// Where a write stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not sent, and why not if there is a reason.
    Waiting(Option<String>),
    /// Sent, or about to be; any of the hashes may be mined.
    Sent {
        /// Its nonce.
        nonce: u64,
        /// The first one sent and its replacements, oldest first.
        hashes: Vec<Hash>,
    },
    /// In a block that is not deep enough yet. May go back to sent.
    Mined(Mined),
    /// Settled.
    Done(Outcome),
}

/// A write under way. Dropping it changes nothing; asking for the same purpose again gives it back.
#[derive(Debug, Clone)]
pub struct Pending {
    progress: watch::Receiver<Progress>,
}

impl Pending {
    /// Where it stands now.
    pub fn now(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Where it stands, once that is another place than before. An error once the queue has stopped or the outcome was
    /// given.
    pub async fn changed(&mut self) -> Result<Progress, TransactionError> {
        let changed = self.progress.changed().await;
        changed.map_err(|_| TransactionError::Stopped)?;
        Ok(self.progress.borrow_and_update().clone())
    }

    /// How it ends. Waits for as long as that takes: days, if the gas price stays above the bound.
    pub async fn outcome(mut self) -> Result<Outcome, TransactionError> {
        let done = self
            .progress
            .wait_for(|progress| matches!(progress, Progress::Done(_)))
            .await;
        match done.as_deref() {
            Ok(Progress::Done(outcome)) => Ok(outcome.clone()),
            _ => Err(TransactionError::Stopped),
        }
    }
}
