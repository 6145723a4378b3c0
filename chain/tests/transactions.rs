//! The transaction queue against a real chain with doubles of the contracts, through a proxy that misbehaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a test may fail"
)]

use std::sync::Arc;

use orchestrion_chain::{
    ChainClient, Deployment, EndpointOptions, EndpointUrl, Endpoints, RpcClient, Signer, calls,
    hints,
    revert::{RedemptionRevert, Revert},
    transactions::{
        MemoryJournal, Options, Outcome, Pending, Progress, Purpose, Request, TransactionQueue,
    },
    types::{Hash, U256},
};
use protocol::{
    address::Address,
    money::{ExpirationParams, RecipientRand, Ticket as SignedTicket, WinningTicket},
    signature::SecretKey,
};
use telemetry::metrics::{ChainMetrics, Metrics, MetricsOptions, NodeType};
use test_chain::{Chain, Double, Fault, Proxy, Ticket, Token, ether};

type Queue = TransactionQueue<Arc<RpcClient>, Arc<MemoryJournal>>;

struct Bench {
    chain: Chain,
    proxy: Proxy,
    client: Arc<RpcClient>,
    journal: Arc<MemoryJournal>,
    queue: Queue,
    now_ms: u64,
}

fn metrics() -> ChainMetrics {
    let options = MetricsOptions {
        node_id: "test".into(),
        node_type: NodeType::Orchestrator,
        version: String::new(),
        runtime: String::new(),
        per_stream: false,
        client_ip: false,
    };
    Metrics::new(&options).expect("metrics").chain
}

fn ours(address: test_chain::Address) -> Address {
    Address(address.0)
}

/// The gas account: it only pays gas, and has no part in the tickets.
fn signer() -> Signer {
    Signer::new(SecretKey::from_bytes([0x47; 32]).unwrap())
}

fn options() -> Options {
    Options {
        confirmations: 3,
        settle_ms: u64::MAX,
        ..Options::default()
    }
}

/// A ticket of the sender whose key the vectors name; every number wins.
fn winner(nonce: u32) -> WinningTicket {
    let mut key = [0; 32];
    hex::decode_to_slice(
        "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
        &mut key,
    )
    .unwrap();
    let key = SecretKey::from_bytes(key).unwrap();
    let recipient_rand = RecipientRand::from_bytes([0x11; 32]);
    let ticket = SignedTicket {
        recipient: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
            .parse()
            .unwrap(),
        sender: key.address(),
        face_value: U256::exp10(17),
        win_prob: U256::MAX,
        nonce,
        recipient_rand_hash: recipient_rand.hash(),
        expiration: ExpirationParams {
            creation_round: 3456,
            creation_round_block_hash: Ticket::vector_round_hash().0,
        },
    };
    WinningTicket {
        sig: ticket.sign(&key),
        ticket,
        recipient_rand,
        expiration_block: 0,
    }
}

impl Bench {
    async fn new() -> Self {
        let chain = Chain::start().await;
        let recipient = winner(0).ticket.recipient;
        chain
            .add_transcoder(test_chain::Address::from(recipient.0), ether(100))
            .await;
        let sender = test_chain::Address::from(winner(0).ticket.sender.0);
        chain.fund_sender(sender, ether(3), ether(6)).await;
        chain
            .set_round_hash(3456, Ticket::vector_round_hash())
            .await;
        let account = test_chain::Address::from(signer().address().0);
        chain.set_balance(account, ether(10)).await;

        let proxy = Proxy::before(&chain).await;
        proxy.zero_tip(true);
        let options = EndpointOptions::new(vec![EndpointUrl::parse(proxy.url()).unwrap()]);
        let endpoints = Endpoints::new(options, metrics()).unwrap();
        let deployment = Deployment {
            controller: ours(chain.address(Double::Controller)),
            own_registry: None,
        };
        let client = RpcClient::connect(endpoints, deployment).await.unwrap();
        let journal = Arc::new(MemoryJournal::default());
        let queue = open(&client, &journal).await;
        chain.set_automine(false).await;
        Self {
            chain,
            proxy,
            client,
            journal,
            queue,
            now_ms: 1_000_000,
        }
    }

    async fn submit(&mut self, ticket: &WinningTicket) -> Pending {
        let write = calls::redeem_winning_ticket(&self.client.contracts(), ticket).unwrap();
        let purpose = Purpose::Redeem(Hash(ticket.ticket.hash()));
        self.queue
            .submit(Request::new(purpose, write))
            .await
            .unwrap()
    }

    async fn step(&mut self, passed_ms: u64) {
        self.now_ms += passed_ms;
        let _ = self.queue.step(self.now_ms).await;
    }

    async fn finish(&mut self, pending: Pending) -> Outcome {
        for _ in 0..60 {
            if let Progress::Done(outcome) = pending.now() {
                return outcome;
            }
            self.chain.mine(1).await;
            self.step(20_000).await;
        }
        panic!("not settled: {:?}", self.queue.status());
    }

    async fn is_used(&self, ticket: &WinningTicket) -> bool {
        self.client
            .used_tickets(&[Hash(ticket.ticket.hash())])
            .await
            .unwrap()[0]
    }

    fn broker(&self) -> Address {
        ours(self.chain.address(Double::TicketBroker))
    }

    fn account(&self) -> test_chain::Address {
        test_chain::Address::from(self.queue.account().0)
    }
}

async fn open(client: &Arc<RpcClient>, journal: &Arc<MemoryJournal>) -> Queue {
    TransactionQueue::open(Arc::clone(client), Arc::clone(journal), signer(), options())
        .await
        .unwrap()
}

#[tokio::test]
async fn tickets_are_redeemed_although_answers_are_lost_and_the_node_restarts() {
    let mut bench = Bench::new().await;
    let tickets: Vec<_> = (0..5).map(winner).collect();
    bench
        .proxy
        .fail_times("eth_sendRawTransaction", Fault::LoseAnswer, 2);
    for ticket in &tickets {
        bench.submit(ticket).await;
    }
    bench.step(0).await;
    bench.queue = open(&bench.client, &bench.journal).await;
    let deposit = || async {
        bench
            .client
            .sender_info(tickets[0].ticket.sender, tickets[0].ticket.recipient)
            .await
            .unwrap()
            .value
            .deposit
    };
    let before = deposit().await;
    let mut all = Vec::new();
    for ticket in &tickets {
        all.push(bench.submit(ticket).await);
    }
    let mut paid = U256::zero();
    let mut hashes = std::collections::BTreeSet::new();
    for pending in all {
        let Outcome::Mined(mined) = bench.finish(pending).await else {
            panic!("not mined");
        };
        paid += mined.paid(bench.broker());
        assert!(mined.gas_used > 21_000 && mined.cost() > U256::zero());
        hashes.insert(mined.hash);
    }
    let after = bench
        .client
        .sender_info(tickets[0].ticket.sender, tickets[0].ticket.recipient)
        .await
        .unwrap()
        .value
        .deposit;
    assert_eq!(paid, U256::exp10(17) * 5);
    assert_eq!(before - after, paid);
    assert_eq!(hashes.len(), 5);
    assert_eq!(
        bench.chain.nonce(bench.account()).await,
        5,
        "nothing was sent twice"
    );

    // what is used is refused by the simulation, and costs nothing
    let again = winner(0);
    bench.journal = Arc::default();
    bench.queue = open(&bench.client, &bench.journal).await;
    let pending = bench.submit(&again).await;
    let Outcome::Refused(revert) = bench.finish(pending).await else {
        panic!("not refused");
    };
    assert_eq!(RedemptionRevert::classify(&revert), RedemptionRevert::Used);
    assert_eq!(bench.chain.nonce(bench.account()).await, 5);
}

#[tokio::test]
async fn stuck_transaction_is_replaced_on_a_real_pool() {
    let mut bench = Bench::new().await;
    let ticket = winner(1);
    let pending = bench.submit(&ticket).await;
    bench.step(0).await;
    bench.step(300_000).await;
    bench.step(5_000).await;
    let Progress::Sent { nonce: 0, hashes } = pending.now() else {
        panic!("{:?}", pending.now());
    };
    assert!(hashes.len() >= 2, "{:?}", bench.queue.status());
    assert_eq!(bench.chain.pending_of(bench.account()).await.len(), 1);
    let Outcome::Mined(mined) = bench.finish(pending).await else {
        panic!("not mined");
    };
    assert_eq!(Some(&mined.hash), hashes.last());
    assert!(bench.is_used(&ticket).await);
}

#[tokio::test]
async fn nonce_taken_by_another_process_is_found_on_the_chain() {
    let mut bench = Bench::new().await;
    let ticket = winner(2);
    let pending = bench.submit(&ticket).await;
    bench.step(0).await;
    let Progress::Sent { nonce: 0, hashes } = pending.now() else {
        panic!("{:?}", pending.now());
    };
    bench.chain.drop_transaction(hashes[0].0.into()).await;
    let spender = Token::Address(bench.account());
    let function = "approve";
    let arguments = [spender, Token::Uint(1.into())];
    let token = Double::Token;
    bench
        .chain
        .try_queue(
            bench.account(),
            token,
            function,
            &arguments,
            0.into(),
            Some(200_000),
        )
        .await
        .unwrap();
    bench.chain.mine(1).await;
    let Outcome::Mined(mined) = bench.finish(pending).await else {
        panic!("not mined");
    };
    assert_eq!(mined.nonce, 1);
    assert_eq!(bench.queue.status().nonces_taken_by_others, 1);
    assert!(bench.is_used(&ticket).await);
}

#[tokio::test]
async fn redemption_that_a_reorganisation_loses_is_mined_again() {
    let mut bench = Bench::new().await;
    let ticket = winner(3);
    let pending = bench.submit(&ticket).await;
    bench.step(0).await;
    bench.chain.mine(2).await;
    bench.step(1_000).await;
    assert!(matches!(pending.now(), Progress::Mined(_)));
    bench.chain.reorg(2).await;
    bench.step(1_000).await;
    assert!(matches!(pending.now(), Progress::Sent { nonce: 0, .. }));
    let Outcome::Mined(mined) = bench.finish(pending).await else {
        panic!("not mined");
    };
    assert_eq!(mined.nonce, 0);
    assert!(bench.is_used(&ticket).await);
}

#[tokio::test]
async fn revert_in_a_block_has_its_reason_and_the_ticket_stays_good() {
    let mut bench = Bench::new().await;
    let ticket = winner(4);
    let pending = bench.submit(&ticket).await;
    bench.step(0).await;
    // mined before ours in the same block
    bench
        .chain
        .queue(Double::Controller, "setPaused", &[Token::Bool(true)])
        .await;
    let outcome = bench.finish(pending).await;
    let Outcome::Reverted(mined, revert) = outcome else {
        panic!("not reverted: {outcome:?}");
    };
    assert_eq!(revert, Revert::Reason("system is paused".into()));
    assert!(mined.gas_used > 21_000);
    assert!(!bench.is_used(&ticket).await);

    bench
        .chain
        .queue(Double::Controller, "setPaused", &[Token::Bool(false)])
        .await;
    bench.chain.mine(1).await;
    let pending = bench.submit(&ticket).await;
    assert!(matches!(bench.finish(pending).await, Outcome::Mined(_)));
}

#[tokio::test]
async fn reward_is_called_with_hints_that_the_contract_would_choose() {
    let mut bench = Bench::new().await;
    let me = bench.account();
    bench.chain.set_automine(true).await;
    for (place, stake) in [(2, 300), (3, 200)] {
        let account = bench.chain.account(place);
        bench.chain.add_transcoder(account, ether(stake)).await;
    }
    bench.chain.add_transcoder(me, ether(199)).await;
    bench.chain.set_automine(false).await;
    let own = bench.queue.account();
    let inputs = bench.client.reward_inputs(own).await.unwrap().value;
    let expected = hints::reward(&inputs).unwrap();
    let hint = hints::for_reward(&inputs);
    let write = calls::reward(&bench.client.contracts(), hint).unwrap();
    let purpose = Purpose::Reward {
        round: inputs.round,
        transcoder: own,
    };
    let pending = bench
        .queue
        .submit(Request::new(purpose, write))
        .await
        .unwrap();
    assert!(matches!(bench.finish(pending).await, Outcome::Mined(_)));
    let after = bench.client.transcoder(own).await.unwrap();
    assert_eq!(after.stake - inputs.transcoder.stake, expected.earned);
    let pool = bench.client.pool().await.unwrap().value.members;
    let at = pool
        .iter()
        .position(|member| member.address == own)
        .unwrap();
    let neighbour = |at: Option<usize>| {
        at.and_then(|at| pool.get(at))
            .map_or(Address::ZERO, |member| member.address)
    };
    assert_eq!(hint.prev, neighbour(at.checked_sub(1)));
    assert_eq!(hint.next, neighbour(Some(at + 1)));
}
