"""Class sums of texts, released once, and the linear discriminant solved from their sum.

A local model is one provider's release (`learning.text_statistics`), the global model a weighted
sum of releases; both have one template, and predictions come from the discriminant that either
gives. Nothing is trained: one round is all there is.
"""

import math
from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from fedpact.data.dataset import Dataset, Inputs
from fedpact.errors import DataError, SpecificationError
from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.hashing import MAX_BITS, HashedBag
from fedpact.features.text.rows import bag_rows, vector_rows
from fedpact.features.text.word_vectors import WIDTH, check_table
from fedpact.learning.artefact import Model, Template
from fedpact.learning.discriminant import CONSTANTS, Constants, solve
from fedpact.learning.families.base import (
    MIN_BUCKET_BITS,
    Construction,
    LocalModels,
    SummedFamily,
)
from fedpact.learning.noise_bounds import chi_lower, chi_upper, normal_bound
from fedpact.learning.text_statistics import (
    Floats,
    Statistics,
    StatisticsLayout,
    combine,
    exact_sums,
    release,
)
from fedpact.types.document import Document
from fedpact.types.specification import Specification

_ROUNDING = 1e-5
"""Relative tolerance for sums stored in 32-bit halves."""


class ClassSumsParameters(Document):
    """`bits`: 2^bits buckets of hashed words. The weights share the noise out between words, counts
    and dense rows."""

    bits: Annotated[int, Field(ge=MIN_BUCKET_BITS, le=MAX_BITS)] = 14
    count_weight: Annotated[float, Field(ge=1e-3, le=1e3)] = 0.2
    dense_weight: Annotated[float, Field(ge=1e-3, le=1e3)] = 0.8


P = TypeVar("P", bound=ClassSumsParameters)


class ClassSums(SummedFamily[P]):
    """Sums of word rows, and of the dense rows that a subclass adds to them."""

    tasks = frozenset({"classification"})
    unit = "a document"
    sound = True
    inputs = frozenset({"text"})
    aggregation = "class-sums"
    strategies = ("fedavg",)
    constants: ClassVar[Constants] = CONSTANTS
    """Of the discriminant."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if spec.rounds != 1:
            raise SpecificationError(
                f"family {self.name}: a second release adds nothing to the first: rounds must be "
                f"1, not {spec.rounds}"
            )

    @abstractmethod
    def dense_width(self, spec: Specification) -> int:
        """Values of a dense row; 0: there are none."""

    @abstractmethod
    def dense_rows(self, spec: Specification, x: Inputs) -> NDArray[np.float32] | None:
        """The examples' dense rows, (n, dense_width) of norm 1 at most; None if there are none."""

    def texts(self, x: Inputs) -> list[str]:
        """The examples' texts."""
        return list(x.tolist())

    def check_examples(self, spec: Specification, x: Inputs) -> None:
        """Raise DataError if no document has a word that counts."""
        if self._words(spec, x).nnz == 0:
            raise DataError(
                f"none of {len(x)} documents has a word that says anything: they are empty, or "
                "hold nothing but the commonest words"
            )

    def template(self, spec: Specification) -> Template:
        return self._layout(spec).template

    def initial(self, spec: Specification, seed: int) -> Model:
        """Nothing released: zeros, whatever the seed."""
        tensors = self.template(spec).tensors
        return {name: np.zeros(shape, np.float32) for name, shape in tensors}

    def construct(self, spec: Specification, given: Construction) -> Model:
        words, dense = self._rows(spec, given.dataset.x)
        found = release(
            self._layout(spec),
            words,
            given.dataset.y.astype(np.int64),
            dense,
            noise_multiplier=_multiplier(spec),
            noise=given.noise,
        )
        return found.model()

    def sum_size(self, spec: Specification) -> int:
        return self._layout(spec).size

    def sum_std(self, spec: Specification) -> float:
        return self._layout(spec).noise_std(_multiplier(spec))

    def summed(self, spec: Specification, dataset: Dataset) -> NDArray[np.float64]:
        layout, (words, dense) = self._layout(spec), self._rows(spec, dataset.x)
        block = (words, dataset.y.astype(np.int64), dense)
        return exact_sums(layout, [block]).weighted(layout)

    def of_sum(self, spec: Specification, values: NDArray[np.float64], members: int) -> Model:
        std = self.sum_std(spec) * math.sqrt(members)
        return Statistics.of_weighted(self._layout(spec), values, std).model()

    def combine(self, spec: Specification, local: LocalModels) -> Model:
        """The sum, each class's parts weighted by the released counts; the declared samples add no
        information."""
        return combine(self._layout(spec), local.models, _multiplier(spec)).model()

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        """See the base class; before the first release all classes are equally likely."""
        statistics = Statistics.of(model)
        if not statistics.words.any():
            return np.full((len(x), spec.outputs), 1 / spec.outputs)
        frequencies = bucket_frequencies(self.parameters(spec).bits)
        solved = solve(self._layout(spec), statistics, frequencies, self.constants)
        return solved.predict(*self._rows(spec, x))

    def plausible(self, spec: Specification, start: Model, model: Model, samples: int) -> bool:
        """Whether `samples` documents, each a row of norm 1 in one class, and the declared noise
        can give this release; an honest one fails with probability 10^-9 a bound at most."""
        layout, found = self._layout(spec), Statistics.of(model)
        std = layout.noise_std(_multiplier(spec))
        if not np.array_equal(model["variance"], np.full(layout.labels, std**2, np.float32)):
            return False
        if std == 0:
            return _exact_sums(found, samples)
        off = std / layout.count_weight * math.sqrt(layout.labels) * normal_bound()
        if abs(float(found.counts.sum()) - samples) > off:
            return False
        noised = all(
            _norm(values) >= one * chi_lower(values.size - 1) * (1 - _ROUNDING)
            for values, one in _parts(layout, found, std)
        )
        return noised and self.plausible_sum(spec, model, 1, samples)

    def plausible_sum(self, spec: Specification, model: Model, members: int, samples: int) -> bool:
        """Sums over classes have norm `samples` at most, and the rest is noise."""
        layout, found = self._layout(spec), Statistics.of(model)
        std = self.sum_std(spec) * math.sqrt(members)
        counts = (found.counts, std / layout.count_weight)
        return all(
            _norm(values) <= (samples + one * chi_upper(values.size)) * (1 + _ROUNDING)
            for values, one in [counts, *_parts(layout, found, std)]
        )

    def _layout(self, spec: Specification) -> StatisticsLayout:
        asked = self.parameters(spec)
        return StatisticsLayout(
            len(spec.labels),
            1 << asked.bits,
            self.dense_width(spec),
            asked.count_weight,
            asked.dense_weight,
        )

    def _rows(
        self, spec: Specification, x: Inputs
    ) -> tuple[sparse.csr_matrix, NDArray[np.float32] | None]:
        return self._words(spec, x), self.dense_rows(spec, x)

    def _words(self, spec: Specification, x: Inputs) -> sparse.csr_matrix:
        return bag_rows(HashedBag(bits=self.parameters(spec).bits), self.texts(x))


class TextStatisticsParameters(ClassSumsParameters):
    """`vectors`: 1 adds sums of public word vectors (extra `text`, which every provider and the
    requester need then)."""

    vectors: Literal[0, 1] = 0


class TextStatistics(ClassSums[TextStatisticsParameters]):
    name = "text-statistics"
    schema = TextStatisticsParameters

    def check(self, spec: Specification) -> None:
        """See the base class; with `vectors`, also raises DataMissing if the public word table is
        not installed: whoever takes part must know that before."""
        super().check(spec)
        if self.parameters(spec).vectors:
            check_table()

    def dense_width(self, spec: Specification) -> int:
        return WIDTH if self.parameters(spec).vectors else 0

    def dense_rows(self, spec: Specification, x: Inputs) -> NDArray[np.float32] | None:
        return vector_rows(self.texts(x)) if self.parameters(spec).vectors else None


def _multiplier(spec: Specification) -> float:
    return spec.privacy.noise_multiplier or 0.0


def _exact_sums(found: Statistics, samples: int) -> bool:
    """Whether counts are whole and add up to the samples, and no sum is too large for its class."""
    counts = found.counts
    if (counts < 0).any() or (counts != np.floor(counts)).any() or counts.sum() != samples:
        return False
    longest = counts * (1 + _ROUNDING)
    if (found.words < 0).any() or (np.sqrt((found.words**2).sum(axis=1)) > longest).any():
        return False
    return not (np.sqrt((found.dense**2).sum(axis=1)) > longest).any()


def _parts(layout: StatisticsLayout, found: Statistics, std: float) -> list[tuple[Floats, float]]:
    """The sums of rows, with the standard deviation of their noise."""
    parts = [(found.words, std), (found.dense, std / layout.dense_weight)]
    return [(values, one) for values, one in parts if values.size]


def _norm(values: Floats) -> float:
    return float(np.sqrt((values**2).sum()))
