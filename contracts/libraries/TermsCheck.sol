// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "../interfaces/ISharingMarket.sol";
import {Terms} from "../interfaces/Terms.sol";
import {Point} from "./Bn254.sol";

/// @title TermsCheck
/// @notice The limits on a request's terms, but for those that pool and rounds set on their own plans.
library TermsCheck {
    uint256 internal constant MAX_OPENERS = 8;
    uint256 internal constant MAX_WINDOW = 30 days;
    /// @dev Rounds keep gas in gwei and its price in 1/1,000 gwei, 32 bits each.
    uint256 internal constant MAX_GAS_PER_ROUND = uint256(type(uint32).max) * 1 gwei;
    uint256 internal constant MAX_GAS_PRICE = uint256(type(uint32).max) * 1e6;

    /// @notice Reverts with the value that is out of bounds.
    /// @param floor Shortest window, seconds.
    function check(Terms calldata t, uint256 floor) internal pure {
        if (t.specification == 0) revert ISharingMarket.SharingMarket_NoSpecification();
        if (!Point(t.deliveryKeyX, t.deliveryKeyY).isValid()) {
            revert ISharingMarket.SharingMarket_BadPoint(t.deliveryKeyX, t.deliveryKeyY);
        }
        if (t.pay == 0) revert ISharingMarket.SharingMarket_NoPay();
        if (t.openers.length > MAX_OPENERS) revert ISharingMarket.SharingMarket_TooManyOpeners(t.openers.length);
        if (
            t.gasPerRound > MAX_GAS_PER_ROUND || t.gasPerRound % 1 gwei != 0 || t.maxGasPrice > MAX_GAS_PRICE
                || t.maxGasPrice % 1e6 != 0
        ) {
            revert ISharingMarket.SharingMarket_BadGas(t.gasPerRound, t.maxGasPrice);
        }
        uint32[8] memory windows = [
            t.joinWindow,
            t.startWindow,
            t.submitWindow,
            t.commitWindow,
            t.revealWindow,
            t.attestWindow,
            t.deliverWindow,
            t.disputeWindow
        ];
        for (uint256 i; i < windows.length; ++i) {
            if (windows[i] < floor || windows[i] > MAX_WINDOW) {
                revert ISharingMarket.SharingMarket_BadWindow(windows[i], floor);
            }
        }
    }
}
