"""One simulation of retrieval: a population with hostile and dead nodes, and its lookups."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import InvalidInput
from fedpact.retrieval.codebook import standard
from fedpact.retrieval.communities import table_communities, table_contacts
from fedpact.retrieval.lookup import LookupLimits, LookupResult, lookup
from fedpact.retrieval.messages import Record, Transport
from fedpact.retrieval.signature import stacked
from lab.provider_network.network import Counted, MemoryTransport, Network
from lab.provider_network.population import Population, population
from lab.provider_network.source import DocumentSource
from lab.retrieval.attacks import Lie, lies, stuff
from lab.retrieval.baselines import GossipOverlay, download_bytes
from lab.retrieval.exhaustive import Exhaustive, top
from lab.retrieval.flooding import flood_cost
from lab.retrieval.joining import join_cost

WANT = 10
FEWEST_NODES = 100
COUNTED = 50
"""Number of lookups whose bytes are counted."""
JOINS = 10
"""Number of newcomers whose joining cost is measured."""
BASELINE_LOOKUPS = 50
"""Lookups repeated with the gossip overlay; fewer above BASELINE_NODES nodes."""
BASELINE_NODES = 200_000


@dataclass(frozen=True)
class Scenario:
    """What is simulated; raises InvalidInput for values out of range."""

    nodes: int
    churn: float = 0.0
    """Share of nodes that are dead but still in every table."""
    malicious: float = 0.0
    """Share that has a stuffed profile and lies in one of four ways (`attacks`)."""
    aimed: float = 0.0
    """Share of the malicious whose profile is aimed at one topic; the others' are broad."""
    eclipse: float = 0.0
    """Share of the community nearest to each query that is hostile and hides honest members, for
    each query separately and in addition to `malicious`."""
    seed: int = 1
    lookups: int = 1_000
    source: DocumentSource = DocumentSource.COLLECTIONS

    def __post_init__(self) -> None:
        if self.nodes < FEWEST_NODES or self.lookups < 1:
            raise InvalidInput(
                f"simulate: {self.nodes} nodes, {self.lookups} lookups; at least {FEWEST_NODES}"
                " nodes and one lookup are needed"
            )
        for name, share in (
            ("churn", self.churn),
            ("malicious", self.malicious),
            ("eclipse", self.eclipse),
            ("aimed", self.aimed),
        ):
            most = 1.0 if name == "aimed" else 0.5
            if not 0 <= share <= most:
                raise InvalidInput(f"simulate: {name} {share} is out of range: give 0 to {most}")


_shared: "_World | None" = None
"""The world of this run; forked processes inherit it."""


@dataclass(frozen=True)
class Looked:
    """One lookup compared with the ground truth."""

    recall: float
    """Against the ten most similar live honest nodes; any other result uses up a rank."""
    over_honest: float | None
    """Against the honest among the ten most similar live nodes; None if there are none."""
    ratio: float
    stuffed: float
    """Share of hostile nodes among the results."""
    forged: int
    bytes: int | None
    """Bytes of all its messages; None if not counted."""
    outcome: LookupResult


def simulate(
    scenario: Scenario, on_step: Callable[[str], None] = lambda _: None, workers: int = 2
) -> dict[str, Any]:
    """Run a scenario in `workers` processes; returns the figures. `on_step` is called per step."""
    begun, processor = time.perf_counter(), _processor_seconds()
    generator = np.random.default_rng([scenario.seed, 77])
    people = population(scenario.nodes, scenario.lookups, scenario.seed, scenario.source)
    on_step(f"{scenario.nodes} profiles")
    hostile = generator.permutation(scenario.nodes)[: round(scenario.malicious * scenario.nodes)]
    stuff(people, hostile, scenario.aimed, generator)
    network = Network(people.buckets, people.weights, standard())
    bad = np.zeros(scenario.nodes, bool)
    bad[hostile] = True
    dead = (generator.random(scenario.nodes) < scenario.churn) & ~bad
    index = Exhaustive(people.buckets, people.weights)
    on_step(f"{len(network.partition.prefixes)} communities")
    world = _World(scenario, people, network, bad, dead, index)
    looked, baselines = _run_lookups(world, workers)
    on_step(f"{len(looked)} lookups")
    transport = MemoryTransport(network, dead, {})
    newcomers = people.queries[:JOINS]
    joins = join_cost(network, transport, ~(dead | bad), newcomers, scenario.seed)
    own, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        **_measured(scenario, network, looked),
        "join_messages_mean": joins.messages,
        "join_bytes_mean": joins.bytes,
        "baselines": baselines,
        "seconds": time.perf_counter() - begun,
        "processor_seconds": _processor_seconds() - processor,
        "peak_rss_mb": (own.ru_maxrss + workers * children.ru_maxrss) / 1024,
    }


class _World:
    """A population with its hostile and dead nodes."""

    def __init__(
        self,
        scenario: Scenario,
        people: Population,
        network: Network,
        bad: NDArray[np.bool_],
        dead: NDArray[np.bool_],
        index: Exhaustive,
    ) -> None:
        self._scenario, self._people, self._network = scenario, people, network
        self._bad, self._dead, self._index = bad, dead, index
        self._honest = np.flatnonzero(~(bad | dead))
        self._lies = lies(network, np.flatnonzero(bad), list(Lie), scenario.seed)

    @property
    def lookups(self) -> int:
        return self._scenario.lookups

    def look(self, index: int) -> Looked:
        """The lookup of one query, from an honest node drawn for it."""
        drawn = np.random.default_rng([self._scenario.seed, 3, index])
        return self._look(index, int(drawn.choice(self._honest)))

    def _look(self, index: int, entry: int) -> Looked:
        query = self._people.queries[index]
        bad, hostile = self._bad, self._lies
        if self._scenario.eclipse:
            eclipsing = self._eclipsing(index, entry)
            bad = bad.copy()
            bad[eclipsing] = True
            hostile = {**hostile, **lies(self._network, eclipsing, [Lie.HIDE], index)}
        transport: Transport = MemoryTransport(self._network, self._dead, hostile)
        counted = Counted(transport) if index < COUNTED else None
        outcome = lookup(
            self._network.table(entry),
            query,
            counted or transport,
            self._network.verify,
            LookupLimits(want=WANT),
            seed=index,
        )
        scores = self._index.likeness(query)
        best = scores[top(scores, ~(bad | self._dead), WANT)]
        numbers = np.array([int.from_bytes(m.record.node, "big") for m in outcome.matches], int)
        honest = [
            match.likeness
            for match, number in zip(outcome.matches, numbers, strict=True)
            if not bad[number]
        ]
        everyone = top(scores, ~self._dead, WANT)
        sought = scores[everyone[~bad[everyone]]]
        # A result as similar as the last of the ground truth counts, since ties have no order.
        hit = sum(one >= best[-1] - 1e-12 for one in honest)
        least = scores[everyone[-1]] - 1e-12
        seen = min(sum(one >= least for one in honest), len(sought))
        return Looked(
            hit / WANT,
            seen / len(sought) if len(sought) else None,
            sum(sorted(honest, reverse=True)) / max(float(best.sum()), 1e-12),
            float(bad[numbers].mean()) if len(numbers) else 0.0,
            sum(not self._genuine(match.record) for match in outcome.matches),
            counted.bytes if counted else None,
            outcome,
        )

    def _genuine(self, record: Record) -> bool:
        """Whether the record is the population's own; faster than by its digest."""
        number = int.from_bytes(record.node, "big")
        buckets, weights = stacked([record.signature])
        return bool(
            (buckets[0] == self._people.buckets[number]).all()
            and (weights[0] == self._people.weights[number]).all()
        )

    def _eclipsing(self, index: int, entry: int) -> NDArray[np.int64]:
        query = self._people.queries[index]
        prefix = self._network.codebook.path(query) << (64 - self._network.codebook.depth)
        members = self._network.members(self._network.partition.community_of(prefix))
        members = members[members != entry]
        chosen = np.random.default_rng([self._scenario.seed, index]).permutation(members)
        return chosen[: round(self._scenario.eclipse * len(members))]

    def baselines(self) -> dict[str, Any]:
        """The same queries by the other methods."""
        live = ~(self._bad | self._dead)
        honest = self._honest
        generator = np.random.default_rng([self._scenario.seed, 4])
        degree = self._network.table(int(honest[0])).size
        gossip = GossipOverlay(self._network, self._index, live, degree, self._scenario.seed)
        recalls, messages, hops = [], [], []
        share = min(1.0, BASELINE_NODES / self._network.nodes)
        count = min(round(BASELINE_LOOKUPS * share), self._scenario.lookups)
        bound = LookupLimits(want=WANT).max_messages(self._network.nodes)
        for index in range(count):
            query = self._people.queries[index]
            scores = self._index.likeness(query)
            best = scores[top(scores, live, WANT)]
            found = gossip.search(query, int(generator.choice(honest)), WANT, bound)
            recalls.append(float((scores[found.found] >= best[-1] - 1e-12).sum()) / WANT)
            messages.append(found.messages)
            hops.append(found.hops)
        flooded = flood_cost(self._network, self._people.queries, self._dead, self._scenario.seed)
        return {
            "exhaustive": {"recall_at_10": 1.0, "messages_mean": 2 * int(live.sum())},
            "download_every_profile": {
                "recall_at_10": 1.0,
                "bytes": download_bytes(self._network),
            },
            "gossip_overlay": {
                "lookups": count,
                "degree": degree,
                "recall_at_10": float(np.mean(recalls)),
                "messages_mean": float(np.mean(messages)),
                "hops_mean": float(np.mean(hops)),
            },
            "paper_flooding": flooded,
        }


def _processor_seconds() -> float:
    """Processor seconds of this process and its finished children."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _run_lookups(world: "_World", workers: int) -> tuple[list[Looked], dict[str, Any]]:
    """All lookups in order, and the baselines, in processes that share the world's memory."""
    global _shared
    _shared = world
    indices = range(world.lookups)
    with get_context("fork").Pool(workers) as pool:
        baselines = pool.apply_async(_baselines)
        looked = pool.map(_look, indices, chunksize=max(1, len(indices) // (8 * workers)))
        return looked, baselines.get()


def _look(index: int) -> Looked:
    assert _shared is not None
    return _shared.look(index)


def _baselines() -> dict[str, Any]:
    assert _shared is not None
    return _shared.baselines()


def _measured(scenario: Scenario, network: Network, looked: list[Looked]) -> dict[str, Any]:
    def mean(value: Callable[[Looked], float]) -> float:
        return float(np.mean([value(one) for one in looked]))

    sizes = network.partition.sizes
    firsts = [int(network.members(index)[0]) for index in range(len(sizes))]
    tables = [network.table(number) for number in firsts]
    contacts = max(table.size - len(table.community.records) for table in tables)
    return {
        "nodes": scenario.nodes,
        "source": str(scenario.source),
        "seed": scenario.seed,
        "churn": scenario.churn,
        "malicious": scenario.malicious,
        "aimed": scenario.aimed,
        "eclipse": scenario.eclipse,
        "lookups": len(looked),
        "recall_at_10": mean(lambda one: one.recall),
        "recall_over_honest": float(
            np.mean([one.over_honest for one in looked if one.over_honest is not None])
        ),
        "similarity_ratio": mean(lambda one: one.ratio),
        "hops_mean": mean(lambda one: one.outcome.hops),
        "hops_max": max(one.outcome.hops for one in looked),
        "messages_mean": mean(lambda one: one.outcome.messages),
        "messages_max": max(one.outcome.messages for one in looked),
        "bytes_mean": float(np.mean([one.bytes for one in looked if one.bytes is not None])),
        "waves_mean": mean(lambda one: one.outcome.waves),
        "communities_asked_mean": mean(lambda one: one.outcome.communities),
        "forged_accepted": sum(one.forged for one in looked),
        "records_refused": sum(one.outcome.refused for one in looked),
        "replies_caught": sum(one.outcome.caught for one in looked),
        "hostile_share_of_results": mean(lambda one: one.stuffed),
        "table_max": max(table.size for table in tables),
        "table_contacts_max": contacts,
        "table_contacts_bound": table_communities(scenario.nodes) * table_contacts(scenario.nodes),
        "communities": len(sizes),
        "community_mean": float(sizes.mean()),
        "community_max": int(sizes.max()),
    }
