// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "../../../contracts/interfaces/ISharingMarket.sol";
import {Bn254, Point} from "../../../contracts/libraries/Bn254.sol";
import {SealedDelivery} from "../../../contracts/libraries/SealedDelivery.sol";

/// @notice Exposes the libraries of the curve and of sealed keys.
contract CurveHarness {
    using SealedDelivery for ISharingMarket.Delivery;

    function isAnchored(ISharingMarket.Delivery calldata delivery, uint256 finalRounds, bytes32 root)
        external
        pure
        returns (bool)
    {
        return delivery.isAnchored(finalRounds, root);
    }

    function open(ISharingMarket.Delivery calldata delivery, uint256 finalRounds, Point calldata shared)
        external
        pure
        returns (bytes32 key, bool right)
    {
        return delivery.open(finalRounds, shared);
    }

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
