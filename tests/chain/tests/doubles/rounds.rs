//! Rounds as the node meets them.

use orchestrion_test_chain::{Chain, Double, H256, args, keccak};

#[tokio::test]
async fn rounds_move_by_height_and_are_initialized_by_a_transaction() {
    let chain = Chain::start().await;
    chain.set_l1(20_000_000 + 5_759).await;
    assert_eq!(chain.round().await, 3456);
    assert!(
        chain
            .flag(Double::RoundsManager, "currentRoundLocked", args![])
            .await
    );

    assert_eq!(chain.next_round().await, 3457);
    assert_eq!(chain.last_initialized().await, 3456);
    assert!(
        !chain
            .flag(Double::RoundsManager, "currentRoundInitialized", args![])
            .await
    );
    assert!(chain.round_hash(3457).await.is_zero());

    chain.initialize_round().await;
    assert_eq!(chain.last_initialized().await, 3457);
    let told = chain.events(Double::RoundsManager, "NewRound").await;
    let rounds: Vec<u64> = told.iter().map(|one| one.uint("round").as_u64()).collect();
    assert_eq!(rounds, [3456, 3457]);
    let hash = told[1].params[1].1.clone().into_fixed_bytes().unwrap();
    assert_eq!(H256::from_slice(&hash), chain.round_hash(3457).await);
}

#[tokio::test]
async fn a_round_is_initialized_once() {
    let chain = Chain::start().await;
    let again = chain.try_send(
        chain.account(1),
        Double::RoundsManager,
        "initializeRound",
        args![],
        0.into(),
    );
    assert_eq!(again.await.unwrap_err(), "round already initialized");
}

#[tokio::test]
async fn rounds_may_be_skipped_and_have_no_hash() {
    let chain = Chain::start().await;
    chain.set_l1(20_000_000 + 3 * 5_760).await;
    chain.initialize_round().await;
    assert_eq!(chain.last_initialized().await, 3459);
    assert!(chain.round_hash(3458).await.is_zero());
    chain.set_round_hash(3459, H256::zero()).await;
    assert!(chain.round_hash(3459).await.is_zero());
    chain.set_round_hash(3459, keccak(b"x")).await;
    assert_eq!(chain.round_hash(3459).await, keccak(b"x"));
}

#[tokio::test]
async fn a_new_length_counts_from_the_current_round() {
    let chain = Chain::start().await;
    chain.set_l1(20_000_000 + 5_760 + 10).await;
    chain.set_round_length(20).await;
    assert_eq!(chain.round().await, 3457);
    chain.set_l1(20_000_000 + 5_760 + 20).await;
    assert_eq!(chain.round().await, 3458);
}

#[tokio::test]
async fn without_an_l1_height_rounds_follow_the_blocks_of_the_chain() {
    let chain = Chain::start().await;
    chain.set_round_length(10).await;
    chain.set_l1(0).await;
    let height = chain.height().await + 1;
    chain.rebase_rounds(7, height).await;
    assert_eq!(chain.round().await, 7);
    chain.mine(10).await;
    assert_eq!(chain.round().await, 8);
}

#[tokio::test]
async fn rounds_can_be_made_to_fail() {
    let chain = Chain::start().await;
    chain.fail_round_calls(true).await;
    for function in ["currentRound", "roundLength", "blockNum"] {
        let failed = chain
            .try_call(Double::RoundsManager, function, args![])
            .await;
        assert_eq!(failed.unwrap_err(), "calls fail", "{function}");
    }
    chain.fail_round_calls(false).await;
    assert_eq!(chain.round().await, 3456);
}
