"""Lookups over a network in memory: the daemon's code, a synthetic population."""

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from fedpact.retrieval.codebook import standard
from fedpact.retrieval.communities import table_communities, table_contacts
from fedpact.retrieval.lookup import LookupLimits, LookupResult, lookup
from fedpact.retrieval.messages import LookupReply, Request
from fedpact.retrieval.signature import likeness, stacked
from lab.provider_network.network import Hostile, MemoryTransport, Network
from lab.provider_network.population import Population, population
from lab.provider_network.source import DocumentSource
from lab.retrieval.attacks import Lie, lies, stuff
from lab.retrieval.exhaustive import Exhaustive, top

NODES, LOOKUPS, WANT = 1_500, 12, 10


def people() -> Population:
    return population(NODES, LOOKUPS, 7, DocumentSource.SYNTHETIC)


@pytest.fixture(scope="module")
def network() -> Network:
    made = people()
    return Network(made.buckets, made.weights, standard())


def look(
    network: Network,
    index: int,
    *,
    dead: np.ndarray | None = None,
    hostile: dict[int, Hostile] | None = None,
    limits: LookupLimits | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> LookupResult:
    gone = np.zeros(network.nodes, bool) if dead is None else dead
    acts = hostile or {}
    entry = next(n for n in count(index * 31) if not gone[n] and n not in acts)
    return lookup(
        network.table(entry),
        QUERIES[index],
        MemoryTransport(network, gone, acts),
        network.verify,
        limits or LookupLimits(want=WANT),
        seed=index,
        clock=clock,
    )


QUERIES = people().queries


def recall(
    network: Network, outcomes: list[LookupResult], allowed: np.ndarray, bad: np.ndarray
) -> float:
    index = Exhaustive(network.buckets, network.weights)
    hits = []
    for query, outcome in zip(QUERIES, outcomes, strict=True):
        scores = index.likeness(query)
        least = scores[top(scores, allowed, WANT)][-1]
        hits.append(
            sum(
                match.likeness >= least - 1e-12
                for match in outcome.matches
                if not bad[int.from_bytes(match.record.node, "big")]
            )
            / WANT
        )
    return float(np.mean(hits))


def test_exhaustive_search_is_the_weighted_jaccard_to_every_profile(network: Network) -> None:
    index = Exhaustive(network.buckets, network.weights)
    scores = index.likeness(QUERIES[0])
    assert scores == pytest.approx(likeness(QUERIES[0], network.buckets, network.weights))
    assert top(np.array([3.0, 1, 3, 2]), np.array([True, True, True, False]), 2).tolist() == [0, 2]


def test_lookups_find_the_most_alike_within_their_bounds(network: Network) -> None:
    outcomes = [look(network, index) for index in range(LOOKUPS)]
    nobody = np.zeros(NODES, bool)
    assert recall(network, outcomes, ~nobody, nobody) >= 0.95
    assert all(one.messages <= 10 * np.log2(NODES) for one in outcomes)
    assert np.mean([one.hops for one in outcomes]) <= np.log2(np.log2(NODES)) + 2
    assert all(one.caught == one.refused == one.silent == 0 for one in outcomes)
    for one in outcomes:
        scores = [match.likeness for match in one.matches]
        assert scores == sorted(scores, reverse=True)


def test_tables_stay_within_their_bound(network: Network) -> None:
    for number in range(0, NODES, 50):
        table = network.table(number)
        assert len(table.contacts) == min(
            table_communities(NODES), len(network.partition.prefixes) - 1
        )
        assert all(len(kept) <= table_contacts(NODES) for kept in table.contacts)
        assert not any(table.community.prefix == kept[0].community for kept in table.contacts)


def test_the_dead_are_not_among_the_results(network: Network) -> None:
    dead = np.random.default_rng(3).random(NODES) < 0.2
    outcomes = [look(network, index, dead=dead) for index in range(LOOKUPS)]
    found = {int.from_bytes(m.record.node, "big") for one in outcomes for m in one.matches}
    assert not any(dead[number] for number in found)
    assert sum(one.silent for one in outcomes) > 0
    assert recall(network, outcomes, ~dead, np.zeros(NODES, bool)) >= 0.95


@pytest.mark.parametrize("lie", list(Lie))
def test_a_fifth_of_lying_nodes_deceives_nobody(network: Network, lie: Lie) -> None:
    chosen = np.random.default_rng(4).permutation(NODES)[: NODES // 5]
    bad = np.zeros(NODES, bool)
    bad[chosen] = True
    hostile = lies(network, chosen, [lie], 1)
    outcomes = [look(network, index, hostile=hostile) for index in range(LOOKUPS)]
    for outcome in outcomes:
        for match in outcome.matches:
            buckets, weights = stacked([match.record.signature])
            number = int.from_bytes(match.record.node, "big")
            assert (buckets[0] == network.buckets[number]).all()
            assert (weights[0] == network.weights[number]).all()
    # The liars' profiles are true here, so they may be among the results.
    everyone = np.ones(NODES, bool)
    assert recall(network, outcomes, everyone, ~everyone) >= 0.85
    if lie in (Lie.FORGE, Lie.FLOOD):
        assert sum(one.caught for one in outcomes) > 0


def test_stuffed_profiles_are_a_minority_of_the_results_and_the_honest_are_found() -> None:
    made = people()
    chosen = np.random.default_rng(5).permutation(NODES)[: NODES // 10]
    stuff(made, chosen, 0.0, np.random.default_rng(6))
    network = Network(made.buckets, made.weights, standard())
    bad = np.zeros(NODES, bool)
    bad[chosen] = True
    outcomes = [look(network, index) for index in range(LOOKUPS)]
    assert (
        np.mean(
            [bad[int.from_bytes(m.record.node, "big")] for one in outcomes for m in one.matches]
        )
        <= 0.15
    )


def test_a_lookup_ends_in_time_and_within_the_messages_it_may_send(network: Network) -> None:
    ticks = count(0.0, 4.0)
    slow = look(network, 0, limits=LookupLimits(seconds=10), clock=lambda: next(ticks))
    assert slow.waves == 2
    assert look(network, 0, limits=LookupLimits(messages=40)).messages <= 40
    assert look(network, 0, limits=LookupLimits(hops=1)).hops == 1
    alone = look(network, 0, limits=LookupLimits(messages=0))
    assert alone.messages == 0
    assert alone.matches == ()


def test_messages_wasted_on_dead_nodes_are_granted_again_up_to_half(network: Network) -> None:
    dead = np.random.default_rng(3).random(NODES) < 0.3
    limits = LookupLimits(messages=60)
    outcomes = [look(network, index, dead=dead, limits=limits) for index in range(LOOKUPS)]
    for one in outcomes:
        assert one.messages <= 60 + min(2 * one.silent, 30)
    assert any(one.messages > 60 for one in outcomes)
    few = LookupLimits(messages=24, patience=1000)
    assert look(network, 0, dead=np.arange(NODES) != 0, limits=few).messages <= 36


def test_one_that_answers_for_another_community_is_not_believed(network: Network) -> None:
    def elsewhere(number: int, request: Request) -> LookupReply | None:
        other = network.table((number + 700) % NODES)
        own = network.table(number)
        return LookupReply(own.record, other.community.prefix, 9, (), ())

    everyone = {number: elsewhere for number in range(NODES) if number != 0}
    outcome = lookup(
        network.table(0),
        QUERIES[0],
        MemoryTransport(network, np.zeros(NODES, bool), everyone),
        network.verify,
        LookupLimits(),
        seed=1,
    )
    assert outcome.caught > 10
    assert outcome.matches == ()
