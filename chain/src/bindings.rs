//! Call data and events of the contracts, generated from their signatures.
//!
//! `…Call` types encode to selector and arguments, `…Return` types decode what comes back, `…Filter` types are events.
//! Nothing here is asked for by way of ethers' provider: the transport is [`crate::endpoints`].
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "generated"
)]

use ethers::contract::abigen;

abigen!(
    ControllerContract,
    r#"[
        function getContract(bytes32 id) external view returns (address)
        function paused() external view returns (bool)
    ]"#;

    RoundsManagerContract,
    r#"[
        function currentRound() external view returns (uint256)
        function lastInitializedRound() external view returns (uint256)
        function currentRoundInitialized() external view returns (bool)
        function currentRoundLocked() external view returns (bool)
        function currentRoundStartBlock() external view returns (uint256)
        function blockHashForRound(uint256 round) external view returns (bytes32)
        function roundLength() external view returns (uint256)
        function roundLockAmount() external view returns (uint256)
        function blockNum() external view returns (uint256)
        function initializeRound() external
        event NewRound(uint256 indexed round, bytes32 blockHash)
    ]"#;

    BondingManagerContract,
    r#"[
        function getTranscoder(address transcoder) external view returns (uint256 lastRewardRound, uint256 rewardCut, uint256 feeShare, uint256 lastActiveStakeUpdateRound, uint256 activationRound, uint256 deactivationRound, uint256 activeCumulativeRewards, uint256 cumulativeRewards, uint256 cumulativeFees, uint256 lastFeeRound)
        function getDelegator(address delegator) external view returns (uint256 bondedAmount, uint256 fees, address delegateAddress, uint256 delegatedAmount, uint256 startRound, uint256 lastClaimRound, uint256 nextUnbondingLockId)
        function getDelegatorUnbondingLock(address delegator, uint256 unbondingLockId) external view returns (uint256 amount, uint256 withdrawRound)
        function getTranscoderEarningsPoolForRound(address transcoder, uint256 round) external view returns (uint256 totalStake, uint256 transcoderRewardCut, uint256 transcoderFeeShare, uint256 cumulativeRewardFactor, uint256 cumulativeFeeFactor)
        function transcoderStatus(address transcoder) external view returns (uint256)
        function delegatorStatus(address delegator) external view returns (uint256)
        function transcoderTotalStake(address transcoder) external view returns (uint256)
        function pendingStake(address delegator, uint256 endRound) external view returns (uint256)
        function pendingFees(address delegator, uint256 endRound) external view returns (uint256)
        function isActiveTranscoder(address transcoder) external view returns (bool)
        function getTotalBonded() external view returns (uint256)
        function getTranscoderPoolSize() external view returns (uint256)
        function getTranscoderPoolMaxSize() external view returns (uint256)
        function getFirstTranscoderInPool() external view returns (address)
        function getNextTranscoderInPool(address transcoder) external view returns (address)
        function unbondingPeriod() external view returns (uint256)
        function treasuryRewardCutRate() external view returns (uint256)
        function transcoderToRewardCaller(address transcoder) external view returns (address)
        function transcoder(uint256 rewardCut, uint256 feeShare) external
        function bondWithHint(uint256 amount, address to, address oldDelegateNewPosPrev, address oldDelegateNewPosNext, address currDelegateNewPosPrev, address currDelegateNewPosNext) external
        function unbondWithHint(uint256 amount, address newPosPrev, address newPosNext) external
        function rebondWithHint(uint256 unbondingLockId, address newPosPrev, address newPosNext) external
        function rebondFromUnbondedWithHint(address to, uint256 unbondingLockId, address newPosPrev, address newPosNext) external
        function withdrawStake(uint256 unbondingLockId) external
        function withdrawFees(address recipient, uint256 amount) external
        function claimEarnings(uint256 endRound) external
        function rewardWithHint(address newPosPrev, address newPosNext) external
        function setRewardCaller(address rewardCaller) external
        function rewardForTranscoderWithHint(address transcoder, address newPosPrev, address newPosNext) external
        event Unbond(address indexed delegate, address indexed delegator, uint256 unbondingLockId, uint256 amount, uint256 withdrawRound)
        event Rebond(address indexed delegate, address indexed delegator, uint256 unbondingLockId, uint256 amount)
        event WithdrawStake(address indexed delegator, uint256 unbondingLockId, uint256 amount, uint256 withdrawRound)
        event TranscoderActivated(address indexed transcoder, uint256 activationRound)
        event TranscoderDeactivated(address indexed transcoder, uint256 deactivationRound)
        event Reward(address indexed transcoder, uint256 amount)
        event RewardCallerSet(address indexed transcoder, address indexed rewardCaller)
    ]"#;

    L1FeesContract,
    r#"[
        function withdrawFees() external
    ]"#;

    TicketBrokerContract,
    r#"[
        struct Ticket { address recipient; address sender; uint256 faceValue; uint256 winProb; uint256 senderNonce; bytes32 recipientRandHash; bytes auxData; }
        function redeemWinningTicket(Ticket ticket, bytes sig, uint256 recipientRand) external
        function batchRedeemWinningTickets(Ticket[] tickets, bytes[] sigs, uint256[] recipientRands) external
        function usedTickets(bytes32 ticketHash) external view returns (bool)
        function getSenderInfo(address sender) external view returns (uint256 deposit, uint256 withdrawRound, uint256 fundsRemaining, uint256 claimedInCurrentRound)
        function claimedReserve(address reserveHolder, address claimant) external view returns (uint256)
        function claimableReserve(address reserveHolder, address claimant) external view returns (uint256)
        function unlockPeriod() external view returns (uint256)
        function ticketValidityPeriod() external view returns (uint256)
        function getTicketHash(Ticket ticket) external pure returns (bytes32)
        function fundDeposit() external payable
        function fundReserve() external payable
        function fundDepositAndReserve(uint256 depositAmount, uint256 reserveAmount) external payable
        function unlock() external
        function cancelUnlock() external
        function withdraw() external
        event DepositFunded(address indexed sender, uint256 amount)
        event ReserveFunded(address indexed reserveHolder, uint256 amount)
        event Withdrawal(address indexed sender, uint256 deposit, uint256 reserve)
        event WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount)
        event Unlock(address indexed sender, uint256 startRound, uint256 endRound)
        event UnlockCancelled(address indexed sender)
        event ReserveClaimed(address indexed reserveHolder, address claimant, uint256 amount)
        event WinningTicketRedeemed(address indexed sender, address indexed recipient, uint256 faceValue, uint256 winProb, uint256 senderNonce, uint256 recipientRand, bytes auxData)
    ]"#;

    ServiceRegistryContract,
    r#"[
        function getServiceURI(address account) external view returns (string)
        function setServiceURI(string serviceURI) external
        event ServiceURIUpdate(address indexed account, string serviceURI)
    ]"#;

    TokenContract,
    r#"[
        function balanceOf(address account) external view returns (uint256)
        function allowance(address owner, address spender) external view returns (uint256)
        function totalSupply() external view returns (uint256)
        function approve(address spender, uint256 amount) external returns (bool)
        function transfer(address to, uint256 amount) external returns (bool)
    ]"#;

    MinterContract,
    r#"[
        function currentMintableTokens() external view returns (uint256)
        function inflation() external view returns (uint256)
        function inflationChange() external view returns (uint256)
        function targetBondingRate() external view returns (uint256)
        function getGlobalTotalSupply() external view returns (uint256)
    ]"#;

    FaucetContract,
    r#"[
        function request() external
        function nextValidRequest(address account) external view returns (uint256)
    ]"#;

    PollContract,
    r#"[
        function vote(uint256 choiceID) external
    ]"#;

    GovernorContract,
    r#"[
        function castVote(uint256 proposalId, uint8 support) external returns (uint256)
        function castVoteWithReason(uint256 proposalId, uint8 support, string reason) external returns (uint256)
    ]"#;

    PriceFeedContract,
    r#"[
        function description() external view returns (string)
        function decimals() external view returns (uint256)
        function latestRoundData() external view returns (uint256 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint256 answeredInRound)
    ]"#;
);
