// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores} from "../../../contracts/libraries/Scores.sol";
import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";
import {Judgement} from "../../../contracts/libraries/Judgement.sol";
import {Leader} from "../../../contracts/libraries/Leader.sol";
import {PoolMember} from "../../../contracts/libraries/PoolMember.sol";

/// @notice The functions of {Judgement} as a contract.
contract JudgementHarness {
    function judge(
        PackedScores[] calldata votes,
        uint256 submitted,
        uint256 revealed,
        uint256 maxError,
        uint256 voteBand
    ) external pure returns (ITrainingRounds.Board memory board, bool isBlind) {
        return Judgement.judge(votes, submitted, revealed, maxError, voteBand);
    }

    function leader(
        uint256 candidates,
        uint256 submitted,
        PackedScores medians,
        PoolMember[] calldata members,
        uint256 round,
        uint256 rule,
        uint256 lastLeaderSeat
    ) external pure returns (uint256) {
        return Leader.leader(candidates, submitted, medians, members, round, rule, lastLeaderSeat);
    }
}
