//! A ticket as the reference's queue holds it, and a ticket with its state as ours.

use std::fmt;

use protocol::money::{ExpirationParams, RecipientRand, Ticket, U256, WinningTicket, minimal};
use protocol::signature::Hash;
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

use super::TicketState;
use crate::LedgerError;
use crate::text::{column, hash_text, read_address, read_bytes, read_count, read_hash, read_uint};

/// Columns of a winner in the reference's table, in the order of [`read_winner`].
pub(crate) const COLUMNS: &str = "sender, recipient, faceValue, winProb, senderNonce, recipientRand, recipientRandHash, sig, creationRound, creationRoundBlockHash, paramsExpirationBlock";

/// How many [`COLUMNS`] there are.
pub(crate) const WIDTH: usize = 11;

/// A winner and where it stands. The secret number is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredTicket {
    /// Order of arrival.
    pub seq: i64,
    /// Keccak-256 of the ticket; what it is known by.
    pub hash: Hash,
    /// The ticket with its proof.
    pub winner: WinningTicket,
    /// Where it stands.
    pub state: TicketState,
    /// Transactions begun for it.
    pub attempts: u32,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

impl fmt::Debug for StoredTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTicket")
            .field("hash", &hash_text(&self.hash))
            .field("sender", &self.winner.ticket.sender)
            .field("face_value", &self.winner.ticket.face_value)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Reads the values of the reference's queue, in the order `sender, recipient, faceValue, winProb, senderNonce,
/// recipientRand, recipientRandHash, sig, creationRound, creationRoundBlockHash, paramsExpirationBlock`.
///
/// # Errors
/// What is wrong, with the column.
pub fn read_winner(values: &[ValueRef<'_>]) -> Result<WinningTicket, String> {
    let [
        sender,
        recipient,
        face_value,
        win_prob,
        nonce,
        rand,
        rand_hash,
        sig,
        round,
        round_hash,
        expiration,
    ] = values
    else {
        return Err(format!("{} columns instead of {WIDTH}", values.len()));
    };
    let at = |name: &'static str| move |problem: String| format!("{name}: {problem}");
    let mut recipient_rand = [0; 32];
    read_uint(*rand)
        .map_err(at("recipientRand"))?
        .to_big_endian(&mut recipient_rand);
    let nonce = read_count(*nonce).map_err(at("senderNonce"))?;
    Ok(WinningTicket {
        ticket: Ticket {
            recipient: read_address(*recipient).map_err(at("recipient"))?,
            sender: read_address(*sender).map_err(at("sender"))?,
            face_value: read_uint(*face_value).map_err(at("faceValue"))?,
            win_prob: read_uint(*win_prob).map_err(at("winProb"))?,
            nonce: u32::try_from(nonce)
                .map_err(|_| format!("senderNonce: {nonce} has more than 32 bits"))?,
            recipient_rand_hash: read_hash(*rand_hash).map_err(at("recipientRandHash"))?,
            expiration: ExpirationParams {
                creation_round: read_count(*round).map_err(at("creationRound"))?,
                creation_round_block_hash: read_hash(*round_hash)
                    .map_err(at("creationRoundBlockHash"))?,
            },
        },
        sig: read_bytes(*sig).map_err(at("sig"))?,
        recipient_rand: RecipientRand::from_bytes(recipient_rand),
        expiration_block: read_count(*expiration).map_err(at("paramsExpirationBlock"))?,
    })
}

/// A winner from the columns of a row that begin at `start`.
pub(crate) fn queue_row(
    row: &Row<'_>,
    start: usize,
) -> rusqlite::Result<Result<WinningTicket, String>> {
    let values: Vec<ValueRef<'_>> = (start..start + WIDTH)
        .map(|i| row.get_ref(i))
        .collect::<Result<_, _>>()?;
    Ok(read_winner(&values))
}

/// The values of `COLUMNS` in the reference's forms.
pub fn columns_of(winner: &WinningTicket) -> Vec<Value> {
    let ticket = &winner.ticket;
    let rand = U256::from_big_endian(&winner.recipient_rand.reveal());
    vec![
        ticket.sender.to_string().into(),
        ticket.recipient.to_string().into(),
        minimal(ticket.face_value).into(),
        minimal(ticket.win_prob).into(),
        i64::from(ticket.nonce).into(),
        minimal(rand).into(),
        hash_text(&ticket.recipient_rand_hash).into(),
        winner.sig.to_vec().into(),
        column(ticket.expiration.creation_round).into(),
        hash_text(&ticket.expiration.creation_round_block_hash).into(),
        column(winner.expiration_block).into(),
    ]
}

/// Columns of a ticket with its state: ours first, then [`COLUMNS`].
pub(crate) fn select(condition: &str) -> String {
    let queue = COLUMNS.split(", ").map(|column| format!("q.{column}"));
    let queue = queue.collect::<Vec<_>>().join(", ");
    format!(
        "SELECT t.seq, t.hash, t.data, t.attempts, t.created_at, t.updated_at, {queue} \
         FROM orn_tickets t JOIN ticketQueue q ON q.sig = t.sig {condition}"
    )
}

/// Reads a row of [`select`].
pub(crate) fn stored(row: &Row<'_>) -> Result<StoredTicket, LedgerError> {
    const TABLE: &str = "orn_tickets";
    let bad = |problem: String| LedgerError::row(TABLE, problem);
    let data: String = row.get(2)?;
    Ok(StoredTicket {
        seq: row.get(0)?,
        hash: read_bytes(row.get_ref(1)?).map_err(bad)?,
        state: read_state(&data).map_err(bad)?,
        attempts: row.get(3)?,
        created_at: read_count(row.get_ref(4)?).map_err(bad)?,
        updated_at: read_count(row.get_ref(5)?).map_err(bad)?,
        winner: queue_row(row, 6)?.map_err(|problem| LedgerError::row("ticketQueue", problem))?,
    })
}

/// The state as its column holds it.
///
/// # Errors
/// What is wrong with the text.
pub fn read_state(data: &str) -> Result<TicketState, String> {
    serde_json::from_str(data).map_err(|error| format!("data: {error}"))
}

/// The state as its column holds it.
///
/// # Errors
/// When it cannot be written as JSON; a fault of this program.
pub fn state_text(state: &TicketState) -> Result<String, LedgerError> {
    serde_json::to_string(state).map_err(|error| LedgerError::row("orn_tickets", error))
}
