// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores, Scores} from "./Scores.sol";

/// @notice Points and faults of eight seats over a request, 32 bits a seat: 24 bits of points below 8 bits of faults.
/// @dev 1,000 rounds of 10,000 points fit 24 bits. Both parts stop at their maximum and never overflow into the next.
type PointLanes is uint256;

using Points for PointLanes global;

/// @title Points
/// @notice The points of each round, and how points and faults add up over a request.
library Points {
    /// @notice Points for a valid model, in equal parts.
    uint256 internal constant BASE = 1500;
    /// @notice Points in proportion to how far a model's median is below the ceiling.
    uint256 internal constant QUALITY = 7000;
    /// @notice Points in proportion to the number of votes inside the band around the medians.
    uint256 internal constant VOTES = 1000;
    /// @notice Points for the leader whose proposal made the round final.
    uint256 internal constant LEADER = 500;

    uint256 internal constant SEATS_PER_WORD = 8;
    uint256 private constant LANE_BITS = 32;
    uint256 private constant POINT_BITS = 24;
    uint256 private constant MAX_POINTS = type(uint24).max;
    uint256 private constant MAX_FAULTS = type(uint8).max;
    /// @dev The number 1 in each of eight lanes.
    uint256 private constant ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant POINT_LANES = 0x00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff;

    struct Tally {
        /// @dev INVALID where no model was submitted.
        PackedScores medians;
        /// @dev Seats whose model has a valid median.
        uint256 valid;
        /// @dev Valid seats within the ceiling: the models that are aggregated.
        uint256 included;
        /// @dev Seats that share in the round's points: valid, revealed, not adverse.
        uint256 eligible;
        /// @dev Seats that revealed a vote with more than half of its scores outside the band.
        uint256 adverse;
        /// @dev Points of the round, 16 bits a seat, seat i at bit 16 * i; at most BASE + QUALITY + VOTES together.
        uint256 points;
    }

    /// @notice Medians, inclusion and points of a round from its revealed votes.
    /// @param votes One a seat; those of seats outside `revealed` are not read.
    /// @param submitted Seats that submitted a model.
    /// @param revealed Seats whose vote counts; a subset of `submitted`.
    /// @param maxError Ceiling of the request, 1/10,000.
    /// @param voteBand Largest distance of a score from the median that is inside the band, 1/10,000, at most 1,000.
    function tally(
        PackedScores[] memory votes,
        uint256 submitted,
        uint256 revealed,
        uint256 maxError,
        uint256 voteBand
    ) internal pure returns (Tally memory t) {
        t.medians = Scores.medians(votes, submitted, revealed);
        t.valid = t.medians.atMost(Scores.MAX) & submitted;
        t.included = t.medians.atMost(maxError) & t.valid;

        uint256 inBand = Scores.inBand(votes, t.medians, submitted, revealed, voteBand);
        uint256 models = Scores.count(submitted);
        uint256 adverse;
        // A voter scores all models but its own.
        unchecked {
            for (uint256 seat; revealed >> seat != 0; ++seat) {
                if ((revealed >> seat) & 1 == 1 && 2 * _lane(inBand, seat) + 1 < models) adverse |= 1 << seat;
            }
        }
        t.adverse = adverse;
        t.eligible = t.valid & revealed & ~adverse;
        t.points = _shares(t.eligible, t.medians, inBand, maxError);
    }

    /// @notice `lanes` with points and faults added.
    /// @param points 16 bits a seat, seat i at bit 16 * i; bits above the eighth seat are ignored.
    /// @param faults Mask of the seats that get one; bits above the eighth seat are ignored.
    function add(PointLanes lanes, uint256 points, uint256 faults) internal pure returns (PointLanes) {
        // Each sum has a spare bit in its lane here, which shows an overflow.
        unchecked {
            uint256 sums = (PointLanes.unwrap(lanes) & POINT_LANES) + _spreadPoints(points);
            uint256 over = (sums >> POINT_BITS) & ONES;
            sums = (sums & POINT_LANES) | (over * MAX_POINTS);
            uint256 counts = ((PointLanes.unwrap(lanes) >> POINT_BITS) & (ONES * MAX_FAULTS)) + _spreadMask(faults);
            counts -= (counts >> 8) & ONES;
            return PointLanes.wrap((counts << POINT_BITS) | sums);
        }
    }

    /// @notice Points and faults of one of the eight seats.
    function read(PointLanes lanes, uint256 index) internal pure returns (uint256 points, uint256 faults) {
        unchecked {
            uint256 lane = PointLanes.unwrap(lanes) >> (LANE_BITS * index);
            return (lane & MAX_POINTS, (lane >> POINT_BITS) & MAX_FAULTS);
        }
    }

    /// @notice The points of all eight seats together.
    function sum(PointLanes lanes) internal pure returns (uint256 total) {
        // Eight times 24 bits fit 32: the lanes are added pairwise, then all of them by one product.
        unchecked {
            total = ((PointLanes.unwrap(lanes) & POINT_LANES) * ONES) >> 224;
        }
    }

    /// @notice Mask of the seats, of these eight, that have points.
    function earners(PointLanes lanes) internal pure returns (uint256 mask) {
        uint256 points = PointLanes.unwrap(lanes) & POINT_LANES;
        unchecked {
            for (uint256 seat; points != 0; ++seat) {
                if (points & MAX_POINTS != 0) mask |= 1 << seat;
                points >>= LANE_BITS;
            }
        }
    }

    /// @dev Splits each part among the eligible seats, rounded down. 16 bits a seat.
    function _shares(uint256 eligible, PackedScores medians, uint256 inBand, uint256 maxError)
        private
        pure
        returns (uint256 points)
    {
        if (eligible == 0) return 0;

        // Nothing overflows: at most sixteen seats, qualities of at most 10,000 and counts of at most 15.
        unchecked {
            uint256 qualities = medians.below(maxError);
            uint256 qualitySum;
            uint256 voteSum;
            for (uint256 seat; eligible >> seat != 0; ++seat) {
                if ((eligible >> seat) & 1 == 0) continue;
                qualitySum += _lane(qualities, seat);
                voteSum += _lane(inBand, seat);
            }
            // With a sum of zero every seat gets 0, whatever the divisor.
            if (qualitySum == 0) qualitySum = 1;
            if (voteSum == 0) voteSum = 1;
            uint256 base = BASE / Scores.count(eligible);
            for (uint256 seat; eligible >> seat != 0; ++seat) {
                if ((eligible >> seat) & 1 == 0) continue;
                uint256 own = base + QUALITY * _lane(qualities, seat) / qualitySum
                    + VOTES * _lane(inBand, seat) / voteSum;
                points |= own << (16 * seat);
            }
        }
    }

    function _lane(uint256 word, uint256 seat) private pure returns (uint256) {
        unchecked {
            return (word >> (16 * seat)) & 0xffff;
        }
    }

    /// @dev The lowest eight of sixteen lanes of 16 bits as eight of 32.
    function _spreadPoints(uint256 word) private pure returns (uint256) {
        word &= type(uint128).max;
        word = (word | (word << 64)) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        word = (word | (word << 32)) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        return (word | (word << 16)) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    }

    /// @dev The lowest eight bits of a mask as eight lanes of 32 bits.
    function _spreadMask(uint256 mask) private pure returns (uint256) {
        mask &= 0xff;
        mask = (mask | (mask << 124)) & 0x0000000000000000000000000000000f0000000000000000000000000000000f;
        mask = (mask | (mask << 62)) & 0x0000000000000003000000000000000300000000000000030000000000000003;
        return (mask | (mask << 31)) & ONES;
    }
}
