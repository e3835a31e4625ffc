// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {PackedScores, Scores} from "../libraries/Scores.sol";
import {IRequests} from "./interfaces/IRequests.sol";
import {ITrainingPool} from "./interfaces/ITrainingPool.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Clock, Plan, State} from "./libraries/Clock.sol";
import {Earned, EarnedLib} from "./libraries/Earned.sol";
import {PoolMember} from "./libraries/PoolMember.sol";

/// @title TrainingRoundsStore
/// @notice The storage of {TrainingRounds}, and what both halves of its code share.
abstract contract TrainingRoundsStore is EIP712 {
    using Clock for State;

    /* STORAGE */

    /// @dev One request. `log`, `anchored` and `opened` are of the present round, and stale until it first writes them:
    /// the masks of the state tell. Overwriting is cheaper than clearing.
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
        /// @dev The models and the slice.
        bytes32 log;
        /// @dev The commitments; after the tally, the board.
        bytes32 anchored;
        /// @dev The votes; after the tally, the attestations.
        bytes32 opened;
    }

    /// @dev A round's cohort: the index word and the members.
    struct Cohort {
        uint256 indices;
        PoolMember[] seats;
    }

    /// @dev Gas of a transaction that a refund covers besides what it measures: the base fee of a transaction (once),
    /// calldata and bookkeeping of each seat, and what follows the measurement.
    uint256 private constant BASE_GAS = 21_000;
    uint256 private constant SEAT_GAS = 1_900;
    uint256 private constant REST_GAS = 30_000;
    /// @dev A batch is one of four parts of a round.
    uint256 internal constant PARTS = 4;

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
        (c.indices, c.seats) = POOL.cohort(request, s.has(Clock.DRAWN) ? task.seed : bytes32(0));
    }

    /// @dev Adds an entry to what the rounds earned.
    function _credit(Task storage task, uint256 request, Earned memory entry) internal {
        task.earned = EarnedLib.fold(task.earned, entry);
        emit ITrainingRounds.Credited(request, entry.cohort, entry.points, entry.extra, entry.digest);
    }

    function _open(uint256 request, Task storage task, State memory s, Plan memory p, uint256 expected) internal {
        s.open(p, expected, block.timestamp);
        emit ITrainingRounds.RoundOpened(request, s.round, task.history, s.has(Clock.DRAWN) ? task.seed : bytes32(0), expected);
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

    function _requireList(bytes32 anchored, bytes32 given) internal pure {
        if (anchored != given) revert ITrainingRounds.TrainingRounds_WrongList(anchored, given);
    }

    function _has(uint256 mask, uint256 seat) internal pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }

    function _full(State memory s) internal pure returns (uint256) {
        return (uint256(1) << s.size) - 1;
    }

    /// @dev The running hash of a list of seats and values.
    function _withValue(bytes32 list, uint256 seat, bytes32 value) internal pure returns (bytes32) {
        return keccak256(abi.encode(list, seat, value));
    }

    /// @dev The running hash of the attestations.
    function _withAttestation(bytes32 list, uint256 seat, bytes32 digest, uint256 error_)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(list, seat, digest, error_));
    }

    function _withStart(bytes32 history, ITrainingRounds.Start calldata facts) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, facts));
    }

    function _withRound(bytes32 history, uint256 round, bytes32 log, bytes32 record) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, round, log, record));
    }

    function _boardHash(ITrainingRounds.Board memory board) internal pure returns (bytes32) {
        return keccak256(abi.encode(board));
    }

    /// @dev Checks a list of seats and values against its hash; the values come back by seat.
    function _bySeat(ITrainingRounds.Anchored calldata list, uint256 number, bytes32 anchored)
        internal
        pure
        returns (bytes32[] memory values)
    {
        _requireNumber(list.values.length, number);
        values = new bytes32[](Scores.SEATS);
        bytes32 hash;
        unchecked {
            for (uint256 i; i < number; ++i) {
                uint256 seat = (list.seats >> (4 * i)) & 0xf;
                bytes32 value = list.values[i];
                values[seat] = value;
                hash = _withValue(hash, seat, value);
            }
        }
        if (number != 0) _requireList(anchored, hash);
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
