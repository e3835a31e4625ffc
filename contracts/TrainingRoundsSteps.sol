// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

import {PackedScores, Scores} from "./libraries/Scores.sol";
import {IRoundSteps} from "./interfaces/IRoundSteps.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {SeatSignatures} from "./libraries/SeatSignatures.sol";
import {TrainingRoundsStart} from "./TrainingRoundsStart.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsSteps
/// @notice The steps of a round in batches: see {IRoundSteps}.
/// @dev Code for {TrainingRounds}, which runs it on its own storage. Called directly it finds no request. Several steps fit
/// one transaction by `multicall`, which calls {TrainingRounds} for each.
contract TrainingRoundsSteps is TrainingRoundsStart, Multicall, IRoundSteps {
    using Clock for State;
    using SeatSignatures for bytes;

    bytes32 private constant MODEL = keccak256("Model(uint256 request,uint256 round,bytes32 digest)");
    bytes32 private constant SLICE = keccak256("Slice(uint256 request,uint256 round,bytes32 key)");
    bytes32 private constant VOTE = keccak256("Vote(uint256 request,uint256 round,bytes32 commitment)");

    constructor(address pool, address market) TrainingRoundsStore(pool, market) {}

    /* A ROUND IN BATCHES */

    /// @inheritdoc IRoundSteps
    function submit(uint256 request, uint256 mask, bytes32[] calldata digests, bytes calldata signatures)
        external
        override
    {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, ITrainingRounds.Phase.Submit);
        _requireMask(request, mask, _full(s) & ~(uint256(s.submitted) | s.voided));
        Cohort memory cohort = _cohort(task, s, request);
        bytes32 log = s.submitted == 0 ? bytes32(0) : task.log;
        task.log = _anchor(request, s.round, cohort, mask, digests, signatures, log, MODEL);

        // Effect: the round waits again for a member that missed rounds and comes back.
        bool large = _covers(mask, s.expected);
        s.submitted |= uint16(mask);
        s.expected |= uint16(mask);
        s.flags |= Clock.EVER;
        s.advance(p, block.timestamp);
        task.state = s;
        emit ITrainingRounds.ModelsSubmitted(request, s.round, mask, digests);
        if (large) _repay(request, task, p, gas_, mask);
    }

    /// @inheritdoc IRoundSteps
    function openSlice(
        uint256 request,
        address[] calldata openers,
        address signer,
        bytes calldata sealedKey,
        bytes calldata signature
    ) external override {
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, ITrainingRounds.Phase.Commit);
        if (s.has(Clock.SLICE)) revert ITrainingRounds.TrainingRounds_SliceAlreadyOpen(request, s.round);
        uint256 deadline = s.sliceDeadline(p);
        if (block.timestamp > deadline) revert ITrainingRounds.TrainingRounds_SliceTooLate(request, deadline);
        _requireOpener(request, task, openers, signer);
        bytes32 key = keccak256(sealedKey);
        signature.check(0, signer, _hashTypedDataV4(keccak256(abi.encode(SLICE, request, s.round, key))));

        // Effect:
        s.flags |= Clock.SLICE;
        bytes32 log = _withValue(task.log, Scores.SEATS, key);
        task.log = log;
        task.state = s;
        emit ITrainingRounds.SliceOpened(request, s.round, sealedKey, log);
    }

    /// @inheritdoc IRoundSteps
    function commitVotes(
        uint256 request,
        uint256 mask,
        bytes32[] calldata commitments,
        bytes calldata signatures
    ) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, ITrainingRounds.Phase.Commit);
        if (!s.has(Clock.SLICE)) revert ITrainingRounds.TrainingRounds_SliceNotOpen(request, s.round);
        _requireMask(request, mask, s.judged() & ~s.acted);
        Cohort memory cohort = _cohort(task, s, request);
        task.log = _anchor(request, s.round, cohort, mask, commitments, signatures, task.log, VOTE);

        // Effect:
        bool large = _covers(mask, s.judged());
        s.acted |= uint16(mask);
        s.advance(p, block.timestamp);
        task.state = s;
        emit ITrainingRounds.VotesCommitted(request, s.round, mask, commitments);
        if (large) _repay(request, task, p, gas_, mask);
    }

    /// @inheritdoc IRoundSteps
    function attest(
        uint256 request,
        uint256 mask,
        bytes32 digest,
        PackedScores errors,
        bytes calldata signatures
    ) external override {
        uint256 gas_ = gasleft();
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        _requirePhase(request, s, ITrainingRounds.Phase.Attest);
        _requireMask(request, mask, s.attesters() & ~s.acted);
        Cohort memory cohort = _cohort(task, s, request);
        bytes32 log = task.log;
        task.log = _attested(request, s, cohort, mask, digest, errors, signatures, log);

        // Effect:
        bool large = _covers(mask, s.attesters());
        s.acted |= uint16(mask);
        s.advance(p, block.timestamp);
        task.state = s;
        if (large) _repay(request, task, p, gas_, mask);
    }

    /* ASIDE */

    /// @inheritdoc IRoundSteps
    function reportEquivocation(
        uint256 request,
        uint256 seat,
        ITrainingRounds.Kind kind,
        bytes calldata first,
        bytes calldata second,
        bytes calldata signatures
    ) external override {
        Task storage task = _tasks[request];
        (State memory s, Plan memory p) = _load(task);
        if (s.round == 0 || s.phase == ITrainingRounds.Phase.Waiting || s.phase == ITrainingRounds.Phase.Ended) {
            revert ITrainingRounds.TrainingRounds_WrongPhase(request, s.phase, ITrainingRounds.Phase.Submit);
        }
        _requireMask(request, 1 << seat, _full(s) & ~s.voided);
        address account = _cohort(task, s, request).seats[seat].account();
        bytes32 a = _bodyOf(request, s.round, kind, first);
        bytes32 b = _bodyOf(request, s.round, kind, second);
        if (a == b) revert ITrainingRounds.TrainingRounds_SameMessage();
        if (account == msg.sender) revert ITrainingRounds.TrainingRounds_NoSeat(request, msg.sender);
        signatures.check(0, account, _hashTypedDataV4(a));
        signatures.check(1, account, _hashTypedDataV4(b));

        // Effect: what it submitted, committed and revealed no longer counts.
        s.voided |= uint16(1 << seat);
        s.advance(p, block.timestamp);
        task.state = s;
        emit ITrainingRounds.Equivocated(request, s.round, seat, kind);
    }

    /// @inheritdoc IRoundSteps
    function returnTo(uint256 request, uint256 seat) external override {
        Task storage task = _tasks[request];
        (State memory s,) = _load(task);
        if (s.round == 0 || s.phase == ITrainingRounds.Phase.Ended) revert ITrainingRounds.TrainingRounds_WrongPhase(request, s.phase, ITrainingRounds.Phase.Submit);
        Cohort memory cohort = _cohort(task, s, request);
        if (seat >= s.size || cohort.seats[seat].account() != msg.sender) {
            revert ITrainingRounds.TrainingRounds_NoSeat(request, msg.sender);
        }
        if (_has(s.returned, seat)) revert ITrainingRounds.TrainingRounds_AlreadyReturned(request, seat);

        // Effect:
        s.returned |= uint16(1 << seat);
        s.returning |= uint16(1 << seat);
        task.state = s;
        emit ITrainingRounds.Returning(request, s.round, seat);
    }

    /* VIEWS */

    /// @inheritdoc IRoundSteps
    function openTerms(uint256 request) external view override returns (bytes32) {
        Task storage task = _tasks[request];
        ITrainingRounds.Phase phase = _state(task).phase;
        if (phase != ITrainingRounds.Phase.Waiting) {
            revert ITrainingRounds.TrainingRounds_WrongPhase(request, phase, ITrainingRounds.Phase.Waiting);
        }
        return task.history;
    }

    /// @inheritdoc IRoundSteps
    function roundFacts(uint256 request) external view override returns (ITrainingRounds.RoundFacts memory facts) {
        Task storage task = _tasks[request];
        (State memory s,) = _load(task);
        facts.phase = s.phase;
        facts.deadline = s.mark;
        facts.round = s.round;
        facts.size = s.size;
        facts.expected = s.expected;
        facts.submitted = s.submitted;
        facts.revealed = s.revealed;
        facts.acted = s.acted;
        facts.voided = s.voided;
        facts.returning = s.returning;
        facts.turn = s.turn;
        facts.lastLeader = s.lastLeader;
        facts.paidRounds = s.paidRounds;
        facts.finalRounds = s.finalRounds;
        facts.sliceOpened = s.has(Clock.SLICE);
        facts.reopened = s.has(Clock.REOPENED);
        facts.halted = s.has(Clock.HALTED);
        facts.reached = s.has(Clock.REACHED);
        facts.blind = s.has(Clock.BLIND);
        facts.drawn = s.has(Clock.DRAWN);
        facts.history = task.history;
        facts.seed = task.seed;
        facts.log = task.log;
        facts.earned = task.earned;
    }

    /// @inheritdoc IRoundSteps
    function verifyHistory(uint256 request, bytes32 terms, ITrainingRounds.Start[] calldata starts, ITrainingRounds.Link[] calldata links)
        external
        view
        override
        returns (bool)
    {
        bytes32 history = terms;
        for (uint256 i; i < starts.length; ++i) {
            history = _withStart(history, starts[i]);
        }
        for (uint256 i; i < links.length; ++i) {
            history = _withRound(history, links[i].round, links[i].log, links[i].record);
        }
        return history == _tasks[request].history;
    }

    /* INTERNAL */

    function _requireOpener(uint256 request, Task storage task, address[] calldata openers, address signer)
        private
        view
    {
        if (signer == MARKET.requesterOf(request)) return;
        bool named;
        for (uint256 i; i < openers.length; ++i) {
            named = named || openers[i] == signer;
        }
        // Anything is a signature of the address 0.
        if (!named || signer == address(0) || keccak256(abi.encode(openers)) != task.openers) {
            revert ITrainingRounds.TrainingRounds_NotOpener(request, signer);
        }
    }

    /// @dev Checks values that seats signed, and adds them to the log.
    function _anchor(
        uint256 request,
        uint256 round,
        Cohort memory cohort,
        uint256 mask,
        bytes32[] calldata values,
        bytes calldata signatures,
        bytes32 log,
        bytes32 type_
    ) private view returns (bytes32) {
        _requireNumber(values.length, Scores.count(mask));
        uint256 k;
        uint256 signed;
        bytes32 domain = _domainSeparatorV4();
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (!_has(mask, seat)) continue;
                bytes32 value = values[k++];
                if (value == 0) revert ITrainingRounds.TrainingRounds_Zero();
                bytes32 body = keccak256(abi.encode(type_, request, round, value));
                signed = signatures.check(
                    signed, cohort.seats[seat].account(), MessageHashUtils.toTypedDataHash(domain, body)
                );
                log = _withValue(log, seat, value);
            }
        }
        return log;
    }

    function _bodyOf(uint256 request, uint256 round, ITrainingRounds.Kind kind, bytes calldata message) private pure returns (bytes32) {
        if (kind == ITrainingRounds.Kind.Attest) {
            (bytes32 digest, uint16 error_) = abi.decode(message, (bytes32, uint16));
            return keccak256(abi.encode(ATTEST, request, round, digest, error_));
        }
        return keccak256(abi.encode(kind == ITrainingRounds.Kind.Model ? MODEL : VOTE, request, round, abi.decode(message, (bytes32))));
    }
}
