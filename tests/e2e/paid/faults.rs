//! What happens to transactions on a real chain: they fail, vanish, are replaced, cost too much. Each winner is paid all the
//! same, once, and streams go on.

use serde_json::json;
use test_chain::{Double, Fault, H256, args};

use super::payer::{Answer, Sent, Streaming};
use super::reference;
use super::world::{ALL_WIN, PARAMS_LIFE, World, h160};
use crate::node::Node;

/// A node with winners that wait for the end of their parameters, and a paid stream beside them.
pub struct Scene {
    /// Chain and proxy.
    pub world: World,
    /// The node.
    pub node: Node,
    /// The stream, of which no segment may be lost.
    pub stream: Streaming,
    /// The winners.
    pub winners: Vec<Sent>,
}

impl Scene {
    /// With a node that has these options besides the usual ones, and calls no reward.
    pub async fn new(more: &[&str]) -> Self {
        Self::at(World::new(ALL_WIN).await, more).await
    }

    /// In a world that was prepared.
    pub async fn at(world: World, more: &[&str]) -> Self {
        let options = [&["-reward=false"], more].concat();
        let node = world.node(&options).await;
        let mut payer = world.payer(1).await.session(&node, "winners").await;
        assert_eq!(payer.pay(3).await, Answer::Taken);
        let streamer = world.payer(2).await.session(&node, "live").await;
        let mut stream = streamer.keep_streaming();
        stream.delivers(1).await;
        Self {
            world,
            node,
            stream,
            winners: payer.tickets,
        }
    }

    /// Lets parameters end without automatic blocks, and waits until as many transactions wait for a block as there are
    /// winners.
    async fn until_pending(&self) -> Vec<H256> {
        let chain = &self.world.chain;
        chain.set_automine(false).await;
        let height = chain.l1().await + PARAMS_LIFE;
        chain
            .queue(Double::RoundsManager, "setL1", args![height])
            .await;
        chain.mine(1).await;
        let own = h160(self.world.orchestrator);
        self.node
            .until("transactions", async || {
                let pending = chain.pending_of(own).await;
                (pending.len() >= self.winners.len()).then_some(pending)
            })
            .await
    }

    /// Blocks come by themselves again.
    async fn resume(&self) {
        self.world.chain.set_automine(true).await;
        self.world.chain.mine(1).await;
    }

    /// The end of every scene: the stream has lost nothing, and each winner is paid once.
    pub async fn end(mut self) {
        let live = self.stream.finish().await;
        self.world.expire_params().await;
        let winners = [self.winners, live.tickets].concat();
        self.world.await_paid(&self.node, &winners).await;
        self.world.settle(&self.node).await;
        let redeemed = self.world.redeemed().await;
        let face = self.world.stakes.face;
        assert!(
            redeemed
                .iter()
                .all(|event| event.uint("faceValue") == face.into())
        );
        assert_eq!(
            self.world.fees().await,
            test_chain::U256::from(face) * redeemed.len(),
            "each was paid in full"
        );
        assert_eq!(
            self.node.stop().await.code(),
            Some(0),
            "{}",
            self.node.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_in_its_block_is_sent_again() {
    let mut scene = Scene::new(&[]).await;
    scene.until_pending().await;
    let chain = &scene.world.chain;
    let revert = async |text: &str| {
        chain
            .queue(Double::TicketBroker, "revertWith", args![text])
            .await;
        chain.mine(1).await;
    };
    revert("not in this block").await;
    assert!(scene.world.failed_transactions().await.len() >= scene.winners.len());
    scene.stream.delivers(2).await;
    revert("").await;
    scene.resume().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_is_mined_pays_as_the_first_would_have() {
    let mut scene = Scene::new(&[
        "-transactionTimeout",
        "2s",
        "-maxTransactionReplacements",
        "3",
    ])
    .await;
    let first = scene.until_pending().await;
    let own = h160(scene.world.orchestrator);
    let replaced = scene
        .node
        .until("a replacement of each", async || {
            let pending = scene.world.chain.pending_of(own).await;
            let fresh = pending.iter().all(|hash| !first.contains(hash));
            (fresh && pending.len() >= first.len()).then_some(pending)
        })
        .await;
    scene.stream.delivers(1).await;
    scene.resume().await;
    let redeemed = scene.world.await_redeemed(&scene.node, first.len()).await;
    assert!(
        redeemed
            .iter()
            .all(|event| !first.contains(&event.transaction))
    );
    assert!(
        redeemed
            .iter()
            .any(|event| replaced.contains(&event.transaction))
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_another_process_used_costs_no_winner() {
    let mut scene = Scene::new(&[]).await;
    scene.until_pending().await;
    let chain = &scene.world.chain;
    let own = h160(scene.world.orchestrator);
    let nonce = chain.nonce(own).await;
    let other = json!({
        "from": own,
        "to": own,
        "nonce": format!("{nonce:#x}"),
        "gas": "0x5208",
        "gasPrice": format!("{:#x}", 50_000_000_000_u64),
    });
    chain
        .rpc()
        .request("eth_sendTransaction", json!([other]))
        .await;
    scene.stream.delivers(1).await;
    scene.resume().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gas_above_the_bound_for_a_round_puts_off_and_loses_nothing() {
    let mut scene = Scene::new(&["-maxGasPrice", "1000000000"]).await;
    let world = &scene.world;
    let dear = async || {
        world.chain.set_base_fee(50_000_000_000_u64.into()).await;
        world.chain.mine(1).await;
    };
    dear().await;
    world.expire_params().await;
    scene
        .node
        .until("tickets put off for gas", async || {
            dear().await;
            let labels = [("reason", "gas_price")];
            let deferred = scene
                .node
                .metric("orchestrion_tickets_deferred", &labels)
                .await;
            (deferred >= scene.winners.len() as f64).then_some(())
        })
        .await;
    world.chain.new_round().await;
    for _ in 0..4 {
        dear().await;
        scene.stream.delivers(1).await;
    }
    assert_eq!(world.redeemed().await.len(), 0);
    world.chain.set_base_fee(1_000_000.into()).await;
    world.chain.mine(1).await;
    world.await_paid(&scene.node, &scene.winners).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_its_last_hours_a_ticket_is_redeemed_at_a_cost_that_it_would_not_have_borne_before() {
    let mut scene = Scene::new(&[]).await;
    let world = &scene.world;
    // a fifth of the face value for the gas that is assumed; the contract takes less
    let dear = json!(format!("{:#x}", 1_200_000_000_u64));
    world.proxy.fail("eth_gasPrice", Fault::Answer(dear));
    scene.stream.delivers(4).await;
    world.expire_params().await;
    let deferred = async || {
        let labels = [("reason", "cost")];
        let node = &scene.node;
        node.metric("orchestrion_tickets_deferred", &labels).await
    };
    scene
        .node
        .until("tickets put off for their cost", async || {
            world.tick().await;
            (deferred().await >= scene.winners.len() as f64).then_some(())
        })
        .await;
    world.chain.new_round().await;
    scene.stream.delivers(3).await;
    assert_eq!(world.redeemed().await.len(), 0);
    let rounds = Double::RoundsManager;
    let start = world
        .chain
        .uint(rounds, "currentRoundStartBlock", args![])
        .await;
    let length = world.chain.uint(rounds, "roundLength", args![]).await;
    let late = (start + length).as_u64() - 200;
    world.chain.set_l1(late).await;
    world.await_paid(&scene.node, &scene.winners).await;
    world.proxy.heal("eth_gasPrice");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_cannot_be_redeemed_holds_up_nobody() {
    let world = World::new(ALL_WIN).await;
    let round = 3456;
    let hash = world.chain.round_hash(round).await;
    let file = world.home.directory().join(ledger::FILE_NAME);
    let queue = reference::reference_file(&file);
    queue
        .execute("UPDATE kv SET value = 31337 WHERE key = 'chainID'", [])
        .expect("chain");
    // from the same sender as the good ones, older than all of them, and signed by nobody
    for number in 1..=3 {
        let mut poison = reference::winner(number);
        poison.ticket.sender = super::payer::Payer::new(1).address();
        poison.ticket.recipient = world.orchestrator;
        poison.ticket.win_prob = protocol::money::U256::MAX;
        poison.ticket.expiration.creation_round = round;
        poison.ticket.expiration.creation_round_block_hash = hash.0;
        poison.expiration_block = 1;
        reference::reference_store(&queue, &poison);
    }
    drop(queue);
    let mut scene = Scene::at(world, &[]).await;
    scene.world.expire_params().await;
    scene.world.await_paid(&scene.node, &scene.winners).await;
    scene.stream.delivers(1).await;
    let live = scene.stream.finish().await;
    scene.world.expire_params().await;
    scene.world.await_paid(&scene.node, &live.tickets).await;
    let redeemed = scene.world.redeemed_tickets().await;
    for number in 1..=3 {
        let poison = reference::winner(number).ticket;
        assert!(
            redeemed
                .iter()
                .all(|(_, rand, _)| *rand != poison.recipient_rand_hash)
        );
    }
    assert_eq!(
        scene.world.failed_transactions().await.len(),
        0,
        "nothing is paid for a refusal"
    );
}
