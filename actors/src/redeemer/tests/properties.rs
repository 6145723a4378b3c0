//! Whatever goes wrong, and whenever: no winner is lost, none is redeemed twice, the books are the chain's.

use ledger::State;
use proptest::prelude::*;

use super::bench::*;

#[derive(Debug, Clone)]
enum Event {
    Win(u8, u64),
    Ticks(u8),
    Kill,
    Down(bool),
    HideReceipts(bool),
    Lag(u8),
    Betray(u8, u8),
    Stall(bool),
    LoseAnswer,
    Steal,
    Reorg(u8, bool),
    Gas(u8),
    Rival(u8),
    Fund(u8, u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3u8, 0..3u64).prop_map(|(who, size)| Event::Win(who, FACE << size)),
        8 => (1..6u8).prop_map(Event::Ticks),
        2 => Just(Event::Kill),
        1 => any::<bool>().prop_map(Event::Down),
        1 => any::<bool>().prop_map(Event::HideReceipts),
        1 => (0..4u8).prop_map(Event::Lag),
        1 => (any::<u8>(), 1..3u8).prop_map(|(which, times)| Event::Betray(which, times)),
        1 => any::<bool>().prop_map(Event::Stall),
        1 => Just(Event::LoseAnswer),
        1 => Just(Event::Steal),
        1 => (1..6u8, any::<bool>()).prop_map(|(depth, lose)| Event::Reorg(depth, lose)),
        1 => (1..4u8).prop_map(Event::Gas),
        1 => any::<u8>().prop_map(Event::Rival),
        1 => (0..3u8, 0..8u64).prop_map(|(who, faces)| Event::Fund(who, faces * FACE)),
    ]
}

async fn run(events: Vec<Event>) {
    let mut bench = Bench::new();
    for who in 0..3 {
        bench.fund(who, FACE * 6, FACE * 4);
    }
    let mut winners = Vec::new();
    for event in events {
        match event {
            Event::Win(who, face) => winners.push(bench.win(who, face).await),
            Event::Ticks(count) => bench.ticks(count.into()).await,
            Event::Kill => bench.kill(),
            Event::Down(down) => {
                // without an end point no process starts
                bench.look().await;
                bench.chain.with(|s| s.faults.down = down);
            }
            Event::HideReceipts(hidden) => bench.chain.with(|s| s.faults.receipts_hidden = hidden),
            Event::Lag(blocks) => bench.chain.with(|s| s.faults.lag = blocks.into()),
            Event::Betray(which, times) => {
                if let Some(winner) = winners.get(usize::from(which) % winners.len().max(1)) {
                    let hash = chain_hash(winner);
                    bench
                        .chain
                        .with(|s| s.faults.betrayed.insert(hash, times.into()));
                }
            }
            Event::Stall(stalled) => bench.chain.with(|s| s.faults.stalled = stalled),
            Event::LoseAnswer => bench.chain.with(|s| s.faults.lose_answer = true),
            Event::Steal => bench.chain.steal_nonce(account()),
            Event::Reorg(depth, lose) => bench.chain.reorganise(depth.into(), lose),
            Event::Gas(price) => bench.chain.with(|s| s.base_fee = price.into()),
            Event::Rival(which) => {
                if let Some(winner) = winners.get(usize::from(which) % winners.len().max(1)) {
                    bench
                        .chain
                        .redeem_as(protocol::address::Address([9; 20]), winner);
                }
            }
            Event::Fund(who, deposit) => bench.chain.set(|world| {
                world.senders.get_mut(&sender(who)).unwrap().deposit += deposit.into();
            }),
        }
    }
    bench.chain.with(|s| {
        s.faults = Default::default();
        s.base_fee = 1;
    });
    bench.finish().await;
    bench.ticks(10).await;
    assert_eq!(bench.all().await.len(), winners.len());
    for winner in &winners {
        let state = bench.state_of(winner).await;
        assert!(
            matches!(state, State::Paid | State::UsedElsewhere | State::Expired),
            "{state}"
        );
    }
    bench.audit().await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        // each is a life of a node
        cases: ProptestConfig::default().cases / 10,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_winner_is_lost_none_redeemed_twice_and_the_books_are_the_chains(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(events));
    }
}
