// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Controller} from "Controller.sol";
import {Manager} from "Manager.sol";

/// Stakes, the pool of transcoders, rewards and fees. Simpler than the protocol in one thing: rewards and fees belong to the
/// transcoder alone, none to who delegates to it, so cumulative factors stay zero.
contract BondingManager is Manager {
    struct Lock {
        uint256 amount;
        uint256 withdrawRound;
    }

    struct Delegator {
        uint256 bondedAmount;
        uint256 fees;
        address delegate;
        uint256 delegatedAmount;
        uint256 startRound;
        uint256 lastClaimRound;
        uint256 nextLock;
        mapping(uint256 => Lock) locks;
    }

    struct Pool {
        uint256 totalStake;
        uint256 rewardCut;
        uint256 feeShare;
    }

    struct Transcoder {
        uint256 lastRewardRound;
        uint256 rewardCut;
        uint256 feeShare;
        uint256 lastStakeUpdate;
        uint256 activationRound;
        uint256 deactivationRound;
        uint256 activeRewards;
        uint256 rewards;
        uint256 fees;
        uint256 lastFeeRound;
        mapping(uint256 => Pool) pools;
    }

    uint64 public unbondingPeriod = 7;
    /// Parts of 10^27 of each reward.
    uint256 public treasuryRewardCutRate = 10 ** 26;
    mapping(address => address) public transcoderToRewardCaller;

    mapping(address => Delegator) private delegators;
    mapping(address => Transcoder) private transcoders;
    /// By stake, the highest first.
    address[] private ranking;
    uint256 private maxSize = 100;
    uint256 private totalNow;
    uint256 private totalNext;

    address private hintPrev;
    address private hintNext;
    bool private hintExact;

    event Bond(
        address indexed newDelegate,
        address indexed oldDelegate,
        address indexed delegator,
        uint256 additionalAmount,
        uint256 bondedAmount
    );
    event Unbond(
        address indexed delegate,
        address indexed delegator,
        uint256 unbondingLockId,
        uint256 amount,
        uint256 withdrawRound
    );
    event Rebond(address indexed delegate, address indexed delegator, uint256 unbondingLockId, uint256 amount);
    event WithdrawStake(address indexed delegator, uint256 unbondingLockId, uint256 amount, uint256 withdrawRound);
    event WithdrawFees(address indexed delegator, address recipient, uint256 amount);
    event EarningsClaimed(
        address indexed delegate,
        address indexed delegator,
        uint256 rewards,
        uint256 fees,
        uint256 startRound,
        uint256 endRound
    );
    event TranscoderActivated(address indexed transcoder, uint256 activationRound);
    event TranscoderDeactivated(address indexed transcoder, uint256 deactivationRound);
    event TranscoderUpdate(address indexed transcoder, uint256 rewardCut, uint256 feeShare);
    event Reward(address indexed transcoder, uint256 amount);
    event TreasuryReward(address indexed transcoder, address treasury, uint256 amount);
    event RewardCallerSet(address indexed transcoder, address indexed rewardCaller);

    constructor(Controller controller_) Manager(controller_) {}

    // Stakes

    function bondWithHint(
        uint256 amount,
        address to,
        address,
        address,
        address newPrev,
        address newNext
    ) external whenOpen whenInitialized {
        claimFor(msg.sender);
        Delegator storage delegator = delegators[msg.sender];
        address old = delegator.delegate;
        uint256 moved = amount;
        if (delegator.bondedAmount == 0) {
            delegator.startRound = roundsManager().currentRound() + 1;
        } else if (old != to) {
            require(
                !isRegisteredTranscoder(msg.sender),
                "registered transcoders can't delegate towards other addresses"
            );
            delegator.startRound = roundsManager().currentRound() + 1;
            moved += delegator.bondedAmount;
            setStake(old, delegators[old].delegatedAmount - delegator.bondedAmount);
        }
        require(moved > 0, "delegation amount must be greater than 0");
        delegator.delegate = to;
        delegator.bondedAmount += amount;
        setStake(to, delegators[to].delegatedAmount + moved);
        hint(to, newPrev, newNext);
        if (amount > 0) {
            token().transferFrom(msg.sender, address(minter()), amount);
        }
        emit Bond(to, old, msg.sender, amount, delegator.bondedAmount);
    }

    function unbondWithHint(uint256 amount, address prev, address next) external whenOpen whenInitialized {
        claimFor(msg.sender);
        require(delegatorStatus(msg.sender) == 1, "caller must be bonded");
        Delegator storage delegator = delegators[msg.sender];
        require(amount > 0, "unbond amount must be greater than 0");
        require(amount <= delegator.bondedAmount, "amount is greater than bonded amount");
        address to = delegator.delegate;
        uint256 id = delegator.nextLock++;
        uint256 withdrawRound = roundsManager().currentRound() + unbondingPeriod;
        delegator.locks[id] = Lock(amount, withdrawRound);
        delegator.bondedAmount -= amount;
        if (delegator.bondedAmount == 0) {
            (delegator.delegate, delegator.startRound) = (address(0), 0);
            if (rank(msg.sender) < ranking.length) {
                evict(msg.sender);
            }
        }
        setStake(to, delegators[to].delegatedAmount - amount);
        hint(to, prev, next);
        emit Unbond(to, msg.sender, id, amount, withdrawRound);
    }

    function rebondWithHint(uint256 id, address prev, address next) external whenOpen whenInitialized {
        claimFor(msg.sender);
        require(delegatorStatus(msg.sender) != 2, "caller must be bonded");
        rebond(id, prev, next);
    }

    function rebondFromUnbondedWithHint(
        address to,
        uint256 id,
        address prev,
        address next
    ) external whenOpen whenInitialized {
        claimFor(msg.sender);
        require(delegatorStatus(msg.sender) == 2, "caller must be unbonded");
        delegators[msg.sender].startRound = roundsManager().currentRound() + 1;
        delegators[msg.sender].delegate = to;
        rebond(id, prev, next);
    }

    function rebond(uint256 id, address prev, address next) private {
        Delegator storage delegator = delegators[msg.sender];
        uint256 amount = delegator.locks[id].amount;
        require(delegator.locks[id].withdrawRound > 0, "invalid unbonding lock ID");
        delete delegator.locks[id];
        delegator.bondedAmount += amount;
        address to = delegator.delegate;
        setStake(to, delegators[to].delegatedAmount + amount);
        hint(to, prev, next);
        emit Rebond(to, msg.sender, id, amount);
    }

    function withdrawStake(uint256 id) external whenOpen whenInitialized {
        Lock memory lock = delegators[msg.sender].locks[id];
        require(lock.withdrawRound > 0, "invalid unbonding lock ID");
        require(
            lock.withdrawRound <= roundsManager().currentRound(),
            "withdraw round must be before or equal to the current round"
        );
        delete delegators[msg.sender].locks[id];
        minter().trustedTransferTokens(msg.sender, lock.amount);
        emit WithdrawStake(msg.sender, id, lock.amount, lock.withdrawRound);
    }

    // The pool

    function transcoder(uint256 rewardCut, uint256 feeShare) external whenOpen whenInitialized {
        require(
            !roundsManager().currentRoundLocked(),
            "can't update transcoder params, current round is locked"
        );
        require(rewardCut <= 1_000_000, "invalid rewardCut percentage");
        require(feeShare <= 1_000_000, "invalid feeShare percentage");
        require(isRegisteredTranscoder(msg.sender), "transcoder must be registered");
        Transcoder storage self = transcoders[msg.sender];
        require(
            !isActiveTranscoder(msg.sender) || self.lastRewardRound == roundsManager().currentRound(),
            "caller can't be active or must have already called reward for the current round"
        );
        (self.rewardCut, self.feeShare) = (rewardCut, feeShare);
        setStake(msg.sender, delegators[msg.sender].delegatedAmount);
        emit TranscoderUpdate(msg.sender, rewardCut, feeShare);
    }

    /// Gives a delegate a new stake and its place, which may be the first place in the pool or none.
    function setStake(address who, uint256 stake) private {
        Transcoder storage self = transcoders[who];
        uint256 old = delegators[who].delegatedAmount;
        uint256 round = roundsManager().currentRound();
        if (rank(who) < ranking.length) {
            if (self.lastStakeUpdate < round) {
                self.pools[round].totalStake = old;
            }
            self.pools[round + 1].totalStake = stake;
            self.lastStakeUpdate = round + 1;
            totalNext = totalNext + stake - old;
            removeFromRanking(who);
            delegators[who].delegatedAmount = stake;
            insertIntoRanking(who);
        } else {
            delegators[who].delegatedAmount = stake;
            if (stake >= old && isRegisteredTranscoder(who)) {
                join(who, round + 1);
            }
        }
    }

    function join(address who, uint256 activationRound) private {
        uint256 stake = delegators[who].delegatedAmount;
        if (ranking.length > 0 && ranking.length >= maxSize) {
            address last = ranking[ranking.length - 1];
            if (stake <= delegators[last].delegatedAmount) {
                return;
            }
            evict(last);
        }
        insertIntoRanking(who);
        Transcoder storage self = transcoders[who];
        self.lastStakeUpdate = activationRound;
        self.activationRound = activationRound;
        self.deactivationRound = type(uint256).max;
        self.pools[activationRound].totalStake = stake;
        totalNext += stake;
        emit TranscoderActivated(who, activationRound);
    }

    function evict(address who) private {
        removeFromRanking(who);
        totalNext -= delegators[who].delegatedAmount;
        uint256 round = roundsManager().currentRound() + 1;
        transcoders[who].deactivationRound = round;
        emit TranscoderDeactivated(who, round);
    }

    /// Place in the pool, or its size for who is not in it.
    function rank(address who) private view returns (uint256 place) {
        while (place < ranking.length && ranking[place] != who) {
            place++;
        }
    }

    function removeFromRanking(address who) private {
        for (uint256 i = rank(who); i + 1 < ranking.length; i++) {
            ranking[i] = ranking[i + 1];
        }
        ranking.pop();
    }

    function insertIntoRanking(address who) private {
        uint256 stake = delegators[who].delegatedAmount;
        ranking.push(who);
        uint256 i = ranking.length - 1;
        for (; i > 0 && delegators[ranking[i - 1]].delegatedAmount < stake; i--) {
            ranking[i] = ranking[i - 1];
        }
        ranking[i] = who;
    }

    function neighbour(address who, bool after_) private view returns (address) {
        uint256 place = rank(who);
        if (after_) {
            return place + 1 < ranking.length ? ranking[place + 1] : address(0);
        }
        return place > 0 && place < ranking.length ? ranking[place - 1] : address(0);
    }

    /// Keeps the hints of the last write, and whether they named the neighbours that `who` now has.
    function hint(address who, address prev, address next) private {
        (hintPrev, hintNext) = (prev, next);
        hintExact = prev == neighbour(who, false) && next == neighbour(who, true);
    }

    // Rewards and fees

    function rewardWithHint(address prev, address next) public {
        rewardOf(msg.sender, prev, next);
    }

    function reward() external {
        rewardOf(msg.sender, address(0), address(0));
    }

    function setRewardCaller(address caller) external whenOpen {
        transcoderToRewardCaller[msg.sender] = caller;
        emit RewardCallerSet(msg.sender, caller);
    }

    function rewardForTranscoderWithHint(address who, address prev, address next) public {
        require(
            transcoderToRewardCaller[who] == msg.sender,
            "caller must be a reward caller set by the transcoder"
        );
        rewardOf(who, prev, next);
    }

    function rewardForTranscoder(address who) external {
        rewardForTranscoderWithHint(who, address(0), address(0));
    }

    function rewardOf(address who, address prev, address next) private whenOpen whenInitialized {
        uint256 round = roundsManager().currentRound();
        Transcoder storage self = transcoders[who];
        require(isActiveTranscoder(who), "caller must be an active transcoder");
        require(self.lastRewardRound != round, "caller has already called reward for the current round");
        Pool storage pool = self.pools[round];
        if (self.lastStakeUpdate < round) {
            pool.totalStake = self.pools[self.lastStakeUpdate].totalStake;
        }
        (pool.rewardCut, pool.feeShare) = (self.rewardCut, self.feeShare);

        uint256 minted = minter().createReward(pool.totalStake, totalNow);
        uint256 cut = (minted * treasuryRewardCutRate) / 10 ** 27;
        if (cut > 0) {
            address treasury = controller.getContract(keccak256("Treasury"));
            minter().trustedTransferTokens(treasury, cut);
            emit TreasuryReward(who, treasury, cut);
        }
        self.activeRewards = self.rewards;
        self.rewards += minted - cut;
        self.lastRewardRound = round;
        setStake(who, delegators[who].delegatedAmount + minted - cut);
        hint(who, prev, next);
        emit Reward(who, minted - cut);
    }

    function updateTranscoderWithFees(address who, uint256 amount, uint256) external whenOpen {
        require(isRegisteredTranscoder(who), "transcoder must be registered");
        transcoders[who].fees += amount;
        transcoders[who].lastFeeRound = roundsManager().currentRound();
    }

    function claimEarnings(uint256) external whenOpen whenInitialized {
        claimFor(msg.sender);
    }

    function withdrawFees(address payable to, uint256 amount) external whenOpen whenInitialized {
        claimFor(msg.sender);
        require(to != address(0), "invalid recipient");
        require(delegators[msg.sender].fees >= amount, "insufficient fees to withdraw");
        delegators[msg.sender].fees -= amount;
        minter().trustedWithdrawETH(to, amount);
        emit WithdrawFees(msg.sender, to, amount);
    }

    function claimFor(address who) private {
        Delegator storage delegator = delegators[who];
        uint256 round = roundsManager().currentRound();
        if (delegator.lastClaimRound >= round) {
            return;
        }
        (uint256 stake, uint256 fees) = (pendingStake(who, 0), pendingFees(who, 0));
        emit EarningsClaimed(
            delegator.delegate,
            who,
            stake - delegator.bondedAmount,
            fees - delegator.fees,
            delegator.lastClaimRound + 1,
            round
        );
        (delegator.bondedAmount, delegator.fees, delegator.lastClaimRound) = (stake, fees, round);
        if (delegator.delegate == who) {
            (transcoders[who].rewards, transcoders[who].fees) = (0, 0);
        }
    }

    function setCurrentRoundTotalActiveStake() external {
        totalNow = totalNext;
    }

    // Reads

    function getTranscoder(
        address who
    )
        external
        view
        returns (uint256, uint256, uint256, uint256, uint256, uint256, uint256, uint256, uint256, uint256)
    {
        Transcoder storage self = transcoders[who];
        return (
            self.lastRewardRound,
            self.rewardCut,
            self.feeShare,
            self.lastStakeUpdate,
            self.activationRound,
            self.deactivationRound,
            self.activeRewards,
            self.rewards,
            self.fees,
            self.lastFeeRound
        );
    }

    function getDelegator(
        address who
    ) external view returns (uint256, uint256, address, uint256, uint256, uint256, uint256) {
        Delegator storage self = delegators[who];
        return (
            self.bondedAmount,
            self.fees,
            self.delegate,
            self.delegatedAmount,
            self.startRound,
            self.lastClaimRound,
            self.nextLock
        );
    }

    function getDelegatorUnbondingLock(address who, uint256 id) external view returns (uint256, uint256) {
        Lock storage lock = delegators[who].locks[id];
        return (lock.amount, lock.withdrawRound);
    }

    function getTranscoderEarningsPoolForRound(
        address who,
        uint256 round
    ) external view returns (uint256, uint256, uint256, uint256, uint256) {
        Pool storage pool = transcoders[who].pools[round];
        return (pool.totalStake, pool.rewardCut, pool.feeShare, 0, 0);
    }

    function transcoderStatus(address who) external view returns (uint8) {
        return isRegisteredTranscoder(who) ? 1 : 0;
    }

    /// 0 pending, 1 bonded, 2 unbonded.
    function delegatorStatus(address who) public view returns (uint8) {
        if (delegators[who].bondedAmount == 0) {
            return 2;
        }
        return delegators[who].startRound > roundsManager().currentRound() ? 0 : 1;
    }

    function transcoderTotalStake(address who) external view returns (uint256) {
        return delegators[who].delegatedAmount;
    }

    function pendingStake(address who, uint256) public view returns (uint256) {
        uint256 own = delegators[who].delegate == who ? transcoders[who].rewards : 0;
        return delegators[who].bondedAmount + own;
    }

    function pendingFees(address who, uint256) public view returns (uint256) {
        uint256 own = delegators[who].delegate == who ? transcoders[who].fees : 0;
        return delegators[who].fees + own;
    }

    function isActiveTranscoder(address who) public view returns (bool) {
        uint256 round = roundsManager().currentRound();
        return transcoders[who].activationRound <= round && round < transcoders[who].deactivationRound;
    }

    function isRegisteredTranscoder(address who) public view returns (bool) {
        return delegators[who].delegate == who && delegators[who].bondedAmount > 0;
    }

    function getTotalBonded() external view returns (uint256) {
        return totalNow;
    }

    function getTranscoderPoolSize() external view returns (uint256) {
        return ranking.length;
    }

    function getTranscoderPoolMaxSize() external view returns (uint256) {
        return maxSize;
    }

    function getFirstTranscoderInPool() external view returns (address) {
        return ranking.length == 0 ? address(0) : ranking[0];
    }

    function getNextTranscoderInPool(address who) external view returns (address) {
        return neighbour(who, true);
    }

    // Knobs

    /// An active transcoder that bonded `stake` to itself in the round before.
    function addTranscoder(address who, uint256 stake) external {
        uint256 round = roundsManager().currentRound();
        Delegator storage self = delegators[who];
        token().mint(address(minter()), stake);
        (self.delegate, self.startRound, self.lastClaimRound) = (who, round, round - 1);
        self.bondedAmount += stake;
        self.delegatedAmount += stake;
        join(who, round);
        totalNow += stake;
    }

    /// From now until told otherwise, or out with the current round as the first inactive one. The pool stays as it is.
    function setActive(address who, bool active) external {
        uint256 round = roundsManager().currentRound();
        if (active) {
            (transcoders[who].activationRound, transcoders[who].deactivationRound) = (round, type(uint256).max);
            emit TranscoderActivated(who, round);
        } else {
            transcoders[who].deactivationRound = round;
            emit TranscoderDeactivated(who, round);
        }
    }

    function setLastRewardRound(address who, uint256 round) external {
        transcoders[who].lastRewardRound = round;
    }

    function setPoolMax(uint256 size) external {
        maxSize = size;
    }

    function setTreasuryRewardCutRate(uint256 rate) external {
        treasuryRewardCutRate = rate;
    }

    function setUnbondingPeriod(uint64 rounds) external {
        unbondingPeriod = rounds;
    }

    /// Hints of the last write, and whether they were the neighbours after it.
    function lastHints() external view returns (address prev, address next, bool exact) {
        return (hintPrev, hintNext, hintExact);
    }
}
