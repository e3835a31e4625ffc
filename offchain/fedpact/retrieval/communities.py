"""Communities are prefixes of ids, split and merged by size.

Each node applies one rule to what it knows: its community is the shortest prefix of its id that at
most `split_above(n)` nodes share. n is the number of nodes registered on chain; members are in the
node's own table, and nodes of the sibling prefix report their number. So a community that grows is
split into the two prefixes one bit longer, and two siblings that shrink are merged into the prefix
one bit shorter. The rule has no state: nodes that know the same nodes agree, whatever happened
before, and together they form `partition`.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.ids import ID_BITS
from fedpact.retrieval.messages import Prefix

FEWEST = 8
"""Communities of up to this many members are never split, however small the network."""


@cache
def split_above(nodes: int) -> int:
    """Members above which a community splits, in a network of `nodes`: 3.85 n^(7/13), rounded down.

    5.5 sqrt(n) at 10^4 nodes, 6.5 sqrt(n) at 10^6: the mean community is about 0.6 of it. It grows
    a little faster than sqrt(n) because a lookup's messages grow only with log n, but should cover
    about a third of the communities; the constants keep the mean below 4 sqrt(n) up to 10^6.
    Computed in integers, so that every machine gets the same.
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
    """Number of communities in which a node keeps contacts: ceil(log2 n)."""
    return ceil(log2(max(nodes, 2)))


def table_contacts(nodes: int) -> int:
    """Number of contacts that it keeps in each: ceil(log2 log2 n), at least 1."""
    return max(1, ceil(log2(max(log2(max(nodes, 2)), 1.0))))


def own_prefix(
    node_id: int, length: int, known: NDArray[np.uint64], sibling: int, nodes: int
) -> Prefix:
    """The community of `node_id` by the rule, starting from the one of `length` bits.

    known: (m,) ids that the node knows, ascending, including its own; sibling: reported number of
    nodes in the sibling prefix.
    """

    def members(bits: int) -> int:
        return _count(known, Prefix.of(node_id, bits))

    while length < ID_BITS and members(length) > split_above(nodes):
        length += 1
        sibling = members(length - 1) - members(length)
    if length > 0 and members(length) + sibling <= split_above(nodes):
        length -= 1  # it may shrink further once the node knows more
    return Prefix.of(node_id, length)


@dataclass(frozen=True)
class Partition:
    """All communities of a network, in the order of their ids."""

    ids: NDArray[np.uint64]
    """(n,): ids of all nodes, ascending."""
    order: NDArray[np.int64]
    """(n,): index of the node with each id."""
    prefixes: tuple[Prefix, ...]
    """(m,): none empty, none inside another."""
    starts: NDArray[np.int64]
    """(m + 1,): where each starts in `ids`."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    def community_of(self, node_id: int) -> int:
        """Index of the community of an id; for an id in no community, the nearest before it."""
        return int(np.searchsorted(self._lower, np.uint64(node_id), side="right")) - 1

    @cached_property
    def _lower(self) -> NDArray[np.uint64]:
        return np.array([prefix.bits for prefix in self.prefixes], dtype=np.uint64)


def partition(ids: NDArray[np.uint64]) -> Partition:
    """The communities formed by nodes with these ids (n,)."""
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
