// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PoolBatch} from "./PoolBatch.sol";
import {PoolMember} from "./PoolMember.sol";

/// @title Draw
/// @notice The numbers by which a cohort is drawn.
library Draw {
    /// @notice How many draws are made for each seat on average, before the next members in order take the rest.
    uint256 internal constant DRAWS_PER_SEAT = 8;

    /// @dev The indices 0 to 15 as a cohort.
    uint256 private constant IN_ORDER = 0x000f000e000d000c000b000a0009000800070006000500040003000200010000;
    /// @dev The number 1 in each lane, and the top bit of each.
    uint256 private constant ONES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant TOPS = 0x8000800080008000800080008000800080008000800080008000800080008000;

    /// @notice A number below `bound`, the `ordinal`-th of a seed: keccak256(seed, ordinal) modulo the bound.
    /// @dev The bound has 32 bits: no value is likelier than another by more than 2^-224.
    function below(bytes32 seed, uint256 ordinal, uint256 bound) internal pure returns (uint256 drawn) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(0x20, ordinal)
            drawn := mod(keccak256(0, 0x40), bound)
        }
    }

    /// @notice Draws seats from a pool in which all weigh alike and that nobody left.
    /// @dev {below}, {contains} and a read of {MemberBlob} in one loop: called one by one they cost twice as much.
    /// @param batches All of the pool, ascending.
    /// @param members The size of the pool, above the number of seats.
    /// @param seats Receives the members drawn.
    /// @return cohort The index of each seat drawn.
    /// @return drawn How many seats were drawn: all, but for long odds.
    function alike(bytes32 seed, PoolBatch[] memory batches, uint256 members, PoolMember[] memory seats)
        internal
        view
        returns (uint256 cohort, uint256 drawn)
    {
        assembly ("memory-safe") {
            let seat := add(seats, 0x20)
            let end := add(seat, shl(5, mload(seats)))
            let most := mul(DRAWS_PER_SEAT, mload(seats))
            // 16 bits for each seat drawn.
            let shift := 0
            mstore(0, seed)
            for { let ordinal := 0 } and(lt(seat, end), lt(ordinal, most)) { ordinal := add(ordinal, 1) } {
                mstore(0x20, ordinal)
                let index := mod(keccak256(0, 0x40), members)
                // As in {contains}.
                let lanes := xor(cohort, mul(index, ONES))
                if shl(sub(256, shift), and(and(sub(lanes, ONES), not(lanes)), TOPS)) { continue }
                let at := add(batches, 0x20)
                let batch := mload(at)
                for {} iszero(lt(index, and(shr(176, batch), 0xffff))) {} {
                    at := add(at, 0x20)
                    batch := mload(at)
                }
                // A member has 31 bytes. The address is the batch's low 160 bits: the machine ignores the others.
                extcodecopy(batch, seat, add(1, mul(31, sub(index, and(shr(160, batch), 0xffff)))), 31)
                mstore(seat, shr(8, mload(seat)))
                cohort := or(cohort, shl(shift, index))
                shift := add(shift, 16)
                seat := add(seat, 0x20)
            }
            drawn := shr(4, shift)
        }
    }

    /// @notice The cohort of a pool that takes part as a whole and that nobody left: the indices below `seats` (1 to 16).
    function inOrder(uint256 seats) internal pure returns (uint256) {
        return IN_ORDER & (type(uint256).max >> (256 - 16 * seats));
    }

    /// @notice Whether the first `seats` lanes of a cohort contain an index.
    function contains(uint256 cohort, uint256 seats, uint256 index) internal pure returns (bool) {
        unchecked {
            // In `lanes` equal lanes are 0. Taking 1 from each sets the top bit of the lowest of them; a lane above it can be
            // wrong by the borrow, one below cannot.
            uint256 lanes = cohort ^ (index * ONES);
            return ((lanes - ONES) & ~lanes & TOPS) << (256 - 16 * seats) != 0;
        }
    }
}
