"""Bounds that a normal noise vector exceeds with a fixed, small probability.

Tails of chi^2 by Laurent & Massart 2000, lemma 1.
"""

import math

FAILURE_PROBABILITY = 1e-9
TAIL = -math.log(FAILURE_PROBABILITY)


def normal_bound() -> float:
    """A standard normal number exceeds this in absolute value with FAILURE_PROBABILITY at most;
    from 2 exp(-t^2 / 2)."""
    return math.sqrt(2 * (TAIL + math.log(2)))


def chi_upper(dimension: int) -> float:
    """The norm of `dimension` standard normal numbers exceeds this with FAILURE_PROBABILITY at
    most."""
    return math.sqrt(dimension + 2 * math.sqrt(dimension * TAIL) + 2 * TAIL)


def chi_lower(dimension: int) -> float:
    """The norm of `dimension` standard normal numbers is less than this with FAILURE_PROBABILITY at
    most; 0 for no dimension."""
    return math.sqrt(max(0.0, dimension - 2 * math.sqrt(max(0, dimension) * TAIL)))
