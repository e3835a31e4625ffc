// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Earned, EarnedLib} from "../../../contracts/libraries/Earned.sol";
import {MemberSum, PayoutLib, Sums} from "../../../contracts/libraries/Payout.sol";

/// @notice What `make symbolic` proves of the words that say what was earned, for all arguments.
contract EarnedProofs {
    uint256 private constant ROUND = EarnedLib.PAID | EarnedLib.BLIND | EarnedLib.VOID_START;
    uint256 private constant SEATS = 4;

    /// @dev Of four refunds: the product of a symbol with 10^9 takes a solver too long.
    function check_extra_holds_what_was_packed(uint16 faults, uint256 flags, address poster, uint256 seat) external pure {
        flags &= ROUND;
        uint64[4] memory refunds = [0, 1, 0xa5a5a5a5a5a5a5a5, type(uint64).max];
        for (uint256 i; i < refunds.length; ++i) {
            Earned memory entry;
            entry.extra = EarnedLib.pack(faults, flags, refunds[i], poster);
            assert(entry.isPaid() == (flags & EarnedLib.PAID != 0));
            assert(entry.isBlind() == (flags & EarnedLib.BLIND != 0));
            assert((entry.extra & EarnedLib.VOID_START != 0) == (flags & EarnedLib.VOID_START != 0));
            assert(!entry.isSummed());
            if (seat < 16) assert(entry.isAtFault(seat) == ((faults >> seat) & 1 == 1));
            (address account, uint256 amount) = entry.refundOf();
            assert(account == poster && amount == uint256(refunds[i]) * 1 gwei);
        }
    }

    /// @dev As `LargeRounds.sum` packs it.
    function check_summed_extra_holds_the_fair_share_and_refunds_nothing(uint64 fair) external pure {
        Earned memory entry;
        entry.extra = EarnedLib.pack(0, EarnedLib.SUMMED, fair, address(0));
        assert(entry.isSummed() && entry.fairOf() == fair);
        assert(!entry.isPaid() && !entry.isBlind() && entry.extra & EarnedLib.VOID_START == 0);
        (address account, uint256 amount) = entry.refundOf();
        assert(account == address(0) && amount == 0);
    }

    function check_seats_have_their_lanes(uint16[16] calldata indices, uint16[16] calldata points, uint256 seat)
        external
        pure
    {
        if (seat >= 16) return;
        Earned memory entry;
        for (uint256 i; i < 16; ++i) {
            entry.cohort |= uint256(indices[i]) << (16 * i);
            entry.points |= uint256(points[i]) << (16 * i);
        }
        for (uint256 i; i < 16; ++i) {
            assert(i != seat || (entry.indexOf(seat) == indices[i] && entry.pointsOf(seat) == points[i]));
        }
    }

    /// @dev Each of four members has the sum that it had, and what this round gave it.
    function check_a_round_adds_to_its_members_alone(uint16[4] calldata points, uint16 faults, bytes32 hash, bytes32 digest)
        external
        view
    {
        Earned[] memory entries = new Earned[](1);
        uint256 total;
        for (uint256 i; i < SEATS; ++i) {
            entries[0].cohort |= i << (16 * i);
            entries[0].points |= uint256(points[i]) << (16 * i);
            total += points[i];
        }
        // Else the number of seats, which the points are shared by, is smaller.
        if (points[SEATS - 1] == 0) return;
        faults &= 0xf;
        entries[0].extra = EarnedLib.pack(faults, EarnedLib.PAID, 0, address(0));
        entries[0].digest = digest;
        (uint256 word, uint256 all) = this.sumsOf(hash, entries);
        assert(all == total);
        for (uint256 i; i < SEATS; ++i) {
            MemberSum sum = PayoutLib.inWord(word, i);
            assert(sum.points() == points[i]);
            assert(sum.faults() == (faults >> i) & 1);
        }
    }

    function sumsOf(bytes32 hash, Earned[] calldata entries) external pure returns (uint256 word, uint256 points) {
        (Sums memory sums,) = PayoutLib.replay(hash, entries, SEATS);
        return (sums.members[0], sums.points);
    }

    /// @dev A request gives at most 10,000,000 points, a thousand rounds at most a thousand faults.
    function check_sums_of_a_request_fit_their_lanes(uint256 word, uint256 more, uint256 index) external pure {
        if (index >= PayoutLib.MEMBERS_PER_WORD) return;
        for (uint256 i; i < PayoutLib.MEMBERS_PER_WORD; ++i) {
            if (!_isOfARequest(PayoutLib.inWord(word, i))) return;
        }
        MemberSum own = MemberSum.wrap(uint64(more));
        if (!_isOfARequest(own)) return;
        uint256 found = word + (uint256(MemberSum.unwrap(own)) << (64 * index));
        for (uint256 i; i < PayoutLib.MEMBERS_PER_WORD; ++i) {
            MemberSum before = PayoutLib.inWord(word, i);
            MemberSum after_ = PayoutLib.inWord(found, i);
            assert(i == index || MemberSum.unwrap(after_) == MemberSum.unwrap(before));
            assert(i != index || after_.points() == before.points() + own.points());
        }
    }

    /// @dev Half of what a request's lanes may have, so that two of them may be added.
    function _isOfARequest(MemberSum sum) private pure returns (bool) {
        uint64 raw = MemberSum.unwrap(sum);
        return uint24(raw) <= 5_000_000 && uint24(raw >> 24) <= 5_000_000 && raw >> 48 <= 500;
    }
}
