"""Hostile nodes: the profiles they register and the replies they give.

All hostile nodes are registered and collude. Each has a stuffed profile with the keywords of many
topics (broad) or, for a share of them, of a single topic (aimed). An aimed profile is the mean of
all profiles of its topic: closer to most queries about it than honest profiles are, and the same as
an honest provider with very many documents about it would publish. A hostile node forges records,
floods, drops requests, or hides: it answers only with records and contacts of hostile nodes.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.retrieval.answering import answer
from fedpact.retrieval.messages import MAX_FOUND, Lookup, LookupReply, Ping, Record, Reply, Request
from fedpact.retrieval.signature import ENTRIES, WIDTH, likeness, signatures
from lab.provider_network.network import Hostile, Network, address
from lab.provider_network.population import Population

BROAD_TOPICS = 16
COLLUDERS = 2_000
"""Hostile records from which a hiding node chooses its reply."""
VARIATION = 0.3
"""Log-normal standard deviation of stuffed weights, so that no two profiles are equal."""


class Lie(StrEnum):
    """How a hostile node replies to a lookup."""

    FORGE = "forge"
    FLOOD = "flood"
    DROP = "drop"
    HIDE = "hide"


def stuff(
    population: Population,
    hostile: NDArray[np.int64],
    aimed: float,
    generator: np.random.Generator,
) -> None:
    """Replace the profiles of the nodes `hostile` by stuffed ones."""
    topics = int(population.topics.max()) + 1
    means = _topic_means(population, topics)
    rows = []
    for index in range(len(hostile)):
        if index < aimed * len(hostile):
            chosen = means[int(generator.integers(topics))]
        else:
            chosen = means[generator.choice(topics, min(BROAD_TOPICS, topics), replace=False)]
            chosen = sparse.csr_matrix(chosen.max(axis=0))
        row = sparse.csr_matrix(chosen, copy=True)
        row.data = row.data * np.exp(VARIATION * generator.standard_normal(row.nnz))
        rows.append(row)
    if rows:
        stuffed = signatures(sparse.vstack(rows, format="csr"))
        population.buckets[hostile], population.weights[hostile] = stuffed


def lies(
    network: Network, hostile: NDArray[np.int64], kinds: Sequence[Lie], seed: int
) -> dict[int, Hostile]:
    """The replies of each of `hostile`; the kinds of lies are assigned in turn."""
    colluders = np.random.default_rng([seed, 9]).permutation(hostile)[:COLLUDERS]
    band = _Band(network, colluders)
    replies = {
        Lie.FORGE: band.forged,
        Lie.FLOOD: band.flood,
        Lie.DROP: lambda number, request: None,
        Lie.HIDE: band.hidden,
    }
    return {
        number: replies[kinds[index % len(kinds)]] for index, number in enumerate(hostile.tolist())
    }


class _Band:
    def __init__(self, network: Network, colluders: NDArray[np.int64]) -> None:
        self._network, self._colluders = network, colluders
        self._buckets = network.buckets[colluders]
        self._weights = network.weights[colluders]

    def forged(self, number: int, request: Request) -> Reply | None:
        """Records of honest nodes with the query as their forged profile."""
        true = self._true(number, request)
        if not isinstance(request, Lookup) or not isinstance(true, LookupReply):
            return true
        copies = tuple(Record(one.node, request.query) for one in true.records)
        return LookupReply(true.responder, true.community, true.size, copies, true.contacts)

    def flood(self, number: int, request: Request) -> Reply | None:
        """As many records as fit into a message, and contacts that do not exist."""
        true = self._true(number, request)
        if not isinstance(true, LookupReply):
            return true
        contacts = tuple(
            type(one)(address(2**100 + index), one.id, "", one.length)
            for index, one in enumerate(true.contacts * 20)
        )
        records = (true.records * MAX_FOUND)[:MAX_FOUND]
        return LookupReply(true.responder, true.community, true.size, records, contacts)

    def hidden(self, number: int, request: Request) -> Reply | None:
        """Only hostile records, the most similar ones, and hostile contacts."""
        true = self._true(number, request)
        if not isinstance(request, Lookup) or not isinstance(true, LookupReply):
            return true
        scores = likeness(request.query, self._buckets, self._weights)
        best = self._colluders[np.argsort(-scores, kind="stable")[: request.want]].tolist()
        contacts = tuple(self._network.contact(one) for one in best)
        records = tuple(self._network.record(one) for one in best)
        return LookupReply(true.responder, true.community, true.size, records, contacts)

    def _true(self, number: int, request: Request) -> Reply | None:
        assert isinstance(request, Lookup | Ping)
        return answer(self._network.table(number), request)


def _topic_means(population: Population, topics: int) -> sparse.csr_matrix:
    """Mean published profile of each topic, (topics, WIDTH)."""
    count = len(population.topics)
    entries = sparse.csr_matrix(
        (
            population.weights.reshape(-1).astype(np.float64),
            population.buckets.reshape(-1).astype(np.int32),
            np.arange(count + 1) * ENTRIES,
        ),
        shape=(count, WIDTH),
    )
    members = sparse.csr_matrix(
        (np.ones(count), (population.topics, np.arange(count))), shape=(topics, count)
    )
    means = sparse.csr_matrix(members @ entries)
    means.eliminate_zeros()
    return means
