"""Clusters of texts under a distance: k-medoids (Kaufman & Rousseeuw 1990; Park & Jun 2009).

Lu et al. 2020 name k-means with Jaccard distance; a mean minimises no Jaccard distance, so its cost
may rise. A medoid is a text of the data, and each half step, reassigning and choosing the member
with the least sum of distances, can only lower the cost.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError

Distance = Callable[[sparse.csr_matrix, sparse.csr_matrix], NDArray[np.float64]]
MAX_ROUNDS = 100


@dataclass(frozen=True)
class Clusters:
    """A partition of n rows by nearest medoid."""

    medoids: NDArray[np.int64]
    """Shape (k,): rows that represent their clusters."""
    labels: NDArray[np.int64]
    """Shape (n,): cluster of each row."""
    costs: tuple[float, ...]
    """Sum of distances to the medoids after each round, never rising."""


def k_medoids(rows: sparse.csr_matrix, clusters: int, distance: Distance, seed: int) -> Clusters:
    """Clusters of `rows` (n, width); the first medoids are drawn as k-means++ draws its centres.

    Holds n^2 distances at once: for thousands of rows, not for tens of thousands. Raises DataError
    for fewer rows than clusters.
    """
    count = rows.shape[0]
    if not 1 <= clusters <= count:
        raise DataError(f"{clusters} clusters need at least as many rows, not {count}")
    distances = distance(rows, rows)
    medoids = _spread(distances, clusters, np.random.default_rng(seed))
    labels, cost = _assigned(distances, medoids)
    costs = [cost]
    for _ in range(MAX_ROUNDS):
        medoids = np.array(
            [_medoid(distances, labels, one, medoids[one]) for one in range(clusters)]
        )
        labels, cost = _assigned(distances, medoids)
        costs.append(cost)
        if costs[-1] >= costs[-2]:
            break
    return Clusters(medoids, labels, tuple(costs))


def _spread(
    distances: NDArray[np.float64], clusters: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Distinct rows, each drawn by its distance to the nearest one drawn before."""
    chosen = [int(generator.integers(len(distances)))]
    while len(chosen) < clusters:
        nearest = distances[:, chosen].min(axis=1)
        nearest[chosen] = 0.0
        if nearest.sum() == 0:  # all others equal one that is chosen
            nearest = np.ones(len(distances))
            nearest[chosen] = 0.0
        chosen.append(int(generator.choice(len(distances), p=nearest / nearest.sum())))
    return np.array(chosen, dtype=np.int64)


def _assigned(
    distances: NDArray[np.float64], medoids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], float]:
    to_medoids = distances[:, medoids]
    labels = to_medoids.argmin(axis=1)
    return labels, float(to_medoids[np.arange(len(labels)), labels].sum())


def _medoid(
    distances: NDArray[np.float64], labels: NDArray[np.int64], cluster: int, present: int
) -> int:
    """The member with the least sum of distances to the others; the current one on a tie."""
    members = np.flatnonzero(labels == cluster)
    if len(members) == 0:  # a duplicate of another medoid took all of its rows
        return int(present)
    sums = distances[np.ix_(members, members)].sum(axis=0)
    best = int(members[sums.argmin()])
    if present in members and sums.min() >= sums[np.flatnonzero(members == present)[0]]:
        return int(present)
    return best
