// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Scores
/// @notice Sixteen 14-bit scores packed into one word, lane i (bits 14*i to 14*i+13) belonging to seat i. Unit 1/10,000,
/// lower is better; INVALID marks a model that could not be scored.
/// @dev Packed maths runs on "wide" words: the same sixteen scores in 16-bit lanes. The top bit of a wide lane is a
/// guard: set it in a, subtract b, and it survives exactly where a >= b, without a borrow reaching the next lane.
/// Seat masks have bit i for seat i.
library Scores {
    uint256 internal constant MAX = 10_000;
    uint256 internal constant INVALID = 16_383;
    uint256 internal constant SEATS = 16;

    uint256 private constant BITS = 14;
    uint256 private constant PACKED_BITS = 224;

    /// @dev The number 1 in each wide lane; times x < 2^16 it is x in each lane.
    uint256 private constant ONES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant GUARDS = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant ALL_INVALID = 0x3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff3fff;

    /// @notice The score that `word` holds for `seat`.
    function lane(uint256 word, uint256 seat) internal pure returns (uint256) {
        return (word >> (BITS * seat)) & INVALID;
    }

    /// @notice `word` with the score of `seat` replaced by `v`, of which only the low 14 bits count.
    function set(uint256 word, uint256 seat, uint256 v) internal pure returns (uint256) {
        uint256 shift = BITS * seat;
        return (word & ~(INVALID << shift)) | ((v & INVALID) << shift);
    }

    /// @notice The median of the revealed votes on each submitted model, the vote of its own seat left out. Odd count:
    /// the middle one. Even count: the mean of the middle two, rounded up, or INVALID where the upper one is. No votes,
    /// or no submission: INVALID.
    /// @param words One packed vote a seat; those of seats outside `revealed` are not read.
    /// @param submitted Seats whose model is judged.
    /// @param revealed Seats whose vote counts; a subset of `submitted`.
    function medians(uint256[] memory words, uint256 submitted, uint256 revealed) internal pure returns (uint256) {
        uint256[] memory sorted = _sortedToMiddle(words, revealed);
        uint256 voters = _seatsToLanes(revealed);
        uint256 silent = _seatsToLanes(submitted & ~revealed);
        // A voter's model has one vote fewer: its own, which was sorted to the end as INVALID.
        uint256 wide = ALL_INVALID & ~(voters | silent);
        if (sorted.length > 0) wide |= _middle(sorted, sorted.length - 1) & voters;
        return _narrow(wide | (_middle(sorted, sorted.length) & silent));
    }

    /// @notice The first lane of a vote that is neither a score nor INVALID, or is not empty though its seat is not
    /// judged: the voter's own, one without a submission, or the bits above the last lane (reported as lane 16).
    /// @param seats Number of seats in the committee.
    /// @param submitted Seats whose model is judged.
    /// @param own Seat of the voter.
    function firstBadLane(uint256 word, uint256 seats, uint256 submitted, uint256 own)
        internal
        pure
        returns (bool bad, uint256 lane_, uint256 value)
    {
        uint256 judged = submitted & ((1 << seats) - 1) & ~(1 << own);
        uint256 wide = _widen(word);
        uint256 outOfRange = ~(_notAbove(wide, MAX * ONES) | _notAbove(ALL_INVALID, wide));
        uint256 strays = ~_notAbove(wide, 0) & ~judged;
        uint256 wrong = (outOfRange | strays) & 0xffff;
        if (wrong == 0) return (word >> PACKED_BITS != 0, SEATS, word >> PACKED_BITS);
        while (wrong & 1 == 0) {
            wrong >>= 1;
            ++lane_;
        }
        return (true, lane_, lane(word, lane_));
    }

    /// @notice Seats whose lane of `word` is at most `limit`, which is at most INVALID.
    function atMost(uint256 word, uint256 limit) internal pure returns (uint256) {
        return _notAbove(_widen(word), limit * ONES);
    }

    /// @notice Seats whose lanes of `a` and `b` differ by at most `band`.
    /// @dev INVALID is in the band of INVALID alone as long as `band` < INVALID - MAX.
    function inBand(uint256 a, uint256 b, uint256 band) internal pure returns (uint256) {
        (uint256 low, uint256 high) = _minMax(_widen(a), _widen(b));
        return _notAbove(high - low, band * ONES);
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
    function _sortedToMiddle(uint256[] memory words, uint256 revealed) private pure returns (uint256[] memory sorted) {
        sorted = new uint256[](count(revealed));
        uint256 n;
        for (uint256 seat; seat < words.length; ++seat) {
            if ((revealed >> seat) & 1 == 0) continue;
            sorted[n++] = _widen(words[seat]) | (INVALID << (16 * seat));
        }
        for (uint256 i; i < n && i <= n / 2; ++i) {
            uint256 lowest = sorted[i];
            for (uint256 j = i + 1; j < n; ++j) {
                (lowest, sorted[j]) = _minMax(lowest, sorted[j]);
            }
            sorted[i] = lowest;
        }
    }

    /// @dev In each lane the median of the lowest `votes` of `sorted`.
    function _middle(uint256[] memory sorted, uint256 votes) private pure returns (uint256) {
        if (votes == 0) return ALL_INVALID;
        uint256 upper = sorted[votes / 2];
        if (votes % 2 == 1) return upper;
        uint256 lower = sorted[votes / 2 - 1];
        // At most 2 * 16,383 + 1 a lane: nothing is carried over, and the mask drops the neighbour's shifted bit.
        uint256 mean = ((lower + upper + ONES) >> 1) & ALL_INVALID;
        return mean | _fill(_guards(upper, ALL_INVALID));
    }

    /// @dev Lane by lane the lower and the higher of two wide words.
    function _minMax(uint256 a, uint256 b) private pure returns (uint256 low, uint256 high) {
        uint256 swap = (a ^ b) & _fill(_guards(a, b));
        return (a ^ swap, b ^ swap);
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

    /// @dev A seat mask as wide lanes: 14 ones for a seat in the mask.
    function _seatsToLanes(uint256 mask) private pure returns (uint256) {
        mask = (mask | (mask << 120)) & 0x000000000000000000000000000000ff000000000000000000000000000000ff;
        mask = (mask | (mask << 60)) & 0x000000000000000f000000000000000f000000000000000f000000000000000f;
        mask = (mask | (mask << 30)) & 0x0000000300000003000000030000000300000003000000030000000300000003;
        mask = (mask | (mask << 15)) & ONES;
        return mask * INVALID;
    }

    /// @dev 14-bit lanes to 16-bit lanes, by halves: eight lanes move together, then four, two, one.
    function _widen(uint256 word) private pure returns (uint256) {
        uint256 low = word & 0x0000000000000000000000000000000000000000ffffffffffffffffffffffffffff;
        low = (low & 0x00ffffffffffffff) | ((low & 0xffffffffffffff00000000000000) << 8);
        uint256 high = (word >> 112) & 0xffffffffffffffffffffffffffff;
        high = (high & 0x00ffffffffffffff) | ((high & 0xffffffffffffff00000000000000) << 8);
        word = low | (high << 128);
        word = (word & 0x000000000fffffff000000000fffffff000000000fffffff000000000fffffff)
            | ((word & 0x00fffffff000000000fffffff000000000fffffff000000000fffffff0000000) << 4);
        return (word & 0x00003fff00003fff00003fff00003fff00003fff00003fff00003fff00003fff)
            | ((word & 0x0fffc0000fffc0000fffc0000fffc0000fffc0000fffc0000fffc0000fffc000) << 2);
    }

    /// @dev The inverse of `_widen`.
    function _narrow(uint256 wide) private pure returns (uint256 word) {
        word = (wide & 0x00003fff00003fff00003fff00003fff00003fff00003fff00003fff00003fff)
            | ((wide >> 2) & 0x0fffc0000fffc0000fffc0000fffc0000fffc0000fffc0000fffc0000fffc000);
        word = (word & 0x000000000fffffff000000000fffffff000000000fffffff000000000fffffff)
            | ((word >> 4) & 0x00fffffff000000000fffffff000000000fffffff000000000fffffff0000000);
        uint256 low = word & 0xffffffffffffffffffffffffffffffff;
        uint256 high = word >> 128;
        low = (low & 0x00ffffffffffffff) | ((low >> 8) & 0xffffffffffffff00000000000000);
        high = (high & 0x00ffffffffffffff) | ((high >> 8) & 0xffffffffffffff00000000000000);
        return low | (high << 112);
    }
}
