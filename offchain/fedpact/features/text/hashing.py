"""Hashed bags of words: texts as sparse rows of norm one, nothing learned from the texts.

A term's bucket is the high bits of its hash (feature hashing, Weinberger et al. 2009, without
signs, so that rows have no negative value). A row's value is (1 + ln tf) * weight, the weight
from public word frequencies alone; each row is then scaled to L2 norm 1 by itself, so that
weighting costs no privacy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import SpecificationError
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.tokens import Tokens, pairs, tokenise

MIN_BITS, MAX_BITS = 6, 22
TEXTS_AT_ONCE = 256
"""Texts processed at once: few enough to stay in the processor's cache."""
UNKNOWN = 1e-8
"""Frequency of a word that the public list does not have; the rarest listed one has 1e-8."""


@dataclass(frozen=True)
class HashedBag:
    """How texts become rows; raises SpecificationError for a choice out of range."""

    bits: int = 14
    """2^bits buckets."""
    common: float = 6.0
    """Words with -ln(frequency) up to this have weight 0: "the", "and" and some 40 others."""
    cap: float = 2.0
    """Largest weight: words rarer than exp(-common - cap) all have it."""
    bigrams: bool = False
    """Whether pairs of neighbouring terms count too, each of weight `cap`."""

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise SpecificationError(
                f"text: {self.bits} bits of hash, not {MIN_BITS} to {MAX_BITS}"
            )
        if not (self.common >= 0 and self.cap > 0):
            raise SpecificationError(
                f"text: common must be at least 0 and cap positive, not {self.common}, {self.cap}"
            )

    @property
    def width(self) -> int:
        return 1 << self.bits

    def weights(self) -> NDArray[np.float64]:
        """Weight of each bucket: -ln(public frequency) - common, within [0, cap]."""
        rarity = -np.log(np.maximum(bucket_frequencies(self.bits), UNKNOWN)) - self.common
        return np.asarray(np.clip(rarity, 0.0, self.cap))

    def rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Rows of `texts`: (n, 2^bits) float32, none negative, of L2 norm 1.

        A text without a term of positive weight has a row of zeros.
        """
        parts = [
            self._rows(tokenise(texts[start : start + TEXTS_AT_ONCE]))
            for start in range(0, len(texts), TEXTS_AT_ONCE)
        ]
        return sparse.vstack(parts, format="csr") if parts else self._empty()

    def _empty(self) -> sparse.csr_matrix:
        return sparse.csr_matrix((0, self.width), dtype=np.float32)

    def _rows(self, tokens: Tokens) -> sparse.csr_matrix:
        rows = self._counts(tokens.hashes, tokens.documents, tokens.texts)
        rows.data *= self.weights()[rows.indices]
        if self.bigrams:
            two = self._counts(*pairs(tokens), tokens.texts)
            two.data *= self.cap
            rows = (rows + two).tocsr()
        rows.eliminate_zeros()
        squares = np.bincount(_row_numbers(rows), rows.data**2, tokens.texts)
        lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
        rows.data /= np.repeat(lengths, np.diff(rows.indptr))
        return rows.astype(np.float32)

    def _counts(
        self, hashes: NDArray[np.uint64], documents: NDArray[np.int64], texts: int
    ) -> sparse.csr_matrix:
        """1 + ln tf of each bucket of each text, float64."""
        buckets = (hashes >> np.uint64(64 - self.bits)).astype(np.int64)
        keys = np.sort((documents << self.bits) | buckets)
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(first, append=len(keys))
        keys = keys[first]
        ends = np.searchsorted(keys, (np.arange(texts, dtype=np.int64) + 1) << self.bits)
        return sparse.csr_matrix(
            (1.0 + np.log(counts), keys & (self.width - 1), np.concatenate(([0], ends))),
            shape=(texts, self.width),
        )


def _row_numbers(rows: sparse.csr_matrix) -> NDArray[np.intp]:
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
