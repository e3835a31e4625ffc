"""A network of up to a million nodes in one process, built with the daemon's own functions.

A node's table is made when the node is first asked, from the population's shared arrays: its
community's members are slices of them, and its contacts depend on the ids. The node knows nothing
else. The transport passes a request to `answer` with that table, or to a hostile node's reply
function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.answering import answer
from fedpact.retrieval.codebook import Codebook, prefix_arrays
from fedpact.retrieval.communities import Partition, partition, table_contacts
from fedpact.retrieval.ids import address_hashes, node_ids
from fedpact.retrieval.messages import (
    Acknowledged,
    Announce,
    Contact,
    Record,
    Reply,
    Request,
    Transport,
    encode,
)
from fedpact.retrieval.routing_table import (
    Community,
    RetrievalTable,
    kept_communities,
    ring_successors,
)
from lab.provider_network.population import as_signature

CACHED = 100_000
"""Size of the caches of records and of contacts."""
TABLES = 5_000
Item = TypeVar("Item")
Hostile = Callable[[int, Request], Reply | None]
"""What a hostile node replies, given its number and the request."""


def address(number: int) -> bytes:
    """The account of the node with this number."""
    return number.to_bytes(20, "big")


class Network:
    """Nodes 0 to n - 1 with their published profiles.

    buckets, weights: (n, 32), as `signatures` gives them.
    """

    def __init__(
        self, buckets: NDArray[np.uint16], weights: NDArray[np.uint16], codebook: Codebook
    ) -> None:
        self.buckets, self.weights, self.codebook = buckets, weights, codebook
        self.nodes = len(buckets)
        self._hashes = address_hashes([address(number) for number in range(self.nodes)])
        self.ids = node_ids(codebook.paths(buckets, weights), self._hashes, codebook.depth)
        self.partition: Partition = partition(self.ids)
        bits, lengths = prefix_arrays(list(self.partition.prefixes))
        self._between = codebook.between(bits, lengths)
        self._communities: dict[int, _Members] = {}
        self.record = lru_cache(maxsize=CACHED)(self._record)
        self._contact = lru_cache(maxsize=CACHED)(self._made_contact)
        self.table = lru_cache(maxsize=TABLES)(self._table)

    def _record(self, number: int) -> Record:
        """A node's record on chain and in the content store."""
        return Record(address(number), as_signature(self.buckets[number], self.weights[number]))

    def verify(self, record: Record) -> bool:
        """Whether the chain has this record: by the digest, as a daemon does."""
        number = int.from_bytes(record.node, "big")
        return number < self.nodes and self.record(number).digest == record.digest

    def community_index(self, number: int) -> int:
        """Index of a node's community."""
        return self.partition.community_of(int(self.ids[number]))

    def members(self, index: int) -> NDArray[np.int64]:
        """Numbers of a community's nodes, by ascending id."""
        starts = self.partition.starts
        return self.partition.order[starts[index] : starts[index + 1]]

    def contact(self, number: int) -> Contact:
        """A node as a contact of other nodes."""
        return self._contact(number)

    def _made_contact(self, number: int) -> Contact:
        length = self.partition.prefixes[self.community_index(number)].length
        return Contact(address(number), int(self.ids[number]), "", length)

    def _table(self, number: int) -> RetrievalTable:
        """A node's table."""
        own, index = int(self.ids[number]), self.community_index(number)
        kept = kept_communities(
            own, index, self.partition.prefixes, self._between[index], self.nodes
        )
        contacts = []
        for one in kept:
            ring, numbers = self._ring(one)
            found = ring_successors(ring, int(self._hashes[number]), table_contacts(self.nodes))
            contacts.append(tuple(map(self._contact, numbers[found].tolist())))
        return RetrievalTable(
            self.record(number),
            own,
            self._members(index).community,
            tuple(contacts),
            self.nodes,
            self.codebook,
        )

    def _members(self, index: int) -> "_Members":
        if index not in self._communities:
            numbers = self.members(index)
            order = np.argsort(self._hashes[numbers], kind="stable")
            community = Community(
                self.partition.prefixes[index],
                self.buckets[numbers],
                self.weights[numbers],
                _Each(numbers, self.record),
                _Each(numbers, self._contact),
            )
            self._communities[index] = _Members(
                community, self._hashes[numbers][order], numbers[order]
            )
        return self._communities[index]

    def _ring(self, index: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        members = self._members(index)
        return members.ring, members.on_ring


@dataclass(frozen=True)
class _Members:
    community: Community
    ring: NDArray[np.uint64]
    on_ring: NDArray[np.int64]


class _Each(Sequence[Item]):
    """Items of nodes, created on access."""

    def __init__(self, numbers: NDArray[np.int64], make: Callable[[int], Item]) -> None:
        self._numbers, self._make = numbers, make

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "_Each[Item]": ...
    def __getitem__(self, index: int | slice) -> "Item | _Each[Item]":
        if isinstance(index, slice):
            return _Each(self._numbers[index], self._make)
        return self._make(int(self._numbers[index]))


class MemoryTransport:
    """Delivers requests within the process; dead nodes do not answer, hostile ones lie."""

    def __init__(
        self, network: Network, dead: NDArray[np.bool_], hostile: Mapping[int, Hostile]
    ) -> None:
        self._network, self._dead, self._hostile = network, dead, hostile

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> list[Reply | None]:
        return [self._one(contact, request) for contact, request in asked]

    def _one(self, contact: Contact, request: Request) -> Reply | None:
        number = int.from_bytes(contact.node, "big")
        if number >= self._network.nodes or self._dead[number]:
            return None
        if number in self._hostile:
            return self._hostile[number](number, request)
        if isinstance(request, Announce):  # tables here depend only on the population
            return Acknowledged(self._network.record(number), True)
        return answer(self._network.table(number), request)


class Counted:
    """A transport that adds up the bytes of all messages."""

    def __init__(self, transport: Transport) -> None:
        self._transport, self.bytes = transport, 0

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> Sequence[Reply | None]:
        replies = self._transport.ask(asked, seconds)
        self.bytes += sum(len(encode(request)) for _, request in asked)
        self.bytes += sum(len(encode(reply)) for reply in replies if reply is not None)
        return replies
