//! The front for operators: what tickets there are, and what to do with one.

use std::sync::Arc;

use actix::Recipient;
use ledger::ticket::{Clocks, StateSum, TicketExport, TicketView};
use ledger::{JournalEntry, Ledger, LedgerError, State, Step, StoredTicket, TicketFilter};
use protocol::signature::Hash;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Order, RedeemerNews};
use crate::duty::Tell;
use crate::facts::{Fact, Rounds};

/// Gives the present address of the redeemer; `None` when none runs.
pub type RedeemerDesk = Arc<dyn Fn() -> Option<Recipient<Tell<RedeemerNews>>> + Send + Sync>;

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum TicketsError {
    /// The ledger says why.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The redeemer is being started again.
    #[error("the redeemer is not running now: try again in a moment")]
    Away,
    /// Only what is held can be released.
    #[error("the ticket is {0}, not held: there is nothing to release")]
    NotHeld(State),
}

/// Some tickets of a longer list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketList {
    /// In order of arrival.
    pub tickets: Vec<TicketView>,
    /// For the next page's `after`; `None` at the end.
    pub next: Option<i64>,
    /// Rows that cannot be read.
    pub unreadable: Vec<String>,
}

/// A ticket with all that was sent for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketDetail {
    /// The ticket.
    pub ticket: TicketView,
    /// Its transactions, oldest first.
    pub transactions: Vec<JournalEntry>,
}

/// See the module. Cheap to clone. Works on the database alone where no node runs.
#[derive(Clone)]
pub struct Tickets {
    ledger: Ledger,
    rounds: Fact<Rounds>,
    validity: u64,
    desk: Option<RedeemerDesk>,
}

impl Tickets {
    /// The front of a running redeemer. `validity` is the contract's `ticketValidityPeriod`.
    pub fn of_redeemer(
        ledger: Ledger,
        rounds: Fact<Rounds>,
        validity: u64,
        desk: RedeemerDesk,
    ) -> Self {
        Self {
            ledger,
            rounds,
            validity,
            desk: Some(desk),
        }
    }

    /// Over a database that no node has open: rounds left are not known, and secrets show by the stored L1 clock.
    pub async fn of_file(ledger: Ledger) -> Result<Self, LedgerError> {
        let l1_block = ledger.l1_block().await?.unwrap_or(0);
        let rounds = Fact::new(Rounds {
            l1_block,
            ..Rounds::unknown()
        });
        Ok(Self {
            ledger,
            rounds,
            validity: 0,
            desk: None,
        })
    }

    fn clocks(&self) -> Clocks {
        let rounds = self.rounds.load();
        Clocks {
            l1_block: (rounds.l1_block > 0).then_some(rounds.l1_block),
            round: (rounds.length > 0).then_some(rounds.current),
            validity: self.validity,
        }
    }

    /// A page of tickets.
    pub async fn list(&self, filter: TicketFilter) -> Result<TicketList, TicketsError> {
        let page = self.ledger.tickets(filter).await?;
        let clocks = self.clocks();
        Ok(TicketList {
            tickets: page.tickets.iter().map(|t| t.view(&clocks)).collect(),
            next: page.next,
            unreadable: page.unreadable,
        })
    }

    /// Count, value and money by state.
    pub async fn sums(&self) -> Result<Vec<StateSum>, TicketsError> {
        Ok(self.ledger.ticket_sums().await?)
    }

    /// One ticket.
    pub async fn show(&self, ticket: Hash) -> Result<TicketDetail, TicketsError> {
        let stored = self.ledger.ticket(ticket).await?;
        Ok(TicketDetail {
            ticket: stored.view(&self.clocks()),
            transactions: self.ledger.ticket_transactions(ticket).await?,
        })
    }

    /// A page of tickets with their proofs. The secret number is in those whose parameters have expired.
    pub async fn export(
        &self,
        filter: TicketFilter,
    ) -> Result<(Vec<TicketExport>, Option<i64>), TicketsError> {
        let page = self.ledger.tickets(filter).await?;
        let clocks = self.clocks();
        let exports = page.tickets.iter().map(|t| t.export(&clocks)).collect();
        Ok((exports, page.next))
    }

    /// Tries a ticket now, whatever put it off or stopped it.
    pub async fn retry(&self, ticket: Hash) -> Result<TicketView, TicketsError> {
        let stored = match &self.desk {
            Some(_) => self.order(Order::Retry { ticket }).await?,
            None => Some(self.ledger.step_ticket(ticket, Step::Retry).await?),
        };
        self.answer(stored)
    }

    /// Lets a ticket go on that was stopped.
    pub async fn release(&self, ticket: Hash) -> Result<TicketView, TicketsError> {
        let state = self.ledger.ticket(ticket).await?.state.name();
        if state != State::Held {
            return Err(TicketsError::NotHeld(state));
        }
        self.retry(ticket).await
    }

    /// Stops a ticket until it is released or retried.
    pub async fn hold(&self, ticket: Hash, note: String) -> Result<TicketView, TicketsError> {
        let stored = match &self.desk {
            Some(_) => self.order(Order::Hold { ticket, note }).await?,
            None => Some(self.ledger.step_ticket(ticket, Step::Hold { note }).await?),
        };
        self.answer(stored)
    }

    /// Redeems nothing any more, or goes on. Holds after a restart as well.
    pub async fn hold_all(&self, held: bool) -> Result<(), TicketsError> {
        self.order(Order::HoldAll(held)).await.map(drop)
    }

    fn answer(&self, stored: Option<StoredTicket>) -> Result<TicketView, TicketsError> {
        let stored = stored.ok_or(TicketsError::Away)?;
        Ok(stored.view(&self.clocks()))
    }

    async fn order(&self, order: Order) -> Result<Option<StoredTicket>, TicketsError> {
        let desk = self.desk.as_ref().and_then(|desk| desk());
        let desk = desk.ok_or(TicketsError::Away)?;
        let (reply, answer) = oneshot::channel();
        let told = desk.send(Tell(RedeemerNews::Order(order, reply))).await;
        told.map_err(|_| TicketsError::Away)?;
        Ok(answer.await.map_err(|_| TicketsError::Away)??)
    }
}
