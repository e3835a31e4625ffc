"""Hostile weights against rounding: no record changes what another one adds to a sum.

Sums are rounded within blocks of 32 rows. What a record adds must not depend on its row or on who
stands around it, and leaving a record out may touch the rounding of two blocks only.
"""

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.learning.families import family_of
from fedpact.learning.families.oblivious_trees import LEAVES
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.unit_clipping import _Total
from fedpact.privacy.linear_sums import BLOCK
from fedpact.privacy.noise import NoiseSource
from tests.support.specifications import SOUND, specification

NUMBERS = {"task": "regression", "labels": [], "output": {"column": "y", "scale": 1.0}}
SPECIFICATIONS = {
    "softmax-regression": specification(features={"shape": [64]}, privacy=SOUND),
    "linear-regression": specification(
        features={"shape": [64]}, family={"name": "linear-regression"}, privacy=SOUND, **NUMBERS
    ),
    "mlp": specification(
        features={"shape": [33]},
        family={"name": "mlp", "parameters": {"hidden": [17, 5]}},
        privacy=SOUND,
    ),
    "oblivious-trees": specification(
        features={"shape": [33]},
        family={"name": "oblivious-trees", "parameters": {"trees": 20, "depth": 4}},
        privacy=SOUND,
    ),
    "oblivious-trees, poisson": specification(
        features={"shape": [33]},
        family={"name": "oblivious-trees", "parameters": {"trees": 9, "loss": "poisson"}},
        privacy=SOUND,
        **NUMBERS,
    ),
    "generalised-linear": specification(
        features={"shape": [64]},
        family={"name": "generalised-linear", "parameters": {"class_weights": [1.0, 2.0, 0.1]}},
        privacy=SOUND,
    ),
    "cnn": specification(
        features={"shape": [9, 9]},
        family={"name": "cnn", "parameters": {"form": "mnist", "channels": [3], "hidden": [5]}},
        privacy=SOUND,
    ),
    "char-lstm": specification(
        features={"shape": [4]},
        family={"name": "char-lstm", "parameters": {"embedding": 2, "hidden": 3}},
        privacy=SOUND,
    ),
    "scattering-linear": specification(
        features={"shape": [8, 8]},
        family={"name": "scattering-linear", "parameters": {}},
        privacy={**SOUND, "statistics_multiplier": 2.0},
        rounds=2,
    ),
}


def drawn(spec, count, seed=0):
    generator = np.random.default_rng(seed)
    if spec.family.name == "char-lstm":
        x = generator.integers(0, 3, (count, *spec.features.shape)).astype(np.float32)
    else:
        x = generator.standard_normal((count, *spec.features.shape)).astype(np.float32)
    if spec.task == "regression":
        return x, generator.standard_normal(count).astype(np.float32)
    return x, generator.integers(0, 3, count)


def nearly_equal_rows(spec, magnitude):
    """Weights whose outputs differ in their last bits only, which `magnitude` enlarges."""
    generator = np.random.default_rng(1)
    weights = {}
    for name, shape in family_of(spec).template(spec).tensors:
        of_outputs = len(shape) - 1 if name == LEAVES else 0
        row = generator.standard_normal((*shape[:of_outputs], 1, *shape[of_outputs + 1 :]))
        steps = [-1 if axis == of_outputs else 1 for axis in range(len(shape))]
        spread = 1 + 2.0**-50 * np.arange(shape[of_outputs]).reshape(steps)
        weights[name] = magnitude * row * spread
    return weights


@pytest.mark.parametrize("magnitude", [1.0, 1e6, 1e17])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_a_gradient_has_the_same_bits_at_every_row_and_in_any_company(name, magnitude):
    spec = SPECIFICATIONS[name]
    norms, weights = family_of(spec).gradient_norms, nearly_equal_rows(spec, magnitude)
    (x, y), (others, their_y) = drawn(spec, 1), drawn(spec, BLOCK + 3, seed=1)
    with np.errstate(all="ignore"):
        alone = norms(spec, weights, x, y)[0]
        for row in (0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 2):
            company, labels = others.copy(), their_y.copy()
            company[row], labels[row] = x[0], y[0]
            found = norms(spec, weights, company, labels)[row]
            assert found == alone or (np.isnan(found) and np.isnan(alone))


@pytest.mark.parametrize("magnitude", [1.0, 1e8, 1e17])
@pytest.mark.parametrize(
    "name",
    [
        "softmax-regression",
        "mlp",
        "cnn",
        "scattering-linear",
        "oblivious-trees",
        "oblivious-trees, poisson",
        "generalised-linear",
    ],
)
def test_an_example_moves_a_sum_by_the_clipping_norm_at_most(name, magnitude):
    """Without it the last example takes its row, as in random order."""
    spec, weights = SPECIFICATIONS[name], nearly_equal_rows(SPECIFICATIONS[name], magnitude)
    generator, (x, y) = np.random.default_rng(0), drawn(SPECIFICATIONS[name], 120)
    gradient_sum = family_of(spec).gradient_sum
    x = family_of(spec).represented(spec, x)
    for _ in range(25 if spec.family.name == "softmax-regression" else 5):
        taken = generator.permutation(120)[: int(generator.integers(20, 120))]
        row = int(generator.integers(len(taken)))
        less = taken[:-1].copy()
        if row < len(less):
            less[row] = taken[-1]
        with np.errstate(all="ignore"):
            whole = gradient_sum(spec, weights, x[taken], y[taken], 1.0)
            without = gradient_sum(spec, weights, x[less], y[less], 1.0)
        moved = np.sqrt(sum(((whole[name] - without[name]) ** 2).sum() for name in whole))
        assert moved <= 1 + 1e-7


class Ordered(NoiseSource):
    """Adds nothing; its words put the units into a chosen order."""

    def __init__(self, order):
        self._keys = np.argsort(order).astype(np.uint64)

    def words(self, count):
        return self._keys[:count]

    def add(self, values, std):
        return values.astype(np.float64)


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_a_record_that_is_missing_from_the_file_moves_a_full_batch_by_the_norm_at_most(name):
    """The file is shorter by a row, and all rows behind it move up. In random order that does not
    matter: to each order of the longer file belongs one of the shorter, in which the last record
    has taken the position of the missing one."""
    spec, count = SPECIFICATIONS[name], 70
    x, y = drawn(spec, count, seed=2)
    units = tuple(bytes([number]) * 32 for number in range(count))
    template, generator = family_of(spec).template(spec), np.random.default_rng(3)
    start = {
        name: (0.1 * generator.standard_normal(shape)).astype(np.float32)
        for name, shape in template.tensors
    }

    def moved(kept, order):
        part = Dataset(x[kept], y[kept], tuple(units[row] for row in kept), count)
        noise = Ordered([int(np.flatnonzero(kept == row)[0]) for row in order])
        model = train_local(LocalTraining(spec, start, part, noise=noise, round_and_seat=(2, 0)))
        return np.concatenate([(start[name] - model[name]).ravel() for name, _ in template.tensors])

    every = np.arange(count)
    for missing in (0, 5, 33, 69):
        order = np.random.default_rng(missing).permutation(count)
        at = int(np.flatnonzero(order == missing)[0])
        less = order[:-1].copy()
        if at < count - 1:
            less[at] = order[-1]
        difference = moved(every, order) - moved(np.delete(every, missing), less)
        # Models are stored in 32 bits.
        assert np.linalg.norm(difference) * count <= SOUND["clipping_norm"] * (1 + 1e-5)
        assert np.linalg.norm(difference) > 0


def test_a_long_sum_rounds_no_more_than_a_short_one():
    """A plain sum of a million terms of length 1 loses 10^-5 of one, and another loses others."""
    total, plain, term = _Total(), 0.0, 0.1
    for _ in range(10**6):
        plain += term
    for _ in range(10**5):
        total.add({"w": np.full(1, term)})
    assert abs(plain - 1e5) > 1e-6
    assert total.value["w"][0] == 1e4
