// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {UncheckedArrays} from "./UncheckedArrays.sol";

/// @title Weights
/// @notice The weight of each provider's declared samples: at most twice the median.
library Weights {
    using UncheckedArrays for uint256[];

    /// @notice min(samples, 2 * median of the submitted seats' samples) for each submitted seat, 0 for the others.
    /// @dev For an even count the median is the exact mean of the middle two, so twice the median is their sum.
    function capped(uint256[] memory samples, uint256 submitted) internal pure returns (uint256[] memory weights) {
        uint256 seats = samples.length;
        weights = new uint256[](seats);
        uint256[] memory sorted = new uint256[](seats);
        uint256 n;
        // Samples have 32 bits, so that no sum overflows; indices are below the number of seats.
        unchecked {
            for (uint256 seat; seat < seats; ++seat) {
                if ((submitted >> seat) & 1 == 0) continue;
                uint256 own = samples.get(seat);
                uint256 index = n++;
                while (index > 0) {
                    uint256 before = sorted.get(index - 1);
                    if (before <= own) break;
                    sorted.put(index, before);
                    --index;
                }
                sorted.put(index, own);
            }
            if (n == 0) return weights;

            uint256 cap = sorted.get((n - 1) / 2) + sorted.get(n / 2);
            for (uint256 seat; seat < seats; ++seat) {
                if ((submitted >> seat) & 1 == 0) continue;
                uint256 own = samples.get(seat);
                weights.put(seat, own < cap ? own : cap);
            }
        }
    }
}
