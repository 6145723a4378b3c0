//! The node is killed at random while winners arrive and redemptions are in flight. What gateways were told is the truth:
//! no winner of it may be lost or redeemed twice, no credit of it may be missing, and no ticket counts twice.
//!
//! `ORCHESTRION_PAID_KILLS` says how often (100), `ORCHESTRION_PAID_SEED` in which way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::signature::Hash;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use test_chain::ether;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::judge::Judge;
use super::payer::{Answer, Session};
use super::world::{PARAMS_LIFE, QUARTER_WINS, World};
use crate::gateway::Gateway;
use crate::node::Node;

/// Longest life of a node after it is ready.
const LIFE_MS: u64 = 500;
/// Pause between payments of one gateway: winners that nobody has time to redeem prove nothing more.
const PACE: Duration = Duration::from_millis(30);
/// Pause between blocks: transactions are in the pool for a while.
const BLOCKS: Duration = Duration::from_millis(120);
/// Nothing here transcodes, and reward would be one transaction among others.
const OPTIONS: [&str; 2] = ["-testTranscoder=false", "-reward=false"];

fn setting(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A gateway that pays until nobody answers.
async fn pay_on(mut session: Session, mut sizes: StdRng) -> Session {
    loop {
        match session.pay(sizes.random_range(1..=3)).await {
            Answer::Taken => tokio::time::sleep(PACE).await,
            Answer::None => return session,
            Answer::Refused(400, text) if text == "TicketParams expired" => {
                if session.refresh().await.is_err() {
                    return session;
                }
            }
            Answer::Refused(status, text) => panic!("{status} {text}"),
        }
    }
}

/// What gateways were told, and how far that was checked.
struct Truth {
    judge: Judge,
    sessions: Vec<Session>,
    checked: Vec<usize>,
    winners: HashSet<Hash>,
}

impl Truth {
    /// Holds the disk of a dead node against what its gateways know.
    fn check(&mut self, disk: &Disk) {
        let stored = disk.tickets();
        for (session, checked) in self.sessions.iter_mut().zip(&mut self.checked) {
            let sender = session.payer.address();
            let balance = disk.credit(sender, &session.stream.manifest);
            if balance != session.credit {
                // the payment that had no answer counts as a whole
                session.acknowledge();
                assert_eq!(
                    balance, session.credit,
                    "acknowledged credit of {sender} is not what is stored"
                );
            } else {
                let unknown = self.judge.winners(session.last_sent());
                for sent in unknown {
                    let hash = sent.ticket.hash();
                    assert!(!stored.contains_key(&hash), "a winner without its credit");
                }
            }
            for sent in &session.tickets[*checked..] {
                if self.judge.wins(sent) {
                    let hash = sent.ticket.hash();
                    assert!(stored.contains_key(&hash), "an acknowledged winner is lost");
                    self.winners.insert(hash);
                }
            }
            *checked = session.tickets.len();
        }
        for hash in &self.winners {
            let state = stored.get(hash).expect("a winner is lost")["state"].clone();
            assert_ne!(state, "expired");
            assert_ne!(state, "used_elsewhere", "nobody else redeems");
        }
    }

    /// New connections, a fresh quote, and one ticket sent once more.
    async fn greet(&mut self, node: &Node) {
        for session in &mut self.sessions {
            session.stream.gateway = Gateway::of(node);
            session.refresh().await.expect("a quote");
            let Some(last) = session.tickets.last() else {
                continue;
            };
            let payment = session.again(last);
            let (status, text) = session.refused("/payment", &payment).await;
            assert_eq!(status, 400, "{text}");
            assert!(text.contains("already seen"), "{text}");
        }
    }
}

fn mine(world: &Arc<World>) -> JoinHandle<()> {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(BLOCKS).await;
            world.chain.mine(1).await;
        }
    })
}

/// Ends parameters, and rounds as time passes.
async fn pass_time(world: &World) {
    world.advance_l1(PARAMS_LIFE).await;
    if world.chain.round().await > world.chain.last_initialized().await {
        world.chain.initialize_round().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_costs_a_winner_or_credit_and_nothing_is_redeemed_twice() {
    let kills = setting("ORCHESTRION_PAID_KILLS", 100);
    let seed = setting("ORCHESTRION_PAID_SEED", rand::random());
    println!("{kills} kills, seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::new(QUARTER_WINS).await);
    let mut node = world.node(&OPTIONS).await;
    let mut sessions = Vec::new();
    for number in [1, 2] {
        let payer = world.payer(number).await;
        world.fund(&payer, ether(1000), ether(100)).await;
        sessions.push(payer.session(&node, &format!("gateway {number}")).await);
    }
    let mut truth = Truth {
        judge: Judge(Disk::of(world.home.directory()).secrets().0),
        checked: vec![0; sessions.len()],
        sessions,
        winners: HashSet::new(),
    };
    world.chain.set_automine(false).await;
    let mining = mine(&world);
    let begun = Instant::now();
    for kill in 0..kills {
        truth.greet(&node).await;
        let paying: Vec<_> = std::mem::take(&mut truth.sessions)
            .into_iter()
            .map(|session| tokio::spawn(pay_on(session, StdRng::seed_from_u64(chance.random()))))
            .collect();
        let life = Duration::from_millis(chance.random_range(0..LIFE_MS));
        tokio::time::sleep(life).await;
        node.kill();
        for session in paying {
            truth.sessions.push(session.await.expect("a gateway"));
        }
        truth.check(&Disk::of(world.home.directory()));
        if kill % 2 == 0 {
            pass_time(&world).await;
        }
        node = world.node(&OPTIONS).await;
    }
    let each = begun.elapsed() / u32::try_from(kills.max(1)).expect("few");

    // and now it may live
    truth.greet(&node).await;
    world.expire_params().await;
    world.settle(&node).await;
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.log());
    mining.abort();
    let disk = Disk::of(world.home.directory());
    let paid = disk.tickets_in("paid");
    let lost: Vec<_> = truth.winners.difference(&paid).collect();
    assert!(lost.is_empty(), "{} winners were not redeemed", lost.len());
    let redeemed = world.redeemed_tickets().await.len();
    assert_eq!(redeemed, paid.len(), "books and chain");
    assert_eq!(disk.paid(), world.fees().await);
    let failed = world.failed_transactions().await;
    for hash in &failed {
        // nothing is lost by it but its gas: what led to it is worth knowing
        let log = node.log();
        let traces = log.lines().filter(|line| line.contains(hash.as_str()));
        println!("failed: {}", traces.collect::<Vec<_>>().join("\n"));
    }
    let tickets: usize = truth.sessions.iter().map(|one| one.tickets.len()).sum();
    println!(
        "{kills} kills, {each:?} each: {tickets} tickets acknowledged, {} of them won, {redeemed} redeemed, {} failed transactions",
        truth.winners.len(),
        failed.len()
    );
}
