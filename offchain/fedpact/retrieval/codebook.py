"""The public hierarchical codebook: a binary tree of vectors, by which signatures become paths.

A signature is projected to 128 integers, each a sum of its weights with signs from a public
hash of their buckets (a random projection, Achlioptas 2003), and scaled to length 1. At each
node of the tree the path goes to the child with the nearer vector. Signatures, signs and vectors
are integers, and everything else is a square root and a product, so every machine finds the same
path.

scripts/codebook.py made version 1 from a declared public sample: profiles resampled from three
quarters of the documents of the test parts of 20 Newsgroups and Reuters-21578. Data on other topics
spread over it less evenly; the same script makes another version from another sample.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import RetrievalError
from fedpact.retrieval.messages import Prefix
from fedpact.retrieval.signature import WIDTH, Signature, stacked

VERSION = 1
FILE = "codebook-v1.npy"
DIGEST = "c832f636af666d4622898efb4e8a4f97387555568f07c79ac26c502fac0c19ac"
DIMENSIONS = 128
SCALE = 512
"""Factor of vectors before rounding to 8 bits."""
_AT_ONCE = 20_000
FEW = 64
"""Signatures that are projected in one step, for speed."""


@dataclass(frozen=True, eq=False)
class Codebook:
    """Vectors of all nodes of a binary tree.

    vectors: (2^(depth + 1), DIMENSIONS) int8; the root is row 1, children of row i are 2 i and
    2 i + 1; row 0 is unused.
    """

    vectors: NDArray[np.int8]

    @property
    def depth(self) -> int:
        """Bits of a path."""
        return len(self.vectors).bit_length() - 2

    def paths(self, buckets: NDArray[np.uint16], weights: NDArray[np.uint16]) -> NDArray[np.uint64]:
        """Path of each signature (n, 32), as an integer of `depth` bits: (n,)."""
        found = np.zeros(len(buckets), dtype=np.uint64)
        for first in range(0, len(buckets), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            found[part] = self._paths(projected(buckets[part], weights[part]))
        return found

    def _paths(self, vectors: NDArray[np.float64]) -> NDArray[np.uint64]:
        row = np.ones(len(vectors), dtype=np.int64)
        lengths = np.sqrt((vectors**2).sum(axis=1))
        for level in range(self.depth):
            order = np.argsort(row, kind="stable")
            starts = np.searchsorted(row[order], np.arange(1 << level, (2 << level) + 1))
            for parent, (begin, end) in enumerate(pairwise(starts.tolist()), 1 << level):
                if begin < end:
                    here = order[begin:end]
                    left, right = self._wide[2 * parent : 2 * parent + 2]
                    gain = 2 * SCALE * (vectors[here] @ (right - left))
                    squares = self._squares
                    cost = lengths[here] * (squares[2 * parent + 1] - squares[2 * parent])
                    row[here] = 2 * parent + (gain > cost)
        return (row - (1 << self.depth)).astype(np.uint64)

    def path(self, signature: Signature) -> int:
        """Path of one signature, computed as in `paths`."""
        vector = projected(*stacked([signature]))[0]
        length = float(np.sqrt((vector**2).sum()))
        row = 1
        for _ in range(self.depth):
            left, right = self._wide[2 * row : 2 * row + 2]
            squares = self._squares
            gain = 2 * SCALE * float(vector @ (right - left))
            row = 2 * row + int(gain > length * (squares[2 * row + 1] - squares[2 * row]))
        return row - (1 << self.depth)

    def closeness(
        self, vector: NDArray[np.float64], bits: NDArray[np.uint64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Cosine of a projected vector with those of communities, (m,); greater is nearer.

        A prefix longer than a path counts as that path.
        """
        vectors = self.unit[self._rows(bits, lengths)]
        return np.asarray(vectors @ (vector / max(float(np.linalg.norm(vector)), 1.0)))

    def between(self, bits: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Cosines between communities, (m, m)."""
        vectors = self.unit[self._rows(bits, lengths)]
        return np.asarray(vectors @ vectors.T)

    @cached_property
    def unit(self) -> NDArray[np.float64]:
        """The vectors, each of length 1."""
        return np.asarray(self._wide / np.maximum(np.sqrt(self._squares), 1.0)[:, None])

    @cached_property
    def _wide(self) -> NDArray[np.float64]:
        return self.vectors.astype(np.float64)

    @cached_property
    def _squares(self) -> NDArray[np.float64]:
        return np.asarray((self._wide**2).sum(axis=1))

    def _rows(self, bits: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        used = np.minimum(lengths, self.depth)
        path = np.where(used > 0, bits >> (64 - np.maximum(used, 1)).astype(np.uint64), 0)
        return np.asarray((1 << used) | path.astype(np.int64))


def projected(buckets: NDArray[np.uint16], weights: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Signatures (n, 32) as (n, DIMENSIONS) integers, exact in float64."""
    signs = _signs()
    found = np.zeros((len(buckets), DIMENSIONS))
    if len(buckets) < FEW:
        wide = weights.astype(np.float64)
        return np.asarray(np.einsum("nk,nkd->nd", wide, signs[buckets]))
    for index in range(buckets.shape[1]):
        found += weights[:, index : index + 1].astype(np.float64) * signs[buckets[:, index]]
    return found


@cache
def _signs() -> NDArray[np.int8]:
    """+1 or -1 for each bucket and dimension: bits of splitmix64 (Steele et al. 2014)."""
    words = np.arange(WIDTH * DIMENSIONS // 64, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    bits = (words[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    return np.asarray(bits.reshape(WIDTH, DIMENSIONS).astype(np.int8) * 2 - 1, dtype=np.int8)


@cache
def standard() -> Codebook:
    """Version 1; raises RetrievalError if the file is another version's or damaged."""
    content = (files("fedpact.retrieval") / FILE).read_bytes()
    if sha256(content).hexdigest() != DIGEST:
        raise RetrievalError(f"codebook: {FILE} is not version {VERSION}: reinstall fedpact")
    return Codebook(np.load(BytesIO(content), allow_pickle=False))


def prefix_arrays(prefixes: list[Prefix]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Bits and lengths of communities as arrays, the input of `Codebook`'s methods."""
    bits = np.array([one.bits for one in prefixes], dtype=np.uint64)
    return bits, np.array([one.length for one in prefixes], dtype=np.int64)
