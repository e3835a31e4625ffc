"""Single words by their public frequencies; no record is looked at."""

import numpy as np
from numpy.typing import NDArray

from fedpact.features.text.frequencies import public_words
from fedpact.features.text.hashing import UNKNOWN
from fedpact.retrieval.vectors import BAG


def public_share(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Share of public running text of each word, at least that of a word not listed."""
    listed, shares = public_words()
    index = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
    return np.where(listed[index] == hashes, np.maximum(shares[index], UNKNOWN), UNKNOWN)


def rarity(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Weight of each word by its own frequency, as `HashedBag` weighs buckets by theirs."""
    return np.asarray(np.clip(-np.log(public_share(hashes)) - BAG.common, 0.0, BAG.cap))
