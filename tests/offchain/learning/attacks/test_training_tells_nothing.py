"""Hostile requests against training under `sound`: no record decides whether a model follows."""

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.errors import ModelError, SpecificationError
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.learning.artefact import MAX_WEIGHT, decode, encode
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SeededNoise
from tests.support.specifications import SOUND, specification

LARGEST = float(np.finfo(np.float32).max)
SPECIFICATIONS = {
    "softmax-regression": specification(features={"shape": [8]}, privacy=SOUND),
    "mlp": specification(
        features={"shape": [8]},
        family={"name": "mlp", "parameters": {"hidden": [6]}},
        privacy=SOUND,
        local={"steps": 2, "learning_rate": 1e6, "sampling_rate": 0.5},
    ),
    "oblivious-trees": specification(
        features={"shape": [8]},
        family={
            "name": "oblivious-trees",
            "parameters": {"trees": 20, "depth": 4, "class_weights": [1e3, 1e-3, 1.0]},
        },
        privacy=SOUND,
    ),
    "generalised-linear": specification(
        features={"shape": [8]}, family={"name": "generalised-linear"}, privacy=SOUND
    ),
    "cnn": specification(
        features={"shape": [8, 8]},
        family={"name": "cnn", "parameters": {"form": "mnist", "channels": [2], "hidden": [4]}},
        privacy=SOUND,
    ),
    "scattering-linear": specification(
        features={"shape": [8, 8]},
        family={"name": "scattering-linear", "parameters": {}},
        privacy={**SOUND, "statistics_multiplier": 2.0},
        rounds=2,
    ),
    "network-linear": specification(
        features={"shape": [8, 8]},
        family={
            "name": "network-linear",
            "parameters": {
                "network": EFFICIENTNET_LITE0.name,
                "digest": EFFICIENTNET_LITE0.digest,
                "side": 32,
            },
        },
        privacy={**SOUND, "statistics_multiplier": 2.0},
        rounds=2,
    ),
    "char-lstm": specification(
        features={"shape": [4]},
        family={"name": "char-lstm", "parameters": {"embedding": 2, "hidden": 3}},
        privacy=SOUND,
    ),
}


def hostile_start(spec):
    generator = np.random.default_rng(1)
    return {
        name: generator.choice(np.array([-MAX_WEIGHT, MAX_WEIGHT], np.float32), shape)
        for name, shape in family_of(spec).template(spec).tensors
    }


@pytest.mark.parametrize("name", SPECIFICATIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, LARGEST, -LARGEST, 1e30, 2.5])
def test_a_chosen_record_never_stops_training(name, value):
    spec = SPECIFICATIONS[name]
    x = np.zeros((40, *spec.features.shape), np.float32)
    x[7] = value
    part = Dataset(x, np.zeros(40, np.int64), tuple(bytes([one]) * 32 for one in range(40)))
    given = LocalTraining(
        spec, hostile_start(spec), part, noise=SeededNoise(3), round_and_seat=(2, 0)
    )
    template = family_of(spec).template(spec)
    decode(encode(train_local(given)), template)


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_no_examples_at_all_give_noise(name):
    spec = SPECIFICATIONS[name]
    part = Dataset(np.zeros((0, *spec.features.shape), np.float32), np.zeros(0, np.int64), ())
    batch = family_of(spec).gradient_sum(
        spec,
        {name: one.astype(np.float64) for name, one in hostile_start(spec).items()},
        part.x,
        part.y,
        1.0,
    )
    assert not any(one.any() for one in batch.values())


def test_an_initial_model_that_could_overflow_is_refused():
    spec = SPECIFICATIONS["cnn"]
    template = family_of(spec).template(spec)
    model = {name: np.zeros(shape, np.float32) for name, shape in template.tensors}
    model["output.bias"][0] = 2 * MAX_WEIGHT
    with pytest.raises(ModelError, match="above"):
        decode(encode(model), template)


@pytest.mark.parametrize("norm", [3e-44, 1e-20, 1e-7, 1e7])
def test_a_clipping_norm_out_of_range_is_refused(norm):
    with pytest.raises(SpecificationError, match="clipping_norm"):
        specification(privacy={**SOUND, "clipping_norm": norm})


@pytest.mark.parametrize("scale", [1e-33, 1e13])
def test_a_scale_that_bisects_a_column_is_refused(scale):
    with pytest.raises(SpecificationError, match="scale"):
        specification(features={"shape": [2], "scale": scale})
