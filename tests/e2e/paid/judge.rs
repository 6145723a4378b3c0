//! Who wins: computed from the node's secret, which a gateway does not have, and not from what the node says.

use protocol::money::{Binding, QuoteSecret, Ticket};
use protocol::signature::Hash;

use super::payer::Sent;

/// See the module.
pub struct Judge(pub QuoteSecret);

impl Judge {
    /// Whether a ticket pays.
    pub fn wins(&self, sent: &Sent) -> bool {
        let binding = Binding {
            sender: sent.ticket.sender,
            price: sent.price,
            session: b"video",
        };
        let rand = self.0.recipient_rand(&binding, &sent.params);
        let rand = rand.expect("parameters that the node made");
        sent.ticket.wins(&sent.sig, &rand)
    }

    /// Those that pay.
    pub fn winners(&self, sent: &[Sent]) -> Vec<Sent> {
        let winners = sent.iter().filter(|sent| self.wins(sent));
        winners.cloned().collect()
    }
}

/// Hashes of tickets.
pub fn hashes(sent: &[Sent]) -> Vec<Hash> {
    sent.iter().map(|sent| Ticket::hash(&sent.ticket)).collect()
}
