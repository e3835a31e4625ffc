"""Text collections as experiments use them: shards, collections by name, the paper's measure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition
from fedpact.data.newsgroups import newsgroups
from fedpact.data.reuters import r8
from fedpact.data.texts import TextSource
from fedpact.errors import InvalidInput

SHARDS_EACH = 2
"""Label-sorted shards a provider (Lu et al. 2020, section IV-B; McMahan et al. 2017)."""
HELD_OUT_EVERY = 5
COLLECTIONS: dict[str, Callable[[], TextSource]] = {
    "20newsgroups": newsgroups,
    "20newsgroups-bodies": lambda: newsgroups(headers=False),
    "r8": r8,
}


@lru_cache(maxsize=2)
def collection(name: str, *, held_out: bool = False) -> TextSource:
    """A collection by name; `held_out` puts every fifth training document in the test's place.

    Raises InvalidInput for a name that is not in COLLECTIONS, DataMissing where it is not there.
    """
    if name not in COLLECTIONS:
        raise InvalidInput(f"no text collection {name!r}: one of {', '.join(COLLECTIONS)}")
    source = COLLECTIONS[name]()
    if not held_out:
        return source
    tested = np.arange(len(source.train)) % HELD_OUT_EVERY == 0
    kept, out = np.flatnonzero(~tested), np.flatnonzero(tested)
    return TextSource(
        f"{name}, held out",
        tuple(source.train[place] for place in kept),
        source.y_train[kept],
        tuple(source.train[place] for place in out),
        source.y_train[out],
        source.labels,
    )


@dataclass(frozen=True)
class Measured:
    """How good predicted probabilities are."""

    macro_auc: float
    """Mean over the classes of the area under the ROC curve, one class against the rest."""
    accuracy: float


def measured(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> Measured:
    """Of probabilities (n, labels); classes of which `y` has no document or all are left out."""
    from sklearn.metrics import roc_auc_score

    areas = [
        float(roc_auc_score(y == label, probabilities[:, label]))
        for label in range(probabilities.shape[1])
        if 0 < (y == label).sum() < len(y)
    ]
    right = probabilities.argmax(axis=1) == y
    return Measured(float(np.mean(areas)), float(right.mean()))


def label_sorted(y: NDArray[np.int64], providers: int, seed: int) -> list[NDArray[np.int64]]:
    """Places of each provider's documents: label-sorted shards, two a provider."""
    return list(partition.shards(y, providers, SHARDS_EACH, seed))
