// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./Scores.sol";

/// @title Seats
/// @notice One member of a committee in one storage word, which is kept under the member's account.
/// @dev Layout from bit 0: sixteen lanes of 14 bits (see `Scores`), seat 4, samples 24, occupied 1.
/// The own lane, which no vote uses, holds the member's reputation as it joined. The other lanes hold what the member did
/// last: 210 bits of its commitment, then its scores, then 196 bits of its attestation and, in the lane of the seat that
/// differs in the lowest bit, the error that it attested.
library Seats {
    /// @notice The seat of an account that has none.
    uint256 internal constant NONE = 0xff;

    uint256 private constant LANES = (1 << 224) - 1;
    uint256 private constant SEAT = 224;
    uint256 private constant SAMPLES = 228;
    uint256 private constant OCCUPIED = 1 << 252;

    function pack(uint256 seat_, uint256 samples_, uint256 reputation_) internal pure returns (uint256) {
        return OCCUPIED | (samples_ << SAMPLES) | (seat_ << SEAT) | (reputation_ << (Scores.BITS * seat_));
    }

    function seat(uint256 word) internal pure returns (uint256) {
        return word == 0 ? NONE : _place(word);
    }

    /// @notice Whether `word` is that of a member with this seat; false for any number that is not one of sixteen.
    function holds(uint256 word, uint256 seat_) internal pure returns (bool) {
        return word != 0 && _place(word) == seat_;
    }

    function samples(uint256 word) internal pure returns (uint256) {
        return (word >> SAMPLES) & 0xffffff;
    }

    function reputation(uint256 word) internal pure returns (uint256) {
        return Scores.lane(word, _place(word));
    }

    /// @notice The fifteen lanes of the others.
    function lanes(uint256 word) internal pure returns (uint256) {
        return word & _others(word);
    }

    /// @notice `word` with the lanes of the others replaced by those of `lanes_`.
    function withLanes(uint256 word, uint256 lanes_) internal pure returns (uint256) {
        uint256 others = _others(word);
        return (word & ~others) | (lanes_ & others);
    }

    /// @notice `word` with an attestation and its error in the lanes of the others.
    function withAttestation(uint256 word, bytes32 attestation, uint256 mae) internal pure returns (uint256) {
        return withLanes(word, Scores.set(uint256(attestation), _place(word) ^ 1, mae));
    }

    /// @notice The error of the attestation in `word`.
    function attestedError(uint256 word) internal pure returns (uint256) {
        return Scores.lane(word, _place(word) ^ 1);
    }

    function _others(uint256 word) private pure returns (uint256) {
        unchecked {
            return LANES & ~(Scores.INVALID << (Scores.BITS * _place(word)));
        }
    }

    /// @dev The seat in a member's word.
    function _place(uint256 word) private pure returns (uint256) {
        return (word >> SEAT) & 0xf;
    }
}
