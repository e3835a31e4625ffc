// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

import {PackedScores, Scores} from "../libraries/Scores.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {SeatSignatures} from "./libraries/SeatSignatures.sol";
import {TrainingRoundsEnd} from "./TrainingRoundsEnd.sol";
import {TrainingRoundsSteps} from "./TrainingRoundsSteps.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRounds
/// @notice See {ITrainingRounds}.
/// @dev Each function reads state and plan once, advances the state to the present phase, checks and changes it, and writes
/// it once. Several steps fit one transaction by `multicall`.
contract TrainingRounds is TrainingRoundsEnd, Multicall {
    using Clock for State;
    using SeatSignatures for bytes;

    bytes32 private constant ROUND =
        keccak256("Round(uint256 request,uint256 round,bytes32 history,bytes32 record)");

    uint256 private constant MAX_ROUNDS = 1000;
    uint256 private constant MAX_BAND = 1000;

    /// @dev Created here and nowhere else, so that no other code ever works on this storage.
    address private immutable STEPS;

    constructor(address pool, address market) TrainingRoundsStore(pool, market) {
        STEPS = address(new TrainingRoundsSteps(pool, market));
    }

    /// @dev Every function that is not here is one of {IRoundSteps}.
    fallback() external {
        _runSteps();
    }

    /* MARKET ONLY */

    modifier onlyMarket() {
        if (msg.sender != address(MARKET)) revert TrainingRounds_NotMarket(msg.sender);
        _;
    }

    /// @inheritdoc ITrainingRounds
    function prepare(uint256 request, RoundPlan calldata plan) external override onlyMarket {
        if (
            plan.terms == 0 || plan.maxError == 0 || plan.maxError > Scores.MAX || plan.target > Scores.MAX
                || plan.maxRounds == 0 || plan.maxRounds > MAX_ROUNDS || plan.leaderRule > 1 || plan.approvalRule > 1
                || plan.voteBand > MAX_BAND
        ) revert TrainingRounds_BadPlan(plan);
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
        task.state.phase = Phase.Waiting;
        if (plan.openers != 0) task.openers = plan.openers;
    }

    /// @inheritdoc ITrainingRounds
    function halt(uint256 request) external override onlyMarket {
        Task storage task = _tasks[request];
        (State memory s,) = _load(task);
        if (s.phase == Phase.None || s.phase == Phase.Ended || s.has(Clock.HALTED)) {
            revert TrainingRounds_WrongPhase(request, s.phase, Phase.Submit);
        }
        s.flags |= Clock.HALTED;
        emit Halted(request);
        if (s.phase == Phase.Waiting) _end(request, s);
        task.state = s;
    }

    /* START */

    /// @inheritdoc ITrainingRounds
    function start(uint256 request, uint256 index, Start calldata facts) external override {
        Task storage task = _tasks[request];
        State memory s = task.state;
        Plan memory p = task.plan;
        // Check: the pool is ready, and it is the sender's turn.
        _requirePhase(request, s, Phase.Waiting);
        ITrainingPool.PoolFacts memory pool = POOL.facts(request);
        if (!pool.closed || !pool.enough) revert TrainingRounds_PoolNotReady(request);
        if (POOL.member(request, index).account() != msg.sender || POOL.hasLeft(request, index)) {
            revert TrainingRounds_NotMember(request, index, msg.sender);
        }
        if (index < s.turn) revert TrainingRounds_NotYourTurn(request, index, 0);
        uint256 from = s.mark == 0 ? pool.closedAt : s.mark;
        uint256 opensAt = from + (index - s.turn) * p.startWindow;
        if (block.timestamp < opensAt) revert TrainingRounds_NotYourTurn(request, index, opensAt);
        uint256 deadline = from + uint256(pool.members - s.turn) * p.startWindow;
        if (block.timestamp > deadline) revert TrainingRounds_TooLate(request, deadline);
        if (facts.manifest == 0 || facts.keyHash == 0 || facts.deliveryHash == 0) revert TrainingRounds_Zero();

        // Effect:
        s.turn = uint16(index + 1);
        uint256 present = pool.members - pool.left;
        s.size = uint8(present < pool.plan.cohort ? present : pool.plan.cohort);
        if (pool.drawn) {
            s.flags |= Clock.DRAWN;
            // Nothing that the starter chooses, but the block.
            task.seed = keccak256(abi.encode(request, block.prevrandao));
        }
        task.history = _withStart(task.history, facts);
        task.keyHash = facts.keyHash;
        task.deliveryHash = facts.deliveryHash;
        emit Started(request, msg.sender, index, facts);
        _open(request, task, s, p, _full(s));
        task.state = s;
    }

    /// @inheritdoc ITrainingRounds
    function expire(uint256 request) external override {
        Task storage task = _tasks[request];
        State memory s = task.state;
        _requirePhase(request, s, Phase.Waiting);
        ITrainingPool.PoolFacts memory pool = POOL.facts(request);
        uint256 from = s.mark == 0 ? pool.closedAt : s.mark;
        bool over = block.timestamp > from + uint256(pool.members - s.turn) * task.plan.startWindow;
        if (!pool.closed || (pool.enough && !over)) revert TrainingRounds_NotExpired(request);
        _end(request, s);
        task.state = s;
    }

    /* A ROUND AT ONCE */

    /// @inheritdoc ITrainingRounds
    function postRound(uint256 request, Record calldata record, bytes calldata signatures) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        Cohort memory cohort = _cohort(task, s, request);
        // Check: whoever counts has signed.
        uint256 mask = _signers(request, s);
        if (record.digest == 0) revert TrainingRounds_Zero();
        uint256 n = Scores.count(mask);
        _requireNumber(record.digests.length, n);
        _requireNumber(record.votes.length, n);
        bytes32 hash = keccak256(abi.encode(record));
        _requireSigned(cohort, mask, signatures, keccak256(abi.encode(ROUND, request, s.round, task.history, hash)));

        // Effect:
        uint256 silent = s.expected & ~mask;
        bytes32 log = s.submitted == 0 ? bytes32(0) : task.log;
        s.submitted |= uint16(mask);
        s.revealed = s.acted = uint16(mask);
        s.flags = (s.flags | Clock.EVER) & ~Clock.BLIND;
        emit RoundPosted(request, s.round, mask, hash);
        (Board memory board,) =
            JUDGE.judge(_votesOf(s, mask, record.votes), mask, mask, p.maxError, p.voteBand);
        board.faults |= silent;
        Final memory f = _final(s, p, cohort, board, record.digest, mask, _errorsOf(mask, record.errors));
        f.refund = _refund(p, gas_, n, 1);
        _conclude(request, task, s, p, cohort, board, f, log, hash);
    }

    /* VIEWS */

    /// @inheritdoc ITrainingRounds
    function outcome(uint256 request) external view override returns (Outcome memory result) {
        Task storage task = _tasks[request];
        State memory s = task.state;
        result.ended = s.phase == Phase.Ended;
        result.running = s.round != 0 && !result.ended;
        result.halted = s.has(Clock.HALTED);
        result.anySubmission = s.has(Clock.EVER);
        result.reached = s.has(Clock.REACHED);
        result.endedAt = result.ended ? s.mark : 0;
        result.finalRounds = s.finalRounds;
        result.paidRounds = s.paidRounds;
        result.earned = task.earned;
        result.keyHash = task.keyHash;
        result.deliveryHash = task.deliveryHash;
    }

    /// @inheritdoc ITrainingRounds
    function openTerms(uint256 request) external view override returns (bytes32) {
        Task storage task = _tasks[request];
        Phase phase = task.state.phase;
        if (phase != Phase.Waiting) revert TrainingRounds_WrongPhase(request, phase, Phase.Waiting);
        return task.history;
    }

    /* CHECKS */

    /// @dev The seats that must sign a whole round: until the submissions are over, all expected; then those that submitted.
    function _signers(uint256 request, State memory s) private pure returns (uint256 mask) {
        bool failed = s.phase == Phase.Failed;
        if (!failed && (s.phase < Phase.Submit || s.phase > Phase.Tally)) {
            revert TrainingRounds_WrongPhase(request, s.phase, Phase.Submit);
        }
        mask = s.judged();
        if (failed || s.phase == Phase.Submit) mask |= s.expected & ~s.voided;
        if (Scores.count(mask) < 2) revert TrainingRounds_BadMask(request, mask, _full(s));
    }

    function _requireSigned(Cohort memory cohort, uint256 mask, bytes calldata signatures, bytes32 body) private view {
        bytes32 digest = _hashTypedDataV4(body);
        uint256 signed;
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (_has(mask, seat)) signed = signatures.check(signed, cohort.seats[seat].account(), digest);
            }
        }
    }

    /* INTERNAL */

    /// @dev Ends the call with what the other half of the code answers.
    function _runSteps() private {
        address steps = STEPS;
        assembly ("memory-safe") {
            let from := mload(0x40)
            calldatacopy(from, 0, calldatasize())
            let done := delegatecall(gas(), steps, from, calldatasize(), 0, 0)
            returndatacopy(from, 0, returndatasize())
            if iszero(done) { revert(from, returndatasize()) }
            return(from, returndatasize())
        }
    }

    /// @dev The votes of a whole round by seat.
    function _votesOf(State memory s, uint256 mask, PackedScores[] calldata given)
        private
        pure
        returns (PackedScores[] memory votes)
    {
        votes = new PackedScores[](s.size);
        uint256 k;
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (!_has(mask, seat)) continue;
                votes[seat] = given[k++];
                _requireScores(votes[seat], s.size, mask, seat);
            }
        }
    }

    function _errorsOf(uint256 mask, PackedScores errors) private pure returns (uint256[] memory found) {
        found = new uint256[](Scores.count(mask));
        uint256 k;
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (!_has(mask, seat)) continue;
                uint256 error_ = errors.lane(seat);
                _requireError(seat, error_);
                found[k++] = error_;
            }
        }
    }
}
