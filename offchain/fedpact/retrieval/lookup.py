"""The lookup: from the node that a request enters at, community by community, nearest first.

The entering node (Lu's super node) asks one member of each community for what the whole community
holds; each reply names contacts in further communities, which are asked in turn, until the relevant
distance is covered: the nearest communities no longer add to the best found, or the bound on
messages is reached. As in Kademlia the entering node does each step of the recursion itself: a node
that lies spoils the reply for its own community and nothing else (docs/adr/0021).

Nothing in a reply is believed. Records count where the chain has their digest; likeness is computed
here; a responder must be the node that was asked and be of the community that it answers for. A
community whose second answer holds what the first one hid is asked again, and so are those near it.
What the nodes found say of themselves cannot be checked here.
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
from fedpact.retrieval.signature import Signature, likeness, stacked
from fedpact.retrieval.table import RetrievalTable

WAVES = (3, 5, 8, 16)
"""Requests sent at once: few while the near communities are not known yet; the last one repeats."""
MOST_NAMED = 256
"""Contacts taken from one reply."""
FEEDBACK = 1.0
"""Weight of what was found against the query, in ordering communities (Rocchio 1971)."""


@dataclass(frozen=True)
class LookupLimits:
    """Bounds of one lookup; `messages` and `hops` None: by the number of nodes on chain."""

    want: int = 10
    margin: int = 6
    """Further records asked of each community, for those found dead at the end."""
    messages: int | None = None
    """None: 10 log2 n. Two for each request that the dead or a liar wasted come on top, up to half
    as many again."""
    hops: int | None = None
    """None: ceil(log2 log2 n) + 4."""
    patience: int = 40
    """Ends when so many communities in a row have added nothing to the best found."""
    doubled: int = 3
    """Of how many of the nearest communities two members are asked."""
    suspicious: int = 16
    """The same once a reply was caught lying."""
    seconds: float = 10.0

    def most_messages(self, nodes: int) -> int:
        return floor(10 * log2(max(nodes, 2))) if self.messages is None else self.messages

    def most_hops(self, nodes: int) -> int:
        return table_contacts(nodes) + 4 if self.hops is None else self.hops


@dataclass(frozen=True)
class FoundNode:
    """A node found: its record, checked against the chain, and weighted Jaccard to the query."""

    record: Record
    likeness: float


@dataclass(frozen=True)
class LookupResult:
    """What a lookup found, and what it took."""

    matches: tuple[FoundNode, ...]
    """Best first; all answered at the end."""
    messages: int
    """Requests and replies."""
    hops: int
    """The longest chain of referrals that a node asked was found by."""
    waves: int
    communities: int
    """That gave an answer, the entering node's own among them."""
    refused: int
    """Records thrown away: not what the chain has for their node."""
    caught: int
    """Replies seen to be false, or to hide what another member of the community showed."""
    silent: int
    """Requests without a reply."""


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
    """Find the nodes most like `query`, entering at the node whose table this is.

    seed: chooses among the members of a community; must not be known to others beforehand.
    endpoint_of: where a node found is to be reached, from its record.
    """
    search = _Search(table, query, transport, verify, limits, Random(seed), envelope, endpoint_of)
    end = clock() + limits.seconds
    while clock() < end and search.wave():
        pass
    return search.outcome()


@dataclass
class _Place:
    """A community as far as this lookup knows it."""

    candidates: list[tuple[Contact, int]] = field(default_factory=list)
    """Contacts not asked yet, and how many referrals they are away."""
    answers: int = 0
    shown: dict[bytes, FoundNode] = field(default_factory=dict)
    """What its answers showed."""
    least: float = 0.0
    """Likeness of the last of a full answer; 0 where one showed all that its community has."""


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
        self._most_messages = limits.most_messages(table.nodes)
        self._most_hops = limits.most_hops(table.nodes)
        self._vector = _unit(projected(*stacked([query]))[0])
        self._places: dict[Prefix, _Place] = {}
        self._heard: set[bytes] = {table.record.node}
        self._live: set[bytes] = {table.record.node}
        self._found: dict[bytes, FoundNode] = {}
        self._messages = self._hops = self._waves = self._idle = 0
        self._refused = self._caught = self._silent = self._wasted = 0
        own = answer(table, self._request)
        assert isinstance(own, LookupReply)
        self._take(own, table.community.prefix, 0)

    def wave(self) -> bool:
        """One wave of requests; False when there is nothing more to ask."""
        size = WAVES[min(self._waves, len(WAVES) - 1)]
        # A reply may come for each, and afterwards the best found are asked whether they live.
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
        """Messages that may still be sent or come."""
        granted = min(2 * self._wasted, self._most_messages // 2)
        return self._most_messages + granted - self._messages

    def outcome(self) -> LookupResult:
        matches = self._living()
        return LookupResult(
            tuple(matches),
            self._messages,
            self._hops,
            self._waves,
            sum(place.answers > 0 for place in self._places.values()),
            self._refused,
            self._caught,
            self._silent,
        )

    def _choose(self, size: int) -> list[tuple[Contact, int, Prefix]]:
        """Whom to ask next: of the nearest communities that want an answer, one member each."""
        prefixes = list(self._places)
        if not prefixes or size <= 0:
            return []
        order = np.argsort(-self._closeness(prefixes), kind="stable")
        doubled = self._limits.suspicious if self._caught else self._limits.doubled
        asked: list[tuple[Contact, int, Prefix]] = []
        for rank, place in enumerate(order.tolist()):
            if len(asked) >= size:
                break
            known = self._places[prefixes[place]]
            if known.answers >= 1 + (rank < doubled) or not known.candidates:
                continue
            contact, depth = known.candidates.pop(self._random.randrange(len(known.candidates)))
            asked.append((contact, depth, prefixes[place]))
        return asked

    def _closeness(self, prefixes: Sequence[Prefix]) -> NDArray[np.float64]:
        """Of communities, to the query and to what is found so far."""
        vector = self._vector
        best = self._best(self._limits.want)
        if best:
            near = projected(*stacked([match.record.signature for match in best]))
            vector = vector + FEEDBACK * _unit(near.sum(axis=0))
        return self._table.codebook.closeness(vector, *prefix_arrays(list(prefixes)))

    def _proper(self, contact: Contact, reply: LookupReply) -> bool:
        """Whether the node that was asked has answered, for its own community, within bounds."""
        own = reply.responder
        return (
            own.node == contact.node
            and self._verify(own)
            and reply.community.holds(node_id(own, self._table.codebook))
            and len(reply.records) <= self._request.want
        )

    def _take(self, reply: LookupReply, asked: Prefix, depth: int) -> None:
        """Believe what can be checked."""
        genuine = [record for record in reply.records if self._genuine(record)]
        if len(genuine) < len(reply.records):
            self._caught += 1
        scores = likeness(self._query, *stacked([one.signature for one in genuine])).tolist()
        shown = {r.node: FoundNode(r, score) for r, score in zip(genuine, scores, strict=True)}
        self._found = shown | self._found
        self._compare(self._places.setdefault(reply.community, _Place()), reply, shown)
        if asked != reply.community and asked.length > reply.community.length:
            # They have merged: the answer stands for the smaller one too.
            self._places.setdefault(asked, _Place()).answers += 1
        if depth < self._most_hops:
            for contact in reply.contacts[:MOST_NAMED]:
                if contact.node not in self._heard:
                    self._heard.add(contact.node)
                    near = self._places.setdefault(contact.community, _Place())
                    near.candidates.append((contact, depth + 1))

    def _genuine(self, record: Record) -> bool:
        """Whether the chain has this record; counts those that it does not have."""
        known = self._found.get(record.node)
        if known is not None and known.record == record:
            return True
        good = self._verify(record)
        self._refused += not good
        return good

    def _compare(self, place: _Place, reply: LookupReply, shown: dict[bytes, FoundNode]) -> None:
        """Two answers of one community must agree on its best; whoever hides some is caught."""
        full = len(reply.records) >= self._request.want
        least = min((match.likeness for match in shown.values()), default=0.0) if full else 0.0
        if place.answers and (
            self._hides(reply.community, shown, place.shown, place.least)
            or self._hides(reply.community, place.shown, shown, least)
        ):
            self._caught += 1  # and one more is asked, as if only one had answered
        else:
            place.answers += 1
        place.shown.update(shown)
        place.least = max(place.least, least)

    def _hides(
        self,
        community: Prefix,
        one: dict[bytes, FoundNode],
        other: dict[bytes, FoundNode],
        least: float,
    ) -> bool:
        """Whether `other`, an answer down to `least`, lacks a member that `one` has."""
        return any(
            match.likeness > least
            and node not in other
            and community.holds(node_id(match.record, self._table.codebook))
            for node, match in one.items()
        )

    def _best(self, count: int) -> list[FoundNode]:
        return sorted(self._found.values(), key=lambda m: (-m.likeness, m.record.node))[:count]

    def _living(self) -> list[FoundNode]:
        """The best found that answer, at most `want`; those that answered before are not asked."""
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
                break  # no message left to ask with
        return living

    def _contact(self, match: FoundNode) -> Contact:
        own = node_id(match.record, self._table.codebook)
        return Contact(match.record.node, own, self._endpoint_of(match.record))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1.0))
