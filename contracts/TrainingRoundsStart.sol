// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./libraries/Scores.sol";
import {IRoundStart} from "./interfaces/IRoundStart.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsStart
/// @notice What happens before the first round: see {IRoundStart}.
abstract contract TrainingRoundsStart is TrainingRoundsStore, IRoundStart {
    using Clock for State;

    uint256 private constant MAX_ROUNDS = 1000;
    uint256 private constant MAX_BAND = 1000;

    /* MARKET ONLY */

    modifier onlyMarket() {
        if (msg.sender != address(MARKET)) revert ITrainingRounds.TrainingRounds_NotMarket(msg.sender);
        _;
    }

    /// @inheritdoc IRoundStart
    function prepare(uint256 request, ITrainingRounds.RoundPlan calldata plan) external override onlyMarket {
        if (
            plan.terms == 0 || plan.maxError == 0 || plan.maxError > Scores.MAX || plan.target > Scores.MAX
                || plan.maxRounds == 0 || plan.maxRounds > MAX_ROUNDS || plan.leaderRule > 1 || plan.approvalRule > 1
                || plan.voteBand > MAX_BAND
        ) revert ITrainingRounds.TrainingRounds_BadPlan(plan);
        Task storage task = _tasks[request];
        task.plan = Plan({
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
        ITrainingPool.PoolFacts memory pool = POOL.facts(request);
        if (!pool.closed || !pool.enough) revert ITrainingRounds.TrainingRounds_PoolNotReady(request);
        if (POOL.member(request, index).account() != msg.sender || POOL.hasLeft(request, index)) {
            revert ITrainingRounds.TrainingRounds_NotMember(request, index, msg.sender);
        }
        if (index < s.turn) revert ITrainingRounds.TrainingRounds_NotYourTurn(request, index, 0);
        uint256 from = s.mark == 0 ? pool.closedAt : s.mark;
        uint256 opensAt = from + (index - s.turn) * p.startWindow;
        if (block.timestamp < opensAt) revert ITrainingRounds.TrainingRounds_NotYourTurn(request, index, opensAt);
        uint256 deadline = from + uint256(pool.members - s.turn) * p.startWindow;
        if (block.timestamp > deadline) revert ITrainingRounds.TrainingRounds_TooLate(request, deadline);
        if (facts.manifest == 0 || facts.keyHash == 0 || facts.deliveryHash == 0) revert ITrainingRounds.TrainingRounds_Zero();

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
        ITrainingPool.PoolFacts memory pool = POOL.facts(request);
        uint256 from = s.mark == 0 ? pool.closedAt : s.mark;
        bool over = block.timestamp > from + uint256(pool.members - s.turn) * task.plan.startWindow;
        if (!pool.closed || (pool.enough && !over)) revert ITrainingRounds.TrainingRounds_NotExpired(request);
        _end(request, s);
        task.state = s;
    }
}
