// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bn254, Point} from "../../../../contracts/v2/libraries/Bn254.sol";

/// @notice Exposes the curve's library.
contract CurveHarness {
    function isValid(Point memory p) external pure returns (bool) {
        return p.isValid();
    }

    function haveSameLogarithm(
        Point memory key,
        Point memory base,
        Point memory shared,
        uint256 challenge,
        uint256 response,
        bytes32 context
    ) external view returns (bool) {
        return key.haveSameLogarithm(base, shared, challenge, response, context);
    }
}
