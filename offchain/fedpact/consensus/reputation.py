"""Reputation: sums of weighted quality and of losses, which decay by a tenth every thirty days.

Mirrors contracts/libraries/Reputation.sol to the last digit: integers, each product rounded down.
An outcome decays with the age of its request, whenever it was settled.
"""

from dataclasses import dataclass, replace

from fedpact.types.scores import MAX_SCORE

PERIOD = 30 * 24 * 3600
"""Seconds."""
NEWCOMER = 4000
"""Score without history, 1/10,000."""
PRIOR_WEIGHT = 10
"""Weight of the newcomer's score against the history."""
MAX_WEIGHT = 100
"""Largest weight of one outcome."""
MAX_LOSSES = 1000
"""Most that losses take from a score, 1/10,000."""

_ONE = 10**18
_DECAY = 9 * 10**17
_SCALE = 10**4
_MAX_GAINS = 2**48 - 1
_MAX_WEIGHTS = 2**40 - 1
_MAX_LOSSES = 2**32 - 1


@dataclass(frozen=True)
class Sums:
    """What the ledger stores of one account, as of a period (30 days, from the epoch)."""

    period: int = 0
    gains: int = 0
    """Sum of weight * quality, times 10^4."""
    weights: int = 0
    """Sum of weights, times 10^4."""
    losses: int = 0
    """Sum of losses in 1/10,000, times 10^4."""


def record(sums: Sums, weight: int, quality: int, losses: int, ended_at: int, now: int) -> Sums:
    """The sums with one outcome added. Losses count without a weight, up to a bound.

    Args:
        weight: more than MAX_WEIGHT counts as MAX_WEIGHT.
        quality: relative to a fair share of the points, 1/10,000.
        losses: to subtract from the score, 1/10,000.
        ended_at: when the request ended, seconds.
        now: seconds.
    """
    found = added(sums, weight, quality, min(losses, MAX_LOSSES), ended_at, now)
    return replace(found, losses=min(found.losses, MAX_LOSSES * _SCALE))


def added(sums: Sums, weight: int, quality: int, losses: int, ended_at: int, now: int) -> Sums:
    """As `record`, with losses unbounded."""
    weight, quality = min(weight, MAX_WEIGHT), min(quality, MAX_SCORE)
    period = now // PERIOD
    old = decay(period - sums.period)
    fresh = decay(period - ended_at // PERIOD)

    def mix(total: int, value: int, most: int) -> int:
        return min(total * old // _ONE + value * _SCALE * fresh // _ONE, most)

    return Sums(
        period=period,
        gains=mix(sums.gains, weight * quality, _MAX_GAINS),
        weights=mix(sums.weights, weight, _MAX_WEIGHTS),
        losses=mix(sums.losses, losses, _MAX_LOSSES),
    )


def score(sums: Sums, now: int) -> int:
    """The reputation at `now`, 0 to 10,000: mean of NEWCOMER and the history, less the losses."""
    factor = decay(now // PERIOD - sums.period)
    gains = sums.gains * factor // _ONE + PRIOR_WEIGHT * NEWCOMER * _SCALE
    weights = sums.weights * factor // _ONE + PRIOR_WEIGHT * _SCALE
    mean = gains * _SCALE // weights
    return max(0, mean - sums.losses * factor // _ONE) // _SCALE


def decay(periods: int) -> int:
    """0.9^periods in units of 1e-18, by repeated squaring; 1 for none or a negative number."""
    factor, base = _ONE, _DECAY
    while periods > 0:
        if periods & 1:
            factor = factor * base // _ONE
        base = base * base // _ONE
        periods >>= 1
    return factor
