// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {UncheckedArrays} from "./UncheckedArrays.sol";

/// @notice Sixteen 14-bit scores in one word, lane i (bits 14*i to 14*i+13) for seat i. Unit 1/10,000, lower is better;
/// `Scores.INVALID` marks a model that could not be scored.
type PackedScores is uint256;

using Scores for PackedScores global;

/// @title Scores
/// @notice Reads and compares `PackedScores`: votes and medians.
/// @dev Packed maths runs on "wide" words: the same sixteen scores in 16-bit lanes. The top bit of a wide lane is a
/// guard: set it in a, subtract b, and it survives exactly where a >= b, without a borrow reaching the next lane.
/// Seat masks have bit i for seat i.
library Scores {
    using UncheckedArrays for uint256[];

    uint256 internal constant MAX = 10_000;
    uint256 internal constant INVALID = 16_383;
    uint256 internal constant SEATS = 16;

    uint256 internal constant BITS = 14;
    uint256 private constant PACKED_BITS = 224;

    /// @dev The number 1 in each wide lane; times x < 2^16 it is x in each lane.
    uint256 private constant ONES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant GUARDS = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant ALL_INVALID = 0x3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff;

    /// @dev The lower eight lanes, the lower four of each eight, the lower two of each four, every second lane: at their
    /// positions in the steps between packed and wide.
    uint256 private constant EIGHTS = 0x000000000000000000000000000000000000ffffffffffffffffffffffffffff;
    uint256 private constant FOURS = 0x000000000000000000ffffffffffffff000000000000000000ffffffffffffff;
    uint256 private constant TWOS = 0x000000000fffffff000000000fffffff000000000fffffff000000000fffffff;
    uint256 private constant EVEN = 0x00003fff00003fff00003fff00003fff00003fff00003fff00003fff00003fff;

    /// @notice The score of `seat`.
    function lane(PackedScores scores, uint256 seat) internal pure returns (uint256) {
        // Seats and bits are small numbers, here and below.
        unchecked {
            return (PackedScores.unwrap(scores) >> (BITS * seat)) & INVALID;
        }
    }

    /// @notice `scores` with that of `seat` replaced by `v`, of which only the low 14 bits count.
    function set(PackedScores scores, uint256 seat, uint256 v) internal pure returns (PackedScores) {
        unchecked {
            uint256 shift = BITS * seat;
            return PackedScores.wrap((PackedScores.unwrap(scores) & ~(INVALID << shift)) | ((v & INVALID) << shift));
        }
    }

    /// @notice The median of the revealed votes on each submitted model, the vote of its own seat left out. Odd count:
    /// the middle one. Even count: the mean of the middle two, rounded up; the lower one if the upper is INVALID, so that
    /// it takes more than half of the votes to make a model invalid. No votes, or no submission: INVALID.
    /// @param votes One a seat; those of seats outside `revealed` are not read.
    /// @param submitted Seats whose model is judged.
    /// @param revealed Seats whose vote counts; a subset of `submitted`.
    function medians(PackedScores[] memory votes, uint256 submitted, uint256 revealed)
        internal
        pure
        returns (PackedScores)
    {
        uint256[] memory sorted = _sortedToMiddle(votes, revealed);
        unchecked {
            uint256 voters = _spread(revealed) * INVALID;
            uint256 silent = _spread(submitted & ~revealed) * INVALID;
            uint256 wide = ALL_INVALID & ~(voters | silent);
            // A voter's model has one vote fewer: its own, which was sorted to the end as INVALID.
            if (voters != 0) wide |= _middle(sorted, sorted.length - 1) & voters;
            if (silent != 0) wide |= _middle(sorted, sorted.length) & silent;
            return _narrow(wide);
        }
    }

    /// @notice The first lane of a vote that is neither a score nor INVALID, or that must be empty and is not: the voter's
    /// own, one without a submission, or the bits above the last lane (reported as lane 16).
    /// @param seats Number of seats in the committee.
    /// @param submitted Seats whose model is judged.
    /// @param own Seat of the voter.
    function firstBadLane(PackedScores vote, uint256 seats, uint256 submitted, uint256 own)
        internal
        pure
        returns (bool bad, uint256 lane_, uint256 value)
    {
        uint256 judged = submitted & ((1 << seats) - 1) & ~(1 << own);
        uint256 wide = _widen(vote);
        uint256 inRange = _guards(MAX * ONES, wide) | _guards(wide, ALL_INVALID);
        uint256 inPlace = _guards(0, wide) | (_spread(judged) << 15);
        uint256 wrong = GUARDS & ~(inRange & inPlace);
        if (wrong == 0) {
            uint256 above = PackedScores.unwrap(vote) >> PACKED_BITS;
            return (above != 0, SEATS, above);
        }
        for (wrong >>= 15; wrong & 1 == 0; wrong >>= 16) {
            ++lane_;
        }
        return (true, lane_, lane(vote, lane_));
    }

    /// @notice Seats whose score is at most `limit`, which is at most INVALID.
    function atMost(PackedScores scores, uint256 limit) internal pure returns (uint256) {
        return _notAbove(_widen(scores), limit * ONES);
    }

    /// @notice How far each score is below `limit`, which is at most INVALID; 0 where it is not below. 16 bits a
    /// seat, seat i at bit 16 * i.
    function below(PackedScores scores, uint256 limit) internal pure returns (uint256) {
        unchecked {
            uint256 wide = _widen(scores);
            uint256 limits = limit * ONES;
            return ((limits | GUARDS) - wide) & _fill(_guards(limits, wide));
        }
    }

    /// @notice For each revealed vote, the number of models it scores within `band` of their median, its own left out: 16
    /// bits a seat, seat i at bit 16 * i.
    /// @dev Only INVALID is in the band around INVALID, as long as `band` < INVALID - MAX.
    /// @param votes One a seat; those of seats outside `revealed` are not read.
    function inBand(
        PackedScores[] memory votes,
        PackedScores medians_,
        uint256 submitted,
        uint256 revealed,
        uint256 band
    ) internal pure returns (uint256 counts) {
        uint256 judged = _spread(submitted) << 15;
        unchecked {
            uint256 middle = _widen(medians_);
            uint256 reach = GUARDS + band * ONES;
            uint256 middleReach = middle + reach;
            for (uint256 seat; revealed >> seat != 0; ++seat) {
                if ((revealed >> seat) & 1 == 0) continue;
                uint256 vote = _widen(get(votes, seat));
                // Guards survive where vote + band >= median and median + band >= vote.
                uint256 near = (vote + reach - middle) & (middleReach - vote) & judged & ~(1 << (16 * seat + 15));
                // The highest lane of the product is the sum of all lanes.
                counts |= (((near >> 15) * ONES) >> 240) << (16 * seat);
            }
        }
    }

    /// @notice An element of an array, without a bounds check (see `UncheckedArrays`).
    function get(PackedScores[] memory votes, uint256 seat) internal pure returns (PackedScores vote) {
        assembly ("memory-safe") {
            vote := mload(add(add(votes, 0x20), shl(5, seat)))
        }
    }

    /// @notice Sets an element of an array, without a bounds check.
    function put(PackedScores[] memory votes, uint256 index, PackedScores vote) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(votes, 0x20), shl(5, index)), vote)
        }
    }

    /// @notice Number of seats in a mask of at most sixteen.
    function count(uint256 mask) internal pure returns (uint256) {
        unchecked {
            mask -= (mask >> 1) & 0x5555;
            mask = (mask & 0x3333) + ((mask >> 2) & 0x3333);
            mask = (mask + (mask >> 4)) & 0x0f0f;
            return (mask + (mask >> 8)) & 0x1f;
        }
    }

    /// @dev The revealed votes as wide words, each voter's own lane INVALID, in each lane ascending by word up to and
    /// including the middle: a selection sort of sixteen columns at once.
    function _sortedToMiddle(PackedScores[] memory votes, uint256 revealed) private pure returns (uint256[] memory sorted) {
        uint256 n = count(revealed);
        sorted = new uint256[](n);
        unchecked {
            uint256 filled;
            for (uint256 seat; filled < n; ++seat) {
                if ((revealed >> seat) & 1 == 0) continue;
                sorted.put(filled++, _widen(get(votes, seat)) | (INVALID << (16 * seat)));
            }
        }
        // Each word up to the middle is compared with every later one: lane by lane the lower score stays, the higher
        // one moves on. `lowest` keeps its guards set. `end` is never 0: the term only keeps the guards on the stack,
        // where the compiler would otherwise rebuild the constant in each step.
        assembly ("memory-safe") {
            let word := add(sorted, 0x20)
            let end := add(word, shl(5, n))
            let last := add(word, shl(5, shr(1, n)))
            let guards := or(GUARDS, iszero(end))
            for {} and(lt(word, end), iszero(gt(word, last))) { word := add(word, 0x20) } {
                let lowest := or(mload(word), guards)
                for { let later := add(word, 0x20) } lt(later, end) { later := add(later, 0x20) } {
                    let other := mload(later)
                    let notBelow := and(sub(lowest, other), guards)
                    let swap := and(xor(lowest, other), sub(notBelow, shr(15, notBelow)))
                    lowest := xor(lowest, swap)
                    mstore(later, xor(other, swap))
                }
                mstore(word, xor(lowest, guards))
            }
        }
    }

    /// @dev In each lane the median of the lowest `votes` of `sorted`.
    function _middle(uint256[] memory sorted, uint256 votes) private pure returns (uint256) {
        if (votes == 0) return ALL_INVALID;
        uint256 upper = sorted[votes / 2];
        if (votes % 2 == 1) return upper;
        uint256 lower = sorted[votes / 2 - 1];
        // At most 2 * 16,383 + 1 a lane: nothing is carried over, and the mask drops the neighbour's shifted bit.
        unchecked {
            uint256 mean = ((lower + upper + ONES) >> 1) & ALL_INVALID;
            uint256 invalid = _fill(_guards(upper, ALL_INVALID));
            return (mean & ~invalid) | (lower & invalid);
        }
    }

    /// @dev Seats whose lane of `a` is not above that of `b`.
    function _notAbove(uint256 a, uint256 b) private pure returns (uint256 mask) {
        mask = _guards(b, a) >> 15;
        mask = (mask | (mask >> 15)) & 0x0000000300000003000000030000000300000003000000030000000300000003;
        mask = (mask | (mask >> 30)) & 0x000000000000000f000000000000000f000000000000000f000000000000000f;
        mask = (mask | (mask >> 60)) & 0x000000000000000000000000000000ff000000000000000000000000000000ff;
        mask = (mask | (mask >> 120)) & 0xffff;
    }

    /// @dev The guard bit of each lane where `a` >= `b`.
    function _guards(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            return ((a | GUARDS) - b) & GUARDS;
        }
    }

    /// @dev All fifteen bits below each guard that is set.
    function _fill(uint256 guards) private pure returns (uint256) {
        unchecked {
            return (guards - (guards >> 15)) & ALL_INVALID;
        }
    }

    /// @dev A seat mask as wide lanes: the number 1 for a seat in the mask.
    function _spread(uint256 mask) private pure returns (uint256) {
        mask = (mask | (mask << 120)) & 0x000000000000000000000000000000ff000000000000000000000000000000ff;
        mask = (mask | (mask << 60)) & 0x000000000000000f000000000000000f000000000000000f000000000000000f;
        mask = (mask | (mask << 30)) & 0x0000000300000003000000030000000300000003000000030000000300000003;
        return (mask | (mask << 15)) & ONES;
    }

    /// @dev 14-bit lanes to 16-bit lanes, by halves: the upper eight lanes move up, then of each eight the upper four,
    /// of each four the upper two, of each two the upper one.
    function _widen(PackedScores scores) private pure returns (uint256) {
        uint256 word = PackedScores.unwrap(scores) & ((1 << PACKED_BITS) - 1);
        uint256 lower = word & EIGHTS;
        word = lower | ((word ^ lower) << 16);
        lower = word & FOURS;
        word = lower | ((word ^ lower) << 8);
        lower = word & TWOS;
        word = lower | ((word ^ lower) << 4);
        lower = word & EVEN;
        return lower | ((word ^ lower) << 2);
    }

    /// @dev The inverse of `_widen`, for words without guards.
    function _narrow(uint256 wide) private pure returns (PackedScores) {
        uint256 lower = wide & EVEN;
        wide = lower | ((wide ^ lower) >> 2);
        lower = wide & TWOS;
        wide = lower | ((wide ^ lower) >> 4);
        lower = wide & FOURS;
        wide = lower | ((wide ^ lower) >> 8);
        lower = wide & EIGHTS;
        return PackedScores.wrap(lower | ((wide ^ lower) >> 16));
    }
}
