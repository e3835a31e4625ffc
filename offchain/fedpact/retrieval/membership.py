"""A daemon's knowledge of the network over time: joins, leaves, dead nodes, refresh.

Keeps the records of its community and contacts in others, and builds its table from them by the
rules of `communities` and `routing_table`. Everything received is checked against the chain first.
Memory is bounded by the rules: members of the community, and ceil(log2 log2 n) contacts in each of
the kept communities, drawn from at most MAX_CONTACTS known ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from fedpact.retrieval.answering import answer
from fedpact.retrieval.codebook import Codebook, prefix_arrays
from fedpact.retrieval.communities import own_prefix, split_above, table_contacts
from fedpact.retrieval.ids import ID_BITS, address_hashes, node_id
from fedpact.retrieval.joining import Neighbours
from fedpact.retrieval.messages import (
    Acknowledged,
    Announce,
    Contact,
    MemberList,
    Members,
    Ping,
    Prefix,
    Record,
    Reply,
    Request,
    Transport,
    Verify,
)
from fedpact.retrieval.routing_table import (
    Community,
    RetrievalTable,
    kept_communities,
    ring_successors,
)
from fedpact.retrieval.signature import stacked

MAX_CONTACTS = 2_000
"""Most contacts in other communities that are remembered."""
MISSED = 2
"""A node that does not answer this many refreshes in a row is dropped."""
GONE_FOR = 60
"""Number of refreshes in which others' mentions of a dead node are ignored."""
PROBED = 8
"""Number of nodes that one refresh pings."""


@dataclass(frozen=True)
class _Known:
    record: Record
    id: int


class Membership:
    """One node's knowledge. Not thread-safe.

    nodes: number registered on chain; verify: whether the chain has a record, and its node is
    active; endpoint_of: a node's address, from its record.
    """

    def __init__(
        self,
        record: Record,
        codebook: Codebook,
        nodes: Callable[[], int],
        verify: Verify,
        endpoint_of: Callable[[Record], str] = lambda _: "",
    ) -> None:
        self._record, self._codebook = record, codebook
        self._nodes, self._verify, self._endpoint_of = nodes, verify, endpoint_of
        self.id = node_id(record, codebook)
        self._length = 0
        self._members = {record.node: _Known(record, self.id)}
        self._contacts: dict[bytes, Contact] = {}
        self._missed: dict[bytes, int] = {}
        self._gone: dict[bytes, int] = {}
        """Dead nodes, and for how many more refreshes others' mentions of them are ignored."""
        self._sizes: dict[bytes, tuple[Prefix, int]] = {}
        """Community and its size, as reported by nodes next to this community."""
        self._table: RetrievalTable | None = None

    @property
    def community(self) -> Prefix:
        return Prefix.of(self.id, self._length)

    def take(self, joined: Neighbours) -> None:
        """Take over the result of joining; its records are already checked."""
        self._length = max(self._length, joined.length)
        for record in joined.members:
            self._meet(record)
        for contact in joined.contacts:
            self._hear(contact)
        self._settle()

    def meet(self, record: Record) -> bool:
        """Take up a node that announces itself. False if the chain does not have this record."""
        if not self._verify(record):
            return False
        self._gone.pop(record.node, None)
        self._meet(record)
        self._settle()
        return True

    def leave(self, node: bytes) -> None:
        """Drop a node that left by the chain (suspended, or with another profile) or is dead."""
        if node != self._record.node and (node in self._members or node in self._contacts):
            self._members.pop(node, None)
            self._contacts.pop(node, None)
            self._missed.pop(node, None)
            self._table = None
            self._settle()

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        if isinstance(request, Announce):
            return Acknowledged(self._record, self.meet(request.record))
        return answer(self.table(), request)

    def refresh(self, transport: Transport, random: Random) -> int:
        """Probe some nodes, drop dead ones, learn of others; returns the number of messages.

        Asks one member for a page of its members from a random start and announces this node to
        it, and pings PROBED of all known nodes.
        """
        self._gone = {node: left - 1 for node, left in self._gone.items() if left > 1}
        self._forget_changed()
        own = [self._contact(one) for one in self._members.values()]
        own = [one for one in own if one.node != self._record.node]
        others = list(self._contacts.values())
        # Nodes of the sibling, for its size; nodes of this community with unread records.
        beside = [one for one in others if self._sibling.holds(one.id)]
        unread = [one for one in others if self.community.holds(one.id)]
        asked: list[tuple[Contact, Request]] = []
        if own:
            chosen = random.choice(own)
            asked.append((chosen, Members(self.id, random.randbytes(len(self._record.node)))))
            asked.append((chosen, Members(self.id)))
            asked.append((chosen, Announce(self._record)))
        asked += [(one, Members(self.id)) for one in random.sample(beside, min(2, len(beside)))]
        for one in unread[:PROBED]:
            asked += [(one, Members(self.id)), (one, Announce(self._record))]
        known = [*own, *others]
        asked += [(one, Ping()) for one in random.sample(known, min(PROBED, len(known)))]
        replies = transport.ask(asked)
        for (contact, _), reply in zip(asked, replies, strict=True):
            if reply is None or reply.responder.node != contact.node:
                self._miss(contact.node)
            elif self._verify(reply.responder):
                self._missed.pop(contact.node, None)
                self._gone.pop(contact.node, None)
                self._learn(reply)
        self._settle()
        return len(asked) + sum(reply is not None for reply in replies)

    def table(self) -> RetrievalTable:
        """The table from the current knowledge; rebuilt only when that changes."""
        if self._table is None:
            self._table = self._made()
        return self._table

    @property
    def _sibling(self) -> Prefix:
        """The prefix that differs from the community's in its last bit."""
        if self._length == 0:
            return self.community
        return Prefix.of(self.id ^ 1 << (ID_BITS - self._length), self._length)

    def _learn(self, reply: Reply) -> None:
        """Learn from a verified node's reply; each record is checked."""
        self._meet(reply.responder)
        if not isinstance(reply, MemberList):
            return
        theirs = reply.community
        if theirs.length < self._length and theirs.holds(self.id):  # they have merged with us
            self._sizes[reply.responder.node] = (
                self._sibling,
                max(reply.size - len(self._members), 0),
            )
        elif theirs.length >= self._length and self._sibling.holds(theirs.bits):
            self._sizes[reply.responder.node] = (theirs, reply.size)
        for record in reply.records:
            if record.node not in self._members and self._verify(record):
                self._meet(record)
        for one in reply.contacts:
            self._hear(one)

    def _meet(self, record: Record) -> None:
        """Keep a checked record: as a member, or as a contact of another community."""
        if record.node == self._record.node or record.node in self._gone:
            return
        own = node_id(record, self._codebook)
        known = self._members.get(record.node)
        if known is not None and known.record == record:
            return
        if self.community.holds(own):
            self._members[record.node] = _Known(record, own)
            self._contacts.pop(record.node, None)
        else:
            self._members.pop(record.node, None)
            length = self._length
            if record.node in self._contacts:
                length = self._contacts[record.node].length
            self._contacts.pop(record.node, None)
            self._hear(Contact(record.node, own, self._endpoint_of(record), length))
        self._table = None

    def _hear(self, contact: Contact) -> None:
        """Remember a contact that is not a member."""
        if (
            contact.node == self._record.node
            or contact.node in self._members
            or contact.node in self._gone
        ):
            return
        if contact.node in self._contacts or len(self._contacts) < MAX_CONTACTS:
            self._contacts[contact.node] = contact
            self._table = None

    def _miss(self, node: bytes) -> None:
        self._missed[node] = self._missed.get(node, 0) + 1
        if self._missed[node] >= MISSED:
            self._members.pop(node, None)
            self._contacts.pop(node, None)
            self._missed.pop(node)
            self._gone[node] = GONE_FOR
            self._table = None

    def _forget_changed(self) -> None:
        """Drop members whose record the chain no longer has."""
        for known in list(self._members.values()):
            if known.record.node != self._record.node and not self._verify(known.record):
                del self._members[known.record.node]
                self._table = None

    def _settle(self) -> None:
        """Split or merge by the rule; members become contacts and contacts members accordingly."""
        count = self._sibling_size()
        ids = np.sort(np.array([one.id for one in self._members.values()], dtype=np.uint64))
        prefix = own_prefix(self.id, self._length, ids, count, self._nodes())
        if prefix.length == self._length:
            return
        self._length = prefix.length
        self._sizes.clear()
        for known in list(self._members.values()):
            if not prefix.holds(known.id):
                del self._members[known.record.node]
                self._hear(
                    Contact(
                        known.record.node,
                        known.id,
                        self._endpoint_of(known.record),
                        prefix.length,
                    )
                )
        self._table = None

    def _sibling_size(self) -> int:
        """Largest size that its nodes reported; 0 if none is known; else too many to merge."""
        if not any(self._sibling.holds(one.id) for one in self._contacts.values()):
            return 0
        said: dict[Prefix, int] = {}
        for node, (prefix, size) in self._sizes.items():
            if node in self._contacts and self._sibling.holds(prefix.bits):
                said[prefix] = max(said.get(prefix, 0), size)
        if self._sibling in said:
            return said[self._sibling]
        return split_above(self._nodes())

    def _contact(self, known: _Known) -> Contact:
        return Contact(known.record.node, known.id, self._endpoint_of(known.record), self._length)

    def _made(self) -> RetrievalTable:
        members = sorted(self._members.values(), key=lambda one: (one.id, one.record.node))
        records = [one.record for one in members]
        buckets, weights = stacked([one.signature for one in records])
        community = Community(
            self.community, buckets, weights, records, [self._contact(one) for one in members]
        )
        return RetrievalTable(
            self._record, self.id, community, self._kept(), self._nodes(), self._codebook
        )

    def _kept(self) -> tuple[tuple[Contact, ...], ...]:
        """The contacts in the known communities that the rule keeps."""
        groups: dict[Prefix, list[Contact]] = {}
        for contact in self._contacts.values():
            if self.community.holds(contact.id):
                continue  # a member whose record is still unread
            groups.setdefault(contact.community, []).append(contact)
        prefixes = sorted([*groups, self.community], key=lambda one: (one.bits, one.length))
        own = prefixes.index(self.community)
        between = self._codebook.between(*prefix_arrays(prefixes))[own]
        kept = kept_communities(self.id, own, prefixes, between, self._nodes())
        own_hash = int(address_hashes([self._record.node])[0])
        found = []
        for one in kept:
            contacts = groups[prefixes[one]]
            hashes = address_hashes([contact.node for contact in contacts])
            order = np.argsort(hashes, kind="stable")
            following = ring_successors(hashes[order], own_hash, table_contacts(self._nodes()))
            found.append(tuple(contacts[int(order[at])] for at in following))
        return tuple(found)
