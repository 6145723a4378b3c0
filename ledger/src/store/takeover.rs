//! What the reference left in its queue since we last had the file: winners to redeem, and rows it finished.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::tickets::{add_state, state_by_sig, winner, write_state};
use crate::LedgerError;
use crate::text::{parse_hash, read_text};
use crate::ticket::TicketState;
use crate::ticket::queue::COLUMNS;

/// What was taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Takeover {
    /// Winners that wait to be redeemed.
    pub pending: u32,
    /// Winners that the reference had marked as done, new to us.
    pub finished: u32,
    /// Winners that we had not finished and the reference has.
    pub finished_meanwhile: u32,
    /// Rows that are no tickets: the place in the table and what is wrong. They are left as they are.
    pub unreadable: Vec<String>,
}

/// Brings our table up to the queue, in the transaction that is open.
pub(crate) fn take_over(connection: &Connection) -> Result<Takeover, LedgerError> {
    let mut takeover = Takeover::default();
    // one second of resolution is no order: the place in the table decides among equals
    let sql = format!(
        "SELECT {COLUMNS}, redeemedAt, txHash, rowid FROM ticketQueue q \
         WHERE NOT EXISTS (SELECT 1 FROM orn_tickets t WHERE t.sig = q.sig) \
            OR (redeemedAt IS NOT NULL OR txHash IS NOT NULL) AND EXISTS (SELECT 1 FROM orn_tickets t \
                WHERE t.sig = q.sig AND t.state NOT IN ('paid', 'expired', 'used_elsewhere', 'imported')) \
         ORDER BY createdAt, rowid"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let done = done(row.get_ref(11)?, row.get_ref(12)?);
        let winner = match winner(row)? {
            Ok(winner) => winner,
            Err(problem) => {
                let place: i64 = row.get(13)?;
                takeover
                    .unreadable
                    .push(format!("ticketQueue row {place}: {problem}"));
                continue;
            }
        };
        if let Some((hash, _, attempts)) = state_by_sig(connection, &winner.sig)? {
            if let Some(done) = done {
                write_state(connection, &hash, &done, attempts)?;
                takeover.finished_meanwhile += 1;
            }
            continue;
        }
        let hash = winner.ticket.hash();
        let known = connection
            .prepare_cached("SELECT 1 FROM orn_tickets WHERE hash = ?1")?
            .exists([&hash[..]])?;
        if known {
            takeover.unreadable.push(format!(
                "ticketQueue: the ticket 0x{} is there twice with different signatures",
                hex::encode(hash)
            ));
            continue;
        }
        match done {
            Some(_) => takeover.finished += 1,
            None => takeover.pending += 1,
        }
        let state = done.unwrap_or(TicketState::Waiting);
        add_state(connection, &hash, &winner.sig, &state)?;
    }
    Ok(takeover)
}

/// How the reference says that a ticket is done: either column is enough for it not to look again.
fn done(redeemed_at: ValueRef<'_>, tx: ValueRef<'_>) -> Option<TicketState> {
    if redeemed_at == ValueRef::Null && tx == ValueRef::Null {
        return None;
    }
    let tx = read_text(tx).ok().and_then(|text| parse_hash(&text));
    Some(TicketState::Imported {
        tx: tx.filter(|hash| *hash != [0; 32]),
        at: read_text(redeemed_at).unwrap_or_default(),
    })
}
