"""What a member trains on, and on which of its records it judges the others' models.

Where a specification has models judged on own records, every fourth of them is kept from training.
Otherwise all are trained on, and the requester's slices judge. Published queries join the records
that are trained on.
"""

import numpy as np

from fedpact.data.dataset import Dataset, Inputs
from fedpact.data.documents import documents
from fedpact.errors import DataError
from fedpact.types.specification import JudgedOn, Specification

EVERY = 4
"""One privacy unit in so many judges."""


def trained_on(spec: Specification, dataset: Dataset) -> Dataset:
    """A member's examples for training: its records, or those that do not judge, and the published
    queries with the answers that these records give."""
    if spec.judged_on is JudgedOn.OWN_RECORDS:
        dataset = _part(dataset, judging=False)
    if not spec.published_queries or not len(dataset):
        return dataset
    return _with_queries(dataset, documents(spec.published_queries))


def kept_apart(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """A member's records, to train on and to judge by, whoever asks; raises DataError as
    `judged_on`."""
    return _part(dataset, judging=False), judged_on(dataset)


def judged_on(dataset: Dataset) -> Dataset:
    """A member's records that judge models; raises DataError if there are none."""
    found = _part(dataset, judging=True)
    if not len(found):
        raise DataError(
            f"{len(dataset)} records: models are to be judged on one in {EVERY} of them, and there"
            " are too few"
        )
    return found


def _with_queries(dataset: Dataset, queries: Inputs) -> Dataset:
    """D and the pairs <f_x, f_x(D)> (Lu et al. 2020, III-C step 5, which does not say how data
    answer a query): the answer is that of the record whose words are most like the query's, by
    Jaccard similarity, the first of equals. The pair belongs to that record's privacy unit."""
    # An idle daemon imports this module, and needs no scipy.
    from fedpact.features.text.hashing import HashedBag
    from fedpact.features.text.rows import bag_rows
    from fedpact.features.text.similarity import weighted_jaccard

    bag = HashedBag()
    apart = weighted_jaccard(bag_rows(bag, dataset.x.tolist()), bag_rows(bag, queries.tolist()))
    nearest = apart.argmin(axis=0)
    units = dataset.units
    return Dataset(
        np.concatenate([dataset.x, queries]),
        np.concatenate([dataset.y, dataset.y[nearest]]),
        (*units, *(units[row] for row in nearest)) if units else (),
    )


def _part(dataset: Dataset, *, judging: bool) -> Dataset:
    """Whole units, so that no unit is on both sides; in order of appearance, so that the parts stay
    the same."""
    judges = dataset.unit_numbers % EVERY == EVERY - 1
    rows = np.flatnonzero(judges == judging)
    units = tuple(dataset.units[row] for row in rows) if dataset.units else ()
    return Dataset(dataset.x[rows], dataset.y[rows], units)
