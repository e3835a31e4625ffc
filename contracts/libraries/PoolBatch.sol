// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Where some members of a pool are: their blob, and which they are. Only in memory.
/// @dev From the bottom: blob 160, index of the first member 16, index after the last 16, sum of all weights up to its
/// end 32.
type PoolBatch is uint256;

using PoolBatchLib for PoolBatch global;

/// @title PoolBatchLib
/// @notice Packs and reads a `PoolBatch`.
library PoolBatchLib {
    function pack(address blob_, uint256 first_, uint256 end_, uint256 weight_) internal pure returns (PoolBatch) {
        return PoolBatch.wrap(uint256(uint160(blob_)) | (first_ << 160) | (end_ << 176) | (weight_ << 192));
    }

    function blob(PoolBatch b) internal pure returns (address) {
        return address(uint160(PoolBatch.unwrap(b)));
    }

    /// @notice An array whose elements are not set yet: clearing them would cost 200 gas.
    function allocate(uint256 length) internal pure returns (PoolBatch[] memory batches) {
        assembly ("memory-safe") {
            batches := mload(0x40)
            mstore(batches, length)
            mstore(0x40, add(add(batches, 0x20), shl(5, length)))
        }
    }

    /// @notice Sets an element of an array, without a bounds check.
    function put(PoolBatch[] memory batches, uint256 index, PoolBatch b) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(batches, 0x20), shl(5, index)), b)
        }
    }

    /// @notice An element of an array, without a bounds check.
    function get(PoolBatch[] memory batches, uint256 index) internal pure returns (PoolBatch b) {
        assembly ("memory-safe") {
            b := mload(add(add(batches, 0x20), shl(5, index)))
        }
    }

    /// @notice The index of its first member in the pool.
    function first(PoolBatch b) internal pure returns (uint256) {
        return uint16(PoolBatch.unwrap(b) >> 160);
    }

    /// @notice The index after its last member.
    function end(PoolBatch b) internal pure returns (uint256) {
        return uint16(PoolBatch.unwrap(b) >> 176);
    }

    function count(PoolBatch b) internal pure returns (uint256) {
        unchecked {
            return end(b) - first(b);
        }
    }

    /// @notice The sum of the weights of all members of the pool up to its last.
    function weight(PoolBatch b) internal pure returns (uint256) {
        return uint32(PoolBatch.unwrap(b) >> 192);
    }
}
