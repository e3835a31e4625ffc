// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./Scores.sol";
import {Words} from "./Words.sol";

/// @title LeaderOrder
/// @notice Who may propose the round's aggregate, in which order.
/// @dev Rule POQ: ascending MAE^u (Lu et al. 2020, eq. 7), MAE^u_j = (1 + d_j / S) MAE_j + (1/n) sum MAE_i with S the
/// sum of all d. The last term and 1/S are common to all, so the order is that of MAE_j * (S + d_j). Rule REPUTATION:
/// descending reputation, whoever led last at the end. Ties: ascending keccak256(abi.encode(round, account)).
library LeaderOrder {
    using Words for uint256[];

    uint256 internal constant POQ = 0;
    uint256 internal constant REPUTATION = 1;

    uint256 private constant BITS = 4;

    /// @notice All eligible seats in one word, four bits each, the first leader in the lowest.
    /// @param weights Capped samples of all seats, 0 for those that do not count towards S.
    /// @param reputations Of all seats; read by rule REPUTATION alone.
    function order(
        uint256 eligible,
        uint256 medians,
        uint256[] memory weights,
        address[] calldata accounts,
        uint256 round,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) internal pure returns (uint256 ordered) {
        uint256 sum = _sum(weights);
        // One key a rank, the lower the earlier.
        uint256[] memory keys = new uint256[](Scores.count(eligible));
        uint256 n;
        // Reputations end at MAX, medians have 14 bits, sums of samples 36.
        unchecked {
            for (uint256 seat; n < keys.length; ++seat) {
                if ((eligible >> seat) & 1 == 0) continue;
                // By reputation, the last leader is one above any other.
                uint256 key = rule == POQ
                    ? Scores.lane(medians, seat) * (sum + weights.get(seat))
                    : Scores.MAX - reputations.get(seat) + (seat == lastLeader ? Scores.MAX + 1 : 0);
                uint256 rank = n++;
                for (; rank > 0; --rank) {
                    uint256 other = keys.get(rank - 1);
                    if (other < key) break;
                    if (other == key && _before(accounts, round, leader(ordered, rank - 1), seat)) break;
                    keys.put(rank, other);
                }
                keys.put(rank, key);
                ordered = _inserted(ordered, rank, seat);
            }
        }
    }

    /// @notice The leader of a rank, from 0.
    function leader(uint256 ordered, uint256 rank) internal pure returns (uint256) {
        unchecked {
            return (ordered >> (BITS * rank)) & 0xf;
        }
    }

    /// @notice The rank of a seat among the first `number` leaders, or `number` if it is not among them.
    function rankOf(uint256 ordered, uint256 number, uint256 seat) internal pure returns (uint256 rank) {
        unchecked {
            while (rank < number && leader(ordered, rank) != seat) ++rank;
        }
    }

    /// @notice The first `number` leaders as a mask.
    function first(uint256 ordered, uint256 number) internal pure returns (uint256 mask) {
        unchecked {
            for (uint256 rank; rank < number; ++rank) {
                mask |= 1 << leader(ordered, rank);
            }
        }
    }

    function _inserted(uint256 ordered, uint256 rank, uint256 seat) private pure returns (uint256) {
        unchecked {
            uint256 shift = BITS * rank;
            uint256 ahead = ordered & ((1 << shift) - 1);
            return ahead | (seat << shift) | ((ordered ^ ahead) << BITS);
        }
    }

    /// @dev Whether lot puts seat `a` before seat `b`.
    function _before(address[] calldata accounts, uint256 round, uint256 a, uint256 b) private pure returns (bool) {
        return keccak256(abi.encode(round, accounts[a])) < keccak256(abi.encode(round, accounts[b]));
    }

    function _sum(uint256[] memory values) private pure returns (uint256 sum) {
        unchecked {
            for (uint256 i; i < values.length; ++i) {
                sum += values.get(i);
            }
        }
    }
}
