// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Controller} from "Controller.sol";
import {Manager} from "Manager.sol";

/// Rounds counted in L1 blocks. The L1 height is a number that tests set; at zero it is the height of this chain.
contract RoundsManager is Manager {
    uint256 public lastInitializedRound;
    uint256 private length = 5760;
    uint256 private lockAmount = 100_000;

    uint256 private l1;
    uint256 private baseRound;
    uint256 private baseBlock;
    bool private failing;
    mapping(uint256 => bytes32) private hashes;

    event NewRound(uint256 indexed round, bytes32 blockHash);

    constructor(Controller controller_) Manager(controller_) {}

    modifier answering() {
        require(!failing, "calls fail");
        _;
    }

    function blockNum() public view answering returns (uint256) {
        return l1 == 0 ? block.number : l1;
    }

    function currentRound() public view returns (uint256) {
        return baseRound + (blockNum() - baseBlock) / length;
    }

    function currentRoundStartBlock() public view returns (uint256) {
        return baseBlock + (currentRound() - baseRound) * length;
    }

    function currentRoundInitialized() public view returns (bool) {
        return lastInitializedRound == currentRound();
    }

    function currentRoundLocked() public view returns (bool) {
        return blockNum() - currentRoundStartBlock() >= length - (length * lockAmount) / 1_000_000;
    }

    function blockHashForRound(uint256 round) external view answering returns (bytes32) {
        return hashes[round];
    }

    function roundLength() external view answering returns (uint256) {
        return length;
    }

    function roundLockAmount() external view answering returns (uint256) {
        return lockAmount;
    }

    function initializeRound() external whenOpen {
        uint256 round = currentRound();
        require(lastInitializedRound < round, "round already initialized");
        lastInitializedRound = round;
        hashes[round] = keccak256(abi.encode(round, blockhash(block.number - 1)));
        bondingManager().setCurrentRoundTotalActiveStake();
        minter().setCurrentRewardTokens();
        emit NewRound(round, hashes[round]);
    }

    // Knobs

    /// The L1 height; 0 follows the height of this chain.
    function setL1(uint256 height) external {
        l1 = height;
    }

    /// A new length from the start of the current round on.
    function setLength(uint256 blocks) external {
        (baseRound, baseBlock) = (currentRound(), currentRoundStartBlock());
        length = blocks;
        emit ParameterUpdate("roundLength");
    }

    /// Counts rounds anew: `round` began at L1 block `height`.
    function rebase(uint256 round, uint256 height) external {
        (baseRound, baseBlock) = (round, height);
    }

    /// The hash of a round, zero included.
    function setHash(uint256 round, bytes32 value) external {
        hashes[round] = value;
    }

    /// Says that `round` is the last initialized one, without an event.
    function setLastInitialized(uint256 round) external {
        lastInitializedRound = round;
    }

    function failCalls(bool value) external {
        failing = value;
    }
}
