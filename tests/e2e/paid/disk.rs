//! The database of a node as an outsider reads it: a copy of its files, opened with plain SQLite.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use protocol::address::Address;
use protocol::money::{Credit, QuoteSecret, U256};
use protocol::signature::Hash;
use protocol::token::TokenKey;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;
use tempfile::TempDir;

use crate::node::scratch;

/// See the module.
pub struct Disk {
    connection: Connection,
    _copy: TempDir,
}

impl Disk {
    /// What would be found if everything ended now. The node should be dead, or do nothing but answer.
    pub fn of(directory: &Path) -> Self {
        let copy = scratch();
        for end in ["", "-wal", "-journal"] {
            let name = format!("{}{end}", ledger::FILE_NAME);
            let file = directory.join(&name);
            if file.exists() {
                std::fs::copy(file, copy.path().join(name)).expect("copy the database");
            }
        }
        let connection = Connection::open(copy.path().join(ledger::FILE_NAME)).expect("open");
        Self {
            connection,
            _copy: copy,
        }
    }

    /// State of every ticket by its hash, as our table has it.
    pub fn tickets(&self) -> HashMap<Hash, Value> {
        let mut statement = self
            .connection
            .prepare("SELECT hash, data FROM orn_tickets")
            .expect("our table");
        let rows = statement.query_map([], |row| {
            let data: String = row.get(1)?;
            Ok((row.get(0)?, serde_json::from_str(&data).expect("JSON")))
        });
        rows.expect("rows").map(|row| row.expect("row")).collect()
    }

    /// Hashes of the tickets in a state.
    pub fn tickets_in(&self, state: &str) -> HashSet<Hash> {
        let tickets = self.tickets().into_iter();
        tickets
            .filter(|(_, data)| data["state"] == state)
            .map(|(hash, _)| hash)
            .collect()
    }

    /// Wei that all redeemed tickets came to.
    pub fn paid(&self) -> U256 {
        let amount = |data: &Value| {
            let text = data["paid"].as_str()?;
            U256::from_dec_str(text).ok()
        };
        let tickets = self.tickets();
        tickets
            .values()
            .filter_map(amount)
            .fold(U256::zero(), |sum, paid| sum + paid)
    }

    /// Balance of a session or manifest; zero when there is none.
    pub fn credit(&self, sender: Address, key: &str) -> Credit {
        let bytes: Option<Vec<u8>> = self
            .connection
            .query_row(
                "SELECT balance FROM orn_credits WHERE sender = ?1 AND key = ?2",
                (&sender.0[..], key),
                |row| row.get(0),
            )
            .optional()
            .expect("balance");
        bytes.map_or(Credit::ZERO, |bytes| {
            Credit::from_bytes(&bytes).expect("balance")
        })
    }

    /// What quotes and auth tokens are made with.
    pub fn secrets(&self) -> (QuoteSecret, TokenKey) {
        let read = |name: &str| {
            let text: String = self
                .connection
                .query_row(
                    "SELECT value FROM orn_meta WHERE name = ?1",
                    [name],
                    |row| row.get(0),
                )
                .expect("secret");
            (0..text.len() / 2)
                .map(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).expect("hex"))
                .collect::<Vec<u8>>()
        };
        let quote = QuoteSecret::from_bytes(&read("secret_quote")).expect("secret");
        let token: [u8; 32] = read("secret_token").try_into().expect("32 bytes");
        (quote, TokenKey::new(token))
    }
}
