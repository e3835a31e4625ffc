// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./Scores.sol";

/// @title LeaderOrder
/// @notice Who may propose the round's aggregate, in which order.
/// @dev Rule POQ: ascending MAE^u (Lu et al. 2020, eq. 7), MAE^u_j = (1 + d_j / S) MAE_j + (1/n) sum MAE_i with S the
/// sum of all d. The last term and 1/S are common to all, so the order is that of MAE_j * (S + d_j). Rule REPUTATION:
/// descending reputation, whoever led last at the end. Ties: ascending keccak256(abi.encode(round, account)).
/// `samples` has 0 for seats that do not count towards S.
library LeaderOrder {
    uint256 internal constant POQ = 0;
    uint256 internal constant REPUTATION = 1;

    /// @notice The eligible seats that lead before `seat`, which is eligible, as a mask.
    function before(
        uint256 seat,
        uint256 eligible,
        uint256 medians,
        uint256[] memory samples,
        address[] memory accounts,
        uint256 round,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) internal pure returns (uint256 mask) {
        uint256[] memory keys = _keys(eligible, medians, samples, rule, reputations, lastLeader);
        uint256 own = keys[seat];
        unchecked {
            for (uint256 other; other < keys.length; ++other) {
                if ((eligible >> other) & 1 == 0 || other == seat) continue;
                uint256 key = keys[other];
                if (key > own) continue;
                if (key < own || _lot(round, accounts[other]) < _lot(round, accounts[seat])) mask |= 1 << other;
            }
        }
    }

    /// @notice All eligible seats, first leader first.
    function order(
        uint256 eligible,
        uint256 medians,
        uint256[] memory samples,
        address[] memory accounts,
        uint256 round,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) internal pure returns (uint256[] memory seats) {
        uint256[] memory keys = _keys(eligible, medians, samples, rule, reputations, lastLeader);
        seats = new uint256[](Scores.count(eligible));
        uint256 n;
        for (uint256 seat; seat < accounts.length; ++seat) {
            if ((eligible >> seat) & 1 == 0) continue;
            uint256 place = n++;
            for (; place > 0 && _leadsBefore(seat, seats[place - 1], keys, accounts, round); --place) {
                seats[place] = seats[place - 1];
            }
            seats[place] = seat;
        }
    }

    /// @notice MAE^u of a seat in 1/10,000, rounded down; the means run over the `valid` seats, `seat` among them.
    function poqError(uint256 seat, uint256 valid, uint256 medians, uint256[] memory samples)
        internal
        pure
        returns (uint256)
    {
        uint256 sampleSum = _sum(samples);
        uint256 errorSum;
        for (uint256 other; other < samples.length; ++other) {
            if ((valid >> other) & 1 == 1) errorSum += Scores.lane(medians, other);
        }
        uint256 n = Scores.count(valid);
        uint256 weighted = Scores.lane(medians, seat) * (sampleSum + samples[seat]);
        return (weighted * n + errorSum * sampleSum) / (sampleSum * n);
    }

    /// @dev One key a seat, the lower the earlier; equal keys are told apart by `_leadsBefore`.
    function _keys(
        uint256 eligible,
        uint256 medians,
        uint256[] memory samples,
        uint256 rule,
        uint256[] memory reputations,
        uint256 lastLeader
    ) private pure returns (uint256[] memory keys) {
        keys = new uint256[](samples.length);
        uint256 sampleSum = _sum(samples);
        // Reputations end at MAX, medians have 14 bits, sums of samples 36.
        unchecked {
            for (uint256 seat; seat < keys.length; ++seat) {
                if ((eligible >> seat) & 1 == 0) continue;
                if (rule == POQ) {
                    keys[seat] = Scores.lane(medians, seat) * (sampleSum + samples[seat]);
                } else {
                    // One above any other's key for the last leader.
                    keys[seat] = Scores.MAX - reputations[seat] + (seat == lastLeader ? Scores.MAX + 1 : 0);
                }
            }
        }
    }

    function _leadsBefore(uint256 a, uint256 b, uint256[] memory keys, address[] memory accounts, uint256 round)
        private
        pure
        returns (bool)
    {
        if (keys[a] != keys[b]) return keys[a] < keys[b];
        return _lot(round, accounts[a]) < _lot(round, accounts[b]);
    }

    function _lot(uint256 round, address account) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(round, account)));
    }

    function _sum(uint256[] memory values) private pure returns (uint256 sum) {
        unchecked {
            for (uint256 i; i < values.length; ++i) {
                sum += values[i];
            }
        }
    }
}
