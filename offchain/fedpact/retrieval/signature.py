"""The published signature by which a provider's data are found: a small sparse vector.

A signature has at most 32 entries over a fixed public vocabulary of 2^15 buckets: 2^14 for terms
(the high bits of a term's hash, as in `features.text.hashing`) and 2^14 for edges of the weighted
context graph (pairs of terms). Weights are positive integers that add up to 65,535, so that large
weights give no advantage, and so that there is one byte form and one digest.

Two likenesses of signatures a and b:

* *weighted Jaccard*: sum min(a, b) / sum max(a, b) (Ruzicka's), by which providers are found;
* *support-weighted Jaccard*: weights of entries that both have over all weights; one minus the
  fraction in Lu et al. 2020, equation 1.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import RetrievalError

if TYPE_CHECKING:
    from scipy import sparse

# scipy is loaded where it is needed: a daemon that waits for requests only reads signatures.
VERSION = 1
"""Version of vocabulary and byte form; versions cannot be compared."""
TERM_BITS = EDGE_BITS = 14
TERMS, EDGES = 1 << TERM_BITS, 1 << EDGE_BITS
WIDTH = TERMS + EDGES
"""Buckets: terms first, edges after them."""
ENTRIES = 32
MASS = 65_535
"""Sum of the weights of any signature."""
_HEAD = struct.Struct(">BB")
_ENTRY = struct.Struct(">HH")
LONGEST = _HEAD.size + ENTRIES * _ENTRY.size
"""Bytes of the longest signature."""


@dataclass(frozen=True)
class Signature:
    """1 to 32 buckets, ascending, and their weights; raises RetrievalError for anything else."""

    buckets: tuple[int, ...]
    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.buckets) <= ENTRIES or len(self.weights) != len(self.buckets):
            raise RetrievalError(
                f"signature: {len(self.buckets)} buckets with {len(self.weights)} weights, "
                f"not 1 to {ENTRIES} of each"
            )
        ascending = all(a < b for a, b in pairwise(self.buckets))
        if not ascending or self.buckets[0] < 0 or self.buckets[-1] >= WIDTH:
            raise RetrievalError(f"signature: buckets must ascend within 0 to {WIDTH - 1}")
        if min(self.weights) < 1 or sum(self.weights) != MASS:
            raise RetrievalError(
                f"signature: weights must be positive and add up to {MASS}, not {sum(self.weights)}"
            )

    @cached_property
    def digest(self) -> bytes:
        """32 bytes: SHA-256 of the byte form."""
        return sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """Version, number of entries, then bucket and weight of each, big-endian 16 bits."""
        body = b"".join(map(_ENTRY.pack, self.buckets, self.weights))
        return _HEAD.pack(VERSION, len(self.buckets)) + body

    @classmethod
    def decode(cls, content: bytes) -> "Signature":
        """The signature whose byte form is `content`; raises RetrievalError if it is none."""
        signature, rest = cls.read(content)
        if rest:
            raise RetrievalError(f"signature: {len(rest)} extra bytes at the end")
        return signature

    @classmethod
    def read(cls, content: bytes) -> tuple["Signature", bytes]:
        """The signature at the start of `content`, and the bytes after it."""
        if len(content) < _HEAD.size:
            raise RetrievalError(f"signature: {len(content)} bytes are too few")
        version, entries = _HEAD.unpack_from(content)
        end = _HEAD.size + entries * _ENTRY.size
        if version != VERSION:
            raise RetrievalError(
                f"signature: version {version} is unknown, this program knows {VERSION}"
            )
        if len(content) < end:
            raise RetrievalError(f"signature: the bytes end before its {entries} entries")
        pairs = list(_ENTRY.iter_unpack(content[_HEAD.size : end]))
        return cls(tuple(b for b, _ in pairs), tuple(w for _, w in pairs)), content[end:]

    def row(self) -> "sparse.csr_matrix":
        """As a sparse row (1, WIDTH) of float64."""
        from scipy import sparse

        data = np.asarray(self.weights, dtype=np.float64)
        return sparse.csr_matrix((data, (np.zeros(len(data), int), self.buckets)), (1, WIDTH))


def signature(vector: "NDArray[np.float64] | sparse.csr_matrix") -> Signature:
    """The signature of a vector over the vocabulary, shape (WIDTH,) or (1, WIDTH).

    Keeps the 32 largest positive values (on ties the lower bucket). Raises RetrievalError if there
    is none, or for another shape.
    """
    from scipy import sparse

    rows = sparse.csr_matrix(vector, dtype=np.float64)
    if rows.shape != (1, WIDTH):
        raise RetrievalError(f"signature: a vector of shape {rows.shape}, not (1, {WIDTH})")
    buckets, weights = signatures(rows)
    kept = weights[0] > 0
    if not kept.any():
        raise RetrievalError("signature: no data have any weight (only common words?)")
    return Signature(tuple(buckets[0][kept].tolist()), tuple(weights[0][kept].tolist()))


def signatures(rows: "sparse.csr_matrix") -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Buckets and weights (n, 32) of vectors (n, WIDTH), by the rule of `signature`.

    A value counts by its share of the row's largest, as a 32-bit float. Unused entries come last,
    with bucket 0 and weight 0; a row without positive values has only these.
    """
    from scipy import sparse

    rows = sparse.csr_matrix(rows, dtype=np.float64, copy=True)
    rows.sum_duplicates()
    count = rows.shape[0]
    number = np.repeat(np.arange(count), np.diff(rows.indptr))
    if not np.isfinite(rows.data).all():
        raise RetrievalError("signature: values that are not finite")
    # One key per value, distinct in its row: its 32-bit float, then the bucket from the end.
    rows.data = (rows.data / _largest(rows)[number]).astype(np.float32)
    positive = rows.data > 0
    keys = np.zeros((count, max(ENTRIES, int(np.diff(rows.indptr).max(initial=0)))), np.uint64)
    index = np.arange(len(number)) - rows.indptr[:-1][number]
    high = rows.data.view(np.uint32).astype(np.uint64) << np.uint64(32)
    low = (WIDTH - rows.indices).astype(np.uint64)
    keys[number, index] = np.where(positive, high | low, np.uint64(0))
    keys = np.partition(keys, keys.shape[1] - ENTRIES, axis=1)[:, -ENTRIES:]
    buckets = WIDTH - (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)  # WIDTH if there is none
    values = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32).astype(np.float64)
    order = np.argsort(buckets, axis=1)
    indices = np.take_along_axis(buckets, order, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    weights = quantised(values)
    return np.where(weights > 0, indices, 0).astype(np.uint16), weights


def _largest(rows: "sparse.csr_matrix") -> NDArray[np.float64]:
    """Each row's largest value, at least the least positive number."""
    largest = np.zeros(rows.shape[0])
    filled = np.diff(rows.indptr) > 0
    if filled.any():
        largest[filled] = np.maximum.reduceat(rows.data, rows.indptr[:-1][filled])
    return np.maximum(largest, np.finfo(np.float64).tiny)


def quantised(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Values (n, 32), none negative, as integers that add up to MASS: largest remainders.

    A positive value gets at least 1.
    """
    total = values.sum(axis=1, keepdims=True)
    used = values > 0
    spare = MASS - used.sum(axis=1, keepdims=True)
    shares = values / np.where(total > 0, total, 1.0) * spare
    whole = np.floor(shares).astype(np.int64)
    missing = np.where(total[:, 0] > 0, spare[:, 0] - whole.sum(axis=1), 0)
    remainder = np.where(used, whole - shares, 1.0)
    rank = np.argsort(np.argsort(remainder, axis=1, kind="stable"), axis=1, kind="stable")
    weights = whole + used + (used & (rank < missing[:, None]))
    return np.asarray(weights, dtype=np.uint16)


def weighted_jaccard(a: Signature, b: Signature) -> float:
    """Sum of the lesser weights over sum of the greater, 0 to 1."""
    from fedpact.features.text import similarity

    return 1.0 - float(similarity.weighted_jaccard(a.row(), b.row())[0, 0])


def support_weighted_jaccard(a: Signature, b: Signature) -> float:
    """Weights of common buckets over all weights, 0 to 1."""
    from fedpact.features.text import similarity

    return 1.0 - float(similarity.support_weighted_jaccard(a.row(), b.row())[0, 0])


def likeness(
    query: Signature, buckets: NDArray[np.uint16], weights: NDArray[np.uint16]
) -> NDArray[np.float64]:
    """Weighted Jaccard of one signature and each of many, in the form of `signatures`: (n,).

    All masses are equal, so it is s / (2 MASS - s), s being the sum of the lesser weights.
    """
    asked = np.zeros(WIDTH, dtype=np.uint16)
    asked[list(query.buckets)] = query.weights
    shared = np.minimum(asked[buckets], weights).sum(axis=1, dtype=np.int64)
    return np.asarray(shared / (2 * MASS - shared))


def stacked(many: Sequence[Signature]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Buckets and weights (n, 32) of signatures, in the form of `signatures`."""
    buckets = np.zeros((len(many), ENTRIES), dtype=np.uint16)
    weights = np.zeros((len(many), ENTRIES), dtype=np.uint16)
    for index, one in enumerate(many):
        buckets[index, : len(one.buckets)] = one.buckets
        weights[index, : len(one.weights)] = one.weights
    return buckets, weights
