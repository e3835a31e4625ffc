"""Weighted context graphs of texts (Lu et al. 2020, section III-A, definition 1).

A graph's nodes are k terms, the same in all graphs. Its matrix A holds a term's TF-IDF on the
diagonal and, off it, how strongly two terms occur together. Serialised, it is the diagonal, then
the part above it row by row: k + k (k - 1) / 2 values, sparse, scaled to L2 norm 1.

The paper leaves open what an edge weighs. Here: sqrt(n_i n_j) * sqrt(idf_i idf_j), n_i being how
often term i occurs in the text; a text that lacks either term has no such edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError, SpecificationError
from fedpact.features.text.frequencies import public_words
from fedpact.features.text.tokens import Tokens, term_hashes, tokenise

MIN_TERMS, MAX_TERMS = 2, 4096
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class GraphVocabulary:
    """The k representative terms of the graphs."""

    hashes: NDArray[np.uint64]
    """Shape (k,), ascending."""
    idf: NDArray[np.float64]
    """Shape (k,): positive weights."""
    words: tuple[str, ...]
    """The terms in writing."""

    def __post_init__(self) -> None:
        if not MIN_TERMS <= len(self.hashes) <= MAX_TERMS:
            raise SpecificationError(
                f"graphs of {len(self.hashes)} terms: {MIN_TERMS} to {MAX_TERMS} are possible"
            )

    @property
    def width(self) -> int:
        """Values of a serialised graph: k + k (k - 1) / 2."""
        terms = len(self.hashes)
        return terms + terms * (terms - 1) // 2

    def names(self) -> list[str]:
        """Meaning of each value of a serialised graph, in order."""
        rows, columns = np.triu_indices(len(self.words), 1)
        edges = zip(rows.tolist(), columns.tolist(), strict=True)
        return [*self.words, *(f"{self.words[i]}~{self.words[j]}" for i, j in edges)]


def vocabulary(texts: Sequence[str], terms: int) -> GraphVocabulary:
    """The most distinctive terms of `texts`; idf = ln(n / df), df > 1.

    A term's weight is the sum over the texts of its squared share of the text: TF-IDF, each text
    scaled to norm 1. (Sums of plain TF-IDF choose common words, and words that one long text
    repeats.) Terms that occur in only one text or in more than half of them are left out.

    `texts` must be public, or the choice and its document frequencies be charged as a release.
    Raises DataError if fewer than `terms` are left.
    """
    tokens = tokenise(texts)
    hashes, first, indices = np.unique(tokens.hashes, return_index=True, return_inverse=True)
    count = np.int64(max(len(texts), 1))
    seen, often = np.unique(indices * count + tokens.documents, return_counts=True)
    term, text = seen // count, seen % count
    frequency = np.bincount(term, minlength=len(hashes))
    idf = np.log(count / np.maximum(frequency, 1))
    usable = (frequency > 1) & (2 * frequency <= len(texts))
    squares = (often * idf[term]) ** 2
    lengths = np.maximum(np.bincount(text, squares, minlength=int(count)), 1e-300)
    weight = np.bincount(term, squares / lengths[text], minlength=len(hashes)) * usable
    if int(usable.sum()) < terms:
        raise DataError(
            f"graphs of {terms} terms: {len(texts)} texts have only {int(usable.sum())} usable ones"
        )
    chosen = np.sort(np.argsort(-weight, kind="stable")[:terms])
    words = tuple(tokens.word(int(first[index])) for index in chosen)
    return GraphVocabulary(hashes[chosen], idf[chosen], words)


def public_vocabulary(words: Sequence[str]) -> GraphVocabulary:
    """Terms named by a specification, weighted by public word frequencies: idf = -ln p, at least 1.

    Raises SpecificationError for a word that is not a single term, or is named twice.
    """
    hashes = term_hashes(words)
    if (hashes == 0).any() or len(np.unique(hashes)) != len(words):
        raise SpecificationError("graphs: each term must be a single word, named once")
    listed, shares = public_words()
    index = np.minimum(np.searchsorted(listed, hashes), len(listed) - 1)
    share = np.where(listed[index] == hashes, shares[index], shares.min())
    order = np.argsort(hashes)
    idf = np.maximum(-np.log(share), 1.0)
    return GraphVocabulary(hashes[order], idf[order], tuple(words[one].lower() for one in order))


def serialised(texts: Sequence[str], terms: GraphVocabulary) -> sparse.csr_matrix:
    """One normalised graph for each text: (n, k + k (k - 1) / 2) float32, no value negative.

    A text with none of the terms has a row of zeros.
    """
    parts = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        counts = _counts(tokenise(texts[start : start + _TEXTS_AT_ONCE]), terms)
        parts.append(_normalised(_graphs(counts, terms)))
    if not parts:
        return sparse.csr_matrix((0, terms.width), dtype=np.float32)
    return sparse.vstack(parts, format="csr")


def merged(graphs: sparse.csr_matrix) -> sparse.csr_matrix:
    """The global graph G = G_1 u ... u G_n: weights added, normalised again; (1, width)."""
    if graphs.shape[0] == 0:
        raise DataError("no graphs to merge")
    each_once = sparse.csr_matrix(np.ones((1, graphs.shape[0])))
    return _normalised(sparse.csr_matrix(each_once @ graphs.astype(np.float64)))


def matrix(row: sparse.csr_matrix, terms: GraphVocabulary) -> NDArray[np.float64]:
    """A serialised graph (1, width) as its symmetric weight matrix A, (k, k)."""
    count = len(terms.hashes)
    values = row.toarray().reshape(-1).astype(np.float64)
    upper = np.zeros((count, count))
    upper[np.triu_indices(count, 1)] = values[count:]
    return np.asarray(upper + upper.T + np.diag(values[:count]))


def _counts(tokens: Tokens, terms: GraphVocabulary) -> sparse.csr_matrix:
    """How often each term occurs in each text, (texts, k)."""
    index = np.minimum(np.searchsorted(terms.hashes, tokens.hashes), len(terms.hashes) - 1)
    known = terms.hashes[index] == tokens.hashes
    counts = sparse.csr_matrix(
        (np.ones(int(known.sum())), (tokens.documents[known], index[known])),
        shape=(tokens.texts, len(terms.hashes)),
    )
    counts.sum_duplicates()
    return counts


def _graphs(counts: sparse.csr_matrix, terms: GraphVocabulary) -> sparse.csr_matrix:
    """Nodes and edges of every text, from the pairs of its terms."""
    count = len(terms.hashes)
    sizes = np.diff(counts.indptr).astype(np.int64)
    # Every ordered pair (a, b) of a text's entries, by repeating each entry as often as its text
    # has entries.
    text = np.repeat(np.arange(len(sizes)), sizes)
    repeats = sizes[text]
    left = np.repeat(np.arange(counts.nnz), repeats)
    within = np.arange(len(left)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    right = counts.indptr[:-1][text[left]] + within
    i, j = counts.indices[left].astype(np.int64), counts.indices[right].astype(np.int64)
    upper = i <= j
    left, right, i, j = left[upper], right[upper], i[upper], j[upper]
    idf = terms.idf
    weights = np.sqrt(counts.data[left] * counts.data[right] * idf[i] * idf[j])
    column = np.where(i == j, i, count + i * (2 * count - i - 1) // 2 + (j - i - 1))
    return sparse.csr_matrix((weights, (text[left], column)), shape=(len(sizes), terms.width))


def _normalised(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).reshape(-1)
    lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
    scaled = sparse.csr_matrix(rows, copy=True)
    scaled.data = scaled.data / np.repeat(lengths, np.diff(scaled.indptr))
    return scaled.astype(np.float32)
