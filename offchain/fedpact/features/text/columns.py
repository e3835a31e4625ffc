"""Inputs of a model that a text beside other columns becomes: from the text and the public
declaration alone.

Words and pairs of neighbouring words are weighted in many buckets, where a public word's frequency
says how rare it is (`features.text.hashing`), then neighbouring buckets are added up to as many as
the column declares. Each row has the declared L2 norm, or is of zeros.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fedpact.features.networks.sentences import sentence_features
from fedpact.features.text.hashing import HashedBag
from fedpact.features.text.rows import REMEMBERED, Documents
from fedpact.types.columns import ColumnSchema

BAG = HashedBag(bits=14, bigrams=True)


def text_inputs(column: ColumnSchema, texts: Sequence[str]) -> NDArray[np.float32]:
    """Inputs (n, column.width) of texts. Raises DataMissing where the column needs the sentence
    network and it is not installed."""
    return _inputs(column, Documents.of(texts)) * np.float32(column.length)


@lru_cache(maxsize=REMEMBERED)
def _inputs(column: ColumnSchema, texts: Documents) -> NDArray[np.float32]:
    """Of norm 1."""
    if not texts.texts:
        return np.zeros((0, column.width), dtype=np.float32)
    if column.encoding == "sentences":
        found = sentence_features(texts.texts).astype(np.float64)
    else:
        bag = BAG.rows(texts.texts)
        found = np.zeros((len(texts.texts), column.width))
        rows = np.repeat(np.arange(len(found)), np.diff(bag.indptr))
        np.add.at(found, (rows, bag.indices * column.width // BAG.width), bag.data)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), dtype=np.float32)
