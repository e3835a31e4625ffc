"""Mode `paper`: Lu et al.'s recursion, in which every node that receives the request passes it on.

All members of the community that a request enters at pass it to their contacts; those nearer to the
query's id forward it, until all nodes within the relevant distance have been traversed. Here
that distance is the community that the query falls into.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.answering import passed_on
from fedpact.retrieval.ids import ID_BITS, xor_distance
from fedpact.retrieval.messages import Contact, Flood, LookupReply
from fedpact.retrieval.signature import Signature
from fedpact.retrieval.table import RetrievalTable
from lab.provider_network.network import MemoryTransport, Network

MAX_NODES = 10_000
LOOKUPS = 2
MAX_HOPS = 64


def flood_cost(
    network: Network, queries: tuple[Signature, ...], dead: NDArray[np.bool_], seed: int
) -> dict[str, Any] | None:
    """Messages and reach of a few lookups; None for networks of more than MAX_NODES."""
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
        flood = Flood(query, target, within, True)
        spent, steps, seen = _flooded(network.table(int(generator.choice(live))), flood, transport)
        there = [
            int(number)
            for number in live
            if xor_distance(int(network.ids[number]), target) < within
        ]
        found = sum(number.to_bytes(20, "big") in seen for number in there)
        messages.append(spent)
        hops.append(steps)
        reached.append(found / max(len(there), 1))
    return {
        "lookups": len(messages),
        "messages_mean": float(np.mean(messages)),
        "hops_mean": float(np.mean(hops)),
        "share_of_near_nodes_reached": float(np.mean(reached)),
    }


def _flooded(
    table: RetrievalTable, flood: Flood, transport: MemoryTransport
) -> tuple[int, int, set[bytes]]:
    """Messages, hops and nodes reached; each passes a request on once, to all that it should."""
    seen = {table.record.node}
    waiting: list[tuple[Contact, bool]] = [(one, False) for one in passed_on(table, flood)]
    waiting += [(one, True) for one in table.community.contacts if one.node not in seen]
    messages = hops = 0
    while waiting and hops < MAX_HOPS:
        hops += 1
        messages += len(waiting)  # Also to those that already had it: the sender cannot know.
        fresh = {}
        for contact, first in waiting:
            if contact.node not in seen:
                fresh[contact.node] = (contact, first)
        seen.update(fresh)
        asked = [
            (contact, Flood(flood.query, flood.target, flood.within, first))
            for contact, first in fresh.values()
        ]
        replies = transport.ask(asked)
        messages += sum(reply is not None for reply in replies)
        waiting = [
            (contact, False)
            for reply in replies
            if isinstance(reply, LookupReply)
            for contact in reply.contacts
        ]
    return messages, hops, seen
