// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores, Scores} from "./Scores.sol";
import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";
import {Leader} from "./Leader.sol";

/// @title Judgement
/// @notice What votes say about a round's models, and what that is worth.
library Judgement {
    /// @notice Points in proportion to how far a model's median is below the ceiling. A model that adds nothing earns nothing,
    /// unless none does.
    uint256 internal constant QUALITY = 8000;
    /// @notice Points in proportion to the number of votes inside the band around the medians.
    uint256 internal constant VOTES = 1000;
    /// @notice Points for attesting the model that became final, in equal parts.
    uint256 internal constant ATTEST = 500;
    /// @notice Points for the leader.
    uint256 internal constant LEADER = 500;

    /// @notice The vote of a member whose slice did not open.
    PackedScores internal constant BLIND = PackedScores.wrap(1 << 255);
    uint256 private constant NOTHING = (1 << 224) - 1;

    /// @notice A round's board, but for the faults of those that did not act.
    /// @dev A minority's BLIND votes count as no vote, without a fault: such a member shares in the quality. With fewer
    /// than two votes models cannot be compared: those that voted share the points as in a blind round.
    /// @param votes One a seat; those of seats outside `revealed` are not read.
    /// @param submitted Seats whose model is judged.
    /// @param revealed Seats that voted; a subset of `submitted`.
    /// @return board `faults`: the adverse voters.
    /// @return isBlind More than half of the votes were BLIND.
    function judge(
        PackedScores[] memory votes,
        uint256 submitted,
        uint256 revealed,
        uint256 maxError,
        uint256 voteBand
    ) internal pure returns (ITrainingRounds.Board memory board, bool isBlind) {
        uint256 voters = revealed;
        unchecked {
            for (uint256 seat; revealed >> seat != 0; ++seat) {
                if (_has(revealed, seat) && PackedScores.unwrap(Scores.get(votes, seat)) == PackedScores.unwrap(BLIND)) {
                    voters ^= 1 << seat;
                }
            }
        }
        isBlind = 2 * Scores.count(revealed ^ voters) > Scores.count(revealed);
        if (isBlind) return (blind(submitted, submitted), true);
        if (Scores.count(voters) < 2) return (blind(submitted, revealed), false);

        board.medians = Scores.medians(votes, submitted, voters);
        uint256 valid = board.medians.atMost(Scores.MAX) & submitted;
        uint256 good = board.medians.atMost(maxError) & valid;
        board.included = good == 0 ? valid : good;
        uint256 inBand = Scores.inBand(votes, board.medians, submitted, voters, voteBand);
        uint256 models = Scores.count(submitted);
        unchecked {
            for (uint256 seat; voters >> seat != 0; ++seat) {
                if (_has(voters, seat) && 2 * _lane(inBand, seat) + 1 < models) board.faults |= 1 << seat;
            }
        }
        board.eligible = valid & revealed & ~board.faults;
        board.points = _shares(board.eligible, good == 0 ? 0 : board.medians.below(maxError), inBand, good == 0);
    }

    /// @notice The board of a round in which nobody could judge: all models are equal.
    /// @param submitted Seats whose model is aggregated.
    /// @param eligible Seats that share the points.
    function blind(uint256 submitted, uint256 eligible) internal pure returns (ITrainingRounds.Board memory board) {
        PackedScores medians = PackedScores.wrap(NOTHING);
        uint256 each = eligible == 0 ? 0 : (QUALITY + VOTES) / Scores.count(eligible);
        for (uint256 seat; submitted >> seat != 0; ++seat) {
            if (!_has(submitted, seat)) continue;
            medians = medians.set(seat, 0);
            if (_has(eligible, seat)) board.points |= each << (16 * seat);
        }
        board.medians = medians;
        board.included = submitted;
        board.eligible = eligible;
    }

    /// @notice What attesting and leading earn.
    /// @param earners Seats that attested the final model and share in the round's points.
    function rewards(uint256 earners, uint256 leaderSeat) internal pure returns (uint256 points) {
        if (earners == 0) return 0;
        uint256 each = ATTEST / Scores.count(earners);
        unchecked {
            for (uint256 seat; earners >> seat != 0; ++seat) {
                if (_has(earners, seat)) points += each << (16 * seat);
            }
            if (leaderSeat != Leader.NOBODY) points += LEADER << (16 * leaderSeat);
        }
    }

    /// @notice A word of points without those of some seats.
    function without(uint256 points, uint256 seats) internal pure returns (uint256) {
        unchecked {
            for (uint256 seat; seats >> seat != 0; ++seat) {
                if (_has(seats, seat)) points &= ~(uint256(0xffff) << (16 * seat));
            }
        }
        return points;
    }

    /// @dev Splits each part among the eligible seats, rounded down. `equal`: quality in equal parts.
    function _shares(uint256 eligible, uint256 qualities, uint256 inBand, bool equal)
        private
        pure
        returns (uint256 points)
    {
        uint256 n = Scores.count(eligible);
        if (n == 0) return 0;
        unchecked {
            uint256 qualitySum;
            uint256 voteSum;
            for (uint256 seat; eligible >> seat != 0; ++seat) {
                if (!_has(eligible, seat)) continue;
                qualitySum += _lane(qualities, seat);
                voteSum += _lane(inBand, seat);
            }
            // All exactly at the ceiling are equal, too.
            equal = equal || qualitySum == 0;
            if (voteSum == 0) voteSum = 1;
            for (uint256 seat; eligible >> seat != 0; ++seat) {
                if (!_has(eligible, seat)) continue;
                uint256 own = VOTES * _lane(inBand, seat) / voteSum;
                own += equal ? QUALITY / n : QUALITY * _lane(qualities, seat) / qualitySum;
                points |= own << (16 * seat);
            }
        }
    }

    function _has(uint256 mask, uint256 seat) private pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }

    function _lane(uint256 word, uint256 seat) private pure returns (uint256) {
        unchecked {
            return (word >> (16 * seat)) & 0xffff;
        }
    }
}
