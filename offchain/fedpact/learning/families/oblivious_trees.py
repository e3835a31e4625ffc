"""Boosting over random oblivious trees: the family for tables under `sound`.

A tree asks the same `depth` random questions of every row (`learning.splits`), so that its leaf is
a number of `depth` bits; questions follow from the public declaration and a seed. What is learnt is
the leaves' values, of all trees together: one step releases the noised sums of the gradients by
leaf, the histograms of gradient boosting, for all trees at once (Maddock, Cormode, Wang, Maple &
Jha 2022, "Federated Boosted Decision Trees with Differential Privacy", section 4: totally random
splits, batched updates). A row is in one leaf of each tree, so what it adds has the same norm
whatever it holds.

Values of a tree's leaves are kept as coefficients of the products of its questions, answered -1 or
1 (the Walsh basis): a product of k questions weighs `interaction`^(k/2). With 1 this is a rotation
of the leaves; with less, noise is spent on what few questions decide, as additive models do (Nori,
Caruana, Bu, Shen & Kulkarni 2021). Sums by leaf are integers: errors are cut to multiples of 2^-30
of the clipping norm, so that no example changes what another one adds.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedpact.data.dataset import Inputs, Targets
from fedpact.errors import SpecificationError
from fedpact.learning.artefact import MAX_WEIGHT, Model, Template
from fedpact.learning.families.base import GradientFamily, Weights
from fedpact.learning.losses import (
    LossParameters,
    check_first,
    check_loss,
    first_outputs,
    output_errors,
    predicted,
    weighted,
)
from fedpact.learning.splits import Questions, Split, random_splits
from fedpact.types.local_training import LocalSteps
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    import torch

LEAVES = "leaves"
CHUNK = 4096
"""Examples whose leaves are in memory at once, with 8 bytes each."""
LARGEST_REPRESENTED = 1 << 28
"""Bytes of the leaves of a whole data set, one each; examples that have more stay as they are."""
ERROR_BITS = 30
"""A clipped error is a multiple of 2^-30 of the clipping norm; sums of CHUNK of them are exact."""


class ObliviousTreesParameters(LossParameters):
    """`trees` of `depth` questions each, drawn from `seed`; `interaction`: what each further
    question of a product weighs. `lowest`: inputs that no column declares, those of arrays, are
    asked about from this value to 1. `numbers`: the share of the questions that begin with a column
    of numbers; without it all columns are asked equally often. `questions`: `pairs` asks mostly
    about two numbers, by what their units of measurement allow (`learning.splits`)."""

    trees: Annotated[int, Field(ge=1, le=4096)] = 256
    depth: Annotated[int, Field(ge=1, le=8)] = 3
    interaction: Annotated[float, Field(ge=1e-3, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    lowest: Annotated[float, Field(ge=-1e6, lt=1)] = -1.0
    numbers: Annotated[float, Field(gt=0, lt=1)] | None = None
    questions: Questions = "any"


class ObliviousTrees(GradientFamily[ObliviousTreesParameters]):
    """Outputs = mean over the trees of leaves, times the square root of their number."""

    name = "oblivious-trees"
    tasks = frozenset({"classification", "regression"})
    unit = "a record: one row of a table or one example of an array"
    sound = True
    schema = ObliviousTreesParameters

    def check(self, spec: Specification) -> None:
        super().check(spec)
        if not isinstance(spec.local, LocalSteps):
            raise SpecificationError(f"family {self.name}: local steps are needed, not epochs")
        asked = self.parameters(spec)
        check_loss(spec, asked)
        check_first(spec, _first_leaf(spec, asked))

    def template(self, spec: Specification) -> Template:
        asked = self.parameters(spec)
        return Template(((LEAVES, (asked.trees, 2**asked.depth, spec.outputs)),), MAX_WEIGHT)

    def initial(self, spec: Specification, seed: int) -> Model:
        """The priors alone, whatever the seed: `family.parameters.seed` draws the trees."""
        asked = self.parameters(spec)
        leaves = np.zeros(self.template(spec).tensors[0][1])
        leaves[:, 0] = _first_leaf(spec, asked)
        return {LEAVES: leaves.astype(np.float32)}

    def represented(self, spec: Specification, x: Inputs, folder: Path | None = None) -> Inputs:
        """Each example's leaf in each tree, (n, trees) uint8: questions are asked once and not in
        every step."""
        if x.dtype == np.uint8:
            return x
        found = np.empty((len(x), self.parameters(spec).trees), dtype=np.uint8)
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            found[part] = self._leaves(spec, x[part]).T
        return found

    def represents(self, spec: Specification, examples: int) -> bool:
        return examples * self.parameters(spec).trees <= LARGEST_REPRESENTED

    def predict(self, spec: Specification, model: Model, x: Inputs) -> NDArray[np.float64]:
        table = self.table(spec, model[LEAVES].astype(np.float64))
        found = [np.empty((0, spec.outputs))]
        for start in range(0, len(x), CHUNK):
            places = self._leaves(spec, x[start : start + CHUNK])
            found.append(self.predictions(spec, _outputs(table, places)))
        return np.concatenate(found)

    def predictions(self, spec: Specification, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        asked = self.parameters(spec)
        return predicted(spec, asked, weighted(spec, asked, raw))

    def gradient_sum(
        self,
        spec: Specification,
        weights: Weights,
        x: Inputs,
        y: Targets,
        clipping_norm: float | None,
    ) -> Weights:
        asked, table = self.parameters(spec), self.table(spec, weights[LEAVES])
        total = np.zeros(weights[LEAVES].shape)
        for start in range(0, len(y), CHUNK):
            part = slice(start, start + CHUNK)
            places = self._leaves(spec, x[part])
            errors = self._errors(spec, table, places, y[part])
            unit = 1.0
            if clipping_norm is not None:
                unit = math.ldexp(clipping_norm, -ERROR_BITS)
                errors = _clipped(errors, clipping_norm, unit)
            total += _by_leaf(errors, places, asked.depth) * unit
        return {LEAVES: self._coefficients(spec, total)}

    def gradient_norms(
        self, spec: Specification, weights: Weights, x: Inputs, y: Targets
    ) -> NDArray[np.float64]:
        """Features have norm 1: those of the errors."""
        table = self.table(spec, weights[LEAVES])
        found = [np.empty(0)]
        for start in range(0, len(y), CHUNK):
            part = slice(start, start + CHUNK)
            places = self._leaves(spec, x[part])
            found.append(_lengths(self._errors(spec, table, places, y[part])))
        return np.concatenate(found)

    def module(self, spec: Specification) -> "torch.nn.Module":
        from fedpact.learning.families.oblivious_module import ObliviousNetwork

        asked = self.parameters(spec)
        shape = self.template(spec).tensors[0][1]
        first, second = _weights(asked.interaction)
        return ObliviousNetwork(shape, first, second, lambda x: self._leaves(spec, x))

    def _errors(
        self,
        spec: Specification,
        table: NDArray[np.float64],
        places: NDArray[np.int64],
        y: Targets,
    ) -> NDArray[np.float64]:
        """Derivatives of the losses by the raw outputs, (n, outputs)."""
        asked = self.parameters(spec)
        return output_errors(spec, asked, weighted(spec, asked, _outputs(table, places)), y)

    def splits(self, spec: Specification) -> tuple[Split, ...]:
        """The trees' questions, `depth` of each tree in turn."""
        asked = self.parameters(spec)
        inputs = math.prod(spec.features.shape)
        count = asked.trees * asked.depth
        return random_splits(
            *(spec.features.laid_out, inputs, asked.lowest, count),
            *(asked.seed, asked.numbers, asked.questions),
        )

    def _leaves(self, spec: Specification, x: Inputs) -> NDArray[np.int64]:
        """Each row's leaf in each tree, (trees, n), of both forms of examples."""
        if x.dtype == np.uint8:
            return np.asarray(x.T.astype(np.int64, order="C"))
        asked, splits = self.parameters(spec), self.splits(spec)
        rows = np.asfortranarray(x.reshape(len(x), -1).astype(np.float64))
        found = np.zeros((asked.trees, len(x)), dtype=np.int64)
        with np.errstate(invalid="ignore", over="ignore"):
            for number, split in enumerate(splits):
                found[number // asked.depth] += split.of(rows) << number % asked.depth
        return found

    def table(self, spec: Specification, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each leaf adds to the outputs, (trees, leaves, outputs)."""
        asked = self.parameters(spec)
        first, second = _weights(asked.interaction)
        found = coefficients / math.sqrt(asked.trees)
        for low, high in _pairs(found, asked.depth):
            constant, slope = first * low, second * high
            low[...], high[...] = constant - slope, constant + slope
        return found

    def _coefficients(self, spec: Specification, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The transpose of `table`: of sums by leaf, (trees, leaves, outputs)."""
        asked = self.parameters(spec)
        first, second = _weights(asked.interaction)
        found = sums / math.sqrt(asked.trees)
        for low, high in _pairs(found, asked.depth):
            total, difference = low + high, high - low
            low[...], high[...] = first * total, second * difference
        return found


def _first_leaf(spec: Specification, asked: ObliviousTreesParameters) -> NDArray[np.float64]:
    """What each tree's product of no question has at first, (outputs,), so that the outputs are
    the priors'."""
    size = math.sqrt(asked.trees) * _weights(asked.interaction)[0] ** asked.depth
    return first_outputs(spec, asked) / size


def _pairs(
    values: NDArray[np.float64], depth: int
) -> "list[tuple[NDArray[np.float64], NDArray[np.float64]]]":
    """Views of the leaves that answer a question with no and with yes, for each question."""
    trees, leaves, outputs = values.shape
    found = []
    for bit in range(depth):
        split = values.reshape(trees, leaves >> bit + 1, 2, 1 << bit, outputs)
        found.append((split[:, :, 0], split[:, :, 1]))
    return found


def _weights(interaction: float) -> tuple[float, float]:
    """Of leaving a question out of a product and of taking it in; squares add up to 1."""
    return 1 / math.sqrt(1 + interaction), math.sqrt(interaction / (1 + interaction))


def _outputs(table: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Raw outputs, (n, outputs), tree by tree: each row is added up by itself."""
    found = np.zeros((places.shape[1], table.shape[2]))
    for values, leaf in zip(table, places, strict=True):
        found += values[leaf]
    return found


def _clipped(errors: NDArray[np.float64], norm: float, unit: float) -> NDArray[np.float64]:
    """Errors of at most `norm`, cut towards zero to whole multiples of `unit`; what is not finite
    counts as zero."""
    lengths = _lengths(errors)
    unusable = ~np.isfinite(lengths)
    if unusable.any():
        errors = np.where(unusable[:, None], 0.0, errors)
        lengths[unusable] = 0.0
    return np.asarray(np.trunc(errors * (norm / np.maximum(lengths, norm) / unit)[:, None]))


def _lengths(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = np.zeros(len(errors))
    for column in errors.T:
        squares += column * column
    return np.asarray(np.sqrt(squares))


def _by_leaf(
    errors: NDArray[np.float64], places: NDArray[np.int64], depth: int
) -> NDArray[np.float64]:
    """Sums of the errors, (n, outputs), by tree and leaf: (trees, leaves, outputs)."""
    leaves = 1 << depth
    found = np.empty((len(places), leaves, errors.shape[1]))
    for output, column in enumerate(np.ascontiguousarray(errors.T)):
        for tree, leaf in enumerate(places):
            found[tree, :, output] = np.bincount(leaf, column, leaves)
    return found
