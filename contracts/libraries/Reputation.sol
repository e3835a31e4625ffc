// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What an account's reputation is computed from: sums that decay by a tenth every thirty days.
/// @dev 128 bits. Layout from bit 0: number of the 30-day period, counted from the epoch, up to which the sums have
/// decayed 16, sum of weight * quality 48, sum of weights 40, sum of losses 24. The first two sums stop at their maximum
/// (28,000 of the largest outcomes within a period or two), the losses at `MAX_LOSSES`.
type ReputationSums is uint128;

using Reputation for ReputationSums global;

/// @title Reputation
/// @notice Adds outcomes to an account's sums, and computes the score from them.
/// @dev An outcome is decayed by the age of its request, not by when somebody settled it, so that the order and the time
/// of settlements change nothing but rounding.
library Reputation {
    uint256 internal constant PERIOD = 30 days;
    /// @notice Score without history: below the mean quality of 5,000.
    uint256 internal constant NEWCOMER = 4000;
    /// @notice Weight of the newcomer's score in the mean with the history, in weight units.
    uint256 internal constant PRIOR_WEIGHT = 10;
    /// @notice Largest weight of one outcome, in weight units.
    uint256 internal constant MAX_WEIGHT = 100;
    /// @notice Best quality.
    uint256 internal constant MAX_QUALITY = 10_000;
    /// @notice Most that unweighted losses take from a score, however many there are: they may come from requests that
    /// cost nobody anything.
    uint256 internal constant MAX_LOSSES = 1000;

    uint256 private constant DECAY = 0.9e18;
    uint256 private constant ONE = 1e18;
    /// @dev The sums are fixed-point numbers, in ten-thousandths of a unit.
    uint256 private constant SCALE = 1e4;

    /// @dev The sums' lowest bits, and their maxima.
    uint256 private constant GAINS = 16;
    uint256 private constant WEIGHTS = 64;
    uint256 private constant LOSSES = 104;
    uint256 private constant MAX_PERIOD = type(uint16).max;
    uint256 private constant MAX_GAINS = type(uint48).max;
    uint256 private constant MAX_WEIGHTS = type(uint40).max;

    /// @notice The present period, and the factor by which an outcome has decayed by then.
    /// @param endedAt When the request ended, seconds.
    /// @param now_ Present time, seconds.
    function standing(uint256 endedAt, uint256 now_) internal pure returns (uint256 period, uint256 fresh) {
        period = now_ / PERIOD;
        fresh = _decay(_elapsed(endedAt / PERIOD, period));
    }

    /// @notice `sums` with one outcome added.
    /// @param weight In weight units, capped at MAX_WEIGHT.
    /// @param quality 1/10,000, capped at MAX_QUALITY.
    /// @param losses What is subtracted from the score, 1/10,000.
    /// @param period See `standing`.
    /// @param fresh See `standing`.
    function record(
        ReputationSums sums,
        uint256 weight,
        uint256 quality,
        uint256 losses,
        uint256 period,
        uint256 fresh
    ) internal pure returns (ReputationSums) {
        if (weight > MAX_WEIGHT) weight = MAX_WEIGHT;
        if (quality > MAX_QUALITY) quality = MAX_QUALITY;
        if (losses > MAX_LOSSES) losses = MAX_LOSSES;

        uint256 old = _fading(sums, period);
        uint128 packed = ReputationSums.unwrap(sums);
        // Weights have 7 bits, qualities 14, losses 10.
        unchecked {
            uint256 mixed = period & MAX_PERIOD;
            mixed |= _mix((packed >> GAINS) & MAX_GAINS, old, weight * quality, fresh, MAX_GAINS) << GAINS;
            mixed |= _mix((packed >> WEIGHTS) & MAX_WEIGHTS, old, weight, fresh, MAX_WEIGHTS) << WEIGHTS;
            mixed |= _mix(packed >> LOSSES, old, losses, fresh, MAX_LOSSES * SCALE) << LOSSES;
            return ReputationSums.wrap(uint128(mixed));
        }
    }

    /// @notice The score at `now_`, 0 to 10,000: the weighted mean of NEWCOMER and the history, less the losses.
    function score(ReputationSums sums, uint256 now_) internal pure returns (uint256) {
        if (_empty(sums)) return NEWCOMER;
        uint256 factor = _fading(sums, now_ / PERIOD);
        uint128 packed = ReputationSums.unwrap(sums);
        uint256 gains = ((packed >> GAINS) & MAX_GAINS) * factor / ONE + PRIOR_WEIGHT * NEWCOMER * SCALE;
        uint256 weights = ((packed >> WEIGHTS) & MAX_WEIGHTS) * factor / ONE + PRIOR_WEIGHT * SCALE;
        uint256 losses = (packed >> LOSSES) * factor / ONE;
        // gains / weights is a quality; times SCALE it has the losses' fixed point.
        uint256 mean = gains * SCALE / weights;
        return mean > losses ? (mean - losses) / SCALE : 0;
    }

    function _empty(ReputationSums sums) private pure returns (bool) {
        return ReputationSums.unwrap(sums) >> GAINS == 0;
    }

    /// @dev The factor by which the sums have decayed in `period`; ONE for empty sums, to save a newcomer the loop.
    function _fading(ReputationSums sums, uint256 period) private pure returns (uint256) {
        return _empty(sums) ? ONE : _decay(_elapsed(ReputationSums.unwrap(sums) & MAX_PERIOD, period));
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
