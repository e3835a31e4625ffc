// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Scores} from "./Scores.sol";

/// @title Reputation
/// @notice Sums of weighted quality and of losses that fade by a tenth every thirty days, and the score they give.
/// @dev An outcome is faded by the age of its request, not by when somebody settled it, so that the order and the time
/// of settlements change nothing but rounding.
library Reputation {
    uint256 internal constant PERIOD = 30 days;
    /// @notice Score without history: below the mean quality, 5,000.
    uint256 internal constant NEWCOMER = 4000;
    /// @notice Weight of the newcomer's score against the history, in weight units.
    uint256 internal constant PRIOR_WEIGHT = 10;
    /// @notice Largest weight of one outcome, in weight units.
    uint256 internal constant MAX_WEIGHT = 100;

    uint256 private constant DECAY = 0.9e18;
    uint256 private constant ONE = 1e18;
    /// @dev Fixed point of the sums: ten-thousandths of a unit.
    uint256 private constant SCALE = 1e4;

    uint256 private constant MAX_GAINS = type(uint48).max;
    uint256 private constant MAX_WEIGHTS = type(uint40).max;
    uint256 private constant MAX_LOSSES = type(uint32).max;

    /// @dev 136 bits, to lie beside an account's other facts. Each sum stops at its width: 28,000 of the largest outcomes
    /// within a period or two for the gains, and forty times what makes the score 0 for the losses.
    struct Sums {
        /// @dev Number of the 30-day period, counted from the epoch, as of which the sums stand.
        uint16 period;
        /// @dev Sum of weight * quality.
        uint48 gains;
        /// @dev Sum of weights.
        uint40 weights;
        /// @dev Sum of losses.
        uint32 losses;
    }

    /// @notice The sums in one number, as an account keeps them.
    function pack(Sums memory sums) internal pure returns (uint136) {
        return uint136(
            uint256(sums.period) | (uint256(sums.gains) << 16) | (uint256(sums.weights) << 64)
                | (uint256(sums.losses) << 104)
        );
    }

    function unpack(uint136 packed) internal pure returns (Sums memory) {
        return Sums(uint16(packed), uint48(packed >> 16), uint40(packed >> 64), uint32(packed >> 104));
    }

    /// @notice `sums` with one outcome added; unchanged where the outcome weighs nothing.
    /// @param weight In weight units; more than MAX_WEIGHT counts as MAX_WEIGHT.
    /// @param quality Relative to the round's mean, 1/10,000.
    /// @param losses To be taken off the score, 1/10,000.
    /// @param endedAt When the request ended, seconds.
    /// @param now_ Present time, seconds.
    function record(
        Sums memory sums,
        uint256 weight,
        uint256 quality,
        uint256 losses,
        uint256 endedAt,
        uint256 now_
    ) internal pure returns (Sums memory) {
        if (weight == 0) return sums;
        if (weight > MAX_WEIGHT) weight = MAX_WEIGHT;
        if (quality > Scores.MAX) quality = Scores.MAX;

        uint256 period = now_ / PERIOD;
        uint256 old = _fading(sums, period);
        uint256 fresh = _decay(_elapsed(endedAt / PERIOD, period));
        return Sums({
            period: uint16(period),
            gains: uint48(_mix(sums.gains, old, weight * quality, fresh, MAX_GAINS)),
            weights: uint40(_mix(sums.weights, old, weight, fresh, MAX_WEIGHTS)),
            losses: uint32(_mix(sums.losses, old, losses, fresh, MAX_LOSSES))
        });
    }

    /// @notice The score at `now_`, 0 to 10,000: the weighted mean of NEWCOMER and the history, less the losses.
    function score(Sums memory sums, uint256 now_) internal pure returns (uint256) {
        if (_empty(sums)) return NEWCOMER;
        uint256 factor = _fading(sums, now_ / PERIOD);
        uint256 gains = sums.gains * factor / ONE + PRIOR_WEIGHT * NEWCOMER * SCALE;
        uint256 weights = sums.weights * factor / ONE + PRIOR_WEIGHT * SCALE;
        uint256 losses = sums.losses * factor / ONE;
        // gains / weights is a quality; times SCALE it has the losses' fixed point.
        uint256 mean = gains * SCALE / weights;
        return mean > losses ? (mean - losses) / SCALE : 0;
    }

    function _empty(Sums memory sums) private pure returns (bool) {
        return uint256(sums.gains) | sums.weights | sums.losses == 0;
    }

    /// @dev What is left of the sums in `period`; any number for sums of nothing, which spares a newcomer the loop.
    function _fading(Sums memory sums, uint256 period) private pure returns (uint256) {
        return _empty(sums) ? ONE : _decay(_elapsed(sums.period, period));
    }

    /// @dev sum * old + value * fresh, at most `most`.
    function _mix(uint256 sum, uint256 old, uint256 value, uint256 fresh, uint256 most)
        private
        pure
        returns (uint256)
    {
        // Sums have 48 bits, values 20, factors 60.
        unchecked {
            uint256 mixed = sum * old / ONE + value * SCALE * fresh / ONE;
            return mixed < most ? mixed : most;
        }
    }

    /// @dev 0.9^periods in units of 1e-18, by repeated squaring, each product rounded down.
    function _decay(uint256 periods) private pure returns (uint256 factor) {
        factor = ONE;
        // Products of two numbers up to 1e18 fit easily.
        unchecked {
            for (uint256 base = DECAY; periods > 0 && base > 0; periods >>= 1) {
                if (periods & 1 == 1) factor = factor * base / ONE;
                base = base * base / ONE;
            }
        }
        if (periods > 0) factor = 0;
    }

    function _elapsed(uint256 from, uint256 to) private pure returns (uint256) {
        return to > from ? to - from : 0;
    }
}
