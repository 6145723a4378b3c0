//! Files that are not ours to write: each is refused with its own error and stays as it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use ledger::{Ledger, LedgerError, Options};
use rusqlite::Connection;

use super::data::*;

fn refuse(file: &Path) -> LedgerError {
    let before = fs::read(file).unwrap();
    let beside = fs::read_dir(file.parent().unwrap()).unwrap().count();
    let error = Ledger::open(file, options()).expect_err("refused");
    assert_eq!(fs::read(file).unwrap(), before, "the file changed: {error}");
    assert_eq!(
        fs::read_dir(file.parent().unwrap()).unwrap().count(),
        beside,
        "something was left beside it: {error}"
    );
    error
}

#[test]
fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        path(&dir),
        "some text that is long enough to be read as a page ".repeat(40),
    )
    .unwrap();
    assert!(matches!(
        refuse(&path(&dir)),
        LedgerError::NotADatabase { .. }
    ));
}

#[test]
fn a_damaged_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let reference = reference_file(&file);
    for n in 0..200 {
        reference_store(&reference, &winner(n));
    }
    drop(reference);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5A);
    fs::write(&file, bytes).unwrap();
    assert!(matches!(refuse(&file), LedgerError::Corrupt { .. }));
    // cut short
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..middle]).unwrap();
    assert!(matches!(refuse(&file), LedgerError::Corrupt { .. }));
}

#[test]
fn a_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    Connection::open(&file)
        .unwrap()
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    assert!(matches!(refuse(&file), LedgerError::Foreign { .. }));
    fs::remove_file(&file).unwrap();
    Connection::open(&file)
        .unwrap()
        .execute_batch("CREATE TABLE kv (k, v)")
        .unwrap();
    assert!(matches!(refuse(&file), LedgerError::Foreign { .. }));
    fs::remove_file(&file).unwrap();
    reference_file(&file)
        .execute_batch("PRAGMA application_id = 7")
        .unwrap();
    assert!(matches!(refuse(&file), LedgerError::Foreign { .. }));
}

#[test]
fn a_newer_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    reference_file(&file)
        .execute_batch("UPDATE kv SET value = 2 WHERE key = 'dbVersion'")
        .unwrap();
    assert!(matches!(
        refuse(&file),
        LedgerError::TooNew {
            what: "dbVersion",
            found: 2,
            known: 1,
            ..
        }
    ));
    fs::remove_file(&file).unwrap();
    close(open(&file));
    Connection::open(&file)
        .unwrap()
        .execute_batch("UPDATE orn_meta SET value = 99 WHERE name = 'version'")
        .unwrap();
    assert!(matches!(
        refuse(&file),
        LedgerError::TooNew {
            what: "orn_meta",
            found: 99,
            ..
        }
    ));
}

#[test]
fn a_database_of_an_old_release_is_refused_with_the_columns_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    reference_file(&file)
        .execute_batch(
            "DROP TABLE orchestrators; CREATE TABLE orchestrators (ethereumAddr STRING PRIMARY KEY, createdAt STRING, updatedAt STRING, serviceURI STRING)",
        )
        .unwrap();
    let error = refuse(&file);
    let LedgerError::OldSchema { table, columns, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*table, "orchestrators");
    assert_eq!(
        *columns,
        [
            "pricePerPixel",
            "activationRound",
            "deactivationRound",
            "stake"
        ]
    );
    assert!(error.to_string().contains("pricePerPixel"));
}

#[test]
fn a_database_of_another_chain_is_refused_with_the_text_of_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    reference_file(&file)
        .execute_batch("UPDATE kv SET value = '1' WHERE key = 'chainID'")
        .unwrap();
    assert_eq!(
        refuse(&file).to_string(),
        "expecting chainID of 1, but got 42161. Did you change networks without changing network name or datadir?"
    );
}

#[test]
fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nowhere").join(ledger::FILE_NAME);
    let error = Ledger::open(&file, options()).unwrap_err();
    assert!(matches!(error, LedgerError::File { .. }));
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn a_lock_of_the_reference_in_a_transaction_is_waited_for_and_then_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let reference = reference_file(&file);
    reference.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = Ledger::open(&file, options()).unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    reference.execute_batch("COMMIT").unwrap();
    drop(reference);
    close(open(&file));
}

/// Run by the test below in a process of its own.
#[test]
#[ignore = "the other process of second_process_gets_a_plain_message"]
fn second_process() {
    let file = std::env::var("LEDGER_FILE").expect("run by its parent");
    match Ledger::open(file, options()) {
        Ok(_) => println!("opened it"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn second_process_gets_a_plain_message() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let ledger = open(&file);
    let second = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "refused::second_process",
                "--ignored",
                "--nocapture",
            ])
            .env("LEDGER_FILE", &file)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = second();
    assert!(
        said.contains("is in use by another process: stop that process, or ask the running node through its API"),
        "{said}"
    );
    ledger.add_winners(vec![winner(1)]).wait().unwrap();
    close(ledger);
    assert!(second().contains("opened it"));
}

#[test]
fn a_linked_file_is_opened_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let link = tempfile::tempdir().unwrap();
    close(open(&path(&dir)));
    std::os::unix::fs::symlink(path(&dir), path(&link)).unwrap();
    let ledger = open(&path(&link));
    assert_eq!(ledger.opened().path, path(&dir).canonicalize().unwrap());
    ledger.add_winners(vec![winner(1)]).wait().unwrap();
    close(ledger);
}

#[test]
fn only_the_owner_can_read_the_file_and_what_stands_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    drop(reference_file(&file));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ledger = open(&file);
    assert!(ledger.opened().made_private);
    ledger.add_winners(vec![winner(1)]).wait().unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        seen += 1;
    }
    assert_eq!(seen, 3, "file, log and back-up");
}

#[tokio::test]
async fn only_a_file_of_ours_is_opened_when_nothing_may_be_made() {
    let existing = || Options {
        chain_id: 1,
        existing: true,
        ..options()
    };
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir);
    let missing = Ledger::open(&file, existing()).unwrap_err();
    assert!(matches!(missing, LedgerError::File { .. }), "{missing}");
    assert!(!file.exists());
    drop(reference_file(&file));
    let before = fs::read(&file).unwrap();
    let foreign = Ledger::open(&file, existing()).unwrap_err();
    assert!(
        matches!(foreign, LedgerError::NotTakenOver { found: 0, .. }),
        "{foreign}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    open(&file).close().await.unwrap();
    // whatever its chain
    Ledger::open(&file, existing())
        .unwrap()
        .close()
        .await
        .unwrap();
    open(&file).close().await.unwrap();
}
