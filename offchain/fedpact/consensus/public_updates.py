"""What is new in a round's updates, beside all that was public before the round.

Public are the earlier valid updates of every member, and how each round moved the global model.
Whoever mixes them needs no data. What is new in an update is its part orthogonal to their span; the
rest is its known part.

Cost: the span takes the newest vectors, at most MAX_VECTORS, MAX_VALUES values together, and
SPAN_SHARE of the dimension; with k vectors of d values and n updates, building it takes
O(k^2 d) and projecting O(k n d) operations. In fewer than MIN_DIMENSION dimensions a handful of
vectors would explain any update, so nothing counts as known there.

All sums have a fixed order (`learning.reproducible_sums`), so members agree to the last bit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fedpact.learning.aggregation.base import Vector
from fedpact.learning.reproducible_sums import inner_products, length, mixture

MAX_VECTORS = 256
MAX_VALUES = 2**24
"""64 MiB of float32."""
SPAN_SHARE = 4
"""The span takes at most one of so many dimensions."""
MIN_DIMENSION = 64
INDEPENDENT = 1e-6
"""A vector is in the span if no larger share of its norm lies outside. float32 rounds to 6e-8."""

BLOCK_VALUES = 2**18
"""Values of the basis that are multiplied at once: 2 MiB, or one vector. It is part of the order in
which sums are made."""

KnownVector = NDArray[np.float32]


@dataclass(frozen=True)
class PublicUpdates:
    """Earlier updates and movements of the global model."""

    vectors: tuple[KnownVector, ...] = ()
    """Each of shape (d,), newest first."""
    owned: Mapping[int, int] = field(default_factory=dict)
    """By seat: how many of them are its own updates."""


def most_vectors(dimension: int) -> int:
    """How many public vectors the span takes for updates of `dimension` values."""
    if dimension < MIN_DIMENSION:
        return 0
    return min(MAX_VECTORS, MAX_VALUES // dimension, dimension // SPAN_SHARE)


class Span:
    """The span of public vectors, as an orthonormal basis."""

    def __init__(self, vectors: Iterable[KnownVector]) -> None:
        self._blocks: list[NDArray[np.float64]] = []
        """The basis, in blocks of as many rows."""
        self.rank = 0
        for one in vectors:
            whole = one.astype(np.float64)
            rest = self.new_part(whole)
            if length(rest) > INDEPENDENT * length(whole):
                self._add(rest / length(rest))

    def new_part(self, update: Vector) -> Vector:
        """The part of an update that is orthogonal to the span.

        Block by block the projection on a block is taken away, and all of it twice, which leaves
        nothing of the span but rounding (Giraud, Langou & Rozloznik 2005).
        """
        rest = update.copy()
        for _ in range(2):
            for block in self._filled():
                rest -= mixture(inner_products(block, rest), block)
        return rest

    def _filled(self) -> Iterator[NDArray[np.float64]]:
        left = self.rank
        for block in self._blocks:
            yield block[:left]
            left -= len(block)

    def _add(self, one: Vector) -> None:
        rows = max(1, min(MAX_VECTORS, BLOCK_VALUES // len(one)))
        at = self.rank % rows
        if at == 0:
            self._blocks.append(np.empty((rows, len(one))))
        self._blocks[-1][at] = one
        self.rank += 1
