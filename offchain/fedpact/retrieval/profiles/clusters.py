"""A provider's own view of its texts: their context graph and their clusters.

Stays on the provider's machine: vocabulary, graph and clusters are chosen from private texts (Lu et
al. 2020, sections III-A and III-C step 1, publish categories drawn from them; here the provider
chooses category names after seeing them).

The number of clusters is the one with the largest mean silhouette (Rousseeuw 1987), from 2 to 8;
one cluster where none is positive. Under Jaccard distance all texts are far from each other, so
that silhouettes are small: that of 20 Newsgroups' own groups is 0.004 (400 posts of 4 groups).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import RetrievalError
from fedpact.features.text import graphs
from fedpact.features.text.clustering import k_medoids
from fedpact.features.text.similarity import weighted_jaccard
from fedpact.features.text.tokens import tokenise
from fedpact.retrieval.profiles.words import rarity

MAX_TERMS = 128
"""Most nodes of the graph."""
MAX_CLUSTERS = 8
SAMPLE = 400
"""Most texts with pairwise distances; the others go to the nearest medoid."""
KEY_TERMS = 8


@dataclass(frozen=True)
class Cluster:
    """Some of the texts."""

    documents: int
    terms: tuple[str, ...]
    """The terms whose weight exceeds that in all texts the most, most distinctive first."""


@dataclass(frozen=True)
class ContextView:
    """The merged graph of all texts and their clusters, largest first."""

    documents: int
    terms: tuple[str, ...]
    """Nodes of the graph."""
    heaviest: tuple[tuple[str, float], ...]
    """The graph's heaviest nodes and edges ("term~term") with their weights."""
    clusters: tuple[Cluster, ...]
    silhouette: float | None
    """Silhouette of the chosen number of clusters; None if there is only one."""


def context_view(texts: Sequence[str], seed: int = 0) -> ContextView:
    """Graph and clusters of `texts`; one cluster if there are too few texts or terms for a graph.

    Raises RetrievalError for no texts.
    """
    if not texts:
        raise RetrievalError("profile: no texts")
    terms = _vocabulary(texts)
    if terms is None:
        return ContextView(len(texts), (), (), (Cluster(len(texts), ()),), None)
    rows = graphs.serialised(texts, terms)
    filled = np.flatnonzero(np.diff(rows.indptr))
    labels = np.full(len(texts), -1)
    silhouette = None
    if len(filled):
        labels[filled], silhouette = _clustered(rows[filled], seed)
    whole = graphs.merged(rows)
    return ContextView(
        len(texts),
        terms.words,
        tuple(_heaviest(whole, terms.names(), 2 * KEY_TERMS)),
        tuple(_clusters(rows, labels, terms)),
        silhouette,
    )


def _vocabulary(texts: Sequence[str]) -> graphs.GraphVocabulary | None:
    """Terms in many of the texts (2 to half) and rare in public; None if fewer than two."""
    tokens = tokenise(texts)
    hashes, first, indices = np.unique(tokens.hashes, return_index=True, return_inverse=True)
    seen = np.unique(indices * np.int64(len(texts)) + tokens.documents)
    frequency = np.bincount(seen // len(texts), minlength=len(hashes))
    weights = rarity(hashes)
    heavy = frequency * weights * ((frequency > 1) & (2 * frequency <= len(texts)))
    chosen = np.argsort(-heavy, kind="stable")[:MAX_TERMS]
    chosen = np.sort(chosen[heavy[chosen] > 0])
    if len(chosen) < graphs.MIN_TERMS:
        return None
    words = tuple(tokens.word(int(first[index])) for index in chosen.tolist())
    return graphs.GraphVocabulary(hashes[chosen], weights[chosen], words)


def _clustered(rows: sparse.csr_matrix, seed: int) -> tuple[NDArray[np.int64], float | None]:
    """Cluster of each row, and the silhouette of their number."""
    from sklearn.metrics import silhouette_score

    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(rows.shape[0])[:SAMPLE])
    sample = rows[chosen]
    distances = weighted_jaccard(sample, sample)
    np.fill_diagonal(distances, 0.0)
    best, medoids = 0.0, None
    for count in range(2, min(MAX_CLUSTERS, len(chosen) - 1) + 1):
        found = k_medoids(sample, count, lambda a, b: distances, seed)
        if len(np.unique(found.labels)) < 2:
            continue
        value = float(silhouette_score(distances, found.labels, metric="precomputed"))
        if value > best:
            best, medoids = value, found.medoids
    if medoids is None:
        return np.zeros(rows.shape[0], dtype=np.int64), None
    return weighted_jaccard(rows, sample[medoids]).argmin(axis=1).astype(np.int64), best


def _clusters(
    rows: sparse.csr_matrix, labels: NDArray[np.int64], terms: graphs.GraphVocabulary
) -> list[Cluster]:
    nodes = rows[:, : len(terms.words)]
    whole = graphs.merged(nodes).toarray().reshape(-1)
    found = []
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        names: tuple[str, ...] = ()
        if label >= 0:
            weights = graphs.merged(nodes[members]).toarray().reshape(-1)
            order = np.lexsort((-weights, whole - weights))[:KEY_TERMS]
            names = tuple(terms.words[index] for index in order.tolist() if weights[index] > 0)
        found.append(Cluster(len(members), names))
    return sorted(found, key=lambda one: -one.documents)


def _heaviest(row: sparse.csr_matrix, names: Sequence[str], most: int) -> list[tuple[str, float]]:
    order = np.argsort(-row.data, kind="stable")[:most]
    return [(names[row.indices[entry]], float(row.data[entry])) for entry in order.tolist()]
