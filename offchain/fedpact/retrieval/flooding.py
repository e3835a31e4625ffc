"""Lu et al.'s own search (2020, section III-B): every node that receives a request passes it on.

All members of the community that the request enters at pass it to their contacts; those nearer to
the query's id forward it, until all nodes within the relevant distance have been traversed. That
distance is the community that the query falls into, as far as the entry node knows; else one as
wide as its own.

Each node replies to whom it passes the request on, and the entry node sends it there, once each. So
the limits hold, and the signature need not be passed from hand to hand.

Nothing in a reply is trusted: only nodes whose profiles are on chain count, and only a node's own
reply shows that an address is its own. Until then it is asked at each address that it is said to
have.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from fedpact.retrieval.answering import answer, passed_on
from fedpact.retrieval.ids import ID_BITS, node_id, xor_distance
from fedpact.retrieval.lookup import MAX_NAMED, FoundNode
from fedpact.retrieval.messages import (
    Contact,
    Flood,
    LookupReply,
    Transport,
    Verify,
)
from fedpact.retrieval.routing_table import RetrievalTable
from fedpact.retrieval.signature import Signature, likeness, stacked


@dataclass(frozen=True)
class FloodLimits:
    """Limits of one search; it ends where nobody new is named."""

    messages: int = 1000
    """Requests and replies: what one signed search may cost other daemons."""
    hops: int = 64
    named: int = MAX_NAMED
    """Contacts taken from one reply."""
    seconds: float = 8.0
    """For all requests: less than the endpoint gives an answer, so that what was found by then is
    sent."""


@dataclass(frozen=True)
class FloodResult:
    """Matches and cost of a search."""

    matches: tuple[FoundNode, ...]
    """All that answered from within the distance, most like the query first."""
    messages: int
    """Number of requests and replies."""
    repeated: int
    """Requests that nodes would have passed to others that already had them: a sender cannot
    know."""
    hops: int
    """Longest chain of nodes."""


def flood(
    table: RetrievalTable,
    query: Signature,
    transport: Transport,
    verify: Verify,
    limits: FloodLimits,
    *,
    within: int | None = None,
    envelope: bytes = b"",
    clock: Callable[[], float] = monotonic,
) -> FloodResult:
    """Search by recursion, entering at the node with this table.

    within: the relevant distance; by default as the module says.
    """
    end = clock() + limits.seconds
    target = table.codebook.path(query) << (ID_BITS - table.codebook.depth)
    request = Flood(query, target, within or _within(table, target), True, envelope)
    own = answer(table, request)
    assert isinstance(own, LookupReply)
    records = [one for one in own.records if verify(one)]
    answered = {table.record.node}
    seen: set[tuple[bytes, str]] = set()
    waiting = [(one, False) for one in passed_on(table, request)]
    waiting += [(one, True) for one in table.community.contacts if one.node not in answered]
    messages = repeated = hops = 0
    while waiting and hops < limits.hops and (left := end - clock()) > 0:
        fresh: dict[tuple[bytes, str], tuple[Contact, bool]] = {}
        for contact, first in waiting:
            at = contact.node, contact.endpoint
            if contact.node not in answered and at not in seen:
                fresh[at] = (contact, first)
        repeated += len(waiting) - len(fresh)
        asked = list(fresh.values())[: (limits.messages - messages) // 2]  # each may get a reply
        if not asked:
            break
        hops += 1
        messages += len(asked)
        seen.update((contact.node, contact.endpoint) for contact, _ in asked)
        sent = [
            (contact, Flood(query, target, request.within, first, envelope))
            for contact, first in asked
        ]
        waiting = []
        for (contact, _), reply in zip(asked, transport.ask(sent, left), strict=True):
            if reply is None:
                continue
            messages += 1
            if (
                isinstance(reply, LookupReply)
                and reply.responder.node == contact.node
                and verify(reply.responder)
            ):
                answered.add(contact.node)
                records += [one for one in reply.records if one == reply.responder]
                waiting += [(one, False) for one in reply.contacts[: limits.named]]
    near = {
        one.node: one
        for one in records
        if xor_distance(node_id(one, table.codebook), target) < request.within
    }
    genuine = list(near.values())
    scores = likeness(query, *stacked([one.signature for one in genuine])).tolist()
    found = [FoundNode(one, score) for one, score in zip(genuine, scores, strict=True)]
    found.sort(key=lambda one: (-one.likeness, one.record.node))
    return FloodResult(tuple(found), messages, repeated, hops)


def _within(table: RetrievalTable, target: int) -> int:
    known = [table.community.prefix, *(one.community for kept in table.contacts for one in kept)]
    around = [one.length for one in known if one.holds(target)]
    return 1 << (ID_BITS - max(around, default=table.community.prefix.length))
