// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AttributeTree} from "../../../contracts/libraries/AttributeTree.sol";
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

    function firstBadLane(PackedScores vote, uint256 seats, uint256 submitted, uint256 own)
        external
        pure
        returns (bool bad, uint256 lane_, uint256 value)
    {
        return vote.firstBadLane(seats, submitted, own);
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
}
