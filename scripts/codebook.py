"""Makes the codebook of retrieval from the declared public sample.

`FEDPACT_DATA=... python -m scripts.codebook` writes offchain/fedpact/retrieval/codebook-v1.npy and
prints its digest. Each node's profiles are cut in halves: at the median along their main axis, then
STEPS times along the line between the two halves' means. A node's vector is the mean of its
profiles, each scaled to length 1.
"""

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.retrieval.codebook import DIMENSIONS, FILE, SCALE, projected
from lab.provider_network.population import documents, resampled
from lab.provider_network.source import DocumentSource

TARGET = Path(__file__).parents[1] / "offchain" / "fedpact" / "retrieval" / FILE
PROFILES = 60_000
DEPTH = 11
STEPS = 12
LEAST = 8
"""Profiles that a node needs to be cut; below it both children have its own vector."""
SEED = 1


def main() -> None:
    generator = np.random.default_rng(SEED)
    (buckets, weights), _ = resampled(
        documents(DocumentSource.COLLECTIONS).sample, PROFILES, generator
    )
    rows = projected(buckets, weights)
    vectors = tree(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    np.save(TARGET, np.clip(np.round(vectors * SCALE), -127, 127).astype(np.int8))
    sys.stdout.write(f"{TARGET}: {sha256(TARGET.read_bytes()).hexdigest()}\n")


def tree(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors of a tree of DEPTH levels over rows (n, DIMENSIONS) of length 1."""
    vectors = np.zeros((2 << DEPTH, DIMENSIONS))
    vectors[1] = rows.mean(axis=0)
    parts = {1: rows}
    for node in range(1, 1 << DEPTH):
        here = parts.pop(node)
        left, right = _cut(here) if len(here) >= LEAST else (here, here)
        for child, part in ((2 * node, left), (2 * node + 1, right)):
            vectors[child] = part.mean(axis=0)
            parts[child] = part
    return vectors


def _cut(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    axis = np.linalg.eigh(np.cov(rows.T))[1][:, -1]
    for _ in range(STEPS):
        along = rows @ axis
        right = along > np.median(along)
        if not 0 < right.sum() < len(rows):
            return rows, rows
        axis = rows[right].mean(axis=0) - rows[~right].mean(axis=0)
    return rows[~right], rows[right]


if __name__ == "__main__":
    main()
