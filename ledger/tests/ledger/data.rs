//! Tickets and files for the tests.

use std::path::{Path, PathBuf};

use ledger::{Ledger, Options};
use protocol::address::Address;
use protocol::money::{ExpirationParams, RecipientRand, Ticket, U256, WinningTicket};
use protocol::signature::keccak256;
use rusqlite::{Connection, params};

pub const CHAIN: u64 = 42161;

pub fn path(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join(ledger::FILE_NAME)
}

pub fn options() -> Options {
    Options {
        chain_id: CHAIN,
        lock_wait: std::time::Duration::from_millis(20),
        ..Options::default()
    }
}

pub fn open(path: &Path) -> Ledger {
    Ledger::open(path, options()).expect("opens")
}

/// A winner that differs from others by its number; round 3333, L1 block 19000040.
pub fn winner(n: u32) -> WinningTicket {
    let rand = RecipientRand::from_bytes(keccak256(n.to_be_bytes()));
    let mut sig = [27; 65];
    sig[..32].copy_from_slice(&keccak256(format!("sig {n}")));
    WinningTicket {
        ticket: Ticket {
            recipient: Address([0xAB; 20]),
            sender: Address([0xCD; 20]),
            face_value: U256::from(720_000_000_000_000_u64),
            win_prob: U256::MAX / 90_000,
            nonce: n,
            recipient_rand_hash: rand.hash(),
            expiration: ExpirationParams {
                creation_round: 3333,
                creation_round_block_hash: keccak256("round 3333"),
            },
        },
        sig,
        recipient_rand: rand,
        expiration_block: 19_000_040,
    }
}

/// The tables as the reference makes them (its declared types, its defaults), in a file of its own.
pub fn reference_file(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("opens");
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS kv (key STRING PRIMARY KEY, value STRING, updatedAt STRING DEFAULT CURRENT_TIMESTAMP);
            INSERT OR IGNORE INTO kv(key, value) VALUES('dbVersion', '1');
            CREATE TABLE IF NOT EXISTS orchestrators (ethereumAddr STRING PRIMARY KEY,
                createdAt STRING DEFAULT CURRENT_TIMESTAMP NOT NULL, updatedAt STRING DEFAULT CURRENT_TIMESTAMP NOT NULL,
                serviceURI STRING, pricePerPixel int64, activationRound int64, deactivationRound int64, stake int64);
            CREATE TABLE IF NOT EXISTS unbondingLocks (createdAt STRING DEFAULT CURRENT_TIMESTAMP, id INTEGER NOT NULL,
                delegator STRING, amount TEXT, withdrawRound int64, usedBlock int64, PRIMARY KEY(id, delegator));
            CREATE INDEX IF NOT EXISTS idx_unbondinglocks_usedblock ON unbondingLocks(usedBlock);
            CREATE TABLE IF NOT EXISTS ticketQueue (createdAt DATETIME DEFAULT CURRENT_TIMESTAMP, sender STRING,
                recipient STRING, faceValue BLOB, winProb BLOB, senderNonce INTEGER, recipientRand BLOB,
                recipientRandHash STRING, sig BLOB PRIMARY KEY, creationRound int64, creationRoundBlockHash STRING,
                paramsExpirationBlock int64, redeemedAt DATETIME, txHash STRING);
            CREATE INDEX IF NOT EXISTS idx_ticketqueue_sender ON ticketQueue(sender);
            CREATE TABLE IF NOT EXISTS blockheaders (number int64, parent STRING, hash STRING PRIMARY KEY, logs BLOB);
            CREATE INDEX IF NOT EXISTS idx_blockheaders_number ON blockheaders(number);
            INSERT OR REPLACE INTO kv(key, value, updatedAt) VALUES('chainID', '42161', datetime());",
        )
        .expect("schema");
    connection
}

/// Stores a winner with the reference's statement and forms.
pub fn reference_store(connection: &Connection, winner: &WinningTicket) {
    let trim = |n: U256| {
        let mut bytes = [0; 32];
        n.to_big_endian(&mut bytes);
        let start = bytes.iter().position(|b| *b != 0).unwrap_or(32);
        bytes[start..].to_vec()
    };
    let ticket = &winner.ticket;
    connection
        .execute(
            "INSERT INTO ticketQueue(sender, recipient, faceValue, winProb, senderNonce, recipientRand, recipientRandHash, sig, creationRound, creationRoundBlockHash, paramsExpirationBlock) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            params![
                ticket.sender.to_string(),
                ticket.recipient.to_string(),
                trim(ticket.face_value),
                trim(ticket.win_prob),
                ticket.nonce,
                trim(U256::from_big_endian(&winner.recipient_rand.reveal())),
                ledger::hash_text(&ticket.recipient_rand_hash),
                winner.sig.to_vec(),
                i64::try_from(ticket.expiration.creation_round).unwrap(),
                ledger::hash_text(&ticket.expiration.creation_round_block_hash),
                i64::try_from(winner.expiration_block).unwrap(),
            ],
        )
        .expect("stores");
}

/// Runs a future on a runtime of its own.
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime")
        .block_on(future)
}

pub fn close(ledger: Ledger) {
    wait(ledger.close()).expect("closes");
}
