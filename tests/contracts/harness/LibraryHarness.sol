// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AttributeTree} from "../../../contracts/libraries/AttributeTree.sol";
import {LeaderOrder, LeaderOrderLib} from "../../../contracts/libraries/LeaderOrder.sol";
import {PointLanes, Points} from "../../../contracts/libraries/Points.sol";
import {Reputation, ReputationSums} from "../../../contracts/libraries/Reputation.sol";
import {PackedScores, Scores} from "../../../contracts/libraries/Scores.sol";
import {Weights} from "../../../contracts/libraries/Weights.sol";

/// @notice The internal library functions, one external function each, for tests alone.
contract LibraryHarness {
    function lane(PackedScores scores, uint256 seat) external pure returns (uint256) {
        return scores.lane(seat);
    }

    function set(PackedScores scores, uint256 seat, uint256 v) external pure returns (PackedScores) {
        return scores.set(seat, v);
    }

    function medians(PackedScores[] memory votes, uint256 submitted, uint256 revealed)
        external
        pure
        returns (PackedScores)
    {
        return Scores.medians(votes, submitted, revealed);
    }

    /// @notice Gas of the medians alone, without call data and set-up.
    function mediansGas(PackedScores[] memory votes, uint256 submitted, uint256 revealed)
        external
        view
        returns (uint256 used, PackedScores result)
    {
        used = gasleft();
        result = Scores.medians(votes, submitted, revealed);
        used -= gasleft();
    }

    /// @notice Gas of a whole tally, without call data and set-up.
    function tallyGas(
        PackedScores[] memory votes,
        uint256 submitted,
        uint256 revealed,
        uint256 maxError,
        uint256 voteBand
    ) external view returns (uint256 used, Points.Tally memory result) {
        used = gasleft();
        result = Points.tally(votes, submitted, revealed, maxError, voteBand);
        used -= gasleft();
    }

    function firstBadLane(PackedScores vote, uint256 seats, uint256 submitted, uint256 own)
        external
        pure
        returns (bool bad, uint256 lane_, uint256 value)
    {
        return vote.firstBadLane(seats, submitted, own);
    }

    function tally(
        PackedScores[] memory votes,
        uint256 submitted,
        uint256 revealed,
        uint256 maxError,
        uint256 voteBand
    ) external pure returns (Points.Tally memory) {
        return Points.tally(votes, submitted, revealed, maxError, voteBand);
    }

    function addPoints(PointLanes lanes, uint256 points, uint256 faults) external pure returns (PointLanes) {
        return lanes.add(points, faults);
    }

    function readPoints(PointLanes lanes, uint256 index) external pure returns (uint256 points, uint256 faults) {
        return lanes.read(index);
    }

    function order(
        uint256 eligible,
        PackedScores medians_,
        uint256[] memory weights,
        address[] calldata accounts,
        uint256 round,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) external pure returns (uint256[] memory seats) {
        LeaderOrder ordered =
            LeaderOrderLib.order(eligible, medians_, weights, accounts, round, rule, reputations, lastLeader);
        seats = new uint256[](Scores.count(eligible));
        for (uint256 rank; rank < seats.length; ++rank) {
            seats[rank] = ordered.leader(rank);
        }
    }

    function rankOf(LeaderOrder ordered, uint256 number, uint256 seat) external pure returns (uint256) {
        return ordered.rankOf(number, seat);
    }

    function first(LeaderOrder ordered, uint256 number) external pure returns (uint256) {
        return ordered.first(number);
    }

    function capped(uint256[] memory samples, uint256 submitted) external pure returns (uint256[] memory) {
        return Weights.capped(samples, submitted);
    }

    function leaf(bytes32 name, bytes32 value, bytes32 salt) external pure returns (bytes32) {
        return AttributeTree.leaf(name, value, salt);
    }

    function verify(bytes32 root, bytes32 leaf_, bytes32[] memory proof) external pure returns (bool) {
        return AttributeTree.verify(root, leaf_, proof);
    }

    /// @notice The fields of a `ReputationSums`.
    struct Sums {
        uint16 period;
        uint48 gains;
        uint40 weights;
        uint32 losses;
    }

    function record(
        Sums memory sums,
        uint256 weight,
        uint256 quality,
        uint256 losses,
        uint256 endedAt,
        uint256 now_
    ) external pure returns (Sums memory) {
        (uint256 period, uint256 fresh) = Reputation.standing(endedAt, now_);
        uint136 packed = ReputationSums.unwrap(
            _pack(sums).record(weight, quality, losses, period, fresh)
        );
        return Sums(uint16(packed), uint48(packed >> 16), uint40(packed >> 64), uint32(packed >> 104));
    }

    function score(Sums memory sums, uint256 now_) external pure returns (uint256) {
        return _pack(sums).score(now_);
    }

    function _pack(Sums memory sums) private pure returns (ReputationSums) {
        return ReputationSums.wrap(uint136(
            uint256(sums.period) | (uint256(sums.gains) << 16) | (uint256(sums.weights) << 64)
                | (uint256(sums.losses) << 104)
        ));
    }
}
