// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores, Scores} from "./Scores.sol";

/// @notice One member of a committee in one storage word, kept under the member's account; 0 for an account without a seat.
/// @dev Layout from bit 0: sixteen lanes of 14 bits (see `Scores`), seat 4, samples 24, occupied 1.
/// The member's own lane, which no vote uses, holds its reputation when it joined. The other lanes hold what the member
/// did last: 210 bits of its commitment, then its scores, then 196 bits of its attestation and the error it attested.
/// That error is in the lane of the seat whose number differs from the member's in the lowest bit.
type MemberState is uint256;

using MemberStateLib for MemberState global;

/// @title MemberStateLib
/// @notice Reads and changes a `MemberState`.
library MemberStateLib {
    /// @notice The state of an account without a seat.
    MemberState internal constant NONE = MemberState.wrap(0);
    /// @notice The seat number of an account without a seat.
    uint256 internal constant NO_SEAT = 0xff;

    uint256 private constant LANES = (1 << 224) - 1;
    uint256 private constant SEAT = 224;
    uint256 private constant SAMPLES = 228;
    uint256 private constant OCCUPIED = 1 << 252;

    function pack(uint256 seat_, uint256 samples_, uint256 reputation_) internal pure returns (MemberState) {
        return MemberState.wrap(
            OCCUPIED | (samples_ << SAMPLES) | (seat_ << SEAT) | (reputation_ << (Scores.BITS * seat_))
        );
    }

    /// @notice Whether the account has a seat.
    function isMember(MemberState m) internal pure returns (bool) {
        return MemberState.unwrap(m) != 0;
    }

    function seat(MemberState m) internal pure returns (uint256) {
        return isMember(m) ? _seat(m) : NO_SEAT;
    }

    /// @notice Whether the member has this seat; false for any number that is not one of sixteen.
    function holds(MemberState m, uint256 seat_) internal pure returns (bool) {
        return isMember(m) && _seat(m) == seat_;
    }

    function samples(MemberState m) internal pure returns (uint256) {
        return (MemberState.unwrap(m) >> SAMPLES) & 0xffffff;
    }

    function reputation(MemberState m) internal pure returns (uint256) {
        return _lanes(m).lane(_seat(m));
    }

    /// @notice The fifteen lanes of the other seats, whatever they hold.
    function lanes(MemberState m) internal pure returns (uint256) {
        return MemberState.unwrap(m) & _others(m);
    }

    /// @notice The member's scores, once revealed.
    function vote(MemberState m) internal pure returns (PackedScores) {
        return PackedScores.wrap(lanes(m));
    }

    /// @notice The error in the member's attestation.
    function attestedError(MemberState m) internal pure returns (uint256) {
        return _lanes(m).lane(_seat(m) ^ 1);
    }

    function hasCommitment(MemberState m, bytes32 commitment) internal pure returns (bool) {
        return MemberState.unwrap(withCommitment(m, commitment)) == MemberState.unwrap(m);
    }

    function hasAttestation(MemberState m, bytes32 attestation, uint256 mae) internal pure returns (bool) {
        return MemberState.unwrap(withAttestation(m, attestation, mae)) == MemberState.unwrap(m);
    }

    /// @notice `m` with the bits of a commitment in the lanes of the other seats.
    function withCommitment(MemberState m, bytes32 commitment) internal pure returns (MemberState) {
        return _withLanes(m, uint256(commitment));
    }

    /// @notice `m` with a vote in the lanes of the other seats.
    function withVote(MemberState m, PackedScores vote_) internal pure returns (MemberState) {
        return _withLanes(m, PackedScores.unwrap(vote_));
    }

    /// @notice `m` with the bits of an attestation, and its error, in the lanes of the other seats.
    function withAttestation(MemberState m, bytes32 attestation, uint256 mae) internal pure returns (MemberState) {
        PackedScores lanes_ = PackedScores.wrap(uint256(attestation)).set(_seat(m) ^ 1, mae);
        return _withLanes(m, PackedScores.unwrap(lanes_));
    }

    /// @notice An element of an array, without a bounds check (see `UncheckedArrays`).
    function get(MemberState[] memory members, uint256 seat_) internal pure returns (MemberState m) {
        assembly ("memory-safe") {
            m := mload(add(add(members, 0x20), shl(5, seat_)))
        }
    }

    /// @notice Sets an element of an array, without a bounds check.
    function put(MemberState[] memory members, uint256 seat_, MemberState m) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(members, 0x20), shl(5, seat_)), m)
        }
    }

    /// @notice The same array read as packed votes. A member's own lane still holds its reputation; `Scores` skips it.
    function votes(MemberState[] memory members) internal pure returns (PackedScores[] memory packed) {
        assembly ("memory-safe") {
            packed := members
        }
    }

    function _withLanes(MemberState m, uint256 lanes_) private pure returns (MemberState) {
        uint256 others = _others(m);
        return MemberState.wrap((MemberState.unwrap(m) & ~others) | (lanes_ & others));
    }

    /// @dev All lanes, with the bits above them.
    function _lanes(MemberState m) private pure returns (PackedScores) {
        return PackedScores.wrap(MemberState.unwrap(m));
    }

    /// @dev The bits of the other seats' lanes.
    function _others(MemberState m) private pure returns (uint256) {
        unchecked {
            return LANES & ~(Scores.INVALID << (Scores.BITS * _seat(m)));
        }
    }

    /// @dev The seat of an account that has one.
    function _seat(MemberState m) private pure returns (uint256) {
        return (MemberState.unwrap(m) >> SEAT) & 0xf;
    }
}
