//! What one account paid, for people and for programs. Amounts are texts in wei, cut to three decimals.

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use protocol::address::Address;
use serde::Serialize;

use super::books::{Account, Books};
use super::quote::Funds;

/// The account of a gateway after a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Who paid.
    pub sender: String,
    /// Its money on the chain when streams began, wei.
    pub before: Money,
    /// Its money when they had ended, wei: winners may be redeemed later.
    pub after: Money,
    /// Sum over all sessions.
    pub total: Entry,
    /// Each session.
    pub sessions: Vec<SessionEntry>,
}

/// Money on the chain, wei.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Money {
    /// Pays winners.
    pub deposit: String,
    /// Pays them when the deposit is used up.
    pub reserve: String,
}

/// What was paid. `ev_sent − fee − written_off = balance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Tickets whose request was answered.
    pub tickets: u64,
    /// Their expected value.
    pub ev_sent: String,
    /// Pixels billed.
    pub pixels: u64,
    /// What they cost at the price of each segment.
    pub fee: String,
    /// Credit given up after a failure.
    pub written_off: String,
    /// Mirror of the credit left at the recipient, which holds this or more.
    pub balance: String,
    /// Tickets whose request was not answered.
    pub unanswered_tickets: u64,
    /// Their expected value.
    pub unanswered_ev: String,
}

/// What was paid for one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionEntry {
    /// Whom tickets pay.
    pub recipient: String,
    /// Session ID.
    pub session: String,
    /// What was paid.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Statement {
    /// Of the account `sender` with these books.
    pub fn new(sender: Address, books: &Books, before: Funds, after: Funds) -> Self {
        let mut total = Account::default();
        let mut sessions = Vec::new();
        for ((recipient, session), account) in books.accounts() {
            total.absorb(account);
            sessions.push(SessionEntry {
                recipient: recipient.to_string(),
                session: session.clone(),
                entry: Entry::of(account),
            });
        }
        Self {
            sender: sender.to_string(),
            before: Money::of(before),
            after: Money::of(after),
            total: Entry::of(&total),
            sessions,
        }
    }
}

impl Money {
    fn of(funds: Funds) -> Self {
        Self {
            deposit: funds.deposit.to_string(),
            reserve: funds.reserve.to_string(),
        }
    }
}

impl Entry {
    fn of(account: &Account) -> Self {
        Self {
            tickets: account.tickets,
            ev_sent: account.sent.to_string(),
            pixels: account.pixels,
            fee: account.fees.to_string(),
            written_off: account.written_off.to_string(),
            balance: account.credit.to_string(),
            unanswered_tickets: account.unanswered_tickets,
            unanswered_ev: account.unanswered.to_string(),
        }
    }
}

/// Tables of the accounts: what went to recipients, and what the chain has.
pub fn text(statements: &[Statement]) -> String {
    let mut paid = Table::new();
    paid.load_preset(UTF8_BORDERS_ONLY).set_header([
        "sender (wei)",
        "sessions",
        "tickets",
        "EV sent",
        "pixels",
        "fee",
        "written off",
        "unanswered",
        "balance",
    ]);
    let mut held = Table::new();
    held.load_preset(UTF8_BORDERS_ONLY).set_header([
        "sender (wei)",
        "deposit before",
        "deposit after",
        "reserve before",
        "reserve after",
    ]);
    for statement in statements {
        let total = &statement.total;
        paid.add_row([
            statement.sender.clone(),
            statement.sessions.len().to_string(),
            total.tickets.to_string(),
            total.ev_sent.clone(),
            total.pixels.to_string(),
            total.fee.clone(),
            total.written_off.clone(),
            total.unanswered_ev.clone(),
            total.balance.clone(),
        ]);
        held.add_row([
            &statement.sender,
            &statement.before.deposit,
            &statement.after.deposit,
            &statement.before.reserve,
            &statement.after.reserve,
        ]);
    }
    for table in [&mut paid, &mut held] {
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{paid}\n{held}\n")
}
