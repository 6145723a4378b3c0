//! The tracker against random chains that fork, shrink, lag and refuse.

use proptest::prelude::*;

use super::tracker::{BlockRef, Found, ReloadCause, Step, Tracker, WatchOptions};
use crate::types::{Hash, Head, Log};
use protocol::address::Address;

/// A chain whose blocks have a hash per (number, fork) and between 0 and 2 log entries.
#[derive(Debug, Clone, Default)]
struct Chain {
    /// Fork that each block belongs to, from block 0.
    forks: Vec<u32>,
}

impl Chain {
    fn grow(&mut self, count: usize, fork: u32) {
        self.forks.extend(std::iter::repeat_n(fork, count));
    }

    fn hash(&self, number: u64) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash[8..12].copy_from_slice(&self.forks[number as usize].to_be_bytes());
        Hash(hash)
    }

    fn top(&self) -> u64 {
        self.forks.len() as u64 - 1
    }

    fn header(&self, number: u64) -> Option<Head> {
        (number <= self.top()).then(|| Head {
            number,
            hash: self.hash(number),
            parent: number.checked_sub(1).map_or(Hash::ZERO, |n| self.hash(n)),
            l1_number: None,
            base_fee: None,
            timestamp: number,
            endpoint: String::new(),
        })
    }

    fn head(&self) -> Head {
        self.header(self.top()).unwrap()
    }

    fn block_ref(&self, number: u64) -> BlockRef {
        BlockRef {
            number,
            hash: self.hash(number),
        }
    }

    /// Log entries of a stretch, in a shuffled order.
    fn logs(&self, from: u64, to: u64) -> Vec<Log> {
        let mut logs: Vec<Log> = (from..=to.min(self.top()))
            .flat_map(|block| {
                let hash = self.hash(block);
                (0..(block + u64::from(self.forks[block as usize])) % 3).map(move |index| Log {
                    address: Address::ZERO,
                    topics: vec![],
                    data: vec![],
                    block,
                    block_hash: hash,
                    transaction: Hash::ZERO,
                    index,
                })
            })
            .collect();
        logs.reverse();
        logs
    }
}

/// What somebody who follows the events has.
#[derive(Debug, Default)]
struct Follower {
    /// (block, index, block hash) of every event that counts.
    events: Vec<(u64, u64, Hash)>,
    /// Events up to here come from reading state.
    loaded: Option<u64>,
    position: u64,
    reloads: Vec<ReloadCause>,
    reorgs: usize,
}

impl Follower {
    fn take(&mut self, found: Vec<Found>, chain: &Chain) {
        for found in found {
            match found {
                Found::Log(log) => {
                    let last = self.events.last().map(|e| (e.0, e.1));
                    assert!(last < Some((log.block, log.index)), "out of order or twice");
                    assert!(
                        self.loaded.is_none_or(|at| log.block > at),
                        "already loaded"
                    );
                    assert!(log.block > self.position, "of a block already told");
                    self.events.push((log.block, log.index, log.block_hash));
                }
                Found::Block(block) => {
                    assert!(block.number >= self.position);
                    self.position = block.number;
                }
                Found::Reorg { to } => {
                    self.reorgs += 1;
                    assert!(to < self.position);
                    assert!(
                        self.loaded.is_none_or(|at| to >= at),
                        "below what was loaded"
                    );
                    self.events.retain(|event| event.0 <= to);
                    self.position = to;
                }
                Found::Reload { cause, at } => {
                    self.reloads.push(cause);
                    self.events = events(chain, 0, at.number);
                    self.loaded = Some(at.number);
                    self.position = at.number;
                }
                Found::Misplaced(_) => {}
            }
        }
    }
}

fn events(chain: &Chain, from: u64, to: u64) -> Vec<(u64, u64, Hash)> {
    let mut logs = chain.logs(from, to);
    logs.sort_by_key(|log| (log.block, log.index));
    logs.into_iter()
        .map(|log| (log.block, log.index, log.block_hash))
        .collect()
}

/// What the provider does to one question.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// No answer.
    Fails,
    /// The chain changes just before the answer.
    Forks {
        depth: u8,
        grows: u8,
    },
}

struct World {
    chain: Chain,
    fork: u32,
    range_limit: u64,
    faults: Vec<Fault>,
}

impl World {
    fn fork(&mut self, depth: u8, grows: u8) {
        self.fork += 1;
        let keep = self
            .chain
            .forks
            .len()
            .saturating_sub(usize::from(depth))
            .max(1);
        self.chain.forks.truncate(keep);
        self.chain.grow(usize::from(grows), self.fork);
    }

    fn fault(&mut self) -> Fault {
        let fault = self.faults.pop().unwrap_or(Fault::None);
        if let Fault::Forks { depth, grows } = fault {
            self.fork(depth, grows);
        }
        fault
    }

    /// One look. `Err` when a question failed.
    fn look(&mut self, tracker: &mut Tracker, follower: &mut Follower) -> Result<(), ()> {
        let head = self.chain.head();
        for _ in 0..10_000 {
            let step = tracker.next(&head);
            follower.take(tracker.take(), &self.chain);
            if step != Step::Rest && self.fault() == Fault::Fails {
                tracker.abandon();
                return Err(());
            }
            match step {
                Step::Rest => return Ok(()),
                Step::Header(number) => {
                    let header = self.chain.header(number);
                    let goes_on = tracker.header(&head, header.as_ref());
                    follower.take(tracker.take(), &self.chain);
                    if !goes_on {
                        return Ok(());
                    }
                }
                Step::Logs { from, to } if to - from + 1 > self.range_limit => {
                    assert!(
                        tracker.logs_failed(&head, true),
                        "one block is never too many here"
                    );
                }
                Step::Logs { from, to } => tracker.logs(self.chain.logs(from, to)),
            }
            follower.take(tracker.take(), &self.chain);
        }
        panic!("a look has no end");
    }
}

fn options(memory: usize) -> WatchOptions {
    WatchOptions {
        max_range: 16,
        max_backfill: 10_000,
        memory,
        patience: 3,
    }
}

fn world(blocks: usize) -> World {
    let mut chain = Chain::default();
    chain.grow(blocks, 0);
    World {
        chain,
        fork: 0,
        range_limit: 1_000,
        faults: Vec::new(),
    }
}

/// Looks until everything is taken in.
fn settle(world: &mut World, tracker: &mut Tracker, follower: &mut Follower) {
    for _ in 0..50 {
        let looked = world.look(tracker, follower);
        if looked.is_ok() && tracker.position() == Some(world.chain.block_ref(world.chain.top())) {
            return;
        }
    }
    panic!(
        "never settles: {:?} of {}",
        tracker.position(),
        world.chain.top()
    );
}

#[test]
fn a_single_new_block_is_taken_in() {
    let mut world = world(10);
    let (mut tracker, mut follower) = (Tracker::new(options(8), None), Follower::default());
    settle(&mut world, &mut tracker, &mut follower);
    assert_eq!(follower.reloads, [ReloadCause::FirstStart]);
    world.chain.grow(1, 0);
    settle(&mut world, &mut tracker, &mut follower);
    assert_eq!(follower.position, 10);
    assert_eq!(follower.events, events(&world.chain, 0, 10));
}

#[test]
fn a_fork_of_five_blocks_is_told_once_and_its_events_follow() {
    let mut world = world(10);
    let (mut tracker, mut follower) = (Tracker::new(options(64), None), Follower::default());
    settle(&mut world, &mut tracker, &mut follower);
    for _ in 0..8 {
        world.chain.grow(1, 0);
        settle(&mut world, &mut tracker, &mut follower);
    }
    world.fork(5, 7);
    settle(&mut world, &mut tracker, &mut follower);
    assert_eq!(follower.reorgs, 1);
    assert_eq!(follower.events, events(&world.chain, 0, world.chain.top()));
    assert_eq!(follower.reloads.len(), 1);
}

#[test]
fn an_end_point_that_lags_changes_nothing() {
    let mut world = world(40);
    let (mut tracker, mut follower) = (Tracker::new(options(64), None), Follower::default());
    settle(&mut world, &mut tracker, &mut follower);
    world.chain.grow(10, 0);
    settle(&mut world, &mut tracker, &mut follower);
    let full = world.chain.clone();
    world.chain.forks.truncate(45);
    for _ in 0..20 {
        world.look(&mut tracker, &mut follower).unwrap();
    }
    assert_eq!(follower.position, 49);
    world.chain = full;
    settle(&mut world, &mut tracker, &mut follower);
    assert_eq!((follower.reorgs, follower.reloads.len()), (0, 1));
}

#[test]
fn an_unknown_stored_block_is_not_fatal() {
    for stored in [
        BlockRef {
            number: 5,
            hash: Hash([9; 32]),
        },
        BlockRef {
            number: 5_000,
            hash: Hash([9; 32]),
        },
    ] {
        let mut world = world(20);
        let mut tracker = Tracker::new(options(8), Some(stored));
        let mut follower = Follower::default();
        world.look(&mut tracker, &mut follower).unwrap();
        assert_eq!(follower.reloads, [ReloadCause::UnknownBlock], "{stored:?}");
        assert_eq!(tracker.position().unwrap().number, 19);
    }
}

#[test]
fn a_stored_block_is_gone_on_from() {
    let mut world = world(100);
    let mut tracker = Tracker::new(options(8), Some(world.chain.block_ref(40)));
    let mut follower = Follower {
        position: 40,
        ..Follower::default()
    };
    settle(&mut world, &mut tracker, &mut follower);
    assert_eq!(follower.events, events(&world.chain, 41, 99));
    assert!(follower.reloads.is_empty());
}

#[test]
fn too_long_an_absence_is_a_reload_not_thousands_of_queries() {
    let mut world = world(20_000);
    let mut tracker = Tracker::new(options(8), Some(world.chain.block_ref(5)));
    let mut follower = Follower::default();
    world.look(&mut tracker, &mut follower).unwrap();
    let gap = ReloadCause::Gap {
        from: 6,
        to: 19_999,
    };
    assert_eq!(follower.reloads, [gap]);
}

#[test]
fn ranges_halve_down_to_one_block_and_grow_again() {
    let mut world = world(300);
    world.range_limit = 1;
    let mut tracker = Tracker::new(options(64), Some(world.chain.block_ref(5)));
    let mut follower = Follower::default();
    settle(&mut world, &mut tracker, &mut follower);
    assert_eq!(follower.events, events(&world.chain, 6, 299));
    world.range_limit = 1_000;
    world.chain.grow(200, 0);
    let head = world.chain.head();
    let mut widest = 0;
    loop {
        match tracker.next(&head) {
            Step::Rest => break,
            Step::Header(number) => {
                assert!(tracker.header(&head, world.chain.header(number).as_ref()));
            }
            Step::Logs { from, to } => {
                widest = widest.max(to - from + 1);
                tracker.logs(world.chain.logs(from, to));
            }
        }
    }
    assert_eq!(widest, 16);
}

#[test]
fn a_block_that_no_provider_serves_is_skipped_with_notice() {
    let world = world(10);
    let mut tracker = Tracker::new(options(8), Some(world.chain.block_ref(8)));
    let head = world.chain.head();
    for _ in 0..3 {
        while let Step::Header(number) = tracker.next(&head) {
            assert!(tracker.header(&head, world.chain.header(number).as_ref()));
        }
        assert!(!tracker.logs_failed(&head, true));
    }
    let skipped = ReloadCause::Skipped { from: 9, to: 9 };
    let at = world.chain.block_ref(9);
    assert_eq!(
        tracker.take(),
        [Found::Reload { cause: skipped, at }, Found::Block(at)]
    );
}

#[test]
fn entries_of_other_blocks_and_doubles_are_dropped() {
    let world = world(20);
    let mut tracker = Tracker::new(options(8), Some(world.chain.block_ref(15)));
    let head = world.chain.head();
    while let Step::Header(number) = tracker.next(&head) {
        assert!(tracker.header(&head, world.chain.header(number).as_ref()));
    }
    let honest = world.chain.logs(16, 19);
    let mut lying = world.chain.logs(3, 19);
    lying.extend(honest.clone());
    let extra = lying.len() - honest.len();
    tracker.logs(lying);
    let found = tracker.take();
    let kept = found.iter().filter(|f| matches!(f, Found::Log(_))).count();
    assert_eq!(kept, honest.len());
    assert!(found.contains(&Found::Misplaced(extra)));
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        2 => Just(Fault::Fails),
        1 => (0..8u8, 1..12u8).prop_map(|(depth, grows)| Fault::Forks { depth, grows }),
    ]
}

#[derive(Debug, Clone)]
enum Act {
    Grow(u8),
    Fork { depth: u8, grows: u8 },
    Limit(u64),
    Look,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..40u8).prop_map(Act::Grow),
        1 => (0..30u8, 0..30u8).prop_map(|(depth, grows)| Act::Fork { depth, grows }),
        1 => (1..20u64).prop_map(Act::Limit),
        4 => Just(Act::Look),
    ]
}

proptest! {
    /// Whatever the chain and the provider do: in the end what was delivered is what the chain has, in order, once.
    #[test]
    fn what_is_delivered_is_what_the_chain_has(
        acts in prop::collection::vec(any_act(), 1..25),
        faults in prop::collection::vec(any_fault(), 0..80),
        memory in 1..20usize,
    ) {
        let mut world = world(3);
        world.faults = faults;
        let (mut tracker, mut follower) = (Tracker::new(options(memory), None), Follower::default());
        for act in acts {
            match act {
                Act::Grow(count) => { let fork = world.fork; world.chain.grow(usize::from(count), fork) }
                Act::Fork { depth, grows } => world.fork(depth, grows),
                Act::Limit(blocks) => world.range_limit = blocks,
                Act::Look => { let _ = world.look(&mut tracker, &mut follower); }
            }
        }
        world.faults.clear();
        world.range_limit = 1_000;
        // a chain that has become shorter shows its fork once it has grown past what was taken in
        let lead = follower.position.saturating_sub(world.chain.top()) as usize;
        let fork = world.fork;
        world.chain.grow(lead + 1, fork);
        settle(&mut world, &mut tracker, &mut follower);
        prop_assert_eq!(follower.events, events(&world.chain, 0, world.chain.top()));
        prop_assert_eq!(follower.position, world.chain.top());
    }
}
