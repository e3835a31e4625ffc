// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../../../contracts/interfaces/ITrainingRounds.sol";

/// @notice Rounds whose outcome the test sets.
contract FakeRounds {
    event RoundsPrepared(uint256 indexed request, ITrainingRounds.RoundPlan plan);

    mapping(uint256 request => ITrainingRounds.Outcome) private _outcomes;

    function prepare(uint256 request, ITrainingRounds.RoundPlan calldata plan) external {
        emit RoundsPrepared(request, plan);
    }

    function setOutcome(uint256 request, ITrainingRounds.Outcome calldata given) external {
        _outcomes[request] = given;
    }

    /// @notice Ends the request at once unless a round is open.
    function halt(uint256 request) external {
        ITrainingRounds.Outcome storage o = _outcomes[request];
        require(!o.ended && !o.halted);
        o.halted = true;
        if (o.running) return;
        o.ended = true;
        o.endedAt = uint40(block.timestamp);
    }

    function outcome(uint256 request) external view returns (ITrainingRounds.Outcome memory) {
        return _outcomes[request];
    }
}
