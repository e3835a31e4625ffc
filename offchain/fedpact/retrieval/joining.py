"""A newcomer finds its community and becomes known there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedpact.errors import RetrievalError
from fedpact.retrieval.communities import table_communities
from fedpact.retrieval.ids import xor_distance
from fedpact.retrieval.messages import (
    Announce,
    Contact,
    MemberList,
    Members,
    Record,
    Transport,
    Verify,
)

MAX_STEPS = 64
MAX_PAGES = 1_000
READ_FROM = 2
AT_ONCE = 3
"""Nodes asked at once on the way, so that one that lies or is dead delays nobody."""


@dataclass(frozen=True)
class Neighbours:
    """What a newcomer has learned."""

    members: tuple[Record, ...]
    """Members of its community, each checked against the chain."""
    contacts: tuple[Contact, ...]
    """Contacts in other communities, from the members."""
    length: int
    """Bits of the community's prefix, according to its members."""
    messages: int


def join(
    record: Record,
    own_id: int,
    entries: Sequence[Contact],
    transport: Transport,
    verify: Verify,
    nodes: int,
    endpoint_of: Callable[[Record], str] = lambda _: "",
) -> Neighbours:
    """Find the community of `own_id` from some `entries`, read its members, announce the newcomer.

    Follows the contacts nearest to the id by XOR distance (equation 2) until one is in its
    community; reads the members from READ_FROM of these, in case one hides some; announces itself
    to ceil(log2 n) members, from which the others learn of it when they refresh. Raises
    RetrievalError if no entry answers.
    """
    known = {one.node: one for one in entries if one.node != record.node}
    asked: set[bytes] = set()
    lists: list[tuple[Contact, MemberList]] = []
    messages = 0
    answered = False
    for _ in range(MAX_STEPS):
        nearest = sorted(
            (one for one in known.values() if one.node not in asked),
            key=lambda one: xor_distance(one.id, own_id),
        )[:AT_ONCE]
        if not nearest:
            break
        asked.update(one.node for one in nearest)
        replies = transport.ask([(one, Members(own_id)) for one in nearest])
        messages += len(nearest) + sum(reply is not None for reply in replies)
        for contact, reply in zip(nearest, replies, strict=True):
            if isinstance(reply, MemberList) and verify(reply.responder):
                answered = True
                known |= {one.node: one for one in reply.contacts if one.node != record.node}
                if reply.community.holds(own_id):
                    lists.append((contact, reply))
        if lists:
            break
    if not answered:
        raise RetrievalError("join: none of the entry nodes answered; try others")
    members: dict[bytes, Record] = {}
    contacts: dict[bytes, Contact] = {}
    for contact, first in lists[:READ_FROM]:
        pages, spent = _pages(contact, own_id, first, transport)
        messages += spent
        for one in (first.responder, *pages):
            if one.node not in members and one.node != record.node and verify(one):
                members[one.node] = one
        contacts |= {one.node: one for one in first.contacts}
        contacts[contact.node] = contact
    told = [
        known[node] if node in known else Contact(node, own_id, endpoint_of(one))
        for node, one in members.items()
    ]
    told = told[: table_communities(nodes)]
    replies = transport.ask([(one, Announce(record)) for one in told])
    messages += len(told) + sum(reply is not None for reply in replies)
    length = max((first.community.length for _, first in lists), default=0)
    if not lists:  # the first of its community: there is nobody to read from
        contacts = known
    return Neighbours(tuple(members.values()), tuple(contacts.values()), length, messages)


def _pages(
    contact: Contact, own_id: int, first: MemberList, transport: Transport
) -> tuple[list[Record], int]:
    """All members that one node lists, continuing from its first reply, and messages used."""
    records = list(first.records)
    messages = 0
    page: Sequence[Record] = first.records
    for _ in range(MAX_PAGES):
        if not page:
            break
        reply = transport.ask([(contact, Members(own_id, page[-1].node))])[0]
        messages += 1 + (reply is not None)
        if not isinstance(reply, MemberList) or not reply.records:
            break
        if reply.records[0].node <= page[-1].node:
            break  # no progress: it lies
        page = reply.records
        records += page
    return records, messages
