// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// What the doubles call of each other.
interface IRoundsManager {
    function currentRound() external view returns (uint256);
    function currentRoundInitialized() external view returns (bool);
    function currentRoundLocked() external view returns (bool);
    function blockHashForRound(uint256 round) external view returns (bytes32);
}

interface IBondingManager {
    function setCurrentRoundTotalActiveStake() external;
    function updateTranscoderWithFees(address transcoder, uint256 amount, uint256 round) external;
    function getTranscoderPoolSize() external view returns (uint256);
    function isActiveTranscoder(address transcoder) external view returns (bool);
}

interface IMinter {
    function setCurrentRewardTokens() external;
    function createReward(uint256 stake, uint256 total) external returns (uint256);
    function depositETH() external payable;
    function trustedWithdrawETH(address payable to, uint256 amount) external;
    function trustedTransferTokens(address to, uint256 amount) external;
}

interface IToken {
    function mint(address to, uint256 amount) external;
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}
