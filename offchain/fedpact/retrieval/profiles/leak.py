"""How many of a provider's words a published signature reveals: a dictionary attack.

The attacker knows everything public: the hash, the frequency of words in public English, and a
dictionary of candidates. It scores each word by its bucket's weight relative to the weight that
public words alone would give it, splits a bucket's weight among its candidates by their public
frequencies, and names the `guesses` best words. The baseline is an attacker without a signature,
who names the most common words of positive weight.

Two kinds of words are searched for: a provider's *topical* ones, which many of its documents use,
and its *rare* ones, which only one document has; the noise protects the latter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.features.text.tokens import tokenise
from fedpact.retrieval.profiles.words import public_share, rarity
from fedpact.retrieval.signature import TERM_BITS, TERMS, Signature

TOPICAL = 100
"""Number of topical words: those with the most weight in all documents together."""


@dataclass(frozen=True)
class Leak:
    """Shares of a provider's words among `guesses` guesses."""

    topical: float
    rare: float
    guesses: int


@dataclass(frozen=True)
class ProviderWords:
    """Hashes of the words that the attacker looks for."""

    topical: NDArray[np.uint64]
    rare: NDArray[np.uint64]


def words_of_provider(texts: Sequence[str]) -> ProviderWords:
    """The topical and the rare words of a provider's texts; words of weight 0 are neither."""
    tokens = tokenise(texts)
    keys = np.stack([tokens.hashes, tokens.documents.astype(np.uint64)])
    pairs = np.unique(keys, axis=1)
    terms, documents = np.unique(pairs[0], return_counts=True)
    weight = rarity(terms)
    counted = weight > 0
    order = np.argsort(-(documents * weight * counted), kind="stable")[:TOPICAL]
    return ProviderWords(terms[order], terms[counted & (documents == 1)])


def named(
    signature: Signature | None, dictionary: NDArray[np.uint64], guesses: int
) -> NDArray[np.uint64]:
    """The attacker's best words, at most `guesses`; without a signature the most common ones."""
    shares = public_share(dictionary)
    weighing = rarity(dictionary) > 0
    if signature is None:
        order = np.argsort(-shares * weighing, kind="stable")
        return np.asarray(dictionary[order[:guesses]])
    weights = np.zeros(TERMS)
    known = [(b, w) for b, w in zip(signature.buckets, signature.weights, strict=True) if b < TERMS]
    for bucket, weight in known:
        weights[bucket] = weight
    buckets = (dictionary >> np.uint64(64 - TERM_BITS)).astype(np.int64)
    counted = shares * weighing
    whole = np.bincount(buckets, weights=counted, minlength=TERMS)
    score = weights[buckets] * counted / np.maximum(whole[buckets], np.finfo(float).tiny)
    order = np.argsort(-score, kind="stable")
    return np.asarray(dictionary[order[: min(guesses, int((score > 0).sum()))]])


def attacked(
    words: ProviderWords, signature: Signature | None, dictionary: NDArray[np.uint64], guesses: int
) -> Leak:
    """Shares of a provider's words that the attacker names in `guesses` guesses."""
    found = named(signature, dictionary, guesses)
    return Leak(_share(words.topical, found), _share(words.rare, found), len(found))


def _share(wanted: NDArray[np.uint64], found: NDArray[np.uint64]) -> float:
    return float(np.isin(wanted, found).mean()) if len(wanted) else 0.0
