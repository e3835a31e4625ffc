"""Text collections for experiments: by name, held out, sub-sampled; and quality measures."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedpact.data.text_collections import COLLECTIONS
from fedpact.data.texts import TextSource
from fedpact.errors import InvalidInput

HELD_OUT_EVERY = 5
SHARDS = 20
"""Number of shards of a sorted collection, from which sub-data sets are drawn."""


@lru_cache(maxsize=2)
def collection(name: str, *, held_out: bool = False) -> TextSource:
    """A collection by name; `held_out` uses every fifth training document as the test set.

    Raises InvalidInput for an unknown name, DataMissing if its files are missing.
    """
    if name not in COLLECTIONS:
        raise InvalidInput(f"unknown text collection {name!r}: one of {', '.join(COLLECTIONS)}")
    source = COLLECTIONS[name]()
    if not held_out:
        return source
    tested = np.arange(len(source.train)) % HELD_OUT_EVERY == 0
    kept, out = np.flatnonzero(~tested), np.flatnonzero(tested)
    return TextSource(
        f"{name}, held out",
        tuple(source.train[row] for row in kept),
        source.y_train[kept],
        tuple(source.train[row] for row in out),
        source.y_train[out],
        source.labels,
    )


def sub_collection(source: TextSource, share: float, seed: int) -> TextSource:
    """A sub-data set as in Lu et al. 2020, section IV-B: the sorted training documents are cut into
    SHARDS shards, and round(share * SHARDS) of them are drawn, at least two.

    It has only the labels of its documents and is tested on the test documents of these labels.
    Raises InvalidInput for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise InvalidInput(f"share of a text collection: {share} is not in (0, 1]")
    if share == 1:
        return source
    order = np.argsort(source.y_train, kind="stable")
    drawn = np.random.default_rng(seed).permutation(SHARDS)[: max(2, round(share * SHARDS))]
    kept = np.sort(np.concatenate([np.array_split(order, SHARDS)[shard] for shard in drawn]))
    held = np.unique(source.y_train[kept])
    tested = np.flatnonzero(np.isin(source.y_test, held))
    return TextSource(
        f"{source.name}, {share:g} of it",
        tuple(source.train[row] for row in kept),
        np.searchsorted(held, source.y_train[kept]).astype(np.int64),
        tuple(source.test[row] for row in tested),
        np.searchsorted(held, source.y_test[tested]).astype(np.int64),
        tuple(source.labels[label] for label in held),
    )


@dataclass(frozen=True)
class TextMeasures:
    """Quality of predicted probabilities."""

    macro_auc: float
    """Mean over the classes of the area under the ROC curve, one class against the rest."""
    accuracy: float


def measured(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> TextMeasures:
    """Quality of the probabilities (n, labels) against the labels `y` (n,).

    macro_auc leaves out labels that no example has, or that all have.
    """
    from sklearn.metrics import roc_auc_score

    areas = [
        float(roc_auc_score(y == label, probabilities[:, label]))
        for label in range(probabilities.shape[1])
        if 0 < (y == label).sum() < len(y)
    ]
    right = probabilities.argmax(axis=1) == y
    return TextMeasures(float(np.mean(areas)), float(right.mean()))
