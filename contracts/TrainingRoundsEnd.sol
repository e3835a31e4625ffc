// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {Quorum} from "./libraries/Quorum.sol";
import {PackedScores, Scores} from "./libraries/Scores.sol";
import {UncheckedArrays} from "./libraries/UncheckedArrays.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {Earned, EarnedLib} from "./libraries/Earned.sol";
import {Judgement} from "./libraries/Judgement.sol";
import {Leader} from "./libraries/Leader.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsEnd
/// @notice How a round of {TrainingRounds} is counted, closed and followed by the next.
abstract contract TrainingRoundsEnd is TrainingRoundsStore, ITrainingRounds {
    using Clock for State;
    using Scores for PackedScores[];
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

    /// @dev What a refund is computed from: the gas that was left at first, the seats that the call acts for, and into how
    /// many parts like this one the round's cap is split.
    struct Spent {
        uint256 gas_;
        uint256 seats;
        uint256 parts;
    }

    /* COUNTING */

    /// @inheritdoc ITrainingRounds
    function revealVotes(
        uint256 request,
        Anchored calldata anchored,
        uint256 mask,
        PackedScores[] calldata votes,
        bytes32[] calldata salts
    ) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, Phase.Reveal);
        _requireMask(request, mask, s.acted & ~(uint256(s.revealed) | s.voided));
        _requireNumber(votes.length, Scores.count(mask));
        _requireNumber(salts.length, votes.length);
        bytes32 log = task.log;
        (uint256[] memory commitments, PackedScores[] memory bySeat) = _sinceSlice(anchored, s, log);
        Cohort memory cohort = _cohort(task, s, request);
        uint256 k;
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (!_has(mask, seat)) continue;
                PackedScores vote = votes[k];
                bytes32 opened = keccak256(
                    abi.encode(
                        block.chainid, address(this), request, s.round, cohort.seats[seat].account(), vote, salts[k++]
                    )
                );
                bytes32 commitment = bytes32(commitments.get(seat));
                if (opened != commitment) revert TrainingRounds_CommitmentMismatch(seat, commitment, opened);
                if (PackedScores.unwrap(vote) != PackedScores.unwrap(Judgement.BLIND)) {
                    _requireScores(vote, s.size, s.submitted, seat);
                }
                bySeat.put(seat, vote);
                log = _withValue(log, seat, bytes32(PackedScores.unwrap(vote)));
            }
        }

        // Effect:
        bool large = _covers(mask, s.acted);
        s.revealed |= uint16(mask);
        s.advance(p, block.timestamp);
        emit VotesRevealed(request, s.round, mask, votes);
        if (s.phase == Phase.Tally) {
            // Two parts of a round in one call; who opened few votes is refunded the tally alone.
            Spent memory spent = large ? Spent(gas_, Scores.count(mask), PARTS / 2) : Spent(gasleft(), 0, PARTS);
            _count(request, task, s, p, cohort, bySeat, log, spent);
            return;
        }
        task.log = log;
        task.state = s;
        if (large) _repay(request, task, p, gas_, mask);
    }

    /// @inheritdoc ITrainingRounds
    function tally(uint256 request, Anchored calldata anchored) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, Phase.Tally);
        bytes32 log = task.log;
        (, PackedScores[] memory votes) = _sinceSlice(anchored, s, log);
        _count(request, task, s, p, _cohort(task, s, request), votes, log, Spent(gas_, 0, PARTS));
    }

    /// @inheritdoc ITrainingRounds
    function finalise(
        uint256 request,
        Tallied calldata tallied,
        Attestation[] calldata attestations,
        uint256 mask,
        bytes32 digest,
        PackedScores errors,
        bytes calldata signatures
    ) external override {
        Spent memory spent = Spent(gasleft(), 0, PARTS);
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        Board memory board = tallied.board;
        Cohort memory cohort = _cohort(task, s, request);
        if (mask != 0) {
            _requirePhase(request, s, Phase.Attest);
            _requireMask(request, mask, s.attesters() & ~s.acted);
        }
        bytes32 log = task.log;
        Attestation[] memory all =
            _attestations(log, _withBoard(tallied.log, board), s, attestations, Scores.count(mask));
        if (mask != 0) {
            log = _attested(request, s, cohort, mask, digest, errors, signatures, log);
            _append(all, attestations.length, mask, digest, errors);
            if (_covers(mask, s.attesters())) {
                spent.seats = Scores.count(mask);
                spent.parts = PARTS / 2;
            }
            s.acted |= uint16(mask);
            s.advance(p, block.timestamp);
        }
        _requirePhase(request, s, Phase.Finalise);

        // Effect:
        bytes32 favourite = _favourite(all, s.voided);
        (uint256 approvals, uint256[] memory measured) = _approvals(all, favourite, s.voided);
        board.faults |= s.voided | _astray(s, approvals);
        board.points = Judgement.without(board.points, s.voided);
        Final memory f;
        if (Scores.count(approvals) >= _needed(s, p)) f = _final(s, p, cohort, board, favourite, approvals, measured);
        f.refund = _refund(p, spent.gas_, spent.seats, spent.parts);
        _conclude(request, task, s, p, cohort, board, f, log, bytes32(0));
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

    /// @dev Judges the votes; then the attestations follow, or the round's end.
    function _count(
        uint256 request,
        Task storage task,
        State memory s,
        Plan memory p,
        Cohort memory cohort,
        PackedScores[] memory votes,
        bytes32 log,
        Spent memory spent
    ) private {
        Board memory board = _judged(s, p, votes);
        board.faults |= _silent(s) | s.voided;
        emit RoundTallied(request, s.round, s.has(Clock.BLIND), board, log);
        log = _withBoard(log, board);
        uint256 refund = _refund(p, spent.gas_, spent.seats, spent.parts);
        // Effect: with fewer than two that may attest, or after a cancellation in the submissions, nothing follows.
        bool cut = s.has(Clock.HALTED) && s.has(Clock.BLIND);
        if (cut || Scores.count(s.attesters()) < 2 || board.included == 0) {
            Final memory none;
            none.refund = refund;
            _conclude(request, task, s, p, cohort, board, none, log, bytes32(0));
            return;
        }
        task.log = log;
        s.acted = 0;
        s.flags &= ~Clock.REOPENED;
        s.phase = Phase.Attest;
        s.mark = uint40(block.timestamp + p.attestWindow);
        task.state = s;
        _pay(request, task, refund);
    }

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
        f.leader = Leader.leader(
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
        return Leader.NOBODY;
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
            s.lastLeader = f.leader == Leader.NOBODY
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
        bytes32 history = _withRound(task.history, s.round, log, record);
        task.history = history;

        // A small pool that did not agree on a model would not agree on the next either; another cohort may.
        bool over = s.has(Clock.REACHED) || s.has(Clock.HALTED) || s.round == p.maxRounds;
        if (over || (f.digest == 0 && !s.has(Clock.DRAWN))) {
            _end(request, s);
        } else if (s.has(Clock.DRAWN)) {
            bytes32 seed = Hashes.efficientKeccak256(cohort.seed, bytes32(block.prevrandao));
            task.seed = seed;
            _open(request, history, seed, s, p, _full(s));
        } else {
            _open(request, history, 0, s, p, s.judged() | s.returning);
        }
        task.state = s;
    }

    /// @dev Expected seats that did not submit. Nobody need submit to a request that was cancelled.
    function _silent(State memory s) private pure returns (uint256) {
        return s.has(Clock.HALTED) ? 0 : s.expected & ~s.submitted;
    }

    /* JUDGING */

    /// @dev The board of what was submitted and revealed; marks the round if it is blind.
    function _judged(State memory s, Plan memory p, PackedScores[] memory votes)
        private
        pure
        returns (Board memory board)
    {
        uint256 judged = s.judged();
        if (s.has(Clock.BLIND)) return Judgement.blind(judged, judged);
        bool isBlind;
        (board, isBlind) = Judgement.judge(votes, judged, s.revealed & judged, p.maxError, p.voteBand);
        uint256 hidden = s.acted & ~s.revealed;
        if (isBlind) {
            s.flags |= Clock.BLIND;
            // A vote that was committed and not opened is a fault, and whoever is at fault shares in nothing.
            board = Judgement.blind(judged, judged & ~hidden);
        }
        board.faults |= hidden;
    }

    /// @dev Checks what was anchored since the slice against the log; commitments and votes come back by seat.
    function _sinceSlice(Anchored calldata anchored, State memory s, bytes32 log)
        private
        pure
        returns (uint256[] memory commitments, PackedScores[] memory votes)
    {
        uint256 committed = Scores.count(s.acted);
        uint256 number = committed + Scores.count(s.revealed);
        _requireNumber(anchored.values.length, number);
        commitments = new uint256[](Scores.SEATS);
        votes = new PackedScores[](Scores.SEATS);
        if (number == 0) return (commitments, votes);
        bytes32 hash = anchored.log;
        unchecked {
            for (uint256 i; i < number; ++i) {
                uint256 seat = (anchored.seats >> (4 * i)) & 0xf;
                bytes32 value = anchored.values[i];
                hash = _withValue(hash, seat, value);
                if (i < committed) commitments.put(seat, uint256(value));
                else votes.put(seat, PackedScores.wrap(uint256(value)));
            }
        }
        _requireLog(log, hash);
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

    /// @dev Checks the list of attestations against the log; returns it with room for `more`.
    /// @param hash The log with the board.
    function _attestations(
        bytes32 log,
        bytes32 hash,
        State memory s,
        Attestation[] calldata attestations,
        uint256 more
    ) private pure returns (Attestation[] memory all) {
        uint256 number = Scores.count(s.acted);
        _requireNumber(attestations.length, number);
        all = new Attestation[](number + more);
        unchecked {
            for (uint256 i; i < number; ++i) {
                Attestation memory a = attestations[i];
                all[i] = a;
                hash = _withAttestation(hash, a.seat, a.digest, a.error_);
            }
        }
        _requireLog(log, hash);
    }

    /// @dev Adds the attestations of the mask's seats from position `k` on.
    function _append(Attestation[] memory all, uint256 k, uint256 mask, bytes32 digest, PackedScores errors)
        private
        pure
    {
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (_has(mask, seat)) all[k++] = Attestation(seat, digest, errors.lane(seat));
            }
        }
    }

    /// @dev The only digest that can have more than half of the attestations that count (Boyer and Moore), as every quorum
    /// has.
    function _favourite(Attestation[] memory attestations, uint256 voided) private pure returns (bytes32 digest) {
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
    function _approvals(Attestation[] memory attestations, bytes32 digest, uint256 voided)
        private
        pure
        returns (uint256 approvals, uint256[] memory errors)
    {
        errors = new uint256[](attestations.length);
        uint256 n;
        unchecked {
            for (uint256 i; i < attestations.length; ++i) {
                Attestation memory a = attestations[i];
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
