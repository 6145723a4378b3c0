//! The whole loop: two gateways pay for 200 segments, their winners become ether, and reward is called in every round.

use protocol::money::U256;
use test_chain::Double;

use super::disk::Disk;
use super::judge::{Judge, hashes};
use super::payer::Session;
use super::world::{QUARTER_WINS, World, h160};
use crate::node::Home;

/// Segments of each of the two gateways.
const SEGMENTS: u32 = 100;
/// Rounds in which reward is waited for, after the first.
const ROUNDS: u64 = 5;

async fn push_all(mut session: Session) -> Session {
    for number in 0..SEGMENTS {
        let pushed = session.segment().await;
        pushed.unwrap_or_else(|text| panic!("segment {number}: {text}"));
    }
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gateways_pay_for_two_hundred_segments_arrives_to_the_wei_and_reward_in_each_round() {
    let mut world = World::new(QUARTER_WINS).await;
    world.home = Home::with_tls();
    let mut node = world.node(&[]).await;
    let (first, second) = (world.payer(1).await, world.payer(2).await);
    let accounts = [h160(first.address()), h160(second.address())];
    let mut before = U256::zero();
    for account in accounts {
        before += world.chain.sender_info(account).await.deposit;
    }
    let sessions = (
        first.session(&node, "first").await,
        second.session(&node, "second").await,
    );
    let (first, second) = tokio::join!(push_all(sessions.0), push_all(sessions.1));
    assert!(!first.tickets.is_empty() && !second.tickets.is_empty());

    world.expire_params().await;
    let sent = [first.tickets.clone(), second.tickets.clone()].concat();
    let judge = Judge(Disk::of(world.home.directory()).secrets().0);
    let winners = judge.winners(&sent);
    assert!(!winners.is_empty(), "{} tickets, no winner", sent.len());
    world.await_paid(&node, &winners).await;
    world.settle(&node).await;

    let rewarded = async |count: usize| {
        node.until("reward", async || {
            let events = world.chain.events(Double::BondingManager, "Reward").await;
            if events.len() >= count {
                return Some(events);
            }
            world.tick().await;
            None
        })
        .await
    };
    rewarded(1).await;
    for number in 1..=ROUNDS {
        let round = world.chain.new_round().await;
        let events = rewarded(1 + usize::try_from(number).expect("few")).await;
        assert!(
            events
                .iter()
                .all(|event| event.address("transcoder") == h160(world.orchestrator))
        );
        let transcoder = world.chain.transcoder(h160(world.orchestrator)).await;
        assert_eq!(transcoder.last_reward_round, round.into());
    }

    // the chain's books
    let events = world.redeemed().await;
    let face_values = events
        .iter()
        .fold(U256::zero(), |sum, event| sum + event.uint("faceValue"));
    let mut after = U256::zero();
    for account in accounts {
        after += world.chain.sender_info(account).await.deposit;
    }
    assert_eq!(before - after, face_values, "what was paid is what was won");
    assert_eq!(world.fees().await, face_values);
    assert_eq!(
        world.chain.paid_to(h160(world.orchestrator)).await,
        face_values
    );
    assert_eq!(world.redeemed_tickets().await.len(), winners.len());
    assert_eq!(world.failed_transactions().await.len(), 0);

    // the node's books
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.log());
    let disk = Disk::of(world.home.directory());
    let paid = disk.tickets_in("paid");
    assert!(hashes(&winners).iter().all(|hash| paid.contains(hash)));
    assert_eq!(paid.len(), winners.len());
    assert_eq!(disk.paid(), face_values);
    for session in [&first, &second] {
        let key = session.stream.session();
        let balance = disk.credit(session.payer.address(), key);
        assert_eq!(balance, session.credit, "credit less work, to the wei");
    }
    println!(
        "{} segments, {} tickets, {} winners, {face_values} wei",
        2 * SEGMENTS,
        sent.len(),
        winners.len()
    );
}
