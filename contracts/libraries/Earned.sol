// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice One entry of the list of what a request's rounds earned. The chain keeps only the running hash of the list;
/// whoever settles gives the list back.
/// @dev An entry is a round, or the gas of a transaction that posted part of one (then cohort, points and digest are 0). Of
/// large rounds, an entry of a round has no cohort and points; entries with the flag SUMMED have those of all rounds.
struct Earned {
    /// @dev The pool index of each seat of the round: 16 bits a seat, seat i at bit 16 * i.
    uint256 cohort;
    /// @dev The points of each seat, 16 bits a seat; of a round, at most 10,000 together.
    uint256 points;
    /// @dev From bit 0: seats that got a fault 16, flags 16, gas to refund in gwei 64, account to refund 160.
    uint256 extra;
    /// @dev The global model of the round; zero where the round did not become final.
    bytes32 digest;
}

using EarnedLib for Earned global;

/// @title EarnedLib
/// @notice Hashes and reads the entries of `Earned`.
library EarnedLib {
    /// @notice The round gave points to somebody: it counts as a paid round.
    uint256 internal constant PAID = 1 << 16;
    /// @notice The requester's slice was missing, late or useless: all submitted models were paid equally.
    uint256 internal constant BLIND = 1 << 17;
    /// @notice The start was void: seat 0 of `cohort` is the member that started, and has a fault.
    uint256 internal constant VOID_START = 1 << 18;

    /// @notice The points of up to sixteen members in all large rounds together. Instead of gas, such an entry has the fair
    /// share of a member of the pool.
    uint256 internal constant SUMMED = 1 << 19;

    uint256 private constant GAS = 32;
    uint256 private constant POSTER = 96;

    /// @notice The running hash with one more entry; it begins with zero.
    function fold(bytes32 earned, Earned memory entry) internal pure returns (bytes32) {
        return keccak256(abi.encode(earned, entry.cohort, entry.points, entry.extra, entry.digest));
    }

    /// @notice Packs the word `extra`.
    /// @param faults Seats that got a fault.
    /// @param flags PAID, BLIND, VOID_START.
    /// @param refund Gas to refund, in gwei.
    /// @param poster The account to refund.
    function pack(uint256 faults, uint256 flags, uint256 refund, address poster) internal pure returns (uint256) {
        return faults | flags | (refund << GAS) | (uint256(uint160(poster)) << POSTER);
    }

    /// @notice The pool index of a seat.
    function indexOf(Earned memory entry, uint256 seat) internal pure returns (uint256) {
        return (entry.cohort >> (16 * seat)) & 0xffff;
    }

    /// @notice The points of a seat.
    function pointsOf(Earned memory entry, uint256 seat) internal pure returns (uint256) {
        return (entry.points >> (16 * seat)) & 0xffff;
    }

    /// @notice Whether a seat got a fault.
    function isAtFault(Earned memory entry, uint256 seat) internal pure returns (bool) {
        return (entry.extra >> seat) & 1 == 1;
    }

    function isPaid(Earned memory entry) internal pure returns (bool) {
        return entry.extra & PAID != 0;
    }

    function isBlind(Earned memory entry) internal pure returns (bool) {
        return entry.extra & BLIND != 0;
    }

    function isSummed(Earned memory entry) internal pure returns (bool) {
        return entry.extra & SUMMED != 0;
    }

    /// @notice The fair share that an entry with the flag SUMMED has.
    function fairOf(Earned memory entry) internal pure returns (uint256) {
        return uint64(entry.extra >> GAS);
    }

    /// @notice The account whose gas is to be refunded, and the sum in wei; zero if none is.
    function refundOf(Earned memory entry) internal pure returns (address poster, uint256 amount) {
        if (entry.isSummed()) return (poster, amount);
        poster = address(uint160(entry.extra >> POSTER));
        amount = uint256(uint64(entry.extra >> GAS)) * 1 gwei;
    }
}
