// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./Scores.sol";
import {UncheckedArrays} from "./UncheckedArrays.sol";

/// @title Quorum
/// @notice How many attestations make a round final, and the median of their errors.
library Quorum {
    using UncheckedArrays for uint256[];

    /// @dev The other rule, two thirds, is 0.
    uint256 internal constant UNANIMOUS = 1;

    /// @notice The number of matching attestations needed: two thirds of those who attested, rounded up (or all of them), at
    /// least two, and more than half of those whose models are judged.
    function needed(uint256 attested, uint256 judged, uint256 rule) internal pure returns (uint256 least) {
        least = rule == UNANIMOUS ? attested : (2 * attested + 2) / 3;
        if (least < 2) least = 2;
        if (least < judged / 2 + 1) least = judged / 2 + 1;
    }

    /// @notice The median of `errors`, which it sorts. Even count: the mean of the middle two, rounded up, or INVALID
    /// if the upper one is. No errors: INVALID.
    function medianError(uint256[] memory errors) internal pure returns (uint256) {
        uint256 n = errors.length;
        if (n == 0) return Scores.INVALID;
        unchecked {
            for (uint256 i = 1; i < n; ++i) {
                uint256 value = errors.get(i);
                uint256 index = i;
                for (; index > 0; --index) {
                    uint256 before = errors.get(index - 1);
                    if (before <= value) break;
                    errors.put(index, before);
                }
                errors.put(index, value);
            }
        }

        uint256 upper = errors[n / 2];
        if (n % 2 == 1 || upper == Scores.INVALID) return upper;
        return (errors[n / 2 - 1] + upper + 1) / 2;
    }
}
