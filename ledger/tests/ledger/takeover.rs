//! A file goes from the reference to this node and back.

use ledger::ticket::{Clocks, State, Step};
use ledger::{Ledger, NEVER, Orchestrator, TicketFilter, TicketState, UnbondingLock};
use protocol::address::Address;
use protocol::money::{RecipientRand, U256};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::data::*;

type Column = (String, String, bool, Option<String>, i64);

fn declared(connection: &Connection, table: &str) -> Vec<Column> {
    connection
        .prepare("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)")
        .unwrap()
        .query_map([table], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn indexes(connection: &Connection) -> Vec<(String, String)> {
    connection
        .prepare(
            "SELECT i.name, c.name FROM sqlite_schema i, pragma_index_info(i.name) c \
             WHERE i.type = 'index' AND i.name LIKE 'idx_%' ORDER BY 1",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn row(connection: &Connection, sql: &str) -> Vec<Value> {
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    statement
        .query_row([], |row| (0..width).map(|i| row.get(i)).collect())
        .unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn a_new_file_has_the_tables_that_the_reference_makes() {
    let dir = tempfile::tempdir().unwrap();
    let reference = reference_file(&dir.path().join("reference"));
    let file = path(&dir);
    let ledger = open(&file);
    assert!(ledger.opened().created);
    close(ledger);
    let ours = Connection::open(&file).unwrap();
    for table in [
        "kv",
        "orchestrators",
        "unbondingLocks",
        "ticketQueue",
        "blockheaders",
    ] {
        assert_eq!(
            declared(&ours, table),
            declared(&reference, table),
            "{table}"
        );
        assert!(!declared(&ours, table).is_empty(), "{table}");
    }
    assert_eq!(indexes(&ours), indexes(&reference));
    for pragma in ["application_id", "user_version", "encoding", "auto_vacuum"] {
        let sql = format!("PRAGMA {pragma}");
        assert_eq!(row(&ours, &sql), row(&reference, &sql), "{pragma}");
    }
    let kv =
        "SELECT value, typeof(value), typeof(updatedAt), length(updatedAt) FROM kv WHERE key = ";
    for key in ["'dbVersion'", "'chainID'"] {
        let sql = format!("{kv}{key}");
        assert_eq!(row(&ours, &sql), row(&reference, &sql), "{key}");
        assert_eq!(row(&ours, &sql)[1], text("integer"));
    }
}

#[test]
fn the_file_is_given_back_with_a_plain_journal_and_winners_as_the_reference_selects_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let ledger = open(&file);
    let mut ours = winner(7);
    ours.ticket.sender = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
        .parse()
        .unwrap();
    ours.ticket.recipient = ours.ticket.sender;
    ours.ticket.face_value = U256::zero();
    let mut rand = [0; 32];
    rand[30..].copy_from_slice(&[1, 0xb0]);
    ours.recipient_rand = RecipientRand::from_bytes(rand);
    ledger.add_winners(vec![ours]).wait().unwrap();
    let header = ledger::BlockHeader {
        number: 77,
        parent: [1; 32],
        hash: [2; 32],
    };
    ledger.set_block_cursor(header, Some(5)).wait().unwrap();
    close(ledger);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no journal is left beside the file"
    );
    let connection = Connection::open(&file).unwrap();
    assert_eq!(row(&connection, "PRAGMA journal_mode"), [text("delete")]);
    // the statement with which the reference picks a ticket
    let sql = format!(
        "SELECT sender, recipient, faceValue, winProb, senderNonce, recipientRand, recipientRandHash, sig, creationRound, creationRoundBlockHash, paramsExpirationBlock FROM ticketQueue WHERE sender='{}' AND creationRound >= 3332 AND redeemedAt IS NULL AND txHash IS NULL ORDER BY createdAt ASC LIMIT 1",
        ours.ticket.sender
    );
    let mut probability = [0; 32];
    ours.ticket.win_prob.to_big_endian(&mut probability);
    assert_eq!(&probability[..2], [0, 0]);
    assert_eq!(
        row(&connection, &sql),
        [
            text("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"),
            text("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"),
            Value::Blob(vec![]),
            Value::Blob(probability[2..].to_vec()),
            Value::Integer(7),
            Value::Blob(vec![1, 0xb0]),
            text(&ledger::hash_text(&ours.ticket.recipient_rand_hash)),
            Value::Blob(ours.sig.to_vec()),
            Value::Integer(3333),
            text("0xdb3a4b87b6f86e7d1df737af877e428052a826b012741e1f139cdccfddf24d0b"),
            Value::Integer(19_000_040),
        ]
    );
    let header = row(
        &connection,
        "SELECT * FROM blockheaders ORDER BY number DESC LIMIT 1",
    );
    assert_eq!(header[0], Value::Integer(77));
    assert_eq!(header[1], text(&format!("0x{}", "01".repeat(32))));
    assert_eq!(header[3], Value::Blob(b"null".to_vec()));
    assert_eq!(
        row(
            &connection,
            "SELECT typeof(createdAt), length(createdAt) FROM ticketQueue"
        ),
        [text("text"), Value::Integer(19)]
    );
}

#[test]
fn winners_of_the_reference_are_taken_over_after_a_back_up_and_its_finished_rows_are_final() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let reference = reference_file(&file);
    for n in 1..=4 {
        reference_store(&reference, &winner(n));
    }
    let mark = "UPDATE ticketQueue SET redeemedAt=dateTime('now'), txHash=? WHERE sig=?";
    let tx = [9; 32];
    reference
        .execute(mark, (ledger::hash_text(&tx), &winner(3).sig[..]))
        .unwrap();
    reference
        .execute(mark, (ledger::hash_text(&[0; 32]), &winner(4).sig[..]))
        .unwrap();
    // a row that is no ticket must neither stop the start nor vanish
    reference
        .execute(
            "INSERT INTO ticketQueue(sender, sig) VALUES ('12', x'00')",
            [],
        )
        .unwrap();
    drop(reference);

    let ledger = open(&file);
    let opened = ledger.opened().clone();
    assert_eq!(
        (opened.takeover.pending, opened.takeover.finished),
        (2, 2),
        "{opened:?}"
    );
    assert_eq!(opened.takeover.unreadable.len(), 1);
    let page = ledger.tickets(TicketFilter::unfinished()).wait().unwrap();
    let found: Vec<_> = page.tickets.iter().map(|ticket| ticket.winner).collect();
    assert_eq!(found, [winner(1), winner(2)]);
    let state = |n| ledger.ticket(winner(n).ticket.hash()).wait().unwrap().state;
    assert!(matches!(state(3), TicketState::Imported { tx: Some(found), .. } if found == tx));
    assert!(matches!(state(4), TicketState::Imported { tx: None, .. }));

    let backup = opened.backup.expect("a copy was made");
    let name = backup.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(
        name.starts_with("lpdb.sqlite3.20") && name.ends_with("-v0-before-v1.bak"),
        "{name}"
    );
    let copy = Connection::open(&backup).unwrap();
    assert_eq!(
        row(&copy, "SELECT count(*) FROM ticketQueue"),
        [Value::Integer(5)]
    );
    assert_eq!(
        row(
            &copy,
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'orn%'"
        ),
        [Value::Integer(0)]
    );
    close(ledger);
    let again = open(&file);
    assert_eq!(again.opened().backup, None, "one copy per migration");
    assert_eq!(again.opened().takeover.pending, 0);
}

#[test]
fn what_the_reference_finished_in_between_is_not_redeemed_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let ledger = open(&file);
    ledger
        .add_winners(vec![winner(1), winner(2)])
        .wait()
        .unwrap();
    close(ledger);
    let reference = reference_file(&file);
    reference_store(&reference, &winner(3));
    reference
        .execute(
            "UPDATE ticketQueue SET redeemedAt=dateTime('now'), txHash=? WHERE sig=?",
            (ledger::hash_text(&[5; 32]), &winner(1).sig[..]),
        )
        .unwrap();
    drop(reference);
    let ledger = open(&file);
    assert_eq!(ledger.opened().takeover.finished_meanwhile, 1);
    assert_eq!(ledger.opened().takeover.pending, 1);
    let page = ledger.tickets(TicketFilter::unfinished()).wait().unwrap();
    let found: Vec<_> = page.tickets.iter().map(|ticket| ticket.winner).collect();
    assert_eq!(found, [winner(2), winner(3)]);
}

#[test]
fn a_paid_ticket_is_marked_with_the_mined_hash_and_an_open_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let ledger = open(&file);
    ledger
        .add_winners(vec![winner(1), winner(2)])
        .wait()
        .unwrap();
    let hash = winner(1).ticket.hash();
    let step = |step| ledger.step_ticket(hash, step).wait().unwrap();
    step(Step::ParamsExpired);
    step(Step::Submit {
        nonce: 4,
        tx: [1; 32],
    });
    step(Step::Submit {
        nonce: 4,
        tx: [2; 32],
    });
    step(Step::Mine {
        tx: [2; 32],
        block: 10,
        paid: U256::from(5),
        cost: U256::from(1),
    });
    let last = step(Step::Confirm);
    assert_eq!(last.attempts, 1, "a replacement is no second attempt");
    close(ledger);
    let connection = Connection::open(&file).unwrap();
    let done = "SELECT txHash, length(redeemedAt) FROM ticketQueue WHERE senderNonce = ";
    assert_eq!(
        row(&connection, &format!("{done}1")),
        [text(&ledger::hash_text(&[2; 32])), Value::Integer(19)]
    );
    assert_eq!(
        row(&connection, &format!("{done}2")),
        [Value::Null, Value::Null]
    );
}

#[test]
fn the_secret_number_shows_only_after_the_parameters_have_expired() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    ledger.add_winners(vec![winner(1)]).wait().unwrap();
    let ticket = ledger.ticket(winner(1).ticket.hash()).wait().unwrap();
    let secret = hex(&winner(1).recipient_rand.reveal());
    let clocks = |l1_block| Clocks {
        l1_block,
        round: Some(3334),
        validity: 2,
    };
    for block in [None, Some(0), Some(19_000_039)] {
        let export = ticket.export(&clocks(block));
        assert_eq!(export.recipient_rand, None, "{block:?}");
        let json = serde_json::to_string(&export).unwrap();
        assert!(!json.contains(&secret) && !format!("{ticket:?}").contains(&secret));
    }
    let export = ticket.export(&clocks(Some(19_000_040)));
    assert_eq!(export.recipient_rand, Some(format!("0x{secret}")));
    assert_eq!(export.view.rounds_left, Some(1));
    let json = serde_json::to_value(&export).unwrap();
    assert_eq!(json["state"], "waiting");
    assert_eq!(json["face_value"], "720000000000000");
    assert_eq!(
        serde_json::from_value::<ledger::ticket::TicketExport>(json).unwrap(),
        export
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_reference_tables_keep_its_rules() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let own = Orchestrator {
        address: Address([1; 20]),
        service_uri: "https://a:8935".to_owned(),
        price_per_pixel: 0,
        activation_round: 10,
        deactivation_round: u64::MAX,
        stake: 5,
    };
    let get = |ledger: &Ledger| ledger.orchestrator(own.address).wait().unwrap().unwrap();
    ledger.upsert_orchestrator(own.clone()).wait().unwrap();
    let mut expected = own.clone();
    expected.deactivation_round = NEVER;
    assert_eq!(get(&ledger), expected);
    let empty = Orchestrator {
        address: own.address,
        service_uri: "  ".to_owned(),
        ..Orchestrator::default()
    };
    ledger.upsert_orchestrator(empty).wait().unwrap();
    assert_eq!(get(&ledger), expected, "empty and zero keep what there is");
    let more = Orchestrator {
        address: own.address,
        service_uri: " https://b ".to_owned(),
        deactivation_round: 20,
        ..Orchestrator::default()
    };
    ledger.upsert_orchestrator(more).wait().unwrap();
    assert_eq!(get(&ledger).service_uri, "https://b");
    for (round, count) in [(9, 0), (10, 1), (19, 1), (20, 0)] {
        assert_eq!(
            ledger.orchestrators(Some(round)).wait().unwrap().len(),
            count
        );
    }
    let lock = UnbondingLock {
        id: 3,
        delegator: Address([2; 20]),
        amount: U256::MAX,
        withdraw_round: 50,
    };
    ledger.add_unbonding_lock(lock.clone()).wait().unwrap();
    assert_eq!(ledger.unbonding_locks(Some(49)).wait().unwrap(), []);
    assert_eq!(
        ledger.unbonding_locks(None).wait().unwrap(),
        std::slice::from_ref(&lock)
    );
    ledger
        .use_unbonding_lock(3, lock.delegator, Some(7))
        .wait()
        .unwrap();
    assert_eq!(ledger.unbonding_locks(None).wait().unwrap(), []);
    ledger
        .use_unbonding_lock(3, lock.delegator, None)
        .wait()
        .unwrap();
    assert_eq!(ledger.unbonding_locks(Some(50)).wait().unwrap().len(), 1);
    let sums = ledger.ticket_sums().wait().unwrap();
    assert_eq!(sums.len(), State::ALL.len());
}
