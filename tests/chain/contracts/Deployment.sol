// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BondingManager} from "BondingManager.sol";
import {Controller} from "Controller.sol";
import {Minter} from "Minter.sol";
import {PriceFeed} from "PriceFeed.sol";
import {RoundsManager} from "RoundsManager.sol";
import {ServiceRegistry} from "ServiceRegistry.sol";
import {TicketBroker} from "TicketBroker.sol";
import {Token} from "Token.sol";
import {Faucet, Governor, Poll} from "Voting.sol";

/// Creates and registers all doubles in one transaction. The first round is initialized, and the one before it has a hash.
contract Deployment {
    uint256 private constant ROUND = 3456;
    uint256 private constant L1_BLOCK = 20_000_000;

    Controller public immutable controller = new Controller();
    PriceFeed public immutable priceFeed = new PriceFeed();
    Poll public immutable poll = new Poll();

    constructor() {
        Token token = new Token();
        RoundsManager rounds = new RoundsManager(controller);
        controller.set("LivepeerToken", address(token));
        controller.set("ServiceRegistry", address(new ServiceRegistry()));
        controller.set("BondingManager", address(new BondingManager(controller)));
        controller.set("TicketBroker", address(new TicketBroker(controller)));
        controller.set("RoundsManager", address(rounds));
        controller.set("Minter", address(new Minter(controller)));
        controller.set("LivepeerTokenFaucet", address(new Faucet(token)));
        controller.set("LivepeerGovernor", address(new Governor()));

        priceFeed.setPrice(3000e8);
        rounds.setL1(L1_BLOCK);
        rounds.rebase(ROUND, L1_BLOCK);
        rounds.setHash(ROUND - 1, keccak256("the round before the first"));
        rounds.initializeRound();
    }
}
