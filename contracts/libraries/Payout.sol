// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Earned, EarnedLib} from "./Earned.sol";

/// @notice What one member earned in a request.
/// @dev 64 bits, four in a word. From bit 0: points 24, fair share 24, faults 16. The fair share is what the member would
/// have with an equal share of every round that it was in. A request gives at most 10,000,000 points.
type MemberSum is uint64;

using PayoutLib for MemberSum global;

/// @notice What the entries of a list add up to.
/// @param members Four `MemberSum` a word, by pool index.
/// @param points All points.
/// @param blind Paid rounds in which the requester's slice was missing or useless.
/// @param posters, refunds Whose gas is refunded, and how much (wei).
struct Sums {
    uint256[] members;
    uint256 points;
    uint256 blind;
    address[] posters;
    uint256[] refunds;
}

/// @title PayoutLib
/// @notice Adds up what a request's rounds earned, and derives shares and qualities.
library PayoutLib {
    uint256 internal constant SEATS = 16;
    uint256 internal constant MEMBERS_PER_WORD = 4;
    uint256 internal constant MEAN_QUALITY = 5000;
    uint256 internal constant MAX_QUALITY = 10_000;
    /// @notice What a fault takes from the quality of a paid request.
    uint256 internal constant QUALITY_PER_FAULT = 2000;
    /// @notice What a fault costs where nobody was paid, whatever the payment.
    uint256 internal constant LOSS_PER_FAULT = 100;
    uint256 internal constant MAX_FAULTS = 3;

    uint256 private constant FAIR = 24;
    uint256 private constant FAULTS = 48;

    /// @notice Adds up `entries`, and folds them into the running hash.
    /// @param hash The running hash before them.
    /// @param count How many members the pool has.
    function replay(bytes32 hash, Earned[] calldata entries, uint256 count)
        internal
        pure
        returns (Sums memory sums, bytes32 folded)
    {
        sums.members = new uint256[]((count + MEMBERS_PER_WORD - 1) / MEMBERS_PER_WORD);
        sums.posters = new address[](entries.length);
        sums.refunds = new uint256[](entries.length);
        uint256 posters;
        for (uint256 i; i < entries.length; ++i) {
            Earned memory entry = entries[i];
            hash = EarnedLib.fold(hash, entry);
            _addRound(sums, entry);
            posters = _addRefund(sums, entry, posters);
        }
        address[] memory found = sums.posters;
        uint256[] memory refunds = sums.refunds;
        assembly ("memory-safe") {
            mstore(found, posters)
            mstore(refunds, posters)
        }
        return (sums, hash);
    }

    /// @notice One of the four sums in a word.
    function inWord(uint256 word, uint256 index) internal pure returns (MemberSum) {
        return MemberSum.wrap(uint64(word >> (64 * (index % MEMBERS_PER_WORD))));
    }

    function points(MemberSum sum) internal pure returns (uint256) {
        return uint24(MemberSum.unwrap(sum));
    }

    /// @notice At most `MAX_FAULTS`, so that one request costs nobody more.
    function faults(MemberSum sum) internal pure returns (uint256) {
        uint256 all = MemberSum.unwrap(sum) >> FAULTS;
        return all < MAX_FAULTS ? all : MAX_FAULTS;
    }

    /// @notice Points relative to the fair share, less what faults cost; 0 to 10,000.
    function quality(MemberSum sum) internal pure returns (uint256) {
        uint256 fair = uint24(MemberSum.unwrap(sum) >> FAIR);
        uint256 relative = fair == 0 ? 0 : MEAN_QUALITY * points(sum) / fair;
        if (relative > MAX_QUALITY) relative = MAX_QUALITY;
        uint256 cost = QUALITY_PER_FAULT * faults(sum);
        return relative > cost ? relative - cost : 0;
    }

    function _addRound(Sums memory sums, Earned memory entry) private pure {
        if (entry.isPaid() && entry.isBlind()) ++sums.blind;
        uint256 size = _size(entry);
        if (size == 0) return;
        uint256 total;
        for (uint256 seat; seat < size; ++seat) {
            total += entry.pointsOf(seat);
        }
        sums.points += total;
        uint256 fair = entry.isSummed() ? entry.fairOf() : total / size;
        for (uint256 seat; seat < size; ++seat) {
            uint256 index = entry.indexOf(seat);
            uint256 own = entry.pointsOf(seat) | (fair << FAIR) | (entry.isAtFault(seat) ? 1 << FAULTS : 0);
            // No lane overflows: a thousand rounds give at most 10,000 points each.
            sums.members[index / MEMBERS_PER_WORD] += own << (64 * (index % MEMBERS_PER_WORD));
        }
    }

    /// @dev The number of seats: one past the last that has an index, points or a fault. Index 0 alone leaves no trace in
    /// the last seat of a cohort, so that member 0 is missed there if it earned nothing and has no fault.
    function _size(Earned memory entry) private pure returns (uint256 size) {
        for (size = SEATS; size > 0; --size) {
            uint256 last = size - 1;
            if (entry.indexOf(last) != 0 || entry.pointsOf(last) != 0 || entry.isAtFault(last)) break;
        }
    }

    /// @dev Adds a refund to its poster's, if that is among the first sixteen; so the work stays bounded.
    function _addRefund(Sums memory sums, Earned memory entry, uint256 posters) private pure returns (uint256) {
        (address poster, uint256 amount) = entry.refundOf();
        if (amount == 0) return posters;
        for (uint256 i; i < posters && i < SEATS; ++i) {
            if (sums.posters[i] == poster) {
                sums.refunds[i] += amount;
                return posters;
            }
        }
        sums.posters[posters] = poster;
        sums.refunds[posters] = amount;
        return posters + 1;
    }
}
