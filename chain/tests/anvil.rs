//! The client and the watcher against a real chain with doubles of the contracts, through proxies that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::large_futures,
    reason = "a test may fail"
)]

use std::sync::Arc;
use std::time::Duration;

use orchestrion_chain::endpoints::Exclusion;
use orchestrion_chain::price_feed::{FeedBounds, FeedRefusal, judge};
use orchestrion_chain::types::{Call, NEVER};
use orchestrion_chain::watcher::{
    BlockRef, ChainEvent, ContractEvent, ReloadCause, WatchOptions, Watcher,
};
use orchestrion_chain::{
    At, ChainClient, ContractName, Deployment, EndpointOptions, EndpointUrl, Endpoints, Error,
    Hash, RpcClient,
};
use protocol::address::Address;
use telemetry::metrics::{ChainMetrics, Metrics, MetricsOptions, NodeType};
use test_chain::{Chain, Double, Fault, Head, L1Field, Proxy, RangeRefusal, Ticket, ether};
use tokio::sync::mpsc;

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

fn transport(proxies: &[&Proxy], chain_id: Option<u64>) -> Arc<Endpoints> {
    let urls = proxies.iter().map(|p| EndpointUrl::parse(p.url()).unwrap());
    let mut options = EndpointOptions::new(urls.collect());
    options.timeout = Duration::from_secs(10);
    options.pass_wait = Duration::from_millis(5);
    options.chain_id = chain_id;
    Endpoints::new(options, metrics()).unwrap()
}

async fn client(chain: &Chain, proxies: &[&Proxy]) -> Arc<RpcClient> {
    let deployment = Deployment {
        controller: ours(chain.address(Double::Controller)),
        own_registry: None,
    };
    RpcClient::connect(transport(proxies, Some(chain.chain_id())), deployment)
        .await
        .expect("connects")
}

struct Watched {
    watcher: Watcher,
    events: mpsc::Receiver<ChainEvent>,
}

impl Watched {
    fn new(client: &Arc<RpcClient>, from: Option<BlockRef>) -> Self {
        let (sender, events) = mpsc::channel(100_000);
        let client: Arc<dyn ChainClient> = Arc::clone(client) as _;
        let watcher = Watcher::new(client, WatchOptions::default(), from, metrics(), sender);
        Self { watcher, events }
    }

    /// One look, and what it told.
    async fn poll(&mut self) -> Vec<ChainEvent> {
        self.watcher.poll().await.expect("polls");
        self.told()
    }

    fn told(&mut self) -> Vec<ChainEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

fn contract_events(told: &[ChainEvent]) -> Vec<ContractEvent> {
    let events = told.iter().filter_map(|event| match event {
        ChainEvent::Contract { event, .. } => Some(event.clone()),
        _ => None,
    });
    events.collect()
}

#[tokio::test]
async fn every_read_says_what_the_contracts_say() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let (ticket, signature, rand) = Ticket::winner();
    let (orchestrator, sender) = (ours(ticket.recipient), ours(ticket.sender));
    for place in 1..4 {
        let stake = ether(100 * place as u64);
        chain.add_transcoder(chain.account(place), stake).await;
    }
    chain.fund_sender(ticket.sender, ether(3), ether(6)).await;
    chain
        .set_round_hash(3456, Ticket::vector_round_hash())
        .await;
    let client = client(&chain, &[&proxy]).await;

    assert_eq!(client.chain_id().await.unwrap(), 31337);
    let contracts = client.contracts();
    assert!(contracts.missing().is_empty());
    assert_eq!(
        contracts.get(ContractName::TicketBroker),
        ours(chain.address(Double::TicketBroker))
    );
    let rounds = client.rounds().await.unwrap().value;
    assert_eq!((rounds.current, rounds.last_initialized), (3456, 3456));
    assert!(rounds.initialized && !rounds.locked);
    assert_eq!(rounds.l1_block, 20_000_000);
    assert_eq!(rounds.hash, Hash(Ticket::vector_round_hash().0));
    assert!(!rounds.previous_hash.is_zero());
    let head = client.head().await.unwrap();
    assert_eq!(
        head.l1_number,
        Some(20_000_000),
        "asked of the contracts where headers have none"
    );

    let pool = client.pool().await.unwrap();
    let expected: Vec<_> = chain
        .pool()
        .await
        .into_iter()
        .map(|(a, s)| (ours(a), s))
        .collect();
    let members: Vec<_> = pool
        .value
        .members
        .iter()
        .map(|m| (m.address, m.stake))
        .collect();
    assert_eq!(members, expected);
    assert_eq!(members.len(), 3);
    assert_eq!(client.pool_size().await.unwrap(), 3);
    proxy.clear_counts();
    client.pool().await.unwrap();
    assert_eq!(
        proxy.requests(),
        2,
        "a pool known from before is one batch, pinned to a block"
    );

    let record = client.transcoder(orchestrator).await.unwrap();
    assert!(record.registered && record.active);
    assert_eq!(record.stake, ether(100));
    assert_eq!(record.deactivation_round, NEVER);
    let inputs = client.reward_inputs(orchestrator).await.unwrap().value;
    assert_eq!(inputs.round, 3456);
    assert_eq!(inputs.total_bonded, ether(600));
    assert_eq!(inputs.active_stake, ether(100));
    assert_eq!(client.total_bonded().await.unwrap(), ether(600));
    assert_eq!(client.mintable().await.unwrap(), inputs.mintable);
    assert_eq!(client.treasury_cut().await.unwrap(), inputs.treasury_cut);
    assert_eq!(client.reward_caller(orchestrator).await.unwrap(), None);

    let delegator = client.delegator(orchestrator).await.unwrap();
    assert_eq!(
        (delegator.bonded, delegator.delegate),
        (ether(100), orchestrator)
    );
    assert!(
        client
            .unbonding_locks(orchestrator, 0..3)
            .await
            .unwrap()
            .is_empty()
    );
    let parameters = client.protocol_parameters().await.unwrap();
    assert_eq!(
        (parameters.round_length, parameters.paused),
        (rounds.length, false)
    );
    assert_eq!(client.ticket_validity_period().await.unwrap(), 2);
    assert!(client.unlock_period().await.unwrap() > 0);
    assert_eq!(client.service_uri(orchestrator).await.unwrap(), "");

    let strangers = [sender, Address([0x77; 20])];
    let infos = client.sender_infos(&strangers, orchestrator).await.unwrap();
    let info = infos.value[0];
    assert_eq!((info.deposit, info.reserve), (ether(3), ether(6)));
    assert_eq!(info.claimable, ether(2), "a third of the reserve");
    assert_eq!(
        info.claimable,
        chain.claimable(ticket.sender, ticket.recipient).await
    );
    assert_eq!(infos.value[1].deposit, 0.into());
    assert_eq!(
        client
            .claimable_reserve(sender, orchestrator)
            .await
            .unwrap(),
        ether(2)
    );

    let hash = Hash(ticket.hash().0);
    assert_eq!(
        client.used_tickets(&[hash, Hash([1; 32])]).await.unwrap(),
        [false, false]
    );
    let receipt = chain
        .try_redeem(&ticket, &signature, rand)
        .await
        .expect("redeems");
    assert_eq!(
        client.used_tickets(&[hash, Hash([1; 32])]).await.unwrap(),
        [true, false]
    );
    let mined = Hash(receipt.hash.0);
    let receipts = client.receipts(&[mined, Hash([1; 32])]).await.unwrap();
    let found = receipts[0].as_ref().expect("mined");
    assert!(found.success && found.block == receipt.block && !found.logs.is_empty());
    assert_eq!(receipts[1], None);
    let known = client.transaction(mined).await.unwrap().expect("known");
    assert_eq!(known.block, Some(receipt.block));
    let account = ours(chain.account(0));
    assert_eq!(
        client.transaction_count(account, At::Latest).await.unwrap(),
        chain.nonce(chain.account(0)).await
    );
    let balances = client.balances(account).await.unwrap();
    assert_eq!(balances.eth, chain.balance(chain.account(0)).await);
    assert!(client.gas_price().await.unwrap() > 0.into());
    assert!(client.max_priority_fee().await.unwrap().is_some());

    let again = Double::TicketBroker.encode(
        "redeemWinningTicket",
        &[ticket.token(), ethabi_bytes(&signature), ethabi_uint(rand)],
    );
    let broker = contracts.get(ContractName::TicketBroker);
    let call = Call::new(broker, again).from(account);
    for reverted in [
        client.call(&call, At::Latest).await.unwrap_err(),
        client.estimate_gas(&call).await.map(|_| ()).unwrap_err(),
    ] {
        let Error::Reverted { message, data } = reverted else {
            panic!("{reverted}");
        };
        assert!(message.contains("ticket is used"), "{message}");
        assert!(data.starts_with(&[0x08, 0xc3, 0x79, 0xa0]));
    }
}

fn ethabi_bytes(bytes: &[u8]) -> ethabi::Token {
    ethabi::Token::Bytes(bytes.to_vec())
}

fn ethabi_uint(number: test_chain::U256) -> ethabi::Token {
    ethabi::Token::Uint(number)
}

#[tokio::test]
async fn a_contract_that_is_swapped_or_gone_is_seen() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let client = client(&chain, &[&proxy]).await;
    assert!(client.refresh_contracts().await.unwrap().is_empty());
    let elsewhere = test_chain::Address::repeat_byte(7);
    for (name, to) in [
        ("Minter", elsewhere),
        ("LivepeerGovernor", test_chain::Address::zero()),
    ] {
        let arguments = [
            ethabi::Token::String(name.into()),
            ethabi::Token::Address(to),
        ];
        chain.send(Double::Controller, "set", &arguments).await;
    }
    let mut changed = client.refresh_contracts().await.unwrap();
    changed.sort_by_key(|change| change.name);
    let names: Vec<_> = changed.iter().map(|c| (c.name, c.to)).collect();
    assert_eq!(
        names,
        [
            (ContractName::Minter, Address([7; 20])),
            (ContractName::LivepeerGovernor, Address::ZERO)
        ]
    );
    let error = client.mintable().await.unwrap_err();
    assert!(
        matches!(error, Error::Decoding { .. }),
        "no code there: {error}"
    );

    let nowhere = Deployment {
        controller: Address([9; 20]),
        own_registry: None,
    };
    let error = RpcClient::connect(transport(&[&proxy], None), nowhere)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NoCode { .. }), "{error}");
}

#[tokio::test]
async fn faults_of_one_end_point_are_not_seen_behind_two() {
    let chain = Chain::start().await;
    let (first, second) = (Proxy::before(&chain).await, Proxy::before(&chain).await);
    for fault in [
        Fault::Drop,
        Fault::Eof,
        Fault::Status(429),
        Fault::Status(503),
        Fault::Garbage,
        Fault::Error(
            -32005,
            "daily request count exceeded, request rate limited".into(),
        ),
    ] {
        let client = client(&chain, &[&first, &second]).await;
        first.fail("*", fault.clone());
        let rounds = client.rounds().await;
        assert_eq!(rounds.expect("answered").value.current, 3456, "{fault:?}");
        let excluded = client.endpoints()[0].excluded.clone();
        assert!(
            matches!(excluded, Some(Exclusion::Failing { .. })),
            "{fault:?}"
        );
        first.reset();
    }
    let client = client(&chain, &[&first, &second]).await;
    chain.mine(300).await;
    first.head(Head::Behind(290));
    client.transport().probe().await;
    let excluded = client.endpoints()[0].excluded.clone();
    assert_eq!(excluded, Some(Exclusion::Behind { blocks: 290 }));
    assert_eq!(client.head().await.unwrap().number, chain.height().await);
    first.reset();
    first.chain_id(Some(1));
    first.fail_times("*", Fault::Drop, 1);
    client.transport().probe().await;
    assert_eq!(client.rounds().await.unwrap().value.current, 3456);
}

#[tokio::test]
async fn l1_numbers_are_read_in_every_form_and_never_taken_from_the_own_chain() {
    let chain = Chain::with(test_chain::Options {
        chain_id: 42161,
        ..Default::default()
    })
    .await;
    let proxy = Proxy::before(&chain).await;
    let client = client(&chain, &[&proxy]).await;
    for field in [L1Field::Hex, L1Field::Number, L1Field::Absent] {
        proxy.l1_field(field.clone());
        assert_eq!(
            client.head().await.unwrap().l1_number,
            Some(20_000_000),
            "{field:?}"
        );
    }
    chain.fail_round_calls(true).await;
    let error = client.head().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoL1Number {
                chain_id: 42161,
                ..
            }
        ),
        "{error}"
    );
    proxy.l1_field(L1Field::Garbage(serde_json::json!("soon")));
    let error = client.head().await.unwrap_err();
    assert!(matches!(error, Error::Decoding { .. }), "{error}");
}

#[tokio::test]
async fn events_come_in_order_through_a_fork_of_five_blocks() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    proxy.l1_field(L1Field::Hex);
    let client = client(&chain, &[&proxy]).await;
    let mut watched = Watched::new(&client, None);
    let told = watched.poll().await;
    assert!(
        matches!(
            told[0],
            ChainEvent::Reload {
                cause: ReloadCause::FirstStart,
                ..
            }
        ),
        "{told:?}"
    );
    assert!(told.contains(&ChainEvent::L1Block(20_000_000)));

    let sender = Ticket::winner().0.sender;
    for amount in 1..=3 {
        chain.fund_sender(sender, ether(amount), ether(1)).await;
        let deposit = ContractEvent::DepositFunded {
            sender: ours(sender),
            amount: ether(amount),
        };
        let told = watched.poll().await;
        assert!(contract_events(&told).contains(&deposit), "{told:?}");
        assert_eq!(
            told.last(),
            Some(&ChainEvent::Block(watched.watcher.position().unwrap()))
        );
    }
    chain.mine(2).await;
    watched.poll().await;
    chain.reorg(5).await;
    chain.fund_sender(sender, ether(9), ether(1)).await;
    let told = watched.poll().await;
    let ChainEvent::Reorg { to } = told[0] else {
        panic!("{told:?}");
    };
    assert!(to < chain.height().await - 5);
    let after = contract_events(&told);
    let nine = ContractEvent::DepositFunded {
        sender: ours(sender),
        amount: ether(9),
    };
    assert!(after.contains(&nine), "{told:?}");
    let round = chain.new_round().await;
    let told = watched.poll().await;
    assert!(contract_events(&told).iter().any(
        |event| matches!(event, ContractEvent::NewRound { round: found, .. } if *found == round)
    ));
    assert!(
        told.iter()
            .any(|event| matches!(event, ChainEvent::L1Block(_)))
    );
}

#[tokio::test]
async fn a_stored_block_of_a_chain_that_was_reset_is_not_fatal() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let client = client(&chain, &[&proxy]).await;
    let stored = BlockRef {
        number: 1,
        hash: Hash([1; 32]),
    };
    let mut watched = Watched::new(&client, Some(stored));
    let told = watched.poll().await;
    assert!(
        matches!(
            told[0],
            ChainEvent::Reload {
                cause: ReloadCause::UnknownBlock,
                ..
            }
        ),
        "{told:?}"
    );
}

#[tokio::test]
async fn range_limits_of_every_provider_are_met_without_losing_an_event() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let client = client(&chain, &[&proxy]).await;
    let from = client.block(chain.height().await).await.unwrap().unwrap();
    let sender = Ticket::winner().0.sender;
    for amount in 1..=6 {
        chain.fund_sender(sender, ether(amount), ether(1)).await;
        chain.mine(20).await;
    }
    for refusal in RangeRefusal::ALL {
        proxy.reset();
        proxy.range_limit(refusal, 7);
        let mut watched = Watched::new(&client, Some(BlockRef::from(&from)));
        let told = watched.poll().await;
        let amounts: Vec<_> = contract_events(&told)
            .into_iter()
            .filter_map(|event| match event {
                ContractEvent::DepositFunded { amount, .. } => Some(amount),
                _ => None,
            })
            .collect();
        let expected: Vec<_> = (1..=6).map(ether).collect();
        assert_eq!(amounts, expected, "{refusal:?}");
        assert_eq!(client.endpoints()[0].excluded, None, "{refusal:?}");
    }
}

#[tokio::test]
async fn an_outage_delays_events_and_loses_none() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let client = client(&chain, &[&proxy]).await;
    let mut watched = Watched::new(&client, None);
    watched.poll().await;
    let sender = Ticket::winner().0.sender;
    proxy.fail("*", Fault::Status(503));
    for amount in 1..=3 {
        chain.fund_sender(sender, ether(amount), ether(1)).await;
        let error = watched.watcher.poll().await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(watched.told().is_empty());
    }
    proxy.reset();
    proxy.fail_times("eth_getLogs", Fault::Drop, 10);
    watched.watcher.poll().await.unwrap_err();
    proxy.reset();
    let mut told = Vec::new();
    while watched.watcher.position().unwrap().number < chain.height().await {
        told.extend(watched.poll().await);
    }
    let deposits = contract_events(&told);
    let deposits = deposits
        .iter()
        .filter(|event| matches!(event, ContractEvent::DepositFunded { .. }));
    assert_eq!(deposits.count(), 3);
}

#[tokio::test]
async fn the_watcher_runs_until_nobody_listens() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let client: Arc<dyn ChainClient> = client(&chain, &[&proxy]).await;
    let (sender, mut events) = mpsc::channel(1);
    let watcher = Watcher::new(client, WatchOptions::default(), None, metrics(), sender);
    let running = tokio::spawn(watcher.run(Duration::from_millis(10)));
    let first = events.recv().await.expect("told");
    assert!(matches!(first, ChainEvent::Reload { .. }), "{first:?}");
    drop(events);
    running.await.expect("ends");
}

#[tokio::test]
async fn a_price_is_believed_within_bounds_only() {
    let chain = Chain::start().await;
    let proxy = Proxy::before(&chain).await;
    let client = client(&chain, &[&proxy]).await;
    let feed = ours(chain.address(Double::PriceFeed));
    let now = chain.time().await;
    let bounds = FeedBounds::default();
    chain.set_price_updated_at(now - 100).await;
    let answer = client.price_feed(feed).await.unwrap();
    let price = judge(&answer, None, now, bounds).unwrap();
    assert_eq!(price.feed.per_eth.to_string(), "3000");
    for (dollars, refusal) in [
        (0, "not positive"),
        (-5, "not positive"),
        (13_000, "factor"),
    ] {
        chain.set_price(dollars * 100_000_000).await;
        let answer = client.price_feed(feed).await.unwrap();
        let error = judge(&answer, Some(&price), now, bounds).unwrap_err();
        assert!(error.to_string().contains(refusal), "{error}");
    }
    chain.set_price_updated_at(now - 40 * 3600).await;
    let answer = client.price_feed(feed).await.unwrap();
    let error = judge(&answer, None, now, bounds).unwrap_err();
    assert!(matches!(error, FeedRefusal::Stale { .. }), "{error}");
    chain.fail_price_feed(true).await;
    assert!(client.price_feed(feed).await.is_err());
}
