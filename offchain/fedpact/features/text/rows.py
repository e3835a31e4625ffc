"""Rows of documents in each representation; the last few are cached.

A round's models are judged on the same documents again and again, and the documents' rows do not
depend on the model.
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
"""Collections of documents whose rows are cached, for each representation."""


@dataclass(frozen=True)
class Documents:
    """Documents, compared by their digest."""

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
    """`bag.rows(texts)`; read-only by convention."""
    return _bag_rows(bag, Documents.of(texts))


def graph_rows(words: tuple[str, ...], texts: Sequence[str]) -> sparse.csr_matrix:
    """Graphs of the texts over the public words, serialised; read-only by convention."""
    return _graph_rows(words, Documents.of(texts))


def vector_rows(texts: Sequence[str]) -> NDArray[np.float32]:
    """`vectors.dense_rows(texts)`; read-only by convention."""
    return _vector_rows(Documents.of(texts))


@lru_cache(maxsize=REMEMBERED)
def _bag_rows(bag: HashedBag, documents: Documents) -> sparse.csr_matrix:
    return bag.rows(documents.texts)


@lru_cache(maxsize=REMEMBERED)
def _graph_rows(words: tuple[str, ...], documents: Documents) -> sparse.csr_matrix:
    return serialised(documents.texts, public_vocabulary(words))


@lru_cache(maxsize=REMEMBERED)
def _vector_rows(documents: Documents) -> NDArray[np.float32]:
    from fedpact.features.text.word_vectors import dense_rows

    return dense_rows(documents.texts)
