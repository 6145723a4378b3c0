// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Controller} from "Controller.sol";
import {IBondingManager, IMinter, IRoundsManager, IToken} from "Interfaces.sol";

/// What the managers share: the controller, its pause, and a knob that makes every write revert.
abstract contract Manager {
    Controller public immutable controller;
    string private refusal;

    event ParameterUpdate(string param);

    constructor(Controller controller_) {
        controller = controller_;
    }

    modifier whenOpen() {
        require(bytes(refusal).length == 0, refusal);
        require(!controller.paused(), "system is paused");
        _;
    }

    modifier whenInitialized() {
        require(roundsManager().currentRoundInitialized(), "current round is not initialized");
        _;
    }

    function bondingManager() internal view returns (IBondingManager) {
        return IBondingManager(controller.getContract(keccak256("BondingManager")));
    }

    function roundsManager() internal view returns (IRoundsManager) {
        return IRoundsManager(controller.getContract(keccak256("RoundsManager")));
    }

    function minter() internal view returns (IMinter) {
        return IMinter(controller.getContract(keccak256("Minter")));
    }

    function token() internal view returns (IToken) {
        return IToken(controller.getContract(keccak256("LivepeerToken")));
    }

    /// Knob: every write reverts with `text` until it is set to the empty string.
    function revertWith(string calldata text) external {
        refusal = text;
    }
}
