"""A data set's privacy units, and the examples of them that take part in a step.

A unit is a record, or all windows of one engine or one speaker.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset, Inputs, Targets
from fedpact.learning.families import family_of
from fedpact.privacy.noise import NoiseSource
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification


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
