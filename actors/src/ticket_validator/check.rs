//! What can be said of a payment without state: to whom, quoted by whom, signed by whom, and which tickets win. It runs
//! in the caller's task, so that payments are checked on all cores.

use protocol::address::Address;
use protocol::money::{
    Amount, Binding, Payment, PaymentError, Price, QuoteSecret, RecipientRand, TicketBatch,
    TicketParams, WinningTicket,
};

use crate::facts::{Funds, Rounds};
use crate::quotes::Purpose;

/// Signatures checked before other tasks get their turn: about 1 ms.
const SIGNATURES_AT_A_TIME: usize = 16;

/// Tickets whose parameters are this node's own and whose signatures were looked at.
#[derive(Debug, Clone)]
pub(super) struct CheckedBatch {
    pub(super) params: TicketParams,
    /// The price that was quoted with the parameters.
    pub(super) price: Price,
    /// What one ticket is worth.
    pub(super) value: Amount,
    pub(super) tickets: Vec<CheckedTicket>,
}

/// One ticket.
#[derive(Debug, Clone)]
pub(super) struct CheckedTicket {
    pub(super) nonce: u32,
    /// Whether its sender signed it.
    pub(super) signed: bool,
    /// What it takes to redeem it, if it won.
    pub(super) winner: Option<Box<WinningTicket>>,
}

/// What a batch is judged by.
pub(super) struct Judge<'a> {
    pub(super) recipient: Address,
    pub(super) secret: &'a QuoteSecret,
    pub(super) purpose: &'a Purpose,
    pub(super) rounds: &'a Rounds,
}

impl Judge<'_> {
    /// Everything about the parameters: they are for this recipient, which is active, and this node quoted them to
    /// this sender at this price for this purpose.
    pub(super) fn parameters(
        &self,
        payment: &Payment,
        batch: &TicketBatch,
    ) -> Result<RecipientRand, PaymentError> {
        if batch.params.recipient != self.recipient {
            return Err(PaymentError::Recipient);
        }
        if !self.rounds.recipient_active {
            return Err(PaymentError::Inactive {
                recipient: self.recipient,
                round: self.rounds.last_initialized,
            });
        }
        let binding = Binding {
            sender: payment.sender,
            price: batch.price,
            session: self.purpose.as_bytes(),
        };
        self.secret
            .recipient_rand(&binding, &batch.params)
            .ok_or(PaymentError::RecipientRand)
    }
}

/// Whether tickets of this sender can be paid at all.
pub(super) fn sender(sender: Address, funds: &Funds, rounds: &Rounds) -> Result<(), PaymentError> {
    let unknown = |cause: &str| PaymentError::SenderInfo {
        sender,
        cause: cause.to_owned(),
    };
    if !funds.known {
        return Err(unknown("the chain did not answer in time"));
    }
    if funds.chain.unlocks_soon(rounds.last_initialized) {
        return Err(PaymentError::Unlocking(sender));
    }
    // a winner of an empty account pays nothing, so neither does its ticket
    if funds.chain.is_empty() {
        return Err(unknown("it has neither deposit nor reserve"));
    }
    Ok(())
}

/// Signatures and lots, in a few steps so that a long batch does not hold its thread.
pub(super) async fn tickets(
    sender: Address,
    batch: &TicketBatch,
    rand: RecipientRand,
) -> CheckedBatch {
    let mut tickets = Vec::with_capacity(batch.tickets.len());
    for (number, signed_nonce) in batch.tickets.iter().enumerate() {
        if number > 0 && number % SIGNATURES_AT_A_TIME == 0 {
            tokio::task::yield_now().await;
        }
        let ticket = batch.params.ticket(sender, signed_nonce.nonce);
        let sig = signed_nonce
            .sig
            .filter(|sig| ticket.is_signed_by_sender(sig));
        let winner = sig.filter(|sig| ticket.wins(sig, &rand)).map(|sig| {
            Box::new(WinningTicket {
                ticket,
                sig,
                recipient_rand: rand,
                expiration_block: batch.params.expiration_block,
            })
        });
        tickets.push(CheckedTicket {
            nonce: signed_nonce.nonce,
            signed: sig.is_some(),
            winner,
        });
    }
    CheckedBatch {
        params: batch.params,
        price: batch.price,
        value: batch.params.ticket_value(),
        tickets,
    }
}
