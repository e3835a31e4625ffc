"""Sums over privacy units: what one unit adds is bounded, however many examples it has.

A unit (a record; all windows of one engine or one speaker) contributes the *mean* of what its
examples would add, clipped to norm C. So replacing a unit by nothing moves a sum by C at most, a
clipping norm means the same for units of any size, and units of one example give plain DP-SGD.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.errors import PrivacyError
from fedpact.learning.families import family_of
from fedpact.learning.families.base import Weights, weights_norm
from fedpact.privacy.linear_sums import BLOCK
from fedpact.privacy.noise import NoiseSource, rounding_sensitivity
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

CHUNK = 128 * BLOCK
"""Examples that are summed at once; whole blocks."""

CLIPPING_MARGIN = 1e-6
"""Part of the clipping norm left unused, so that rounding never lifts a gradient above it."""

ExampleSums = Callable[[Inputs, Targets, float | None], Weights]
"""(x, y, bound) -> the sum of what the examples add, each clipped to `bound`, or not."""
ExampleNorms = Callable[[Inputs, Targets], NDArray[np.float64]]


def samples_of(spec: Specification, dataset: Dataset) -> int:
    """What a provider declares when it joins: under `sound` its number of privacy units, by which
    its sums are divided; else its number of examples."""
    return dataset.unit_count if spec.privacy.mode is PrivacyMode.SOUND else len(dataset)


def first_of_units(dataset: Dataset) -> NDArray[np.int64]:
    """Index of each unit's first example, (units,)."""
    return np.unique(dataset.unit_numbers, return_index=True)[1]


def one_per_unit(spec: Specification, dataset: Dataset) -> Dataset:
    """Each unit's first example, where the family can use it."""
    rows = first_of_units(dataset)
    rows = rows[family_of(spec).usable(spec, dataset.x, dataset.y)[rows]]
    units = tuple(dataset.units[row] for row in rows) if dataset.units else ()
    return Dataset(dataset.x[rows], dataset.y[rows], units, dataset.unit_count)


@dataclass(frozen=True)
class Batch:
    """Examples that take part in one step: some of a data set's, in some order."""

    x: Inputs
    """All examples of the data set; so are `y` and `units`."""
    y: Targets
    units: NDArray[np.int64]
    """(n,): the number of each example's unit."""
    rows: NDArray[np.int64]
    """(m,): which examples take part, in order."""

    @classmethod
    def of(cls, spec: Specification, dataset: Dataset) -> "Batch":
        """All examples in their own order; without `sound` each is by itself. Under `sound` those
        that the family cannot use are left out: they count as zero, and the number of units stays
        as it is."""
        every = np.arange(len(dataset))
        if spec.privacy.mode is not PrivacyMode.SOUND:
            return cls(dataset.x, dataset.y, every, every)
        usable = family_of(spec).usable(spec, dataset.x, dataset.y)
        return cls(dataset.x, dataset.y, dataset.unit_numbers, np.flatnonzero(usable))

    def of_units(self, chosen: NDArray[np.bool_], keys: NDArray[np.uint64]) -> "Batch":
        """The examples of the chosen units (by number), in the order of the units' keys."""
        rows = self.rows[chosen[self.units[self.rows]]]
        order = np.argsort(keys[self.units[rows]], kind="stable")
        return replace(self, rows=rows[order])

    def in_random_order(self, source: NoiseSource, units: int) -> "Batch":
        """The same examples, their `units` units in random order.

        Sums are rounded within blocks of examples. In random order it does not matter where in its
        file an example stands, nor which ones around it are missing: without one of them, the
        others stand as in some order of theirs, but for the last one, which takes its position
        (docs/privacy.md, "Rounding").
        """
        return self.of_units(np.ones(units, dtype=bool), source.words(units))

    @property
    def examples(self) -> tuple[Inputs, Targets]:
        """Those that take part."""
        if np.array_equal(self.rows, np.arange(len(self.y))):
            return self.x, self.y
        return self.x[self.rows], self.y[self.rows]

    @cached_property
    def singles(self) -> NDArray[np.int64]:
        """Rows of the examples that are alone in their unit."""
        found: NDArray[np.int64] = self.rows[self._sizes == 1]
        return found

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """Rows of the examples of every other unit."""
        rows = self.rows[self._sizes > 1]
        rows = rows[np.argsort(self.units[rows], kind="stable")]
        return np.split(rows, np.flatnonzero(np.diff(self.units[rows])) + 1) if len(rows) else []

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        """For each example that takes part, the number of such examples in its unit."""
        _, numbers, counts = np.unique(
            self.units[self.rows], return_inverse=True, return_counts=True
        )
        return np.asarray(counts[numbers], dtype=np.int64)


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
