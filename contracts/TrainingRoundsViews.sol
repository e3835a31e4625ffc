// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {Points} from "./libraries/Points.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsViews
/// @notice The views of {TrainingRounds}.
abstract contract TrainingRoundsViews is TrainingRoundsStore {
    using RoundState for RoundState.State;

    /// @inheritdoc ITrainingRounds
    function roundState(uint256 requestId) public view override returns (RoundFacts memory facts) {
        Task storage task = _tasks[requestId];
        Params memory p = task.params;
        RoundState.State memory s = _load(task);

        facts.phase = s.stage;
        facts.start = uint40(s.began(p));
        facts.deadline = uint40(s.deadline());
        facts.round = uint16(s.round);
        facts.seats = uint8(s.seats);
        facts.members = uint64(s.members);
        facts.expected = uint64(s.expected);
        facts.barred = uint64(s.barred);
        facts.ever = uint64(s.ever);
        facts.submitted = uint64(s.submitted);
        facts.committed = uint64(s.committed);
        facts.revealed = uint64(s.revealed);
        facts.attested = uint64(s.attested);
        facts.lastLeader = uint8(s.lastLeader);
        facts.paidRounds = uint16(s.paidRounds);
        facts.finalRounds = uint16(s.finalRounds);
        facts.sliceOpened = s.sliceOpened;
        facts.reached = s.reached;
        (uint256 medians, uint256 included, uint256 valid) = _unpackMedians(task.medians);
        facts.medians = medians;
        facts.included = uint64(included);
        facts.valid = uint64(valid);
        facts.finalDigest = task.finalDigest;
        facts.keyCommitment = task.keyCommitment;
        facts.history = task.history;
        facts.params = p;
    }

    /// @inheritdoc ITrainingRounds
    function duty(uint256 requestId, address account)
        external
        view
        override
        returns (RoundFacts memory facts, uint256 seat)
    {
        facts = roundState(requestId);
        for (; seat < facts.seats; ++seat) {
            if (account != address(0) && _tasks[requestId].members[seat].account == account) return (facts, seat);
        }
        return (facts, RoundState.NO_LEADER);
    }

    /// @inheritdoc ITrainingRounds
    function members(uint256 requestId) external view override returns (Member[] memory committee) {
        Task storage task = _tasks[requestId];
        committee = new Member[](RoundState.unpack(task.state).seats);
        for (uint256 seat; seat < committee.length; ++seat) {
            committee[seat] = task.members[seat];
        }
    }

    /// @inheritdoc ITrainingRounds
    function accountOf(uint256 requestId, uint256 seat) external view override returns (address) {
        return seat < MAX_SEATS ? _tasks[requestId].members[seat].account : address(0);
    }

    /// @inheritdoc ITrainingRounds
    function digests(uint256 requestId) external view override returns (bytes32[] memory digests_) {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = RoundState.unpack(task.state);
        digests_ = new bytes32[](s.seats);
        for (uint256 seat; seat < s.seats; ++seat) {
            if (_has(s.submitted, seat)) digests_[seat] = task.digests[seat];
        }
    }

    /// @inheritdoc ITrainingRounds
    function voteWords(uint256 requestId) external view override returns (bytes32[] memory words) {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = RoundState.unpack(task.state);
        words = new bytes32[](s.seats);
        for (uint256 seat; seat < s.seats; ++seat) {
            if (_has(s.committed, seat)) words[seat] = task.votes[seat];
        }
    }

    /// @inheritdoc ITrainingRounds
    function points(uint256 requestId)
        external
        view
        override
        returns (uint256[] memory points_, uint256[] memory faults)
    {
        Task storage task = _tasks[requestId];
        uint256 seats = RoundState.unpack(task.state).seats;
        points_ = new uint256[](seats);
        faults = new uint256[](seats);
        uint256 word;
        for (uint256 seat; seat < seats; ++seat) {
            uint256 place = seat % Points.SEATS_PER_WORD;
            if (place == 0) word = task.points[seat / Points.SEATS_PER_WORD];
            (points_[seat], faults[seat]) = Points.read(word, place);
        }
    }

    /// @inheritdoc ITrainingRounds
    function leaderOrder(uint256 requestId)
        external
        view
        override
        returns (uint256[] memory seats, uint256[] memory weightedErrors)
    {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = RoundState.unpack(task.state);
        if (s.stage != Phase.Attest) return (seats, weightedErrors);

        Committee memory committee = _committee(task, s);
        (uint256 medians, uint256 included, uint256 valid) = _unpackMedians(task.medians);
        seats = _leaders(s, committee, medians, included & s.revealed, task.params.leaderRule);
        weightedErrors = new uint256[](seats.length);
        for (uint256 i; i < seats.length; ++i) {
            weightedErrors[i] = LeaderOrder.poqError(seats[i], valid, medians, committee.samples);
        }
    }

    /// @inheritdoc ITrainingRounds
    function shareOf(uint256 requestId, uint256 seat)
        external
        view
        override
        returns (address account, uint256 own, uint256 total, uint256 paidRounds, bool reached)
    {
        Task storage task = _tasks[requestId];
        RoundState.State memory s = RoundState.unpack(task.state);
        if (seat >= s.seats) return (account, own, total, s.paidRounds, s.reached);
        uint256 word;
        for (uint256 other; other < s.seats; ++other) {
            uint256 place = other % Points.SEATS_PER_WORD;
            if (place == 0) word = task.points[other / Points.SEATS_PER_WORD];
            (uint256 earned,) = Points.read(word, place);
            total += earned;
            if (other == seat) own = earned;
        }
        return (task.members[seat].account, own, total, s.paidRounds, s.reached);
    }

    /// @inheritdoc ITrainingRounds
    function outcome(uint256 requestId) external view override returns (Outcome memory result) {
        RoundState.State memory s = RoundState.unpack(_tasks[requestId].state);
        result.ended = s.stage == Phase.Ended;
        result.reached = s.reached;
        result.seats = uint8(s.seats);
        result.lastLeader = uint8(s.lastLeader);
        result.members = uint64(s.members);
        result.ever = uint64(s.ever);
        result.paidRounds = uint16(s.paidRounds);
        result.finalRounds = uint16(s.finalRounds);
        result.endedAt = result.ended ? uint40(s.mark) : 0;
    }

    /// @inheritdoc ITrainingRounds
    function finalDigest(uint256 requestId) external view override returns (bytes32) {
        return _tasks[requestId].finalDigest;
    }

    /// @inheritdoc ITrainingRounds
    function verifyHistory(uint256 requestId, RoundRecord[] calldata records) external view override returns (bool) {
        bytes32 history;
        for (uint256 i; i < records.length; ++i) {
            RoundRecord calldata r = records[i];
            history = _chained(history, r.round, r.submitted, r.revealed, r.digests, r.words, r.medians);
        }
        return history == _tasks[requestId].history;
    }
}
