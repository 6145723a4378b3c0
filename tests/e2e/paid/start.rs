//! What a node refuses to start with on a chain: the message, the exit code, and that nothing was overwritten.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use test_chain::Fault;

use super::reference;
use super::world::{ALL_WIN, World};

/// A mistake that waits for a better answer would never end by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Exit code of a node that cannot start.
const REFUSED: Option<i32> = Some(2);

/// Starts a node that must refuse; what it told.
async fn refusal(world: &World, more: &[&str]) -> String {
    let options = world.options(more);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut command = tokio::process::Command::from(world.home.command(&options));
    command.kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("the node does not end").expect("start it");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), REFUSED, "{told}");
    told
}

/// Every file of a directory that a node might have written its database or keys to, with its bytes.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("directory")
        .map(|entry| entry.expect("entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("file"))
        })
        // its lock stays, and is empty
        .filter(|(name, _)| name != "orchestrion.lock")
        .collect();
    files.sort();
    files
}

/// The node refuses this database, says so, and leaves every byte where it is.
async fn refuses_database(world: &World, text: &str) {
    let directory = world.home.directory();
    let before = files(directory);
    let told = refusal(world, &[]).await;
    assert!(told.contains(text), "{text:?} is not in {told}");
    assert_eq!(files(directory), before, "{text}");
}

fn made_for(world: &World, chain: i64) -> Connection {
    let file = world.home.directory().join(ledger::FILE_NAME);
    let _ = std::fs::remove_file(&file);
    let made = reference::reference_file(&file);
    made.execute("UPDATE kv SET value = ?1 WHERE key = 'chainID'", [chain])
        .expect("chain");
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_ours_to_use_is_left_as_it_is() {
    let world = World::new(ALL_WIN).await;
    let file = world.home.directory().join(ledger::FILE_NAME);

    drop(made_for(&world, 42161));
    refuses_database(
        &world,
        "expecting chainID of 42161, but got 31337. Did you change networks",
    )
    .await;

    made_for(&world, 31337)
        .execute("UPDATE kv SET value = 2 WHERE key = 'dbVersion'", [])
        .expect("version");
    refuses_database(&world, "dbVersion version 2").await;

    let other = made_for(&world, 31337);
    other
        .execute_batch("CREATE TABLE orn_meta (name TEXT PRIMARY KEY, value); INSERT INTO orn_meta VALUES ('version', 99)")
        .expect("our version");
    drop(other);
    refuses_database(&world, "orn_meta version 99").await;

    std::fs::write(
        &file,
        b"these bytes are no database, and there are many of them".repeat(100),
    )
    .expect("write");
    refuses_database(&world, "is not an SQLite database").await;

    let other = made_for(&world, 31337);
    for number in 1..=200 {
        reference::reference_store(&other, &reference::winner(number));
    }
    drop(other);
    let mut bytes = std::fs::read(&file).expect("read");
    let page = 4096;
    assert!(bytes.len() > 10 * page);
    bytes[3 * page..6 * page].fill(0xa5);
    std::fs::write(&file, &bytes).expect("write");
    refuses_database(&world, "is damaged").await;

    let _ = std::fs::remove_file(&file);
    let other = Connection::open(&file).expect("open");
    other
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .expect("another program's");
    drop(other);
    refuses_database(&world, "is a database of another program").await;

    let held = made_for(&world, 31337);
    held.execute_batch("BEGIN EXCLUSIVE").expect("lock");
    let told = refusal(&world, &[]).await;
    assert!(told.contains("in use by another process"), "{told}");
    held.execute_batch("ROLLBACK").expect("unlock");
    drop(held);
    let mut node = world.node(&[]).await;
    assert_eq!(node.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_made_or_changed_by_a_mistake() {
    let world = World::new(ALL_WIN).await;
    let before = files(world.keys());
    assert_eq!(before.len(), 1);
    let told = refusal(&world, &["-ethPassword", "another"]).await;
    assert!(
        told.contains("could not decrypt key with given password"),
        "{told}"
    );
    let other = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    let told = refusal(&world, &["-ethAcctAddr", other]).await;
    assert!(
        told.contains(&format!("no key of account {other}")),
        "{told}"
    );
    let nowhere = world.home.directory().join("nowhere");
    let told = refusal(
        &world,
        &["-ethKeystorePath", nowhere.to_str().expect("text")],
    )
    .await;
    assert!(told.contains("nowhere"), "{told}");
    assert!(!nowhere.exists());
    assert!(!world.home.directory().join("keystore").exists());
    assert_eq!(files(world.keys()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_point_that_lies_from_the_start_is_not_believed() {
    let world = World::new(ALL_WIN).await;
    let told = refusal(&world, &["-network", "arbitrum-one-mainnet"]).await;
    assert!(told.contains("is of chain 31337, not 42161"), "{told}");
    let nobody = "0x00000000000000000000000000000000000000aa";
    let told = refusal(&world, &["-ethController", nobody]).await;
    assert!(told.contains("no contract code at"), "{told}");
    for fault in [
        Fault::Garbage,
        Fault::Status(503),
        Fault::Answer(serde_json::json!({ "no": "number" })),
    ] {
        world.proxy.fail("*", fault.clone());
        let told = refusal(&world, &[]).await;
        assert!(
            told.contains("RPC") || told.contains("cannot be read"),
            "{fault:?}: {told}"
        );
        world.proxy.heal("*");
    }
    assert!(
        !world.home.directory().join(ledger::FILE_NAME).exists(),
        "nothing was made"
    );
    let mut node = world.node(&[]).await;
    assert_eq!(node.stop().await.code(), Some(0));
}
