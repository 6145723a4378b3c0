//! Where a winning ticket can stand, and what is known of it there.

use std::fmt;

use protocol::money::U256;
use protocol::signature::Hash;
use serde::{Deserialize, Serialize};

use crate::wire::{hashes, maybe_hash, one_hash, wei};

/// Name of a state, as shown and as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The sender's parameters are still accepted; redeeming now would give the random number away.
    Waiting,
    /// May be redeemed.
    Ready,
    /// Put off for a reason.
    Deferred,
    /// A transaction is out.
    Submitted,
    /// A receipt says success; a re-organisation may still undo it.
    Mined,
    /// The receipt was mined with success; not used up again.
    Paid,
    /// A transaction was mined and failed; the ticket may still be good.
    Reverted,
    /// The operator stopped it.
    Held,
    /// Too old for the contract.
    Expired,
    /// The contract had it as used and none of our transactions did it.
    UsedElsewhere,
    /// The reference marked it as done before this node took over.
    Imported,
}

impl State {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        Self::Waiting,
        Self::Ready,
        Self::Deferred,
        Self::Submitted,
        Self::Mined,
        Self::Paid,
        Self::Reverted,
        Self::Held,
        Self::Expired,
        Self::UsedElsewhere,
        Self::Imported,
    ];

    /// Name as shown, stored and used as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Deferred => "deferred",
            Self::Submitted => "submitted",
            Self::Mined => "mined",
            Self::Paid => "paid",
            Self::Reverted => "reverted",
            Self::Held => "held",
            Self::Expired => "expired",
            Self::UsedElsewhere => "used_elsewhere",
            Self::Imported => "imported",
        }
    }

    /// Whether nothing is left to do. Only these mark the row of the reference's table as done.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Paid | Self::Expired | Self::UsedElsewhere | Self::Imported
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no state of a ticket"))
    }
}

/// Why a ticket is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deferral {
    /// Gas costs more than the operator allows.
    GasPrice,
    /// The transaction would eat too large a share of the face value.
    Cost,
    /// The sender's deposit and reserve do not pay the face value now.
    SenderFunds,
    /// The current round is not initialised: the contract refuses everything.
    RoundNotInitialized,
    /// The contract has no block hash for the creation round.
    RoundHash,
    /// The simulation was refused; the text is in the detail.
    Simulation,
    /// The chain could not be asked.
    Chain,
    /// This node's own account cannot pay the gas.
    OwnFunds,
    /// Other tickets of the sender go first and use up its funds.
    Order,
}

impl Deferral {
    /// Name as shown, stored and used as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GasPrice => "gas_price",
            Self::Cost => "cost",
            Self::SenderFunds => "sender_funds",
            Self::RoundNotInitialized => "round_not_initialized",
            Self::RoundHash => "round_hash",
            Self::Simulation => "simulation",
            Self::Chain => "chain",
            Self::OwnFunds => "own_funds",
            Self::Order => "order",
        }
    }
}

/// Where a ticket stands, with what is known there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TicketState {
    /// See [`State::Waiting`].
    Waiting,
    /// See [`State::Ready`].
    Ready,
    /// See [`State::Deferred`].
    Deferred {
        /// Why.
        reason: Deferral,
        /// In words, with the numbers.
        detail: String,
        /// L1 block at which to look again; 0: at the next event.
        until_block: u64,
    },
    /// See [`State::Submitted`].
    Submitted {
        /// Nonce of the transaction.
        nonce: u64,
        /// Hash of the transaction and of each replacement, oldest first; any of them may be mined.
        #[serde(with = "hashes")]
        hashes: Vec<Hash>,
    },
    /// See [`State::Mined`].
    Mined {
        /// Nonce of the transaction.
        nonce: u64,
        /// All hashes that were sent, so that a re-organisation loses none.
        #[serde(with = "hashes")]
        hashes: Vec<Hash>,
        /// The hash that was mined.
        #[serde(with = "one_hash")]
        tx: Hash,
        /// Block of the receipt (the chain's own count).
        block: u64,
        /// Wei that reached the recipient.
        #[serde(with = "wei")]
        paid: U256,
        /// Wei that the transaction cost.
        #[serde(with = "wei")]
        cost: U256,
    },
    /// See [`State::Paid`].
    Paid {
        /// The hash that was mined.
        #[serde(with = "one_hash")]
        tx: Hash,
        /// Block of the receipt.
        block: u64,
        /// Wei that reached the recipient; may be less than the face value.
        #[serde(with = "wei")]
        paid: U256,
        /// Wei that the transaction cost.
        #[serde(with = "wei")]
        cost: U256,
    },
    /// See [`State::Reverted`].
    Reverted {
        /// The hash that was mined.
        #[serde(with = "one_hash")]
        tx: Hash,
        /// Reason that the chain gives.
        reason: String,
    },
    /// See [`State::Held`].
    Held {
        /// Operator's note.
        note: String,
    },
    /// See [`State::Expired`].
    Expired {
        /// Round that was current when it was found too old.
        round: u64,
    },
    /// See [`State::UsedElsewhere`].
    UsedElsewhere {
        /// What is known of it.
        detail: String,
    },
    /// See [`State::Imported`].
    Imported {
        /// Transaction that the reference noted; none when it noted zeros.
        #[serde(with = "maybe_hash", default, skip_serializing_if = "Option::is_none")]
        tx: Option<Hash>,
        /// When, `YYYY-MM-DD HH:MM:SS`, UTC.
        at: String,
    },
}

impl TicketState {
    /// Name of the state.
    pub fn name(&self) -> State {
        match self {
            Self::Waiting => State::Waiting,
            Self::Ready => State::Ready,
            Self::Deferred { .. } => State::Deferred,
            Self::Submitted { .. } => State::Submitted,
            Self::Mined { .. } => State::Mined,
            Self::Paid { .. } => State::Paid,
            Self::Reverted { .. } => State::Reverted,
            Self::Held { .. } => State::Held,
            Self::Expired { .. } => State::Expired,
            Self::UsedElsewhere { .. } => State::UsedElsewhere,
            Self::Imported { .. } => State::Imported,
        }
    }

    /// Transaction to note beside the ticket in the reference's table once it is done; `None` while it is not. Zeros
    /// where there is none, as the reference does.
    pub fn reference_tx(&self) -> Option<Hash> {
        match self {
            Self::Paid { tx, .. } => Some(*tx),
            Self::Imported { tx, .. } => Some(tx.unwrap_or_default()),
            Self::UsedElsewhere { .. } => Some([0; 32]),
            // the reference leaves rows that ran out as they are
            _ => None,
        }
    }
}
