// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Quorum} from "../libraries/Quorum.sol";
import {PackedScores, Scores} from "../libraries/Scores.sol";
import {UncheckedArrays} from "../libraries/UncheckedArrays.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {Earned, EarnedLib} from "./libraries/Earned.sol";
import {Judgement} from "./libraries/Judgement.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsEnd
/// @notice How a round of {TrainingRounds} is counted, closed and followed by the next.
abstract contract TrainingRoundsEnd is TrainingRoundsStore, ITrainingRounds {
    using Clock for State;
    using UncheckedArrays for uint256[];

    /// @dev What became of a round. `digest` 0: not final.
    struct Final {
        bytes32 digest;
        uint256 approvals;
        uint256 leader;
        uint256 error_;
        bool reached;
        uint256 refund;
    }

    /* COUNTING */

    /// @inheritdoc ITrainingRounds
    function tally(uint256 request, Anchored calldata votes) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, Phase.Tally);
        Board memory board = _judged(task, s, p, votes);
        board.faults |= _silent(s) | s.voided;

        // Effect: everything anchored goes into the log; the lists' slots are free.
        bytes32 hash = _boardHash(board);
        task.log = keccak256(
            abi.encode(
                task.log,
                s.acted == 0 ? bytes32(0) : task.anchored,
                s.revealed == 0 ? bytes32(0) : task.opened,
                hash
            )
        );
        emit RoundTallied(request, s.round, s.has(Clock.BLIND), board);
        uint256 refund = _refund(p, gas_, 0, PARTS);
        // Effect: with fewer than two that may attest, or after a cancellation in the submissions, nothing follows.
        bool cut = s.has(Clock.HALTED) && s.has(Clock.BLIND);
        if (cut || Scores.count(s.attesters()) < 2 || board.included == 0) {
            Final memory none;
            none.refund = refund;
            _conclude(request, task, s, p, _cohort(task, s, request), board, none, task.log, hash);
            return;
        }
        task.anchored = hash;
        s.acted = 0;
        s.flags &= ~Clock.REOPENED;
        s.phase = Phase.Attest;
        s.mark = uint40(block.timestamp + p.attestWindow);
        task.state = s;
        _pay(request, task, refund);
    }

    /// @inheritdoc ITrainingRounds
    function finalise(uint256 request, Board calldata given, Attestation[] calldata attestations) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, Phase.Finalise);
        Board memory board = given;
        _requireList(task.anchored, _boardHash(board));
        bytes32 list = _requireAttestations(task, s, attestations);
        Cohort memory cohort = _cohort(task, s, request);

        // Effect:
        bytes32 digest = _favourite(attestations, s.voided);
        (uint256 approvals, uint256[] memory errors) = _approvals(attestations, digest, s.voided);
        board.faults |= s.voided | _astray(s, approvals);
        board.points = Judgement.without(board.points, s.voided);
        Final memory f;
        if (Scores.count(approvals) >= _needed(s, p)) f = _final(s, p, cohort, board, digest, approvals, errors);
        f.refund = _refund(p, gas_, 0, PARTS);
        _conclude(request, task, s, p, cohort, board, f, task.log, keccak256(abi.encode(task.anchored, list)));
    }

    /// @inheritdoc ITrainingRounds
    function close(uint256 request) external override {
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, Phase.Failed);
        if (s.round == 1 && !s.has(Clock.HALTED)) {
            _voidStart(request, task, s);
            return;
        }
        Board memory board;
        board.faults = _silent(s) | s.voided;
        Final memory none;
        bytes32 log = s.submitted == 0 ? bytes32(0) : task.log;
        _conclude(request, task, s, p, _cohort(task, s, request), board, none, log, bytes32(0));
    }

    /* INTERNAL */

    /// @dev Fewer than two submitted in round 1: the starter has a fault, and those after it may start.
    function _voidStart(uint256 request, Task storage task, State memory s) private {
        _credit(
            task,
            request,
            Earned(uint256(s.turn) - 1, 0, EarnedLib.pack(1, EarnedLib.VOID_START, 0, address(0)), bytes32(0))
        );
        emit RoundFailed(request, s.round, true);
        s.phase = Phase.Waiting;
        s.round = 0;
        s.returned = 0;
        s.mark = uint40(block.timestamp);
        task.state = s;
    }

    /// @dev A final round: its leader, its error, and whether it meets the target.
    function _final(
        State memory s,
        Plan memory p,
        Cohort memory cohort,
        Board memory board,
        bytes32 digest,
        uint256 approvals,
        uint256[] memory errors
    ) internal pure returns (Final memory f) {
        f.digest = digest;
        f.approvals = approvals;
        f.reached = p.target != 0 && _within(errors, p.target) >= _needed(s, p);
        f.error_ = Quorum.medianError(errors);
        f.leader = Judgement.leader(
            board.included & board.eligible & approvals,
            s.judged(),
            board.medians,
            cohort.seats,
            s.round,
            p.rules & 1,
            _lastLeader(s, cohort.indices)
        );
    }

    function _within(uint256[] memory errors, uint256 target) private pure returns (uint256 good) {
        unchecked {
            for (uint256 i; i < errors.length; ++i) {
                if (errors.get(i) <= target) ++good;
            }
        }
    }

    /// @dev The seat of the last round's leader, NOBODY if it has none in this round.
    function _lastLeader(State memory s, uint256 indices) private pure returns (uint256) {
        if (s.lastLeader != 0) {
            unchecked {
                for (uint256 seat; seat < s.size; ++seat) {
                    if (((indices >> (16 * seat)) & 0xffff) + 1 == s.lastLeader) return seat;
                }
            }
        }
        return Judgement.NOBODY;
    }

    /// @dev Closes a round: credits it, links it into the history, and ends or opens the next.
    function _conclude(
        uint256 request,
        Task storage task,
        State memory s,
        Plan memory p,
        Cohort memory cohort,
        Board memory board,
        Final memory f,
        bytes32 log,
        bytes32 record
    ) internal {
        uint256 points = board.points;
        if (f.digest != 0) {
            points += Judgement.rewards(board.eligible & f.approvals, f.leader);
            ++s.finalRounds;
            s.lastLeader = f.leader == Judgement.NOBODY
                ? 0
                : uint16(((cohort.indices >> (16 * f.leader)) & 0xffff) + 1);
            if (f.reached) s.flags |= Clock.REACHED;
            emit RoundFinalised(request, s.round, f.leader, f.digest, f.error_, f.approvals);
        } else {
            emit RoundFailed(request, s.round, false);
        }
        uint256 flags = s.has(Clock.BLIND) ? EarnedLib.BLIND : 0;
        if (points != 0) {
            ++s.paidRounds;
            flags |= EarnedLib.PAID;
        }
        uint256 extra = EarnedLib.pack(board.faults, flags, f.refund, f.refund == 0 ? address(0) : msg.sender);
        _credit(task, request, Earned(cohort.indices, points, extra, f.digest));
        task.history = _withRound(task.history, s.round, log, record);

        // A small pool that did not agree on a model would not agree on the next either; another cohort may.
        bool over = s.has(Clock.REACHED) || s.has(Clock.HALTED) || s.round == p.maxRounds;
        if (over || (f.digest == 0 && !s.has(Clock.DRAWN))) {
            _end(request, s);
        } else if (s.has(Clock.DRAWN)) {
            task.seed = keccak256(abi.encode(task.seed, block.prevrandao));
            _open(request, task, s, p, _full(s));
        } else {
            _open(request, task, s, p, s.judged() | s.returning);
        }
        task.state = s;
    }

    /// @dev Expected seats that did not submit. Nobody need submit to a request that was cancelled.
    function _silent(State memory s) private pure returns (uint256) {
        return s.has(Clock.HALTED) ? 0 : s.expected & ~s.submitted;
    }

    /* JUDGING */

    /// @dev The board of what was submitted and revealed; marks the round if it is blind.
    function _judged(Task storage task, State memory s, Plan memory p, Anchored calldata votes)
        private
        view
        returns (Board memory board)
    {
        uint256 judged = s.judged();
        if (s.has(Clock.BLIND)) return Judgement.blind(judged, judged);
        bytes32[] memory words = _bySeat(votes, Scores.count(s.revealed), task.opened);
        PackedScores[] memory bySeat;
        // Words are words.
        assembly ("memory-safe") {
            bySeat := words
        }
        bool isBlind;
        (board, isBlind) = Judgement.judge(bySeat, judged, s.revealed & judged, p.maxError, p.voteBand);
        uint256 hidden = s.acted & ~s.revealed;
        if (isBlind) {
            s.flags |= Clock.BLIND;
            // A vote that was committed and not opened is a fault, and whoever is at fault shares in nothing.
            board = Judgement.blind(judged, judged & ~hidden);
        }
        board.faults |= hidden;
    }

    /* ATTESTATIONS */

    /// @dev Of those that attested, since silence must not cost the others; and more than half of all whose models count.
    function _needed(State memory s, Plan memory p) private pure returns (uint256) {
        return Quorum.needed(Scores.count(s.acted & s.attesters()), Scores.count(s.judged()), p.rules >> 1);
    }

    /// @dev The seats at fault in the attestations. Silent ones, if two others show that there was something to attest; those
    /// that attested something else than more than half of all whose models count.
    function _astray(State memory s, uint256 approvals) private pure returns (uint256 seats) {
        uint256 number = Scores.count(approvals);
        if (number >= 2 && !s.has(Clock.HALTED)) seats = s.attesters() & ~s.acted;
        if (2 * number > Scores.count(s.judged())) seats |= s.attesters() & s.acted & ~approvals;
    }

    /// @dev Checks the list; returns its hash.
    function _requireAttestations(Task storage task, State memory s, Attestation[] calldata attestations)
        private
        view
        returns (bytes32 list)
    {
        uint256 number = Scores.count(s.acted);
        _requireNumber(attestations.length, number);
        unchecked {
            for (uint256 i; i < number; ++i) {
                list = _withAttestation(list, attestations[i].seat, attestations[i].digest, attestations[i].error_);
            }
        }
        if (number != 0) _requireList(task.opened, list);
    }

    /// @dev The only digest that can have more than half of the attestations that count (Boyer and Moore), as every quorum
    /// has.
    function _favourite(Attestation[] calldata attestations, uint256 voided) private pure returns (bytes32 digest) {
        uint256 lead;
        unchecked {
            for (uint256 i; i < attestations.length; ++i) {
                if (_has(voided, attestations[i].seat)) continue;
                if (lead == 0) digest = attestations[i].digest;
                lead = attestations[i].digest == digest ? lead + 1 : lead - 1;
            }
        }
    }

    /// @dev The seats that attested the digest, and their errors.
    function _approvals(Attestation[] calldata attestations, bytes32 digest, uint256 voided)
        private
        pure
        returns (uint256 approvals, uint256[] memory errors)
    {
        errors = new uint256[](attestations.length);
        uint256 n;
        unchecked {
            for (uint256 i; i < attestations.length; ++i) {
                Attestation calldata a = attestations[i];
                if (a.digest != digest || _has(voided, a.seat)) continue;
                approvals |= 1 << a.seat;
                errors[n++] = a.error_;
            }
        }
        assembly ("memory-safe") {
            mstore(errors, n)
        }
    }
}
