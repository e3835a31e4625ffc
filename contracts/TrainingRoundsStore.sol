// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {Points} from "./libraries/Points.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Weights} from "./libraries/Weights.sol";

/// @title TrainingRoundsStore
/// @notice What {TrainingRounds} keeps, and the views of it.
abstract contract TrainingRoundsStore is ITrainingRounds {
    using RoundState for RoundState.State;

    /* STORAGE */

    uint256 internal constant MAX_SEATS = 16;

    /// @dev One request. Slots are overwritten round by round; what only audit needs is in events and in `history`.
    struct Task {
        Params params;
        /// @dev See `RoundState`.
        uint256 state;
        /// @dev The last tally: packed medians (224 bits), included seats (16), seats with a valid median (16).
        uint256 medians;
        bytes32 keyCommitment;
        bytes32 history;
        bytes32 finalDigest;
        /// @dev See `Points`: eight seats a word.
        uint256[2] points;
        Member[MAX_SEATS] members;
        bytes32[MAX_SEATS] digests;
        /// @dev Commitment, then packed scores, then attestation with the error in its low 16 bits.
        bytes32[MAX_SEATS] votes;
    }

    /// @dev The committee in memory, one entry a seat.
    struct Committee {
        address[] accounts;
        uint256[] samples;
        uint256[] reputations;
    }

    mapping(uint256 requestId => Task) internal _tasks;

    /* VIEWS */

    /// @inheritdoc ITrainingRounds
    function roundState(uint256 requestId) public view override returns (RoundFacts memory facts) {
        Task storage task = _tasks[requestId];
        (RoundState.State memory s, Params memory p) = _load(task);

        facts.phase = s.stage;
        facts.start = uint40(s.mark);
        facts.deadline = uint40(s.deadline(p));
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

    /* INTERNAL */

    /// @dev The state as it holds now, and the parameters.
    function _load(Task storage task) internal view returns (RoundState.State memory s, Params memory p) {
        p = task.params;
        s = RoundState.unpack(task.state);
        s.advance(p, block.timestamp);
    }

    /// @dev Samples are capped, and 0 for seats that did not submit in this round.
    function _committee(Task storage task, RoundState.State memory s)
        internal
        view
        returns (Committee memory committee)
    {
        committee.accounts = new address[](s.seats);
        committee.samples = new uint256[](s.seats);
        committee.reputations = new uint256[](s.seats);
        for (uint256 seat; seat < s.seats; ++seat) {
            Member memory member = task.members[seat];
            committee.accounts[seat] = member.account;
            committee.samples[seat] = member.samples;
            committee.reputations[seat] = member.reputation;
        }
        committee.samples = Weights.capped(committee.samples, s.submitted);
    }

    function _leaders(
        RoundState.State memory s,
        Committee memory c,
        uint256 medians,
        uint256 eligible,
        uint256 rule
    ) internal pure returns (uint256[] memory) {
        return LeaderOrder.order(
            eligible, medians, c.samples, c.accounts, s.round, rule, c.reputations, s.lastLeader
        );
    }

    function _chained(
        bytes32 history,
        uint256 round,
        uint256 submitted,
        uint256 revealed,
        bytes32[] memory digests_,
        uint256[] memory words,
        uint256 medians
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, round, submitted, revealed, digests_, words, medians));
    }

    function _unpackMedians(uint256 word)
        internal
        pure
        returns (uint256 medians, uint256 included, uint256 valid)
    {
        return (word & type(uint224).max, (word >> 224) & 0xffff, word >> 240);
    }

    function _has(uint256 mask, uint256 seat) internal pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }
}
