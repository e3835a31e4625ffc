"""Signatures: what data are about, from a (noised) sum and from what their owner declares.

Of a signature's 32 entries, the declared words (categories; names of columns and labels) come
first; data fill the rest. Declared words are not derived from any record and cost no privacy.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import RetrievalError
from fedpact.features.text.tokens import tokenise
from fedpact.retrieval.signature import ENTRIES, TERM_BITS, WIDTH, Signature, signature
from fedpact.retrieval.vectors import BAG, text_vectors

CATEGORY_SHARE = 0.25
"""Share of a signature's weight for the words of the categories."""
SCHEMA_SHARE = 0.25
"""The same for the names of columns and labels of data other than texts."""
MAX_CATEGORY_WORDS = 8
MAX_SCHEMA_WORDS = 12
_WORD = re.compile(r"[^\W_]+")


def words_of(names: Iterable[str], most: int) -> tuple[str, ...]:
    """The distinct words in names such as "images/digits" or "sensor_11", the first `most`."""
    found = (word.lower() for name in names for word in _WORD.findall(name))
    return tuple(dict.fromkeys(word for word in found if tokenise([word]).hashes.size == 1))[:most]


def bucket_of(word: str) -> int:
    """The bucket of one word; raises RetrievalError for anything but a single word."""
    hashes = tokenise([word]).hashes
    if hashes.size != 1:
        raise RetrievalError(f"{word!r} is not one word of 2 to 40 letters and digits")
    return int(hashes[0] >> np.uint64(64 - TERM_BITS))


def data_part(total: NDArray[np.float64]) -> Signature:
    """The 32 largest values of a (noised) sum over the term buckets, (TERMS,) or (WIDTH,)."""
    vector = np.zeros(WIDTH)
    vector[: total.size] = np.maximum(total, 0.0)
    return signature(vector)


def composed(
    data: Signature | None, categories: Sequence[str] = (), schema: Sequence[str] = ()
) -> Signature:
    """The published signature: declared words with their fixed shares, data with the rest.

    Raises RetrievalError if there are neither.
    """
    vector, left = np.zeros(WIDTH), 1.0
    parts = (
        (words_of(categories, MAX_CATEGORY_WORDS), CATEGORY_SHARE),
        (words_of(schema, MAX_SCHEMA_WORDS), SCHEMA_SHARE),
    )
    for words, share in parts:
        for word in words:
            vector[bucket_of(word)] += share / len(words)
        left -= share if words else 0.0
    if data is not None:
        room = ENTRIES - np.count_nonzero(vector)
        buckets, weights = np.array(data.buckets), np.array(data.weights, dtype=np.float64)
        kept = np.argsort(-weights, kind="stable")[:room]
        vector[buckets[kept]] += left * weights[kept] / weights[kept].sum()
    return signature(vector)


def term_rows(texts: Sequence[str]) -> sparse.csr_matrix:
    """Hashed terms of each text, (n, TERMS), norm 1: the summands of a noised signature.

    Without the edges of the context graph: their many small weights would drown in the noise and
    displace terms from the 32 entries (measured: docs/retrieval.md).
    """
    return sparse.csr_matrix(BAG.rows(texts), dtype=np.float64)


def context_rows(texts: Sequence[str]) -> sparse.csr_matrix:
    """Terms and edges of each text, (n, WIDTH), norm 1: the summands of a plain signature."""
    return text_vectors(texts)


def label_rows(labels: Sequence[str], known: Sequence[str]) -> sparse.csr_matrix:
    """One row per record, (n, len(known)): 1 in the column of its label.

    `known`: the declared names of all labels. Raises RetrievalError for a label not among them.
    """
    index = {name: number for number, name in enumerate(known)}
    strange = sorted(set(labels) - set(index))
    if strange:
        raise RetrievalError(f"profile: label {strange[0]!r} is not among the declared ones")
    columns = np.fromiter((index[label] for label in labels), np.int64, len(labels))
    return sparse.csr_matrix(
        (np.ones(len(labels)), columns, np.arange(len(labels) + 1)), (len(labels), len(known))
    )


def label_part(histogram: NDArray[np.float64], known: Sequence[str]) -> Signature | None:
    """The words of labels, weighted by their (noised) counts; None if none is positive.

    A label without any word ("7") counts as the word "label7".
    """
    vector = np.zeros(WIDTH)
    for name, count in zip(known, histogram.tolist(), strict=True):
        words = words_of([name], MAX_SCHEMA_WORDS) or (f"label{''.join(_WORD.findall(name))}",)
        for word in words:
            vector[bucket_of(word)] += max(count, 0.0) / len(words)
    return signature(vector) if vector.any() else None
