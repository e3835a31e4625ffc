// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Earned} from "../../../contracts/libraries/Earned.sol";
import {MemberSum, PayoutLib, Sums} from "../../../contracts/libraries/Payout.sol";

/// @notice Exposes what a settlement adds up.
contract PayoutHarness {
    /// @dev Points and qualities by pool index.
    function replay(Earned[] calldata entries, uint256 count)
        external
        pure
        returns (
            bytes32 folded,
            uint256[] memory points,
            uint256[] memory qualities,
            address[] memory posters,
            uint256[] memory refunds
        )
    {
        Sums memory sums;
        (sums, folded) = PayoutLib.replay(bytes32(0), entries, count);
        points = new uint256[](count);
        qualities = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            MemberSum own = PayoutLib.inWord(sums.members[i / PayoutLib.MEMBERS_PER_WORD], i);
            points[i] = own.points();
            qualities[i] = own.quality();
        }
        return (folded, points, qualities, sums.posters, sums.refunds);
    }
}
