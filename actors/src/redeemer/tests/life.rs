//! The life of tickets without faults of the chain: when, in which order, for how much, and who else has a say.

use ledger::State;
use ledger::ticket::Deferral;
use protocol::address::Address;
use protocol::money::SenderFunds;

use super::super::*;
use super::bench::*;

#[tokio::test]
async fn nothing_is_redeemed_before_its_parameters_expire() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.ticks(1).await;
    assert_eq!(bench.state_of(&winner).await, State::Waiting);
    let retried = bench
        .order(Order::Retry {
            ticket: hash(&winner),
        })
        .await;
    assert!(matches!(retried, Err(LedgerError::IllegalStep(_))));
    assert_eq!(bench.mined(), (0, 0));
    bench.finish().await;
    let expired = winner.expiration_block;
    let first = bench.chain.with(|state| {
        let mut blocks = state.blocks.iter();
        let first = blocks.find(|block| !block.transactions.is_empty());
        first.unwrap().world.l1_block
    });
    assert!(first > expired, "{first} after {expired}");
}

#[tokio::test]
async fn tickets_of_senders_who_left_are_taken_up_at_a_restart() {
    let mut bench = Bench::new();
    bench.fund(2, u64::MAX, 0);
    let winners = [bench.win(1, FACE).await, bench.win(2, FACE).await];
    bench.kill();
    bench.finish().await;
    for winner in &winners {
        assert_eq!(bench.state_of(winner).await, State::Paid);
    }
    bench.audit().await;
}

#[tokio::test]
async fn a_sender_without_enough_is_waited_for_and_paid_short_only_at_the_end() {
    let mut bench = Bench::new();
    bench.fund(1, FACE / 2, FACE / 2);
    let winner = bench.win(1, FACE).await;
    bench.ticks(5).await;
    // the deposit, and the share of one orchestrator of two
    assert_eq!(bench.deferral(&winner).await, Some(Deferral::SenderFunds));
    bench.finish().await;
    let ledger::TicketState::Paid { paid, .. } = bench.ticket(&winner).await.state else {
        panic!("not paid");
    };
    assert_eq!(paid, (FACE / 2 + FACE / 4).into());
    bench.audit().await;
}

#[tokio::test]
async fn tickets_of_one_sender_share_what_it_has_and_a_deposit_frees_the_rest() {
    let mut bench = Bench::new();
    bench.fund(1, FACE * 2 + 1, 0);
    let mut winners = Vec::new();
    for _ in 0..3 {
        winners.push(bench.win(1, FACE).await);
    }
    bench.ticks(12).await;
    let mut waiting = Vec::new();
    for winner in &winners {
        if let Some(reason) = bench.deferral(winner).await {
            waiting.push(reason);
        }
    }
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(bench.mined(), (2, 0));
    bench.fund(1, FACE, 0);
    bench.finish().await;
    assert_eq!(bench.mined(), (3, 0));
    assert_eq!(bench.state.load().paid, (FACE * 3).into());
    bench.audit().await;
}

#[tokio::test]
async fn a_redemption_by_somebody_else_is_noticed_with_what_it_paid() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.order_hold(&winner).await;
    bench.chain.redeem_as(Address([9; 20]), &winner);
    bench.ticks(12).await;
    let ledger::TicketState::UsedElsewhere { detail } = bench.ticket(&winner).await.state else {
        panic!("not noticed");
    };
    assert!(detail.contains(&FACE.to_string()), "{detail}");
    assert_eq!(bench.mined(), (0, 0));
    bench.audit().await;
}

#[tokio::test]
async fn a_rivals_redemption_that_the_chain_takes_back_leaves_the_ticket_ours() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.chain.redeem_as(Address([9; 20]), &winner);
    bench.ticks(3).await;
    assert!(
        bench
            .chain
            .world()
            .redeemed
            .contains_key(&chain_hash(&winner))
    );
    bench.chain.reorganise(4, true);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    bench.audit().await;
}

#[tokio::test]
async fn a_rival_that_comes_first_costs_no_second_try() {
    let mut bench = Bench::new();
    let winner = bench.win(1, FACE).await;
    bench.chain.with(|s| s.faults.stalled = true);
    bench.ticks(4).await;
    assert_eq!(bench.state_of(&winner).await, State::Submitted);
    bench.chain.redeem_as(Address([0; 20]), &winner);
    bench.chain.with(|s| s.faults.stalled = false);
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::UsedElsewhere);
    bench.audit().await;
}

#[tokio::test]
async fn a_held_ticket_stays_until_it_is_retried() {
    let mut bench = Bench::new();
    let (held, other) = (bench.win(1, FACE).await, bench.win(1, FACE).await);
    bench.order_hold(&held).await;
    bench.ticks(30).await;
    assert_eq!(bench.state_of(&held).await, State::Held);
    assert_eq!(bench.state_of(&other).await, State::Paid);
    let ticket = hash(&held);
    bench.order(Order::Retry { ticket }).await.unwrap();
    bench.finish().await;
    assert_eq!(bench.state_of(&held).await, State::Paid);
    bench.order(Order::HoldAll(true)).await.unwrap();
    let winner = bench.win(1, FACE).await;
    bench.ticks(10).await;
    assert!(bench.state.load().held);
    assert_eq!(bench.state_of(&winner).await, State::Ready);
    bench.kill();
    bench.ticks(10).await;
    assert_eq!(
        bench.state_of(&winner).await,
        State::Ready,
        "after a restart"
    );
    bench.order(Order::HoldAll(false)).await.unwrap();
    bench.kill();
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
}

#[tokio::test]
async fn what_a_sender_owes_counts_against_it_until_the_chain_has_paid() {
    let mut bench = Bench::new();
    let who = sender(1);
    bench.senders.put(who, SenderFunds::default());
    let owed = |bench: &Bench| bench.senders.get(who).unwrap().pending;
    // its parameters still run, so nothing is in flight
    let winner = bench.win(1, FACE).await;
    bench.look().await;
    assert_eq!(owed(&bench), U256::from(FACE));
    let other = bench.win(1, FACE).await;
    bench.look().await;
    assert_eq!(owed(&bench), U256::from(2 * FACE));
    bench.order_hold(&other).await;
    bench.look().await;
    assert_eq!(
        owed(&bench),
        U256::from(FACE),
        "what is held may never be paid"
    );
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(owed(&bench), U256::zero());
}

#[tokio::test]
async fn an_account_without_gas_puts_off_and_goes_on_once_it_is_filled() {
    let mut bench = Bench::new();
    let own = account();
    bench.chain.set(|world| {
        world.balances.insert(own, U256::zero());
    });
    let winner = bench.win(1, FACE).await;
    bench.ticks(10).await;
    assert_eq!(bench.deferral(&winner).await, Some(Deferral::OwnFunds));
    bench.chain.set(|world| {
        world.balances.insert(own, U256::exp10(18));
    });
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
}

#[tokio::test]
async fn while_a_round_is_not_initialised_tickets_wait_and_time_still_counts() {
    let mut bench = Bench::new();
    for _ in 0..95 {
        bench.tick().await;
    }
    let winner = bench.win(1, FACE).await;
    for _ in 0..7 {
        bench.tick().await;
    }
    let old = bench.win(1, FACE).await;
    for _ in 0..20 {
        bench.tick().await;
    }
    assert_eq!(
        bench.deferral(&old).await,
        Some(Deferral::RoundNotInitialized)
    );
    bench.finish().await;
    assert_eq!(bench.state_of(&winner).await, State::Paid);
    assert_eq!(bench.state_of(&old).await, State::Paid);
    bench.audit().await;
}

#[tokio::test]
async fn more_tickets_than_fit_in_memory_are_all_paid() {
    let mut bench = Bench::new();
    bench.options.capacity = 6;
    let mut winners = Vec::new();
    for _ in 0..40 {
        winners.push(bench.winner(1, FACE));
    }
    bench.ledger.add_winners(winners).await.unwrap();
    bench.finish().await;
    assert_eq!(bench.mined(), (40, 0));
    bench.audit().await;
}

#[tokio::test]
async fn hundreds_of_a_poor_sender_hold_up_none_of_a_rich_one() {
    let mut bench = Bench::new();
    bench.fund(2, 1, 0);
    let mut winners = Vec::new();
    for _ in 0..600 {
        winners.push(bench.winner(2, FACE * 10));
    }
    bench.ledger.add_winners(winners).await.unwrap();
    let rich = bench.win(1, FACE).await;
    bench.ticks(16).await;
    assert_eq!(bench.state_of(&rich).await, State::Paid);
    let deferred = bench.state.load().by_state["deferred"].count;
    assert_eq!(deferred, 600);
}

impl Bench {
    async fn order_hold(&mut self, winner: &protocol::money::WinningTicket) {
        self.ticks(1).await;
        let order = Order::Hold {
            ticket: hash(winner),
            note: "test".into(),
        };
        self.order(order).await.unwrap();
    }
}
