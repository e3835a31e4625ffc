// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title AttributeTree
/// @notice Merkle tree over salted attributes of a data profile.
/// @dev Leaves and nodes are hashed under different first bytes, so that a node cannot pass for a leaf
/// (RFC 6962, section 2.1). Siblings are sorted before hashing, so that a proof needs no positions.
library AttributeTree {
    bytes1 private constant LEAF = 0x00;
    bytes1 private constant NODE = 0x01;

    /// @notice The leaf of one attribute.
    function leaf(bytes32 name, bytes32 value, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(bytes.concat(LEAF, abi.encode(name, value, salt)));
    }

    /// @notice Whether `leaf_` hashes up to `root` along the siblings in `proof`, lowest first.
    function verify(bytes32 root, bytes32 leaf_, bytes32[] memory proof) internal pure returns (bool) {
        bytes32 hash = leaf_;
        for (uint256 i; i < proof.length; ++i) {
            hash = _node(hash, proof[i]);
        }
        return hash == root;
    }

    function _node(bytes32 a, bytes32 b) private pure returns (bytes32) {
        (a, b) = a < b ? (a, b) : (b, a);
        return keccak256(bytes.concat(NODE, a, b));
    }
}
