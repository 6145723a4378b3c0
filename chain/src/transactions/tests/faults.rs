//! One fault a test.

use super::{super::*, sim::*};
use crate::fees::{Fees, PriceBounds};

fn outcome(pending: &Pending) -> Option<Outcome> {
    match pending.now() {
        Progress::Done(outcome) => Some(outcome),
        _ => None,
    }
}

fn is_mined(pending: &Pending) -> bool {
    matches!(outcome(pending), Some(Outcome::Mined(_)))
}

fn sent(pending: &Pending) -> (u64, Vec<Hash>) {
    match pending.now() {
        Progress::Sent { nonce, hashes } => (nonce, hashes),
        other => panic!("not sent: {other:?}"),
    }
}

#[tokio::test]
async fn write_is_done_after_its_confirmations_and_not_before() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    assert_eq!(sent(&pending).0, 0);
    for _ in 0..2 {
        bench.state(State::mine);
        bench.step(1_000).await;
        assert!(matches!(pending.now(), Progress::Mined(_)));
    }
    bench.state(State::mine);
    bench.step(1_000).await;
    let Some(Outcome::Mined(mined)) = outcome(&pending) else {
        panic!("not mined");
    };
    assert_eq!((mined.nonce, mined.block, mined.gas_used), (0, 200, GAS));
    assert!(bench.queue.is_idle());
}

#[tokio::test]
async fn several_are_in_flight_and_each_has_a_nonce_of_its_own() {
    let mut bench = Bench::new(Options {
        max_in_flight: 3,
        ..options()
    })
    .await;
    let mut all = Vec::new();
    for byte in 0..5 {
        all.push(bench.submit(redeem(byte)).await);
    }
    bench.step(0).await;
    let nonces: Vec<_> = all[..3].iter().map(|pending| sent(pending).0).collect();
    assert_eq!(nonces, [0, 1, 2]);
    assert_eq!(all[3].now(), Progress::Waiting(None));
    bench.calm(20).await;
    assert!(all.iter().all(is_mined));
}

#[tokio::test]
async fn asking_twice_joins_and_other_arguments_are_refused() {
    let mut bench = Bench::new(options()).await;
    let first = bench.submit(operator("bond")).await;
    let second = bench.submit(operator("bond")).await;
    let mut other = request(operator("bond"));
    other.write.data.push(1);
    assert!(matches!(
        bench.queue.submit(other).await,
        Err(TransactionError::Busy(_))
    ));
    bench.calm(20).await;
    assert!(is_mined(&first) && is_mined(&second));
    assert_eq!(
        bench.state(|state| state.succeeded(&data(&operator("bond")))),
        1
    );
}

#[tokio::test]
async fn guarded_purpose_that_was_mined_is_answered_from_its_receipt() {
    let mut bench = Bench::new(options()).await;
    bench.submit(redeem(1)).await;
    bench.calm(20).await;
    bench.restart().await;
    let again = bench.submit(redeem(1)).await;
    assert!(is_mined(&again));
    assert_eq!(bench.state(|state| state.sends), 1);
}

#[tokio::test]
async fn simulation_that_reverts_sends_nothing_and_says_why() {
    let mut bench = Bench::new(Options {
        // a fixed limit must not switch the simulation off
        gas_limit: Some(500_000),
        ..options()
    })
    .await;
    let reason = "sender is unlocked";
    bench.state(|state| state.reverts.insert(data(&redeem(1)), reason.into()));
    let pending = bench.submit(redeem(1)).await;
    let other = bench.submit(redeem(2)).await;
    bench.step(0).await;
    assert_eq!(
        outcome(&pending),
        Some(Outcome::Refused(Revert::Reason(reason.into())))
    );
    assert_eq!(sent(&other).0, 0, "it does not hold up the next");
    assert_eq!(bench.state(|state| state.sends), 1);
}

#[tokio::test]
async fn revert_in_a_block_is_reported_with_its_reason() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| {
        state
            .betrays
            .insert(data(&redeem(1)), "ticket is expired".into())
    });
    let pending = bench.submit(redeem(1)).await;
    bench.calm(20).await;
    let Some(Outcome::Reverted(mined, revert)) = outcome(&pending) else {
        panic!("{:?}", pending.now());
    };
    assert_eq!(revert.reason(), "ticket is expired");
    assert_eq!(mined.block, 201);
    // and the purpose may be tried again
    bench.state(|state| state.betrays.clear());
    let again = bench.submit(redeem(1)).await;
    bench.calm(20).await;
    assert!(is_mined(&again));
}

#[tokio::test]
async fn dropped_transaction_is_handed_out_again_unchanged() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    let before = sent(&pending);
    bench.state(|state| state.pool.clear());
    bench.step(20_000).await;
    assert_eq!(sent(&pending), before);
    assert_eq!(bench.state(|state| state.pool.len()), 1);
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn lost_answer_to_a_send_does_not_send_something_else() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| state.lose_answer = true);
    let pending = bench.submit(operator("transfer")).await;
    bench.calm(20).await;
    assert!(is_mined(&pending));
    assert_eq!(
        bench.state(|state| state.succeeded(&data(&operator("transfer")))),
        1
    );
}

#[tokio::test]
async fn stuck_transaction_is_replaced_and_either_hash_counts() {
    for original in [true, false] {
        let mut bench = Bench::new(options()).await;
        let pending = bench.submit(redeem(1)).await;
        bench.step(0).await;
        let (first, pool) = bench.state(|state| (state.pool[&0].clone(), state.pool.clone()));
        assert_eq!(first.max_fee, 200);
        bench.step(299_000).await;
        assert_eq!(sent(&pending).1.len(), 1, "not before its time");
        bench.step(1_000).await;
        let (nonce, hashes) = sent(&pending);
        assert_eq!((nonce, hashes.len()), (0, 2));
        assert_eq!(bench.state(|state| state.pool[&0].max_fee), 222);
        bench.step(400_000).await;
        assert_eq!(sent(&pending).1.len(), 2, "one replacement is the most");
        if original {
            bench.state(|state| state.pool = pool);
        }
        bench.calm(10).await;
        let Some(Outcome::Mined(mined)) = outcome(&pending) else {
            panic!("not mined");
        };
        assert_eq!(mined.hash, hashes[usize::from(!original)]);
    }
}

#[tokio::test]
async fn node_that_wants_a_higher_tip_gets_one() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| state.strict_tip = true);
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    bench.step(300_000).await;
    bench.step(1_000).await;
    bench.step(1_000).await;
    let tx = bench.state(|state| state.pool[&0].clone());
    assert!(
        tx.tip >= 1 && tx.max_fee >= 222,
        "{} {}",
        tx.tip,
        tx.max_fee
    );
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn risen_base_fee_is_followed_beyond_the_count_of_replacements() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    for base_fee in [300, 900, 2_700] {
        bench.state(|state| state.base_fee = base_fee);
        bench.step(300_000).await;
    }
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn price_above_the_bound_waits_with_its_reason_and_goes_on_when_it_falls() {
    let mut bench = Bench::new(Options {
        bounds: PriceBounds {
            minimum: 0,
            maximum: Some(2_000_000_000),
        },
        ..options()
    })
    .await;
    bench.state(|state| state.base_fee = 3_500_000_000);
    let pending = bench.submit(redeem(1)).await;
    for _ in 0..1_000 {
        bench.step(60_000).await;
    }
    assert_eq!(
        pending.now(),
        Progress::Waiting(Some(
            "current gas price exceeds maximum gas price max=2 GWei current=3.5 GWei".into()
        ))
    );
    assert_eq!(bench.state(|state| state.sends), 0);
    bench.state(|state| state.base_fee = 1_000_000_000);
    bench.step(1_000).await;
    assert_eq!(bench.state(|state| state.pool[&0].max_fee), 2_000_000_000);
    bench.state(|state| state.base_fee = 2_100_000_000);
    for _ in 0..10 {
        bench.step(300_000).await;
    }
    assert_eq!(sent(&pending).1.len(), 1, "no replacement above the bound");
    bench.state(|state| state.base_fee = 1_000_000_000);
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn nonce_used_by_another_process_is_proven_and_the_write_starts_again() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(operator("transfer")).await;
    bench.step(0).await;
    let (_, hashes) = sent(&pending);
    bench.state(State::steal);
    bench.step(1_000).await;
    assert_eq!(sent(&pending), (0, hashes), "its block is not settled");
    for _ in 0..2 {
        bench.state(State::mine);
        bench.step(1_000).await;
    }
    assert_eq!(sent(&pending).0, 1);
    bench.calm(10).await;
    assert!(is_mined(&pending));
    assert_eq!(
        bench.state(|state| state.succeeded(&data(&operator("transfer")))),
        1
    );
    assert_eq!(bench.queue.status().nonces_taken_by_others, 1);
}

#[tokio::test]
async fn foreign_nonce_that_is_reorganised_away_leaves_ours_alone() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(operator("transfer")).await;
    bench.step(0).await;
    bench.state(State::steal);
    bench.step(1_000).await;
    bench.state(|state| state.reorganise(1, true));
    bench.calm(20).await;
    assert!(is_mined(&pending));
    assert_eq!(outcome(&pending).unwrap().mined().unwrap().nonce, 0);
}

#[tokio::test]
async fn late_receipt_is_waited_for_and_nothing_is_sent_again() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(operator("transfer")).await;
    bench.step(0).await;
    bench.state(|state| state.receipts_hidden = true);
    for _ in 0..500 {
        bench.state(State::mine);
        bench.step(60_000).await;
    }
    assert_eq!(bench.state(|state| state.sends), 1);
    let note = bench.queue.status().transactions[0].note.clone().unwrap();
    assert!(note.contains("no end point gives the receipt"), "{note}");
    bench.state(|state| state.receipts_hidden = false);
    bench.step(10_000).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn nonce_that_nobody_can_explain_ends_unknown_or_is_left_to_the_contract() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| state.guarded = true);
    let unguarded = bench.submit(operator("transfer")).await;
    let guarded = bench.submit(redeem(1)).await;
    bench.step(0).await;
    bench.state(|state| {
        state.receipts_hidden = true;
        state.pruned = true;
        state.mine();
    });
    for _ in 0..100 {
        bench.step(10_000).await;
    }
    assert!(matches!(
        outcome(&unguarded),
        Some(Outcome::Unknown { nonce: 0, .. })
    ));
    assert_eq!(
        outcome(&guarded),
        Some(Outcome::Refused(Revert::Reason("ticket is used".into())))
    );
    assert_eq!(
        bench.state(|state| state.succeeded(&data(&operator("transfer")))),
        1
    );
}

#[tokio::test]
async fn receipt_that_is_reorganised_away_is_not_believed() {
    for lose in [false, true] {
        let mut bench = Bench::new(options()).await;
        let pending = bench.submit(operator("transfer")).await;
        bench.step(0).await;
        bench.state(State::mine);
        bench.state(State::mine);
        bench.step(1_000).await;
        assert!(matches!(pending.now(), Progress::Mined(_)));
        bench.state(|state| state.reorganise(2, lose));
        bench.step(1_000).await;
        assert_eq!(sent(&pending).0, 0);
        bench.calm(20).await;
        assert!(is_mined(&pending));
        assert_eq!(
            bench.state(|state| state.succeeded(&data(&operator("transfer")))),
            1
        );
    }
}

#[tokio::test]
async fn chain_without_blocks_settles_by_time() {
    let mut bench = Bench::new(Options {
        settle_ms: 30_000,
        ..options()
    })
    .await;
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    bench.state(State::mine);
    bench.step(1_000).await;
    bench.step(29_000).await;
    assert!(matches!(pending.now(), Progress::Mined(_)));
    bench.step(1_000).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn restart_goes_on_watching_what_was_sent() {
    let mut bench = Bench::new(options()).await;
    bench.submit(operator("transfer")).await;
    bench.step(0).await;
    bench.step(300_000).await;
    bench.state(State::mine);
    bench.restart().await;
    assert_eq!(bench.queue.resumed(), [operator("transfer")]);
    let pending = bench.submit(operator("transfer")).await;
    assert_eq!(sent(&pending).1.len(), 2, "both hashes are watched");
    bench.calm(10).await;
    assert!(is_mined(&pending));
    assert_eq!(
        bench.state(|state| state.succeeded(&data(&operator("transfer")))),
        1
    );
}

#[tokio::test]
async fn restart_replaces_what_is_stuck_since_before() {
    let mut bench = Bench::new(options()).await;
    bench.submit(redeem(1)).await;
    bench.step(0).await;
    bench.restart().await;
    bench.state(|state| state.base_fee = 1_000);
    bench.step(1_000).await;
    let pending = bench.submit(redeem(1)).await;
    assert_eq!(sent(&pending).1.len(), 2);
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn waiting_write_is_cancelled_at_once_and_a_sent_one_by_its_nonce() {
    let mut bench = Bench::new(Options {
        max_in_flight: 1,
        ..options()
    })
    .await;
    let sent_one = bench.submit(operator("transfer")).await;
    let waiting = bench.submit(operator("bond")).await;
    bench.step(0).await;
    for purpose in [operator("transfer"), operator("bond")] {
        assert!(bench.queue.cancel(&purpose).is_some());
    }
    assert!(bench.queue.cancel(&operator("other")).is_none());
    bench.step(1_000).await;
    assert_eq!(outcome(&waiting), Some(Outcome::Cancelled(None)));
    assert_eq!(sent(&sent_one).1.len(), 2);
    bench.restart().await;
    let resumed = bench.submit(operator("transfer")).await;
    bench.calm(10).await;
    assert!(matches!(
        outcome(&resumed),
        Some(Outcome::Cancelled(Some(_)))
    ));
    assert_eq!(
        bench.state(|state| state.succeeded(&data(&operator("transfer")))),
        0
    );
}

#[tokio::test]
async fn cancellation_that_comes_too_late_tells_that_it_was_mined() {
    let mut bench = Bench::new(options()).await;
    let pending = bench.submit(operator("transfer")).await;
    bench.step(0).await;
    let pool = bench.state(|state| state.pool.clone());
    bench.queue.cancel(&operator("transfer"));
    bench.step(1_000).await;
    bench.state(|state| state.pool = pool);
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn nonce_that_nobody_owns_is_filled_so_that_ours_can_be_mined() {
    let mut bench = Bench::new(options()).await;
    // another process has nonce 0 waiting, so ours takes 1; then the other one is dropped
    let foreign = |state: &mut State| {
        state.steal();
        let (_, mut transactions) = state.blocks.pop().unwrap();
        state.pool.insert(0, transactions.remove(0));
    };
    bench.state(foreign);
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    assert_eq!(sent(&pending).0, 1);
    bench.state(|state| state.pool.remove(&0));
    bench.step(1_000).await;
    bench.step(59_000).await;
    assert_eq!(bench.state(|state| state.pool.len()), 1, "not yet");
    bench.step(1_000).await;
    assert_eq!(bench.state(|state| state.pool.len()), 2);
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test]
async fn write_that_waited_too_long_expires_unsent() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| state.down = true);
    let mut request = request(operator("bond"));
    request.valid_until_ms = Some(bench.now_ms + 1_000);
    let pending = bench.queue.submit(request).await.unwrap();
    bench.step(500).await;
    assert_eq!(pending.now(), Progress::Waiting(None));
    bench.state(|state| state.down = false);
    bench.step(1_000).await;
    assert_eq!(outcome(&pending), Some(Outcome::Expired));
    assert_eq!(bench.state(|state| state.sends), 0);
}

#[tokio::test]
async fn write_that_every_node_refuses_and_that_became_impossible_is_cancelled() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| state.refuse = vec!["no".into(); 3]);
    let pending = bench.submit(redeem(1)).await;
    for _ in 0..3 {
        bench.step(10_000).await;
    }
    let next = bench.submit(redeem(2)).await;
    bench.state(|state| {
        state
            .reverts
            .insert(data(&redeem(1)), "ticket is used".into())
    });
    bench.calm(20).await;
    assert!(matches!(
        outcome(&pending),
        Some(Outcome::Cancelled(Some(_)))
    ));
    assert!(is_mined(&next), "what is behind its nonce goes on");
}

#[tokio::test]
async fn outage_of_the_end_points_loses_nothing() {
    let mut bench = Bench::new(options()).await;
    let first = bench.submit(redeem(1)).await;
    bench.step(0).await;
    bench.state(|state| state.down = true);
    let second = bench.submit(redeem(2)).await;
    for _ in 0..60 {
        bench.step(1_000).await;
    }
    bench.state(|state| state.down = false);
    bench.calm(20).await;
    assert!(is_mined(&first) && is_mined(&second));
}

#[tokio::test]
async fn fee_below_the_base_fee_is_raised_when_the_node_says_so() {
    let mut bench = Bench::new(options()).await;
    bench.state(|state| {
        state.strict_fee = true;
        state.refuse = vec!["max fee per gas less than block base fee".into()];
    });
    let pending = bench.submit(redeem(1)).await;
    bench.step(0).await;
    bench.step(1_000).await;
    let status = bench.queue.status().transactions.remove(0);
    assert_eq!(
        status.fees,
        Some(Fees::Dynamic {
            max_fee: 222,
            tip: 1
        })
    );
    bench.calm(10).await;
    assert!(is_mined(&pending));
}

#[tokio::test(start_paused = true)]
async fn handle_and_task_carry_a_write_from_request_to_outcome() {
    let sim = Sim::new();
    let journal = std::sync::Arc::new(MemoryJournal::default());
    let begun = tokio::time::Instant::now();
    let clock = move || u64::try_from(begun.elapsed().as_millis()).unwrap();
    let (transactions, task) = start(
        sim.clone(),
        journal,
        crate::signer::tests::signer(),
        options(),
        clock,
    )
    .await
    .unwrap();
    let task = tokio::spawn(task);
    let mut pending = transactions.submit(request(redeem(1))).await.unwrap();
    assert!(matches!(
        pending.changed().await,
        Ok(Progress::Sent { nonce: 0, .. })
    ));
    let status = transactions.status().await.unwrap();
    assert_eq!(status.transactions.len(), 1);
    for _ in 0..3 {
        sim.0.lock().mine();
    }
    assert!(matches!(pending.outcome().await, Ok(Outcome::Mined(_))));
    let used = transactions.expected_gas(*b"rede").await.unwrap();
    assert_eq!(used, Some(GAS));
    drop(transactions);
    task.await.unwrap();
}
