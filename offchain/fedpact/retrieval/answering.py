"""A node's replies: a pure function of its table and the request."""

from fedpact.retrieval.ids import xor_distance
from fedpact.retrieval.messages import (
    MAX_FOUND,
    MAX_MEMBERS,
    Acknowledged,
    Contact,
    Flood,
    Lookup,
    LookupReply,
    MemberList,
    Members,
    Ping,
    Record,
    Reply,
)
from fedpact.retrieval.routing_table import RetrievalTable

NAMED_EACH = 2
"""Contacts named for each community that a node keeps."""


def answer(table: RetrievalTable, request: Lookup | Flood | Members | Ping) -> Reply:
    """The reply of the node with this table."""
    match request:
        case Lookup():
            best = table.community.best(request.query, min(request.want, MAX_FOUND))
            return _found(table, best, _named(table))
        case Flood():
            own = [table.record] if xor_distance(table.id, request.target) < request.within else []
            return _found(table, own, passed_on(table, request))
        case Members():
            return _member_list(table, request)
        case Ping():
            return Acknowledged(table.record, True)


def passed_on(table: RetrievalTable, request: Flood) -> list[Contact]:
    """The nodes to which a node forwards a flooded request (Lu et al. 2020, section III-B).

    Within the relevant distance: all that it knows there. Outside: the contacts nearer to the
    query's id than itself, or all contacts in the community where the request entered.
    """
    own = xor_distance(table.id, request.target)
    contacts = [one for kept in table.contacts for one in kept]
    if own >= request.within:
        if request.first:
            return contacts
        return [one for one in contacts if xor_distance(one.id, request.target) < own]
    known = [*table.community.contacts, *contacts]
    return [one for one in known if xor_distance(one.id, request.target) < request.within]


def _found(table: RetrievalTable, records: list[Record], contacts: list[Contact]) -> LookupReply:
    community = table.community
    size = len(community.records)
    return LookupReply(table.record, community.prefix, size, tuple(records), tuple(contacts))


def _named(table: RetrievalTable) -> list[Contact]:
    return [one for kept in table.contacts for one in kept[:NAMED_EACH]]


def _member_list(table: RetrievalTable, request: Members) -> MemberList:
    """The next members by address; for another community, only the contacts nearest to it."""
    community = table.community
    size = len(community.records)
    contacts = sorted(
        (one for kept in table.contacts for one in kept),
        key=lambda one: xor_distance(one.id, request.id),
    )
    if not community.prefix.holds(request.id):
        return MemberList(table.record, community.prefix, size, (), tuple(contacts))
    later = sorted(
        (one for one in community.records if one.node > request.after), key=lambda one: one.node
    )
    return MemberList(
        table.record, community.prefix, size, tuple(later[:MAX_MEMBERS]), tuple(contacts)
    )
