"""Sound forests: random splits that no data choose, and noised counts in the leaves.

All trees of all providers have the same splits, drawn from a public seed: at every node a random
public term and threshold 0, "does the text have this term". A document falls into one leaf of each
of T trees, so that the count of each class in each leaf is a sum to which it adds a vector of T
ones: L2 norm sqrt(T). One Gaussian release; providers' counts are added (after Geurts et al. 2006
for random trees, Fletcher & Islam 2017 for their noised leaves).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError, ModelError, PrivacyError
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.hashing import HashedBag
from fedpact.learning.text_statistics import class_weights
from fedpact.learning.trees.ensemble import Ensemble, template
from fedpact.privacy.noise import NoiseSource, rounding_sensitivity

WORDS_OF_A_TEXT = 200.0
"""Assumed length that turns a word's frequency into the chance that a text has it."""


@dataclass(frozen=True)
class RandomForestLayout:
    """What is public about a sound forest."""

    trees: int
    depth: int
    labels: int
    seed: int

    @property
    def sensitivity(self) -> float:
        """L2 of all counts, one document replaced by nothing; sqrt(2) times that by any other."""
        return math.sqrt(self.trees)

    def noise_std(self, noise_multiplier: float) -> float:
        """Standard deviation of the noise of a count."""
        std = noise_multiplier * self.sensitivity
        if std == 0:
            return 0.0
        return std + noise_multiplier * rounding_sensitivity(math.prod(self.shape), std)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the counts: trees, leaves, labels."""
        return self.trees, 2**self.depth, self.labels

    def splits(self, chances: NDArray[np.float64]) -> Ensemble:
        """The trees with leaves of 0; `chances` (width,): how likely each feature is drawn.

        On no path does a feature occur twice. Raises ModelError if there are too few features.
        """
        if int((chances > 0).sum()) < self.depth:
            raise ModelError(f"trees of depth {self.depth} need at least {self.depth} features")
        shapes = dict(template(self.trees, self.depth, self.labels).tensors)
        generator = np.random.Generator(np.random.PCG64(self.seed))
        share = np.cumsum(chances / chances.sum())
        nodes = shapes["feature"][1]
        feature = np.empty(shapes["feature"], dtype=np.int64)
        for node in range(nodes):
            above = _ancestors(node)
            feature[:, node] = _draw(generator, share, feature[:, above])
        return Ensemble(
            feature,
            np.zeros(shapes["threshold"], np.float32),
            np.zeros(shapes["value"], np.float32),
        )


def noised_counts(
    layout: RandomForestLayout,
    splits: Ensemble,
    rows: sparse.csr_matrix,
    y: NDArray[np.int64],
    *,
    noise_multiplier: float = 0.0,
    noise: NoiseSource | None = None,
) -> Ensemble:
    """A provider's release: the splits with noised counts (T, 2^d, labels) for leaves.

    Raises DataError for no rows, unless there is noise, and PrivacyError for a noise multiplier
    without a source of noise.
    """
    if rows.shape[0] != len(y) or (noise is None and len(y) == 0):
        raise DataError(f"trees: {rows.shape[0]} rows of {len(y)} classes")
    if noise_multiplier and noise is None:
        raise PrivacyError(f"noise multiplier {noise_multiplier:g}, but no source of noise")
    counts = exact_counts(layout, splits, rows, y)
    std = layout.noise_std(noise_multiplier)
    if noise is not None and std > 0:
        counts = np.stack([noise.add(tree, std) for tree in counts])
    return Ensemble(
        splits.feature, splits.threshold, counts.reshape(layout.shape).astype(np.float32)
    )


def exact_counts(
    layout: RandomForestLayout,
    splits: Ensemble,
    rows: sparse.csr_matrix,
    y: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The counts before noise, (T, 2^d * labels); of no rows zeros."""
    leaves = splits.leaves(rows)
    size = 2**layout.depth * layout.labels
    return np.stack(
        [
            np.bincount(leaves[:, tree] * layout.labels + y, minlength=size)
            for tree in range(layout.trees)
        ]
    ).astype(np.float64)


def voting(
    layout: RandomForestLayout, released: Sequence[Ensemble], noise_multiplier: float
) -> Ensemble:
    """The global forest of the providers' counts: `votes` of their `weighted_counts`.

    Raises ModelError for no counts, or for counts of other splits.
    """
    if not released:
        raise ModelError("no forests to add up")
    first = released[0]
    if any((one.feature != first.feature).any() for one in released):
        raise ModelError("forests of different splits cannot be added up")
    counts, std = [one.value for one in released], layout.noise_std(noise_multiplier)
    return votes(first, *weighted_counts(layout, counts, [std] * len(counts)))


def weighted_counts(
    layout: RandomForestLayout, released: Sequence[NDArray[np.float32]], stds: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of at least one provider's counts, (T, 2^d, labels), and its noise's variance, (labels,).

    Each provider's counts of a class, whose noise has standard deviation `stds`, are weighted by
    `text_statistics.class_weights`.
    """
    counts = [one.astype(np.float64) for one in released]
    # Every tree counts all documents: the mean over the trees has little noise.
    classes = [one.sum(axis=1).mean(axis=0) for one in counts]
    spread = math.sqrt(2**layout.depth / layout.trees)
    weights = class_weights(classes, [std * spread for std in stds])
    total, variance = np.zeros(counts[0].shape), np.zeros(layout.labels)
    for count, weight, std in zip(counts, weights, stds, strict=True):
        total += weight * count
        variance += (weight * std) ** 2
    return total, variance


def votes(
    splits: Ensemble, total: NDArray[np.float64], variance: NDArray[np.floating[Any]]
) -> Ensemble:
    """The forest that votes by counts (T, 2^d, labels) with this noise variance.

    A leaf votes by how much more often a class falls into it than all documents do:
    (n_lc - n_c q_l) / (n_c q_l + a), n_c the class's count, q_l the leaf's share, a the noise's
    standard deviation (at least 1). Votes are linear in the counts, so noise averages out over the
    trees.
    """
    size = total.sum(axis=1).mean(axis=0)
    spare = np.maximum(np.sqrt(variance), 1.0)
    share = np.maximum(total.sum(axis=2, keepdims=True) / max(float(size.sum()), 1.0), 0.0)
    expected = share * np.maximum(size, 0.0)
    cast = (total - expected) / (expected + spare) / len(total)
    return Ensemble(splits.feature, splits.threshold, cast.astype(np.float32))


def term_chances(bag: HashedBag) -> NDArray[np.float64]:
    """How likely each bucket is drawn for a split: by the public variance of "the text has such a
    word" and the word's weight; (bag.width,)."""
    occurs = -np.expm1(-WORDS_OF_A_TEXT * bucket_frequencies(bag.bits))
    return np.asarray(occurs * (1 - occurs) * bag.weights())


def _ancestors(node: int) -> list[int]:
    above = []
    while node > 0:
        node = (node - 1) // 2
        above.append(node)
    return above


def _draw(
    generator: np.random.Generator, share: NDArray[np.float64], taken: NDArray[np.int64]
) -> NDArray[np.int64]:
    """One feature for each tree by its share, except those taken (T, above)."""
    drawn = np.searchsorted(share, generator.random(len(taken)), side="right")
    again = (drawn[:, None] == taken).any(axis=1)
    while again.any():
        drawn[again] = np.searchsorted(share, generator.random(int(again.sum())), side="right")
        again = (drawn[:, None] == taken).any(axis=1)
    return drawn.astype(np.int64)
