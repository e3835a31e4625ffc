"""Populations of published profiles of any size, from 20 Newsgroups and Reuters-21578.

The first profiles are cut: the collections' documents, sorted by topic, in runs of 24, each used
once. The others are resampled: a provider draws a mixture over the topics from a Dirichlet
distribution, then each document's topic from the mixture, then a document of that topic. Queries
are drawn the same way from a quarter of the collections' test parts, and the sample from which the
codebook is made (scripts/codebook.py) from the rest; no document is used for two of the three.

The `synthetic` population needs no data: 40 topics of documents of random words, for trial runs.
Results name their source.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.data.newsgroups import newsgroups
from fedpact.data.reuters import stories
from fedpact.retrieval.signature import ENTRIES, TERMS, WIDTH, Signature, signatures
from fedpact.retrieval.vectors import edge_buckets, text_vectors
from lab.provider_network.source import DocumentSource

MIN_STORIES = 20
"""Least number of training stories of a Reuters topic."""
CONCENTRATION = 0.03
"""Of the symmetric Dirichlet distribution over 44 topics: a provider has one to three of them."""
DOCUMENTS = (12, 48)
"""Fewest and most documents of a resampled provider; uniform."""
CUT_DOCUMENTS = 24
HEAVIEST = 40
"""Values kept of a document's row (terms and edges alike)."""
QUERIES_EVERY = 4
"""Every fourth test document is for queries."""
_AT_ONCE = 20_000


@dataclass(frozen=True)
class Documents:
    """Documents as rows, with their topics."""

    rows: sparse.csr_matrix
    """(documents, WIDTH), with each document's HEAVIEST largest values."""
    topics: NDArray[np.int64]
    """(documents,): ascending."""
    names: tuple[str, ...]


@dataclass(frozen=True)
class Population:
    """Published profiles, and queries of requesters that hold other documents."""

    source: DocumentSource
    buckets: NDArray[np.uint16]
    """(n, 32), as `signatures` gives them."""
    weights: NDArray[np.uint16]
    topics: NDArray[np.int64]
    """(n,): the most frequent topic of each provider's documents."""
    queries: tuple[Signature, ...]
    query_topics: tuple[int, ...]
    cut: int
    """Number of first profiles that are cut, not resampled."""


def population(nodes: int, queries: int, seed: int, source: DocumentSource) -> Population:
    """`nodes` profiles and `queries` queries; raises DataMissing without the collections."""
    parts = documents(source)
    train, test = parts.profiles, parts.queries
    generator = np.random.default_rng([seed, nodes])
    buckets = np.zeros((nodes, ENTRIES), np.uint16)
    weights = np.zeros((nodes, ENTRIES), np.uint16)
    topics = np.zeros(nodes, np.int64)
    cut = min(nodes, len(train.topics) // CUT_DOCUMENTS)
    order = generator.permutation(cut)
    for first in range(0, nodes, _AT_ONCE):
        indices = np.arange(first, min(first + _AT_ONCE, nodes))
        owner, chosen = _drawn(len(indices), train.topics, generator)
        whole = indices < cut
        if whole.any():
            kept = ~whole[owner]
            runs = order[indices[whole]]
            taken = (runs[:, None] * CUT_DOCUMENTS + np.arange(CUT_DOCUMENTS)).reshape(-1)
            owner = np.concatenate([np.repeat(np.flatnonzero(whole), CUT_DOCUMENTS), owner[kept]])
            chosen = np.concatenate([taken, chosen[kept]])
        buckets[indices], weights[indices] = _profiles(train.rows, owner, chosen, len(indices))
        topics[indices] = _main_topics(owner, train.topics[chosen], len(indices))
    asked, asked_topics = resampled(test, queries, generator)
    return Population(
        source,
        buckets,
        weights,
        topics,
        tuple(as_signature(*one) for one in zip(*asked, strict=True)),
        tuple(asked_topics.tolist()),
        cut,
    )


def resampled(
    documents: Documents, count: int, generator: np.random.Generator
) -> tuple[tuple[NDArray[np.uint16], NDArray[np.uint16]], NDArray[np.int64]]:
    """Buckets and weights (count, 32) of profiles by mixtures, and their main topics (count,)."""
    owner, chosen = _drawn(count, documents.topics, generator)
    profiles = _profiles(documents.rows, owner, chosen, count)
    return profiles, _main_topics(owner, documents.topics[chosen], count)


def as_signature(buckets: NDArray[np.uint16], weights: NDArray[np.uint16]) -> Signature:
    """One row of the arrays as a signature."""
    used = weights > 0
    return Signature(tuple(buckets[used].tolist()), tuple(weights[used].tolist()))


@dataclass(frozen=True)
class DocumentParts:
    """Documents by purpose; all parts have the same topics."""

    profiles: Documents
    queries: Documents
    sample: Documents
    """Documents from which the codebook is made."""


@lru_cache(maxsize=2)
def documents(source: DocumentSource) -> DocumentParts:
    """Documents for profiles, queries and the codebook's sample."""
    if source is DocumentSource.SYNTHETIC:
        return DocumentParts(_synthetic(1), _synthetic(2), _synthetic(3))
    news = newsgroups(headers=False)
    told = [one for one in stories() if len(one.topics) == 1 and one.split != "unused"]
    counts: dict[str, int] = {}
    for one in told:
        if one.split == "train":
            counts[one.topics[0]] = counts.get(one.topics[0], 0) + 1
    tested = {one.topics[0] for one in told if one.split == "test"}
    reuters = sorted(t for t, n in counts.items() if n >= MIN_STORIES and t in tested)
    names = (*news.labels, *(f"reuters.{topic}" for topic in reuters))
    number = {topic: len(news.labels) + index for index, topic in enumerate(reuters)}
    parts = []
    for split, texts, y in (("train", news.train, news.y_train), ("test", news.test, news.y_test)):
        fitting = [one for one in told if one.split == split and one.topics[0] in number]
        labels = np.concatenate([y, [number[one.topics[0]] for one in fitting]]).astype(np.int64)
        rows = _heaviest(text_vectors([*texts, *(one.text for one in fitting)]))
        parts.append((rows, labels))
    (profiles, labels), (tested, test_labels) = parts
    asked = np.arange(len(test_labels)) % QUERIES_EVERY == 0
    return DocumentParts(
        _sorted(profiles, labels, names),
        _sorted(tested[asked], test_labels[asked], names),
        _sorted(tested[~asked], test_labels[~asked], names),
    )


def _sorted(
    rows: sparse.csr_matrix, topics: NDArray[np.int64], names: tuple[str, ...]
) -> Documents:
    """Sorted by topic, without empty documents."""
    usable = np.flatnonzero(np.diff(rows.indptr))
    order = usable[np.argsort(topics[usable], kind="stable")]
    return Documents(rows[order], topics[order], names)


def _heaviest(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """The HEAVIEST largest values of each row."""
    number = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((rows.indices, -rows.data, number))
    rank = np.arange(len(order)) - rows.indptr[:-1][number]
    kept = order[rank < HEAVIEST]
    return sparse.csr_matrix(
        (rows.data[kept].astype(np.float32), (number[kept], rows.indices[kept])), rows.shape
    )


def _drawn(
    count: int, topics: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Owners and indices of the documents of `count` providers; `topics` is sorted."""
    starts = np.searchsorted(topics, np.arange(int(topics[-1]) + 2))
    shares = generator.gamma(CONCENTRATION, size=(count, len(starts) - 1)).cumsum(axis=1)
    shares /= np.maximum(shares[:, -1:], np.finfo(float).tiny)
    owner = np.repeat(np.arange(count), generator.integers(DOCUMENTS[0], DOCUMENTS[1] + 1, count))
    drawn = generator.random(len(owner))
    topic = np.minimum((shares[owner] < drawn[:, None]).sum(axis=1), len(starts) - 2)
    sizes = np.diff(starts)[topic]
    return owner, starts[topic] + (generator.random(len(owner)) * sizes).astype(np.int64)


def _profiles(
    rows: sparse.csr_matrix, owner: NDArray[np.int64], chosen: NDArray[np.int64], count: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    ones = np.ones(len(owner), np.float32)
    return signatures(
        sparse.csr_matrix((ones, (owner, chosen)), shape=(count, rows.shape[0])) @ rows
    )


def _main_topics(
    owner: NDArray[np.int64], topics: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    width = int(topics.max()) + 1
    counts = np.bincount(owner * width + topics, minlength=count * width).reshape(count, width)
    return np.asarray(counts.argmax(axis=1))


def _synthetic(part: int) -> Documents:
    """40 topics of 100 documents; a document has 20 of the 60 terms that its topic prefers."""
    fixed = np.random.default_rng(40)
    preferred = np.stack([fixed.choice(TERMS, 60, replace=False) for _ in range(40)])
    generator = np.random.default_rng([40, part])
    topics = np.repeat(np.arange(40), 100)
    own = generator.random((len(topics), 20)) < 0.8
    terms = np.where(
        own,
        preferred[topics[:, None], (60 * generator.random(own.shape) ** 2).astype(np.int64)],
        generator.integers(TERMS, size=own.shape),
    )
    linked = np.sort(terms[:, :8], axis=1)
    edges = edge_buckets(linked[:, :-1], linked[:, 1:])
    columns = np.concatenate([terms, edges], axis=1)
    number = np.repeat(np.arange(len(topics)), columns.shape[1])
    ones = np.ones(columns.size, np.float32)
    rows = sparse.csr_matrix((ones, (number, columns.reshape(-1))), (len(topics), WIDTH))
    rows.sum_duplicates()
    return Documents(rows, topics, tuple(f"synthetic.{index}" for index in range(40)))
