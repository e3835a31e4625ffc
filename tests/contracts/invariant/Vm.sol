// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Vm
/// @notice The few of forge's cheatcodes that the invariant tests use. They act on the test's own chain.
interface Vm {
    /// @notice The next call comes from this account.
    function prank(address account) external;

    /// @notice Sets the time of the block, seconds.
    function warp(uint256 timestamp) external;

    /// @notice Sets the balance of an account, wei.
    function deal(address account, uint256 balance) external;

    /// @notice The account of a private key.
    function addr(uint256 key) external pure returns (address);

    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    function getNonce(address account) external view returns (uint64);

    /// @notice The creation code in an artifact, named by its path from the root of the repository.
    function getCode(string calldata path) external view returns (bytes memory code);

    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
}
