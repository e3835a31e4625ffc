// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {Points} from "./libraries/Points.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {Seats} from "./libraries/Seats.sol";
import {TrainingRoundsStore} from "./TrainingRoundsStore.sol";

/// @title TrainingRoundsViews
/// @notice The views of {TrainingRounds}.
abstract contract TrainingRoundsViews is TrainingRoundsStore {
    using RoundState for uint256;

    /// @inheritdoc ITrainingRounds
    function roundState(uint256 requestId) public view override returns (RoundFacts memory facts) {
        Task storage task = _tasks[requestId];
        Params memory p = task.params;
        uint256 s = _load(task);

        facts.phase = s.phase();
        facts.start = uint40(s.began(p));
        facts.deadline = uint40(s.deadline());
        facts.round = uint16(s.round());
        facts.seats = uint8(s.seats());
        facts.members = uint64(s.field(RoundState.MEMBERS));
        facts.expected = uint64(s.field(RoundState.EXPECTED));
        facts.barred = uint64(s.field(RoundState.BARRED));
        facts.ever = uint64(s.field(RoundState.EVER));
        facts.submitted = uint64(s.field(RoundState.SUBMITTED));
        facts.committed = uint64(s.field(RoundState.COMMITTED));
        facts.revealed = uint64(s.field(RoundState.REVEALED));
        facts.attested = uint64(s.field(RoundState.ATTESTED));
        facts.lastLeader = uint8(s.lastLeader());
        facts.paidRounds = uint16(s.field(RoundState.PAID_ROUNDS));
        facts.finalRounds = uint16(s.field(RoundState.FINAL_ROUNDS));
        facts.sliceOpened = s.sliceOpened();
        facts.reached = s.reached();
        (uint256 medians, uint256 included,) = _unpackMedians(task.medians);
        facts.medians = medians;
        facts.included = uint64(included);
        facts.valid = task.medians == 0 ? 0 : uint64(Scores.atMost(medians, Scores.MAX));
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
            if (account != address(0) && Seats.account(_tasks[requestId].members[seat]) == account) return (facts, seat);
        }
        return (facts, RoundState.NO_LEADER);
    }

    /// @inheritdoc ITrainingRounds
    function members(uint256 requestId) external view override returns (Member[] memory committee) {
        Task storage task = _tasks[requestId];
        committee = new Member[](_recorded(task).seats());
        for (uint256 seat; seat < committee.length; ++seat) {
            committee[seat] = Seats.unpack(task.members[seat]);
        }
    }

    /// @inheritdoc ITrainingRounds
    function accountOf(uint256 requestId, uint256 seat) external view override returns (address) {
        return seat < MAX_SEATS ? Seats.account(_tasks[requestId].members[seat]) : address(0);
    }

    /// @inheritdoc ITrainingRounds
    function digests(uint256 requestId) external view override returns (bytes32[] memory digests_) {
        Task storage task = _tasks[requestId];
        uint256 s = _recorded(task);
        digests_ = new bytes32[](s.seats());
        for (uint256 seat; seat < s.seats(); ++seat) {
            if (_has(s.field(RoundState.SUBMITTED), seat)) digests_[seat] = task.digests[seat];
        }
    }

    /// @inheritdoc ITrainingRounds
    function voteWords(uint256 requestId) external view override returns (bytes32[] memory words) {
        Task storage task = _tasks[requestId];
        uint256 s = _recorded(task);
        words = new bytes32[](s.seats());
        for (uint256 seat; seat < s.seats(); ++seat) {
            if (_has(s.field(RoundState.COMMITTED), seat)) words[seat] = task.votes[seat];
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
        uint256 seats = _recorded(task).seats();
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
        uint256 s = _recorded(task);
        if (s.phase() != Phase.Attest) return (seats, weightedErrors);

        Committee memory committee = _committee(task, s);
        (uint256 medians,, uint256 leaders) = _unpackMedians(task.medians);
        uint256 valid = Scores.atMost(medians, Scores.MAX);
        seats = LeaderOrder.order(
            leaders,
            medians,
            committee.samples,
            committee.accounts,
            s.round(),
            task.params.leaderRule,
            committee.reputations,
            s.lastLeader()
        );
        weightedErrors = new uint256[](seats.length);
        for (uint256 i; i < seats.length; ++i) {
            weightedErrors[i] = LeaderOrder.poqError(seats[i], valid, medians, committee.samples);
        }
    }

    /// @inheritdoc ITrainingRounds
    function shareOf(uint256 requestId, uint256 seat, uint256 seats)
        external
        view
        override
        returns (address account, uint256 own, uint256 total)
    {
        if (seat >= MAX_SEATS) return (account, own, total);
        Task storage task = _tasks[requestId];
        for (uint256 i; i * Points.SEATS_PER_WORD < seats; ++i) {
            uint256 word = task.points[i];
            total += Points.sum(word);
            if (seat / Points.SEATS_PER_WORD == i) (own,) = Points.read(word, seat % Points.SEATS_PER_WORD);
        }
        account = Seats.account(task.members[seat]);
    }

    /// @inheritdoc ITrainingRounds
    function deliverable(uint256 requestId, uint256 seat)
        external
        view
        override
        returns (Outcome memory outcome_, address account, bytes32 digest, uint256 contributors)
    {
        Task storage task = _tasks[requestId];
        outcome_ = outcome(requestId);
        if (seat < MAX_SEATS) account = Seats.account(task.members[seat]);
        digest = task.finalDigest;
        for (uint256 i; i * Points.SEATS_PER_WORD < outcome_.seats; ++i) {
            contributors |= Points.earners(task.points[i]) << (i * Points.SEATS_PER_WORD);
        }
    }

    /// @inheritdoc ITrainingRounds
    function results(uint256 requestId)
        external
        view
        override
        returns (Result[] memory results_, uint256 total, uint40 endedAt)
    {
        Task storage task = _tasks[requestId];
        uint256 s = _recorded(task);
        uint256 ever = s.field(RoundState.EVER);
        results_ = new Result[](Scores.count(ever));
        uint256 word;
        uint256 n;
        for (uint256 seat; seat < s.seats(); ++seat) {
            uint256 place = seat % Points.SEATS_PER_WORD;
            if (place == 0) {
                word = task.points[seat / Points.SEATS_PER_WORD];
                total += Points.sum(word);
            }
            if (!_has(ever, seat)) continue;
            (uint256 own, uint256 faults) = Points.read(word, place);
            results_[n++] = Result(Seats.account(task.members[seat]), uint32(own), uint32(faults));
        }
        endedAt = s.phase() == Phase.Ended ? uint40(s.mark()) : 0;
    }

    /// @inheritdoc ITrainingRounds
    function outcome(uint256 requestId) public view override returns (Outcome memory result) {
        uint256 s = _recorded(_tasks[requestId]);
        result.ended = s.phase() == Phase.Ended;
        result.reached = s.reached();
        result.seats = uint8(s.seats());
        result.lastLeader = uint8(s.lastLeader());
        result.members = uint64(s.field(RoundState.MEMBERS));
        result.ever = uint64(s.field(RoundState.EVER));
        result.paidRounds = uint16(s.field(RoundState.PAID_ROUNDS));
        result.finalRounds = uint16(s.field(RoundState.FINAL_ROUNDS));
        result.endedAt = result.ended ? uint40(s.mark()) : 0;
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
