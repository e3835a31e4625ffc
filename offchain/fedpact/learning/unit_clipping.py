"""Sums over privacy units: what one unit adds is bounded, however many examples it has.

A unit (a record; all windows of one engine or one speaker) contributes the *mean* of what its
examples would add, clipped to norm C. So replacing a unit by nothing moves a sum by C at most, a
clipping norm means the same for units of any size, and units of one example give plain DP-SGD.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import PrivacyError
from fedpact.learning.families.base import Weights, weights_norm
from fedpact.learning.units import Batch
from fedpact.privacy.linear_sums import BLOCK
from fedpact.privacy.noise import rounding_sensitivity

CHUNK = 128 * BLOCK
"""Examples that are summed at once; whole blocks."""

CLIPPING_MARGIN = 1e-6
"""Part of the clipping norm left unused, so that rounding never lifts a gradient above it."""

ExampleSums = Callable[[Inputs, Targets, float | None], Weights]
"""(x, y, bound) -> the sum of what the examples add, each clipped to `bound`, or not."""
ExampleNorms = Callable[[Inputs, Targets], NDArray[np.float64]]


@dataclass(frozen=True)
class UnitSum:
    total: Weights
    """Sum of the units' clipped contributions, float64."""
    norms: NDArray[np.float64]
    """Of the contributions before clipping, one a unit; empty unless asked for."""


def clipped_unit_sum(
    batch: Batch, bound: float, sums: ExampleSums, norms: ExampleNorms | None = None
) -> UnitSum:
    """Sum over the batch's units of each one's mean contribution, clipped to `bound`.

    Units of one example go through `sums` together, CHUNK at a time; each larger unit goes on its
    own, so that what it adds depends on it alone, to the last bit. With `norms`, the norms are
    returned as well. A unit whose mean is not finite counts as zero.
    """
    total, lengths = _Total(), []
    for start in range(0, max(len(batch.singles), 1), CHUNK):
        rows = batch.singles[start : start + CHUNK]
        x, y = batch.x[rows], batch.y[rows]
        total.add(sums(x, y, bound))
        if norms is not None:
            lengths.append(norms(x, y))
    for rows in batch.groups:
        added = sums(batch.x[rows], batch.y[rows], None)
        length = weights_norm(added) / len(rows)
        if math.isfinite(length):
            factor = bound / max(length, bound) / len(rows)
            total.add({name: factor * values for name, values in added.items()})
        if norms is not None:
            lengths.append(np.array([length]))
    return UnitSum(total.value, np.concatenate(lengths) if lengths else np.empty(0))


class _Total:
    """A sum whose rounding does not grow with the number of its terms (Kahan's; Higham 2002,
    section 4.3): at most (2^-52 + O(n 2^-106)) times the sum of the terms' sizes. So two data sets
    of n units differ by 2^-51 n of the clipping norm at most: 10^-7 of it for 2 * 10^8 units."""

    def __init__(self) -> None:
        self.value: Weights = {}
        self._lost: Weights = {}

    def add(self, terms: Weights) -> None:
        for name, term in terms.items():
            if name not in self.value:
                self.value[name], self._lost[name] = term.copy(), np.zeros_like(term)
                continue
            wanted = term - self._lost[name]
            after = self.value[name] + wanted
            self._lost[name] = (after - self.value[name]) - wanted
            self.value[name] = after


def clipping_bound(norm: float, multiplier: float, size: int) -> float:
    """To what contributions are clipped so that `norm` covers rounding too, in a sum of at most
    `size` values with noise of multiplier * norm. Raises PrivacyError for too much noise."""
    bound = norm * (1 - CLIPPING_MARGIN) - rounding_sensitivity(size, norm * multiplier)
    if bound <= 0:
        raise PrivacyError(f"noise multiplier {multiplier:g} is too large to draw noise safely")
    return bound
