"""Sums over privacy units: what one unit adds is bounded, however many examples it has.

A unit (a record; all windows of one engine or one speaker) contributes the *mean* of what its
examples would add, clipped to norm C. So replacing a unit by nothing moves a sum by C at most, a
clipping norm means the same for units of any size, and units of one example give plain DP-SGD.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.learning.families import family_of
from fedpact.learning.families.base import Weights, weights_norm
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

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


@dataclass(frozen=True)
class Batch:
    """Examples that take part in one step."""

    x: Inputs
    y: Targets
    units: NDArray[np.int64]
    """(n,): the number of each example's unit."""

    @classmethod
    def of(cls, spec: Specification, dataset: Dataset) -> "Batch":
        """All examples; without `sound` each is by itself. Under `sound` those that the family
        cannot use are left out: they count as zero, and the number of units stays as it is."""
        if spec.privacy.mode is not PrivacyMode.SOUND:
            return cls(dataset.x, dataset.y, np.arange(len(dataset)))
        usable = family_of(spec).usable(spec, dataset.x, dataset.y)
        if usable.all():
            return cls(dataset.x, dataset.y, dataset.unit_numbers)
        return cls(dataset.x[usable], dataset.y[usable], dataset.unit_numbers[usable])

    def of_units(self, chosen: NDArray[np.bool_], keys: NDArray[np.uint64]) -> "Batch":
        """The examples of the chosen units (by number), in the order of the units' keys."""
        taken = np.flatnonzero(chosen[self.units])
        taken = taken[np.argsort(keys[self.units[taken]], kind="stable")]
        return Batch(self.x[taken], self.y[taken], self.units[taken])

    @cached_property
    def singles(self) -> tuple[Inputs, Targets]:
        """The examples that are alone in their unit."""
        single = self._sizes == 1
        return (self.x, self.y) if single.all() else (self.x[single], self.y[single])

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """Indices of the examples of every other unit."""
        indices = np.flatnonzero(self._sizes > 1)
        order = indices[np.argsort(self.units[indices], kind="stable")]
        return np.split(order, np.flatnonzero(np.diff(self.units[order])) + 1) if len(order) else []

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        """For each example, the number of examples in its unit."""
        _, numbers, counts = np.unique(self.units, return_inverse=True, return_counts=True)
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

    Units of one example go through `sums` together; each larger unit goes on its own, so that what
    it adds depends on it alone, to the last bit. With `norms`, the norms are returned as well.
    A unit whose mean is not finite counts as zero.
    """
    total = sums(*batch.singles, bound)
    lengths = [] if norms is None else [norms(*batch.singles)]
    for rows in batch.groups:
        added = sums(batch.x[rows], batch.y[rows], None)
        length = weights_norm(added) / len(rows)
        if math.isfinite(length):
            factor = bound / max(length, bound) / len(rows)
            for name, values in added.items():
                total[name] += factor * values
        if norms is not None:
            lengths.append(np.array([length]))
    return UnitSum(total, np.concatenate(lengths) if lengths else np.empty(0))
