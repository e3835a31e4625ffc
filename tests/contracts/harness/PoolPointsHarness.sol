// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PoolPoints} from "../../../contracts/libraries/PoolPoints.sol";

/// @notice Exposes the bounds on a round's points.
contract PoolPointsHarness {
    function check(uint256[] memory points, uint256 members, uint256 committee, uint256 seats)
        external
        pure
        returns (uint256)
    {
        return PoolPoints.check(points, members, committee, seats);
    }
}
