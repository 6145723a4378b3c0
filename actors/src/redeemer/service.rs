//! The redeemer that other nodes send their winners to: checked before they are stored, stored before the answer.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, Stream};
use ledger::{Ledger, LedgerError};
use protocol::address::Address;
use protocol::money::{PaymentError, U256, WinningTicket};
use tokio::sync::watch;

use crate::duty::Bell;
use crate::facts::{Fact, Rounds};
use crate::sender_monitor::Senders;

/// Where the service reads what senders may be trusted for.
pub trait Floats: Send + Sync {
    /// Largest safe face value of a sender, wei; may be negative. In words why it cannot be told.
    fn max_float(&self, sender: Address) -> BoxFuture<'_, Result<i128, String>>;

    /// Changes whenever the float of any sender may have.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Floats as this node's own monitor of senders knows them.
#[derive(Clone)]
pub struct OwnFloats {
    /// Funds of senders.
    pub senders: Senders,
    /// Size of the active set; their change at each L1 block is taken for one of every float.
    pub rounds: Fact<Rounds>,
}

impl Floats for OwnFloats {
    fn max_float(&self, sender: Address) -> BoxFuture<'_, Result<i128, String>> {
        Box::pin(async move {
            let funds = self.senders.fund(sender).await;
            if !funds.known {
                return Err(format!("the chain did not tell about {sender} in time"));
            }
            Ok(funds.max_float(self.rounds.load().pool_size))
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.rounds.changes()
    }
}

/// Why a ticket is not taken.
#[derive(Debug, thiserror::Error)]
pub enum QueueRefusal {
    /// It pays somebody else. PERMISSION_DENIED to peers.
    #[error("invalid ticket recipient {recipient}, expected {expected}")]
    Recipient {
        /// Whom it pays.
        recipient: Address,
        /// Whom tickets must pay.
        expected: Address,
    },
    /// It is no winner: secret, signature or lot are wrong. INVALID_ARGUMENT.
    #[error(transparent)]
    Invalid(#[from] PaymentError),
    /// It is not stored: the peer must try again. INTERNAL.
    #[error("failed inserting winning ticket: {0}")]
    Ledger(#[from] LedgerError),
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct RedeemerService {
    recipient: Address,
    ledger: Ledger,
    floats: Arc<dyn Floats>,
    redeemer: Bell,
}

impl RedeemerService {
    /// Takes tickets that pay `recipient` and wakes `redeemer`.
    pub fn new(
        recipient: Address,
        ledger: Ledger,
        floats: Arc<dyn Floats>,
        redeemer: Bell,
    ) -> Self {
        Self {
            recipient,
            ledger,
            floats,
            redeemer,
        }
    }

    /// Stores a winner; it is on the disk when this returns. One that is known is stored already, so a peer may send it
    /// as often as it likes.
    pub async fn queue(&self, winner: WinningTicket) -> Result<(), QueueRefusal> {
        if winner.ticket.recipient != self.recipient {
            return Err(QueueRefusal::Recipient {
                recipient: winner.ticket.recipient,
                expected: self.recipient,
            });
        }
        winner.check()?;
        let added = self.ledger.add_winners(vec![winner]).await?;
        if added.new > 0 {
            self.redeemer.ring();
        }
        Ok(())
    }

    /// Largest safe face value of a sender, wei: 0 where it would be negative. In words why it cannot be told.
    pub async fn max_float(&self, sender: Address) -> Result<U256, String> {
        float(&*self.floats, sender).await
    }

    /// The same now, and again each time it is another one. Ends when the owner of the floats is gone, or with an error.
    pub fn monitor(
        &self,
        sender: Address,
    ) -> impl Stream<Item = Result<U256, String>> + Send + use<> {
        let floats = Arc::clone(&self.floats);
        let changes = floats.changes();
        let start = Some((floats, changes, None::<U256>));
        stream::unfold(start, move |state| async move {
            let (floats, mut changes, told) = state?;
            loop {
                // marked as seen before it is read, so that no change falls between
                changes.borrow_and_update();
                match float(&*floats, sender).await {
                    Err(error) => return Some((Err(error), None)),
                    Ok(float) if told != Some(float) => {
                        return Some((Ok(float), Some((floats, changes, Some(float)))));
                    }
                    Ok(_) => changes.changed().await.ok()?,
                }
            }
        })
    }
}

async fn float(floats: &dyn Floats, sender: Address) -> Result<U256, String> {
    let float = floats.max_float(sender).await?;
    Ok(U256::from(u128::try_from(float).unwrap_or(0)))
}
