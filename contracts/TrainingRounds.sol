// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores, Scores} from "./libraries/Scores.sol";
import {UncheckedArrays} from "./libraries/UncheckedArrays.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {Judgement} from "./libraries/Judgement.sol";
import {SeatSignatures} from "./libraries/SeatSignatures.sol";
import {TrainingRoundsEnd} from "./TrainingRoundsEnd.sol";
import {TrainingRoundsSteps} from "./TrainingRoundsSteps.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRounds
/// @notice See {ITrainingRounds}.
/// @dev Each function reads state and plan once, advances the state to the present phase, checks and changes it, and writes
/// it once.
contract TrainingRounds is TrainingRoundsEnd {
    using Clock for State;
    using Scores for PackedScores[];
    using SeatSignatures for bytes;
    using UncheckedArrays for uint256[];

    bytes32 private constant ROUND =
        keccak256("Round(uint256 request,uint256 round,bytes32 history,bytes32 record)");

    /// @dev Created here and nowhere else, so that no other code ever works on this storage.
    address private immutable STEPS;

    constructor(address pool, address market) TrainingRoundsStore(pool, market) {
        STEPS = address(new TrainingRoundsSteps(pool, market));
    }

    /// @dev Every function that is not here is one of {IRoundSteps}.
    fallback() external {
        _runSteps();
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
        // A key's account without code calls with the transaction's calldata; any other could hide the record.
        // solhint-disable-next-line avoid-tx-origin
        if (msg.sender != tx.origin || msg.sender.code.length != 0) emit RecordPosted(request, s.round, record);
        (PackedScores[] memory votes, uint256[] memory errors) = _judgements(s, mask, record);
        (Board memory board,) = Judgement.judge(votes, mask, mask, p.maxError, p.voteBand);
        board.faults |= silent;
        Final memory f;
        // Without a model that counts there is nothing to combine, whatever they signed: the round fails, as after a tally.
        if (board.included != 0) f = _final(s, p, cohort, board, record.digest, mask, errors);
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
        result.deliveryHash = task.deliveryHash;
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

    /// @dev The votes of a whole round by seat, and the errors that its seats measured.
    function _judgements(State memory s, uint256 mask, Record calldata record)
        private
        pure
        returns (PackedScores[] memory votes, uint256[] memory errors)
    {
        votes = new PackedScores[](s.size);
        errors = new uint256[](record.votes.length);
        uint256 k;
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (!_has(mask, seat)) continue;
                PackedScores vote = record.votes[k];
                _requireScores(vote, s.size, mask, seat);
                votes.put(seat, vote);
                uint256 error_ = record.errors.lane(seat);
                _requireError(seat, error_);
                errors.put(k++, error_);
            }
        }
    }
}
