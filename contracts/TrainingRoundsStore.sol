// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Points} from "./libraries/Points.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {Seats} from "./libraries/Seats.sol";
import {Weights} from "./libraries/Weights.sol";

/// @title TrainingRoundsStore
/// @notice What {TrainingRounds} keeps, and how it is read and credited.
abstract contract TrainingRoundsStore is ITrainingRounds {
    using RoundState for uint256;

    /* STORAGE */

    uint256 internal constant MAX_SEATS = 16;

    /// @dev One request. Slots are overwritten round by round; what only audit needs is in events and in `history`.
    struct Task {
        Params params;
        /// @dev See `RoundState`.
        uint256 state;
        /// @dev The last tally: packed medians (224 bits), included seats (16), seats that may lead (16).
        uint256 medians;
        bytes32 keyCommitment;
        bytes32 history;
        bytes32 finalDigest;
        /// @dev See `Points`: eight seats a word.
        uint256[2] points;
        /// @dev See `Seats`.
        uint256[MAX_SEATS] members;
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
    function _load(Task storage task) internal view returns (uint256 s) {
        s = task.state;
        if (block.timestamp > s.mark() && s.timed()) return s.advance(task.params, block.timestamp);
        if (s.phase() == Phase.None) return s.withoutLanes();
    }

    /// @dev The recorded state, whatever the clock says.
    function _recorded(Task storage task) internal view returns (uint256 s) {
        s = task.state;
        if (s.phase() == Phase.None) return s.withoutLanes();
    }

    /// @dev Samples are capped, and 0 for seats that did not submit in this round.
    function _committee(Task storage task, uint256 s) internal view returns (Committee memory committee) {
        uint256 seats = s.seats();
        committee.accounts = new address[](seats);
        committee.reputations = new uint256[](seats);
        uint256[] memory samples = new uint256[](seats);
        for (uint256 seat; seat < seats; ++seat) {
            uint256 word = task.members[seat];
            committee.accounts[seat] = Seats.account(word);
            committee.reputations[seat] = Seats.reputation(word);
            samples[seat] = Seats.samples(word);
        }
        committee.samples = Weights.capped(samples, s.field(RoundState.SUBMITTED));
    }

    function _accounts(Task storage task, uint256 s) internal view returns (address[] memory accounts) {
        accounts = new address[](s.seats());
        for (uint256 seat; seat < accounts.length; ++seat) {
            accounts[seat] = Seats.account(task.members[seat]);
        }
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
        returns (uint256 medians, uint256 included, uint256 leaders)
    {
        return (word & type(uint224).max, (word >> 224) & 0xffff, word >> 240);
    }

    function _has(uint256 mask, uint256 seat) internal pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }

    /// @dev Adds points and faults to the lanes. Returns the points in 16-bit lanes, as the event carries them.
    function _credit(Task storage task, uint256[] memory points_, uint256 faults) internal returns (uint256 given) {
        unchecked {
            for (uint256 i; i * Points.SEATS_PER_WORD < points_.length; ++i) {
                uint256 first = i * Points.SEATS_PER_WORD;
                uint256 end = first + Points.SEATS_PER_WORD;
                if (end > points_.length) end = points_.length;
                uint256 old = task.points[i];
                uint256 word = old;
                for (uint256 seat = first; seat < end; ++seat) {
                    uint256 own = points_[seat];
                    given |= own << (16 * seat);
                    word = Points.add(word, seat - first, own, (faults >> seat) & 1);
                }
                if (word != old) task.points[i] = word;
            }
        }
    }

    /// @dev Adds points to one seat, and a fault to each of `faults`.
    function _creditOne(Task storage task, uint256 s, uint256 seat, uint256 points_, uint256 faults) internal {
        uint256 seats = s.seats();
        unchecked {
            for (uint256 i; i * Points.SEATS_PER_WORD < seats; ++i) {
                uint256 due = (faults | (1 << seat)) >> (i * Points.SEATS_PER_WORD);
                if (due & 0xff == 0) continue;
                uint256 word = task.points[i];
                for (uint256 place; place < Points.SEATS_PER_WORD; ++place) {
                    if ((due >> place) & 1 == 0) continue;
                    uint256 other = i * Points.SEATS_PER_WORD + place;
                    word = Points.add(word, place, other == seat ? points_ : 0, (faults >> other) & 1);
                }
                task.points[i] = word;
            }
        }
    }

    /// @dev Seats whose attestation opens to this digest, and the median of the errors that they attested.
    function _approvals(Task storage task, uint256 s, address[] memory accounts, uint256 requestId, bytes32 digest)
        internal
        view
        returns (uint256 approvals, uint256 mae)
    {
        uint256 attested = s.field(RoundState.ATTESTED);
        uint256 round = s.round();
        uint256[] memory errors = new uint256[](accounts.length);
        uint256 n;
        bytes memory facts = abi.encode(block.chainid, address(this), requestId, round, digest, 0, 0);
        unchecked {
            for (uint256 seat; seat < accounts.length; ++seat) {
                if (!_has(attested, seat)) continue;
                uint256 word = uint256(task.votes[seat]);
                uint256 error_ = word & 0xffff;
                address account = accounts[seat];
                uint256 expected;
                // The last two of the seven facts differ from seat to seat.
                assembly ("memory-safe") {
                    mstore(add(facts, 0xc0), error_)
                    mstore(add(facts, 0xe0), account)
                    expected := keccak256(add(facts, 0x20), 0xe0)
                }
                if ((expected ^ word) >> 16 != 0) continue;
                approvals |= 1 << seat;
                errors[n++] = error_;
            }
        }
        assembly ("memory-safe") {
            mstore(errors, n)
        }
        mae = Quorum.medianError(errors);
    }

    /// @dev The words of the seats in `mask`: one a seat of the committee (0 where not in it), and those alone.
    function _read(bytes32[MAX_SEATS] storage words, uint256 mask, uint256 seats)
        internal
        view
        returns (uint256[] memory all, uint256[] memory those)
    {
        all = new uint256[](seats);
        those = new uint256[](Scores.count(mask));
        uint256 n;
        unchecked {
            for (uint256 seat; seat < seats; ++seat) {
                if (_has(mask, seat)) those[n++] = all[seat] = uint256(words[seat]);
            }
        }
    }

    function _asBytes32(uint256[] memory words) internal pure returns (bytes32[] memory same) {
        assembly ("memory-safe") {
            same := words
        }
    }
}
