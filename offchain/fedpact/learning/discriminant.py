"""The linear discriminant of noised class sums: an empirical-Bayes estimate, solved, not trained.

Each class has a score, linear in a document's rows; softmax turns scores and the classes' shares
into probabilities.

Words. W_cj = shrink_cj (M_cj - G_j) / (g_j + a): M_c is the class's mean row, G the mean of all.
Dividing by the mean is dividing by the variance as far as a rare word's variance is proportional
to its mean (diagonal discriminant analysis). Under noise single values are mostly noise, so the
estimates use what words of similar public frequency have in common: buckets fall into bins by
public word frequency, and each bin has its own mean of G and mean spread t^2 of M_c around G,
estimated from the released sums themselves (method of moments, less the known variance of the
noise; Efron & Morris 1973). Then g is the posterior mean of G, and shrink = t^2 / (t^2 + noise).

Dense rows. W_c = M_c - G: the rows come from word vectors that are white under public word
frequencies, so their spread within a class is assumed to be the same in all directions.

In both parts the direction in which the mean document itself would score is removed: it contains
the error of a class's count and the length of documents, nothing about their topics.

A class's scores are scaled to vary by about 1 over documents, then by the share of their power
that is not noise, so that a part or class that drowns in noise has little weight. Rows that are not
white, as those of a trained network, vary less in most directions than is assumed here: `Constants`
tempers their scores. All of this is post-processing of one release.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import ModelError
from fedpact.learning.text_statistics import Floats, Statistics, StatisticsLayout
from fedpact.privacy.linear_sums import softmax_probabilities

BINS = 64
TEXTURE = 0.1
"""A word row's typical value where it is not zero: var(x_j) is about TEXTURE * mean(x_j)."""


@dataclass(frozen=True)
class Constants:
    """The same for all collections, chosen on held-out training documents (docs/texts.md)."""

    least_share: float = 0.2
    """A bucket's mean counts as at least this share of its bin's."""
    smoothing: float = 0.2
    """`a` above, over the mean of g, without noise."""
    noised_smoothing: float = 3.2
    """Added to it in proportion to the share of noise: noise is as large for a rare word as for a
    common one."""
    sharpness: float = 0.5
    """Factor of the words' scores before the softmax: words do not occur independently."""
    dense_sharpness: float = 1.0
    """The same for dense rows, without noise: their directions may not be white."""
    noised_dense_sharpness: float = 0.0
    """Added to it in proportion to the share of noise in the dense sums: where words drown, dense
    rows count for more."""


CONSTANTS = Constants()


@dataclass(frozen=True)
class Discriminant:
    """Linear scores of word rows and dense rows."""

    words: Floats
    """Shape (labels, words)."""
    dense: Floats
    """Shape (labels, dense)."""
    offsets: Floats
    """Shape (labels,): logarithms of the classes' shares."""

    def predict(self, words: sparse.csr_matrix, dense: NDArray[np.float32] | None = None) -> Floats:
        """Probabilities (n, labels) of word rows (n, words) and dense rows (n, dense)."""
        if (dense is None) != (self.dense.shape[1] == 0):
            raise ModelError(
                "the discriminant and the documents must both have a dense part, or neither"
            )
        scores = np.asarray(words @ self.words.T) + self.offsets
        if dense is not None:
            scores = scores + dense.astype(np.float64) @ self.dense.T
        return softmax_probabilities(scores)


def solve(
    layout: StatisticsLayout,
    statistics: Statistics,
    frequencies: NDArray[np.float64],
    constants: Constants = CONSTANTS,
) -> Discriminant:
    """The discriminant of `statistics`; `frequencies` (words,) are the buckets' public ones."""
    counts = np.maximum(statistics.counts, 1.0)
    shares = counts / counts.sum()
    words = _word_part(statistics, counts, Buckets(frequencies), constants)
    dense = _dense_part(layout, statistics, counts, constants) if layout.dense else statistics.dense
    return Discriminant(constants.sharpness * words, dense, np.log(shares))


class Buckets:
    """Buckets of words in bins of similar public frequency."""

    def __init__(self, frequencies: NDArray[np.float64]) -> None:
        width = len(frequencies)
        self._count = min(BINS, width)
        self._bin = np.empty(width, dtype=np.int64)
        order = np.argsort(frequencies, kind="stable")
        self._bin[order] = np.arange(width) * self._count // width
        self._sizes = np.bincount(self._bin, minlength=self._count)

    def mean(self, values: Floats) -> Floats:
        """For each bucket the mean over its bin; shape of `values`."""
        sums = np.bincount(self._bin, weights=values, minlength=self._count)
        return np.asarray((sums / self._sizes)[self._bin])

    def posterior(self, values: Floats, noise: float) -> Floats:
        """Posterior means of values with this noise variance; the prior mean is the bin's."""
        prior = self.mean(values)
        spread = np.maximum(self.mean((values - prior) ** 2) - noise, 0.0)
        share = spread / (spread + noise) if noise > 0 else np.ones_like(spread)
        return np.asarray(prior + (values - prior) * share)


def _word_part(
    statistics: Statistics, counts: Floats, buckets: Buckets, constants: Constants
) -> Floats:
    """Weights (labels, words) of the scores of word rows; the mean document scores 0."""
    total = counts.sum()
    mean = statistics.words.sum(axis=0) / total
    mean_noise = statistics.variance.sum() / total**2
    typical = np.maximum(buckets.mean(mean), 1e-9)
    level = np.maximum(buckets.posterior(mean, mean_noise), constants.least_share * typical)

    # Of M_c - G: those of M_c and G, less what they share.
    noises = statistics.variance / counts**2 * (1 - 2 * counts / total) + mean_noise
    differences = statistics.words / counts[:, None] - mean
    squares = differences**2 - noises[:, None]
    weights = _precision(squares, noises)
    signal = buckets.posterior(weights @ squares, float(2 * ((weights * noises) ** 2).sum()))
    signal = np.maximum(signal, 0.0) + 1e-14

    shrink = signal / (signal + noises[:, None])
    smoothing = constants.smoothing + constants.noised_smoothing * (1 - shrink.mean())
    scale = level + smoothing * level.mean()
    metric = shrink / scale
    common = (differences * metric) @ level / ((metric * level) @ level)
    differences = differences - common[:, None] * level
    directions = differences * metric
    power = (directions**2 * level).sum(axis=1)
    noise_power = ((shrink / scale) ** 2 * level).sum(axis=1) * noises
    reliable = np.clip(1 - noise_power / np.maximum(power, 1e-300), 0.0, 1.0)
    factors = reliable / np.sqrt(np.maximum(power * TEXTURE, 1e-300))
    return np.asarray(directions * factors[:, None])


def _precision(squares: Floats, noises: Floats) -> Floats:
    """Shares of the classes (labels,) in an estimate of the signal's squares (labels, words): by
    precision, since a class of few documents adds little but noise."""
    noised = 1 / np.maximum(noises, 1e-30) ** 2
    signal = max(float(noised / noised.sum() @ squares.mean(axis=1)), 0.0)
    weights = 1 / np.maximum(noises + signal, 1e-30) ** 2
    return np.asarray(weights / weights.sum())


def _dense_part(
    layout: StatisticsLayout, statistics: Statistics, counts: Floats, constants: Constants
) -> Floats:
    """Weights (labels, dense) of the scores of dense rows; the mean document scores 0."""
    mean = statistics.dense.sum(axis=0) / counts.sum()
    noises = statistics.variance / layout.dense_weight**2 / counts**2
    directions = statistics.dense / counts[:, None] - mean
    common = directions @ mean / max(float(mean @ mean), 1e-300)
    directions = directions - common[:, None] * mean
    power = (directions**2).sum(axis=1)
    reliable = np.clip(1 - layout.dense * noises / np.maximum(power, 1e-300), 0.0, 1.0)
    # A white row of norm 1 varies by 1 / width in every direction.
    noised = constants.noised_dense_sharpness * (1 - reliable.mean())
    sharpness = constants.dense_sharpness + noised
    factors = sharpness * reliable * np.sqrt(layout.dense / np.maximum(power, 1e-300))
    return np.asarray(directions * factors[:, None])
