// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Controller} from "Controller.sol";
import {Token} from "Token.sol";

/// Holds the ether of the senders and the stakes, and says how much a round mints.
contract Minter {
    Controller public immutable controller;

    uint256 public currentMintableTokens;
    uint256 public inflation = 200_000;
    uint256 public inflationChange = 500;
    uint256 public targetBondingRate = 500_000_000;
    uint256 private mintable = 137 ether;
    uint256 private globalSupply;

    event SetCurrentRewardTokens(uint256 currentMintableTokens, uint256 currentInflation);

    constructor(Controller controller_) {
        controller = controller_;
    }

    function token() private view returns (Token) {
        return Token(controller.getContract(keccak256("LivepeerToken")));
    }

    function getGlobalTotalSupply() external view returns (uint256) {
        return globalSupply == 0 ? token().totalSupply() : globalSupply;
    }

    function setCurrentRewardTokens() external {
        currentMintableTokens = mintable;
        emit SetCurrentRewardTokens(mintable, inflation);
    }

    /// Mints the share of an active transcoder, in parts of 10^9 as the protocol does.
    function createReward(uint256 stake, uint256 total) external returns (uint256 amount) {
        amount = total == 0 ? 0 : (currentMintableTokens * ((stake * 1e9) / total)) / 1e9;
        token().mint(address(this), amount);
    }

    function depositETH() external payable {}

    function trustedWithdrawETH(address payable to, uint256 amount) external {
        (bool sent, ) = to.call{value: amount}("");
        require(sent, "transfer failed");
    }

    function trustedTransferTokens(address to, uint256 amount) external {
        token().transfer(to, amount);
    }

    // Knobs

    /// What each later round may mint, and at once what the current one may.
    function setMintable(uint256 amount) external {
        (mintable, currentMintableTokens) = (amount, amount);
    }

    function setRates(uint256 inflation_, uint256 change, uint256 target) external {
        (inflation, inflationChange, targetBondingRate) = (inflation_, change, target);
    }

    /// 0 stands for the supply of the token here.
    function setGlobalTotalSupply(uint256 amount) external {
        globalSupply = amount;
    }
}
