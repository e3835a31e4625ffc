// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingPool} from "../interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";
import {Terms} from "../interfaces/Terms.sol";
import {Plan} from "./Clock.sol";
import {Leader} from "./Leader.sol";
import {Scores} from "./Scores.sol";

/// @title Plans
/// @notice What pool and rounds need of a request's terms. The terms must have passed {TermsCheck}.
library Plans {
    /// @dev The weight rule that reads reputations.
    uint256 private constant BY_REPUTATION = 2;
    uint256 private constant MAX_ROUNDS = 1000;
    uint256 private constant MAX_BAND = 1000;

    function ofPool(Terms calldata t, uint256 organisation) internal view returns (ITrainingPool.PoolPlan memory) {
        return ITrainingPool.PoolPlan({
            minPool: t.minPool,
            maxPool: t.maxPool,
            cohort: t.cohort,
            weightRule: t.weightRule,
            sampleCap: t.sampleCap,
            joinDeadline: uint40(block.timestamp + t.joinWindow),
            requesterOrganisation: uint16(organisation),
            reputations: t.weightRule == BY_REPUTATION || t.leaderRule == Leader.REPUTATION
        });
    }

    function ofRounds(Terms calldata t, bytes32 hash) internal pure returns (ITrainingRounds.RoundPlan memory) {
        return ITrainingRounds.RoundPlan({
            terms: hash,
            openers: t.openers.length == 0 ? bytes32(0) : keccak256(abi.encode(t.openers)),
            maxError: t.maxError,
            target: t.target,
            maxRounds: t.maxRounds,
            leaderRule: t.leaderRule,
            approvalRule: t.approvalRule,
            voteBand: t.voteBand,
            startWindow: uint24(t.startWindow),
            submitWindow: uint24(t.submitWindow),
            commitWindow: uint24(t.commitWindow),
            revealWindow: uint24(t.revealWindow),
            attestWindow: uint24(t.attestWindow),
            gasPerRound: uint32(t.gasPerRound / 1 gwei),
            maxGasPrice: uint32(t.maxGasPrice / 1e6)
        });
    }

    /// @notice A plan as rounds keep it; reverts if it is out of bounds.
    function stored(ITrainingRounds.RoundPlan calldata plan) internal pure returns (Plan memory) {
        if (
            plan.terms == 0 || plan.maxError == 0 || plan.maxError > Scores.MAX || plan.target > Scores.MAX
                || plan.maxRounds == 0 || plan.maxRounds > MAX_ROUNDS || plan.leaderRule > 1 || plan.approvalRule > 1
                || plan.voteBand > MAX_BAND
        ) revert ITrainingRounds.TrainingRounds_BadPlan(plan);
        return Plan({
            maxError: plan.maxError,
            target: plan.target,
            maxRounds: plan.maxRounds,
            rules: plan.leaderRule | (plan.approvalRule << 1),
            voteBand: plan.voteBand,
            startWindow: plan.startWindow,
            submitWindow: plan.submitWindow,
            commitWindow: plan.commitWindow,
            revealWindow: plan.revealWindow,
            attestWindow: plan.attestWindow,
            gasPerRound: plan.gasPerRound,
            maxGasPrice: plan.maxGasPrice
        });
    }
}
