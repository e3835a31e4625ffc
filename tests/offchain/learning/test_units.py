"""What one unit of privacy can add to what is released, however many examples it has."""

import math
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fedpact.data import sources
from fedpact.data.dataset import Dataset
from fedpact.learning.families import family, family_of
from fedpact.learning.families.base import weights_norm
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.unit_clipping import clipped_unit_sum
from fedpact.learning.units import Batch, samples_of
from fedpact.learning.update_bounds import update_norm
from fedpact.privacy.noise import NoiseSource, SeededNoise, SystemNoise
from tests.support.specifications import SOUND, specification

NORM = 0.7
IMAGE = {"shape": [6, 6]}
NUMBERS = {"task": "regression", "labels": [], "output": {"column": "y", "scale": 1.0}}
SPECS = {
    "softmax-regression": {"features": {"shape": [5]}},
    "linear-regression": {"features": {"shape": [5]}, **NUMBERS},
    "mlp": {"features": {"shape": [5]}, "parameters": {"hidden": [4]}},
    "cnn": {"features": IMAGE, "parameters": {"form": "mnist", "channels": [2], "hidden": [3]}},
    "char-lstm": {
        "features": {"shape": [5]},
        "parameters": {"embedding": 2, "hidden": 3, "layers": 2},
    },
}
UNITS = (0, 1, 0, 2, 2, 3, 0, 4, 2)
"""Units of 3, 1, 3, 1 and 1 examples."""


def spec_of(name, **changes):
    fields = dict(SPECS[name])
    parameters = fields.pop("parameters", {})
    asked = {"name": name, "parameters": parameters}
    return specification(**fields, family=asked, privacy={**SOUND, **changes})


def data_of(spec, units=UNITS, seed=0):
    generator = np.random.default_rng(seed)
    shape = (len(units), *spec.features.shape)
    if spec.family.name == "char-lstm":
        x = generator.integers(0, 3, shape).astype(np.float32)
    else:
        x = generator.normal(size=shape).astype(np.float32) * 3
    regression = spec.task == "regression"
    y = generator.normal(size=len(units)) * 4 if regression else generator.integers(0, 3, len(x))
    digests = tuple(bytes([unit]) * 32 for unit in units)
    return Dataset(x, y.astype(np.float32) if regression else y, digests)


def weights_of(spec):
    start = family_of(spec).initial(spec, seed=3)
    return {name: values.astype(np.float64) for name, values in start.items()}


def sums_of(spec):
    return partial(family_of(spec).gradient_sum, spec, weights_of(spec))


def closeness(name):
    """A CNN in full batch clips in 32 bits, a little below the norm."""
    return {"rtol": 2e-4, "atol": 2e-4} if name == "cnn" else {"atol": 1e-9}


def mean_gradient(spec, data, unit):
    own = data.unit_numbers == unit
    model_family = family_of(spec)
    total = model_family.gradient_sum(spec, weights_of(spec), data.x[own], data.y[own], None)
    return {name: values / own.sum() for name, values in total.items()}


def without(data, unit):
    kept = data.unit_numbers != unit
    return Dataset(
        data.x[kept],
        data.y[kept],
        tuple(digest for digest, stays in zip(data.units, kept, strict=True) if stays),
    )


@pytest.mark.parametrize("name", SPECS)
def test_a_unit_moves_a_sum_by_its_clipped_mean_gradient(name):
    spec = spec_of(name)
    data = data_of(spec)
    assert data.unit_count == 5
    summed = partial(clipped_unit_sum, bound=NORM, sums=sums_of(spec))
    whole = summed(Batch.of(spec, data)).total
    clipped = 0
    for unit in range(data.unit_count):
        less = summed(Batch.of(spec, without(data, unit))).total
        moved = {tensor: whole[tensor] - less[tensor] for tensor in whole}
        mean = mean_gradient(spec, data, unit)
        length = weights_norm(mean)
        clipped += length > NORM
        assert weights_norm(moved) <= NORM * (1 + 1e-9)
        for tensor, values in mean.items():
            expected = values * min(1.0, NORM / length)
            assert np.allclose(moved[tensor], expected, **closeness(name))
    assert clipped > 0


@pytest.mark.parametrize("name", SPECS)
def test_norms_are_those_of_the_units_gradients(name):
    spec = spec_of(name)
    data = data_of(spec)
    norms = partial(family(name).gradient_norms, spec, weights_of(spec))
    found = clipped_unit_sum(Batch.of(spec, data), NORM, sums_of(spec), norms)
    expected = [weights_norm(mean_gradient(spec, data, unit)) for unit in range(5)]
    assert sorted(found.norms) == pytest.approx(sorted(expected), rel=1e-9)


@pytest.mark.parametrize("name", SPECS)
def test_a_units_weight_does_not_depend_on_repeated_examples(name):
    spec = spec_of(name)
    once = data_of(spec)
    again = Dataset(np.concatenate([once.x] * 3), np.concatenate([once.y] * 3), once.units * 3)
    first, second = (
        clipped_unit_sum(Batch.of(spec, data), NORM, sums_of(spec)).total for data in (once, again)
    )
    assert all(np.allclose(first[tensor], second[tensor], **closeness(name)) for tensor in first)
    assert samples_of(spec, once) == samples_of(spec, again) == 5


class Silent(NoiseSource):
    """Adds nothing, and says by its words which units are drawn."""

    def __init__(self, drawn=()):
        self._drawn = drawn

    def words(self, count):
        ends = [0 if unit in self._drawn else 2**64 - 1 for unit in range(count)]
        return np.array(ends, dtype=np.uint64)

    def add(self, values, std):
        return values.astype(np.float64)


@pytest.mark.parametrize("name", SPECS)
def test_training_divides_by_the_public_number_of_units(name):
    spec = spec_of(name, clipping_norm=1e-3)
    one_unit = data_of(spec, units=(0,) * 6)
    several = Dataset(
        np.concatenate([one_unit.x] * 4),
        np.concatenate([one_unit.y] * 4),
        tuple(bytes([unit]) * 32 for unit in range(4) for _ in range(6)),
    )
    start = family(name).initial(spec, seed=3)
    for data in (one_unit, several):
        moved = update_norm(start, train_local(LocalTraining(spec, start, data, noise=Silent())))
        assert moved == pytest.approx(1e-3, rel=1e-3)


def test_sampling_draws_whole_units_and_divides_by_their_expected_number():
    spec = spec_of("softmax-regression")
    sampled = spec.model_copy(
        update={"local": spec.local.model_copy(update={"sampling_rate": 0.5})}
    )
    data = data_of(spec)
    start = family_of(spec).initial(spec, seed=3)
    found = train_local(LocalTraining(sampled, start, data, noise=Silent(drawn=(0, 3))))
    only = without(without(without(data, 4), 2), 1)
    expected = train_local(LocalTraining(spec, start, only, noise=Silent()))
    # The two that are drawn are divided by 0.5 * 5 units; alone by 2.
    for tensor, values in expected.items():
        assert np.allclose(found[tensor] - start[tensor], (values - start[tensor]) * 2 / 2.5)


def test_without_privacy_every_example_counts():
    spec = specification(features={"shape": [5]})
    data = data_of(spec)
    assert samples_of(spec, data) == len(data) == 9
    bare = Dataset(data.x, data.y, ())
    start = family_of(spec).initial(spec, seed=3)
    ours, theirs = (
        train_local(LocalTraining(spec, start, each, noise=None)) for each in (data, bare)
    )
    assert all(np.array_equal(ours[tensor], theirs[tensor]) for tensor in ours)


def test_noise_is_that_of_the_number_of_units():
    spec = spec_of("softmax-regression", noise_multiplier=50.0)
    data = data_of(spec, units=tuple(number // 10 for number in range(100)))
    start = family_of(spec).initial(spec, seed=3)
    first, second = (
        train_local(LocalTraining(spec, start, data, noise=SystemNoise())) for _ in range(2)
    )
    size = family_of(spec).template(spec).parameters
    assert update_norm(first, second) == pytest.approx(math.sqrt(2 * size) * 50 / 10, rel=0.6)


@pytest.mark.skipif("FEDPACT_DATA" not in os.environ, reason="FEDPACT_DATA is not set")
@pytest.mark.parametrize(
    ("data", "asked", "most"),
    [
        ("cmapss-fd001", {"name": "mlp", "parameters": {"hidden": [4]}}, 6),
        ("shakespeare", {"name": "char-lstm", "parameters": {"hidden": 4, "layers": 1}}, 3),
    ],
)
def test_real_engines_and_speakers_train_under_sound(data, asked, most):
    source = sources.load(data, 0)
    assert Path(os.environ["FEDPACT_DATA"]).is_dir()
    groups = np.unique(source.groups_train)[:most]
    indices = np.flatnonzero(np.isin(source.groups_train, groups))
    indices = indices[:: max(1, len(indices) // 300)]
    part = source.train_set(indices)
    fields = {"output": source.output.model_dump()} if source.output else {}
    spec = specification(
        task=source.task,
        labels=list(source.labels),
        features={"shape": list(source.shape), "scale": source.scale},
        family=asked,
        local={"steps": 2, "learning_rate": 0.1},
        privacy=SOUND,
        **fields,
    )
    assert samples_of(spec, part) == len(groups) < len(part)
    start = family_of(spec).initial(spec, seed=0)
    trained = train_local(LocalTraining(spec, start, part, noise=SeededNoise(1)))
    assert all(np.isfinite(values).all() for values in trained.values())
    quiet = train_local(LocalTraining(spec, start, part, noise=Silent()))
    assert 0 < update_norm(start, quiet) <= 2 * 0.1 * 1.0 + 1e-6


def test_drawn_units_are_in_the_order_of_their_keys() -> None:
    units = np.array([0, 1, 1, 2, 3])
    x, y = np.arange(5.0)[:, None].astype(np.float32), np.zeros(5, np.int64)
    batch = Batch(x, y, units, np.arange(5))
    chosen = np.array([True, True, False, True])
    drawn = batch.of_units(chosen, np.array([9, 5, 1, 2], dtype=np.uint64))
    assert drawn.rows.tolist() == [4, 1, 2, 0]
    assert drawn.examples[0].ravel().tolist() == [4, 1, 2, 0]
