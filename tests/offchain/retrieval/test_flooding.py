"""Lu et al.'s recursion over a network in memory: the daemon's code, a synthetic population."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fedpact.retrieval.codebook import standard
from fedpact.retrieval.flooding import FloodLimits, FloodResult, flood
from fedpact.retrieval.ids import ID_BITS, xor_distance
from fedpact.retrieval.lookup import MAX_NAMED
from fedpact.retrieval.messages import Contact, LookupReply, Reply, Request
from lab.provider_network.network import MemoryTransport, Network, address
from lab.provider_network.population import population
from lab.provider_network.source import DocumentSource

NODES, QUERIES = 400, 4
PEOPLE = population(NODES, QUERIES, 5, DocumentSource.SYNTHETIC)
AMPLE = FloodLimits(messages=2 * NODES, seconds=float("inf"))


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(PEOPLE.buckets, PEOPLE.weights, standard())


def flooded(
    network: Network, index: int, limits: FloodLimits = AMPLE, transport: object = None
) -> tuple[FloodResult, set[int]]:
    """The outcome, and the nodes within the distance."""
    query = PEOPLE.queries[index]
    target = network.codebook.path(query) << (ID_BITS - network.codebook.depth)
    prefix = network.partition.prefixes[network.partition.community_of(target)]
    within = 1 << (ID_BITS - prefix.length)
    everybody = MemoryTransport(network, np.zeros(NODES, bool), {})
    found = flood(
        network.table(31 * index),
        query,
        transport or everybody,
        network.verify,
        limits,
        within=within,
    )
    near = {n for n in range(NODES) if xor_distance(int(network.ids[n]), target) < within}
    return found, near


def numbers(found: FloodResult) -> list[int]:
    return [int.from_bytes(one.record.node, "big") for one in found.matches]


def test_it_traverses_all_within_the_distance_and_nobody_else_is_a_match(network: Network) -> None:
    for index in range(QUERIES):
        found, near = flooded(network, index)
        assert set(numbers(found)) == near
        assert len(found.matches) == len(near)  # each once
        scores = [one.likeness for one in found.matches]
        assert scores == sorted(scores, reverse=True)
        assert found.hops >= 1


def test_it_stops_at_its_limit_of_messages(network: Network) -> None:
    found, _ = flooded(network, 0, replace(AMPLE, messages=40))
    assert 30 <= found.messages <= 40


def test_records_that_the_chain_does_not_have_are_left_out(network: Network) -> None:
    """A node may show its own record alone, as the chain has it, from within the distance."""

    class Lying(MemoryTransport):
        def ask(self, requests, seconds=None):  # type: ignore[no-untyped-def]
            return [
                replace(
                    reply,
                    records=(
                        replace(reply.responder, details=b"x"),
                        *(other for other in map(network.record, range(9))),
                    ),
                )
                if isinstance(reply, LookupReply)
                else reply
                for reply in super().ask(requests, seconds)
            ]

    found, near = flooded(network, 1, transport=Lying(network, np.zeros(NODES, bool), {}))
    assert set(numbers(found)) <= near & {31, *range(9)}
    assert len(found.matches) == len(set(numbers(found)))


class Naming(MemoryTransport):
    """One node names only these, and what has an endpoint is dead; requests are kept."""

    def __init__(self, network: Network, liar: int, named: Sequence[Contact]) -> None:
        super().__init__(network, np.zeros(NODES, bool), {})
        self._liar, self._named = address(liar), tuple(named)
        self.asked: list[Contact] = []
        self.first: list[Contact] = []
        self.seconds: list[float] = []

    def ask(
        self, asked: Sequence[tuple[Contact, Request]], seconds: float | None = None
    ) -> list[Reply | None]:
        self.seconds.append(seconds or 0.0)
        self.first = self.first or [contact for contact, _ in asked]
        return super().ask(asked, seconds)

    def _one(self, contact: Contact, request: Request) -> Reply | None:
        self.asked.append(contact)
        if contact.endpoint:
            return None
        reply = super()._one(contact, request)
        if contact.node == self._liar and isinstance(reply, LookupReply):
            return replace(reply, contacts=self._named)
        return reply


def heard_last(network: Network, index: int) -> int:
    """Of the nodes that the entry node asks first."""
    everybody = Naming(network, NODES, ())
    flooded(network, index, transport=everybody)
    return int.from_bytes(everybody.first[-1].node, "big")


def test_one_node_that_names_strangers_without_end_takes_little_of_a_search(
    network: Network,
) -> None:
    """1,500 of them took all messages of a search, and three minutes."""
    invented = [Contact(address(2**100 + n), n, "http://192.0.2.1") for n in range(1_500)]
    transport = Naming(network, heard_last(network, 0), invented)
    found, near = flooded(network, 0, replace(AMPLE, messages=10_000), transport)
    assert sum(bool(one.endpoint) for one in transport.asked) == MAX_NAMED
    assert set(numbers(found)) == near


def test_each_hop_has_what_is_left_of_the_time(network: Network) -> None:
    transport = Naming(network, NODES, ())
    flooded(network, 0, replace(AMPLE, seconds=1_000.0), transport)
    assert len(transport.seconds) > 1
    assert 1_000 > transport.seconds[0] > transport.seconds[-1] > 0


def test_a_wrong_address_for_a_node_does_not_hide_it(network: Network) -> None:
    _, near = flooded(network, 0)
    liar = heard_last(network, 0)
    wrong = [replace(network.contact(n), endpoint="http://192.0.2.1") for n in sorted(near)]
    transport = Naming(network, liar, wrong)
    found, _ = flooded(network, 0, transport=transport)
    assert set(numbers(found)) == near
    assert len(found.matches) == len(near)  # each once
    asked = [(one.node, one.endpoint) for one in transport.asked]
    assert len(asked) == len(set(asked))


def test_a_node_that_is_not_on_chain_passes_nothing_on(network: Network) -> None:
    """Invented nodes that answer named invented ones in turn."""
    liar, stranger = heard_last(network, 0), address(2**100)

    class Inventing(Naming):
        def _one(self, contact: Contact, request: Request) -> Reply | None:
            if contact.node != stranger:
                return super()._one(contact, request)
            reply = super()._one(network.contact(liar), request)
            assert isinstance(reply, LookupReply)
            invented = Contact(address(2**101), contact.id)
            return replace(
                reply, responder=replace(reply.responder, node=stranger), contacts=(invented,)
            )

    transport = Inventing(network, liar, [Contact(stranger, 0)])
    flooded(network, 0, transport=transport)
    assert address(2**101) not in [one.node for one in transport.asked]


def test_by_default_the_distance_is_the_community_of_the_query_as_the_entry_knows_it(
    network: Network,
) -> None:
    everybody = MemoryTransport(network, np.zeros(NODES, bool), {})
    entry = network.table(3)
    own = flood(entry, entry.record.signature, everybody, network.verify, AMPLE)
    members = {one.node for one in entry.community.records}
    assert {one.record.node for one in own.matches} == members
