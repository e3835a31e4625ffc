"""Trees as shared models (Lu et al. 2020): a decision tree, a random forest, boosted trees.

A model has a slot for every tree that all providers can add in all rounds; unused slots hold zeros.
A local model is the round's global model with the provider's trees in the next slots. The global
model takes the trees of all, with weighted leaves, so that its output is the mean of theirs.

Under mode `paper` each provider's vectors have Laplace noise, drawn once for all rounds, and so
have the leaf values that it sends (equation 4): the paper's claim, not a guarantee.
"""

import math
from abc import abstractmethod
from collections.abc import Collection
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from fedpact.data.dataset import Inputs
from fedpact.errors import DataError, PrivacyError, SpecificationError
from fedpact.features.text.graphs import public_vocabulary
from fedpact.features.text.hashing import MAX_BITS, HashedBag
from fedpact.features.text.rows import bag_rows, graph_rows
from fedpact.learning.aggregation.base import total_weight
from fedpact.learning.artefact import Model, Template
from fedpact.learning.families.base import (
    MIN_BUCKET_BITS,
    ConstructedFamily,
    Construction,
    LocalModels,
)
from fedpact.learning.trees import training
from fedpact.learning.trees.ensemble import (
    LARGEST,
    Ensemble,
    template,
    union,
)
from fedpact.learning.trees.training import Growth
from fedpact.privacy.laplace import add_laplace, generator_of, scale_of
from fedpact.privacy.linear_sums import softmax_probabilities
from fedpact.privacy.noise import NoiseSource
from fedpact.types.document import Document
from fedpact.types.local_training import LocalConstruction
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

MAX_TREES = 16_384
"""Of a global model."""
MAX_NOISED_VALUES = 8_192
"""Width of a vector under mode `paper`, which noises every coordinate, the zeros too."""
_ROUNDING = 1e-4
_FAILURE = 1e-9


class TreeParameters(Document):
    """`depth`; `least_in_leaf`; `features`: the share of the features that a split may choose
    among. Texts become graphs over `terms`, public words with spaces between them (Lu et al.,
    definition 1), or without terms hashed bags of 2^`bits` words; numbers are taken as they are."""

    depth: Annotated[int, Field(ge=1, le=8)] = 6
    least_in_leaf: Annotated[int, Field(ge=1)] = 2
    features: Annotated[float, Field(gt=0, le=1)] = 0.1
    terms: str = ""
    bits: Annotated[int, Field(ge=MIN_BUCKET_BITS, le=MAX_BITS)] = 12

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.terms.split())


T = TypeVar("T", bound=TreeParameters)


class TreeFamily(ConstructedFamily[T]):
    """Base of the families of grown trees."""

    tasks = frozenset({"classification", "regression"})
    unit = "a document, or a record of numbers"
    sound = False
    paper = True
    inputs = frozenset({"numbers", "text"})
    aggregation = "union"
    strategies = ("fedavg", "algorithm-one")

    @abstractmethod
    def trees(self, spec: Specification) -> int:
        """Number of trees that a provider adds in a round."""

    @abstractmethod
    def grown(
        self,
        spec: Specification,
        start: Ensemble,
        rows: sparse.csr_matrix,
        y: training.Targets,
        labels: int | None,
        seed: int,
    ) -> Ensemble:
        """A provider's trees; `labels` is the number of classes, None in a regression."""

    @abstractmethod
    def shares(self, weights: list[int]) -> list[float]:
        """Weight of each provider's trees, from the weights by seat."""

    @abstractmethod
    def probabilities(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the classes, from sums of leaf values; both (n, labels)."""

    @abstractmethod
    def leaf_bound(self, spec: Specification, samples: int) -> float:
        """Bound of an honest leaf's values of a classification, without noise."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        words = self.parameters(spec).words
        if words:
            public_vocabulary(words)
        trees = self._slots(spec)
        if trees > MAX_TREES:
            raise SpecificationError(
                f"family {self.name}: {trees} trees in all rounds of all providers, "
                f"at most {MAX_TREES}"
            )
        if spec.privacy.mode is PrivacyMode.PAPER and self.width(spec) > MAX_NOISED_VALUES:
            raise SpecificationError(
                f"family {self.name}: mode paper noises every one of {self.width(spec)} values of "
                f"a vector, at most {MAX_NOISED_VALUES}: ask for fewer terms or bits"
            )

    def check_examples(self, spec: Specification, x: Inputs) -> None:
        """Raise DataError if no text has a term."""
        if spec.features.kind == "text" and self.rows(spec, x).nnz == 0:
            raise DataError(
                f"none of {len(x)} documents has a word that says anything: they are empty, or "
                "hold none of the request's terms"
            )

    def template(self, spec: Specification) -> Template:
        return template(self._slots(spec), self.parameters(spec).depth, spec.outputs)

    def initial(self, spec: Specification, seed: int) -> Model:
        """No trees, whatever the seed."""
        shapes = dict(self.template(spec).tensors)
        return {
            "feature": np.zeros(shapes["feature"], np.float32),
            "threshold": np.full(shapes["threshold"], LARGEST, np.float32),
            "value": np.zeros(shapes["value"], np.float32),
        }

    def construct(self, spec: Specification, given: Construction) -> Model:
        assert isinstance(spec.local, LocalConstruction)
        rows, began = self.rows(spec, given.dataset.x), self.ensemble(spec, given.start)
        paper = spec.privacy.mode is PrivacyMode.PAPER
        if paper:
            rows = sparse.csr_matrix(_noised(spec, rows.toarray(), given.data_noise))
        entropy = [spec.local.construction_seed, *given.round_and_seat]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        labels, y = len(spec.labels) or None, given.dataset.y
        targets: training.Targets = y.astype(np.float64) if labels is None else y.astype(np.int64)
        grown = self.grown(spec, began, rows, targets, labels, seed)
        if paper:
            grown = Ensemble(
                grown.feature, grown.threshold, _noised(spec, grown.value, given.noise)
            )
        return self._model(spec, union([began, grown], [1.0, 1.0]))

    def combine(self, spec: Specification, local: LocalModels) -> Model:
        """Union: the start's trees and each provider's new ones, by seat."""
        return self.coalition(spec, local, local.models)

    def coalition(self, spec: Specification, local: LocalModels, players: Collection[int]) -> Model:
        """Trees weighted as among all players: a seat that adds nothing is worth nothing."""
        models, weights = local.models, local.weights
        total_weight(models, weights)
        all_, used = sorted(players), _used(local.start)
        new = slice(used, used + self.trees(spec))
        shares = dict(zip(all_, self.shares([weights[seat] for seat in all_]), strict=True))
        seats = sorted(models)
        parts = [self._part(spec, models[seat], new) for seat in seats]
        began = self.ensemble(spec, local.start)
        return self._model(spec, union([began, *parts], [1.0, *(shares[seat] for seat in seats)]))

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        """See the base class; without trees all classes are equally likely, and a value is 0."""
        found = self.ensemble(spec, model)
        regression = spec.task == "regression"
        if not found.trees:
            return np.full((len(x), spec.outputs), 0.0 if regression else 1 / spec.outputs)
        outputs = found.output(self.rows(spec, x))
        return outputs if regression else self.probabilities(outputs)

    def plausible(self, spec: Specification, start: Model, model: Model, samples: int) -> bool:
        """Whether the trees of `start` are unchanged and followed by exactly one round's new trees,
        with existing features and, in a classification, possible leaf values: the values of a
        regression have no public bound."""
        used = _used(start)
        end = used + self.trees(spec)
        if _used(model) != end:
            return False
        if any(not np.array_equal(model[name][:used], start[name][:used]) for name in start):
            return False
        feature, value = model["feature"], model["value"][used:end]
        if ((feature < 0) | (feature >= self.width(spec)) | (feature != np.floor(feature))).any():
            return False
        if spec.task == "regression":
            return True
        bound = self.leaf_bound(spec, samples) * (1 + _ROUNDING)
        if spec.privacy.mode is PrivacyMode.PAPER:
            sensitivity, epsilon = scale_of(spec)
            bound += sensitivity / epsilon * math.log(value.size / _FAILURE)
        return bool(np.abs(value).max() <= bound)

    def width(self, spec: Specification) -> int:
        """Width of a vector."""
        asked = self.parameters(spec)
        if spec.features.kind == "numbers":
            return math.prod(spec.features.shape)
        count = len(asked.words)
        return count * (count + 1) // 2 if count else 1 << asked.bits

    def rows(self, spec: Specification, x: Inputs) -> sparse.csr_matrix:
        """The examples' vectors, (n, width) float32; do not modify."""
        asked = self.parameters(spec)
        if spec.features.kind == "numbers":
            return sparse.csr_matrix(x.reshape(len(x), self.width(spec)), dtype=np.float32)
        if asked.words:
            return graph_rows(asked.words, x.tolist())
        return bag_rows(HashedBag(bits=asked.bits), x.tolist())

    def growth(self, spec: Specification) -> Growth:
        asked = self.parameters(spec)
        return Growth(asked.depth, asked.least_in_leaf, asked.features)

    def _slots(self, spec: Specification) -> int:
        return self.trees(spec) * spec.max_providers * spec.rounds

    def ensemble(self, spec: Specification, model: Model) -> Ensemble:
        """The trees in use; raises ModelError for a feature that does not exist."""
        return self._part(spec, model, slice(0, _used(model)))

    def _part(self, spec: Specification, model: Model, indices: slice) -> Ensemble:
        return Ensemble.of({name: one[indices] for name, one in model.items()}, self.width(spec))

    def _model(self, spec: Specification, ensemble: Ensemble) -> Model:
        found = self.initial(spec, 0)
        for name, values in ensemble.model().items():
            found[name][: len(values)] = values
        return found


def _used(model: Model) -> int:
    """Number of slots up to the last tree that is not all zeros."""
    there = np.flatnonzero(model["value"].any(axis=(1, 2)))
    return int(there[-1]) + 1 if len(there) else 0


def _noised(
    spec: Specification, values: NDArray[np.float32], noise: NoiseSource | None
) -> NDArray[np.float32]:
    if noise is None:
        raise PrivacyError("the paper's noise needs a source")
    return add_laplace(values, *scale_of(spec), generator_of(noise)).astype(np.float32)


class ShareFamily(TreeFamily[T]):
    """Trees whose leaves hold class shares or mean values; takes a single round."""

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if spec.rounds != 1:
            raise SpecificationError(
                f"family {self.name}: trees grown by themselves learn nothing from those before: "
                f"rounds must be 1, not {spec.rounds}"
            )

    def shares(self, weights: list[int]) -> list[float]:
        """Proportional to the declared samples."""
        return [weight / sum(weights) for weight in weights]

    def probabilities(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Negative sums, which noise causes, count as 0."""
        kept = np.maximum(outputs, 0.0)
        total = kept.sum(axis=1, keepdims=True)
        alike = np.full_like(kept, 1 / kept.shape[1])
        return np.where(total > 0, kept / np.where(total > 0, total, 1.0), alike)

    def leaf_bound(self, spec: Specification, samples: int) -> float:
        return 1 / self.trees(spec)


class DecisionTree(ShareFamily[TreeParameters]):
    """One tree per provider, which may split by any feature."""

    name = "decision-tree"
    schema = TreeParameters

    def trees(self, spec: Specification) -> int:
        return 1

    def grown(
        self,
        spec: Specification,
        start: Ensemble,
        rows: sparse.csr_matrix,
        y: training.Targets,
        labels: int | None,
        seed: int,
    ) -> Ensemble:
        return training.decision_tree(rows, y, labels, self.growth(spec), seed)


class BoostedTreesParameters(TreeParameters):
    """`trees` that a provider adds in a round, each at `learning_rate`."""

    trees: Annotated[int, Field(ge=1, le=100)] = 2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.3


class BoostedTrees(TreeFamily[BoostedTreesParameters]):
    """Gradient-boosted trees that train on from the model received; a round is an iteration of
    Lu et al.'s Algorithm 1."""

    name = "boosted-trees"
    schema = BoostedTreesParameters

    def trees(self, spec: Specification) -> int:
        return self.parameters(spec).trees

    def growth(self, spec: Specification) -> Growth:
        asked = self.parameters(spec)
        return Growth(asked.depth, asked.least_in_leaf, asked.features, asked.learning_rate)

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
        return training.boost(start, rows, y, labels, trees, self.growth(spec), seed)

    def shares(self, weights: list[int]) -> list[float]:
        """M = (1 / k) sum m_i: all alike."""
        return [1 / len(weights)] * len(weights)

    def probabilities(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return softmax_probabilities(outputs)

    def leaf_bound(self, spec: Specification, samples: int) -> float:
        """A Newton step sums at most 1 for each example, over at least SMOOTHING."""
        return self.growth(spec).learning_rate * samples / training.SMOOTHING
