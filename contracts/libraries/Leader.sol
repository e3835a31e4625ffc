// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores, Scores} from "./Scores.sol";
import {UncheckedArrays} from "./UncheckedArrays.sol";
import {Weights} from "./Weights.sol";
import {PoolMember} from "./PoolMember.sol";

/// @title Leader
/// @notice Who leads a round.
library Leader {
    using UncheckedArrays for uint256[];

    /// @notice The seat of no leader.
    uint256 internal constant NOBODY = 16;
    /// @notice The rule by which they take turns.
    uint256 internal constant REPUTATION = 1;

    /// @notice The leader among `candidates`, `NOBODY` if there are none.
    /// @dev By rule 0 the lowest median * (S + d); ties by the lower keccak256(round, account). By rule 1 they take turns:
    /// the next by reputation after the last leader, else the highest; ties by the lower keccak256(0, account).
    /// @param submitted Seats whose samples make the weights d and their sum S.
    function leader(
        uint256 candidates,
        uint256 submitted,
        PackedScores medians,
        PoolMember[] memory members,
        uint256 round,
        uint256 rule,
        uint256 lastLeaderSeat
    ) internal pure returns (uint256 first) {
        uint256[] memory weights;
        uint256 sum;
        first = NOBODY;
        bool turns = rule == REPUTATION;
        unchecked {
            if (!turns) (weights, sum) = _weights(members, submitted);
            // Turns need one order for all rounds.
            if (turns) round = 0;
            uint256 lastRank;
            if (turns && lastLeaderSeat != NOBODY) {
                PoolMember last = members[lastLeaderSeat];
                lastRank = _rank(Scores.MAX - last.reputation(), round, last);
            }
            uint256 best = type(uint256).max;
            for (uint256 seat; candidates >> seat != 0; ++seat) {
                if ((candidates >> seat) & 1 == 0) continue;
                uint256 value =
                    turns ? Scores.MAX - members[seat].reputation() : medians.lane(seat) * (sum + weights.get(seat));
                // No lot puts it before the best.
                if (!turns && value << 192 > best) continue;
                uint256 rank = _rank(value, round, members[seat]);
                // Up to the last leader all have had their turn.
                if (rank <= lastRank) rank |= 1 << 255;
                if (rank >= best) continue;
                best = rank;
                first = seat;
            }
        }
    }

    /// @dev The capped samples of the seats, and their sum.
    function _weights(PoolMember[] memory members, uint256 submitted)
        private
        pure
        returns (uint256[] memory weights, uint256 sum)
    {
        uint256[] memory samples = new uint256[](members.length);
        unchecked {
            for (uint256 seat; seat < members.length; ++seat) {
                samples.put(seat, members[seat].samples());
            }
            weights = Weights.capped(samples, submitted);
            for (uint256 seat; seat < members.length; ++seat) {
                sum += weights.get(seat);
            }
        }
    }

    /// @dev `value`, made unequal by the account's lot.
    function _rank(uint256 value, uint256 round, PoolMember member) private pure returns (uint256) {
        uint256 account = uint160(member.account());
        bytes32 lot;
        // abi.encode would take new memory for each seat.
        assembly ("memory-safe") {
            mstore(0x00, round)
            mstore(0x20, account)
            lot := keccak256(0x00, 0x40)
        }
        return (value << 192) | (uint256(lot) >> 64);
    }
}
