"""What Lu et al.'s recursion costs in a network: messages, hops, and how many near nodes it finds.

The relevant distance is the community that the query falls into.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.flooding import FloodLimits, flood
from fedpact.retrieval.ids import ID_BITS, xor_distance
from fedpact.retrieval.signature import Signature
from lab.provider_network.network import MemoryTransport, Network

MAX_NODES = 10_000
LOOKUPS = 2
UNLIMITED = FloodLimits(2 * MAX_NODES, named=MAX_NODES, seconds=float("inf"))


def flood_cost(
    network: Network, queries: tuple[Signature, ...], dead: NDArray[np.bool_], seed: int
) -> dict[str, Any] | None:
    """Messages and reach of a few searches; None for networks of more than MAX_NODES."""
    if network.nodes > MAX_NODES:
        return None
    generator = np.random.default_rng([seed, 5])
    live = np.flatnonzero(~dead)
    transport = MemoryTransport(network, dead, {})
    messages, reached, hops = [], [], []
    for query in queries[:LOOKUPS]:
        target = network.codebook.path(query) << (ID_BITS - network.codebook.depth)
        community = network.partition.community_of(target)
        within = 1 << (ID_BITS - network.partition.prefixes[community].length)
        entry = network.table(int(generator.choice(live)))
        found = flood(entry, query, transport, network.verify, UNLIMITED, within=within)
        there = sum(xor_distance(int(network.ids[number]), target) < within for number in live)
        messages.append(found.messages + found.repeated)
        hops.append(found.hops)
        reached.append(len(found.matches) / max(there, 1))
    return {
        "lookups": len(messages),
        "messages_mean": float(np.mean(messages)),
        "hops_mean": float(np.mean(hops)),
        "share_of_near_nodes_reached": float(np.mean(reached)),
    }
