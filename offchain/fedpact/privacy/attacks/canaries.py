"""Auditing in one run (Steinke, Nasr & Jagielski 2023).

Each of m canaries is in the data or not by its own coin toss. The auditor sees the release, scores
every canary, and guesses that those with the highest scores are in and those with the lowest are
out. Under (epsilon, delta)-DP more than a share e^epsilon / (1 + e^epsilon) of right guesses is
unlikely, however the canaries interact; the number of right ones gives a lower bound on epsilon.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError

CONFIDENCE = 0.95
LARGEST_EPSILON = 50.0
_TOLERANCE = 1e-3

Scores = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""Runs the mechanism once: which canaries are in, (m,) -> scores, (m,), high if a canary seems to
be in."""


@dataclass(frozen=True)
class CanaryAudit:
    """Result of one run."""

    canaries: int
    guesses: int
    right: int
    epsilon: float
    """Lower bound at `delta`; 0 if the guesses show nothing."""
    delta: float
    confidence: float

    def allows(self, stated: float) -> bool:
        """Whether the lower bound is consistent with the stated epsilon: not above it."""
        return self.epsilon <= stated


def audit(
    scores: Scores,
    canaries: int,
    guesses: int,
    delta: float,
    generator: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> CanaryAudit:
    """Toss, run once, guess, count.

    Args:
        guesses: number of canaries to guess, half of them in, half out; fixed before the run.
        generator: tosses the coins.
    """
    if not 2 <= guesses <= canaries:
        raise PrivacyError(
            f"{guesses} guesses of {canaries} canaries: it must be between 2 and all of them"
        )
    included = generator.random(canaries) < 0.5
    found = scores(included)
    if found.shape != (canaries,) or np.isnan(found).any():
        raise PrivacyError(
            f"scores have shape {found.shape}, not one for each of {canaries} canaries"
        )
    # Ties are broken at random: the order of the canaries must reveal nothing.
    order = np.lexsort((generator.random(canaries), found))
    half = guesses // 2
    right = int(included[order[-half:]].sum() + (~included[order[:half]]).sum())
    epsilon = epsilon_lower_bound(canaries, 2 * half, right, delta, confidence)
    return CanaryAudit(canaries, 2 * half, right, epsilon, delta, confidence)


def epsilon_lower_bound(
    canaries: int, guesses: int, right: int, delta: float, confidence: float
) -> float:
    """Largest epsilon that `right` guesses refute at the confidence, from below; 0 for none."""

    def refuted(epsilon: float) -> bool:
        return p_value(canaries, guesses, right, epsilon, delta) < 1 - confidence

    if not refuted(0.0):
        return 0.0
    low, high = 0.0, LARGEST_EPSILON
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Bound on the probability of this many right guesses under (epsilon, delta)-DP.

    Their theorem 5.2: that of a binomial of `guesses` tries, plus what delta can add,
    2 m delta max over i of P[right - i <= X < right] / i.
    """
    from scipy.stats import binom

    chance = 1 / (1 + math.exp(-epsilon))
    below = binom.pmf(np.arange(right - 1, -1, -1), guesses, chance)  # right - 1, ..., 0
    gained = np.cumsum(below) / np.arange(1, right + 1)
    more = 2 * canaries * delta * float(gained.max(initial=0.0))
    return min(1.0, float(binom.sf(right - 1, guesses, chance)) + more)
