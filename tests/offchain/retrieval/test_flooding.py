"""Lu et al.'s recursion over a network in memory: the daemon's code, a synthetic population."""

from dataclasses import replace

import numpy as np
import pytest

from fedpact.retrieval.codebook import standard
from fedpact.retrieval.flooding import FloodLimits, FloodResult, flood
from fedpact.retrieval.ids import ID_BITS, xor_distance
from fedpact.retrieval.messages import LookupReply
from lab.provider_network.network import MemoryTransport, Network
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
        def ask(self, requests):  # type: ignore[no-untyped-def]
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
                for reply in super().ask(requests)
            ]

    found, near = flooded(network, 1, transport=Lying(network, np.zeros(NODES, bool), {}))
    assert set(numbers(found)) <= near & {31, *range(9)}
    assert len(found.matches) == len(set(numbers(found)))


def test_by_default_the_distance_is_the_community_of_the_query_as_the_entry_knows_it(
    network: Network,
) -> None:
    everybody = MemoryTransport(network, np.zeros(NODES, bool), {})
    entry = network.table(3)
    own = flood(entry, entry.record.signature, everybody, network.verify, AMPLE)
    members = {one.node for one in entry.community.records}
    assert {one.record.node for one in own.matches} == members
