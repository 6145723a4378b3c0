//! The command over a database, and over a running node.

use std::path::PathBuf;
use std::sync::Arc;

use ledger::{FILE_NAME, Ledger};

use super::*;
use crate::doors::Token;
use crate::doors::operator::tests::on_chain::{Chain, name, winner};
use crate::doors::operator::tests::state_of;
use crate::doors::operator::view::ChainView;
use crate::doors::operator::{Listen, OperatorBind, OperatorServer, server};

/// A data directory with a closed database of two winners, and a socket at which nobody answers.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn empty() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    async fn new() -> Self {
        let home = Self::empty();
        let ledger = home.open();
        ledger
            .add_winners(vec![winner(1), winner(2)])
            .await
            .unwrap();
        ledger.close().await.unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(FILE_NAME)
    }

    fn open(&self) -> Ledger {
        let options = ledger::Options {
            chain_id: 42161,
            ..ledger::Options::default()
        };
        Ledger::open(self.file(), options).unwrap()
    }

    /// As typed, with the options that name the node; on a thread of its own, since the command has its own runtime.
    async fn run(&self, line: &str) -> Result<Done, Fault> {
        self.run_with(line, &["-cliSocket", "nobody.sock"]).await
    }

    async fn run_with(&self, line: &str, more: &[&str]) -> Result<Done, Fault> {
        let directory = self.dir.path().to_owned();
        let words = line.split_whitespace().chain(["-dataDir", "."]);
        let words = words
            .chain(more.iter().copied())
            .map(OsString::from)
            .collect();
        tokio::task::spawn_blocking(move || run(words, &BTreeMap::new(), &directory))
            .await
            .unwrap()
    }

    async fn json(&self, line: &str) -> serde_json::Value {
        let done = self.run(&format!("{line} -json")).await.unwrap();
        serde_json::from_str(&done.output).unwrap()
    }

    /// Exit code and words of a command that must fail, and that it left the file as it was.
    async fn refusal(&self, line: &str) -> (u8, String) {
        let before = std::fs::read(self.file()).ok();
        let fault = self.run(line).await.unwrap_err();
        assert_eq!(
            std::fs::read(self.file()).ok(),
            before,
            "{line} changed the file"
        );
        (fault.exit_code(), fault.to_string())
    }
}

#[tokio::test]
async fn without_a_node_the_database_is_read_and_changed() {
    let home = Home::new().await;
    let list = home.run("list").await.unwrap();
    assert!(
        list.notices[0].starts_with("the database "),
        "{:?}",
        list.notices
    );
    assert!(
        list.output.contains(&name(1)) && list.output.contains("0.00072"),
        "{}",
        list.output
    );
    let one = home.json("list -limit 1").await;
    assert_eq!(
        (&one["tickets"][0]["hash"], one["next"].is_i64()),
        (&name(1).into(), true)
    );
    let sums = home.run("sums").await.unwrap().output;
    assert!(
        sums.lines()
            .any(|line| line.starts_with(" waiting") || line.starts_with("waiting")),
        "{sums}"
    );

    home.run(&format!("hold {} -note later", name(1)))
        .await
        .unwrap();
    let shown = home.run(&format!("show {}", name(1))).await.unwrap().output;
    assert!(shown.contains("held") && shown.contains("later"), "{shown}");
    let held = home.json("list -state held").await;
    assert_eq!(held["tickets"].as_array().map(Vec::len), Some(1));
    let released = home.json(&format!("release {}", name(1))).await;
    assert_eq!(released["state"], "waiting");

    assert_eq!(home.run("show").await.unwrap_err().exit_code(), 2);
    let unknown = format!("show 0x{}", "0".repeat(64));
    assert_eq!(home.run(&unknown).await.unwrap_err().exit_code(), 3);
    for step in ["retry", "release"] {
        let fault = home.run(&format!("{step} {}", name(2))).await.unwrap_err();
        assert_eq!(fault.exit_code(), 4, "{fault}");
    }
    assert_eq!(home.run("hold -all").await.unwrap_err().exit_code(), 1);
    home.open().close().await.unwrap();
}

#[tokio::test]
async fn an_export_is_one_array_and_keeps_living_secrets() {
    let home = Home::new().await;
    let early: serde_json::Value =
        serde_json::from_str(&home.run("export").await.unwrap().output).unwrap();
    assert_eq!(early.as_array().map(Vec::len), Some(2));
    assert_eq!(early[0]["recipient_rand"], serde_json::Value::Null);
    let ledger = home.open();
    ledger.raise_l1_block(1040).await.unwrap();
    ledger.close().await.unwrap();
    let late: serde_json::Value =
        serde_json::from_str(&home.run("export -limit 1").await.unwrap().output).unwrap();
    assert_eq!(late.as_array().map(Vec::len), Some(1));
    let secret = ledger::hash_text(&winner(1).recipient_rand.reveal());
    assert_eq!(late[0]["recipient_rand"], secret.as_str());
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named_and_left_alone() {
    let home = Home::empty();
    let (code, text) = home.refusal("list").await;
    assert_eq!(code, 1);
    assert!(
        text.starts_with("there is no database ") && text.contains("-dataDir"),
        "{text}"
    );
    assert!(!home.file().exists(), "a look must not make one");

    std::fs::write(
        home.file(),
        "this is no database, but long enough to be looked at",
    )
    .unwrap();
    let (code, text) = home.refusal("list").await;
    assert!(
        code == 1 && text.contains("is not an SQLite database"),
        "{text}"
    );

    let home = Home::new().await;
    let connection = rusqlite::Connection::open(home.file()).unwrap();
    let newer = "UPDATE orn_meta SET value = 99 WHERE name = 'version'";
    assert_eq!(connection.execute(newer, []).unwrap(), 1);
    drop(connection);
    let (code, text) = home.refusal("list").await;
    assert!(code == 1 && text.contains("version 99"), "{text}");

    let home = Home::new().await;
    let mut bytes = std::fs::read(home.file()).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page.fill(0xAA);
    }
    std::fs::write(home.file(), bytes).unwrap();
    let (code, text) = home.refusal("list").await;
    assert!(code == 1 && text.contains("is damaged"), "{text}");
}

#[tokio::test]
async fn a_database_of_the_reference_is_not_taken_over_by_a_look() {
    let home = Home::empty();
    let connection = rusqlite::Connection::open(home.file()).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE kv (key STRING PRIMARY KEY, value STRING, updatedAt STRING); \
             INSERT INTO kv VALUES ('dbVersion', '1', ''), ('chainID', '42161', '');",
        )
        .unwrap();
    drop(connection);
    let (code, text) = home.refusal("list").await;
    assert!(code == 1 && text.contains("start the node once"), "{text}");
}

#[tokio::test]
async fn a_database_in_use_is_told_with_the_way_out() {
    let home = Home::new().await;
    let node = home.open();
    let fault = home.run("list").await.unwrap_err();
    let text = fault.to_string();
    assert_eq!(fault.exit_code(), 1);
    assert!(
        text.contains("in use by another process") && text.contains("-cliAddr"),
        "{text}"
    );
    node.close().await.unwrap();
    home.run("list").await.unwrap();
}

/// A node at a socket in `home`, until the handle is told to stop.
async fn node(
    home: &Home,
    chain: Option<Arc<dyn ChainView>>,
    token: Option<Token>,
) -> (actix_web::dev::ServerHandle, String) {
    let (state, _) = state_of(chain, false);
    let bind = OperatorBind {
        listen: match token {
            Some(_) => Listen::Tcp(([127, 0, 0, 1], 0).into()),
            None => Listen::Unix(home.dir.path().join("node.sock")),
        },
        token,
        allowed_hosts: Vec::new(),
    };
    let OperatorServer { server, addresses } = server(state, bind).unwrap();
    let handle = server.handle();
    actix_rt::spawn(server);
    let address = addresses.first().map(ToString::to_string);
    (handle, address.unwrap_or_default())
}

#[actix_web::test]
async fn a_running_node_is_asked_instead_of_its_file() {
    let home = Home::empty();
    let chain = Arc::new(Chain::new().await);
    let (handle, _) = node(&home, Some(chain.clone()), None).await;
    let at = ["-cliSocket", "node.sock"];
    let list = home.run_with("list", &at).await.unwrap();
    assert!(
        list.notices[0].starts_with("the node at "),
        "{:?}",
        list.notices
    );
    assert!(list.output.contains(&name(2)), "{}", list.output);
    let hold = format!("hold {} -note x", name(2));
    home.run_with(&hold, &at).await.unwrap();
    let state = chain
        .ledger
        .ticket(winner(2).ticket.hash())
        .await
        .unwrap()
        .state;
    assert_eq!(state.name(), ledger::State::Held);
    let show = home
        .run_with(&format!("show {}", name(2)), &at)
        .await
        .unwrap();
    assert!(show.output.contains("held"), "{}", show.output);
    let proofs = home.run_with("export", &at).await.unwrap().output;
    assert_eq!(proofs.matches("\"win_prob\"").count(), 2, "{proofs}");
    for (line, code) in [
        (format!("show 0x{}", "0".repeat(64)), 3),
        (format!("release {}", name(1)), 4),
        ("hold -all".to_owned(), 1),
    ] {
        let fault = home.run_with(&line, &at).await.unwrap_err();
        assert_eq!(fault.exit_code(), code, "{line}: {fault}");
    }
    handle.stop(true).await;
}

#[actix_web::test]
async fn a_node_without_tickets_or_that_wants_a_token_says_so() {
    let home = Home::empty();
    let (handle, _) = node(&home, None, None).await;
    let fault = home
        .run_with("list", &["-cliSocket", "node.sock"])
        .await
        .unwrap_err();
    assert!(
        fault.exit_code() == 1 && fault.to_string().contains("off-chain"),
        "{fault}"
    );
    handle.stop(true).await;
    let chain = Arc::new(Chain::new().await);
    let (handle, address) = node(&home, Some(chain), Token::new("0123456789abcdef")).await;
    let fault = home
        .run_with("list", &["-cliAddr", &address])
        .await
        .unwrap_err();
    assert!(
        fault.exit_code() == 1 && fault.to_string().contains("-cliToken"),
        "{fault}"
    );
    let with_token = ["-cliAddr", &address, "-cliToken", "0123456789abcdef"];
    home.run_with("list", &with_token).await.unwrap();
    handle.stop(true).await;
}
