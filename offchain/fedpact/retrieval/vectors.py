"""Texts as vectors over the vocabulary of signatures: terms, and edges between a text's main terms.

A text's row has its hashed terms (`HashedBag`) and, as in a weighted context graph (Lu et al. 2020,
definition 1), an edge for each pair of its 24 heaviest terms, whose weight is the geometric mean of
their weights. The hash of two terms' buckets gives their edge's bucket. Rows have L2 norm 1, so
that any text changes a sum of rows by at most 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import RetrievalError
from fedpact.features.text.hashing import HashedBag
from fedpact.features.text.tokens import term_hashes
from fedpact.retrieval.signature import EDGE_BITS, TERM_BITS, TERMS, WIDTH, Signature, signature

BAG = HashedBag(bits=TERM_BITS, common=7.0, cap=3.0)
"""Fixed together with the codebook, which is built from such rows."""
LINKED = 24
"""Number of a text's terms that edges connect."""
EDGE_SHARE = 0.5
"""Factor of an edge's weight, the geometric mean of its terms' weights."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xBF58476D1CE4E5B9)


def text_vectors(texts: Sequence[str]) -> sparse.csr_matrix:
    """Rows of `texts`: (n, WIDTH) float64, none negative, of L2 norm 1.

    A text without a term of positive weight has a row of zeros.
    """
    terms = sparse.csr_matrix(BAG.rows(texts), dtype=np.float64)
    edges = _edges(terms)
    rows = sparse.hstack([terms, edges], format="csr")
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
    rows.data /= np.repeat(lengths, np.diff(rows.indptr))
    return rows


def query_of_terms(words: Sequence[str]) -> Signature:
    """The signature of a query by words, weighted by their public rarity alone.

    Raises RetrievalError if none of them is a single word of positive weight.
    """
    hashes = term_hashes(words)
    hashes = hashes[hashes != 0]
    vector = np.zeros(WIDTH)
    buckets = (hashes >> np.uint64(64 - TERM_BITS)).astype(np.int64)
    np.add.at(vector, buckets, BAG.weights()[buckets])
    if not vector.any():
        raise RetrievalError(f"query: none of the words {', '.join(words)} says what data is about")
    return signature(vector)


def edge_buckets(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bucket of the edge between two terms' buckets, first < second; within TERMS to WIDTH - 1."""
    mixed = (first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64)) * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _SECOND
    return TERMS + (mixed >> np.uint64(64 - EDGE_BITS)).astype(np.int64)


def _edges(terms: sparse.csr_matrix) -> sparse.csr_matrix:
    """(n, EDGES): pairs of the LINKED heaviest terms of each row."""
    count = terms.shape[0]
    number = np.repeat(np.arange(count), np.diff(terms.indptr))
    order = np.lexsort((terms.indices, -terms.data, number))
    rank = np.arange(len(order)) - terms.indptr[:-1][number]
    buckets = np.full((count, LINKED), -1, dtype=np.int64)
    weights = np.zeros((count, LINKED))
    kept = rank < LINKED
    buckets[number[kept], rank[kept]] = terms.indices[order[kept]]
    weights[number[kept], rank[kept]] = terms.data[order[kept]]
    left, right = np.triu_indices(LINKED, 1)
    low = np.minimum(buckets[:, left], buckets[:, right])
    high = np.maximum(buckets[:, left], buckets[:, right])
    there = low >= 0
    rows = np.broadcast_to(np.arange(count)[:, None], low.shape)[there]
    values = EDGE_SHARE * np.sqrt(weights[:, left] * weights[:, right])[there]
    columns = edge_buckets(low[there], high[there]) - TERMS
    return sparse.csr_matrix((values, (rows, columns)), shape=(count, WIDTH - TERMS))
