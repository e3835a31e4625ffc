"""Which records of a member's it trains on, and on which it judges the others' models.

Where a specification has models judged on own records, every fourth of them is kept from training.
Otherwise all are trained on, and the requester's slices judge.
"""

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.errors import DataError
from fedpact.types.specification import JudgedOn, Specification

EVERY = 4
"""One privacy unit in so many judges."""


def trained_on(spec: Specification, dataset: Dataset) -> Dataset:
    """A member's records for training: all, or those that do not judge."""
    if spec.judged_on is JudgedOn.SLICES:
        return dataset
    return _part(dataset, judging=False)


def judged_on(dataset: Dataset) -> Dataset:
    """A member's records that judge models; raises DataError if there are none."""
    found = _part(dataset, judging=True)
    if not len(found):
        raise DataError(
            f"{len(dataset)} records: models are to be judged on one in {EVERY} of them, and there"
            " are too few"
        )
    return found


def _part(dataset: Dataset, *, judging: bool) -> Dataset:
    """Whole units, so that no unit is on both sides; in order of appearance, so that the parts stay
    the same."""
    judges = dataset.unit_numbers % EVERY == EVERY - 1
    rows = np.flatnonzero(judges == judging)
    units = tuple(dataset.units[row] for row in rows) if dataset.units else ()
    return Dataset(dataset.x[rows], dataset.y[rows], units)
