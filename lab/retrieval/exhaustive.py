"""The ground truth for lookups: weighted Jaccard to every published profile."""

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.signature import MASS, WIDTH, Signature


class Exhaustive:
    """An inverted index of all profiles, for exact search."""

    def __init__(self, buckets: NDArray[np.uint16], weights: NDArray[np.uint16]) -> None:
        self._nodes = len(buckets)
        used = np.where(weights > 0, buckets, np.uint16(WIDTH)).reshape(
            -1
        )  # WIDTH stands for no entry.
        order = np.argsort(used, kind="stable")
        self._starts = np.searchsorted(used[order], np.arange(WIDTH + 1))
        order = order[: self._starts[-1]]
        self._weights = weights.reshape(-1)[order]
        self._owners = (order // weights.shape[1]).astype(np.int32)

    def likeness(self, query: Signature) -> NDArray[np.float64]:
        """Weighted Jaccard to every node, (n,)."""
        shared = np.zeros(self._nodes, dtype=np.int64)
        for bucket, weight in zip(query.buckets, query.weights, strict=True):
            here = slice(self._starts[bucket], self._starts[bucket + 1])
            shared[self._owners[here]] += np.minimum(self._weights[here], np.uint16(weight))
        return np.asarray(shared / (2 * MASS - shared))


def top(scores: NDArray[np.float64], allowed: NDArray[np.bool_], want: int) -> NDArray[np.int64]:
    """The `want` best allowed nodes, best first; ties go to the lower number."""
    usable = np.where(allowed, scores, -1.0)
    least = np.partition(usable, len(usable) - want)[len(usable) - want]
    candidates = np.flatnonzero(usable >= least)
    return candidates[np.argsort(-usable[candidates], kind="stable")][:want]
