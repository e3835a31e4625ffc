"""Does choosing providers by the topics of their data give a better model?

A collection is split across many providers, each with a few of its labels. A request is about one
top-level group of 20 Newsgroups (comp, rec, sci, talk): it asks to tell that group's labels apart.
Each chosen provider releases the class sums of its documents with the request's labels
(`learning.text_statistics`, without noise, as the study is about the choice). The resulting model
is tested on the test documents of these labels. Providers without such documents take no part.

How providers are chosen:

* *random*: the mean over DRAWS draws;
* *labels*: by the true labels, which nobody knows: each time the provider with the most documents
  of the label that the chosen ones have fewest of;
* *terms*, *documents*: by similarity (weighted Jaccard) of published signatures to the request's
  queries. A request has one query per label, made from the words of the label's name, or from
  EXAMPLES documents that the requester holds: their excess over CONTRAST times the mean over the
  labels. The best providers for each query are taken in turn.

A signature is made from a provider's documents only, without declared words: from terms and edges
(`graph`) or from `terms`. With `epsilon` it is made from the noised sum of terms (one document
replaced by nothing, at DELTA).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.data import partition
from fedpact.data.texts import TextSource
from fedpact.errors import InvalidInput
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.hashing import HashedBag
from fedpact.learning import text_statistics
from fedpact.learning.discriminant import solve
from fedpact.learning.text_statistics import StatisticsLayout
from fedpact.privacy.noise import SeededNoise
from fedpact.retrieval.profiles.composition import (
    composed,
    context_rows,
    data_part,
    term_rows,
    words_of,
)
from fedpact.retrieval.profiles.release import exact_sum, noised_sum, release_for
from fedpact.retrieval.signature import Signature, likeness, stacked
from fedpact.retrieval.vectors import query_of_terms
from lab.text_training.collections import measured
from lab.text_training.task import DELTA

TOPICS = ("comp", "rec", "sci", "talk")
DRAWS = 10
EXAMPLES = 20
"""Documents of each label that the requester holds; no provider has them."""
CONTRAST = 1.5
"""Without it, a request finds its topic, but mostly labels with distinctive words."""
MAX_WORDS = 8
BAG = HashedBag()
Query = Literal["terms", "documents"]
Form = Literal["graph", "terms"]
Labels = NDArray[np.int64]
Chosen = list[int]
Choose = Callable[["ProviderMarket", Sequence[Labels]], list[list[Chosen]]]
"""Selections of providers, at least one per request; a request is given by its labels."""


@dataclass(frozen=True)
class ProviderMarket:
    """Providers with documents of a few labels each, and the requester's documents."""

    source: TextSource
    parts: list[NDArray[np.int64]]
    """Indices of each provider's documents."""
    examples: NDArray[np.int64]
    """Indices of the requester's documents."""
    rows: sparse.csr_matrix
    """Hashed bags of the training documents."""
    test_rows: sparse.csr_matrix
    chosen: int
    """Number of providers per request."""
    seed: int

    @classmethod
    def open(
        cls, source: TextSource, cut: str, providers: int, chosen: int, seed: int
    ) -> "ProviderMarket":
        """Split the documents by the partition `cut`; raises InvalidInput for too few providers."""
        if not 1 <= chosen <= providers:
            raise InvalidInput(f"{chosen} of {providers} providers cannot be chosen")
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(source.train))
        kept = [order[source.y_train[order] == one][:EXAMPLES] for one in range(len(source.labels))]
        examples = np.sort(np.concatenate(kept))
        rest = np.setdiff1d(np.arange(len(source.train)), examples)
        parts = partition.named(cut, source.y_train[rest], providers, seed)
        return cls(
            source,
            [rest[part] for part in parts],
            examples,
            BAG.rows(source.train),
            BAG.rows(source.test),
            chosen,
            seed,
        )

    def wanted(self, topic: str) -> Labels:
        """The labels of a top-level group; raises InvalidInput if there are fewer than two."""
        found = [n for n, name in enumerate(self.source.labels) if name.split(".")[0] == topic]
        if len(found) < 2:
            raise InvalidInput(
                f"{self.source.name} has {len(found)} labels under {topic!r}: two are needed"
            )
        return np.array(found)

    def held(self, labels: Labels) -> NDArray[np.int64]:
        """Number of documents per provider and label, (providers, labels)."""
        counts = [
            np.bincount(self.source.y_train[part], minlength=len(self.source.labels))[labels]
            for part in self.parts
        ]
        return np.stack(counts)

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        return [self.source.train[row] for row in rows]


def quality(market: ProviderMarket, labels: Labels, selection: Chosen) -> float:
    """Macro-AUC of a selection's model on the test documents of `labels`."""
    source, layout = market.source, StatisticsLayout(len(labels), BAG.width)
    models = {}
    for seat in selection:
        part = market.parts[seat]
        part = part[np.isin(source.y_train[part], labels)]
        if len(part):
            y = np.searchsorted(labels, source.y_train[part]).astype(np.int64)
            models[seat] = text_statistics.release(layout, market.rows[part], y).model()
    if not models:
        return 0.5  # no documents of these labels
    combined = text_statistics.combine(layout, models, 0.0)
    found = solve(layout, combined, bucket_frequencies(BAG.bits))
    tested = np.flatnonzero(np.isin(source.y_test, labels))
    y = np.searchsorted(labels, source.y_test[tested]).astype(np.int64)
    return measured(found.predict(market.test_rows[tested]), y).macro_auc


def at_random(market: ProviderMarket, requests: Sequence[Labels]) -> list[list[Chosen]]:
    """DRAWS random selections per request."""
    generator = np.random.default_rng(market.seed)
    count = len(market.parts)
    return [
        [generator.permutation(count)[: market.chosen].tolist() for _ in range(DRAWS)]
        for _ in requests
    ]


def by_labels(market: ProviderMarket, requests: Sequence[Labels]) -> list[list[Chosen]]:
    """One selection per request, by the true labels."""
    return [[_covering(market.held(labels), market.chosen)] for labels in requests]


def _covering(held: NDArray[np.int64], count: int) -> Chosen:
    """Repeatedly take the provider with most documents of the rarest label.

    held: (providers, labels).
    """
    chosen: Chosen = []
    total = np.zeros(held.shape[1])
    for _ in range(count):
        rarest = int(total.argmin())
        order = np.lexsort((-held.sum(axis=1), -held[:, rarest]))
        best = next(int(one) for one in order if one not in chosen)
        chosen.append(best)
        total += held[best]
    return chosen


@dataclass(frozen=True)
class BySignature:
    """Chooses by similarity of published signatures to a request's queries."""

    query: Query
    signature: Form = "graph"
    epsilon: float | None = None

    def __post_init__(self) -> None:
        if self.epsilon is not None and self.signature != "terms":
            raise InvalidInput("epsilon needs signature terms: only sums of terms are noised")

    def __call__(self, market: ProviderMarket, requests: Sequence[Labels]) -> list[list[Chosen]]:
        """One selection per request."""
        published = stacked(self._published(market))
        found = []
        for labels in requests:
            queries = self._by_terms(market, labels)
            if self.query == "documents":
                queries = self._by_documents(market, labels)
            ranked = [np.argsort(-likeness(one, *published), kind="stable") for one in queries]
            found.append([_in_turn(ranked, market.chosen)])
        return found

    def _by_terms(self, market: ProviderMarket, labels: Labels) -> list[Signature]:
        names = [market.source.labels[one] for one in labels]
        return [query_of_terms(words_of([name], MAX_WORDS)) for name in names]

    def _by_documents(self, market: ProviderMarket, labels: Labels) -> list[Signature]:
        known = market.source.y_train[market.examples]
        sums = [
            exact_sum(self._rows(market.texts(market.examples[known == label]))) for label in labels
        ]
        mean = np.mean(sums, axis=0)
        return [data_part(one - CONTRAST * mean) for one in sums]

    def _published(self, market: ProviderMarket) -> list[Signature]:
        """Each provider's published signature."""
        release = None if self.epsilon is None else release_for(self.epsilon, DELTA)
        found = []
        for seat, part in enumerate(market.parts):
            total = exact_sum(self._rows(market.texts(part)))
            if release is not None:  # repeatable noise: the texts are public
                total = noised_sum(total, release, SeededNoise(100_000 * market.seed + seat))
            found.append(composed(data_part(total)))
        return found

    def _rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        return context_rows(texts) if self.signature == "graph" else term_rows(texts)


def _in_turn(ranked: Sequence[NDArray[np.int64]], count: int) -> Chosen:
    """The best of each ranking in turn, skipping those already chosen."""
    chosen: Chosen = []
    while len(chosen) < count:
        for ranking in ranked:
            if len(chosen) < count:
                chosen.append(next(int(one) for one in ranking if one not in chosen))
    return chosen


def compared(
    market: ProviderMarket, choose: Choose, topics: Sequence[str]
) -> dict[str, dict[str, float]]:
    """For each topic the macro-AUC of `choose`, of a random choice, and of the true labels."""
    requests = [market.wanted(topic) for topic in topics]
    found: dict[str, dict[str, float]] = {topic: {} for topic in topics}
    for name, method in (("own", choose), ("random", at_random), ("labels", by_labels)):
        for topic, labels, selections in zip(
            topics, requests, method(market, requests), strict=True
        ):
            qualities = [quality(market, labels, one) for one in selections]
            found[topic][name] = float(np.mean(qualities))
    return found
