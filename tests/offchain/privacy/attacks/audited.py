"""The product's releases on a tiny data set, and mutants that break the promise.

The last of four records is the worst that a provider can hold: its gradient is clipped to the full
norm in every step. The auditor knows all but whether it is in, and undoes what is public: the
start, the learning rate, the number of records.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import Model
from fedpact.learning.families import family
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.attacks.distinguishability import Draw
from fedpact.privacy.linear_sums import (
    CentredFeatures,
    feature_sum,
    noised,
    softmax_gradient_sum,
)
from fedpact.privacy.noise import NoiseSource, SeededNoise, SystemNoise
from fedpact.types.specification import Specification
from tests.support.specifications import specification

CLIPPING_NORM = 0.8
MULTIPLIER = 1.7
STEPS = 2
LEARNING_RATE = 1e-4
"""So small that all steps see the same gradients: then every step shows the record in full."""
STATED_MU = STEPS**0.5 / MULTIPLIER
START = 4
"""Seed of first models that are wrong about the last record, so that its gradient is long."""
RECORDS = 4
X = np.array([[0.3, -0.2], [-0.1, 0.4], [0.2, 0.2], [50.0, -80.0]], dtype=np.float32)
Y = np.array([0, 1, 0, 1], dtype=np.int64)

Release = Callable[[int, NoiseSource], NDArray[np.float64]]
"""One draw over the first so many records."""
FAMILIES = {
    "softmax-regression": {"labels": ["0", "1"]},
    "mlp": {"labels": ["0", "1"], "family": {"name": "mlp", "parameters": {"hidden": [3]}}},
    "linear-regression": {
        "task": "regression",
        "labels": [],
        "output": {"column": "y", "scale": 1.0},
        "family": {"name": "linear-regression"},
    },
}


class Weakened(NoiseSource):
    """The system's noise, made smaller (0: none)."""

    def __init__(self, factor: float) -> None:
        self._system, self._factor = SystemNoise(), factor

    def words(self, count: int) -> NDArray[np.uint64]:
        return self._system.words(count)

    def half_steps(self, count: int) -> NDArray[np.int64]:
        return (self._system.half_steps(count) * self._factor).astype(np.int64)


def audited(name: str) -> Specification:
    """A family's specification of STEPS full-batch steps under `sound`."""
    privacy = {
        "mode": "sound",
        "epsilon": 20.0,
        "delta": 1e-5,
        "clipping_norm": CLIPPING_NORM,
        "noise_multiplier": MULTIPLIER,
    }
    local = {"steps": STEPS, "learning_rate": LEARNING_RATE}
    return specification(**FAMILIES[name], local=local, privacy=privacy)


def training(name: str, public_records: int | None = None) -> Release:
    """A family's local training. With `public_records` the auditor undoes a division by that
    number, which is right only if the product does divide by it."""
    spec = audited(name)
    start = family(name).initial(spec, START)

    def release(records: int, noise: NoiseSource) -> NDArray[np.float64]:
        y = Y[:records] if spec.task == "classification" else Y[:records].astype(np.float32)
        model = train_local(LocalTraining(spec, start, Dataset(X[:records], y, ()), noise=noise))
        return _moved(start, model) * (public_records or records)

    return release


def windows(records: int, noise: NoiseSource) -> NDArray[np.float64]:
    """An MLP's training on units of which the last has three examples, all of them long."""
    spec = audited("mlp")
    start = family("mlp").initial(spec, START)
    every = np.array([0, 1, 2, 3, 3, 3])
    long = X[every] * np.linspace(1.0, 0.8, len(every), dtype=np.float32)[:, None]
    indices = every[every < records]
    x, y = long[: len(indices)], Y[indices]
    units = tuple(bytes([index]) * 32 for index in indices)
    return (
        _moved(start, train_local(LocalTraining(spec, start, Dataset(x, y, units), noise=noise)))
        * records
    )


def centring(records: int, noise: NoiseSource) -> NDArray[np.float64]:
    total = feature_sum(X[:records], CLIPPING_NORM)
    return noised(total, CLIPPING_NORM, 1 / STATED_MU, noise)


def linear_steps(records: int, noise: NoiseSource) -> NDArray[np.float64]:
    """STEPS gradient sums of the linear model on fixed features, at the same weights."""
    features = CentredFeatures.of(X[:records], np.zeros(2, dtype=np.float32))
    weights = np.zeros((2, 2), dtype=np.float32)
    total = softmax_gradient_sum(features, weights, Y[:records], CLIPPING_NORM)
    sums = [noised(total, CLIPPING_NORM, MULTIPLIER, noise) for _ in range(STEPS)]
    return np.sum(sums, axis=0).ravel()


def scattering(round_number: int) -> Release:
    """A round of the family on scattering features: of statistics, or of STEPS steps."""
    spec = specification(
        labels=["0", "1"],
        family={"name": "scattering-linear"},
        features={"shape": [8, 8]},
        rounds=2,
        local={"steps": STEPS, "learning_rate": LEARNING_RATE},
        privacy={
            **{"mode": "sound", "epsilon": 20.0, "delta": 1e-5},
            **{"clipping_norm": CLIPPING_NORM, "noise_multiplier": MULTIPLIER},
            "statistics_multiplier": 1 / STATED_MU,
        },
    )
    x = np.random.default_rng(0).normal(size=(RECORDS, 8, 8), scale=9.0).astype(np.float32)
    x = family("scattering-linear").represented(spec, x)
    start = family("scattering-linear").initial(spec, START)
    start["centre"] += np.float32(0.2)  # far from all, so that each is clipped
    moved, scale = ("centre", -1.0) if round_number == 1 else ("weights", 1 / LEARNING_RATE)

    def release(records: int, noise: NoiseSource) -> NDArray[np.float64]:
        data = Dataset(x[:records], Y[:records], ())
        model = train_local(
            LocalTraining(spec, start, data, noise=noise, round_and_seat=(round_number, 0))
        )
        before = start[moved] * (round_number != 1)
        return np.asarray((before.astype(np.float64) - model[moved]).ravel() * scale * records)

    return release


def draws_of(release: Release, records: int, noise: NoiseSource) -> Draw:
    return lambda count: np.stack([release(records, noise) for _ in range(count)])


def drawn_twice(release: Release) -> Release:
    """After a crash the release is drawn again and published a second time."""
    return lambda records, noise: np.concatenate([release(records, noise) for _ in range(2)])


def two_providers(release: Release, shared: bool) -> Release:
    """Beside the provider another one, whose records are all known, publishes the same kind of
    release; with noise of its own, or with the same."""

    def both(records: int, noise: NoiseSource) -> NDArray[np.float64]:
        if not shared:
            return np.concatenate([release(records, noise), release(RECORDS - 1, noise)])
        seed = int(noise.words(1)[0] >> np.uint64(1))
        same = [release(number, SeededNoise(seed)) for number in (records, RECORDS - 1)]
        return np.concatenate(same)

    return both


def _moved(start: Model, model: Model) -> NDArray[np.float64]:
    """The sums of gradients behind a model, up to the number of records, (d,)."""
    parts = [
        (start[name].astype(np.float64) - model[name]).ravel() / LEARNING_RATE
        for name in sorted(start)
    ]
    return np.concatenate(parts)
