//! The life of a ticket against its table of transitions, in memory and in the file.

use ledger::LedgerError;
use ledger::ticket::{Deferral, State, Step, StepKind, TRANSITIONS, TicketFilter, TicketState};
use proptest::prelude::*;
use protocol::money::U256;

use super::data::*;

fn any_step() -> impl Strategy<Value = Step> {
    let tx = (0..4_u8).prop_map(|n| [n; 32]);
    prop_oneof![
        Just(Step::ParamsExpired),
        (".{0,8}", any::<u64>()).prop_map(|(detail, until_block)| Step::Defer {
            reason: Deferral::Cost,
            detail,
            until_block
        }),
        Just(Step::Retry),
        (0..3_u64, tx.clone()).prop_map(|(nonce, tx)| Step::Submit { nonce, tx }),
        (tx.clone(), any::<u64>(), any::<u64>()).prop_map(|(tx, block, paid)| Step::Mine {
            tx,
            block,
            paid: U256::from(paid),
            cost: U256::MAX
        }),
        Just(Step::Unmine),
        Just(Step::Confirm),
        (tx, ".{0,8}").prop_map(|(tx, reason)| Step::Revert { tx, reason }),
        Just(Step::Drop),
        ".{0,8}".prop_map(|note| Step::Hold { note }),
        any::<u64>().prop_map(|round| Step::Expire { round }),
        ".{0,8}".prop_map(|detail| Step::UseElsewhere { detail }),
    ]
}

fn hashes(state: &TicketState) -> Vec<[u8; 32]> {
    match state {
        TicketState::Submitted { hashes, .. } | TicketState::Mined { hashes, .. } => hashes.clone(),
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn only_the_steps_of_the_table_are_taken_and_no_hash_is_forgotten_while_it_may_be_mined(
        steps in prop::collection::vec(any_step(), 1..60)
    ) {
        let mut state = TicketState::Waiting;
        for step in steps {
            let (from, kind) = (state.name(), step.kind());
            let to = TRANSITIONS.iter().find(|(f, k, _)| (*f, *k) == (from, kind)).map(|(_, _, to)| *to);
            match state.clone().apply(step.clone()) {
                Ok(next) => {
                    prop_assert_eq!(Some(next.name()), to);
                    if !hashes(&next).is_empty() {
                        for hash in hashes(&state) {
                            prop_assert!(hashes(&next).contains(&hash));
                        }
                    }
                    state = next;
                }
                Err(error) => {
                    prop_assert_eq!((error.from, error.step), (from, kind));
                    // the one refusal beside the table: a replacement under another nonce
                    prop_assert!(to.is_none() || kind == StepKind::Submit);
                }
            }
            let text = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(ledger::rows::read_state(&text), Ok(state.clone()));
        }
    }
}

#[test]
fn the_table_has_one_way_for_each_step_and_none_out_of_money_or_proof() {
    for (i, (from, kind, _)) in TRANSITIONS.iter().enumerate() {
        assert!(
            TRANSITIONS[i + 1..]
                .iter()
                .all(|(f, k, _)| (f, k) != (from, kind)),
            "{from} {kind:?} stands twice"
        );
        assert!(
            !matches!(from, State::Paid | State::Expired | State::UsedElsewhere),
            "{from} is left by {kind:?}"
        );
    }
    for state in State::ALL.iter().filter(|state| !state.is_final()) {
        let ends = |from: State| {
            TRANSITIONS
                .iter()
                .filter(move |(f, _, _)| *f == from)
                .map(|(_, _, to)| *to)
        };
        let mut reached = vec![*state];
        while let Some(next) = reached
            .iter()
            .flat_map(|from| ends(*from))
            .find(|to| !reached.contains(to))
        {
            reached.push(next);
        }
        assert!(reached.contains(&State::Paid), "{state} can still be paid");
    }
    for kind in StepKind::ALL {
        assert!(
            TRANSITIONS.iter().any(|(_, k, _)| k == kind),
            "{kind:?} is of use"
        );
    }
}

#[test]
fn a_receipt_that_vanishes_leaves_the_ticket_submitted_with_all_its_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    ledger.add_winners(vec![winner(1)]).wait().unwrap();
    let hash = winner(1).ticket.hash();
    let step = |step| ledger.step_ticket(hash, step).wait();
    step(Step::ParamsExpired).unwrap();
    step(Step::Submit {
        nonce: 1,
        tx: [1; 32],
    })
    .unwrap();
    step(Step::Submit {
        nonce: 1,
        tx: [2; 32],
    })
    .unwrap();
    let other_nonce = step(Step::Submit {
        nonce: 2,
        tx: [3; 32],
    });
    assert!(matches!(other_nonce, Err(LedgerError::IllegalStep(_))));
    let mine = Step::Mine {
        tx: [1; 32],
        block: 5,
        paid: U256::one(),
        cost: U256::one(),
    };
    step(mine.clone()).unwrap();
    assert!(
        step(Step::Hold {
            note: String::new()
        })
        .is_err()
    );
    let back = step(Step::Unmine).unwrap();
    assert_eq!(
        back.state,
        TicketState::Submitted {
            nonce: 1,
            hashes: vec![[1; 32], [2; 32]]
        }
    );
    // a failed transaction ends nothing
    step(Step::Revert {
        tx: [1; 32],
        reason: "why".to_owned(),
    })
    .unwrap();
    assert_eq!(
        ledger
            .tickets(TicketFilter::unfinished())
            .wait()
            .unwrap()
            .tickets
            .len(),
        1
    );
    step(mine).unwrap();
    step(Step::Confirm).unwrap();
    assert_eq!(
        ledger
            .tickets(TicketFilter::unfinished())
            .wait()
            .unwrap()
            .tickets
            .len(),
        0
    );
}

#[test]
fn winners_are_known_by_their_hash_and_pages_sums_and_expiry_see_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let mut resigned = winner(3);
    resigned.sig[0] ^= 1;
    let added = ledger
        .add_winners((0..10).map(winner).chain([resigned, winner(4)]).collect())
        .wait()
        .unwrap();
    assert_eq!((added.new, added.known), (10, 2));
    let filter = TicketFilter {
        limit: 4,
        ..TicketFilter::default()
    };
    let mut seen = Vec::new();
    let mut after = Some(0);
    while let Some(place) = after {
        let page = ledger.tickets(filter.clone().after(place)).wait().unwrap();
        seen.extend(page.tickets.iter().map(|ticket| ticket.winner));
        after = page.next;
    }
    assert_eq!(seen, (0..10).map(winner).collect::<Vec<_>>());
    let sums = ledger.sender_sums().wait().unwrap();
    assert_eq!(sums.len(), 1);
    assert_eq!(sums[0].count, 10);
    assert_eq!(sums[0].face_value, winner(0).ticket.face_value * 10);
    assert_eq!(
        ledger.expire_tickets(3334, 2).wait().unwrap().len(),
        0,
        "one round left"
    );
    assert_eq!(ledger.expire_tickets(3335, 2).wait().unwrap().len(), 10);
    let sums = ledger.ticket_sums().wait().unwrap();
    let expired = sums.iter().find(|sum| sum.state == State::Expired).unwrap();
    assert_eq!((expired.count, expired.lowest_round), (10, Some(3333)));
    let of_another = TicketFilter::default().of(protocol::address::Address([1; 20]));
    assert_eq!(ledger.tickets(of_another).wait().unwrap().tickets.len(), 0);
}

#[test]
fn a_bad_step_is_its_owners_error_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    // all in the queue before any is awaited: they share batches
    let answers: Vec<_> = (0..300)
        .map(|n| match n % 3 {
            0 => (n, ledger.step_ticket([n as u8; 32], Step::Confirm)),
            _ => {
                let added = ledger.add_winners(vec![winner(n)]);
                drop(added);
                (
                    n,
                    ledger.step_ticket(winner(n).ticket.hash(), Step::ParamsExpired),
                )
            }
        })
        .collect();
    for (n, answer) in answers {
        match (n % 3, answer.wait()) {
            (0, Err(LedgerError::UnknownTicket(_))) => {}
            (1 | 2, Ok(ticket)) => assert_eq!(ticket.state, TicketState::Ready),
            (_, other) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(
        ledger
            .tickets(TicketFilter::default())
            .wait()
            .unwrap()
            .tickets
            .len(),
        200
    );
}

#[test]
fn after_closing_every_clone_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let accepted = ledger.add_winners(vec![winner(1)]);
    let clone = ledger.clone();
    close(ledger);
    accepted.wait().expect("what was accepted is done");
    assert!(matches!(
        clone.add_winners(vec![winner(2)]).wait(),
        Err(LedgerError::Closed)
    ));
    assert!(matches!(wait(clone.close()), Err(LedgerError::Closed)));
}

#[tokio::test]
async fn a_view_survives_its_json_in_every_state() {
    use ledger::ticket::{Clocks, TicketExport};
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&path(&dir));
    let hash = winner(5).ticket.hash();
    ledger.add_winners(vec![winner(5)]).await.unwrap();
    let clocks = Clocks {
        l1_block: Some(19_000_040),
        round: Some(3333),
        validity: 2,
    };
    let (tx, paid) = ([7; 32], U256::exp10(20));
    for step in [
        Step::ParamsExpired,
        // the nonces of sender and transaction stand in one object
        Step::Submit { nonce: 77, tx },
        Step::Mine {
            tx,
            block: 9,
            paid,
            cost: U256::one(),
        },
        Step::Confirm,
    ] {
        let export = ledger
            .step_ticket(hash, step)
            .await
            .unwrap()
            .export(&clocks);
        let text = serde_json::to_string(&export).unwrap();
        let read: TicketExport = serde_json::from_str(&text).unwrap();
        assert_eq!(read, export, "{text}");
        assert_eq!(read.view.nonce, 5);
    }
}
