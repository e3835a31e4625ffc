// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedScores, Scores} from "./Scores.sol";
import {UncheckedArrays} from "./UncheckedArrays.sol";

/// @notice The seats that may propose a round's aggregate, in order: four bits a seat, the first leader in the lowest.
type LeaderOrder is uint64;

using LeaderOrderLib for LeaderOrder global;

/// @title LeaderOrderLib
/// @notice Computes and reads a `LeaderOrder`.
/// @dev Rule POQ: ascending MAE^u (Lu et al. 2020, eq. 7), MAE^u_j = (1 + d_j / S) MAE_j + (1/n) sum MAE_i with S the
/// sum of all d. The last term and 1/S are the same for all, so the order is that of MAE_j * (S + d_j). Rule REPUTATION:
/// descending reputation, the last leader at the end. Ties: ascending keccak256(abi.encode(round, account)).
library LeaderOrderLib {
    using UncheckedArrays for uint256[];

    uint256 internal constant POQ = 0;
    uint256 internal constant REPUTATION = 1;

    uint256 private constant BITS = 4;

    /// @notice All eligible seats, in order.
    /// @param weights Capped samples of all seats, 0 for those not in S.
    /// @param reputations Of all seats; used by rule REPUTATION only.
    function order(
        uint256 eligible,
        PackedScores medians,
        uint256[] memory weights,
        address[] calldata accounts,
        uint256 round,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) internal pure returns (LeaderOrder) {
        uint256 ordered;
        uint256 sum = _sum(weights);
        // One key a rank: the lowest leads first.
        uint256[] memory keys = new uint256[](Scores.count(eligible));
        uint256 n;
        // Nothing overflows: reputations are at most MAX, medians have 14 bits, sums of samples 36.
        unchecked {
            for (uint256 seat; n < keys.length; ++seat) {
                if ((eligible >> seat) & 1 == 0) continue;
                // By reputation, the last leader's key is above any other's.
                uint256 key = rule == POQ
                    ? medians.lane(seat) * (sum + weights.get(seat))
                    : Scores.MAX - reputations.get(seat) + (seat == lastLeader ? Scores.MAX + 1 : 0);
                uint256 rank = n++;
                for (; rank > 0; --rank) {
                    uint256 other = keys.get(rank - 1);
                    if (other < key) break;
                    if (other == key && _before(accounts, round, _leader(ordered, rank - 1), seat)) break;
                    keys.put(rank, other);
                }
                keys.put(rank, key);
                ordered = _inserted(ordered, rank, seat);
            }
        }
        // Sixteen seats of four bits.
        return LeaderOrder.wrap(uint64(ordered));
    }

    /// @notice The leader of a rank, from 0.
    function leader(LeaderOrder order_, uint256 rank) internal pure returns (uint256) {
        return _leader(LeaderOrder.unwrap(order_), rank);
    }

    /// @notice The rank of a seat among the first `number` leaders, or `number` if it is not one of them.
    function rankOf(LeaderOrder order_, uint256 number, uint256 seat) internal pure returns (uint256 rank) {
        unchecked {
            while (rank < number && leader(order_, rank) != seat) ++rank;
        }
    }

    /// @notice The first `number` leaders as a mask.
    function first(LeaderOrder order_, uint256 number) internal pure returns (uint256 mask) {
        unchecked {
            for (uint256 rank; rank < number; ++rank) {
                mask |= 1 << leader(order_, rank);
            }
        }
    }

    function _leader(uint256 ordered, uint256 rank) private pure returns (uint256) {
        unchecked {
            return (ordered >> (BITS * rank)) & 0xf;
        }
    }

    function _inserted(uint256 ordered, uint256 rank, uint256 seat) private pure returns (uint256) {
        unchecked {
            uint256 shift = BITS * rank;
            uint256 ahead = ordered & ((1 << shift) - 1);
            return ahead | (seat << shift) | ((ordered ^ ahead) << BITS);
        }
    }

    /// @dev Whether seat `a` comes before seat `b` in a tie.
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
