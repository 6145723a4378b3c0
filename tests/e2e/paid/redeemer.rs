//! A redeemer of its own: it turns the winners of another node into ether, through kills of either.

use chain::keystore::{self, Password, ScryptCost};
use test_chain::ether;

use super::payer::Answer;
use super::world::{ALL_WIN, PASSPHRASE, World, h160};
use crate::node::{Home, Node, scratch};

const TOKEN: &str = "a-token-of-the-tests";

/// A redeemer with a key of its own, beside the orchestrator of a world.
struct Redeemer {
    home: Home,
    options: Vec<String>,
    _keys: tempfile::TempDir,
}

impl Redeemer {
    async fn new(world: &World) -> Self {
        let keys = scratch();
        let cost = ScryptCost {
            log_n: 4,
            r: 8,
            p: 1,
        };
        let account = keystore::create_at_cost(keys.path(), &Password::new(PASSPHRASE), cost);
        let account = account.expect("key file").address;
        world.chain.set_balance(h160(account), ether(100)).await;
        let (directory, recipient) = (
            keys.path().display().to_string(),
            world.orchestrator.to_string(),
        );
        let own = [
            "-ethKeystorePath",
            &directory,
            "-ethOrchAddr",
            &recipient,
            "-redeemer",
            "-redeemerToken",
            TOKEN,
            "-reward=false",
            // it has no worker, and needs none
            "-workerBinary",
            "/etc/passwd",
        ];
        let mut options = world.options(&own);
        options.retain(|option| option != "-orchestrator" && option != "-transcoder");
        Self {
            home: Home::with_tls(),
            options,
            _keys: keys,
        }
    }

    async fn start(&self) -> Node {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let node = self.home.start(&options).await;
        node.until("a round", async || {
            (node.metric("orchestrion_round", &[]).await > 0.0).then_some(())
        })
        .await;
        node
    }
}

/// Winners that wait at the orchestrator.
async fn waiting(node: &Node) -> f64 {
    node.metric("orchestrion_redeemer_outbox", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn winners_are_redeemed_elsewhere_once_each_whoever_is_killed_meanwhile() {
    let world = World::new(ALL_WIN).await;
    let redeemer = Redeemer::new(&world).await;
    let mut there = redeemer.start().await;
    let address = there.public.trim_start_matches("https://").to_owned();
    let options = [
        "-redeemerAddr",
        &address,
        "-redeemerToken",
        TOKEN,
        "-reward=false",
    ];
    let mut node = world.node(&options).await;
    let payer = world.payer(1).await;
    let mut session = payer.session(&node, "elsewhere").await;
    session.segment().await.expect("a paid segment");
    assert_eq!(session.pay(3).await, Answer::Taken);

    there.kill();
    for _ in 0..3 {
        assert_eq!(session.pay(2).await, Answer::Taken, "work goes on");
    }
    node.until("winners that wait", async || {
        (waiting(&node).await > 0.0).then_some(())
    })
    .await;

    node.kill();
    node = world.node(&options).await;
    there = redeemer.start().await;
    node.until("their delivery", async || {
        (waiting(&node).await == 0.0).then_some(())
    })
    .await;
    session.stream.gateway = crate::gateway::Gateway::of(&node);
    session.refresh().await.expect("a quote");
    assert_eq!(session.pay(2).await, Answer::Taken);

    world.expire_params().await;
    world.await_paid(&there, &session.tickets).await;
    world.settle(&there).await;
    assert_eq!(world.redeemed_tickets().await.len(), session.tickets.len());
    let own = format!("{:#x}", h160(world.orchestrator));
    let sent = world.chain.rpc();
    let sent = sent
        .request(
            "eth_getTransactionCount",
            serde_json::json!([own, "latest"]),
        )
        .await;
    assert_eq!(sent, "0x0", "the orchestrator sent a transaction");
    for node in [&mut node, &mut there] {
        assert_eq!(node.stop().await.code(), Some(0), "{}", node.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_keeps_winners_where_they_are_until_it_is_mended() {
    let world = World::new(ALL_WIN).await;
    let redeemer = Redeemer::new(&world).await;
    let there = redeemer.start().await;
    let address = there.public.trim_start_matches("https://").to_owned();
    let with = async |token: &str| {
        let options = [
            "-redeemerAddr",
            &address,
            "-redeemerToken",
            token,
            "-reward=false",
        ];
        world.node(&options).await
    };
    let mut node = with("not-the-right-token").await;
    let payer = world.payer(1).await;
    // without a float from there nothing is quoted
    let refused = payer.try_session(&node, "wrong").await;
    assert!(refused.is_err());
    assert!(node.log().contains("-redeemerToken"), "{}", node.log());
    assert_eq!(node.stop().await.code(), Some(0));
    let node = with(TOKEN).await;
    let mut session = payer.session(&node, "right").await;
    assert_eq!(session.pay(1).await, Answer::Taken);
    node.until("its delivery", async || {
        let (_, sums) = there.get("/api/v1/tickets/sums").await;
        let sums: serde_json::Value = serde_json::from_str(&sums).expect("sums");
        let states = sums["states"].as_array().expect("states").iter();
        let tickets: u64 = states.filter_map(|sum| sum["count"].as_u64()).sum();
        (tickets == 1).then_some(())
    })
    .await;
}
