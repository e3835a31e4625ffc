"""A request for a linear model on a public network's features of CIFAR-10's images.

`simulate` runs what the daemons run, in one process: drafted noise, the statistics round, updates
bounded by their mechanism, votes on the evaluation set, the error ceiling and server momentum. The
step was chosen on 4,000 of the 5,000 training images that are declared public, tested on the other
1,000, with the noise that the mean gradient has in the private run; no provider holds them, and the
evaluation set is drawn from them.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import PUBLIC_EXAMPLES
from fedpact.demo.drafts import draft, split
from fedpact.features.networks.images import image_features
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.requester.draft import Draft
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, accuracy, noise, simulate
from fedpact.types.specification import Specification

DATA, PARTITION, PROVIDERS = "cifar10", "class2", 10
SIDE = 224
"""The network's own."""
FEATURES = Path(".cache/features")
"""Folder of computed features, in the working folder."""


@dataclass(frozen=True)
class Plan:
    rounds: int
    learning_rate: float
    clipping_norm: float = 0.1
    momentum: float = 0.9


PLANS = {1: Plan(20, 800.0), 2: Plan(40, 400.0), 3: Plan(40, 400.0), 5: Plan(40, 400.0)}
"""By epsilon."""


@lru_cache(maxsize=1)
def _source() -> tuple[TrainTestData, NDArray[np.float16], NDArray[np.float16]]:
    """The images, and the rows of those for training and of those for testing."""
    source = sources.load(DATA)

    def rows(images: NDArray[np.generic]) -> NDArray[np.float16]:
        values = images.astype(np.float32) / np.float32(source.scale)
        return image_features(values.reshape(-1, *source.shape), SIDE, True, FEATURES)

    return source, rows(source.x_train), rows(source.x_test)


def specification(epsilon: float) -> Specification:
    plan, source = PLANS[int(epsilon)], sources.load(DATA)
    fields: dict[str, Any] = draft(source, PROVIDERS, plan.rounds, epsilon)
    fields["privacy"]["clipping_norm"] = plan.clipping_norm
    family = {
        "name": "network-linear",
        "parameters": {
            "network": EFFICIENTNET_LITE0.name,
            "digest": EFFICIENTNET_LITE0.digest,
            "side": SIDE,
            "mirrored": 1,
        },
    }
    return Draft(
        fields
        | {
            "family": family,
            "local": {"steps": 1, "learning_rate": plan.learning_rate},
            "strategy": {"name": "fedavgm", "parameters": {"momentum": plan.momentum}},
        },
        on_chain=False,
    ).specification


def run(epsilon: float, seed: int) -> float:
    """Accuracy on the test images; partition, evaluation set and noise depend on the seed."""
    source, train, test = _source()
    spec = specification(epsilon)
    private, chosen = split(source, spec.rounds, seed, PUBLIC_EXAMPLES)

    def part(rows: NDArray[np.int64]) -> Dataset:
        return Dataset(train[rows], source.y_train[rows].astype(np.int64), ())

    parts = partition.named(PARTITION, source.y_train[private], PROVIDERS, seed)
    cuts = cut_stratified(source.y_train[chosen], spec.rounds, np.random.default_rng(seed))
    found = simulate(
        spec,
        [
            Seat(number, part(private[rows]), SimulatedProvider())
            for number, rows in enumerate(parts)
        ],
        [part(chosen[cut]) for cut in cuts],
        lambda provider, number: noise(seed, provider, number),
    )
    return accuracy(spec, found.model, Dataset(test, source.y_test.astype(np.int64), ()))
