"""The lookup: from the node where a request enters, community by community, nearest first.

The entry node (Lu's super node) asks one member of each community for the whole community's
records; each reply names contacts in further communities, which are asked in turn, until the
relevant distance is covered: the nearest communities no longer improve the result, or the limit on
messages is reached. As in Kademlia, the entry node does each step of the recursion itself, so a
node that lies spoils the reply for its own community only (docs/adr/0021).

Nothing in a reply is trusted. Records count if the chain has their digest; likeness is computed
here; a responder must be the node that was asked and belong to the community that it answers for.
If a community's second answer contains records that the first one hid, it is asked again, and so
are those near it. The claims in the records found cannot be checked here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import floor, log2
from random import Random
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.answering import answer
from fedpact.retrieval.codebook import prefix_arrays, projected
from fedpact.retrieval.communities import table_contacts
from fedpact.retrieval.ids import node_id
from fedpact.retrieval.messages import (
    Acknowledged,
    Contact,
    Lookup,
    LookupReply,
    Ping,
    Prefix,
    Record,
    Transport,
    Verify,
)
from fedpact.retrieval.routing_table import RetrievalTable
from fedpact.retrieval.signature import Signature, likeness, stacked

WAVES = (3, 5, 8, 16)
"""Requests sent at once: few while the near communities are still unknown; the last number
repeats."""
MAX_NAMED = 256
"""Most contacts taken from one reply."""
FEEDBACK = 1.0
"""Weight of the records found, relative to the query, in ordering communities (Rocchio 1971)."""


@dataclass(frozen=True)
class LookupLimits:
    """Limits of one lookup; `messages` and `hops` None: from the number of nodes on chain."""

    want: int = 10
    margin: int = 6
    """Extra records requested from each community, in case some nodes are dead at the end."""
    messages: int | None = None
    """None: 10 log2 n. Each request wasted on a dead or lying node adds two, up to half as many
    again."""
    hops: int | None = None
    """None: ceil(log2 log2 n) + 4."""
    patience: int = 40
    """Ends when this many communities in a row have not improved the result."""
    doubled: int = 3
    """Number of nearest communities in which two members are asked."""
    suspicious: int = 16
    """The same once a reply was found to be false."""
    seconds: float = 10.0

    def max_messages(self, nodes: int) -> int:
        return floor(10 * log2(max(nodes, 2))) if self.messages is None else self.messages

    def max_hops(self, nodes: int) -> int:
        return table_contacts(nodes) + 4 if self.hops is None else self.hops


@dataclass(frozen=True)
class FoundNode:
    """A node found: its record, checked against the chain, and weighted Jaccard to the query."""

    record: Record
    likeness: float


@dataclass(frozen=True)
class LookupResult:
    """Matches and cost of a lookup."""

    matches: tuple[FoundNode, ...]
    """Best first; all were alive at the end."""
    messages: int
    """Number of requests and replies."""
    hops: int
    """Longest chain of referrals to a node that was asked."""
    waves: int
    communities: int
    """Number of communities that answered, including the entry node's."""
    refused: int
    """Number of records discarded because they differ from the chain's."""
    caught: int
    """Number of replies that were false, or hid what another member of the community showed."""
    silent: int
    """Number of requests without a reply."""


def lookup(
    table: RetrievalTable,
    query: Signature,
    transport: Transport,
    verify: Verify,
    limits: LookupLimits,
    *,
    seed: int,
    envelope: bytes = b"",
    endpoint_of: Callable[[Record], str] = lambda _: "",
    clock: Callable[[], float] = monotonic,
) -> LookupResult:
    """Find the nodes most like `query`, entering at the node with this table.

    seed: chooses among the members of a community; must be unpredictable to others.
    endpoint_of: a node's address, from its record.
    """
    search = _Search(table, query, transport, verify, limits, Random(seed), envelope, endpoint_of)
    end = clock() + limits.seconds
    while clock() < end and search.wave():
        pass
    return search.outcome()


@dataclass
class _KnownCommunity:
    """This lookup's knowledge of a community."""

    candidates: list[tuple[Contact, int]] = field(default_factory=list)
    """Contacts not asked yet, and the number of referrals that led to each."""
    answers: int = 0
    shown: dict[bytes, FoundNode] = field(default_factory=dict)
    """Records that its answers showed."""
    least: float = 0.0
    """Likeness of a full answer's last record; 0 if an answer showed the whole community."""


class _Search:
    def __init__(
        self,
        table: RetrievalTable,
        query: Signature,
        transport: Transport,
        verify: Verify,
        limits: LookupLimits,
        random: Random,
        envelope: bytes,
        endpoint_of: Callable[[Record], str],
    ) -> None:
        self._endpoint_of = endpoint_of
        self._table, self._query, self._limits = table, query, limits
        self._transport, self._verify, self._random = transport, verify, random
        self._request = Lookup(query, limits.want + limits.margin, envelope)
        self._max_messages = limits.max_messages(table.nodes)
        self._max_hops = limits.max_hops(table.nodes)
        self._vector = _unit(projected(*stacked([query]))[0])
        self._communities: dict[Prefix, _KnownCommunity] = {}
        self._heard: set[bytes] = {table.record.node}
        self._live: set[bytes] = {table.record.node}
        self._found: dict[bytes, FoundNode] = {}
        self._messages = self._hops = self._waves = self._idle = 0
        self._refused = self._caught = self._silent = self._wasted = 0
        own = answer(table, self._request)
        assert isinstance(own, LookupReply)
        self._take(own, table.community.prefix, 0)

    def wave(self) -> bool:
        """One wave of requests; False if there is nothing more to ask."""
        size = WAVES[min(self._waves, len(WAVES) - 1)]
        # Each may get a reply, and at the end the best found are asked if they are alive.
        room = self._room - 2 * self._limits.want
        asked = self._choose(min(size, room // 2))
        if not asked or self._idle >= self._limits.patience:
            return False
        self._waves += 1
        before = {match.record.node for match in self._best(self._limits.want)}
        replies = self._transport.ask([(contact, self._request) for contact, _, _ in asked])
        for (contact, depth, prefix), reply in zip(asked, replies, strict=True):
            self._messages += 1 + (reply is not None)
            self._hops = max(self._hops, depth)
            if reply is None:
                self._silent += 1
                self._wasted += 1
            elif not (isinstance(reply, LookupReply) and self._proper(contact, reply)):
                self._caught += 1
                self._wasted += 1
            else:
                self._live.add(contact.node)
                self._take(reply, prefix, depth)
        changed = before != {match.record.node for match in self._best(self._limits.want)}
        self._idle = 0 if changed else self._idle + len(asked)
        return True

    @property
    def _room(self) -> int:
        """Number of messages left."""
        granted = min(2 * self._wasted, self._max_messages // 2)
        return self._max_messages + granted - self._messages

    def outcome(self) -> LookupResult:
        matches = self._living()
        return LookupResult(
            tuple(matches),
            self._messages,
            self._hops,
            self._waves,
            sum(known.answers > 0 for known in self._communities.values()),
            self._refused,
            self._caught,
            self._silent,
        )

    def _choose(self, size: int) -> list[tuple[Contact, int, Prefix]]:
        """The next contacts to ask: one member of each of the nearest unanswered communities."""
        prefixes = list(self._communities)
        if not prefixes or size <= 0:
            return []
        order = np.argsort(-self._closeness(prefixes), kind="stable")
        doubled = self._limits.suspicious if self._caught else self._limits.doubled
        asked: list[tuple[Contact, int, Prefix]] = []
        for rank, index in enumerate(order.tolist()):
            if len(asked) >= size:
                break
            known = self._communities[prefixes[index]]
            if known.answers >= 1 + (rank < doubled) or not known.candidates:
                continue
            contact, depth = known.candidates.pop(self._random.randrange(len(known.candidates)))
            asked.append((contact, depth, prefixes[index]))
        return asked

    def _closeness(self, prefixes: Sequence[Prefix]) -> NDArray[np.float64]:
        """Closeness of communities to the query and to the records found so far."""
        vector = self._vector
        best = self._best(self._limits.want)
        if best:
            near = projected(*stacked([match.record.signature for match in best]))
            vector = vector + FEEDBACK * _unit(near.sum(axis=0))
        return self._table.codebook.closeness(vector, *prefix_arrays(list(prefixes)))

    def _proper(self, contact: Contact, reply: LookupReply) -> bool:
        """Whether the node that was asked answers, for its own community, within the limits."""
        own = reply.responder
        return (
            own.node == contact.node
            and self._verify(own)
            and reply.community.holds(node_id(own, self._table.codebook))
            and len(reply.records) <= self._request.want
        )

    def _take(self, reply: LookupReply, asked: Prefix, depth: int) -> None:
        """Use what can be checked."""
        genuine = [record for record in reply.records if self._genuine(record)]
        if len(genuine) < len(reply.records):
            self._caught += 1
        scores = likeness(self._query, *stacked([one.signature for one in genuine])).tolist()
        shown = {r.node: FoundNode(r, score) for r, score in zip(genuine, scores, strict=True)}
        self._found = shown | self._found
        self._compare(
            self._communities.setdefault(reply.community, _KnownCommunity()), reply, shown
        )
        if asked != reply.community and asked.length > reply.community.length:
            # They have merged: the answer also covers the smaller one.
            self._communities.setdefault(asked, _KnownCommunity()).answers += 1
        if depth < self._max_hops:
            for contact in reply.contacts[:MAX_NAMED]:
                if contact.node not in self._heard:
                    self._heard.add(contact.node)
                    near = self._communities.setdefault(contact.community, _KnownCommunity())
                    near.candidates.append((contact, depth + 1))

    def _genuine(self, record: Record) -> bool:
        """Whether the chain has this record; counts those that differ."""
        known = self._found.get(record.node)
        if known is not None and known.record == record:
            return True
        good = self._verify(record)
        self._refused += not good
        return good

    def _compare(
        self, known: _KnownCommunity, reply: LookupReply, shown: dict[bytes, FoundNode]
    ) -> None:
        """Two answers of one community must agree on its best; a hidden record counts as caught."""
        full = len(reply.records) >= self._request.want
        least = min((match.likeness for match in shown.values()), default=0.0) if full else 0.0
        if known.answers and (
            self._hides(reply.community, shown, known.shown, known.least)
            or self._hides(reply.community, known.shown, shown, least)
        ):
            self._caught += 1  # one more is asked, as if only one had answered
        else:
            known.answers += 1
        known.shown.update(shown)
        known.least = max(known.least, least)

    def _hides(
        self,
        community: Prefix,
        one: dict[bytes, FoundNode],
        other: dict[bytes, FoundNode],
        least: float,
    ) -> bool:
        """Whether `other`, an answer down to likeness `least`, lacks a member that `one` has."""
        return any(
            match.likeness > least
            and node not in other
            and community.holds(node_id(match.record, self._table.codebook))
            for node, match in one.items()
        )

    def _best(self, count: int) -> list[FoundNode]:
        return sorted(self._found.values(), key=lambda m: (-m.likeness, m.record.node))[:count]

    def _living(self) -> list[FoundNode]:
        """The best found that are alive, at most `want`; those that answered before are not
        asked."""
        waiting = self._best(len(self._found))
        living: list[FoundNode] = []
        while len(living) < self._limits.want and waiting:
            batch = waiting[: self._limits.want - len(living)]
            waiting = waiting[len(batch) :]
            silent = [match for match in batch if match.record.node not in self._live]
            silent = silent[: max(0, self._room // 2)]
            replies = self._transport.ask([(self._contact(one), Ping()) for one in silent])
            for match, reply in zip(silent, replies, strict=True):
                self._messages += 1 + (reply is not None)
                if isinstance(reply, Acknowledged) and reply.responder == match.record:
                    self._live.add(match.record.node)
            living += [match for match in batch if match.record.node in self._live]
            if batch and not silent and not any(m.record.node in self._live for m in batch):
                break  # no messages left
        return living

    def _contact(self, match: FoundNode) -> Contact:
        own = node_id(match.record, self._table.codebook)
        return Contact(match.record.node, own, self._endpoint_of(match.record))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1.0))
