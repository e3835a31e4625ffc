// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IRoundStart} from "./interfaces/IRoundStart.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {Plans} from "./libraries/Plans.sol";
import {StartTurns} from "./libraries/StartTurns.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsStart
/// @notice What happens before the first round: see {IRoundStart}.
abstract contract TrainingRoundsStart is TrainingRoundsStore, IRoundStart {
    using Clock for State;

    /* MARKET ONLY */

    modifier onlyMarket() {
        if (msg.sender != address(MARKET)) revert ITrainingRounds.TrainingRounds_NotMarket(msg.sender);
        _;
    }

    /// @inheritdoc IRoundStart
    function prepare(uint256 request, ITrainingRounds.RoundPlan calldata plan) external override onlyMarket {
        Task storage task = _tasks[request];
        task.plan = Plans.stored(plan);
        task.history = plan.terms;
        if (plan.openers != 0) task.openers = plan.openers;
    }

    /// @inheritdoc IRoundStart
    function halt(uint256 request) external override onlyMarket {
        Task storage task = _tasks[request];
        (State memory s,) = _load(task);
        if (s.phase == ITrainingRounds.Phase.None || s.phase == ITrainingRounds.Phase.Ended || s.has(Clock.HALTED)) {
            revert ITrainingRounds.TrainingRounds_WrongPhase(request, s.phase, ITrainingRounds.Phase.Submit);
        }
        s.flags |= Clock.HALTED;
        emit ITrainingRounds.Halted(request);
        if (s.phase == ITrainingRounds.Phase.Waiting) _end(request, s);
        task.state = s;
    }

    /* START */

    /// @inheritdoc IRoundStart
    function start(uint256 request, uint256 index, ITrainingRounds.Start calldata facts) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        Plan memory p = task.plan;
        // Check: the pool is ready, and it is the sender's turn.
        _requirePhase(request, s, ITrainingRounds.Phase.Waiting);
        ITrainingPool.PoolFacts memory pool =
            StartTurns.check(POOL, request, index, s.turn, s.mark, p.startWindow, facts);

        // Effect:
        s.turn = uint16(index + 1);
        uint256 present = pool.members - pool.left;
        s.size = uint8(present < pool.plan.cohort ? present : pool.plan.cohort);
        bytes32 seed;
        if (pool.drawn) {
            s.flags |= Clock.DRAWN;
            // Nothing that the starter chooses, but the block.
            seed = keccak256(abi.encode(request, block.prevrandao));
            task.seed = seed;
        } else if (pool.batches == 1 && pool.left == 0) {
            s.flags |= Clock.WHOLE;
        }
        bytes32 history = _withStart(task.history, facts);
        task.history = history;
        task.deliveryHash = facts.deliveryHash;
        emit ITrainingRounds.Started(request, msg.sender, index, facts);
        _open(request, history, seed, s, p, _full(s));
        task.state = s;
    }

    /// @inheritdoc IRoundStart
    function expire(uint256 request) external override {
        Task storage task = _tasks[request];
        State memory s = _state(task);
        _requirePhase(request, s, ITrainingRounds.Phase.Waiting);
        StartTurns.requireExpired(POOL, request, s.turn, s.mark, task.plan.startWindow);
        _end(request, s);
        task.state = s;
    }
}
