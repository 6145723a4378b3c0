// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// What one ether costs in dollars. Has no constructor, so that its code may be laid at any address.
contract PriceFeed {
    uint8 public constant decimals = 8;

    string private label;
    int256 private price;
    uint256 private updatedAt;
    uint80 private answers;
    bool private failing;

    function description() external view returns (string memory) {
        return bytes(label).length == 0 ? "ETH / USD" : label;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        require(!failing, "feed fails");
        return (answers, price, updatedAt, updatedAt, answers);
    }

    // Knobs

    /// An answer of now, with 8 decimals; zero and negative ones too.
    function setPrice(int256 value) external {
        (price, updatedAt) = (value, block.timestamp);
        answers += 1;
    }

    function setUpdatedAt(uint256 timestamp) external {
        updatedAt = timestamp;
    }

    function setDescription(string calldata text) external {
        label = text;
    }

    function fail(bool value) external {
        failing = value;
    }
}
