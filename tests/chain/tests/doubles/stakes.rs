//! Activation, pool, reward and stake as the node meets them.

use orchestrion_test_chain::{Address, Chain, Double, Hints, U256, args, ether};

const NONE: Address = Address::zero();

async fn refusal(
    chain: &Chain,
    from: Address,
    function: &str,
    arguments: &[orchestrion_test_chain::Token],
) -> String {
    chain
        .try_bonding(from, function, arguments)
        .await
        .unwrap_err()
}

/// Gives LPT to an account, approved and bonded to itself.
async fn bond(chain: &Chain, who: Address, amount: U256) {
    chain.mint_tokens(who, amount).await;
    let spender = chain.address(Double::BondingManager);
    chain
        .try_send(
            who,
            Double::Token,
            "approve",
            args![spender, amount],
            U256::zero(),
        )
        .await
        .unwrap();
    chain
        .try_bonding(
            who,
            "bondWithHint",
            args![amount, who, NONE, NONE, NONE, NONE],
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_first_bond_activates_for_the_next_round() {
    let chain = Chain::start().await;
    let me = chain.account(2);
    let bonding = args![ether(5), me, NONE, NONE, NONE, NONE];
    assert_eq!(
        refusal(&chain, me, "bondWithHint", bonding).await,
        "ERC20: insufficient allowance"
    );
    let nothing = args![U256::zero(), me, NONE, NONE, NONE, NONE];
    let text = "delegation amount must be greater than 0";
    assert_eq!(refusal(&chain, me, "bondWithHint", nothing).await, text);

    bond(&chain, me, ether(5)).await;
    assert_eq!(chain.transcoder(me).await.activation_round, 3457.into());
    assert_eq!(chain.transcoder(me).await.deactivation_round, U256::MAX);
    assert!(
        !chain
            .flag(Double::BondingManager, "isActiveTranscoder", args![me])
            .await
    );
    let told = chain
        .events(Double::BondingManager, "TranscoderActivated")
        .await;
    assert_eq!(told[0].address("transcoder"), me);
    assert_eq!(told[0].uint("activationRound"), 3457.into());
    chain.new_round().await;
    assert!(
        chain
            .flag(Double::BondingManager, "isActiveTranscoder", args![me])
            .await
    );
    assert_eq!(
        chain
            .uint(Double::BondingManager, "getTotalBonded", args![])
            .await,
        ether(5)
    );
    let elsewhere = args![ether(0), chain.account(3), NONE, NONE, NONE, NONE];
    let text = "registered transcoders can't delegate towards other addresses";
    assert_eq!(refusal(&chain, me, "bondWithHint", elsewhere).await, text);
}

#[tokio::test]
async fn cuts_change_after_the_reward_and_before_the_lock() {
    let chain = Chain::start().await;
    let me = chain.account(2);
    let text = refusal(&chain, me, "transcoder", args![100_000, 50_000]).await;
    assert_eq!(text, "transcoder must be registered");
    chain.add_transcoder(me, ether(10)).await;
    let text = refusal(&chain, me, "transcoder", args![1_000_001, 0]).await;
    assert_eq!(text, "invalid rewardCut percentage");
    let text = refusal(&chain, me, "transcoder", args![0, 1_000_001]).await;
    assert_eq!(text, "invalid feeShare percentage");
    let text = refusal(&chain, me, "transcoder", args![1, 1]).await;
    let early = "caller can't be active or must have already called reward for the current round";
    assert_eq!(text, early);
    chain.set_last_reward_round(me, 3456).await;
    chain
        .try_bonding(me, "transcoder", args![100_000, 50_000])
        .await
        .unwrap();
    let record = chain.transcoder(me).await;
    assert_eq!(
        (record.reward_cut, record.fee_share),
        (100_000.into(), 50_000.into())
    );
    chain.set_l1(20_000_000 + 5_184).await;
    let text = refusal(&chain, me, "transcoder", args![1, 1]).await;
    assert_eq!(
        text,
        "can't update transcoder params, current round is locked"
    );
}

#[tokio::test]
async fn reward_is_called_once_a_round_by_the_active() {
    let chain = Chain::start().await;
    let me = chain.account(2);
    let hints = args![NONE, NONE];
    let text = refusal(&chain, me, "rewardWithHint", hints).await;
    assert_eq!(text, "caller must be an active transcoder");
    chain.add_transcoder(me, ether(1_000)).await;
    for (nth, stake) in [(1, 2_000), (3, 3_000)] {
        chain.add_transcoder(chain.account(nth), ether(stake)).await;
    }
    chain
        .try_bonding(me, "rewardWithHint", args![chain.account(1), NONE])
        .await
        .unwrap();
    let told = chain.events(Double::BondingManager, "Reward").await;
    // 137 LPT, 1000 of 6000 in parts of 10^9, a tenth to the treasury
    let minted = ether(137) * 166_666_666 / 1_000_000_000;
    assert_eq!(told[0].uint("amount"), minted - minted / 10);
    assert_eq!(chain.stake(me).await, ether(1_000) + minted - minted / 10);
    assert_eq!(chain.transcoder(me).await.last_reward_round, 3456.into());
    let exact = Hints {
        prev: chain.account(1),
        next: NONE,
        exact: true,
    };
    assert_eq!(chain.last_hints().await, exact);
    let text = refusal(&chain, me, "rewardWithHint", hints).await;
    assert_eq!(
        text,
        "caller has already called reward for the current round"
    );
    chain.next_round().await;
    let text = refusal(&chain, me, "rewardWithHint", hints).await;
    assert_eq!(text, "current round is not initialized");
    chain.initialize_round().await;
    chain
        .try_bonding(me, "rewardWithHint", hints)
        .await
        .unwrap();
    assert!(!chain.last_hints().await.exact);
}

#[tokio::test]
async fn a_reward_caller_rewards_for_another() {
    let chain = Chain::start().await;
    let (cold, hot) = (chain.account(2), chain.account(3));
    chain.add_transcoder(cold, ether(10)).await;
    let rewarding = args![cold, NONE, NONE];
    let text = refusal(&chain, hot, "rewardForTranscoderWithHint", rewarding).await;
    assert!(
        text.starts_with("caller must be a reward caller set by the tra"),
        "{text}"
    );
    chain
        .try_bonding(cold, "setRewardCaller", args![hot])
        .await
        .unwrap();
    let whose = args![cold];
    let caller = chain.address_of(Double::BondingManager, "transcoderToRewardCaller", whose);
    assert_eq!(caller.await, hot);
    chain
        .try_bonding(hot, "rewardForTranscoderWithHint", rewarding)
        .await
        .unwrap();
    let told = chain.events(Double::BondingManager, "Reward").await;
    assert_eq!(told[0].address("transcoder"), cold);
}

#[tokio::test]
async fn a_full_pool_evicts_its_last_for_the_next_round() {
    let chain = Chain::start().await;
    chain.set_pool_max(2).await;
    let [last, first, newcomer] = [1, 2, 3].map(|nth| chain.account(nth));
    chain.add_transcoder(last, ether(10)).await;
    chain.add_transcoder(first, ether(20)).await;
    bond(&chain, newcomer, ether(10)).await;
    assert_eq!(chain.pool().await, [(first, ether(20)), (last, ether(10))]);
    bond(&chain, newcomer, ether(5)).await;
    assert_eq!(
        chain.pool().await,
        [(first, ether(20)), (newcomer, ether(15))]
    );
    assert!(
        chain
            .flag(Double::BondingManager, "isActiveTranscoder", args![last])
            .await
    );
    let told = chain
        .events(Double::BondingManager, "TranscoderDeactivated")
        .await;
    assert_eq!(told[0].uint("deactivationRound"), 3457.into());
    chain.new_round().await;
    assert!(
        !chain
            .flag(Double::BondingManager, "isActiveTranscoder", args![last])
            .await
    );
}

#[tokio::test]
async fn stake_leaves_over_a_lock_and_comes_back() {
    let chain = Chain::start().await;
    let me = chain.account(2);
    let text = refusal(&chain, me, "unbondWithHint", args![1, NONE, NONE]).await;
    assert_eq!(text, "caller must be bonded");
    chain.add_transcoder(me, ether(10)).await;
    let cases = [
        (U256::zero(), "unbond amount must be greater than 0"),
        (ether(11), "amount is greater than bonded amount"),
    ];
    for (amount, text) in cases {
        assert_eq!(
            refusal(&chain, me, "unbondWithHint", args![amount, NONE, NONE]).await,
            text
        );
    }
    chain
        .try_bonding(me, "unbondWithHint", args![ether(4), NONE, NONE])
        .await
        .unwrap();
    chain
        .try_bonding(me, "unbondWithHint", args![ether(6), NONE, NONE])
        .await
        .unwrap();
    assert!(chain.pool().await.is_empty());
    let text = refusal(&chain, me, "rebondWithHint", args![0, NONE, NONE]).await;
    assert_eq!(text, "caller must be bonded");
    let rebond = args![me, 0, NONE, NONE];
    chain
        .try_bonding(me, "rebondFromUnbondedWithHint", rebond)
        .await
        .unwrap();
    let text = refusal(&chain, me, "rebondFromUnbondedWithHint", rebond).await;
    assert_eq!(text, "caller must be unbonded");
    assert_eq!(chain.pool().await, [(me, ether(4))]);
    let text = refusal(&chain, me, "rebondWithHint", args![0, NONE, NONE]).await;
    assert_eq!(text, "invalid unbonding lock ID");

    let text = refusal(&chain, me, "withdrawStake", args![1]).await;
    assert_eq!(
        text,
        "withdraw round must be before or equal to the current round"
    );
    chain.set_l1(20_000_000 + 7 * 5_760).await;
    chain.initialize_round().await;
    chain
        .try_bonding(me, "withdrawStake", args![1])
        .await
        .unwrap();
    assert_eq!(chain.token_balance(me).await, ether(6));
    let text = refusal(&chain, me, "withdrawStake", args![1]).await;
    assert_eq!(text, "invalid unbonding lock ID");
    for (event, times) in [("Unbond", 2), ("Rebond", 1), ("WithdrawStake", 1)] {
        assert_eq!(
            chain.events(Double::BondingManager, event).await.len(),
            times,
            "{event}"
        );
    }
}

#[tokio::test]
async fn any_write_can_be_made_to_revert() {
    let chain = Chain::start().await;
    let me = chain.account(2);
    chain.add_transcoder(me, ether(10)).await;
    chain
        .revert_with(Double::BondingManager, "SafeMath: division by zero")
        .await;
    let text = refusal(&chain, me, "rewardWithHint", args![NONE, NONE]).await;
    assert_eq!(text, "SafeMath: division by zero");
    chain.revert_with(Double::BondingManager, "").await;
    chain.pause(true).await;
    let text = refusal(&chain, me, "rewardWithHint", args![NONE, NONE]).await;
    assert_eq!(text, "system is paused");
    chain.pause(false).await;
    chain
        .try_bonding(me, "rewardWithHint", args![NONE, NONE])
        .await
        .unwrap();
}

#[tokio::test]
async fn service_uris_votes_and_test_tokens_leave_their_events() {
    let mut chain = Chain::start().await;
    let me = chain.account(2);
    for (double, function, arguments) in [
        (
            Double::ServiceRegistry,
            "setServiceURI",
            args!["https://a.example:8935"].to_vec(),
        ),
        (Double::Poll, "vote", args![1].to_vec()),
        (Double::Faucet, "request", Vec::new()),
        (Double::Governor, "castVote", args![7, 1].to_vec()),
        (
            Double::Governor,
            "castVoteWithReason",
            args![7, 0, "no"].to_vec(),
        ),
    ] {
        chain
            .try_send(me, double, function, &arguments, U256::zero())
            .await
            .unwrap();
    }
    let uri = chain
        .call(Double::ServiceRegistry, "getServiceURI", args![me])
        .await;
    assert_eq!(
        uri[0],
        orchestrion_test_chain::Token::String("https://a.example:8935".into())
    );
    assert_eq!(chain.token_balance(me).await, ether(10));
    assert_eq!(
        chain.events(Double::Poll, "Vote").await[0].uint("choiceID"),
        1.into()
    );
    assert_eq!(chain.events(Double::Governor, "VoteCast").await.len(), 2);

    // the AI registry has an address of its own on every chain
    let fixed: Address = "04c0b249740175999e5bf5c9ac1da92431ef34c5".parse().unwrap();
    chain.install(Double::ServiceRegistry, fixed).await;
    let code = chain
        .rpc()
        .request("eth_getCode", serde_json::json!([fixed, "latest"]))
        .await;
    assert!(code.as_str().unwrap().len() > 100);
}
