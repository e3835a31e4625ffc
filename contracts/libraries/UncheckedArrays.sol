// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title UncheckedArrays
/// @notice Access to arrays without bounds checks, for loops that run over a whole array: each check costs some 50 gas,
/// and a tally of sixteen seats would make about a thousand.
library UncheckedArrays {
    function get(uint256[] memory array, uint256 index) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(array, 0x20), shl(5, index)))
        }
    }

    function put(uint256[] memory array, uint256 index, uint256 value) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(array, 0x20), shl(5, index)), value)
        }
    }
}
