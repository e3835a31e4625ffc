// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISharingMarket} from "../interfaces/ISharingMarket.sol";
import {Scores} from "./Scores.sol";

/// @title TermsCheck
/// @notice The limits on a request's terms.
library TermsCheck {
    uint256 internal constant MIN_PROVIDERS = 2;
    uint256 internal constant MAX_ROUNDS = 1000;
    uint256 internal constant MAX_VOTE_BAND = 1000;
    uint256 internal constant MIN_WINDOW = 5 seconds;
    uint256 internal constant MAX_WINDOW = 30 days;

    /// @notice Reverts with the value that is out of bounds.
    function check(ISharingMarket.Terms calldata t) internal pure {
        if (t.specification == 0) revert ISharingMarket.SharingMarket_NoSpecification();
        if (t.minProviders < MIN_PROVIDERS || t.minProviders > t.maxProviders || t.maxProviders > Scores.SEATS) {
            revert ISharingMarket.SharingMarket_BadProviders(t.minProviders, t.maxProviders);
        }
        if (t.maxRounds == 0 || t.maxRounds > MAX_ROUNDS) {
            revert ISharingMarket.SharingMarket_BadRounds(t.maxRounds);
        }
        if (t.maxError == 0 || t.maxError > Scores.MAX || t.target > Scores.MAX) {
            revert ISharingMarket.SharingMarket_BadErrors(t.maxError, t.target);
        }
        if (t.leaderRule > 1 || t.approvalRule > 1) {
            revert ISharingMarket.SharingMarket_BadRules(t.leaderRule, t.approvalRule);
        }
        if (t.voteBand > MAX_VOTE_BAND) revert ISharingMarket.SharingMarket_BadVoteBand(t.voteBand);
        _window(t.joinWindow);
        _window(t.startWindow);
        _window(t.submitWindow);
        _window(t.commitWindow);
        _window(t.revealWindow);
        _window(t.proposeWindow);
        _window(t.deliverWindow);
    }

    function _window(uint256 window) private pure {
        if (window < MIN_WINDOW || window > MAX_WINDOW) revert ISharingMarket.SharingMarket_BadWindow(window);
    }
}
