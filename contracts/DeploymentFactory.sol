// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title DeploymentFactory
/// @notice Creates contracts whose addresses are known beforehand and the same on every chain.
/// @dev The contracts of a deployment name each other in their constructors, so CREATE2 alone cannot place them: the
/// address would depend on the code, and the code on the address. This factory is created by CREATE2 through the
/// deterministic deployer that most chains have (0x4e59b44847b379578588920cA78FbF26c0B4956C), and its k-th contract by
/// CREATE, whose address depends on the factory's address and k alone.
contract DeploymentFactory {
    /// @notice Who may create contracts here; part of the factory's own address.
    address public immutable OWNER;
    /// @notice How many contracts were created.
    uint256 public count;

    /// @notice The k-th contract, from 1, is there.
    event Created(uint256 indexed k, address created);

    /// @notice Only the owner may create contracts here.
    error DeploymentFactory_NotOwner(address caller);
    /// @notice The constructor of the k-th contract failed.
    error DeploymentFactory_Failed(uint256 k);

    constructor(address owner) {
        OWNER = owner;
    }

    /// @notice Creates the next contract. One that fails takes no number.
    /// @param code Creation code with the constructor's arguments.
    function create(bytes calldata code) external returns (address created) {
        if (msg.sender != OWNER) revert DeploymentFactory_NotOwner(msg.sender);
        uint256 k = ++count;
        bytes memory creation = code;
        assembly ("memory-safe") {
            created := create(0, add(creation, 0x20), mload(creation))
        }
        if (created == address(0)) revert DeploymentFactory_Failed(k);
        emit Created(k, created);
    }
}
