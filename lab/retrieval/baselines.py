"""Baselines for retrieval: a gossip overlay of equal degree, and downloading all profiles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.messages import Acknowledged, encode
from fedpact.retrieval.signature import Signature, likeness
from lab.provider_network.network import Network
from lab.retrieval.exhaustive import Exhaustive, top

STEP = 8
"""Nodes asked at the same time."""


@dataclass(frozen=True)
class GossipOutcome:
    found: NDArray[np.int64]
    messages: int
    hops: int


class GossipOverlay:
    """A converged similarity-gossip overlay (Voulgaris & van Steen 2005, Vicinity).

    Each node keeps `degree` others with their profiles: half are the most similar live nodes, found
    exactly (the best that gossip can do); half are random. A search asks the known nodes that are
    most similar to the query, best first; each names the 16 most similar nodes that it keeps.
    """

    def __init__(
        self, network: Network, index: Exhaustive, live: NDArray[np.bool_], degree: int, seed: int
    ) -> None:
        self._network, self._index, self._live = network, index, live
        self._degree, self._seed = min(degree, network.nodes - 1), seed
        self._live_nodes = np.flatnonzero(live)
        self._kept: dict[int, NDArray[np.int64]] = {}

    def search(self, query: Signature, entry: int, want: int, messages: int) -> GossipOutcome:
        """The best live nodes found from `entry`, within a limit on messages."""
        depth = {entry: 0}
        scores: dict[int, float] = {}
        self._hear(query, entry, depth, scores, 0)
        asked = {entry}
        spent = hops = 0
        while spent + 2 * STEP <= messages:
            open_ = sorted((s, -n) for n, s in scores.items() if n not in asked)[-STEP:]
            if not open_:
                break
            for _, negative in open_:
                node = -negative
                asked.add(node)
                spent += 2
                hops = max(hops, depth[node])
                self._hear(query, node, depth, scores, depth[node])
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:want]
        return GossipOutcome(np.array([node for node, _ in best], dtype=np.int64), spent, hops)

    def _hear(
        self, query: Signature, node: int, depth: dict[int, int], scores: dict[int, float], at: int
    ) -> None:
        kept = self._neighbours(node)
        likely = likeness(query, self._network.buckets[kept], self._network.weights[kept])
        for index in np.argsort(-likely, kind="stable")[:16]:
            other = int(kept[index])
            scores.setdefault(other, float(likely[index]))
            depth.setdefault(other, at + 1)

    def _neighbours(self, node: int) -> NDArray[np.int64]:
        if node not in self._kept:
            own = self._network.record(node).signature
            near = top(self._index.likeness(own), self._live, self._degree // 2 + 1)
            far = np.random.default_rng([self._seed, node]).choice(
                self._live_nodes, self._degree - self._degree // 2
            )
            both = np.unique(np.concatenate([near, far]))
            self._kept[node] = both[both != node]
        return self._kept[node]


def download_bytes(network: Network, sample: int = 1_000) -> int:
    """Bytes to download all records, one reply each, estimated from the mean of a sample."""
    numbers = np.linspace(0, network.nodes - 1, min(sample, network.nodes)).astype(int).tolist()
    sizes = [len(encode(Acknowledged(network.record(number), True))) for number in numbers]
    return round(sum(sizes) / len(sizes) * network.nodes)
