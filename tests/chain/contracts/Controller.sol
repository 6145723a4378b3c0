// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Where every other contract is looked up by the hash of its name. Zero for a name that is not registered.
contract Controller {
    bool public paused;
    mapping(bytes32 => address) private contracts;

    function getContract(bytes32 id) external view returns (address) {
        return contracts[id];
    }

    // Knobs

    function set(string calldata name, address target) external {
        contracts[keccak256(bytes(name))] = target;
    }

    function setPaused(bool value) external {
        paused = value;
    }
}
