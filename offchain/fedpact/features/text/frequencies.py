"""How often words occur in public English, so that weighting by them reveals nothing private.

From the package `wordfreq` (Speer 2022; code Apache-2.0, data CC BY-SA 4.0), its large English
list of some 300,000 words. The list was counted in Wikipedia, subtitles, news, books, the web and
social media up to 2021; test collections of older public texts may be among them.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from fedpact.features.text.tokens import term_hashes

LANGUAGE, LIST = "en", "large"


@cache
def public_words() -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Hashes, ascending, and frequencies (share of running text) of the public words.

    Words that the tokeniser would cut are left out.
    """
    from wordfreq import get_frequency_dict

    table = get_frequency_dict(LANGUAGE, wordlist=LIST)
    hashes = term_hashes(tuple(table))
    shares = np.fromiter(table.values(), np.float64, len(table))
    terms, indices = np.unique(hashes, return_inverse=True)
    total = np.bincount(indices, weights=shares).astype(np.float64)  # "em" and "'em" are one term
    return terms[terms != 0], total[terms != 0]


@cache
def bucket_frequencies(bits: int) -> NDArray[np.float64]:
    """Frequency of all public words that fall into each of 2^bits buckets; shape (2^bits,)."""
    hashes, shares = public_words()
    buckets = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    frequencies = np.bincount(buckets, weights=shares, minlength=1 << bits).astype(np.float64)
    frequencies.flags.writeable = False  # one array, shared by all callers
    return frequencies
