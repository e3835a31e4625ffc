"""How much of a provider's words a published signature gives away: a dictionary attack.

The attacker knows all that is public: the hash, the frequency of words in public English, and a
dictionary of candidates. It scores each word by its bucket's weight over what is expected there
of public words alone, shares a bucket's weight among the candidates that fall into it by their
public frequencies, and names the `guesses` best words. Whoever sees no signature names the
commonest words that weigh anything: the yardstick.

Two kinds of words are looked for: a provider's *topical* ones, that many of its documents use, and
its *rare* ones, that one single document holds; the noise is there for the latter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.features.text.tokens import tokenise
from fedpact.retrieval.profiles.words import public_share, rarity
from fedpact.retrieval.signature import TERM_BITS, TERMS, Signature

TOPICAL = 100
"""Words counted as topical: those of the most weight in all documents together."""


@dataclass(frozen=True)
class Leak:
    """Shares of a provider's words that were named; `guesses` words were."""

    topical: float
    rare: float
    guesses: int


@dataclass(frozen=True)
class ProviderWords:
    """Hashes of the words that the attacker is after."""

    topical: NDArray[np.uint64]
    rare: NDArray[np.uint64]


def words_of_provider(texts: Sequence[str]) -> ProviderWords:
    """The topical and the rare words of a provider's texts; words of no weight are neither."""
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
    """The attacker's best words, at most `guesses`; without a signature the commonest ones."""
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
    """What share of a provider's words the attacker names with `guesses` tries."""
    found = named(signature, dictionary, guesses)
    return Leak(_share(words.topical, found), _share(words.rare, found), len(found))


def _share(wanted: NDArray[np.uint64], found: NDArray[np.uint64]) -> float:
    return float(np.isin(wanted, found).mean()) if len(wanted) else 0.0
