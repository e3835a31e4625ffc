"""Measures one lookup: the daemons' routing code in memory, counting the bytes of all messages."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedpact.retrieval.codebook import standard
from fedpact.retrieval.lookup import LookupLimits, lookup
from fedpact.retrieval.messages import Contact, Reply, Request, encode
from lab.provider_network.network import MemoryTransport, Network
from lab.provider_network.population import population
from lab.provider_network.source import DocumentSource


@dataclass(frozen=True)
class Lookups:
    """Means over lookups from different nodes."""

    nodes: int
    messages: float
    """Requests and replies."""
    bytes: float
    """Encoded size of all messages."""
    hops: float
    waves: float
    """Steps that had to wait for the replies of the step before."""
    found: float
    """Providers found."""
    count: int
    source: str


class _ByteCounter:
    """A transport that adds up the bytes of all messages."""

    def __init__(self, inner: MemoryTransport) -> None:
        self._inner = inner
        self.bytes = 0

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> Sequence[Reply | None]:
        replies = self._inner.ask(asked, seconds)
        said = [request for _, request in asked]
        heard = [reply for reply in replies if reply is not None]
        self.bytes += sum(len(encode(message)) for message in [*said, *heard])
        return replies


def measure(nodes: int, want: int, count: int, seed: int, source: DocumentSource) -> Lookups:
    """Run `count` lookups for `want` providers among `nodes` honest, live ones.

    Raises DataMissing if the source's collections are missing.
    """
    people = population(nodes, count, seed, source)
    network = Network(people.buckets, people.weights, standard())
    transport = _ByteCounter(MemoryTransport(network, np.zeros(nodes, bool), {}))
    entries = np.random.default_rng([seed, nodes]).integers(nodes, size=count)
    outcomes = [
        lookup(
            network.table(int(entry)),
            query,
            transport,
            network.verify,
            LookupLimits(want=want, seconds=float("inf")),
            seed=number,
        )
        for number, (entry, query) in enumerate(zip(entries, people.queries, strict=True))
    ]
    return Lookups(
        nodes,
        messages=float(np.mean([one.messages for one in outcomes])),
        bytes=transport.bytes / count,
        hops=float(np.mean([one.hops for one in outcomes])),
        waves=float(np.mean([one.waves for one in outcomes])),
        found=float(np.mean([len(one.matches) for one in outcomes])),
        count=count,
        source=source.value,
    )
