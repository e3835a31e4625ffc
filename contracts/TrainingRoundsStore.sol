// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {PackedScores, Scores} from "./libraries/Scores.sol";
import {IRequests} from "./interfaces/IRequests.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {Draw} from "./libraries/Draw.sol";
import {Earned, EarnedLib} from "./libraries/Earned.sol";
import {MemberBlob} from "./libraries/MemberBlob.sol";
import {PoolMember} from "./libraries/PoolMember.sol";
import {SeatSignatures} from "./libraries/SeatSignatures.sol";

/// @title TrainingRoundsStore
/// @notice The storage of {TrainingRounds}, and what both halves of its code share.
abstract contract TrainingRoundsStore is EIP712 {
    using Clock for State;
    using SeatSignatures for bytes;

    /* STORAGE */

    /// @dev One request. `log` is of the present round, and stale until a model is submitted: overwriting is cheaper than
    /// clearing.
    struct Task {
        Plan plan;
        State state;
        /// @dev The hash of the terms, then with each start and each closed round a link more.
        bytes32 history;
        bytes32 earned;
        bytes32 deliveryHash;
        bytes32 openers;
        /// @dev Of pools larger than a cohort.
        bytes32 seed;
        /// @dev The running hash of all that was anchored: models, slice, commitments, votes, board, attestations. How many
        /// there are of each, the masks of the state tell.
        bytes32 log;
    }

    /// @dev A round's cohort: the index word, the members, and what it was drawn by (0 where none is drawn).
    struct Cohort {
        uint256 indices;
        PoolMember[] seats;
        bytes32 seed;
    }

    /// @dev Gas of a transaction that a refund covers besides what it measures: the base fee of a transaction (once),
    /// calldata and bookkeeping of each seat, and what follows the measurement.
    uint256 private constant BASE_GAS = 21_000;
    uint256 private constant SEAT_GAS = 1_900;
    uint256 private constant REST_GAS = 30_000;
    /// @dev A batch is one of four parts of a round.
    uint256 internal constant PARTS = 4;

    bytes32 internal constant ATTEST = keccak256("Attest(uint256 request,uint256 round,bytes32 digest,uint16 error)");

    bool private transient _basePaid;

    ITrainingPool internal immutable POOL;
    IRequests internal immutable MARKET;

    mapping(uint256 request => Task) internal _tasks;

    constructor(address pool, address market) EIP712("fedpact", "2") {
        POOL = ITrainingPool(pool);
        MARKET = IRequests(market);
    }

    /* INTERNAL */

    /// @dev The state as it was left. Nothing is stored of a request that waits for its first start, but that it exists.
    function _state(Task storage task) internal view returns (State memory s) {
        s = task.state;
        if (s.phase == ITrainingRounds.Phase.None && task.history != 0) s.phase = ITrainingRounds.Phase.Waiting;
    }

    /// @dev The state in the present phase, and the plan.
    function _load(Task storage task) internal view returns (State memory s, Plan memory p) {
        s = _state(task);
        p = task.plan;
        s.advance(p, block.timestamp);
    }

    function _cohort(Task storage task, State memory s, uint256 request) internal view returns (Cohort memory c) {
        if (s.has(Clock.WHOLE)) {
            // What the pool would answer, without asking it.
            address blob = MemberBlob.placeOf(address(POOL), MemberBlob.saltOf(request, s.size));
            return Cohort(Draw.inOrder(s.size), MemberBlob.readAll(blob, s.size), 0);
        }
        address pool = address(POOL);
        bytes32 seed = s.has(Clock.DRAWN) ? task.seed : bytes32(0);
        c.seed = seed;
        bytes4 cohort = ITrainingPool.cohortOf.selector;
        assembly ("memory-safe") {
            // The answer is used where it lies: the indices, the offset 64, the array. Decoding would copy it word by word.
            let answer := mload(0x40)
            mstore(answer, cohort)
            mstore(add(answer, 0x04), request)
            mstore(add(answer, 0x24), seed)
            let answered := staticcall(gas(), pool, answer, 0x44, 0, 0)
            returndatacopy(answer, 0, returndatasize())
            if iszero(answered) { revert(answer, returndatasize()) }
            mstore(0x40, add(answer, returndatasize()))
            mstore(c, mload(answer))
            mstore(add(c, 0x20), add(answer, 0x40))
        }
    }

    /// @dev Adds an entry to what the rounds earned.
    function _credit(Task storage task, uint256 request, Earned memory entry) internal {
        task.earned = EarnedLib.fold(task.earned, entry);
        emit ITrainingRounds.Credited(request, entry.cohort, entry.points, entry.extra, entry.digest);
    }

    /// @param seed Of the round's cohort; 0 where none is drawn.
    function _open(uint256 request, bytes32 history, bytes32 seed, State memory s, Plan memory p, uint256 expected) internal {
        s.open(p, expected, block.timestamp);
        emit ITrainingRounds.RoundOpened(request, s.round, history, seed, expected);
    }

    function _end(uint256 request, State memory s) internal {
        s.phase = ITrainingRounds.Phase.Ended;
        s.mark = uint40(block.timestamp);
        emit ITrainingRounds.RoundsEnded(request, s.round, s.has(Clock.REACHED), s.finalRounds);
    }

    function _requirePhase(uint256 request, State memory s, ITrainingRounds.Phase needed) internal pure {
        if (s.phase != needed) revert ITrainingRounds.TrainingRounds_WrongPhase(request, s.phase, needed);
    }

    /// @dev The mask names seats, and only allowed ones.
    function _requireMask(uint256 request, uint256 mask, uint256 allowed) internal pure {
        if (mask == 0 || mask & ~allowed != 0) revert ITrainingRounds.TrainingRounds_BadMask(request, mask, allowed);
    }

    function _requireNumber(uint256 given, uint256 needed) internal pure {
        if (given != needed) revert ITrainingRounds.TrainingRounds_WrongNumber(given, needed);
    }

    function _requireError(uint256 seat, uint256 error_) internal pure {
        if (error_ > Scores.MAX && error_ != Scores.INVALID) revert ITrainingRounds.TrainingRounds_BadError(seat, error_);
    }

    function _requireLog(bytes32 log, bytes32 given) internal pure {
        if (log != given) revert ITrainingRounds.TrainingRounds_WrongList(log, given);
    }

    function _has(uint256 mask, uint256 seat) internal pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }

    function _full(State memory s) internal pure returns (uint256) {
        return (uint256(1) << s.size) - 1;
    }

    /// @dev The log with a model, a commitment or a vote: keccak256(abi.encode(log, seat, value)).
    function _withValue(bytes32 log, uint256 seat, bytes32 value) internal pure returns (bytes32 next) {
        assembly ("memory-safe") {
            let from := mload(0x40)
            mstore(from, log)
            mstore(add(from, 0x20), seat)
            mstore(add(from, 0x40), value)
            next := keccak256(from, 0x60)
        }
    }

    function _withAttestation(bytes32 log, uint256 seat, bytes32 digest, uint256 error_)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(log, seat, digest, error_));
    }

    function _withBoard(bytes32 log, ITrainingRounds.Board memory board) internal pure returns (bytes32) {
        return keccak256(abi.encode(log, board));
    }

    function _withStart(bytes32 history, ITrainingRounds.Start calldata facts) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, facts));
    }

    function _withRound(bytes32 history, uint256 round, bytes32 log, bytes32 record) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, round, log, record));
    }

    /// @dev Checks attestations that seats signed, and adds them to the log.
    function _attested(
        uint256 request,
        State memory s,
        Cohort memory cohort,
        uint256 mask,
        bytes32 digest,
        PackedScores errors,
        bytes calldata signatures,
        bytes32 log
    ) internal returns (bytes32) {
        if (digest == 0) revert ITrainingRounds.TrainingRounds_Zero();
        uint256 signed;
        // Rebuilt by each `_hashTypedDataV4` where this code runs at another address than where it lies.
        bytes32 domain = _domainSeparatorV4();
        unchecked {
            for (uint256 seat; mask >> seat != 0; ++seat) {
                if (!_has(mask, seat)) continue;
                uint256 error_ = errors.lane(seat);
                _requireError(seat, error_);
                bytes32 body = keccak256(abi.encode(ATTEST, request, s.round, digest, error_));
                signed = signatures.check(
                    signed, cohort.seats[seat].account(), MessageHashUtils.toTypedDataHash(domain, body)
                );
                log = _withAttestation(log, seat, digest, error_);
            }
        }
        emit ITrainingRounds.Attested(request, s.round, mask, digest, errors);
        return log;
    }

    function _requireScores(PackedScores vote, uint256 size, uint256 submitted, uint256 seat) internal pure {
        (bool bad, uint256 lane, uint256 value) = vote.firstBadLane(size, submitted, seat);
        if (bad) revert ITrainingRounds.TrainingRounds_BadScore(seat, lane, value);
    }

    /* REFUNDS */

    /// @dev A batch is refunded if it acts for more than half of those that must: at most one of each kind can.
    function _covers(uint256 mask, uint256 needed) internal pure returns (bool) {
        return 2 * Scores.count(mask) > Scores.count(needed) && Scores.count(mask) > 1;
    }

    function _repay(uint256 request, Task storage task, Plan memory p, uint256 gas_, uint256 mask) internal {
        _pay(request, task, _refund(p, gas_, Scores.count(mask), PARTS));
    }

    function _pay(uint256 request, Task storage task, uint256 refund) internal {
        if (refund == 0) return;
        _credit(task, request, Earned(0, 0, EarnedLib.pack(0, 0, refund, msg.sender), bytes32(0)));
    }

    /// @dev What the sender is to be refunded, in gwei.
    /// @param gas_ The gas that was left when the call began.
    /// @param parts The share of the cap: 1 for a whole round.
    function _refund(Plan memory p, uint256 gas_, uint256 seats, uint256 parts) internal returns (uint256) {
        if (p.gasPerRound == 0) return 0;
        uint256 price = tx.gasprice;
        uint256 most = uint256(p.maxGasPrice) * 1e6;
        if (price > most) price = most;
        uint256 used = gas_ - gasleft() + REST_GAS + seats * SEAT_GAS;
        if (seats != 0 && !_basePaid) {
            _basePaid = true;
            used += BASE_GAS;
        }
        uint256 refund = used * price / 1 gwei;
        uint256 cap = p.gasPerRound / parts;
        return refund < cap ? refund : cap;
    }
}
