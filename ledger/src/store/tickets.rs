//! Winning tickets: our table of states, with the reference's queue kept in step in the same transaction.

use std::collections::BTreeMap;

use protocol::address::Address;
use protocol::money::{U256, WinningTicket};
use protocol::signature::Hash;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::text::{column, count_at, hash_text, read_address, read_bytes, read_uint};
use crate::ticket::queue::{
    COLUMNS, columns_of, queue_row, read_state, select, state_text, stored,
};
use crate::ticket::{
    Page, SenderSum, State, StateSum, Step, StoredTicket, TicketFilter, TicketState,
};
use crate::writer::Class;
use crate::{Ledger, LedgerError, Pending};

/// What became of winners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Not known before.
    pub new: u32,
    /// Known by their hash: nothing was changed.
    pub known: u32,
}

impl Ledger {
    /// Stores winners; durable. A ticket that is known by its hash counts as stored. With
    /// [`forward_winners`](crate::Options::forward_winners) they go to the outbox.
    pub fn add_winners(&self, winners: Vec<WinningTicket>) -> Pending<Added> {
        let forward = self.forward_winners;
        self.durable(move |connection| add_all(connection, &winners, forward))
    }

    /// One ticket by its hash; [`LedgerError::UnknownTicket`] when there is none.
    pub fn ticket(&self, hash: Hash) -> Pending<StoredTicket> {
        self.read(move |connection| get(connection, &hash))
    }

    /// A page of tickets in order of arrival.
    pub fn tickets(&self, filter: TicketFilter) -> Pending<Page> {
        self.read(move |connection| page(connection, &filter))
    }

    /// Moves a ticket by one step of [`TRANSITIONS`](crate::ticket::TRANSITIONS) and gives it as it then is. Durable,
    /// except where losing the step costs nothing (parameters expired, deferral, retry).
    ///
    /// The answer is [`LedgerError::IllegalStep`] for a step that is not in the table.
    pub fn step_ticket(&self, hash: Hash, step: Step) -> Pending<StoredTicket> {
        let class = match step.must_be_synced() {
            true => Class::Durable,
            false => Class::Committed,
        };
        self.queue.put(class, move |connection| {
            take_step(connection, &hash, step.clone())
        })
    }

    /// Makes every waiting ticket ready whose parameters end at or before this L1 block; gives how many.
    pub fn release_tickets(&self, l1_block: u64) -> Pending<u32> {
        self.committed(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT t.hash FROM orn_tickets t JOIN ticketQueue q ON q.sig = t.sig \
                 WHERE t.state = 'waiting' AND q.paramsExpirationBlock <= ?1",
            )?;
            let hashes = collect_hashes(statement.query([column(l1_block)])?)?;
            for hash in &hashes {
                take_step(connection, hash, Step::ParamsExpired)?;
            }
            Ok(u32::try_from(hashes.len()).unwrap_or(u32::MAX))
        })
    }

    /// Ends every ticket without a transaction out that the contract takes no more in `round`, a ticket being good
    /// for `validity` rounds from its creation round on; gives their hashes. Durable. `round` must be read from the
    /// chain: there is no way back.
    pub fn expire_tickets(&self, round: u64, validity: u64) -> Pending<Vec<Hash>> {
        self.durable(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT t.hash FROM orn_tickets t JOIN ticketQueue q ON q.sig = t.sig \
                 WHERE t.state IN ('waiting', 'ready', 'deferred', 'reverted', 'held') AND q.creationRound <= ?1",
            )?;
            let Some(oldest_dead) = round.checked_sub(validity) else {
                return Ok(Vec::new());
            };
            let hashes = collect_hashes(statement.query([column(oldest_dead)])?)?;
            for hash in &hashes {
                take_step(connection, hash, Step::Expire { round })?;
            }
            Ok(hashes)
        })
    }

    /// Count, value, money and age by state; every state is there.
    pub fn ticket_sums(&self) -> Pending<Vec<StateSum>> {
        self.read(state_sums)
    }

    /// What each sender's unfinished tickets are worth, largest first.
    pub fn sender_sums(&self) -> Pending<Vec<SenderSum>> {
        self.read(sender_sums)
    }
}

fn collect_hashes(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Hash>, LedgerError> {
    let mut hashes = Vec::new();
    while let Some(row) = rows.next()? {
        let hash = read_bytes(row.get_ref(0)?);
        hashes.push(hash.map_err(|problem| LedgerError::row("orn_tickets", problem))?);
    }
    Ok(hashes)
}

/// Stores winners where they belong.
pub(crate) fn add_all(
    connection: &Connection,
    winners: &[WinningTicket],
    forward: bool,
) -> Result<Added, LedgerError> {
    let mut added = Added::default();
    for winner in winners {
        let new = match forward {
            true => super::outbox::add(connection, winner)?,
            false => add(connection, winner)?,
        };
        match new {
            true => added.new += 1,
            false => added.known += 1,
        }
    }
    Ok(added)
}

/// Whether the ticket is new.
fn add(connection: &Connection, winner: &WinningTicket) -> Result<bool, LedgerError> {
    let hash = winner.ticket.hash();
    let known = connection
        .prepare_cached("SELECT 1 FROM orn_tickets WHERE hash = ?1")?
        .exists([&hash[..]])?;
    if known {
        return Ok(false);
    }
    let sql = format!(
        "INSERT INTO ticketQueue ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (sig) DO NOTHING"
    );
    connection
        .prepare_cached(&sql)?
        .execute(params_from_iter(columns_of(winner)))?;
    add_state(connection, &hash, &winner.sig, &TicketState::Waiting)?;
    Ok(true)
}

/// Puts a ticket of the queue into our table.
pub(crate) fn add_state(
    connection: &Connection,
    hash: &Hash,
    sig: &[u8],
    state: &TicketState,
) -> Result<(), LedgerError> {
    connection
        .prepare_cached("INSERT INTO orn_tickets (hash, sig, state, data) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            &hash[..],
            sig,
            state.name().as_str(),
            state_text(state)?
        ])?;
    Ok(())
}

fn get(connection: &Connection, hash: &Hash) -> Result<StoredTicket, LedgerError> {
    let sql = select("WHERE t.hash = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([&hash[..]])?;
    match rows.next()? {
        Some(row) => stored(row),
        None => Err(LedgerError::UnknownTicket(*hash)),
    }
}

fn page(connection: &Connection, filter: &TicketFilter) -> Result<Page, LedgerError> {
    let mut condition = "WHERE t.seq > ?".to_owned();
    let mut values = vec![Value::from(filter.after)];
    if !filter.states.is_empty() {
        let marks = vec!["?"; filter.states.len()].join(", ");
        condition.push_str(&format!(" AND t.state IN ({marks})"));
        values.extend(
            filter
                .states
                .iter()
                .map(|s| Value::from(s.as_str().to_owned())),
        );
    }
    if let Some(sender) = filter.sender {
        condition.push_str(" AND q.sender = ?");
        values.push(sender.0.to_string().into());
    }
    condition.push_str(" ORDER BY t.seq LIMIT ?");
    values.push(i64::from(filter.size()).into());
    let sql = select(&condition);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut page = Page {
        tickets: Vec::new(),
        next: None,
        unreadable: Vec::new(),
    };
    let (mut seen, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        seen += 1;
        last = Some(row.get(0)?);
        match stored(row) {
            Ok(ticket) => page.tickets.push(ticket),
            Err(error) => page.unreadable.push(error.to_string()),
        }
    }
    if seen == filter.size() {
        page.next = last;
    }
    Ok(page)
}

/// Applies a step, writes it, and keeps the reference's row in step.
pub(crate) fn take_step(
    connection: &Connection,
    hash: &Hash,
    step: Step,
) -> Result<StoredTicket, LedgerError> {
    let mut ticket = get(connection, hash)?;
    if let Step::Submit { nonce, .. } = &step {
        let same =
            matches!(&ticket.state, TicketState::Submitted { nonce: sent, .. } if sent == nonce);
        ticket.attempts += u32::from(!same);
    }
    let before = ticket.state.reference_tx();
    ticket.state = ticket.state.apply(step)?;
    write_state(connection, hash, &ticket.state, ticket.attempts)?;
    let after = ticket.state.reference_tx();
    if before != after {
        mark(connection, &ticket.winner.sig, after.as_ref())?;
    }
    Ok(ticket)
}

/// Writes a state.
pub(crate) fn write_state(
    connection: &Connection,
    hash: &Hash,
    state: &TicketState,
    attempts: u32,
) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "UPDATE orn_tickets SET state = ?2, data = ?3, attempts = ?4, updated_at = unixepoch() WHERE hash = ?1",
        )?
        .execute(params![
            &hash[..],
            state.name().as_str(),
            state_text(state)?,
            attempts
        ])?;
    Ok(())
}

/// Marks the reference's row as done with a transaction, or as not done.
fn mark(connection: &Connection, sig: &[u8], tx: Option<&Hash>) -> Result<(), LedgerError> {
    connection
        .prepare_cached(
            "UPDATE ticketQueue SET redeemedAt = CASE WHEN ?1 IS NULL THEN NULL ELSE datetime('now') END, \
             txHash = ?1 WHERE sig = ?2",
        )?
        .execute(params![tx.map(hash_text), sig])?;
    Ok(())
}

fn state_sums(connection: &Connection) -> Result<Vec<StateSum>, LedgerError> {
    let empty = |state| StateSum {
        state,
        count: 0,
        face_value: U256::zero(),
        paid: U256::zero(),
        cost: U256::zero(),
        oldest: None,
        lowest_round: None,
    };
    let mut sums: BTreeMap<State, StateSum> = State::ALL
        .iter()
        .map(|state| (*state, empty(*state)))
        .collect();
    let mut statement = connection.prepare_cached(
        "SELECT t.data, t.created_at, q.faceValue, q.creationRound \
         FROM orn_tickets t JOIN ticketQueue q ON q.sig = t.sig",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let data: String = row.get(0)?;
        let state =
            read_state(&data).map_err(|problem| LedgerError::row("orn_tickets", problem))?;
        let Some(sum) = sums.get_mut(&state.name()) else {
            continue;
        };
        let bad = |problem: String| LedgerError::row("ticketQueue", problem);
        let created = count_at(row, 1, "orn_tickets")?;
        let face = read_uint(row.get_ref(2)?).map_err(bad)?;
        let round = count_at(row, 3, "ticketQueue")?;
        sum.count += 1;
        sum.face_value = sum.face_value.saturating_add(face);
        sum.oldest = Some(sum.oldest.map_or(created, |oldest| oldest.min(created)));
        sum.lowest_round = Some(sum.lowest_round.map_or(round, |lowest| lowest.min(round)));
        if let TicketState::Mined { paid, cost, .. } | TicketState::Paid { paid, cost, .. } = state
        {
            sum.paid = sum.paid.saturating_add(paid);
            sum.cost = sum.cost.saturating_add(cost);
        }
    }
    Ok(sums.into_values().collect())
}

fn sender_sums(connection: &Connection) -> Result<Vec<SenderSum>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT t.state, q.sender, q.faceValue FROM orn_tickets t JOIN ticketQueue q ON q.sig = t.sig \
         WHERE t.state IN ('waiting', 'ready', 'deferred', 'submitted', 'mined', 'reverted', 'held')",
    )?;
    let mut rows = statement.query([])?;
    let mut sums: BTreeMap<Address, SenderSum> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let bad = |problem: String| LedgerError::row("ticketQueue", problem);
        let state: String = row.get(0)?;
        let sender = read_address(row.get_ref(1)?).map_err(bad)?;
        let face = read_uint(row.get_ref(2)?).map_err(bad)?;
        let sum = sums.entry(sender).or_insert(SenderSum {
            sender,
            count: 0,
            face_value: U256::zero(),
            submitted: U256::zero(),
        });
        sum.count += 1;
        sum.face_value = sum.face_value.saturating_add(face);
        if state == State::Submitted.as_str() {
            sum.submitted = sum.submitted.saturating_add(face);
        }
    }
    let mut sums: Vec<_> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.face_value));
    Ok(sums)
}

/// Our state of a ticket by the signature its row has in the queue.
pub(crate) fn state_by_sig(
    connection: &Connection,
    sig: &[u8],
) -> Result<Option<(Hash, TicketState, u32)>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT hash, data, attempts FROM orn_tickets WHERE sig = ?1")?
        .query_row([sig], |row| {
            let hash = read_bytes(row.get_ref(0)?);
            Ok((hash, row.get::<_, String>(1)?, row.get(2)?))
        })
        .optional()?;
    let bad = |problem: String| LedgerError::row("orn_tickets", problem);
    found
        .map(|(hash, data, attempts)| {
            Ok((
                hash.map_err(bad)?,
                read_state(&data).map_err(bad)?,
                attempts,
            ))
        })
        .transpose()
}

/// A winner of the queue, or what is wrong with its row.
pub(crate) type QueueRow = Result<WinningTicket, String>;

/// The first columns of a statement over the queue as a winner.
pub(crate) fn winner(row: &rusqlite::Row<'_>) -> rusqlite::Result<QueueRow> {
    queue_row(row, 0)
}
