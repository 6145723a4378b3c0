// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Under which address an orchestrator serves. Has no constructor, so that its code may be laid at any address.
contract ServiceRegistry {
    mapping(address => string) private uris;

    event ServiceURIUpdate(address indexed addr, string serviceURI);

    function getServiceURI(address addr) external view returns (string memory) {
        return uris[addr];
    }

    function setServiceURI(string calldata uri) external {
        uris[msg.sender] = uri;
        emit ServiceURIUpdate(msg.sender, uri);
    }
}
