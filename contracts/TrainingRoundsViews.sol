// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {MemberState} from "./libraries/MemberState.sol";
import {PointLanes, Points} from "./libraries/Points.sol";
import {RoundPlan, RoundState, RoundStateLib} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsViews
/// @notice The views of {TrainingRounds}.
abstract contract TrainingRoundsViews is TrainingRoundsStore {
    /// @inheritdoc ITrainingRounds
    function roundState(uint256 requestId) public view override returns (RoundFacts memory facts) {
        Task storage task = _tasks[requestId];
        RoundPlan memory plan = task.plan;
        RoundState s = _load(task);

        facts.phase = s.phase();
        facts.start = uint40(s.began(plan));
        facts.deadline = uint40(s.deadline());
        facts.round = uint16(s.round());
        facts.seats = uint8(s.seats());
        facts.members = uint64(s.field(RoundStateLib.MEMBERS));
        facts.expected = uint64(s.field(RoundStateLib.EXPECTED));
        facts.barred = uint64(s.field(RoundStateLib.BARRED));
        facts.ever = uint64(s.field(RoundStateLib.EVER));
        facts.submitted = uint64(s.field(RoundStateLib.SUBMITTED));
        facts.committed = uint64(s.field(RoundStateLib.COMMITTED));
        facts.revealed = uint64(s.field(RoundStateLib.REVEALED));
        facts.attested = uint64(s.field(RoundStateLib.ATTESTED));
        facts.lastLeader = uint8(s.lastLeader());
        facts.paidRounds = uint16(s.field(RoundStateLib.PAID_ROUNDS));
        facts.finalRounds = uint16(s.field(RoundStateLib.FINAL_ROUNDS));
        facts.sliceOpened = s.sliceOpened();
        facts.reached = s.reached();
        facts.finalDigest = task.finalDigest;
        facts.history = task.history;
        facts.params = Params({
            maxError: plan.maxError,
            target: plan.target,
            maxRounds: plan.maxRounds,
            leaderRule: plan.leaderRule,
            approvalRule: plan.approvalRule,
            voteBand: plan.voteBand,
            submitWindow: plan.submitWindow,
            commitWindow: plan.commitWindow,
            revealWindow: plan.revealWindow,
            proposeWindow: plan.proposeWindow
        });
    }

    /// @inheritdoc ITrainingRounds
    function duty(uint256 requestId, address account)
        external
        view
        override
        returns (RoundFacts memory facts, uint256 seat)
    {
        return (roundState(requestId), seatOf(requestId, account));
    }

    /// @inheritdoc ITrainingRounds
    function seatOf(uint256 requestId, address account) public view override returns (uint256) {
        return _tasks[requestId].members[account].seat();
    }

    /// @inheritdoc ITrainingRounds
    function member(uint256 requestId, address account) external view override returns (Member memory found) {
        Task storage task = _tasks[requestId];
        MemberState m = task.members[account];
        found.seat = uint8(m.seat());
        if (!m.isMember()) return found;
        found.samples = uint32(m.samples());
        found.reputation = uint16(m.reputation());
        if (_recorded(task).has(RoundStateLib.COMMITTED, found.seat)) found.lanes = m.lanes();
    }

    /// @inheritdoc ITrainingRounds
    function points(uint256 requestId)
        external
        view
        override
        returns (uint256[] memory points_, uint256[] memory faults)
    {
        Task storage task = _tasks[requestId];
        uint256 seats = _recorded(task).seats();
        points_ = new uint256[](seats);
        faults = new uint256[](seats);
        PointLanes lanes;
        for (uint256 seat; seat < seats; ++seat) {
            uint256 index = seat % Points.SEATS_PER_WORD;
            if (index == 0) lanes = task.points[seat / Points.SEATS_PER_WORD];
            (points_[seat], faults[seat]) = lanes.read(index);
        }
    }

    /// @inheritdoc ITrainingRounds
    function leaderOrder(uint256 requestId) external view override returns (uint256[] memory seats) {
        Task storage task = _tasks[requestId];
        RoundState s = _recorded(task);
        if (s.phase() != Phase.Attest) return seats;

        LeaderOrder order = task.plan.order;
        seats = new uint256[](s.leaders());
        for (uint256 rank; rank < seats.length; ++rank) {
            seats[rank] = order.leader(rank);
        }
    }

    /// @inheritdoc ITrainingRounds
    function shareOf(uint256 requestId, uint256 seat, uint256 seats)
        public
        view
        override
        returns (uint256 own, uint256 total)
    {
        if (seat >= Scores.SEATS) return (own, total);
        Task storage task = _tasks[requestId];
        for (uint256 i; i * Points.SEATS_PER_WORD < seats; ++i) {
            PointLanes lanes = task.points[i];
            total += lanes.sum();
            if (seat / Points.SEATS_PER_WORD == i) (own,) = lanes.read(seat % Points.SEATS_PER_WORD);
        }
    }

    /// @inheritdoc ITrainingRounds
    function shareOfHolder(uint256 requestId, uint256 seat, uint256 seats, address account)
        external
        view
        override
        returns (bool holds, uint256 own, uint256 total)
    {
        holds = seat < Scores.SEATS && seatOf(requestId, account) == seat;
        (own, total) = shareOf(requestId, seat, seats);
    }

    /// @inheritdoc ITrainingRounds
    function deliverable(uint256 requestId, address account)
        external
        view
        override
        returns (Outcome memory outcome_, uint256 seat, bytes32 digest, uint256 contributors)
    {
        Task storage task = _tasks[requestId];
        outcome_ = outcome(requestId);
        seat = seatOf(requestId, account);
        digest = task.finalDigest;
        for (uint256 i; i * Points.SEATS_PER_WORD < outcome_.seats; ++i) {
            contributors |= task.points[i].earners() << (i * Points.SEATS_PER_WORD);
        }
    }

    /// @inheritdoc ITrainingRounds
    function results(uint256 requestId, address[] calldata accounts)
        external
        view
        override
        returns (uint256 ever, PointLanes[2] memory lanes, uint40 endedAt)
    {
        Task storage task = _tasks[requestId];
        RoundState s = _recorded(task);
        ever = s.field(RoundStateLib.EVER);
        _members(task, requestId, s, ever, accounts);
        lanes[0] = task.points[0];
        if (s.seats() > Points.SEATS_PER_WORD) lanes[1] = task.points[1];
        endedAt = s.phase() == Phase.Ended ? uint40(s.mark()) : 0;
    }

    /// @inheritdoc ITrainingRounds
    function outcome(uint256 requestId) public view override returns (Outcome memory result) {
        RoundState s = _recorded(_tasks[requestId]);
        result.ended = s.phase() == Phase.Ended;
        result.reached = s.reached();
        result.seats = uint8(s.seats());
        result.lastLeader = uint8(s.lastLeader());
        result.members = uint64(s.field(RoundStateLib.MEMBERS));
        result.ever = uint64(s.field(RoundStateLib.EVER));
        result.paidRounds = uint16(s.field(RoundStateLib.PAID_ROUNDS));
        result.finalRounds = uint16(s.field(RoundStateLib.FINAL_ROUNDS));
        result.endedAt = result.ended ? uint40(s.mark()) : 0;
    }

    /// @inheritdoc ITrainingRounds
    function finalDigest(uint256 requestId) external view override returns (bytes32) {
        return _tasks[requestId].finalDigest;
    }

    /// @inheritdoc ITrainingRounds
    function verifyHistory(
        uint256 requestId,
        bytes32 termsHash,
        bytes32 manifest,
        bytes32 keyHash,
        RoundRecord[] calldata records
    ) external view override returns (bool) {
        bytes32 history = manifest == 0 ? termsHash : _withKey(termsHash, manifest, keyHash);
        for (uint256 i; i < records.length; ++i) {
            RoundRecord calldata r = records[i];
            for (uint256 k; k < r.seats.length; ++k) {
                history = _withModel(history, r.round, r.seats[k], r.digests[k]);
            }
            if (r.tallied) history = _withTally(history, r.round, r.revealed, r.votes, r.medians);
        }
        return history == _tasks[requestId].history;
    }
}
