// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {Points} from "./libraries/Points.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {Weights} from "./libraries/Weights.sol";

/// @title TrainingRoundsStore
/// @notice What {TrainingRounds} keeps, and how it is read and credited.
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

    /* INTERNAL */

    /// @dev The state as it holds now.
    function _load(Task storage task) internal view returns (RoundState.State memory s) {
        s = RoundState.unpack(task.state);
        if (s.timed() && block.timestamp > s.mark) s.advance(task.params, block.timestamp);
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

    /// @dev Adds points and faults to the lanes. Returns the points in 16-bit lanes, as the event carries them.
    function _credit(Task storage task, uint256[] memory points_, uint256 faults) internal returns (uint256 given) {
        for (uint256 i; i * Points.SEATS_PER_WORD < points_.length; ++i) {
            uint256 old = task.points[i];
            uint256 word = old;
            for (uint256 place; place < Points.SEATS_PER_WORD; ++place) {
                uint256 seat = i * Points.SEATS_PER_WORD + place;
                if (seat >= points_.length) break;
                uint256 fault = (faults >> seat) & 1;
                if (points_[seat] + fault == 0) continue;
                word = Points.add(word, place, points_[seat], fault);
                given |= points_[seat] << (16 * seat);
            }
            if (word != old) task.points[i] = word;
        }
    }

    /// @dev Seats whose attestation opens to this digest, and the median of the errors that they attested.
    function _approvals(
        Task storage task,
        RoundState.State memory s,
        address[] memory accounts,
        uint256 requestId,
        bytes32 digest
    ) internal view returns (uint256 approvals, uint256 mae) {
        uint256[] memory errors = new uint256[](s.seats);
        uint256 n;
        for (uint256 seat; seat < s.seats; ++seat) {
            if (!_has(s.attested, seat)) continue;
            uint256 word = uint256(task.votes[seat]);
            uint256 error_ = word & 0xffff;
            bytes32 expected = keccak256(
                abi.encode(block.chainid, address(this), requestId, s.round, digest, error_, accounts[seat])
            );
            if ((uint256(expected) ^ word) >> 16 != 0) continue;
            approvals |= 1 << seat;
            errors[n++] = error_;
        }
        assembly ("memory-safe") {
            mstore(errors, n)
        }
        mae = Quorum.medianError(errors);
    }

    function _leaderPoints(uint256 seats, uint256 seat) internal pure returns (uint256[] memory points_) {
        points_ = new uint256[](seats);
        points_[seat] = Points.LEADER;
    }

    /// @dev One word a seat, 0 where nothing was revealed.
    function _revealedWords(Task storage task, RoundState.State memory s)
        internal
        view
        returns (uint256[] memory words)
    {
        words = new uint256[](s.seats);
        for (uint256 seat; seat < s.seats; ++seat) {
            if (_has(s.revealed, seat)) words[seat] = uint256(task.votes[seat]);
        }
    }

    function _submittedDigests(Task storage task, RoundState.State memory s)
        internal
        view
        returns (bytes32[] memory digests_)
    {
        digests_ = new bytes32[](Scores.count(s.submitted));
        uint256 n;
        for (uint256 seat; seat < s.seats; ++seat) {
            if (_has(s.submitted, seat)) digests_[n++] = task.digests[seat];
        }
    }

    /// @dev The words of the seats in `mask`, in seat order.
    function _compact(uint256[] memory words, uint256 mask) internal pure returns (uint256[] memory kept) {
        kept = new uint256[](Scores.count(mask));
        uint256 n;
        for (uint256 seat; seat < words.length; ++seat) {
            if (_has(mask, seat)) kept[n++] = words[seat];
        }
    }
}
