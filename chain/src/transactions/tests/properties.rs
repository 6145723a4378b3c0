//! Whatever order of faults: a purpose succeeds at most once, and none is forgotten.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{super::*, sim::*};

#[derive(Debug, Clone)]
enum Event {
    Submit(u8),
    Step(u64),
    Mine,
    Drop,
    Steal,
    Reorganise(usize, bool),
    Hide(bool),
    Down(bool),
    Prune(bool),
    Lag(usize),
    BaseFee(u128),
    Refuse(&'static str),
    LoseAnswer,
    StrictTip(bool),
    Death(u32, bool),
    Cancel(u8),
}

const KINDS: u8 = 6;

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..KINDS).prop_map(Event::Submit),
        10 => prop_oneof![Just(1_000), Just(20_000), Just(310_000_u64)].prop_map(Event::Step),
        5 => Just(Event::Mine),
        1 => Just(Event::Drop),
        2 => Just(Event::Steal),
        2 => (1..=2_usize, any::<bool>()).prop_map(|(depth, lose)| Event::Reorganise(depth, lose)),
        1 => any::<bool>().prop_map(Event::Hide),
        1 => any::<bool>().prop_map(Event::Down),
        1 => any::<bool>().prop_map(Event::Prune),
        1 => (0..3_usize).prop_map(Event::Lag),
        1 => prop_oneof![Just(50), Just(100), Just(500_u128)].prop_map(Event::BaseFee),
        1 => prop_oneof![
            Just("nonce too low"), Just("replacement transaction underpriced"), Just("no"),
            Just("insufficient funds for gas * price + value"), Just("transaction underpriced"),
        ].prop_map(Event::Refuse),
        1 => Just(Event::LoseAnswer),
        1 => any::<bool>().prop_map(Event::StrictTip),
        2 => (0..25_u32, any::<bool>()).prop_map(|(after, effect)| Event::Death(after, effect)),
        1 => (0..KINDS).prop_map(Event::Cancel),
    ]
}

fn purpose(kind: u8, guarded: bool) -> Purpose {
    if guarded {
        redeem(kind)
    } else {
        operator(&kind.to_string())
    }
}

/// What the owner of a purpose knows.
struct Owner {
    pending: Pending,
    /// Whether the process died while it was under way.
    orphaned: bool,
    cancelled: bool,
}

async fn run(events: Vec<Event>, guarded: bool) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| state.guarded = guarded);
    let mut owners: BTreeMap<u8, Owner> = BTreeMap::new();
    for event in events {
        match event {
            Event::Submit(kind) => {
                if let std::collections::btree_map::Entry::Vacant(slot) = owners.entry(kind)
                    && !bench.is_dead()
                    && let Ok(pending) = bench.queue.submit(request(purpose(kind, guarded))).await
                {
                    slot.insert(Owner {
                        pending,
                        orphaned: false,
                        cancelled: false,
                    });
                }
            }
            Event::Step(passed) => bench.step(passed).await,
            Event::Mine => bench.state(State::mine),
            Event::Drop => bench.state(|state| state.pool.clear()),
            Event::Steal => bench.state(State::steal),
            Event::Reorganise(depth, lose) => bench.state(|state| state.reorganise(depth, lose)),
            Event::Hide(hidden) => bench.state(|state| state.receipts_hidden = hidden),
            Event::Down(down) => bench.state(|state| state.down = down),
            Event::Prune(pruned) => bench.state(|state| state.pruned = pruned),
            Event::Lag(lag) => bench.state(|state| state.lag = lag),
            Event::BaseFee(fee) => bench.state(|state| state.base_fee = fee),
            Event::Refuse(words) => bench.state(|state| state.refuse.push(words.into())),
            Event::LoseAnswer => bench.state(|state| state.lose_answer = true),
            Event::StrictTip(strict) => bench.state(|state| state.strict_tip = strict),
            Event::Death(after, effect) => bench.state(|state| state.death = Some((after, effect))),
            Event::Cancel(kind) => {
                if let Some(owner) = owners.get_mut(&kind) {
                    owner.cancelled = true;
                    bench.queue.cancel(&purpose(kind, guarded));
                }
            }
        }
        if bench.is_dead() {
            revive(&mut bench, &mut owners, guarded).await;
        }
    }

    bench.state(|state| {
        state.down = false;
        state.receipts_hidden = false;
        state.pruned = false;
        state.lag = 0;
        state.base_fee = 100;
        state.refuse.clear();
        state.death = None;
    });
    revive(&mut bench, &mut owners, guarded).await;
    bench.calm(400).await;
    prop_assert!(
        bench.queue.is_idle(),
        "still under way: {:?}",
        bench.queue.status()
    );
    // what was refused because of a block that was reorganised away afterwards is asked for again, as the redeemer does
    // when `usedTickets` denies it
    for (kind, owner) in &mut owners {
        let purpose = purpose(*kind, guarded);
        let denied = bench.state(|state| state.succeeded(&data(&purpose)) == 0);
        if denied && matches!(owner.pending.now(), Progress::Done(Outcome::Refused(_))) {
            owner.pending = bench.submit(purpose).await;
        }
    }
    bench.calm(400).await;

    for (kind, owner) in owners {
        let data = data(&purpose(kind, guarded));
        let times = bench.state(|state| state.succeeded(&data));
        prop_assert!(times <= 1, "purpose {kind} succeeded {times} times");
        let Progress::Done(outcome) = owner.pending.now() else {
            prop_assert!(owner.orphaned && !guarded, "purpose {kind} was forgotten");
            continue;
        };
        match outcome {
            Outcome::Mined(_) => prop_assert_eq!(times, 1),
            Outcome::Refused(_) => prop_assert!(guarded && times == 1),
            // a second one of the same ticket, mined after a nonce that nobody could explain
            Outcome::Reverted(..) => prop_assert!(guarded && times == 1),
            Outcome::Cancelled(_) => prop_assert!(owner.cancelled),
            Outcome::Unknown { .. } => prop_assert!(!guarded),
            Outcome::Expired => prop_assert!(false, "nothing expires here"),
        }
    }
    Ok(())
}

/// The process starts again. Owners of guarded purposes ask once more, as the redeemer does from its own records; what
/// an operator asked for goes on only if it was sent.
async fn revive(bench: &mut Bench, owners: &mut BTreeMap<u8, Owner>, guarded: bool) {
    bench.restart().await;
    let resumed = bench.queue.resumed();
    let down = bench.state(|state| std::mem::take(&mut state.down));
    for (kind, owner) in owners.iter_mut() {
        if matches!(owner.pending.now(), Progress::Done(_)) {
            continue;
        }
        let purpose = purpose(*kind, guarded);
        if guarded || resumed.contains(&purpose) {
            owner.pending = bench.submit(purpose).await;
        } else {
            owner.orphaned = true;
        }
    }
    bench.state(|state| state.down = down);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn unguarded_purpose_succeeds_at_most_once(events in prop::collection::vec(any_event(), 1..60)) {
        futures::executor::block_on(run(events, false))?;
    }

    #[test]
    fn guarded_purpose_succeeds_exactly_once_unless_it_is_cancelled(
        events in prop::collection::vec(any_event(), 1..60),
    ) {
        futures::executor::block_on(run(events, true))?;
    }
}
