"""A node's table: its community's profiles, and contacts in other communities.

The choice of communities and nodes follows from public values alone (ids, prefixes, the number of
nodes on chain), so nodes that know the same others get the same table. Size: the members, plus at
most ceil(log2 n) * ceil(log2 log2 n) contacts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.codebook import Codebook
from fedpact.retrieval.communities import table_communities
from fedpact.retrieval.ids import ID_BITS
from fedpact.retrieval.messages import Contact, Prefix, Record
from fedpact.retrieval.signature import Signature, likeness


@dataclass(frozen=True)
class Community:
    """Members of one community and their published profiles; objects may be shared."""

    prefix: Prefix
    buckets: NDArray[np.uint16]
    """(m, 32)"""
    weights: NDArray[np.uint16]
    records: Sequence[Record]
    """(m,), by ascending id."""
    contacts: Sequence[Contact]
    """(m,): the same nodes."""

    def best(self, query: Signature, want: int) -> list[Record]:
        """The members most like the query, best first; on ties the lower id first."""
        scores = likeness(query, self.buckets, self.weights)
        if want < len(scores):
            least = np.partition(scores, len(scores) - want)[len(scores) - want]
            candidates = np.flatnonzero(scores >= least)
        else:
            candidates = np.arange(len(scores))
        order = candidates[np.argsort(-scores[candidates], kind="stable")][:want]
        return [self.records[int(index)] for index in order if scores[index] > 0]


@dataclass(frozen=True)
class RetrievalTable:
    """One node's table."""

    record: Record
    """Its own record."""
    id: int
    community: Community
    contacts: tuple[tuple[Contact, ...], ...]
    """Contacts in each other community that it keeps, never empty."""
    nodes: int
    """Number registered on chain."""
    codebook: Codebook = field(repr=False)

    @property
    def size(self) -> int:
        """Entries: members and contacts."""
        return len(self.community.records) + sum(map(len, self.contacts))

    @property
    def contact(self) -> Contact:
        """Itself, as a contact."""
        return Contact(self.record.node, self.id, "", self.community.prefix.length)


def kept_communities(
    own: int, index: int, prefixes: Sequence[Prefix], closeness: NDArray[np.float64], nodes: int
) -> list[int]:
    """The communities in which a node keeps contacts, at most ceil(log2 n).

    own: its id; index: of its own community in `prefixes`; closeness: (m,) cosines of its community
    with each. First, as in Kademlia (Maymounkov & Mazieres 2002), one of each sibling subtree along
    its own prefix, chosen by the id's low bits, so that members of one community differ: through
    these any id is reached in as many steps as a prefix has bits. The rest are the closest ones.
    """
    count = min(table_communities(nodes), len(prefixes) - 1)
    bits = np.array([prefix.bits for prefix in prefixes], dtype=np.uint64)
    chosen: list[int] = []
    for level in range(prefixes[index].length):
        if len(chosen) >= (count + 1) // 2:
            break
        sibling = Prefix.of(own ^ 1 << (ID_BITS - 1 - level), level + 1)
        last = sibling.bits | (1 << (ID_BITS - 1 - level)) - 1
        first = int(np.searchsorted(bits, np.uint64(sibling.bits)))
        end = int(np.searchsorted(bits, np.uint64(last), side="right"))
        if end > first:
            chosen.append(first + own % (end - first))
    taken = {*chosen, index}
    for one in np.argsort(-closeness, kind="stable").tolist():
        if len(chosen) >= count:
            break
        if one not in taken:
            chosen.append(one)
    return chosen


def ring_successors(ring: NDArray[np.uint64], own_hash: int, count: int) -> NDArray[np.int64]:
    """Indices in `ring` (m,), hashes of a community's members ascending, that follow `own_hash`.

    A node's contacts in a community are the `count` members after it on the ring of address hashes:
    each node keeps different ones, and a join or a leave changes few.
    """
    count = min(count, len(ring))
    first = int(ring.searchsorted(np.uint64(own_hash)))
    return (first + np.arange(count, dtype=np.int64)) % max(len(ring), 1)
