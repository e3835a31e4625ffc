// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./ITrainingRounds.sol";

/// @title IRoundStart
/// @notice From a request's creation to its first round, and its cancellation. See {ITrainingRounds}.
interface IRoundStart {
    /// @notice Stores the plan of a new request.
    function prepare(uint256 request, ITrainingRounds.RoundPlan calldata plan) external;

    /// @notice Cancels. Before the start, the request ends at once, and nobody can join any more. While a round is open,
    /// that round is the last: models submitted by its submit deadline are paid as equal, or if the submissions are
    /// over already, the round takes its course. Reverts once the request has ended or was halted.
    function halt(uint256 request) external;

    /// @notice Starts the request: member k (from the first that may still start) from k start windows after the pool
    /// closed, or after a void start.
    /// @param index The sender's index in the pool.
    function start(uint256 request, uint256 index, ITrainingRounds.Start calldata facts) external;

    /// @notice Ends a request that cannot start: too few joined, or nobody started in time.
    function expire(uint256 request) external;
}
