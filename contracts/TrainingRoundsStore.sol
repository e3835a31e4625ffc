// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrder} from "./libraries/LeaderOrder.sol";
import {Points} from "./libraries/Points.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Scores} from "./libraries/Scores.sol";
import {Seats} from "./libraries/Seats.sol";
import {Weights} from "./libraries/Weights.sol";
import {Words} from "./libraries/Words.sol";

/// @title TrainingRoundsStore
/// @notice What {TrainingRounds} keeps, and how it is read and credited.
abstract contract TrainingRoundsStore is ITrainingRounds {
    using RoundState for uint256;
    using Words for uint256[];

    /* STORAGE */

    uint256 internal constant MAX_SEATS = 16;

    /// @dev One request. Slots are overwritten round by round; what only audit needs is in events and in `history`.
    struct Task {
        RoundState.Plan plan;
        /// @dev See `RoundState`.
        uint256 state;
        bytes32 history;
        bytes32 finalDigest;
        /// @dev See `Points`: eight seats a word.
        uint256[2] points;
        /// @dev See `Seats`. Nobody can list it: who needs all members names their accounts, and is checked by it.
        mapping(address account => uint256 word) members;
    }

    /// @dev The committee in memory, one entry a seat. Weights are capped samples.
    struct Committee {
        uint256[] words;
        uint256[] weights;
        uint256[] reputations;
    }

    mapping(uint256 requestId => Task) internal _tasks;

    /* INTERNAL */

    /// @dev The state as it holds now.
    function _load(Task storage task) internal view returns (uint256 s) {
        s = task.state;
        if (s.timed()) return block.timestamp > s.mark() ? s.advance(task.plan, block.timestamp) : s;
        if (s.isIn(Phase.None)) return s.withoutOrganisations();
    }

    /// @dev The recorded state, whatever the clock says.
    function _recorded(Task storage task) internal view returns (uint256 s) {
        s = task.state;
        if (s.isIn(Phase.None)) return s.withoutOrganisations();
    }

    /// @dev The words of the seats in `mask`, one a seat (0 for the others), if `accounts` are those that hold them.
    function _words(Task storage task, uint256 requestId, uint256 s, uint256 mask, address[] calldata accounts)
        internal
        view
        returns (uint256[] memory words)
    {
        uint256 seats = s.seats();
        if (accounts.length != seats) revert TrainingRounds_WrongNumber(requestId, accounts.length, seats);
        words = new uint256[](seats);
        unchecked {
            for (uint256 seat; seat < seats; ++seat) {
                if (!_has(mask, seat)) continue;
                address account = accounts[seat];
                uint256 word = task.members[account];
                if (!Seats.holds(word, seat)) revert TrainingRounds_NotSeatOwner(requestId, seat, account);
                words.put(seat, word);
            }
        }
    }

    /// @dev The seats that submitted.
    /// @param rule The leader rule, which alone decides whether reputations are looked at.
    function _committee(Task storage task, uint256 requestId, uint256 s, uint256 rule, address[] calldata accounts)
        internal
        view
        returns (Committee memory committee)
    {
        uint256 submitted = s.field(RoundState.SUBMITTED);
        uint256[] memory words = _words(task, requestId, s, submitted, accounts);
        uint256[] memory samples = new uint256[](words.length);
        unchecked {
            for (uint256 seat; seat < words.length; ++seat) {
                samples.put(seat, Seats.samples(words.get(seat)));
            }
            if (rule == LeaderOrder.REPUTATION) {
                committee.reputations = new uint256[](words.length);
                for (uint256 seat; seat < words.length; ++seat) {
                    committee.reputations.put(seat, Seats.reputation(words.get(seat)));
                }
            }
        }
        committee.words = words;
        committee.weights = Weights.capped(samples, submitted);
    }

    /// @dev The running hash, which began with the terms, after the start.
    function _withKey(bytes32 history, bytes32 manifest, bytes32 keyHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, manifest, keyHash));
    }

    /// @dev The running hash after one more submission.
    function _withModel(bytes32 history, uint256 round, uint256 seat, bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, round, seat, digest));
    }

    /// @dev The running hash after a tally.
    function _withTally(bytes32 history, uint256 round, uint256 revealed, uint256[] memory votes, uint256 medians)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(history, round, revealed, votes, medians));
    }

    /// @dev The scores of the seats that revealed, in seat order.
    function _votes(uint256[] memory words, uint256 revealed) internal pure returns (uint256[] memory votes) {
        votes = new uint256[](Scores.count(revealed));
        uint256 n;
        unchecked {
            for (uint256 seat; seat < words.length; ++seat) {
                if (_has(revealed, seat)) votes.put(n++, Seats.lanes(words.get(seat)));
            }
        }
    }

    function _has(uint256 mask, uint256 seat) internal pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }

    /// @dev Adds points (16 bits a seat) and faults to the lanes.
    function _credit(Task storage task, uint256 seats, uint256 points_, uint256 faults) internal {
        unchecked {
            for (uint256 i; i * Points.SEATS_PER_WORD < seats; ++i) {
                uint256 old = task.points[i];
                uint256 word = Points.add(old, points_, faults);
                if (word != old) task.points[i] = word;
                points_ >>= 16 * Points.SEATS_PER_WORD;
                faults >>= Points.SEATS_PER_WORD;
            }
        }
    }

    /// @dev Seats whose attestation opens to this digest, and the errors that they attested.
    function _approvals(
        uint256 requestId,
        uint256 round,
        uint256[] memory words,
        address[] calldata accounts,
        bytes32 digest
    ) internal view returns (uint256 approvals, uint256[] memory errors) {
        errors = new uint256[](words.length);
        uint256 n;
        bytes memory facts = abi.encode(block.chainid, address(this), requestId, round, digest, 0, 0);
        unchecked {
            for (uint256 seat; seat < words.length; ++seat) {
                uint256 word = words.get(seat);
                if (word == 0) continue;
                uint256 error_ = Seats.attestedError(word);
                address account = accounts[seat];
                bytes32 expected;
                // `_attestation`, of whose seven facts the last two differ from seat to seat.
                assembly ("memory-safe") {
                    mstore(add(facts, 0xc0), error_)
                    mstore(add(facts, 0xe0), account)
                    expected := keccak256(add(facts, 0x20), 0xe0)
                }
                if (Seats.withAttestation(word, expected, error_) != word) continue;
                approvals |= 1 << seat;
                errors.put(n++, error_);
            }
        }
        errors.cut(n);
    }

    function _attestation(uint256 requestId, uint256 round, bytes32 digest, uint256 mae, address account)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), requestId, round, digest, mae, account));
    }
}
