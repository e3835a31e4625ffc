// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Comparisons as the numbers 0 and 1.
/// @dev A branch on a symbol doubles the number of paths: sixteen seats would make 65,536.
library Branchless {
    function atMost(uint256 a, uint256 b) internal pure returns (uint256 is_) {
        assembly ("memory-safe") {
            is_ := iszero(gt(a, b))
        }
    }

    function equal(uint256 a, uint256 b) internal pure returns (uint256 is_) {
        assembly ("memory-safe") {
            is_ := eq(a, b)
        }
    }

    function bit(uint256 mask, uint256 place) internal pure returns (uint256) {
        return (mask >> place) & 1;
    }
}
