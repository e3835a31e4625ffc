// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingPool} from "../interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "../interfaces/ITrainingRounds.sol";

/// @title StartTurns
/// @notice Whose turn it is to start a request: the members' in the order of the pool, each one start window after the one
/// before.
library StartTurns {
    /// @notice Reverts unless the sender is this member, and may start now with these facts.
    /// @param turn The lowest pool index that may still start.
    /// @param mark When the turns began; 0: when the pool closed.
    function check(
        ITrainingPool pool_,
        uint256 request,
        uint256 index,
        uint256 turn,
        uint256 mark,
        uint256 startWindow,
        ITrainingRounds.Start calldata facts
    ) internal view returns (ITrainingPool.PoolFacts memory pool) {
        pool = pool_.facts(request);
        if (!pool.closed || !pool.enough) revert ITrainingRounds.TrainingRounds_PoolNotReady(request);
        if (pool_.member(request, index).account() != msg.sender || pool_.hasLeft(request, index)) {
            revert ITrainingRounds.TrainingRounds_NotMember(request, index, msg.sender);
        }
        if (index < turn) revert ITrainingRounds.TrainingRounds_NotYourTurn(request, index, 0);
        uint256 from = mark == 0 ? pool.closedAt : mark;
        uint256 opensAt = from + (index - turn) * startWindow;
        if (block.timestamp < opensAt) revert ITrainingRounds.TrainingRounds_NotYourTurn(request, index, opensAt);
        uint256 deadline = from + (pool.members - turn) * startWindow;
        if (block.timestamp > deadline) revert ITrainingRounds.TrainingRounds_TooLate(request, deadline);
        if (facts.manifest == 0 || facts.keyHash == 0 || facts.deliveryHash == 0) {
            revert ITrainingRounds.TrainingRounds_Zero();
        }
    }

    /// @notice Reverts while somebody may still start or join.
    function requireExpired(
        ITrainingPool pool_,
        uint256 request,
        uint256 turn,
        uint256 mark,
        uint256 startWindow
    ) internal view {
        ITrainingPool.PoolFacts memory pool = pool_.facts(request);
        uint256 from = mark == 0 ? pool.closedAt : mark;
        bool over = block.timestamp > from + (pool.members - turn) * startWindow;
        if (!pool.closed || (pool.enough && !over)) revert ITrainingRounds.TrainingRounds_NotExpired(request);
    }
}
