// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores} from "../libraries/Scores.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Judgement} from "./libraries/Judgement.sol";
import {PoolMember} from "./libraries/PoolMember.sol";

/// @title RoundJudge
/// @notice {Judgement} as a contract without state, which {TrainingRounds} creates for itself: together they would
/// exceed the size of a contract (EIP-170).
contract RoundJudge {
    /// @notice See {Judgement-judge}.
    function judge(
        PackedScores[] calldata votes,
        uint256 submitted,
        uint256 revealed,
        uint256 maxError,
        uint256 voteBand
    ) external pure returns (ITrainingRounds.Board memory board, bool isBlind) {
        return Judgement.judge(votes, submitted, revealed, maxError, voteBand);
    }

    /// @notice See {Judgement-blind}.
    function blind(uint256 submitted) external pure returns (ITrainingRounds.Board memory board) {
        return Judgement.blind(submitted, submitted);
    }

    /// @notice See {Judgement-leader}.
    function leader(
        uint256 candidates,
        uint256 submitted,
        PackedScores medians,
        PoolMember[] calldata members,
        uint256 round,
        uint256 rule,
        uint256 lastLeaderSeat
    ) external pure returns (uint256) {
        return Judgement.leader(candidates, submitted, medians, members, round, rule, lastLeaderSeat);
    }
}
