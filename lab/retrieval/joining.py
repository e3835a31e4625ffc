"""The cost of joining for a newcomer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.ids import node_id
from fedpact.retrieval.joining import join
from fedpact.retrieval.messages import Record
from fedpact.retrieval.signature import Signature
from lab.provider_network.network import Counted, MemoryTransport, Network, address

ENTRIES = 3
"""Nodes that a newcomer knows at first."""


@dataclass(frozen=True)
class JoinCost:
    """Means over newcomers."""

    messages: float
    bytes: float


def join_cost(
    network: Network,
    transport: MemoryTransport,
    honest: NDArray[np.bool_],
    profiles: Sequence[Signature],
    seed: int,
) -> JoinCost:
    """The cost for newcomers with these profiles, each entering through ENTRIES honest nodes."""
    generator = np.random.default_rng([seed, 6])
    counted = Counted(transport)
    messages = 0
    for index, profile in enumerate(profiles):
        record = Record(address(2**100 + index), profile)
        numbers = generator.choice(np.flatnonzero(honest), ENTRIES, replace=False).tolist()
        entries = [network.contact(number) for number in numbers]
        own = node_id(record, network.codebook)
        joined = join(record, own, entries, counted, network.verify, network.nodes)
        messages += joined.messages
    return JoinCost(messages / len(profiles), counted.bytes / len(profiles))
