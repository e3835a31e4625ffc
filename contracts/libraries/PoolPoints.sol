// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {UncheckedArrays} from "./UncheckedArrays.sol";

/// @title PoolPoints
/// @notice The points of a whole pool in a round: 16 bits a member, sixteen members a word, in the order of the pool.
/// @dev A round gives at most 100 points a member on average, and 1,000 to one member. So the points of 50 rounds fit their
/// 16 bits, and words can be added as they are. Mirrored by offchain/fedpact/consensus/large_rounds.py.
library PoolPoints {
    using UncheckedArrays for uint256[];

    uint256 internal constant MAX_ROUNDS = 50;
    uint256 internal constant MEMBERS_PER_WORD = 16;
    /// @notice Most points of one member in a round.
    uint256 internal constant MOST = 1_000;
    /// @notice Most points of a round for each member of the pool.
    uint256 internal constant MEAN = 100;
    /// @notice The judges have at most one point of so many that the round gives, however few these are.
    uint256 internal constant PER_JUDGES_POINT = 10;

    uint256 private constant LANE = 0xffff;
    /// @dev Every second lane, with room above it.
    uint256 private constant HALF = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    /// @dev What lifts a lane above MOST to bit 16, and that bit.
    uint256 private constant LIFT = 0x0000fc170000fc170000fc170000fc170000fc170000fc170000fc170000fc17;
    uint256 private constant LIFTED = 0x0001000000010000000100000001000000010000000100000001000000010000;

    /// @notice There is not one word for every sixteen members, or a lane beyond the last member is not zero.
    error PoolPoints_WrongLength(uint256 words, uint256 members);
    /// @notice A member of this word has more than 1,000 points.
    error PoolPoints_TooMany(uint256 word);
    /// @notice The round, or its judges together, have more points than they may have.
    error PoolPoints_TooManyInAll(uint256 points, uint256 most);

    /// @notice The sum of all points; reverts where they are out of bounds.
    /// @param committee The pool index of each judge, 16 bits a seat.
    /// @param seats How many judges there are.
    function check(uint256[] memory points, uint256 members, uint256 committee, uint256 seats)
        internal
        pure
        returns (uint256 total)
    {
        uint256 words = (members + MEMBERS_PER_WORD - 1) / MEMBERS_PER_WORD;
        uint256 last = members % MEMBERS_PER_WORD;
        if (points.length != words || (last != 0 && points[words - 1] >> (16 * last) != 0)) {
            revert PoolPoints_WrongLength(points.length, members);
        }
        unchecked {
            for (uint256 i; i < words; ++i) {
                uint256 word = points.get(i);
                uint256 low = word & HALF;
                uint256 high = (word >> 16) & HALF;
                if (((low + LIFT) | (high + LIFT)) & LIFTED != 0) revert PoolPoints_TooMany(i);
                total += low + high;
            }
            // Eight sums of 32 bits each: 2^32 leaves 1 in this division, and so does each of its powers.
            total %= type(uint32).max;
            if (total > MEAN * members) revert PoolPoints_TooManyInAll(total, MEAN * members);
            uint256 own;
            for (uint256 seat; seat < seats; ++seat) {
                own += pointsOf(points, (committee >> (16 * seat)) & LANE);
            }
            if (PER_JUDGES_POINT * own > total) revert PoolPoints_TooManyInAll(own, total / PER_JUDGES_POINT);
        }
    }

    /// @notice The points of one member.
    function pointsOf(uint256[] memory points, uint256 index) internal pure returns (uint256) {
        return (points.get(index / MEMBERS_PER_WORD) >> (16 * (index % MEMBERS_PER_WORD))) & LANE;
    }
}
