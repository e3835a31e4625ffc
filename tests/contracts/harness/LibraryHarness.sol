// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AttributeTree} from "../../../contracts/libraries/AttributeTree.sol";
import {LeaderOrder} from "../../../contracts/libraries/LeaderOrder.sol";
import {Points} from "../../../contracts/libraries/Points.sol";
import {Reputation} from "../../../contracts/libraries/Reputation.sol";
import {Scores} from "../../../contracts/libraries/Scores.sol";
import {Weights} from "../../../contracts/libraries/Weights.sol";

/// @notice The internal library functions, one external function each, for tests alone.
contract LibraryHarness {
    function lane(uint256 word, uint256 seat) external pure returns (uint256) {
        return Scores.lane(word, seat);
    }

    function set(uint256 word, uint256 seat, uint256 v) external pure returns (uint256) {
        return Scores.set(word, seat, v);
    }

    function medians(uint256[] memory words, uint256 submitted, uint256 revealed) external pure returns (uint256) {
        return Scores.medians(words, submitted, revealed);
    }

    /// @notice Gas of the medians alone, without call data and set-up.
    function mediansGas(uint256[] memory words, uint256 submitted, uint256 revealed)
        external
        view
        returns (uint256 used, uint256 result)
    {
        used = gasleft();
        result = Scores.medians(words, submitted, revealed);
        used -= gasleft();
    }

    /// @notice Gas of a whole tally, without call data and set-up.
    function tallyGas(uint256[] memory words, uint256 submitted, uint256 revealed, uint256 maxError, uint256 voteBand)
        external
        view
        returns (uint256 used, Points.Tally memory result)
    {
        used = gasleft();
        result = Points.tally(words, submitted, revealed, maxError, voteBand);
        used -= gasleft();
    }

    function firstBadLane(uint256 word, uint256 seats, uint256 submitted, uint256 own)
        external
        pure
        returns (bool bad, uint256 lane_, uint256 value)
    {
        return Scores.firstBadLane(word, seats, submitted, own);
    }

    function tally(uint256[] memory words, uint256 submitted, uint256 revealed, uint256 maxError, uint256 voteBand)
        external
        pure
        returns (Points.Tally memory)
    {
        return Points.tally(words, submitted, revealed, maxError, voteBand);
    }

    function addPoints(uint256 laneWord, uint256 points, uint256 faults) external pure returns (uint256) {
        return Points.add(laneWord, points, faults);
    }

    function readPoints(uint256 laneWord, uint256 seatInWord) external pure returns (uint256 points, uint256 faults) {
        return Points.read(laneWord, seatInWord);
    }

    function order(
        uint256 eligible,
        uint256 medians_,
        uint256[] memory weights,
        address[] calldata accounts,
        uint256 round,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) external pure returns (uint256[] memory seats) {
        uint256 ordered =
            LeaderOrder.order(eligible, medians_, weights, accounts, round, rule, reputations, lastLeader);
        seats = new uint256[](Scores.count(eligible));
        for (uint256 rank; rank < seats.length; ++rank) {
            seats[rank] = LeaderOrder.leader(ordered, rank);
        }
    }

    function rankOf(uint256 ordered, uint256 number, uint256 seat) external pure returns (uint256) {
        return LeaderOrder.rankOf(ordered, number, seat);
    }

    function first(uint256 ordered, uint256 number) external pure returns (uint256) {
        return LeaderOrder.first(ordered, number);
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

    /// @notice The sums that {Reputation} keeps in one number.
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
        uint136 packed = Reputation.record(_pack(sums), weight, quality, losses, period, fresh);
        return Sums(uint16(packed), uint48(packed >> 16), uint40(packed >> 64), uint32(packed >> 104));
    }

    function score(Sums memory sums, uint256 now_) external pure returns (uint256) {
        return Reputation.score(_pack(sums), now_);
    }

    function _pack(Sums memory sums) private pure returns (uint136) {
        return uint136(
            uint256(sums.period) | (uint256(sums.gains) << 16) | (uint256(sums.weights) << 64)
                | (uint256(sums.losses) << 104)
        );
    }
}
