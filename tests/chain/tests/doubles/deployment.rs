//! What a started chain offers.

use std::time::{Duration, Instant};

use orchestrion_test_chain::{Chain, Double, Options, U256, args, ether, keccak};

#[tokio::test]
async fn a_chain_with_all_contracts_starts_in_seconds() {
    let begun = Instant::now();
    let chain = Chain::start().await;
    let took = begun.elapsed();
    println!("anvil with all doubles after {took:?}");
    for (double, _) in Double::REGISTERED {
        assert!(!chain.address(double).is_zero(), "{double:?}");
    }
    assert_eq!(chain.round().await, 3456);
    assert_eq!(chain.last_initialized().await, 3456);
    assert_eq!(chain.l1().await, 20_000_000);
    assert!(!chain.round_hash(3456).await.is_zero());
    assert!(!chain.round_hash(3455).await.is_zero());
    // generous: two cores may be busy with everything else
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn a_name_that_is_not_registered_is_the_zero_address() {
    let chain = Chain::start().await;
    let name = args![keccak(b"Nothing")];
    let address = chain.address_of(Double::Controller, "getContract", name);
    assert!(address.await.is_zero());
}

#[tokio::test]
async fn selectors_and_topics_are_those_of_the_protocol() {
    for (double, function, selector) in SELECTORS {
        let data = double
            .interface()
            .function(function)
            .unwrap()
            .short_signature();
        assert_eq!(hex(&data), selector, "{double:?}.{function}");
    }
    for (double, event, topic) in TOPICS {
        let signature = double.interface().event(event).unwrap().signature();
        assert!(
            format!("{signature:x}").starts_with(topic),
            "{double:?} {event}"
        );
    }
}

#[tokio::test]
async fn many_reads_fit_into_one_call() {
    let chain = Chain::start().await;
    let l1 = Double::RoundsManager.encode("blockNum", &[]);
    let calls = [
        chain.address(Double::RoundsManager),
        chain.address(Double::Controller),
    ]
    .map(|target| args![target, true, l1.as_slice()].to_vec())
    .map(orchestrion_test_chain::Token::Tuple);
    let answers = chain
        .call(
            Double::Multicall,
            "aggregate3",
            &[orchestrion_test_chain::Token::Array(calls.to_vec())],
        )
        .await;
    let answers = answers[0].clone().into_array().unwrap();
    let read = answers[0].clone().into_tuple().unwrap();
    let refused = answers[1].clone().into_tuple().unwrap();
    assert_eq!(read[0], orchestrion_test_chain::Token::Bool(true));
    assert_eq!(
        U256::from_big_endian(&read[1].clone().into_bytes().unwrap()),
        20_000_000.into()
    );
    assert_eq!(refused[0], orchestrion_test_chain::Token::Bool(false));
}

#[tokio::test]
async fn a_chain_that_comes_back_on_its_port_is_another_one() {
    let options = Options {
        port: Some(orchestrion_test_chain::free_port()),
        ..Options::default()
    };
    let first = Chain::with(options.clone()).await;
    let known = first.block_hash(1).await;
    drop(first);
    let second = Chain::with(options).await;
    let block = second
        .rpc()
        .request("eth_getBlockByHash", serde_json::json!([known, false]))
        .await;
    assert!(block.is_null(), "{block}");
}

#[tokio::test]
async fn blocks_time_and_history_are_in_the_hands_of_the_test() {
    let chain = Chain::start().await;
    let height = chain.height().await;
    chain.mine(20).await;
    assert_eq!(chain.height().await, height + 20);

    let time = chain.time().await;
    chain.advance_time(Duration::from_secs(3600)).await;
    assert!(chain.time().await >= time + 3600);

    let kept = chain.snapshot().await;
    chain.mint_tokens(chain.account(2), ether(5)).await;
    chain.revert(kept).await;
    assert!(chain.token_balance(chain.account(2)).await.is_zero());

    chain.mint_tokens(chain.account(2), ether(7)).await;
    chain.mine(4).await;
    let head = chain.height().await;
    let lost = chain.block_hash(head - 4).await;
    chain.reorg(5).await;
    assert_eq!(chain.height().await, head);
    assert_ne!(chain.block_hash(head - 4).await, lost);
    assert!(chain.token_balance(chain.account(2)).await.is_zero());
}

#[tokio::test]
async fn a_write_can_pass_its_simulation_and_still_fail_in_its_block() {
    let chain = Chain::start().await;
    chain.next_round().await;
    chain.set_automine(false).await;
    let sent = chain
        .try_queue(
            chain.account(1),
            Double::RoundsManager,
            "initializeRound",
            args![],
            U256::zero(),
            None,
        )
        .await
        .unwrap();
    assert_eq!(chain.pending_of(chain.account(1)).await, [sent]);
    chain
        .queue(Double::Controller, "setPaused", args![true])
        .await;
    chain.mine(1).await;
    let receipt = chain.mined(sent).await;
    assert!(!receipt.success);
}

#[tokio::test]
async fn blocks_can_come_by_the_clock() {
    let chain = Chain::with(Options {
        block_time: Some(Duration::from_secs(1)),
        ..Options::default()
    })
    .await;
    let before = chain.height().await;
    let sent = chain
        .queue(Double::Token, "mint", args![chain.account(2), ether(1)])
        .await;
    assert!(chain.receipt(sent).await.is_none());
    assert!(chain.mined(sent).await.block > before);
    chain.set_automine(true).await;
    chain.mint_tokens(chain.account(2), ether(1)).await;
    assert_eq!(chain.token_balance(chain.account(2)).await, ether(2));
}

#[tokio::test]
async fn prices_rise_fall_and_fail() {
    let chain = Chain::start().await;
    let answer = chain
        .call(Double::PriceFeed, "latestRoundData", args![])
        .await;
    assert_eq!(
        answer[1],
        orchestrion_test_chain::Token::Int(300_000_000_000_u64.into())
    );
    chain.set_price(-1).await;
    let answer = chain
        .call(Double::PriceFeed, "latestRoundData", args![])
        .await;
    assert_eq!(answer[1], orchestrion_test_chain::Token::Int(U256::MAX));
    chain.set_price_updated_at(5).await;
    let answer = chain
        .call(Double::PriceFeed, "latestRoundData", args![])
        .await;
    assert_eq!(answer[3], orchestrion_test_chain::Token::Uint(5.into()));
    chain.fail_price_feed(true).await;
    let failed = chain
        .try_call(Double::PriceFeed, "latestRoundData", args![])
        .await;
    assert_eq!(failed.unwrap_err(), "feed fails");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SELECTORS: [(Double, &str, &str); 79] = [
    (Double::Controller, "getContract", "e16c7d98"),
    (Double::Controller, "paused", "5c975abb"),
    (Double::RoundsManager, "currentRound", "8a19c8bc"),
    (Double::RoundsManager, "lastInitializedRound", "8807f36e"),
    (Double::RoundsManager, "currentRoundInitialized", "219bc76c"),
    (Double::RoundsManager, "currentRoundLocked", "6841f253"),
    (Double::RoundsManager, "currentRoundStartBlock", "8fa148f2"),
    (Double::RoundsManager, "blockHashForRound", "3aa4add4"),
    (Double::RoundsManager, "roundLength", "8b649b94"),
    (Double::RoundsManager, "roundLockAmount", "f5b490d5"),
    (Double::RoundsManager, "initializeRound", "d4807fb2"),
    (Double::RoundsManager, "blockNum", "8ae63d6d"),
    (Double::BondingManager, "getTranscoder", "5dce9948"),
    (Double::BondingManager, "getDelegator", "a64ad595"),
    (
        Double::BondingManager,
        "getDelegatorUnbondingLock",
        "412f83b6",
    ),
    (
        Double::BondingManager,
        "getTranscoderEarningsPoolForRound",
        "24454fc4",
    ),
    (Double::BondingManager, "transcoderStatus", "8b2f1652"),
    (Double::BondingManager, "delegatorStatus", "1544fc67"),
    (Double::BondingManager, "transcoderTotalStake", "9ef9df94"),
    (Double::BondingManager, "pendingStake", "9d0b2c7a"),
    (Double::BondingManager, "pendingFees", "f595f1cc"),
    (Double::BondingManager, "isActiveTranscoder", "08802374"),
    (Double::BondingManager, "isRegisteredTranscoder", "68ba170c"),
    (Double::BondingManager, "getTotalBonded", "5c50c356"),
    (Double::BondingManager, "getTranscoderPoolSize", "2a4e0d55"),
    (
        Double::BondingManager,
        "getTranscoderPoolMaxSize",
        "5a2a75a9",
    ),
    (
        Double::BondingManager,
        "getFirstTranscoderInPool",
        "88a6c749",
    ),
    (
        Double::BondingManager,
        "getNextTranscoderInPool",
        "235c9603",
    ),
    (Double::BondingManager, "unbondingPeriod", "6cf6d675"),
    (Double::BondingManager, "treasuryRewardCutRate", "558f8f44"),
    (Double::BondingManager, "transcoder", "43d3461a"),
    (Double::BondingManager, "bondWithHint", "6bd9add4"),
    (Double::BondingManager, "unbondWithHint", "9500ed9b"),
    (Double::BondingManager, "rebondWithHint", "7fc4606f"),
    (
        Double::BondingManager,
        "rebondFromUnbondedWithHint",
        "0584a373",
    ),
    (Double::BondingManager, "withdrawStake", "25d5971f"),
    (Double::BondingManager, "withdrawFees", "ad3b1b47"),
    (Double::BondingManager, "claimEarnings", "24b1babf"),
    (Double::BondingManager, "rewardWithHint", "81871056"),
    (Double::BondingManager, "reward", "228cb733"),
    (Double::BondingManager, "setRewardCaller", "0103e60e"),
    (
        Double::BondingManager,
        "transcoderToRewardCaller",
        "47621410",
    ),
    (
        Double::BondingManager,
        "rewardForTranscoderWithHint",
        "b556966a",
    ),
    (Double::BondingManager, "rewardForTranscoder", "1a8c41f8"),
    (Double::TicketBroker, "redeemWinningTicket", "ec8b3cb6"),
    (Double::TicketBroker, "usedTickets", "59a515ba"),
    (Double::TicketBroker, "getSenderInfo", "e1a589da"),
    (Double::TicketBroker, "claimedReserve", "4ac826da"),
    (Double::TicketBroker, "claimableReserve", "81779f38"),
    (Double::TicketBroker, "unlockPeriod", "20d3a0b4"),
    (Double::TicketBroker, "ticketValidityPeriod", "856a2cf8"),
    (Double::TicketBroker, "getTicketHash", "b03fa864"),
    (
        Double::TicketBroker,
        "batchRedeemWinningTickets",
        "d01b808e",
    ),
    (Double::TicketBroker, "fundDeposit", "6caa736b"),
    (Double::TicketBroker, "fundReserve", "6f9c3c8f"),
    (Double::TicketBroker, "fundDepositAndReserve", "511f4073"),
    (Double::TicketBroker, "unlock", "a69df4b5"),
    (Double::TicketBroker, "cancelUnlock", "c2c4c2c8"),
    (Double::TicketBroker, "withdraw", "3ccfd60b"),
    (Double::ServiceRegistry, "getServiceURI", "214c2a4b"),
    (Double::ServiceRegistry, "setServiceURI", "5f11301b"),
    (Double::Token, "balanceOf", "70a08231"),
    (Double::Token, "allowance", "dd62ed3e"),
    (Double::Token, "totalSupply", "18160ddd"),
    (Double::Token, "approve", "095ea7b3"),
    (Double::Token, "transfer", "a9059cbb"),
    (Double::Minter, "currentMintableTokens", "9ae6309a"),
    (Double::Minter, "inflation", "be0522e0"),
    (Double::Minter, "inflationChange", "a7c83514"),
    (Double::Minter, "targetBondingRate", "821b771f"),
    (Double::Minter, "getGlobalTotalSupply", "5507442d"),
    (Double::Faucet, "request", "338cdca1"),
    (Double::Faucet, "nextValidRequest", "207f5ce6"),
    (Double::Poll, "vote", "0121b93f"),
    (Double::Governor, "castVote", "56781388"),
    (Double::Governor, "castVoteWithReason", "7b3c71d3"),
    (Double::PriceFeed, "description", "7284e416"),
    (Double::PriceFeed, "decimals", "313ce567"),
    (Double::PriceFeed, "latestRoundData", "feaf968c"),
];

const TOPICS: [(Double, &str, &str); 24] = [
    (
        Double::RoundsManager,
        "NewRound",
        "22f2fc17c5daf07db2379b3a03a8ef20a183f761097a58fce219c8a14619e786",
    ),
    (
        Double::BondingManager,
        "Unbond",
        "2d5d98d189bee5496a08db2a5948cb7e5e786f09d17d0c3f228eb41776c24a06",
    ),
    (
        Double::BondingManager,
        "Rebond",
        "9f5b64cc71e1e26ff178caaa7877a04d8ce66fde989251870e80e6fbee690c17",
    ),
    (
        Double::BondingManager,
        "WithdrawStake",
        "1340f1a8f3d456a649e1a12071dfa15655e3d09252131d0f980c3b405cc8dd2e",
    ),
    (
        Double::BondingManager,
        "TranscoderActivated",
        "65d72d782835d64c3287844a829608d5abdc7e864cc9affe96d910ab3db665e9",
    ),
    (
        Double::BondingManager,
        "TranscoderDeactivated",
        "fee3e693fc72d0a0a673805f3e606c551f4c677b9072444b90dd2d0406bc995c",
    ),
    (
        Double::BondingManager,
        "Bond",
        "e5917769f276ddca9f2ee7c6b0b33e1d1e1b61008010ce622c632dd20d168a23",
    ),
    (
        Double::BondingManager,
        "TranscoderUpdate",
        "7346854431dbb3eb8e373c604abf89e90f4865b8447e1e2834d7b3e4677bf544",
    ),
    (
        Double::BondingManager,
        "Reward",
        "619caafabdd75649b302ba8419e48cccf64f37f1983ac4727cfb38b57703ffc9",
    ),
    (
        Double::BondingManager,
        "TreasuryReward",
        "40e200718fe552021167687e5491d09f5931275b6f88f14a462650f0effb5237",
    ),
    (
        Double::BondingManager,
        "WithdrawFees",
        "4f1b51dd7a2fcb861aa2670f668be66835c4ee12b4bbbf037e4d0018f39819e4",
    ),
    (
        Double::BondingManager,
        "EarningsClaimed",
        "d7eab0765b772ea6ea859d5633baf737502198012e930f257f90013d9b211094",
    ),
    (
        Double::BondingManager,
        "RewardCallerSet",
        "15932b87747cac36d3c505e86a946c6d3a79d9d7bdb79d81584d32bbe54516c2",
    ),
    (
        Double::TicketBroker,
        "DepositFunded",
        "5159e237d952190e68d5215430f305831be7c9c8776d1377c76679ae4773413f",
    ),
    (
        Double::TicketBroker,
        "ReserveFunded",
        "b52b99b9e83551fcbd069b559cc3e823e2a1a3bad8ece46561ea77524394c850",
    ),
    (
        Double::TicketBroker,
        "Withdrawal",
        "df273cb619d95419a9cd0ec88123a0538c85064229baa6363788f743fff90deb",
    ),
    (
        Double::TicketBroker,
        "WinningTicketTransfer",
        "8b87351a208c06e3ceee59d80725fd77a23b4129e1b51ca231fc89b40712649c",
    ),
    (
        Double::TicketBroker,
        "Unlock",
        "f7870c5b224cbc19873599e46ccfc7103934650509b1af0c3ce90138377c2004",
    ),
    (
        Double::TicketBroker,
        "UnlockCancelled",
        "fa044b7b93a40365dc68049797c2eb06918523d694e5d56e406cac3eb35578e5",
    ),
    (
        Double::TicketBroker,
        "ReserveClaimed",
        "5c2b394723f408a40a60335e24b71829642e35f350cebe2036a96a66e895ea98",
    ),
    (
        Double::TicketBroker,
        "WinningTicketRedeemed",
        "c389eb51ed006dbf2528507f010efdf5225ea596e1e1741d74f550dab1925ee7",
    ),
    (
        Double::ServiceRegistry,
        "ServiceURIUpdate",
        "fbb63068732c85741c9f8e61caffaabe038d577bfafd2d2dcc0e352a4f653a4c",
    ),
    (
        Double::Minter,
        "SetCurrentRewardTokens",
        "39567a366345edf17f50c1967a31b597745186c4632f34c4f8ebe06b6890784d",
    ),
    (
        Double::Poll,
        "Vote",
        "f668ead05c744b9178e571d2edb452e72baf6529c8d72160e64e59b50d865bd0",
    ),
];
