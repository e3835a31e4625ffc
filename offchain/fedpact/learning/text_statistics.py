"""One-round sufficient statistics: noised class sums for a linear discriminant.

Each provider makes one joint Gaussian release: for every class the sum of its documents' word rows
(norm at most 1) and the number of its documents, times `count_weight`; with a dense part, also the
sums of its rows (norm at most 1, times `dense_weight`). The global model is a weighted sum of the
releases. The discriminant is solved from it and costs no more privacy.

Sensitivity. A document adds one vector of norm at most s = sqrt(1 + counts^2 + dense^2) (the
weights), so replacing it by nothing moves the release by at most s. Replacing it by one of another
class: at most sqrt(2) s, since the two change different values. By one of its own class: at most
sqrt(2 + 4 dense^2), since word rows have no negative value, so that their inner product is at least
0, dense rows may be opposite, and the counts cancel.

Without noise all sums are sums of integers (multiples of 2^-24), so that the model is the same,
byte for byte, however the documents are split across providers.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError, ModelError, PrivacyError
from fedpact.learning.artefact import Model, Template
from fedpact.privacy.accounting import PrivacyCost, gaussian_cost
from fedpact.privacy.noise import NoiseSource, rounding_sensitivity

FRACTION = 2.0**-24
"""Step of the fixed-point numbers."""
_MARGIN = 1.0 - 2.0**-20
"""Rows are shortened by this factor first, so that 32-bit rounding exceeds no norm."""


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StatisticsLayout:
    """Sizes of a release, and how its parts are weighted against each other in the noise."""

    labels: int
    words: int
    """Width of the word rows."""
    dense: int = 0
    """Width of the dense rows; 0 without a dense part."""
    count_weight: float = 0.2
    dense_weight: float = 0.8

    def __post_init__(self) -> None:
        if self.labels < 2 or self.words < 1 or self.dense < 0:
            raise ModelError(
                f"statistics of {self.labels} labels, {self.words} + {self.dense} values an example"
            )
        if not (self.count_weight > 0 and self.dense_weight > 0):
            raise ModelError("statistics: the weights of all parts must be positive")

    @property
    def sensitivity(self) -> float:
        """L2, one document replaced by nothing."""
        return math.sqrt(1 + self.count_weight**2 + self._dense_square)

    @property
    def replacement_sensitivity(self) -> float:
        """L2, one document replaced by any other."""
        other_class = 2 * (1 + self.count_weight**2 + self._dense_square)
        return math.sqrt(max(other_class, 2 + 4 * self._dense_square))

    @property
    def _dense_square(self) -> float:
        return self.dense_weight**2 if self.dense else 0.0

    @property
    def template(self) -> Template:
        """Tensors of a release and of the global model."""
        tensors: dict[str, tuple[int, ...]] = {
            "counts": (self.labels,),
            "variance": (self.labels,),
            "words.high": (self.labels, self.words),
            "words.low": (self.labels, self.words),
        }
        if self.dense:
            for part in ("high", "low"):
                tensors[f"dense.{part}"] = (self.labels, self.dense)
        return Template(tuple(sorted(tensors.items())))

    @property
    def size(self) -> int:
        """Values of a release."""
        return self.labels * (1 + self.words + self.dense)

    def noise_std(self, noise_multiplier: float) -> float:
        """Standard deviation of the noise on each released value, in a document's word norm."""
        if noise_multiplier == 0:
            return 0.0
        std = noise_multiplier * self.sensitivity
        return std + noise_multiplier * rounding_sensitivity(self.size, std)


@dataclass(frozen=True)
class Statistics:
    """Sums in units of one document, and the variance that noise has added in each class."""

    counts: Floats
    """Shape (labels,)."""
    variance: Floats
    """Shape (labels,): noise variance of each value of the class's word sums."""
    words: Floats
    """Shape (labels, words)."""
    dense: Floats
    """Shape (labels, dense)."""

    def model(self) -> Model:
        """As tensors; sums are two 32-bit numbers each, so that 48-bit integers stay exact."""
        tensors = {
            "counts": self.counts.astype(np.float32),
            "variance": self.variance.astype(np.float32),
            **_halves("words", self.words),
        }
        if self.dense.size:
            tensors |= _halves("dense", self.dense)
        return tensors

    def weighted(self, layout: StatisticsLayout) -> Floats:
        """All sums, (layout.size,), each part with its weight in the noise."""
        parts = (layout.count_weight * self.counts, self.words, layout.dense_weight * self.dense)
        return np.concatenate([part.reshape(-1) for part in parts])

    @classmethod
    def of_weighted(cls, layout: StatisticsLayout, values: Floats, std: float) -> "Statistics":
        """The sums of which `values`, (layout.size,), are `weighted`, with noise of `std`."""
        ends = np.cumsum([layout.labels, layout.labels * layout.words])
        counts, words, dense = np.split(values, ends)
        return cls(
            counts / layout.count_weight,
            np.full(layout.labels, std**2),
            words.reshape(layout.labels, layout.words),
            dense.reshape(layout.labels, layout.dense) / layout.dense_weight,
        )

    @classmethod
    def of(cls, model: Model) -> "Statistics":
        labels = len(model["counts"])
        none: Floats = np.zeros((labels, 0))
        return cls(
            model["counts"].astype(np.float64),
            model["variance"].astype(np.float64),
            _whole("words", model),
            _whole("dense", model) if "dense.high" in model else none,
        )


Block = tuple[sparse.csr_matrix, NDArray[np.int64], NDArray[np.float32] | None]
"""Some of a provider's documents: word rows (n, layout.words) of norm at most 1, none negative;
classes (n,); dense rows (n, layout.dense) of norm at most 1, None without a dense part."""


def release(
    layout: StatisticsLayout,
    words: sparse.csr_matrix,
    y: NDArray[np.int64],
    dense: NDArray[np.float32] | None = None,
    *,
    noise_multiplier: float = 0.0,
    noise: NoiseSource | None = None,
) -> Statistics:
    """One provider's release from documents in one block; see `release_of_blocks`."""
    return release_of_blocks(
        layout, [(words, y, dense)], noise_multiplier=noise_multiplier, noise=noise
    )


def release_of_blocks(
    layout: StatisticsLayout,
    blocks: Iterable[Block],
    *,
    noise_multiplier: float = 0.0,
    noise: NoiseSource | None = None,
) -> Statistics:
    """One provider's release, from documents read block by block.

    The sums are exact, so that the release does not depend on the blocks, and only one block needs
    to be in memory.

    Args:
        noise_multiplier: standard deviation of the noise over the sensitivity; 0 without privacy.
        noise: source of its random bits.

    Raises DataError for no documents, unless there is noise, and for parts that do not fit;
    PrivacyError for a noise multiplier without a source of noise.
    """
    if noise_multiplier and noise is None:
        raise PrivacyError(f"noise multiplier {noise_multiplier:g}, but no source of noise")
    found = exact_sums(layout, blocks)
    if noise is None and not found.counts.any():
        raise DataError("statistics: no documents")
    std = layout.noise_std(noise_multiplier)

    def noised(values: Floats, weight: float) -> Floats:
        if noise is None or std == 0:
            return values
        scaled = np.atleast_2d(values * weight)
        # Row by row: the sampler's data stay in the processor's cache.
        return np.stack([noise.add(row, std) for row in scaled]).reshape(values.shape) / weight

    dense = noised(found.dense, layout.dense_weight) if layout.dense else found.dense
    return Statistics(
        noised(found.counts, layout.count_weight),
        np.full(layout.labels, std**2),
        noised(found.words, 1.0),
        dense,
    )


def exact_sums(layout: StatisticsLayout, blocks: Iterable[Block]) -> Statistics:
    """The sums over documents, read block by block, without noise; of none zeros.

    Raises DataError for parts that do not fit.
    """
    counts = np.zeros(layout.labels)
    word_sums = np.zeros((layout.labels, layout.words))
    dense_sums = np.zeros((layout.labels, layout.dense))
    for words, y, dense in blocks:
        _check(layout, words, y, dense)
        if not len(y):
            continue
        members = sparse.csr_matrix(
            (np.ones(len(y), np.int64), (y, np.arange(len(y)))), shape=(layout.labels, len(y))
        )
        counts += np.bincount(y, minlength=layout.labels)
        steps = (words.data.astype(np.float64) * (_MARGIN / FRACTION)).astype(np.int64)
        fixed = sparse.csr_matrix((steps, words.indices, words.indptr), shape=words.shape)
        word_sums += (members @ fixed).toarray() * FRACTION
        if dense is not None:
            exact = np.trunc(dense.astype(np.float64) * (_MARGIN / FRACTION))
            dense_sums += np.asarray(members @ exact) * FRACTION
    return Statistics(counts, np.zeros(layout.labels), word_sums, dense_sums)


def combine(
    layout: StatisticsLayout, models: Mapping[int, Model], noise_multiplier: float
) -> Statistics:
    """The global statistics of at least one release, by seat; the same bytes for everyone.

    Without noise a plain sum. With noise a provider without documents of a class adds nothing but
    noise to it, so each class's sums are weighted by the released counts:
    u = n^3 / (n^2 + t^2), n the released count (at least 0) and t its noise's standard deviation,
    over the largest u of the class. This only post-processes public values. The sum of several
    providers has the noise of all of them.
    """
    if not models:
        raise ModelError("no statistics to combine")
    parts = [Statistics.of(models[seat]) for seat in sorted(models)]
    own = layout.noise_std(noise_multiplier)
    stds = [own * math.sqrt(summed_providers(part.variance, own)) for part in parts]
    weights = class_weights(
        [part.counts for part in parts], [std / layout.count_weight for std in stds]
    )
    counts, variance = np.zeros(layout.labels), np.zeros(layout.labels)
    words = np.zeros((layout.labels, layout.words))
    dense = np.zeros((layout.labels, layout.dense))
    for part, weight, std in zip(parts, weights, stds, strict=True):
        counts += weight * part.counts
        variance += weight**2 * std**2
        words += weight[:, None] * part.words
        dense += weight[:, None] * part.dense
    return Statistics(counts, variance, words, dense)


def summed_providers(variance: NDArray[np.floating[Any]], own: float) -> int:
    """How many providers' noise, of standard deviation `own` each, a release's variance is; 1
    without noise."""
    return round(float(variance[0]) / own**2) if own else 1


def class_weights(counts: list[Floats], stds: list[float]) -> list[Floats]:
    """Weight in [0, 1] of each provider's sums of each class. `stds`: of the counts' noise."""
    if not any(stds):
        return [np.ones_like(one) for one in counts]
    useful = [np.maximum(one, 0.0) for one in counts]
    useful = [
        one * one * one / (one * one + std * std) for one, std in zip(useful, stds, strict=True)
    ]
    largest = np.maximum.reduce(useful)
    return [one / np.where(largest > 0, largest, 1.0) for one in useful]


def cost(layout: StatisticsLayout, noise_multiplier: float, delta: float) -> PrivacyCost:
    """(epsilon, delta) of one release, one document the unit; Balle & Wang 2018, theorem 8."""
    larger = layout.replacement_sensitivity / layout.sensitivity
    return gaussian_cost(1 / noise_multiplier, delta, replacement=larger)


def _check(
    layout: StatisticsLayout,
    words: sparse.csr_matrix,
    y: NDArray[np.int64],
    dense: NDArray[np.float32] | None,
) -> None:
    if words.shape != (len(y), layout.words):
        raise DataError(f"statistics: word rows of shape {words.shape} for {len(y)} classes")
    shape = None if dense is None else dense.shape
    if shape != ((len(y), layout.dense) if layout.dense else None):
        raise DataError(f"statistics: dense rows of shape {shape}, not {layout.dense} values")
    if len(y) and (y.min() < 0 or y.max() >= layout.labels):
        raise DataError(f"statistics: classes {y.min()} to {y.max()} of {layout.labels}")


def _halves(name: str, values: Floats) -> Model:
    high = values.astype(np.float32)
    return {f"{name}.high": high, f"{name}.low": (values - high).astype(np.float32)}


def _whole(name: str, model: Model) -> Floats:
    return model[f"{name}.high"].astype(np.float64) + model[f"{name}.low"]
