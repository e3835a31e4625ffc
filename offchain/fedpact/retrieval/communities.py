"""Communities are prefixes of ids, split and merged by size.

The one rule, which each node applies to what it knows: its community is the shortest prefix of its
id that no more than `split_above(n)` nodes have. n is the number of nodes registered on chain; the
members are in a node's own table, and the nodes of the sibling prefix say how many they are. So a
community that grows is cut into the two prefixes that are one bit longer, and two siblings that
have shrunk fall back to the prefix one bit shorter. The rule remembers nothing: nodes that know the
same nodes agree, whatever they have been through, and all of them together form `partition`.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.ids import ID_BITS
from fedpact.retrieval.messages import Prefix

FEWEST = 8
"""No community of up to so many members is split, however small the network."""


@cache
def split_above(nodes: int) -> int:
    """Members above which a community splits, in a network of `nodes`: 3.85 n^(7/13), rounded down.

    5.5 sqrt(n) at 10^4 nodes, 6.5 sqrt(n) at 10^6: the mean community is about 0.6 of it. It grows
    a little faster than sqrt(n) because a lookup's messages grow with log n alone, and should cover
    about a third of the communities; the numbers are chosen so that the mean stays below 4 sqrt(n)
    up to 10^6. In integers, so that every machine finds the same.
    """
    bound = 385**13 * nodes**7  # (100 x)^13 must not be more
    least, most = FEWEST, 4 * max(FEWEST, nodes)
    while least < most:
        middle = (least + most + 1) // 2
        if (100 * middle) ** 13 <= bound:
            least = middle
        else:
            most = middle - 1
    return least


def table_communities(nodes: int) -> int:
    """Communities that a node keeps contacts of: ceil(log2 n)."""
    return ceil(log2(max(nodes, 2)))


def table_contacts(nodes: int) -> int:
    """Contacts that it keeps of each: ceil(log2 log2 n), at least 1."""
    return max(1, ceil(log2(max(log2(max(nodes, 2)), 1.0))))


def own_prefix(
    node_id: int, length: int, known: NDArray[np.uint64], sibling: int, nodes: int
) -> Prefix:
    """The community of `node_id` after the rule, from that of `length` bits.

    known: (m,) ids that the node knows, ascending, itself among them; sibling: nodes that the
    sibling prefix is said to have.
    """

    def members(bits: int) -> int:
        return _count(known, Prefix.of(node_id, bits))

    while length < ID_BITS and members(length) > split_above(nodes):
        length += 1
        sibling = members(length - 1) - members(length)
    if length > 0 and members(length) + sibling <= split_above(nodes):
        length -= 1  # whether it falls back further shows when it knows more
    return Prefix.of(node_id, length)


@dataclass(frozen=True)
class Partition:
    """All communities of a network, in the order of their ids."""

    ids: NDArray[np.uint64]
    """(n,): of all nodes, ascending."""
    order: NDArray[np.int64]
    """(n,): which node each is."""
    prefixes: tuple[Prefix, ...]
    """(m,): none empty, none within another."""
    starts: NDArray[np.int64]
    """(m + 1,): where each begins in `ids`."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def community_of(self, node_id: int) -> int:
        """Which community holds an id, or would; for one that none holds, the nearest before."""
        return int(np.searchsorted(self._lower, np.uint64(node_id), side="right")) - 1

    @cached_property
    def _lower(self) -> NDArray[np.uint64]:
        return np.array([prefix.bits for prefix in self.prefixes], dtype=np.uint64)


def partition(ids: NDArray[np.uint64]) -> Partition:
    """The communities that nodes with these ids (n,) form."""
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    limit = split_above(len(ids))
    prefixes: list[Prefix] = []
    starts = [0]
    open_ = [(Prefix(0, 0), 0, len(ids))]
    while open_:
        prefix, first, end = open_.pop()
        if end - first <= limit or prefix.length == ID_BITS:
            if end > first:
                prefixes.append(prefix)
                starts.append(end)
            continue
        upper = prefix.bits | 1 << (ID_BITS - 1 - prefix.length)
        middle = first + int(np.searchsorted(ordered[first:end], np.uint64(upper)))
        open_.append((Prefix(upper, prefix.length + 1), middle, end))
        open_.append((Prefix(prefix.bits, prefix.length + 1), first, middle))
    return Partition(ordered, order, tuple(prefixes), np.array(starts, dtype=np.int64))


def _count(ordered: NDArray[np.uint64], prefix: Prefix) -> int:
    last = prefix.bits | (1 << (ID_BITS - prefix.length)) - 1
    ends = np.searchsorted(ordered, np.array([prefix.bits, last], dtype=np.uint64), side="left")
    inclusive = np.searchsorted(ordered, np.uint64(last), side="right")
    return int(inclusive - ends[0])
