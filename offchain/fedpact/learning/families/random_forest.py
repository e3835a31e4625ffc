"""Random forests: grown from the data, or, under `sound`, random public splits and noised counts.

A sound forest's splits follow from the specification alone, so an artefact holds nothing but each
leaf's counts of the classes and what variance their noise has (`learning.trees.random_splits`).
"""

import math
from collections.abc import Collection
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from fedpact.data.dataset import Dataset, Inputs
from fedpact.errors import DataError, SpecificationError
from fedpact.features.text.hashing import HashedBag
from fedpact.features.text.rows import bag_rows
from fedpact.learning.artefact import Model, Template
from fedpact.learning.families.base import (
    ConstructedFamily,
    Construction,
    LocalModels,
    SummedFamily,
)
from fedpact.learning.families.trees import ShareFamily, TreeParameters
from fedpact.learning.noise_bounds import chi_lower, chi_upper, normal_bound
from fedpact.learning.text_statistics import summed_providers
from fedpact.learning.trees import training
from fedpact.learning.trees.ensemble import Ensemble
from fedpact.learning.trees.random_splits import (
    RandomForestLayout,
    exact_counts,
    noised_counts,
    term_chances,
    votes,
    weighted_counts,
)
from fedpact.privacy.linear_sums import softmax_probabilities
from fedpact.types.local_training import LocalConstruction
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

_ABOVE = 1 + 1e-4
"""Tolerance for counts stored in 32 bits."""


class RandomForestParameters(TreeParameters):
    """`trees` a provider grows; under `sound`, of the one forest that all count in."""

    trees: Annotated[int, Field(ge=1, le=2000)] = 20


class GrownForest(ShareFamily[RandomForestParameters]):
    """Breiman's forest at each provider."""

    name = "random-forest"
    schema = RandomForestParameters

    def trees(self, spec: Specification) -> int:
        return self.parameters(spec).trees

    def grown(
        self,
        spec: Specification,
        start: Ensemble,
        rows: sparse.csr_matrix,
        y: training.Targets,
        labels: int | None,
        seed: int,
    ) -> Ensemble:
        trees = self.trees(spec)
        return training.random_forest(rows, y, labels, trees, self.growth(spec), seed)


class SoundForest(SummedFamily[RandomForestParameters]):
    """Shared random splits of hashed words, and noised counts in the leaves."""

    name = "random-forest"
    tasks = frozenset({"classification"})
    unit = "a document"
    sound = True
    inputs = frozenset({"text"})
    aggregation = "union"
    strategies = ("fedavg", "algorithm-one")
    schema = RandomForestParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if self.parameters(spec).terms:
            raise SpecificationError(
                f"family {self.name}: mode sound splits by hashed words, it takes no terms"
            )
        if spec.rounds != 1:
            raise SpecificationError(
                f"family {self.name}: a second release adds nothing to the first: rounds must be "
                f"1, not {spec.rounds}"
            )

    def check_examples(self, spec: Specification, x: Inputs) -> None:
        """Raise DataError if no text has a word that counts."""
        if self._rows(spec, x).nnz == 0:
            raise DataError(f"none of {len(x)} documents has a word that says anything")

    def template(self, spec: Specification) -> Template:
        layout = self._layout(spec)
        return Template((("counts", layout.shape), ("variance", (layout.labels,))))

    def initial(self, spec: Specification, seed: int) -> Model:
        """Nothing released: zeros, whatever the seed."""
        tensors = self.template(spec).tensors
        return {name: np.zeros(shape, np.float32) for name, shape in tensors}

    def construct(self, spec: Specification, given: Construction) -> Model:
        layout = self._layout(spec)
        released = noised_counts(
            layout,
            _splits(layout, self.parameters(spec).bits),
            self._rows(spec, given.dataset.x),
            given.dataset.y.astype(np.int64),
            noise_multiplier=spec.privacy.noise_multiplier or 0.0,
            noise=given.noise,
        )
        variance = np.full(layout.labels, self.sum_std(spec) ** 2, np.float32)
        return {"counts": released.value, "variance": variance}

    def sum_size(self, spec: Specification) -> int:
        return math.prod(self._layout(spec).shape)

    def sum_std(self, spec: Specification) -> float:
        return self._layout(spec).noise_std(spec.privacy.noise_multiplier or 0.0)

    def summed(self, spec: Specification, dataset: Dataset) -> NDArray[np.float64]:
        layout, rows = self._layout(spec), self._rows(spec, dataset.x)
        splits = _splits(layout, self.parameters(spec).bits)
        return exact_counts(layout, splits, rows, dataset.y.astype(np.int64)).reshape(-1)

    def of_sum(self, spec: Specification, values: NDArray[np.float64], members: int) -> Model:
        layout = self._layout(spec)
        variance = np.full(layout.labels, members * self.sum_std(spec) ** 2, np.float32)
        return {"counts": values.reshape(layout.shape).astype(np.float32), "variance": variance}

    def combine(self, spec: Specification, local: LocalModels) -> Model:
        """The sum, each class's counts weighted by their own estimate of reliability."""
        released = [local.models[seat] for seat in sorted(local.models)]
        own, counts = self.sum_std(spec), [one["counts"] for one in released]
        stds = [own * math.sqrt(summed_providers(one["variance"], own)) for one in released]
        total, variance = weighted_counts(self._layout(spec), counts, stds)
        return {"counts": total.astype(np.float32), "variance": variance.astype(np.float32)}

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        """Softmax of the votes, in units of their spread if the trees were independent."""
        layout = self._layout(spec)
        splits = _splits(layout, self.parameters(spec).bits)
        voting = votes(splits, model["counts"].astype(np.float64), model["variance"])
        spread = math.sqrt(float(voting.value.astype(np.float64).var(axis=1).sum(axis=0).mean()))
        return softmax_probabilities(voting.output(self._rows(spec, x)) / max(spread, 1e-12))

    def plausible(self, spec: Specification, start: Model, model: Model, samples: int) -> bool:
        """Whether `samples` documents, each in one leaf of every tree, and the declared noise can
        give these counts; an honest release fails with probability 10^-9 a bound at most."""
        layout, std = self._layout(spec), self.sum_std(spec)
        if not np.array_equal(model["variance"], np.full(layout.labels, std**2, np.float32)):
            return False
        counts = model["counts"].astype(np.float64)
        off = std * math.sqrt(counts.size) / layout.trees * normal_bound()
        if abs(float(counts.sum()) / layout.trees - samples) > off * _ABOVE:
            return False
        if not self.plausible_sum(spec, model, 1, samples):
            return False
        # Every tree counts the same documents, so their totals differ only by noise.
        totals = counts.sum(axis=1)
        spread = float(np.sqrt(((totals - totals.mean(axis=0)) ** 2).sum()))
        free, each = (layout.trees - 1) * layout.labels, std * math.sqrt(2**layout.depth)
        return each * chi_lower(free) / _ABOVE <= spread <= each * chi_upper(free) * _ABOVE

    def plausible_sum(self, spec: Specification, model: Model, members: int, samples: int) -> bool:
        layout, counts = self._layout(spec), model["counts"].astype(np.float64)
        std = self.sum_std(spec) * math.sqrt(members)
        norm = float(np.sqrt((counts**2).sum()))
        most = math.sqrt(layout.trees) * samples + std * chi_upper(counts.size)
        return norm <= most * _ABOVE

    def _layout(self, spec: Specification) -> RandomForestLayout:
        asked = self.parameters(spec)
        assert isinstance(spec.local, LocalConstruction)
        seed = spec.local.construction_seed
        return RandomForestLayout(asked.trees, asked.depth, len(spec.labels), seed)

    def _rows(self, spec: Specification, x: Inputs) -> sparse.csr_matrix:
        return bag_rows(HashedBag(bits=self.parameters(spec).bits), x.tolist())


@lru_cache(maxsize=4)
def _splits(layout: RandomForestLayout, bits: int) -> Ensemble:
    return layout.splits(term_chances(HashedBag(bits=bits)))


class RandomForest(SummedFamily[RandomForestParameters]):
    """Grown or sound, by the specification's privacy mode."""

    name = "random-forest"
    tasks = frozenset({"classification", "regression"})
    unit = "a document, or a record of numbers"
    sound = True
    paper = True
    inputs = frozenset({"numbers", "text"})
    aggregation = "union"
    strategies = ("fedavg", "algorithm-one")
    schema = RandomForestParameters

    def check(self, spec: Specification) -> None:
        self.form(spec).check(spec)

    def check_examples(self, spec: Specification, x: Inputs) -> None:
        self.form(spec).check_examples(spec, x)

    def template(self, spec: Specification) -> Template:
        return self.form(spec).template(spec)

    def initial(self, spec: Specification, seed: int) -> Model:
        return self.form(spec).initial(spec, seed)

    def construct(self, spec: Specification, given: Construction) -> Model:
        return self.form(spec).construct(spec, given)

    def combine(self, spec: Specification, local: LocalModels) -> Model:
        return self.form(spec).combine(spec, local)

    def coalition(self, spec: Specification, local: LocalModels, players: Collection[int]) -> Model:
        return self.form(spec).coalition(spec, local, players)

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        return self.form(spec).predict(spec, model, x)

    def plausible(self, spec: Specification, start: Model, model: Model, samples: int) -> bool:
        return self.form(spec).plausible(spec, start, model, samples)

    def sum_size(self, spec: Specification) -> int:
        return _SOUND.sum_size(spec)

    def sum_std(self, spec: Specification) -> float:
        return _SOUND.sum_std(spec)

    def summed(self, spec: Specification, dataset: Dataset) -> NDArray[np.float64]:
        return _SOUND.summed(spec, dataset)

    def of_sum(self, spec: Specification, values: NDArray[np.float64], members: int) -> Model:
        return _SOUND.of_sum(spec, values, members)

    def plausible_sum(self, spec: Specification, model: Model, members: int, samples: int) -> bool:
        return _SOUND.plausible_sum(spec, model, members, samples)

    def form(self, spec: Specification) -> ConstructedFamily[RandomForestParameters]:
        """Grown or sound, as the specification asks."""
        return _SOUND if spec.privacy.mode is PrivacyMode.SOUND else _GROWN


_GROWN, _SOUND = GrownForest(), SoundForest()
