// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Branchless} from "./Branchless.sol";
import {Draw} from "../../../contracts/libraries/Draw.sol";
import {Judgement} from "../../../contracts/libraries/Judgement.sol";
import {PackedScores, Scores} from "../../../contracts/libraries/Scores.sol";

/// @notice What `make symbolic` proves of votes, medians and masks, for all arguments: what the library does to sixteen seats
/// at once is what its documentation says of each.
contract ScoresProofs {
    uint256 private constant SEATS = 16;

    function check_set_changes_one_seat(PackedScores scores, uint256 seat, uint256 other, uint256 score) external pure {
        if (seat >= SEATS || other >= SEATS) return;
        PackedScores found = scores.set(seat, score);
        assert(found.lane(seat) == score & Scores.INVALID);
        assert(other == seat || found.lane(other) == scores.lane(other));
        assert(PackedScores.unwrap(found) >> 224 == PackedScores.unwrap(scores) >> 224);
    }

    function check_count_is_the_number_of_seats(uint16 mask) external pure {
        uint256 seats;
        for (uint256 seat; seat < SEATS; ++seat) {
            seats += (mask >> seat) & 1;
        }
        assert(Scores.count(mask) == seats);
    }

    /// @dev Of five limits: where the limit is a symbol too, its product with sixteen lanes takes a solver too long.
    function check_atMost(PackedScores scores) external pure {
        uint16[5] memory limits = [0, 1, 9_999, 10_000, 16_383];
        for (uint256 i; i < limits.length; ++i) {
            uint256 expected;
            for (uint256 seat; seat < SEATS; ++seat) {
                expected |= Branchless.atMost(scores.lane(seat), limits[i]) << seat;
            }
            assert(Scores.atMost(scores, limits[i]) == expected);
        }
    }

    function check_below(PackedScores scores, uint256 limit, uint256 seat) external pure {
        if (seat >= SEATS || limit > Scores.INVALID) return;
        uint256 score = scores.lane(seat);
        assert(_lane(Scores.below(scores, limit), seat) == (score < limit ? limit - score : 0));
    }

    function check_medians_of_two(PackedScores[2] calldata votes, uint256 seat) external pure {
        if (seat < 3) _checkMedian(_array(votes[0], votes[1], votes[1]), 7, 3, seat);
    }

    function check_medians_of_three(PackedScores[3] calldata votes, uint256 seat) external pure {
        if (seat < 4) _checkMedian(_array(votes[0], votes[1], votes[2]), 15, 7, seat);
    }

    function check_inBand(PackedScores[2] calldata votes, PackedScores medians, uint16 submitted, uint16 band) external pure {
        if (band > 1_000) return;
        uint256 found = Scores.inBand(_array(votes[0], votes[1], votes[1]), medians, submitted, 3, band);
        for (uint256 voter; voter < 2; ++voter) {
            uint256 count;
            for (uint256 seat; seat < SEATS; ++seat) {
                if (seat == voter) continue;
                uint256 vote = votes[voter].lane(seat);
                uint256 median = medians.lane(seat);
                uint256 near = Branchless.atMost(vote, median + band) & Branchless.atMost(median, vote + band);
                count += near & Branchless.bit(submitted, seat);
            }
            assert(_lane(found, voter) == count);
        }
        assert(found >> 32 == 0);
    }

    /// @dev Of four indices, see `check_atMost`: they differ in which bits of a lane they turn.
    function check_contains(uint256 cohort) external pure {
        uint16[4] memory indices = [0, 1, 0x8000, 0xffff];
        for (uint256 i; i < indices.length; ++i) {
            uint256 among;
            assert(!Draw.contains(cohort, 0, indices[i]));
            for (uint256 seat; seat < SEATS; ++seat) {
                among |= Branchless.equal(_lane(cohort, seat), indices[i]);
                assert(Draw.contains(cohort, seat + 1, indices[i]) == (among == 1));
            }
        }
    }

    function check_inOrder(uint256 seats, uint256 seat) external pure {
        if (seats == 0 || seats > SEATS || seat >= SEATS) return;
        assert(_lane(Draw.inOrder(seats), seat) == (seat < seats ? seat : 0));
    }

    /// @dev Any of four seats, for the sake of time: each seat doubles the number of paths.
    function check_without_clears_seats(uint256 points, uint16 seats, uint256 seat) external pure {
        if (seat >= SEATS) return;
        seats &= 0x8421;
        uint256 found = Judgement.without(points, seats);
        assert(_lane(found, seat) == (Branchless.bit(seats, seat) == 1 ? 0 : _lane(points, seat)));
    }

    /// @dev By its definition: as many votes on each side. A model's own vote does not count.
    function _checkMedian(PackedScores[] memory votes, uint256 submitted, uint256 revealed, uint256 seat) private pure {
        uint256 median = Scores.medians(votes, submitted, revealed).lane(seat);
        uint256 n;
        uint256 atMost;
        uint256 atLeast;
        uint256 invalid;
        uint256 sum;
        for (uint256 voter; (revealed >> voter) != 0; ++voter) {
            if (voter == seat) continue;
            uint256 vote = votes[voter].lane(seat);
            ++n;
            atMost += Branchless.atMost(vote, median);
            atLeast += Branchless.atMost(median, vote);
            invalid += Branchless.equal(vote, Scores.INVALID);
            sum += vote;
        }
        assert(2 * atMost >= n && 2 * atLeast >= n);
        assert((median == Scores.INVALID) == (2 * invalid > n));
        if (n == 2 && invalid == 0) assert(median == (sum + 1) / 2);
        if (n == 2 && invalid == 1) assert(median == sum - Scores.INVALID);
    }

    function _array(PackedScores a, PackedScores b, PackedScores c) private pure returns (PackedScores[] memory votes) {
        votes = new PackedScores[](3);
        (votes[0], votes[1], votes[2]) = (a, b, c);
    }

    function _lane(uint256 word, uint256 seat) private pure returns (uint256) {
        return (word >> (16 * seat)) & 0xffff;
    }
}
