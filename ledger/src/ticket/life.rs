//! The steps between the states of a winning ticket.
//!
//! ```text
//! waiting ── params expired ──▶ ready ── sent ──▶ submitted ── receipt ──▶ mined ── deep enough ──▶ paid
//!                              ▲  │  ▲               │  │                    │
//!                    time over │  ▼  └── dropped ────┘  └─ status 0 ▶ reverted └─ block gone ▶ submitted
//!                             deferred
//! ```
//! `expired` and `used_elsewhere` end a ticket on proof from the chain; `held` waits for the operator; `imported` is
//! what the reference had marked as done, with an outcome nobody recorded. A status-0 receipt ends nothing.

use protocol::money::U256;
use protocol::signature::Hash;

use super::state::{Deferral, State, TicketState};

/// What happens to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The parameters are not accepted any more, by the L1 clock.
    ParamsExpired,
    /// Not now.
    Defer {
        /// Why.
        reason: Deferral,
        /// In words, with the numbers.
        detail: String,
        /// L1 block at which to look again; 0: at the next event.
        until_block: u64,
    },
    /// The reason to wait is over, or the operator says so.
    Retry,
    /// A transaction, or a replacement with the same nonce, is about to be sent.
    Submit {
        /// Its nonce.
        nonce: u64,
        /// Its hash.
        tx: Hash,
    },
    /// A receipt with status 1.
    Mine {
        /// Hash that was mined; not necessarily one that was recorded.
        tx: Hash,
        /// Its block.
        block: u64,
        /// Wei that reached the recipient.
        paid: U256,
        /// Wei that the transaction cost.
        cost: U256,
    },
    /// The block of the receipt is gone.
    Unmine,
    /// The receipt is deep enough.
    Confirm,
    /// A receipt with status 0.
    Revert {
        /// Hash that was mined.
        tx: Hash,
        /// Reason that the chain gives.
        reason: String,
    },
    /// None of the transactions can be mined any more: the nonce was used by something else.
    Drop,
    /// The operator stops it.
    Hold {
        /// Note.
        note: String,
    },
    /// `creationRound + validity ≤ currentRound`, read from the chain.
    Expire {
        /// The current round.
        round: u64,
    },
    /// `usedTickets` says so and no receipt of ours does.
    UseElsewhere {
        /// What is known of it.
        detail: String,
    },
}

/// Name of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum StepKind {
    ParamsExpired,
    Defer,
    Retry,
    Submit,
    Mine,
    Unmine,
    Confirm,
    Revert,
    Drop,
    Hold,
    Expire,
    UseElsewhere,
}

impl StepKind {
    /// Every step.
    pub const ALL: &'static [Self] = &[
        Self::ParamsExpired,
        Self::Defer,
        Self::Retry,
        Self::Submit,
        Self::Mine,
        Self::Unmine,
        Self::Confirm,
        Self::Revert,
        Self::Drop,
        Self::Hold,
        Self::Expire,
        Self::UseElsewhere,
    ];
}

/// Every transition there is: from, step, to.
///
/// A mined or submitted ticket cannot be held: what is out is out. Money that arrives late is booked from any state
/// that can have a transaction out, also after `reverted` or a `retry`, because a transaction that was given up may be
/// mined after all.
pub const TRANSITIONS: &[(State, StepKind, State)] = {
    use State::*;
    use StepKind as S;
    &[
        (Waiting, S::ParamsExpired, Ready),
        (Waiting, S::Hold, Held),
        (Waiting, S::Expire, Expired),
        (Waiting, S::UseElsewhere, UsedElsewhere),
        (Ready, S::Defer, Deferred),
        (Ready, S::Retry, Ready),
        (Ready, S::Submit, Submitted),
        (Ready, S::Mine, Mined),
        (Ready, S::Hold, Held),
        (Ready, S::Expire, Expired),
        (Ready, S::UseElsewhere, UsedElsewhere),
        (Deferred, S::Defer, Deferred),
        (Deferred, S::Retry, Ready),
        (Deferred, S::Submit, Submitted),
        (Deferred, S::Mine, Mined),
        (Deferred, S::Hold, Held),
        (Deferred, S::Expire, Expired),
        (Deferred, S::UseElsewhere, UsedElsewhere),
        (Submitted, S::Submit, Submitted),
        (Submitted, S::Mine, Mined),
        (Submitted, S::Revert, Reverted),
        (Submitted, S::Drop, Ready),
        (Submitted, S::Expire, Expired),
        (Submitted, S::UseElsewhere, UsedElsewhere),
        (Mined, S::Mine, Mined),
        (Mined, S::Unmine, Submitted),
        (Mined, S::Confirm, Paid),
        (Reverted, S::Defer, Deferred),
        (Reverted, S::Retry, Ready),
        (Reverted, S::Mine, Mined),
        (Reverted, S::Hold, Held),
        (Reverted, S::Expire, Expired),
        (Reverted, S::UseElsewhere, UsedElsewhere),
        // back to waiting and not to ready: whether the parameters have expired is asked anew
        (Held, S::Retry, Waiting),
        (Held, S::Hold, Held),
        (Held, S::Mine, Mined),
        (Held, S::Expire, Expired),
        (Held, S::UseElsewhere, UsedElsewhere),
        (Imported, S::Retry, Waiting),
    ]
};

/// A step that is not in [`TRANSITIONS`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a ticket that is {from} cannot take the step {step:?}")]
pub struct IllegalStep {
    /// Where the ticket is.
    pub from: State,
    /// What was asked.
    pub step: StepKind,
}

impl Step {
    /// Name of the step.
    pub fn kind(&self) -> StepKind {
        match self {
            Self::ParamsExpired => StepKind::ParamsExpired,
            Self::Defer { .. } => StepKind::Defer,
            Self::Retry => StepKind::Retry,
            Self::Submit { .. } => StepKind::Submit,
            Self::Mine { .. } => StepKind::Mine,
            Self::Unmine => StepKind::Unmine,
            Self::Confirm => StepKind::Confirm,
            Self::Revert { .. } => StepKind::Revert,
            Self::Drop => StepKind::Drop,
            Self::Hold { .. } => StepKind::Hold,
            Self::Expire { .. } => StepKind::Expire,
            Self::UseElsewhere { .. } => StepKind::UseElsewhere,
        }
    }

    /// Whether losing the step at a power failure could send a second transaction or lose a payment.
    pub(crate) fn must_be_synced(&self) -> bool {
        !matches!(self, Self::ParamsExpired | Self::Defer { .. } | Self::Retry)
    }
}

impl TicketState {
    /// Takes a step.
    ///
    /// # Errors
    /// When the step is not in [`TRANSITIONS`], or replaces a transaction under another nonce.
    pub fn apply(self, step: Step) -> Result<Self, IllegalStep> {
        let illegal = IllegalStep {
            from: self.name(),
            step: step.kind(),
        };
        let Some((_, _, to)) = TRANSITIONS
            .iter()
            .find(|(from, kind, _)| *from == illegal.from && *kind == illegal.step)
        else {
            return Err(illegal);
        };
        let (sent_nonce, sent) = match &self {
            Self::Submitted { nonce, hashes } | Self::Mined { nonce, hashes, .. } => {
                (Some(*nonce), hashes.clone())
            }
            _ => (None, Vec::new()),
        };
        Ok(match step {
            Step::ParamsExpired | Step::Retry | Step::Drop => match to {
                State::Waiting => Self::Waiting,
                _ => Self::Ready,
            },
            Step::Defer {
                reason,
                detail,
                until_block,
            } => Self::Deferred {
                reason,
                detail,
                until_block,
            },
            Step::Submit { nonce, tx } => {
                if sent_nonce.is_some_and(|sent| sent != nonce) {
                    return Err(illegal);
                }
                let mut hashes = sent;
                if !hashes.contains(&tx) {
                    hashes.push(tx);
                }
                Self::Submitted { nonce, hashes }
            }
            Step::Mine {
                tx,
                block,
                paid,
                cost,
            } => {
                let mut hashes = sent;
                if !hashes.contains(&tx) {
                    hashes.push(tx);
                }
                Self::Mined {
                    nonce: sent_nonce.unwrap_or_default(),
                    hashes,
                    tx,
                    block,
                    paid,
                    cost,
                }
            }
            Step::Unmine => Self::Submitted {
                nonce: sent_nonce.unwrap_or_default(),
                hashes: sent,
            },
            Step::Confirm => match self {
                Self::Mined {
                    tx,
                    block,
                    paid,
                    cost,
                    ..
                } => Self::Paid {
                    tx,
                    block,
                    paid,
                    cost,
                },
                _ => return Err(illegal),
            },
            Step::Revert { tx, reason } => Self::Reverted { tx, reason },
            Step::Hold { note } => Self::Held { note },
            Step::Expire { round } => Self::Expired { round },
            Step::UseElsewhere { detail } => Self::UsedElsewhere { detail },
        })
    }
}
