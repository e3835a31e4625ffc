"""Single words by their public frequencies, independent of any record."""

import numpy as np
from numpy.typing import NDArray

from fedpact.features.text.frequencies import public_words
from fedpact.features.text.hashing import UNKNOWN
from fedpact.retrieval.vectors import BAG


def public_share(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Each word's share of public running text, at least that of an unlisted word."""
    listed, shares = public_words()
    index = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
    return np.where(listed[index] == hashes, np.maximum(shares[index], UNKNOWN), UNKNOWN)


def rarity(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Weight of each word by its frequency, as `HashedBag` weights buckets."""
    return np.asarray(np.clip(-np.log(public_share(hashes)) - BAG.common, 0.0, BAG.cap))
