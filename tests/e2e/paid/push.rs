//! `orchestrion push` as the gateway that pays.

use chain::keystore::{self, Password, ScryptCost};
use protocol::address::Address;
use protocol::money::U256;
use serde_json::Value;
use tempfile::TempDir;
use test_chain::{Double, ether};

use super::disk::Disk;
use super::world::{PASSPHRASE, QUARTER_WINS, World, h160};
use crate::node::{Node, program, scratch, shared};

/// Keys of so many gateways, each with ether but without a deposit.
async fn gateways(world: &World, count: usize) -> (TempDir, Vec<Address>) {
    let folder = scratch();
    let cost = ScryptCost {
        log_n: 4,
        r: 8,
        p: 1,
    };
    let mut accounts = Vec::new();
    for _ in 0..count {
        let made = keystore::create_at_cost(folder.path(), &Password::new(PASSPHRASE), cost);
        let account = made.expect("key file").address;
        world.chain.set_balance(h160(account), ether(20)).await;
        accounts.push(account);
    }
    (folder, accounts)
}

/// Pushes the built-in clip; exit code, report or nothing, and what was said.
async fn push(
    world: &World,
    node: &Node,
    keys: &TempDir,
    more: &[&str],
) -> (Option<i32>, Value, String) {
    let controller = format!("{:#x}", world.chain.address(Double::Controller));
    let keys = keys.path().display().to_string();
    let mut command = program(&[
        "push",
        "-tiny",
        "-live=false",
        "-json",
        "-verify=false",
        "-ladder",
        "P144p30fps16x9",
        "-orch",
        &node.public,
        "-ethUrl",
        world.proxy.url(),
        "-ethController",
        &controller,
        "-ethKeystorePath",
        &keys,
        "-ethPassword",
        PASSPHRASE,
    ]);
    command.args(more);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("task").expect("run push");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), report, said)
}

/// Lets L1 go on until no ticket in the node's database is without its end. With so many tickets some have won.
async fn await_the_end_of_all(world: &World, node: &Node) {
    node.until("the end of all tickets", async || {
        world.tick().await;
        let (_, sums) = node.get("/api/v1/tickets/sums").await;
        let sums: Value = serde_json::from_str(&sums).expect("sums");
        let states = sums["states"].as_array().expect("states");
        let open = |sum: &Value| sum["state"] != "paid" && sum["count"] != 0;
        (!states.iter().any(open)).then_some(())
    })
    .await;
}

/// Nothing but redemptions is sent with the node's key.
const WITHOUT_REWARD: [&str; 1] = ["-reward=false"];

/// Bounds that the stakes of these tests fit in.
const GENEROUS: [&str; 4] = [
    "-maxTicketEV",
    "1000000000000000",
    "-maxTotalEV",
    "100000000000000000",
];

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_pay_and_their_books_are_those_of_the_node_and_of_the_chain() {
    let world = World::new(QUARTER_WINS).await;
    let mut node = world.node(&WITHOUT_REWARD).await;
    let (keys, accounts) = gateways(&world, 2).await;
    let both = format!("{},{}", accounts[0], accounts[1]);
    let own = [
        "-ethAcctAddr",
        &both,
        "-deposit",
        "10ETH",
        "-reserve",
        "1ETH",
        "-streams",
        "4",
        "-segments",
        "20",
    ];
    let (code, report, said) = push(&world, &node, &keys, &[&own[..], &GENEROUS].concat()).await;
    assert_eq!(code, Some(0), "{report}{said}");
    assert_eq!(report["delivered"], 80, "{report}");
    let payments = report["payments"].as_array().expect("payments");
    assert_eq!(payments.len(), 2, "{report}");
    for (payment, account) in payments.iter().zip(&accounts) {
        assert_eq!(payment["sender"], account.to_string());
        assert_eq!(payment["before"]["deposit"], ether(10).to_string());
        assert_eq!(payment["before"]["reserve"], ether(1).to_string());
        assert_eq!(payment["total"]["written_off"], "0", "{payment}");
        assert_eq!(payment["total"]["unanswered_tickets"], 0, "{payment}");
        assert_eq!(payment["sessions"].as_array().map(Vec::len), Some(2));
    }

    world.expire_params().await;
    await_the_end_of_all(&world, &node).await;
    let mut spent = U256::zero();
    for account in &accounts {
        spent += ether(10) - world.chain.sender_info(h160(*account)).await.deposit;
    }
    assert_eq!(world.chain.paid_to(h160(world.orchestrator)).await, spent);

    assert_eq!(node.stop().await.code(), Some(0), "{}", node.log());
    let disk = Disk::of(world.home.directory());
    assert_eq!(disk.paid(), spent);
    for (payment, account) in payments.iter().zip(&accounts) {
        for session in payment["sessions"].as_array().expect("sessions") {
            let key = session["session"].as_str().expect("session ID");
            let held = disk.credit(*account, key).to_string();
            assert_eq!(session["balance"], held, "{session}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_no_gateway_takes_is_told_in_its_words() {
    let world = World::new(QUARTER_WINS).await;
    let node = world.node(&WITHOUT_REWARD).await;
    let (keys, accounts) = gateways(&world, 1).await;
    world
        .chain
        .fund_sender(h160(accounts[0]), ether(1), ether(1))
        .await;
    for (options, text) in [
        (&[][..], "> max ticket EV 3000000000000"),
        (
            &["-maxTicketEV", "1e15", "-maxTotalEV", "1e14"],
            "> max total ticket EV 100000000000000",
        ),
        (
            &[
                "-maxTicketEV",
                "1e15",
                "-maxTotalEV",
                "1e15",
                "-depositMultiplier",
                "1000",
            ],
            "> max faceValue 1000000000000000",
        ),
        (
            &["-maxPricePerUnit", "5", "-pixelsPerUnit", "2"],
            "above -maxPricePerUnit, 5/2 wei per pixel",
        ),
    ] {
        let (code, _, said) = push(&world, &node, &keys, options).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_under_a_fresh_quote_when_its_parameters_end() {
    let world = World::new(QUARTER_WINS).await;
    let node = world.node(&WITHOUT_REWARD).await;
    let (keys, _) = gateways(&world, 1).await;
    let own = [
        "-live",
        "-segments",
        "60",
        "-blockPollingInterval",
        "1",
        "-deposit",
        "10ETH",
        "-reserve",
        "1ETH",
    ];
    let options = [&own[..], &GENEROUS].concat();
    let pushing = push(&world, &node, &keys, &options);
    let ending = async {
        node.until("tickets", async || {
            let tickets = node.metric("livepeer_tickets_recv", &[]).await;
            (tickets > 0.0).then_some(())
        })
        .await;
        world.expire_params().await;
    };
    let ((code, report, said), ()) = tokio::join!(pushing, ending);
    assert_eq!(code, Some(0), "{report}{said}");
    assert_eq!(report["delivered"], 60, "{report}");
    let payment = &report["payments"][0];
    let sessions = payment["sessions"].as_array().expect("sessions");
    assert!(sessions.len() > 1, "{payment}");
    for session in sessions {
        assert_ne!(session["pixels"], 0, "{session}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_chain_is_not_paid() {
    let world = World::new(QUARTER_WINS).await;
    let (keys, _) = gateways(&world, 1).await;
    let (code, _, said) = push(&world, shared().await, &keys, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ticketParams is nil"), "{said}");
}
