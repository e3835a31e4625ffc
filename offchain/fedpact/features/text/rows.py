"""Rows of documents by any of the representations, the last few remembered.

A round's models are judged on the same documents again and again; what they are turned into does
not change with the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.features.text.graphs import public_vocabulary, serialised
from fedpact.features.text.hashing import HashedBag

REMEMBERED = 4
"""Collections of documents whose rows are kept, for each representation."""


@dataclass(frozen=True)
class _Documents:
    """Documents known by their digest."""

    digest: bytes
    texts: tuple[str, ...] = field(compare=False, repr=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        digest = sha256()
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        return cls(digest.digest(), tuple(texts))


def bag_rows(bag: HashedBag, texts: Sequence[str]) -> sparse.csr_matrix:
    """`bag.rows(texts)`; not to be changed."""
    return _bag_rows(bag, _Documents.of(texts))


def graph_rows(words: tuple[str, ...], texts: Sequence[str]) -> sparse.csr_matrix:
    """Graphs of the texts over the public words, serialised; not to be changed."""
    return _graph_rows(words, _Documents.of(texts))


def vector_rows(texts: Sequence[str]) -> NDArray[np.float32]:
    """`vectors.dense_rows(texts)`; not to be changed."""
    return _vector_rows(_Documents.of(texts))


@lru_cache(maxsize=REMEMBERED)
def _bag_rows(bag: HashedBag, documents: _Documents) -> sparse.csr_matrix:
    return bag.rows(documents.texts)


@lru_cache(maxsize=REMEMBERED)
def _graph_rows(words: tuple[str, ...], documents: _Documents) -> sparse.csr_matrix:
    return serialised(documents.texts, public_vocabulary(words))


@lru_cache(maxsize=REMEMBERED)
def _vector_rows(documents: _Documents) -> NDArray[np.float32]:
    from fedpact.features.text.vectors import dense_rows

    return dense_rows(documents.texts)
