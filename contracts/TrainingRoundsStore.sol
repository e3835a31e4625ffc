// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {LeaderOrderLib} from "./libraries/LeaderOrder.sol";
import {MemberState, MemberStateLib} from "./libraries/MemberState.sol";
import {PointLanes, Points} from "./libraries/Points.sol";
import {RoundPlan, RoundState, RoundStateLib} from "./libraries/RoundState.sol";
import {PackedScores, Scores} from "./libraries/Scores.sol";
import {UncheckedArrays} from "./libraries/UncheckedArrays.sol";
import {Weights} from "./libraries/Weights.sol";

/// @title TrainingRoundsStore
/// @notice The storage of {TrainingRounds}, and how it is read and credited.
abstract contract TrainingRoundsStore is ITrainingRounds {
    using MemberStateLib for MemberState[];
    using Scores for PackedScores[];
    using UncheckedArrays for uint256[];

    /* STORAGE */

    /// @dev One request. Slots are overwritten each round; what only audits need is in events and in `history`.
    struct Task {
        RoundPlan plan;
        RoundState state;
        bytes32 history;
        bytes32 finalDigest;
        PointLanes[2] points;
        /// @dev A mapping cannot be listed: a caller that needs all members passes their accounts, which are checked.
        mapping(address account => MemberState) members;
    }

    /// @dev The committee in memory, one entry a seat. Weights are capped samples.
    struct Committee {
        MemberState[] members;
        uint256[] weights;
        uint256[] reputations;
    }

    mapping(uint256 requestId => Task) internal _tasks;

    /* INTERNAL */

    /// @dev The state in the present phase.
    function _load(Task storage task) internal view returns (RoundState s) {
        s = task.state;
        if (s.timed()) return block.timestamp > s.mark() ? s.advance(task.plan, block.timestamp) : s;
        if (s.isIn(Phase.None)) return s.withoutOrganisations();
    }

    /// @dev The state as the last transaction recorded it.
    function _recorded(Task storage task) internal view returns (RoundState s) {
        s = task.state;
        if (s.isIn(Phase.None)) return s.withoutOrganisations();
    }

    /// @dev The members in the seats of `mask` (`MemberStateLib.NONE` elsewhere); reverts unless `accounts` hold these seats.
    function _members(Task storage task, uint256 requestId, RoundState s, uint256 mask, address[] calldata accounts)
        internal
        view
        returns (MemberState[] memory members)
    {
        uint256 seats = s.seats();
        if (accounts.length != seats) revert TrainingRounds_WrongNumber(requestId, accounts.length, seats);
        members = new MemberState[](seats);
        unchecked {
            for (uint256 seat; seat < seats; ++seat) {
                if (!_has(mask, seat)) continue;
                address account = accounts[seat];
                MemberState m = task.members[account];
                if (!m.holds(seat)) revert TrainingRounds_NotSeatOwner(requestId, seat, account);
                members.put(seat, m);
            }
        }
    }

    /// @dev The seats that submitted.
    /// @param rule The leader rule: reputations are filled in only for REPUTATION.
    function _committee(Task storage task, uint256 requestId, RoundState s, uint256 rule, address[] calldata accounts)
        internal
        view
        returns (Committee memory committee)
    {
        uint256 submitted = s.field(RoundStateLib.SUBMITTED);
        MemberState[] memory members = _members(task, requestId, s, submitted, accounts);
        uint256[] memory samples = new uint256[](members.length);
        unchecked {
            for (uint256 seat; seat < members.length; ++seat) {
                samples.put(seat, members.get(seat).samples());
            }
            if (rule == LeaderOrderLib.REPUTATION) {
                committee.reputations = new uint256[](members.length);
                for (uint256 seat; seat < members.length; ++seat) {
                    committee.reputations.put(seat, members.get(seat).reputation());
                }
            }
        }
        committee.members = members;
        committee.weights = Weights.capped(samples, submitted);
    }

    /// @dev The running hash after the start; before it, it is the hash of the terms.
    function _withKey(bytes32 history, bytes32 manifest, bytes32 keyHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, manifest, keyHash));
    }

    /// @dev The running hash after one more submission.
    function _withModel(bytes32 history, uint256 round, uint256 seat, bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, round, seat, digest));
    }

    /// @dev The running hash after a tally.
    function _withTally(
        bytes32 history,
        uint256 round,
        uint256 revealed,
        PackedScores[] memory votes,
        PackedScores medians
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(history, round, revealed, votes, medians));
    }

    /// @dev The votes of the seats that revealed, in seat order.
    function _votes(MemberState[] memory members, uint256 revealed) internal pure returns (PackedScores[] memory votes) {
        votes = new PackedScores[](Scores.count(revealed));
        uint256 n;
        unchecked {
            for (uint256 seat; seat < members.length; ++seat) {
                if (_has(revealed, seat)) votes.put(n++, members.get(seat).vote());
            }
        }
    }

    function _has(uint256 mask, uint256 seat) internal pure returns (bool) {
        return (mask >> seat) & 1 == 1;
    }

    /// @dev Adds points (16 bits a seat) and faults to the seats' lanes.
    function _credit(Task storage task, uint256 seats, uint256 points_, uint256 faults) internal {
        unchecked {
            for (uint256 i; i * Points.SEATS_PER_WORD < seats; ++i) {
                PointLanes old = task.points[i];
                PointLanes lanes = old.add(points_, faults);
                if (PointLanes.unwrap(lanes) != PointLanes.unwrap(old)) task.points[i] = lanes;
                points_ >>= 16 * Points.SEATS_PER_WORD;
                faults >>= Points.SEATS_PER_WORD;
            }
        }
    }

    /// @dev The seats whose attestation is of this digest, and the errors that they attested.
    function _approvals(
        uint256 requestId,
        uint256 round,
        MemberState[] memory members,
        address[] calldata accounts,
        bytes32 digest
    ) internal view returns (uint256 approvals, uint256[] memory errors) {
        errors = new uint256[](members.length);
        uint256 n;
        bytes memory facts = abi.encode(block.chainid, address(this), requestId, round, digest, 0, 0);
        unchecked {
            for (uint256 seat; seat < members.length; ++seat) {
                MemberState m = members.get(seat);
                if (!m.isMember()) continue;
                uint256 error_ = m.attestedError();
                address account = accounts[seat];
                bytes32 expected;
                // As `_attestation`: of its seven fields, only the last two differ from seat to seat.
                assembly ("memory-safe") {
                    mstore(add(facts, 0xc0), error_)
                    mstore(add(facts, 0xe0), account)
                    expected := keccak256(add(facts, 0x20), 0xe0)
                }
                if (!m.hasAttestation(expected, error_)) continue;
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
