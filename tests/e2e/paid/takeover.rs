//! A data directory goes from the reference to this node, and back.

use protocol::money::{ExpirationParams, RecipientRand, Ticket, U256, WinningTicket};
use protocol::signature::keccak256;
use rusqlite::{Connection, OptionalExtension};

use super::payer::Payer;
use super::reference;
use super::world::{ALL_WIN, World};

/// Round at the start of every test chain.
const ROUND: u64 = 3456;

/// What the reference would hold after a paid stream: a ticket that wins for certain.
async fn queued(world: &World, payer: &Payer, nonce: u32, expiration_block: u64) -> WinningTicket {
    let recipient_rand = RecipientRand::from_bytes(keccak256(nonce.to_be_bytes()));
    let ticket = Ticket {
        recipient: world.orchestrator,
        sender: payer.address(),
        face_value: U256::from(world.stakes.face),
        win_prob: U256::MAX,
        nonce,
        recipient_rand_hash: recipient_rand.hash(),
        expiration: ExpirationParams {
            creation_round: ROUND,
            creation_round_block_hash: world.chain.round_hash(ROUND).await.0,
        },
    };
    WinningTicket {
        sig: ticket.sign(payer.key()),
        ticket,
        recipient_rand,
        expiration_block,
    }
}

/// The reference's own question for the next ticket of a sender.
fn next_for_reference(file: &Connection, payer: &Payer) -> Option<u32> {
    let sql = format!(
        "SELECT senderNonce FROM ticketQueue WHERE sender='{}' AND creationRound >= {} AND redeemedAt IS NULL AND txHash IS NULL ORDER BY createdAt ASC LIMIT 1",
        payer.address(),
        ROUND - 2
    );
    file.query_row(&sql, [], |row| row.get(0))
        .optional()
        .expect("the statement of the reference")
}

#[tokio::test(flavor = "multi_thread")]
async fn winners_that_the_reference_queued_are_redeemed_and_the_file_is_given_back() {
    let world = World::new(ALL_WIN).await;
    let payer = world.payer(1).await;
    let l1 = world.chain.l1().await;
    let file = world.home.directory().join(ledger::FILE_NAME);
    let queue = reference::reference_file(&file);
    queue
        .execute("UPDATE kv SET value = 31337 WHERE key = 'chainID'", [])
        .expect("chain");
    let mut due = Vec::new();
    for nonce in 1..=5 {
        let winner = queued(&world, &payer, nonce, l1 - 10).await;
        reference::reference_store(&queue, &winner);
        due.push(winner);
    }
    // its sender might still choose tickets: it must wait, here and there
    let live = queued(&world, &payer, 6, l1 + 100_000).await;
    reference::reference_store(&queue, &live);
    drop(queue);

    let mut node = world.node(&["-reward=false"]).await;
    world.await_redeemed(&node, due.len()).await;
    node.until("their end in the books", async || {
        world.tick().await;
        let paid = [("state", "paid")];
        let paid = node.metric("orchestrion_tickets", &paid).await;
        (paid >= due.len() as f64).then_some(())
    })
    .await;
    let redeemed = world.redeemed().await;
    assert_eq!(redeemed.len(), due.len());
    assert_eq!(
        world.fees().await,
        U256::from(world.stakes.face) * due.len()
    );
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.log());

    let names: Vec<String> = std::fs::read_dir(world.home.directory())
        .expect("directory")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.ends_with("-wal") || name.ends_with("-journal"))
    );
    let backups: Vec<_> = names.iter().filter(|name| name.ends_with(".bak")).collect();
    assert_eq!(backups.len(), 1, "{names:?}");
    let copy = Connection::open(world.home.directory().join(backups[0])).expect("open");
    assert_eq!(next_for_reference(&copy, &payer), Some(1));

    let file = Connection::open(&file).expect("open");
    let text = |sql: &str| -> String { file.query_row(sql, [], |row| row.get(0)).expect(sql) };
    assert_eq!(text("PRAGMA journal_mode"), "delete");
    assert_eq!(
        text("SELECT CAST(value AS TEXT) FROM kv WHERE key = 'dbVersion'"),
        "1"
    );
    assert_eq!(
        next_for_reference(&file, &payer),
        Some(6),
        "only the live one is left"
    );
    for event in &redeemed {
        let nonce = event.uint("senderNonce");
        let hash = text(&format!(
            "SELECT txHash FROM ticketQueue WHERE senderNonce = {nonce}"
        ));
        assert_eq!(
            hash,
            format!("{:#x}", event.transaction),
            "as the reference writes it"
        );
        let time = text(&format!(
            "SELECT redeemedAt FROM ticketQueue WHERE senderNonce = {nonce}"
        ));
        assert_eq!(time.len(), "2026-01-31 12:00:00".len());
    }
    drop(file);

    // and once more here: nothing that is done is done again
    let node = world.node(&["-reward=false"]).await;
    for _ in 0..4 {
        world.tick().await;
    }
    assert_eq!(world.redeemed().await.len(), due.len());
    drop(node);
}
