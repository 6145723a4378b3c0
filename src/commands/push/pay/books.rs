//! The gateway's mirror of what it has at each recipient under each session ID, and what went into it and out of it.
//!
//! The rules are the reference gateway's. While a request runs, the whole credit is set aside, so that a second one under
//! way beside it pays for itself. Afterwards it comes back less the work, or as it was when no answer came, or not at all
//! when an answer came that was no success: then the recipient holds more than the mirror says.

use std::collections::BTreeMap;

use protocol::address::Address;
use protocol::money::{Amount, Credit, Price, tickets_needed};

/// Who holds a credit: recipient of the tickets and session ID.
pub type Key = (Address, String);

/// Everything under one key.
///
/// Always `sent − fees − written_off = credit`, but for what is set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What the recipient holds at least.
    pub credit: Credit,
    /// Tickets whose request was answered.
    pub tickets: u64,
    /// Their expected value.
    pub sent: Amount,
    /// Tickets whose request was not answered: the recipient may have taken them.
    pub unanswered_tickets: u64,
    /// Their expected value, which the mirror forgets.
    pub unanswered: Amount,
    /// Pixels billed.
    pub pixels: u64,
    /// Pixels × price.
    pub fees: Amount,
    /// Credit given up because a request failed after its answer had begun.
    pub written_off: Credit,
}

/// A payment on its way, with the credit that is set aside for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Staged {
    key: Key,
    existing: Credit,
    value: Amount,
    price: Price,
    /// Tickets to send.
    pub tickets: u32,
}

/// What became of the request that carried a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was never sent.
    Unsent,
    /// It was sent, and no head of an answer came.
    Unanswered,
    /// A head of an answer came, but no result with renditions.
    Spent,
    /// Renditions came, with so many pixels.
    Delivered(u64),
}

/// The books of one gateway.
#[derive(Debug, Default)]
pub struct Books(BTreeMap<Key, Account>);

impl Books {
    /// Sets all credit under `key` aside and says how many tickets must go with it to cover `fee` and one ticket's
    /// expected value `ev`.
    pub fn stage(&mut self, key: Key, fee: Amount, ev: Amount, price: Price) -> Staged {
        let account = self.0.entry(key.clone()).or_default();
        let existing = std::mem::take(&mut account.credit);
        let tickets = tickets_needed(fee, ev, &existing);
        Staged {
            key,
            existing,
            value: ev.times(tickets),
            price,
            tickets,
        }
    }

    /// Books the end of a request.
    pub fn settle(&mut self, staged: Staged, settlement: Settlement) {
        let account = self.0.entry(staged.key).or_default();
        match settlement {
            Settlement::Unsent => add(&mut account.credit, staged.existing),
            Settlement::Unanswered => {
                add(&mut account.credit, staged.existing);
                account.unanswered_tickets += u64::from(staged.tickets);
                account.unanswered = account.unanswered.plus(staged.value);
            }
            Settlement::Spent => {
                account.tickets += u64::from(staged.tickets);
                account.sent = account.sent.plus(staged.value);
                add(&mut account.written_off, staged.existing);
                account.written_off.credit(staged.value);
            }
            Settlement::Delivered(pixels) => {
                let fee = Amount::charge(&staged.price, pixels);
                account.tickets += u64::from(staged.tickets);
                account.sent = account.sent.plus(staged.value);
                account.pixels = account.pixels.saturating_add(pixels);
                account.fees = account.fees.plus(fee);
                add(&mut account.credit, staged.existing);
                account.credit.credit(staged.value);
                account.credit.debit(fee);
            }
        }
    }

    /// All accounts, by recipient and session ID.
    pub fn accounts(&self) -> impl Iterator<Item = (&Key, &Account)> {
        self.0.iter()
    }
}

impl Account {
    /// Adds another one up.
    pub fn absorb(&mut self, other: &Self) {
        add(&mut self.credit, other.credit);
        self.tickets += other.tickets;
        self.sent = self.sent.plus(other.sent);
        self.unanswered_tickets += other.unanswered_tickets;
        self.unanswered = self.unanswered.plus(other.unanswered);
        self.pixels = self.pixels.saturating_add(other.pixels);
        self.fees = self.fees.plus(other.fees);
        add(&mut self.written_off, other.written_off);
    }
}

fn add(to: &mut Credit, other: Credit) {
    if other.is_negative() {
        to.debit(other.magnitude());
    } else {
        to.credit(other.magnitude());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EV: u64 = 100;

    fn key() -> Key {
        (Address([1; 20]), "s".to_owned())
    }

    fn price() -> Price {
        Price::new(1, 1).unwrap()
    }

    fn stage(books: &mut Books, fee: u64) -> Staged {
        books.stage(key(), Amount::wei(fee), Amount::wei(EV), price())
    }

    fn credit(books: &Books) -> String {
        books.0[&key()].credit.to_string()
    }

    #[test]
    fn a_new_session_sends_a_ticket_and_the_change_is_kept() {
        let mut books = Books::default();
        let first = stage(&mut books, 30);
        assert_eq!(first.tickets, 1);
        books.settle(first, Settlement::Delivered(29));
        assert_eq!(credit(&books), "71");
        // at least one whole ticket's value is kept
        let second = stage(&mut books, 30);
        assert_eq!(second.tickets, 1);
        books.settle(second, Settlement::Delivered(30));
        assert_eq!(credit(&books), "141");
        let third = stage(&mut books, 30);
        assert_eq!(third.tickets, 0);
        books.settle(third, Settlement::Delivered(250));
        assert_eq!(credit(&books), "-109");
        let fourth = stage(&mut books, 30);
        assert_eq!(fourth.tickets, 3, "the debt and one ticket's value");
        books.settle(fourth, Settlement::Unsent);
    }

    #[test]
    fn without_an_answer_the_old_credit_comes_back_and_the_tickets_are_forgotten() {
        let mut books = Books::default();
        let staged = stage(&mut books, 30);
        books.settle(staged, Settlement::Delivered(20));
        let lost = stage(&mut books, 400);
        assert_eq!(lost.tickets, 4);
        books.settle(lost, Settlement::Unanswered);
        assert_eq!(credit(&books), "80");
        let account = &books.0[&key()];
        assert_eq!((account.tickets, account.unanswered_tickets), (1, 4));
        assert_eq!(account.unanswered, Amount::wei(400));
    }

    #[test]
    fn a_refusal_after_the_head_of_an_answer_writes_all_of_it_off() {
        let mut books = Books::default();
        let staged = stage(&mut books, 30);
        books.settle(staged, Settlement::Delivered(20));
        let refused = stage(&mut books, 30);
        books.settle(refused, Settlement::Spent);
        assert_eq!(credit(&books), "0");
        assert_eq!(books.0[&key()].written_off.to_string(), "180");
    }

    #[test]
    fn a_second_request_under_way_pays_for_itself() {
        let mut books = Books::default();
        let first = stage(&mut books, 30);
        let second = stage(&mut books, 30);
        assert_eq!((first.tickets, second.tickets), (1, 1));
        books.settle(second, Settlement::Delivered(30));
        books.settle(first, Settlement::Delivered(30));
        assert_eq!(credit(&books), "140");
    }

    proptest! {
        #[test]
        fn what_was_sent_is_either_used_up_or_written_off_or_still_there(
            steps in prop::collection::vec((0..400u64, 0..4u8, 0..500u64, any::<bool>()), 1..60)
        ) {
            let mut books = Books::default();
            let mut under_way = Vec::new();
            for (fee, end, pixels, at_once) in steps {
                let staged = stage(&mut books, fee);
                let end = match end {
                    0 => Settlement::Unsent,
                    1 => Settlement::Unanswered,
                    2 => Settlement::Spent,
                    _ => Settlement::Delivered(pixels),
                };
                if at_once { books.settle(staged, end) } else { under_way.push((staged, end)) }
            }
            for (staged, end) in under_way {
                books.settle(staged, end);
            }
            let account = &books.0[&key()];
            let mut left = Credit::ZERO;
            left.credit(account.sent);
            left.debit(account.fees);
            let gone = account.written_off;
            if gone.is_negative() { left.credit(gone.magnitude()) } else { left.debit(gone.magnitude()) }
            prop_assert_eq!(left, account.credit);
        }
    }
}
