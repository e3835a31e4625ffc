// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {ISharingMarket} from "../interfaces/ISharingMarket.sol";
import {Point} from "./Bn254.sol";

/// @title SealedDelivery
/// @notice The sealed key of a final model: whether the start anchored it, and what it opens to.
/// @dev Mirrored by offchain/fedpact/content/delivery.py.
library SealedDelivery {
    /// @notice Whether this is the leaf for `finalRounds` of the tree with this root.
    function isAnchored(ISharingMarket.Delivery calldata d, uint256 finalRounds, bytes32 root)
        internal
        pure
        returns (bool)
    {
        bytes32 leaf = keccak256(abi.encode(finalRounds, d.keyDigest, d.ephemeral, d.cipher));
        return MerkleProof.verifyCalldata(d.proof, root, leaf);
    }

    /// @notice The key that the shared point opens, and whether it is the announced one.
    function open(ISharingMarket.Delivery calldata d, uint256 finalRounds, Point calldata shared)
        internal
        pure
        returns (bytes32 key, bool right)
    {
        key = opened(d.cipher, finalRounds, shared);
        right = keccak256(abi.encode(key)) == d.keyDigest;
    }

    /// @notice What a sealed key opens to with the shared point.
    function opened(bytes32 cipher, uint256 finalRounds, Point calldata shared) internal pure returns (bytes32) {
        return cipher ^ keccak256(abi.encode(shared, finalRounds));
    }
}
