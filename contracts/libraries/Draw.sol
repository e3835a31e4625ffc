// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Draw
/// @notice The numbers by which a cohort is drawn.
library Draw {
    /// @notice How many draws are made for each seat on average, before the next members in order take the rest.
    uint256 internal constant DRAWS_PER_SEAT = 8;

    /// @dev The indices 0 to 15 as a cohort.
    uint256 private constant IN_ORDER = 0x000f000e000d000c000b000a0009000800070006000500040003000200010000;
    /// @dev The number 1 in each lane, and all bits but the top one of each.
    uint256 private constant ONES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant LOW = 0x7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff7fff;

    /// @notice A number below `bound`, the `ordinal`-th of a seed: keccak256(seed, ordinal) modulo the bound.
    /// @dev The bound has 32 bits: no value is likelier than another by more than 2^-224.
    function below(bytes32 seed, uint256 ordinal, uint256 bound) internal pure returns (uint256 drawn) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(0x20, ordinal)
            drawn := mod(keccak256(0, 0x40), bound)
        }
    }

    /// @notice The cohort of a pool that takes part as a whole and that nobody left: the indices below `seats` (1 to 16).
    function inOrder(uint256 seats) internal pure returns (uint256) {
        return IN_ORDER & (type(uint256).max >> (256 - 16 * seats));
    }

    /// @notice Whether the first `seats` lanes of a cohort contain an index.
    function contains(uint256 cohort, uint256 seats, uint256 index) internal pure returns (bool) {
        unchecked {
            // In `lanes` equal lanes are 0. Adding sets the top bit of every lane whose lower bits are not all 0, and never
            // carries into the next.
            uint256 lanes = cohort ^ (index * ONES);
            uint256 equal = ~(((lanes & LOW) + LOW) | lanes) & ~LOW;
            return equal & ((uint256(1) << (16 * seats)) - 1) != 0;
        }
    }
}
