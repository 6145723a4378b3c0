//! The faults that lose tickets elsewhere, each alone.

use ledger::State;
use ledger::ticket::Deferral;

use super::bench::*;

#[tokio::test]
async fn a_transaction_that_reverts_in_its_block_is_tried_again_and_paid() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench
        .chain
        .with(|s| s.faults.betrayed.insert(chain_hash(&winner), 2));
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(bench.mined(), (3, 2));
    bench.audit().await;
}

#[tokio::test]
async fn a_receipt_that_is_not_given_for_long_is_waited_for() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.chain.with(|s| s.faults.receipts_hidden = true);
    bench.ticks(20).await;
    assert_eq!(bench.state_of(&winner).await, State::Submitted);
    bench.kill();
    bench.ticks(20).await;
    bench.chain.with(|s| s.faults.receipts_hidden = false);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(bench.mined(), (1, 0), "sent once");
    bench.audit().await;
}

#[tokio::test]
async fn a_replacement_that_is_mined_is_booked_under_its_own_hash() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.chain.with(|s| s.faults.stalled = true);
    // beyond the time after which a transaction is replaced
    bench.ticks(40).await;
    let ledger::TicketState::Submitted { hashes, .. } = bench.ticket(&winner).await.state else {
        panic!("not sent");
    };
    assert!(hashes.len() > 1, "no replacement");
    bench.chain.with(|s| s.faults.stalled = false);
    bench.finish().await;
    let ledger::TicketState::Paid { tx, .. } = bench.ticket(&winner).await.state else {
        panic!("not paid");
    };
    assert_eq!(Some(&tx), hashes.last());
    bench.audit().await;
}

#[tokio::test]
async fn an_outage_of_a_minute_costs_nothing_but_the_minute() {
    let mut bench = Bench::new();
    let early = bench.win(1, FACE).await;
    bench.ticks(3).await;
    bench.chain.with(|s| s.faults.down = true);
    let late = bench.win(1, FACE).await;
    for _ in 0..5 {
        bench.tick().await;
    }
    bench.chain.with(|s| s.faults.down = false);
    bench.finish().await;
    for winner in [early, late] {
        assert_eq!(bench.state_of(&winner).await, State::Paid);
    }
    assert_eq!(bench.mined(), (2, 0));
    bench.audit().await;
}

#[tokio::test]
async fn end_points_with_different_heads_confuse_nobody() {
    let mut bench = Bench::new();
    bench.chain.with(|s| s.faults.lag = 3);
    let mut winners = Vec::new();
    for _ in 0..5 {
        winners.push(bench.win(1, FACE).await);
        bench.ticks(3).await;
    }
    bench.finish().await;
    for winner in &winners {
        assert_eq!(bench.state_of(winner).await, State::Paid);
    }
    bench.chain.with(|s| s.faults.lag = 0);
    bench.audit().await;
}

#[tokio::test]
async fn a_redemption_that_the_chain_takes_back_is_not_counted_and_is_made_again() {
    for lose in [true, false] {
        let mut bench = Bench::new();
        let winner = bench.win(1, FACE).await;
        for _ in 0..40 {
            bench.ticks(1).await;
            if bench.state_of(&winner).await == State::Mined {
                break;
            }
        }
        assert_eq!(bench.state_of(&winner).await, State::Mined);
        bench.chain.reorganise(5, lose);
        assert!(bench.chain.world().redeemed.is_empty(), "taken back");
        bench.ticks(1).await;
        assert_ne!(bench.state_of(&winner).await, State::Paid);
        bench.finish().await;
        assert_eq!(bench.state_of(&winner).await, State::Paid);
        bench.audit().await;
    }
}

#[tokio::test]
async fn gas_above_the_bound_for_a_round_puts_off_with_its_reason_and_sends_nothing() {
    let mut bench = Bench::new();
    bench.options.policy.max_gas_price = Some(10);
    bench.bounds.maximum = Some(10);
    bench.chain.with(|s| s.base_fee = 11);
    let winner = bench.win(1, FACE * 10).await;
    bench.ticks(100).await;
    assert_eq!(bench.deferral(&winner).await, Some(Deferral::GasPrice));
    assert_eq!(bench.mined(), (0, 0));
    bench.chain.with(|s| s.base_fee = 10);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    bench.audit().await;
}

#[tokio::test]
async fn a_ticket_that_costs_too_much_goes_in_the_last_hours_of_its_last_round() {
    let mut bench = Bench::new();
    // the cost is a quarter of it
    let winner = bench.win(1, COST * 4).await;
    let dear = bench.win(1, COST - 1).await;
    bench.ticks(150).await;
    assert_eq!(bench.deferral(&winner).await, Some(Deferral::Cost));
    assert_eq!(bench.state.load().in_last_round, 2);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(
        bench.state_of(&dear).await,
        State::Expired,
        "never at a loss"
    );
    let round = bench.chain.world().round();
    assert_eq!(round, 12, "not before its time");
    bench.audit().await;
}

#[tokio::test]
async fn a_poisoned_ticket_at_the_head_of_a_sender_holds_nobody_up() {
    let mut bench = Bench::new();
    // the most urgent of all, by its face value
    let poisoned = bench.win(1, FACE * 100).await;
    bench.chain.with(|s| {
        let words = "invalid signature over ticket hash".to_owned();
        s.faults.poisoned.insert(chain_hash(&poisoned), words)
    });
    let mut good = Vec::new();
    for _ in 0..8 {
        good.push(bench.win(1, FACE).await);
    }
    bench.ticks(30).await;
    for winner in &good {
        assert_eq!(bench.state_of(winner).await, State::Paid);
    }
    assert_eq!(bench.deferral(&poisoned).await, Some(Deferral::Simulation));
    assert_eq!(bench.mined(), (8, 0), "never sent");
    let calls = bench.chain.with(|s| s.asked["call"]);
    assert!(calls < 30, "{calls} simulations");
    bench.finish().await;
    assert_eq!(bench.state_of(&poisoned).await, State::Expired);
    bench.audit().await;
}

#[tokio::test]
async fn a_nonce_that_another_process_took_is_replaced_by_another() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.chain.with(|s| s.faults.stalled = true);
    bench.ticks(5).await;
    assert_eq!(bench.state_of(&winner).await, State::Submitted);
    bench.chain.steal_nonce(account());
    bench.chain.with(|s| s.faults.stalled = false);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    bench.audit().await;
}

#[tokio::test]
async fn a_death_between_receipt_and_books_loses_no_wei() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.ticks(4).await;
    for _ in 0..10 {
        // mined while the process is dead
        bench.kill();
        bench.ticks(1).await;
    }
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(bench.mined(), (1, 0));
    bench.audit().await;
}

#[tokio::test]
async fn an_answer_lost_after_the_send_is_no_second_transaction() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.chain.with(|s| s.faults.lose_answer = true);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(bench.mined(), (1, 0));
    bench.audit().await;
}
