//! Tickets for people: amounts in ETH, ages in words.

use actors::redeemer::{TicketDetail, TicketList};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use ledger::ticket::{TicketState, TicketView};
use ledger::{JournalState, hash_text};
use protocol::money::U256;

use crate::doors::operator::TicketSums;

/// A page of tickets.
pub fn list(list: &TicketList, now: u64) -> String {
    if list.tickets.is_empty() {
        return "no tickets\n".to_owned();
    }
    let mut table = table(&[
        "TICKET", "STATE", "ETH", "SENDER", "ROUND", "LEFT", "TRIES", "AGE", "NOTE",
    ]);
    for right in [2, 4, 5, 6, 7] {
        if let Some(column) = table.column_mut(right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for ticket in &list.tickets {
        table.add_row([
            hash_text(&ticket.hash),
            ticket.state.name().to_string(),
            eth(ticket.face_value),
            ticket.sender.to_string(),
            ticket.creation_round.to_string(),
            left(ticket),
            ticket.attempts.to_string(),
            span(now.saturating_sub(ticket.created_at)),
            note(&ticket.state),
        ]);
    }
    let more = list.next.map(|next| format!("more: -after {next}\n"));
    format!("{}\n{}", trimmed(&table), more.unwrap_or_default())
}

/// Tickets by state.
pub fn sums(sums: &TicketSums) -> String {
    let mut table = table(&["STATE", "TICKETS", "ETH", "PAID", "COST"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for sum in &sums.states {
        table.add_row([
            sum.state.to_string(),
            sum.count.to_string(),
            eth(sum.face_value),
            eth(sum.paid),
            eth(sum.cost),
        ]);
    }
    format!("{}\n", trimmed(&table))
}

/// One ticket.
pub fn ticket(ticket: &TicketView, now: u64) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("ticket", hash_text(&ticket.hash));
    row("state", ticket.state.name().to_string());
    for (name, value) in life(ticket) {
        row(name, value);
    }
    row("face value", format!("{} ETH", eth(ticket.face_value)));
    row("sender", ticket.sender.to_string());
    row("recipient", ticket.recipient.to_string());
    row("nonce of the sender", ticket.nonce.to_string());
    row("round", ticket.creation_round.to_string());
    row("rounds left", left(ticket));
    row(
        "redeemable from L1 block",
        ticket.expiration_block.to_string(),
    );
    row("tries", ticket.attempts.to_string());
    row(
        "arrived",
        format!("{} ago", span(now.saturating_sub(ticket.created_at))),
    );
    row(
        "changed",
        format!("{} ago", span(now.saturating_sub(ticket.updated_at))),
    );
    format!("{}\n", trimmed(&table))
}

/// One ticket with its transactions.
pub fn detail(detail: &TicketDetail, now: u64) -> String {
    let mut text = ticket(&detail.ticket, now);
    if detail.transactions.is_empty() {
        return text;
    }
    let mut table = table(&["TRANSACTION", "NONCE", "STATE", "BLOCK", "AGE", "NOTE"]);
    for entry in &detail.transactions {
        let state = match entry.state {
            JournalState::Open => "open",
            JournalState::Mined => "mined",
            JournalState::Reverted => "reverted",
            JournalState::Dropped => "dropped",
        };
        for hash in &entry.hashes {
            let counts = entry.tx.is_none_or(|mined| mined == *hash);
            table.add_row([
                hash_text(hash),
                entry.nonce.to_string(),
                if counts { state } else { "replaced" }.to_owned(),
                entry
                    .block
                    .filter(|_| counts)
                    .map_or_else(String::new, |block| block.to_string()),
                span(now.saturating_sub(entry.created_at)),
                if counts {
                    entry.detail.clone()
                } else {
                    String::new()
                },
            ]);
        }
    }
    text.push_str(&format!("\n{}\n", trimmed(&table)));
    text
}

/// What the state itself tells.
fn life(ticket: &TicketView) -> Vec<(&'static str, String)> {
    let paid = |paid: &U256, cost: &U256| {
        vec![
            (
                "paid",
                format!("{} of {} ETH", eth(*paid), eth(ticket.face_value)),
            ),
            ("cost", format!("{} ETH", eth(*cost))),
        ]
    };
    match &ticket.state {
        TicketState::Waiting | TicketState::Ready => Vec::new(),
        TicketState::Deferred {
            reason,
            detail,
            until_block,
        } => vec![
            ("put off because of", reason.as_str().to_owned()),
            ("in words", detail.clone()),
            (
                "looked at again",
                match until_block {
                    0 => "when anything changes".to_owned(),
                    block => format!("from L1 block {block}"),
                },
            ),
        ],
        TicketState::Submitted { nonce, hashes } => vec![
            ("nonce of the transaction", nonce.to_string()),
            (
                "transactions",
                hashes.iter().map(hash_text).collect::<Vec<_>>().join(" "),
            ),
        ],
        TicketState::Mined {
            tx,
            block,
            paid: wei,
            cost,
            ..
        }
        | TicketState::Paid {
            tx,
            block,
            paid: wei,
            cost,
        } => {
            let mut rows = vec![("transaction", hash_text(tx)), ("block", block.to_string())];
            rows.extend(paid(wei, cost));
            rows
        }
        TicketState::Reverted { tx, reason } => {
            vec![
                ("transaction", hash_text(tx)),
                ("reverted because", reason.clone()),
            ]
        }
        TicketState::Held { note } => vec![("note", note.clone())],
        TicketState::Expired { round } => vec![("expired in round", round.to_string())],
        TicketState::UsedElsewhere { detail } => vec![("what is known", detail.clone())],
        TicketState::Imported { tx, at } => vec![
            ("done by the reference", at.clone()),
            (
                "transaction",
                tx.as_ref()
                    .map_or_else(|| "not noted".to_owned(), hash_text),
            ),
        ],
    }
}

/// The state in a few words for a list.
fn note(state: &TicketState) -> String {
    match state {
        TicketState::Deferred { reason, .. } => reason.as_str().to_owned(),
        TicketState::Mined { paid, .. } | TicketState::Paid { paid, .. } => {
            format!("paid {} ETH", eth(*paid))
        }
        TicketState::Reverted { reason, .. } => reason.clone(),
        TicketState::Held { note } => note.clone(),
        _ => String::new(),
    }
}

fn left(ticket: &TicketView) -> String {
    match ticket.rounds_left {
        _ if ticket.state.name().is_final() => "-".to_owned(),
        Some(left) => left.to_string(),
        None => "?".to_owned(),
    }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(head.to_vec());
    table
}

/// Without blanks at the ends of lines.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Wei as ETH, exact.
fn eth(wei: U256) -> String {
    let (whole, rest) = wei.div_mod(U256::exp10(18));
    if rest.is_zero() {
        return whole.to_string();
    }
    let digits = format!("{:0>18}", rest.to_string());
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Seconds in one word.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (wei, text) in [
            (U256::zero(), "0"),
            (U256::one(), "0.000000000000000001"),
            (U256::from(720_000_000_000_000_u64), "0.00072"),
            (U256::exp10(18), "1"),
            (U256::exp10(20) + U256::exp10(17), "100.1"),
        ] {
            assert_eq!(eth(wei), text);
        }
        assert!(eth(U256::MAX).ends_with(".584007913129639935"));
    }

    #[test]
    fn ages_are_short() {
        let texts: Vec<_> = [0, 119, 120, 7_200, 172_800].map(span).to_vec();
        assert_eq!(texts, ["0s", "119s", "2m", "2h", "2d"]);
    }
}
