// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Token} from "Token.sol";

/// A poll: it only says who voted.
contract Poll {
    event Vote(address indexed voter, uint256 choiceID);

    function vote(uint256 choice) external {
        emit Vote(msg.sender, choice);
    }
}

/// The governor: it only says who voted, and weighs each vote alike.
contract Governor {
    event VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason);

    function castVote(uint256 proposal, uint8 support) external returns (uint256) {
        return cast(proposal, support, "");
    }

    function castVoteWithReason(uint256 proposal, uint8 support, string calldata reason) external returns (uint256) {
        return cast(proposal, support, reason);
    }

    function cast(uint256 proposal, uint8 support, string memory reason) private returns (uint256) {
        emit VoteCast(msg.sender, proposal, support, 1, reason);
        return 1;
    }
}

/// Gives ten LPT an hour to whoever asks.
contract Faucet {
    Token private immutable token;
    mapping(address => uint256) public nextValidRequest;

    event Request(address indexed to, uint256 amount);

    constructor(Token token_) {
        token = token_;
    }

    function request() external {
        require(block.timestamp >= nextValidRequest[msg.sender], "too early");
        nextValidRequest[msg.sender] = block.timestamp + 1 hours;
        token.mint(msg.sender, 10 ether);
        emit Request(msg.sender, 10 ether);
    }
}
